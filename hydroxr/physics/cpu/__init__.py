"""The loop over days compiled for the CPU."""

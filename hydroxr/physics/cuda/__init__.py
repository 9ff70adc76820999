"""The loop over days, compiled for NVIDIA GPUs."""

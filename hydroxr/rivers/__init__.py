"""River networks, and routing of runs through them."""

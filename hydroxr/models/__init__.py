"""Models: their description before training, their networks, their files."""

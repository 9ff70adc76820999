"""Training: from a Dataset and a description to a model."""

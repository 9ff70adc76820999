"""Search for options of model and training: trials, their scores, and what they leave on disk."""

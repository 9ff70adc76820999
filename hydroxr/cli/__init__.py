"""The command line, ``python -m hydroxr``."""

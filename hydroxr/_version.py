"""Version of the package, and of the files that it writes."""

__version__ = "0.1.0"

# Raised when files change in a way that older versions cannot read.
FORMAT = 1

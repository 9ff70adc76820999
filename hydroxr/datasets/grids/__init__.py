"""Gridded forcing as it is downloaded: layouts of the sources, days from hours, and the reader."""

"""Data sets of many catchments through one interface: layouts as published, their files, and the reader."""

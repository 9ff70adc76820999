"""Tools without hydrology: atomic files, checksums, dask, numba, devices, progress."""

"""Results on disk: NetCDF files and Zarr stores that are complete or not there."""

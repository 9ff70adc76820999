"""How a Zarr store is written: blocks, manifest, resuming, appending."""

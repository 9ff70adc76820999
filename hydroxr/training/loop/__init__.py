"""The training loop on tensors: no labels, no dask."""

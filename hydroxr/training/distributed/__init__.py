"""Trainings of several processes: started on the workers of a dask cluster, or by torchrun."""

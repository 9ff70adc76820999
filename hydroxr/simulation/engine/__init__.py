"""How a simulation is cut into blocks and computed, eagerly or by dask."""

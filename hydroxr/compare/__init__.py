"""Comparison of a simulation with independent estimates."""

from __future__ import annotations

import xarray as xr


def baseflow_index(baseflow: xr.DataArray, streamflow: xr.DataArray, dim: str = "time") -> xr.DataArray:
    """Share of baseflow in streamflow: sum of one over sum of the other, 0 to 1.

    Parameters
    ----------
    baseflow, streamflow : DataArray
        In the same unit; take whole years. For a simulation ``sim.baseflow`` and ``sim.runoff``,
        the paper's Q2 and Q. A day counts where both have a value.
    dim : str
        The dimension to sum over.

    Returns
    -------
    DataArray
        Without ``dim``; missing where there is no streamflow.
    """
    both = baseflow.notnull() & streamflow.notnull()
    total = streamflow.where(both).sum(dim, dtype=float)
    index = baseflow.where(both).sum(dim, dtype=float) / total.where(total > 0)
    index = index.rename("baseflow_index")
    index.attrs = {"long_name": "baseflow index: share of baseflow in streamflow", "units": "1"}
    return index

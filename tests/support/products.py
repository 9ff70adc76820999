"""A simulation with known values, and products made from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tests.support.labelled import STATES

DIMS = ("basin", "time")


def simulation(start: str = "2003-01-01", end: str = "2005-12-31", cells: int = 4) -> xr.Dataset:
    """Evapotranspiration and states that differ between days and basins."""
    time = pd.date_range(start, end)
    rng = np.random.default_rng(1)
    season = 1.5 - np.cos(2 * np.pi * np.arange(len(time)) / 365.25)
    et = np.arange(1, cells + 1)[:, None] * season + rng.gamma(1.0, 0.3, (cells, len(time)))
    ds = xr.Dataset(
        {"evapotranspiration": (DIMS, et, {"units": "kg m-2 day-1"})},
        coords={
            "basin": 10 * np.arange(cells),
            "time": time,
            "basin_id": ("basin", [f"g{k}" for k in range(cells)]),
        },
    )
    for name in STATES:
        ds[name] = (DIMS, rng.gamma(2.0, 20.0, et.shape), {"units": "kg m-2"})
    return ds


def frame(sim: xr.Dataset, name: str = "evapotranspiration") -> pd.DataFrame:
    """Days as rows, basins as columns."""
    return pd.DataFrame(sim[name].transpose("time", "basin").values, sim.indexes["time"])


def product(table: pd.DataFrame, units: str, name: str = "ET") -> xr.Dataset:
    """A product with the rows of a table as time steps."""
    basins = 10 * np.arange(table.shape[1])
    coords = {"time": pd.DatetimeIndex(table.index), "basin": basins}
    return xr.Dataset({name: (("time", "basin"), table.values, {"units": units})}, coords)

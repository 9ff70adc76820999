"""Metrics of many cells in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..plot.series import displayed

# In the order in which they are reported; n_days is no metric.
REPORTED = (
    *("nse", "log_nse", "kge", "kge_2012", "r", "alpha", "beta", "gamma"),
    *("rmse", "pbias", "flv", "fhv", "peak_timing"),
)


@dataclass(frozen=True)
class Row:
    """A metric over the cells: how many have it, its median and quartiles (NaN where none has it)."""

    name: str
    long_name: str
    units: str
    cells: int
    lower: float
    median: float
    upper: float


def summary(metrics: xr.Dataset) -> list[Row]:
    """The metrics of :func:`hydroxr.metrics.evaluate` that there are, over all cells with a value."""
    rows = []
    for name in (name for name in REPORTED if name in metrics):
        numbers = metrics[name].values.ravel()
        known = numbers[np.isfinite(numbers)]
        quartiles = np.quantile(known, [0.25, 0.5, 0.75]) if known.size else np.full(3, np.nan)
        attrs = metrics[name].attrs
        units = displayed(str(attrs.get("units", "1")))
        rows.append(Row(name, str(attrs.get("long_name", name)), units, known.size, *map(float, quartiles)))
    return rows

"""Quartiles of metrics over the cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..plot.series import displayed

# In the order of reports. n_days is not a metric.
REPORTED = (
    *("nse", "log_nse", "kge", "kge_2012", "r", "alpha", "beta", "gamma"),
    *("rmse", "pbias", "flv", "fhv", "peak_timing"),
)


@dataclass(frozen=True)
class Row:
    """Quartiles of one metric over the cells that have it; NaN if no cell does."""

    name: str
    long_name: str
    units: str
    cells: int
    lower: float
    median: float
    upper: float


def summary(metrics: xr.Dataset) -> list[Row]:
    """One row for each metric of :func:`hydroxr.metrics.evaluate` that the Dataset has."""
    rows = []
    for name in (name for name in REPORTED if name in metrics):
        numbers = metrics[name].values.ravel()
        known = numbers[np.isfinite(numbers)]
        quartiles = np.quantile(known, [0.25, 0.5, 0.75]) if known.size else np.full(3, np.nan)
        attrs = metrics[name].attrs
        units = displayed(str(attrs.get("units", "1")))
        rows.append(Row(name, str(attrs.get("long_name", name)), units, known.size, *map(float, quartiles)))
    return rows

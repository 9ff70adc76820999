"""Which day a time stamp means: stamps at the end of the day, as time bounds tell, and stamps with jitter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import TimeAxisError

# Attribute of 'time' in results whose stamps are the ends of the days; without it, stamps lie in the day.
STAMP, END = "hydroxr_stamp", "end of the day"
STAMPS = "hydroxr_stamps"  # coordinate of an input at work: the stamps that its source has

Index = Any  # a DatetimeIndex, or a CFTimeIndex of another calendar
_DAY = timedelta(days=1)


def days(time: xr.DataArray) -> Index:
    """Midnight of the day that each time stamp means; a jitter below half a second does not count."""
    index = (time if time.ndim else time.expand_dims("time")).to_index().round("s").floor("D")
    return index - _DAY if time.attrs.get(STAMP) == END else index


def bounds_of(ds: xr.Dataset) -> np.ndarray | None:
    """Time bounds of a Dataset, ``(time, 2)``, where it has them and each spans one day."""
    name = ds["time"].attrs.get("bounds", ds["time"].encoding.get("bounds", "time_bnds"))
    if name not in ds.variables or set(ds[name].dims) <= {"time"} or "time" not in ds[name].dims:
        return None
    bounds: np.ndarray = ds[name].transpose("time", ...).values
    if bounds.shape[1:] != (2,) or bounds.dtype.kind != ("O" if ds["time"].dtype.kind == "O" else "M"):
        return None
    daily = (bounds[:, 1] - bounds[:, 0]) == (_DAY if bounds.dtype.kind == "O" else np.timedelta64(1, "D"))
    return bounds if np.all(daily) else None


def by_day(ds: xr.Dataset) -> xr.Dataset:
    """A Dataset whose time labels lie in the days that its values are of.

    Values stamped at the end of their day, as time bounds or hydroxr's attribute tell, get the midnight
    before; the coordinate :data:`STAMPS` keeps the stamps.

    Raises
    ------
    TimeAxisError
        If time bounds of one day do not begin or end with the day of their stamp.
    """
    index = ds.indexes.get("time")
    if not isinstance(index, pd.DatetimeIndex | xr.CFTimeIndex) or not len(index) or index.hasnans:
        return ds
    time, bounds = ds["time"], bounds_of(ds)
    if bounds is None and time.attrs.get(STAMP) != END:
        return ds
    stamped, meant = days(time.drop_attrs()), days(time)
    if bounds is not None:
        middle = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) / 2
        meant = type(stamped)(middle).round("s").floor("D")
        late = np.asarray((stamped - meant) / np.timedelta64(1, "D"), dtype=float)
        wrong = np.flatnonzero((late != late[0]) | ~np.isin(late, (0.0, 1.0)))
        if len(wrong):
            stamp, (first, last) = index[wrong[0]], bounds[wrong[0]]
            raise TimeAxisError(
                f"the time bounds of {stamp} are {first} to {last}; expected the day that the stamp lies in, "
                "or ends. Correct them, or drop them: ds.drop_vars(...)."
            )
    if (stamped == meant).all():
        return ds
    if isinstance(meant, pd.DatetimeIndex) and isinstance(index, pd.DatetimeIndex):
        meant = meant.as_unit(index.unit)
    attrs = {key: value for key, value in time.attrs.items() if key != STAMP}
    return ds.assign_coords({"time": ("time", meant, attrs), STAMPS: ("time", time.values)})


def as_stamped(ds: xr.Dataset) -> xr.Dataset:
    """A result with the stamps that :func:`by_day` took off its input."""
    if STAMPS not in ds.coords:
        return ds
    attrs = {**ds["time"].attrs, STAMP: END}
    return ds.assign_coords(time=("time", ds[STAMPS].values, attrs)).drop_vars(STAMPS)

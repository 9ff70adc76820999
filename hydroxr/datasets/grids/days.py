"""Days from hours: sums, means and extremes over the 24 hours of a stated day; and days that are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import TimeAxisError
from .layouts import Kind

_HOUR = np.timedelta64(1, "h")


def step_of(time: xr.DataArray, title: str) -> float:
    """The time step in hours; 24 for a single day.

    Raises
    ------
    TimeAxisError
        If hourly data have a gap, or a day is no multiple of the step.
    """
    index = time.to_index()
    if len(index) < 2:
        return 24.0
    steps = np.asarray((index[1:] - index[:-1]) / _HOUR, dtype=float)
    step = float(np.median(steps))
    if step >= 24.0:
        return 24.0
    wrong = np.flatnonzero(np.abs(steps - step) > 1e-6 * step)
    if len(wrong):
        raise TimeAxisError(
            f"the data of {title} have steps of {step:g} hours, and a gap: {index[wrong[0] + 1]} follows "
            f"{index[wrong[0]]} ({len(wrong)} in all). Add the missing files."
        )
    if abs(24.0 / step - round(24.0 / step)) > 1e-6:
        raise TimeAxisError(f"the data of {title} have steps of {step:g} hours, which do not make up a day.")
    return step


def daily(array: xr.DataArray, kind: Kind, step: float, utc_offset: float, method: str) -> xr.DataArray:
    """Values of whole days from steps of some hours; lazy where the array is.

    Parameters
    ----------
    array
        ``(time, ...)``, without gaps.
    kind
        How a value counts for its time stamp.
    step
        Hours.
    utc_offset
        Hours from UTC to the time in which days begin at midnight.
    method : {"sum", "mean", "min", "max"}
    """
    if kind == "accumulated":
        array = _increments(array, step)
    if kind in ("sum", "accumulated"):  # the step ends at the stamp: label it by its beginning
        array = array.assign_coords(time=array["time"] - _hours(step))
    local = array.assign_coords(time=array["time"] + _hours(utc_offset))
    count = round(24.0 / step)
    first = np.flatnonzero(np.asarray(local["time"].dt.hour * 60 + local["time"].dt.minute) < 60 * step)
    days = (local.sizes["time"] - int(first[0])) // count if len(first) else 0
    if days == 0:
        raise TimeAxisError(
            f"{array.name!r} has no whole day of 24 hours from {-utc_offset % 24:02g} UTC; it has "
            f"{array.sizes['time']} steps of {step:g} hours. Add files."
        )
    local = local.isel(time=slice(int(first[0]), int(first[0]) + days * count))
    if local.chunks is not None:
        longest = max(local.chunksizes["time"])
        local = local.chunk(time=max(longest // count, 1) * count)
    stamps = local["time"].isel(time=slice(0, None, count)).dt.floor("D")
    windows = local.drop_vars("time").coarsen(time=count).construct(time=("time", "_step"))
    # A missing hour makes a missing day.
    out: xr.DataArray = getattr(windows, method)("_step", skipna=False)
    return out.assign_coords(time=stamps).rename(array.name)


def _hours(hours: float) -> np.timedelta64:
    return np.timedelta64(round(hours * 3600.0), "s")


def _increments(array: xr.DataArray, step: float) -> xr.DataArray:
    """Sums of each step from sums since 00 UTC; the first step's is unknown, unless it begins at 00 UTC."""
    begins = (array["time"] - _hours(step)).dt
    restarted = (begins.hour == 0) & (begins.minute == 0)
    # Packing makes sums of dry hours fall by a last digit: no rain is less than none.
    risen = (array - array.shift(time=1)).clip(min=0.0)
    return xr.where(restarted, array, risen, keep_attrs=False).transpose(*array.dims).rename(array.name)


def add_leap_days(ds: xr.Dataset) -> tuple[xr.Dataset, str]:
    """The Dataset with each 31 December that is missing between two days, and the years that got one.

    Daymet's years have 365 days: leap years end on 30 December. The added day has the mean of its neighbours.
    """
    index = ds.indexes["time"]
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 2:
        return ds, ""
    jumps = np.flatnonzero((index[1:] - index[:-1]) == pd.Timedelta(days=2))
    absent = [index[place] + pd.Timedelta(days=1) for place in jumps]
    absent = [day for day in absent if (day.month, day.day) == (12, 31)]
    if not absent:
        return ds, ""
    whole = ds.reindex(time=index.union(pd.DatetimeIndex(absent)))
    added = xr.DataArray(whole.indexes["time"].isin(absent), dims="time")
    out = whole.map(
        lambda array: (
            array.where(~added, 0.5 * (array.shift(time=1) + array.shift(time=-1))).transpose(*array.dims)
            if "time" in array.dims
            else array
        ),
        keep_attrs=True,
    )
    return out, ", ".join(str(day.year) for day in absent)

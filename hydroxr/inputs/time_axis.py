"""The time axis: daily, sorted and without gaps; and the selection of a period."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import DescriptionError, DimensionError, EmptySelectionError, TimeAxisError
from .find import find, listed


def check_time(ds: xr.Dataset) -> None:
    """Refuse a time axis that is not sorted, unique, daily and without gaps.

    Raises
    ------
    DimensionError, TimeAxisError, EmptySelectionError
    """
    name = find(ds, "prcp")
    dims = ds.dims if name is None else ds[name].dims
    if "time" not in dims:
        what = "the Dataset" if name is None else f"precipitation {name!r}"
        raise DimensionError(
            f"{what} has dimensions {listed(dims)}; expected 'time' among them: ds.rename({{...: 'time'}})."
        )
    if ds.sizes["time"] == 0:
        raise EmptySelectionError("the Dataset has no days: the selection in time is empty.")
    if "time" not in ds.indexes:
        raise TimeAxisError(
            "dimension 'time' has no coordinate; expected one date a day: ds.assign_coords(time=...)."
        )
    index = ds.indexes["time"]
    if not (np.issubdtype(ds["time"].dtype, np.datetime64) or isinstance(index, xr.CFTimeIndex)):
        raise TimeAxisError(
            f"'time' holds {ds['time'].dtype}; expected dates: xr.decode_cf(ds) or "
            "ds.assign_coords(time=...)."
        )
    if index.hasnans:
        raise TimeAxisError("'time' has missing dates; expected one a day.")
    repeated = index[index.duplicated()]
    if len(repeated):
        raise TimeAxisError(
            f"'time' has {repeated[0]} more than once ({len(repeated)} repeats); drop them: "
            "ds.drop_duplicates('time')."
        )
    if not index.is_monotonic_increasing:
        raise TimeAxisError("'time' is not sorted; expected ascending days: ds.sortby('time').")
    steps = np.asarray(
        (index[1:] - index[:-1]) / np.timedelta64(1, "D") if len(index) > 1 else [], dtype=float
    )
    wrong = np.flatnonzero(steps != 1.0)
    if len(wrong):
        usual = float(np.median(steps))
        if usual != 1.0:
            raise TimeAxisError(
                f"'time' has steps of {usual:g} days; expected daily values: resample them first."
            )
        where = wrong[0]
        raise TimeAxisError(
            f"'time' has a gap: {index[where + 1]} follows {index[where]} ({len(wrong)} such places); "
            "expected every day. "
            "Give each day a row, ds.resample(time='1D').asfreq(), and decide what fills it."
        )


def select_days(ds: xr.Dataset, time: slice | None, what: str = "the Dataset") -> xr.Dataset:
    """The days ``time`` of a Dataset, or all.

    Raises
    ------
    DescriptionError
        Where ``time`` is no period.
    EmptySelectionError
        Where it holds no day.
    """
    if time is None:
        return ds
    if not isinstance(time, slice):
        raise DescriptionError(
            f"time is {time!r}; expected a period, such as slice('1980-10-01', '1995-09-30')."
        )
    try:
        chosen = ds.sel(time=time)
    except (KeyError, TypeError, ValueError) as error:
        raise DescriptionError(f"time is {time!r}, which holds no dates of the calendar: {error}.") from error
    if chosen.sizes.get("time", 0) == 0:
        index = ds.indexes["time"]
        span = f"{str(index[0])[:10]} to {str(index[-1])[:10]}" if len(index) else "none"
        raise EmptySelectionError(f"{what} has no day in {time}; its days are {span}.")
    return chosen


def select_time(ds: xr.Dataset, time: slice | None) -> xr.Dataset:
    """The days ``time`` of a Dataset whose time axis is sound.

    Raises
    ------
    TimeAxisError, DescriptionError, EmptySelectionError
    """
    check_time(ds)
    return select_days(ds, time)

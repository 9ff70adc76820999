"""Periods of whole days: 8-day composites, months and years, in any calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.stamps import days as days_of_stamps
from ..errors import DimensionError, EmptySelectionError, TimeAxisError
from ..inputs.time_axis import days_of_year

Index = Any  # a DatetimeIndex, or a CFTimeIndex of another calendar

COMPOSITE = 8  # days


@dataclass(frozen=True)
class Periods:
    """Consecutive periods of whole days, possibly with gaps between them.

    Parameters
    ----------
    starts, ends
        First day of each period, and the day after its last, ``(period,)``.
    """

    starts: Index
    ends: Index

    @property
    def lengths(self) -> np.ndarray:
        """Number of days of each period, ``(period,)``."""
        return np.asarray((self.ends - self.starts) / np.timedelta64(1, "D"), dtype=float).round().astype(int)

    def take(self, chosen: np.ndarray) -> Periods:
        """The ``chosen`` periods."""
        return Periods(self.starts[chosen], self.ends[chosen])

    def bounds(self) -> np.ndarray:
        """Start and end of each period, ``(period, 2)``, for ``time_bnds``."""
        return np.stack([np.asarray(self.starts), np.asarray(self.ends)], axis=1)


def composites(days: Index) -> Periods:
    """The 8-day composites of MODIS that contain ``days``.

    They begin on days 1, 9, ..., 361 of each year; the last one ends with the year.
    """
    number = (days_of_year(days) - 1) // COMPOSITE
    key = np.asarray(days.year) * 100 + number
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    new_years = [days[place].replace(month=1, day=1) for place in first]
    starts = [
        day + timedelta(days=COMPOSITE * int(number[place]))
        for day, place in zip(new_years, first, strict=True)
    ]
    ends = [
        min(start + timedelta(days=COMPOSITE), day.replace(year=day.year + 1))
        for start, day in zip(starts, new_years, strict=True)
    ]
    return Periods(_like(starts, days), _like(ends, days))


def months(days: Index, number: int = 1) -> Periods:
    """Periods of ``number`` calendar months that begin with the months of ``days``."""
    starts = [day.replace(day=1) for day in days]
    ends = []
    for start in starts:
        later = start.month - 1 + number
        ends.append(start.replace(year=start.year + later // 12, month=later % 12 + 1))
    return Periods(_like(starts, days), _like(ends, days))


def periods_within(days: Index, step: str, first_month: int = 1) -> Periods:
    """The 8-day composites, months or years that contain ``days``; years begin with ``first_month``.

    Parameters
    ----------
    step : {"8day", "month", "year"}
    """
    if step == "8day":
        return composites(days)
    number = np.asarray(days.year) * 12 + np.asarray(days.month) - 1
    key = number if step == "month" else (number - (first_month - 1)) // 12
    firsts = days[np.flatnonzero(np.r_[True, key[1:] != key[:-1]])]
    if step == "month":
        return months(firsts)
    starts = [
        day.replace(year=day.year - (day.month < first_month), month=first_month, day=1) for day in firsts
    ]
    return months(_like(starts, days), 12)


def days_of(array: xr.DataArray | xr.Dataset, what: str) -> Index:
    """Midnight of each day of a daily series; ``what`` names it in messages."""
    time_index(array, what)
    days = days_of_stamps(array["time"])
    if not days.is_unique:
        again = days[days.duplicated()][0]
        raise TimeAxisError(
            f"{what} has {str(again)[:10]} more than once; expected one value per day: "
            "resample it to days first."
        )
    return days


def time_index(array: xr.DataArray | xr.Dataset, what: str) -> Index:
    """The dates of ``array``, ascending; ``what`` names it in messages."""
    if "time" not in array.dims:
        raise DimensionError(f"{what} has dimensions {tuple(array.dims)}; expected 'time' among them.")
    index = array.indexes.get("time")
    if not isinstance(index, pd.DatetimeIndex | xr.CFTimeIndex):
        found = "no coordinate" if index is None else f"{index.dtype} as labels"
        raise TimeAxisError(f"'time' of {what} has {found}; expected dates: xr.decode_cf(...).")
    if len(index) == 0:
        raise EmptySelectionError(f"{what} has no time steps.")
    if not index.is_monotonic_increasing:
        raise TimeAxisError(f"'time' of {what} is not sorted; expected ascending dates: .sortby('time').")
    return index


def with_bounds(ds: xr.Dataset, periods: Periods) -> xr.Dataset:
    """Stamp a Dataset with the first day of each period, and add ``time_bnds``."""
    bounds = (("time", "bnds"), periods.bounds())
    ds = ds.drop_vars("time_bnds", errors="ignore").assign_coords(time=periods.starts, time_bnds=bounds)
    ds["time"].attrs = {
        "standard_name": "time",
        "long_name": "first day of the period",
        "axis": "T",
        "bounds": "time_bnds",
    }
    # Without explicit units, xarray warns that the units of times and bounds may differ in a file.
    units = {"units": f"days since {str(periods.starts[0])[:10]}", "calendar": ds["time"].dt.calendar}
    for name in ("time", "time_bnds"):
        ds[name].encoding = dict(units)
    return ds


def whole_years(array: xr.DataArray) -> xr.DataArray:
    """All whole years of a daily series, counted from its first day."""
    days = days_of(array, "the series")
    number = 0
    while _years_after(days[0], number + 1) - timedelta(days=1) <= days[-1]:
        number += 1
    if number == 0:
        raise EmptySelectionError(
            f"the series from {str(days[0])[:10]} to {str(days[-1])[:10]} has no whole year; expected at "
            "least one."
        )
    return array.isel(time=slice(0, days.searchsorted(_years_after(days[0], number))))


def span(array: xr.DataArray) -> str:
    """First and last day as text."""
    index = array.indexes["time"]
    return f"{str(index[0])[:10]} to {str(index[-1])[:10]}"


def _years_after(day: Any, years: int) -> Any:
    """The same day of a later year; for 29 February, 1 March if that year is not a leap year."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, month=3, day=1)


def _like(dates: list[Any], days: Index) -> Index:
    if isinstance(days, xr.CFTimeIndex):
        return xr.CFTimeIndex(dates)
    return pd.DatetimeIndex(dates).astype(days.dtype)


def calendar_of(index: Index) -> str:
    """Name of the calendar of an index."""
    return str(getattr(index, "calendar", "proleptic_gregorian"))

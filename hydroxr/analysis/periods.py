"""From daily values to sums, means or last values over periods: composites, months, years."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import CoordinateError, DimensionError, EmptySelectionError, TimeAxisError

Index = Any  # a DatetimeIndex, or a CFTimeIndex of another calendar

COMPOSITE = 8  # days

_REDUCE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]] = {
    "sum": lambda values, starts, lengths, axis: np.add.reduceat(values, starts, axis, dtype=float),
    "mean": lambda values, starts, lengths, axis: (
        np.add.reduceat(values, starts, axis, dtype=float) / _along(lengths, values.ndim, axis)
    ),
    "last": lambda values, starts, lengths, axis: np.take(values, starts + lengths - 1, axis),
    "maximum": lambda values, starts, lengths, axis: np.maximum.reduceat(values, starts, axis),
    "or": lambda values, starts, lengths, axis: np.bitwise_or.reduceat(values, starts, axis),
}


@dataclass(frozen=True)
class Periods:
    """Periods from midnight to midnight, one after the other, perhaps with gaps between.

    Parameters
    ----------
    starts, ends
        The first day of each, and the day after its last.
    """

    starts: Index
    ends: Index

    @property
    def lengths(self) -> np.ndarray:
        """Days of each period."""
        return np.asarray((self.ends - self.starts) / np.timedelta64(1, "D"), dtype=float).round().astype(int)

    def take(self, chosen: np.ndarray) -> Periods:
        return Periods(self.starts[chosen], self.ends[chosen])

    def bounds(self) -> np.ndarray:
        """``(time, 2)`` for ``time_bnds``."""
        return np.stack([np.asarray(self.starts), np.asarray(self.ends)], axis=1)


def composites(days: Index) -> Periods:
    """The 8-day composites of MODIS that some of ``days`` lie in.

    They begin on day 1, 9, ..., 361 of each year; the last ends with the year.
    """
    number = (_day_of_year(days) - 1) // COMPOSITE
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
    """The calendar months of ``days``, or with ``number`` 12 the years that begin with those months."""
    starts = [day.replace(day=1) for day in days]
    ends = []
    for start in starts:
        later = start.month - 1 + number
        ends.append(start.replace(year=start.year + later // 12, month=later % 12 + 1))
    return Periods(_like(starts, days), _like(ends, days))


def periods_within(days: Index, step: str, first_month: int = 1) -> Periods:
    """The 8-day composites, months, or years from ``first_month`` on, that some of ``days`` lie in.

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
    """Midnight of each day of a daily series.

    Raises
    ------
    DimensionError, TimeAxisError, EmptySelectionError
    """
    index = time_index(array, what)
    days = index.floor("D")
    if not days.is_unique:
        again = days[days.duplicated()][0]
        raise TimeAxisError(
            f"{what} has {str(again)[:10]} more than once; expected one value a day: "
            "resample it to days first."
        )
    return days


def time_index(array: xr.DataArray | xr.Dataset, what: str) -> Index:
    """The dates of ``array``, ascending.

    Raises
    ------
    DimensionError, TimeAxisError, EmptySelectionError
    """
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


def over_periods(array: xr.DataArray, periods: Periods, how: str, what: str) -> tuple[xr.DataArray, Periods]:
    """Reduce daily values over those periods of which every day is there; lazy where ``array`` is.

    Parameters
    ----------
    array
        ``(..., time)``, daily.
    periods
        In the calendar of ``array``.
    how
        ``"sum"``, ``"mean"``, ``"last"``, ``"maximum"``, or of integers ``"or"``, bit by bit. A period
        with a missing value is missing.
    what
        What messages call ``array``.

    Returns
    -------
    DataArray
        Stamped with the first day of each period, in the dtype of ``array``; without attributes.
    Periods
        Those that are left.

    Raises
    ------
    TimeAxisError, CoordinateError, EmptySelectionError
    """
    days = days_of(array, what)
    if days.dtype.kind != periods.starts.dtype.kind or _calendar(days) != _calendar(periods.starts):
        raise CoordinateError(
            f"{what} is in the calendar {_calendar(days)!r}, what it is compared with in "
            f"{_calendar(periods.starts)!r}; expected one calendar. Convert one: .convert_calendar(...)."
        )
    first, last = (np.asarray(days.searchsorted(edge)) for edge in (periods.starts, periods.ends))
    whole = last - first == periods.lengths
    if not whole.any():
        raise EmptySelectionError(
            f"{what} ({str(days[0])[:10]} to {str(days[-1])[:10]}) has all days of none of the "
            f"{len(whole)} periods from {str(periods.starts[0])[:10]} to {str(periods.ends[-1])[:10]}; "
            "expected at least one in common."
        )
    periods, first, last = periods.take(whole), first[whole], last[whole]
    adjacent = (first[1:] == last[:-1]).all()
    ranges = zip(first, last, strict=True)
    kept = slice(first[0], last[-1]) if adjacent else np.concatenate([np.arange(*ends) for ends in ranges])
    chosen = array.isel(time=kept)
    data = _reduced(chosen.variable.data, chosen.get_axis_num("time"), last - first, how)
    coords = {
        name: coordinate.variable
        for name, coordinate in array.coords.items()
        if "time" not in coordinate.dims
    }
    return xr.DataArray(data, {**coords, "time": periods.starts}, array.dims, array.name), periods


def with_bounds(ds: xr.Dataset, periods: Periods) -> xr.Dataset:
    """A Dataset stamped with the first day of each period, with ``time_bnds``."""
    bounds = (("time", "bnds"), periods.bounds())
    ds = ds.drop_vars("time_bnds", errors="ignore").assign_coords(time=periods.starts, time_bnds=bounds)
    ds["time"].attrs = {
        "standard_name": "time",
        "long_name": "first day of the period",
        "axis": "T",
        "bounds": "time_bnds",
    }
    # Said here, because xarray warns where a file's times and bounds might differ in their units.
    units = {"units": f"days since {str(periods.starts[0])[:10]}", "calendar": ds["time"].dt.calendar}
    for name in ("time", "time_bnds"):
        ds[name].encoding = dict(units)
    return ds


def _reduced(data: Any, axis: int, lengths: np.ndarray, how: str) -> Any:
    """Reduce along ``axis``, of which the periods are ``lengths`` long, one after the other."""
    starts = np.cumsum(lengths) - lengths
    reduce = _REDUCE[how]
    if isinstance(data, np.ndarray):
        return reduce(data, starts, lengths, axis).astype(data.dtype, copy=False)
    # Blocks end where a period ends: only the days of one period move from a block to the next.
    edges = np.r_[starts, lengths.sum()]
    old = np.cumsum(data.chunks[axis])
    new = np.unique(np.r_[0, edges[np.searchsorted(edges, old, side="right") - 1]])
    data = data.rechunk({axis: tuple(np.diff(new))})
    number = tuple(np.diff(np.searchsorted(edges, new)))

    def of_block(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        begin, end = block_info[0]["array-location"][axis]
        here = (starts >= begin) & (starts < end)
        return reduce(block, starts[here] - begin, lengths[here], axis).astype(block.dtype, copy=False)

    chunks = tuple(number if place == axis else sizes for place, sizes in enumerate(data.chunks))
    return data.map_blocks(of_block, dtype=data.dtype, chunks=chunks, meta=data._meta)


def whole_years(array: xr.DataArray) -> xr.DataArray:
    """As many whole years as a daily series has from its first day.

    Raises
    ------
    EmptySelectionError
        Where it has less than one.
    """
    days = days_of(array, "the series")
    number = 0
    while _years_after(days[0], number + 1) - timedelta(days=1) <= days[-1]:
        number += 1
    if number == 0:
        raise EmptySelectionError(
            f"the series from {str(days[0])[:10]} to {str(days[-1])[:10]} has no whole year; expected one "
            "at least."
        )
    return array.isel(time=slice(0, days.searchsorted(_years_after(days[0], number))))


def span(array: xr.DataArray) -> str:
    """First and last day as text."""
    index = array.indexes["time"]
    return f"{str(index[0])[:10]} to {str(index[-1])[:10]}"


def _years_after(day: Any, years: int) -> Any:
    """The same day of a later year; 1 March for 29 February in a year without."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, month=3, day=1)


def _day_of_year(days: Index) -> np.ndarray:
    return np.asarray(days.dayofyear if isinstance(days, xr.CFTimeIndex) else days.day_of_year)


def _like(dates: list[Any], days: Index) -> Index:
    if isinstance(days, xr.CFTimeIndex):
        return xr.CFTimeIndex(dates)
    return pd.DatetimeIndex(dates).astype(days.dtype)


def _calendar(index: Index) -> str:
    return str(getattr(index, "calendar", "proleptic_gregorian"))


def _along(lengths: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    shape = [1] * ndim
    shape[axis] = len(lengths)
    return lengths.reshape(shape)

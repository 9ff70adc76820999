"""The time axis: daily, sorted and without gaps; and the selection of a period."""

from __future__ import annotations

import cftime
import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DescriptionError, DimensionError, EmptySelectionError, TimeAxisError
from .find import listed

_JITTER = 1.0 / 86400.0  # days; decoded times are off by less
_TO_DAYS = (
    "hx.open_forcing(ds, source=..., utc_offset=...) makes days of the hours of ERA5-Land, ERA5, NLDAS-2 and "
    "CMIP6; resample others."
)


def check_time(data: xr.Dataset | xr.DataArray, what: str = "the Dataset") -> None:
    """Refuse a time axis that is not sorted, unique, daily and without gaps.

    Raises
    ------
    DimensionError
        If there is no dimension ``time``.
    EmptySelectionError
        If it has no days.
    TimeAxisError
        If it has no dates, or they are missing, repeated, unsorted, not daily, or have a gap.
    """
    if "time" not in data.dims:
        raise DimensionError(
            f"{what} has dimensions {listed(data.dims)}; expected 'time' among them: "
            "ds.rename({...: 'time'})."
        )
    if data.sizes["time"] == 0:
        raise EmptySelectionError("the Dataset has no days: the selection in time is empty.")
    if "time" not in data.indexes:
        raise TimeAxisError(
            "dimension 'time' has no coordinate; expected one date per day: ds.assign_coords(time=...)."
        )
    index = data.indexes["time"]
    _check_dates(index)
    if index.hasnans:
        raise TimeAxisError("'time' has missing dates; expected one per day.")
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
    wrong = np.flatnonzero(np.abs(steps - 1.0) > _JITTER)
    if len(wrong):
        usual = float(np.median(steps))
        if abs(usual - 1.0) > _JITTER:
            remedy = _TO_DAYS if usual < 1.0 else "Take daily data: to resample these would invent days."
            step = f"{24 * usual:g} hours" if usual < 1.0 else f"{usual:g} days"
            raise TimeAxisError(f"'time' has steps of {step}; expected daily values. {remedy}")
        before, after, first, last = (str(index[place])[:10] for place in (wrong[0], wrong[0] + 1, 0, -1))
        more = f" ({len(wrong)} gaps in all)" if len(wrong) > 1 else ""
        raise TimeAxisError(
            f"'time' has a gap: {after} follows {before}{more}; expected every day. Give each day a row, "
            f"ds.reindex(time=xr.date_range({first!r}, {last!r}, calendar=ds.time.dt.calendar)); "
            "observations may be missing there, and simulate fills and flags forcing: missing='fill'."
        )


def _check_dates(index: pd.Index) -> None:
    """Refuse labels that are no dates without a time zone; the message has the call that makes them such."""
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        found, call = f"has the time zone {index.tz}", "ds.indexes['time'].tz_localize(None)"
        wanted = "dates of one place without a zone"
    elif isinstance(index, pd.DatetimeIndex | xr.CFTimeIndex):
        return
    elif isinstance(index, pd.PeriodIndex):
        found, call = f"holds periods ({index.dtype})", "ds.indexes['time'].to_timestamp()"
        wanted = "dates"
    elif index.dtype.kind in "iuf":
        raise TimeAxisError(
            f"'time' holds numbers ({index.dtype}); expected dates. Where 'time' has units such as "
            "'days since 2000-01-01', decode them: xr.decode_cf(ds); else give it dates: "
            f"ds.assign_coords(time=pd.date_range('2000-01-01', periods={len(index)}))."
        )
    elif len(index) and isinstance(index[0], cftime.datetime):
        raise TimeAxisError("'time' holds dates of several calendars; expected one: xr.date_range(...).")
    else:
        zoned = len(index) > 0 and getattr(index[0], "tzinfo", None) is not None
        kind = "text" if isinstance(index[0], str) else "objects"
        kind = "dates with a time zone" if zoned else kind
        found = f"holds {kind} ({index.dtype}), such as {index[0]!r}"
        call = f"pd.to_datetime(ds.indexes['time']{', utc=True).tz_localize(None' if zoned else ''})"
        wanted = "dates"
    raise TimeAxisError(f"'time' {found}; expected {wanted}: ds.assign_coords(time={call}).")


def days_of_year(index: pd.Index) -> np.ndarray:
    """The day of the year of each date, from 1, in any calendar."""
    return np.asarray(index.day_of_year if isinstance(index, pd.DatetimeIndex) else index.dayofyear)


def select_days(ds: xr.Dataset, time: slice | None, what: str = "the Dataset") -> xr.Dataset:
    """The days of a Dataset in the period ``time``; all days if None.

    Raises
    ------
    DescriptionError
        If ``time`` is no period, or its ends are no dates of the calendar.
    EmptySelectionError
        If the Dataset has no day in it.
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
        raise EmptySelectionError(f"{what}: no day in {time}; the days are {span}.")
    return chosen

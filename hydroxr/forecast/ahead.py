"""The weather that a forecast sees: the record's own, an archive of forecasts, or an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.dimensions import INIT, LEAD, VALID_TIME
from ..errors import CoordinateError, EmptySelectionError, MissingForcingError, UnitsError
from ..inputs.cells import select_cells
from ..inputs.resolve import Inputs, inputs_of

MEMBER = "member"
_AHEAD = "days_ahead"


def positions_of(days: pd.Index, init: Any) -> np.ndarray:
    """Positions of the dates ``init`` in the record, in order of time.

    Raises
    ------
    EmptySelectionError
        If there is no date.
    CoordinateError
        If a date occurs twice or is no day of the record.
    """
    one = isinstance(init, str) or np.ndim(init) == 0
    given = [init] if one else list(np.asarray(init).ravel() if isinstance(init, xr.DataArray) else init)
    if not given:
        raise EmptySelectionError("init has no dates; expected at least one day of the record.")
    dates = pd.Index(given) if not isinstance(days, pd.DatetimeIndex) else pd.DatetimeIndex(given)
    places = days.floor("D").get_indexer(dates.floor("D") if hasattr(dates, "floor") else dates)
    outside = [str(date)[:10] for date, place in zip(dates, places, strict=True) if place < 0]
    if outside:
        raise CoordinateError(
            f"init {outside[0]} is no day of the record, {str(days[0])[:10]} to {str(days[-1])[:10]}."
        )
    if len(set(places)) < len(places):
        raise CoordinateError("init has a date twice; expected each date once.")
    return np.sort(places)


def forcing_ahead(inputs: Inputs, places: np.ndarray, lead: int, given: xr.Dataset | None) -> xr.Dataset:
    """Forcing (init, time, space[, member]) in the model's units, with all that does not vary in time.

    Parameters
    ----------
    inputs : Inputs
        The record.
    places : array of int, (init,)
        Positions of the dates in the record.
    lead : int
        Days of each forecast; they become the dimension ``time``.
    given : Dataset, optional
        Forcing of the days to come, (init, lead) or (time). Default: the record's own.

    Raises
    ------
    MissingForcingError
        If a date has no forcing at a lead.
    """
    fixed = inputs.ds.drop_dims("time").drop_vars("time", errors="ignore")
    days = inputs.days[places]
    if given is not None:
        given = select_cells(given, inputs.ds, inputs.space, "the forcing")
    if given is not None and INIT in given.dims:
        series = _of_archive(given, inputs, days, lead)
    else:
        source = inputs if given is None else inputs_of(given, inputs.wanted, inputs.units)
        series = _of_record(source, days, lead)
    ahead = fixed.assign({name: array.drop_vars(array.coords) for name, array in series.items()})
    members = {MEMBER: given[MEMBER]} if given is not None and MEMBER in given.coords else {}
    return ahead.assign_coords({INIT: (INIT, days), **members})


def days_ahead(day: Any, lead: int) -> pd.Index:
    """The days of a forecast from ``day``: those after it."""
    return xr.date_range(day, periods=lead + 1, calendar=getattr(day, "calendar", "standard"))[1:]


def _of_record(source: Inputs, days: pd.Index, lead: int) -> dict[str, xr.DataArray]:
    """Forcing (init, time, ...) of a record of days."""
    series, known = source.forcing, source.days.floor("D")
    found = np.stack([known.get_indexer(days_ahead(day, lead).floor("D")) for day in days])
    _refuse_absent(found < 0, days, f"the forcing is from {str(known[0])[:10]} to {str(known[-1])[:10]}")
    pick = xr.DataArray(found, dims=(INIT, _AHEAD))
    return {
        name: array.drop_vars("time").isel(time=pick).rename({_AHEAD: "time"})
        for name, array in series.items()
    }


def _of_archive(archive: xr.Dataset, inputs: Inputs, days: pd.Index, lead: int) -> dict[str, xr.DataArray]:
    """Forcing (init, time, ...) of an archive of forecasts, found by the day that each value is for."""
    issued = archive.indexes[INIT].floor("D").get_indexer(days.floor("D"))
    _refuse_absent(
        np.repeat(issued[:, None] < 0, lead, 1), days, "the archive has no forecast from this date"
    )
    valid = _valid_time(archive)
    parts = []
    for day, place in zip(days, issued, strict=True):
        ahead = days_ahead(day, lead)
        found = pd.Index(valid.isel({INIT: place}).values).floor("D").get_indexer(ahead.floor("D"))
        _refuse_absent((found < 0)[None], pd.Index([day]), "the archive's forecast has no such day")
        part = archive.isel({INIT: place, LEAD: found}).drop_vars([LEAD, VALID_TIME], errors="ignore")
        part = part.rename({LEAD: "time"}).assign_coords(time=ahead)
        parts.append(inputs_of(part, inputs.wanted, inputs.units).forcing)
    return {name: xr.concat([part[name].drop_vars("time") for part in parts], INIT) for name in parts[0]}


def _valid_time(archive: xr.Dataset) -> xr.DataArray:
    """The time that each forecast is for, (init, lead): as the archive has it, or from its leads."""
    if VALID_TIME in archive.coords:
        return archive[VALID_TIME].transpose(INIT, LEAD)
    lead = archive[LEAD]
    if lead.dtype.kind == "m":
        return archive[INIT] + lead
    units = str(lead.attrs.get("units", "days"))
    if units not in ("days", "day", "d"):
        raise UnitsError(f"lead is in {units!r}; expected days, or a coordinate valid_time(init, lead).")
    return archive[INIT] + lead.astype("timedelta64[D]")


def _refuse_absent(absent: np.ndarray, days: pd.Index, why: str) -> None:
    """Refuse dates whose forcing is absent at some lead, (init, lead)."""
    if absent.any():
        date, lead = np.argwhere(absent)[0]
        raise MissingForcingError(
            f"the forecast from {str(days[date])[:10]} has no forcing at lead {lead + 1} "
            f"({str(days_ahead(days[date], lead + 1)[-1])[:10]}): {why}. Leave the date out, or choose a "
            "smaller lead."
        )

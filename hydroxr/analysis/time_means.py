"""Sums and means of daily values over months, years and 8-day composites, with CF cell methods and bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.attributes import FIRST_DAY, restated, stated
from ..conventions.cell_methods import with_time_method
from ..conventions.cf import EQUATION
from ..conventions.missing_values import stated_missing
from ..conventions.units import daily_kind, factor_offset, quantity_of
from ..conventions.variables import AMOUNT, DAILY_MEAN, FLUX, VARIABLES
from ..errors import CoordinateError, DescriptionError, EmptySelectionError, UnitsError
from .periods import Periods, calendar_of, days_of, periods_within, with_bounds

_WORDS = {"8day": "8-day composites", "month": "months", "year": "years"}
_REDUCE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]] = {
    "sum": lambda values, starts, lengths, axis: np.add.reduceat(values, starts, axis, dtype=float),
    "mean": lambda values, starts, lengths, axis: (
        np.add.reduceat(values, starts, axis, dtype=float) / _along(lengths, values.ndim, axis)
    ),
    "last": lambda values, starts, lengths, axis: np.take(values, starts + lengths - 1, axis),
    "maximum": lambda values, starts, lengths, axis: np.maximum.reduceat(values, starts, axis),
    "or": lambda values, starts, lengths, axis: np.bitwise_or.reduceat(values, starts, axis),
}


def aggregate_time(
    sim: xr.Dataset, step: str, *, fluxes: str = "mean", states: str = "end", first_month: int = 1
) -> xr.Dataset:
    """Aggregate to months, years or 8-day steps; see :meth:`hydroxr.accessor.HBVAccessor.aggregate_time`."""
    known = {"step": tuple(_WORDS), "fluxes": ("mean", "sum"), "states": ("end", "mean")}
    for option, value in {"step": step, "fluxes": fluxes, "states": states}.items():
        if value not in known[option]:
            raise DescriptionError(
                f"{option}={value!r} is not known; expected one of {', '.join(known[option])}."
            )
    if (
        isinstance(first_month, bool)
        or first_month not in range(1, 13)
        or (first_month > 1 and step != "year")
    ):
        raise DescriptionError(
            f"first_month is {first_month!r} with step={step!r}; expected 1 to 12 for years, otherwise 1."
        )
    given = periods = periods_within(days_of(sim, "the simulation"), step, first_month)
    out = xr.Dataset(attrs=dict(sim.attrs))
    for name, array in sim.drop_vars(sim["time"].attrs.get("bounds", "time_bnds"), errors="ignore").items():
        if "time" in array.dims:
            out[name], periods = _aggregated(array, given, fluxes, states)
        else:
            out[name] = array
    out.encoding = dict(sim.encoding)  # identifies the input when a write is resumed
    if states == "mean":  # the balance does not close for mean storages
        out = out.drop_vars("initial_storage", errors="ignore")
        if "summary" in out.attrs:
            out.attrs["summary"] = str(out.attrs["summary"]).replace(EQUATION, "")
    out.attrs["title"] = f"{sim.attrs.get('title', 'Daily values')}: {_WORDS[step]}"
    out = with_bounds(out, periods)
    before = out["initial_storage"].attrs.get(FIRST_DAY) if "initial_storage" in out else None
    return out.drop_vars("initial_storage") if before not in (None, str(periods.starts[0])[:10]) else out


def composite_8day(sim: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """Sum daily values over the 8-day composites of MOD16A2, as ``aggregate_time`` does.

    Parameters
    ----------
    sim : Dataset or DataArray
        Daily values ``(..., time)``, in any calendar.

    Returns
    -------
    Dataset or DataArray
        Like ``sim``; fluxes and daily amounts in kg m-2 per composite. A Dataset has ``time_bnds``, and its
        other variables (temperatures, flags) are reduced as by ``aggregate_time``.

    Raises
    ------
    UnitsError
        If the attributes do not tell whether a variable is a flux, an amount of a day or a state.
    DescriptionError, DimensionError, TimeAxisError, EmptySelectionError
        As :meth:`~hydroxr.accessor.HBVAccessor.aggregate_time`.
    """
    if isinstance(sim, xr.Dataset):
        for array in sim.data_vars.values():
            if "time" in array.dims and array.dtype.kind in "iuf":
                _require_known(array, water=False)
        return aggregate_time(sim, "8day", fluxes="sum")
    periods = periods_within(days_of(sim, "the series"), "8day")
    _require_known(sim, water=True)
    return _aggregated(sim, periods, "sum", "end")[0]


def _require_known(array: xr.DataArray, water: bool) -> None:
    """Refuse a variable of unclear kind; with ``water``, anything but fluxes, amounts and states."""
    units = str(array.attrs.get("units", "")).strip()
    flag = "flag_values" in array.attrs or "flag_masks" in array.attrs
    unclear = not units or (quantity_of(units) == "water amount" and not array.attrs.get("cell_methods"))
    if daily_kind(array) is None and (water or (unclear and not flag)):
        raise UnitsError(
            f"{array.name!r} has units {units or 'none'!r} and cell_methods "
            f"{array.attrs.get('cell_methods', 'none')!r}; expected a flux (mm/day, kg m-2 day-1), an amount "
            "of the day (kg m-2 with 'time: sum') or a state (kg m-2 with 'time: point'). Set its attributes."
        )


def _aggregated(
    array: xr.DataArray, periods: Periods, fluxes: str, states: str
) -> tuple[xr.DataArray, Periods]:
    """One variable over the complete periods, with its attributes."""
    if array.dtype.kind not in "fiub":
        raise DescriptionError(
            f"{array.name!r} holds {array.dtype}, which has no mean; expected numbers. Leave it out: "
            f".drop_vars({array.name!r})."
        )
    if not {"flag_masks", "flag_values"} & {*array.attrs}:
        array = stated_missing(array)
    methods = str(array.attrs.get("cell_methods", ""))
    units = str(array.attrs.get("units", ""))
    kind, factor = daily_kind(array), 1.0
    if kind in ("flux", "amount"):
        factor, _ = factor_offset(
            units, "water flux" if kind == "flux" else "water amount", name=str(array.name)
        )
        how, attrs = fluxes, _flux_attrs(array, fluxes)
    elif kind == "state":
        how = "last" if states == "end" else "mean"
        methods = with_time_method(methods, "mean") if states == "mean" else methods
        attrs = {**array.attrs, "cell_methods": methods}
    elif "flag_masks" in array.attrs or "flag_values" in array.attrs:
        how, methods = _flags(array)
        attrs = {**array.attrs, "cell_methods": methods}
    else:  # a mean of daily means is a mean; after any other method, append it
        how = "mean"
        methods = DAILY_MEAN if methods in ("", DAILY_MEAN) else f"{methods} {DAILY_MEAN}"
        attrs = {**array.attrs, "cell_methods": methods}
    if how in ("mean", "sum") and array.dtype.kind != "f":
        array = array.astype(float)  # integers have a fractional mean
    out, left = over_periods(array if factor == 1.0 else array * factor, periods, how, repr(array.name))
    out.attrs = _with_errors(array, attrs, how, factor, int(left.lengths.max()))
    return out, left


def _flags(array: xr.DataArray) -> tuple[str, str]:
    """How flags of days are combined, and the cell methods that say so."""
    if "flag_masks" not in array.attrs:
        return "maximum", "time: maximum"
    if "flag_values" in array.attrs or array.dtype.kind not in "iu":
        raise DescriptionError(
            f"{array.name!r} has flag_masks, and {array.dtype} values or flag_values, which cannot be "
            "combined over days; expected integers with flag_masks alone. Leave it out: "
            f".drop_vars({array.name!r})."
        )
    return "or", "time: maximum (of each bit)"


def _with_errors(
    array: xr.DataArray, attrs: dict[str, Any], how: str, factor: float, days: int
) -> dict[str, Any]:
    """Attributes with the largest possible error of a step, from the stated errors of its days."""
    if how not in ("mean", "sum"):
        return attrs
    absolute, relative = stated(array)
    row = VARIABLES.get(str(array.name))
    if not (row and row.valid_min == 0):  # values of both signs cancel: no relative error of the sum
        relative = 0.0
    return restated(attrs, absolute * factor * (days if how == "sum" else 1), relative)


def _flux_attrs(array: xr.DataArray, fluxes: str) -> dict[str, Any]:
    """Attributes of a mean flux or an amount: standard name, units, cell methods."""
    attrs: dict[str, Any] = {key: value for key, value in array.attrs.items() if key != "valid_max"}
    methods = with_time_method(str(attrs.get("cell_methods", "")), fluxes)
    standard_name = attrs.pop("standard_name", None)
    own = VARIABLES.get(str(array.name))
    rows = VARIABLES.values() if standard_name else [own] if own and not own.standard_name else []
    row = next((row for row in rows if standard_name in (row.standard_name, row.amount_name)), None)
    if row:
        standard_name = row.standard_name if fluxes == "mean" else row.amount_name
    elif (fluxes == "sum") != str(standard_name).endswith("_amount"):
        standard_name = None
    if standard_name:
        attrs = {"standard_name": standard_name} | attrs
    if fluxes == "mean":
        return attrs | {"units": FLUX, "cell_methods": methods}
    long_name = f"{attrs.get('long_name', array.name)}, sum over the time bounds"
    return attrs | {"long_name": long_name, "units": AMOUNT, "cell_methods": methods}


def over_periods(array: xr.DataArray, periods: Periods, how: str, what: str) -> tuple[xr.DataArray, Periods]:
    """Reduce daily values over the periods that are complete; lazy if ``array`` is.

    Parameters
    ----------
    array
        Daily values ``(..., time)``.
    periods
        In the calendar of ``array``.
    how
        ``"sum"``, ``"mean"``, ``"last"``, ``"maximum"``, or for integers ``"or"`` (bitwise). A missing
        value makes its period missing.
    what
        Name of ``array`` in messages.

    Returns
    -------
    DataArray
        ``(..., time)``, stamped with the first day of each period, in the dtype of ``array``, without
        attributes.
    Periods
        The complete ones.
    """
    days = days_of(array, what)
    if days.dtype.kind != periods.starts.dtype.kind or calendar_of(days) != calendar_of(periods.starts):
        raise CoordinateError(
            f"{what} has the calendar {calendar_of(days)!r}, the periods have "
            f"{calendar_of(periods.starts)!r}; expected one calendar. Convert one: .convert_calendar(...)."
        )
    first, last = (np.asarray(days.searchsorted(edge)) for edge in (periods.starts, periods.ends))
    whole = last - first == periods.lengths
    if not whole.any():
        raise EmptySelectionError(
            f"{what} ({str(days[0])[:10]} to {str(days[-1])[:10]}) covers none of the {len(whole)} periods "
            f"from {str(periods.starts[0])[:10]} to {str(periods.ends[-1])[:10]}; expected all days of at "
            "least one."
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


def _reduced(data: Any, axis: int, lengths: np.ndarray, how: str) -> Any:
    """Reduce consecutive periods of ``lengths`` days along ``axis``."""
    starts = np.cumsum(lengths) - lengths
    reduce = _REDUCE[how]
    if isinstance(data, np.ndarray):
        return reduce(data, starts, lengths, axis).astype(data.dtype, copy=False)
    # Let blocks end where periods end: at most the days of one period move to the next block.
    edges = np.r_[starts, lengths.sum()]
    old = np.cumsum(data.chunks[axis])
    new = np.unique(np.r_[0, edges[np.searchsorted(edges, old, side="right") - 1]])
    data = data.rechunk({axis: tuple(np.diff(new))})
    number = tuple(np.diff(np.searchsorted(edges, new)))

    def reduce_block(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        begin, end = block_info[0]["array-location"][axis]
        here = (starts >= begin) & (starts < end)
        return reduce(block, starts[here] - begin, lengths[here], axis).astype(block.dtype, copy=False)

    chunks = tuple(number if place == axis else sizes for place, sizes in enumerate(data.chunks))
    return data.map_blocks(
        reduce_block, dtype=data.dtype, chunks=chunks, meta=np.empty((0,) * data.ndim, data.dtype)
    )


def _along(lengths: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    """``lengths`` as an array of ``ndim`` dimensions along ``axis``."""
    shape = [1] * ndim
    shape[axis] = len(lengths)
    return lengths.reshape(shape)

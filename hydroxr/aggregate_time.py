"""Months, years and 8-day composites of daily values, with the cell methods and bounds of CF."""

from __future__ import annotations

from typing import Any

import xarray as xr

from .cf import EQUATION
from .errors import DescriptionError
from .packing import restated, stated
from .periods import Periods, days_of, over_periods, periods_within, with_bounds
from .units import factor_offset, quantity_of
from .variables import AMOUNT, DAILY_MEAN, FLUX, VARIABLES

_WORDS = {"8day": "8-day composites", "month": "months", "year": "years"}
_HOW = {"end": "last", "mean": "mean", "sum": "sum"}


def aggregate_time(
    sim: xr.Dataset, step: str, *, fluxes: str = "mean", states: str = "end", first_month: int = 1
) -> xr.Dataset:
    """Daily values as months, years or 8-day composites, lazily; in any calendar.

    Parameters
    ----------
    sim : Dataset
        Daily. The attributes say what a variable is: fluxes have units such as kg m-2 day-1 and
        are means of a day, states have ``cell_methods`` of a point in time.
    step : {"month", "year", "8day"}
        8-day composites are those of MODIS: they begin on day 1, 9, ..., 361 of each year, and the last has
        5 days, 6 in leap years (8 in a calendar of 360 days).
    fluxes : {"mean", "sum"}
        Means in kg m-2 day-1 (``time: mean``), or amounts in kg m-2 (``time: sum``) under the standard
        names of amounts.
    states : {"end", "mean"}
        What is stored at the end of the step, so that the balance closes, or the mean of the days' ends
        (``time: mean``), as GRACE sees it.
    first_month : int
        In which years begin; 10 for hydrologic years of the USGS.

    Returns
    -------
    Dataset
        Stamped with the first day of each step, with ``time_bnds``. Steps of which a day is not there
        (at both ends, as a rule) are left out; where a value is missing, that of the step is. Flags
        keep their largest value, or with ``flag_masks`` every bit that was set; amounts of a day
        (``time: sum``) are added where fluxes are; all else is averaged. ``initial_storage`` stays only
        where the first step begins with the run and the balance closes. The errors that packed or
        rounded variables state are those of the sums and means.

    Raises
    ------
    DescriptionError, DimensionError, TimeAxisError, EmptySelectionError
    """
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
            f"first_month is {first_month!r} with step={step!r}; expected 1 to 12, and 1 for all but years."
        )
    given = periods = periods_within(days_of(sim, "the simulation"), step, first_month)
    out = xr.Dataset(attrs=dict(sim.attrs))
    for name, array in sim.drop_vars(sim["time"].attrs.get("bounds", "time_bnds"), errors="ignore").items():
        if "time" in array.dims:
            out[name], periods = _aggregated(array, given, fluxes, states)
        else:
            out[name] = array
    out.encoding = dict(sim.encoding)  # of the input, which a write that goes on asks for
    if states == "mean":  # from which no balance follows
        out = out.drop_vars("initial_storage", errors="ignore")
        if "summary" in out.attrs:
            out.attrs["summary"] = str(out.attrs["summary"]).replace(EQUATION, "")
    out.attrs["title"] = f"{sim.attrs.get('title', 'Daily values')}: {_WORDS[step]}"
    out = with_bounds(out, periods)
    before = out["initial_storage"].attrs.get("hydroxr_first_day") if "initial_storage" in out else None
    return out.drop_vars("initial_storage") if before not in (None, str(periods.starts[0])[:10]) else out


def composite_8day(sim: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """Daily values as MOD16A2 has them: :func:`aggregate_time` to sums over its 8-day composites.

    Parameters
    ----------
    sim : Dataset or DataArray
        Daily, in any calendar.

    Returns
    -------
    Dataset or DataArray
        As given; fluxes in kg m-2 a composite. A Dataset has ``time_bnds``, which a DataArray cannot carry.

    Raises
    ------
    DimensionError, TimeAxisError, EmptySelectionError
    """
    if isinstance(sim, xr.Dataset):
        return aggregate_time(sim, "8day", fluxes="sum")
    return _aggregated(sim, periods_within(days_of(sim, "the series"), "8day"), "sum", "end")[0]


def _aggregated(
    array: xr.DataArray, periods: Periods, fluxes: str, states: str
) -> tuple[xr.DataArray, Periods]:
    """One variable over the periods of which it has all days, with its attributes."""
    if array.dtype.kind not in "fiub":
        raise DescriptionError(
            f"{array.name!r} holds {array.dtype} a day, of which there is no mean; expected numbers. Leave "
            f"it out: .drop_vars({array.name!r})."
        )
    methods = str(array.attrs.get("cell_methods", ""))
    units = str(array.attrs.get("units", ""))
    flux = quantity_of(units) == "water flux" and methods in ("", DAILY_MEAN)
    factor = 1.0
    if flux:
        factor, _ = factor_offset(units, "water flux", name=str(array.name))
        how, attrs = fluxes, _flux_attrs(array, fluxes)
    elif methods.startswith("time: point"):
        how = _HOW[states]
        attrs = {**array.attrs, "cell_methods": "time: mean" if states == "mean" else methods}
    elif "flag_masks" in array.attrs or "flag_values" in array.attrs:
        how, methods = _flags(array)
        attrs = {**array.attrs, "cell_methods": methods}
    elif methods == "time: sum" and fluxes == "sum":
        how, attrs = "sum", dict(array.attrs)
    else:  # a mean of means is one; of anything else it comes after what was done before
        how = "mean"
        methods = DAILY_MEAN if methods in ("", DAILY_MEAN) else f"{methods} {DAILY_MEAN}"
        attrs = {**array.attrs, "cell_methods": methods}
    if how in ("mean", "sum") and array.dtype.kind != "f":
        array = array.astype(float)  # a mean of whole numbers is none
    out, left = over_periods(array if factor == 1.0 else array * factor, periods, how, repr(array.name))
    out.attrs = _with_errors(array, attrs, how, factor, int(left.lengths.max()))
    return out, left


def _flags(array: xr.DataArray) -> tuple[str, str]:
    """How flags of days are put together, and what that is in cell methods."""
    if "flag_masks" not in array.attrs:
        return "maximum", "time: maximum"
    if "flag_values" in array.attrs or array.dtype.kind not in "iu":
        raise DescriptionError(
            f"{array.name!r} has flag_masks, and {array.dtype} as type or flag_values beside them, of which "
            f"a step keeps nothing that is true; expected integers of bits. Leave it out: "
            f".drop_vars({array.name!r})."
        )
    return "or", "time: maximum (of each bit)"


def _with_errors(
    array: xr.DataArray, attrs: dict[str, Any], how: str, factor: float, days: int
) -> dict[str, Any]:
    """Attributes with the largest error that a step can have of those that its days state."""
    if how not in ("mean", "sum"):
        return attrs
    absolute, relative = stated(array)
    row = VARIABLES.get(str(array.name))
    if not (row and row.valid_min == 0):  # what may cancel has errors that are no share of the sum
        relative = 0.0
    return restated(attrs, absolute * factor * (days if how == "sum" else 1), relative)


def _flux_attrs(array: xr.DataArray, fluxes: str) -> dict[str, Any]:
    attrs: dict[str, Any] = {key: value for key, value in array.attrs.items() if key != "valid_max"}
    if fluxes == "mean":
        return attrs | {"units": FLUX, "cell_methods": DAILY_MEAN}
    row = VARIABLES.get(str(array.name))
    standard_name = attrs.pop("standard_name", None)
    amount = row.amount_name if row and row.standard_name == standard_name else None
    if amount:
        attrs = {"standard_name": amount} | attrs
    long_name = f"{attrs.get('long_name', array.name)}, sum over the time bounds"
    return attrs | {"long_name": long_name, "units": AMOUNT, "cell_methods": "time: sum"}

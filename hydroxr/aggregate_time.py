"""Months, years and 8-day composites of daily values, with the cell methods and bounds of CF."""

from __future__ import annotations

from typing import Any

import xarray as xr

from .errors import DescriptionError
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
        keep their largest value; all else is averaged. ``initial_storage`` stays only where the
        first step begins with the run.

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
    out = xr.Dataset(attrs=sim.attrs)
    for name, array in sim.drop_vars(sim["time"].attrs.get("bounds", "time_bnds"), errors="ignore").items():
        if "time" in array.dims:
            out[name], periods = _aggregated(array, given, fluxes, states)
        else:
            out[name] = array
    out.encoding = dict(sim.encoding)  # of the input, which a write that goes on asks for
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
    methods = str(array.attrs.get("cell_methods", ""))
    units = str(array.attrs.get("units", ""))
    flux = quantity_of(units) == "water flux" and methods in ("", DAILY_MEAN)
    if flux:
        factor, _ = factor_offset(units, "water flux", name=str(array.name))
        scaled = array if factor == 1.0 else array * factor
        out, left = over_periods(scaled, periods, fluxes, repr(array.name))
        out.attrs = _flux_attrs(array, fluxes)
        return out, left
    if methods.startswith("time: point"):
        how = _HOW[states]
        methods = "time: mean" if states == "mean" else methods
    elif "flag_values" in array.attrs or "flag_masks" in array.attrs or array.dtype.kind in "iu":
        how, methods = "maximum", "time: maximum"
    else:  # a mean of means is one; of anything else it comes after what was done before
        how = "mean"
        methods = DAILY_MEAN if methods in ("", DAILY_MEAN) else f"{methods} {DAILY_MEAN}"
    out, left = over_periods(array, periods, how, repr(array.name))
    out.attrs = {**array.attrs, "cell_methods": methods}
    return out, left


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

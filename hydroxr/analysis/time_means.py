"""Months, years and 8-day composites of daily values, with the cell methods and bounds of CF."""

from __future__ import annotations

from typing import Any

import xarray as xr

from ..conventions.attributes import FIRST_DAY, restated, stated
from ..conventions.cell_methods import AMOUNTS, daily_kind, with_time_method
from ..conventions.cf import EQUATION
from ..conventions.units import canonical, factor_offset
from ..conventions.variables import AMOUNT, DAILY_MEAN, FLUX, VARIABLES
from ..errors import DescriptionError, UnitsError
from .periods import Periods, days_of, over_periods, periods_within, with_bounds

_WORDS = {"8day": "8-day composites", "month": "months", "year": "years"}
_HOW = {"end": "last", "mean": "mean", "sum": "sum"}


def aggregate_time(
    sim: xr.Dataset, step: str, *, fluxes: str = "mean", states: str = "end", first_month: int = 1
) -> xr.Dataset:
    """Daily values as months, years or 8-day composites, lazily; in any calendar.

    Parameters
    ----------
    sim : Dataset
        Daily. The attributes say what a variable is: fluxes have units such as kg m-2 day-1 and are means of
        a day (or amounts of a day: mm or kg m-2 with ``time: sum``), states have ``cell_methods`` of a point
        in time.
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
    before = out["initial_storage"].attrs.get(FIRST_DAY) if "initial_storage" in out else None
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
        As given; fluxes and daily amounts in kg m-2 a composite. A Dataset has ``time_bnds``, which a
        DataArray cannot carry; what is no water in it (temperatures, flags) is reduced as there.

    Raises
    ------
    UnitsError
        Where the attributes do not say whether a variable is a flux, an amount of the day or a state.
    DimensionError, TimeAxisError, EmptySelectionError
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
    """Refuse what is not clearly something; with ``water`` all but fluxes, amounts and states."""
    units = str(array.attrs.get("units", "")).strip()
    flag = "flag_values" in array.attrs or "flag_masks" in array.attrs
    unclear = not units or (canonical(units) in AMOUNTS and not array.attrs.get("cell_methods"))
    if daily_kind(array) is None and (water or (unclear and not flag)):
        raise UnitsError(
            f"{array.name!r} has units {units or 'none'!r} and cell_methods "
            f"{array.attrs.get('cell_methods', 'none')!r}; expected a flux (mm/day, kg m-2 day-1), an amount "
            "of the day (kg m-2 with 'time: sum') or a state (kg m-2 with 'time: point'). Set its attributes."
        )


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
    kind, factor = daily_kind(array), 1.0
    if kind in ("flux", "amount"):
        name = str(array.name)
        rate = kind == "flux"
        factor = factor_offset(units, "water flux", name=name)[0] if rate else AMOUNTS[canonical(units)]
        how, attrs = fluxes, _flux_attrs(array, fluxes)
    elif kind == "state":
        how = _HOW[states]
        methods = with_time_method(methods, "mean") if states == "mean" else methods
        attrs = {**array.attrs, "cell_methods": methods}
    elif "flag_masks" in array.attrs or "flag_values" in array.attrs:
        how, methods = _flags(array)
        attrs = {**array.attrs, "cell_methods": methods}
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
    methods = with_time_method(str(attrs.get("cell_methods", "")), fluxes)
    standard_name = attrs.pop("standard_name", None)
    own = VARIABLES.get(str(array.name))
    rows = VARIABLES.values() if standard_name else [own] if own and not own.standard_name else []
    row = next((row for row in rows if standard_name in (row.standard_name, row.amount_name)), None)
    if row:  # the name of the flux, or of its amount
        standard_name = row.standard_name if fluxes == "mean" else row.amount_name
    elif (fluxes == "sum") != str(standard_name).endswith("_amount"):
        standard_name = None
    if standard_name:
        attrs = {"standard_name": standard_name} | attrs
    if fluxes == "mean":
        return attrs | {"units": FLUX, "cell_methods": methods}
    long_name = f"{attrs.get('long_name', array.name)}, sum over the time bounds"
    return attrs | {"long_name": long_name, "units": AMOUNT, "cell_methods": methods}

"""The periods that the steps of a product stand for, and its values as water over each of them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr

from ..analysis.periods import COMPOSITE, Index, Periods, composites, months, time_index
from ..conventions.cell_methods import AMOUNTS
from ..conventions.units import canonical, factor_offset, quantity_of
from ..conventions.variables import AMOUNT
from ..errors import TimeAxisError, UnitsError

# Periods in units ('mm/month', 'kg/m^2/8day') -> how many days they have, at least and at most.
_SPELLED = {
    "day": (1, 1),
    "8day": (5, 8),
    "month": (28, 31),
    "mon": (28, 31),
    "mo": (28, 31),
    "year": (360, 366),
    "yr": (360, 366),
    "y": (360, 366),
    "a": (360, 366),
    "composite": (5, 8),
}
_PER = re.compile(
    r"(?:/|per|\s)\s*\(?\s*(8\s*-?\s*d(?:ay)?|day|month|mon|mo|year|yr|y|a|composite)s?\s*\)?\s*(?:\^?-1)?$"
)
# 'm of water equivalent' (ERA5), 'mm w.e.', 'mm h2o'
_OF_WATER = re.compile(r"\s*(?:of\s+)?(?:liquid\s+)?(?:water(?:[\s_]+equivalent)?|w e|we|h2o)$")
_STEPS_IN_WORDS = (
    "daily, the 8-day composites of MODIS, monthly ones, or calendar years stamped on 1 January, in the "
    "middle or on 31 December"
)


def periods_of(product: xr.Dataset | xr.DataArray) -> Periods:
    """What each time step of a product stands for, from its bounds or else from its dates.

    Without bounds, dates are understood that are daily, days 1, 9, ..., 361 of a year, one in
    each month (wherever in it) or one in each year (1 January, the middle, 31 December): calendar years.

    Raises
    ------
    DimensionError, TimeAxisError, EmptySelectionError
    """
    what = "the product"
    index = time_index(product, what)
    if not index.is_unique:
        raise TimeAxisError(f"{what} has dates more than once; expected each once: .drop_duplicates('time').")
    bounds = str(product["time"].attrs.get("bounds", "time_bnds"))
    if bounds in product.coords or (isinstance(product, xr.Dataset) and bounds in product):
        return _from_bounds(product[bounds], index, what)
    return _from_dates(index, what)


def _from_bounds(bounds: xr.DataArray, index: Index, what: str) -> Periods:
    edges = bounds.transpose("time", ...).values
    if edges.shape != (len(index), 2) or edges.dtype.kind not in "MO":
        raise TimeAxisError(
            f"{bounds.name!r} of {what} has shape {edges.shape} and {edges.dtype}; expected two dates a time "
            "step: open the product with decode_times."
        )
    kind: Any = xr.CFTimeIndex if edges.dtype.kind == "O" else type(index)
    starts, ends = (kind(edges[:, place]).floor("D") for place in (0, 1))
    if index.dtype.kind == "M":
        starts, ends = starts.astype(index.dtype), ends.astype(index.dtype)
    if not ((ends > starts).all() and (starts[1:] >= ends[:-1]).all()):
        raise TimeAxisError(
            f"the {bounds.name!r} of {what} overlap, or end before they begin; expected one period of whole "
            "days after the other."
        )
    return Periods(starts, ends)


def _from_dates(index: Index, what: str) -> Periods:
    days = index.floor("D")
    steps = np.asarray((days[1:] - days[:-1]) / np.timedelta64(1, "D"), dtype=float)
    usual = float(np.median(steps)) if len(steps) else np.nan
    year, month = np.asarray(days.year), np.asarray(days.month)
    if usual == 1.0:
        return Periods(days, days + timedelta(days=1))
    starts = composites(days)
    if usual == COMPOSITE and len(starts.starts) == len(days) and (starts.starts == days).all():
        return starts
    if 28 <= usual <= 31 and (np.diff(year * 12 + month) >= 1).all():
        return months(days)
    if 360 <= usual <= 366 and (np.diff(year) >= 1).all() and _of_calendar_years(days):
        return months(_new_years(days), 12)
    distance = f"{usual:g} days apart in the middle" if len(steps) else "of which there is one"
    raise TimeAxisError(
        f"the time steps of {what}, {distance}, do not say which days they stand for; expected "
        f"{_STEPS_IN_WORDS}, or bounds: product.assign_coords("
        "time_bnds=(('time', 'bnds'), ...)) of a Dataset with the first day and the day after the last."
    )


def _of_calendar_years(days: Index) -> bool:
    """Whether dates are the first, the middle or the last of a year; 1 October says a hydrologic year."""
    stamps = set(zip(np.asarray(days.month).tolist(), np.asarray(days.day).tolist(), strict=True))
    last = {(12, 30)} if getattr(days, "calendar", "") == "360_day" else {(12, 31)}
    return any(stamps <= usual for usual in ({(1, 1)}, {(6, 30), (7, 1), (7, 2)}, last))


def _new_years(days: Index) -> Index:
    dates = [day.replace(month=1, day=1) for day in days]
    return xr.CFTimeIndex(dates) if isinstance(days, xr.CFTimeIndex) else type(days)(dates).astype(days.dtype)


def amounts(product: xr.DataArray, periods: Periods) -> xr.DataArray:
    """A product's water over each of its periods, kg m-2, whether it holds rates or sums.

    Raises
    ------
    UnitsError
    """
    name, units = str(product.name), str(product.attrs.get("units", "")).strip()
    lengths = xr.DataArray(periods.lengths.astype(float), dims="time", coords={"time": product["time"]})
    if quantity_of(units) == "water flux":
        factor, _ = factor_offset(units, "water flux", name=name)
        out = product * factor * lengths
    else:
        factor = _factor_of_amount(units, periods, name)
        out = product * factor if factor != 1.0 else product.copy(deep=False)
    out.attrs = {"units": AMOUNT, "cell_methods": "time: sum"}
    return out


def depth(product: xr.DataArray) -> xr.DataArray:
    """A product of stored water in kg m-2.

    Raises
    ------
    UnitsError
    """
    units = str(product.attrs.get("units", "")).strip()
    if _bare(units) not in AMOUNTS:
        raise UnitsError(
            f"{product.name!r} has units {units or 'none'!r}, which are not understood for stored water; "
            f"expected {_spelled_amounts()}. Convert the values and set its 'units'."
        )
    out = product * AMOUNTS[_bare(units)]
    out.attrs = {"units": AMOUNT}
    return out


def _factor_of_amount(units: str, periods: Periods, name: str) -> float:
    """From a sum over each period to kg m-2."""
    spelled = " ".join(units.lower().replace("**", "").replace("^", "").replace(".", " ").split())
    per = _PER.search(spelled)
    bare = _bare(spelled[: per.start()] if per else spelled)
    if bare not in AMOUNTS:
        heat = (
            " Latent heat becomes water when divided by 2.45 MJ kg-1."
            if re.search("[wj] ?/?m", spelled)
            else ""
        )
        raise UnitsError(
            f"{name!r} has units {units or 'none'!r}, which are not understood; expected a rate such as "
            f"mm/day, or a sum over each time step: {_spelled_amounts()}, mm/month, kg/m^2/8day.{heat} "
            "Convert the values and set its 'units'."
        )
    if per:
        word = re.sub(r"[\s-]", "", per.group(1)).replace("8day", "8d").replace("8d", "8day")
        least, most = _SPELLED[word]
        lengths = periods.lengths
        if lengths.min() < least or lengths.max() > most:
            raise UnitsError(
                f"{name!r} has units {units!r} and time steps of {lengths.min()} to {lengths.max()} days; "
                f"expected steps of {least} to {most}, or a rate: mm/day. Convert the values and set its "
                "'units'."
            )
    return AMOUNTS[bare]


def _bare(units: str) -> str:
    """A unit of water without words that say that it is water, as a key of the table where it is known."""
    key = canonical(_OF_WATER.sub("", units.lower().replace(".", " ").strip()))
    return {"meters": "m", "metres": "m", "millimeters": "mm", "millimetres": "mm"}.get(key, key)


def _spelled_amounts() -> str:
    return ", ".join(AMOUNTS)

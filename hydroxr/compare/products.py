"""What a product holds: its variable, the periods of its time steps, its values in kg m-2."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr

from ..analysis.periods import COMPOSITE, Index, Periods, composites, months, time_index
from ..conventions.missing_values import without_codes
from ..conventions.units import factor_offset, quantity_of
from ..conventions.variables import AMOUNT, VARIABLES, Variable
from ..errors import AmbiguousVariableError, MissingVariableError, TimeAxisError, UnitsError

# Names in lower case, besides those of the table, that mean neither evapotranspiration nor snow nor storage.
_OTHER_NAMES = frozenset(
    ["ep", "et0", "eto", "pev", "evspsblpot", "precip", "ppt", "rain", "tp", "p", "discharge", "qsim", "le"]
)

# Period in units such as 'mm/month' and 'kg/m^2/8day' -> its least and largest number of days.
_DAYS_OF_UNIT = {
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
_AMOUNTS = "mm, kg m-2, cm, m"
_HEAT = re.compile("[wj] ?/?m")  # W m-2, J m-2
_STEPS_IN_WORDS = (
    "daily steps, the 8-day composites of MODIS, months, or calendar years stamped on 1 January, in the "
    "middle or on 31 December"
)


def find_in_product(
    product: xr.Dataset | xr.DataArray, names: tuple[str, ...], standard_names: tuple[str, ...]
) -> xr.DataArray:
    """Find the variable of a product: by name, by standard name, or as the only one along time.

    The only variable is refused if its name or standard name is known to mean something else, and so
    are codes of missing values that its attributes do not state.
    """
    return without_codes(_found(product, names, standard_names))


def _found(
    product: xr.Dataset | xr.DataArray, names: tuple[str, ...], standard_names: tuple[str, ...]
) -> xr.DataArray:
    if isinstance(product, xr.DataArray):
        return product
    timed = {str(name): array for name, array in product.data_vars.items() if "time" in array.dims}
    timed = {name: array for name, array in timed.items() if name != product["time"].attrs.get("bounds")}
    others = [name for name in timed if name not in ("time_bnds", "fill_code")]
    for candidates in (
        [name for name in timed if name in names],
        [name for name, array in timed.items() if array.attrs.get("standard_name") in standard_names],
        others,
    ):
        if len(candidates) == 1 and (candidates is not others or not _means_else(timed[others[0]], names)):
            return timed[candidates[0]]
        if len(candidates) > 1:
            raise AmbiguousVariableError(
                f"the product has several candidates: {', '.join(map(repr, candidates))}; expected one. Pass "
                f"it alone: product[{candidates[0]!r}]."
            )
    if others:
        raise MissingVariableError(
            f"the product has {others[0]!r} only, which is something else; expected one named "
            f"{', '.join(names)}. Rename it if it is the right one."
        )
    raise MissingVariableError(
        f"the product has no variable along 'time'; it has {', '.join(map(str, product.variables))}. "
        f"Expected one named {', '.join(names)}."
    )


def _means_else(array: xr.DataArray, names: tuple[str, ...]) -> bool:
    """Whether the name or standard name of a variable, which is not in ``names``, has another meaning."""
    name = str(array.name).lower()
    standard_name = array.attrs.get("standard_name")
    known = {each.lower() for row in VARIABLES.values() for each in (row.name, *row.names)}
    standard = {each for row in VARIABLES.values() for each in _standard_names(row) if each}
    potential = "potential" in f"{name} {standard_name} {array.attrs.get('long_name', '')}".lower()
    return name in known | _OTHER_NAMES or name.startswith("pet") or standard_name in standard or potential


def _standard_names(row: Variable) -> tuple[str | None, ...]:
    return (row.standard_name, row.amount_name, *row.standard_names)


def periods_of(product: xr.Dataset | xr.DataArray) -> Periods:
    """The period of each time step of a product, from its bounds, else from its dates.

    Without bounds, dates may be daily; days 1, 9, ..., 361 of a year; any day of each month; or 1 January,
    the middle or 31 December of each calendar year.
    """
    what = "the product"
    index = time_index(product, what)
    if not index.is_unique:
        raise TimeAxisError(f"{what} repeats dates; expected each once: .drop_duplicates('time').")
    bounds = str(product["time"].attrs.get("bounds", "time_bnds"))
    if bounds in product.coords or (isinstance(product, xr.Dataset) and bounds in product):
        return _from_bounds(product[bounds], index, what)
    return _from_dates(index, what)


def _from_bounds(bounds: xr.DataArray, index: Index, what: str) -> Periods:
    edges = bounds.transpose("time", ...).values
    if edges.shape != (len(index), 2) or edges.dtype.kind not in "MO":
        raise TimeAxisError(
            f"{bounds.name!r} of {what} has shape {edges.shape} and {edges.dtype}; expected two dates per "
            "time step: open the product with decode_times=True."
        )
    kind: Any = xr.CFTimeIndex if edges.dtype.kind == "O" else type(index)
    starts, ends = (kind(edges[:, place]).floor("D") for place in (0, 1))
    if index.dtype.kind == "M":
        starts, ends = starts.astype(index.dtype), ends.astype(index.dtype)
    if not ((ends > starts).all() and (starts[1:] >= ends[:-1]).all()):
        raise TimeAxisError(
            f"the {bounds.name!r} of {what} overlap, or end before they begin; expected consecutive periods "
            "of whole days."
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
    found = f"{usual:g} days apart (median)" if len(steps) else "only one"
    raise TimeAxisError(
        f"the time steps of {what}, {found}, do not tell which days they cover; expected {_STEPS_IN_WORDS}; "
        "or bounds, the first day and the day after the last: product.assign_coords("
        "time_bnds=(('time', 'bnds'), ...)) of a Dataset."
    )


def _of_calendar_years(days: Index) -> bool:
    """Whether all dates are the first, the middle or the last day of a year."""
    stamps = set(zip(np.asarray(days.month).tolist(), np.asarray(days.day).tolist(), strict=True))
    last = {(12, 30)} if getattr(days, "calendar", "") == "360_day" else {(12, 31)}
    return any(stamps <= usual for usual in ({(1, 1)}, {(6, 30), (7, 1), (7, 2)}, last))


def _new_years(days: Index) -> Index:
    """1 January of the year of each day."""
    dates = [day.replace(month=1, day=1) for day in days]
    return xr.CFTimeIndex(dates) if isinstance(days, xr.CFTimeIndex) else type(days)(dates).astype(days.dtype)


def amounts(product: xr.DataArray, periods: Periods) -> xr.DataArray:
    """Water of a product in each of its periods, kg m-2, from rates or sums."""
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
    """Stored water of a product, kg m-2."""
    units = str(product.attrs.get("units", "")).strip()
    if quantity_of(units) != "water amount":
        raise UnitsError(
            f"{product.name!r} has units {units or 'none'!r}, which are unknown for stored water; "
            f"expected {_AMOUNTS}. Convert the values and set its 'units'."
        )
    out = product * factor_offset(units, "water amount", name=str(product.name))[0]
    out.attrs = {"units": AMOUNT}
    return out


def _factor_of_amount(units: str, periods: Periods, name: str) -> float:
    """Factor from sums over each period to kg m-2."""
    spelled = " ".join(units.lower().replace("**", "").replace("^", "").replace(".", " ").split())
    per = _PER.search(spelled)
    bare = spelled[: per.start()] if per else spelled
    if quantity_of(bare) != "water amount":
        heat = " Latent heat becomes water when divided by 2.45 MJ kg-1." if _HEAT.search(spelled) else ""
        raise UnitsError(
            f"{name!r} has units {units or 'none'!r}, which are not understood; expected a rate such as "
            f"mm/day, or a sum over each time step: {_AMOUNTS}, mm/month, kg/m^2/8day.{heat} "
            "Convert the values and set its 'units'."
        )
    if per:
        word = re.sub(r"[\s-]", "", per.group(1)).replace("8day", "8d").replace("8d", "8day")
        least, most = _DAYS_OF_UNIT[word]
        lengths = periods.lengths
        if lengths.min() < least or lengths.max() > most:
            raise UnitsError(
                f"{name!r} has units {units!r} and time steps of {lengths.min()} to {lengths.max()} days; "
                f"expected steps of {least} to {most}, or a rate: mm/day. Convert the values and set its "
                "'units'."
            )
    return factor_offset(bare, "water amount", name=name)[0]

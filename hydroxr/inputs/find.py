"""Find a variable in a Dataset: by its name, by its CF standard name, by its name in published data sets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping

import xarray as xr

from ..conventions.synonyms import RAIN, SNOW, SYNONYMS
from ..conventions.units import quantity_of, same_units
from ..conventions.variables import OUTPUTS, VARIABLES
from ..conventions.weather import ROLES
from ..errors import AmbiguousVariableError, MissingVariableError, UnitsError
from .numbers import numbers_of

_WATER = ("water flux", "water amount")
# How daily series of a role look: part of the name, and quantities that its units may be of.
_LOOKS = {
    "prcp": (r"prec|rain|ppt|pcp|snowf|^(p|pr|tp|rr|rf)$", _WATER),
    "tmean": (r"temp|tair|tas|t2m|tmean|tavg|^(t|ta|tg)$", ("temperature",)),
    "pet": (r"pet|et0|eto|etp|pev|evspsblpot|pot\w*evap|evap\w*pot|reference\w*evap", _WATER),
    "streamflow": (r"flow|disch|runoff|^q", (*_WATER, "discharge")),
}
_MOST = 8  # names that a message lists


def find(ds: xr.Dataset, name: str, *, prefer: str | None = None) -> str | None:
    """Name of the variable in ``ds`` that plays the role ``name`` of the table, or None.

    The table's names come first, CF standard names second, names of published data sets third;
    ``prefer`` overrides all. Of a data set's streamflow in mm/day and in m3 s-1 the first is taken.

    Raises
    ------
    AmbiguousVariableError
        If several variables fit.
    MissingVariableError
        If ``prefer`` is not in the Dataset.
    """
    row = ROLES[name]
    if prefer is not None:
        if prefer not in ds.variables:
            raise MissingVariableError(
                f"{prefer!r} is not in the Dataset; it has {nearest(ds.variables, (prefer,))}."
            )
        return prefer
    parts = find_rain_and_snow(ds) or () if name == "prcp" else ()
    of_data_sets = [
        key for key in _any_case(ds, (*row.names, *SYNONYMS.get(name, ()))) if key not in (*row.names, *parts)
    ]
    for candidates in (
        [key for key in row.names if key in ds.variables],
        [
            str(key)
            for key, var in ds.variables.items()
            if var.attrs.get("standard_name") in row.standard_names
        ],
        _depths(ds, of_data_sets) if name == "streamflow" else of_data_sets,
    ):
        if name == "tmean":
            candidates = [key for key in candidates if not _is_extreme(ds[key])]
        if len(candidates) > 1:
            raise AmbiguousVariableError(
                f"{_with_units(ds, candidates)} can each be the {_role(name)}, and no rule decides between "
                f"them; keep one: ds.drop_vars({candidates[1]!r})."
            )
        if candidates:
            return candidates[0]
    return None


def find_own(ds: xr.Dataset, name: str, units: str | None = None) -> xr.DataArray:
    """A daily input that is taken in its own units, which must be ``units`` if given.

    Raises
    ------
    MissingVariableError
        If there is none of this name.
    UnitsError
        If it holds no numbers, has no units, or others.
    """
    if name not in ds.variables:
        raise MissingVariableError(
            f"there is no {name!r} in the Dataset, which the model has as forcing; it has "
            f"{nearest(ds.data_vars, (name,))}. Rename yours, ds.rename({{...: {name!r}}}), or name other "
            "forcing: hx.LSTMStreamflow(forcing=(...))."
        )
    array = ds[name]
    if array.dtype.kind not in "fiuOUST":
        raise UnitsError(
            f"{name!r} holds {array.dtype}; expected numbers with units. A time span that was decoded on "
            "reading stays a number with xr.open_dataset(..., decode_timedelta=False)."
        )
    found = str(array.attrs.get("units", "")).strip()
    if not found:
        raise UnitsError(
            f"{name!r} has no 'units' attribute; expected {units or 'one'}: a simulation must have the units "
            f"of the training. Say what it holds: ds[{name!r}].attrs['units'] = ..."
        )
    if units is not None and not same_units(found, units):
        raise UnitsError(
            f"{name!r} is in {found!r}, and the model was trained with it in {units!r}; expected the same. "
            f"Convert the values and set ds[{name!r}].attrs['units'] = {units!r}."
        )
    return numbers_of(array)


def find_mask(ds: xr.Dataset) -> str | None:
    """The name of the variable that masks cells: ``mask``, or by its standard name."""
    if "mask" in ds.variables:
        return "mask"
    named = [key for key, var in ds.variables.items() if var.attrs.get("standard_name") == "land_binary_mask"]
    return str(named[0]) if named else None


def find_rain_and_snow(ds: xr.Dataset) -> tuple[str, str] | None:
    """The names of rain and snow, if a Dataset has precipitation as these two."""
    parts = [_any_case(ds, names) for names in (RAIN, SNOW)]
    return (parts[0][0], parts[1][0]) if len(parts[0]) == len(parts[1]) == 1 else None


def missing(ds: xr.Dataset, name: str) -> MissingVariableError:
    """The error for a variable of the table that the Dataset lacks."""
    row = ROLES[name]
    alike = lookalikes(ds, name)
    yours = f"{alike[0]}=" if alike and alike[0].isidentifier() else "{...: "
    rename = f"ds.rename({yours}{row.names[0]!r}{'' if yours.endswith('=') else '}'})"
    return MissingVariableError(
        f"there is no {_role(name)} ({spellings(name)}) in the Dataset; it has "
        f"{nearest(ds.data_vars, (*row.names, *alike))}. Rename yours: {rename}."
    )


def lookalikes(ds: xr.Dataset, name: str) -> list[str]:
    """Daily series that look like the role ``name`` by their name and units, whether they play it or not."""
    if name not in _LOOKS:
        return []
    pattern, quantities = _LOOKS[name]
    out = []
    for key, array in ds.data_vars.items():
        found = str(key)
        named = re.search(pattern, found, re.IGNORECASE) or found in VARIABLES[name].names
        if "time" not in array.dims or not named or (found in OUTPUTS and found != name):
            continue
        if quantity_of(str(array.attrs.get("units", ""))) not in (None, *quantities):
            continue
        if not (name == "tmean" and _is_extreme(array)):
            out.append(found)
    return out


def unused(ds: xr.Dataset, used: Mapping[str, str | None]) -> list[str]:
    """Remarks on daily series that look like an input and are not used.

    Parameters
    ----------
    ds : Dataset
    used : mapping
        For each role the variable that plays it; None where there is none.
    """
    remarks = []
    taken = {*used.values(), *(find_rain_and_snow(ds) or ())}
    for role in _LOOKS:
        chosen = used.get(role)
        for name in lookalikes(ds, role):
            if role not in used or name in taken:
                continue
            taken.add(name)
            instead = f"{chosen!r} is used" if chosen else "is not used"
            first = f"ds.drop_vars({chosen!r})" if chosen else "ds"
            remarks.append(
                f"{_with_units(ds, [name])} looks like {_role(role)}, but {instead}; to use it: "
                f"{first}.rename({{{name!r}: {VARIABLES[role].names[0]!r}}})"
            )
    return remarks


def _any_case(ds: xr.Dataset, names: Iterable[str]) -> list[str]:
    """Variables of these names, in any case of letters, in the order of the names."""
    spelled: dict[str, list[str]] = {}
    for key in ds.variables:
        spelled.setdefault(str(key).lower(), []).append(str(key))
    return [key for name in names for key in spelled.get(name.lower(), ())]


def _depths(ds: xr.Dataset, names: list[str]) -> list[str]:
    """The one that needs no catchment area, if there is one."""
    depths = [key for key in names if quantity_of(str(ds[key].attrs.get("units", ""))) in _WATER]
    return depths if len(depths) == 1 else names


def _is_extreme(array: xr.DataArray) -> bool:
    """Whether a temperature is the daily minimum or maximum, which share the mean's standard name."""
    methods, name = str(array.attrs.get("cell_methods", "")), str(array.name).lower()
    named = any(name in (*VARIABLES[part].names, *SYNONYMS[part]) for part in ("tmin", "tmax"))
    return named or "minimum" in methods or "maximum" in methods


def _role(name: str) -> str:
    return "observed streamflow" if name == "streamflow" else ROLES[name].long_name


def _with_units(ds: xr.Dataset, names: Iterable[str]) -> str:
    return " and ".join(f"{name!r} ({ds[name].attrs.get('units', 'no units')})" for name in names)


def spellings(name: str) -> str:
    """The names and standard names by which a role is found, for messages."""
    row = ROLES[name]
    standard = f", or with standard name {' or '.join(row.standard_names)}" if row.standard_names else ""
    return f"named {', '.join(row.names)}{standard}"


def listed(names: Iterable[Hashable]) -> str:
    """Names in quotes, for messages."""
    return ", ".join(repr(str(name)) for name in names) or "none"


def nearest(names: Iterable[Hashable], wanted: Iterable[str]) -> str:
    """Names in quotes, for messages; of many, those that are most like ``wanted``."""
    known = [str(name) for name in names]
    if len(known) <= _MOST:
        return listed(known)
    lower = {name.lower(): name for name in known}
    close = [
        lower[match]
        for each in wanted
        for match in difflib.get_close_matches(each.lower(), lower, n=_MOST, cutoff=0.5)
    ]
    first = list(dict.fromkeys(close))[:_MOST] or known[:_MOST]
    return f"{listed(first)} and {len(known) - len(first)} others"

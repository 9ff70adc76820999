"""Find a variable in a Dataset: by its name first, by its CF standard name second."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import xarray as xr

from ..conventions.variables import VARIABLES
from ..conventions.weather import ROLES
from ..errors import AmbiguousVariableError, MissingVariableError


def find(ds: xr.Dataset, name: str, *, prefer: str | None = None) -> str | None:
    """Name of the variable in ``ds`` that plays the role ``name`` of the table, or None.

    The table's names come first, CF standard names second; ``prefer`` overrides both.

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
            raise MissingVariableError(f"{prefer!r} is not in the Dataset; it has {listed(ds.variables)}.")
        return prefer
    for candidates in (
        [key for key in row.names if key in ds.variables],
        [
            str(key)
            for key, var in ds.variables.items()
            if var.attrs.get("standard_name") in row.standard_names
        ],
    ):
        if name == "tmean":
            candidates = [key for key in candidates if not _is_extreme(ds[key])]
        if len(candidates) > 1:
            raise AmbiguousVariableError(
                f"{listed(candidates)} can each be the {_role(name)}, and no rule decides between them; "
                f"keep one: ds.drop_vars({candidates[1]!r})."
            )
        if candidates:
            return candidates[0]
    return None


def find_mask(ds: xr.Dataset) -> str | None:
    """The name of the variable that masks cells: ``mask``, or by its standard name."""
    if "mask" in ds.variables:
        return "mask"
    named = [key for key, var in ds.variables.items() if var.attrs.get("standard_name") == "land_binary_mask"]
    return str(named[0]) if named else None


def missing(ds: xr.Dataset, name: str) -> MissingVariableError:
    """The error for a variable of the table that the Dataset lacks."""
    row = ROLES[name]
    return MissingVariableError(
        f"there is no {row.long_name} ({spellings(name)}) in the Dataset; it has {listed(ds.data_vars)}. "
        f"Rename yours: ds.rename({{...: {row.names[0]!r}}})."
    )


def _is_extreme(array: xr.DataArray) -> bool:
    """Whether a temperature is the daily minimum or maximum, which share the mean's standard name."""
    methods = str(array.attrs.get("cell_methods", ""))
    named = str(array.name) in VARIABLES["tmin"].names + VARIABLES["tmax"].names
    return named or "minimum" in methods or "maximum" in methods


def _role(name: str) -> str:
    return "observed streamflow" if name == "streamflow" else ROLES[name].long_name


def spellings(name: str) -> str:
    """The names and standard names by which a role is found, for messages."""
    row = ROLES[name]
    standard = f", or with standard name {' or '.join(row.standard_names)}" if row.standard_names else ""
    return f"named {', '.join(row.names)}{standard}"


def listed(names: Iterable[Hashable]) -> str:
    """Names in quotes, for messages."""
    return ", ".join(repr(str(name)) for name in names) or "none"

"""Find a variable in a Dataset: by its name first, by its CF standard name second."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import xarray as xr

from ..conventions.units import convert
from ..conventions.variables import VARIABLES, Variable
from ..errors import AmbiguousVariableError, MissingVariableError


def find(ds: xr.Dataset, name: str, *, prefer: str | None = None) -> str | None:
    """The name under which ``ds`` holds the table's variable ``name``, or None.

    Names of the table are looked for first, CF standard names second; ``prefer`` overrides both.

    Raises
    ------
    AmbiguousVariableError
        Where two candidates fit and no rule decides.
    """
    row = VARIABLES[name]
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


def required(ds: xr.Dataset, name: str) -> xr.DataArray:
    found = find(ds, name)
    if found is None:
        raise MissingVariableError(
            f"there is no {VARIABLES[name].long_name} ({spellings(name)}) in the Dataset; it has "
            f"{listed(ds.data_vars)}. "
            f"Rename yours: ds.rename({{...: {VARIABLES[name].names[0]!r}}})."
        )
    return convert(ds[found], VARIABLES[name])


def _is_extreme(array: xr.DataArray) -> bool:
    """Whether a temperature is a day's minimum or maximum, which share the standard name of the mean."""
    methods = str(array.attrs.get("cell_methods", ""))
    named = str(array.name) in VARIABLES["tmin"].names + VARIABLES["tmax"].names
    return named or "minimum" in methods or "maximum" in methods


def _role(name: str) -> str:
    return "observed streamflow" if name == "streamflow" else VARIABLES[name].long_name


def spellings(name: str) -> str:
    row: Variable = VARIABLES[name]
    names = f"named {', '.join(row.names)}"
    return names + (
        f", or with standard name {' or '.join(row.standard_names)}" if row.standard_names else ""
    )


def listed(names: Iterable[Hashable]) -> str:
    return ", ".join(repr(str(name)) for name in names) or "none"

"""Series as numbers: text, objects and nullable types of pandas are read, or refused where they are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.missing_values import stated_missing
from ..errors import ValueRangeError
from .cells import first_place


def numbers_of(array: xr.DataArray) -> xr.DataArray:
    """Values as numbers, with NaN for missing ones, also those that attributes state.

    Columns of pandas may be of a nullable type, or hold objects where one of them is text.

    Raises
    ------
    ValueRangeError
        If a value is no number, such as 'Ice' among streamflow, or all are of a type that is none.
    """
    if not isinstance(array.dtype, np.dtype):  # an extension type of pandas
        flat = pd.array(array.variable.values.ravel(), dtype=object)
        array = array.copy(data=np.asarray(flat, dtype=object).reshape(array.shape))
    if array.dtype.kind in "OSUT" and array.chunks is None:
        array = array.copy(data=_parsed(array))
    if array.dtype.kind not in "iufb":
        raise ValueRangeError(
            f"{array.name!r} holds {array.dtype}; expected real numbers. Convert them: "
            f"ds[{array.name!r}].astype(float)."
        )
    return stated_missing(array)


def _parsed(array: xr.DataArray) -> np.ndarray:
    values = array.values
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    flat = pd.Series(values.ravel(), dtype=object)
    found = pd.to_numeric(flat, errors="coerce")
    wrong = found.isna() & flat.notna() & (flat.astype(str).str.strip() != "")
    if wrong.any():
        found_text = values.ravel()[int(np.argmax(wrong))]
        where = first_place(array, wrong.to_numpy().reshape(values.shape))
        raise ValueRangeError(
            f"{array.name!r} holds {found_text!r} at {where} ({int(wrong.sum())} of {wrong.size} are "
            "no numbers); expected numbers, NaN where there is none. If such text means a missing value, "
            f"read the table with pd.read_csv(..., na_values=[{found_text!r}])."
        )
    return np.asarray(found, dtype=float).reshape(values.shape)

"""Smaller files with a stated error: packed integers, rounded mantissas.

Both are off unless asked for. What they cost is written with the variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.attributes import BITS, MANIFEST, RELATIVE, restated, stated
from ..conventions.cf import for_file
from ..conventions.variables import VARIABLES
from ..errors import DescriptionError, ValueRangeError

# Largest errors of packed=True and ranges of a variable's values, by its role: kg m-2 day-1, kg m-2.
_ERRORS = {"flux": 0.005, "state": 0.05}
_RANGES = {"flux": 600.0, "state": 6000.0}
_FLOAT_BITS = {"float32": 23, "float64": 52}


Packed = bool | Mapping[str, float]
KeepBits = int | Mapping[str, int] | None


def to_write(ds: xr.Dataset, packed: Packed, keep_bits: KeepBits) -> xr.Dataset:
    """A Dataset as a file of its own has it: as CF wants it, and packed or rounded; see :func:`encode`."""
    out = encode(for_file(unpacked(ds)), packed, keep_bits)
    out.attrs.pop(MANIFEST, None)  # of the store that it was read from
    return out


def encode(ds: xr.Dataset, packed: Packed, keep_bits: KeepBits) -> xr.Dataset:
    """Pack or round the variables that are asked for, lazily.

    Parameters
    ----------
    ds : Dataset
        As it is to be written.
    packed : bool or dict
        ``True``: fluxes to 0.005 kg m-2 day-1 and states to 0.05 kg m-2; or the largest error by
        variable.
    keep_bits : int or dict, optional
        Bits of the mantissa to keep, of all floating variables or by name: the relative error is at
        most 2 to the power of -(keep_bits + 1).

    Returns
    -------
    Dataset
        What a variable states of an earlier packing or rounding is added to its error.

    Raises
    ------
    DescriptionError
        Where a variable is not there, is no floating number, or is asked for twice.
    """
    errors = _chosen(ds, packed, "packed")
    bits = _chosen(ds, keep_bits, "keep_bits")
    both = sorted(errors.keys() & bits.keys())
    if both and isinstance(packed, Mapping) and isinstance(keep_bits, Mapping):
        raise DescriptionError(f"{both[0]} is in packed and in keep_bits; expected one of them.")
    if not errors and not bits:
        return ds
    ds = ds.copy()
    for name, kept in bits.items():
        if name not in errors:
            ds[name] = _rounded(ds[name], kept)
    for name, error in errors.items():
        ds[name] = _packed(ds[name], error)
    return ds


def unpacked(ds: xr.Dataset) -> xr.Dataset:
    """Variables that were read from packed short integers in single precision, which exceeds theirs.

    xarray reads them as double, since JSON does not tell of which type a scale factor is.
    """
    short = [
        name
        for name, array in ds.data_vars.items()
        if array.dtype == "float64"
        and "scale_factor" in array.encoding
        and np.dtype(array.encoding.get("dtype", "float64")).kind in "iu"
        and np.dtype(array.encoding["dtype"]).itemsize <= 2
    ]
    return ds.assign({name: ds[name].astype("float32") for name in short})


def _chosen(ds: xr.Dataset, given: Any, option: str) -> dict[str, Any]:
    """The setting of each variable that has one."""
    if given is None or given is False:
        return {}
    floats = [str(name) for name, array in ds.data_vars.items() if array.dtype.kind == "f"]
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in floats]
        if unknown:
            raise DescriptionError(
                f"{option} names {unknown[0]!r}, which is not a floating-point variable of the Dataset; "
                f"choose from {', '.join(floats)}."
            )
        return dict(given)
    if option == "packed":
        roles = {name: VARIABLES[name].role for name in floats if name in VARIABLES}
        return {name: _ERRORS[role] for name, role in roles.items() if role in _ERRORS}
    return dict.fromkeys(floats, given)


def _rounded(array: xr.DataArray, bits: int) -> xr.DataArray:
    most = _FLOAT_BITS.get(str(array.dtype), 0)
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= most:
        raise DescriptionError(
            f"keep_bits of {array.name} is {bits!r}; expected 1 to {most}, the bits of a {array.dtype}'s "
            "mantissa."
        )
    if bits == most:
        return array
    out = xr.apply_ufunc(
        partial(round_mantissa, bits=bits), array, dask="parallelized", output_dtypes=[array.dtype]
    )
    before, now = stated(array)[1], 2.0 ** -(bits + 1)
    out.attrs = array.attrs | {BITS: np.int32(bits), RELATIVE: before + now + before * now}
    out.encoding = array.encoding
    return out


def _packed(array: xr.DataArray, error: float) -> xr.DataArray:
    if not 0 < error < np.inf:
        raise DescriptionError(f"packed error of {array.name} is {error!r}; expected a number above 0.")
    row = VARIABLES.get(str(array.name))
    span = _RANGES.get(row.role, np.inf) if row else np.inf
    dtype = np.dtype("int16" if span <= 65534 * 2 * error else "int32")
    scale = 2.0 * float(error)
    # All numbers of the type but the lowest, which stands for missing, are used from zero upwards.
    offset = scale * float(np.iinfo(dtype).max) if row and row.valid_min == 0 else 0.0
    pack = partial(to_integers, scale=scale, offset=offset, dtype=dtype, name=str(array.name))
    out = xr.apply_ufunc(pack, array, dask="parallelized", output_dtypes=[dtype])
    # A range is in the units of the packed numbers (CF 2.5.1): of no use to a reader.
    kept = {key: value for key, value in array.attrs.items() if key not in ("valid_min", "valid_max")}
    before, relative = stated(array)
    same_steps = (array.encoding.get("scale_factor"), array.encoding.get("add_offset")) == (scale, offset)
    absolute = max(before, float(error)) if same_steps else before + float(error)
    out.attrs = restated(kept, absolute, relative) | {
        "scale_factor": scale,
        "add_offset": offset,
        "_FillValue": dtype.type(np.iinfo(dtype).min),
    }
    out.encoding = {}
    return out


def round_mantissa(values: np.ndarray, bits: int) -> np.ndarray:
    """Round to the nearest number with so many bits of mantissa, halves to even; NaN and inf stay."""
    whole = _FLOAT_BITS[str(values.dtype)]
    kind = np.dtype(f"uint{8 * values.dtype.itemsize}").type
    drop = kind(whole - bits)
    raw = np.ascontiguousarray(values).view(kind)
    half = (kind(1) << (drop - kind(1))) - kind(1)
    rounded = (raw + half + ((raw >> drop) & kind(1))) & ~((kind(1) << drop) - kind(1))
    return np.where(np.isfinite(values), rounded.view(values.dtype), values)


def to_integers(values: np.ndarray, scale: float, offset: float, dtype: np.dtype, name: str) -> np.ndarray:
    """Pack: the nearest integer of ``(values - offset) / scale``, the lowest one for NaN.

    Raises
    ------
    ValueRangeError
        Where a value is outside what the integers reach.
    """
    limits = np.iinfo(dtype)
    numbers = np.rint((values.astype("float64") - offset) / scale)
    present = ~np.isnan(values)
    outside = present & ~((numbers > limits.min) & (numbers <= limits.max))
    if outside.any():
        low, high = ((limit * scale + offset) for limit in (limits.min + 1, limits.max))
        raise ValueRangeError(
            f"{name} has {values[outside][0]:g}, and packed to {dtype} with an error of {scale / 2:g} it "
            f"reaches from {low:g} to {high:g}; expected a larger error, or no packing of it: packed={{...}}."
        )
    return np.where(present, numbers, limits.min).astype(dtype)

"""Missing values that are numbers: what attributes state as missing, and numbers that usually mean it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ValueRangeError

if TYPE_CHECKING:
    import xarray as xr

_CODES = ("_FillValue", "missing_value")
_LIMITS = ("valid_min", "valid_max", "valid_range")

# Numbers that data sets write for missing values: of USGS, of ESRI, of NetCDF's defaults, of CMIP.
SENTINELS = (
    *(-99.0, -99.9, -99.99, -999.0, -999.9, -999.99, -9999.0, -9999.9, -99999.0, -999999.0),
    *(-32768.0, 32767.0, 9999.0, 99999.0, 999999.0, -2147483648.0),
    *(1e20, -1e20, 9.969209968386869e36, -9.969209968386869e36, 3.4028234663852886e38, 1e30, 1e35),
    -3.4028234663852886e38,
)


def stated_missing(array: xr.DataArray) -> xr.DataArray:
    """An array with NaN where its attributes state that values are missing or not valid; lazy where it is.

    The attributes are ``_FillValue``, ``missing_value``, ``valid_min``, ``valid_max`` and
    ``valid_range`` (CF conventions, 2.5.1). xarray applies the first two when it decodes a file, but
    neither to a file opened with ``decode_cf=False`` nor to an array that a program made; it never
    applies the others. Where the file packed the variable, limits of the packed type are unpacked first.
    """
    if array.dtype.kind not in "iuf" or not {*_CODES, *_LIMITS} & {*array.attrs}:
        return array
    valid = None
    for code in _codes(array):
        valid = _both(valid, array != code)
    lowest, highest = _limits(array)
    if lowest is not None:
        valid = _both(valid, ~(array < lowest))
    if highest is not None:
        valid = _both(valid, ~(array > highest))
    if valid is None or (valid.chunks is None and bool(valid.all())):
        return array
    out: xr.DataArray = array.where(valid)
    out.encoding = array.encoding
    return out


def _both(first: Any, second: Any) -> Any:
    return second if first is None else first & second


def _codes(array: xr.DataArray) -> list[Any]:
    """The stated codes of missing values in the type of the array; NaN needs no code."""
    stated = [value for name in _CODES for value in _numbers(array.attrs.get(name))]
    with np.errstate(over="ignore", invalid="ignore"):
        return [array.dtype.type(value) for value in stated if np.isfinite(value) and _fits(value, array)]


def _fits(value: float, array: xr.DataArray) -> bool:
    if array.dtype.kind == "f":
        return True
    limits = np.iinfo(array.dtype)
    return bool(limits.min <= value <= limits.max and value == int(value))


def _limits(array: xr.DataArray) -> tuple[float | None, float | None]:
    """The lowest and highest valid value; None where no attribute states it."""
    both = _numbers(array.attrs.get("valid_range"))
    pair: list[float | None] = [*both] if len(both) == 2 else [None, None]
    for place, name in enumerate(("valid_min", "valid_max")):
        pair[place] = next(iter(_numbers(array.attrs.get(name))), pair[place])
    unpacked = [value if value is None else _unpacked(value, array) for value in pair]
    if None not in unpacked and unpacked[0] > unpacked[1]:  # type: ignore[operator]  # a negative scale
        unpacked.reverse()
    return unpacked[0], unpacked[1]


def _unpacked(value: float, array: xr.DataArray) -> float:
    """A limit in the units of the values: CF states it in the packed type, which is an integer one."""
    packed = np.dtype(array.encoding.get("dtype", "f8")).kind in "iu" and array.dtype.kind == "f"
    if not packed or "scale_factor" not in array.encoding:
        return value
    given = next(array.attrs[name] for name in reversed(_LIMITS) if name in array.attrs)
    if np.asarray(given).dtype.kind == "f":
        return value
    return float(value * array.encoding["scale_factor"] + array.encoding.get("add_offset", 0.0))


def _numbers(value: Any) -> list[float]:
    """The numbers of an attribute; none where it is absent or holds text."""
    if value is None:
        return []
    try:
        return [float(one) for one in np.atleast_1d(np.asarray(value)).ravel()]
    except (TypeError, ValueError):
        return []


_SMALLEST_CODE = 999.0  # smaller ones, such as -99, may be values of something
_IMPOSSIBLE = 1e19  # no quantity is as large, in any units

_SINGLE = np.array(SENTINELS, dtype="float32")


def look_missing(values: Any) -> np.ndarray:
    """Which values are numbers that data sets write for missing values, compared in single precision."""
    with np.errstate(over="ignore"):
        return np.isin(np.asarray(values).astype("float32"), _SINGLE)


def without_codes(array: xr.DataArray, lowest: float | None = None, possible: bool = False) -> xr.DataArray:
    """An array with NaN where its attributes state it; other codes of missing values are refused.

    Codes are numbers such as -999, -9999 and 9.97e36. Values of lazy arrays are looked at when they are
    computed.

    Parameters
    ----------
    array : DataArray
    lowest : float, optional
        Smaller values are refused as well.
    possible : bool, default False
        Whether to let numbers such as 9999 be, which a large river has in some units.

    Raises
    ------
    ValueRangeError
        If there are such values.
    """
    array = stated_missing(array)
    if array.dtype.kind not in "iuf":
        return array
    name = "the array" if array.name is None else repr(str(array.name))
    if array.chunks is None:
        _refuse_codes(array.values, lowest, possible, name)
        return array
    return array.copy(data=array.data.map_blocks(_refused, lowest, possible, name, dtype=array.dtype))


def _refused(values: np.ndarray, lowest: float | None, possible: bool, name: str) -> np.ndarray:
    _refuse_codes(values, lowest, possible, name)
    return values


def _refuse_codes(values: np.ndarray, lowest: float | None, possible: bool, name: str) -> None:
    large = values >= (_IMPOSSIBLE if possible else _SMALLEST_CODE)
    wrong = ((values <= -_SMALLEST_CODE) | large) & ~np.isinf(values)
    wrong[wrong] = look_missing(values[wrong])
    if lowest is not None:
        wrong |= values < lowest
    if wrong.any():
        first = float(values[wrong].flat[0])
        least = "" if lowest is None else f" of at least {lowest:g}"
        raise ValueRangeError(
            f"{name} is {first:g} in {int(wrong.sum())} of {wrong.size} places; expected values{least}: "
            f"are missing values coded as numbers? Mask that number alone: array.where(array != {first!r})."
        )

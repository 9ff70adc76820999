"""Values of MOD16A2: scale, fill values and the codes of pixels without evapotranspiration."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import UnitsError

_SCALE = 0.1  # by definition of the product, if a file does not state it
LARGEST = 32700  # valid value before scaling; larger ones are codes
CODES_END = 32767  # last code, the fill value
_IMPOSSIBLE = 327.0  # kg m-2 per composite or 41 mm per day: more than any place evaporates
_FILL_CODES = {
    32761: "unclassified",
    32762: "urban_or_built_up",
    32763: "permanent_wetland",
    32764: "perennial_snow_or_ice",
    32765: "barren_or_sparse_vegetation",
    32766: "water_body",
    32767: "fill_value",
}


def water(raw: xr.DataArray) -> xr.DataArray:
    """Water per composite, kg m-2, float32; NaN for codes, fill values and values below the valid range."""
    scale, scaled = _scale(raw)
    out: xr.DataArray = xr.apply_ufunc(
        _water_of_block,
        raw,
        kwargs={
            "scale": scale,
            "scaled": scaled,
            "fills": _fill_values(raw),
            "least": _least(raw),
            # Files that hydroxr wrote have been checked before.
            "bounded": scaled and raw.attrs.get("cell_methods") != "time: sum",
            "name": str(raw.name),
        },
        dask="parallelized",
        output_dtypes=[np.float32],
    )
    return out


def _water_of_block(
    raw: np.ndarray, scale: float, scaled: bool, fills: list[float], least: float, bounded: bool, name: str
) -> np.ndarray:
    numbers = raw.astype("float32")
    given = np.isfinite(numbers) & ~np.isin(numbers, np.asarray(fills, "float32")) & (numbers >= least)
    unit = _SCALE if scaled else 1.0
    water = np.where(given & (numbers <= LARGEST * unit), numbers * np.float32(scale), np.float32(np.nan))
    codes = given & (numbers > LARGEST * unit)
    lowest, highest = np.nanmin(water, initial=0.0), np.nanmax(water, initial=0.0)
    above = max(float(np.max(numbers, where=codes, initial=0.0)), highest if bounded else 0.0)
    if bounded and (highest > _IMPOSSIBLE or above > (CODES_END + 0.5) * _SCALE):
        raise UnitsError(
            f"{name!r} has no scale_factor and values up to {above:g}; expected floating-point numbers "
            f"without one to be kg m-2 per composite, at most {_IMPOSSIBLE:g}. Set its 'scale_factor' to "
            f"{_SCALE}, or pass integers."
        )
    if lowest < -_IMPOSSIBLE:
        raise UnitsError(
            f"{name!r} has values down to {lowest:g} kg m-2 per composite; expected at least "
            f"{-_IMPOSSIBLE:g}. If these are missing values, set its '_FillValue' (GeoTIFF: nodata)."
        )
    return water


def _fill_values(raw: xr.DataArray) -> list[float]:
    """Missing values that the file states, in addition to the codes of the product."""
    stated = [
        where[key]
        for where in (raw.attrs, raw.encoding)
        for key in ("_FillValue", "missing_value")
        if key in where
    ]
    return sorted({float(value) for given in stated for value in np.atleast_1d(given)})


def _least(raw: xr.DataArray) -> float:
    """Smallest valid value, as stored."""
    limits = raw.attrs.get("valid_range", raw.attrs.get("valid_min"))
    return -np.inf if limits is None else float(np.atleast_1d(limits)[0])


def _scale(raw: xr.DataArray) -> tuple[float, bool]:
    """Factor to kg m-2, and whether the values are already scaled."""
    stated = raw.attrs.get("scale_factor", raw.encoding.get("scale_factor"))
    offset = float(raw.attrs.get("add_offset", 0.0))
    if offset != 0.0 or (stated is not None and not np.isclose(float(stated), _SCALE)):
        raise UnitsError(
            f"{raw.name!r} has scale_factor {stated} and add_offset {offset}; expected {_SCALE} and 0, as in "
            "MOD16A2."
        )
    if stated is None and raw.dtype.kind == "f":
        return 1.0, True
    return _SCALE, False


def codes(raw: xr.DataArray) -> xr.DataArray:
    """The code of each pixel, int16, 0 where it has a value."""
    _, scaled = _scale(raw)
    number = (raw / _SCALE).round() if scaled else raw
    number = number.where(number > LARGEST, 0)  # NaN has lost its code
    own = [fill for fill in _fill_values(raw) if scaled or not LARGEST < fill <= CODES_END]
    number = number.where(~raw.isin(own), CODES_END) if own else number
    out = number.fillna(0).astype("int16")
    out.attrs = {
        "long_name": "why there is no evapotranspiration, 0 where there is",
        "flag_values": np.array([0, *_FILL_CODES], dtype="int16"),
        "flag_meanings": " ".join(["valid", *_FILL_CODES.values()]),
    }
    return out

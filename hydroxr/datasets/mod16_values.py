"""Values of MOD16: products, scale, fill values and the codes of pixels without evapotranspiration."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..errors import DataFileError, UnitsError

# Layer of the product -> its name in hydroxr, and its long name.
LAYERS = {
    "ET_500m": ("evapotranspiration", "evapotranspiration"),
    "PET_500m": ("pet", "potential evapotranspiration"),
}
_SCALE = 0.1  # by definition of the product, if a file does not state it
NAME = re.compile(r"M[OY]D16A[23](?:GF)?")
# Why a pixel has no value, in the order of the codes, which end with the fill value.
_REASONS = (
    "unclassified",
    "urban_or_built_up",
    "permanent_wetland",
    "perennial_snow_or_ice",
    "barren_or_sparse_vegetation",
    "water_body",
    "fill_value",
)


@dataclass(frozen=True)
class Product:
    """What the definition of a product says of its values.

    Parameters
    ----------
    name
        Such as ``MOD16A2GF``.
    step
        ``"8day"`` or ``"year"``.
    largest
        Largest valid number before scaling; larger ones are codes.
    fill
        Last code, the fill value.
    most
        More water than any place evaporates in a step, kg m-2.
    """

    name: str
    step: str
    largest: int
    fill: int
    most: float

    @property
    def codes(self) -> tuple[int, ...]:
        """Code of each reason."""
        return tuple(range(self.fill + 1 - len(_REASONS), self.fill + 1))

    @classmethod
    def of_name(cls, name: str) -> Product:
        """MOD16A3 has sums of years, MOD16A2 of 8 days."""
        if "A3" in name:
            return cls(name, "year", 65500, 65535, 6550.0)
        return cls(name, "8day", 32700, 32767, 327.0)


def product_of(raw: xr.Dataset, layers: list[str], given: str | None) -> Product:
    """The product by the name that was given or that the files have, or by their units.

    Raises
    ------
    DataFileError
        If nothing tells it.
    UnitsError
        If units contradict the name.
    """
    units = str(raw[layers[0]].attrs.get("units", ""))
    of_year = re.search(r"\by(?:ea)?r|/\s*y", units) is not None or raw[layers[0]].dtype == "uint16"
    stated = of_year or re.search(r"8\s*-?\s*day", units) is not None
    name = given or raw.attrs.get("product")
    time = raw.indexes["time"]
    if name is None and not stated and len(time) > 1 and ((time.month == 1) & (time.day == 1)).all():
        raise DataFileError(
            "neither names nor units say whether these are sums of 8 days (MOD16A2, MOD16A2GF) or of years "
            "(MOD16A3GF); pass product='MOD16A3GF'."
        )
    found = Product.of_name(name or ("MOD16A3GF" if of_year else "MOD16A2"))
    if stated and of_year != (found.step == "year"):
        raise UnitsError(
            f"{layers[0]!r} of {found.name} has units {units!r} ({raw[layers[0]].dtype}); expected sums of "
            f"{'a year' if found.step == 'year' else '8 days'}. Is it another product? Pass product=..."
        )
    return found


def water(raw: xr.DataArray, product: Product) -> xr.DataArray:
    """Water per step, kg m-2, float32; NaN for codes, fill values and values below the valid range."""
    scale, scaled = _scale(raw)
    out: xr.DataArray = xr.apply_ufunc(
        _water_of_block,
        raw,
        kwargs={
            "product": product,
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
    raw: np.ndarray,
    product: Product,
    scale: float,
    scaled: bool,
    fills: list[float],
    least: float,
    bounded: bool,
    name: str,
) -> np.ndarray:
    numbers = raw.astype("float32")
    given = np.isfinite(numbers) & ~np.isin(numbers, np.asarray(fills, "float32")) & (numbers >= least)
    unit = _SCALE if scaled else 1.0
    valid = numbers <= product.largest * unit
    water = np.where(given & valid, numbers * np.float32(scale), np.float32(np.nan))
    codes = given & ~valid
    lowest, highest = np.nanmin(water, initial=0.0), np.nanmax(water, initial=0.0)
    above = max(float(np.max(numbers, where=codes, initial=0.0)), highest if bounded else 0.0)
    if bounded and (highest > product.most or above > (product.fill + 0.5) * _SCALE):
        raise UnitsError(
            f"{name!r} has no scale_factor and values up to {above:g}; expected floating-point numbers "
            f"without one to be kg m-2 per step, at most {product.most:g}. Set its 'scale_factor' to "
            f"{_SCALE}, or pass integers."
        )
    if lowest < -product.most:
        raise UnitsError(
            f"{name!r} has values down to {lowest:g} kg m-2 per step; expected at least "
            f"{-product.most:g}. If these are missing values, set its '_FillValue' (GeoTIFF: nodata)."
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


def codes(raw: xr.DataArray, product: Product) -> xr.DataArray:
    """The code of each pixel, 0 where it has a value."""
    _, scaled = _scale(raw)
    largest, fill = product.largest, product.fill
    number = (raw / _SCALE).round() if scaled else raw
    number = number.where(number > largest, 0)  # NaN has lost its code
    own = [value for value in _fill_values(raw) if scaled or not largest < value <= fill]
    number = number.where(~raw.isin(own), fill) if own else number
    out = number.fillna(0).astype("int16" if fill < 2**15 else "int32")
    out.attrs = {
        "long_name": "why there is no evapotranspiration, 0 where there is",
        "flag_values": np.array([0, *product.codes], dtype=out.dtype),
        "flag_meanings": " ".join(["valid", *_REASONS]),
    }
    return out

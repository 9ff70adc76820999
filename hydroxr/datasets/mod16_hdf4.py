"""HDF-EOS2 granules of MOD16 by pyhdf, where the GDAL of rasterio reads no HDF4."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ..errors import DataFileError
from .mod16_values import Product

# The sinusoidal grid of MODIS is on a sphere.
SINUSOIDAL = {
    "grid_mapping_name": "sinusoidal",
    "earth_radius": 6371007.181,
    "longitude_of_central_meridian": 0.0,
    "longitude_of_projection_origin": 0.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
}
_CORNER = r"=\(([-+.\deE]+),([-+.\deE]+)\)"
_ONE_AT_A_TIME = Lock()  # the library keeps a state of its own


def pyhdf() -> Any | None:
    """The module that reads HDF4, if it is installed."""
    try:
        return importlib.import_module("pyhdf.SD")
    except ImportError:
        return None


def grid_of_granule(path: Path, layer: str, product: Product) -> dict[str, Any]:
    """Size, position and type of a layer, by the structure that the granule states of itself.

    Raises
    ------
    DataFileError
        If the granule cannot be read, or lacks the layer or its corners.
    """
    with _ONE_AT_A_TIME:
        file, array = _opened(path, layer)
        structure = str(file.attributes().get("StructMetadata.0", ""))
        rows, columns = array.info()[2]
        dtype = array[:1, :1].dtype
        file.end()
    west_north = re.search("UpperLeftPointMtrs" + _CORNER, structure)
    east_south = re.search("LowerRightMtrs" + _CORNER, structure)
    if west_north is None or east_south is None:
        raise DataFileError(f"{path} does not state its corners; expected 'StructMetadata.0' of HDF-EOS2.")
    west, north, east, south = map(float, (*west_north.groups(), *east_south.groups()))
    return {
        "shape": (rows, columns),
        "y": north + (south - north) / rows * (np.arange(rows) + 0.5),
        "x": west + (east - west) / columns * (np.arange(columns) + 0.5),
        "dtype": str(dtype),
        "mapping": SINUSOIDAL,
        "geographic": False,
        "product": product,
    }


def read_granule(path: Path, layer: str, grid: dict[str, Any]) -> np.ndarray:
    """The values of a layer, with the shape of the first granule."""
    with _ONE_AT_A_TIME:
        file, array = _opened(path, layer)
        values = np.asarray(array[:])
        file.end()
    if values.shape != grid["shape"]:
        raise DataFileError(
            f"{path} has {values.shape} pixels; expected those of the first granule, {grid['shape']}."
        )
    return values


def _opened(path: Path, layer: str) -> tuple[Any, Any]:
    module = pyhdf()
    assert module is not None
    try:
        file = module.SD(str(path), module.SDC.READ)
        return file, file.select(layer)
    except Exception as error:  # its errors have a base of their own, and some are none of these
        raise DataFileError(f"{layer} of {path} cannot be read: {error}") from error

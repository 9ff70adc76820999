"""The many files of MOD16A2: a GeoTIFF a composite and layer, or an HDF4-EOS granule a tile."""

from __future__ import annotations

import importlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataFileError

# MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif; newer orders have the time of day after the day of year.
_RASTER = re.compile(
    r"(?P<product>M[OY]D16A2(?:GF)?)\.(?P<version>\d{3})_(?P<layer>[A-Za-z_]+_500m)_"
    r"doy(?P<year>\d{4})(?P<day>\d{3})(?:\d{6})?(?P<area>_aid\d+)?"
)
_GRANULE = re.compile(
    r"(?P<product>M[OY]D16A2(?:GF)?)\.A(?P<year>\d{4})(?P<day>\d{3})\.(?P<tile>h\d\dv\d\d)\.(?P<version>\d{3})"
)
_SUBDATASET = 'HDF4_EOS:EOS_GRID:"{path}":MOD_Grid_MOD16A2:{layer}'
_LARGEST, _FILL = 32700, 32767  # valid values end and codes do


def open_rasters(files: list[Path], layers: tuple[str, ...]) -> xr.Dataset:
    """GeoTIFF files of AppEEARS as one Dataset, a block a file.

    Raises
    ------
    DataFileError, ImportError
    """
    rasterio = _rasterio()
    named = [(file, match) for file in files if (match := _RASTER.search(file.name))]
    named = [(file, match) for file, match in named if match["layer"] in layers]
    if not named:
        raise DataFileError(
            f"none of the {len(files)} files has a name of MOD16A2's evapotranspiration ({files[0].name} for "
            "one); expected such as MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif."
        )
    for part, what in (("product", "products"), ("version", "versions"), ("area", "areas")):
        found = sorted({str(match[part]) for _, match in named})
        if len(found) > 1:
            raise DataFileError(
                f"the files are of {len(found)} {what}: {', '.join(found)}; expected one. Give a list of the "
                "files of one."
            )
    grid = _grid(rasterio, str(named[0][0]))
    out = {}
    for layer in dict.fromkeys(match["layer"] for _, match in named):
        dated = sorted((_date(match), str(file)) for file, match in named if match["layer"] == layer)
        _require_once([date for date, _ in dated], layer)
        out[layer] = _stack(dated, grid)
    return xr.merge(list(out.values()), join="outer", compat="override", fill_value=_FILL)


def open_granules(files: list[Path], layers: tuple[str, ...]) -> xr.Dataset:
    """HDF4-EOS granules as one Dataset; tiles side by side.

    Raises
    ------
    DataFileError, ImportError
    """
    rasterio = _rasterio()
    with rasterio.Env() as env:
        drivers = env.drivers()
    if "HDF4" not in drivers:
        raise DataFileError(
            f"{files[0].name} is HDF4-EOS, which the GDAL {rasterio.__gdal_version__} of this rasterio "
            "cannot read; pip's has no HDF4. Install rasterio and libgdal-hdf4 from conda-forge, or order "
            "the data as NetCDF or GeoTIFF from AppEEARS (https://appeears.earthdatacloud.nasa.gov)."
        )
    named = [(file, match) for file in files if (match := _GRANULE.search(file.name))]
    if not named:
        raise DataFileError(
            f"none of the {len(files)} files has a name of a granule of MOD16A2 ({files[0].name} for one); "
            "expected such as MOD16A2GF.A2010001.h10v05.061.2020256154955.hdf."
        )
    tiles = []
    for tile in sorted({match["tile"] for _, match in named}):
        here = [(file, match) for file, match in named if match["tile"] == tile]
        rows = []
        for layer in layers:
            dated = sorted((_date(match), _SUBDATASET.format(path=file, layer=layer)) for file, match in here)
            _require_once([date for date, _ in dated], f"{layer} of {tile}")
            rows.append(_stack(dated, _grid(rasterio, dated[0][1]), layer))
        tiles.append(xr.merge(rows, compat="override", join="outer", fill_value=_FILL))
    return xr.combine_by_coords(tiles, fill_value=_FILL, combine_attrs="override", join="outer")  # type: ignore[return-value]


def _rasterio() -> Any:
    try:
        return importlib.import_module("rasterio")
    except ImportError as error:
        raise ImportError("GeoTIFF and HDF4 files need rasterio: pip install 'hydroxr[modis]'.") from error


def _date(match: re.Match[str]) -> pd.Timestamp:
    return pd.Timestamp(f"{match['year']}-01-01") + pd.Timedelta(days=int(match["day"]) - 1)


def _require_once(dates: list[pd.Timestamp], what: str) -> None:
    again = [str(date)[:10] for date, after in pairwise(dates) if date == after]
    if again:
        raise DataFileError(f"{what} of {again[0]} is in two files; expected each composite once.")


def _grid(rasterio: Any, name: str) -> dict[str, Any]:
    """Size, position and projection of a file."""
    with _opened(rasterio, name) as raster:
        transform, crs = raster.transform, raster.crs
        if transform.b != 0.0 or transform.d != 0.0:
            raise DataFileError(f"{name} is turned against its axes; expected rows and columns along them.")
        return {
            "shape": (raster.height, raster.width),
            "y": transform.f + transform.e * (np.arange(raster.height) + 0.5),
            "x": transform.c + transform.a * (np.arange(raster.width) + 0.5),
            "transform": tuple(transform)[:6],
            "dtype": raster.dtypes[0],
            "wkt": crs.to_wkt() if crs else "",
            "geographic": bool(crs and crs.is_geographic),
        }


def _opened(rasterio: Any, name: str) -> Any:
    try:
        return rasterio.open(name)
    except rasterio.errors.RasterioIOError as error:
        raise DataFileError(f"{name} cannot be read: {error}") from error


def _stack(dated: list[tuple[pd.Timestamp, str]], grid: dict[str, Any], layer: str = "") -> xr.Dataset:
    """The files of a layer, one after the other in time, each read when needed."""
    import dask
    import dask.array as da

    read = dask.delayed(_read, pure=True)
    blocks = [da.from_delayed(read(name, grid), grid["shape"], grid["dtype"])[None] for _, name in dated]
    matched = _RASTER.search(dated[0][1])
    name = layer or (matched["layer"] if matched else "")
    dims = ("lat", "lon") if grid["geographic"] else ("y", "x")
    coords = {"time": pd.DatetimeIndex([date for date, _ in dated]), dims[0]: grid["y"], dims[1]: grid["x"]}
    out = xr.Dataset({name: (("time", *dims), da.concatenate(blocks))}, coords)
    units = ("degrees_north", "degrees_east") if grid["geographic"] else ("m", "m")
    names = (
        ("latitude", "longitude")
        if grid["geographic"]
        else ("projection_y_coordinate", "projection_x_coordinate")
    )
    for dim, unit, standard_name in zip(dims, units, names, strict=True):
        out[dim].attrs = {"standard_name": standard_name, "units": unit}
    out[name].attrs = {"grid_mapping": "spatial_ref", "_FillValue": _FILL}
    return out.assign_coords(spatial_ref=((), 0, mapping_attrs(grid["wkt"])))


def mapping_attrs(wkt: str) -> dict[str, Any]:
    """CF attributes of a projection that a file states as text."""
    if not wkt:
        return {}
    try:
        pyproj = importlib.import_module("pyproj")
    except ImportError:
        return {"crs_wkt": wkt}
    return dict(pyproj.CRS.from_wkt(wkt).to_cf())


def _read(name: str, grid: dict[str, Any]) -> np.ndarray:
    """The values of a file, which must be like the first one; its own missing values as the product's."""
    rasterio = _rasterio()
    shape, transform = grid["shape"], grid["transform"]
    with _opened(rasterio, name) as raster:
        if (raster.height, raster.width) != shape or not np.allclose(tuple(raster.transform)[:6], transform):
            raise DataFileError(
                f"{name} has {raster.height} x {raster.width} pixels at {raster.transform.c:g}, "
                f"{raster.transform.f:g}; expected those of the first file, {shape[0]} x {shape[1]} at "
                f"{transform[2]:g}, {transform[5]:g}: one area a folder."
            )
        if raster.dtypes[0] != grid["dtype"]:
            raise DataFileError(
                f"{name} holds {raster.dtypes[0]}, the first file {grid['dtype']}; expected one kind of "
                "numbers, all of them scaled or none."
            )
        values = np.asarray(raster.read(1))
        own = raster.nodata
    if own is None or np.isnan(own) or _LARGEST < own <= _FILL:
        return values
    return np.where(values == own, values.dtype.type(_FILL), values)

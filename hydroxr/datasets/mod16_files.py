"""Files of MOD16A2: NetCDF, Zarr, one GeoTIFF per composite and layer, or one HDF4-EOS granule per tile."""

from __future__ import annotations

import glob
import importlib
import os
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataFileError
from .mod16_values import CODES_END, LARGEST

# Layer of the product -> its name in hydroxr, and its long name.
LAYERS = {
    "ET_500m": ("evapotranspiration", "evapotranspiration"),
    "PET_500m": ("pet", "potential evapotranspiration"),
}
_RASTERS, _NETCDF = (".tif", ".tiff", ".hdf"), (".nc", ".nc4")
# MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif; newer orders have the time of day after the day of year.
_RASTER = re.compile(
    r"(?P<product>M[OY]D16A2(?:GF)?)\.(?P<version>\d{3})_(?P<layer>[A-Za-z_]+_500m)_"
    r"doy(?P<year>\d{4})(?P<day>\d{3})(?:\d{6})?(?P<area>_aid\d+)?"
)
_GRANULE = re.compile(
    r"(?P<product>M[OY]D16A2(?:GF)?)\.A(?P<year>\d{4})(?P<day>\d{3})\.(?P<tile>h\d\dv\d\d)\.(?P<version>\d{3})"
)
_SUBDATASET = 'HDF4_EOS:EOS_GRID:"{path}":MOD_Grid_MOD16A2:{layer}'

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def open_files(path: Paths) -> xr.Dataset:
    """Open files of any supported kind, lazily; layers have the names and values of the files."""
    if not isinstance(path, str | os.PathLike):
        return _open_all([Path(file) for file in path])
    place = Path(path)
    if not place.exists() and (found := sorted(glob.glob(str(place)))):
        return _open_all([Path(file) for file in found])
    if not place.exists():
        raise DataFileError(
            f"there is nothing at {place}; expected NetCDF, GeoTIFF or HDF4 files, or a Zarr."
        )
    if place.is_dir() and not _is_zarr(place):
        files = sorted(file for file in place.rglob("*") if file.suffix.lower() in _RASTERS)
        files = files or sorted(file for file in place.rglob("*") if file.suffix.lower() in _NETCDF)
        if not files:
            raise DataFileError(f"{place} holds no GeoTIFF, HDF4 or NetCDF files; expected files of MOD16A2.")
        return _open_all(files)
    return _open_one(place) if _is_zarr(place) else _open_all([place])


def _is_zarr(place: Path) -> bool:
    return any((place / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _is_consolidated(place: Path) -> bool:
    new = place / "zarr.json"
    return "consolidated_metadata" in new.read_text() if new.exists() else (place / ".zmetadata").exists()


def _open_one(place: Path) -> xr.Dataset:
    how: dict[str, Any] = {"engine": "netcdf4"}
    if place.is_dir():
        how = {"engine": "zarr", "consolidated": _is_consolidated(place)}
    try:
        # mod16_values masks the codes, of which xarray would know only one in seven.
        ds = xr.open_dataset(place, mask_and_scale=False, **how)
    except (OSError, ValueError) as error:
        raise DataFileError(f"{place} cannot be read: {error}") from error
    if "time" not in ds.dims:
        raise DataFileError(f"{place} has dimensions {tuple(ds.dims)}; expected 'time' among them.")
    ds = ds.chunk({dim: "auto" if dim == "time" else -1 for dim in ds.dims})  # whole maps
    back = {name: layer for layer, (name, _) in LAYERS.items() if name in ds and layer not in ds}
    return ds.rename(back)


def _open_all(files: list[Path]) -> xr.Dataset:
    kinds = {file.suffix.lower() for file in files}
    if kinds and kinds <= set(_NETCDF):
        return _joined([_open_one(file) for file in files])
    if kinds and kinds <= {".tif", ".tiff"}:
        return _open_rasters(files)
    if kinds == {".hdf"}:
        return _open_granules(files)
    raise DataFileError(
        f"the files have the suffixes {', '.join(sorted(kinds)) or 'none'}; expected .tif, .hdf or .nc alone."
    )


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    """Concatenate the files of one area in time."""
    if len(parts) == 1:
        return parts[0]
    layers = [{name for name in LAYERS if name in part} for part in parts]
    if not layers[0] or any(names != layers[0] for names in layers):
        raise DataFileError(
            f"the files hold different layers: {', '.join(sorted(set.union(*layers)))} are not in all; "
            "expected the same layers in each. Open the files of each layer separately."
        )
    layer = min(layers[0])
    mappings = [name for name in [grid_mapping(parts[0], layer)] if name is not None]
    kept = [part[[*sorted(layers[0]), *mappings]].set_coords(mappings) for part in parts]
    try:
        return xr.concat(
            kept, "time", coords="minimal", compat="override", join="exact", combine_attrs="override"
        )
    except ValueError as error:
        raise DataFileError(f"the files have different grids: {error}") from error


def grid_mapping(raw: xr.Dataset, layer: str) -> str | None:
    """Name of the grid mapping of a layer, if there is one."""
    attrs = raw[layer].attrs | raw[layer].encoding
    names = (attrs.get("grid_mapping"), "crs", "spatial_ref")
    return next((str(name) for name in names if name is not None and name in raw.variables), None)


def _open_rasters(files: list[Path]) -> xr.Dataset:
    """GeoTIFF files of AppEEARS as one Dataset, one block per file."""
    rasterio = _rasterio()
    named = [(file, match) for file in files if (match := _RASTER.search(file.name))]
    named = [(file, match) for file, match in named if match["layer"] in LAYERS]
    if not named:
        raise DataFileError(
            f"none of the {len(files)} files has a name of MOD16A2 layers (first {files[0].name}); expected "
            "names such as MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif."
        )
    for part, what in (("product", "products"), ("version", "versions"), ("area", "areas")):
        found = sorted({str(match[part]) for _, match in named})
        if len(found) > 1:
            raise DataFileError(
                f"the files belong to {len(found)} {what}: {', '.join(found)}; expected one. Pass a list of "
                "the files of one."
            )
    grid = _grid(rasterio, str(named[0][0]))
    out = {}
    for layer in dict.fromkeys(match["layer"] for _, match in named):
        dated = sorted((_date(match), str(file)) for file, match in named if match["layer"] == layer)
        _require_once([date for date, _ in dated], layer)
        out[layer] = _stack(dated, grid)
    return xr.merge(list(out.values()), join="outer", compat="override", fill_value=CODES_END)


def _open_granules(files: list[Path]) -> xr.Dataset:
    """HDF4-EOS granules of one or several tiles as one Dataset."""
    rasterio = _rasterio()
    with rasterio.Env() as env:
        drivers = env.drivers()
    if "HDF4" not in drivers:
        raise DataFileError(
            f"{files[0].name} is HDF4-EOS, which the GDAL {rasterio.__gdal_version__} of this rasterio "
            "cannot read, since its wheels lack HDF4. Install rasterio and libgdal-hdf4 from conda-forge, or "
            "order the data as NetCDF or GeoTIFF from AppEEARS (https://appeears.earthdatacloud.nasa.gov)."
        )
    named = [(file, match) for file in files if (match := _GRANULE.search(file.name))]
    if not named:
        raise DataFileError(
            f"none of the {len(files)} files has a name of a MOD16A2 granule (first {files[0].name}); "
            "expected names such as MOD16A2GF.A2010001.h10v05.061.2020256154955.hdf."
        )
    tiles = []
    for tile in sorted({match["tile"] for _, match in named}):
        here = [(file, match) for file, match in named if match["tile"] == tile]
        rows = []
        for layer in LAYERS:
            dated = sorted((_date(match), _SUBDATASET.format(path=file, layer=layer)) for file, match in here)
            _require_once([date for date, _ in dated], f"{layer} of {tile}")
            rows.append(_stack(dated, _grid(rasterio, dated[0][1]), layer))
        tiles.append(xr.merge(rows, compat="override", join="outer", fill_value=CODES_END))
    return xr.combine_by_coords(tiles, fill_value=CODES_END, combine_attrs="override", join="outer")  # type: ignore[return-value]


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
        raise DataFileError(
            f"{what} of {again[0]} is in two files; expected each composite once. Remove one."
        )


def _grid(rasterio: Any, name: str) -> dict[str, Any]:
    """Size, position, type and projection of a raster file."""
    with _opened(rasterio, name) as raster:
        transform, crs = raster.transform, raster.crs
        if transform.b != 0.0 or transform.d != 0.0:
            raise DataFileError(
                f"{name} is rotated; expected rows and columns along its axes. Warp it first."
            )
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
    """The files of a layer concatenated in time, each read when needed."""
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
    out[name].attrs = {"grid_mapping": "spatial_ref", "_FillValue": CODES_END}
    return out.assign_coords(spatial_ref=((), 0, _mapping_attrs(grid["wkt"])))


def _mapping_attrs(wkt: str) -> dict[str, Any]:
    """CF attributes of a projection in WKT."""
    if not wkt:
        return {}
    try:
        pyproj = importlib.import_module("pyproj")
    except ImportError:
        return {"crs_wkt": wkt}
    return dict(pyproj.CRS.from_wkt(wkt).to_cf())


def _read(name: str, grid: dict[str, Any]) -> np.ndarray:
    """The values of a file with the grid of the first one; nodata becomes the fill value of the product."""
    rasterio = _rasterio()
    shape, transform = grid["shape"], grid["transform"]
    with _opened(rasterio, name) as raster:
        if (raster.height, raster.width) != shape or not np.allclose(tuple(raster.transform)[:6], transform):
            raise DataFileError(
                f"{name} has {raster.height} x {raster.width} pixels at {raster.transform.c:g}, "
                f"{raster.transform.f:g}; expected those of the first file, {shape[0]} x {shape[1]} at "
                f"{transform[2]:g}, {transform[5]:g}. Keep one area per folder."
            )
        if raster.dtypes[0] != grid["dtype"]:
            raise DataFileError(
                f"{name} holds {raster.dtypes[0]}, the first file {grid['dtype']}; expected one type, either "
                "all scaled or all unscaled."
            )
        values = np.asarray(raster.read(1))
        own = raster.nodata
    if own is None or np.isnan(own) or LARGEST < own <= CODES_END:
        return values
    return np.where(values == own, values.dtype.type(CODES_END), values)

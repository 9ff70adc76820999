"""Files of MOD16: NetCDF, Zarr, one GeoTIFF per step and layer, or one HDF4-EOS granule per tile."""

from __future__ import annotations

import glob
import importlib
import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataFileError
from .mod16_hdf4 import SINUSOIDAL, grid_of_granule, pyhdf, read_granule
from .mod16_tables import open_tables
from .mod16_values import LAYERS, NAME, Product

_RASTERS, _NETCDF, _TABLES = (".tif", ".tiff", ".hdf"), (".nc", ".nc4"), (".csv",)
# MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif; newer orders have the time of day after the day of year.
_RASTER = re.compile(
    r"(?P<product>M[OY]D16A[23](?:GF)?)\.(?P<version>\d{3})_(?P<layer>[A-Za-z_]+_500m)_"
    r"doy(?P<year>\d{4})(?P<day>\d{3})(?:\d{6})?(?P<area>_aid\d+)?"
)
_GRANULE = re.compile(
    r"(?P<product>M[OY]D16A[23](?:GF)?)\.A(?P<year>\d{4})(?P<day>\d{3})\.(?P<tile>h\d\dv\d\d)\.(?P<version>\d{3})"
)
# Tiles of the sinusoidal grid of MODIS, and the pixels of 500 m in each.
_WEST, _NORTH, _TILE, _PIXELS = -20015109.354, 10007554.677, 1111950.5196666666, 2400  # m
_SUBDATASET = 'HDF4_EOS:EOS_GRID:"{path}":MOD_Grid_{product}:{layer}'

_MAPPINGS = ("crs", "spatial_ref", "eos_cf_projection", "_HDFEOS_CRS")  # AppEEARS, GDAL, OPeNDAP
_KINDS = (_RASTERS, _NETCDF, _TABLES)

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def open_files(path: Paths, scale: float | None = None) -> xr.Dataset:
    """Open files of any supported kind, lazily; layers have the names and values of the files.

    The attribute ``product`` has the name of the product, if the files have it. ``scale`` is for tables.
    """
    if not isinstance(path, str | os.PathLike):
        return _open_all([Path(file) for file in path], scale)
    place = Path(path)
    if not place.exists() and (found := sorted(glob.glob(str(place)))):
        return _open_all([Path(file) for file in found], scale)
    if not place.exists():
        raise DataFileError(
            f"there is nothing at {place}; expected NetCDF, GeoTIFF, HDF4 or CSV files, or a Zarr."
        )
    if place.is_dir() and not _is_zarr(place):
        every = sorted(file for file in place.rglob("*") if file.is_file())
        kinds = ([file for file in every if file.suffix.lower() in kind] for kind in _KINDS)
        files = next((files for files in kinds if files), None)
        if files is None:
            raise DataFileError(
                f"{place} holds no GeoTIFF, HDF4, NetCDF or CSV files; expected files of MOD16."
            )
        return _open_all(files, scale)
    return _open_one(place) if _is_zarr(place) else _open_all([place], scale)


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
    back = {name: layer for layer, (name, _) in LAYERS.items() if name in ds and layer not in ds}
    ds = ds.rename(back)
    if place.is_file() and not LAYERS.keys() & set(ds.variables):
        ds = _of_group(place, ds)
    granule = _GRANULE.search(place.name)
    if "time" not in ds.dims and granule:  # a granule is one step
        ds = ds.expand_dims(time=[_date(granule)])
    if "time" not in ds.dims:
        raise DataFileError(f"{place} has dimensions {tuple(ds.dims)}; expected 'time' among them.")
    named = NAME.search(place.name) or NAME.search(str(ds.attrs.get("title", "")))
    ds.attrs = {"product": named[0]} if named else {}
    ds = ds.chunk({dim: "auto" if dim == "time" else -1 for dim in ds.dims})  # whole maps
    return ds


def _of_group(place: Path, root: xr.Dataset) -> xr.Dataset:
    """The layers of a granule that an OPeNDAP server (DAP4) gave, with the groups of HDF-EOS.

    Coordinates may lie in the groups around, or be those of the whole tile, which has none of its own.
    """
    paths = [path for path in _groups(place) if LAYERS.keys() & set(path[1])]
    if len(paths) != 1:
        return root
    parts = [part for part in paths[0][0].split("/") if part]
    around = [root] + [
        xr.open_dataset(place, group="/".join(parts[:end]), engine="netcdf4", mask_and_scale=False)
        for end in range(1, len(parts) + 1)
    ]
    ds = around[-1][[name for name in LAYERS if name in around[-1]]]
    for dim in [dim for dim in ds.dims if dim not in ds.coords]:
        found = [each[dim].variable for each in around if dim in each.variables]
        ds = ds.assign_coords({dim: found[-1]} if found else _of_tile(place, dim, ds.sizes[dim]))
    mappings = {name: each[name].variable for each in around for name in _MAPPINGS if name in each.variables}
    return ds.assign_coords(mappings or {"spatial_ref": ((), 0, SINUSOIDAL)})


def _groups(place: Path) -> list[tuple[str, list[str]]]:
    """Path and names of variables of each group."""
    import netCDF4

    def within(group: Any) -> list[tuple[str, list[str]]]:
        deeper = [each for child in group.groups.values() for each in within(child)]
        return [(group.path, list(group.variables)), *deeper]

    with netCDF4.Dataset(place) as file:
        return within(file)


def _of_tile(place: Path, dim: Any, size: int) -> dict[Any, Any]:
    """Rows or columns of a whole tile, m, by its name."""
    granule = _GRANULE.search(place.name)
    row, column = str(dim).lower().startswith("y"), str(dim).lower().startswith("x")
    if size != _PIXELS or granule is None or not (row or column):
        raise DataFileError(
            f"{place} has no coordinates along {dim!r}, and its {size} pixels are not those of a whole tile; "
            "expected them. Order the coordinates with the layers."
        )
    across, down = int(granule["tile"][1:3]), int(granule["tile"][4:6])
    middles = (np.arange(_PIXELS) + 0.5) * _TILE / _PIXELS
    metres = _NORTH - down * _TILE - middles if row else _WEST + across * _TILE + middles
    return {dim: (dim, metres, {"units": "m"})}


def _open_all(files: list[Path], scale: float | None) -> xr.Dataset:
    kinds = {file.suffix.lower() for file in files}
    if kinds and kinds <= set(_NETCDF):
        return _joined([_open_one(file) for file in files])
    if kinds and kinds <= {".tif", ".tiff"}:
        return _open_rasters(files)
    if kinds == {".hdf"}:
        return _open_granules(files)
    if kinds == set(_TABLES):
        return open_tables(files, scale)
    raise DataFileError(
        f"the files have the suffixes {', '.join(sorted(kinds)) or 'none'}; expected .tif, .hdf, .nc or .csv "
        "alone."
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
    _require_one({part.attrs.get("product") for part in parts}, "products")
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
    names = (attrs.get("grid_mapping"), *_MAPPINGS)
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
        _require_one({match[part] for _, match in named}, what)
    product = Product.of_name(named[0][1]["product"])
    grid = _grid(rasterio, str(named[0][0]), product)
    out = {}
    for layer in dict.fromkeys(match["layer"] for _, match in named):
        dated = sorted((_date(match), str(file)) for file, match in named if match["layer"] == layer)
        _require_once([date for date, _ in dated], layer)
        out[layer] = _stack(dated, grid)
    merged = xr.merge(list(out.values()), join="outer", compat="override", fill_value=product.fill)
    return merged.assign_attrs(product=product.name)


def _require_one(found: set[str | None], what: str) -> None:
    """Refuse files of several products, versions or areas."""
    if len(found) > 1:
        raise DataFileError(
            f"the files belong to {len(found)} {what}: {', '.join(sorted(map(str, found)))}; expected one. "
            "Pass a list of the files of one."
        )


def _open_granules(files: list[Path]) -> xr.Dataset:
    """HDF4-EOS granules of one or several tiles as one Dataset."""
    by_gdal = pyhdf() is None
    rasterio = _rasterio_with_hdf4(files[0]) if by_gdal else None
    named = [(file, match) for file in files if (match := _GRANULE.search(file.name))]
    if not named:
        raise DataFileError(
            f"none of the {len(files)} files has a name of a MOD16A2 granule (first {files[0].name}); "
            "expected names such as MOD16A2GF.A2010001.h10v05.061.2020256154955.hdf."
        )
    _require_one({match["product"] for _, match in named}, "products")
    product = Product.of_name(named[0][1]["product"])
    subdataset = partial(_SUBDATASET.format, product=product.name.replace("GF", "").replace("MYD", "MOD"))
    tiles = []
    for tile in sorted({match["tile"] for _, match in named}):
        here = [(file, match) for file, match in named if match["tile"] == tile]
        rows = []
        for layer in LAYERS:
            dated = sorted((_date(match), str(file)) for file, match in here)
            _require_once([date for date, _ in dated], f"{layer} of {tile}")
            if by_gdal:
                dated = [(date, subdataset(path=file, layer=layer)) for date, file in dated]
                rows.append(_stack(dated, _grid(rasterio, dated[0][1], product), layer))
            else:
                grid = grid_of_granule(Path(dated[0][1]), layer, product)
                rows.append(_stack(dated, grid, layer, partial(read_granule, layer=layer)))
        tiles.append(xr.merge(rows, compat="override", join="outer", fill_value=product.fill))
    whole = xr.combine_by_coords(tiles, fill_value=product.fill, combine_attrs="override", join="outer")
    return whole.assign_attrs(product=product.name)  # type: ignore[return-value]


def _rasterio_with_hdf4(file: Path) -> Any:
    rasterio = _rasterio()
    with rasterio.Env() as env:
        drivers = env.drivers()
    if "HDF4" not in drivers:
        raise DataFileError(
            f"{file.name} is HDF4-EOS, which the GDAL {rasterio.__gdal_version__} of this rasterio cannot "
            "read, since its wheels lack HDF4. Install pyhdf, pip install 'hydroxr[hdf4]', or rasterio and "
            "libgdal-hdf4 from conda-forge, or order the data as NetCDF or GeoTIFF from AppEEARS "
            "(https://appeears.earthdatacloud.nasa.gov)."
        )
    return rasterio


def _rasterio() -> Any:
    try:
        return importlib.import_module("rasterio")
    except ImportError as error:
        raise ImportError(
            "GeoTIFF files need rasterio: pip install 'hydroxr[modis]'; HDF4 files need pyhdf: pip install "
            "'hydroxr[hdf4]'."
        ) from error


def _date(match: re.Match[str]) -> pd.Timestamp:
    return pd.Timestamp(f"{match['year']}-01-01") + pd.Timedelta(days=int(match["day"]) - 1)


def _require_once(dates: list[pd.Timestamp], what: str) -> None:
    again = [str(date)[:10] for date, after in pairwise(dates) if date == after]
    if again:
        raise DataFileError(
            f"{what} of {again[0]} is in two files; expected each composite once. Remove one."
        )


def _grid(rasterio: Any, name: str, product: Product) -> dict[str, Any]:
    """Size, position, type and projection of a raster file, and the product."""
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
            "mapping": _mapping_attrs(crs.to_wkt() if crs else ""),
            "geographic": bool(crs and crs.is_geographic),
            "product": product,
        }


def _opened(rasterio: Any, name: str) -> Any:
    try:
        return rasterio.open(name)
    except rasterio.errors.RasterioIOError as error:
        raise DataFileError(f"{name} cannot be read: {error}") from error


def _stack(
    dated: list[tuple[pd.Timestamp, str]],
    grid: dict[str, Any],
    layer: str = "",
    reader: Callable[..., np.ndarray] | None = None,
) -> xr.Dataset:
    """The files of a layer concatenated in time, each read when needed."""
    import dask
    import dask.array as da

    read = dask.delayed(reader or _read, pure=True)
    blocks = [da.from_delayed(read(name, grid=grid), grid["shape"], grid["dtype"])[None] for _, name in dated]
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
    out[name].attrs = {"grid_mapping": "spatial_ref", "_FillValue": grid["product"].fill}
    return out.assign_coords(spatial_ref=((), 0, grid["mapping"]))


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
    product: Product = grid["product"]
    if own is None or np.isnan(own) or product.largest < own <= product.fill:
        return values
    return np.where(values == own, values.dtype.type(product.fill), values)

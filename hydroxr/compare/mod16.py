"""MODIS evapotranspiration, MOD16A2 and MOD16A2GF, as delivered: NetCDF, GeoTIFF, HDF4-EOS, Zarr."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataFileError, MissingVariableError, UnitsError
from ..periods import composites, with_bounds
from ..variables import AMOUNT
from .mod16_files import open_granules, open_rasters

# Layer of the product -> what hydroxr calls it, and its long name.
_LAYERS = {
    "ET_500m": ("evapotranspiration", "evapotranspiration"),
    "PET_500m": ("pet", "potential evapotranspiration"),
}
SCALE = 0.1  # of the product's definition, where a file does not state it
_LARGEST = 32700  # valid before scaling; all above are codes
FILL_CODES = {
    32761: "unclassified",
    32762: "urban_or_built_up",
    32763: "permanent_wetland",
    32764: "perennial_snow_or_ice",
    32765: "barren_or_sparse_vegetation",
    32766: "water_body",
    32767: "fill_value",
}
_DIMS = {"ydim": "y", "xdim": "x", "YDim": "y", "XDim": "x", "latitude": "lat", "longitude": "lon"}
_REFERENCES = (
    "Running, S., Mu, Q., Zhao, M., & Moreno, A. (2021), doi:10.5067/MODIS/MOD16A2GF.061; "
    "Mu, Q., Zhao, M., & Running, S. W. (2011), doi:10.1016/j.rse.2011.02.019"
)

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def open_mod16(path: Paths, fill_codes: bool = False) -> xr.Dataset:
    """Open MOD16A2 or MOD16A2GF, version 061, lazily.

    Parameters
    ----------
    path
        A NetCDF file of AppEEARS; a Zarr store; one or a list of GeoTIFF files, or a folder of them, with
        the year and day of year in their names (AppEEARS: ``MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif``);
        granules ``MOD16A2GF.A2010001.h10v05.061.*.hdf``, where the GDAL of rasterio can read HDF4. GeoTIFF
        and HDF4 need the extra ``modis``.
    fill_codes
        Whether to tell, as ``fill_code``, why a pixel has no evapotranspiration.

    Returns
    -------
    Dataset
        ``evapotranspiration`` and ``pet`` (those that are there) ``(time, y, x)`` or ``(time, lat, lon)``,
        kg m-2 a composite (``time: sum``), missing where the product has one of its seven codes. ``time`` is
        the first day of each composite and ``time_bnds`` says how long it is: 8 days, or what is left of the
        year, 5 or 6. The grid mapping (MODIS' sinusoidal grid is on a sphere) is kept. ET_QC is
        left out, since it says nothing about the quality of evapotranspiration.

    Raises
    ------
    DataFileError, MissingVariableError, UnitsError, ImportError
    """
    raw = _open(path)
    raw = raw.rename({old: new for old, new in _DIMS.items() if old in raw.dims and new not in raw.variables})
    layers = [name for name in _LAYERS if name in raw]
    if not layers:
        raise MissingVariableError(
            f"there is no {' or '.join(_LAYERS)} in {path}; it has {', '.join(map(str, raw.data_vars))}."
        )
    out = xr.Dataset(coords={name: array for name, array in raw.coords.items() if "time" not in array.dims})
    for layer in layers:
        name, long_name = _LAYERS[layer]
        out[name] = _water(raw[layer])
        out[name].attrs = {
            "long_name": f"{long_name} of MOD16, sum over 8 days or what is left of the year",
            "units": AMOUNT,
            "cell_methods": "time: sum",
        }
    if fill_codes:
        out["fill_code"] = _codes(raw[layers[0]])
    mapping = _grid_mapping(raw, layers[0])
    if mapping is not None:
        out = out.assign_coords({mapping: raw[mapping].variable})
        for array in out.data_vars.values():
            array.attrs["grid_mapping"] = mapping
    out = with_bounds(out, composites(_first_days(raw, path)))
    out.attrs = {"title": "MODIS evapotranspiration, 8-day composites (MOD16A2)", "references": _REFERENCES}
    return out


def _open(path: Paths) -> xr.Dataset:
    """Whatever it is, as integers or as scaled numbers, with layers under the product's names."""
    if not isinstance(path, str | os.PathLike):
        return _of_files([Path(file) for file in path])
    place = Path(path)
    if not place.exists():
        raise DataFileError(f"there is nothing at {place}; expected NetCDF, GeoTIFF, HDF4 files or a Zarr.")
    if place.is_dir() and not _is_zarr(place):
        files = sorted(file for file in place.rglob("*") if file.suffix.lower() in (".tif", ".tiff", ".hdf"))
        netcdf = sorted(place.rglob("*.nc"))
        if not files and len(netcdf) == 1:
            return _of_file(netcdf[0])
        if not files:
            raise DataFileError(
                f"{place} holds no GeoTIFF or HDF4 files and {len(netcdf)} NetCDF files; expected files of "
                "MOD16A2, or one NetCDF file."
            )
        return _of_files(files)
    return _of_file(place) if _is_zarr(place) or place.suffix == ".nc" else _of_files([place])


def _is_zarr(place: Path) -> bool:
    return any((place / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _is_consolidated(place: Path) -> bool:
    new = place / "zarr.json"
    return "consolidated_metadata" in new.read_text() if new.exists() else (place / ".zmetadata").exists()


def _of_file(place: Path) -> xr.Dataset:
    how: dict[str, Any] = {"engine": "netcdf4"}
    if place.is_dir():
        how = {"engine": "zarr", "consolidated": _is_consolidated(place)}
    try:
        # Masked here and not by xarray, which knows one of the seven codes.
        ds = xr.open_dataset(place, mask_and_scale=False, **how)
    except (OSError, ValueError) as error:
        raise DataFileError(f"{place} cannot be read: {error}") from error
    if "time" not in ds.dims:
        raise DataFileError(f"{place} has dimensions {tuple(ds.dims)}; expected 'time' among them.")
    ds = ds.chunk({dim: "auto" if dim == "time" else -1 for dim in ds.dims})  # whole maps
    back = {name: layer for layer, (name, _) in _LAYERS.items() if name in ds and layer not in ds}
    return ds.rename(back)


def _of_files(files: list[Path]) -> xr.Dataset:
    kinds = {file.suffix.lower() for file in files}
    if kinds and kinds <= {".tif", ".tiff"}:
        return open_rasters(files, tuple(_LAYERS))
    if kinds == {".hdf"}:
        return open_granules(files, tuple(_LAYERS))
    raise DataFileError(
        f"the files are of kinds {', '.join(sorted(kinds)) or 'none'}; expected .tif, .hdf, or one .nc file."
    )


def _water(raw: xr.DataArray) -> xr.DataArray:
    """kg m-2 a composite, float32; NaN for codes."""
    scale, scaled = _scale(raw)
    largest = _LARGEST * SCALE if scaled else _LARGEST
    return (raw.astype("float32") * np.float32(scale)).where(raw <= largest)


def _scale(raw: xr.DataArray) -> tuple[float, bool]:
    """Factor to kg m-2, and whether the values bear the product's scale already."""
    stated = raw.attrs.get("scale_factor", raw.encoding.get("scale_factor"))
    offset = float(raw.attrs.get("add_offset", 0.0))
    if offset != 0.0 or (stated is not None and not np.isclose(float(stated), SCALE)):
        raise UnitsError(
            f"{raw.name!r} has scale_factor {stated} and add_offset {offset}; expected {SCALE} and 0, those "
            "of MOD16A2."
        )
    if stated is None and raw.dtype.kind == "f":
        return 1.0, True
    return SCALE, False


def _codes(raw: xr.DataArray) -> xr.DataArray:
    """The code of a pixel, 0 where it has a value."""
    _, scaled = _scale(raw)
    number = (raw / SCALE).round() if scaled else raw
    number = number.where(number > _LARGEST, 0)  # what is NaN already has lost its code
    out = number.fillna(0).astype("int16")
    out.attrs = {
        "long_name": "why there is no evapotranspiration, 0 where there is",
        "flag_values": np.array([0, *FILL_CODES], dtype="int16"),
        "flag_meanings": " ".join(["valid", *FILL_CODES.values()]),
    }
    return out


def _grid_mapping(raw: xr.Dataset, layer: str) -> str | None:
    attrs = raw[layer].attrs | raw[layer].encoding
    names = (attrs.get("grid_mapping"), "crs", "spatial_ref")
    return next((str(name) for name in names if name is not None and name in raw.variables), None)


def _first_days(raw: xr.Dataset, path: Paths) -> pd.DatetimeIndex:
    """First days of composites in the standard calendar; AppEEARS writes them in the Julian one."""
    index = raw.indexes["time"]
    if isinstance(index, xr.CFTimeIndex):
        # In both calendars 'days since 2000' counts alike from 1900 to 2100, and dates are the same.
        index = pd.DatetimeIndex([str(day)[:10] for day in index])
    days = index.floor("D").astype("datetime64[ns]")
    wrong = days[(days.day_of_year - 1) % 8 != 0]
    if len(wrong) or not (days.is_unique and days.is_monotonic_increasing):
        found = f"begins on {str(wrong[0])[:10]}" if len(wrong) else "comes twice or out of order"
        raise DataFileError(
            f"a composite of {path} {found}; expected days 1, 9, ..., 361 of each year, each once, ascending."
        )
    return days

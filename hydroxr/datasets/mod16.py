"""MODIS evapotranspiration, MOD16A2 and MOD16A2GF, as delivered: NetCDF, GeoTIFF, HDF4-EOS, Zarr."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..analysis.periods import composites, with_bounds
from ..conventions.variables import AMOUNT
from ..errors import DataFileError, MissingVariableError, UnitsError
from .mod16_files import open_granules, open_rasters

# Layer of the product -> what hydroxr calls it, and its long name.
_LAYERS = {
    "ET_500m": ("evapotranspiration", "evapotranspiration"),
    "PET_500m": ("pet", "potential evapotranspiration"),
}
SCALE = 0.1  # of the product's definition, where a file does not state it
_LARGEST = 32700  # valid before scaling; all above are codes
_CODES_END = 32767
_IMPOSSIBLE = 327.0  # kg m-2 a composite, 41 mm a day: no place evaporates that much
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
_RASTERS, _NETCDF = (".tif", ".tiff", ".hdf"), (".nc", ".nc4")
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
        One or several NetCDF files of AppEEARS (a list, a folder or a pattern such as ``et_*.nc``; their
        dates in any order); a Zarr store; one or a list of GeoTIFF files, or a folder of them, with
        the year and day of year in their names (AppEEARS: ``MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif``);
        granules ``MOD16A2GF.A2010001.h10v05.061.*.hdf``, where the GDAL of rasterio can read HDF4. GeoTIFF
        and HDF4 need the extra ``modis``.
    fill_codes
        Whether to tell, as ``fill_code``, why a pixel has no evapotranspiration.

    Returns
    -------
    Dataset
        ``evapotranspiration`` and ``pet`` (those that are there) ``(time, y, x)`` or ``(time, lat, lon)``,
        kg m-2 a composite (``time: sum``), missing where the product has one of its seven codes, or the file
        its own fill value or less than its valid range. Values that no scale makes possible raise UnitsError,
        when they are read. ``time`` is the first day of each composite and ``time_bnds`` says how long it is:
        8 days, or what is left of the year, 5 or 6. The grid mapping (MODIS' sinusoidal grid is on a sphere)
        is kept. ET_QC is left out, since it says nothing about the quality of evapotranspiration.

    Raises
    ------
    DataFileError, MissingVariableError, UnitsError, ImportError
    """
    raw = _open(path)
    raw = raw.rename({old: new for old, new in _DIMS.items() if old in raw.dims and new not in raw.variables})
    if not raw.indexes["time"].is_monotonic_increasing:
        raw = raw.sortby("time")
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
    if not place.exists() and (found := sorted(glob.glob(str(place)))):
        return _of_files([Path(file) for file in found])
    if not place.exists():
        raise DataFileError(f"there is nothing at {place}; expected NetCDF, GeoTIFF, HDF4 files or a Zarr.")
    if place.is_dir() and not _is_zarr(place):
        files = sorted(file for file in place.rglob("*") if file.suffix.lower() in _RASTERS)
        files = files or sorted(file for file in place.rglob("*") if file.suffix.lower() in _NETCDF)
        if not files:
            raise DataFileError(f"{place} holds no GeoTIFF, HDF4 or NetCDF files; expected files of MOD16A2.")
        return _of_files(files)
    return _of_file(place) if _is_zarr(place) else _of_files([place])


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
    if kinds and kinds <= set(_NETCDF):
        return _joined([_of_file(file) for file in files])
    if kinds and kinds <= {".tif", ".tiff"}:
        return open_rasters(files, tuple(_LAYERS))
    if kinds == {".hdf"}:
        return open_granules(files, tuple(_LAYERS))
    raise DataFileError(
        f"the files are of kinds {', '.join(sorted(kinds)) or 'none'}; expected .tif, .hdf or .nc files."
    )


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    """Files of one area one after the other, by their dates."""
    if len(parts) == 1:
        return parts[0]
    layers = [{name for name in _LAYERS if name in part} for part in parts]
    if not layers[0] or any(names != layers[0] for names in layers):
        raise DataFileError(
            f"the files hold different layers: {', '.join(sorted(set.union(*layers)))} are not in all; "
            "expected the same in each. Open those of each layer by themselves."
        )
    layer = min(layers[0])
    mappings = [name for name in [_grid_mapping(parts[0], layer)] if name is not None]
    kept = [part[[*sorted(layers[0]), *mappings]].set_coords(mappings) for part in parts]
    try:
        return xr.concat(
            kept, "time", coords="minimal", compat="override", join="exact", combine_attrs="override"
        )
    except ValueError as error:
        raise DataFileError(f"the files do not lie on one grid: {error}") from error


def _water(raw: xr.DataArray) -> xr.DataArray:
    """kg m-2 a composite, float32; NaN for codes, for the file's own fill values, below its valid range."""
    scale, scaled = _scale(raw)
    out: xr.DataArray = xr.apply_ufunc(
        _water_of_block,
        raw,
        kwargs={
            "scale": scale,
            "scaled": scaled,
            "fills": _fill_values(raw),
            "least": _least(raw),
            # What hydroxr wrote says so, and was looked at before.
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
    unit = SCALE if scaled else 1.0
    water = np.where(given & (numbers <= _LARGEST * unit), numbers * np.float32(scale), np.float32(np.nan))
    codes = given & (numbers > _LARGEST * unit)
    lowest, highest = np.nanmin(water, initial=0.0), np.nanmax(water, initial=0.0)
    above = max(float(np.max(numbers, where=codes, initial=0.0)), highest if bounded else 0.0)
    if bounded and (highest > _IMPOSSIBLE or above > (_CODES_END + 0.5) * SCALE):
        raise UnitsError(
            f"{name!r} has no scale_factor and values up to {above:g}; expected kg m-2 a composite, at most "
            f"{_IMPOSSIBLE:g}, in floating-point numbers without one. Set its 'scale_factor' to {SCALE}, or "
            "give integers."
        )
    if lowest < -_IMPOSSIBLE:
        raise UnitsError(
            f"{name!r} has values down to {lowest:g} kg m-2 a composite; expected {-_IMPOSSIBLE:g} at least. "
            "If that stands for missing values, set its '_FillValue' (GeoTIFF: nodata)."
        )
    return water


def _fill_values(raw: xr.DataArray) -> list[float]:
    """What a file says stands for missing values, besides the product's codes."""
    stated = [
        where[key]
        for where in (raw.attrs, raw.encoding)
        for key in ("_FillValue", "missing_value")
        if key in where
    ]
    return sorted({float(value) for given in stated for value in np.atleast_1d(given)})


def _least(raw: xr.DataArray) -> float:
    """The smallest valid value, as stored."""
    limits = raw.attrs.get("valid_range", raw.attrs.get("valid_min"))
    return -np.inf if limits is None else float(np.atleast_1d(limits)[0])


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
    own = [fill for fill in _fill_values(raw) if scaled or not _LARGEST < fill <= _CODES_END]
    number = number.where(~raw.isin(own), _CODES_END) if own else number
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
        found = f"begins on {str(wrong[0])[:10]}" if len(wrong) else "comes twice"
        raise DataFileError(
            f"a composite of {path} {found}; expected days 1, 9, ..., 361 of each year, each once."
        )
    return days

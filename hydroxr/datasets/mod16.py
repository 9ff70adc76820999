"""MODIS evapotranspiration, MOD16A2 and MOD16A2GF, as a labelled Dataset."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from ..analysis.periods import composites, with_bounds
from ..conventions.variables import AMOUNT
from ..errors import DataFileError, MissingVariableError
from .mod16_files import LAYERS, Paths, grid_mapping, open_files
from .mod16_values import codes, water

_DIMS = {"ydim": "y", "xdim": "x", "YDim": "y", "XDim": "x", "latitude": "lat", "longitude": "lon"}
_REFERENCES = (
    "Running, S., Mu, Q., Zhao, M., & Moreno, A. (2021), doi:10.5067/MODIS/MOD16A2GF.061; "
    "Mu, Q., Zhao, M., & Running, S. W. (2011), doi:10.1016/j.rse.2011.02.019"
)


def open_mod16(path: Paths, fill_codes: bool = False) -> xr.Dataset:
    """Open MOD16A2 or MOD16A2GF, version 061, lazily.

    Parameters
    ----------
    path : path, pattern or iterable of paths
        - NetCDF files of AppEEARS: one, a list, a folder or a pattern such as ``et_*.nc``, in any order.
        - A Zarr store.
        - GeoTIFF files: one, a list or a folder, with the year and day of year in the names, such as
          ``MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif`` of AppEEARS.
        - Granules such as ``MOD16A2GF.A2010001.h10v05.061.*.hdf``, if the GDAL of rasterio can read HDF4.

        GeoTIFF and HDF4 need the extra ``modis``.
    fill_codes : bool
        Whether to add ``fill_code``, the reason why a pixel has no evapotranspiration.

    Returns
    -------
    Dataset
        ``evapotranspiration`` and ``pet``, as far as present, ``(time, y, x)`` or ``(time, lat, lon)``,
        kg m-2 per composite (``time: sum``). Missing are pixels with one of the seven codes of the product,
        with a fill value of the file, or below its valid range. ``time`` is the first day of each composite;
        ``time_bnds`` gives its length of 8 days, or 5 or 6 at the end of a year. The grid mapping is kept
        (the sinusoidal grid of MODIS is on a sphere). ``ET_QC`` is left out, since it does not describe the
        quality of evapotranspiration.

    Raises
    ------
    DataFileError
        If files are absent, unreadable or do not belong together, or dates do not begin composites.
    MissingVariableError
        If there is neither ``ET_500m`` nor ``PET_500m``.
    UnitsError
        If scale or offset contradict the definition of MOD16A2; when values are read, if they are impossible.
    ImportError
        If the extra ``modis`` is needed and not installed.
    """
    raw = open_files(path)
    raw = raw.rename({old: new for old, new in _DIMS.items() if old in raw.dims and new not in raw.variables})
    if not raw.indexes["time"].is_monotonic_increasing:
        raw = raw.sortby("time")
    layers = [name for name in LAYERS if name in raw]
    if not layers:
        raise MissingVariableError(
            f"there is no {' or '.join(LAYERS)} in {path}; it has {', '.join(map(str, raw.data_vars))}. Pass "
            "files of MOD16A2."
        )
    out = xr.Dataset(coords={name: array for name, array in raw.coords.items() if "time" not in array.dims})
    for layer in layers:
        name, long_name = LAYERS[layer]
        out[name] = water(raw[layer])
        out[name].attrs = {
            "long_name": f"{long_name} of MOD16, sum over 8 days or what is left of the year",
            "units": AMOUNT,
            "cell_methods": "time: sum",
        }
    if fill_codes:
        out["fill_code"] = codes(raw[layers[0]])
    mapping = grid_mapping(raw, layers[0])
    if mapping is not None:
        out = out.assign_coords({mapping: raw[mapping].variable})
        for array in out.data_vars.values():
            array.attrs["grid_mapping"] = mapping
    out = with_bounds(out, composites(_first_days(raw, path)))
    out.attrs = {"title": "MODIS evapotranspiration, 8-day composites (MOD16A2)", "references": _REFERENCES}
    return out


def _first_days(raw: xr.Dataset, path: Paths) -> pd.DatetimeIndex:
    """First days of composites in the standard calendar; AppEEARS uses the Julian calendar."""
    index = raw.indexes["time"]
    if isinstance(index, xr.CFTimeIndex):
        # From 1900 to 2100 'days since 2000' means the same date in both calendars.
        index = pd.DatetimeIndex([str(day)[:10] for day in index])
    days = index.floor("D").astype("datetime64[ns]")
    wrong = days[(days.day_of_year - 1) % 8 != 0]
    if len(wrong) or not (days.is_unique and days.is_monotonic_increasing):
        found = f"begins on {str(wrong[0])[:10]}" if len(wrong) else "comes twice"
        raise DataFileError(
            f"a composite of {path} {found}; expected days 1, 9, ..., 361 of each year, each once."
        )
    return days

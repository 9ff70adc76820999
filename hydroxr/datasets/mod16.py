"""MODIS evapotranspiration, MOD16A2, MOD16A2GF and MOD16A3GF, as a labelled Dataset."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from ..analysis.periods import periods_within, with_bounds
from ..conventions.variables import AMOUNT
from ..errors import DataFileError, DescriptionError, MissingVariableError
from .mod16_files import Paths, grid_mapping, open_files
from .mod16_hdf4 import SINUSOIDAL
from .mod16_values import LAYERS, NAME, Product, codes, product_of, water

_DIMS = {"ydim": "y", "xdim": "x", "YDim": "y", "XDim": "x", "latitude": "lat", "longitude": "lon"}
_REFERENCES = (
    "Running, S., Mu, Q., Zhao, M., & Moreno, A. (2021), doi:10.5067/MODIS/MOD16A2GF.061; "
    "Mu, Q., Zhao, M., & Running, S. W. (2011), doi:10.1016/j.rse.2011.02.019"
)


def open_mod16(
    path: Paths, fill_codes: bool = False, *, product: str | None = None, scale: float | None = None
) -> xr.Dataset:
    """Open MOD16A2, MOD16A2GF (8 days) or MOD16A3GF (years), version 061, lazily.

    Parameters
    ----------
    path : path, pattern or iterable of paths
        - NetCDF files of AppEEARS: one, a list, a folder or a pattern such as ``et_*.nc``, in any order.
        - NetCDF files of an OPeNDAP server: joined in time, or one granule each, with HDF-EOS' groups (DAP4).
        - A Zarr store.
        - GeoTIFF files: one, a list or a folder, with the year and day of year in the names, such as
          ``MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif`` of AppEEARS.
        - HDF-EOS2 granules such as ``MOD16A2GF.A2010001.h10v05.061.*.hdf``.
        - CSV tables: point samples and area statistics of AppEEARS, or means over basins exported from Earth
          Engine (``ET``, ``PET``, the label, and a date or ``system:index``; or columns such as
          ``2010_01_01_ET``).

        GeoTIFF needs the extra ``modis``; HDF-EOS2 needs ``hdf4``, or a rasterio whose GDAL reads HDF4.
    fill_codes : bool
        Whether to add ``fill_code``, the reason why a pixel has no evapotranspiration. Tables have none.
    product : str, optional
        Name of the product, where neither names of files nor units tell.
    scale : float, optional
        For tables of Earth Engine, which do not say whether they are scaled: 0.1 for numbers as in the
        collection, 1 for kg m-2.

    Returns
    -------
    Dataset
        ``evapotranspiration`` and ``pet``, as far as present, ``(time, y, x)``, ``(time, lat, lon)`` or, of
        tables, ``(basin, time)``, kg m-2 per composite or year (``time: sum``). Missing are pixels with one
        of the seven codes of the product, with a fill value of the file, or below its valid range. ``time``
        is the first day of each composite or year; ``time_bnds`` gives its length: 8 days, 5 or 6 at the end
        of a year, or a year. The grid mapping is kept (the sinusoidal grid of MODIS is on a sphere).
        ``ET_QC`` is left out, since it does not describe the quality of evapotranspiration.

    Raises
    ------
    DataFileError
        If files are absent, unreadable or do not belong together, dates do not begin composites or years, or
        nothing tells which of both they are.
    DescriptionError
        If ``product`` is unknown, or a table needs ``scale``.
    MissingVariableError
        If there is neither ``ET_500m`` nor ``PET_500m``.
    UnitsError
        If scale, offset or units contradict the definition of the product; when values are read, if they are
        impossible.
    ImportError
        If an extra is needed and not installed.
    """
    if product is not None and not NAME.fullmatch(product):
        raise DescriptionError(f"product is {product!r}; expected 'MOD16A2', 'MOD16A2GF' or 'MOD16A3GF'.")
    raw = open_files(path, scale)
    raw = raw.rename({old: new for old, new in _DIMS.items() if old in raw.dims and new not in raw.variables})
    if not raw.indexes["time"].is_monotonic_increasing:
        raw = raw.sortby("time")
    layers = [name for name in LAYERS if name in raw]
    if not layers:
        raise MissingVariableError(
            f"there is no {' or '.join(LAYERS)} in {path}; it has {', '.join(map(str, raw.data_vars))}. Pass "
            "files of MOD16A2 or MOD16A3."
        )
    known = product_of(raw, layers, product)
    out = xr.Dataset(coords={name: array for name, array in raw.coords.items() if "time" not in array.dims})
    for layer in layers:
        name, long_name = LAYERS[layer]
        out[name] = water(raw[layer], known)
        step = "a year" if known.step == "year" else "8 days or what is left of the year"
        out[name].attrs = {
            "long_name": f"{long_name} of MOD16, sum over {step}",
            "units": AMOUNT,
            "cell_methods": "time: sum",
        }
    if fill_codes:
        out["fill_code"] = codes(raw[layers[0]], known)
    mapping = grid_mapping(raw, layers[0])
    if mapping is not None:
        name = "crs" if mapping.startswith("_") else mapping  # CF wants a letter first
        out = out.drop_vars(mapping, errors="ignore").assign_coords({name: raw[mapping].variable})
        if out[name].attrs.get("grid_mapping_name") == "sinusoidal" and "crs_wkt" not in out[name].attrs:
            out[name].attrs = SINUSOIDAL | out[name].attrs  # servers leave its numbers out
        for array in out.data_vars.values():
            array.attrs["grid_mapping"] = name
    out = with_bounds(out, periods_within(_first_days(raw, path, known), known.step))
    steps = "yearly sums" if known.step == "year" else "8-day composites"
    out.attrs = {"title": f"MODIS evapotranspiration, {steps} ({known.name})", "references": _REFERENCES}
    return out


def _first_days(raw: xr.Dataset, path: Paths, product: Product) -> pd.DatetimeIndex:
    """First days of composites or years in the standard calendar; AppEEARS uses the Julian calendar."""
    index = raw.indexes["time"]
    if isinstance(index, xr.CFTimeIndex):
        # From 1900 to 2100 'days since 2000' means the same date in both calendars.
        index = pd.DatetimeIndex([str(day)[:10] for day in index])
    days = index.floor("D").astype("datetime64[ns]")
    yearly = product.step == "year"
    wrong = days[(days.day_of_year - 1) % (366 if yearly else 8) != 0]
    if len(wrong) or not (days.is_unique and days.is_monotonic_increasing):
        found = f"begins on {str(wrong[0])[:10]}" if len(wrong) else "comes twice"
        what, when = ("year", "1 January") if yearly else ("composite", "days 1, 9, ..., 361 of each year")
        raise DataFileError(f"a {what} of {path} {found}; expected {when}, each once.")
    return days

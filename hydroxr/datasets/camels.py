"""CAMELS-US as a labelled Dataset, from a compact NetCDF file or from the files as published.

Both give the same names, units and basin numbers, so that what is written for one runs on the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.variables import AMOUNT, DAILY_MEAN, VARIABLES
from ..errors import DataFileError, EmptySelectionError
from .camels_files import FLAG_MEANINGS, FLAG_OTHER
from .camels_published import check_known, find_layout, open_published

# Name of a forcing product -> its folder in the published set, and what it is called.
_PRODUCTS = {
    "daymet": ("daymet", "Daymet"),
    "nldas": ("nldas", "NLDAS"),
    "maurer": ("maurer_extended", "Maurer"),
    "maurer_extended": ("maurer_extended", "Maurer"),
}

_REFERENCES = (
    "Newman et al. (2015), doi:10.5194/hess-19-209-2015; Addor et al. (2017), doi:10.5194/hess-21-5293-2017"
)

# Table of the published set -> attribute -> unit (None: text) and long name. The names are those of
# Table A1 of Feng et al. (2022); the units are those that the values have, which is the table's own
# but for geol_permeability.
_TABLES: dict[str, dict[str, tuple[str | None, str]]] = {
    "name": {
        "huc_02": (None, "region: two-digit hydrologic unit"),
        "basin_name": (None, "name of the gauge"),
    },
    "topo": {
        "lat": ("degrees_north", "latitude of the gauge"),
        "lon": ("degrees_east", "longitude of the gauge"),
        "elev_mean": ("m", "mean elevation of the catchment"),
        "slope_mean": ("m km-1", "mean slope of the catchment"),
        "area_gages2": ("km2", "catchment area, estimate of GAGES-II"),
        "area_geospa_fabric": ("km2", "catchment area, estimate of the geospatial fabric"),
    },
    "clim": {
        "p_mean": ("mm day-1", "mean daily precipitation"),
        "pet_mean": ("mm day-1", "mean daily potential evapotranspiration"),
        "p_seasonality": ("1", "seasonality and timing of precipitation; above 0 it peaks in summer"),
        "frac_snow": ("1", "fraction of precipitation that falls as snow"),
        "aridity": ("1", "mean potential evapotranspiration over mean precipitation"),
        "high_prec_freq": ("day year-1", "frequency of days of high precipitation"),
        "high_prec_dur": ("day", "mean duration of events of high precipitation"),
        "high_prec_timing": (None, "season with most days of high precipitation"),
        "low_prec_freq": ("day year-1", "frequency of dry days"),
        "low_prec_dur": ("day", "mean duration of dry periods"),
        "low_prec_timing": (None, "season with most dry days"),
    },
    "vege": {
        "frac_forest": ("1", "forest fraction"),
        "lai_max": ("1", "maximum of the monthly mean leaf area index"),
        "lai_diff": ("1", "range of the monthly mean leaf area index"),
        "gvf_max": ("1", "maximum of the monthly mean green vegetation fraction"),
        "gvf_diff": ("1", "range of the monthly mean green vegetation fraction"),
        "dom_land_cover_frac": ("1", "fraction of the catchment under its dominant land cover"),
        "dom_land_cover": (None, "dominant land cover"),
        "root_depth_50": ("m", "root depth, 50th percentile"),
        "root_depth_99": ("m", "root depth, 99th percentile"),
    },
    "soil": {
        "soil_depth_pelletier": ("m", "depth to bedrock"),
        "soil_depth_statsgo": ("m", "soil depth"),
        "soil_porosity": ("1", "volumetric porosity of the soil"),
        "soil_conductivity": ("cm hour-1", "saturated hydraulic conductivity"),
        "max_water_content": ("m", "maximum water content of the soil"),
        "sand_frac": ("%", "sand fraction of the soil"),
        "silt_frac": ("%", "silt fraction of the soil"),
        "clay_frac": ("%", "clay fraction of the soil"),
        "water_frac": ("%", "fraction of the top 1.5 m marked as water"),
        "organic_frac": ("%", "fraction of the top 1.5 m marked as organic material"),
        "other_frac": ("%", "fraction of the top 1.5 m marked as other"),
    },
    "geol": {
        "geol_class_1st": (None, "most common geologic class"),
        "geol_class_1st_frac": ("1", "fraction of the catchment of its most common geologic class"),
        "geol_class_2nd": (None, "second most common geologic class"),
        "geol_class_2nd_frac": ("1", "fraction of the catchment of its second most common geologic class"),
        "carbonate_rocks_frac": ("1", "fraction of the catchment with carbonate sedimentary rocks"),
        "geol_porosity": ("1", "subsurface porosity"),
        "geol_permeability": ("1", "subsurface permeability: log10 of its value in m2"),
    },
    "hydro": {
        "q_mean": ("mm day-1", "mean daily streamflow"),
        "runoff_ratio": ("1", "mean streamflow over mean precipitation"),
        "slope_fdc": ("1", "slope of the flow duration curve between its 33rd and 66th percentiles"),
        "baseflow_index": ("1", "baseflow index: baseflow over streamflow, Lyne-Hollick filter"),
        "stream_elas": ("1", "elasticity of streamflow to precipitation"),
        "q5": ("mm day-1", "streamflow, 5th percentile"),
        "q95": ("mm day-1", "streamflow, 95th percentile"),
        "high_q_freq": ("day year-1", "frequency of days of high flow"),
        "high_q_dur": ("day", "mean duration of events of high flow"),
        "low_q_freq": ("day year-1", "frequency of days of low flow"),
        "low_q_dur": ("day", "mean duration of events of low flow"),
        "zero_q_freq": ("1", "fraction of days without flow"),
        "hfd_mean": (
            "day",
            "mean date by which half the flow of a water year has passed, days from 1 October",
        ),
    },
}

# Of compact files alone.
_EXTRA: dict[str, tuple[str | None, str]] = {
    "bfi_ave_gagesii": ("1", "baseflow index of GAGES-II (USGS), independent of CAMELS"),
    "in_531": (None, "whether the basin is one of the 531 of the benchmark literature"),
    "pub_fold": (None, "fold of the tenfold experiment of prediction in ungauged basins"),
    "pur_region": (None, "region of the sevenfold experiment of prediction in ungauged regions"),
}

_ATTRS: dict[str, dict[str, Any]] = {
    name: {"long_name": long_name} | ({"units": units} if units else {})
    for table in (*_TABLES.values(), _EXTRA)
    for name, (units, long_name) in table.items()
}
_ATTRS |= {
    "prcp": VARIABLES["prcp"].attrs(),
    "tmin": VARIABLES["tmin"].attrs() | {"units_metadata": "temperature: on_scale"},
    "tmax": VARIABLES["tmax"].attrs() | {"units_metadata": "temperature: on_scale"},
    "lat": VARIABLES["lat"].attrs() | _ATTRS["lat"],
    "lon": {"standard_name": "longitude"} | _ATTRS["lon"],
    "streamflow": VARIABLES["streamflow"].attrs()
    | {"long_name": "observed streamflow per unit area (area_gages2)"},
    # No cell_methods: the mean leaves out the night.
    "srad": {
        "standard_name": "surface_downwelling_shortwave_flux_in_air",
        "long_name": "shortwave radiation, mean over the daylight hours",
        "units": "W m-2",
    },
    "vp": {
        "standard_name": "water_vapor_partial_pressure_in_air",
        "long_name": "water vapour pressure",
        "units": "Pa",
        "cell_methods": DAILY_MEAN,
    },
    "dayl": {"long_name": "day length", "units": "s"},
    "swe": {"standard_name": "surface_snow_amount", "long_name": "snow water equivalent", "units": AMOUNT},
    "streamflow_flag": {
        "standard_name": "quality_flag",
        "long_name": "quality of the observed streamflow",
        "flag_values": np.arange(FLAG_OTHER + 1, dtype=np.int8),
        "flag_meanings": FLAG_MEANINGS,
    },
    "basin": {"long_name": "position of the basin in the tables of CAMELS-US"},
    "basin_id": {"cf_role": "timeseries_id", "long_name": "USGS gauge"},
    "time": {
        "standard_name": "time",
        "long_name": "day",
        "axis": "T",
        "units_metadata": "leap_seconds: none",
    },
}


def open_camels(
    path: str | os.PathLike[str],
    forcing: str = "daymet",
    basins: Iterable[str | int] | str | int | None = None,
) -> xr.Dataset:
    """Open the CAMELS-US catchments: forcing, observed streamflow and attributes.

    Parameters
    ----------
    path
        A compact NetCDF file; a folder that holds exactly one; or a folder with the set as published:
        ``basin_mean_forcing``, ``usgs_streamflow`` (each flat or with a folder for each region, and
        possibly inside ``basin_dataset_public_v1p2``) and ``camels_attributes_v2.0``.
    forcing
        ``"daymet"``, ``"nldas"`` or ``"maurer"``. Compact files hold one product only.
    basins
        Gauges to open, eight digits each (whole numbers are padded with zeros); all of them by default.
        The result has them in the order of the file, not in that of the list.

    Returns
    -------
    xarray.Dataset
        Dimensions ``(basin, time)``. ``prcp`` [kg m-2 day-1, in number mm/day], ``tmin`` and ``tmax``
        [degC], ``srad`` [W m-2], ``vp`` [Pa], ``dayl`` [s], ``streamflow`` over ``area_gages2``
        [kg m-2 day-1], missing where not observed; the attributes of the catchments, each with its
        unit. ``basin`` numbers the basins of the whole set from 0; ``basin_id``, ``basin_name``,
        ``lat`` and ``lon`` are coordinates. Missing text is ``""``.

        A compact file is opened lazily and its values are left as stored. The published files are
        read into memory and give two variables more: ``swe`` [kg m-2] and ``streamflow_flag``, the
        quality of streamflow (see its ``flag_meanings``; "missing" where there is no record). Their
        time axis is the union of the basins' forcing days; streamflow of other days is left out.

    Raises
    ------
    DataFileError
        Where something is not there, damaged or not as published, or `basins` are unknown.
    EmptySelectionError
        Where `basins` is empty.

    Notes
    -----
    The NLDAS files published with CAMELS have tmin = tmax on every day: there is no temperature range
    for Hargreaves' formula in them. ``comment`` of ``tmin`` and ``tmax`` says so.

    Examples
    --------
    >>> ds = open_camels("camels_us", basins=["01022500", "03015500"])  # doctest: +SKIP
    """
    if forcing.lower() not in _PRODUCTS:
        raise DataFileError(
            f"forcing={forcing!r} is no product of CAMELS-US; expected {', '.join(_PRODUCTS)}. Choose one."
        )
    folder, product = _PRODUCTS[forcing.lower()]
    wanted = None if basins is None else _gauges(basins)
    place = Path(path).expanduser()
    if not place.exists():
        raise DataFileError(
            f"{place}: there is no such file or folder; expected CAMELS-US as a NetCDF file or a folder. "
            "Correct the path."
        )
    layout = find_layout(place) if place.is_dir() else None
    if layout is None:
        ds = _open_compact(_compact_file(place), product, wanted)
    else:
        columns = {
            table: {name: units is None for name, (units, _) in rows.items()}
            for table, rows in _TABLES.items()
        }
        ds = open_published(layout, folder, product, columns, wanted)
    return _describe(ds)


def _describe(ds: xr.Dataset) -> xr.Dataset:
    """Give a Dataset and its variables their attributes, in place.

    A variable that comes with units of its own, other than those expected, is left as it is.
    """
    for name, variable in ds.variables.items():
        attrs = _ATTRS.get(str(name))
        if attrs is not None and variable.attrs.get("units") in (None, attrs.get("units")):
            variable.attrs = attrs | _rounding(variable.attrs)
            for limit in {"valid_min", "valid_max"} & attrs.keys():
                variable.attrs[limit] = variable.dtype.type(attrs[limit])  # CF: of the type of the values
    ds.attrs["references"] = _REFERENCES
    return ds


def _gauges(basins: Iterable[str | int] | str | int) -> set[str]:
    """Gauges that a caller named, as eight digits."""
    named = [basins] if isinstance(basins, (str, int, np.integer)) else list(basins)
    if not named:
        raise EmptySelectionError("basins=[] selects nothing; name at least one gauge, or None for all.")
    return {str(np.asarray(gauge).item()).zfill(8) for gauge in named}


def _compact_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in (".nc", ".nc4"))
    if len(found) == 1:
        return found[0]
    held = f"{len(found)} NetCDF files ({', '.join(file.name for file in found)})" if found else "neither"
    raise DataFileError(
        f"{path}: holds {held}; expected either a folder basin_mean_forcing (CAMELS-US as published) or "
        "exactly one compact NetCDF file. Give the path of that file or of the folder above that folder."
    )


def _open_compact(path: Path, product: str, wanted: set[str] | None) -> xr.Dataset:
    """Open a compact file lazily; the variables keep the attributes that the file has."""
    try:
        ds = xr.open_dataset(path, engine="netcdf4")
    except (OSError, ValueError) as error:
        raise DataFileError(
            f"{path}: cannot be opened as NetCDF ({error}); expected a compact file of CAMELS-US. "
            "Fetch it again, or correct the path."
        ) from error
    try:
        _check_compact(ds, path, product)
        # Labels are small, and in memory they cannot disagree with a file that changes later.
        ids = ds["basin_id"].values.astype(str)
        if wanted is not None:
            check_known(wanted, ids, path)
    except DataFileError:
        ds.close()
        raise
    for variable in ds.variables.values():
        if "scale_factor" in variable.encoding:
            # Packed to integers again when written, valid_min and valid_max would count as packed, too.
            for key in ("scale_factor", "add_offset", "dtype", "_FillValue"):
                variable.encoding.pop(key, None)
    if wanted is None:
        return ds
    chosen = ds.isel(basin=np.flatnonzero(np.isin(ids, list(wanted))))
    chosen.set_close(ds.close)
    return chosen


def _check_compact(ds: xr.Dataset, path: Path, product: str) -> None:
    """Refuse what is no compact file, or one of another forcing product."""
    needed = ("basin_id", "prcp", "tmin", "tmax", "streamflow")
    absent = [name for name in needed if name not in ds.variables]
    if absent or set(ds["prcp"].dims) != {"basin", "time"}:
        found = f"has no {', '.join(absent)}" if absent else f"has prcp on {ds['prcp'].dims}"
        raise DataFileError(
            f"{path}: {found}; expected a compact file of CAMELS-US with {', '.join(needed)} on "
            "(basin, time). Open other files with xarray."
        )
    title = str(ds.attrs.get("title", ""))
    # Where the title names no product, the file is taken for what most are.
    held = {name for _, name in _PRODUCTS.values() if name.lower() in title.lower()} or {"Daymet"}
    if product not in held:
        raise DataFileError(
            f"{path}: holds {', '.join(held)} forcing (title {title!r}); expected {product} forcing. "
            "Open the published files for it, or choose the forcing that the file has."
        )


def _rounding(attrs: dict[Any, Any]) -> dict[str, str]:
    """Say in words how a variable is rounded, where only an attribute of the NetCDF library tells."""
    bits = attrs.get("_QuantizeBitRoundNumberOfSignificantBits")
    if bits is None:
        # Other comments of the file hold on.
        return {"comment": str(attrs["comment"])} if "comment" in attrs else {}
    error = 2.0 ** -(int(bits) + 1)  # half of the last bit kept behind the leading one
    return {"comment": f"stored with {bits} significant bits: relative error up to {error:.1%}"}

"""Names, units and descriptions of the variables of CAMELS-US."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..conventions.variables import AMOUNT, DAILY_MEAN, VARIABLES
from .camels_text import FLAG_MEANINGS, FLAG_OTHER

# Table of the published set -> attribute -> units (None: text) and long name. Names are those of Table A1
# of Feng et al. (2022). Units are those of the values, which differ from that table for geol_permeability.
TABLES: dict[str, dict[str, tuple[str | None, str]]] = {
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

# Attributes of compact files alone.
_EXTRA: dict[str, tuple[str | None, str]] = {
    "bfi_ave_gagesii": ("1", "baseflow index of GAGES-II (USGS), independent of CAMELS"),
    "in_531": (None, "whether the basin is one of the 531 of the benchmark literature"),
    "pub_fold": (None, "fold of the tenfold experiment of prediction in ungauged basins"),
    "pur_region": (None, "region of the sevenfold experiment of prediction in ungauged regions"),
}

ATTRS: dict[str, dict[str, Any]] = {
    name: {"long_name": long_name} | ({"units": units} if units else {})
    for table in (*TABLES.values(), _EXTRA)
    for name, (units, long_name) in table.items()
}
ATTRS |= {
    "prcp": VARIABLES["prcp"].attrs(),
    "tmean": VARIABLES["tmean"].attrs() | {"units_metadata": "temperature: on_scale"},
    "tmin": VARIABLES["tmin"].attrs() | {"units_metadata": "temperature: on_scale"},
    "tmax": VARIABLES["tmax"].attrs() | {"units_metadata": "temperature: on_scale"},
    "lat": VARIABLES["lat"].attrs() | ATTRS["lat"],
    "lon": {"standard_name": "longitude"} | ATTRS["lon"],
    "streamflow": VARIABLES["streamflow"].attrs()
    | {"long_name": "observed streamflow per unit area (area_gages2)"},
    # No cell_methods, since the mean excludes the night.
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
    "basin_id": {"cf_role": "timeseries_id", "long_name": "USGS gauge"},
    "time": {
        "standard_name": "time",
        "long_name": "day",
        "axis": "T",
        "units_metadata": "leap_seconds: none",
    },
}

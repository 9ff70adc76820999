"""Names of daily inputs, areas and latitudes in published data sets, where they are not those of the table.

They count after the names and standard names of :mod:`hydroxr.conventions.variables`, in any case of
letters. Sources are the file layouts of CAMELS-GB, -CH, -DE, -AUS, -BR, -CL, -DK and -FR, LamaH-CE,
Caravan, ERA5-Land, Daymet, gridMET, NLDAS-2, E-OBS and CMIP6, of PRMS and of the package AquaFetch.
ERA5's potential evaporation ('pev') is not among them: it is negative, and far above that of other data sets.
"""

from __future__ import annotations

SYNONYMS: dict[str, tuple[str, ...]] = {
    "prcp": (
        "precipitation_mean",  # CAMELS-DE
        "total_precipitation_sum",  # Caravan
        "total_precipitation",
        "tp",  # ERA5-Land
        "prec",  # LamaH-CE
        "tsd_prec",  # CAMELS-FR
        "precipitation_amount",  # gridMET
        "rainf",  # NLDAS-2; its name is that of all precipitation
        "apcp",
        "rr",  # E-OBS
        "precipitation_awap",  # CAMELS-AUS
        "precipitation_silo",
        "precipitation_agcd",
        "precipitation_chirps",  # CAMELS-BR
        "precipitation_mswep",
        "precipitation_cpc",
        "precip_cr2met",  # CAMELS-CL
        "precip_chirps",
        "precip_mswep",
        "precip_tmpa",
        "precip",
        "ppt",
        "pcp_mm",  # AquaFetch
    ),
    "tmean": (
        "temperature",  # CAMELS-GB, -DK
        "temperature_mean",  # CAMELS-CH, -DE
        "temperature_2m_mean",  # Caravan
        "2m_temp_mean",  # LamaH-CE
        "2m_temperature",  # ERA5-Land
        "temperature_2m",
        "tsd_temp",  # CAMELS-FR
        "tmean_cr2met",  # CAMELS-CL
        "temperature_cpc",  # CAMELS-BR
        "tair",  # NLDAS-2
        "tmp",
        "tg",  # E-OBS
        "tavg",
        "temp",
        "air_temperature",
        "airtemp_c_mean",  # AquaFetch
    ),
    "tmin": (
        "temperature_min",
        "temperature_2m_min",
        "2m_temp_min",
        "tsd_temp_min",
        "tmin_cr2met",
        "tmin_awap",
        "tmin_silo",
        "tmin_agcd",
        "tmmn",  # gridMET
        "daily_minimum_temperature",
        "tn",
        "airtemp_c_min",
    ),
    "tmax": (
        "temperature_max",
        "temperature_2m_max",
        "2m_temp_max",
        "tsd_temp_max",
        "tmax_cr2met",
        "tmax_awap",
        "tmax_silo",
        "tmax_agcd",
        "tmmx",
        "daily_maximum_temperature",
        "tx",
        "airtemp_c_max",
    ),
    "pet": (
        "potential_evapotranspiration",  # gridMET
        "potential_evaporation",
        "pet_hargreaves",  # CAMELS-CL, -DE
        "potential_evaporation_sum_fao_penman_monteith",  # Caravan
        "potential_evapotransp_gleam",  # CAMELS-BR
        "tsd_pet_ou",  # CAMELS-FR
        "tsd_pet_pe",
        "tsd_pet_pm",
        "et_morton_wet_silo",  # CAMELS-AUS
        "et_short_crop_silo",
        "potevap",  # NLDAS-2
        "evpot",
        "et0",
        "eto",
        "etp",
        "pet_mm",
    ),
    "streamflow": (
        "discharge_spec",  # CAMELS-GB, -CH, -DE
        "discharge_vol",
        "streamflow_mmd",  # CAMELS-AUS
        "streamflow_mld",
        "streamflow_mm",  # CAMELS-BR, -CL
        "streamflow_m3s",
        "tsd_q_mm",  # CAMELS-FR
        "tsd_q_l",
        "q_obs",
        "discharge",
        "q_mm_obs",  # AquaFetch
        "q_cms_obs",
    ),
    "area": (
        "area_km2",
        "area_calc",  # LamaH-CE
        "catch_area",  # CAMELS-DK
        "sta_area_snap",  # CAMELS-FR
        "drainage_area",
        "basin_area",
        "drain_sqkm",  # GAGES-II
        "hru_area",  # PRMS
    ),
    "lat": (
        "gauge_lat",  # CAMELS, Caravan
        "lat_outlet",  # CAMELS-AUS
        "sit_latitude",  # CAMELS-FR
        "hru_lat",  # PRMS
    ),
}

# Rain and snow apart, which together are precipitation.
RAIN = ("rain", "rainfall", "rainf", "liquid_precipitation", "prra")
SNOW = ("snow", "snowfall", "snowf", "solid_precipitation", "prsn")

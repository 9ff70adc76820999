"""Layouts of published data sets of catchments: where their files are and what their columns hold.

A new data set is a new entry of ``LAYOUTS``.
"""

from __future__ import annotations

from dataclasses import dataclass

Columns = dict[str, tuple[str, str]]  # column of the files -> role, units


@dataclass(frozen=True)
class Series:
    """One family of files with daily series.

    Parameters
    ----------
    pattern
        Below the folder, with ``{gauge}`` for the gauge; without it, one file has a column per gauge.
    columns
        What to read. A file with a column per gauge has one entry, whose name does not matter.
    date
        The column of the date, or those of year, month and day.
    needed
        Whether a folder without these files is not of this layout.
    """

    pattern: str
    columns: Columns
    date: tuple[str, ...] = ("date",)
    needed: bool = False


@dataclass(frozen=True)
class CatchmentLayout:
    """One data set.

    Parameters
    ----------
    title, version, reference
        For attributes and messages.
    series
        Families of files. Where two hold the same role, the first comes first.
    tables
        Patterns of the attribute tables.
    gauge
        The column of the gauge in the tables.
    names
        Attribute -> its name in hydroxr, for the place, the name and the area.
    same
        Attribute -> attribute of CAMELS-US with the same meaning and units.
    transposed
        Whether tables have a column, not a row, per gauge.
    """

    title: str
    version: str
    reference: str
    series: tuple[Series, ...]
    tables: tuple[str, ...]
    gauge: str
    names: dict[str, str]
    same: dict[str, str]
    transposed: bool = False


_YMD = ("year", "month", "day")
_CLIMATE = {
    name: name
    for name in (
        *("p_mean", "pet_mean", "aridity", "p_seasonality", "frac_snow"),
        *("high_prec_freq", "high_prec_dur", "low_prec_freq", "low_prec_dur"),
    )
}
_GAUGE = {"gauge_name": "basin_name", "gauge_lat": "lat", "gauge_lon": "lon", "area": "area"}
_TEMPERATURES: Columns = {
    "temperature_min": ("tmin", "degC"),
    "temperature_mean": ("tmean", "degC"),
    "temperature_max": ("tmax", "degC"),
}


def _wide(pattern: str, role: str, units: str, date: tuple[str, ...], needed: bool = False) -> Series:
    return Series(pattern, {"value": (role, units)}, date, needed)


def _brazil(folder: str, column: str, role: str, units: str) -> Series:
    needed = role == "streamflow"
    return Series(f"*{folder}*/{{gauge}}_{column}.txt", {column: (role, units)}, _YMD, needed)


def _australia(pattern: str, role: str, units: str) -> Series:
    return _wide(f"**/{pattern}.csv", role, units, _YMD, role == "streamflow")


def _chile(name: str, role: str, units: str) -> Series:
    return _wide(f"**/*_CAMELScl_{name}.txt", role, units, ("gauge_id",), role == "streamflow")


_CARAVAN_COLUMNS: Columns = {
    "total_precipitation_sum": ("prcp", "mm/day"),
    "temperature_2m_min": ("tmin", "degC"),
    "temperature_2m_mean": ("tmean", "degC"),
    "temperature_2m_max": ("tmax", "degC"),
    # Versions before 1.5 have only the potential evaporation of ERA5-Land, which is far too high.
    "potential_evaporation_sum_FAO_PENMAN_MONTEITH": ("pet", "mm/day"),
    "streamflow": ("streamflow", "mm/day"),
    "surface_pressure_mean": ("ps", "kPa"),
}
_CARAVAN_TABLES = tuple(
    f"attributes/**/attributes_{part}_*.csv" for part in ("other", "caravan", "hydroatlas")
)

LAYOUTS: dict[str, CatchmentLayout] = {
    "caravan": CatchmentLayout(
        "Caravan",
        "1.6 and before; before 1.5 without PET of FAO 56",
        "Kratzert et al. (2023), doi:10.1038/s41597-023-01975-w",
        (
            Series("**/timeseries/netcdf/*/{gauge}.nc", _CARAVAN_COLUMNS),
            Series("**/timeseries/csv/*/{gauge}.csv", _CARAVAN_COLUMNS),
        ),
        _CARAVAN_TABLES,
        "gauge_id",
        _GAUGE,
        {
            "p_mean": "p_mean",
            "frac_snow": "frac_snow",
            **{name: name for name in _CLIMATE if "_prec_" in name},
            "area": "area_gages2",
            "ele_mt_sav": "elev_mean",
        },
    ),
    "camels-gb": CatchmentLayout(
        "CAMELS-GB",
        "1",
        "Coxon et al. (2020), doi:10.5194/essd-12-2459-2020",
        (
            Series(
                "**/CAMELS_GB_hydromet_timeseries_{gauge}_*.csv",
                {
                    "precipitation": ("prcp", "mm/day"),
                    "pet": ("pet", "mm/day"),
                    "temperature": ("tmean", "degC"),
                    "discharge_spec": ("streamflow", "mm/day"),
                    "shortwave_rad": ("srad", "W m-2"),
                    "windspeed": ("wind", "m s-1"),
                    "humidity": ("huss", "g kg-1"),
                },
                needed=True,
            ),
        ),
        ("**/CAMELS_GB_*_attributes.csv",),
        "gauge_id",
        _GAUGE,
        _CLIMATE
        | {"area": "area_gages2", "elev_mean": "elev_mean", "dpsbar": "slope_mean"}
        | {"sand_perc": "sand_frac", "silt_perc": "silt_frac", "clay_perc": "clay_frac"},
    ),
    "camels-ch": CatchmentLayout(
        "CAMELS-CH",
        "0.9",
        "Höge et al. (2023), doi:10.5194/essd-15-5755-2023",
        (
            Series(
                "**/CAMELS_CH_obs_based_{gauge}.csv",
                {
                    "precipitation(mm/d)": ("prcp", "mm/day"),
                    "temperature_min(degC)": ("tmin", "degC"),
                    "temperature_mean(degC)": ("tmean", "degC"),
                    "temperature_max(degC)": ("tmax", "degC"),
                    "discharge_spec(mm/d)": ("streamflow", "mm/day"),
                },
                needed=True,
            ),
            Series("**/CAMELS_CH_sim_based_{gauge}.csv", {"pet_sim(mm/d)": ("pet", "mm/day")}),
        ),
        ("**/CAMELS_CH_*_attributes*.csv",),
        "gauge_id",
        _GAUGE,
        _CLIMATE | {"area": "area_gages2", "elev_mean": "elev_mean"},
    ),
    "camels-de": CatchmentLayout(
        "CAMELS-DE",
        "1.0",
        "Loritz et al. (2024), doi:10.5194/essd-16-5625-2024",
        (
            Series(
                "**/CAMELS_DE_hydromet_timeseries_{gauge}.csv",
                {
                    "precipitation_mean": ("prcp", "mm/day"),
                    **_TEMPERATURES,
                    "discharge_spec_obs": ("streamflow", "mm/day"),
                    "discharge_spec": ("streamflow", "mm/day"),
                    "radiation_global_mean": ("srad", "W m-2"),
                },
                needed=True,
            ),
            Series("**/CAMELS_DE_discharge_sim_{gauge}.csv", {"pet_hargreaves": ("pet", "mm/day")}),
        ),
        ("**/CAMELS_DE_*_attributes.csv",),
        "gauge_id",
        _GAUGE,
        _CLIMATE | {"area": "area_gages2", "elev_mean": "elev_mean"},
    ),
    "camels-fr": CatchmentLayout(
        "CAMELS-FR",
        "3",
        "Delaigue et al. (2025), doi:10.5194/essd-17-1461-2025",
        (
            Series(
                "**/CAMELS_FR_tsd_{gauge}.csv",
                {
                    "tsd_prec": ("prcp", "mm/day"),
                    "tsd_temp": ("tmean", "degC"),
                    "tsd_temp_min": ("tmin", "degC"),
                    "tsd_temp_max": ("tmax", "degC"),
                    "tsd_pet_ou": ("pet", "mm/day"),
                    "tsd_q_mm": ("streamflow", "mm/day"),
                    "tsd_wind": ("wind", "m s-1"),
                },
                ("tsd_date",),
                needed=True,
            ),
        ),
        ("**/CAMELS_FR_*_attributes.csv", "**/CAMELS_FR_*statistics.csv"),
        "sta_code_h3",
        {
            "sta_label": "basin_name",
            "sta_y_w84": "lat",
            "sta_x_w84": "lon",
            "sta_area_snap": "area",
        },
        {"sta_area_snap": "area_gages2", "top_altitude_mean": "elev_mean"},
    ),
    "camels-aus": CatchmentLayout(
        "CAMELS-AUS",
        "2 (and 1)",
        "Fowler et al. (2021), doi:10.5194/essd-13-3847-2021; (2025), doi:10.5194/essd-17-4079-2025",
        (
            _australia("streamflow_mmd", "streamflow", "mm/day"),
            _australia("precipitation_A[GW][CA][DP]", "prcp", "mm/day"),
            _australia("tmin_A[GW][CA][DP]", "tmin", "degC"),
            _australia("tmax_A[GW][CA][DP]", "tmax", "degC"),
            _australia("et_morton_wet_SILO", "pet", "mm/day"),
        ),
        ("**/CAMELS_AUS_Attributes*MasterTable*.csv",),
        "station_id",
        {
            "station_name": "basin_name",
            "lat_outlet": "lat",
            "long_outlet": "lon",
            "catchment_area": "area",
        },
        _CLIMATE | {"catchment_area": "area_gages2", "elev_mean": "elev_mean"},
    ),
    "camels-br": CatchmentLayout(
        "CAMELS-BR",
        "1.2",
        "Chagas et al. (2020), doi:10.5194/essd-12-2075-2020",
        (
            _brazil("CAMELS_BR_streamflow_mm", "streamflow_mm", "streamflow", "mm/day"),
            _brazil("CAMELS_BR_precipitation_chirps", "precipitation_chirps", "prcp", "mm/day"),
            _brazil("CAMELS_BR_temperature_min", "temperature_min_cpc", "tmin", "degC"),
            _brazil("CAMELS_BR_temperature_mean", "temperature_mean_cpc", "tmean", "degC"),
            _brazil("CAMELS_BR_temperature_max", "temperature_max_cpc", "tmax", "degC"),
            _brazil("CAMELS_BR_potential_evapotransp", "potential_evapotransp_gleam", "pet", "mm/day"),
        ),
        ("**/camels_br_*.txt",),
        "gauge_id",
        _GAUGE,
        _CLIMATE
        | {"area": "area_gages2", "elev_mean": "elev_mean", "slope_mean": "slope_mean"}
        | {"sand_perc": "sand_frac", "silt_perc": "silt_frac", "clay_perc": "clay_frac"},
    ),
    "camels-cl": CatchmentLayout(
        "CAMELS-CL",
        "2018",
        "Alvarez-Garreton et al. (2018), doi:10.5194/hess-22-5817-2018",
        (
            _chile("streamflow_mm", "streamflow", "mm/day"),
            _chile("precip_cr2met", "prcp", "mm/day"),
            _chile("tmin_cr2met", "tmin", "degC"),
            _chile("tmean_cr2met", "tmean", "degC"),
            _chile("tmax_cr2met", "tmax", "degC"),
            _chile("pet_hargreaves", "pet", "mm/day"),
        ),
        ("**/*_CAMELScl_attributes.txt",),
        "gauge_id",
        _GAUGE,
        {"area": "area_gages2", "elev_mean": "elev_mean", "slope_mean": "slope_mean"},
        transposed=True,
    ),
    "lamah-ce": CatchmentLayout(
        "LamaH-CE",
        "1.0, catchments of the whole upstream area (A)",
        "Klingler et al. (2021), doi:10.5194/essd-13-4529-2021",
        (
            Series(
                "**/A_basins_total_upstrm/2_timeseries/daily/ID_{gauge}.csv",
                {
                    "prec": ("prcp", "mm/day"),
                    "2m_temp_min": ("tmin", "degC"),
                    "2m_temp_mean": ("tmean", "degC"),
                    "2m_temp_max": ("tmax", "degC"),
                    "2m_dp_temp_mean": ("tdew", "degC"),
                },
                ("YYYY", "MM", "DD"),
                needed=True,
            ),
            Series(
                "**/D_gauges/2_timeseries/daily/ID_{gauge}.csv",
                {"qobs": ("streamflow", "m3 s-1")},
                ("YYYY", "MM", "DD"),
            ),
        ),
        ("**/A_basins_total_upstrm/1_attributes/Catchment_attributes.csv", "**/Gauge_attributes.csv"),
        "ID",
        {"name": "basin_name", "lat": "lat", "lon": "lon", "area_calc": "area"},
        _CLIMATE | {"area_calc": "area_gages2", "elev_mean": "elev_mean", "slope_mean": "slope_mean"},
    ),
}

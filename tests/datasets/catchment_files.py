"""Small files in the layouts in which data sets of catchments are published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

DAYS = pd.date_range("1999-12-30", periods=40)
GAUGES = ("101", "202")
PRCP = {gauge: 2.0 + np.arange(40) % 3 + place for place, gauge in enumerate(GAUGES)}
FLOW = {gauge: 1.0 + np.arange(40) % 5 / 10 for gauge in GAUGES}
AREA = {"101": 100.0, "202": 250.5}


def write(path: Path, table: pd.DataFrame, separator: str = ",", head: str = "", **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + table.to_csv(sep=separator, index=False, **options), encoding="utf-8")


def attributes(gauge: str = "gauge_id", **names: str) -> pd.DataFrame:
    """Place, name and area; one name is empty, and so is a number."""
    named = {"name": "gauge_name", "lat": "gauge_lat", "lon": "gauge_lon", "area": "area"} | names
    return pd.DataFrame(
        {
            gauge: GAUGES,
            named["name"]: ["Säge unten", ""],
            named["lat"]: [47.0, 46.5],
            named["lon"]: [8.0, 9.0],
            named["area"]: [AREA[each] for each in GAUGES],
            "elev_mean": ["", 900],
            "own_class": ["karst", ""],
        }
    )


def by_date(columns: dict[str, Any], style: str = "%Y-%m-%d", date: str = "date") -> pd.DataFrame:
    return pd.DataFrame({date: DAYS.strftime(style), **columns})


def by_parts(columns: dict[str, Any], names: tuple[str, str, str] = ("year", "month", "day")) -> pd.DataFrame:
    parts = dict(zip(names, (DAYS.year, DAYS.month, DAYS.day), strict=True))
    return pd.DataFrame({**parts, **columns})


def camels_gb(root: Path) -> None:
    for gauge in GAUGES:
        table = by_date(
            {"precipitation": PRCP[gauge], "pet": 1.5, "temperature": 8.0, "discharge_spec": FLOW[gauge]}
        )
        write(root / f"data/timeseries/CAMELS_GB_hydromet_timeseries_{gauge}_19701001-20150930.csv", table)
    write(root / "data/CAMELS_GB_topographic_attributes.csv", attributes())


def camels_ch(root: Path) -> None:
    for gauge in GAUGES:
        columns = {
            "discharge_spec(mm/d)": FLOW[gauge],
            "precipitation(mm/d)": PRCP[gauge],
            "temperature_min(degC)": 3.0,
            "temperature_mean(degC)": 8.0,
            "temperature_max(degC)": 13.0,
        }
        folder = root / "timeseries"
        write(folder / f"observation_based/CAMELS_CH_obs_based_{gauge}.csv", by_date(columns))
        simulated = by_date({"pet_sim(mm/d)": 1.5})
        write(folder / f"simulation_based/CAMELS_CH_sim_based_{gauge}.csv", simulated)
    path = root / "static_attributes/CAMELS_CH_topographic_attributes.csv"
    write(path, attributes(), ";", "# topographic attributes\n")


def camels_de(root: Path) -> None:
    for gauge in GAUGES:
        columns = {"precipitation_mean": PRCP[gauge], "temperature_mean": 8.0, "discharge_spec": FLOW[gauge]}
        write(root / f"timeseries/CAMELS_DE_hydromet_timeseries_{gauge}.csv", by_date(columns))
        simulated = by_date({"pet_hargreaves": 1.5})
        write(root / f"timeseries_simulated/CAMELS_DE_discharge_sim_{gauge}.csv", simulated)
    write(root / "CAMELS_DE_topographic_attributes.csv", attributes())


def camels_fr(root: Path) -> None:
    for gauge in GAUGES:
        columns = {"tsd_q_mm": FLOW[gauge], "tsd_prec": PRCP[gauge], "tsd_temp": 8.0, "tsd_pet_ou": 1.5}
        path = root / f"CAMELS_FR_time_series/daily/CAMELS_FR_tsd_{gauge}.csv"
        write(path, by_date(columns, "%Y%m%d", "tsd_date"), ";", "# CAMELS-FR\n# daily\n")
    names = {"name": "sta_label", "lat": "sta_y_w84", "lon": "sta_x_w84", "area": "sta_area_snap"}
    path = root / "CAMELS_FR_attributes/static_attributes/CAMELS_FR_station_general_attributes.csv"
    write(path, attributes("sta_code_h3", **names), ";")


def camels_aus(root: Path) -> None:
    missing = {gauge: np.where(np.arange(40) == 7, -99.99, FLOW[gauge]) for gauge in GAUGES}
    tables = {
        "03_streamflow/streamflow_mmd": missing,
        "05_hydrometeorology/01_precipitation_timeseries/precipitation_AGCD": PRCP,
        "05_hydrometeorology/02_EvaporativeDemand_timeseries/et_morton_wet_SILO": dict.fromkeys(GAUGES, 1.5),
        "05_hydrometeorology/03_Other/AGCD/tmin_AGCD": dict.fromkeys(GAUGES, 3.0),
        "05_hydrometeorology/03_Other/AGCD/tmax_AGCD": dict.fromkeys(GAUGES, 13.0),
    }
    for name, columns in tables.items():
        write(root / f"{name}.csv", by_parts(columns))
    names = {"name": "station_name", "lat": "lat_outlet", "lon": "long_outlet", "area": "catchment_area"}
    write(root / "CAMELS_AUS_Attributes&Indices_MasterTable.csv", attributes("station_id", **names))


def camels_br(root: Path) -> None:
    tables = {
        "3_CAMELS_BR_streamflow_mm_selected_catchments": ("streamflow_mm", FLOW),
        "5_CAMELS_BR_precipitation_chirps": ("precipitation_chirps", PRCP),
        "9_CAMELS_BR_potential_evapotransp_gleam": (
            "potential_evapotransp_gleam",
            dict.fromkeys(GAUGES, 1.5),
        ),
        "11_CAMELS_BR_temperature_mean_cpc": ("temperature_mean_cpc", dict.fromkeys(GAUGES, 8.0)),
    }
    for folder, (name, values) in tables.items():
        for gauge in GAUGES:
            write(root / folder / f"{gauge}_{name}.txt", by_parts({name: values[gauge]}), " ")
    write(root / "1_CAMELS_BR_attributes/camels_br_location.txt", attributes().replace("", "NA"), " ")


def camels_cl(root: Path) -> None:
    tables = {
        "3_CAMELScl_streamflow_mm": FLOW,
        "4_CAMELScl_precip_cr2met": PRCP,
        "10_CAMELScl_tmean_cr2met": dict.fromkeys(GAUGES, 8.0),
        "12_CAMELScl_pet_hargreaves": dict.fromkeys(GAUGES, 1.5),
    }
    for name, columns in tables.items():
        write(root / name / f"{name}.txt", by_date(columns, date="gauge_id"), "\t", quoting=1)
    across = attributes().set_index("gauge_id").T.rename_axis("gauge_id").reset_index()
    write(root / "1_CAMELScl_attributes/1_CAMELScl_attributes.txt", across, "\t", quoting=1)


def lamah(root: Path) -> None:
    parts = ("YYYY", "MM", "DD")
    for gauge in GAUGES:
        columns = {"2m_temp_max": 13.0, "2m_temp_mean": 8.0, "2m_temp_min": 3.0, "prec": PRCP[gauge]}
        path = root / f"A_basins_total_upstrm/2_timeseries/daily/ID_{gauge}.csv"
        write(path, by_parts(columns, parts), ";")
        flow = by_parts({"qobs": FLOW[gauge] * AREA[gauge] / 86.4, "ckhs": 1}, parts)
        write(root / f"D_gauges/2_timeseries/daily/ID_{gauge}.csv", flow, ";")
    path = root / "A_basins_total_upstrm/1_attributes/Catchment_attributes.csv"
    names = {"name": "name", "lat": "lat", "lon": "lon", "area": "area_calc"}
    write(path, attributes("ID", **names), ";")


def caravan_attributes(root: Path) -> None:
    table = attributes().drop(columns=["own_class", "elev_mean"])
    write(root / "attributes/camels/attributes_other_camels.csv", table)
    own = pd.DataFrame({"gauge_id": GAUGES, "ele_mt_sav": ["", 900], "own_class": ["karst", ""]})
    write(root / "attributes/camels/attributes_hydroatlas_camels.csv", own)


CARAVAN = {
    "total_precipitation_sum": PRCP,
    "temperature_2m_mean": dict.fromkeys(GAUGES, 8.0),
    "potential_evaporation_sum_ERA5_LAND": dict.fromkeys(GAUGES, 9.0),
    "potential_evaporation_sum_FAO_PENMAN_MONTEITH": dict.fromkeys(GAUGES, 1.5),
    "streamflow": FLOW,
}


def caravan_csv(root: Path) -> None:
    for gauge in GAUGES:
        table = by_date({name: values[gauge] for name, values in CARAVAN.items()})
        write(root / f"timeseries/csv/camels/{gauge}.csv", table)
    caravan_attributes(root)


def caravan_netcdf(root: Path) -> None:
    (root / "timeseries/netcdf/camels").mkdir(parents=True)
    for gauge in GAUGES:
        data = {name: ("date", np.broadcast_to(values[gauge], 40)) for name, values in CARAVAN.items()}
        path = root / f"timeseries/netcdf/camels/{gauge}.nc"
        xr.Dataset(data, {"date": DAYS}).to_netcdf(path)
    caravan_attributes(root)


MADE: dict[str, Callable[[Path], None]] = {
    "camels-gb": camels_gb,
    "camels-ch": camels_ch,
    "camels-de": camels_de,
    "camels-fr": camels_fr,
    "camels-aus": camels_aus,
    "camels-br": camels_br,
    "camels-cl": camels_cl,
    "lamah-ce": lamah,
    "caravan": caravan_csv,
    "caravan NetCDF": caravan_netcdf,
}

"""Small files in the layouts in which gridded forcing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

NORTH, EAST = np.array([46.2, 46.1, 46.0]), np.array([7.0, 7.1])
CELSIUS = 273.15


def grid(
    series: dict[str, tuple[np.ndarray, dict[str, Any]]],
    time: Any,
    names: tuple[str, str, str],
    places: tuple[np.ndarray, np.ndarray] = (NORTH, EAST),
) -> xr.Dataset:
    """Each series of time times 1, 2, ... over the cells, so that cells differ."""
    cells = np.arange(1.0, 1 + len(places[0]) * len(places[1])).reshape(len(places[0]), len(places[1]))
    data = {
        name: (
            names,
            np.asarray(values)[:, None, None] + 0.0 * cells
            if "K" in str(attrs)
            else np.asarray(values)[:, None, None] * cells,
            attrs,
        )
        for name, (values, attrs) in series.items()
    }
    coords = {
        names[0]: time,
        names[1]: (names[1], places[0], {"units": "degrees_north"}),
        names[2]: (names[2], places[1], {"units": "degrees_east"}),
    }
    return xr.Dataset(data, coords)


def hourly(hours_more: int = 1) -> tuple[pd.DatetimeIndex, np.ndarray, np.ndarray]:
    """Hours of four days, the rain of the hour before each (m), and temperature (K)."""
    time = pd.date_range("2020-02-27 00:00", periods=4 * 24 + hours_more, freq="h")
    hours = np.arange(len(time))
    return time, 1e-4 * (hours % 7), CELSIUS + 5 + 3 * np.sin(2 * np.pi * hours / 24)


def era5_land(hours_more: int = 1) -> xr.Dataset:
    """As the Climate Data Store delivers it: sums since 00 UTC, north first, ``valid_time``."""
    time, rain, kelvin = hourly(hours_more)
    since = pd.Series(rain, time).groupby((time - pd.Timedelta("1h")).floor("D")).cumsum().values
    series = {
        "tp": (since, {"units": "m", "GRIB_stepType": "accum"}),
        "t2m": (kelvin, {"units": "K", "GRIB_stepType": "instant"}),
        "ssrd": (since * 1e10, {"units": "J m**-2"}),
        "u10": (np.full(len(time), 3.0), {"units": "m s**-1"}),
        "v10": (np.full(len(time), 4.0), {"units": "m s**-1"}),
    }
    ds = grid(series, time, ("valid_time", "latitude", "longitude"))
    return ds.assign_coords(number=0, expver=("valid_time", ["0001"] * len(time)))


DAYMET_PROJECTION = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [25.0, 60.0],
    "longitude_of_central_meridian": -100.0,
    "latitude_of_projection_origin": 42.5,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}


def daymet(tmp_path: Path) -> Path:
    """As the ORNL DAAC delivers it: Lambert's projection, 365 days in a leap year."""
    days = pd.date_range("2019-12-01", "2021-02-28")
    days = days[~((days.month == 12) & (days.day == 31) & days.is_leap_year)] + pd.Timedelta("12h")
    count = np.arange(len(days), dtype="f4")
    series = {
        "prcp": (count / 2, {"units": "mm/day", "grid_mapping": "lambert_conformal_conic"}),
        "tmin": (count * 0 + 1, {"units": "degrees C"}),
        "tmax": (count * 0 + 2, {"units": "degrees C"}),
        "srad": (count * 0 + 300, {"units": "W/m2"}),
        "vp": (count * 0 + 600, {"units": "Pa"}),
        "dayl": (count * 0 + 40000, {"units": "s"}),
    }
    ds = grid(series, days, ("time", "y", "x"))
    ds = ds.assign_coords(
        x=("x", [1000.0, 2000.0], {"units": "m", "standard_name": "projection_x_coordinate"}),
        y=("y", [3000.0, 2000.0, 1000.0], {"units": "m", "standard_name": "projection_y_coordinate"}),
        lat=(("y", "x"), np.full((3, 2), 45.0), {"units": "degrees_north"}),
    )
    ds["lambert_conformal_conic"] = ((), 0, DAYMET_PROJECTION)
    ds["yearday"] = ("time", days.day_of_year.astype("i2"))
    path = tmp_path / "daymet_v4_daily.nc"
    ds.to_netcdf(path)
    return path


def gridmet(folder: Path) -> None:
    """A file for each variable."""
    days = pd.date_range("2000-01-01", periods=20)
    files: dict[str, tuple[str, float, dict[str, Any]]] = {
        "pr": ("precipitation_amount", 4.0, {"units": "mm", "cell_methods": "time: sum"}),
        "tmmn": (
            "air_temperature",
            270.0,
            {"units": "K", "cell_methods": "time: minimum"},
        ),
        "tmmx": (
            "air_temperature",
            280.0,
            {"units": "K", "cell_methods": "time: maximum"},
        ),
        "pet": ("potential_evapotranspiration", 2.0, {"units": "mm"}),
        "srad": ("surface_downwelling_shortwave_flux_in_air", 90.0, {"units": "W m-2"}),
    }
    for stem, (name, value, attrs) in files.items():
        values = np.full(len(days), value, "f4")
        ds = grid({name: (values, attrs)}, days, ("day", "lat", "lon"))
        ds.assign_coords(crs=("crs", [3])).to_netcdf(folder / f"{stem}_2000.nc")


def nldas() -> xr.Dataset:
    """Three days and an hour."""
    time, rain, kelvin = hourly()
    series = {
        "Rainf": (rain * 1000, {"units": "kg m-2"}),
        "Tair": (kelvin, {"units": "K"}),
        "PotEvap": (rain * 500, {"units": "kg m-2"}),
    }
    return grid(series, time, ("time", "lat", "lon"))


def e_obs() -> xr.Dataset:
    """Twenty days."""
    days = pd.date_range("2000-01-01", periods=20)
    series = {name: (np.ones(20), {"units": units}) for name, units in (("rr", "mm"), ("tg", "Celsius"))}
    return grid(series, days, ("time", "latitude", "longitude"))


def cmip6(calendar: str) -> xr.Dataset:
    """Four hundred days of 1 mm."""
    days = xr.date_range("2000-01-01", periods=400, calendar=calendar, use_cftime=True)
    series = {
        "pr": (np.full(400, 1 / 86400), {"units": "kg m-2 s-1"}),
        "tasmin": (np.full(400, 280.0), {"units": "K"}),
        "tasmax": (np.full(400, 290.0), {"units": "K"}),
    }
    ds = grid(series, days, ("time", "lat", "lon")).assign_coords(height=2.0)
    ds["time_bnds"] = (("time", "bnds"), np.stack([days, days], 1))
    return ds

"""Layouts of gridded forcing as it is downloaded: names of the variables, and how their values count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

# How a value counts for a time step: a state at the time stamp; a sum over the step that ends there; a sum
# since 00 UTC; or a mean over the step around or after the stamp.
Kind = Literal["instant", "sum", "accumulated", "mean"]

Row = tuple[str, Kind]  # hydroxr's name (a role), and how the values count


@dataclass(frozen=True)
class GridLayout:
    """One source.

    Parameters
    ----------
    title
        Its name, for attributes and messages.
    variables
        Variable of the files -> role and kind.
    recognised
        Whether a Dataset looks like this source.
    components
        Two components of the wind, if it comes so.
    no_leap_days
        Whether the files lack 31 December in leap years.
    """

    title: str
    variables: dict[str, Row]
    recognised: Callable[[xr.Dataset], bool]
    components: tuple[str, str] | None = None
    no_leap_days: bool = False


def _spacing(ds: xr.Dataset) -> float | None:
    """Distance of the cells in degrees, or None if there is one row only."""
    for name in ("latitude", "lat"):
        if name in ds.dims and ds.sizes[name] > 1:
            return float(np.abs(np.diff(ds[name].values[:2]))[0])
    return None


def _has(*names: str) -> Callable[[xr.Dataset], bool]:
    return lambda ds: any(name in ds.data_vars for name in names)


def _era5(low: float, high: float) -> Callable[[xr.Dataset], bool]:
    """ERA5 and ERA5-Land have the same names; their cells are 0.25 and 0.1 degrees wide."""
    return lambda ds: _has("tp", "t2m")(ds) and low < (_spacing(ds) or 0.0) < high


def _daymet(ds: xr.Dataset) -> bool:
    return "prcp" in ds and ("lambert_conformal_conic" in ds.variables or "yearday" in ds.variables)


def _cmip6(ds: xr.Dataset) -> bool:
    return ds.attrs.get("mip_era") == "CMIP6" or _has("pr", "tas", "tasmax")(ds)


def _reanalysis(kind: Kind) -> dict[str, Row]:
    return {
        "tp": ("prcp", kind),
        "t2m": ("tmean", "instant"),
        "d2m": ("tdew", "instant"),
        "ssrd": ("srad", kind),
        "sp": ("ps", "instant"),
    }


LAYOUTS: dict[str, GridLayout] = {
    "era5-land": GridLayout(
        "ERA5-Land", _reanalysis("accumulated"), _era5(0.05, 0.15), components=("u10", "v10")
    ),
    "era5": GridLayout("ERA5", _reanalysis("sum"), _era5(0.22, 0.6), components=("u10", "v10")),
    "daymet": GridLayout(
        "Daymet 4",
        {name: (name, "mean") for name in ("prcp", "tmin", "tmax", "srad", "vp", "dayl")},
        _daymet,
        no_leap_days=True,
    ),
    "gridmet": GridLayout(
        "gridMET",
        {
            "precipitation_amount": ("prcp", "sum"),
            "tmmn": ("tmin", "mean"),
            "tmmx": ("tmax", "mean"),
            "daily_minimum_temperature": ("tmin", "mean"),
            "daily_maximum_temperature": ("tmax", "mean"),
            "potential_evapotranspiration": ("pet", "sum"),
            "daily_mean_reference_evapotranspiration_grass": ("pet", "sum"),
            "surface_downwelling_shortwave_flux_in_air": ("srad", "mean"),
            "daily_mean_shortwave_radiation_at_surface": ("srad", "mean"),
            "specific_humidity": ("huss", "mean"),
            "daily_mean_specific_humidity": ("huss", "mean"),
            "wind_speed": ("wind", "mean"),
            "daily_mean_wind_speed": ("wind", "mean"),
        },
        lambda ds: "day" in ds.dims or _has("precipitation_amount", "tmmn", "daily_minimum_temperature")(ds),
    ),
    "nldas-2": GridLayout(
        "NLDAS-2",
        {
            "Rainf": ("prcp", "sum"),
            "Tair": ("tmean", "instant"),
            "PotEvap": ("pet", "sum"),
            "SWdown": ("srad", "instant"),
            "Qair": ("huss", "instant"),
            "PSurf": ("ps", "instant"),
        },
        _has("Rainf", "Tair"),
        components=("Wind_E", "Wind_N"),
    ),
    "e-obs": GridLayout(
        "E-OBS",
        {
            "rr": ("prcp", "sum"),
            "tg": ("tmean", "mean"),
            "tn": ("tmin", "mean"),
            "tx": ("tmax", "mean"),
            "qq": ("srad", "mean"),
            "hu": ("rh", "mean"),
            "fg": ("wind", "mean"),
        },
        _has("rr", "tg", "tn", "tx"),
    ),
    "cmip6": GridLayout(
        "CMIP6",
        {
            "pr": ("prcp", "mean"),
            "tas": ("tmean", "mean"),
            "tasmin": ("tmin", "mean"),
            "tasmax": ("tmax", "mean"),
            "evspsblpot": ("pet", "mean"),
            "rsds": ("srad", "mean"),
            "huss": ("huss", "mean"),
            "hurs": ("rh", "mean"),
            "sfcWind": ("wind", "mean"),
            "ps": ("ps", "mean"),
        },
        _cmip6,
    ),
}

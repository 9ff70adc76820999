"""Potential evapotranspiration from the energy balance: Priestley-Taylor and Penman-Monteith.

Equations are those of Allen et al. (1998), FAO 56, if nothing else is said. The heat flux into the soil is
0, as FAO 56 takes it for days. Results are in mm/day, at least 0.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .sun import extraterrestrial_radiation, place_and_day
from .temperature import LATENT_HEAT, finished

_ALBEDO = 0.23  # of the reference grass
_STEFAN_BOLTZMANN = 4.903e-9  # MJ K-4 m-2 day-1
_KELVIN = 273.16  # as FAO 56 has it in equation 39
_PRIESTLEY_TAYLOR = 1.26


def saturation_pressure(temperature: xr.DataArray) -> xr.DataArray:
    """Saturation vapour pressure, kPa, at a temperature in degC (equation 11)."""
    return 0.6108 * xr.ufuncs.exp(17.27 * temperature / (temperature + 237.3))


def air_pressure(elevation: xr.DataArray) -> xr.DataArray:
    """Atmospheric pressure, kPa, at an elevation in m (equation 7)."""
    return 101.3 * ((293.0 - 0.0065 * elevation) / 293.0) ** 5.26


def elevation_of(pressure: xr.DataArray) -> xr.DataArray:
    """Elevation, m, with an atmospheric pressure in kPa: :func:`air_pressure` backwards."""
    return 293.0 / 0.0065 * (1.0 - (pressure / 101.3) ** (1.0 / 5.26))


def wind_at_2m(speed: xr.DataArray, height: float) -> xr.DataArray:
    """Wind speed at 2 m, m s-1, from that at another height in m (equation 47)."""
    return speed * 4.87 / np.log(67.8 * height - 5.42)


def net_radiation(
    shortwave: xr.DataArray,
    tmin: xr.DataArray,
    tmax: xr.DataArray,
    vapour_pressure: xr.DataArray,
    latitude: xr.DataArray,
    elevation: xr.DataArray,
) -> xr.DataArray:
    """Net radiation of the reference grass, MJ m-2 day-1 (equations 37 to 40).

    Parameters
    ----------
    shortwave : DataArray
        Downwelling shortwave radiation, MJ m-2 day-1.
    tmin, tmax : DataArray
        degC.
    vapour_pressure : DataArray
        kPa.
    latitude, elevation : DataArray, without ``time``
        degrees north and m.
    """
    clear = (0.75 + 2e-5 * elevation) * extraterrestrial_radiation(*place_and_day(latitude, shortwave))
    # ASCE-EWRI (2005) bounds the share of the clear sky's radiation; in the polar night it is unknown: 1.
    share = (shortwave / clear.where(clear > 0.0)).clip(0.3, 1.0).fillna(1.0)
    emitted = 0.5 * _STEFAN_BOLTZMANN * ((tmin + _KELVIN) ** 4 + (tmax + _KELVIN) ** 4)
    longwave = emitted * (0.34 - 0.14 * np.sqrt(vapour_pressure.clip(min=0.0))) * (1.35 * share - 0.35)
    return (1.0 - _ALBEDO) * shortwave - longwave


def priestley_taylor(net: xr.DataArray, tmean: xr.DataArray, pressure: xr.DataArray) -> xr.DataArray:
    """Priestley and Taylor (1972), doi:10.1175/1520-0493(1972)100<0081:OTAOSH>2.3.CO;2, coefficient 1.26.

    Parameters
    ----------
    net : DataArray
        Net radiation, MJ m-2 day-1.
    tmean : DataArray
        degC.
    pressure : DataArray
        Atmospheric pressure, kPa.
    """
    slope = _slope(tmean)
    return finished(_PRIESTLEY_TAYLOR * slope / (slope + _psychrometric(pressure)) * net / LATENT_HEAT, tmean)


def penman_monteith(
    net: xr.DataArray,
    tmean: xr.DataArray,
    tmin: xr.DataArray,
    tmax: xr.DataArray,
    vapour_pressure: xr.DataArray,
    wind: xr.DataArray,
    pressure: xr.DataArray,
) -> xr.DataArray:
    """Reference evapotranspiration after FAO 56, equation 6.

    Parameters
    ----------
    net : DataArray
        Net radiation, MJ m-2 day-1.
    tmean, tmin, tmax : DataArray
        degC.
    vapour_pressure, pressure : DataArray
        kPa.
    wind : DataArray
        Wind speed at 2 m, m s-1.
    """
    slope, psychrometric = _slope(tmean), _psychrometric(pressure)
    saturation = 0.5 * (saturation_pressure(tmin) + saturation_pressure(tmax))  # equation 12
    aerodynamic = psychrometric * 900.0 / (tmean + 273.0) * wind * (saturation - vapour_pressure)
    return finished(
        (0.408 * slope * net + aerodynamic) / (slope + psychrometric * (1.0 + 0.34 * wind)), tmean
    )


def _slope(temperature: xr.DataArray) -> xr.DataArray:
    """Slope of the saturation vapour pressure, kPa degC-1 (equation 13)."""
    return 4098.0 * saturation_pressure(temperature) / (temperature + 237.3) ** 2


def _psychrometric(pressure: xr.DataArray) -> xr.DataArray:
    """Psychrometric constant, kPa degC-1 (equation 8)."""
    return 0.665e-3 * pressure

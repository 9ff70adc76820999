"""Potential evapotranspiration from temperature and latitude: Hargreaves, Oudin, Hamon.

Temperatures are in degC and have ``time``; latitudes are in degrees north and have no ``time``. Results
are in mm/day, at least 0, and lazy where the temperature is.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...conventions.variables import VARIABLES
from .sun import day_length, extraterrestrial_radiation, place_and_day

LATENT_HEAT = 2.45  # MJ kg-1


def hargreaves(
    tmean: xr.DataArray, tmin: xr.DataArray, tmax: xr.DataArray, latitude: xr.DataArray
) -> xr.DataArray:
    """Hargreaves (1994), doi:10.1061/(ASCE)0733-9437(1994)120:6(1132), as the paper computes it.

    ``0.0023 Ra / 2.45 (tmean + 17.8) sqrt(|tmax - tmin|)``. The absolute value serves days on which the
    data have tmin above tmax.
    """
    radiation = extraterrestrial_radiation(*place_and_day(latitude, tmin))
    pet = 0.0023 * radiation / LATENT_HEAT * (tmean + 17.8) * np.sqrt(np.abs(tmax - tmin))
    return finished(pet, tmin)


def oudin(tmean: xr.DataArray, latitude: xr.DataArray) -> xr.DataArray:
    """Oudin et al. (2005), doi:10.1016/j.jhydrol.2004.08.026: ``Ra / 2.45 (tmean + 5) / 100``."""
    radiation = extraterrestrial_radiation(*place_and_day(latitude, tmean))
    return finished(radiation / LATENT_HEAT * (tmean + 5.0) / 100.0, tmean)


def hamon(tmean: xr.DataArray, latitude: xr.DataArray) -> xr.DataArray:
    """Hamon (1963), as Lu et al. (2005), doi:10.1111/j.1752-1688.2005.tb03759.x, write it.

    ``0.1651 D rho``: D is the day length in units of 12 hours and rho the density of saturated water
    vapour, g m-3. Their coefficient of calibration is 1 here.
    """
    hours = day_length(*place_and_day(latitude, tmean))
    pressure = 6.108 * np.exp(17.26939 * tmean / (tmean + 237.3))  # hPa
    return finished(0.1651 * hours / 12.0 * 216.7 * pressure / (tmean + 273.3), tmean)


def finished(pet: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """PET of at least 0, with the dimensions of ``like`` first, under its name and with its attributes."""
    pet = pet.clip(min=0.0).transpose(*like.dims, ...).rename("pet")
    pet.attrs = VARIABLES["pet"].attrs()
    return pet

"""Potential evapotranspiration after Hargreaves, as the paper computes it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..conventions.variables import VARIABLES

_SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1
_LATENT_HEAT = 2.45  # MJ kg-1


def extraterrestrial_radiation(latitude: xr.DataArray, day_of_year: xr.DataArray) -> xr.DataArray:
    """Daily extraterrestrial radiation, MJ m-2 day-1 (Allen et al. 1998, FAO 56, equations 21 to 25).

    Parameters
    ----------
    latitude : DataArray
        degrees north.
    day_of_year : DataArray
        1 to 366.
    """
    phi = np.deg2rad(latitude)
    angle = 2.0 * np.pi * day_of_year / 365.0
    distance = 1.0 + 0.033 * np.cos(angle)  # inverse relative distance to the sun
    declination = 0.409 * np.sin(angle - 1.39)
    # Polar night and day: the sun never rises or never sets.
    sunset = np.arccos((-np.tan(phi) * np.tan(declination)).clip(-1.0, 1.0))
    daily = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return (24.0 * 60.0 / np.pi) * _SOLAR_CONSTANT * distance * daily


def hargreaves(
    tmean: xr.DataArray, tmin: xr.DataArray, tmax: xr.DataArray, latitude: xr.DataArray
) -> xr.DataArray:
    """Potential evapotranspiration, mm/day (Hargreaves 1994, doi:10.1061/(ASCE)0733-9437(1994)120:6(1132)).

    ``0.0023 Ra / 2.45 (tmean + 17.8) sqrt(|tmax - tmin|)``, at least 0. The absolute value serves days
    on which the data have tmin above tmax.

    Parameters
    ----------
    tmean, tmin, tmax : DataArray, with ``time``
        degC.
    latitude : DataArray, without ``time``
        degrees north.
    """
    day_of_year = tmin["time"].dt.dayofyear
    if tmin.chunks is not None:  # or the radiation of all cells and days would be computed and kept now
        latitude, day_of_year = (_in_chunks_of(tmin, array) for array in (latitude, day_of_year))
    radiation = extraterrestrial_radiation(latitude, day_of_year)
    pet = 0.0023 * radiation / _LATENT_HEAT * (tmean + 17.8) * np.sqrt(np.abs(tmax - tmin))
    pet = pet.clip(min=0.0).transpose(*tmin.dims, ...).rename("pet")
    pet.attrs = VARIABLES["pet"].attrs()
    return pet


def _in_chunks_of(like: xr.DataArray, array: xr.DataArray) -> xr.DataArray:
    """``array`` in the chunks of ``like``, even if it is a coordinate, which xarray keeps in memory."""
    chunks = {dim: like.chunksizes[dim] for dim in array.dims if dim in like.chunksizes}
    return xr.DataArray(array.variable.to_base_variable().chunk(chunks), array.coords)

"""The sun at the top of the atmosphere: radiation and day length (Allen et al. 1998, FAO 56, chapter 3)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from xarray.ufuncs import arccos, cos, sin, tan

SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1

_MONTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])  # days, in a year of 365


def day_of_year(time: xr.DataArray) -> xr.DataArray:
    """The day of a year of 365 days, from 1: where the sun stands on a date of any calendar.

    FAO 56 counts leap years on, to 366. In a calendar of 360 days, each day lies at its share of the month,
    so that a month has the same sun as in other calendars.
    """
    if time.dt.calendar != "360_day":
        return time.dt.dayofyear
    month = time.dt.month.values - 1
    before = _MONTHS.cumsum()[month] - _MONTHS[month]
    days = before + (time.dt.day.values - 0.5) / 30.0 * _MONTHS[month] + 0.5
    return xr.DataArray(days, {"time": time}, ("time",))


def extraterrestrial_radiation(latitude: xr.DataArray, day: xr.DataArray) -> xr.DataArray:
    """Daily extraterrestrial radiation, MJ m-2 day-1 (equations 21 to 25).

    Parameters
    ----------
    latitude : DataArray
        degrees north.
    day : DataArray
        Day of a year of 365 days, see :func:`day_of_year`.
    """
    phi, declination = _radians(latitude), _declination(day)
    sunset = _sunset(phi, declination)
    distance = 1.0 + 0.033 * cos(_angle(day))  # inverse relative distance to the sun
    daily = sunset * sin(phi) * sin(declination) + cos(phi) * cos(declination) * sin(sunset)
    return (24.0 * 60.0 / np.pi) * SOLAR_CONSTANT * distance * daily


def day_length(latitude: xr.DataArray, day: xr.DataArray) -> xr.DataArray:
    """Hours of daylight (equation 34); parameters as for :func:`extraterrestrial_radiation`."""
    return 24.0 / np.pi * _sunset(_radians(latitude), _declination(day))


def _radians(degrees: xr.DataArray) -> xr.DataArray:
    return degrees * (np.pi / 180.0)


def _angle(day: xr.DataArray) -> xr.DataArray:
    return 2.0 * np.pi * day / 365.0


def _declination(day: xr.DataArray) -> xr.DataArray:
    return 0.409 * sin(_angle(day) - 1.39)


def _sunset(phi: xr.DataArray, declination: xr.DataArray) -> xr.DataArray:
    """The sunset hour angle. Polar night and day: the sun never rises or never sets."""
    cosine = -tan(phi) * tan(declination)
    return arccos(cosine.clip(-1.0, 1.0))


def place_and_day(latitude: xr.DataArray, like: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Latitude and day of the year for the cells and days of ``like``, in its chunks if it is lazy."""
    return in_chunks_of(like, latitude), in_chunks_of(like, day_of_year(like["time"]))


def in_chunks_of(like: xr.DataArray, array: xr.DataArray) -> xr.DataArray:
    """``array`` in the chunks of ``like``, even if it is a coordinate, which xarray keeps in memory.

    Otherwise a formula would compute and keep all cells and days at once.
    """
    if like.chunks is None:
        return array
    chunks = {dim: like.chunksizes[dim] for dim in array.dims if dim in like.chunksizes}
    return xr.DataArray(array.variable.to_base_variable().chunk(chunks), array.coords)

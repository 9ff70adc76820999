"""Sample data that come with hydroxr: three catchments with daily forcing and streamflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ..conventions.labels import labelled
from ..conventions.variables import VARIABLES
from ..errors import DataFileError

# In an installed package, and in a checkout.
_PLACES = (
    Path(__file__).parents[1] / "_datasets" / "quebec.nc",
    Path(__file__).parents[2] / "datasets" / "quebec.nc",
)

SAMPLES = ("Au Saumon", "Baskatong", "Leaf")
_SNOWY = ("Au Saumon", "Baskatong")
_SNOWY_PERIOD = slice("1980-01-01", "2003-12-31")  # both have every variable on every day

# Above all thresholds for snow of the models (-2.5 to 2.5 degC).
_NO_SNOW_TEMPERATURE = 20.0


def open_sample(name: str | None = None) -> xr.Dataset:
    """Open the sample data, in memory.

    Parameters
    ----------
    name : {"Au Saumon", "Baskatong", "Leaf"}, optional
        One catchment with its whole record: 1975-03-01 to 2003-12-31, 1980 to 2017, or 1957 to 1987. Default:
        Au Saumon and Baskatong from 1980 to 2003, the years of both.

    Returns
    -------
    xarray.Dataset
        ``(basin, time)``: ``prcp``, ``pet`` and ``streamflow`` [kg m-2 day-1, equal to mm/day] and ``tmean``
        [degC], without gaps. ``(basin)``: ``elev_median`` [m] and the coordinates ``lat`` [degrees_north],
        both NaN for Leaf, since the source has none. ``basin`` has the names: ``ds.sel(basin="Leaf")``.

    Raises
    ------
    DataFileError
        If ``name`` is unknown, or the file is absent from the installation.

    Notes
    -----
    Au Saumon and Baskatong (Québec) have snow. Leaf (Leaf River, Mississippi) has neither snow nor observed
    temperature: its ``tmean`` is a constant that makes all precipitation rain, as its ``comment`` says.

    Source: HOLMES (holmes-hydro 3.5.0), Université Laval, MIT licence (in the attribute ``license``).
    """
    if name is not None and name not in SAMPLES:
        raise DataFileError(
            f"there is no sample {name!r}; expected one of {', '.join(SAMPLES)}, or None for "
            f"{' and '.join(_SNOWY)}."
        )
    names = _SNOWY if name is None else (name,)
    with xr.open_dataset(_file(), engine="netcdf4") as stored:
        chosen = stored.isel(basin=np.flatnonzero(stored["basin_id"].isin(names))).load()
    chosen = chosen.sel(time=_SNOWY_PERIOD) if name is None else _whole_record(chosen)
    if name == "Leaf":
        chosen["tmean"] = _snow_free_temperature(chosen["prcp"])
    # The encoding of the file does not suit results that are written elsewhere.
    return labelled(chosen.drop_encoding())


def _file() -> Path:
    found = next((place for place in _PLACES if place.is_file()), None)
    if found is None:
        raise DataFileError(
            f"the sample data are absent; expected {' or '.join(str(place) for place in _PLACES)}. "
            "Install hydroxr again."
        )
    return found


def _whole_record(ds: xr.Dataset) -> xr.Dataset:
    """The days of the record; the file has the days of all catchments."""
    recorded = np.flatnonzero(ds["streamflow"].notnull().any("basin"))
    return ds.isel(time=slice(recorded[0], recorded[-1] + 1))


def _snow_free_temperature(like: xr.DataArray) -> xr.DataArray:
    constant = xr.full_like(like, _NO_SNOW_TEMPERATURE)
    constant.attrs = VARIABLES["tmean"].attrs() | {
        "comment": f"not observed: a constant {_NO_SNOW_TEMPERATURE:g} degC. There is no snow in this "
        "catchment; a constant above every snow threshold makes all precipitation rain."
    }
    return constant

"""The sample that comes with hydroxr: three catchments with daily forcing and streamflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

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

# Above every threshold for snow that the models consider (-2.5 to 2.5 degC).
_NO_SNOW_TEMPERATURE = 20.0


def open_sample(name: str | None = None) -> xr.Dataset:
    """Open the sample data, in memory.

    Parameters
    ----------
    name
        ``"Au Saumon"`` (1975-03-01 to 2003-12-31), ``"Baskatong"`` (1980 to 2017) or ``"Leaf"`` (1957 to
        1987): that catchment alone, over its whole record. By default Au Saumon and Baskatong over
        1980 to 2003, the years that both have.

    Returns
    -------
    xarray.Dataset
        Dimensions ``(basin, time)``: ``prcp``, ``pet`` and ``streamflow`` [kg m-2 day-1, in number
        mm/day] and ``tmean`` [degC], all without a gap. ``elev_median`` [m] and the coordinate ``lat``
        [degrees_north] are NaN for Leaf, for which the source has none. The coordinate ``basin_id``
        has the names.

    Raises
    ------
    DataFileError
        Where `name` is unknown, or the file is not where it was installed.

    Notes
    -----
    Au Saumon and Baskatong (Québec) have snow. Leaf (Leaf River, Mississippi) has none and no observed
    temperature: its ``tmean`` is a constant that makes all precipitation rain, and says so in its
    ``comment``.

    Source: HOLMES (holmes-hydro 3.5.0), Université Laval, MIT licence (in the attribute ``license``).
    """
    if name is not None and name not in SAMPLES:
        raise DataFileError(
            f"there is no sample {name!r}; expected one of {', '.join(SAMPLES)}, or None for "
            f"{' and '.join(_SNOWY)}. Choose one."
        )
    names = _SNOWY if name is None else (name,)
    with xr.open_dataset(_file(), engine="netcdf4") as stored:
        chosen = stored.isel(basin=np.flatnonzero(stored["basin_id"].isin(names))).load()
    chosen = chosen.sel(time=_SNOWY_PERIOD) if name is None else _whole_record(chosen)
    if name == "Leaf":
        chosen["tmean"] = _snow_free_temperature(chosen["prcp"])
    # How the file is packed is of no use to what is computed from it and written elsewhere.
    return chosen.drop_encoding()


def _file() -> Path:
    found = next((place for place in _PLACES if place.is_file()), None)
    if found is None:
        raise DataFileError(
            f"the sample data are not there; expected {' or '.join(str(place) for place in _PLACES)}. "
            "Install hydroxr again."
        )
    return found


def _whole_record(ds: xr.Dataset) -> xr.Dataset:
    """Cut the days before and after the record; the file has the days of all catchments."""
    recorded = np.flatnonzero(ds["streamflow"].notnull().any("basin"))
    return ds.isel(time=slice(recorded[0], recorded[-1] + 1))


def _snow_free_temperature(like: xr.DataArray) -> xr.DataArray:
    constant = xr.full_like(like, _NO_SNOW_TEMPERATURE)
    constant.attrs = VARIABLES["tmean"].attrs() | {
        "comment": f"not observed: a constant {_NO_SNOW_TEMPERATURE:g} degC. There is no snow in this "
        "catchment; a constant above every snow threshold makes all precipitation rain."
    }
    return constant

"""Find the inputs of the model in a Dataset, check them, bring them to the model's units.

The first stop on the data's way: what leaves here has known names, units and dimensions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

import pandas as pd
import xarray as xr

from ..conventions.units import convert, quantity_of, same_units
from ..conventions.variables import FORCING, VARIABLES
from ..errors import (
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    UnitsError,
)
from . import time_axis
from .find import find, listed, required, spellings
from .pet import hargreaves
from .time_axis import check_time


def forcing(
    ds: xr.Dataset, names: Sequence[str] = FORCING, units: Mapping[str, str] | None = None
) -> dict[str, xr.DataArray]:
    """The daily inputs of a model, lazily where ``ds`` is lazy.

    Parameters
    ----------
    ds : Dataset
    names : sequence of str
        Precipitation, temperature and PET are found and converted; any other name is a variable of
        the Dataset, taken in its own units.
    units : mapping, optional
        For those others, the units that they must have.

    Returns
    -------
    dict
        By ``names``: ``prcp`` (mm/day), ``tmean`` (degC), ``pet`` (mm/day), others in their own
        units; each with the dimensions ``time`` and those of space.

    Raises
    ------
    MissingVariableError, AmbiguousVariableError, UnitsError, DimensionError, TimeAxisError
    """
    precipitation = required(ds, "prcp")
    check_time(ds)
    space = space_dims(ds)
    empty = [dim for dim in space if ds.sizes[dim] == 0]
    if empty:
        raise EmptySelectionError(f"the Dataset has no cells: the selection in {empty[0]!r} is empty.")
    stacked = [dim for dim in space if isinstance(ds.indexes.get(dim), pd.MultiIndex)]
    if stacked:
        raise DimensionError(
            f"{stacked[0]!r} is a stacked dimension, which no file can hold; expected plain ones: "
            f"ds.reset_index({str(stacked[0])!r})."
        )
    # Broadcast and ordered alike: every forcing has time and the precipitation's space.
    roles = {"prcp": lambda _: precipitation, "tmean": _temperature, "pet": potential_evapotranspiration}
    expected = units or {}
    found = {name: roles[name](ds) if name in roles else _own(ds, name, expected.get(name)) for name in names}
    return {name: _over(array, ("time", *space), precipitation) for name, array in found.items()}


def own_units(ds: xr.Dataset, names: Iterable[str]) -> dict[str, str]:
    """The units of variables that are taken as they are.

    Raises
    ------
    MissingVariableError, UnitsError
    """
    return {name: str(_own(ds, name).attrs["units"]) for name in names}


def _own(ds: xr.Dataset, name: str, units: str | None = None) -> xr.DataArray:
    """A variable of the Dataset under its own name, in its own units, which must be ``units``."""
    if name not in ds.variables:
        raise MissingVariableError(
            f"there is no {name!r} in the Dataset, which the model has as forcing; it has "
            f"{listed(ds.data_vars)}. Rename yours, ds.rename({{...: {name!r}}}), or name other forcing: "
            "hx.LSTMStreamflow(forcing=(...))."
        )
    array = ds[name]
    if array.dtype.kind not in "fiu":
        raise UnitsError(
            f"{name!r} holds {array.dtype}; expected numbers with units. A length of time that was decoded "
            "as it was read is a number with xr.open_dataset(..., decode_timedelta=False)."
        )
    found = str(array.attrs.get("units", "")).strip()
    if not found:
        raise UnitsError(
            f"{name!r} has no 'units' attribute; expected {units or 'one'}: a simulation must have the units "
            f"of the training. Say what it holds: ds[{name!r}].attrs['units'] = ..."
        )
    if units is not None and not same_units(found, units):
        raise UnitsError(
            f"{name!r} is in {found!r}, and the model was trained with it in {units!r}; expected the same. "
            f"Convert the values and set ds[{name!r}].attrs['units'] = {units!r}."
        )
    return array


def space_dims(ds: xr.Dataset) -> tuple[Hashable, ...]:
    """The dimensions that the precipitation has beside ``time``."""
    found = find(ds, "prcp")
    if found is None:
        required(ds, "prcp")
    return tuple(dim for dim in ds[found].dims if dim != "time")


def land_mask(ds: xr.Dataset, space: tuple[Hashable, ...]) -> xr.DataArray | None:
    """Where there is something to simulate, bool over some dimensions of space, or None.

    A variable or coordinate that is called ``mask`` or has the standard name ``land_binary_mask``:
    cells in which it is 0 or missing are left out.

    Raises
    ------
    DimensionError
        Where it has others than the dimensions of space.
    """
    named = [key for key, var in ds.variables.items() if var.attrs.get("standard_name") == "land_binary_mask"]
    name = "mask" if "mask" in ds.variables else next(iter(named), None)
    if name is None:
        return None
    array = ds[name]
    strange = [dim for dim in array.dims if dim not in space]
    if strange or array.dtype.kind not in "biuf":
        raise DimensionError(
            f"{str(name)!r}, of {array.dtype} over {listed(array.dims)}, is no mask of cells; expected "
            f"numbers or bool over {listed(space)}. Rename it if it is something else."
        )
    order = [dim for dim in space if dim in array.dims]
    array = array.reset_coords(drop=True).transpose(*order)
    return (array.fillna(0) if array.dtype.kind == "f" else array) != 0


def potential_evapotranspiration(ds: xr.Dataset) -> xr.DataArray:
    """PET of the Dataset, mm/day, else Hargreaves from tmin, tmax and latitude.

    Raises
    ------
    MissingVariableError
        Where there is neither.
    """
    name = find(ds, "pet")
    if name is not None:
        return convert(ds[name], VARIABLES["pet"])
    absent = [part for part in ("tmin", "tmax", "lat") if find(ds, part) is None]
    if absent:
        raise MissingVariableError(
            f"there is no potential evapotranspiration ({spellings('pet')}), and Hargreaves needs "
            f"{', '.join(absent)} beside what is there; add one or the other."
        )
    tmin, tmax = required(ds, "tmin"), required(ds, "tmax")
    latitude = required(ds, "lat")
    mean_name = find(ds, "tmean")
    mean = 0.5 * (tmin + tmax) if mean_name is None else convert(ds[mean_name], VARIABLES["tmean"])
    return hargreaves(mean, tmin, tmax, latitude)


def observed_streamflow(ds: xr.Dataset, target: str | None = None) -> xr.DataArray:
    """Observed streamflow in mm/day, lazily; from m3 s-1 where there is an area.

    Raises
    ------
    MissingVariableError, AmbiguousVariableError, UnitsError
    """
    name = find(ds, "streamflow", prefer=target)
    if name is None:
        raise MissingVariableError(
            f"there is no observed streamflow ({spellings('streamflow')}) in the Dataset; it has "
            f"{listed(ds.data_vars)}."
        )
    row = VARIABLES["streamflow"]
    array = ds[name]
    if quantity_of(str(array.attrs.get("units", ""))) != "discharge":
        return convert(array, row)
    area_name = find(ds, "area")
    if area_name is None:
        raise MissingVariableError(
            f"{name!r} is in {array.attrs['units']}, and there is no catchment area ({spellings('area')}) to "
            "bring it to mm/day; "
            "add one, with units km2 or m2."
        )
    area = convert(ds[area_name], VARIABLES["area"])
    # m3/s * 86400 s/day over km2 * 1e6 m2/km2, times 1000 mm/m
    out = array * (86400.0 / 1000.0) / area
    out = out.rename("streamflow")
    out.attrs = row.attrs()
    return out


def called(ds: xr.Dataset, name: str) -> str:
    """How messages call an input: by the Dataset's own name of it, or by what it is derived from."""
    if name not in FORCING:
        return repr(name)
    found = find(ds, name)
    if found is not None:
        return repr(found)
    parts = {part: repr(find(ds, part)) for part in ("tmin", "tmax", "lat")}
    mean = f"{parts['tmin']} and {parts['tmax']}"
    return f"the mean of {mean}" if name == "tmean" else f"Hargreaves, from {mean} and {parts['lat']}"


def on_space(array: xr.DataArray, space: tuple[Hashable, ...], ds: xr.Dataset) -> xr.DataArray:
    """``array`` with ``time`` and exactly the dimensions of space, in their order."""
    return _over(array, ("time", *space), ds[find(ds, "prcp")])


def _temperature(ds: xr.Dataset) -> xr.DataArray:
    if find(ds, "tmean") is not None:
        return required(ds, "tmean")
    absent = [part for part in ("tmin", "tmax") if find(ds, part) is None]
    if absent:
        raise MissingVariableError(
            f"there is no air temperature ({spellings('tmean')}), nor {' and '.join(absent)} for their mean; "
            f"the Dataset has {listed(ds.data_vars)}."
        )
    mean = (0.5 * (required(ds, "tmin") + required(ds, "tmax"))).rename("tmean")
    mean.attrs = VARIABLES["tmean"].attrs()
    return mean


def _over(array: xr.DataArray, dims: tuple[Hashable, ...], like: xr.DataArray) -> xr.DataArray:
    """``array`` with exactly the dimensions ``dims``; space that it lacks is broadcast."""
    extra = [dim for dim in array.dims if dim not in dims]
    if extra:
        raise DimensionError(
            f"{array.name!r} has dimension {extra[0]!r}, which the precipitation has not; expected "
            f"{listed(dims)} only. "
            f"Select in it first: ds.isel({extra[0]}=0)."
        )
    if "time" not in array.dims:
        raise DimensionError(
            f"{array.name!r} has dimensions {listed(array.dims)}; expected 'time' among them."
        )
    if set(array.dims) != set(dims):
        array = array.broadcast_like(like)
    return array.transpose(*dims)


def only_gauged(ds: xr.Dataset, period: slice | None = None) -> xr.Dataset:
    """The cells that have any observed streamflow, in a period where one is given.

    Raises
    ------
    EmptySelectionError
        Where there are none, or space has several dimensions.
    """
    observed = observed_streamflow(ds)
    space = space_dims(ds)
    if len(space) != 1:
        raise EmptySelectionError(
            f"cells can be left out of one dimension of space only, and there are {len(space)}: "
            f"{', '.join(map(str, space))}."
        )
    days = time_axis.select_days(observed.to_dataset(name="_flow"), period)["_flow"]
    gauged = days.notnull().any("time").values
    if not gauged.any():
        when = "" if period is None else f" from {period.start} to {period.stop}"
        raise EmptySelectionError(f"no cell has observed streamflow{when}.")
    return ds.isel({space[0]: gauged})

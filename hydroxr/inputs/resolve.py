"""Find the inputs of the model in a Dataset, check them, bring them to the model's units.

The first stop on the data's way: what leaves here has known names, units and dimensions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.units import convert, quantity_of, same_units
from ..conventions.variables import FORCING, VARIABLES, Variable
from ..errors import (
    AmbiguousVariableError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
)
from .pet import hargreaves


def find(ds: xr.Dataset, name: str, *, prefer: str | None = None) -> str | None:
    """The name under which ``ds`` holds the table's variable ``name``, or None.

    Names of the table are looked for first, CF standard names second; ``prefer`` overrides both.

    Raises
    ------
    AmbiguousVariableError
        Where two candidates fit and no rule decides.
    """
    row = VARIABLES[name]
    if prefer is not None:
        if prefer not in ds.variables:
            raise MissingVariableError(f"{prefer!r} is not in the Dataset; it has {_names(ds.variables)}.")
        return prefer
    for candidates in (
        [key for key in row.names if key in ds.variables],
        [
            str(key)
            for key, var in ds.variables.items()
            if var.attrs.get("standard_name") in row.standard_names
        ],
    ):
        if name == "tmean":
            candidates = [key for key in candidates if not _is_extreme(ds[key])]
        if len(candidates) > 1:
            raise AmbiguousVariableError(
                f"{_names(candidates)} can each be the {_role(name)}, and no rule decides between them; "
                f"keep one: ds.drop_vars({candidates[1]!r})."
            )
        if candidates:
            return candidates[0]
    return None


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
    precipitation = _required(ds, "prcp")
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
            f"{_names(ds.data_vars)}. Rename yours, ds.rename({{...: {name!r}}}), or name other forcing: "
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
        _required(ds, "prcp")
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
            f"{str(name)!r}, of {array.dtype} over {_names(array.dims)}, is no mask of cells; expected "
            f"numbers or bool over {_names(space)}. Rename it if it is something else."
        )
    order = [dim for dim in space if dim in array.dims]
    array = array.reset_coords(drop=True).transpose(*order)
    return (array.fillna(0) if array.dtype.kind == "f" else array) != 0


def check_time(ds: xr.Dataset) -> None:
    """Refuse a time axis that is not sorted, unique, daily and without gaps.

    Raises
    ------
    DimensionError, TimeAxisError, EmptySelectionError
    """
    name = find(ds, "prcp")
    dims = ds.dims if name is None else ds[name].dims
    if "time" not in dims:
        what = "the Dataset" if name is None else f"precipitation {name!r}"
        raise DimensionError(
            f"{what} has dimensions {_names(dims)}; expected 'time' among them: ds.rename({{...: 'time'}})."
        )
    if ds.sizes["time"] == 0:
        raise EmptySelectionError("the Dataset has no days: the selection in time is empty.")
    if "time" not in ds.indexes:
        raise TimeAxisError(
            "dimension 'time' has no coordinate; expected one date a day: ds.assign_coords(time=...)."
        )
    index = ds.indexes["time"]
    if not (np.issubdtype(ds["time"].dtype, np.datetime64) or isinstance(index, xr.CFTimeIndex)):
        raise TimeAxisError(
            f"'time' holds {ds['time'].dtype}; expected dates: xr.decode_cf(ds) or "
            "ds.assign_coords(time=...)."
        )
    if index.hasnans:
        raise TimeAxisError("'time' has missing dates; expected one a day.")
    repeated = index[index.duplicated()]
    if len(repeated):
        raise TimeAxisError(
            f"'time' has {repeated[0]} more than once ({len(repeated)} repeats); drop them: "
            "ds.drop_duplicates('time')."
        )
    if not index.is_monotonic_increasing:
        raise TimeAxisError("'time' is not sorted; expected ascending days: ds.sortby('time').")
    steps = np.asarray(
        (index[1:] - index[:-1]) / np.timedelta64(1, "D") if len(index) > 1 else [], dtype=float
    )
    wrong = np.flatnonzero(steps != 1.0)
    if len(wrong):
        usual = float(np.median(steps))
        if usual != 1.0:
            raise TimeAxisError(
                f"'time' has steps of {usual:g} days; expected daily values: resample them first."
            )
        where = wrong[0]
        raise TimeAxisError(
            f"'time' has a gap: {index[where + 1]} follows {index[where]} ({len(wrong)} such places); "
            "expected every day. "
            "Give each day a row, ds.resample(time='1D').asfreq(), and decide what fills it."
        )


def select_days(ds: xr.Dataset, time: slice | None, what: str = "the Dataset") -> xr.Dataset:
    """The days ``time`` of a Dataset, or all.

    Raises
    ------
    DescriptionError
        Where ``time`` is no period.
    EmptySelectionError
        Where it holds no day.
    """
    if time is None:
        return ds
    if not isinstance(time, slice):
        raise DescriptionError(
            f"time is {time!r}; expected a period, such as slice('1980-10-01', '1995-09-30')."
        )
    try:
        chosen = ds.sel(time=time)
    except (KeyError, TypeError, ValueError) as error:
        raise DescriptionError(f"time is {time!r}, which holds no dates of the calendar: {error}.") from error
    if chosen.sizes.get("time", 0) == 0:
        index = ds.indexes["time"]
        span = f"{str(index[0])[:10]} to {str(index[-1])[:10]}" if len(index) else "none"
        raise EmptySelectionError(f"{what} has no day in {time}; its days are {span}.")
    return chosen


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
            f"there is no potential evapotranspiration ({_spelled('pet')}), and Hargreaves needs "
            f"{', '.join(absent)} beside what is there; add one or the other."
        )
    tmin, tmax = _required(ds, "tmin"), _required(ds, "tmax")
    latitude = _required(ds, "lat")
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
            f"there is no observed streamflow ({_spelled('streamflow')}) in the Dataset; it has "
            f"{_names(ds.data_vars)}."
        )
    row = VARIABLES["streamflow"]
    array = ds[name]
    if quantity_of(str(array.attrs.get("units", ""))) != "discharge":
        return convert(array, row)
    area_name = find(ds, "area")
    if area_name is None:
        raise MissingVariableError(
            f"{name!r} is in {array.attrs['units']}, and there is no catchment area ({_spelled('area')}) to "
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
        return _required(ds, "tmean")
    absent = [part for part in ("tmin", "tmax") if find(ds, part) is None]
    if absent:
        raise MissingVariableError(
            f"there is no air temperature ({_spelled('tmean')}), nor {' and '.join(absent)} for their mean; "
            f"the Dataset has {_names(ds.data_vars)}."
        )
    mean = (0.5 * (_required(ds, "tmin") + _required(ds, "tmax"))).rename("tmean")
    mean.attrs = VARIABLES["tmean"].attrs()
    return mean


def _required(ds: xr.Dataset, name: str) -> xr.DataArray:
    found = find(ds, name)
    if found is None:
        raise MissingVariableError(
            f"there is no {VARIABLES[name].long_name} ({_spelled(name)}) in the Dataset; it has "
            f"{_names(ds.data_vars)}. "
            f"Rename yours: ds.rename({{...: {VARIABLES[name].names[0]!r}}})."
        )
    return convert(ds[found], VARIABLES[name])


def _is_extreme(array: xr.DataArray) -> bool:
    """Whether a temperature is a day's minimum or maximum, which share the standard name of the mean."""
    methods = str(array.attrs.get("cell_methods", ""))
    named = str(array.name) in VARIABLES["tmin"].names + VARIABLES["tmax"].names
    return named or "minimum" in methods or "maximum" in methods


def _over(array: xr.DataArray, dims: tuple[Hashable, ...], like: xr.DataArray) -> xr.DataArray:
    """``array`` with exactly the dimensions ``dims``; space that it lacks is broadcast."""
    extra = [dim for dim in array.dims if dim not in dims]
    if extra:
        raise DimensionError(
            f"{array.name!r} has dimension {extra[0]!r}, which the precipitation has not; expected "
            f"{_names(dims)} only. "
            f"Select in it first: ds.isel({extra[0]}=0)."
        )
    if "time" not in array.dims:
        raise DimensionError(
            f"{array.name!r} has dimensions {_names(array.dims)}; expected 'time' among them."
        )
    if set(array.dims) != set(dims):
        array = array.broadcast_like(like)
    return array.transpose(*dims)


def _role(name: str) -> str:
    return "observed streamflow" if name == "streamflow" else VARIABLES[name].long_name


def _spelled(name: str) -> str:
    row: Variable = VARIABLES[name]
    names = f"named {', '.join(row.names)}"
    return names + (
        f", or with standard name {' or '.join(row.standard_names)}" if row.standard_names else ""
    )


def _names(names: Iterable[Hashable]) -> str:
    return ", ".join(repr(str(name)) for name in names) or "none"

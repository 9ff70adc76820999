"""Gridded forcing as it is downloaded, made ready for ``ds.hbv``."""

from __future__ import annotations

import glob
import operator
import os
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import xarray as xr

from ...conventions.dimensions import grid_mapping_of
from ...conventions.units import convert, quantity_of
from ...conventions.variables import FORCING
from ...conventions.weather import ROLES
from ...errors import DataFileError, DescriptionError, TimeAxisError
from ...inputs.find import find_mask
from .days import add_leap_days, daily, step_of
from .layouts import LAYOUTS, GridLayout, Kind

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_TIMES = ("valid_time", "day")
_DROPPED = ("number", "expver", "height", "yearday", "step", "surface")
_LATITUDE = {"standard_name": "latitude", "units": "degrees_north"}
_LONGITUDE = {"standard_name": "longitude", "units": "degrees_east"}
_PLACES = {"lat": _LATITUDE, "latitude": _LATITUDE, "lon": _LONGITUDE, "longitude": _LONGITUDE}
_ALONG_TIME = ("time_bnds", "time_bounds", "day_bnds")


def open_forcing(
    data: xr.Dataset | Paths, source: str | None = None, *, utc_offset: float = 0.0, engine: str | None = None
) -> xr.Dataset:
    """Open gridded forcing in the layout in which it is downloaded; lazy, and ready for ``ds.hbv``.

    Variables get hydroxr's names, units and CF attributes; hours become days; other variables along time are
    left out. The order of latitudes and the range of longitudes stay as they are.

    Parameters
    ----------
    data : Dataset, path, or sequence of paths
        A Dataset that is open already (a virtual store, say); a NetCDF file or Zarr store; a pattern such as
        ``"era5/*.nc"``; or several files, which are combined by their coordinates.
    source : {"era5-land", "era5", "daymet", "gridmet", "nldas-2", "e-obs", "cmip6"}, optional
        Where the data come from. Default: recognised by the variables.
    utc_offset : float
        Where days begin if the data are hourly: 0 means at 00 UTC, -6 at 06 UTC, local midnight in the
        central US.
    engine : str, optional
        Engine of ``xarray.open_dataset``.

    Returns
    -------
    Dataset
        ``(time, space)``, what the data have of: ``prcp`` and ``pet`` [kg m-2 day-1], ``tmean``, ``tmin`` and
        ``tmax`` [degC], and weather for formulas of PET (``srad``, ``vp``, ``tdew``, ``huss``, ``rh``,
        ``wind``, ``ps``). ``mask`` is 0 in cells without forcing, such as sea, which are not simulated. The
        attribute ``comment`` says what was done.

    Raises
    ------
    DataFileError
        If files are absent or of no known layout.
    DescriptionError
        If ``source`` is unknown.
    TimeAxisError
        If hourly data have a gap, or no whole day.
    UnitsError
        If units are missing or not those of the variable.

    Notes
    -----
    ERA5-Land: precipitation and radiation accumulate from 00 UTC on; the value at 00 UTC is the sum of the
    day before. In ERA5 and NLDAS-2 they are sums of the hour before. Hourly temperature gives the daily mean,
    minimum and maximum. Days that are not whole at either end are left out. Potential evaporation of ERA5 and
    ERA5-Land is not taken: it is no reference for vegetation; ``ds.hbv.pet`` computes one.

    Daymet lacks 31 December in leap years. That day gets the mean of 30 December and 1 January, in every
    variable.

    ``mask`` is 0 where an input of the model has no value on the first, the middle and the last day. Data
    that have a mask keep theirs.

    Examples
    --------
    >>> ds = hx.open_forcing("era5_land/*.nc", "era5-land", utc_offset=1)  # doctest: +SKIP
    """
    if source is not None and source not in LAYOUTS:
        raise DescriptionError(
            f"source={source!r} is no known source; expected one of {', '.join(map(repr, LAYOUTS))}."
        )
    ds = data if isinstance(data, xr.Dataset) else _opened(data, engine)
    layout = LAYOUTS[source] if source is not None else _recognised(ds)
    ds = _plain(ds, layout)
    done = [f"{layout.title}, as downloaded, by hydroxr.open_forcing"]
    if layout.components is not None and set(layout.components) <= set(ds):
        ds, layout = _with_wind(ds, layout)
    taken = {name: row for name, row in layout.variables.items() if name in ds}
    if not taken:
        raise DataFileError(
            f"the data have none of the variables of {layout.title} ({', '.join(layout.variables)}); they "
            f"have {', '.join(map(str, ds.data_vars))}. Name another source: source=..."
        )
    step = step_of(ds["time"], layout.title)
    out: dict[str, xr.DataArray] = {}
    for name, (role, kind) in taken.items():
        out |= _variable(ds[name], role, kind, step, utc_offset)
    made = {role: convert(array, ROLES[role]) for role, array in out.items()}
    if step < 24.0:
        done.append(f"days of 24 hours from {-utc_offset % 24:02g} UTC, from steps of {step:g} hours")
        # The sums of a day end an hour after its values: days that only some variables have are left out.
        made = dict(zip(made, xr.align(*made.values(), join="inner"), strict=True))
    result = xr.Dataset(made, attrs=ds.attrs)
    if layout.no_leap_days:
        result, added = add_leap_days(result)
        done += [f"31 December of {added}: the mean of 30 December and 1 January"] if added else []
    static = [name for name in ds.data_vars if "time" not in ds[name].dims]
    result = result.assign({name: ds[name] for name in static if name not in result})
    result = _masked(result)
    result.attrs = dict(ds.attrs) | {"comment": "; ".join(done)}
    return _located(result, next((each for name in taken if (each := grid_mapping_of(ds[name]))), None))


def _opened(data: Paths, engine: str | None) -> xr.Dataset:
    """Files or a store, lazily."""
    paths = [os.fspath(data)] if isinstance(data, (str, os.PathLike)) else [os.fspath(each) for each in data]
    if any("://" in path for path in paths):
        found = paths
    else:
        paths = [os.path.expanduser(path) for path in paths]
        found = [file for path in paths for file in (sorted(glob.glob(path)) or [path])]
        absent = [path for path in found if not os.path.exists(path)]
        if absent or not found:
            raise DataFileError(
                f"{absent[0] if absent else data}: there is no such file or folder. Correct the path."
            )
    options: dict[str, Any] = {"chunks": {}, "engine": engine}
    try:
        if len(found) == 1:
            path = Path(found[0])
            if path.is_dir() and not any((path / name).exists() for name in ("zarr.json", ".zgroup")):
                found = [str(file) for file in sorted(path.glob("*.nc*"))]
            else:
                return _by_file_name(xr.open_dataset(found[0], decode_timedelta=False, **options))
        return xr.open_mfdataset(
            found,
            preprocess=_by_file_name,
            decode_timedelta=False,
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="outer",
            **options,
        )
    except (OSError, ValueError) as error:
        raise DataFileError(
            f"{data}: cannot be opened ({error}). Open it with xarray and pass the Dataset; tables of text "
            "are read by hx.open_table(path, units=...)."
        ) from error


def _by_file_name(ds: xr.Dataset) -> xr.Dataset:
    """gridMET calls both extremes ``air_temperature``; cell methods or descriptions tell them apart."""
    if "air_temperature" not in ds:
        return ds
    attrs = ds["air_temperature"].attrs
    said = " ".join(str(attrs.get(key, "")) for key in ("cell_methods", "description", "long_name")).lower()
    name = "tmmn" if "minimum" in said else "tmmx" if "maximum" in said else "air_temperature"
    return ds.rename(air_temperature=name)


def _recognised(ds: xr.Dataset) -> GridLayout:
    """The layout of a Dataset."""
    for layout in LAYOUTS.values():
        if layout.recognised(ds):
            return layout
    raise DataFileError(
        f"the source is not recognised by the variables {', '.join(map(str, ds.data_vars))}; name it: "
        f"source=..., one of {', '.join(map(repr, LAYOUTS))}."
    )


def _plain(ds: xr.Dataset, layout: GridLayout) -> xr.Dataset:
    """The Dataset with ``time``, sorted, and without coordinates that say nothing of the cells."""
    ds = _by_file_name(ds)
    if "expver" in ds.dims:  # ERA5's preliminary months beside its final ones
        first, second = (ds.isel(expver=place) for place in (0, -1))
        ds = first.combine_first(second) if ds.sizes["expver"] > 1 else first
    for name in _TIMES:
        if name in ds.dims and "time" not in ds.dims:
            ds = ds.drop_vars("time", errors="ignore").rename({name: "time"})
    if "time" not in ds.dims:
        raise TimeAxisError(
            f"the data of {layout.title} have dimensions {', '.join(map(str, ds.dims))}; expected 'time', "
            f"{' or '.join(map(repr, _TIMES))} among them."
        )
    ds = ds.drop_vars([*_DROPPED, *_ALONG_TIME], errors="ignore")
    return ds if ds.indexes["time"].is_monotonic_increasing else ds.sortby("time")


def _located(ds: xr.Dataset, mapping: str | None) -> xr.Dataset:
    """CF attributes for latitudes and longitudes, where the files have none, and the grid mapping."""
    for name, attrs in _PLACES.items():
        if name in ds.coords:
            ds[name].attrs = attrs | ds[name].attrs
    if mapping is None or mapping not in ds:
        return ds
    for array in ds.data_vars.values():
        if "time" in array.dims:
            array.attrs["grid_mapping"] = mapping
    return ds.set_coords(mapping)


def _masked(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with a mask of the cells that have forcing, as three days tell; lazy where the data are."""
    series = [ds[name] for name in (*FORCING, "tmin", "tmax") if name in ds and ds[name].ndim > 1]
    if not series or find_mask(ds) is not None:
        return ds
    days = sorted({0, ds.sizes["time"] // 2, ds.sizes["time"] - 1})
    known = [array.isel(time=days).notnull().any("time") for array in series]
    attrs = {"long_name": "cells with forcing", "units": "1"}
    return ds.assign(mask=reduce(operator.and_, known).astype("int8").drop_attrs().assign_attrs(attrs))


def _with_wind(ds: xr.Dataset, layout: GridLayout) -> tuple[xr.Dataset, GridLayout]:
    """Wind speed in place of its components."""
    assert layout.components is not None
    east, north = (ds[name] for name in layout.components)
    speed = ((east**2 + north**2) ** 0.5).assign_attrs(units=east.attrs.get("units"))
    variables: dict[str, tuple[str, Kind]] = layout.variables | {"_speed": ("wind", "instant")}
    return ds.assign(_speed=speed), GridLayout(layout.title, variables, layout.recognised)


def _variable(
    array: xr.DataArray, role: str, kind: Kind, step: float, utc_offset: float
) -> dict[str, xr.DataArray]:
    """Daily values of one variable, with units; of hourly temperature also the extremes."""
    units = str(array.attrs.get("units", ""))
    total = kind in ("sum", "accumulated")
    if step < 24.0:
        found = daily(array, kind, step, utc_offset, "sum" if total else "mean")
    else:
        found = array.assign_coords(time=array["time"].dt.floor("D")) if array.dtype.kind == "f" else array
    if total and ROLES[role].quantity == "radiation":
        found, units = found / 86400.0, "W m-2"
    elif total and quantity_of(units) != "water flux":
        units = f"{units}/day" if " " not in units else f"{units} day-1"
    out = {role: found.assign_attrs(units=units, **({"cell_methods": "time: mean"} if not total else {}))}
    if role == "tmean" and step < 24.0:
        for name, method in (("tmin", "min"), ("tmax", "max")):
            out[name] = daily(array, kind, step, utc_offset, method).assign_attrs(units=units)
    return {name: each.rename(name) for name, each in out.items()}

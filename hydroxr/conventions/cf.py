"""CF conventions: attributes, bounds and encodings of results and files.

Attributes of variables come from the table of variables, never from the input. xarray keeps attributes
in arithmetic, but the attributes of a forcing do not describe a flux.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import xarray as xr

from .._version import FORMAT, __version__
from ..errors import DescriptionError, EmptySelectionError
from . import acdd
from .attributes import DIGEST, FORMAT_KEY, MODEL, MODEL_KIND, VERSION_KEY
from .dimensions import grid_mapping_of
from .labels import bytes_as_text, numbered, series_of
from .stamps import STAMP, as_stamped, bounds_of, days
from .variables import VARIABLES

CONVENTIONS = "CF-1.11, ACDD-1.3"
REFERENCES = "Feng, D., Liu, J., Lawson, K., & Shen, C. (2022), doi:10.1029/2022WR032404"

# Attributes of coordinates by name, unless the input gives them.
_LATITUDE = {"standard_name": "latitude", "units": "degrees_north", "long_name": "latitude"}
_LONGITUDE = {"standard_name": "longitude", "units": "degrees_east", "long_name": "longitude"}
_COORDINATES: dict[str, dict[str, str]] = {
    "lat": _LATITUDE,
    "latitude": _LATITUDE,
    "lon": _LONGITUDE,
    "longitude": _LONGITUDE,
    "rlat": {"standard_name": "grid_latitude", "units": "degrees", "long_name": "latitude, rotated"},
    "rlon": {"standard_name": "grid_longitude", "units": "degrees", "long_name": "longitude, rotated"},
    "y": {"standard_name": "projection_y_coordinate", "units": "m", "long_name": "projected y"},
    "x": {"standard_name": "projection_x_coordinate", "units": "m", "long_name": "projected x"},
    "time": {"standard_name": "time", "long_name": "time", "axis": "T", "bounds": "time_bnds"},
    "component": {"long_name": "component of the model"},
}
# GDAL and QGIS place a grid by its grid mapping, which a grid of latitude and longitude may lack in CF.
_WGS84: dict[str, Any] = {
    "grid_mapping_name": "latitude_longitude",
    "longitude_of_prime_meridian": 0.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "crs_wkt": 'GEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,298.257223563,'
    'LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0],CS[ellipsoidal,2],AXIS["latitude",north],'
    'AXIS["longitude",east],ANGLEUNIT["degree",0.0174532925199433],ID["EPSG",4326]]',
}
_AXES = dict.fromkeys(("lat", "latitude", "rlat", "y"), "Y") | dict.fromkeys(
    ("lon", "longitude", "rlon", "x"), "X"
)
_LEFTMOST = ("member", "component", "lead", "hidden_unit", "running_mean")
_SUMMARY = (
    "Water fluxes and storages of each catchment or cell from the hydrological model HBV, whose parameters "
    "were learned from data. Each value belongs to its time bounds, as cell_methods say."
)
# Holds for fluxes and for storages at the end of a day, not for mean storages.
EQUATION = (
    " In kg m-2: precipitation (rainfall + snowfall) = evapotranspiration + streamflow + change of all "
    "storages."
)
_FLAGS: dict[str, dict[str, Any]] = {
    "forcing_flag": {
        "flag_values": np.array([0, 1, 2], dtype="int8"),
        "flag_meanings": "complete filled_in_time no_forcing_in_this_cell",
        "comment": "A gap in the forcing of up to a week was filled by linear interpolation in time, at the "
        "ends by the nearest value; a longer one by the mean of other days at the same time of the year. "
        "Where any forcing is missing on all days nothing is simulated.",
    },
    "attribute_flag": {
        "flag_masks": np.array([1, 2], dtype="int8"),
        "flag_meanings": "attribute_missing attribute_outside_the_range_of_training",
        "comment": "A missing attribute, or text that training did not have, counts as the mean of the cells "
        "of the training. Outside of the range that these have, what the network gives is extrapolated.",
    },
    "offset_flag": {
        "flag_values": np.array([0, 1], dtype="int8"),
        "flag_meanings": "parameters_from_attributes_alone parameters_with_offsets_of_this_cell",
        "comment": "A cell of the training is recognised by its label and its attributes.",
    },
}


def label(
    ds: xr.Dataset, source: xr.Dataset, space: tuple[Hashable, ...], attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Add coordinates, bounds and CF attributes to a result of the model.

    Parameters
    ----------
    ds : Dataset
        Variables of :data:`hydroxr.conventions.variables.VARIABLES`, without coordinates.
    source : Dataset
        The input, for its coordinates.
    space : tuple
        Dimensions of space.
    attrs : mapping
        More global attributes.

    Returns
    -------
    Dataset
        With coordinates, ``time_bnds``, attributes of the variables and global attributes.
    """
    ds = ds.assign_coords(coordinates(source, {*space, "time"}))
    for name, array in ds.data_vars.items():
        row = VARIABLES[str(name)]
        array.attrs = row.attrs()
        array.encoding = {}
        array.attrs["coverage_content_type"] = "qualityInformation" if row.role == "flag" else "modelResult"
        if row.role == "flag":
            array.attrs |= _FLAGS[row.name]
    name_flags(ds)
    ds = ds.assign_coords(_cell_bounds(ds, source, space))
    if "time" in ds.dims:
        given = bounds_of(source)
        bounds = time_bounds(ds["time"]) if given is None else given
        ds = as_stamped(ds.assign_coords(time_bnds=(("time", "bnds"), bounds)))
        ds["time"].encoding = _time_encoding(ds)  # or else xarray gives the bounds units of their own
    label_coordinates(ds)
    ds = ds.transpose(*dimension_order(space), ..., missing_dims="ignore")
    now = timestamp()
    ds.attrs = {
        "Conventions": CONVENTIONS,
        "title": "Water balance simulated with a differentiable HBV model",
        "summary": _SUMMARY + EQUATION,
        "source": f"{attrs.get(MODEL, 'HBV')}, hydroxr {__version__}",
        "history": f"{now}: simulated with hydroxr {__version__}",
        "references": REFERENCES,
        "date_created": now,
        **attrs,
        VERSION_KEY: __version__,
        FORMAT_KEY: FORMAT,
    }
    set_types(ds)
    if "source" in source.encoding:  # a resumed write checks that the input is the same
        ds.encoding = {"source": source.encoding["source"]}
    return ds


def coordinates(source: xr.Dataset, dims: Collection[Hashable]) -> dict[Hashable, xr.Variable]:
    """Copies of the coordinates over ``dims`` alone, for a result; bytes become text."""
    return {
        name: bytes_as_text(array.variable).copy(deep=array.chunks is None)
        for name, array in source.coords.items()
        if set(array.dims) <= set(dims) and name != "time_bnds"
    }


def timestamp() -> str:
    """The current time in ISO 8601, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell_bounds(
    ds: xr.Dataset, source: xr.Dataset, space: tuple[Hashable, ...]
) -> dict[Hashable, xr.Variable]:
    """Bounds of the coordinates of space: from the input, or midpoints if the grid is even."""
    out: dict[Hashable, xr.Variable] = {}
    for name, array in ds.coords.items():
        bounds = array.attrs.get("bounds")
        given = source.variables.get(bounds) if isinstance(bounds, str) else None
        if given is not None and name != "time":
            if given.dims[:-1] == array.dims:
                out[bounds] = given.copy(deep=False)
                out[bounds].encoding = {}
        elif len(space) > 1 and name in space and array.dtype.kind == "f" and array.size > 1:
            centres = array.values.astype(float)
            steps = np.diff(centres)
            if steps[0] and np.allclose(steps, steps[0], rtol=1e-3, atol=0.0):
                half = 0.5 * (centres[-1] - centres[0]) / len(steps)
                edges = np.stack([centres - half, centres + half], axis=1)
                edges = edges.clip(-90.0, 90.0) if name == "lat" else edges
                out[f"{name}_bnds"] = xr.Variable((name, "bnds"), edges)
                array.attrs["bounds"] = f"{name}_bnds"
    return out


def name_flags(ds: xr.Dataset) -> None:
    """Add the flags in ``ds`` to the ``ancillary_variables`` of all other variables."""
    flags = [name for name in _FLAGS if name in ds]
    for name in set(ds.data_vars) - set(flags) if flags else ():
        words = ds[name].attrs.get("ancillary_variables", "").split()
        ds[name].attrs["ancillary_variables"] = " ".join(dict.fromkeys([*words, *flags]))


def dimension_order(space: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """The order of time and space in CF: time series per cell, or maps per day on a grid."""
    return ("time", *space) if len(space) > 1 else (*space, "time")


def label_coordinates(ds: xr.Dataset) -> None:
    """Give coordinates the usual attributes for their names; their own attributes take precedence."""
    series = series_of(ds)
    for name, array in ds.coords.items():
        usual = dict(_COORDINATES.get(str(name), {}))
        if name in ds.dims and name in _AXES:
            usual["axis"] = _AXES[str(name)]
        if array.attrs.get("bounds") not in (None, *ds.variables):
            del array.attrs["bounds"]  # the bounds are not in this Dataset
        if "grid_mapping_name" in array.attrs:
            array.attrs = {"long_name": "projection of the grid", **array.attrs}
        elif name == "time":
            stamp = {key: value for key, value in array.attrs.items() if key == STAMP}
            left_out = () if "time_bnds" in ds.coords else ("bounds",)
            array.attrs = {key: value for key, value in usual.items() if key not in left_out} | stamp
        elif name == series:
            usual = {"long_name": f"name of the {(*array.dims, name)[0]}", "cf_role": "timeseries_id"}
            array.attrs = {**usual, **array.attrs}
        elif name in ds.dims and not usual:
            word = "name" if array.dtype.kind in "OTU" else "number"
            array.attrs = {"long_name": f"{word} of the {name}", **array.attrs}
        else:
            array.attrs = {**usual, **array.attrs}


def _with_grid_mapping(ds: xr.Dataset) -> xr.Dataset:
    """``ds`` with the grid mapping ``crs`` (WGS 84) if it is a grid of latitude and longitude without one."""
    kinds = {
        str(array.attrs.get("standard_name")): name for name, array in ds.coords.items() if name in ds.dims
    }
    plane = {kinds.get("latitude"), kinds.get("longitude")}
    on_it = [array for array in ds.data_vars.values() if plane <= set(array.dims)]
    if not on_it or any(grid_mapping_of(array) for array in on_it) or "crs" in ds.variables:
        return ds
    for array in on_it:
        array.attrs["grid_mapping"] = "crs"
    return ds.assign_coords(crs=((), np.int32(0), {"long_name": "projection of the grid", **_WGS84}))


def time_bounds(time: xr.DataArray) -> np.ndarray:
    """Midnight before and after each time stamp, (time, 2)."""
    first = days(time)
    return np.stack([np.asarray(first), np.asarray(first + timedelta(days=1))], axis=1)


def model_attrs(symbol: str, kind: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Global attributes that tell which model made a result; structures become JSON text."""
    plain = {
        key: value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)
        for key, value in more.items()
    }
    return {MODEL: symbol, MODEL_KIND: kind, **plain}


def for_file(ds: xr.Dataset) -> xr.Dataset:
    """Prepare ``ds`` for a file: strict CF, attributes of ACDD, encodings.

    A text index becomes numbers, and its labels a coordinate with ``cf_role``. A grid of latitude and
    longitude gets the grid mapping of WGS 84. Coordinates have no ``_FillValue``. Time is in days of its
    calendar, or in the largest smaller unit that represents all time stamps exactly. The valid range gets the
    type of the data.

    Raises
    ------
    EmptySelectionError
        If there are no days or no cells.
    DescriptionError
        If a name is not allowed in a file, or an index is stacked.
    """
    if ds.sizes.get("time") == 0:
        raise EmptySelectionError("there are no days to write: the selection in time is empty.")
    _check_names(ds)
    empty = [dim for array in ds.data_vars.values() for dim in array.dims if ds.sizes[dim] == 0]
    if empty:
        raise EmptySelectionError(f"there is nothing to write: the selection along {empty[0]!r} is empty.")
    ds = numbered(ds.copy())
    set_types(ds)
    label_coordinates(ds)
    ds = _with_grid_mapping(ds)
    now = timestamp()
    written = {"title": "Written by hydroxr", "history": f"{now}: written with hydroxr {__version__}"}
    ds.attrs = {**written, **ds.attrs, "Conventions": CONVENTIONS}
    ds.attrs.pop(DIGEST, None)  # it describes the file that ds was read from
    ds.attrs |= {VERSION_KEY: __version__, FORMAT_KEY: FORMAT}
    ds.attrs = acdd.describe(ds, now)
    ds = ds.transpose(*_LEFTMOST, ..., missing_dims="ignore")  # CF wants these dimensions first
    bounds = {array.attrs["bounds"] for array in ds.coords.values() if "bounds" in array.attrs}
    for name in ds.variables:
        array = ds[name]
        array.encoding = {}
        if name in ds.data_vars and name not in bounds:
            _say_more(array)
        if name in ds.coords or name in bounds or array.dtype.kind not in "f":
            array.encoding["_FillValue"] = None
    if "time" in ds.coords:
        for name in {"time", "time_bnds"} & set(ds.coords):
            ds[name].encoding |= _time_encoding(ds)  # xarray cannot infer it for lazy bounds
        ds["time"].attrs["units_metadata"] = "leap_seconds: none"
    named = any(array.attrs.get("cf_role") == "timeseries_id" for array in ds.coords.values())
    if named and "time" in ds.dims:
        ds.attrs["featureType"] = "timeSeries"
    return ds


def _check_names(ds: xr.Dataset) -> None:
    """Refuse names that NetCDF or Zarr cannot store; a slash would make a group."""
    for name in (*ds.dims, *ds.variables):
        text = name if isinstance(name, str) else ""
        wrong = text != text.strip() or not text.isprintable() or "/" in text or text == "zarr.json"
        if wrong or not 0 < len(text) <= 200 or text.startswith((".", "__")):
            raise DescriptionError(
                f"{name!r:.80} cannot be a name in a file; expected up to 200 printable characters without "
                "'/' or space at the ends, not 'zarr.json', that do not begin with '.' or '__'. Use "
                "ds.rename(...)."
            )
    stacked = [name for name, index in ds.indexes.items() if index.nlevels > 1]
    if stacked:
        raise DescriptionError(
            f"{stacked[0]!r} is a stacked index, which a file cannot store; use ds.unstack(...) or "
            f"ds.reset_index({stacked[0]!r})."
        )


def check_netcdf(ds: xr.Dataset) -> None:
    """Check that NetCDF has the types of all variables and attributes.

    Raises
    ------
    DescriptionError
        If a variable or an attribute has a type that NetCDF lacks.
    """
    for name, array in ds.variables.items():
        if array.dtype == "float16" or array.dtype.kind == "c":
            raise DescriptionError(f"{name!r} is {array.dtype}, which NetCDF lacks; expected float32.")
    owners = {"the Dataset": ds.attrs, **{repr(name): array.attrs for name, array in ds.variables.items()}}
    for owner, attrs in owners.items():
        for key, value in attrs.items():
            dtype = np.asarray(value).dtype
            if dtype.kind not in "iufSU" or dtype == "float16":
                raise DescriptionError(
                    f"the attribute {key!r} of {owner} is {value!r}, a type that NetCDF lacks; expected text "
                    "or numbers."
                )


def _time_encoding(ds: xr.Dataset) -> dict[str, Any]:
    """Units, calendar and type of the time stamps in a file."""
    unit, time = _time_unit(ds), ds["time"]
    first = str(time.values.ravel()[0])[:10]
    dtype = "float64" if unit == "days" else "int64"
    return {"units": f"{unit} since {first}", "calendar": time.dt.calendar, "dtype": dtype}


def _time_unit(ds: xr.Dataset) -> str:
    """The largest unit in which all time stamps and bounds are whole numbers, and so exact."""
    offsets = [
        _since_midnight(ds[name].values.ravel())
        for name in ("time", "time_bnds")
        if name in ds.coords and ds[name].chunks is None
    ]
    units = {"days": 86400 * 10**9, "minutes": 60 * 10**9, "seconds": 10**9, "milliseconds": 10**6}
    units |= {"microseconds": 10**3, "nanoseconds": 1}
    return next(unit for unit, length in units.items() if all((part % length == 0).all() for part in offsets))


def _since_midnight(stamps: np.ndarray) -> np.ndarray:
    """Nanoseconds since midnight of each time stamp."""
    if stamps.dtype.kind == "M":
        known = stamps[~np.isnat(stamps)]
        return (known - known.astype("datetime64[D]")).astype("timedelta64[ns]").astype("int64")
    seconds = [(stamp.hour * 60 + stamp.minute) * 60 + stamp.second for stamp in stamps]
    return np.array(
        [s * 10**9 + stamp.microsecond * 10**3 for s, stamp in zip(seconds, stamps, strict=True)],
        dtype="int64",
    )


def _say_more(array: xr.DataArray) -> None:
    """Add attributes that CF recommends, unless the variable has them."""
    if not {"long_name", "standard_name"} & array.attrs.keys():
        array.attrs["long_name"] = str(array.name).replace("_", " ")
    if array.attrs.get("standard_name") == "air_temperature":
        array.attrs.setdefault("units_metadata", "temperature: on_scale")


def set_types(ds: xr.Dataset) -> None:
    """Give attributes the type of the data where CF wants it; the JSON of a Zarr store does not keep it."""
    for array in ds.variables.values():
        ranges = ("valid_min", "valid_max") if array.dtype.kind == "f" else ()
        for key in {"flag_values", "flag_masks", *ranges} & array.attrs.keys():
            array.attrs[key] = np.asarray(array.attrs[key], array.dtype)[()]

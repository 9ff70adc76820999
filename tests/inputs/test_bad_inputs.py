"""A table of inputs that cannot be: each is refused by name, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from tests.conftest import FIT
from tests.support.labelled import make_parameters, raise_if_dask_computes, with_extremes

Change = Callable[[xr.Dataset], xr.Dataset]
Row = tuple[Change, type[hx.HydroxrError], str]


def units(name: str, value: Any) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds[name].attrs["units"] = value
        return ds

    return change


def value(name: str, number: Any, day: Any = 5) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds[name][1, day] = number
        return ds

    return change


def times(make: Callable[[pd.DatetimeIndex], Any]) -> Change:
    return lambda ds: ds.assign_coords(time=make(ds.indexes["time"]))


def as_type(name: str, dtype: Any) -> Change:
    return lambda ds: ds.assign({name: ds[name].astype(dtype)})


def word(name: str, text: Any) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        values = ds[name].values.astype(object)
        values[1, 5] = text
        return ds.assign({name: ds[name].copy(data=values)})

    return change


def stating(name: str, **attrs: Any) -> Change:
    return lambda ds: ds.assign({name: ds[name].assign_attrs(attrs)})


def cftime_days(calendar: str, number: int) -> np.ndarray:
    return np.asarray(xr.date_range("2001-01-01", periods=number, calendar=calendar, use_cftime=True).values)


UNITS: dict[str, Row] = {
    "none": (units("prcp", ""), errors.UnitsError, "'prcp' has no 'units'"),
    "nonsense": (units("prcp", "bananas"), errors.UnitsError, "'bananas'"),
    "another quantity": (units("prcp", "degC"), errors.UnitsError, "'degC'"),
    "no time": (units("prcp", "mm"), errors.UnitsError, "daily sums"),
    "a temperature of rain": (units("tmean", "mm/day"), errors.UnitsError, "'tmean'"),
    "a month": (units("pet", "mm/month"), errors.UnitsError, "'mm/month'"),
    "a list": (units("prcp", ["mm", "day"]), errors.UnitsError, "'prcp'"),
    "a number": (units("prcp", 1), errors.UnitsError, "'prcp'"),
    "kelvin as degC": (
        lambda ds: ds.assign(tmean=(ds["tmean"] + 273.15).assign_attrs(units="degC")),
        errors.UnitsError,
        "looks like kelvin",
    ),
    "degC as kelvin": (units("tmean", "K"), errors.UnitsError, "looks like degC"),
}

TIME: dict[str, Row] = {
    "no coordinate": (lambda ds: ds.drop_vars("time"), errors.TimeAxisError, "no coordinate"),
    "no dimension": (lambda ds: ds.rename(time="day"), errors.DimensionError, "'time'"),
    "numbers": (times(lambda index: np.arange(len(index))), errors.TimeAxisError, "expected dates"),
    "text": (times(lambda index: index.astype(str)), errors.TimeAxisError, "dates"),
    "hours": (
        times(lambda index: pd.date_range(index[0], periods=len(index), freq="h")),
        errors.TimeAxisError,
        "daily",
    ),
    "months": (
        times(lambda index: pd.date_range(index[0], periods=len(index), freq="MS")),
        errors.TimeAxisError,
        "daily",
    ),
    "a gap": (lambda ds: ds.isel(time=[*range(20), *range(25, 60)]), errors.TimeAxisError, "gap"),
    "a day twice": (
        lambda ds: ds.isel(time=[0, 1, 1, *range(2, 60)]),
        errors.TimeAxisError,
        "more than once",
    ),
    "reversed": (lambda ds: ds.isel(time=slice(None, None, -1)), errors.TimeAxisError, "sortby"),
    "shuffled": (lambda ds: ds.isel(time=[0, 2, 1, *range(3, 60)]), errors.TimeAxisError, "sorted"),
    "a missing date": (
        times(lambda index: index.where(np.arange(len(index)) != 3)),
        errors.TimeAxisError,
        "missing dates",
    ),
    "numbers with units": (
        lambda ds: ds.assign_coords(time=("time", np.arange(60), {"units": "days since 2000-01-01"})),
        errors.TimeAxisError,
        r"xr.decode_cf\(ds\)",
    ),
    "a time zone": (times(lambda index: index.tz_localize("UTC")), errors.TimeAxisError, "tz_localize"),
    "periods": (times(lambda index: index.to_period("D")), errors.TimeAxisError, "to_timestamp"),
    "two calendars": (
        times(lambda index: np.r_[cftime_days("360_day", 30), cftime_days("noleap", 30)]),
        errors.TimeAxisError,
        "several calendars",
    ),
    "bounds of another day": (
        lambda ds: ds.assign_coords(
            time_bnds=(("time", "nv"), ds["time"].values[:, None] + np.array([3, 4], "timedelta64[D]"))
        ),
        errors.TimeAxisError,
        "time bounds",
    ),
    "another name": (lambda ds: ds.rename(time="valid_time"), errors.DimensionError, "'valid_time'"),
    "no days": (lambda ds: ds.isel(time=slice(0, 0)), errors.EmptySelectionError, "no days"),
}

MISSING: dict[str, Row] = {
    "a day of rain": (value("prcp", np.nan), errors.MissingForcingError, "precipitation.*g1 on 2000-01-06"),
    "a cell": (value("tmean", np.nan, slice(None)), errors.MissingForcingError, "temperature.*mask"),
    "all rain": (lambda ds: ds.assign(prcp=ds["prcp"] * np.nan), errors.MissingForcingError, "180 of 180"),
    "no rain": (lambda ds: ds.drop_vars("prcp"), errors.MissingVariableError, "precipitation"),
    "no temperature": (lambda ds: ds.drop_vars("tmean"), errors.MissingVariableError, "temperature"),
    "no pet": (lambda ds: ds.drop_vars(["pet", "lat"]), errors.MissingVariableError, "evapotranspiration"),
    "nothing": (lambda ds: ds[[]], errors.MissingVariableError, "precipitation"),
    "two of a kind": (lambda ds: ds.assign(pr=ds["prcp"]), errors.AmbiguousVariableError, "'prcp'.*'pr'"),
    "no cells": (lambda ds: ds.isel(basin=slice(0, 0)), errors.EmptySelectionError, "no cells"),
    "a stated code": (
        lambda ds: value("prcp", -9999.0)(ds).pipe(stating("prcp", _FillValue=-9999.0)),
        errors.MissingForcingError,
        "'prcp'.*g1 on 2000-01-06",
    ),
    "beyond the stated range": (
        lambda ds: value("prcp", 700.0)(ds).pipe(stating("prcp", valid_range=[0.0, 650.0])),
        errors.MissingForcingError,
        "'prcp'.*g1 on 2000-01-06",
    ),
    "an unknown latitude": (
        lambda ds: with_extremes(ds).assign_coords(
            lat=("basin", [45.0, np.nan, 50.0], {"units": "degrees_north"})
        ),
        errors.MissingForcingError,
        "Hargreaves",
    ),
}

VALUES: dict[str, Row] = {
    "negative rain": (value("prcp", -1.0), errors.ValueRangeError, "precipitation.*-1 "),
    "-999": (value("prcp", -999.0), errors.ValueRangeError, "-999.*coded as numbers"),
    "-9999": (value("pet", -9999.0), errors.ValueRangeError, "-9999.*coded as numbers"),
    "9.97e36": (value("prcp", 9.969209968386869e36), errors.ValueRangeError, "9.96921e.*coded as numbers"),
    "1e20": (value("tmean", 1e20), errors.ValueRangeError, "1e.20.*coded as numbers"),
    "-99.9 degC": (value("tmean", -99.9), errors.ValueRangeError, "-99.9.*coded as numbers"),
    "9999 mm": (value("prcp", 9999.0), errors.ValueRangeError, "9999.*coded as numbers"),
    "infinite rain": (value("prcp", np.inf), errors.ValueRangeError, "precipitation.*inf"),
    "infinite cold": (value("tmean", -np.inf), errors.ValueRangeError, "temperature.*-inf"),
    "negative pet": (value("pet", -3.0), errors.ValueRangeError, "evapotranspiration.*-3 "),
    "too much pet": (value("pet", 500.0), errors.ValueRangeError, "evapotranspiration.*500 "),
    "fahrenheit": (
        lambda ds: ds.assign(tmean=(ds["tmean"] * 1.8 + 72).assign_attrs(units="degC")),
        errors.ValueRangeError,
        "Fahrenheit",
    ),
    "huge": (value("tmean", 1e38), errors.ValueRangeError, "temperature"),
    "-999 in an extreme": (
        lambda ds: value("tmin", -999.0)(with_extremes(ds)),
        errors.ValueRangeError,
        "'tmin'.*g1 on 2000-01-06.*coded as numbers",
    ),
    "text": (word("tmean", "Ice"), errors.ValueRangeError, "'tmean' holds 'Ice'.*2000-01-06.*1 of 180"),
    "a decimal comma": (word("prcp", "2,5"), errors.ValueRangeError, "'prcp' holds '2,5'"),
    "objects": (word("pet", [1, 2]), errors.ValueRangeError, "'pet' holds"),
    "complex": (as_type("tmean", complex), errors.ValueRangeError, "'tmean' holds complex128"),
    "dates": (as_type("pet", "datetime64[ns]"), errors.ValueRangeError, "'pet' holds datetime64"),
    "spans of time": (as_type("pet", "timedelta64[ns]"), errors.ValueRangeError, "'pet' holds timedelta64"),
}

SHAPES: dict[str, Row] = {
    "an extra dimension": (
        lambda ds: ds.assign(tmean=ds["tmean"].expand_dims(height=[2.0])),
        errors.DimensionError,
        "'height'",
    ),
    "an ensemble": (
        lambda ds: ds.assign(pet=xr.concat([ds["pet"]] * 2, "number")),
        errors.DimensionError,
        "'number'",
    ),
    "no time in rain": (lambda ds: ds.assign(prcp=ds["prcp"].isel(time=0)), errors.DimensionError, "'time'"),
    "no time in pet": (
        lambda ds: ds.assign(pet=ds["pet"].isel(time=0, drop=True)),
        errors.DimensionError,
        "'pet'.*'time'",
    ),
    "0-d": (
        lambda ds: ds.drop_vars("prcp").assign(prcp=((), 1.0, {"units": "mm/day"})),
        errors.DimensionError,
        "'time'",
    ),
    "stacked": (
        lambda ds: ds.drop_vars(["basin", "basin_id", "lat"]).assign_coords(
            xr.Coordinates.from_pandas_multiindex(
                pd.MultiIndex.from_tuples([(1, 1), (1, 2), (2, 1)], names=["a", "b"]), "basin"
            )
        ),
        errors.DimensionError,
        "stacked",
    ),
    "a label that is missing": (
        lambda ds: ds.assign_coords(basin=[1.0, np.nan, 3.0]).drop_vars("basin_id"),
        errors.CoordinateError,
        "'basin' has no label in 1 of 3 places",
    ),
    "a place that is missing": (
        lambda ds: (
            ds.drop_vars(["basin_id", "lat"]).rename(basin="lat").assign_coords(lat=[45.0, 46.0, np.nan])
        ),
        errors.CoordinateError,
        "'lat' has no label",
    ),
    "a mask in time": (lambda ds: ds.assign(mask=ds["prcp"] > 1), errors.DimensionError, "'mask'.*no mask"),
    "a mask of text": (
        lambda ds: ds.assign(mask=("basin", ["y", "n", "y"])),
        errors.DimensionError,
        "'mask'",
    ),
}

TABLES = {"units": UNITS, "time": TIME, "missing": MISSING, "values": VALUES, "shapes": SHAPES}
ROWS = [
    pytest.param(*row, id=f"{kind}: {name}") for kind, table in TABLES.items() for name, row in table.items()
]


@pytest.mark.parametrize(("change", "kind", "message"), ROWS)
def test_bad_inputs_are_refused(
    ds: xr.Dataset, change: Change, kind: type[hx.HydroxrError], message: str
) -> None:
    """By ``check`` and ``simulate``; lazily what metadata tell."""
    parameters = make_parameters(ds)
    bad = change(ds)
    with pytest.raises(hx.HydroxrError, match=f"(?s){message}") as found:
        bad.hbv.check()
    assert type(found.value) is kind
    with pytest.raises(hx.HydroxrError, match=f"(?s){message}"):
        bad.hbv.simulate(parameters)
    read = kind in (errors.MissingForcingError, errors.ValueRangeError)
    if not read and "looks like" not in message and "bounds" not in message:
        with raise_if_dask_computes(), pytest.raises(hx.HydroxrError, match=f"(?s){message}"):
            bad.chunk().hbv.simulate(parameters)


def flow_of(number: float, units: str = "mm/day", area: float = 100.0, of_area: str = "km2") -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds["streamflow"][1, 5] = number
        ds["streamflow"].attrs["units"] = units
        return ds.assign(area=("basin", np.full(3, area), {"units": of_area}))

    return change


BESIDE: dict[str, Row] = {  # what a simulation does not need
    "flow of -999": (flow_of(-999.0), errors.ValueRangeError, "streamflow.*-999.*g1.*coded as numbers"),
    "flow of 9.97e36": (
        flow_of(9.969209968386869e36),
        errors.ValueRangeError,
        "streamflow.*coded as numbers",
    ),
    "an area in m2 said to be km2": (flow_of(5.0, "m3/s", 700.0, "m2"), errors.ValueRangeError, "area"),
    "no area": (flow_of(5.0, "m3/s", 0.0), errors.ValueRangeError, "inf.*catchment area"),
    "flow as text": (word("streamflow", "Ice"), errors.ValueRangeError, "'streamflow' holds 'Ice'"),
    "an area in km": (flow_of(5.0, "m3/s", 5.0, "km"), errors.UnitsError, "'area'"),
    "beyond the pole": (
        lambda ds: ds.assign_coords(lat=("basin", [45.0, 135.0, 50.0], {"units": "degrees_north"})),
        errors.ValueRangeError,
        "135 degrees_north.*swapped",
    ),
    "masked everywhere": (
        lambda ds: ds.assign(mask=("basin", [False, False, False])),
        errors.EmptySelectionError,
        "mask",
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_check_refuses_what_a_simulation_does_not_need(ds: xr.Dataset, name: str) -> None:
    change, kind, message = BESIDE[name]
    with pytest.raises(hx.HydroxrError, match=f"(?s){message}") as found:
        change(ds).hbv.check()
    assert type(found.value) is kind


def test_labels_that_repeat_are_told(ds: xr.Dataset) -> None:
    """Two rows of one name may be one place twice."""
    twice = ds.drop_vars("basin_id").assign_coords(basin=["a", "a", "b"])
    assert any("basin a is the name of 2 cells" in text for text in twice.hbv.check().improbable)


ATTRIBUTES: dict[str, tuple[Any, type[hx.HydroxrError], str]] = {
    "a decimal comma": (["120,5", "300,0", "95,2"], errors.AttributeValueError, "'120,5' in basin 10"),
    "a dash": (["120.5", "-", "95.2"], errors.AttributeValueError, "'-' in basin 20"),
    "a mixed column": ([120.5, "unknown", 3], errors.AttributeValueError, "'unknown' in basin 20"),
    "infinite": ([1.0, np.inf, 3.0], errors.AttributeValueError, "infinite in basin 20"),
    "complex": ([1j, 2, 3], errors.AttributeValueError, "complex"),
    "dates": (pd.date_range("2000", periods=3), errors.AttributeValueError, "datetime"),
    "spans of time": (pd.timedelta_range("1D", periods=3), errors.AttributeValueError, "timedelta"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_that_are_no_numbers_are_refused(ds: xr.Dataset, name: str) -> None:
    """With the label of the row; before anything is trained."""
    values, kind, message = ATTRIBUTES[name]
    dtype = object if isinstance(values, list) and any(isinstance(each, str) for each in values) else None
    bad = ds.assign(elev_mean=("basin", np.array(values, dtype=dtype)))
    spec = hx.DeltaHBV(components=1, hidden=2, network="lstm")
    for call in (lambda: bad.hbv.check(spec), lambda: bad.hbv.fit(spec, **FIT)):
        with pytest.raises(kind, match=message):
            call()

"""Inputs that are wrong are refused: each error is named for what is wrong and says what to do about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from hydroxr.errors import (
    DimensionError,
    EmptySelectionError,
    HydroxrError,
    MissingForcingError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
    ValueRangeError,
)
from tests.conftest import FIT
from tests.support.labelled import (
    make_dataset,
    make_parameters,
    raise_if_dask_computes,
    with_units,
    with_value,
)


def times(ds: xr.Dataset, order: Any) -> xr.Dataset:
    """The days ``order`` of ``ds``, whatever they are."""
    return ds.isel(time=list(order))


HOURS = pd.date_range("2000-01-01", periods=60, freq="h")
WRONG: dict[str, tuple[Any, type[HydroxrError], list[str]]] = {
    # what is wrong: (what makes it so, the error, what its message must say)
    "no precipitation": (
        lambda ds: ds.drop_vars("prcp"),
        MissingVariableError,
        ["precipitation", "prcp, pr", "'tmean'", "rename"],
    ),
    "no temperature": (
        lambda ds: ds.drop_vars("tmean"),
        MissingVariableError,
        ["temperature", "tmean, tas", "tmin", "'prcp'"],
    ),
    "no PET": (
        lambda ds: ds.drop_vars(["pet", "lat"], errors="ignore"),
        MissingVariableError,
        ["potential evapotranspiration", "lat", "computed"],
    ),
    "no units": (
        lambda ds: with_units(ds, "prcp", None),
        UnitsError,
        ["'prcp'", "no 'units'", "mm/day", "attrs"],
    ),
    "empty units": (lambda ds: with_units(ds, "pet", " "), UnitsError, ["'pet'", "mm/day", "attrs"]),
    "strange units": (
        lambda ds: with_units(ds, "prcp", "mm/month"),
        UnitsError,
        ["'prcp'", "'mm/month'", "mm/day", "Convert"],
    ),
    "scaled units": (lambda ds: with_units(ds, "prcp", "0.1 mm/day"), UnitsError, ["'prcp'", "'0.1 mm/day'"]),
    "units of another quantity": (
        lambda ds: with_units(ds, "tmean", "mm/day"),
        UnitsError,
        ["'tmean'", "'mm/day'", "degC or K"],
    ),
    "time of another name": (
        lambda ds: ds.rename(time="date"),
        DimensionError,
        ["'prcp'", "'date'", "'time'", "rename"],
    ),
    "precipitation without time": (
        lambda ds: ds.assign(prcp=ds["prcp"].isel(time=0, drop=True)),
        DimensionError,
        ["'prcp'", "'basin'", "'time'"],
    ),
    "temperature without time": (
        lambda ds: ds.assign(tmean=ds["tmean"].isel(time=0, drop=True)),
        DimensionError,
        ["'tmean'", "'basin'", "'time'"],
    ),
    "a dimension too many": (
        lambda ds: ds.assign(tmean=ds["tmean"].expand_dims(height=2)),
        DimensionError,
        ["'tmean'", "'height'", "isel"],
    ),
    "no dates": (
        lambda ds: ds.drop_vars("time"),
        TimeAxisError,
        ["'time'", "no coordinate", "assign_coords"],
    ),
    "numbers for dates": (
        lambda ds: ds.assign_coords(time=np.arange(60)),
        TimeAxisError,
        ["'time'", "int64", "dates", "decode_cf"],
    ),
    "text for dates": (
        lambda ds: ds.assign_coords(time=ds["time"].dt.strftime("%Y-%m-%d").values),
        TimeAxisError,
        ["'time'", "dates"],
    ),
    "unsorted": (lambda ds: times(ds, [0, 2, 1, *range(3, 60)]), TimeAxisError, ["not sorted", "sortby"]),
    "backwards": (lambda ds: times(ds, range(59, -1, -1)), TimeAxisError, ["not sorted", "sortby"]),
    "a day twice": (
        lambda ds: times(ds, [0, 1, 1, *range(2, 60)]),
        TimeAxisError,
        ["2000-01-02", "more than once", "drop_duplicates"],
    ),
    "a gap": (
        lambda ds: times(ds, [*range(10), *range(13, 60)]),
        TimeAxisError,
        ["gap", "2000-01-14", "2000-01-10", "every day", "reindex", "missing='fill'"],
    ),
    "hourly": (lambda ds: ds.assign_coords(time=HOURS), TimeAxisError, ["steps", "daily", "resample"]),
    "monthly": (
        lambda ds: ds.assign_coords(time=pd.date_range("2000-01-01", periods=60, freq="MS")),
        TimeAxisError,
        ["steps of 31 days", "daily", "resample"],
    ),
    "no days": (lambda ds: ds.isel(time=slice(0, 0)), EmptySelectionError, ["no days", "selection"]),
    "no cells": (lambda ds: ds.isel(basin=[]), EmptySelectionError, ["basin"]),
    "K labelled degC": (
        lambda ds: ds.assign(tmean=(ds["tmean"] + 273.15).assign_attrs(units="degC")),
        UnitsError,
        ["temperature", "kelvin", "'K'", "2000-01-01"],
    ),
    "degC labelled K": (
        lambda ds: with_units(ds, "tmean", "K"),
        UnitsError,
        ["temperature", "degC", "'degC'", "2000-01-01"],
    ),
    "negative precipitation": (
        lambda ds: with_value(ds, "prcp", -9999),
        ValueRangeError,
        ["precipitation", "-9999", "g1", "2000-01-06", "0 to 2000", "missing values"],
    ),
    "slightly negative precipitation": (
        lambda ds: with_value(ds, "prcp", -0.001),
        ValueRangeError,
        ["precipitation", "-0.001", "g1"],
    ),
    "a flood": (
        lambda ds: with_value(ds, "prcp", 1e5),
        ValueRangeError,
        ["precipitation", "100000", "units right"],
    ),
    "infinite": (
        lambda ds: with_value(ds, "pet", np.inf),
        ValueRangeError,
        ["evapotranspiration", "inf", "g1"],
    ),
    "an impossible temperature": (
        lambda ds: with_value(ds, "tmean", -999),
        ValueRangeError,
        ["temperature", "-999", "g1", "-95 to 70"],
    ),
    "missing precipitation": (
        lambda ds: with_value(ds, "prcp", np.nan),
        MissingForcingError,
        ["precipitation", "1 of 180", "g1", "2000-01-06", "every day", "fill"],
    ),
    "sea": (
        lambda ds: ds.assign(prcp=ds["prcp"].where(ds["basin"] != ds["basin"][1])),
        MissingForcingError,
        ["precipitation", "60 of 180", "sea", "mask=ds['prcp'].notnull().any('time')", "fill"],
    ),
    "missing temperature": (
        lambda ds: with_value(ds, "tmean", np.nan),
        MissingForcingError,
        ["temperature", "g1", "2000-01-06", "fill"],
    ),
}
USES: dict[str, Any] = {
    "check": lambda ds: ds.hbv.check(),
    "simulate": lambda ds: ds.hbv.simulate(make_parameters(make_dataset())),
    "fit": lambda ds: ds.hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT | {"time": None}),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("wrong", WRONG)
def test_bad_input_is_refused(ds: xr.Dataset, wrong: str, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By check, simulate and fit: the named error, before any computation, whose message says what, where,
    what was expected and what to do."""
    from hydroxr.physics import simulation
    from hydroxr.training.loop import train as training

    def computed(*args: Any, **options: Any) -> None:
        raise AssertionError("something long was computed before the error")

    monkeypatch.setattr(training, "train", computed)
    monkeypatch.setattr(simulation, "simulate_tensors", computed)
    make, error, words = WRONG[wrong]
    with pytest.raises(error) as caught:
        USES[use](make(ds))
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


def is_seen_without_values(wrong: str) -> bool:
    """Whether names, units, dimensions and days alone tell."""
    return WRONG[wrong][1] not in (ValueRangeError, MissingForcingError) and "labelled" not in wrong


@pytest.mark.parametrize("wrong", [wrong for wrong in WRONG if is_seen_without_values(wrong)])
def test_bad_lazy_input_is_refused_at_once(ds: xr.Dataset, wrong: str) -> None:
    """What can be seen without the values is, when simulate is called."""
    make, error, _ = WRONG[wrong]
    parameters = make_parameters(ds)
    bad = make(ds)
    bad = bad.drop_vars("basin_id").chunk()
    with raise_if_dask_computes(), pytest.raises(error):
        bad.hbv.simulate(parameters)


@pytest.mark.parametrize("wrong", [wrong for wrong in WRONG if not is_seen_without_values(wrong)])
def test_bad_lazy_values_are_refused_when_they_are_computed(ds: xr.Dataset, wrong: str) -> None:
    """The same error, out of the block."""
    make, error, words = WRONG[wrong]
    sim = make(ds).chunk(basin=1).hbv.simulate(make_parameters(ds))
    with pytest.raises(error, match=words[0]):
        sim.compute()


@pytest.mark.parametrize("chunked", ["forcing", "parameters"])
def test_an_error_never_names_another_cell(ds: xr.Dataset, chunked: str) -> None:
    """Whatever is lazy, the cell that the message names (if it names one) is the one at fault."""
    bad = with_value(ds, "prcp", -1.0, basin=2)
    parameters = make_parameters(ds)
    if chunked == "forcing":
        bad = bad.chunk(basin=1)
    else:
        parameters = parameters.chunk(basin=1)
    with pytest.raises(ValueRangeError) as caught:
        bad.hbv.simulate(parameters).compute()
    assert "g0" not in str(caught.value)
    assert "g1" not in str(caught.value)


@pytest.mark.parametrize(
    ("role", "name", "change"),
    [
        ("prcp", "pr", lambda array: array - 50),
        ("tmean", "tas", lambda array: array + 273.15),
        ("pet", "evspsblpot", lambda array: array * np.nan),
    ],
)
def test_messages_have_the_name_that_the_dataset_uses(
    ds: xr.Dataset, role: str, name: str, change: Any
) -> None:
    """Not the table's: the user looks for ``tas``, not for ``tmean``."""
    bad = ds.assign({role: change(ds[role]).assign_attrs(units=ds[role].attrs["units"])}).rename({role: name})
    with pytest.raises(HydroxrError, match=f"'{name}'"):
        bad.hbv.check()


def test_every_error_has_one_base(ds: xr.Dataset) -> None:
    """All are ``hx.HydroxrError``, none of them is anything else of Python's."""
    assert hx.HydroxrError is HydroxrError
    named = [
        thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)
    ]
    assert len(named) > 15
    for error in named:
        assert issubclass(error, (HydroxrError, hx.HydroxrWarning))
        assert error.__doc__

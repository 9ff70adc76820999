"""A forecast is the plain simulation of the days that it is for, whatever the weather comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    EmptySelectionError,
    HydroxrWarning,
    MissingForcingError,
    StateError,
)
from hydroxr.models.attribute_ranges import RANGES
from hydroxr.models.ensemble import Ensemble
from tests.support.labelled import make_dataset, make_parameters, raise_if_dask_computes, untrained

NAMES = ["streamflow", "soil_moisture", "evapotranspiration"]
INIT = ["2000-02-01", "2000-02-10", "2000-03-02", "2000-12-28", "2001-01-02"]
LEAD = 6
FILTERS = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"))
LSTM = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",))


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return make_dataset(days=400, cells=3)


@pytest.fixture(scope="module")
def filters() -> hx.Model:
    return untrained(FILTERS)


def of_the_same_days(sim: xr.Dataset, ahead: xr.Dataset) -> xr.Dataset:
    """A simulation in the layout of a forecast."""
    return sim[NAMES].sel(time=ahead["valid_time"]).transpose("init", "lead", ...)


def assert_is(ahead: xr.Dataset, sim: xr.Dataset) -> None:
    """The forecast has the numbers of the simulation, within the rounding of float32."""
    expected = of_the_same_days(sim, ahead)
    for name in NAMES:
        assert ahead[name].dims[:2] == ("init", "lead")
        np.testing.assert_allclose(ahead[name].values, expected[name].values, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["filters", "mlp", "lstm", "parameters", "ensemble"])
def test_with_the_records_own_forcing_it_is_the_simulation(ds: xr.Dataset, kind: str) -> None:
    """Lead by lead, also where a forecast crosses the new year, at which blocks of parameters begin anew."""
    model = {
        "filters": lambda: untrained(FILTERS),
        "mlp": lambda: untrained(hx.DeltaHBV(components=2, network="mlp", hidden=4)),
        "lstm": lambda: untrained(LSTM),
        "parameters": lambda: make_parameters(ds),
        "ensemble": lambda: Ensemble(tuple(untrained(FILTERS, seed=seed) for seed in (0, 1))),
    }[kind]()
    ahead = ds.hbv.forecast(model, INIT, LEAD, NAMES)
    assert list(ahead["lead"].values) == [1, 2, 3, 4, 5, 6]
    assert str(ahead["valid_time"].sel(init="2000-12-28", lead=6).values)[:10] == "2001-01-03"
    assert_is(ahead, ds.hbv.simulate(model))


def test_an_archive_is_found_by_the_day_that_it_is_for(ds: xr.Dataset, filters: hx.Model) -> None:
    """Leads in hours from issues at noon, in other units, with more dates and leads than are asked for."""
    init = pd.DatetimeIndex(INIT) + pd.Timedelta(hours=12)
    lead = pd.to_timedelta([0, 24, 48, 72, 96], unit="h")
    valid = xr.DataArray(init, dims="init") + xr.DataArray(lead, dims="lead")
    archive = ds[["prcp", "tmean", "pet"]].sel(time=valid.dt.floor("D")).drop_vars("time")
    archive = archive.assign_coords(init=init, lead=lead, basin=ds["basin"])
    archive["tmean"] = (archive["tmean"] + 273.15).assign_attrs(units="K")
    ahead = ds.hbv.forecast(filters, INIT[1:3], 3, NAMES, forcing=archive)
    expected = of_the_same_days(ds.hbv.simulate(filters), ahead)
    np.testing.assert_allclose(ahead["streamflow"], expected["streamflow"], rtol=1e-4, atol=1e-5)
    wet = archive.assign(prcp=(archive["prcp"] + 30).assign_attrs(units="mm/day"))
    wetter = ds.hbv.forecast(filters, INIT[1:3], 3, NAMES, forcing=wet)
    assert (wetter["streamflow"] > ahead["streamflow"]).all()
    with pytest.raises(MissingForcingError, match=r"from 2000-02-10 has no forcing at lead 5 \(2000-02-15\)"):
        ds.hbv.forecast(filters, INIT[1], 5, forcing=archive)
    with pytest.raises(
        MissingForcingError, match=r"from 2000-02-02 .*archive has no forecast from this date"
    ):
        ds.hbv.forecast(filters, "2000-02-02", 2, forcing=archive)


def test_members_are_side_by_side(ds: xr.Dataset, filters: hx.Model) -> None:
    """An ensemble of weather gives an ensemble of forecasts, each as it would be alone."""
    weather = ds[["prcp", "tmean", "pet"]]
    scale = xr.DataArray([1.0, 0.5], dims="member", coords={"member": ["full", "half"]})
    prcp = (weather["prcp"] * scale).assign_attrs(units="mm/day")
    ahead = ds.hbv.forecast(filters, INIT[:2], 4, NAMES, forcing=weather.assign(prcp=prcp))
    assert ahead["streamflow"].dims == ("init", "lead", "member", "basin")
    alone = ds.hbv.forecast(
        filters, INIT[:2], 4, NAMES, forcing=weather.assign(prcp=prcp.sel(member="half", drop=True))
    )
    for name in NAMES:
        np.testing.assert_allclose(ahead[name].sel(member="half"), alone[name], rtol=1e-6)


def test_models_and_components_are_members_too(ds: xr.Dataset, filters: hx.Model) -> None:
    """Each model of an ensemble with its own analysis, and each component of a model."""
    ensemble = Ensemble((filters, untrained(FILTERS, seed=1)))
    analysis = ds.hbv.assimilate(ensemble, window=10, init=INIT[:2], iterations=3)
    apart = ds.hbv.forecast(ensemble, INIT[:2], 3, initial_state=analysis, members=True)["streamflow"]
    assert apart.dims == ("init", "lead", "member", "basin")
    for member, model in enumerate(ensemble.members):
        own = ds.hbv.assimilate(model, window=10, init=INIT[:2], iterations=3)
        alone = ds.hbv.forecast(model, INIT[:2], 3, initial_state=own)["streamflow"]
        np.testing.assert_allclose(apart.sel(member=member), alone, rtol=1e-6)
    mean = ds.hbv.forecast(ensemble, INIT[:2], 3, initial_state=analysis)["streamflow"]
    np.testing.assert_allclose(apart.mean("member"), mean, rtol=1e-6)
    soil = ds.hbv.forecast(filters, INIT[:2], 3, ["soil_moisture"], components=True)["soil_moisture"]
    whole = ds.hbv.forecast(filters, INIT[:2], 3, ["soil_moisture"])["soil_moisture"]
    np.testing.assert_allclose(soil.mean("component"), whole, rtol=1e-5)
    weather = ds[["prcp", "tmean", "pet"]].expand_dims(member=2)
    with pytest.raises(DescriptionError, match="both the ensemble and the forcing have members"):
        ds.hbv.forecast(ensemble, INIT[:1], 2, forcing=weather)


def test_states_of_the_dates_may_be_given(ds: xr.Dataset, filters: hx.Model) -> None:
    """They are found by date; the record before the dates is not read then."""
    states = []
    for date in INIT[:2]:
        state = ds.sel(time=slice(None, date)).hbv.simulate(filters, variables=[], return_state=True)[1]
        states.append(state.drop_vars("time").expand_dims(init=[np.datetime64(date)]))
    given = xr.concat(states[::-1], "init")
    ahead = ds.hbv.forecast(filters, INIT[:2], 3, NAMES, initial_state=given)
    assert_is(ahead, ds.hbv.simulate(filters))
    with pytest.raises(StateError, match="none for init 2000-03-02"):
        ds.hbv.forecast(filters, INIT[:3], 3, initial_state=given)


def test_later_days_change_nothing(ds: xr.Dataset, filters: hx.Model) -> None:
    """A forecast knows the record up to its date, and its own forcing after it."""
    other = ds.copy(deep=True)
    other["prcp"][{"time": slice(45, None)}] = 99.0  # from 15 February on
    own = ds[["prcp", "tmean", "pet"]]
    first, second = (each.hbv.forecast(filters, INIT[:2], 5, forcing=own) for each in (ds, other))
    xr.testing.assert_equal(first, second)


def test_lazy_data_stay_lazy_and_are_written(ds: xr.Dataset, filters: hx.Model, tmp_path: Path) -> None:
    lazy = ds.chunk(basin=2, time=100)
    with raise_if_dask_computes():
        ahead = lazy.hbv.forecast(filters, INIT, LEAD, NAMES)
    expected = ds.hbv.forecast(filters, INIT, LEAD, NAMES)
    for name in NAMES:
        assert ahead[name].chunks is not None
        np.testing.assert_allclose(ahead[name].compute(), expected[name], rtol=2e-5, atol=2e-6)
    ahead.hbv.to_zarr(tmp_path / "ahead.zarr")
    again = hx.open_run(tmp_path / "ahead.zarr", verify=True)
    for name in ("lead", "valid_time", *NAMES):
        found = again[name].transpose(*expected[name].dims)
        np.testing.assert_allclose(found.astype(float), expected[name].astype(float), rtol=2e-5, atol=2e-6)


def test_other_calendars_have_forecasts() -> None:
    ds = make_dataset(days=400, cells=2)
    ds["time"] = xr.date_range("2001-01-01", periods=400, calendar="noleap", use_cftime=True)
    model = untrained(FILTERS)
    ahead = ds.hbv.forecast(model, ds["time"][[40, 362]], LEAD, NAMES)
    assert_is(ahead, ds.hbv.simulate(model))


@pytest.mark.parametrize(
    ("init", "lead", "error", "message"),
    [
        ([], 1, EmptySelectionError, "no dates"),
        (
            "2010-01-01",
            1,
            CoordinateError,
            "init 2010-01-01 is no day of the record, 2000-01-01 to 2001-02-03",
        ),
        (["2000-02-01", "2000-02-01T12"], 1, CoordinateError, "a date twice"),
        ("2001-02-01", 5, MissingForcingError, r"from 2001-02-01 has no forcing at lead 3 \(2001-02-04\)"),
        ("2000-02-01", 0, DescriptionError, "lead is 0"),
        ("2000-02-01", 1.5, DescriptionError, "lead is 1.5"),
    ],
)
def test_what_cannot_be_forecast_is_refused(
    ds: xr.Dataset, filters: hx.Model, init: object, lead: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ds.hbv.forecast(filters, init, lead)


def test_parameters_of_days_to_come_are_not_known(ds: xr.Dataset) -> None:
    with pytest.raises(DescriptionError, match="vary in time"):
        ds.hbv.forecast(make_parameters(ds, dynamic=("BETA",)), INIT[:1])


def test_cells_unlike_the_training_are_told_once(ds: xr.Dataset, filters: hx.Model) -> None:
    """By their own number, however many dates and groups of dates there are."""
    ranges = {name: [1e6, 2e6] for name in untrained(FILTERS).attributes}
    model = replace(filters, training=filters.training | {RANGES: ranges})
    with pytest.warns(HydroxrWarning, match="3 of 3 cells have attributes unlike") as caught:
        ahead = ds.hbv.forecast(model, INIT, lead=LEAD)
    assert len(caught) == 1
    assert ahead["attribute_flag"].dims == ("basin",)
    assert "attribute_flag" in ahead["streamflow"].attrs["ancillary_variables"]

"""What the models that come with hydroxr promise of the water, on a virtual continent."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model

NAMES = ("camels-us", "camels-us-ungauged")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    out = hx.virtual_continent(cells=6, years=3)
    series = {name: out[name].transpose("basin", "time") for name in ("prcp", "tmean", "pet")}
    return out.drop_vars(["tmin", "tmax"]).assign(series).load()


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Model:
    found = hx.load_model(request.param)
    assert isinstance(found, Model)
    return found


def flow(ds: xr.Dataset, model: Model) -> xr.DataArray:
    return ds.hbv.simulate(model, variables=["streamflow"], dtype="float64")["streamflow"]


def with_rain(ds: xr.Dataset, factor: float = 1.0, pulse: float = 0.0, day: int = 0) -> xr.Dataset:
    """``ds`` with other precipitation; the pulse falls on one day."""
    rain = factor * ds["prcp"] + pulse * (ds["time"] == ds["time"][day])
    return ds.assign(prcp=rain.transpose("basin", "time").assign_attrs(ds["prcp"].attrs))


def test_a_storm_changes_no_day_before_it(ds: xr.Dataset, model: Model) -> None:
    calm, wet = flow(ds, model), flow(with_rain(ds, pulse=150.0, day=-1), model)
    np.testing.assert_array_equal(wet.isel(time=slice(0, -1)), calm.isel(time=slice(0, -1)))
    assert (wet.isel(time=-1) > calm.isel(time=-1)).any()


def test_dates_play_no_part(ds: xr.Dataset, model: Model) -> None:
    """The same weather eight years later gives the same water: 2,922 days, so that years stay years."""
    later = ds.assign_coords(time=ds["time"] + np.timedelta64(2922, "D"))
    np.testing.assert_array_equal(flow(later, model), flow(ds, model))


def test_the_area_changes_no_depth(ds: xr.Dataset, model: Model) -> None:
    large = ds.assign(area_gages2=(10 * ds["area_gages2"]).assign_attrs(ds["area_gages2"].attrs))
    np.testing.assert_array_equal(flow(large, model), flow(ds, model))


def test_more_rain_is_never_less_water(ds: xr.Dataset, model: Model) -> None:
    less, more = (
        each.groupby("time.year").sum() for each in (flow(ds, model), flow(with_rain(ds, 1.1), model))
    )
    assert (more >= less).all()
    assert (more.sum("year") > less.sum("year")).all()


@pytest.mark.parametrize("day", [200, 500])
def test_the_response_to_a_pulse_of_rain_is_more_water(ds: xr.Dataset, model: Model, day: int) -> None:
    """In volume: over a year, and with parameters held up to any day, within 0.3 % of the pulse.

    On single days it can be: HBV computes a day from the soil of the day before, so that in thin soil what
    stays on one day changes how much runs off on the next.
    """
    wet = with_rain(ds, pulse=30.0, day=day)
    change = flow(wet, model) - flow(ds, model)
    assert (change.isel(time=slice(day, day + 365)).sum("time") > 0).all()
    held = ds.hbv.parameters(model)
    runs = [each.hbv.simulate(held, variables=["streamflow"], dtype="float64") for each in (ds, wet)]
    assert ((runs[1] - runs[0])["streamflow"].cumsum("time") > -0.1).all()


def test_without_rain_everything_dries(ds: xr.Dataset, model: Model) -> None:
    dry = ds.copy(deep=True)
    dry["prcp"][{"time": slice(400, None)}] = 0.0
    sim = dry.hbv.simulate(model, dtype="float64").isel(time=slice(400, None))
    stored = sim.hbv.derive("terrestrial_water_storage")["terrestrial_water_storage"]
    assert (stored.diff("time") <= 1e-9).all()
    usual = flow(dry, model).isel(time=slice(0, 400)).mean("time")
    assert (sim["streamflow"].isel(time=-1) < 0.1 * usual).all()


def test_a_year_repeated_settles(ds: xr.Dataset, model: Model) -> None:
    """After 30 repetitions storages change by less than 1 % in the last one."""
    sim = ds.hbv.simulate(model, spinup=30, dtype="float64")
    change = abs(sim["spinup_storage_change"]) / sim["initial_storage"]
    assert (change < 0.01).all()


def test_evapotranspiration_is_potential_where_the_soil_is_wet(ds: xr.Dataset, model: Model) -> None:
    """ET = PET in each component whose soil moisture is above LP FC after it, before water rises into it."""
    wet = with_rain(ds, factor=3.0)
    names = ["evapotranspiration", "soil_moisture", "capillary_rise"]
    sim = wet.hbv.simulate(model, variables=names, components=True, dtype="float64")
    parameters = wet.hbv.parameters(model)
    left = sim["soil_moisture"] - sim["capillary_rise"]
    is_wet = (left > parameters["LP"] * parameters["FC"]).transpose(*left.dims)
    assert is_wet.mean() > 0.02
    expected = wet["pet"].broadcast_like(left).transpose(*left.dims)
    np.testing.assert_allclose(sim["evapotranspiration"].where(is_wet), expected.where(is_wet), rtol=1e-5)


def test_the_balance_closes(ds: xr.Dataset, model: Model) -> None:
    """In single precision, day by day."""
    assert ds.hbv.simulate(model).hbv.water_balance()["closed"].all()

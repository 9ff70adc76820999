"""What every model without recurrence promises of the water, whatever its weights."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model
from tests.support.labelled import make_dataset, untrained

DYNAMIC = hx.DeltaHBV(components=3, network="filters", hidden=8, dynamic=("BETA", "BETAET"))
STATIC = hx.DeltaHBV(components=3, network="mlp", hidden=8)
STORES = ["snowpack", "snow_liquid_water", "soil_moisture", "upper_zone_storage", "lower_zone_storage"]
DAYS = 730


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return make_dataset(days=DAYS, cells=4)


@pytest.fixture(scope="module", params=[STATIC, DYNAMIC], ids=["mlp", "filters"])
def model(request: pytest.FixtureRequest) -> Model:
    return untrained(request.param)


def run(ds: xr.Dataset, model: Model, *names: str, **options: bool) -> xr.Dataset:
    """A simulation in double precision."""
    return ds.hbv.simulate(model, variables=list(names), dtype="float64", **options)


def with_rain(ds: xr.Dataset, factor: float = 1.0, pulse: float = 0.0, day: int = 0) -> xr.Dataset:
    """``ds`` with other precipitation; the pulse falls on one day."""
    ds = ds.copy(deep=True)
    ds["prcp"] = factor * ds["prcp"]
    ds["prcp"][{"time": day}] += pulse
    ds["prcp"].attrs["units"] = "mm/day"
    return ds


def test_more_rain_is_never_less_water(ds: xr.Dataset, model: Model) -> None:
    """A tenth more precipitation gives more streamflow in each cell and each year."""
    flows = [run(each, model, "streamflow")["streamflow"] for each in (ds, with_rain(ds, factor=1.1))]
    less, more = (flow.groupby("time.year").sum() for flow in flows)
    assert (more > less).all()


@pytest.mark.parametrize("day", [30, 200, 380])
def test_the_response_to_a_pulse_of_rain_is_never_negative(ds: xr.Dataset, day: int) -> None:
    """With parameters that hold, 20 mm on one day take water from no later day, and bring some."""
    model = untrained(STATIC)
    pulse = with_rain(ds, pulse=20.0, day=day)
    before, after = (run(each, model, "streamflow")["streamflow"] for each in (ds, pulse))
    response = (after - before).transpose("time", "basin")
    assert (response.isel(time=slice(0, day)) == 0).all()
    assert (response.isel(time=slice(day, None)) > -1e-9).all()
    assert (response.sum("time") > 0).all()


def test_the_response_to_a_pulse_is_positive_within_a_year(ds: xr.Dataset) -> None:
    """Parameters that follow the weather may delay water; over a year a pulse brings more of it."""
    model = untrained(DYNAMIC)
    pulse = with_rain(ds, pulse=50.0, day=200)
    before, after = (run(each, model, "streamflow")["streamflow"] for each in (ds, pulse))
    assert ((after - before).isel(time=slice(200, 565)).sum("time") > 0).all()


def test_without_rain_everything_dries(ds: xr.Dataset, model: Model) -> None:
    """After the last rain no store of the ground grows, and streamflow only falls once routing is over."""
    dry = ds.copy(deep=True)
    dry["prcp"][{"time": slice(300, None)}] = 0.0
    dry["tmean"] = dry["tmean"] + 20.0  # no snow is left to melt
    dry["tmean"].attrs = ds["tmean"].attrs
    sim = run(dry, untrained(STATIC) if model.description.network == "mlp" else model, *STORES, "streamflow")
    water = sum(sim[name] for name in STORES).isel(time=slice(300, None))
    assert (water.diff("time") <= 1e-9).all()
    assert (sim["soil_moisture"].isel(time=slice(320, None)).diff("time") <= 1e-9).all()
    if model.description.network == "mlp":  # which parameters that change from block to block do not promise
        falling = sim["streamflow"].isel(time=slice(320, None))
        assert (falling.diff("time") <= 1e-9).all()


def test_evapotranspiration_is_potential_where_the_soil_is_wet(ds: xr.Dataset, model: Model) -> None:
    """ET = min(PET, soil moisture) in each component whose soil moisture is above LP FC."""
    wet = with_rain(ds, factor=4.0)
    sim = run(wet, model, "evapotranspiration", "soil_moisture", components=True)
    parameters = wet.hbv.parameters(model)
    left = sim["soil_moisture"]  # after evapotranspiration
    is_wet = left > parameters["LP"] * parameters["FC"]
    assert is_wet.mean() > 0.05
    expected = wet["pet"].broadcast_like(left)
    np.testing.assert_allclose(
        sim["evapotranspiration"].where(is_wet), expected.where(is_wet).transpose(*left.dims), rtol=1e-5
    )


def test_the_area_changes_no_depth(ds: xr.Dataset, model: Model) -> None:
    """A catchment ten times as large has the same water per area: networks do not read areas by default."""
    small, large = (ds.assign(area_gages2=("basin", np.full(4, area))) for area in (50.0, 500.0))
    for each in (small, large):
        each["area_gages2"].attrs["units"] = "km2"
    first, second = (run(each, model, "streamflow")["streamflow"] for each in (small, large))
    np.testing.assert_array_equal(first, second)
    fitted = small.hbv.fit(model.description, iterations=1, window=30, warmup=30, batch=4, progress=False)
    assert "area_gages2" not in fitted.attributes
    assert {"p_mean", "elev_mean"} <= set(fitted.attributes)

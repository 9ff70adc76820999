"""Assimilation corrects the state by what was observed before a date, and accounts for each millimetre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import CoordinateError, DescriptionError, EmptySelectionError, MissingObservationError
from hydroxr.forecast.minimise import minimise
from hydroxr.forecast.window import CONTROLS, Window
from hydroxr.physics.arguments import arrange_parameters
from hydroxr.physics.equations import CHANNEL, STORES
from tests.support.labelled import make_dataset, raise_if_dask_computes, untrained

INIT = ["2000-06-10", "2000-09-01", "2000-12-28"]
SPEC = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"))
WINDOW = 20


@pytest.fixture(scope="module")
def model() -> hx.Model:
    return untrained(SPEC)


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return make_dataset(days=400, cells=3)


@pytest.fixture(scope="module")
def truth(ds: xr.Dataset, model: hx.Model) -> xr.Dataset:
    """The model under other weather until shortly before the first window, and the same weather after."""
    other = ds.copy(deep=True)
    other["prcp"] = (ds["prcp"] * 1.6).where(ds["time"] < np.datetime64("2000-05-15"), ds["prcp"])
    other["prcp"].attrs = ds["prcp"].attrs
    return other.hbv.simulate(model, dtype="float64")


def test_a_minimum_is_found_for_each_problem_on_its_own() -> None:
    """Rosenbrock's function from several starts: a banana-shaped valley with its minimum at (1, 1)."""

    def rosenbrock(x: torch.Tensor) -> torch.Tensor:
        return (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2

    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0], [1.0, 1.0], [2.0, -1.0]], dtype=torch.float64)
    found, cost = minimise(rosenbrock, start, 100)
    torch.testing.assert_close(found, torch.ones_like(start), atol=1e-5, rtol=0)
    assert (cost < 1e-10).all()
    alone, _ = minimise(rosenbrock, start[:1], 100)
    torch.testing.assert_close(alone, found[:1])


def a_window(controls: tuple[str, ...]) -> Window:
    """Two problems of 12 days with two components."""
    rng = np.random.default_rng(3)

    def drawn(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, shape))

    table = hx.physics.PARAMETERS
    middle = {name: (row.lower + row.upper) / 2 for name, row in table.items()}
    parameters = {
        name: torch.full((2,) if name.startswith("UH") else (2, 2), value, dtype=torch.float64)
        for name, value in middle.items()
    }
    days = (drawn(2, 20, 12, 2), drawn(-3, 9, 12, 2), drawn(0.5, 3, 12, 2))
    state = {name: drawn(20, 60, 2, 2) for name in STORES} | {CHANNEL: drawn(0, 1, 2, 14)}
    observed = drawn(1, 8, 12, 2)
    observed[4, 0] = torch.nan
    spread = {name: drawn(1, 5, 2, 2) for name in STORES}
    error = {"streamflow": torch.full((12, 2), 0.5, dtype=torch.float64)}
    parameters = arrange_parameters(parameters, (12, 2))
    return Window(days, parameters, state, spread, {"streamflow": observed}, error, controls, {})


@pytest.mark.parametrize("controls", [CONTROLS, ("state",), ("precipitation",)])
def test_the_gradient_of_the_cost_is_that_of_finite_differences(controls: tuple[str, ...]) -> None:
    window = a_window(controls)
    at = 0.1 * torch.randn(window.background.shape, generator=torch.Generator().manual_seed(1)).double()
    assert torch.autograd.gradcheck(window.cost, at.requires_grad_(), eps=1e-6, atol=1e-4, rtol=1e-4)


def test_a_perturbed_start_is_found_from_streamflow(
    ds: xr.Dataset, model: hx.Model, truth: xr.Dataset
) -> None:
    """The analysis meets the streamflow of the truth, and forecasts start nearer to it than without."""
    analysis = ds.hbv.assimilate(
        model, truth["streamflow"], WINDOW, INIT[:1], ("state",), observation_error=0.01, iterations=60
    )
    assert (analysis["cost"] < 0.1 * analysis["cost_of_background"]).all()
    ahead = ds.hbv.forecast(model, INIT[:1], 5, ["streamflow"], initial_state=analysis, dtype="float64")
    plain = ds.hbv.forecast(model, INIT[:1], 5, ["streamflow"], dtype="float64")
    expected = truth["streamflow"].sel(time=ahead["valid_time"])
    wrong, left = (abs(each["streamflow"] - expected).mean() for each in (plain, ahead))
    assert left < 0.1 * wrong
    assert wrong > 0.01  # the truth does differ


def test_the_storages_of_a_perturbed_start_are_found(ds: xr.Dataset, model: hx.Model, tmp_path: Path) -> None:
    """Streamflow after the window is that of the truth to 1e-3 mm/day; the analysis may come from a file."""
    begin = np.datetime64(INIT[0]) - np.timedelta64(WINDOW, "D")
    _, state = ds.sel(time=slice(None, begin)).hbv.simulate(
        model, variables=[], return_state=True, dtype="float64"
    )
    factor = {"soil_moisture": 0.7, "lower_zone_storage": 1.5, "upper_zone_storage": 1.2}
    start = state.assign({name: state[name] * share for name, share in factor.items()})
    after = ds.sel(time=slice(begin + np.timedelta64(1, "D"), None))
    names = ["streamflow", "soil_moisture", "lower_zone_storage"]
    truth = after.hbv.simulate(model, initial_state=start, variables=names, dtype="float64")
    analysis = ds.hbv.assimilate(
        model, truth["streamflow"], WINDOW, INIT[0], "state", observation_error=0.01, iterations=60
    )
    analysis.to_netcdf(tmp_path / "analysis.nc")
    again = xr.open_dataset(tmp_path / "analysis.nc")
    ahead, plain = (
        ds.hbv.forecast(model, INIT[0], 5, names, initial_state=each, dtype="float64")
        for each in (again, None)
    )
    expected = truth.sel(time=ahead["valid_time"])
    assert float(abs(ahead["streamflow"] - expected["streamflow"]).max()) < 1e-3
    assert float(abs(plain["streamflow"] - expected["streamflow"]).max()) > 0.03
    for name in names[1:]:
        found, wrong = (abs(each[name] - expected[name]).mean() for each in (ahead, plain))
        assert found < 0.3 * wrong


def test_the_balance_closes_with_what_was_added(ds: xr.Dataset, model: hx.Model, truth: xr.Dataset) -> None:
    """Storage before + increments + precipitation - evapotranspiration - streamflow = storage after."""
    analysis = ds.hbv.assimilate(model, truth["streamflow"], WINDOW, INIT, CONTROLS, iterations=5)
    added = sum(analysis[f"{name}_increment"] for name in STORES)
    came = analysis["window_precipitation"] + analysis["precipitation_increment"]
    went = analysis["window_evapotranspiration"] + analysis["window_streamflow"]
    after = sum(analysis[name].mean("component") for name in STORES) + analysis[CHANNEL].sum("lead")
    np.testing.assert_allclose(analysis["storage_before"] + added + came - went, after, rtol=0, atol=1e-3)
    assert float(abs(added).max()) > 0.1
    assert all((analysis[name] >= 0).all() for name in STORES)


def test_without_observations_the_background_comes_back(ds: xr.Dataset, model: hx.Model) -> None:
    """Nothing is added; the state is that of the plain run."""
    unknown = ds["streamflow"].where(ds["time"] > np.datetime64(INIT[0]))
    analysis = ds.hbv.assimilate(model, unknown, WINDOW, INIT[0])
    assert (analysis["observations"] == 0).all()
    assert (analysis["soil_moisture_increment"] == 0).all()
    _, state = ds.sel(time=slice(None, INIT[0])).hbv.simulate(
        model, variables=[], return_state=True, dtype="float64"
    )
    for name in (*STORES, CHANNEL, "BETA"):
        found = analysis[name].isel(init=0).transpose(*state[name].dims)
        np.testing.assert_allclose(found, state[name], rtol=1e-6, atol=1e-6)


def test_later_observations_change_nothing_and_a_repetition_is_the_same(
    ds: xr.Dataset, model: hx.Model, truth: xr.Dataset
) -> None:
    observed = truth["streamflow"].drop_attrs().assign_attrs(units="mm/day")
    other = observed.where(observed["time"] <= np.datetime64(INIT[0]), 50.0).assign_attrs(units="mm/day")
    first, second = (
        ds.hbv.assimilate(model, each, WINDOW, INIT[0], iterations=4) for each in (observed, other)
    )
    xr.testing.assert_identical(first, second)


def test_storages_can_be_observed(ds: xr.Dataset, model: hx.Model, truth: xr.Dataset) -> None:
    """Soil moisture alone brings soil moisture nearer to the truth."""
    observed = truth[["soil_moisture"]]
    analysis = ds.hbv.assimilate(model, observed, WINDOW, INIT[0], observation_error=0.01, iterations=20)
    known = truth["soil_moisture"].sel(time=INIT[0])
    plain = ds.hbv.simulate(model)["soil_moisture"].sel(time=INIT[0])
    found = analysis["soil_moisture"].mean("component").isel(init=0)
    assert float(abs(found - known).max()) < 0.2 * float(abs(plain - known).max())


def test_snow_is_observed_in_other_units_at_noon(ds: xr.Dataset, model: hx.Model) -> None:
    """Snow water equivalent in cm is that of the model in mm: where it agrees, nothing is added."""
    snow = ds.hbv.simulate(model, variables=["snow_water_equivalent"], dtype="float64")[
        "snow_water_equivalent"
    ]
    noon = snow.assign_coords(time=snow["time"] + np.timedelta64(12, "h")) / 10
    observed = noon.assign_attrs(units="cm").rename("snow_water_equivalent")
    analysis = ds.hbv.assimilate(model, observed, WINDOW, "2000-12-28")
    assert (analysis["observations"] == WINDOW).all()
    assert (analysis["cost"] < 1e-6).all()
    twice = ds.hbv.assimilate(
        model, (2 * noon).assign_attrs(observed.attrs).rename(observed.name), 20, INIT[2]
    )
    few, many = (each["snowpack"].mean("component") for each in (analysis, twice))
    assert few.max() > 10
    assert (many >= 1.3 * few).all()
    assert twice["snowpack"].attrs["units"] == "kg m-2"
    assert "standard_name" not in twice["snowpack"].attrs  # not that of an input


def test_models_with_weights_and_corrections_close_their_balance(ds: xr.Dataset) -> None:
    """Means are weighted, and precipitation counts as the model receives it."""
    spec = hx.DeltaHBV(
        components=2,
        network="mlp",
        hidden=4,
        component_weights=True,
        component_routing=True,
        precipitation_correction=True,
    )
    analysis = ds.hbv.assimilate(untrained(spec), window=WINDOW, init=INIT[:2], iterations=5)
    added = sum(analysis[f"{name}_increment"] for name in STORES) + analysis["precipitation_increment"]
    went = analysis["window_evapotranspiration"] + analysis["window_streamflow"]
    stored = sum((analysis[name] * analysis["WEIGHT"]).sum("component") for name in STORES)
    after = stored + analysis[CHANNEL].sum("lead")
    expected = analysis["storage_before"] + analysis["window_precipitation"] + added - went
    np.testing.assert_allclose(expected, after, rtol=0, atol=1e-4)


def test_lazy_data_give_the_same_in_blocks(ds: xr.Dataset, model: hx.Model) -> None:
    lazy = ds.chunk(basin=2, time=150)
    with raise_if_dask_computes():
        analysis = lazy.hbv.assimilate(model, window=WINDOW, init=INIT[:2], iterations=4)
    assert analysis["soil_moisture"].chunksizes["basin"] == (2, 1)
    found = analysis.compute(scheduler="synchronous")
    expected = ds.hbv.assimilate(model, window=WINDOW, init=INIT[:2], iterations=4)
    xr.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_assimilated_is_refused(ds: xr.Dataset, model: hx.Model) -> None:
    with pytest.raises(EmptySelectionError, match="window of 30 days before init 2000-01-20 begins before"):
        ds.hbv.assimilate(model, init="2000-01-20")
    with pytest.raises(DescriptionError, match="window is 'soon'"):
        ds.hbv.assimilate(model, init=INIT, window="soon")
    with pytest.raises(DescriptionError, match="expected some of state, precipitation, temperature"):
        ds.hbv.assimilate(model, init=INIT, controls=("wind",))
    with pytest.raises(CoordinateError, match="no day of the record"):
        ds.hbv.assimilate(model, init="2031-01-01")
    with pytest.raises(MissingObservationError, match="no observation on the days of the record"):
        ds.hbv.assimilate(model, ds["streamflow"].where(False).assign_attrs(units="mm/day"), init=INIT)
    with pytest.raises(DescriptionError, match="observation_error of streamflow is 0"):
        ds.hbv.assimilate(model, init=INIT, observation_error=0.0)
    with pytest.raises(DescriptionError, match="expected one δ model, found Dataset"):
        ds.hbv.assimilate(ds, init=INIT)

"""A model that carries its errors gives quantiles, in memory, lazily, in stores and in forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import CoordinateError, DescriptionError
from tests.support.labelled import (
    make_dataset,
    make_errors,
    make_parameters,
    raise_if_dask_computes,
    untrained,
)

LEVELS = [0.05, 0.5, 0.95]
SPEC = hx.DeltaHBV(components=2, hidden=4, network="mlp")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return make_dataset(days=120)


@pytest.fixture(scope="module")
def model(ds: xr.Dataset) -> hx.Model:
    """Its errors are in another order, and of more basins."""
    return untrained(SPEC).with_errors(make_errors([30, 7, 20, 10])).with_errors(make_errors([10, 20, 30], 3))


def test_they_are_those_that_add_quantiles_gives(ds: xr.Dataset, model: hx.Model) -> None:
    sim, state = ds.hbv.simulate(model, variables=["streamflow"], quantiles=LEVELS, return_state=True)
    plain = ds.hbv.simulate(model, variables=["streamflow"])
    xr.testing.assert_equal(sim, plain.hbv.add_quantiles(model.errors["simulation"], LEVELS))
    found = sim["streamflow_quantile"]
    flow, quantile = sim["streamflow"].sel(basin=20), found.sel(basin=20, quantile=0.95)
    winter = flow["time"].dt.season == "DJF"  # errors of basin 20 are the third
    expected = (flow + 0.01) * np.exp(0.3 * xr.where(winter, 2.0, 1.0) * np.log(19.0)) - 0.01
    np.testing.assert_allclose(quantile, expected, rtol=1e-5)
    assert found.attrs["units"] == "kg m-2 day-1"
    assert found.attrs["comment"] == "from the errors of 1990-10-01 to 1995-09-30"
    assert "soil_moisture" in state


def test_lazy_runs_stay_lazy_and_are_stored(ds: xr.Dataset, model: hx.Model, tmp_path: Path) -> None:
    """In two stretches, by label, with the model as it was saved."""
    loaded = hx.load_model(model.save(tmp_path / "model"))
    options = {"variables": ["streamflow"], "quantiles": LEVELS}
    expected = ds.hbv.simulate(model, **options)
    lazy = ds.isel(basin=[2, 0]).chunk(basin=1, time=50)
    with raise_if_dask_computes():
        first, state = lazy.isel(time=slice(50)).hbv.simulate(loaded, return_state=True, **options)
        second = lazy.isel(time=slice(50, None)).hbv.simulate(loaded, initial_state=state, **options)
    first.hbv.to_zarr(tmp_path / "run.zarr")
    second.hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")
    stored = hx.open_run(tmp_path / "run.zarr")
    for name in ("streamflow", "streamflow_quantile"):
        np.testing.assert_allclose(stored[name], expected[name].isel(basin=[2, 0]), rtol=2e-5, atol=1e-6)


def test_forecasts_take_the_errors_of_each_lead(ds: xr.Dataset, model: hx.Model) -> None:
    dates = ds["time"][[40, 60]]
    ahead = ds.hbv.forecast(model, dates, lead=2, quantiles=LEVELS)
    plain = ds.hbv.forecast(model, dates, lead=2)
    xr.testing.assert_equal(ahead, plain.hbv.add_quantiles(model.errors["forecast"], LEVELS))
    assert ahead["streamflow_quantile"].dims == ("quantile", "init", "lead", "basin")
    with pytest.raises(CoordinateError, match="lead 4"):
        ds.hbv.forecast(model, dates, lead=5, quantiles=LEVELS)


def test_an_ensemble_has_quantiles_of_its_mean(ds: xr.Dataset) -> None:
    ensemble = hx.Ensemble((untrained(SPEC), untrained(SPEC, seed=1))).with_errors(make_errors([10, 20, 30]))
    sim = ds.hbv.simulate(ensemble, variables=["streamflow"], quantiles=[0.5])
    np.testing.assert_allclose(sim["streamflow_quantile"].squeeze("quantile"), sim["streamflow"], rtol=1e-5)
    with pytest.raises(DescriptionError, match="members=True"):
        ds.hbv.simulate(ensemble, members=True, quantiles=LEVELS)


def test_what_cannot_be_added_is_refused_before_the_run(ds: xr.Dataset, model: hx.Model) -> None:
    with pytest.raises(DescriptionError, match="carries no errors of a simulation"):
        ds.hbv.simulate(untrained(SPEC), quantiles=LEVELS)
    with pytest.raises(DescriptionError, match="carries no errors of a forecast"):
        ds.hbv.forecast(untrained(SPEC), ds["time"][40], quantiles=LEVELS)
    with pytest.raises(DescriptionError, match="parameters have none"):
        ds.hbv.simulate(make_parameters(ds), quantiles=LEVELS)
    with pytest.raises(DescriptionError, match="add 'streamflow' to variables"):
        ds.hbv.simulate(model, variables=["runoff"], quantiles=LEVELS)
    with pytest.raises(DescriptionError, match="expected ascending numbers"):
        ds.hbv.simulate(model, quantiles=[0.5, 0.05])
    with pytest.raises(CoordinateError, match="basin 11 in the model's errors"):
        ds.assign_coords(basin=[10, 11, 30]).hbv.simulate(model, quantiles=LEVELS)

"""A run that stops and goes on from its state equals one run; other states are refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import (
    CoordinateError,
    StateError,
)
from hydroxr.models.model import Model
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    in_two,
    make_parameters,
)

KINDS = ("constant", "static", "dynamic", "filters")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


@pytest.mark.parametrize("kind", [*KINDS, "parameters"])
@pytest.mark.parametrize(("start", "cut"), [("2000-01-01", 50), ("2010-01-01", 45)])
def test_two_runs_are_one_run(
    ds: xr.Dataset, models: dict[str, Model], kind: str, start: str, cut: int
) -> None:
    """The state handed over, the second run continues the first to 1e-5 mm/day: inside and outside of the
    training period, with what is in the channel, in the network and with the static parameters."""
    ds = ds.assign_coords(time=pd.date_range(start, periods=60))
    model: Any = make_parameters(ds) if kind == "parameters" else models[kind]
    assert_same_values(in_two(ds, [model], cut), ds.hbv.simulate(model)[list(OUTPUTS)], **CLOSE)


def test_two_runs_are_one_run_with_parameters_that_vary_in_time(ds: xr.Dataset) -> None:
    """Each run is given the days of its own, and the whole is that of one."""
    parameters = make_parameters(ds, dynamic=("BETA", "K0"))
    parts = [parameters.isel(time=slice(0, 25)), parameters.isel(time=slice(25, None))]
    whole = ds.hbv.simulate(parameters)[list(OUTPUTS)]
    assert_same_values(in_two(ds, parts, 25), whole, **CLOSE)


def test_day_by_day_is_one_run(ds: xr.Dataset, dynamic_model: Model) -> None:
    """A forecast continued every morning for two weeks."""
    whole = ds.hbv.simulate(dynamic_model)
    _, state = ds.isel(time=slice(0, 46)).hbv.simulate(dynamic_model, return_state=True)
    for day in range(46, 60):
        sim, state = ds.isel(time=[day]).hbv.simulate(dynamic_model, initial_state=state, return_state=True)
        assert_same_values(sim[list(OUTPUTS)], whole.isel(time=[day]), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr", "hbv.to_netcdf", "hbv.to_zarr"])
def test_a_state_survives_the_disk(
    ds: xr.Dataset, models: dict[str, Model], kind: str, way: str, tmp_path: Path
) -> None:
    """Written (by xarray or by hydroxr) and read again, the state starts the same run."""
    path = tmp_path / "state"

    def through_disk(state: xr.Dataset) -> xr.Dataset:
        writer = state.hbv if way.startswith("hbv.") else state
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The data type .FixedLengthUTF32")  # zarr, of text
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            getattr(writer, way.removeprefix("hbv."))(path)
        with xr.open_dataset(path, engine="zarr" if "zarr" in way else "netcdf4") as opened:
            return opened.load()

    model = models[kind]
    assert_same_values(in_two(ds, [model], 50, through_disk), ds.hbv.simulate(model)[list(OUTPUTS)], **CLOSE)


def test_a_lazy_state_starts_a_lazy_run(
    ds: xr.Dataset, dynamic_model: Model, raise_if_dask_computes: Any
) -> None:
    """Both runs and the state between them are one graph."""
    with raise_if_dask_computes():
        lazy = in_two(ds.chunk(basin=1), [dynamic_model], 50)
    assert_same_values(lazy.compute(), ds.hbv.simulate(dynamic_model)[list(OUTPUTS)], **CLOSE)


def test_a_state_has_the_day_and_the_units_and_the_static_parameters(
    ds: xr.Dataset, static_model: Model
) -> None:
    """What a later run needs, labelled."""
    _, state = ds.hbv.simulate(static_model, return_state=True)
    assert state["time"].values == ds["time"].values[-1]
    assert set(static_model.description.parameters) <= set(state.data_vars)
    assert state.sizes["lead"] == 14
    for name in ("snowpack", "channel_outflow"):
        assert state[name].attrs["units"] == "kg m-2"
    assert_same_values(ds.hbv.parameters(static_model), state, **CLOSE)


@pytest.mark.parametrize("gap", [-1, 0, 2])
def test_a_state_of_another_day_is_refused(ds: xr.Dataset, static_model: Model, gap: int) -> None:
    """A run must start on the day after its state; a state without a date may start any (a spin-up)."""
    _, state = ds.isel(time=slice(0, 50)).hbv.simulate(static_model, return_state=True)
    rest = ds.isel(time=slice(49 + gap, None))
    with pytest.raises(StateError, match=r"2000-02-19.*drop_vars\('time'\)"):
        rest.hbv.simulate(static_model, initial_state=state)
    rest.hbv.simulate(static_model, initial_state=state.drop_vars("time"))


def test_a_state_that_does_not_fit_is_refused(ds: xr.Dataset, models: dict[str, Model]) -> None:
    """Of another kind of model, of other components, of other basins, negative, not finite."""
    rest = ds.isel(time=slice(50, None))
    _, static = ds.isel(time=slice(0, 50)).hbv.simulate(models["static"], return_state=True)
    with pytest.raises(StateError, match="network_hidden"):
        rest.hbv.simulate(models["dynamic"], initial_state=static)
    with pytest.raises(StateError, match="components"):
        rest.hbv.simulate(make_parameters(ds, components=3), initial_state=static)
    with pytest.raises(CoordinateError, match="state"):
        rest.hbv.simulate(models["static"], initial_state=static.isel(basin=[0, 1]))
    numbers = static.drop_vars("basin_id").assign_coords(basin=[1, 2, 3])
    with pytest.raises(CoordinateError, match="state"):
        rest.hbv.simulate(models["static"], initial_state=numbers)
    renamed = static.assign_coords(basin_id=("basin", ["g0", "g1", "g7"]))
    with pytest.raises(CoordinateError, match="there is no basin g2 in the initial state"):
        rest.hbv.simulate(models["static"], initial_state=renamed)
    for wrong in (-1.0, np.nan):
        bad = static.assign(snowpack=xr.full_like(static["snowpack"], wrong))
        with pytest.raises(StateError, match="snowpack"):
            rest.hbv.simulate(models["static"], initial_state=bad)


def test_a_state_of_another_place_is_refused_in_a_single_series(ds: xr.Dataset) -> None:
    """Where there is no dimension of space, the names still tell places apart."""
    parameters = make_parameters(ds)
    first = ds.isel(basin=0, time=slice(0, 50))
    _, state = first.hbv.simulate(parameters.isel(basin=0), return_state=True)
    other = ds.isel(basin=1, time=slice(50, None))
    with pytest.raises(CoordinateError):
        other.hbv.simulate(parameters.isel(basin=1), initial_state=state)


def test_water_in_the_channel_is_not_lost(ds: xr.Dataset) -> None:
    """A run without routing has no place for it."""
    parameters = make_parameters(ds)
    _, state = ds.isel(time=slice(0, 40)).hbv.simulate(parameters, return_state=True)
    later, unrouted = ds.isel(time=slice(40, None)), parameters.drop_vars(["UH_SHAPE", "UH_SCALE"])
    with pytest.raises(StateError):
        later.hbv.simulate(unrouted, initial_state=state)

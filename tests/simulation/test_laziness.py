"""``ds.hbv.simulate`` stays lazy on lazy data, and lazy results equal those in memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from hydroxr.errors import (
    MissingForcingError,
)
from hydroxr.models.model import Model
from tests.support.cluster import local_client
from tests.support.labelled import (
    assert_same_values,
    make_dataset,
    make_grid,
    make_parameters,
    raise_if_dask_computes,
    with_extremes,
)
from tests.support.strategies import examples

KINDS = ("constant", "static", "dynamic", "filters")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


@st.composite
def chunkings(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    """Ways to cut ``length`` into chunks."""
    cuts = sorted(draw(st.sets(st.integers(1, length - 1), max_size=length - 1)))
    return tuple(np.diff([0, *cuts, length]).tolist())


@examples(8)
@given(chunkings(4), chunkings(30), chunkings(4))
def test_any_chunking_gives_the_eager_result(cells: Any, days: Any, of_parameters: Any) -> None:
    """Chunks in space and time, other ones for the parameters: lazy, and the same values."""
    ds = make_dataset(30, 4)
    parameters = make_parameters(ds, dynamic=("BETA",))
    with raise_if_dask_computes():
        lazy = ds.chunk(basin=cells, time=days).hbv.simulate(parameters.chunk(basin=of_parameters))
    assert all(array.chunks for array in lazy.data_vars.values())
    assert_same_values(lazy.compute(), ds.hbv.simulate(parameters), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [{"basin": 1}, {"basin": 2, "time": 7}, {"time": -1, "basin": -1}])
def test_a_model_stays_lazy_and_gives_the_eager_result(
    ds: xr.Dataset, models: dict[str, Model], kind: str, chunks: dict[str, int], raise_if_dask_computes: Any
) -> None:
    """Simulation, state and parameters compute nothing on the way; their values are those of data in
    memory."""
    model = models[kind]
    lazy = ds.chunk(chunks)
    with raise_if_dask_computes():
        sim, state = lazy.hbv.simulate(model, return_state=True)
        parameters = lazy.hbv.parameters(model)
    assert all(array.chunks for array in sim.data_vars.values())
    expected, expected_state = ds.hbv.simulate(model, return_state=True)
    sim, state, parameters = dask.compute(sim, state, parameters)
    assert_same_values(sim, expected, **CLOSE)
    assert_same_values(state, expected_state, **CLOSE)
    assert_same_values(parameters, ds.hbv.parameters(model), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_opened_from_zarr_stays_lazy(
    ds: xr.Dataset, models: dict[str, Model], kind: str, tmp_path: Path, raise_if_dask_computes: Any
) -> None:
    """Also where names of basins are lazy themselves, as ``xr.open_zarr`` gives them."""
    expected = ds.hbv.simulate(models[kind])
    ds.hbv.to_zarr(tmp_path / "in.zarr")
    opened = xr.open_zarr(tmp_path / "in.zarr")
    assert opened["basin_id"].chunks is not None
    with raise_if_dask_computes():
        sim = opened.hbv.simulate(models[kind])
    assert_same_values(sim.compute(), expected, **CLOSE)


def test_hargreaves_and_the_filling_of_gaps_stay_lazy(ds: xr.Dataset, raise_if_dask_computes: Any) -> None:
    """PET from tmin and tmax, and ``missing="fill"``, compute nothing; the flag keeps its type."""
    parameters = make_parameters(ds)
    lazy = with_extremes(ds).chunk(basin=1, time=10)
    with raise_if_dask_computes():
        assert lazy.hbv.pet().chunks is not None
        sim = lazy.hbv.simulate(parameters, missing="fill")
    computed = sim.compute()
    assert computed["forcing_flag"].dtype == sim["forcing_flag"].dtype == np.int8
    assert_same_values(computed, with_extremes(ds).hbv.simulate(parameters, missing="fill"), **CLOSE)


def test_a_grid_stays_lazy(raise_if_dask_computes: Any, static_model: Model) -> None:
    """Chunks over maps."""
    grid = make_grid(45)
    with raise_if_dask_computes():
        sim = grid.chunk(lat=1, lon=2, time=10).hbv.simulate(static_model)
    assert_same_values(sim.compute(), grid.hbv.simulate(static_model), **CLOSE)


def test_lazy_attributes_make_a_lazy_result(
    ds: xr.Dataset, static_model: Model, raise_if_dask_computes: Any
) -> None:
    """Forcing in memory, attributes not."""
    lazy = ds.assign(elev_mean=ds["elev_mean"].chunk(basin=1))
    with raise_if_dask_computes():
        sim = lazy.hbv.simulate(static_model)
    assert_same_values(sim.compute(), ds.hbv.simulate(static_model), **CLOSE)


def test_numpy_stays_numpy(ds: xr.Dataset, static_model: Model) -> None:
    """Data in memory give results in memory."""
    assert all(
        isinstance(array.data, np.ndarray) for array in ds.hbv.simulate(static_model).data_vars.values()
    )


def test_the_same_lazy_run_has_the_same_tokens(ds: xr.Dataset, dynamic_model: Model) -> None:
    """Two runs of one model on one Dataset are one work to dask; of another model, another."""
    lazy = ds.chunk(basin=1)
    tokens = [lazy.hbv.simulate(dynamic_model)["runoff"].data.name for _ in range(2)]
    assert tokens[0] == tokens[1]
    weights = {name: array + np.float32(0.1) for name, array in dynamic_model.weights.items()}
    other = dataclasses.replace(dynamic_model, weights=weights)
    assert lazy.hbv.simulate(other)["runoff"].data.name != tokens[0]


def test_what_only_values_tell_is_raised_when_they_are_computed(ds: xr.Dataset) -> None:
    """Missing forcing in lazy data: hydroxr's error comes through dask."""
    ds["prcp"][1, 5] = np.nan
    sim = ds.chunk(basin=1).hbv.simulate(make_parameters(ds))
    with pytest.raises(MissingForcingError, match="2000-01-06"):
        sim.compute()


def test_threads_give_the_same(ds: xr.Dataset, dynamic_model: Model) -> None:
    """Blocks run side by side in threads."""
    sim = ds.chunk(basin=1).hbv.simulate(dynamic_model).compute(scheduler="threads", num_workers=2)
    assert_same_values(sim, ds.hbv.simulate(dynamic_model), **CLOSE)


def test_worker_processes_give_the_same(ds: xr.Dataset, dynamic_model: Model) -> None:
    """A cluster of another process: model, errors and results travel."""
    expected = ds.hbv.simulate(dynamic_model)
    bad = ds.copy(deep=True)
    bad["prcp"][0, 0] = np.nan
    with local_client():
        sim = ds.chunk(basin=2).hbv.simulate(dynamic_model).compute()
        with pytest.raises(MissingForcingError):
            bad.chunk(basin=2).hbv.simulate(dynamic_model).compute()
    assert_same_values(sim, expected, **CLOSE)

"""Trainings whose data exceed the memory: cells are read in shards."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CheckpointError,
    DescriptionError,
    HydroxrWarning,
    MemoryLimitError,
    MissingForcingError,
    MissingObservationError,
    ValueRangeError,
)
from hydroxr.inputs.resolve import inputs_of
from hydroxr.metrics.records import bounded_variance
from hydroxr.models.model import Model
from hydroxr.training.loop.arrays import ShardedData
from hydroxr.training.loop.losses import paper_loss
from hydroxr.training.loop.modules import make_module
from hydroxr.training.loop.protocol import Protocol, make_protocol
from hydroxr.training.loop.sampler import Stream
from hydroxr.training.loop.validation import median_nse
from hydroxr.training.reading.read import training_arrays
from tests.conftest import FIT
from tests.support.labelled import make_dataset, raise_if_dask_computes
from tests.support.trainings import LATER, SPECS

MEMORY = 90e3  # bytes: two cells in a shard of a filter network
CELLS = 24
WINDOW, WARMUP = FIT["window"], FIT["warmup"]


@pytest.fixture(scope="module")
def many() -> xr.Dataset:
    return make_dataset(60, CELLS)


def protocol(**changes: Any) -> Protocol:
    own = {"window": WINDOW, "warmup": WARMUP, "batch": 12, "iterations": 400}
    return make_protocol("default", "filters", own | changes)


def arrays(ds: xr.Dataset, kind: str = "filters", **options: Any) -> Any:
    """What a training learns from and is judged by, and its model without weights."""
    spec = SPECS[kind]
    given = {"attributes": None, "time": FIT["time"], "validation": None} | options
    return training_arrays(inputs_of(ds, spec.forcing), spec, protocol=protocol(), **given)[:3]


def fit(ds: xr.Dataset, kind: str = "filters", **options: Any) -> Model:
    return ds.hbv.fit(SPECS[kind], **FIT | {"memory": MEMORY, "iterations": 20} | options)


def gappy(ds: xr.Dataset) -> xr.Dataset:
    """A cell without streamflow, one with little, one with a constant one."""
    flow = ds["streamflow"].copy()
    flow[3], flow[7, :33], flow[9] = np.nan, np.nan, 2.0
    return ds.assign(streamflow=flow)


def test_data_in_shards_are_those_in_memory(many: xr.Dataset) -> None:
    """The same values, cells, attributes, variances and warnings."""
    ds = gappy(many)
    with pytest.warns(HydroxrWarning, match="hardly varies") as told:
        whole, _, model = arrays(ds)
    with pytest.warns(HydroxrWarning, match="hardly varies") as again:
        shards, _, other = arrays(ds.chunk(basin=2, time=25), memory=MEMORY)
    assert [str(each.message) for each in told] == [str(each.message) for each in again]
    assert isinstance(shards, ShardedData)
    assert shards.size == 2
    assert (shards.names, other.categories) == (whole.names, model.categories)
    np.testing.assert_array_equal(shards.attributes, whole.attributes)
    forcing, observed = shards.read(shards.own)
    np.testing.assert_array_equal(forcing, whole.forcing)
    np.testing.assert_array_equal(observed, whole.observed)
    np.testing.assert_allclose(shards.variance, bounded_variance(whole.observed), rtol=1e-12)


def test_draws_are_of_all_cells_and_days(many: xr.Dataset) -> None:
    """No cell is drawn less than half as often as another, and each from the first window to the last."""
    data = arrays(many, memory=MEMORY)[0]
    stream = Stream(data, protocol(batch=200, iterations=40), "cpu", lambda forcing: None)
    days = len(data.days) - WINDOW - WARMUP + 1
    count = np.zeros((CELLS, days), dtype=int)
    held = 0
    observed = data.read(data.own)[1]
    for iteration in range(40):
        stream.at(iteration)
        cells, starts = stream.draw()
        np.add.at(count, (cells, starts), 1)
        held = max(held, int((stream.row >= 0).sum()))
        gathered = stream.parts[1].numpy()[starts, stream.row[cells]]
        np.testing.assert_array_equal(gathered, observed[starts, cells])
    stream.close()
    assert held <= 16 < CELLS
    assert 2 * count.sum(1).min() >= count.sum(1).max()
    assert (count > 0).all()


@pytest.mark.parametrize("kind", ["filters", "dynamic", "lstm"])
def test_normalisation_is_that_of_all_cells(many: xr.Dataset, kind: str) -> None:
    """As in memory, up to rounding, whatever the network reads."""
    spec = SPECS.get(kind, hx.LSTMStreamflow(forcing=("prcp", "tmean", "pet"), hidden=4))
    options = FIT | {"iterations": 1}
    whole = many.hbv.fit(spec, **options)
    memory = MEMORY if kind == "filters" else 30e3
    shards = many.hbv.fit(spec, memory=memory, **options)
    assert "waiting" in shards.history
    names = [name for name in whole.weights if name.endswith(("_mean", "_std"))]
    assert names
    for name in names:
        np.testing.assert_allclose(shards.weights[name], whole.weights[name], rtol=1e-5, err_msg=name)


def test_the_same_seed_gives_the_same_training(many: xr.Dataset, tmp_path: Path) -> None:
    """Whether the data are in memory or in a store, and after an interruption."""
    many = many.drop_vars([name for name, array in many.variables.items() if array.dtype.kind in "OUT"])
    few = {"iterations": 9}
    first = fit(many, loss=FailsLate(None), **few)
    store = tmp_path / "many.zarr"
    many.chunk(basin=2, time=25).to_zarr(store, consolidated=False)
    with xr.open_zarr(store, consolidated=False, chunks=None) as lazy:  # each series is read when it is used
        assert fit(lazy, loss=FailsLate(None), **few).hash == first.hash
    few |= {"checkpoint": tmp_path / "kept", "checkpoint_every": 4}
    with pytest.raises(ZeroDivisionError):
        fit(many, loss=FailsLate(6), **few)
    resumed = fit(many, loss=FailsLate(None), **few)
    assert resumed.hash == first.hash
    np.testing.assert_array_equal(resumed.history["loss"], first.history["loss"])
    with pytest.raises(CheckpointError, match="cells of a shard"):
        fit(many, loss=FailsLate(None), **few | {"memory": 1.5 * MEMORY})


class FailsLate:
    """The paper's loss; it fails in one call."""

    def __init__(self, call: int | None) -> None:
        self.left = call

    def __getstate__(self) -> None:
        """Nothing: what it counts is no setting."""

    def __call__(self, simulated: Any, observed: Any) -> Any:
        """Loss."""
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise ZeroDivisionError
        return paper_loss(simulated, observed)


def test_data_that_fit_are_trained_on_as_without_memory(many: xr.Dataset) -> None:
    plain = many.hbv.fit(SPECS["filters"], **FIT)
    roomy = many.hbv.fit(SPECS["filters"], memory="2GB", **FIT)
    assert roomy.hash == plain.hash
    assert "waiting" not in roomy.history


@pytest.mark.parametrize(("kind", "what"), [("filters", "cells"), ("dynamic", "days")])
def test_validation_in_shards_gives_the_same_score(many: xr.Dataset, kind: str, what: str) -> None:
    ds = gappy(many)
    validation = LATER if what == "days" else ds["basin"].values[[2, 5, 9, 11, 17]].tolist()
    options = {"validation": validation, "kind": kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HydroxrWarning)
        _, whole, model = arrays(ds, **options)
        data, shards, _ = arrays(ds, memory=MEMORY if kind == "filters" else 20e3, **options)
    assert len(list(shards.blocks())) > 1
    module = make_module(model.description, data)
    assert median_nse(module, shards, "cpu") == pytest.approx(median_nse(module, whole, "cpu"), rel=1e-5)


def test_faults_of_any_cell_are_refused(many: xr.Dataset) -> None:
    """Named as those of data in memory are; lacking cells are left out if so asked."""
    rain = many["prcp"].copy()
    rain[20, 15] = np.nan
    lacking = many.assign(prcp=rain)
    for memory in (None, MEMORY):
        with pytest.raises(MissingForcingError, match="2000-01-16"):
            arrays(lacking, memory=memory)
        with pytest.warns(HydroxrWarning, match="forcing is missing in .*; it is left out"):
            data = arrays(lacking, memory=memory, missing="drop")[0]
        assert data.cells == CELLS - 1
    rain[20, 15] = -1.0
    with pytest.raises(ValueRangeError, match="precipitation"):
        arrays(lacking, memory=MEMORY)
    with pytest.raises(MissingObservationError):
        arrays(many.assign(streamflow=many["streamflow"] * np.nan), memory=MEMORY)


def test_what_cannot_be_read_in_shards_is_refused(many: xr.Dataset) -> None:
    """Before anything is read."""
    lazy = many.chunk(basin=1)
    with raise_if_dask_computes():
        with pytest.raises(MemoryLimitError, match="constant network needs the data of all"):
            fit(lazy, "constant", memory=10e3)
        with pytest.raises(MemoryLimitError, match="at least"):
            fit(lazy, memory=1e3)
        for wrong in ("much", -1):
            with pytest.raises(DescriptionError, match="memory="):
                fit(lazy, memory=wrong)
        with pytest.raises(DescriptionError, match="several processes"):
            fit(lazy, client=SimpleNamespace(submit=None, scatter=None))


def test_chunks_of_many_cells_are_warned_of(many: xr.Dataset) -> None:
    """Each shard would read all; chunks that are smaller make the size of a shard."""
    with pytest.warns(HydroxrWarning, match="chunks of 24 cells are read for shards of 2"):
        arrays(many.chunk(basin=-1), memory=MEMORY)
    assert arrays(many.chunk(basin=2), memory=1.5 * MEMORY)[0].size == 2


def test_data_beyond_the_free_memory_are_read_in_shards(
    many: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning says so, and what to do to have the same training elsewhere."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=90e3, total=16e9))
    with pytest.warns(HydroxrWarning, match="2 cells at a time are read"):
        assert arrays(many)[0].size == 2

"""Offsets of training cells: where they apply, and that they are nothing elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, StateError
from hydroxr.models.model import Model
from hydroxr.training.loop.modules import make_optimizer
from hydroxr.training.loop.protocol import make_protocol
from tests.conftest import FIT
from tests.support.labelled import assert_same_values, in_two, make_dataset, make_grid

SPEC = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA",), gauge_offsets=True)


@pytest.fixture(scope="module")
def model() -> Model:
    """Trained on the three basins."""
    return make_dataset().hbv.fit(SPEC, **FIT)


def flow(ds: xr.Dataset, model: Model, **options: bool) -> np.ndarray:
    values: np.ndarray = ds.hbv.simulate(model, variables=["streamflow"], **options)["streamflow"].values
    return values


def without(model: Model) -> Model:
    """The model with offsets of 0."""
    return replace(model, weights=model.weights | {"offsets": model.weights["offsets"] * 0.0})


def test_a_training_learns_offsets_that_simulations_use(ds: xr.Dataset, model: Model) -> None:
    assert model.weights["offsets"].shape == (3, SPEC.size)
    assert (model.weights["offsets"] != 0).any(1).all()
    sim = ds.hbv.simulate(model)
    assert sim["offset_flag"].values.tolist() == [1, 1, 1]
    assert sim["offset_flag"].attrs["flag_values"].tolist() == [0, 1]
    own, of_attributes = flow(ds, model), flow(ds, model, offsets=False)
    assert (own != of_attributes).any(1).all()
    np.testing.assert_array_equal(of_attributes, flow(ds, without(model)))
    assert "offset_flag" not in ds.hbv.simulate(model, offsets=False)
    shifted, plain = (ds.hbv.parameters(model, offsets=use) for use in (True, False))
    for name in ("FC", "BETA", "UH_SHAPE"):
        assert (shifted[name] != plain[name]).any()


def test_offsets_follow_labels(ds: xr.Dataset, model: Model) -> None:
    """In another order, for some cells, and from a file, which has numbers for labels."""
    whole = flow(ds, model)
    np.testing.assert_array_equal(flow(ds.isel(basin=[2, 0]), model), whole[[2, 0]])
    np.testing.assert_array_equal(flow(ds.isel(basin=1), model), whole[1])
    named = ds.assign_coords(basin=["first", "second", "third"])
    of_names = named.hbv.fit(SPEC, **FIT)
    numbered = named.assign_coords(basin_id=("basin", named["basin"].values), basin=np.arange(3))
    np.testing.assert_array_equal(flow(numbered, of_names), flow(named, of_names))


def test_another_data_set_with_the_same_labels_gets_no_offset(ds: xr.Dataset, model: Model) -> None:
    """Neither do cells with other labels."""
    other = ds.copy(deep=True)
    other["elev_mean"][1] += 100.0
    sim = other.hbv.simulate(model)
    assert sim["offset_flag"].values.tolist() == [1, 0, 1]
    expected = flow(other, model, offsets=False)
    np.testing.assert_array_equal(sim["streamflow"].values[1], expected[1])
    renamed = ds.assign_coords(basin=["a", "b", "c"])
    assert renamed.hbv.simulate(model)["offset_flag"].values.tolist() == [0, 0, 0]
    grid = make_grid()
    assert not grid.hbv.simulate(model)["offset_flag"].any()


def test_rounded_attributes_are_the_same_gauge(ds: xr.Dataset, model: Model) -> None:
    rounded = ds.assign(elev_mean=ds["elev_mean"] * (1 + 1e-6))
    assert rounded.hbv.simulate(model)["offset_flag"].values.tolist() == [1, 1, 1]


def test_cells_that_were_not_trained_on_have_none(ds: xr.Dataset) -> None:
    """Neither in the validation of a training."""
    held = ds["basin"].values[[1]]
    model = ds.hbv.fit(SPEC, **FIT | {"validation": held, "validate_every": 3})
    assert model.weights["offsets"].shape[0] == 2
    assert ds.hbv.simulate(model)["offset_flag"].values.tolist() == [1, 0, 1]
    assert np.isfinite(model.training["validation_nse"])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_continued_run_is_the_same(ds: xr.Dataset, model: Model, chunked: bool) -> None:
    whole = ds.hbv.simulate(model)
    given = ds.chunk({"time": 20, "basin": 2}) if chunked else ds
    parts = in_two(given, [model], 33)
    assert_same_values(parts, whole, rtol=1e-6, atol=1e-6)
    if chunked:
        lazy = given.hbv.simulate(model, memory="1MB")
        np.testing.assert_array_equal(lazy["offset_flag"], [1, 1, 1])


def test_a_state_with_offsets_is_not_continued_without(ds: xr.Dataset, model: Model) -> None:
    state = ds.isel(time=slice(0, 30)).hbv.simulate(model, return_state=True)[1]
    with pytest.raises(StateError, match="offsets used, and here they are left out"):
        ds.isel(time=slice(30, None)).hbv.simulate(model, initial_state=state, offsets=False)


def test_a_saved_model_has_them(ds: xr.Dataset, model: Model, tmp_path: Path) -> None:
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert loaded == model
    np.testing.assert_array_equal(flow(ds, loaded), flow(ds, model))


def test_an_ensemble_flags_the_cells_of_any_member(ds: xr.Dataset, model: Model) -> None:
    other = ds.isel(basin=[0, 2]).hbv.fit(SPEC, **FIT)
    mean = ds.hbv.simulate(hx.Ensemble((other, model)))
    assert mean["offset_flag"].values.tolist() == [1, 1, 1]


def test_offsets_decay(model: Model) -> None:
    """A step without gradient shortens offsets, and nothing else."""
    module = model.network()
    assert module.offsets is not None
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    protocol = make_protocol("default", "filters", {"learning_rate": 0.1})
    optimizer = make_optimizer(module, protocol)
    for value in module.parameters():
        value.grad = torch.zeros_like(value)
    optimizer.step()
    for name, value in module.named_parameters():
        expected = before[name] * (1.0 - 0.1 * 0.05) if name == "offsets" else before[name]
        torch.testing.assert_close(value.detach(), expected)


def test_where_they_cannot_be(grid: xr.Dataset) -> None:
    for network in ("lstm", "constant"):
        with pytest.raises(DescriptionError, match="gauge_offsets shift what attributes alone give"):
            hx.DeltaHBV(network=network, gauge_offsets=True)
    with pytest.raises(DescriptionError, match="one dimension of space, and there are 2"):
        grid.hbv.fit(SPEC, **FIT)


def test_a_description_without_them_says_nothing_of_them() -> None:
    """So that models from before keep their checksum."""
    assert "gauge_offsets" not in hx.DeltaHBV(network="lstm").to_dict()

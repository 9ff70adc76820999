"""Trainings that begin from another model: other cells, other attributes, parts that are held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import CheckpointError, DescriptionError
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.labelled import make_dataset
from tests.support.trainings import SPECS

STILL: dict[str, Any] = FIT | {"learning_rate": 1e-12, "iterations": 1}
OFFSETS = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), gauge_offsets=True)


@pytest.fixture(scope="module", params=["static", "filters"])
def start(request: pytest.FixtureRequest) -> Model:
    return make_dataset().hbv.fit(SPECS[request.param], **FIT)


@pytest.fixture(scope="module")
def others() -> xr.Dataset:
    """Other cells than those of the start."""
    return make_dataset(cells=4, seed=5)


def flow(ds: xr.Dataset, model: Model, **options: Any) -> xr.DataArray:
    return ds.hbv.simulate(model, variables=["streamflow"], **options)["streamflow"]


def test_it_begins_where_the_other_model_is(others: xr.Dataset, start: Model) -> None:
    """Also where attributes come in another order and another unit."""
    moved = others.hbv.fit(start, **STILL)
    assert moved.training["start"] == start.hash
    np.testing.assert_allclose(flow(others, moved), flow(others, start), rtol=1e-4, atol=1e-6)
    metres = others.assign(elev_mean=others["elev_mean"].assign_attrs(units="m"))
    from_metres = make_dataset()
    from_metres["elev_mean"].attrs["units"] = "m"
    in_metres = from_metres.hbv.fit(start.description, **FIT)
    kilometres = metres.assign(elev_mean=(metres["elev_mean"] / 1000).assign_attrs(units="km"))
    again = kilometres.hbv.fit(in_metres, attributes=in_metres.attributes[::-1], **STILL)
    np.testing.assert_allclose(flow(metres, again), flow(metres, in_metres), rtol=1e-4, atol=1e-6)


def test_unknown_attributes_begin_as_the_mean_cell(others: xr.Dataset, start: Model) -> None:
    """A model of renamed attributes gives what the start gives where all of its own are missing."""
    renamed = others.rename({name: f"own_{name}" for name in start.attributes})
    names = [f"own_{name}" for name in start.attributes]
    moved = renamed.hbv.fit(start, attributes=names, **STILL)
    numbers = [name for name in start.attributes if name not in start.categories]
    unknown = others.assign({name: others[name] * np.nan for name in numbers})
    texts = {name: ("basin", np.full(4, "never seen")) for name in start.categories}
    expected = flow(unknown.assign(texts), start)
    np.testing.assert_allclose(flow(renamed, moved), expected, rtol=1e-4, atol=1e-6)


def test_hidden_units_learn_from_unknown_attributes(others: xr.Dataset) -> None:
    """Also those that the start leaves at 0 in the mean cell, which are most of a large model."""
    spec = hx.DeltaHBV(components=2, hidden=16, dynamic=("BETA",))
    start = make_dataset().hbv.fit(spec, **FIT)
    weights = {name: array.copy() for name, array in start.weights.items()}
    weights["static.0.bias"] -= 10.0  # as long trainings do
    renamed = others.rename({name: f"own_{name}" for name in start.attributes})
    names = [f"own_{name}" for name in start.attributes]
    begun, after = (
        renamed.hbv.fit(replace(start, weights=weights), attributes=names, **options)
        for options in (STILL, FIT)
    )
    assert float(renamed.hbv.parameters(begun)["FC"].std("basin").max()) == 0.0
    first, last = (model.weights["static.0.weight"] for model in (begun, after))
    assert (np.abs(last - first).max(axis=1) > 1e-6).mean() > 0.5


def test_parts_are_held(others: xr.Dataset) -> None:
    start = make_dataset().hbv.fit(SPECS["filters"], **FIT)
    moved = others.hbv.fit(start, frozen=["static", "decode"], **FIT)
    assert moved.training["frozen"] == ["static", "decode"]
    for name, array in start.weights.items():
        held = name.startswith(("static", "decode"))
        if held or name.startswith(("read", "depart")):
            assert held == np.array_equal(moved.weights[name], array), name


def test_offsets_of_other_cells_are_left_behind(others: xr.Dataset) -> None:
    start = make_dataset().hbv.fit(OFFSETS, **FIT)
    moved = others.hbv.fit(start, **STILL)
    assert abs(moved.weights["offsets"]).max() < 1e-9
    np.testing.assert_allclose(flow(others, moved), flow(others, start, offsets=False), rtol=1e-4, atol=1e-6)
    plain = others.hbv.fit(hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",)), start=start, **STILL)
    np.testing.assert_allclose(flow(others, plain), flow(others, start, offsets=False), rtol=1e-4, atol=1e-6)


def test_offsets_of_known_cells_go_on() -> None:
    """By label, in any order; a cell of another label, or with other attributes, begins without."""
    ds = make_dataset()
    start = ds.hbv.fit(OFFSETS, **FIT | {"iterations": 5})
    assert abs(start.weights["offsets"]).max(1).min() > 1e-6
    some = ds.isel(basin=[2, 0, 1]).copy(deep=True)
    some["elev_mean"][1] += 500.0
    some = some.assign_coords(basin=[30, 10, 21]).drop_vars("basin_id")
    moved = some.hbv.fit(start, **STILL)
    expected = [start.weights["offsets"][2], 0 * start.weights["offsets"][0], 0 * start.weights["offsets"][0]]
    np.testing.assert_allclose(moved.weights["offsets"], expected, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(flow(some, moved), flow(some, start), rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_is_refused(others: xr.Dataset, start: Model, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"components.* differ"):
        others.hbv.fit(hx.DeltaHBV(components=3, hidden=4), start=start, **FIT)
    with pytest.raises(DescriptionError, match="frozen has 'statics', and the model has no such part"):
        others.hbv.fit(start, frozen="statics", **FIT)
    with pytest.raises(DescriptionError, match="add start"):
        others.hbv.fit(start.description, frozen="static", **FIT)
    constant = others.hbv.fit(SPECS["constant"], **FIT)
    with pytest.raises(DescriptionError, match="expected one regional model"):
        others.hbv.fit(constant, **FIT)
    others.hbv.fit(start, checkpoint=tmp_path, **FIT)
    with pytest.raises(CheckpointError, match="start"):
        others.hbv.fit(start.description, checkpoint=tmp_path, **FIT)

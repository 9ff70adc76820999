"""δn(NNr) from fit to file: a network in the place of the effective-rainfall equation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.labelled import assert_same_values

SPECS = {
    "lstm": hx.DeltaHBV(components=2, hidden=4, runoff_network=16, network="lstm"),
    "dynamic": hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), runoff_network=16, network="lstm"),
    "constant": hx.DeltaHBV(components=2, network="constant", runoff_network=16),
}


@pytest.fixture(params=SPECS)
def model(request: pytest.FixtureRequest, ds: xr.Dataset) -> Model:
    """Fitted for three iterations."""
    return ds.hbv.fit(SPECS[request.param], **FIT)


def test_the_description_knows_it() -> None:
    """A width, True for the usual one, and the paper's symbol."""
    assert hx.DeltaHBV(runoff_network=True, network="lstm").runoff_network == 16
    assert hx.DeltaHBV(runoff_network=False, network="lstm") == hx.DeltaHBV(network="lstm")
    assert hx.DeltaHBV(16, ("BETA", "BETAET"), True, network="lstm").symbol == "δn(γt,βt,NNr)"
    assert hx.DeltaHBV(runoff_network=True, network="lstm").size == 194
    with pytest.raises(hx.HydroxrError, match="runoff_network is -1"):
        hx.DeltaHBV(runoff_network=-1, network="lstm")


def test_a_model_without_it_is_described_as_before_it_existed() -> None:
    """Checksums of older models stay valid."""
    assert "runoff_network" not in hx.DeltaHBV(network="lstm").to_dict()
    for spec in SPECS.values():
        assert hx.DeltaHBV(**spec.to_dict()) == spec


def test_its_weights_are_learned(ds: xr.Dataset, model: Model) -> None:
    """They differ from those that the same seed begins with, and another seed gives others."""
    fewer = ds.hbv.fit(model.description, **FIT | {"iterations": 1})
    names = [name for name in model.weights if name.startswith("runoff.")]
    assert len(names) == 4
    for name in names:
        assert not np.array_equal(model.weights[name], fewer.weights[name]), name


def test_it_is_simulated_with_what_was_learned(ds: xr.Dataset, model: Model) -> None:
    """Effective rainfall is the inflow times the network's share, not the equation's."""
    sim = ds.hbv.simulate(model, components=True, dtype="float64")
    runoff = model.runoff_network()
    assert runoff is not None
    if model.description.network == "constant":
        parameters = model.constant_parameters()
    else:
        parameters = ds.hbv.parameters(model)
    day = {"time": 40}
    inflow = (sim["rainfall"] + sim["snow_infiltration"]).isel(day)
    soil = sim["soil_moisture"].isel(time=39)
    named = xr.broadcast(inflow, soil, parameters["BETA"].isel(day, missing_dims="ignore"), parameters["FC"])
    tensors = [torch.tensor(part.transpose("basin", "component").values) for part in named]
    with torch.no_grad():
        expected = tensors[0] * runoff(*tensors)
    found = sim["effective_rainfall"].isel(day).transpose("basin", "component").values
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-9)


def test_it_is_saved_and_loaded(ds: xr.Dataset, model: Model, tmp_path: Path) -> None:
    """And simulates alike, lazily too."""
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert loaded == model
    expected, close = ds.hbv.simulate(model), {"rtol": 1e-5, "atol": 1e-6}
    assert_same_values(ds.hbv.simulate(loaded), expected)
    assert_same_values(ds.chunk(basin=1).hbv.simulate(loaded).compute(), expected, **close)


def test_a_run_goes_on(ds: xr.Dataset, model: Model) -> None:
    """Two runs are one run, and water closes."""
    whole = ds.hbv.simulate(model, dtype="float64")
    first, state = ds.isel(time=slice(0, 50)).hbv.simulate(model, return_state=True, dtype="float64")
    second = ds.isel(time=slice(50, None)).hbv.simulate(model, initial_state=state, dtype="float64")
    joined = np.concatenate([part["streamflow"].transpose("time", "basin") for part in (first, second)])
    np.testing.assert_allclose(joined, whole["streamflow"].transpose("time", "basin"), rtol=1e-4, atol=1e-6)
    assert abs(whole.hbv.water_balance()["residual"]).max() < 1e-9

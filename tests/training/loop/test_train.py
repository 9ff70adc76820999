"""Presets, losses and history of a training; warnings of the paper about dynamic parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, HydroxrWarning
from tests.conftest import FIT
from tests.support.labelled import make_dataset
from tests.support.trainings import KINDS, LATER, SPECS, Trouble, fit


@pytest.mark.parametrize("kind", KINDS)
def test_the_paper_s_protocol_trains(ds: xr.Dataset, kind: str) -> None:
    """The model's provenance has all settings, with epochs as iterations."""
    options = FIT | {"iterations": None, "learning_rate": None, "batch": 1}
    model = ds.hbv.fit(SPECS[kind], preset="paper", epochs=2, **options)
    expected = {
        "preset": "paper",
        "loss": "paper",
        "optimizer": "adadelta",
        "learning_rate": 1.0,
        "warmup_gradient": False,
        "warmup_parameters": "last day",
        "dropout": 0.5,
        "clip": None,
        "iterations": 2 * 19,  # ln 0.01 / ln(1 - 20 / (3 * 30))
    }
    assert model.training.items() >= expected.items()
    assert model.history.sizes["iteration"] == 38
    assert model.history["loss"].attrs["units"] == "kg m-2 day-1"


def test_dropout_is_the_protocol_s_unless_the_description_has_its_own(ds: xr.Dataset) -> None:
    """The model's description has the dropout of the training; an argument of fit comes first."""
    spec = hx.DeltaHBV(components=2, hidden=4, network="lstm")
    assert spec.dropout is None
    assert fit(ds).description.dropout == 0.1
    own = hx.DeltaHBV(components=2, hidden=4, dropout=0.25, network="lstm")
    model = ds.hbv.fit(own, **FIT)
    assert model.description.dropout == model.training["dropout"] == 0.25
    assert ds.hbv.fit(own, preset="paper", **FIT).description.dropout == 0.25
    assert ds.hbv.fit(own, dropout=0.0, **FIT).description.dropout == 0.0
    assert model.hash != ds.hbv.fit(own, dropout=0.0, **FIT).hash


@pytest.mark.parametrize("network", ["mlp", "lstm"])
def test_noise_of_attributes_is_of_the_training_alone(ds: xr.Dataset, network: Any) -> None:
    """It is drawn from the seed; a simulation has none."""
    spec = hx.DeltaHBV(components=2, hidden=4, network=network)
    noisy = ds.hbv.fit(spec, attribute_noise=0.4, **FIT)
    assert noisy.training["attribute_noise"] == 0.4
    assert noisy.hash == ds.hbv.fit(spec, attribute_noise=0.4, **FIT).hash
    plain = ds.hbv.fit(spec, **FIT)
    assert noisy.hash != plain.hash == ds.hbv.fit(spec, attribute_noise=0.0, **FIT).hash
    xr.testing.assert_identical(ds.hbv.parameters(noisy), ds.hbv.parameters(noisy))
    with pytest.raises(DescriptionError, match="attribute_noise is -1"):
        ds.hbv.fit(spec, attribute_noise=-1, **FIT)
    with pytest.raises(DescriptionError, match="a constant network reads no attributes"):
        ds.hbv.fit(hx.DeltaHBV(components=2, network="constant"), attribute_noise=0.1, **FIT)


def test_the_history_says_how_it_went(ds: xr.Dataset) -> None:
    """Loss, learning rate, seconds and validation, with units."""
    history = fit(ds, validation=LATER, validate_every=2).history
    rates = 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 5))
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-12)
    units = {name: history[name].attrs.get("units") for name in history.data_vars}
    assert units.pop("skipped") is None
    assert units == {"loss": "1", "learning_rate": "1", "seconds": "s", "validation_nse": "1"}
    assert all(history[name].attrs["long_name"] for name in history.data_vars)


def test_a_history_with_gaps_is_the_same_after_the_disk(ds: xr.Dataset, tmp_path: Path) -> None:
    """NaN without validation or without a finite loss; the file is strict JSON."""
    with pytest.warns(HydroxrWarning, match="1 of 5 batches"):
        model = fit(ds, loss=Trouble((2,), "loss"), validation=LATER, validate_every=2)
    path = model.save(tmp_path / "model")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads((path / "model.json").read_text(encoding="utf-8"), parse_constant=refuse)
    loaded = hx.load_model(path)
    xr.testing.assert_identical(loaded.history, model.history)
    assert loaded.training == model.training


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["nse", "kge", "low_flow", "paper", {"kge": 1.0, "low_flow": 0.5}], ids=str)
def test_every_loss_is_learned_with(kind: str, loss: Any) -> None:
    """It decreases on one batch that is always the same."""
    ds = make_dataset(30, 1, seed=4)
    options = {"time": None, "window": 20, "warmup": 10, "dropout": 0.0, "loss": loss, "iterations": 12}
    history = fit(ds, kind, **options).history["loss"]
    assert float(history[-1]) < float(history[0])


@pytest.mark.parametrize(
    ("dynamic", "words"),
    [
        (("K1",), "K1 shape.*groundwater recession parameters should not be dynamic"),
        (("BETA", "K2", "PERC"), "K2, PERC shape the recession"),
        (("BETA", "BETAET", "FC", "LP"), "with 4 dynamic parameters.*LSTM"),
    ],
)
def test_the_paper_s_warning_of_dynamic_parameters_is_passed_on(
    ds: xr.Dataset, dynamic: tuple[str, ...], words: str
) -> None:
    """One warning, at the line of the call, with the reason."""
    spec = hx.DeltaHBV(components=1, hidden=2, dynamic=dynamic, network="lstm")
    with pytest.warns(HydroxrWarning, match=words) as caught:
        ds.hbv.fit(spec, **FIT | {"iterations": 1})
    (about,) = (each for each in caught if "dynamic" in str(each.message))
    assert about.filename == __file__

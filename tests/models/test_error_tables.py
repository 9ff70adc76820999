"""A model carries the distribution of its errors: what is loaded is what was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.attributes import MODEL_SHA256
from hydroxr.errors import DescriptionError, MissingVariableError
from tests.support.labelled import make_errors, untrained

SPEC = hx.DeltaHBV(components=2, hidden=4, network="mlp")


def test_a_model_keeps_both_kinds(tmp_path: Path) -> None:
    """Those of simulations and of forecasts, with a cell that has none; weights and hash do not change."""
    plain = untrained(SPEC)
    first, second = make_errors(["b", "a"]), make_errors([3, 1], lead=2)
    first["streamflow_error"][0] = float("nan")
    model = plain.with_errors(first).with_errors(second)
    assert model == plain
    assert not plain.errors
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert [*loaded.errors] == ["simulation", "forecast"]
    for kind, given in (("simulation", first), ("forecast", second)):
        xr.testing.assert_identical(loaded.errors[kind], given)
    again = loaded.with_errors(make_errors(["c"]))
    assert again.errors["simulation"]["basin"].values.tolist() == ["c"]
    xr.testing.assert_identical(again.errors["forecast"], second)


def test_of_one_cell(tmp_path: Path) -> None:
    """A selection leaves its label."""
    one = make_errors(["b", "a"]).sel(basin="a")
    loaded = hx.load_model(untrained(SPEC).with_errors(one).save(tmp_path / "model"))
    xr.testing.assert_identical(loaded.errors["simulation"], one)


def test_an_ensemble_has_errors_of_its_mean(tmp_path: Path) -> None:
    ensemble = hx.Ensemble((untrained(SPEC), untrained(SPEC, seed=1)))
    path = ensemble.with_errors(make_errors(["a"])).save(tmp_path / "both")
    loaded = hx.load_model(path)
    assert loaded == ensemble
    xr.testing.assert_identical(loaded.errors["simulation"], make_errors(["a"]))
    (path / "errors.safetensors").write_bytes(b"")
    with pytest.raises(hx.errors.ModelFileError, match=r"errors.safetensors"):
        hx.load_model(path)


def test_other_errors_are_refused() -> None:
    model, other = untrained(SPEC), untrained(SPEC, seed=1)
    with pytest.raises(DescriptionError, match=r"those of the model .* this one is"):
        model.with_errors(make_errors(["a"]).assign_attrs({MODEL_SHA256: other.hash}))
    with pytest.raises(MissingVariableError, match="errors lacks 'streamflow_offset'"):
        model.with_errors(make_errors(["a"]).drop_vars("streamflow_offset"))
    with pytest.raises(MissingVariableError, match="errors lacks 'season'"):
        model.with_errors(make_errors(["a"]).isel(season=0))

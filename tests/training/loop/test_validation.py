"""Validation: the NSE of a continuous simulation; the best weights are kept; bad requests are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MissingObservationError,
)
from hydroxr.models import parameter_network as network
from hydroxr.models.model import Model
from hydroxr.training.loop import session
from tests.conftest import TRAINING
from tests.support.trainings import KINDS, LATER, fit, same


def scores(ds: xr.Dataset, given: Model | xr.Dataset, days: slice) -> xr.DataArray:
    """NSE per cell of a simulation with a model or parameters."""
    return ds.hbv.simulate(given, dtype="float64").hbv.evaluate(ds, time=days)["nse"]


@pytest.mark.parametrize("kind", KINDS)
def test_validation_is_the_median_nse_of_a_simulation(ds: xr.Dataset, kind: str) -> None:
    """That of ds.hbv.simulate, evaluated in the period, where the records begin with its warm-up (and
    static parameters with the last window of training)."""
    ds["streamflow"][1, 50:55] = np.nan
    ds = ds.isel(time=slice(10, None))
    days = {"time": slice(None, "2000-02-09"), "validation": slice("2000-02-10", None)}  # 30 and 20 days
    options = {"warmup": 10, "validate_every": 5, **days}
    model = fit(ds, kind, **options)
    # The run that validates starts ten days before the period.
    run = ds.sel(time=slice("2000-01-31", None))
    parameters = ds.hbv.parameters(model)
    if kind in ("dynamic", "filters"):
        daily = run.hbv.parameters(model, time=slice("2000-02-01", "2000-02-02"))
        parameters = parameters.drop_vars(["BETA", "BETAET"]).drop_vars("time", errors="ignore")
        parameters = parameters.assign(BETA=daily["BETA"], BETAET=daily["BETAET"])
    expected = scores(run, parameters, slice("2000-02-10", None)).median()
    assert model.training["validation_nse"] == pytest.approx(float(expected), rel=1e-4)
    assert float(model.history["validation_nse"][-1]) == model.training["validation_nse"]


def test_cells_can_be_held_out(ds: xr.Dataset) -> None:
    """By label, name or mask: they are not trained on, and the model is judged by them in the period of
    training, after its warm-up."""
    model = fit(ds, "dynamic", validation=[20], validate_every=5)
    same(fit(ds, "dynamic", validation=np.array([20]), validate_every=5), model)
    same(fit(ds, "dynamic", validation=["g1"], validate_every=5), model)
    mask = xr.DataArray([False, True, False], {"basin": ds["basin"]}, "basin")
    same(fit(ds, "dynamic", validation=mask, validate_every=5), model)
    without = fit(ds.isel(basin=[0, 2]), "dynamic")
    assert without.hash == model.hash
    assert model.training["cells"] == 2
    run = ds.isel(basin=[1]).sel(time=TRAINING)
    parameters = run.hbv.parameters(model, time=slice("2000-01-16", "2000-02-14"))
    expected = scores(run, parameters, slice("2000-01-16", "2000-02-14"))
    assert model.training["validation_nse"] == pytest.approx(float(expected[0]), rel=1e-4)


def test_validation_changes_no_number_of_the_training(ds: xr.Dataset) -> None:
    """Every iteration gives the weights of a training without validation: it draws no random numbers."""
    model, other = (fit(ds, "dynamic", **more) for more in ({"validation": LATER, "validate_every": 1}, {}))
    xr.testing.assert_identical(
        model.history["loss"].reset_coords(drop=True), other.history["loss"].reset_coords(drop=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_weights_are_kept(ds: xr.Dataset, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of a training that ends after the iteration with the best validation."""
    given = iter([0.1, 0.5, -np.inf, 0.5, 0.3])
    monkeypatch.setattr(session, "median_nse", lambda *_: next(given))
    options = {"validation": LATER, "validate_every": 1, "schedule": "constant"}
    model = fit(ds, kind, **options)
    assert (model.training["best_iteration"], model.training["validation_nse"]) == (2, 0.5)
    np.testing.assert_array_equal(model.history["validation_nse"], [0.1, 0.5, -np.inf, 0.5, 0.3])
    two = fit(ds, kind, iterations=2, schedule="constant")
    assert model.hash == two.hash


def test_validation_is_every_so_often_and_at_the_end(ds: xr.Dataset) -> None:
    """It is NaN in between."""
    history = fit(ds, validation=LATER, validate_every=2).history["validation_nse"]
    np.testing.assert_array_equal(np.isfinite(history), [False, True, False, True, True])
    assert "validation_nse" not in fit(ds).history


def test_training_stops_early_on_request(ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``patience`` validations in a row without improvement; the best weights are kept."""
    given = iter([0.1, 0.5, 0.4, 0.6, 0.6, 0.2, 0.9])
    monkeypatch.setattr(session, "median_nse", lambda *_: next(given))
    options = {"iterations": 30, "validation": LATER, "validate_every": 2, "patience": 2}
    model = fit(ds, **options)
    facts = model.training
    assert facts["iterations_done"] == 12 == model.history.sizes["iteration"]
    assert facts["best_iteration"] == 8
    assert facts["stopped_early"] is True
    assert facts["interrupted"] is False


def test_validation_in_pieces_is_the_same(ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few cells and days at a time if memory is short."""
    from hydroxr.training.loop import validation

    options = {"validation": LATER, "validate_every": 1}
    whole = fit(ds, "dynamic", **options)
    monkeypatch.setattr(validation, "_BUDGET", 1.0)
    monkeypatch.setattr(network, "DAYS_AT_ONCE", 7)
    pieces = fit(ds, "dynamic", **options)
    np.testing.assert_allclose(pieces.history["validation_nse"], whole.history["validation_nse"], rtol=1e-4)


def test_a_validation_that_begins_with_the_records_warms_up_in_itself(ds: xr.Dataset) -> None:
    """Its first days do not count."""
    days = {"time": slice("2000-01-26", None), "validation": slice("2000-01-01", "2000-01-25")}
    model = fit(ds, "constant", **days)
    run = ds.sel(time=slice("2000-01-01", "2000-01-25"))
    expected = scores(run, model, slice("2000-01-11", "2000-01-25")).median()
    assert model.training["validation_nse"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("validation", "error", "words"),
    [
        (slice("2000-02-10", None), DescriptionError, "2000-02-10 to 2000-02-29.*shares days"),
        (slice("2001-01-01", None), EmptySelectionError, "2001"),
        (slice("2000-01-01", "2000-01-05"), EmptySelectionError, "5 days.*10 days of warm-up"),
        (["g7"], CoordinateError, "basin 'g7'.*not in the Dataset"),
        ([10, 20, 30], MissingObservationError, "not held out"),
        (xr.DataArray([1, 0, 0], dims="basin"), DimensionError, "int64.*expected bool"),
        (xr.DataArray([True, False], dims="basin"), CoordinateError, "'basin'.*same cells"),
    ],
)
def test_a_validation_that_makes_no_sense_is_refused(
    ds: xr.Dataset, validation: Any, error: type[Exception], words: str
) -> None:
    """The error comes before anything is trained."""
    with pytest.raises(error, match=words):
        fit(ds, validation=validation)


def test_validation_needs_observations(ds: xr.Dataset) -> None:
    """There must be some in the period, or in the held-out cells."""
    later = ds.assign(streamflow=ds["streamflow"].where(ds["time"] < np.datetime64("2000-02-15")))
    with pytest.raises(MissingObservationError, match="validation period"):
        fit(later, validation=LATER)
    ds["streamflow"][1] = np.nan
    with pytest.raises(MissingObservationError, match="held out"):
        fit(ds, validation=[20])


def test_a_constant_model_has_no_cells_to_hold_out(ds: xr.Dataset) -> None:
    """The message says what to do."""
    with pytest.raises(DescriptionError, match=r"constant.*slice"):
        fit(ds, "constant", validation=[20])

"""What ``ds.hbv.fit`` promises: it learns, from what is there, repeatably, and leaves everything else
alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import MissingObservationError
from hydroxr.models.model import Model
from hydroxr.training.loop import train as training
from hydroxr.training.loop.sampler import WindowSampler
from tests.conftest import FIT
from tests.support.labelled import (
    ATTRIBUTES,
    by_oracle,
    flattened,
    make_dataset,
    make_grid,
    make_parameters,
)

SPECS = {
    "constant": hx.DeltaHBV(components=2, network="constant"),
    "static": hx.DeltaHBV(components=2, hidden=4, network="lstm"),
    "dynamic": hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET"), network="lstm"),
    "filters": hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET")),
}


def fit(ds: xr.Dataset, kind: str = "constant", **options: Any) -> Model:
    """Three iterations, unless told otherwise."""
    return ds.hbv.fit(SPECS[kind], **FIT | options)


def learnable(days: int = 110) -> xr.Dataset:
    """Streamflow that a model of one component has made, so that another can learn it."""
    ds = make_dataset(days, 2, seed=2)
    made = ds.hbv.simulate(make_parameters(ds, components=1, seed=5), dtype="float64")["streamflow"]
    return ds.assign(streamflow=made.astype("float32"))


def same_weights(first: Model, second: Model, **close: float) -> None:
    """Assert that two models have the same weights."""
    assert first.weights.keys() == second.weights.keys()
    for name, array in first.weights.items():
        np.testing.assert_allclose(array, second.weights[name], **(close or {"rtol": 0}), err_msg=name)


# --- It learns --------------------------------------------------------------------------------------


def test_a_constant_model_finds_what_made_the_streamflow() -> None:
    """From streamflow of known parameters it comes to an NSE above 0.9 in a hundred iterations, a fifth of
    the observations missing."""
    ds = learnable()
    rng = np.random.default_rng(0)
    observed = ds.assign(streamflow=ds["streamflow"].where(rng.random(ds["streamflow"].shape) > 0.2))
    spec = hx.DeltaHBV(components=1, network="constant")
    options = {
        "iterations": 100,
        "batch": 8,
        "window": 60,
        "warmup": 30,
        "learning_rate": 0.3,
        "progress": False,
    }
    model = observed.hbv.fit(spec, **options)
    scores = ds.hbv.simulate(model).hbv.evaluate(ds, time=slice("2000-02-01", None))
    assert float(scores["nse"].min()) > 0.9
    loss = model.history["loss"]
    assert float(loss[-10:].mean()) < 0.4 * float(loss[:3].mean())


def test_a_constant_model_with_default_settings_finds_the_streamflow_of_each_cell() -> None:
    """Of slow lower zones and deep soils too, which a year of warm-up does not fill: an NSE above 0.95 after
    the first year. The truth begins with nearly empty stores, as the model does."""
    ds = make_dataset(900, 2, seed=3)
    table = {name: row for name, row in hx.physics.PARAMETERS.items() if name != "BETAET"}
    places = np.random.default_rng(0).random((len(table), 2))
    places[list(table).index("K2")] = [0.0, 0.02]
    places[list(table).index("FC")] = [0.7, 0.9]
    rows = zip(table.items(), places, strict=True)
    truth = {name: ("basin", row.lower + (row.upper - row.lower) * place) for (name, row), place in rows}
    made = ds.hbv.simulate(xr.Dataset(truth, {"basin": ds["basin"]}), variables=["streamflow"])
    ds = ds.assign(streamflow=made["streamflow"])
    model = ds.hbv.fit(hx.DeltaHBV(components=1, network="constant"), progress=False)
    scores = ds.hbv.simulate(model, variables=["streamflow"]).hbv.evaluate(
        ds, time=slice(ds["time"].values[365], None)
    )
    assert float(scores["nse"].min()) > 0.95


@pytest.mark.parametrize("dynamic", [(), ("BETA",)])
def test_the_loss_of_a_regional_model_falls(dynamic: tuple[str, ...]) -> None:
    """To under a half in forty iterations."""
    spec = hx.DeltaHBV(components=1, hidden=8, dropout=0.0, dynamic=dynamic, network="lstm")
    options = {
        "iterations": 40,
        "batch": 8,
        "window": 60,
        "warmup": 30,
        "learning_rate": 0.05,
        "progress": False,
    }
    loss = learnable().hbv.fit(spec, **options).history["loss"]
    assert float(loss[-5:].mean()) < 0.5 * float(loss[:3].mean())


def test_adadelta_learns_as_well() -> None:
    """The paper's optimiser, at its own rate; on records as long as one window, so that draws are alike."""
    options = {
        "iterations": 60,
        "batch": 8,
        "window": 50,
        "warmup": 20,
        "optimizer": "adadelta",
        "progress": False,
    }
    loss = learnable(70).hbv.fit(hx.DeltaHBV(components=1, network="constant"), **options).history["loss"]
    assert float(loss[-5:].mean()) < 0.95 * float(loss[:5].mean())


@pytest.mark.parametrize("kind", SPECS)
def test_the_loss_is_that_of_the_windows_drawn(ds: xr.Dataset, kind: str) -> None:
    """The first loss, by hand: the sampler's cells and days, warm-up from empty stores with the same
    parameters, the oracle's streamflow of the days after it, and equation 1 in NumPy."""
    spec = hx.DeltaHBV(**SPECS[kind].to_dict() | {"dropout": 0.0})
    ds["streamflow"][0, 20:25] = np.nan
    options = {"iterations": 1, "batch": 5, "window": 15, "warmup": 10, "seed": 3, "learning_rate": 1e-9}
    model = ds.hbv.fit(spec, progress=False, loss="paper", **options)
    observed = ds["streamflow"].transpose("time", "basin").values
    cells, starts = WindowSampler(
        observed, batch=5, window=15, warmup=10, seed=3, balanced=kind == "constant"
    ).draw()
    simulated, target = [], []
    for cell, start in zip(cells, starts, strict=True):
        piece = ds.isel(basin=[cell], time=slice(start, start + 25))
        whole = slice(*piece["time"].values[[0, -1]])
        parameters = piece.hbv.parameters(model, time=None if kind == "constant" else whole)
        if kind == "constant":
            parameters = parameters.sel(basin=piece["basin"])
        simulated.append(by_oracle(piece, parameters)[0]["streamflow"][10:, 0])
        target.append(observed[start + 10 : start + 25, cell])
    s, o = np.array(simulated), np.array(target, dtype=float)
    s, o = s[np.isfinite(o)], o[np.isfinite(o)]
    low = [np.log10(np.sqrt(q + 1e-6) + 0.1) for q in (s, o)]
    expected = 0.75 * np.sqrt(np.mean((s - o) ** 2)) + 0.25 * np.sqrt(np.mean((low[0] - low[1]) ** 2))
    assert float(model.history["loss"][0]) == pytest.approx(expected, rel=1e-4)


# --- Repeatably -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPECS)
def test_the_same_seed_gives_the_same_model_and_another_another(ds: xr.Dataset, kind: str) -> None:
    """To the last bit, whatever torch and NumPy have drawn before."""
    first = fit(ds, kind, seed=1)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert fit(ds, kind, seed=1).hash == first.hash
    assert fit(ds, kind, seed=2).hash != first.hash


@pytest.mark.parametrize("kind", SPECS)
def test_the_caller_s_random_numbers_are_left_alone(ds: xr.Dataset, kind: str) -> None:
    """Those of torch and of NumPy go on as if nothing had been fitted or simulated."""
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    state, global_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    ds.hbv.simulate(fit(ds, kind))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], global_state)  # noqa: NPY002


def test_the_caller_s_settings_of_torch_are_left_alone(ds: xr.Dataset) -> None:
    """Gradient mode, default dtype, number of threads."""

    def settings() -> tuple[Any, ...]:
        return torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()

    before = settings()
    ds.hbv.simulate(fit(ds, "dynamic"))
    assert settings() == before


@pytest.mark.parametrize("kind", SPECS)
def test_lazy_data_give_the_same_model(ds: xr.Dataset, kind: str) -> None:
    """dask-backed input, in any chunks and order of dimensions, is what it is in memory."""
    expected = fit(ds, kind)
    assert fit(ds.chunk(basin=1, time=13), kind).hash == expected.hash
    assert fit(ds.transpose("time", "basin"), kind).hash == expected.hash


def test_a_grid_is_learned_from_like_a_list(grid: xr.Dataset) -> None:
    """Cells of a grid, in its order."""
    same_weights(fit(grid, "static"), fit(flattened(grid), "static"))
    model = fit(grid, "constant")
    same_weights(model, fit(flattened(grid), "constant"))
    assert dict(model.cells.sizes) == {"lat": 2, "lon": 3}


# --- From what is there -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPECS)
def test_cells_without_observation_are_left_out(ds: xr.Dataset, kind: str) -> None:
    """They change nothing, not even the normalisation, and their forcing may be missing."""
    ds["geol_class_1st"][1] = "granite"
    expected = fit(ds.isel(basin=[0, 2]), kind)
    ds["streamflow"][1] = np.nan
    ds["prcp"][1, 7] = np.nan
    ds["elev_mean"][1] = 1e6
    model = fit(ds, kind)
    same_weights(model, expected)
    assert model.training["cells"] == 2
    if kind == "constant":
        np.testing.assert_array_equal(model.cells["basin"], [10, 30])


def test_categories_are_those_of_the_cells_learned_from(ds: xr.Dataset) -> None:
    """A rock of which no catchment was trained on is no category that the model knows."""
    ds["streamflow"][1] = np.nan  # the only one on basalt
    assert fit(ds, "static").categories == {"geol_class_1st": ["granite"]}


def test_a_constant_model_of_a_grid_with_holes_says_so_before_it_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before any time is spent."""
    grid = make_grid(60)
    grid["streamflow"][:, 0, 1] = np.nan

    def long(*args: Any) -> None:
        raise AssertionError("trained before the error")

    monkeypatch.setattr(training, "train", long)
    with pytest.raises(MissingObservationError, match=r"1 of 6.*stack"):
        fit(grid, "constant")


def test_a_stacked_grid_can_be_fitted_saved_and_written(tmp_path: Any) -> None:
    """What the error for grids with holes advises works to the end: fit, save, load, simulate, write."""
    grid = make_grid(60)
    grid["streamflow"][:, 0, 1] = np.nan
    stacked = grid.stack(cell=("lat", "lon")).reset_index("cell").isel(cell=[0, 2, 3, 4, 5])
    model = fit(stacked, "constant")
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert loaded.hash == model.hash
    sim = stacked.hbv.simulate(loaded)
    sim.hbv.to_netcdf(tmp_path / "sim.nc")


def test_only_the_days_of_the_period_are_learned_from(ds: xr.Dataset) -> None:
    """Whatever lies outside of ``time``."""
    expected = fit(ds, "static")
    outside = (ds["time"] < np.datetime64("2000-01-06")) | (ds["time"] > np.datetime64("2000-02-14"))
    other = ds.assign(
        streamflow=ds["streamflow"].where(~outside, 1e3), tmean=ds["tmean"].where(~outside, -40)
    )
    other["tmean"].attrs, other["streamflow"].attrs = ds["tmean"].attrs, ds["streamflow"].attrs
    same_weights(fit(other, "static"), expected)


def test_the_target_can_be_chosen(ds: xr.Dataset) -> None:
    """By its name, in its units; others of the role may be there."""
    expected = fit(ds)
    chosen = ds.rename(streamflow="gauge").assign(qobs=ds["streamflow"] * 3)
    chosen["gauge"].attrs["units"] = "mm/day"
    same_weights(fit(chosen, target="gauge"), expected)
    metres = chosen.assign(gauge=(chosen["gauge"] / 1000).assign_attrs(units="m/day"))
    np.testing.assert_allclose(
        fit(metres, target="gauge").history["loss"], expected.history["loss"], rtol=1e-5
    )


def test_attributes_are_those_of_table_a1_or_those_chosen(ds: xr.Dataset) -> None:
    """In the order of the table, or of the choice; text with the categories of the training cells."""
    model = fit(ds, "static")
    assert model.attributes == ATTRIBUTES
    assert model.categories == {"geol_class_1st": ["basalt", "granite"]}
    chosen = fit(ds.assign(mine=ds["elev_mean"]), "static", attributes=["mine", "p_mean"])
    assert chosen.attributes == ("mine", "p_mean")
    assert fit(ds, "constant").attributes == ()


def test_a_category_that_training_did_not_have_is_a_missing_attribute(
    ds: xr.Dataset, static_model: Model
) -> None:
    """Not another category's number: text that is unknown, empty or missing simulates alike."""
    sims = []
    for text in ("marble", "", "nan"):
        other = ds.assign(geol_class_1st=("basin", np.array([text, "basalt", "granite"])))
        sims.append(other.hbv.simulate(static_model).drop_vars("attribute_flag"))  # which tells them apart
        assert sims[-1]["streamflow"].notnull().all()
        xr.testing.assert_equal(sims[0], sims[-1])
    assert (ds.hbv.parameters(static_model)["FC"] != other.hbv.parameters(static_model)["FC"]).any()


# --- What is kept of it -----------------------------------------------------------------------------


def test_a_model_says_how_it_was_made(ds: xr.Dataset) -> None:
    """Period, days, cells, every option of the protocol, version; loss and seconds of each iteration."""
    model = fit(ds, "static", seed=4)
    expected = {
        "period": ["2000-01-06", "2000-02-14"],
        "days": 40,
        "cells": 3,
        "iterations": 3,
        "batch": 4,
        "window": 20,
        "warmup": 10,
        "seed": 4,
        "optimizer": "adam",
        "learning_rate": 0.1,
        "hydroxr_version": hx.__version__,
    }
    assert model.training.items() >= expected.items()
    assert model.history.sizes == {"iteration": 3}
    assert (model.history["seconds"].diff("iteration") > 0).all()
    for part in ("δn", "2 components", "3 cells", "2000-01-06 to 2000-02-14"):
        assert part in repr(model)


def test_progress_is_shown_on_request(ds: xr.Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar with the loss, on the error stream; else nothing anywhere."""
    fit(ds)
    assert capsys.readouterr() == ("", "")
    fit(ds, progress=True)
    shown = capsys.readouterr()
    assert "loss" in shown.err
    assert "3/3" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("kind", ["static", "constant"])
def test_defaults_are_the_documented_ones(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterations as the docstring says, the paper's batch, window and warm-up; a constant network has one
    window of each cell, the whole record."""
    doc = " ".join(str(hx.HBVAccessor.fit.__doc__).split())
    documented = re.search(r"default (\d+) for a regional model, (\d+) for a constant one", doc)
    assert documented is not None
    iterations = int(documented[2 if kind == "constant" else 1])
    seen = {}

    def train(spec: Any, data: Any, protocol: Any, *rest: Any) -> Any:
        seen["protocol"] = protocol
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    with pytest.raises(KeyboardInterrupt):
        make_dataset(731).hbv.fit(SPECS[kind])
    protocol = seen["protocol"]
    assert (protocol.iterations, protocol.batch, protocol.window, protocol.warmup) == (
        iterations,
        *((3, 366, 365) if kind == "constant" else (100, 365, 365)),
    )
    assert (protocol.seed, protocol.optimizer) == (0, "adam")

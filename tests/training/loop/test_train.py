"""What a training promises while it runs: the best weights are kept, it can be interrupted and continued,
what is of no use is left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CheckpointError,
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    HydroxrWarning,
    MissingObservationError,
    TrainingError,
)
from hydroxr.models import parameter_network as network
from hydroxr.models.model import Model
from hydroxr.training.loop import checkpoint as checkpoints
from hydroxr.training.loop import session
from hydroxr.training.loop.checkpoint import CHECKPOINT_FILE
from hydroxr.training.loop.losses import paper_loss
from tests.conftest import FIT, TRAINING
from tests.support.labelled import make_dataset

SPECS = {
    "constant": hx.DeltaHBV(components=2, network="constant"),
    "static": hx.DeltaHBV(components=2, hidden=4),
    "dynamic": hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET")),
}
KINDS = tuple(SPECS)
LATER = slice("2000-02-15", "2000-02-29")  # the days of make_dataset after those of training


def fit(ds: xr.Dataset, kind: str = "static", **options: Any) -> Model:
    """Some iterations, five unless told otherwise."""
    return ds.hbv.fit(SPECS[kind], **FIT | {"iterations": 5} | options)


def same(first: Model, second: Model) -> None:
    """Weights and course to the last bit, but for the time it took."""
    assert first.hash == second.hash
    xr.testing.assert_identical(first.history.drop_vars("seconds"), second.history.drop_vars("seconds"))


class Trouble:
    """The paper's loss, but in some calls (counted from 1) something else happens."""

    def __init__(self, calls: tuple[int, ...] | range, what: str) -> None:
        self.calls, self.what, self.count = calls, what, 0

    def __call__(self, simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Loss."""
        self.count += 1
        loss = paper_loss(simulated, observed)
        if self.count not in self.calls:
            return loss
        if self.what == "interrupt":
            raise KeyboardInterrupt
        if self.what == "loss":
            return loss * torch.nan
        # A gradient that is no number, of a loss that is one.
        return loss + torch.sqrt(simulated[0, 0] * 0.0)


# --- Validation -------------------------------------------------------------------------------------


def scores(ds: xr.Dataset, given: Model | xr.Dataset, days: slice) -> xr.DataArray:
    """NSE of a simulation with a model or parameters, a cell."""
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
    if kind == "dynamic":
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
    """Weights after every iteration are those of a training without it: it draws nothing."""
    model, other = (fit(ds, "dynamic", **more) for more in ({"validation": LATER, "validate_every": 1}, {}))
    xr.testing.assert_identical(
        model.history["loss"].reset_coords(drop=True), other.history["loss"].reset_coords(drop=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_weights_are_kept(ds: xr.Dataset, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the iteration with the best validation, as a training that ends there leaves them."""
    given = iter([0.1, 0.5, -np.inf, 0.5, 0.3])
    monkeypatch.setattr(session, "median_nse", lambda *_: next(given))
    options = {"validation": LATER, "validate_every": 1, "schedule": "constant"}
    model = fit(ds, kind, **options)
    assert (model.training["best_iteration"], model.training["validation_nse"]) == (2, 0.5)
    np.testing.assert_array_equal(model.history["validation_nse"], [0.1, 0.5, -np.inf, 0.5, 0.3])
    two = fit(ds, kind, iterations=2, schedule="constant")
    assert model.hash == two.hash


def test_validation_is_every_so_often_and_at_the_end(ds: xr.Dataset) -> None:
    """NaN in between."""
    history = fit(ds, validation=LATER, validate_every=2).history["validation_nse"]
    np.testing.assert_array_equal(np.isfinite(history), [False, True, False, True, True])
    assert "validation_nse" not in fit(ds).history


def test_training_stops_early_on_request(ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """After as many validations in a row without a better one; with the best weights."""
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
    """Few cells and days at a time, where memory is short."""
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
    """Before anything is trained."""
    with pytest.raises(error, match=words):
        fit(ds, validation=validation)


def test_validation_needs_observations(ds: xr.Dataset) -> None:
    """In the period, or in the cells."""
    later = ds.assign(streamflow=ds["streamflow"].where(ds["time"] < np.datetime64("2000-02-15")))
    with pytest.raises(MissingObservationError, match="validation period"):
        fit(later, validation=LATER)
    ds["streamflow"][1] = np.nan
    with pytest.raises(MissingObservationError, match="held out"):
        fit(ds, validation=[20])


def test_a_constant_model_has_no_cells_to_hold_out(ds: xr.Dataset) -> None:
    """It says what to do."""
    with pytest.raises(DescriptionError, match=r"constant.*slice"):
        fit(ds, "constant", validation=[20])


# --- What is of no use --------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_finite_gradient_is_left_out(ds: xr.Dataset, kind: str, what: str) -> None:
    """Weights stay as they were, it is counted, and training goes on."""
    options = {"schedule": "constant", "dropout": 0.0}
    model = fit(ds, kind, loss=Trouble((4, 5), what), **options)
    assert model.training["skipped"] == 2
    np.testing.assert_array_equal(model.history["skipped"], [False, False, False, True, True])
    assert model.hash == fit(ds, kind, iterations=3, loss="paper", **options).hash
    assert all(np.isfinite(array).all() for array in model.weights.values())
    if what == "loss":
        assert np.isnan(model.history["loss"][3])


def test_the_first_batch_may_be_of_no_use(ds: xr.Dataset) -> None:
    """Training starts with the next."""
    assert fit(ds, loss=Trouble((1,), "loss")).training["skipped"] == 1


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_ten_such_batches_in_a_row_end_the_training(ds: xr.Dataset, what: str) -> None:
    """With what was not finite, in which cells and on which days, and what to do."""
    with pytest.raises(TrainingError) as caught:
        fit(ds, iterations=30, loss=Trouble(range(4, 99), what))
    text = str(caught.value)
    for words in ("not finite", "last 10 iterations", "iteration 13", "basin g", "2000-", "rate=0.1"):
        assert words in text
    assert fit(ds, iterations=30, loss=Trouble(range(4, 13), what)).training["skipped"] == 9


def test_the_cells_that_are_to_blame_are_named(ds: xr.Dataset) -> None:
    """Only those whose simulation is not finite, with their days."""

    def bad(simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        factor = torch.where(observed > 1000, torch.inf, 1.0)
        return (simulated * factor).sum()

    ds["streamflow"][2] = 1500.0
    with pytest.raises(TrainingError, match="basin g2") as caught:
        fit(ds, iterations=30, batch=30, loss=bad)
    assert "basin g0" not in str(caught.value)
    assert "basin g1" not in str(caught.value)


def test_a_training_without_any_finite_batch_leaves_no_model(ds: xr.Dataset) -> None:
    """However short."""
    with pytest.raises(TrainingError, match=r"all 3 iterations.*learning_rate"):
        fit(ds, iterations=3, loss=Trouble(range(99), "loss"))


# --- Interrupted --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_leaves_a_model(ds: xr.Dataset, kind: str, tmp_path: Path) -> None:
    """With the weights of the last iteration that was finished, and a warning; it can be saved."""
    with pytest.warns(HydroxrWarning, match=r"interrupted after 3 of 5 iterations.*checkpoint="):
        model = fit(ds, kind, schedule="constant", loss=Trouble((4,), "interrupt"))
    facts = model.training
    assert facts["interrupted"] is True
    assert (facts["iterations"], facts["iterations_done"], facts["best_iteration"]) == (5, 3, 3)
    assert model.history.sizes["iteration"] == 3
    expected = fit(ds, kind, iterations=3, schedule="constant", loss="paper")
    assert expected.hash == model.hash
    assert expected.training["interrupted"] is False
    assert hx.load_model(model.save(tmp_path / "model")).training == facts


def test_interrupted_after_a_validation_it_has_the_best_weights(
    ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the last."""
    given = iter([0.9, 0.1, 0.2])
    monkeypatch.setattr(session, "median_nse", lambda *_: next(given))
    loss = Trouble((4,), "interrupt")
    with pytest.warns(HydroxrWarning, match="weights of iteration 1"):
        model = fit(ds, loss=loss, validation=LATER, validate_every=1)
    assert model.training["best_iteration"] == 1
    assert model.history.sizes["iteration"] == 3


def test_interrupted_before_anything_is_learned_there_is_no_model(ds: xr.Dataset, tmp_path: Path) -> None:
    """Nor a checkpoint."""
    with pytest.raises(KeyboardInterrupt):
        fit(ds, loss=Trouble((1,), "interrupt"), checkpoint=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ctrl_c_waits_for_the_iteration_and_a_second_one_does_not(ds: xr.Dataset) -> None:
    """The signal itself, during the second iteration."""

    class Pressed(Trouble):
        def __call__(self, simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
            self.count += 1
            for _ in range(self.calls[0] if self.count == 2 else 0):
                os.kill(os.getpid(), signal.SIGINT)
            return paper_loss(simulated, observed)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    try:
        with pytest.warns(HydroxrWarning, match="interrupted after 2 of 5"):
            model = fit(ds, loss=Pressed((1,), ""))
        assert model.training["iterations_done"] == 2
        with pytest.raises(KeyboardInterrupt):
            fit(ds, loss=Pressed((2,), ""))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


# --- Continued ----------------------------------------------------------------------------------------


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let the process die, as it were, when a checkpoint has been written for the n-th time."""
    write = checkpoints.Checkpoint.write

    class DeadError(BaseException):
        pass

    def stop(number: int) -> Any:
        count = 0

        def write_and_die(self: Any, *given: Any) -> None:
            nonlocal count
            write(self, *given)
            count += 1
            if count == number:
                raise DeadError

        monkeypatch.setattr(checkpoints.Checkpoint, "write", write_and_die)
        return pytest.raises(DeadError)

    yield stop
    monkeypatch.setattr(checkpoints.Checkpoint, "write", write)


@pytest.mark.parametrize("after", [1, 3, 6])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_continued_training_is_an_uninterrupted_one(
    ds: xr.Dataset, kind: str, after: int, preset: str, tmp_path: Path, stops: Any
) -> None:
    """To the last bit: weights, history, best validation, dropout, draws, the optimiser's memory."""
    options = {"iterations": 7, "preset": preset, "validation": LATER, "validate_every": 2}
    expected = fit(ds, kind, **options)
    options |= {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with stops(after):
        fit(ds, kind, **options)
    torch.manual_seed(7)
    continued = fit(ds, kind, **options)
    same(continued, expected)
    for name in ("best_iteration", "validation_nse", "iterations_done", "interrupted", "skipped"):
        assert continued.training[name] == expected.training[name]
    assert (continued.history["seconds"].diff("iteration") > 0).all()


def test_an_interrupted_training_is_continued(ds: xr.Dataset, tmp_path: Path) -> None:
    """The checkpoint of the interrupt is of the end of an iteration, though it came in the middle of one."""
    trouble = Trouble((4,), "interrupt")
    options = {"checkpoint": tmp_path / "run", "loss": trouble}
    with pytest.warns(HydroxrWarning, match="Repeat the call"):
        fit(ds, "dynamic", **options)
    continued = fit(ds, "dynamic", **options)
    assert trouble.count == 6  # the fourth twice
    assert continued.training["interrupted"] is False
    same(continued, fit(ds, "dynamic", loss=Trouble((), "")))


def test_a_training_is_resumed_by_its_folder(ds: xr.Dataset, tmp_path: Path, stops: Any) -> None:
    """``resume`` is ``checkpoint`` where there has to be one."""
    expected = fit(ds)
    with stops(1):
        fit(ds, checkpoint=tmp_path / "run", checkpoint_every=2)
    same(fit(ds, resume=tmp_path / "run"), expected)
    with pytest.raises(CheckpointError, match=r"nowhere has no checkpoint to resume from.*earlier"):
        fit(ds, resume=tmp_path / "nowhere")
    with pytest.raises(DescriptionError, match=r"checkpoint is .*other.* and resume is .*expected one"):
        fit(ds, checkpoint=tmp_path / "other", resume=tmp_path / "run")


def test_a_training_that_is_done_is_not_repeated(ds: xr.Dataset, tmp_path: Path) -> None:
    """The same call gives the same model from the checkpoint, and trains nothing."""
    trouble = Trouble((), "")
    first = fit(ds, loss=trouble, checkpoint=tmp_path / "run")
    same(fit(ds, loss=trouble, checkpoint=tmp_path / "run"), first)
    assert trouble.count == 5


def test_early_stopping_is_continued(ds: xr.Dataset, tmp_path: Path, stops: Any) -> None:
    """Validations without a better one are counted over the break."""
    options: dict[str, Any] = {"iterations": 40, "validation": LATER, "validate_every": 1, "patience": 3}
    options |= {"learning_rate": 1e-12, "dropout": 0.0}  # nothing becomes better, hardly
    expected = fit(ds, **options)
    assert expected.training["stopped_early"]
    options |= {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with stops(2):
        fit(ds, **options)
    same(fit(ds, **options), expected)


def test_skipped_batches_are_counted_over_the_break(ds: xr.Dataset, tmp_path: Path, stops: Any) -> None:
    """Ten in a row are ten, and what is not finite survives the file."""
    options = {"iterations": 30, "checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with stops(8):
        fit(ds, loss=Trouble(range(4, 99), "loss"), **options)
    with pytest.raises(TrainingError, match="iteration 13"):
        fit(ds, loss=Trouble(range(99), "loss"), **options)


def test_a_checkpoint_is_one_file_of_numbers(ds: xr.Dataset, tmp_path: Path) -> None:
    """Nothing that could be executed, and nothing else in the folder."""
    from safetensors import safe_open

    fit(ds, checkpoint=str(tmp_path / "some" / "run"), checkpoint_every=timedelta(milliseconds=1))
    assert os.listdir(tmp_path / "some" / "run") == [CHECKPOINT_FILE]
    with safe_open(tmp_path / "some" / "run" / CHECKPOINT_FILE, framework="np") as file:
        content = json.loads(file.metadata()["hydroxr"])
    assert content["hydroxr_version"] == hx.__version__


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.2}, r"learning_rate \(0\.1 there, 0\.2 here\)"),
        ({"seed": 3}, r"seed \(0 there, 3 here\)"),
        ({"iterations": 9}, r"iterations \(5 there, 9 here\)"),
        ({"loss": "paper"}, r"loss \(.*'nse'.* there, 'paper' here\)"),
        ({"attributes": ["p_mean"]}, "data attributes"),
        ({"validation": LATER}, "validation forcing"),
        ({"time": slice("2000-01-05", "2000-02-13")}, "data forcing"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(
    ds: xr.Dataset, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """With all that differs, and what to do; it stays as it is."""
    fit(ds, checkpoint=tmp_path / "run")
    before = (tmp_path / "run" / CHECKPOINT_FILE).read_bytes()
    with pytest.raises(CheckpointError, match=rf"another training.*{words}.*another folder"):
        fit(ds, checkpoint=tmp_path / "run", **change)
    assert (tmp_path / "run" / CHECKPOINT_FILE).read_bytes() == before


def test_the_checkpoint_of_other_data_or_another_model_is_refused(ds: xr.Dataset, tmp_path: Path) -> None:
    """One value is enough."""
    fit(ds, checkpoint=tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"model dynamic \(\[\] there, \['BETA', 'BETAET'\] here\)"):
        fit(ds, "dynamic", checkpoint=tmp_path / "run")
    for name in ("prcp", "streamflow", "p_mean"):
        other = ds.copy(deep=True)
        other[name][(1, 20) if other[name].ndim == 2 else (1,)] += 0.01
        with pytest.raises(CheckpointError, match=r"data (forcing|observed|attributes) .other values"):
            fit(other, checkpoint=tmp_path / "run")


def spoil(path: Path, how: str) -> None:
    """Damage a checkpoint."""
    data = bytearray(path.read_bytes())
    if how == "bit of the numbers":
        data[-10] ^= 1
    elif how == "bit of the text":
        data[data.index(b"best_score") + 1] ^= 1
    elif how == "cut":
        del data[len(data) // 2 :]
    elif how == "empty":
        data.clear()
    else:
        data[:] = b"\x80\x04K\x01."
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["bit of the numbers", "bit of the text", "cut", "empty", "pickle"])
def test_a_damaged_checkpoint_is_refused(ds: xr.Dataset, tmp_path: Path, how: str) -> None:
    """With its path, and what to do; it is not taken for a new start."""
    fit(ds, checkpoint=tmp_path / "run")
    spoil(tmp_path / "run" / CHECKPOINT_FILE, how)
    with pytest.raises(CheckpointError, match=r"run/checkpoint\.safetensors.*remove it"):
        fit(ds, checkpoint=tmp_path / "run")


def test_a_checkpoint_of_a_newer_format_says_what_to_do(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Update hydroxr."""
    monkeypatch.setattr(checkpoints, "FORMAT", 99)
    fit(ds, checkpoint=tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"format 99.*update hydroxr"):
        fit(ds, checkpoint=tmp_path / "run")


def test_a_checkpoint_folder_that_is_a_file_is_refused(ds: xr.Dataset, tmp_path: Path) -> None:
    """And left alone."""
    (tmp_path / "run").write_text("precious")
    with pytest.raises(CheckpointError, match="is a file"):
        fit(ds, checkpoint=tmp_path / "run")
    assert (tmp_path / "run").read_text() == "precious"


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disk full: an error, the older checkpoint whole, no other file."""
    count = 0
    real = os.fsync

    def full(number: int) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError("no space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with pytest.raises(CheckpointError, match="no space left"):
        fit(ds, **options)
    assert os.listdir(tmp_path / "run") == [CHECKPOINT_FILE]
    same(fit(ds, **options), fit(ds))


_KILLED = """
import os, signal, sys
import hydroxr as hx
from hydroxr.training.loop import checkpoint
from tests.support.labelled import make_dataset
from tests.training.loop.test_train import fit

count = 0
real = os.fsync
def fsync(number):
    global count
    count += 1
    if count == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)
os.fsync = fsync
fit(make_dataset(), "dynamic", checkpoint=sys.argv[1], checkpoint_every=1)
"""


def test_a_killed_training_is_continued(ds: xr.Dataset, tmp_path: Path) -> None:
    """Killed in the middle of writing a checkpoint, in a process of its own."""
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "run")]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    same(fit(ds, "dynamic", checkpoint=tmp_path / "run"), fit(ds, "dynamic"))


# --- Presets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_paper_s_protocol_trains(ds: xr.Dataset, kind: str) -> None:
    """All of it is in the model's provenance, epochs as iterations."""
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
    """The model's description has what was trained with; an argument of fit comes first."""
    spec = hx.DeltaHBV(components=2, hidden=4)
    assert spec.dropout is None
    assert fit(ds).description.dropout == 0.1
    own = hx.DeltaHBV(components=2, hidden=4, dropout=0.25)
    model = ds.hbv.fit(own, **FIT)
    assert model.description.dropout == model.training["dropout"] == 0.25
    assert ds.hbv.fit(own, preset="paper", **FIT).description.dropout == 0.25
    assert ds.hbv.fit(own, dropout=0.0, **FIT).description.dropout == 0.0
    assert model.hash != ds.hbv.fit(own, dropout=0.0, **FIT).hash


def test_the_history_says_how_it_went(ds: xr.Dataset) -> None:
    """Loss, rate, seconds, validation; with units."""
    history = fit(ds, validation=LATER, validate_every=2).history
    rates = 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 5))
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-12)
    units = {name: history[name].attrs.get("units") for name in history.data_vars}
    assert units.pop("skipped") is None
    assert units == {"loss": "1", "learning_rate": "1", "seconds": "s", "validation_nse": "1"}
    assert all(history[name].attrs["long_name"] for name in history.data_vars)


def test_a_history_with_gaps_is_the_same_after_the_disk(ds: xr.Dataset, tmp_path: Path) -> None:
    """NaN where there was no validation and no finite loss; the file is JSON for every reader."""
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
    """It falls on one batch that is always the same."""
    ds = make_dataset(30, 1, seed=4)
    options = {"time": None, "window": 20, "warmup": 10, "dropout": 0.0, "loss": loss, "iterations": 12}
    history = fit(ds, kind, **options).history["loss"]
    assert float(history[-1]) < float(history[0])


# --- Dynamic parameters that the paper warns of -------------------------------------------------------


@pytest.mark.parametrize(
    ("dynamic", "words"),
    [
        (("K0",), "K0 shape.*groundwater recession parameters should not be dynamic"),
        (("BETA", "K2", "PERC"), "K2, PERC shape the recession"),
        (("BETA", "BETAET", "FC", "LP"), "with 4 dynamic parameters.*LSTM"),
    ],
)
def test_the_paper_s_warning_of_dynamic_parameters_is_passed_on(
    ds: xr.Dataset, dynamic: tuple[str, ...], words: str
) -> None:
    """Once, at the line of the call, with the reason."""
    spec = hx.DeltaHBV(components=1, hidden=2, dynamic=dynamic)
    with pytest.warns(HydroxrWarning, match=words) as caught:
        ds.hbv.fit(spec, **FIT | {"iterations": 1})
    assert len(caught) == 1
    assert caught[0].filename == __file__

"""A training continues from its checkpoint to the last bit; other or damaged checkpoints are refused."""

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

import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

import hydroxr as hx
from hydroxr.errors import (
    CheckpointError,
    DescriptionError,
    HydroxrWarning,
    TrainingError,
)
from hydroxr.training.loop import checkpoint as checkpoints
from hydroxr.training.loop.checkpoint import CHECKPOINT_FILE
from hydroxr.training.loop.losses import paper_loss
from tests.support.trainings import KINDS, LATER, Trouble, fit, same


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Simulate the death of the process after the n-th checkpoint is written."""
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
    """To the last bit: weights, history, best validation, dropout, draws, state of the optimiser."""
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
    """After an interrupt within an iteration, the checkpoint is that of the end of the iteration before."""
    trouble = Trouble((4,), "interrupt")
    options = {"checkpoint": tmp_path / "run", "loss": trouble}
    with pytest.warns(HydroxrWarning, match="Repeat the call"):
        fit(ds, "dynamic", **options)
    continued = fit(ds, "dynamic", **options)
    assert trouble.count == 6  # the fourth twice
    assert continued.training["interrupted"] is False
    same(continued, fit(ds, "dynamic", loss=Trouble((), "")))


def test_a_training_is_resumed_by_its_folder(ds: xr.Dataset, tmp_path: Path, stops: Any) -> None:
    """``resume`` is ``checkpoint`` for a folder that must have one."""
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
    """Validations without improvement are counted across the break."""
    options: dict[str, Any] = {"iterations": 40, "validation": LATER, "validate_every": 1, "patience": 3}
    options |= {"learning_rate": 1e-12, "dropout": 0.0}  # nothing becomes better, hardly
    expected = fit(ds, **options)
    assert expected.training["stopped_early"]
    options |= {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with stops(2):
        fit(ds, **options)
    same(fit(ds, **options), expected)


def test_skipped_batches_are_counted_over_the_break(ds: xr.Dataset, tmp_path: Path, stops: Any) -> None:
    """Ten in a row are ten across the break, and values that are not finite are kept in the file."""
    options = {"iterations": 30, "checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with stops(8):
        fit(ds, loss=Trouble(range(4, 99), "loss"), **options)
    with pytest.raises(TrainingError, match="iteration 13"):
        fit(ds, loss=Trouble(range(99), "loss"), **options)


def test_a_checkpoint_is_one_file_of_numbers(ds: xr.Dataset, tmp_path: Path) -> None:
    """It holds nothing executable, and the folder holds nothing else."""
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
    """The error lists all differences and says what to do; the checkpoint stays as it is."""
    fit(ds, checkpoint=tmp_path / "run")
    before = (tmp_path / "run" / CHECKPOINT_FILE).read_bytes()
    with pytest.raises(CheckpointError, match=rf"another training.*{words}.*another folder"):
        fit(ds, checkpoint=tmp_path / "run", **change)
    assert (tmp_path / "run" / CHECKPOINT_FILE).read_bytes() == before


def test_the_checkpoint_of_other_data_or_another_model_is_refused(ds: xr.Dataset, tmp_path: Path) -> None:
    """One different value is enough."""
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
    """The error has its path and says what to do; training does not start again silently."""
    fit(ds, checkpoint=tmp_path / "run")
    spoil(tmp_path / "run" / CHECKPOINT_FILE, how)
    with pytest.raises(CheckpointError, match=r"run/checkpoint\.safetensors.*remove it"):
        fit(ds, checkpoint=tmp_path / "run")


def test_a_checkpoint_of_a_newer_format_says_what_to_do(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says to update hydroxr."""
    monkeypatch.setattr(checkpoints, "FORMAT", 99)
    fit(ds, checkpoint=tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"format 99.*update hydroxr"):
        fit(ds, checkpoint=tmp_path / "run")


def test_a_checkpoint_folder_that_is_a_file_is_refused(ds: xr.Dataset, tmp_path: Path) -> None:
    """The file is left alone."""
    (tmp_path / "run").write_text("precious")
    with pytest.raises(CheckpointError, match="is a file"):
        fit(ds, checkpoint=tmp_path / "run")
    assert (tmp_path / "run").read_text() == "precious"


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full later, that is a warning: the model is there, the older checkpoint stays whole, and
    no other file is left."""
    count = 0
    real = checkpoints.write_whole

    def full(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count >= 3:
            raise OSError("no space left on device")
        real(path, data)

    monkeypatch.setattr(checkpoints, "write_whole", full)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with pytest.warns(HydroxrWarning, match=r"no space left.*continues from the one before"):
        same(fit(ds, **options), fit(ds))
    assert os.listdir(tmp_path / "run") == [CHECKPOINT_FILE]
    monkeypatch.undo()
    same(fit(ds, **options), fit(ds))


_KILLED = """
import os, signal, sys
import hydroxr as hx
from hydroxr.training.loop import checkpoint
from tests.support.labelled import make_dataset
from tests.support.trainings import fit

count = 0
real = os.fsync
def fsync(number):
    global count
    count += 1
    if count == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)
os.fsync = fsync
fit(make_dataset(), "dynamic", checkpoint=sys.argv[1], checkpoint_every=1)
"""


def test_a_killed_training_is_continued(ds: xr.Dataset, tmp_path: Path) -> None:
    """Killed in a process of its own while it writes a checkpoint."""
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "run")]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    same(fit(ds, "dynamic", checkpoint=tmp_path / "run"), fit(ds, "dynamic"))


def test_a_place_that_cannot_be_written_is_found_before_the_training(ds: xr.Dataset, tmp_path: Path) -> None:
    """Not after it; nothing is trained, and no folder is left."""
    trouble = Trouble((), "")
    (tmp_path / "file").write_text("precious")
    for place in ("/proc/nope", tmp_path / "file" / "run", "s3://bucket/run"):
        with pytest.raises(CheckpointError, match=r"nope|file|bucket"):
            fit(ds, loss=trouble, checkpoint=place)
    assert trouble.count == 0
    assert os.listdir(tmp_path) == ["file"]


def test_a_disk_that_is_full_is_found_before_the_training(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many bytes as a checkpoint needs are written, and removed again."""
    tried = []

    def full(folder: Path, size: int) -> None:
        tried.append(size)
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints, "try_writing", full)
    trouble = Trouble((), "")
    with pytest.raises(CheckpointError, match="no space left"):
        fit(ds, loss=trouble, checkpoint=tmp_path / "run")
    assert trouble.count == 0
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    fit(ds, checkpoint=tmp_path / "run")
    assert tried[0] > 0.8 * sum(
        tensor.nbytes for tensor in load_file(tmp_path / "run" / CHECKPOINT_FILE).values()
    )


def test_two_trainings_do_not_share_a_folder(ds: xr.Dataset, tmp_path: Path) -> None:
    """The second is refused while the first is under way, and not afterwards."""
    refused = []

    def loss(simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        if not refused:
            with pytest.raises(CheckpointError, match=r"under way.*choose another folder") as caught:
                fit(ds, checkpoint=tmp_path / "run")
            refused.append(caught)
        return paper_loss(simulated, observed)

    fit(ds, checkpoint=tmp_path / "run", loss=loss)
    assert len(refused) == 1
    with pytest.raises(CheckpointError, match="another training"):
        fit(ds, checkpoint=tmp_path / "run")


def test_a_folder_below_the_home_folder(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fit(ds, checkpoint="~/run")
    assert os.listdir(tmp_path / "run") == [CHECKPOINT_FILE]

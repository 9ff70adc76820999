"""Interrupts at the worst moments: the training goes on as if they had not been."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import HydroxrWarning
from hydroxr.training.loop import session
from hydroxr.training.loop.losses import paper_loss
from tests.support.trainings import LATER, SPECS, fit, same


def raises(number: int, frame: Any) -> None:
    """A handler of the program's own."""
    raise KeyboardInterrupt


@pytest.fixture(params=["python's", "own"])
def handler(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The handler of Ctrl-C during the test."""
    wanted = raises if request.param == "own" else signal.default_int_handler
    before = signal.signal(signal.SIGINT, wanted)
    yield wanted
    assert signal.getsignal(signal.SIGINT) is wanted
    signal.signal(signal.SIGINT, before)


def press(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, call: int, times: int = 1) -> None:
    """Press Ctrl-C at the end of the n-th call of a function."""
    real, count = getattr(where, name), 0

    def pressed(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        result = real(*args, **options)
        for _ in range(times if count == call else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(where, name, pressed)


def test_an_update_of_the_weights_is_never_torn(
    ds: xr.Dataset, handler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed between the step of the optimiser and the entry in the history."""
    expected = fit(ds)
    with monkeypatch.context() as patch:
        press(patch, torch.optim.AdamW, "step", 3)
        with pytest.warns(HydroxrWarning, match="interrupted after 3 of 5"):
            fit(ds, checkpoint=tmp_path / "run")
    same(fit(ds, checkpoint=tmp_path / "run"), expected)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_validation_under_way_is_made_up_for(
    ds: xr.Dataset, handler: Any, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The iteration is done and counted; its validation comes first when the training goes on."""
    options = {"validation": LATER, "validate_every": 2}
    expected = fit(ds, **options)
    with monkeypatch.context() as patch:
        real, count = session.median_nse, 0

        def interrupted(*given: Any) -> float:
            nonlocal count
            count += 1
            if count == call:
                raise KeyboardInterrupt
            return real(*given)

        patch.setattr(session, "median_nse", interrupted)
        done = (2, 4, 5)[call - 1]
        with pytest.warns(HydroxrWarning, match=f"interrupted after {done} of 5"):
            model = fit(ds, checkpoint=tmp_path / "run", **options)
        assert model.history.sizes["iteration"] == done
    same(fit(ds, checkpoint=tmp_path / "run", **options), expected)


def test_an_interrupt_that_no_signal_brings_leaves_the_last_checkpoint(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within an update there is no way back, so nothing is written and nothing returned."""
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    with monkeypatch.context() as patch:
        real, count = torch.optim.AdamW.step, 0

        def step(*given: Any) -> Any:
            nonlocal count
            count += 1
            real(*given)
            if count == 3:
                raise KeyboardInterrupt

        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(KeyboardInterrupt):
            fit(ds, **options)
    same(fit(ds, **options), fit(ds))


def test_ctrl_c_under_asyncio_is_asyncio_s(ds: xr.Dataset, tmp_path: Path) -> None:
    """The first cancels the task, and the training within it ends whole."""

    def loss(simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return paper_loss(simulated, observed)

    async def train() -> Any:
        model = fit(ds, loss=loss, iterations=1)
        await asyncio.sleep(0)
        return model

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(train())
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_the_last_iteration_of_a_member_ends_the_ensemble(
    ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member is whole; the others are not trained."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        press(monkeypatch, torch.optim.AdamW, "step", 5)
        with pytest.warns(HydroxrWarning, match="the ensemble has 1 of 3 members") as caught:
            ensemble = fit(ds, seeds=3)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not [each for each in caught if "interrupted after" in str(each.message)]
    same(ensemble.members[0], fit(ds))


def test_ctrl_c_in_the_last_iteration_of_a_fold_ends_the_cross_validation(
    ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its model is kept, and the repeated call goes on from there."""
    options: dict[str, Any] = {"iterations": 2, "batch": 2, "window": 20, "warmup": 10, "progress": False}
    folds = xr.DataArray([1, 2, 3], dims="basin")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        press(monkeypatch, torch.optim.AdamW, "step", 2)
        with pytest.raises(KeyboardInterrupt, match=r"after fold '1'.*a repeated call continues"):
            ds.hbv.cross_validate(SPECS["static"], folds, models=tmp_path / "models", **options)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["fold-1"]
    hx.load_model(tmp_path / "models" / "fold-1")

"""Ctrl-C, memory and precision: a training changes its process only while it runs."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    HydroxrWarning,
)
from hydroxr.training.loop import process, session
from hydroxr.training.loop.losses import paper_loss
from hydroxr.training.loop.process import kept_memory, lstm_precision
from tests.conftest import FIT
from tests.support.trainings import KINDS, LATER, Trouble, fit


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_leaves_a_model(ds: xr.Dataset, kind: str, tmp_path: Path) -> None:
    """It has the weights of the last finished iteration, there is a warning, and it can be saved."""
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
    """The best weights, not the last."""
    given = iter([0.9, 0.1, 0.2])
    monkeypatch.setattr(session, "median_nse", lambda *_: next(given))
    loss = Trouble((4,), "interrupt")
    with pytest.warns(HydroxrWarning, match="weights of iteration 1"):
        model = fit(ds, loss=loss, validation=LATER, validate_every=1)
    assert model.training["best_iteration"] == 1
    assert model.history.sizes["iteration"] == 3


def test_interrupted_before_anything_is_learned_there_is_no_model(ds: xr.Dataset, tmp_path: Path) -> None:
    """There is no checkpoint either."""
    with pytest.raises(KeyboardInterrupt):
        fit(ds, loss=Trouble((1,), "interrupt"), checkpoint=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ctrl_c_waits_for_the_iteration_and_a_second_one_does_not(ds: xr.Dataset) -> None:
    """The signal itself is sent during the second iteration."""

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


class Recorder:
    """A library that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    gnu_get_libc_version = None

    def mallopt(self, parameter: int, value: int) -> int:
        """Record the call."""
        self.calls.append((parameter, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        """Record the call."""
        self.calls.append(("trim", pad))
        return 1


def test_it_is_undone_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thresholds are the earlier ones, and the system gets its memory back."""
    library = Recorder()
    monkeypatch.setattr(process, "_gnu_library", lambda: library)
    seen: list[Any] = []

    def work() -> None:
        seen.extend(parameter for parameter, _ in library.calls)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), kept_memory():
        work()
    assert sorted(seen) == [-3, -1]
    assert library.calls[2:] == [(-3, 32 * 2**20), (-1, 64 * 2**20), ("trim", 0)]


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens on other systems."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    with kept_memory():
        pass


@pytest.mark.skipif(process._gnu_library() is None, reason="the C library is not GNU's")
def test_memory_goes_back_to_the_system() -> None:
    """Memory that a training used is free for others afterwards."""
    me = psutil.Process()
    before = me.memory_info().rss
    with kept_memory():
        tensors = [torch.ones(2**22) for _ in range(16)]  # 256 MiB
        del tensors
    assert me.memory_info().rss - before < 2**26


@pytest.mark.parametrize(
    ("bf16", "amx", "vendor", "expected"),
    [
        (False, False, "AuthenticAMD", "float32"),
        (True, False, "AuthenticAMD", "bfloat16"),
        (True, False, "GenuineIntel", "float32"),  # native, and no faster
        (True, True, "GenuineIntel", "bfloat16"),
        (True, False, "", "float32"),
    ],
)
def test_auto_is_bfloat16_where_that_is_native_and_faster(
    bf16: bool, amx: bool, vendor: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's capabilities decide, so that it is the same each time; tiny networks use float32."""
    has = {"_is_avx512_bf16_supported": bf16, "_is_amx_tile_supported": amx}
    monkeypatch.setattr(process, "_has", has.__getitem__)
    monkeypatch.setattr(process, "_vendor", lambda: vendor)
    process._is_fast.cache_clear()
    try:
        assert lstm_precision("auto", "cpu", 256) == expected
        assert lstm_precision("auto", "cpu", 8) == "float32"
    finally:
        process._is_fast.cache_clear()


def test_a_precision_that_is_asked_for_is_taken() -> None:
    """On every machine; on this one auto is one of the two."""
    for name in ("float32", "bfloat16"):
        assert lstm_precision(name, "cpu", 8) == name
    assert lstm_precision("auto", "cpu", 256) in ("float32", "bfloat16")


@pytest.mark.parametrize("dynamic", [(), ("BETA", "BETAET")])
def test_a_training_in_bfloat16_is_close_to_one_in_float32(ds: xr.Dataset, dynamic: tuple[str, ...]) -> None:
    """The first losses agree within 1 %; weights are float32, and the precision is recorded."""
    spec = hx.DeltaHBV(components=2, hidden=8, dropout=0.0, dynamic=dynamic, network="lstm")
    options: dict[str, Any] = FIT | {"learning_rate": 0.01, "iterations": 5}
    models = [ds.hbv.fit(spec, precision=name, **options) for name in ("float32", "bfloat16")]
    losses = [model.history["loss"].values for model in models]
    assert (losses[0] != losses[1]).any()
    np.testing.assert_allclose(*losses, rtol=0.01)
    assert [model.training["precision"] for model in models] == ["float32", "bfloat16"]
    assert all(array.dtype == np.float32 for array in models[1].weights.values())


def test_a_constant_network_has_no_lstm(ds: xr.Dataset) -> None:
    """It is always trained in float32."""
    model = ds.hbv.fit(hx.DeltaHBV(components=1, network="constant"), precision="bfloat16", **FIT)
    assert model.training["precision"] == "float32"


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_the_caller_do_not_matter(ds: xr.Dataset, kind: str) -> None:
    """Nor are they changed: precision of new tensors, gradients, inference, autocast, device."""
    options = {"iterations": 2, "validation": LATER}
    expected = fit(ds, kind, **options)
    torch.set_default_dtype(torch.float64)
    try:
        assert fit(ds, kind, **options).hash == expected.hash
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for context in (
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", dtype=torch.bfloat16),
        torch.device("meta"),
    ):
        with context:
            assert fit(ds, kind, **options).hash == expected.hash
    assert torch.is_grad_enabled()


def test_trainings_in_threads_are_those_in_a_row(ds: xr.Dataset) -> None:
    """They wait for each other, since they share torch's random numbers; the caller's stay as they are."""
    torch.manual_seed(5)
    state = torch.get_rng_state()
    kinds = ("static", "filters", "constant") * 2
    in_a_row = [fit(ds, kind, seed=seed).hash for seed, kind in enumerate(kinds)]
    tasks = [dask.delayed(fit)(ds, kind, seed=seed) for seed, kind in enumerate(kinds)]
    in_threads = dask.compute(*tasks, scheduler="threads", num_workers=3)
    assert [model.hash for model in in_threads] == in_a_row
    assert torch.equal(torch.get_rng_state(), state)

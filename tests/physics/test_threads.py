"""Threads: results do not depend on them; subnormal numbers are zero during training only."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import hydroxr as hx
from hydroxr.physics import threads
from hydroxr.physics.cpu import loop as loop_cpu
from hydroxr.physics.threads import share, without_subnormals
from tests.conftest import FIT
from tests.support.loops import Tensors, gradients, leaves_of, network
from tests.support.strategies import Case

_HAS_ENTRY = hasattr(ctypes.CDLL(torch._C.__file__), "GOMP_parallel")
needs_entry = pytest.mark.skipif(not _HAS_ENTRY, reason="no GNU entry points in torch's OpenMP")
NUMBERS = torch.full((1_000_000,), 2.0**-127)  # enough for torch to take all its threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Two threads of torch, and no flushing left by an earlier test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert kept() == 1.0
    yield
    torch.set_num_threads(before)


def kept() -> float:
    """Which part of subnormal numbers outlives a multiplication by all of torch's threads."""
    return float((NUMBERS * 1.5 != 0.0).double().mean())


@needs_entry
def test_they_are_zero_in_all_threads_inside_and_in_none_afterwards() -> None:
    """Half of the numbers are another thread's."""
    with without_subnormals():
        assert kept() == 0.0
    assert kept() == 1.0


@needs_entry
def test_what_was_set_before_is_set_again() -> None:
    """After an error too, and where the user flushes them already."""
    with pytest.raises(KeyboardInterrupt), without_subnormals():
        raise KeyboardInterrupt
    assert kept() == 1.0
    with without_subnormals():
        with without_subnormals():
            pass
        assert kept() == 0.0
    assert kept() == 1.0


def test_another_openmp_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calling thread, which has half of the numbers, computes without them all the same."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    with without_subnormals():
        assert kept() == pytest.approx(0.5, abs=0.1)
    assert kept() == 1.0


@needs_entry
def test_threads_that_are_set_meanwhile_are_set_back_too() -> None:
    """As by a loss of the user's."""
    with without_subnormals():
        torch.set_num_threads(1)
    torch.set_num_threads(2)
    assert kept() == 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not() -> None:
    """OpenMP's, which the process it is from has used."""
    code = """
import os, torch
from hydroxr.physics.threads import without_subnormals
torch.set_num_threads(2)
torch.ones(10_000_000).add(1.0)
child = os.fork()
if not child:
    with without_subnormals():
        os._exit(0 if float(torch.tensor(2.0**-127) * 1.5) == 0.0 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_numpy_notices_nothing() -> None:
    """Whatever it is told to do about underflows."""
    with np.errstate(all="raise"), without_subnormals():
        share(lambda first, last: None, 8, 1_000_000)


def test_helping_threads_do_as_the_caller_does() -> None:
    """Else a result would depend on which thread took which portion."""
    seen: list[bool] = []
    both = threading.Barrier(2, timeout=60)

    def part(first: int, last: int) -> None:
        both.wait()
        seen.extend([threads._flushes_subnormals()] * (last - first))

    with without_subnormals():
        share(part, 8, 1_000_000)
    assert seen == [True] * 8
    seen.clear()
    share(part, 8, 1_000_000)
    assert seen == [False] * 8


@needs_entry
def test_a_training_computes_without_them(ds: xr.Dataset) -> None:
    """As its loss sees; afterwards the process is as before."""
    seen: list[float] = []

    def loss(simulated: Tensor, observed: Tensor) -> Tensor:
        seen.append(kept())
        valid = observed.isfinite()
        return (simulated[valid] - observed[valid]).square().mean()

    options = FIT | {"iterations": 2, "loss": loss}
    ds.hbv.fit(hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm"), **options)
    assert seen == [0.0, 0.0]
    assert kept() == 1.0


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("components", [1, 2, 3, 8, 16, 17, 32])
def test_threads_change_no_digit(components: int, hidden: int, monkeypatch: pytest.MonkeyPatch):
    """Results are equal for any number of threads and for calls from another thread."""
    leaves = leaves_of(Case(43, 200, 90, components, "freeze-thaw", dynamic=("BETA",)), torch.float32)
    options: dict[str, Any] = {"wanted": ("runoff", "snowpack")}
    options["network"] = network(7, hidden) if hidden else None
    number = torch.get_num_threads()
    monkeypatch.setattr(threads, "_SMALL", 1)  # however little work there is
    outcomes: list[tuple[Tensors, Tensors]] = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            outcomes.append(gradients(loop_cpu, leaves, **options))
        thread = threading.Thread(target=lambda: outcomes.append(gradients(loop_cpu, leaves, **options)))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(number)
    assert len(outcomes) == 4
    for outcome in outcomes[1:]:
        for group, first in zip(outcome, outcomes[0], strict=True):
            assert all(torch.equal(group[name], first[name]) for name in first)


def test_an_interrupt_waits_for_the_other_threads(monkeypatch: pytest.MonkeyPatch):
    """Helper threads write to memory that the caller frees after an interrupt."""
    monkeypatch.setattr(threads, "_threads", lambda: 2)
    busy, main = threading.Event(), threading.main_thread()
    done: list[int] = []

    def part(first: int, last: int) -> None:
        if threading.current_thread() is main:
            busy.wait(5.0)
            raise KeyboardInterrupt
        busy.set()
        time.sleep(0.2)
        done.append(first)

    with pytest.raises(KeyboardInterrupt):
        threads.share(part, 100, 10**9)
    assert len(done) == 1
    time.sleep(0.3)
    assert len(done) == 1

"""Threads of torch on a machine that other programs keep busy."""

from __future__ import annotations

import psutil
import pytest
import torch

from hydroxr.errors import HydroxrWarning
from hydroxr.training.loop import process


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are counted, not made."""
    counted = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: counted[-1])
    monkeypatch.setattr(torch, "set_num_threads", counted.append)
    monkeypatch.setattr(process.os, "sched_getaffinity", lambda _: range(4), raising=False)


@pytest.mark.parametrize(
    ("busy", "used"), [([100, 100, 100, 100], 1), ([100, 0, 100, 0], 2), ([90, 80, 70, 60], 1)]
)
def test_a_busy_machine_gets_fewer_threads(
    four_threads: None, monkeypatch: pytest.MonkeyPatch, busy: list[float], used: int
) -> None:
    """As many as there are free cores, at least one; it is said, and undone afterwards."""
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: busy)
    with (
        pytest.warns(HydroxrWarning, match=rf"busy.* uses {used} instead of 4 threads"),
        process.free_cores("cpu") as found,
    ):
        assert found == torch.get_num_threads() == used
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_quiet_machine_and_a_gpu_keep_their_threads(
    four_threads: None, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """Without a word; a GPU does not wait for cores."""
    load = 10.0 if device == "cpu" else 100.0
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: [load] * 4)
    with process.free_cores(device) as found:
        assert found == torch.get_num_threads() == 4


def test_one_thread_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever chose it needs no advice."""
    monkeypatch.setattr(psutil, "cpu_percent", None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    with process.free_cores("cpu") as found:
        assert found == 1

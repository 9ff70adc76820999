"""Memory is kept inside a training only, and where the C library cannot keep it nothing happens."""

from __future__ import annotations

import ctypes
from typing import Any

import psutil
import pytest
import torch

from hydroxr.training.loop import memory
from hydroxr.training.loop.memory import kept_memory


class Recorder:
    """A library that remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    gnu_get_libc_version = None

    def mallopt(self, parameter: int, value: int) -> int:
        """Remember it."""
        self.calls.append((parameter, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        """Remember it."""
        self.calls.append(("trim", pad))
        return 1


def test_it_is_undone_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds are those of before, and the system gets its memory back."""
    library = Recorder()
    monkeypatch.setattr(memory, "_gnu_library", lambda: library)
    seen: list[Any] = []

    def work() -> None:
        seen.extend(parameter for parameter, _ in library.calls)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), kept_memory():
        work()
    assert sorted(seen) == [-3, -1]
    assert library.calls[2:] == [(-3, 32 * 2**20), (-1, 64 * 2**20), ("trim", 0)]


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on other systems."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    with kept_memory():
        pass


@pytest.mark.skipif(memory._gnu_library() is None, reason="the C library is not GNU's")
def test_memory_goes_back_to_the_system() -> None:
    """What a training used is free for others when it is over."""
    process = psutil.Process()
    before = process.memory_info().rss
    with kept_memory():
        tensors = [torch.ones(2**22) for _ in range(16)]  # 256 MiB
        del tensors
    assert process.memory_info().rss - before < 2**26

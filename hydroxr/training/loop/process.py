"""What training does to its process: Ctrl-C, memory of the C library, precision of the processor."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch

# Parameters of mallopt, from malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1  # bytes: the largest value that mallopt takes
# The values that the library reaches by itself after large blocks were freed.
_USUAL_MMAP, _USUAL_TRIM = 32 * 2**20, 64 * 2**20

_WORTH = 64  # hidden units; below, converting to bfloat16 costs what the multiplication saves


class Interrupts:
    """Delay Ctrl-C: the first one sets ``asked``, the second raises KeyboardInterrupt.

    Python handles signals in the main thread only. In other threads, and where the program has a
    handler of its own, nothing changes.
    """

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None

    def __enter__(self) -> Interrupts:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def is_second(self) -> bool:
        """Count an interrupt, and say whether there was one before."""
        before, self.asked = self.asked, True
        return before

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_second():
            raise KeyboardInterrupt


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let the C library keep freed memory for the next tensors; give it back to the system at the end.

    By default the library returns each large tensor to the system, which fills the pages of the next one
    with zeros: a fifth of the time of a training on a CPU. Libraries other than GNU's are left alone.
    """
    library = _gnu_library()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _NEVER)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP)
        library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
        library.malloc_trim(0)


def _gnu_library() -> ctypes.CDLL | None:
    """The C library of the process if it is GNU's."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
    names = ("gnu_get_libc_version", "mallopt", "malloc_trim")
    return library if all(hasattr(library, name) for name in names) else None


def lstm_precision(precision: str, device: str, hidden: int) -> str:
    """The precision of an LSTM with ``hidden`` units on ``device``: "float32" or "bfloat16".

    The machine's capabilities decide "auto", never a measurement, so that the same machine always gives
    the same model.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if hidden >= _WORTH and _is_fast(torch.device(device).type) else "float32"


@cache
def _is_fast(kind: str) -> bool:
    """Whether bfloat16 is native on this kind of device and faster than float32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not _has("_is_avx512_bf16_supported"):
        return False
    # Intel's AVX-512 multiplies bfloat16 no faster than float32 (measured: LSTM passes of 1.9 s
    # against 1.3 s); its matrix unit does, and so does AMD's AVX-512.
    return _has("_is_amx_tile_supported") or _vendor() == "AuthenticAMD"


def _has(question: str) -> bool:
    return bool(getattr(torch.cpu, question, lambda: False)())


def _vendor() -> str:
    """Vendor of the processor; empty on systems other than Linux."""
    path = Path("/proc/cpuinfo")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")

"""What training does to its process: settings of torch, memory of the C library, precision."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import torch

from ...errors import warn

# Parameters of mallopt, from malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1  # bytes: the largest value that mallopt takes
# The values that the library reaches by itself after large blocks were freed.
_USUAL_MMAP, _USUAL_TRIM = 32 * 2**20, 64 * 2**20

_LOOK = 0.2  # seconds over which other programs are looked at
_WORTH = 64  # hidden units; below, converting to bfloat16 costs what the multiplication saves


@contextmanager
def own_settings(device: str) -> Iterator[None]:
    """The settings of torch that a training needs, whatever those of the caller are.

    New tensors are float32 and on the CPU unless they say otherwise, operations keep their precision, and
    gradients are recorded.
    """
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for context in (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(torch.device(device).type, enabled=False),
        ):
            stack.enter_context(context)
        torch.set_default_dtype(torch.float32)
        stack.callback(torch.set_default_dtype, dtype)
        yield


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's random numbers inside the block, and restore the caller's afterwards."""
    on_gpu = torch.device(device).type == "cuda"
    with torch.random.fork_rng([torch.device(device)] if on_gpu else []):
        torch.manual_seed(seed)
        yield


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


@contextmanager
def free_cores(device: str) -> Iterator[int]:
    """Let torch use no more threads than cores that other programs leave; gives their number.

    On a busy machine its threads wait for each other, which makes a training 5 to 10 times slower. The
    number of threads, once it is 1 (OMP_NUM_THREADS=1, torch.set_num_threads(1)), is left alone.
    """
    threads = torch.get_num_threads()
    used = threads if torch.device(device).type != "cpu" or threads == 1 else _uncontested(threads)
    if used < threads:
        warn(
            f"other programs keep this machine busy, so this training uses {used} instead of {threads} "
            "threads of torch; more would wait for each other, which is 5 to 10 times slower. With another "
            "number of threads a training is the same up to rounding."
        )
    torch.set_num_threads(used)
    try:
        yield used
    finally:
        torch.set_num_threads(threads)


def _uncontested(threads: int) -> int:
    """How many of this number of threads find a core of their own."""
    import psutil

    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    shares = psutil.cpu_percent(interval=_LOOK, percpu=True)
    free = sum(1.0 - shares[core] / 100.0 for core in allowed if core < len(shares))
    return max(1, min(threads, round(free)))


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

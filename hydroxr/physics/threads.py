"""Threads of the compiled kernels and of torch.

A call from the main thread spreads its work over as many threads as torch uses
(``torch.get_num_threads()``). A call from any other thread stays in that thread, because it is one of
several, for example under dask. The same holds for a call from a child process, unless the environment
sets OMP_NUM_THREADS. Within :func:`one_thread_each`, torch's own operations follow the same rule.
"""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache

import torch

_SMALL = 50_000  # work per thread, in component-days, below which a thread does not pay: 0.2 ms
_PORTIONS = 4  # portions per thread
_PROCESS = os.getpid()  # OpenMP's threads do not exist in a fork of this process


def share(part: Callable[[int, int], None], number: int, work: int) -> None:
    """Call ``part(first, last)`` on portions of ``range(number)``, in several threads if that pays.

    ``work`` is the total work in component-days. A thread that has finished takes the next portion, since
    others may be slower: torch's own threads keep a core busy for a while after their work.
    """
    n_threads = min(_threads(), number, -(-work // _SMALL))
    if n_threads <= 1:
        part(0, number)
        return
    n_portions = min(number, n_threads * _PORTIONS)
    edges = [number * portion // n_portions for portion in range(n_portions + 1)]
    portions = iter(list(itertools.pairwise(edges)))
    lock = threading.Lock()

    stop = threading.Event()
    flush = _flushes_subnormals()

    def help_with_them() -> None:
        torch.set_flush_denormal(flush)
        take()

    def take() -> None:
        while True:
            with lock:
                portion = None if stop.is_set() else next(portions, None)
            if portion is None:
                return
            part(*portion)

    others = [_pool(n_threads - 1, os.getpid()).submit(help_with_them) for _ in range(n_threads - 1)]
    try:
        take()
    finally:
        # The other threads write to memory of the caller, who may free it when this function ends,
        # even on Ctrl-C. So wait for them first.
        stop.set()
        interrupted = _wait_for(others)
    if interrupted is not None:
        raise interrupted
    for other in others:
        other.result()


_lock = threading.Lock()
_inside: list[int] = []  # torch's former number of threads, per thread inside one_thread_each


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Context in which torch stays in the calling thread, unless this is the main thread.

    torch keeps its number of threads partly per thread and partly per process. So each thread sets it,
    and the last one to leave restores it.
    """
    if threading.current_thread() is threading.main_thread() and not _is_child():
        yield
        return
    with _lock:
        _inside.append(_inside[0] if _inside else torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside:
                torch.set_num_threads(before)


@contextmanager
def without_subnormals() -> Iterator[None]:
    """Context in which subnormal numbers (below 1e-38 in float32) count as zero.

    CPUs compute about 20 times slower with subnormal numbers. A trained LSTM produces them: in hidden
    units with closed gates, and in gradients that decay over many days. The setting holds for the calling
    thread, for the threads of the kernels, and for torch's if its OpenMP has GNU's entry points.
    """
    before, n_threads = _flushes_subnormals(), torch.get_num_threads()
    try:
        _flush_subnormals(True, n_threads)
        yield
    finally:
        _flush_subnormals(before, max(n_threads, torch.get_num_threads()))


def _flushes_subnormals() -> bool:
    """Whether this thread rounds subnormal numbers to zero."""
    return sys.float_info.min * 0.5 == 0.0


def _flush_subnormals(flush: bool, n_threads: int) -> None:
    """Set the treatment of subnormal numbers in this thread and in torch's OpenMP threads."""
    torch.set_flush_denormal(flush)
    in_all_threads = getattr(ctypes.CDLL(torch._C.__file__), "GOMP_parallel", None)
    if in_all_threads is not None and n_threads > 1 and os.getpid() == _PROCESS:
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(flush) and None)
        in_all_threads(call, None, ctypes.c_uint(n_threads), ctypes.c_uint(0))


def _wait_for(others: list[Future[None]]) -> KeyboardInterrupt | None:
    """Wait until all are done, even if the user interrupts; return the interrupt."""
    interrupted = None
    while True:
        try:
            wait(others)
            return interrupted
        except KeyboardInterrupt as error:
            interrupted = error


def _threads() -> int:
    """Number of threads to use, by the rule in the module docstring."""
    is_main = threading.current_thread() is threading.main_thread()
    return torch.get_num_threads() if is_main and not _is_child() else 1


def _is_child() -> bool:
    """Whether this is a child of another Python process, without OMP_NUM_THREADS."""
    return multiprocessing.parent_process() is not None and "OMP_NUM_THREADS" not in os.environ


@lru_cache(maxsize=1)
def _pool(n_threads: int, process: int) -> ThreadPoolExecutor:
    """The pool of helper threads. A forked process needs its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"hydroxr-{process}")

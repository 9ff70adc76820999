"""Compiled kernels in several threads, and what all threads of a computation have in common.

A call from the main thread spreads its work over as many threads as torch uses
(``torch.get_num_threads()``); a call from any other thread is one of several, as under dask, and
stays in its thread. So is one from a process that another Python process started, unless the
environment has OMP_NUM_THREADS. Torch's own operations follow the same rule within
:func:`one_thread_each`.
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

_SMALL = 50_000  # pieces of work for which starting a thread does not pay: a fifth of a millisecond
_PORTIONS = 4  # of each thread
_PROCESS = os.getpid()  # a fork of it waits in vain for OpenMP's threads


def share(part: Callable[[int, int], None], number: int, work: int) -> None:
    """Call ``part(first, last)`` for portions of ``range(number)``, in several threads where it pays.

    A thread that is done takes the next portion: others may be held up, such as by torch's own
    threads, which keep a core busy for a while after their work.
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
        # They write to memory of the caller, who may let go of it as soon as this one returns or
        # raises, as on Ctrl-C: not before they are done.
        stop.set()
        interrupted = _wait_for(others)
    if interrupted is not None:
        raise interrupted
    for other in others:
        other.result()


_lock = threading.Lock()
_inside: list[int] = []  # torch's threads before, once for each thread that is in one_thread_each


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Within it torch stays in the thread that calls it, unless that is the main one.

    Torch keeps its number of threads partly for each thread and partly for the process, so that every
    thread sets it, and the last one to leave sets it back.
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
    """Within it, numbers too small for the processor's normal ones (1e-38 in float32) are zero.

    A CPU computes with them some twenty times slower than with others. An LSTM has them once it is trained:
    hidden units whose gates are shut, and gradients that decay on their way back through the days. That
    holds for the calling thread, for the kernels' and, where torch's OpenMP is GNU's or has its entry
    points, for torch's.
    """
    before, n_threads = _flushes_subnormals(), torch.get_num_threads()
    try:
        _flush_subnormals(True, n_threads)
        yield
    finally:
        _flush_subnormals(before, max(n_threads, torch.get_num_threads()))


def _flushes_subnormals() -> bool:
    """Whether this thread does."""
    return sys.float_info.min * 0.5 == 0.0


def _flush_subnormals(flush: bool, n_threads: int) -> None:
    """In this thread, and in those that torch would share an operation with."""
    torch.set_flush_denormal(flush)
    in_all_threads = getattr(ctypes.CDLL(torch._C.__file__), "GOMP_parallel", None)
    if in_all_threads is not None and n_threads > 1 and os.getpid() == _PROCESS:
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(flush) and None)
        in_all_threads(call, None, ctypes.c_uint(n_threads), ctypes.c_uint(0))


def _wait_for(others: list[Future[None]]) -> KeyboardInterrupt | None:
    """Wait until all are done, whatever comes in between; an interrupt that came."""
    interrupted = None
    while True:
        try:
            wait(others)
            return interrupted
        except KeyboardInterrupt as error:
            interrupted = error


def _threads() -> int:
    """As many as torch uses; one in a thread, or in a process, that is one of several."""
    is_main = threading.current_thread() is threading.main_thread()
    return torch.get_num_threads() if is_main and not _is_child() else 1


def _is_child() -> bool:
    """Whether another Python process started this one and says nothing of threads."""
    return multiprocessing.parent_process() is not None and "OMP_NUM_THREADS" not in os.environ


@lru_cache(maxsize=1)
def _pool(n_threads: int, process: int) -> ThreadPoolExecutor:
    """The helping threads; a forked process has none of its parent's and needs its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"hydroxr-{process}")

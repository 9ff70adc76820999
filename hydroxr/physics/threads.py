"""Compiled kernels in several threads.

A call from the main thread spreads its work over as many threads as torch uses
(``torch.get_num_threads()``); a call from any other thread is one of several, as under dask, and
stays in its thread.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

_SMALL = 50_000  # pieces of work for which starting a thread does not pay: a fifth of a millisecond
_PORTIONS = 4  # of each thread


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

    def take() -> None:
        while True:
            with lock:
                portion = next(portions, None)
            if portion is None:
                return
            part(*portion)

    others = [_pool(n_threads - 1, os.getpid()).submit(take) for _ in range(n_threads - 1)]
    take()
    for other in others:
        other.result()


def _threads() -> int:
    return torch.get_num_threads() if threading.current_thread() is threading.main_thread() else 1


@lru_cache(maxsize=1)
def _pool(n_threads: int, process: int) -> ThreadPoolExecutor:
    """The helping threads; a forked process has none of its parent's and needs its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"hydroxr-{process}")

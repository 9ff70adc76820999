"""Writing on a cluster: a few blocks are in hand at a time, however many there are.

dask gives a worker something to read whenever it would have nothing to do, be it for the instant between a
block and its writing. Reading so runs ahead of computing, and memory grows with the number of blocks. Here
the client submits a block when an earlier one is done.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any
from uuid import uuid4

from .dask_graphs import Graph, Key, Part, cut
from .progress import progress_bar

_AHEAD = 4  # blocks per thread in hand: one is computed, one is written, others wait
_PARTS = 8  # parts of blocks per thread in hand
_TOGETHER = 5  # times as many chains side by side where they read the same
_ASK = 2.0  # seconds after which the cluster is asked again for its threads


def write_on_cluster(
    client: Any,
    graph: Graph,
    chains: Sequence[Sequence[Key]],
    given: Mapping[Key, Any],
    show: bool,
    collect: Callable[[Any], None] | None = None,
) -> None:
    """Compute the last task of every block.

    Parameters
    ----------
    client : distributed.Client
    graph : mapping
        Optimised.
    chains : sequence of sequence of key
        The last task of each block. A block may need what an earlier block of its chain has computed.
    given : mapping of Future
        What the cluster has already, by key.
    show : bool
        Whether to show a progress bar.
    collect : function, optional
        Called with the result of each block.
    """
    blocks = [block for chain in chains for block in chain]
    threads = _Threads(client)
    parts = cut(graph, blocks, given, apart=len(blocks) < 2 * threads.number)
    order = _in_order(_side_by_side(chains, parts, _AHEAD * threads.number), parts)
    bar = progress_bar(total=len(blocks), unit="block") if show else None

    def end_block(future: Any) -> None:
        if collect is not None:
            collect(future.result())
        if bar is not None:
            bar.update()

    try:
        _submit(client, order, parts, {*blocks}, dict(given), threads, end_block)
    finally:
        if bar is not None:
            bar.close()


def _submit(
    client: Any,
    order: Iterable[tuple[int, Key]],
    parts: Mapping[Key, Part],
    blocks: set[Key],
    futures: dict[Key, Any],
    threads: _Threads,
    end_block: Callable[[Any], None],
) -> None:
    """Submit parts in ``order``, and keep each result until all parts that need it are done."""
    from distributed import as_completed

    token = uuid4().hex
    needed = Counter(key for part in parts.values() for key in part.inputs)
    in_hand: dict[Any, Key] = {}
    completed = as_completed()

    def settle() -> None:
        future = next(completed)
        if future.status != "finished":
            future.result()  # raises
        key = in_hand.pop(future)
        if key in blocks:
            end_block(future)
        for need in parts[key].inputs:
            needed[need] -= 1
            if not needed[need]:
                del futures[need]

    def is_full() -> bool:
        ends = sum(key in blocks for key in in_hand.values())
        return ends >= _AHEAD * threads.number or len(in_hand) >= _PARTS * threads.number

    try:
        for number, (rank, key) in enumerate(order):
            while is_full():
                settle()
            part = parts[key]
            future = client.submit(
                part,
                *(futures[need] for need in part.inputs),
                key=(f"{'write' if key in blocks else 'part'}-{token}", number),
                priority=-rank,
            )
            completed.add(future)
            in_hand[future] = key
            if key not in blocks:
                futures[key] = future
        while in_hand:
            settle()
    finally:
        client.cancel([*in_hand])


class _Threads:
    """The threads of a cluster, which may grow or shrink meanwhile."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = -float("inf")
        self._number = 1

    @property
    def number(self) -> int:
        if time.monotonic() - self._asked > _ASK:
            info = self._client.scheduler_info(n_workers=-1)["workers"].values()
            # Jobs of a queue come late.
            planned = len(getattr(getattr(self._client, "cluster", None), "plan", ()))
            most = max((worker["nthreads"] for worker in info), default=1)
            self._number = max(sum(worker["nthreads"] for worker in info), planned * most, 1)
            self._asked = time.monotonic()
        return self._number


def _side_by_side(chains: Iterable[Sequence[Key]], parts: Mapping[Key, Part], number: int) -> Iterator[Key]:
    """Blocks of ``number`` chains, first the first ones, then the second ones; then those of other chains.

    Chains that read the same go side by side as far as possible: what they read need not wait for others.
    """
    group: list[Sequence[Key]] = []
    shared: set[Key] = set()
    for chain in (*chains, ()):
        reads = _all_needs(chain[0], parts) if chain else set()
        if group and (
            not chain or not (len(group) < number or (reads & shared and len(group) < _TOGETHER * number))
        ):
            yield from (block for blocks in zip_longest(*group) for block in blocks if block is not None)
            group, shared = [], set()
        group.append(chain)
        shared |= reads


def _all_needs(key: Key, parts: Mapping[Key, Part]) -> set[Key]:
    found: set[Key] = set()
    left = [key]
    while left:
        new = {need for need in parts[left.pop()].inputs if need in parts} - found
        found |= new
        left.extend(new)
    return found


def _in_order(blocks: Iterable[Key], parts: Mapping[Key, Part]) -> Iterator[tuple[int, Key]]:
    """Every part once, with the number of the block that is the first to need it.

    Of what a block needs the longest way comes first, so that the others do not wait for it.
    """
    length: dict[Key, int] = {}
    for key, part in parts.items():  # each after those that it needs
        length[key] = 1 + max((length[need] for need in part.inputs if need in parts), default=0)
    done: set[Key] = set()
    for rank, block in enumerate(blocks):
        left = [block]
        while left:
            key = left[-1]
            needs = [need for need in parts[key].inputs if need in parts and need not in done]
            if needs:
                left += sorted(needs, key=length.__getitem__)
                continue
            left.pop()
            if key not in done:
                done.add(key)
                yield rank, key

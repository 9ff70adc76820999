"""Shards of the cells of a training in memory, some at a time; each gives way to the next in its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from torch import Tensor

RESIDENT = 8  # shards in memory
IN_FLIGHT = 4  # shares of memory, as large as a shard, of one that is being read
ROUNDS = 20  # most rounds through all shards
READ = 0.5  # most cell-days read in a training, as a share of those that it simulates, which take less time

Item = TypeVar("Item")
Value = TypeVar("Value")


def ahead(read: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
    """What ``read`` gives of each item; the next one is read in the background meanwhile."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming: Future[Value] | None = None
        for item in items:
            following = reader.submit(read, item)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


def rounds_of(cells: int, days: int, simulated: int, iterations: int, shards: int) -> int:
    """How often a training reads all shards.

    More rounds mix the cells better. Reading must not take long beside simulating, and each shard that
    comes should be drawn from.

    Parameters
    ----------
    cells, days : int
        Of the data.
    simulated : int
        Cell-days that an iteration simulates.
    iterations, shards : int
    """
    affordable = int(READ * simulated * iterations / (cells * days))
    return max(1, min(ROUNDS, affordable, iterations // shards))


class Pool:
    """The shards that a training draws from at present.

    There is an order of all shards, shuffled anew for each round, and closed to a ring by its beginning. The
    training goes along it in turns of equal length: in each the oldest shard gives way to the next. So every
    shard stays for as many turns as every other.

    Parameters
    ----------
    shards : sequence of array of int
        The cells of each.
    cells : int
        Number of all cells.
    prepare : function
        From the cells of a shard, tensors (row, cell, ...) to hold; called in the background.
    iterations : int
        Of the training.
    rounds : int
    seed : int
    """

    def __init__(
        self,
        shards: Sequence[np.ndarray],
        cells: int,
        prepare: Callable[[np.ndarray], tuple[Tensor, ...]],
        iterations: int,
        rounds: int,
        seed: int,
    ) -> None:
        self._shards, self._prepare, self._iterations = shards, prepare, iterations
        self._resident = min(RESIDENT, len(shards))
        self._turns = 1
        self._order = np.arange(len(shards))
        if len(shards) > self._resident:
            random = np.random.default_rng([seed, 1])
            ring = np.concatenate([random.permutation(len(shards)) for _ in range(rounds)])
            self._turns = len(ring)
            self._order = np.concatenate([ring, ring[: self._resident - 1]])
        self._width = max(map(len, shards))
        self._placed = 0  # how many of the order have been placed
        self._coming: tuple[int, Future[tuple[Tensor, ...]]] | None = None
        self._reader = ThreadPoolExecutor(1, "read-ahead")
        self.parts: tuple[Tensor, ...] = ()  # what prepare gave, (row, column, ...)
        self.cells = np.full(self._resident * self._width, -1)  # of each column
        self.column = np.full(cells, -1)  # of each cell

    def at(self, iteration: int) -> bool:
        """Hold what an iteration draws from; says whether that is other than before."""
        first = iteration * self._turns // self._iterations
        last = first + self._resident
        changes = self._placed < last
        for place in range(max(self._placed, first), last):
            parts = self._read(place).result()
            self._place(place, parts)
            self._placed = place + 1
            if self._placed < len(self._order):
                self._read(self._placed)
        return changes

    def close(self) -> None:
        """End the reading in the background."""
        self._reader.shutdown(cancel_futures=True)
        self._coming = None

    def _read(self, place: int) -> Future[tuple[Tensor, ...]]:
        if self._coming is None or self._coming[0] != place:
            self._coming = (place, self._reader.submit(self._prepare, self._shards[self._order[place]]))
        return self._coming[1]

    def _place(self, place: int, parts: tuple[Tensor, ...]) -> None:
        shard = self._shards[self._order[place]]
        if not self.parts:
            columns = len(self.cells)
            self.parts = tuple(part.new_zeros((len(part), columns, *part.shape[2:])) for part in parts)
        first = (place % self._resident) * self._width
        for whole, part in zip(self.parts, parts, strict=True):
            whole[:, first : first + len(shard)] = part
        self.cells[first : first + self._width] = -1
        self.cells[first : first + len(shard)] = shard
        there = np.flatnonzero(self.cells >= 0)
        self.column[:] = -1
        self.column[self.cells[there]] = there

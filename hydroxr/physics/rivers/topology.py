"""The order of reaches in a network, from the position of the reach below each; -1 at an outlet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np


def levels(downstream: np.ndarray) -> np.ndarray:
    """Number of reaches on the longest way from a headwater to each reach, 0 at headwaters.

    Parameters
    ----------
    downstream : array of int, (reach,)

    Returns
    -------
    array of int, (reach,)
        -1 for the reaches of a loop.
    """
    waiting = np.bincount(downstream[downstream >= 0], minlength=len(downstream))
    level = np.full(len(downstream), -1)
    front, number = np.flatnonzero(waiting == 0), 0
    while front.size:
        level[front] = number
        below, arrived = np.unique(downstream[front], return_counts=True)
        below, arrived = below[below >= 0], arrived[below >= 0]
        waiting[below] -= arrived
        front, number = below[waiting[below] == 0], number + 1
    return level


def loop(downstream: np.ndarray) -> np.ndarray:
    """Positions of the reaches of one loop, in the direction of flow; empty if there is none."""
    left = np.flatnonzero(levels(downstream) < 0)
    way = [int(left[0])] if len(left) else []
    while way and downstream[way[-1]] != way[0]:
        way.append(int(downstream[way[-1]]))
    return np.array(way, dtype=int)


def accumulate(values: np.ndarray, downstream: np.ndarray) -> np.ndarray:
    """Sum of the values of each reach and all reaches above it, (reach, ...)."""
    total = np.array(values)
    for front in _fronts(downstream):
        front = front[downstream[front] >= 0]
        np.add.at(total, downstream[front], total[front])
    return total


def upstream_of(positions: np.ndarray, downstream: np.ndarray) -> np.ndarray:
    """Whether the water of each reach passes one of ``positions``, these included, (reach,) of bool."""
    found = np.zeros(len(downstream), dtype=bool)
    found[positions] = True
    for front in reversed(list(_fronts(downstream))):
        below = downstream[front]
        found[front] |= (below >= 0) & found[below]
    return found


def routing_order(downstream: np.ndarray) -> np.ndarray:
    """Positions of all reaches, each after those above it, and each subtree in one piece.

    Of the subtrees that meet in a reach the larger comes first. So few series wait for a confluence at
    any time: not more than the logarithm of the number of reaches.
    """
    size = accumulate(np.ones(len(downstream), dtype=int), downstream)
    group = np.where(downstream < 0, len(downstream), downstream)  # outlets are the last group
    ranked = np.lexsort((-size, group))
    before = np.concatenate([[0], np.cumsum(size[ranked])[:-1]])
    first = np.concatenate([[True], np.diff(group[ranked]) > 0]) if len(ranked) else np.zeros(0, bool)
    offset = np.empty_like(size)
    offset[ranked] = before - np.maximum.accumulate(np.where(first, before, 0))
    start = offset.copy()
    for front in reversed(list(_fronts(downstream))):
        front = front[downstream[front] >= 0]
        start[front] = start[downstream[front]] + offset[front]
    order = np.empty_like(size)
    order[start + size - 1] = np.arange(len(size))
    return order


def _fronts(downstream: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of the reaches of each level, from the headwaters on."""
    level = levels(downstream)
    ranked = np.argsort(level, kind="stable")
    edges = np.searchsorted(level[ranked], np.arange(level.max(initial=-1) + 2))
    for first, last in itertools.pairwise(edges):
        yield ranked[first:last]

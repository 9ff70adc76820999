"""Blocks of a write take turns: none is read long before it can be written.

dask's cluster hands a worker the next thing to read whenever the worker would have nothing to do, be it for
the instant between a block and its writing. Reading so runs ahead of computing, block by block, and memory
grows with their number. Here what a block reads waits for the end of an earlier block: as many blocks as
there are lanes are in hand at a time, and memory is theirs however many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from graphlib import TopologicalSorter
from typing import Any

from dask._task_spec import Alias, DataNode, GraphNode, Task, TaskRef

from ...support.dask_graphs import Key

_AHEAD = 4  # blocks that a thread has in hand: one is computed, what the next ones need is read
_IN_A_CHAIN = 2  # blocks of a chain, of which each needs the one before
_TOGETHER = 4  # times as many chains more, where they read the same
_STEPS = 4  # tasks, one after the other; a segment has two and more that the next one needs


def lanes_of(client: Any) -> float:
    """Blocks that may be in hand, by the threads that a cluster has or was asked for."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        return math.inf
    # Jobs of a queue come late, and an adaptive cluster brings workers when there is work for them.
    cluster = getattr(client, "cluster", None)
    most = getattr(getattr(cluster, "_adaptive", None), "maximum", 0)
    number = max(len(workers), len(getattr(cluster, "plan", ())), most)
    return _AHEAD * number * max(worker["nthreads"] for worker in workers)


def take_turns(
    graph: Mapping[Key, GraphNode], chains: Iterable[Sequence[Key]], lanes: float
) -> tuple[dict[Key, GraphNode], Callable[[Key], int]]:
    """A graph in which what a block reads waits for an earlier block.

    Parameters
    ----------
    graph : mapping of GraphNode
        By key, in dask's own classes.
    chains : iterable of sequence of key
        The tasks that end the blocks, in the order in which they shall run. Where a block needs what the
        one before it in its sequence has computed, they run one after the other, and count as one.
    lanes : float
        Of blocks, or of such chains, that are in hand at a time.

    Returns
    -------
    graph : dict of GraphNode
    priority : function
        Of a task by its key, for dask: earlier blocks first. Else a lane could leave the others behind. Of
        chains that read the same, the first blocks come first, then the second ones: what they read need
        not wait until all of them have come that far.
    """
    out = dict(graph)
    owner: dict[Key, Key] = {}  # the block that a task was first needed by
    units: list[list[Key]] = []
    unit_of: dict[Key, int] = {}
    together: list[int] = []  # an earlier one that reads the same, or itself
    for chain in chains:
        before = None
        for block in chain:
            reads, needs, shares = _first_needed(graph, block, owner)
            if before is not None and before in needs:
                units[-1].append(block)
            else:
                together.append(len(units))
                units.append([block])
            unit_of[block] = len(units) - 1
            firsts = {_first(together, unit_of[other]) for other in (block, *shares)}
            for first in firsts:
                together[first] = min(firsts)
            gate = _gate(units, lanes, min(firsts) if len(chain) > 1 else len(units) - 1)
            steps = _steps_before(graph, block, owner) if lanes < math.inf else {}
            for key in reads:
                gates = [TaskRef(each) for each in (gate, steps.get(key)) if each is not None]
                out[key] = Task(key, _last, *gates, graph[key]) if gates else graph[key]
            before = block
    order = sorted(
        (_first(together, number), at, number, block)
        for number, unit in enumerate(units)
        for at, block in enumerate(unit)
    )
    place = {block: -rank for rank, (*_, block) in enumerate(order)}
    return out, partial(_priority, {key: place[block] for key, block in owner.items()})


def _priority(places: Mapping[Key, int], key: Key) -> int:
    return places.get(key, 0)


def _first(together: list[int], unit: int) -> int:
    """The first of all units that read the same as this one, or the same as one that does."""
    while together[unit] != unit:
        together[unit] = together[together[unit]]
        unit = together[unit]
    return unit


def _first_needed(
    graph: Mapping[Key, GraphNode], block: Key, owner: dict[Key, Key]
) -> tuple[list[Key], set[Key], set[Key]]:
    """What nobody before ``block`` reads; the blocks some of whose work it needs; those that read the same.

    Fills in ``owner``.
    """
    reads: list[Key] = []
    needs: set[Key] = set()
    shares: set[Key] = set()
    left = [block]
    while left:
        key = left.pop()
        if key not in graph:  # a cluster has it already
            continue
        node = graph[key]
        is_read = all(_is_given(graph, each) for each in node.dependencies)
        if key in owner:
            if not is_read:
                needs.add(owner[key])
            elif isinstance(node, Task):
                shares.add(owner[key])
            continue
        owner[key] = block
        if not is_read:
            left.extend(node.dependencies)
        elif isinstance(node, Task):
            reads.append(key)
    return reads, needs, shares


def _is_given(graph: Mapping[Key, GraphNode], key: Key) -> bool:
    """Whether nothing is to be done for it; what was persisted on a cluster is not in the graph."""
    node = graph.get(key)
    if isinstance(node, Alias):
        return _is_given(graph, node.target)
    return node is None or isinstance(node, DataNode)


def _gate(units: list[list[Key]], lanes: float, first: int) -> Key | None:
    """The block that must have ended before the last one reads, if there is one.

    Of chains that read the same some more are in hand, counted from the ``first`` of them.
    """
    unit = units[-1]
    if len(unit) > _IN_A_CHAIN:
        return unit[-1 - _IN_A_CHAIN]
    first = max(first, len(units) - 1 - int(min(_TOGETHER * lanes, len(units))))
    return units[int(first - lanes)][-1] if lanes <= first else None


def _steps_before(graph: Mapping[Key, GraphNode], block: Key, owner: Mapping[Key, Key]) -> dict[Key, Key]:
    """By what a block reads late, a task of its own that must have ended before.

    That is so where a run in segments goes on in the middle of a chain: its first block computes all
    segments before it once more, and shall not read them all beforehand.
    """
    needs: dict[Key, set[Key]] = {}
    left = [block]
    while left:
        key = left.pop()
        if key not in needs:
            needs[key] = {each for each in graph[key].dependencies if owner.get(each) == block}
            left.extend(needs[key])
    order = list(TopologicalSorter(needs).static_order())
    from_start: dict[Key, int] = {}  # tasks on the longest way to one
    previous: dict[Key, Key] = {}  # the last of them
    for key in order:
        longest = max(needs[key], key=from_start.__getitem__, default=None)
        from_start[key] = 0 if longest is None else from_start[longest] + 1
        previous[key] = longest
    if from_start[block] <= _STEPS:
        return {}
    to_end, following = {block: 0}, {}  # the same, from one to the end
    for key in reversed(order):
        for each in needs[key]:
            if to_end.get(each, -1) <= to_end[key]:
                to_end[each], following[each] = to_end[key] + 1, key
    found = {}
    for key in (key for key, of in needs.items() if not of):
        at, back = key, _STEPS
        while at != block and from_start[at] < back:  # until a way joins that began so much earlier
            at, back = following[at], back + 1
        if from_start[at] >= back:
            for _ in range(back):
                at = previous[at]
            found[key] = at  # it is farther from the end than all that needs the key: none waits for itself
    return found


def _last(*values: Any) -> Any:
    return values[-1]

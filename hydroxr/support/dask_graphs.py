"""Working with dask's graphs by its public functions: larger chunks, parts that run as one task, the client.

dask's scheduler sees every task of a graph. Here tasks that nobody else needs run as one, so that a block
of cells costs a handful of tasks, and nothing is read before the block's turn.
"""

from __future__ import annotations

import gc
import pickle
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import product
from types import FrameType, FunctionType, ModuleType, TracebackType
from typing import Any

import numpy as np
import xarray as xr

Key = Any
Graph = Mapping[Key, Any]

_COPIED = 100_000  # bytes of data that parts have a copy of, instead of waiting for it
_OPAQUE = {"distributed", "numba", "torch"}  # packages whose objects refer to all kinds of things
_APART = (type, ModuleType, BaseException, FrameType, TracebackType)  # these refer to all of the program
_INPUTS = 10  # of a part that others need; with more, as the mean of all blocks, its tasks run apart


def cluster_client() -> Any:
    """Client of the cluster that dask would compute on now, or None if it would not use one."""
    if "distributed" not in sys.modules:
        return None
    from dask.base import get_scheduler

    try:
        client: Any = getattr(get_scheduler(), "__self__", None)
    except RuntimeError:  # an asynchronous client or none; computing will say so
        return None
    return client if hasattr(client, "scheduler_info") and not client.asynchronous else None


def local_threads() -> Any:
    """Inside the block, dask computes with threads of this process, even if a cluster is active.

    The function itself is set and not its name, which makes dask 2025 warn.
    """
    import dask
    from dask.threaded import get

    return dask.config.set(scheduler=get)


@contextmanager
def own_threads() -> Iterator[None]:
    """Compute with threads that have ended when this ends, after an error too.

    dask raises the first error while its other threads go on. A cluster, processes and a pool that the user
    has chosen are left as they are.
    """
    import dask
    from dask.system import CPU_COUNT
    from dask.threaded import get

    scheduler = dask.config.get("scheduler", None)
    if (
        scheduler not in (None, "threads", "threading", get)
        or dask.config.get("pool", None)
        or cluster_client()
    ):
        yield
        return
    pool = ThreadPoolExecutor(dask.config.get("num_workers", None) or CPU_COUNT)
    try:
        with dask.config.set(pool=pool):
            yield
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Part:
    """Tasks of a graph that run one after the other as one.

    Parameters
    ----------
    tasks : mapping
        The tasks by key.
    result : key
        The task whose result is wanted.
    inputs : tuple of key
        Results of other parts, in the order in which the call takes them.
    """

    tasks: Graph
    result: Key
    inputs: tuple[Key, ...]

    def __call__(self, *values: Any) -> Any:
        from dask.core import get

        (result,) = get(self.tasks, [self.result], cache=dict(zip(self.inputs, values, strict=True)))
        return result


def cut(
    graph: Graph, results: Iterable[Key], given: Iterable[Key] = (), *, apart: bool = False
) -> dict[Key, Part]:
    """Cut a graph into parts, each as large as it can be without computing anything twice.

    Parameters
    ----------
    graph : mapping
        Tasks by key.
    results : iterable of key
        Each ends a part.
    given : iterable of key
        What is computed already: inputs of parts.
    apart : bool
        Whether tasks that only one result needs are parts of their own all the same. That is better where
        there are fewer results than threads.

    Returns
    -------
    dict of Part
        By the key of the result, each after those that it needs.
    """
    from dask.optimization import cull

    ends, given = {*results}, {*given}
    graph, needs = cull({**graph, **dict.fromkeys(given)}, list(ends))
    order = list(TopologicalSorter(needs).static_order())
    copied = _small_data(graph, needs, ends | given)
    needs_of = {key: [need for need in needs[key] if need not in copied] for key in order}
    owner = _owners(order, needs_of, copied, ends | given)
    inputs = _inputs(needs_of, owner)
    for key, root in list(owner.items()):
        if apart if root in ends else len(inputs[root]) > _INPUTS:
            owner[key] = key
    inputs = _inputs(needs_of, owner)
    tasks: dict[Key, dict[Key, Any]] = {}
    for key, root in owner.items():
        if key not in given:
            data = {need: graph[need] for need in needs[key] if need in copied}
            tasks.setdefault(root, {}).update({key: graph[key], **data})
    parts = {root: Part(some, root, tuple(inputs[root])) for root, some in tasks.items()}
    first = TopologicalSorter({root: parts[root].inputs for root in parts}).static_order()
    return {root: parts[root] for root in first if root in parts}


def _owners(order: list[Key], needs: Graph, copied: set[Key], roots: set[Key]) -> dict[Key, Key]:
    """The part that each task belongs to: the only one that needs it, or one of its own."""
    users: dict[Key, set[Key]] = {key: set() for key in order}
    owner: dict[Key, Key] = {}
    for key in reversed(order):  # users first
        if key in copied:
            continue
        owner[key] = next(iter(users[key])) if len(users[key]) == 1 and key not in roots else key
        for need in needs[key]:
            users[need].add(owner[key])
    for key, root in owner.items():
        # What is taken out of a larger result is a part, so that the rest of it can go.
        if root not in roots and len(needs[key]) == 1 and owner[needs[key][0]] == needs[key][0] not in roots:
            owner[key] = key
    return owner


def _inputs(needs: Graph, owner: Mapping[Key, Key]) -> dict[Key, dict[Key, None]]:
    """What each part needs of others, in a fixed order."""
    inputs: dict[Key, dict[Key, None]] = {root: {} for root in owner.values()}
    for key, root in owner.items():
        inputs[root] |= {need: None for need in needs[key] if owner[need] != root}
    return inputs


def _small_data(graph: Graph, needs: Graph, roots: set[Key]) -> set[Key]:
    """Data, such as handles of stores, that several tasks need and that are small enough to be copied."""
    from dask.core import istask

    users = Counter(need for some in needs.values() for need in some)
    return {
        key
        for key, number in users.items()
        if number > 1
        and not needs[key]
        and key not in roots
        and not istask(graph[key])
        and _is_small(graph[key])
    }


def _is_small(value: Any) -> bool:
    buffers: list[pickle.PickleBuffer] = []
    try:
        rest = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    except Exception:  # whatever an object has against being pickled: dask has ways of its own
        return False
    return len(rest) + sum(buffer.raw().nbytes for buffer in buffers) < _COPIED


def read_again(array: xr.DataArray) -> xr.DataArray:
    """The same values under other keys, so that dask computes them apart and lets go of them."""
    import dask
    from dask.array import Array
    from dask.base import tokenize
    from dask.core import flatten
    from dask.highlevelgraph import HighLevelGraph

    if futures(array):  # they are in memory
        return array
    (data,) = dask.optimize(array.data)
    token = tokenize(data.name)

    def renamed(key: Key) -> Key:
        name, *place = key if isinstance(key, tuple) else (key,)
        return (f"{name}-{token}", *place)

    parts = cut(dict(data.__dask_graph__()), flatten(data.__dask_keys__()))
    layer = {renamed(key): (part, *map(renamed, part.inputs)) for key, part in parts.items()}
    name = renamed(data.name)[0]
    graph = HighLevelGraph.from_collections(name, layer, ())
    return array.copy(data=Array(graph, name, chunks=data.chunks, dtype=data.dtype))


def held(array: Any, kind: type) -> list[Any]:
    """Objects of a type that the graph of a dask array refers to, wherever they are inside others."""
    found, seen, left = [], set(), [*array.dask.layers.values()]
    while left:
        one = left.pop()
        package = str(type(one).__module__).partition(".")[0]
        if id(one) in seen or package in _OPAQUE or isinstance(one, _APART):
            continue
        seen.add(id(one))
        if isinstance(one, kind):
            found.append(one)
        else:  # a function refers to all of its module by its globals
            left += gc.get_referents(one.__closure__ if isinstance(one, FunctionType) else one)
    return found


def futures(*collections: Any) -> dict[Key, Any]:
    """What a cluster has, or computes already, of what collections need: its futures by key."""
    if "distributed" not in sys.modules:
        return {}
    from distributed import futures_of

    return {future.key: future for future in futures_of(collections)}


def rechunked(array: xr.DataArray, chunks: Mapping[Hashable, int]) -> xr.DataArray:
    """``array.chunk(chunks)``, with one task for each new chunk that consists of whole old ones.

    dask's own way has a task or two for each old chunk: with 100,000 chunks of one cell it takes seconds to
    describe a run.

    Parameters
    ----------
    array : DataArray
        Lazy or not.
    chunks : mapping
        The length of chunks along some dimensions.
    """
    if array.chunks is None:
        return array.chunk(chunks)
    wanted = tuple(
        old if dim not in chunks else _even(sum(old), chunks[dim])
        for dim, old in zip(array.dims, array.chunks, strict=True)
    )
    counts = [_counts(old, new) for old, new in zip(array.chunks, wanted, strict=True)]
    if wanted == array.chunks or any(count is None for count in counts):
        return array.chunk(chunks)
    return array.copy(data=_merged(array.data, wanted, [count or () for count in counts]))


def _even(size: int, length: int) -> tuple[int, ...]:
    full, rest = divmod(size, length)
    return (length,) * full + ((rest,) if rest else ())


def _counts(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...] | None:
    """The number of old chunks in each new one; None if one of them would be cut."""
    ends = np.cumsum(old)
    places = np.searchsorted(ends, np.cumsum(new))
    if not np.array_equal(ends[places], np.cumsum(new)):
        return None
    return tuple(np.diff(places, prepend=-1).tolist())


def _merged(data: Any, wanted: tuple[tuple[int, ...], ...], counts: list[tuple[int, ...]]) -> Any:
    from dask.array import Array
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    old, name = data.name, f"merge-{tokenize(data.name, wanted)}"
    firsts = [np.cumsum([0, *count]).tolist() for count in counts]
    layer: dict[Any, Any] = {}
    for block in product(*map(range, map(len, wanted))):
        spans = [range(first[at], first[at + 1]) for first, at in zip(firsts, block, strict=True)]
        parts = [(old, *place) for place in product(*spans)]
        layer[name, *block] = (_joined, [*map(len, spans)], parts)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[data])
    return Array(graph, name, chunks=wanted, dtype=data.dtype)


def _joined(counts: list[int], parts: list[np.ndarray]) -> np.ndarray:
    """Neighbouring chunks, in the order of their numbers, as one array."""
    some = list(parts)
    for axis in reversed(range(len(counts))):
        number = counts[axis]
        if number > 1:
            some = [np.concatenate(some[at : at + number], axis) for at in range(0, len(some), number)]
    return some[0]

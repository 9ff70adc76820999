"""Small chunks to blocks, with one task a block.

dask's own way of merging chunks has a task or two for each of the small ones; with 100,000 of one cell
each it takes seconds to describe what is to be done.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from dask._task_spec import GraphNode


def rechunked(array: xr.DataArray, chunks: Mapping[Hashable, int]) -> xr.DataArray:
    """``array.chunk(chunks)``: where each new chunk is some whole old ones, by one task for it.

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
    """How many of the old chunks each new one is made of; None where one of them would be cut."""
    ends = np.cumsum(old)
    places = np.searchsorted(ends, np.cumsum(new))
    if not np.array_equal(ends[places], np.cumsum(new)):
        return None
    return tuple(np.diff(places, prepend=-1).tolist())


def _merged(data: Any, wanted: tuple[tuple[int, ...], ...], counts: list[tuple[int, ...]]) -> Any:
    from dask._task_spec import Task, TaskRef
    from dask.array import Array
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    old, name = data.name, f"merge-{tokenize(data.name, wanted)}"
    firsts = [np.cumsum([0, *count]).tolist() for count in counts]
    layer: dict[Any, Any] = {}
    for block in product(*map(range, map(len, wanted))):
        spans = [range(first[at], first[at + 1]) for first, at in zip(firsts, block, strict=True)]
        parts = (TaskRef((old, *place)) for place in product(*spans))
        layer[name, *block] = Task((name, *block), _joined, tuple(map(len, spans)), *parts)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[data])
    return Array(graph, name, chunks=wanted, meta=data._meta)


def _joined(counts: tuple[int, ...], *parts: np.ndarray) -> np.ndarray:
    """Neighbouring chunks, in the order of their numbers, as one array."""
    some = list(parts)
    for axis in reversed(range(len(counts))):
        number = counts[axis]
        if number > 1:
            some = [np.concatenate(some[at : at + number], axis) for at in range(0, len(some), number)]
    return some[0]


Key = Any


def cluster_client() -> Any:
    """Client of the cluster that dask would compute on now, or None if it would not use one."""
    if "distributed" not in sys.modules:
        return None
    from dask.base import get_scheduler

    try:
        client = getattr(get_scheduler(), "__self__", None)
    except RuntimeError:  # an asynchronous client, or none where one is asked for: computing will say so
        return None
    return client if hasattr(client, "scheduler_info") else None


def renamed(graph: Mapping[Key, GraphNode], names: dict[Key, Any]) -> dict[Key, GraphNode]:
    """The same tasks under other keys, so that dask computes them apart from those that it knows."""
    return {
        names.get(key, key): node.substitute(names, key=names.get(key, key)) for key, node in graph.items()
    }


def read_again(array: xr.DataArray) -> xr.DataArray:
    """The same with other keys, so that dask computes it apart and lets go of it.

    ``dask.graph_manipulation.clone`` does that, but leaves tasks with their old keys inside (dask's issue
    12455).
    """
    from dask._task_spec import convert_legacy_graph
    from dask.array import Array
    from dask.base import clone_key
    from dask.core import flatten
    from dask.highlevelgraph import HighLevelGraph
    from dask.utils import ensure_dict

    data = array.data
    graph = data.__dask_graph__().cull(set(flatten(data.__dask_keys__())))
    nodes = convert_legacy_graph(ensure_dict(graph))
    name = clone_key(data.name, "hydroxr")
    again = renamed(nodes, {key: clone_key(key, "hydroxr") for key in nodes})
    layer = HighLevelGraph.from_collections(name, again, ())
    return array.copy(data=Array(layer, name, chunks=data.chunks, meta=data._meta))

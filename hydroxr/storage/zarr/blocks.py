"""Computing and writing the blocks of a run, in any order, in any thread or process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import xarray as xr

from ...support.dask_graphs import cluster_client, renamed
from ...support.progress import progress_bar
from .location import Place, Recorder
from .manifest import Grid, Plan, entry, seal
from .turns import lanes_of, take_turns

if TYPE_CHECKING:
    from dask.array import Array


@dataclass(frozen=True)
class BlockWriter:
    """Writes a block and says that it did.

    Parameters
    ----------
    place : Place
    plan : Plan
    metadata : dict
        Of the arrays, as it will be when all is published.
    replaces : bool
        Whether chunks that readers already use may change: they get a record before they do.
    """

    place: Place
    plan: Plan
    metadata: dict[str, bytes]
    replaces: bool = False

    def __call__(self, block: tuple[int, ...], values: Mapping[str, np.ndarray]) -> None:
        """The chunks first, then, when the disk has them, the record of the block."""
        recorder = Recorder(self.place.store, dict(self.metadata))
        for name, array in values.items():
            region = self.plan.grid.region(block, self.plan.grid.variables[name])
            write_region(recorder, name, region, array)
        chunks = {key: raw for key, raw in recorder.kept.items() if key not in self.metadata}
        record = seal({"files": {key: entry(raw) for key, raw in chunks.items()}})
        if self.replaces:
            self.place.put({self.plan.block_key(block, "intent"): record})
        self.place.put(chunks)
        self.place.put({self.plan.block_key(block): record})


def write_region(recorder: Recorder, name: str, region: tuple[slice, ...], values: np.ndarray) -> None:
    """Encode values into the chunks of an array; what is all missing is written like all else."""
    import zarr

    array = zarr.open_array(recorder, path=name, mode="r+").with_config({"write_empty_chunks": True})
    array[region] = np.asarray(values).astype(array.dtype, copy=False)


def write_blocks(
    ds: xr.Dataset, writer: BlockWriter, todo: Sequence[tuple[int, ...]], *, progress: bool
) -> None:
    """Compute and write the blocks ``todo``; of ``ds`` the first begins with the first edge of each."""
    grid = writer.plan.grid
    if not todo:
        return
    if any(ds[name].chunks is None for name in grid.variables):
        steps = progress_bar(iterable=todo, unit="block") if progress else todo
        for block in steps:
            values = {}
            for name in grid.written_with(block):
                dims = grid.variables[name]
                first = [grid.edges[dim][0] for dim in dims]
                region = grid.region(block, dims)
                local = tuple(slice(s.start - f, s.stop - f) for s, f in zip(region, first, strict=True))
                values[name] = np.asarray(ds[name].variable[local].values)
            writer(block, values)
        return
    import dask

    client = cluster_client()
    array = _graph(ds, writer, todo)
    if client is not None:
        array, priority = _in_turns(array, grid, todo, lanes_of(client))
        with dask.annotate(priority=priority):
            _run_on_cluster(array, progress)
    elif progress:
        from dask.diagnostics import ProgressBar

        with ProgressBar():
            array.compute()
    else:
        array.compute()


def _graph(ds: xr.Dataset, writer: BlockWriter, todo: Sequence[tuple[int, ...]]) -> Array:
    """One task a block, with the blocks of all variables as its inputs: what they share runs once."""
    from dask.array import Array
    from dask.highlevelgraph import HighLevelGraph

    grid = writer.plan.grid
    name = f"write-{uuid4().hex}"
    shared = f"writer-{name}"
    arrays = {key: ds[key].data for key in grid.variables}
    layer: dict[Any, Any] = {shared: writer}
    for number, block in enumerate(todo):
        names = grid.written_with(block)
        keys = [(arrays[key].name, *grid.index(block, grid.variables[key])) for key in names]
        layer[name, number] = (_write, shared, list(block), names, *keys)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=list(arrays.values()))
    return Array(graph, name, chunks=((1,) * len(todo),), dtype=bool, meta=np.empty(0, dtype=bool))


def _write(writer: BlockWriter, block: list[int], names: list[str], *arrays: np.ndarray) -> np.ndarray:
    writer(tuple(block), dict(zip(names, arrays, strict=True)))
    return np.ones(1, dtype=bool)


def _in_turns(
    array: Array, grid: Grid, todo: Sequence[tuple[int, ...]], lanes: float
) -> tuple[Array, Callable[[Any], int]]:
    """The same, where blocks are not read long before they are written; and the order of its tasks."""
    from dask._task_spec import convert_legacy_graph
    from dask.array import Array
    from dask.array.optimization import optimize
    from dask.base import clone_key
    from dask.highlevelgraph import HighLevelGraph
    from dask.utils import ensure_dict

    chains: dict[tuple[int, ...], list[Any]] = {}  # blocks that differ in time only
    for number, block in enumerate(todo):
        place = tuple(at for dim, at in zip(grid.dims, block, strict=True) if dim != "time")
        chains.setdefault(place, []).append((array.name, number))
    tasks = convert_legacy_graph(ensure_dict(optimize(array.dask, array.__dask_keys__())))
    # Another computation that needs the same chunks must not wait for this one's blocks, nor fail with them.
    tasks = renamed(tasks, {key: clone_key(key, array.name) for key in tasks if array.name not in key})
    tasks, priority = take_turns(tasks, chains.values(), lanes)
    graph = HighLevelGraph.from_collections(array.name, tasks)
    return Array(graph, array.name, array.chunks, meta=array._meta), priority


def _run_on_cluster(array: Array, show: bool) -> None:
    """What is optimised already."""
    if show:
        from distributed import progress

        array = array.persist(optimize_graph=False)
        progress(array, notebook=False)
    array.compute(optimize_graph=False)

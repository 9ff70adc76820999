"""Computing and writing the blocks of a run, in any order, in any thread or process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import xarray as xr

from ...errors import StoreError
from ...support.dask_graphs import Key, cluster_client, futures, own_threads
from ...support.progress import progress_bar
from .location import Place, Recorder
from .manifest import WritePlan, entry, seal

if TYPE_CHECKING:
    from dask.array import Array


@dataclass(frozen=True)
class BlockWriter:
    """Writes a block and says that it did.

    Parameters
    ----------
    place : Place
    plan : WritePlan
    metadata : dict
        Of the arrays, as it will be when all is published.
    replaces : bool
        Whether chunks that readers already use may change: they get a record before they do.
    """

    place: Place
    plan: WritePlan
    metadata: dict[str, bytes]
    replaces: bool = False

    def __call__(self, block: tuple[int, ...], values: Mapping[str, np.ndarray]) -> Any:
        """The chunks first, then, when the disk has them, the record of the block."""
        chunks = self.chunks(block, values)
        record = seal({"files": {key: entry(raw) for key, raw in chunks.items()}})
        if self.replaces:
            self.place.put({self.plan.block_key(block, "intent"): record})
        self.place.put(chunks)
        self.place.put({self.plan.block_key(block): record})

    def chunks(self, block: tuple[int, ...], values: Mapping[str, np.ndarray]) -> dict[str, bytes]:
        """The chunks of a block, by their keys."""
        grid = self.plan.grid
        parts = [(name, grid.region(block, grid.variables[name]), array) for name, array in values.items()]
        return chunks_of(self.place, self.metadata, parts)


def chunks_of(
    place: Place, metadata: Mapping[str, bytes], parts: Iterable[tuple[str, tuple[slice, ...], np.ndarray]]
) -> dict[str, bytes]:
    """The chunks of parts of arrays (name, region, values), with what the place has in them beside those.

    What is all missing is a chunk like any other.
    """
    import zarr

    recorder = Recorder(place.store, dict(metadata))
    for name, region, values in parts:
        array = zarr.open_array(recorder, path=name, mode="r+").with_config({"write_empty_chunks": True})
        array[region] = np.asarray(values).astype(array.dtype, copy=False)
    return {key: raw for key, raw in recorder.kept.items() if key not in metadata}


def write_blocks(
    ds: xr.Dataset,
    writer: BlockWriter,
    todo: Sequence[tuple[int, ...]],
    *,
    progress: bool,
    collect: Callable[[Any], None] | None = None,
) -> None:
    """Compute and write the blocks ``todo``; the first block of ``ds`` begins with the first edges.

    On a cluster ``collect`` gets what the writer returns for each block.
    """
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
    if not writer.place.transactional:
        _check_reached(writer.place, writer.plan)
    client = cluster_client()
    array = _graph(ds, writer, todo)
    if client is not None:
        _write_on_cluster(array, grid.dims, todo, client, progress, collect)
        return
    from dask.diagnostics import ProgressBar

    with ProgressBar() if progress else nullcontext(), own_threads():
        array.compute()


def _check_reached(place: Place, plan: WritePlan) -> None:
    """Refuse a place that is another one for those who compute: memory, or a folder of this machine alone."""
    import dask

    key = f"{plan.folder}/reached"
    dask.delayed(_reach, pure=False)(place, plan.key, key).compute()
    if place.get(key) is None:
        raise StoreError(
            f"{place.name} is not to be seen by the processes that compute the run; expected a folder or an "
            "object store that all of them see, or threads: dask.config.set(scheduler='threads')."
        )
    place.delete([key])


def _reach(place: Place, plan: str, key: str) -> None:
    if place.get(plan) is not None:
        place.put({key: b""})


def _graph(ds: xr.Dataset, writer: BlockWriter, todo: Sequence[tuple[int, ...]]) -> Array:
    """One task per block, with the blocks of all variables as its inputs: what they share runs once."""
    from dask.array import Array
    from dask.highlevelgraph import HighLevelGraph

    grid = writer.plan.grid
    name = f"write-{uuid4().hex}"
    arrays = {key: ds[key].data for key in grid.variables}
    layer: dict[Any, Any] = {f"writer-{name}": writer}
    for number, block in enumerate(todo):
        names = grid.written_with(block)
        keys = [(arrays[key].name, *grid.index(block, grid.variables[key])) for key in names]
        layer[name, number] = (_write, f"writer-{name}", list(block), names, *keys)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=list(arrays.values()))
    return Array(graph, name, chunks=((1,) * len(todo),), dtype=bool, meta=np.empty(0, dtype=bool))


def _write(writer: BlockWriter, block: list[int], names: list[str], *arrays: np.ndarray) -> Any:
    written = writer(tuple(block), dict(zip(names, arrays, strict=True)))
    return np.ones(1, dtype=bool) if written is None else written


def _write_on_cluster(
    array: Array,
    dims: Sequence[str],
    todo: Sequence[tuple[int, ...]],
    client: Any,
    progress: bool,
    collect: Callable[[Any], None] | None,
) -> None:
    import dask

    from ...support.dask_cluster import write_on_cluster

    (optimised,) = dask.optimize(array)
    chains: dict[tuple[int, ...], list[Key]] = {}  # blocks that differ in time only
    for number, block in enumerate(todo):
        place = tuple(at for dim, at in zip(dims, block, strict=True) if dim != "time")
        chains.setdefault(place, []).append((array.name, number))
    graph = dict(optimised.__dask_graph__())
    write_on_cluster(client, graph, [*chains.values()], futures(array), progress, collect)

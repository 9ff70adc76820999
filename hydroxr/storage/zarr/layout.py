"""How a Dataset is cut for a Zarr store: blocks, which are computed and written as one, and chunks.

A block is a whole number of chunks, so that no two blocks ever write the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, prod
from typing import Any

import numpy as np
import xarray as xr

from ...conventions.dimensions import NOT_SPACE
from ...errors import DescriptionError
from .manifest import BlockGrid

LAYOUTS = (None, "series", "maps")
_CHUNK = 4 * 2**20  # bytes of a chunk before compression, as the layouts want it
_BLOCK = 64 * 2**20  # bytes of all variables in a block of data in memory
NUMERIC = "fiub"  # kinds of numbers that are written block by block


def is_lazy(ds: xr.Dataset) -> bool:
    """Whether any variable is a dask array."""
    return any(array.chunks is not None for array in ds.variables.values())


def prepare(ds: xr.Dataset) -> xr.Dataset:
    """What Zarr can take: even chunks, text in memory and of any length."""
    for name in [name for name, array in ds.variables.items() if array.dtype.kind not in NUMERIC]:
        # Zarr 3 has a specification for text of any length, none for text of fixed length.
        loaded = ds[name].load()
        ds[name] = loaded.astype(object) if loaded.dtype.kind == "U" else loaded
    for array in ds.variables.values():  # CF wants limits in the type of the data, which JSON does not keep
        array.attrs = {
            key: value for key, value in array.attrs.items() if key not in ("valid_min", "valid_max")
        }
    return evenly_chunked(ds)


def evenly_chunked(ds: xr.Dataset) -> xr.Dataset:
    """Zarr takes chunks of one size, of which only the last may be smaller."""
    if not is_lazy(ds):
        return ds
    ds = ds.unify_chunks()
    even = {
        dim: sizes[0] if len({*sizes[:-1]}) <= 1 and sizes[-1] <= sizes[0] else max(sizes)
        for dim, sizes in ds.chunks.items()
    }
    for name in [name for name, array in ds.variables.items() if array.chunks is not None]:
        ds[name] = ds[name].chunk({dim: even[dim] for dim in ds[name].dims})
    return ds


def blockwise_names(ds: xr.Dataset) -> list[str]:
    """The variables that are written block by block: the lazy ones, else the data."""
    if is_lazy(ds):
        return [str(name) for name, array in ds.variables.items() if array.chunks is not None]
    return [str(name) for name, array in ds.data_vars.items() if array.ndim and array.dtype.kind in NUMERIC]


def lay_out(ds: xr.Dataset, layout: str | None) -> tuple[BlockGrid, dict[str, int]]:
    """Blocks, and the length of a chunk along each dimension.

    Parameters
    ----------
    ds : Dataset
        Of :func:`prepare`.
    layout : {None, "series", "maps"}
        ``None``: the chunks of a lazy Dataset as they are, "series" for one in memory.

    Raises
    ------
    DescriptionError
        Where the layout is not known.
    """
    if layout not in LAYOUTS:
        raise DescriptionError(f"layout={layout!r} is not known; expected 'series', 'maps' or None.")
    names = blockwise_names(ds)
    variables = {name: [str(dim) for dim in ds[name].dims] for name in names}
    sizes = {dim: ds.sizes[dim] for dims in variables.values() for dim in dims}
    if not names:
        return BlockGrid({}, {}), {}
    largest = max(names, key=lambda name: ds[name].size)
    itemsize = ds[largest].dtype.itemsize
    if is_lazy(ds):
        blocks = {dim: ds.chunksizes[dim][0] for dim in sizes}
        chunks = blocks
        if layout is not None:
            cut = [dim for dim in sizes if blocks[dim] < sizes[dim]]
            wanted = _chunk_sizes({dim: blocks[dim] for dim in variables[largest]}, itemsize, layout)
            chunks = {
                dim: _part(size, wanted.get(dim, size), whole=dim in cut) for dim, size in blocks.items()
            }
    else:
        wanted = _chunk_sizes({dim: sizes[dim] for dim in variables[largest]}, itemsize, layout or "series")
        chunks = {dim: wanted.get(dim, size) for dim, size in sizes.items()}
        blocks = _memory_blocks(ds, sizes, chunks)
    edges = {dim: [*range(0, size, max(1, blocks[dim])), size] for dim, size in sizes.items()}
    return BlockGrid(edges, variables), {dim: max(1, size) for dim, size in chunks.items()}


def encodings(
    ds: xr.Dataset, grid: BlockGrid, chunks: Mapping[str, int], shards: bool, zarr_format: int
) -> Any:
    """The encoding of every variable: chunks, compression with checksums, shards."""
    out: dict[str, dict[str, Any]] = {}
    for name in map(str, ds.variables):
        if not ds[name].ndim:
            continue
        out[name] = {**ds[name].encoding, "compressors": (_compressor(zarr_format),)}
        dims = [str(dim) for dim in ds[name].dims]
        # Later days are appended to what is in memory beside lazy variables as to these.
        if name in grid.variables or (name in ds.data_vars and "time" in dims and {*dims} <= {*grid.edges}):
            out[name]["chunks"] = tuple(chunks[dim] for dim in dims)
            if shards:
                blocks = {dim: max(np.diff(grid.edges[dim])) for dim in dims}
                out[name]["shards"] = tuple(
                    int(ceil(blocks[dim] / chunks[dim]) * chunks[dim]) for dim in dims
                )
    return out


def _compressor(zarr_format: int) -> Any:
    if zarr_format == 2:
        from numcodecs import Zstd

        return Zstd(level=3, checksum=True)
    from zarr.codecs import ZstdCodec

    return ZstdCodec(level=3, checksum=True)


def _memory_blocks(ds: xr.Dataset, sizes: Mapping[str, int], chunks: Mapping[str, int]) -> dict[str, int]:
    """Blocks of data in memory: several chunks, along the dimension that has most of them."""
    blocks = dict(sizes)
    cut = max(sizes, key=lambda dim: ceil(sizes[dim] / max(1, chunks[dim])))
    total = sum(array.nbytes for array in ds.data_vars.values())
    several = ceil(chunks[cut] * _BLOCK / max(1, total) * sizes[cut] / max(1, chunks[cut]) / chunks[cut])
    blocks[cut] = min(sizes[cut], max(1, several) * chunks[cut])
    return blocks


def _chunk_sizes(sizes: Mapping[str, int], itemsize: int, layout: str) -> dict[str, int]:
    """Chunks of one variable: long in time and narrow in space, or the other way round."""
    space = [dim for dim in sizes if dim not in NOT_SPACE]
    out = {dim: size for dim, size in sizes.items() if dim in NOT_SPACE and dim != "time"}
    numbers = max(1, _CHUNK // itemsize // max(1, prod(out.values())))
    time = [dim for dim in sizes if dim == "time"]
    for dims in (time, space) if layout == "series" else (space, time):
        shared = _share({dim: sizes[dim] for dim in dims}, numbers)
        numbers = max(1, numbers // max(1, prod(shared.values())))
        out |= shared
    return out


def _share(sizes: Mapping[str, int], numbers: int) -> dict[str, int]:
    """A box of at most so many numbers, as square as the sizes allow."""
    out = {}
    for left, dim in zip(range(len(sizes), 0, -1), sorted(sizes, key=sizes.__getitem__), strict=True):
        out[dim] = max(1, min(sizes[dim], int(numbers ** (1 / left) + 1e-9)))
        numbers = max(1, numbers // out[dim])
    return out


def _part(block: int, wanted: int, *, whole: bool) -> int:
    """The chunk nearest below ``wanted`` of which a block holds a whole number."""
    if not whole or wanted >= block:
        return min(block, wanted)
    fitting: Sequence[int] = [size for size in range(1, wanted + 1) if block % size == 0]
    return fitting[-1]

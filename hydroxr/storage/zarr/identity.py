"""What makes two runs the same, without reading their values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from zarr.storage import FsspecStore, LocalStore

from ...conventions.attributes import (
    FORMAT_KEY,
    LAST_START,
    MANIFEST,
    MODEL_KIND,
    PREFIX,
    SPINUP,
    START,
    TOKEN,
    VERSION_KEY,
)
from ...support.checksums import array_digest, sha256, stable_json
from ...support.dask_graphs import held
from .location import sync
from .manifest import BlockGrid

# When and by which hydroxr; the kind of model, which stores of earlier versions lack, follows from the model.
_OF_THE_WRITER = ("history", "date_created", "date_modified", MODEL_KIND)
# What stretches of one run may differ in.
_OF_A_STRETCH = (VERSION_KEY, FORMAT_KEY, START, LAST_START, SPINUP, MANIFEST, MODEL_KIND)
# What file systems of fsspec tell of a file that changes with its content.
_TOLD = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "md5Hash", "created")
# What makes numbers of the same name comparable; words in which one is described may change.
_MEANING = ("units", "standard_name", "cell_methods", "flag_values", "flag_masks", "flag_meanings")


def fingerprint(
    ds: xr.Dataset, grid: BlockGrid, chunks: Mapping[str, int], options: Mapping[str, Any], source: str | None
) -> dict[str, str]:
    """Names and digests of all that a half-written run must have in common with the one that goes on.

    Parameters
    ----------
    ds : Dataset
        As it is to be written.
    grid, chunks
        Of :func:`hydroxr.storage.zarr.layout.lay_out`.
    options : dict
        Of writing.
    source : str, optional
        The input's own, see :func:`source_of`.

    Returns
    -------
    dict
        By the name that an error would call it.
    """
    out = {
        f"attribute {name}": stable_json(value)
        for name, value in ds.attrs.items()
        if name not in _OF_THE_WRITER
    }
    for name, array in ds.variables.items():
        kind = "coordinate" if name in ds.coords else "variable"
        described = [str(array.dtype), list(map(str, array.dims)), list(array.shape), _attrs(array.attrs)]
        if array.chunks is None:
            described.append(array_digest(array.values))
        out[f"{kind} {name}"] = stable_json(described)
    for dim, edges in grid.edges.items():
        out[f"chunks of {dim}"] = (
            f"{chunks[dim]} in {len(edges) - 1} blocks, {sha256(stable_json(edges))[:8]}"
        )
    out |= {name: stable_json(value) for name, value in options.items() if value not in (None, False)}
    return out | ({"input": source} if source else {})


def model_and_cells(attrs: Mapping[str, Any], ds: xr.Dataset) -> dict[str, str]:
    """What later days of a run have in common with it: the model, the cells, the variables over time."""
    out = {
        f"attribute {name}": stable_json(value)
        for name, value in attrs.items()
        if str(name).startswith(PREFIX) and name not in _OF_A_STRETCH
    }
    for name, array in ds.variables.items():
        if "time" in array.dims and name not in ds.coords:
            shape = {str(dim): size for dim, size in array.sizes.items() if dim != "time"}
            out[f"variable {name}"] = stable_json([str(array.dtype), list(map(str, array.dims)), shape])
            for key, value in array.attrs.items():
                if key in _MEANING or str(key).startswith(PREFIX):
                    out[f"{key} of {name}"] = stable_json(value)
        elif name in ds.coords and "time" not in array.dims and "grid_mapping_name" not in array.attrs:
            out[f"coordinate {name}"] = array_digest(array.values)
    return out


def graph_names(ds: xr.Dataset) -> str:
    """Names that dask made from all that the lazy variables are computed from."""
    return stable_json([array.data.name for array in ds.variables.values() if array.chunks is not None])


def source_of(ds: xr.Dataset) -> str | None:
    """Digest of path and date of the file or store that the Dataset came from; of an address, its etag.

    Sizes and dates of all chunks of Zarr arrays count that lazy variables are computed from. Of a simulation
    that is lazy also the names of its arrays, which dask makes from inputs and model, and of what was made of
    them since: ``assign`` keeps the token.
    """
    found = [text for text in (_file_of(ds), ds.encoding.get(TOKEN)) if text]
    if ds.encoding.get(TOKEN):
        found.append(sha256(graph_names(ds))[:32])
    found += sorted({_state(array) for array in zarr_arrays(ds)})
    # A path or an address may hold what is for nobody else to read.
    return sha256("; ".join(found))[:32] if found else None


def zarr_arrays(ds: xr.Dataset) -> list[Any]:
    """The Zarr arrays that lazy variables are computed from."""
    from zarr import Array

    lazy = [array.data for array in ds.variables.values() if array.chunks is not None]
    return [array for data in lazy for array in held(data, Array)]


def _state(array: Any) -> str:
    """Names, sizes and dates of what a Zarr array has on this machine, or at an address that tells them."""
    store, path = array.store_path.store, array.store_path.path
    try:
        if isinstance(store, LocalStore):
            folder = store.root / path
            found = [
                (file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
                for file in folder.rglob("*")
                if file.is_file()
            ]
            return stable_json([str(folder.resolve()), *sorted(found)])
        if isinstance(store, FsspecStore):
            files = sync(store.fs._find(f"{store.path}/{path}", detail=True))
            told = [[name, *(info.get(key) for key in _TOLD)] for name, info in sorted(files.items())]
            return stable_json([str(array.store_path), *told])
    except Exception:  # whatever the place has against being asked: its name is left
        pass
    return str(array.store_path)


def _file_of(ds: xr.Dataset) -> str | None:
    source = ds.encoding.get("source")
    if not isinstance(source, str):
        return None
    path = Path(source)
    for file in (path / "zarr.json", path / ".zmetadata", path):
        if file.is_file():
            found = file.stat()
            return f"{path.resolve()}, {found.st_size} bytes, {found.st_mtime_ns}"
    if "://" in source:
        try:
            from fsspec.core import url_to_fs

            fs, name = url_to_fs(source)
            return f"{source}, {fs.ukey(name)}"
        except Exception:  # whatever the address has against being asked: its name is left
            return source
    return source


def _attrs(attrs: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): stable_json(value) for name, value in attrs.items()}

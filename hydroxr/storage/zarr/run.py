"""Writing a run to Zarr block by block, so that it can go on after whatever ended it.

A folder is written beside its name, as ``NAME.partial-ID``, and renamed when the disk has all of
it. An object store has no renaming: there the metadata of its root, without which no reader finds
a store, is put last.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import xarray as xr
from zarr.abc.store import Store

from ...conventions.attributes import MANIFEST
from ...errors import DamagedStoreError, DescriptionError, IncompleteStoreError, StoreError, warn
from ..packing import to_write
from ..target import partial_folders, tidy_beside, written_beside
from .blocks import BlockWriter, write_blocks
from .identity import fingerprint, source_of, zarr_arrays
from .layout import encodings, lay_out, prepare
from .location import Place, Recorder
from .manifest import (
    DOCUMENTS,
    FOLDER,
    ROOT_KEYS,
    BlockGrid,
    Manifest,
    WritePlan,
    differences,
    entry,
    plans,
    read_manifest,
    read_root,
    seal,
    structure_of,
)

_GROUPS = {
    2: {f"{FOLDER}/.zgroup": b'{"zarr_format": 2}'},
    3: {f"{FOLDER}/zarr.json": b'{"zarr_format": 3, "node_type": "group", "attributes": {}}'},
}
_INPUT = "input"  # what of a fingerprint tells the input, and when it was changed
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup")


class _MetAnotherError(StoreError):
    """Raised if two programs write to one object store."""


@dataclass
class ZarrRun:
    """What is to be written."""

    ds: xr.Dataset
    grid: BlockGrid
    encoding: dict[str, Any]
    options: dict[str, Any]
    fingerprint: dict[str, str]
    progress: bool

    @classmethod
    def of(cls, ds: xr.Dataset, layout: str | None, shards: bool, progress: bool, **options: Any) -> ZarrRun:
        """Lay the Dataset out; errors for options that do not go together."""
        if options["zarr_format"] not in (2, 3):
            raise DescriptionError(f"zarr_format={options['zarr_format']!r} is not known; expected 2 or 3.")
        if shards and options["zarr_format"] == 2:
            raise DescriptionError("shards need Zarr format 3; expected zarr_format=3, or shards=False.")
        out = prepare(to_write(ds, options["packed"], options["keep_bits"]))
        grid, chunks = lay_out(out, layout)
        same = fingerprint(out, grid, chunks, {**options, "shards": shards}, source_of(ds))
        encoding = encodings(out, grid, chunks, shards, options["zarr_format"])
        return cls(out, grid, encoding, options, same, progress)


def write_folder(run: ZarrRun, target: Path, *, overwrite: bool, resume: bool) -> Path:
    """Write ``run`` to a folder; see :func:`hydroxr.storage.to_zarr.to_zarr`."""
    if resume and target.exists() and not overwrite:
        _check_is_run(Place.of(target), run)
        tidy_beside(target)
        return target
    folder = _leftover(target, run, overwrite=overwrite) if resume else None
    with written_beside(target, overwrite=overwrite, folder=folder, keep=resume) as path:
        place = Place.of(path)
        with _kept(place, resume):
            write_place(run, place)
            place.sweep()
    return target


def write_object_store(run: ZarrRun, place: Place, *, overwrite: bool, resume: bool) -> None:
    """Write ``run`` where there is no renaming; see :func:`hydroxr.storage.to_zarr.to_zarr`."""
    keys = place.sizes()
    begun = any(key.startswith(FOLDER) for key in keys)
    root = read_root(place)
    if root and not overwrite:
        if not resume:
            raise StoreError(f"{place.name} exists; choose another path, or overwrite=True to replace it.")
        _check_is_run(place, run)
        return
    if keys and not begun and not any(key in ROOT_KEYS for key in keys):
        raise StoreError(f"{place.name} holds other things: it is not replaced. Choose another path.")
    goes_on = resume and begun and not root
    if goes_on and not overwrite:
        _check_plan(place, run)
    if begun and not resume and not overwrite:
        raise StoreError(
            f"{place.name} is half written; expected resume=True to go on, or overwrite=True to start anew."
        )
    if keys and not (goes_on and any(not _differs(plan.fingerprint, run) for plan in plans(place))):
        _check_reads_elsewhere(run, place)
        place.delete([*ROOT_KEYS, *keys])
    try:
        with _kept(place, resume):
            write_place(run, place)
    except BaseException as error:
        if not (resume or isinstance(error, _MetAnotherError)):
            place.delete(place.sizes())
        raise


def write_place(run: ZarrRun, place: Place) -> None:
    """Write what is missing of ``run``, then publish it."""
    if read_root(place):
        return  # it had only to be renamed
    plan = next((plan for plan in plans(place) if not _differs(plan.fingerprint, run)), None)
    plan = plan or _begin(run, place)
    write_missing(run, place, plan)
    publish(place, plan)


def write_missing(
    run: ZarrRun, place: Place, plan: WritePlan, metadata: Mapping[str, bytes] | None = None
) -> None:
    """Compute and write the blocks of ``plan`` that the place lacks."""
    replaces = metadata is not None
    if metadata is None:
        keys = [key for key in plan.files if key.rpartition("/")[2] in _METADATA]
        metadata = {key: raw for key, raw in place.get_many(keys) if raw is not None}
    done = plan.done(place)
    todo = [block for block in plan.grid.blocks() if block not in done]
    write_blocks(run.ds, BlockWriter(place, plan, dict(metadata), replaces), todo, progress=run.progress)


def publish(place: Place, plan: WritePlan, before: Manifest | None = None) -> None:
    """Make a store of what is written: its list of keys, then arrays' metadata, then the root's.

    Raises
    ------
    IncompleteStoreError
        Where a block is not there after all.
    """
    published = read_root(place)
    if before is None and published:
        raise _met_another(place)
    done = plan.done(place)
    if len(done) < len(plan.grid):
        raise IncompleteStoreError(
            f"{place.name} lacks {len(plan.grid) - len(done)} of {len(plan.grid)} blocks after writing all: "
            "another program changed it, or workers wrote to a place of their own that has the same name."
        )
    metadata = {key: text.encode() for key, text in plan.pending.items()}
    files = {**plan.files, **{key: entry(raw) for key, raw in metadata.items()}}
    for entries in done.values():
        files |= entries
    documents = dict(place.get_many(key for key in files if key.endswith(DOCUMENTS))) | metadata
    part = seal({"files": files, "fingerprint": plan.fingerprint})
    name = f"{FOLDER}/part-{plan.id}.json"
    root = {key: plan.root[key].encode() for key in ROOT_KEYS if key in plan.root}
    manifest = Manifest(
        number=0,
        root={},
        parts=[*([] if before is None else before.parts), [name, entry(part)]],
        fingerprint=plan.fingerprint,
        options=plan.options,
        last=plan.id,
        structure=structure_of({key: json.loads(raw or b"{}") for key, raw in documents.items()}),
    )
    # As a group of Zarr it is nothing strange to those who list a store instead of its metadata.
    place.put({name: part, **_GROUPS[3 if "zarr.json" in root else 2]})
    number = 0 if before is None else before.number + 1
    for keys in _moments(published, root):
        published |= {key: root[key] for key in keys}
        checksums = {key: entry(raw) for key, raw in published.items()}
        manifest = replace_fields(manifest, number=number, root=checksums)
        place.put({manifest.key: manifest.sealed()})
        place.put(metadata)
        for key in keys:
            place.put({key: root[key]})
        number += 1
    tidy(place, manifest)


def _moments(published: Mapping[str, bytes], root: Mapping[str, bytes]) -> list[list[str]]:
    """Root keys in the order of publishing; what is there already changes one key at a time.

    Of format 2 the shapes come first; what else the root says, its history, may come later.
    """
    if not published:
        return [list(root)]
    order = sorted(root, key=ROOT_KEYS.index, reverse=True)
    return [[key] for key in order if root[key] != published.get(key)]


def tidy(place: Place, manifest: Manifest) -> None:
    """Remove the records that a complete store needs no more.

    The manifest before the present one stays: somebody may have read the metadata that it is of.
    """
    kept = {manifest.key, f"{FOLDER}/manifest-{manifest.number - 1}.json", f"{FOLDER}/lock"}
    kept |= {name for name, _ in manifest.parts} | set(_GROUPS[2]) | set(_GROUPS[3])
    gone = [key for key in place.sizes(f"{FOLDER}/") if key not in kept]
    place.delete(gone)
    if place.folder is not None:
        for folder in (place.folder / FOLDER).glob("write-*"):
            shutil.rmtree(folder, ignore_errors=True)


def metadata_of(run: ZarrRun, attrs: Mapping[str, Any]) -> dict[str, bytes]:
    """What is no block: metadata of the arrays and of the root, which gets ``attrs``, and coordinates."""
    import dask.array as da
    from zarr.storage import MemoryStore

    recorder = Recorder(MemoryStore())  # what lies at the place, an ended write's, is of no concern
    template = run.ds.copy().assign_attrs(attrs)
    for name, dims in run.grid.variables.items():
        array = run.ds[name].variable
        zeros = da.zeros(array.shape, dtype=array.dtype, chunks=-1)
        template[name] = xr.Variable(dims, zeros, array.attrs, array.encoding)
    with warnings.catch_warnings():
        # Readers look for consolidated metadata first and warn where there is none; writers
        # are warned that format 3 does not specify it yet. A store without it opens as well.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        template.to_zarr(
            recorder,
            mode="w-",
            zarr_format=run.options["zarr_format"],
            consolidated=True,
            compute=False,
            encoding=run.encoding,
            write_empty_chunks=True,
            safe_chunks=False,
        )
    return recorder.kept


def _begin(run: ZarrRun, place: Place) -> WritePlan:
    """Write what is no block; then the plan."""
    kept = metadata_of(run, {MANIFEST: FOLDER})
    root = {key: raw.decode() for key, raw in kept.items() if key in ROOT_KEYS}
    head = {key: raw for key, raw in kept.items() if key not in ROOT_KEYS}
    files = {key: entry(raw) for key, raw in head.items()}
    plan = WritePlan(uuid4().hex[:12], run.fingerprint, run.grid, root, files=files, options=run.options)
    place.put(head)
    place.put({plan.key: plan.sealed()})
    if len(plans(place)) > 1:
        place.delete([plan.key])
        raise _met_another(place)
    return plan


def _met_another(place: Place) -> StoreError:
    return _MetAnotherError(
        f"{place.name} is being written by another program, or was meanwhile; expected a path of its own for "
        "each run. Find out with open_run(..., verify=True) whether the other one is whole."
    )


def _differs(found: Mapping[str, Any], run: ZarrRun) -> str:
    return differences(found, run.fingerprint)


def _check_plan(place: Place, run: ZarrRun) -> None:
    """Refuse to go on with what is another run's; a place without a plan has not begun.

    What was computed from an input that has changed since is of no use, and of no other run.
    """
    for plan in plans(place):
        text = _differs(plan.fingerprint, run)
        if text == _INPUT:
            warn(
                f"the input of the run has changed since {place.name} was begun: all of its blocks are "
                "computed anew."
            )
        elif text:
            raise StoreError(
                f"{place.name} holds an unfinished write of another run; they differ in {text}. Repeat the "
                "call that began it, or write this run to another path."
            )


def _check_is_run(place: Place, run: ZarrRun) -> None:
    """Refuse a complete store that is not this run, and does not begin with it either."""
    manifest = read_manifest(place, read_root(place))
    found = [] if manifest is None else [_differs(part, run) for part in manifest.written(place)]
    if "" in found:
        return
    text = found[0] if found else "it has no manifest"
    if text == _INPUT:
        raise StoreError(
            f"{place.name} is complete, and is not this run: they differ in the input, which has changed "
            "since. overwrite=True computes all of it anew, and then replaces the store."
        )
    days = ", with the days that were appended to it" if len(found) > 1 else ""
    raise StoreError(
        f"{place.name} exists and is not this run; they differ in {text}. Choose another path, or "
        f"overwrite=True to compute all of this run and replace the store{days}."
    )


def _check_reads_elsewhere(run: ZarrRun, place: Place) -> None:
    """Refuse to remove what the run is still to be computed from."""
    if any(_same_store(array.store_path.store, place.store) for array in zarr_arrays(run.ds)):
        raise StoreError(
            f"{place.name} is what the run is computed from, lazily, and would be removed first; "
            "write to another path, or ds.load() before."
        )


def _same_store(one: Store, other: Store) -> bool:
    """Stores are equal only where both are read-only, or none of them."""
    if one.read_only != other.read_only:
        with suppress(NotImplementedError):
            other = other.with_read_only(one.read_only)
    return one == other


def _leftover(target: Path, run: ZarrRun, *, overwrite: bool) -> Path | None:
    """The folder of an earlier call for the same run, the one that came furthest."""
    found, differs = [], None
    for folder in partial_folders(target):
        place = Place.of(folder / target.name)
        try:
            if read_root(place):  # complete, and ended before it was renamed
                _check_is_run(place, run)
                return folder
            _check_plan(place, run)
        except DamagedStoreError:
            continue
        except StoreError as error:
            differs = error
            continue
        same = [plan for plan in plans(place) if not _differs(plan.fingerprint, run)]
        found += [(len(plan.done(place)), folder) for plan in same]
    if not found and differs is not None and not overwrite:
        raise differs
    return max(found)[1] if found else None


@contextmanager
def _kept(place: Place, resume: bool) -> Iterator[None]:
    """Say of an error that ends a write that can go on how to go on."""
    try:
        yield
    except BaseException as error:
        if resume:
            error.add_note(f"The finished blocks of {place.name} are kept: repeat the call to go on.")
        raise

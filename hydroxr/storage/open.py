"""Opening a run that was written, and finding out whether it is whole and what was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import xarray as xr

from ..conventions.attributes import FORMAT_KEY, MANIFEST, VERSION_KEY
from ..conventions.cf import set_types
from ..conventions.labels import labelled
from ..errors import DamagedStoreError, EditedStoreError, IncompleteStoreError, StoreError, warn
from .target import partial_folders
from .zarr.location import Place, Recorder
from .zarr.manifest import (
    DOCUMENTS,
    FOLDER,
    Entry,
    Files,
    WritePlan,
    consolidated,
    entry,
    plans,
    read_manifest,
    read_root,
    unseal,
)

_NAMED = 5  # blocks or chunks that an error names; the others are counted
_HDF5 = b"\x89HDF\r\n\x1a\n"


def open_run(
    path: Any,
    *,
    verify: bool = False,
    chunks: Any = "auto",
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Open a store or a NetCDF file of hydroxr, if all of it is there.

    Parameters
    ----------
    path : path, URL, or store of zarr
        What ``to_zarr`` or ``to_netcdf`` wrote.
    verify : bool
        Read everything and compare it with the checksums that were taken when it was written.
        Otherwise a folder is asked for its chunks and their sizes only, an object store for its
        chunks.
    chunks
        As of :func:`xarray.open_dataset`; default: lazy, in the chunks of the store.
    storage_options : dict, optional
        Of fsspec, for a URL.

    Returns
    -------
    Dataset
        What was written. Cells have their labels as index, ``run.sel(basin="01022500")``, which the file
        holds as ``basin_id`` beside numbers.

    Raises
    ------
    IncompleteStoreError
        Where blocks or chunks are missing; it names them by their coordinates.
    DamagedStoreError
        Where chunks, metadata or manifest are not what was written; it names them.
    EditedStoreError
        With ``verify``, where only attributes are not what was written; without it that is a warning.
    StoreError
        Where there is nothing, or nothing of hydroxr.
    """
    ds = _open(Place.of(path, storage_options), verify, {} if chunks == "auto" else chunks)
    set_types(ds)
    return labelled(ds)


def _open(place: Place, verify: bool, chunks: Any) -> xr.Dataset:
    """As the file has it."""
    if place.folder is not None and place.folder.is_file():
        return _open_file(place.folder, verify, chunks)
    if place.folder is not None and not place.folder.exists():
        _raise_absent(place)
    if place.transactional:
        return _open_old(place, verify, chunks)  # what was committed is whole
    for _ in range(3):  # somebody may append between the reading of root metadata and manifest
        root = read_root(place)
        if not root:
            _raise_begun(place, place)
        try:
            manifest = read_manifest(place, root)
            break
        except DamagedStoreError:
            if read_root(place) == root:
                raise
    if manifest is None:
        return _open_old(place, verify, chunks)
    files = manifest.files(place)
    kept = Recorder(place.store, dict(root))
    wrong = _wrong(place, files, kept, verify)
    edited = [key for key, raw in root.items() if entry(raw) != manifest.root.get(key)]
    documents = [key for key in wrong if key.endswith(DOCUMENTS)]
    edited += documents if documents and manifest.describes(place, root) else []
    damaged = [key for key in wrong if key not in edited]
    if damaged:
        raise DamagedStoreError(
            f"{place.name}: {len(damaged)} of {len(files)} chunks and metadata are not what was written: "
            f"{_named(damaged, kept)}. Copy the store again, or write it again with overwrite=True."
        )
    if edited:
        _say_edited(f"{place.name} in {', '.join(edited[:_NAMED])}", verify)
    return xr.open_zarr(place.store, consolidated=bool(consolidated(root)), chunks=chunks)


def _say_edited(what: str, verify: bool) -> None:
    """What was read by now is sound."""
    text = (
        f"attributes of {what} are not what was written: another program edited them; shapes, types and "
        "codecs are as they were"
    )
    if verify:
        raise EditedStoreError(
            f"{text}, and so are all values. If that was on purpose, open it without verify."
        )
    warn(f"{text}. verify=True tells whether the values are as well.")


def _wrong(place: Place, files: Files, store: Recorder, verify: bool) -> list[str]:
    """Keys that are not what was written, by their size or all of them by their checksum.

    Raises
    ------
    IncompleteStoreError
        If a key is missing.
    """
    sizes = place.sizes()
    missing = [key for key in files if key not in sizes]
    if missing:
        raise IncompleteStoreError(
            f"{place.name} lacks {len(missing)} of its {len(files)} chunks and metadata, which were there "
            f"when it was complete: {_named(missing, store)}. Copy it again, or write it again with "
            "overwrite=True."
        )
    keys = [key for key, (size, _) in files.items() if verify or sizes[key] not in (None, size)]
    wrong = [key for key, raw in place.get_many(keys) if raw is None or entry(raw) != files[key]]
    if wrong:
        announced = _announced(place)
        entries = dict(place.get_many(wrong))
        wrong = [key for key in wrong if entry(entries[key] or b"") not in announced.get(key, [])]
    return wrong


def _announced(place: Place) -> dict[str, list[Entry]]:
    """What may stand under keys by an append that goes on, or was ended, beyond the published days."""
    found: dict[str, list[Entry]] = {}
    for plan in plans(place):
        metadata = {key: entry(text.encode()) for key, text in plan.pending.items()}
        records = [key for key in place.sizes(f"{plan.folder}/") if not key.endswith("plan.json")]
        parts = [plan.files, metadata]
        for key, raw in place.get_many(records):
            try:
                parts.append(unseal(raw, key)["files"])
            except DamagedStoreError:
                continue
        for part in parts:
            for name, announced in part.items():
                found.setdefault(name, []).append(announced)
    return found


def _raise_absent(place: Place) -> None:
    """There is nothing under the name; perhaps a write to it goes on or was ended."""
    assert place.folder is not None
    for folder in partial_folders(place.folder):
        inside = Place.of(folder / place.folder.name)
        if read_root(inside):
            raise IncompleteStoreError(
                f"{place.name} is written in {folder} but was not renamed; repeat the call that wrote it, "
                "with resume=True."
            )
        _raise_begun(inside, place)
    raise StoreError(f"{place.name} does not exist; expected a store or a file that hydroxr wrote.")


def _raise_begun(place: Place, asked: Place) -> None:
    """There is a store without root metadata."""
    for plan in plans(place):
        done = plan.done(place)
        missing = [block for block in plan.grid.blocks() if block not in done]
        found = f"{len(done)} of {len(plan.grid)} blocks are done"
        named = [_block_words(plan, block, _coordinates(place, plan)) for block in missing[:_NAMED]]
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        lies = "" if place is asked else f" (What there is lies in {place.name}.)"
        raise IncompleteStoreError(
            f"{asked.name} is not complete: {found}; missing: {'; '.join(named) or 'its metadata'}{more}. It "
            f"is being written, or was ended: repeat the call with resume=True.{lies}"
        )
    if any(key.startswith(f"{FOLDER}/manifest-") for key in place.sizes(f"{FOLDER}/")):
        raise DamagedStoreError(
            f"{asked.name} lacks the metadata of its root (zarr.json), which was there; copy the store again."
        )
    if place is asked:
        raise StoreError(f"{asked.name} is no Zarr store; expected one that hydroxr wrote.")
    raise IncompleteStoreError(
        f"{asked.name} is not complete: no block is done. It is being written, or was ended: repeat the call "
        "with resume=True."
    )


def _coordinates(place: Place, plan: WritePlan) -> xr.Dataset:
    root = {key: text.encode() for key, text in plan.root.items()}
    return _opened(Recorder(place.store, root))


def _opened(store: Recorder) -> xr.Dataset:
    """Coordinates for messages; none where they cannot be read either."""
    try:
        return labelled(xr.open_zarr(store, consolidated=True, chunks=None))
    except Exception:  # they are of help in a message, and no more
        return xr.Dataset()


def _block_words(plan: WritePlan, block: tuple[int, ...], ds: xr.Dataset) -> str:
    region = dict(zip(plan.grid.dims, plan.grid.region(block, plan.grid.dims), strict=True))
    return f"block {'-'.join(map(str, block)) or '0'} ({_words(region, ds)})"


def _named(keys: Iterable[str], store: Recorder) -> str:
    """Keys with the coordinates of their chunks."""
    keys = list(keys)
    ds = _opened(store)
    texts = [_chunk_words(key, store, ds) for key in islice(keys, _NAMED)]
    return "; ".join(texts) + (f"; and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")


def _chunk_words(key: str, store: Recorder, ds: xr.Dataset) -> str:
    import zarr

    name, _, rest = key.partition("/")
    try:
        array = zarr.open_group(store, mode="r", use_consolidated=True)[name]
        assert isinstance(array, zarr.Array)
        places = [int(part) for part in rest.removeprefix("c/").replace(".", "/").split("/")]
        lengths = array.shards or array.chunks
        region = {
            str(dim): slice(place * length, (place + 1) * length)
            for dim, place, length in zip(ds[name].dims, places, lengths, strict=True)
        }
        return f"{key} ({_words(region, ds)})"
    except Exception:  # metadata, or a store whose metadata cannot be read: the key says which it is
        return key


def _words(region: Mapping[str, slice], ds: xr.Dataset) -> str:
    """A part of the dimensions by its labels."""
    texts = []
    for dim, part in region.items():
        try:
            labels = ds[dim].values[part]
            first, last = (str(label)[:10] for label in (labels[0], labels[-1]))
        except Exception:  # the coordinate may be what is damaged
            first, last = str(part.start), str(part.stop - 1)
        texts.append(f"{dim} {first}" if first == last else f"{dim} {first} to {last}")
    return ", ".join(texts) or "all of it"


def _open_old(place: Place, verify: bool, chunks: Any) -> xr.Dataset:
    """A store of an hydroxr that wrote no manifest, which was complete or absent; or a foreign one."""
    try:
        ds = xr.open_zarr(place.store, chunks=chunks)
    except FileNotFoundError as error:
        raise StoreError(f"{place.name} holds nothing; expected a run that hydroxr wrote.") from error
    if FORMAT_KEY not in ds.attrs:
        raise StoreError(f"{place.name} is no store of hydroxr; open it with xr.open_zarr.")
    if MANIFEST in ds.attrs:
        raise DamagedStoreError(
            f"{place.name} lacks its folder {FOLDER}, so that nobody can say whether it is whole: it was "
            "copied without it (names that begin with a dot are easily left out), or written again by "
            "another program. Copy the store with all files, or open it with xr.open_zarr."
        )
    if verify and place.transactional:
        raise StoreError(
            f"{place.name} is whole by its commit, and without a manifest to be verified by; open it with "
            "verify=False."
        )
    if verify:
        raise StoreError(
            f"{place.name} was written by hydroxr {ds.attrs.get(VERSION_KEY)}, without a manifest, and "
            "cannot be verified; open it with verify=False."
        )
    return ds


def _open_file(path: Path, verify: bool, chunks: Any) -> xr.Dataset:
    """A NetCDF file, which has its name only when it is complete."""
    from .netcdf_digest import check_digest

    with path.open("rb") as file:
        if file.read(len(_HDF5)) != _HDF5:
            raise DamagedStoreError(f"{path} is no NetCDF-4 file; expected one that hydroxr wrote.")
    try:
        if verify and not check_digest(path):
            with xr.open_dataset(path, cache=False) as whole:
                whole.load()
        ds = xr.open_dataset(path, chunks=chunks)
    except DamagedStoreError:
        raise
    except Exception as error:  # of HDF5, of NetCDF, of dates that cannot be: whatever a bit may do
        raise DamagedStoreError(f"{path} cannot be read: {error}. Copy it again.") from error
    if FORMAT_KEY not in ds.attrs:
        raise StoreError(f"{path} is no file of hydroxr; open it with xr.open_dataset.")
    return ds

"""Writing a run into a transaction: a session of icechunk, which commits all of it or nothing.

What a manifest does for a plain store, completeness, checksums and appending while others read, the
transaction does here; so there is no manifest, and nobody sees anything before the commit, which is
the caller's::

    session = repository.writable_session("main")
    sim.hbv.to_zarr(session.store)
    session.commit("first year")

The workers of a cluster write to forks of the session, which are merged into it.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from ...conventions.attributes import BITS
from ...conventions.cf import for_file
from ...errors import DescriptionError, StoreError
from ...support.dask_graphs import cluster_client, local_threads
from ..packing import unpacked
from .append import append_run, check_append, check_continues, coordinates, longer
from .blocks import BlockWriter, chunks_of, write_blocks
from .continuity import check_seam, check_start, compare_days
from .layout import is_lazy, prepare
from .location import Place
from .manifest import WritePlan
from .run import ZarrRun, metadata_of

_ROOT = "zarr.json"


@dataclass(frozen=True)
class _Chunks(BlockWriter):
    """Writes the chunks of a block, without a record of it.

    Parameters
    ----------
    forked : bool
        Whether blocks are written by workers, each to a copy of a fork of the session, which it returns.
    """

    forked: bool = False

    def __call__(self, block: tuple[int, ...], values: Mapping[str, np.ndarray]) -> Any:
        chunks = self.chunks(block, values)
        if not self.forked:
            self.place.put(chunks)
            return None
        store: Any = pickle.loads(pickle.dumps(self.place.store))
        replace(self.place, store=store).put(chunks)
        return store.session


def write_transaction(run: ZarrRun, place: Place, *, overwrite: bool, resume: bool) -> None:
    """Write ``run`` into the session of ``place``; see :func:`hydroxr.storage.to_zarr.to_zarr`.

    Raises
    ------
    StoreError, DescriptionError
    """
    if resume or run.options["zarr_format"] != 3:
        raise DescriptionError(
            f"{place.name} has Zarr format 3, and keeps nothing of a run that was not committed; expected "
            "zarr_format=3 and resume=False."
        )
    with _in_session(place), _for_workers(run.ds, place) as (place, fork):
        if place.get(_ROOT) is not None and place.sizes():
            if not overwrite:
                raise StoreError(f"{place.name} holds a run; expected an empty one, or overwrite=True.")
            place.clear()
        kept = metadata_of(run, {})
        root = json.loads(kept.pop(_ROOT))
        root.pop("consolidated_metadata", None)  # a snapshot is one already
        arrays = {key: raw for key, raw in kept.items() if key.endswith(f"/{_ROOT}")}
        place.put({_ROOT: json.dumps(root).encode()})
        place.put(arrays)  # before their chunks
        place.put({key: raw for key, raw in kept.items() if key not in arrays})
        _write_blocks(run, place, arrays, fork)


def append_transaction(ds: xr.Dataset, place: Place, dim: str, *, as_it_is: bool, progress: bool) -> None:
    """Add days to the run in the session of ``place``; see :func:`hydroxr.storage.to_zarr.to_zarr`.

    Raises
    ------
    StoreError, StateError, TimeAxisError and others as of :func:`hydroxr.storage.zarr.append.append`
    """
    check_append(dim, as_it_is=as_it_is)
    root = place.get(_ROOT)
    if root is None:
        raise StoreError(f"{place.name} holds no run; days can only be added to a run that to_zarr wrote.")
    run, old = _checked(ds, place, progress)
    pending = longer(place, {_ROOT: root}, old, run.ds)
    arrays = {key: raw for key, raw in pending.items() if key != _ROOT}
    head = chunks_of(place, pending, coordinates(run.ds, old))
    with _in_session(place):  # from here on it is changed
        with _for_workers(run.ds, place) as (target, fork):
            target.put(pending)
            target.put(head)
            _write_blocks(run, target, arrays, fork)
        if is_lazy(ds):  # its values are known only now
            with local_threads():  # the session does not travel
                compare_days(
                    xr.open_zarr(place.store, consolidated=False, chunks={}), old.sizes["time"], place.name
                )


def _checked(ds: xr.Dataset, place: Place, progress: bool) -> tuple[ZarrRun, xr.Dataset]:
    """What is to be appended, and what is there; all that can be refused before the session is changed."""
    old = xr.open_zarr(place.store, consolidated=False, chunks=None, mask_and_scale=False)
    check_start(old, ds, place.name)
    packed = [name for name, array in old.data_vars.items() if {"scale_factor", BITS} & {*array.attrs}]
    if packed:
        raise StoreError(
            f"{place.name} has {packed[0]!r} packed or rounded, and days are added to a session as they "
            "are; write the run without packed and keep_bits."
        )
    out = prepare(for_file(unpacked(ds)))
    check_continues(old, out, place.name)
    if not is_lazy(ds):
        check_seam(place, for_file(ds))
    return append_run(out, old, place, {"zarr_format": 3}, {}, progress), old


@contextmanager
def _for_workers(ds: xr.Dataset, place: Place) -> Iterator[tuple[Place, Any]]:
    """Where to write, and the fork of the session that this is; None where threads write to the session.

    A session travels to the workers of a cluster as a fork, which it can only be made of before it is
    changed. A repository in the memory of this process does not travel.
    """
    session, fork = place.store.session, None  # type: ignore[attr-defined]
    if cluster_client() is not None and is_lazy(ds) and not session.has_uncommitted_changes:
        fork = session.fork()
        try:
            fork.status()
        except Exception:  # whatever keeps a fork from its repository: the session itself is at it
            fork = None
    yield (place if fork is None else replace(place, store=fork.store)), fork
    if fork is not None:
        session.merge(fork)


def _write_blocks(run: ZarrRun, place: Place, arrays: dict[str, bytes], fork: Any) -> None:
    plan = WritePlan("", run.fingerprint, run.grid, {}, options=run.options)
    todo = [*run.grid.blocks()]
    writer = _Chunks(place, plan, arrays, forked=fork is not None)
    if fork is not None:
        write_blocks(run.ds, writer, todo, progress=run.progress, collect=fork.merge)
        return
    with local_threads():
        write_blocks(run.ds, writer, todo, progress=run.progress)


@contextmanager
def _in_session(place: Place) -> Iterator[None]:
    """Say of an error what is to be done with the session."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"Do not commit {place.name}, which is changed: session.discard_changes().")
        raise

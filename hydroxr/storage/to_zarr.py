"""Writing results to NetCDF and Zarr: a file is complete, or it is not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import xarray as xr

from ..conventions.cf import check_netcdf
from ..errors import StoreError

if TYPE_CHECKING:
    from .packing import KeepBits, Packed

PARTIAL = ".partial-"  # in the name of what is being written


def to_netcdf(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: bool = False,
    packed: Packed = False,
    keep_bits: KeepBits = None,
) -> Path:
    """Write ``ds`` as a CF NetCDF-4 file, compressed, with checksums of its chunks and of all it holds.

    It is written beside ``path`` and takes its name only when the disk has all of it.

    Parameters
    ----------
    ds : Dataset
        A result of hydroxr, lazy or not.
    path
        Of the file.
    overwrite : bool
        Replace a file of that name.
    progress : bool
        Show a progress bar over the blocks of a lazy Dataset.
    packed, keep_bits
        As of :func:`to_zarr`.

    Raises
    ------
    StoreError
        Where ``path`` exists, or writing fails.
    DescriptionError
        Where a variable has a name, or it or an attribute a type, that no file can have.
    """

    from .netcdf_digest import write_digest
    from .packing import to_write

    check_netcdf(ds)

    def write(temporary: Path) -> None:
        out = to_write(ds, packed, keep_bits)
        compressed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
        encoding = {
            str(name): {**out[name].encoding, **compressed}
            for name in out.variables
            if out[name].ndim and (out[name].dtype.kind in "fiubM" or name in ("time", "time_bnds"))
        }
        out.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        write_digest(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())

    return _publish(Path(path), write, overwrite=overwrite, progress=progress)


def to_zarr(
    ds: xr.Dataset,
    path: Any,
    *,
    overwrite: bool = False,
    progress: bool = False,
    resume: bool = False,
    append_dim: str | None = None,
    layout: str | None = None,
    shards: bool = False,
    zarr_format: int = 3,
    packed: Packed = False,
    keep_bits: KeepBits = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Write ``ds`` as a Zarr store whose chunks carry checksums: complete, or not there.

    It is written block by block; a block counts as done when the disk has all of it. In a folder
    it is written beside ``path``, as ``NAME.partial-ID``, and takes its name when it is complete. In
    an object store the metadata of its root comes last, and until then nobody finds a store there;
    nothing there keeps two programs from writing to one path at once. Missing text, None, is written
    as empty text, which NetCDF has in its place too.

    Parameters
    ----------
    ds : Dataset
        A result of hydroxr, lazy or not.
    path : path, URL, or store of zarr
        A folder; an address that fsspec knows, such as ``s3://bucket/run.zarr``; a store such as
        ``zarr.storage.ObjectStore``; the ``session.store`` of icechunk, in which a run is there for
        others when you commit the session (:mod:`hydroxr.storage.zarr.icechunk`).
    overwrite : bool
        Replace a store of that name: in a folder when the new one is complete. In an object store
        the keys are the same, so the old one is removed before the new one is written; a run that is
        still to be computed from it is refused.
    progress : bool
        Show a progress bar.
    resume : bool
        Go on with what an earlier call for the same run left there, and keep the finished blocks if
        this one ends early (with ``overwrite`` those of another run are given up). Names, shapes,
        attributes (the model's checksum among them), coordinates, the input's path and date, and what
        is done with a lazy simulation must be the same; values are not read again. A store that
        is complete is left as it is.
    append_dim : "time", optional
        Add the days of ``ds`` to the complete store at ``path``, with its layout and encoding.
        Others may go on reading: they see the days before, and from one moment on all of them. A
        call that was ended is finished by its repetition. Days must be of the very run that is stored or
        begin with a state of the day before, which is asked before anything is computed. Whether it is
        the store's own state is compared where run and store have all storages; with fewer variables,
        or an LSTM's, a state of that day with other water in it cannot be told from it.
    layout : {None, "series", "maps"}
        Chunks for reading whole time series of few cells or maps of few days, within the blocks of
        a lazy Dataset; ``None``: these blocks themselves, and "series" for data in memory.
    shards : bool
        One file a block and variable, which holds its chunks (Zarr format 3).
    zarr_format : {3, 2}
    packed : bool or dict
        Fluxes as integers to within 0.005 kg m-2 day-1 and states to 0.05 kg m-2; or the largest
        error by variable. It is written as ``packing_maximum_absolute_error``.
    keep_bits : int or dict, optional
        Bits of the mantissa that are kept, of all variables or by name; the relative error, at most
        2 ** -(keep_bits + 1), is written as ``quantization_maximum_relative_error``.
    storage_options : dict, optional
        Of fsspec, for a URL.

    Returns
    -------
    Path, or ``path`` where it is no folder's

    Raises
    ------
    StoreError
        Where ``path`` exists, is of another run, is being written, or writing fails.
    TimeAxisError, CoordinateError, StateError
        Where days to append do not follow, cells are others, or the water is.
    DescriptionError
        Where options do not go together, or a variable has a name that no file can have.
    """
    from .zarr.icechunk import append_transaction, write_transaction
    from .zarr.location import Place

    place = Place.of(path, storage_options)
    if append_dim is not None:
        from .zarr.append import append

        given = (overwrite, layout, shards, zarr_format, packed, keep_bits)
        as_it_is = given == (False, None, False, 3, False, None)
        (append_transaction if place.transactional else append)(
            ds, place, append_dim, as_it_is=as_it_is, progress=progress
        )
        return path if place.folder is None else place.folder
    from .zarr.run import Run, write_folder, write_object_store

    options = {"zarr_format": zarr_format, "packed": packed, "keep_bits": keep_bits}
    run = Run.of(ds, layout, shards, progress, **options)
    if place.folder is not None:
        return write_folder(run, place.folder, overwrite=overwrite, resume=resume)
    write = write_transaction if place.transactional else write_object_store
    write(run, place, overwrite=overwrite, resume=resume)
    return path


def replace(new: Path, target: Path) -> None:
    """Give ``new`` the name ``target``; a folder or file that has it goes only when that is done."""
    if not target.exists() or (target.is_file() and new.is_file()):
        os.replace(new, target)
        return
    old = target.with_name(f".{target.name}-{uuid4().hex}")
    target.rename(old)
    try:
        os.replace(new, target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old) if old.is_dir() else old.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder, where the system can say so."""
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a path under which no result can be written.

    Raises
    ------
    StoreError
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists; choose another path, or overwrite=True to replace it.")
    if target.is_dir() and not any((target / name).is_file() for name in ("zarr.json", ".zgroup")):
        raise StoreError(
            f"{target} is a folder and no Zarr store of hydroxr: it is not replaced. Choose another path."
        )


def _publish(target: Path, write: Callable[[Path], None], *, overwrite: bool, progress: bool) -> Path:
    check_target(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}{PARTIAL}{uuid4().hex}")
    try:
        folder.mkdir()
        with _progress(progress):
            write(folder / target.name)
        replace(folder / target.name, target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"{target} could not be written: {error}. Nothing of it is left.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


@contextmanager
def _progress(show: bool) -> Iterator[None]:
    if not show:
        yield
        return
    from dask.diagnostics import ProgressBar

    with ProgressBar():
        yield

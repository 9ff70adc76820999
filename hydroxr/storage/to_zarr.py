"""Writing results to NetCDF and Zarr: a file is complete, or it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from .packing import KeepBits, Packed


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

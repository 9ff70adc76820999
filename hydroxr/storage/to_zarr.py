"""Writing results to NetCDF and Zarr: a file is complete, or it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from ..errors import StoreError

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
    """Write ``ds`` as a Zarr store; see :meth:`hydroxr.accessor.HBVAccessor.to_zarr`."""
    from .target import check_target
    from .zarr.append import append
    from .zarr.icechunk import append_transaction, write_transaction
    from .zarr.location import Place
    from .zarr.run import ZarrRun, write_folder, write_object_store

    place = Place.of(path, storage_options)
    place.check_writable()
    if place.folder is not None:
        check_target(place.folder, overwrite=overwrite or resume or append_dim is not None)
    try:
        if append_dim is not None:
            given = (overwrite, layout, shards, zarr_format, packed, keep_bits)
            as_it_is = given == (False, None, False, 3, False, None)
            (append_transaction if place.transactional else append)(
                ds, place, append_dim, as_it_is=as_it_is, progress=progress
            )
            return path if place.folder is None else place.folder
        options = {"zarr_format": zarr_format, "packed": packed, "keep_bits": keep_bits}
        run = ZarrRun.of(ds, layout, shards, progress, **options)
        if place.folder is not None:
            return write_folder(run, place.folder, overwrite=overwrite, resume=resume)
        write = write_transaction if place.transactional else write_object_store
        write(run, place, overwrite=overwrite, resume=resume)
    except OSError as error:
        raise StoreError(
            f"{place.name} could not be written: {error}. open_run tells what is there; repeat the call when "
            "it can be written."
        ) from error
    return path

"""Write a result as a NetCDF file: complete, or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from ..conventions.cf import check_netcdf
from ..support.atomic import sync_file
from ..support.dask_graphs import own_threads
from .target import check_target, written_beside

if TYPE_CHECKING:
    from .packing import KeepBits, Packed


def to_netcdf(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: bool = False,
    packed: Packed = False,
    keep_bits: KeepBits = None,
) -> Path:
    """Write ``ds`` as a NetCDF file; see :meth:`hydroxr.accessor.HBVAccessor.to_netcdf`."""
    from dask.diagnostics import ProgressBar

    from .netcdf_digest import write_digest
    from .packing import to_write

    check_netcdf(ds)

    target = check_target(path, overwrite=overwrite)
    with written_beside(target, overwrite=overwrite) as temporary:
        with ProgressBar() if progress else nullcontext(), own_threads(), _disk_errors():
            out = to_write(ds, packed, keep_bits)
            compressed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
            encoding = {
                str(name): {**out[name].encoding, **compressed}
                for name in out.variables
                if out[name].ndim and (out[name].dtype.kind in "fiubM" or name in ("time", "time_bnds"))
            }
            out.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
            write_digest(temporary)
        sync_file(temporary)
    return target


@contextmanager
def _disk_errors() -> Iterator[None]:
    """The NetCDF library says with a RuntimeError that the disk is full."""
    try:
        yield
    except RuntimeError as error:
        if str(error).startswith("NetCDF: "):
            raise OSError(f"{error}; the disk may be full") from error
        raise

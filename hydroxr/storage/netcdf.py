"""Write a result as a NetCDF file: complete, or not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import xarray as xr

from ..conventions.cf import check_netcdf
from ..errors import StoreError
from ..support.atomic import remove_folder, replace, sync_file, sync_folder
from ..support.dask_graphs import own_threads
from .zarr.location import PARTIAL, check_target, remains

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
        sync_file(temporary)

    return _publish(Path(path), write, overwrite=overwrite, progress=progress)


def _publish(target: Path, write: Callable[[Path], None], *, overwrite: bool, progress: bool) -> Path:
    check_target(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}{PARTIAL}{uuid4().hex}")
    try:
        folder.mkdir()
        with _progress(progress), own_threads():
            write(folder / target.name)
        replace(folder / target.name, target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"{target} could not be written: {error}. {remains(folder)}") from error
    finally:
        remove_folder(folder)
    return target


@contextmanager
def _progress(show: bool) -> Iterator[None]:
    if not show:
        yield
        return
    from dask.diagnostics import ProgressBar

    with ProgressBar():
        yield

"""Writing results to NetCDF and Zarr: a file is complete, or it is not there."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import xarray as xr

from .cf import for_file
from .errors import StoreError

_PARTIAL = ".partial-"


def to_netcdf(
    ds: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False, progress: bool = False
) -> Path:
    """Write ``ds`` as a CF NetCDF-4 file, compressed.

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

    Raises
    ------
    StoreError
        Where ``path`` exists, or writing fails.
    """

    def write(temporary: Path) -> None:
        out = for_file(ds)
        encoding = {
            str(name): {**out[name].encoding, "zlib": True, "complevel": 1, "shuffle": True}
            for name in out.data_vars
            if out[name].dtype.kind in "fi" and out[name].ndim
        }
        out.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())

    return _publish(Path(path), write, overwrite=overwrite, progress=progress)


def to_zarr(
    ds: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False, progress: bool = False
) -> Path:
    """Write ``ds`` as a Zarr store (format 3) whose chunks carry checksums.

    Parameters, errors and the promise of completeness are those of :func:`to_netcdf`.
    """

    def write(temporary: Path) -> None:
        from zarr.codecs import ZstdCodec

        out = _evenly_chunked(for_file(ds))
        for name in [name for name, array in out.variables.items() if array.dtype.kind == "U"]:
            # Zarr 3 has a specification for text of any length, none for text of fixed length.
            out[name] = out[name].load().astype(object)
        encoding = {
            str(name): {**out[name].encoding, "compressors": (ZstdCodec(level=3, checksum=True),)}
            for name in out.variables
            if out[name].ndim
        }
        with warnings.catch_warnings():
            # Readers look for consolidated metadata first and warn where there is none; writers
            # are warned that format 3 does not specify it yet. A store without it opens as well.
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            out.to_zarr(temporary, mode="w-", zarr_format=3, consolidated=True, encoding=encoding)

    return _publish(Path(path), write, overwrite=overwrite, progress=progress)


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


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a path under which no result can be written.

    Raises
    ------
    StoreError
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists; choose another path, or overwrite=True to replace it.")
    if target.is_dir() and not (target / "zarr.json").is_file():
        raise StoreError(
            f"{target} is a folder and no Zarr store of hydroxr: it is not replaced. Choose another path."
        )


def _publish(target: Path, write: Callable[[Path], None], *, overwrite: bool, progress: bool) -> Path:
    check_target(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}{_PARTIAL}{uuid4().hex}")
    try:
        folder.mkdir()
        with _progress(progress):
            write(folder / target.name)
        replace(folder / target.name, target)
    except OSError as error:
        raise StoreError(f"{target} could not be written: {error}. Nothing of it is left.") from error
    finally:
        _remove(folder)
    return target


def _evenly_chunked(ds: xr.Dataset) -> xr.Dataset:
    """Zarr takes chunks of one size, of which only the last may be smaller."""
    chunks = ds.unify_chunks().chunks
    uneven = {
        dim: max(sizes) for dim, sizes in chunks.items() if len({*sizes[:-1]}) > 1 or sizes[-1] > sizes[0]
    }
    return ds.chunk(uneven) if uneven else ds


def _remove(folder: Path) -> None:
    """Remove a folder into which threads may still be writing what nobody waits for any more."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


@contextmanager
def _progress(show: bool) -> Iterator[None]:
    if not show:
        yield
        return
    from dask.diagnostics import ProgressBar

    with ProgressBar():
        yield

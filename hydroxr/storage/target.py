"""Where a result goes on this machine: written beside its name, and renamed when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ..errors import StoreError
from ..support.atomic import only_writer, publish, remove_folder, replace, sync_folder
from ..support.paths import local_path

PARTIAL = ".partial-"  # in the name of a folder in which something is written
_KEPT = "kept"  # the file in it that says that its content is complete, and its name was taken
_LOCK = "lock"


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """The absolute path of a result, if it may be written there.

    Raises
    ------
    TypeError
        If it is no path.
    StoreError
        If it is a URL, taken, or no path on this system.
    """
    target = local_path(path)
    try:
        if target.exists() and not overwrite:
            raise StoreError(f"{target} exists; choose another path, or overwrite=True to replace it.")
        if target.is_dir() and not any((target / name).is_file() for name in ("zarr.json", ".zgroup")):
            raise StoreError(
                f"{target} is a folder and no Zarr store of hydroxr: it is not replaced. Choose another path."
            )
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}. Choose another path.") from error
    return target


@contextmanager
def written_beside(
    target: Path, *, overwrite: bool, folder: Path | None = None, keep: bool = False
) -> Iterator[Path]:
    """Where to write what gets the name ``target`` when the block ends without an error.

    Parameters
    ----------
    target : Path
        Of :func:`check_target`.
    overwrite : bool
        Whether it replaces what has the name by then.
    folder : Path, optional
        The folder of an earlier call, to go on in.
    keep : bool
        Whether what is written is kept after an error.

    Raises
    ------
    StoreError
        If the disk refuses, another program is writing there, or has taken the name meanwhile: then what was
        written is kept.
    """
    done = False
    folder = folder or target.with_name(f"{target.name}{PARTIAL}{uuid4().hex[:12]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        with only_writer(folder / _LOCK, str(target)):
            yield folder / target.name
            try:
                if overwrite and target.exists():
                    replace(folder / target.name, check_target(target, overwrite=True))
                else:
                    publish(folder / target.name, target)
            except (FileExistsError, StoreError) as error:
                keep = True
                (folder / _KEPT).touch()
                raise StoreError(
                    f"{target} is there by now, written by another program, and is not replaced. This result "
                    f"is complete in {folder}: give {target.name} in it another name, or remove the folder."
                ) from error
            sync_folder(target.parent)
            done = True
    except OSError as error:
        raise StoreError(f"{target} could not be written: {error}. {_remains(folder, keep)}") from error
    finally:
        if done or not keep:  # another writer may be at work in it
            remove_folder(folder, busy=not done)
    tidy_beside(target)


def _remains(folder: Path, keep: bool) -> str:
    """Say in words what an ended write left, and remove it unless it is to be kept."""
    if keep and os.path.exists(folder):
        return f"What was written is in {folder}; resume=True goes on."
    if remove_folder(folder, busy=True):
        return "Nothing of it is left."
    return f"What was written is left in {folder}, which could not be removed; remove it."


def partial_folders(target: Path) -> list[Path]:
    """Folders in which a write to ``target`` is going on or was ended."""
    start = f"{target.name}{PARTIAL}"
    if not target.parent.is_dir():
        return []
    return sorted(path for path in target.parent.iterdir() if path.name.startswith(start) and path.is_dir())


def tidy_beside(target: Path) -> None:
    """Remove what earlier writes to ``target`` left, now that it is complete.

    What is being written stays, and so does what is complete.
    """
    for folder in partial_folders(target):
        if not (folder / _KEPT).exists():
            with suppress(StoreError, OSError), only_writer(folder / _LOCK, str(folder)):
                remove_folder(folder)

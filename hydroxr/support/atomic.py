"""Files that are whole or not there: written beside, flushed, renamed; and the lock of a writer."""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ..errors import StoreError

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_TRIES = 100  # to remove a folder, ten a second


def exchange(first: Path, second: Path) -> bool:
    """Swap the names of two folders or files in one step; False where the system cannot."""
    try:
        swap = ctypes.CDLL(None).renameat2  # of the GNU C library
    except (AttributeError, OSError, TypeError):
        return False
    given = (_HERE, os.fsencode(first.absolute()), _HERE, os.fsencode(second.absolute()), _EXCHANGE)
    return bool(swap(*given) == 0)


def replace(new: Path, target: Path) -> None:
    """Give ``new`` the name ``target``; a folder or file that has it goes only when that is done."""
    if not target.exists() or (target.is_file() and new.is_file()):
        os.replace(new, target)
        return
    if exchange(new, target):
        remove_folder(new) if new.is_dir() else new.unlink()
        return
    old = target.with_name(f".{target.name}-{uuid4().hex}")
    target.rename(old)
    try:
        os.replace(new, target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old) if old.is_dir() else old.unlink()


def publish(new: Path, target: Path) -> None:
    """Give ``new`` the name ``target``, which nothing has.

    Raises
    ------
    FileExistsError
        If something has it by now: it is not replaced.
    """
    try:
        if new.is_dir():
            new.rename(target)  # the system replaces nothing but an empty folder
            return
        os.link(new, target)
    except OSError:
        if os.path.lexists(target):
            raise FileExistsError(f"{target} exists") from None
        if new.is_dir():
            raise
        os.rename(new, target)  # a file system without links
        return
    new.unlink()


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder, where the system can say so."""
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_file(path: Path) -> None:
    """Wait until the disk has a file that another library wrote."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


UNFINISHED = ".partial"  # ends the temporary names, ours and zarr's


def write_file(path: Path, data: bytes) -> None:
    """Write and wait until the disk has it, so that a rename afterwards publishes whole files."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file whole, or not at all."""
    new = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        write_file(new, data.encode() if isinstance(data, str) else data)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def try_writing(folder: Path, size: int) -> None:
    """Write a file of ``size`` bytes into a folder and remove it; an OSError says what forbids that."""
    path = folder / f".space{UNFINISHED}"  # a fixed name, so that a killed trial does not leave several
    try:
        write_file(path, bytes(size))
    finally:
        path.unlink(missing_ok=True)


def put_files(values: Mapping[Path, bytes], root: Path) -> None:
    """Write files, each whole or not at all, and wait until the disk has them and their folders."""
    folders: set[Path] = set()
    pairs = []
    try:
        for path, value in values.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{uuid4().hex}{UNFINISHED}")
            pairs.append((temporary, path))
            write_file(temporary, value)
            folder = path.parent
            while folder not in folders and folder.is_relative_to(root):
                folders.add(folder)
                folder = folder.parent
        for temporary, path in pairs:
            os.replace(temporary, path)
    finally:
        for temporary, _ in pairs:
            temporary.unlink(missing_ok=True)
    for folder in folders:
        sync_folder(folder)


def remove_folder(folder: Path, *, busy: bool = False) -> bool:
    """Remove a folder, and say whether it is gone.

    Parameters
    ----------
    folder : Path
    busy : bool
        Whether a worker may still be writing into it: it is looked after for a second.
    """
    gone = 0
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        gone = 0 if os.path.exists(folder) else gone + 1
        if gone > (10 if busy else 0):
            break
        time.sleep(0.1)
    return not os.path.exists(folder)


@contextmanager
def only_writer(file: Path, what: str) -> Iterator[None]:
    """Hold a lock on a file or folder that the system gives back when the program ends, however it ends.

    Raises
    ------
    StoreError
        Where another program holds it. File systems without locks let everybody pass.
    """
    try:
        import fcntl
    except ImportError:  # there is none on Windows
        yield
        return
    flags = os.O_RDONLY if file.is_dir() else os.O_RDWR | os.O_APPEND | os.O_CREAT
    handle = os.open(file, flags, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{what} is being written by another program; wait for it, or choose another path."
            ) from error
        except OSError:
            pass
        yield
    finally:
        os.close(handle)

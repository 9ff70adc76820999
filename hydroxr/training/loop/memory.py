"""Memory that a training gives back and takes again, iteration after iteration."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt, from malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1  # bytes: the largest that mallopt takes
# What the library comes to by itself after large blocks were freed.
_USUAL_MMAP, _USUAL_TRIM = 32 * 2**20, 64 * 2**20


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, the C library keeps freed memory for the next tensors; afterwards the system gets it back.

    It would else return each large tensor to the system, which hands out the next one page by page, each
    filled with zeros: a fifth of the time of a training on a CPU. Nothing happens where the library is
    another one than GNU's.
    """
    library = _gnu_library()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _NEVER)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP)
        library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
        library.malloc_trim(0)


def _gnu_library() -> ctypes.CDLL | None:
    """The C library of the process, where it is GNU's."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
    names = ("gnu_get_libc_version", "mallopt", "malloc_trim")
    return library if all(hasattr(library, name) for name in names) else None

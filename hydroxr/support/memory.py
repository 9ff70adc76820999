"""Memory: what the machine has, and what an option allows."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from ..errors import DescriptionError


def bytes_of(memory: str | float) -> float:
    """Bytes that an option ``memory=`` allows: a number, or text such as "2GB".

    Raises
    ------
    DescriptionError
        Where it is no such thing.
    """
    from dask.utils import parse_bytes

    try:
        number = float(parse_bytes(memory))
    except (ValueError, TypeError, AttributeError) as error:
        raise DescriptionError(
            f"memory={memory!r} is not a size; expected a number of bytes, or text such as '2GB'."
        ) from error
    if not number > 0:
        raise DescriptionError(f"memory={memory!r}; expected more than nothing, such as '2GB'.")
    return number


@cache
def machine_memory() -> float:
    """Bytes that the machine has, or that the container may have."""
    import psutil

    limits = [float(psutil.virtual_memory().total)]
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(place).read_text().strip() if os.path.exists(place) else ""
        if text.isdigit():
            limits.append(float(text))
    return min(limits)


def size_text(number: float) -> str:
    """Bytes for a message: "1.5 GB"."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= scale:
            return f"{number / scale:.3g} {unit}"
    return f"{number / 1e3:.3g} kB"

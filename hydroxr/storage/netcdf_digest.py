"""A checksum of all that a NetCDF file holds: names, attributes and values, as they are stored.

HDF5 has checksums of chunks of numbers, and none of text, of what has no dimension, or of the index that
says where a chunk lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..conventions.attributes import DIGEST
from ..errors import DamagedStoreError
from ..support.checksums import blake2b_of, stable_json

_PART = 64 * 2**20  # bytes that are read at once


def write_digest(path: Path) -> None:
    """Read the file that was just written, and add its digest."""
    import netCDF4

    digest = file_digest(path)
    with netCDF4.Dataset(path, "a") as file:
        file.setncattr(DIGEST, digest)


def check_digest(path: Path) -> bool:
    """Compare a file with its digest; False where it has none, as files of an older hydroxr.

    Raises
    ------
    DamagedStoreError
        Where they differ.
    """
    import netCDF4

    with netCDF4.Dataset(path) as file:
        expected = _attrs(file).get(DIGEST)
    if expected is None:
        return False
    if file_digest(path) != expected:
        raise DamagedStoreError(
            f"{path} is not what was written: its checksum differs. It is damaged, or was changed by another "
            "program; copy it again."
        )
    return True


def file_digest(path: Path) -> str:
    """Digest of dimensions, attributes and values; errors are those of the NetCDF library."""
    return blake2b_of(_content(path))


def _content(path: Path) -> Iterator[str | bytes]:
    import netCDF4

    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        attrs = {key: value for key, value in _attrs(file).items() if key != DIGEST}
        sizes = {name: len(dim) for name, dim in file.dimensions.items()}
        yield stable_json([attrs, sizes])
        for name in sorted(file.variables):
            array = file[name]
            yield stable_json([name, str(array.dtype), array.dimensions, _attrs(array)])
            for part in _parts(array):
                text = part.dtype.kind in "OU"
                yield stable_json(part.tolist()) if text else np.ascontiguousarray(part).tobytes()


def _attrs(of: Any) -> dict[str, Any]:
    return {name: of.getncattr(name) for name in of.ncattrs()}


def _parts(array: Any) -> Iterator[np.ndarray]:
    """The values, as many whole chunks along the first dimension at once as fit."""
    if not array.ndim:
        yield np.asarray(array[...])
        return
    chunks = array.chunking()
    rows = 1 if isinstance(chunks, str) else chunks[0]
    size = rows * prod(array.shape[1:]) * getattr(array.dtype, "itemsize", 64)
    step = rows * max(1, _PART // max(1, size))
    for first in range(0, array.shape[0], step):
        yield np.asarray(array[first : first + step])

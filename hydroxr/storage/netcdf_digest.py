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

from ..conventions.attributes import DIGEST, deciding
from ..errors import DamagedStoreError, EditedStoreError
from ..support.checksums import blake2b_by_kind, stable_json

_PART = 64 * 2**20  # bytes that are read at once


def write_digest(path: Path) -> None:
    """Read the file that was just written, and add its digest."""
    import netCDF4

    digests = file_digests(path)
    with netCDF4.Dataset(path, "a") as file:
        file.setncattr(DIGEST, " ".join(digests))


def check_digest(path: Path) -> bool:
    """Compare a file with its digest; False where it has none, as files of an older hydroxr.

    Raises
    ------
    DamagedStoreError, EditedStoreError
        Where they differ; where all but attributes is the same.
    """
    import netCDF4

    with netCDF4.Dataset(path) as file:
        expected = _attrs(file).get(DIGEST)
    if expected is None:
        return False
    found = file_digests(path)
    whole, *values = str(expected).split()
    if found[0] != whole and values == [found[1]]:
        raise EditedStoreError(
            f"attributes of {path} are not what was written: another program edited them; all values are "
            "as they were. If that was on purpose, open it without verify."
        )
    if found[0] != whole:
        raise DamagedStoreError(
            f"{path} is not what was written: its checksum differs. It is damaged, or was changed by another "
            "program; copy it again."
        )
    return True


def file_digests(path: Path) -> list[str]:
    """Digest of dimensions, attributes and values, and one of all but attributes that decide on no value.

    Errors are those of the NetCDF library.
    """
    return blake2b_by_kind(_content(path), "av")


def _content(path: Path) -> Iterator[tuple[str | bytes, str]]:
    """Parts of the content, with "a" for all of it and "v" for what decides on values."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        attrs = {key: value for key, value in _attrs(file).items() if key != DIGEST}
        sizes = {name: len(dim) for name, dim in file.dimensions.items()}
        yield stable_json([attrs, sizes]), "a"
        for name in sorted(file.variables):
            array = file[name]
            attrs = _attrs(array)
            described = [name, str(array.dtype), array.dimensions]
            yield stable_json([*described, attrs]), "a"
            yield stable_json([*described, deciding(attrs)]), "v"
            for part in _parts(array):
                text = part.dtype.kind in "OU"
                yield stable_json(part.tolist()) if text else np.ascontiguousarray(part).tobytes(), "av"


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

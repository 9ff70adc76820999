"""Checksums: of values, of texts, of files. Every digest in the package is computed here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def without_secrets(address: str) -> str:
    """An address without user and password, and without its query, which may hold a signature or a key."""
    if "://" not in address:
        return address
    bare = re.sub(r"(?<=://)(?:[^@/]*@|[^@]*:[^@]*@)", "", address)
    return re.sub(r"[?#].*?(?=::|$)", "", bare)


def digest(values: np.ndarray) -> str:
    """Of the values of a coordinate, whatever the type that a store keeps them in."""
    array = np.asarray(values)
    if array.dtype.kind in "fiub":
        raw = np.ascontiguousarray(array, dtype="float64").tobytes()
        return _digest(f"{array.shape}")[:8] + hashlib.sha256(raw).hexdigest()[:24]
    return _digest("\n".join(map(str, array.ravel())))[:32]


def plain(value: Any) -> str:
    """A value as text that is the same in another program."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=_as_json)


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def sha256(*parts: str | bytes | memoryview) -> str:
    """SHA-256 of all parts one after the other, as 64 hexadecimal digits; text counts as UTF-8."""
    return sha256_of(parts)


def sha256_of(parts: Iterable[str | bytes | memoryview]) -> str:
    """As :func:`sha256`, of parts that are made one at a time."""
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part.encode() if isinstance(part, str) else part)
    return checksum.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_sources(*modules: ModuleType) -> str:
    """Checksum of the source files of modules.

    numba finds a kernel in its cache by the file that defines it and by what it closes over. A kernel
    that closes over this digest is compiled anew when the equations in another file change.
    """
    files = [Path(str(module.__file__)).read_bytes() for module in modules]
    return hashlib.sha256(b"".join(files)).hexdigest()

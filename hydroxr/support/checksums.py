"""Checksums of text, bytes, arrays and files. Every digest in the package is computed here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_SECRET = re.compile(
    r"\b((?:[\w-]*(?:passw(?:or)?d|passwd|token|secret|api[_-]?key|access[_-]?key|session)[\w-]*|pwd|sid)"
    r"[\"']?\s*[=:]\s*(?:bearer\s+)?)[^\s,;&]+",
    re.IGNORECASE,
)
Part = str | bytes | memoryview  # text counts as UTF-8


def sha256(*parts: Part) -> str:
    """SHA-256 of the parts one after another, as 64 hexadecimal digits."""
    return sha256_of(parts)


def sha256_of(parts: Iterable[Part]) -> str:
    """SHA-256 like :func:`sha256`, of parts that are computed one at a time."""
    return _hexdigest(hashlib.sha256(), parts)


def blake2b_of(parts: Iterable[Part]) -> str:
    """BLAKE2b of 128 bits of the parts one after another, as 32 hexadecimal digits; faster than SHA-256."""
    return _hexdigest(hashlib.blake2b(digest_size=16), parts)


def blake2b_by_kind(parts: Iterable[tuple[Part, str]], kinds: str) -> list[str]:
    """:func:`blake2b_of` of the parts of each kind, a letter; a part may be of several."""
    checksums = {kind: hashlib.blake2b(digest_size=16) for kind in kinds}
    for part, of in parts:
        for kind in of:
            checksums[kind].update(part.encode() if isinstance(part, str) else part)
    return [checksum.hexdigest() for checksum in checksums.values()]


def _hexdigest(checksum: Any, parts: Iterable[Part]) -> str:
    for part in parts:
        checksum.update(part.encode() if isinstance(part, str) else part)
    digits: str = checksum.hexdigest()
    return digits


def array_digest(values: np.ndarray) -> str:
    """Digest of the values of an array, 32 hexadecimal digits, independent of the type that stores them."""
    array = np.asarray(values)
    if array.dtype.kind in "fiub":
        raw = np.ascontiguousarray(array, dtype="float64").tobytes()
        return sha256(f"{array.shape}")[:8] + sha256(raw)[:24]
    return sha256("\n".join(map(str, array.ravel())))[:32]


def sources_digest(*modules: ModuleType) -> str:
    """Digest of the source files of modules.

    numba finds a kernel in its cache by the file that defines it and by the values it closes over. A
    kernel that closes over this digest is compiled again when an equation in another file changes.
    """
    return sha256_of(Path(str(module.__file__)).read_bytes() for module in modules)


def stable_json(value: Any) -> str:
    """JSON text of a value, identical in every program that writes it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=_as_json)


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def without_secrets(address: str) -> str:
    """An address without user, password and query, which may hold a signature or a key."""
    if "://" not in address:
        return address
    bare = re.sub(r"(?<=://)(?:[^@/]*@|[^@]*:[^@]*@)", "", address)
    return re.sub(r"[?#].*?(?=::|$)", "", bare)


def text_without_secrets(text: str) -> str:
    """Text whose addresses are :func:`without_secrets`, and whose passwords and tokens are stars."""
    text = re.sub(r"\S+://[^\s,;]+", lambda found: without_secrets(found[0]), text)
    return _SECRET.sub(r"\1***", text)

"""Paths of files and folders, as a user may give them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .checksums import without_secrets

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|:)")
_FILE = "file://"


def is_url(given: Any) -> bool:
    """Whether text names a place that is not a file system of this machine, such as ``s3://bucket/key``."""
    return isinstance(given, str) and not given.startswith(_FILE) and _URL.match(given) is not None


def local_path(given: str | os.PathLike[str], what: str = "path") -> Path:
    """The absolute path that a user means, with ``~`` expanded and symbolic links resolved.

    Workers of a cluster may have another working directory, so no relative path goes further.

    Parameters
    ----------
    given : str or path
        Also a ``file://`` URL.
    what : str
        The argument that messages name.

    Raises
    ------
    TypeError
        If ``given`` is neither text nor a path.
    StoreError
        If it is empty, or a URL of another machine.
    """
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(text, str):
        raise TypeError(f"{what} is a {type(given).__name__}: {given!r:.80}; expected text or a path.")
    if is_url(text):
        raise StoreError(
            f"{what}={without_secrets(text)!r} is a URL; expected a path on this machine. Write there, and "
            "copy the result."
        )
    if not text.strip() or "\0" in text:
        raise StoreError(f"{what}={text!r} is not a path; expected the name of a file or folder.")
    path = Path(text.removeprefix(_FILE))
    try:
        return Path(os.path.realpath(path.expanduser()))
    except (OSError, RuntimeError) as error:  # no such user
        raise StoreError(f"{what}={text!r} cannot be resolved: {error}.") from error

"""Options of numba for all compiled code, and compilation with its cache on disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba import njit

_LOG = logging.getLogger("hydroxr")
_PATIENCE = 2.0  # seconds; loading from the cache takes less

# The kernels round exactly as the reference in torch does: products and sums are not fused. Otherwise the
# two could take different sides of a kink when a quantity is 0 up to rounding, for example when snow
# holds exactly the water that it can.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"nsz"}}

INLINED: Any = {"forceinline": True, **OPTIONS}

inlined = njit(**INLINED)

# Inside a power or a logarithm, and where nothing has a kink, products and sums may be fused.
FUSED: dict[str, Any] = {**OPTIONS, "fastmath": {"nsz", "contract"}}

fused = njit(**{**INLINED, **FUSED})


def compile_cached(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a kernel that releases Python's lock, or load it from numba's cache on disk."""
    with said_if_long("hydroxr compiles its equations for this machine: up to a minute, only the first time"):
        try:
            return njit(signature, nogil=True, cache=True, **OPTIONS)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return njit(signature, nogil=True, **OPTIONS)(function)  # no writable folder for the cache


@contextmanager
def said_if_long(message: str, patience: float = _PATIENCE) -> Iterator[None]:
    """Log a warning, once in a process, if what is done inside takes more than ``patience`` seconds."""
    timer = threading.Timer(patience, _say_once, (message,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_said: set[str] = set()


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        _LOG.warning(message)

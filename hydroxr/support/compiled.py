"""Options of numba for all compiled code, and compilation with its cache on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

# The kernels round exactly as the reference in torch does: products and sums are not fused. Otherwise the
# two could take different sides of a kink when a quantity is 0 up to rounding, for example when snow
# holds exactly the water that it can.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"nsz"}}

INLINED: Any = {"forceinline": True, **OPTIONS}

inlined = njit(**INLINED)

# Inside a power or a logarithm, products and sums may be fused.
fused = njit(**{**INLINED, "fastmath": {"nsz", "contract"}})


def compile_cached(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a kernel that releases Python's lock, or load it from numba's cache on disk."""
    try:
        return njit(signature, nogil=True, cache=True, **OPTIONS)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return njit(signature, nogil=True, **OPTIONS)(function)  # no writable folder for the cache

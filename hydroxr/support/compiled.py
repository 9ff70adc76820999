"""Options of numba for every compiled kernel, and its cache on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

# The equations are rounded as the reference rounds them, so that both stand on the same side of a
# kink where a quantity is 0 but for rounding (snow that holds just the water it can). Within a power,
# products and sums are fused.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"nsz"}}

INLINED: Any = {"forceinline": True, **OPTIONS}

inlined = njit(**INLINED)


def compile_cached(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a kernel, which releases Python's lock, or take it from numba's cache on disk."""
    try:
        return njit(signature, nogil=True, cache=True, **OPTIONS)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return njit(signature, nogil=True, **OPTIONS)(function)  # no writable place on disk

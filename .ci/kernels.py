"""Compile all kernels into numba's cache, in two processes.

    python .ci/kernels.py [float32] [float64]

Without it, each process of the tests would compile them for itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from hydroxr.physics.cpu import convolution_kernels, kernels
from hydroxr.physics.rivers import kernels as river_kernels


def compile_all(kind: str, dtypes: Sequence[str]) -> None:
    """All ``forward`` or all ``backward`` kernels for these dtypes; rivers have float64 alone."""
    for dtype in dtypes:
        for with_network in (False, True):
            kernels.compiled(kind, dtype, with_network)
        convolution_kernels.compiled(kind, dtype)
    if "float64" in dtypes:
        river_kernels.compiled(kind)


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as processes:
        list(processes.map(partial(compile_all, dtypes=sys.argv[1:]), ("forward", "backward")))

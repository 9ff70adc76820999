"""Between a GPU thread and memory: packed arrays of values; imports numba.cuda."""

from __future__ import annotations

from ..equations import DAY_PARAMETERS
from .day import device

N_PARAMETERS = len(DAY_PARAMETERS)


@device
def load(values, source, chosen, start, step):  # type: ignore[no-untyped-def]
    """Read the values that the bits of ``chosen`` select from packed memory."""
    for i in range(N_PARAMETERS):
        if chosen >> i & 1:
            values[i] = source[start]
            start += step


@device
def save(values, target, chosen, start, step):  # type: ignore[no-untyped-def]
    for i in range(N_PARAMETERS):
        if chosen >> i & 1:
            target[start] = values[i]
            start += step


@device
def add(values, target, chosen, start, step):  # type: ignore[no-untyped-def]
    for i in range(N_PARAMETERS):
        if chosen >> i & 1:
            target[start] += values[i]
            start += step


@device
def five(source, start, step):  # type: ignore[no-untyped-def]
    """Read the values of the five stores."""
    a, b, c = source[start], source[start + step], source[start + 2 * step]
    return a, b, c, source[start + 3 * step], source[start + 4 * step]


@device
def put_five(values, target, start, step):  # type: ignore[no-untyped-def]
    target[start] = values[0]
    target[start + step] = values[1]
    target[start + 2 * step] = values[2]
    target[start + 3 * step] = values[3]
    target[start + 4 * step] = values[4]


@device
def fourteen(v):  # type: ignore[no-untyped-def]
    return v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13]


@device
def room_of(n_components):  # type: ignore[no-untyped-def]
    """Length of a cell in a row of the page: odd, so that threads that sum cells use different banks."""
    return n_components | 1

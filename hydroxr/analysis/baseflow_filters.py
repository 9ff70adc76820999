"""Compiled kernels of the baseflow filters; importing this module imports numba.

The kernels are serial and release the GIL, so that dask can run several at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..support.compiled import compile_cached, inlined


@inlined
def _pass(flow, target, start, stop, step, alpha):  # type: ignore[no-untyped-def]
    """One pass of the filter of Lyne and Hollick: ``target`` is ``flow`` less quick flow, at most ``flow``.

    The first value counts as quick flow entirely, as in the programs of Ladson et al. (2013).
    """
    quick = flow[start]
    target[start] = flow[start] - quick if quick > 0.0 else flow[start]
    before = flow[start]
    for day in range(start + step, stop, step):
        now = flow[day]
        quick = alpha * quick + 0.5 * (1.0 + alpha) * (now - before)
        target[day] = now - quick if quick > 0.0 else now
        before = now


@inlined
def _end_of_piece(row, first):  # type: ignore[no-untyped-def]
    """The day after the last one of the gapless piece that begins on ``first``."""
    day = first
    while day < len(row) and row[day] == row[day]:
        day += 1
    return day


def _lyne_hollick(flow, alpha, passes, reflect, baseflow):  # type: ignore[no-untyped-def]
    """Fill ``baseflow`` (cell, time) from ``flow`` (cell, time), each gapless piece on its own."""
    days = flow.shape[1]
    now, after = np.empty(days + 2 * reflect), np.empty(days + 2 * reflect)
    for cell in range(flow.shape[0]):
        row = flow[cell]
        first = 0
        while first < days:
            if row[first] != row[first]:
                baseflow[cell, first] = np.nan
                first += 1
                continue
            end = _end_of_piece(row, first)
            length = end - first
            mirrored = min(reflect, length - 1)
            total = length + 2 * mirrored
            for day in range(mirrored):
                now[day] = row[first + mirrored - day]
                now[mirrored + length + day] = row[end - 2 - day]
            for day in range(length):
                now[mirrored + day] = row[first + day]
            for turn in range(passes):
                if turn % 2 == 0:
                    _pass(now, after, 0, total, 1, alpha)
                else:
                    _pass(now, after, total - 1, -1, -1, alpha)
                now, after = after, now
            for day in range(length):
                baseflow[cell, first + day] = max(now[mirrored + day], 0.0)
            first = end


def _eckhardt(flow, recession, share, baseflow):  # type: ignore[no-untyped-def]
    """Fill ``baseflow`` (cell, time) from ``flow`` (cell, time), ``recession`` and ``share`` (cell)."""
    for cell in range(flow.shape[0]):
        a, most = recession[cell], share[cell]
        before = np.nan
        for day in range(flow.shape[1]):
            now = flow[cell, day]
            if now == now:
                if before == before:
                    mixed = (1.0 - most) * a * before + (1.0 - a) * most * now
                    before = min(mixed / (1.0 - a * most), now)
                else:
                    before = most * now if a == a else np.nan  # the first day of a piece
            else:
                before = np.nan
            baseflow[cell, day] = before


_FLOW = types.Array(types.float64, 2, "C", readonly=True)
_OUT = types.Array(types.float64, 2, "C")
_CELLS = types.Array(types.float64, 1, "C", readonly=True)


@cache
def lyne_hollick_kernel() -> Any:
    """Compiled on first use."""
    signature = types.void(_FLOW, types.float64, types.int64, types.int64, _OUT)
    return compile_cached(_lyne_hollick, signature)


@cache
def eckhardt_kernel() -> Any:
    """Compiled on first use."""
    return compile_cached(_eckhardt, types.void(_FLOW, _CELLS, _CELLS, _OUT))

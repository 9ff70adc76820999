"""The compiled kernels of :mod:`.convolution`; importing this imports numba.

The lanes of a row are neighbouring cells (:mod:`.slabs`). Some groups of cells make a *strip*. A kernel
takes a strip through chunks of days: it reads the rows of a chunk, convolves them in cache, and writes
the result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit, types

from ...support.checksums import sources_digest
from ...support.compiled import OPTIONS, compile_cached
from . import elementary, rows, slabs
from .rows import LANES, add_products, at, pointer_to, size_of
from .slabs import Part, entry, load_common, save_common

DAYS = 128  # per chunk

# Rows of the tables: arrays (time, space) or (lag, space). In the adjoint, RESULT and REST are cotangents.
SERIES, WEIGHTS, EARLIER, RESULT, REST = range(5)
D_SERIES, D_WEIGHTS = EARLIER, REST + 1


@njit(**OPTIONS)
def _load_days(table, row, like, begin, end, origin, number, part, rows):  # type: ignore[no-untyped-def]
    """Read days ``begin`` to ``end`` (exclusive) of an array that has ``number`` days from ``origin``."""
    first, last = max(begin, origin), min(end, origin + number)
    array = entry(table, row)
    if array[0] != 0 and first < last:
        place = (first - begin) * part.n_groups
        load_common(array, like, first - origin, last - first, part, rows, place, 1, 1.0)


@njit(**OPTIONS)
def _save_days(table, row, like, begin, end, origin, number, part, rows):  # type: ignore[no-untyped-def]
    """Write days ``begin`` to ``end`` (exclusive) of an array that has ``number`` days from ``origin``."""
    first, last = max(begin, origin), min(end, origin + number)
    array = entry(table, row)
    if array[0] != 0 and first < last:
        save_common(array, like, first - origin, last - first, part, rows, (first - begin) * part.n_groups)


@njit(**OPTIONS)
def _clear(rows, number):  # type: ignore[no-untyped-def]
    for i in range(number * LANES):
        rows[i] = 0.0


@njit(**OPTIONS)
def _strip(index, groups, width):  # type: ignore[no-untyped-def]
    first = index * groups
    number = min(groups, (width + LANES - 1) // LANES - first)
    return Part(first, min(width - first * LANES, number * LANES), number, 1, 1)


def _make_forward(sources: str) -> Callable[..., None]:
    def forward(like, scratch, tables, n_days, n_rest, n_earlier, lags, width, groups, first, last):  # type: ignore[no-untyped-def]
        """Convolve strips ``first`` to ``last`` (exclusive); days after ``n_days`` go to the rest.

        Weights are in descending order of lag.
        """
        assert len(sources) > 0
        table = pointer_to(tables)
        step = groups * LANES
        weights = at(scratch.ctypes.data, like)
        series = at(scratch.ctypes.data + lags * step * size_of(like), like)
        result = at(scratch.ctypes.data + (2 * lags + DAYS) * step * size_of(like), like)
        for index in range(first, last):
            part = _strip(index, groups, width)
            step = part.n_groups * LANES
            load_common(entry(table, WEIGHTS), like, 0, lags, part, weights, 0, 1, 1.0)
            for begin in range(0, n_days + n_rest, DAYS):
                days = min(DAYS, n_days + n_rest - begin)
                _clear(series, (days + lags) * part.n_groups)
                _clear(result, days * part.n_groups)
                before, end = begin - lags + 1, begin + days
                _load_days(table, SERIES, like, before, end, 0, n_days, part, series)
                _load_days(table, EARLIER, like, begin, end, 0, n_earlier, part, result)
                for i in range(0, days * step, LANES):
                    add_products(series, i, weights, i % step, step, lags, result, i)
                _save_days(table, RESULT, like, begin, end, 0, n_days, part, result)
                _save_days(table, REST, like, begin, end, n_days, n_rest, part, result)

    return forward


def _make_backward(sources: str) -> Callable[..., None]:
    def backward(like, scratch, tables, n_days, n_rest, n_earlier, lags, width, groups, first, last):  # type: ignore[no-untyped-def]
        """The adjoint. Weights and their cotangents are in ascending order of lag."""
        assert len(sources) > 0
        table = pointer_to(tables)
        step, size = groups * LANES, groups * LANES * size_of(like)
        weights = at(scratch.ctypes.data, like)
        sums = at(scratch.ctypes.data + lags * size, like)
        cotangents = at(scratch.ctypes.data + 2 * lags * size, like)
        series = at(scratch.ctypes.data + (3 * lags + DAYS) * size, like)
        for index in range(first, last):
            part = _strip(index, groups, width)
            step = part.n_groups * LANES
            load_common(entry(table, WEIGHTS), like, 0, lags, part, weights, 0, 1, 1.0)
            _clear(sums, lags * part.n_groups)
            for begin in range(0, n_days, DAYS):
                days = min(DAYS, n_days - begin)
                end = begin + days + lags - 1
                _clear(cotangents, (days + lags) * part.n_groups)
                _load_days(table, RESULT, like, begin, end, 0, n_days, part, cotangents)
                _load_days(table, REST, like, begin, end, n_days, n_rest, part, cotangents)
                if entry(table, D_WEIGHTS)[0] != 0:
                    _load_days(table, SERIES, like, begin, begin + days, 0, n_days, part, series)
                    for i in range(0, lags * step, LANES):
                        add_products(cotangents, i, series, i % step, step, days, sums, i)
                if entry(table, D_SERIES)[0] != 0:
                    _clear(series, days * part.n_groups)
                    for i in range(0, days * step, LANES):
                        add_products(cotangents, i, weights, i % step, step, lags, series, i)
                    _save_days(table, D_SERIES, like, begin, begin + days, 0, n_days, part, series)
            _save_days(table, D_WEIGHTS, like, 0, lags, 0, lags, part, sums)

    return backward


_SOURCES = (elementary, rows, slabs)


def scratch_size(lags: int, groups: int) -> int:
    """Length of the scratch memory of a kernel, in numbers."""
    return LANES * groups * (4 * lags + 2 * DAYS)


@cache
def compiled(kind: str, dtype: str) -> Any:
    """The ``forward`` or ``backward`` kernel for float32 or float64, from numba's cache if possible."""
    number = types.float64 if dtype == "float64" else types.float32
    arrays = (types.Array(number, 1, "C"), types.Array(types.int64, 2, "C"))
    signature = types.void(number, *arrays, *(types.int64,) * 8)
    make = _make_forward if kind == "forward" else _make_backward
    return compile_cached(make(sources_digest(*_SOURCES, sys.modules[__name__])), signature)

"""The compiled kernels of :mod:`hydroxr.physics.rivers.routing`; importing this imports numba.

Reaches are taken in their routing order (:func:`.topology.routing_order`), and each goes through a chunk of
days before the next begins. The series that wait for a confluence stay in the processor's cache.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ...support.compiled import OPTIONS, compile_cached, inlined
from .scheme import DAY


@inlined
def outflow(inflow, storage, direct, release):  # type: ignore[no-untyped-def]
    """Mean outflow of a section in a step; its storage changes by the difference times the step.

    With Muskingum's coefficients this is ``O2 = C0 I2 + C1 I1 + C2 O1`` of means over steps, because
    ``C1 I1 + C2 O1`` is the storage times :func:`.coefficients.coefficients`' ``release``.
    """
    return direct * inflow + release * storage


@njit(**OPTIONS)
def _decay(values, length, last, keeps, before):  # type: ignore[no-untyped-def]
    """``last = keeps * last + value`` for each value; ``before`` gets what it was before each.

    Four at a time, since otherwise each would wait for the one before.
    """
    square = keeps * keeps
    cube = square * keeps
    fourth = square * square
    place = 0
    while place + 4 <= length:
        one, two, three, four = values[place], values[place + 1], values[place + 2], values[place + 3]
        second = keeps * one + two
        before[place] = last
        before[place + 1] = keeps * last + one
        before[place + 2] = square * last + second
        before[place + 3] = cube * last + (keeps * second + three)
        last = fourth * last + (square * second + (keeps * three + four))
        place += 4
    while place < length:
        value = values[place]
        before[place] = last
        last = keeps * last + value
        place += 1
    return last


@njit(**OPTIONS)
def _section(series, days, steps, direct, release, storage, totals, held):  # type: ignore[no-untyped-def]
    """Send a series through a section, in place; return the storage after it.

    ``held`` gets the storage before each step, ``totals`` that of the end of each day in addition.
    """
    length = days * steps
    step = DAY / steps
    keeps, gains = 1.0 - step * release, step * (1.0 - direct)
    for place in range(length):
        held[place] = gains * series[place]
    last = _decay(held, length, storage, keeps, held)
    for place in range(length):
        series[place] = outflow(series[place], held[place], direct, release)
    for day in range(1, days):
        totals[day - 1] += held[day * steps]
    totals[days - 1] += last
    return last


@njit(**OPTIONS)
def _section_adjoint(series, days, steps, row, d_storage, d_stored, inflow, storage, scratch, sums):  # type: ignore[no-untyped-def]
    """Replace the cotangents of the outflow by those of the inflow; return that of the first storage."""
    direct, release = row
    length = days * steps
    step = DAY / steps
    last = length - 1
    for place in range(length):  # backwards in time
        scratch[place] = release * series[last - place]
    for day in range(days - 1):
        scratch[length - 1 - (day + 1) * steps] += d_stored[day]
    first = _decay(scratch, length, d_storage + d_stored[days - 1], 1.0 - step * release, scratch)
    d_direct, d_release = 0.0, 0.0
    for place in range(length):
        d_after = scratch[last - place]
        d_out = series[place] - step * d_after
        d_direct += inflow[place] * d_out
        d_release += storage[place] * d_out
        series[place] = direct * d_out + step * d_after
    sums[0] += d_direct
    sums[1] += d_release
    return first


@njit(**OPTIONS)
def _hand_on(source, target, days, steps, target_steps, add, mean):  # type: ignore[no-untyped-def]
    """Resample a series to the steps of another and set or add it.

    Where the target has fewer steps they get the mean, or the sum as the adjoint of a repetition. Where
    it has more, each gets the value, or its share as the adjoint of a mean.
    """
    if not add:
        for place in range(days * target_steps):
            target[place] = 0.0
    if steps == target_steps:
        for place in range(days * steps):
            target[place] += source[place]
    elif steps > target_steps:
        ratio = steps // target_steps
        factor = 1.0 / ratio if mean else 1.0
        for part in range(ratio):
            for place in range(days * target_steps):
                target[place] += factor * source[place * ratio + part]
    else:
        ratio = target_steps // steps
        factor = 1.0 if mean else 1.0 / ratio
        for part in range(ratio):
            for place in range(days * steps):
                target[place * ratio + part] += factor * source[place]


@njit(**OPTIONS)
def _chunk(lateral, storage, plan, outside, results, work, span, kept, ends):  # type: ignore[no-untyped-def]
    """Take all reaches through the days of ``span``; ``kept`` records inflow and storage of sections."""
    coefficients, tree, order = plan
    steps, sections, nodes, downstream, place, record = tree
    given, taken = outside
    discharge, stored = results
    begin, days, written = span
    recording = kept.shape[1] > 0
    slot = np.full(len(steps), -1, dtype=np.int64)
    free = np.arange(1, len(work))  # the first row is for the section in hand
    left = len(free)
    for reach in order:
        size = steps[reach]
        length = days * size
        ends[0, reach] = slot[reach] < 0
        if ends[0, reach]:
            left -= 1
            slot[reach] = free[left]
        series = work[slot[reach], :length]
        first = place[reach] + begin * size
        if reach >= len(lateral):  # water from another part of the network
            series[:] = given[first : first + length]
        else:
            _hand_on(lateral[reach, begin : begin + days], series, days, 1, size, not ends[0, reach], True)
            totals = stored[reach, written : written + days]
            totals[:] = 0.0
            for node in range(nodes[reach], nodes[reach] + sections[reach]):
                held = work[0]
                if recording:
                    at = record[reach] + (node - nodes[reach]) * length
                    held = kept[1, at : at + length]
                    kept[0, at : at + length] = series
                direct, release = coefficients[0, reach], coefficients[1, reach]
                storage[node] = _section(series, days, size, direct, release, storage[node], totals, held)
            _hand_on(series, discharge[reach, written : written + days], days, size, 1, False, True)
            if place[reach] >= 0:
                taken[first : first + length] = series
        below = downstream[reach]
        if below >= 0:
            ends[1, reach] = slot[below] < 0
            if ends[1, reach]:
                left -= 1
                slot[below] = free[left]
            _hand_on(series, work[slot[below]], days, size, steps[below], not ends[1, reach], True)
        free[left] = slot[reach]
        left += 1


@njit(**OPTIONS)
def _chunk_adjoint(cotangents, plan, work, span, kept, ends, d_storage, gradients):  # type: ignore[no-untyped-def]
    """The adjoint of :func:`_chunk`, which has filled ``kept`` and ``ends``."""
    coefficients, tree, order = plan
    steps, sections, nodes, downstream, place, record = tree
    d_discharge, d_stored, d_taken = cotangents
    d_lateral, d_coefficients, d_given = gradients
    begin, days, _ = span
    slot = np.full(len(steps), -1, dtype=np.int64)
    free = np.arange(1, len(work))  # the first row is for the section in hand
    left = len(free)
    for reach in order[::-1]:
        size = steps[reach]
        length = days * size
        left -= 1
        slot[reach] = free[left]
        series = work[slot[reach], :length]
        below = downstream[reach]
        if below >= 0:
            _hand_on(work[slot[below]], series, days, steps[below], size, False, False)
            if ends[1, reach]:  # the last that needs it
                free[left] = slot[below]
                left += 1
        else:
            series[:] = 0.0
        first = place[reach] + begin * size
        if reach >= len(d_lateral):
            d_given[first : first + length] = series
        else:
            if place[reach] >= 0:
                series += d_taken[first : first + length]
            _hand_on(d_discharge[reach, begin : begin + days], series, days, 1, size, True, False)
            for node in range(nodes[reach] + sections[reach] - 1, nodes[reach] - 1, -1):
                at = record[reach] + (node - nodes[reach]) * length
                d_storage[node] = _section_adjoint(
                    series,
                    days,
                    size,
                    (coefficients[0, reach], coefficients[1, reach]),
                    d_storage[node],
                    d_stored[reach, begin : begin + days],
                    kept[0, at : at + length],
                    kept[1, at : at + length],
                    work[0],
                    d_coefficients[:, reach],
                )
            _hand_on(series, d_lateral[reach, begin : begin + days], days, size, 1, False, False)
        if ends[0, reach]:
            free[left] = slot[reach]
            left += 1


def forward(lateral, storage, plan, outside, results, work, chunk, checkpoints):  # type: ignore[no-untyped-def]
    """Route all days. ``storage`` becomes that of the last day; ``checkpoints`` get it before each chunk."""
    nothing = np.zeros((2, 0))
    ends = np.zeros((2, len(plan[2])), dtype=np.bool_)
    n_days = lateral.shape[1]
    for begin in range(0, n_days, chunk):
        if len(checkpoints):
            checkpoints[begin // chunk] = storage
        span = (begin, min(chunk, n_days - begin), begin)
        _chunk(lateral, storage, plan, outside, results, work, span, nothing, ends)


def backward(lateral, checkpoints, plan, given, work, chunk, n_kept, cotangents, d_storage, gradients):  # type: ignore[no-untyped-def]
    """The adjoint. Each chunk runs again to have its inflows and storages, the last chunk first."""
    kept = np.empty((2, n_kept))
    ends = np.zeros((2, len(plan[2])), dtype=np.bool_)
    results = (np.empty((len(lateral), chunk)), np.empty((len(lateral), chunk)))
    outside = (given, np.empty(len(cotangents[2])))
    n_days = lateral.shape[1]
    for number in range(len(checkpoints) - 1, -1, -1):
        begin = number * chunk
        span = (begin, min(chunk, n_days - begin), 0)
        _chunk(lateral, checkpoints[number].copy(), plan, outside, results, work, span, kept, ends)
        _chunk_adjoint(cotangents, plan, work, span, kept, ends, d_storage, gradients)


@cache
def compiled(kind: str) -> Any:
    """The ``forward`` or ``backward`` kernel, from numba's cache if possible."""
    line, table, number = types.float64[::1], types.float64[:, ::1], types.int64
    whole = types.int64[::1]
    plan = types.Tuple((table, types.UniTuple(whole, 6), whole))
    if kind == "forward":
        lines, tables = types.UniTuple(line, 2), types.UniTuple(table, 2)
        forwards = types.void(table, line, plan, lines, tables, table, number, table)
        return compile_cached(forward, forwards)
    three = types.Tuple((table, table, line))
    backwards = types.void(table, table, plan, line, table, number, number, three, line, three)
    return compile_cached(backward, backwards)

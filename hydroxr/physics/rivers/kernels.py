"""The compiled kernels of :mod:`hydroxr.physics.rivers.routing`; importing this imports numba.

Reaches are taken in their routing order (:func:`.topology.routing_order`), and each goes through a chunk of
days before the next begins. The series that wait for a confluence stay in the processor's cache.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ...support.compiled import FUSED, compile_cached, fused
from .scheme import DAY


@fused
def outflow(inflow, storage, direct, release):  # type: ignore[no-untyped-def]
    """Mean outflow of a section in a step; its storage changes by the difference times the step.

    With Muskingum's coefficients this is ``O2 = C0 I2 + C1 I1 + C2 O1`` of means over steps, because
    ``C1 I1 + C2 O1`` is the storage times :func:`.coefficients.coefficients`' ``release``.
    """
    return direct * inflow + release * storage


@fused
def _decay(last, keeps, one, two, three, four):  # type: ignore[no-untyped-def]
    """``last = keeps * last + value`` for four values; what it was before each but the first, and after.

    Written so that none waits for the one before.
    """
    square = keeps * keeps
    both, later = keeps * one + two, keeps * three + four
    return (
        keeps * last + one,
        square * last + both,
        square * keeps * last + (keeps * both + three),
        square * square * last + (square * both + later),
    )


@njit(**FUSED)
def _section(series, days, steps, direct, release, storage, totals, held):  # type: ignore[no-untyped-def]
    """Send a series through a section, in place; return the storage after it.

    ``held`` gets the storage before each step, ``totals`` that of the end of each day in addition.
    """
    length = days * steps
    step = DAY / steps
    keeps, gains = 1.0 - step * release, step * (1.0 - direct)
    last = storage
    place = 0
    while place + 4 <= length:
        one, two, three, four = series[place], series[place + 1], series[place + 2], series[place + 3]
        after = _decay(last, keeps, gains * one, gains * two, gains * three, gains * four)
        held[place] = last
        held[place + 1] = after[0]
        held[place + 2] = after[1]
        held[place + 3] = after[2]
        series[place] = outflow(one, last, direct, release)
        series[place + 1] = outflow(two, after[0], direct, release)
        series[place + 2] = outflow(three, after[1], direct, release)
        series[place + 3] = outflow(four, after[2], direct, release)
        last = after[3]
        place += 4
    while place < length:
        value = series[place]
        held[place] = last
        series[place] = outflow(value, last, direct, release)
        last = keeps * last + gains * value
        place += 1
    for day in range(1, days):
        totals[day - 1] += held[day * steps]
    totals[days - 1] += last
    return last


@njit(**FUSED)
def _storages(inflow, length, steps, direct, release, storage, held):  # type: ignore[no-untyped-def]
    """``held`` of :func:`_section` again."""
    step = DAY / steps
    keeps, gains = 1.0 - step * release, step * (1.0 - direct)
    last = storage
    place = 0
    while place + 4 <= length:
        held[place] = last
        held[place + 1], held[place + 2], held[place + 3], last = _decay(
            last,
            keeps,
            gains * inflow[place],
            gains * inflow[place + 1],
            gains * inflow[place + 2],
            gains * inflow[place + 3],
        )
        place += 4
    while place < length:
        held[place] = last
        last = keeps * last + gains * inflow[place]
        place += 1


@njit(**FUSED)
def _section_adjoint(series, days, steps, row, d_storage, d_stored, inflow, held, scratch, sums):  # type: ignore[no-untyped-def]
    """Replace the cotangents of the outflow by those of the inflow; return that of the first storage."""
    direct, release = row
    length = days * steps
    step = DAY / steps
    keeps = 1.0 - step * release
    last = d_storage + d_stored[days - 1]
    for place in range(length):
        scratch[place] = release * series[place]
    for day in range(1, days):
        scratch[day * steps] += d_stored[day - 1]
    place = length
    while place >= 4:  # backwards in time
        place -= 4
        four, three, two, one = scratch[place], scratch[place + 1], scratch[place + 2], scratch[place + 3]
        after = _decay(last, keeps, one, two, three, four)
        scratch[place + 3] = last
        scratch[place + 2] = after[0]
        scratch[place + 1] = after[1]
        scratch[place] = after[2]
        last = after[3]
    while place > 0:
        place -= 1
        value = scratch[place]
        scratch[place] = last
        last = keeps * last + value
    _through_outflow(series, scratch, inflow, held, direct, step, sums)
    return last


@njit(**{**FUSED, "fastmath": {*FUSED["fastmath"], "reassoc"}})  # sums of several lanes at once
def _through_outflow(series, d_after, inflow, held, direct, step, sums):  # type: ignore[no-untyped-def]
    """The adjoint of :func:`outflow` for a whole series."""
    d_direct, d_release = 0.0, 0.0
    for place in range(len(series)):
        d_stored = step * d_after[place]
        d_out = series[place] - d_stored
        d_direct += inflow[place] * d_out
        d_release += held[place] * d_out
        series[place] = direct * d_out + d_stored
    sums[0] += d_direct
    sums[1] += d_release


@njit(**FUSED)
def _repeat(source, target, days, ratio, add, factor):  # type: ignore[no-untyped-def]
    """Set or add each value, times a factor, to ``ratio`` places of the target."""
    if ratio == 1:
        if add:
            for day in range(days):
                target[day] += factor * source[day]
        else:
            for day in range(days):
                target[day] = factor * source[day]
        return
    place = 0
    for day in range(days):
        value = factor * source[day]
        if add:
            for part in range(place, place + ratio):
                target[part] += value
        else:
            for part in range(place, place + ratio):
                target[part] = value
        place += ratio


@njit(**FUSED)
def _gather(source, target, days, ratio, add, factor):  # type: ignore[no-untyped-def]
    """Set or add the sum of ``ratio`` values of the source, times a factor."""
    if ratio == 1:
        _repeat(source, target, days, 1, add, factor)
        return
    place = 0
    for day in range(days):
        total = 0.0
        for part in range(place, place + ratio, 2):  # a power of two
            total += source[part] + source[part + 1]
        place += ratio
        target[day] = factor * total + (target[day] if add else 0.0)


@njit(**FUSED)
def _hand_on(source, target, days, steps, target_steps, add, mean):  # type: ignore[no-untyped-def]
    """Resample a series to the steps of another and set or add it.

    Where the target has fewer steps they get the mean, or the sum as the adjoint of a repetition. Where
    it has more, each gets the value, or its share as the adjoint of a mean.
    """
    if steps <= target_steps:
        ratio = target_steps // steps
        _repeat(source, target, days * steps, ratio, add, 1.0 if mean else 1.0 / ratio)
    else:
        ratio = steps // target_steps
        _gather(source, target, days * target_steps, ratio, add, 1.0 / ratio if mean else 1.0)


@njit(**FUSED)
def _chunk(lateral, storage, plan, outside, results, work, span, kept):  # type: ignore[no-untyped-def]
    """Take all reaches through the days of ``span``; ``kept`` records the inflow of sections."""
    coefficients, tree, (fresh, leads) = plan
    order, steps, sections, nodes, downstream, place, record = tree
    given, taken = outside
    discharge, stored = results
    begin, days, written = span
    recording = len(kept) > 0
    slot = np.full(len(steps), -1, dtype=np.int64)
    free = np.arange(1, len(work))  # the first row is for the section in hand
    left = len(free)
    for reach in order:
        size = steps[reach]
        length = days * size
        if fresh[reach]:
            left -= 1
            slot[reach] = free[left]
        series = work[slot[reach], :length]
        first = place[reach] + begin * size
        if reach >= len(lateral):  # water from another part of the network
            series[:] = given[first : first + length]
        else:
            _hand_on(lateral[reach, begin : begin + days], series, days, 1, size, not fresh[reach], True)
            out = min(reach, len(discharge) - 1)  # a single row if nobody wants them
            totals = stored[out, written : written + days]
            totals[:] = 0.0
            direct, release = coefficients[0, reach], coefficients[1, reach]
            for number in range(sections[reach]):
                node = nodes[reach] + number
                if recording:
                    at = record[reach] + number * length
                    kept[at : at + length] = series
                storage[node] = _section(series, days, size, direct, release, storage[node], totals, work[0])
            _hand_on(series, discharge[out, written : written + days], days, size, 1, False, True)
            if place[reach] >= 0:
                taken[first : first + length] = series
        below = downstream[reach]
        if below >= 0:
            if leads[reach] and steps[below] == size:
                slot[below] = slot[reach]  # it goes on as it is
                continue
            if leads[reach]:
                left -= 1
                slot[below] = free[left]
            _hand_on(series, work[slot[below]], days, size, steps[below], not leads[reach], True)
        free[left] = slot[reach]
        left += 1


@njit(**FUSED)
def _chunk_adjoint(cotangents, plan, work, span, kept, storage, d_storage, gradients):  # type: ignore[no-untyped-def]
    """The adjoint of :func:`_chunk`, which has filled ``kept``; ``storage`` is that before the chunk."""
    coefficients, tree, (fresh, leads) = plan
    order, steps, sections, nodes, downstream, place, record = tree
    d_discharge, d_stored, d_taken = cotangents
    d_lateral, d_coefficients, d_given = gradients
    begin, days, _ = span
    slot = np.full(len(steps), -1, dtype=np.int64)
    free = np.arange(2, len(work))  # the first rows are for the section in hand
    left = len(free)
    for reach in order[::-1]:
        size = steps[reach]
        length = days * size
        below = downstream[reach]
        if below >= 0 and leads[reach] and steps[below] == size:
            slot[reach] = slot[below]
        else:
            left -= 1
            slot[reach] = free[left]
        series = work[slot[reach], :length]
        if below < 0:
            series[:] = 0.0
        elif slot[reach] != slot[below]:
            _hand_on(work[slot[below]], series, days, steps[below], size, False, False)
            if leads[reach]:  # the last that needs it
                free[left] = slot[below]
                left += 1
        first = place[reach] + begin * size
        if reach >= len(d_lateral):
            d_given[first : first + length] = series
        else:
            if place[reach] >= 0:
                series += d_taken[first : first + length]
            _hand_on(d_discharge[reach, begin : begin + days], series, days, 1, size, True, False)
            row = (coefficients[0, reach], coefficients[1, reach])
            for number in range(sections[reach] - 1, -1, -1):
                node = nodes[reach] + number
                at = record[reach] + number * length
                inflow = kept[at : at + length]
                _storages(inflow, length, size, row[0], row[1], storage[node], work[0])
                d_storage[node] = _section_adjoint(
                    series,
                    days,
                    size,
                    row,
                    d_storage[node],
                    d_stored[reach, begin : begin + days],
                    inflow,
                    work[0],
                    work[1],
                    d_coefficients[:, reach],
                )
            _hand_on(series, d_lateral[reach, begin : begin + days], days, size, 1, False, False)
        if fresh[reach]:
            free[left] = slot[reach]
            left += 1


def forward(lateral, storage, plan, outside, results, work, chunk, checkpoints, kept):  # type: ignore[no-untyped-def]
    """Route all days. ``storage`` becomes that of the last day; ``checkpoints`` get it before each chunk.

    ``kept`` has a row per chunk, without columns if inflows are not to be recorded.
    """
    n_days = lateral.shape[1]
    for number in range(len(kept)):
        begin = number * chunk
        if len(checkpoints):
            checkpoints[number] = storage
        span = (begin, min(chunk, n_days - begin), begin)
        _chunk(lateral, storage, plan, outside, results, work, span, kept[number])


def backward(lateral, checkpoints, plan, given, work, chunk, kept, again, cotangents, d_storage, gradients):  # type: ignore[no-untyped-def]
    """The adjoint, the last chunk first.

    ``kept`` has what ``forward`` recorded; or a single row for chunks that run ``again``.
    """
    results = (np.empty((1, chunk)), np.empty((1, chunk)))
    outside = (given, np.empty(len(cotangents[2])))
    n_days = lateral.shape[1]
    for number in range(len(checkpoints) - 1, -1, -1):
        begin = number * chunk
        span = (begin, min(chunk, n_days - begin), 0)
        record = kept[min(number, len(kept) - 1)]
        if again:
            _chunk(lateral, checkpoints[number].copy(), plan, outside, results, work, span, record)
        _chunk_adjoint(cotangents, plan, work, span, record, checkpoints[number], d_storage, gradients)


@cache
def compiled(kind: str) -> Any:
    """The ``forward`` or ``backward`` kernel, from numba's cache if possible."""
    line, table, number = types.float64[::1], types.float64[:, ::1], types.int64
    plan = types.Tuple((table, types.UniTuple(types.int64[::1], 7), types.UniTuple(types.bool_[::1], 2)))
    if kind == "forward":
        lines, tables = types.UniTuple(line, 2), types.UniTuple(table, 2)
        forwards = types.void(table, line, plan, lines, tables, table, number, table, table)
        return compile_cached(forward, forwards)
    three = types.Tuple((table, table, line))
    backwards = types.void(table, table, plan, line, table, number, table, types.bool_, three, line, three)
    return compile_cached(backward, backwards)

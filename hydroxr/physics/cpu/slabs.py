"""Slabs: the working memory of the compiled kernels, and transfers to and from the caller's memory.

A *lane* is one component of one cell. ``LANES`` lanes make a *slab*: an array (row, lane) with the
stores, parameters and fluxes of a day, and the cotangents in the adjoint. Slabs make a *group*. The
strides that the caller gives decide between two arrangements:

- The lanes of a slab are the same component of several cells; a group has one slab per component.
- The lanes of a slab are several components of one cell; a group is one cell.

Values that the slabs of a group share (weather, means over components) are one row per group.

A table holds the address and the strides (in elements) of each of the caller's arrays, one row per
array (:data:`TABLE_COLUMNS`). So arrays can have any layout, and a stride of 0 repeats values over days
or components without a copy.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ...support.compiled import OPTIONS, inlined
from ..equations import DAY_FLUXES, DAY_PARAMETERS, LANE_PARAMETERS, STORES
from ..parameters import WEIGHT
from .rows import (
    LANES,
    add_products,
    ahead,
    at,
    copy_row,
    copy_rows,
    pick_row,
    prefetch,
    sum_rows,
    total_of_row,
)

CHUNK = 32  # days between two checkpoints; their weather is fetched together

# Rows of a slab.
WEATHER = 0
STORE = WEATHER + 3
PARAMETER = STORE + len(STORES)
INPUTS_OF_DAY = PARAMETER + len(DAY_PARAMETERS)  # number of rows that a day reads
WEIGHT_PLACE = LANE_PARAMETERS.index(WEIGHT)
FLUX = PARAMETER + len(LANE_PARAMETERS)  # in the adjoint, cotangents of the fluxes
RUNOFF = FLUX + len(DAY_FLUXES)
FORWARD_ROWS = RUNOFF + 1
COTANGENT = FORWARD_ROWS  # of the stores
GRADIENT = COTANGENT + len(STORES)  # of the parameters
WEATHER_GRADIENT = GRADIENT + len(LANE_PARAMETERS)
SPARE = WEATHER_GRADIENT  # free until the adjoint of the day writes there
BACKWARD_ROWS = WEATHER_GRADIENT + 3

N_STORES, N_PARAMETERS, N_FLUXES = len(STORES), len(LANE_PARAMETERS), len(DAY_FLUXES)

# Address (0: no array); strides between days, between groups, between the slabs of a group, and between
# lanes; two more numbers that depend on the array, see the kernels.
TABLE_COLUMNS = 7


class Part(NamedTuple):
    """Consecutive groups: a block, or a tile of it."""

    group: int  # number of the first group
    lanes: int  # lanes in all groups, where components do not count if they are in other slabs
    n_groups: int
    n_slabs: int  # per group
    rows: int  # per slab


@inlined
def entry(table, i):  # type: ignore[no-untyped-def]
    """Row ``i`` of a table."""
    return ahead(table, i * TABLE_COLUMNS)


# ---- between the caller's memory and slabs ------------------------------------------------------


@inlined
def gather(source, start, stride, target, place, number):  # type: ignore[no-untyped-def]
    """Read a row from numbers ``stride`` apart; lanes from ``number`` on repeat the last number."""
    if number < LANES:
        for c in range(LANES):
            target[place + c] = source[start + min(c, number - 1) * stride]
    elif stride == 1:
        copy_row(source, start, target, place)
    elif stride == 0:
        pick_row(source, start, 0, target, place)
    else:
        pick_row(source, start, stride, target, place)


@inlined
def spread(source, place, target, start, stride, number):  # type: ignore[no-untyped-def]
    """Write the first ``number`` numbers of a row to places ``stride`` apart."""
    if stride == 1 and number >= LANES:
        copy_row(source, place, target, start)
    else:
        for c in range(min(LANES, number)):
            target[start + c * stride] = source[place + c]


@njit(**OPTIONS)
def load(array, like, day, part, memory, row):  # type: ignore[no-untyped-def]
    """Read the values of an array on a day into a row of all slabs."""
    source = at(array[0], like)
    place = row * LANES
    base = day * array[1] + part.group * array[2]
    for g in range(part.n_groups):
        start = base
        for _ in range(part.n_slabs):
            gather(source, start, array[4], memory, place, part.lanes - g * LANES)
            place += part.rows * LANES
            start += array[3]
        base += array[2]


@njit(**OPTIONS)
def announce(array, like, day, part):  # type: ignore[no-untyped-def]
    """Prefetch the values of an array on a later day; the processor cannot predict such large steps."""
    source = at(array[0], like)
    base = day * array[1] + part.group * array[2]
    for g in range(part.n_groups):
        start = base
        last = (min(LANES, part.lanes - g * LANES) - 1) * array[4]
        for _ in range(part.n_slabs):
            prefetch(source, start)
            prefetch(source, start + last)
            start += array[3]
        base += array[2]


@njit(**OPTIONS)
def save(array, like, day, part, memory, row):  # type: ignore[no-untyped-def]
    """Write a row of all slabs into an array on a day."""
    target = at(array[0], like)
    place = row * LANES
    base = day * array[1] + part.group * array[2]
    for g in range(part.n_groups):
        start = base
        for _ in range(part.n_slabs):
            spread(memory, place, target, start, array[4], part.lanes - g * LANES)
            place += part.rows * LANES
            start += array[3]
        base += array[2]


@njit(**OPTIONS)
def load_common(array, like, day, days, part, target, place, step, factor):  # type: ignore[no-untyped-def]
    """Read the shared values of groups on some days, times a factor, into rows ``step`` apart.

    All days are read together, because memory of distant days has a long latency.
    """
    source, weight = at(array[0], like), type(like)(factor)
    place *= LANES
    for d in range(day, day + days):
        start = d * array[1] + part.group * array[2]
        for g in range(part.n_groups):
            gather(source, start, array[4], target, place, part.lanes - g * LANES)
            if factor != 1.0:
                for c in range(LANES):
                    target[place + c] *= weight
            place += step * LANES
            start += array[2]


@njit(**OPTIONS)
def add_up(memory, like, part, row, divisor, sums, place):  # type: ignore[no-untyped-def]
    """Sum a row over the slabs of each group, divide by ``divisor``, and store one row per group."""
    step = part.rows * LANES
    weight = type(like)(divisor)
    for g in range(part.n_groups):
        to = (place + g) * LANES
        sum_rows(memory, g * part.n_slabs * step + row * LANES, step, part.n_slabs, sums, to)
        for c in range(LANES):
            sums[to + c] /= weight


@njit(**OPTIONS)
def add_up_weighted(memory, like, part, row, sums, place):  # type: ignore[no-untyped-def]
    """Sum a row times the weights of the lanes over the slabs of each group."""
    step = part.rows * LANES
    weights = (PARAMETER + WEIGHT_PLACE) * LANES
    for g in range(part.n_groups):
        to, start = (place + g) * LANES, g * part.n_slabs * step
        for c in range(LANES):
            sums[to + c] = 0.0
        add_products(memory, start + row * LANES, memory, start + weights, step, part.n_slabs, sums, to)


@njit(**OPTIONS)
def save_common(array, like, day, days, part, sums, place):  # type: ignore[no-untyped-def]
    """Write the rows of the groups on some days into an array.

    If the lanes of a group are components of one cell, the lane stride is 0 and the array gets the sum
    of the row.
    """
    target = at(array[0], like)
    place *= LANES
    for d in range(day, day + days):
        start = d * array[1] + part.group * array[2]
        for g in range(part.n_groups):
            if array[4] == 0:
                target[start] = total_of_row(sums, place)
            else:
                spread(sums, place, target, start, array[4], part.lanes - g * LANES)
            place += LANES
            start += array[2]


@njit(**OPTIONS)
def copy_stores(source, source_row, source_rows, target, target_row, target_rows, n_slabs):  # type: ignore[no-untyped-def]
    """Copy the rows of the stores of ``n_slabs`` slabs between two memories."""
    for s in range(n_slabs):
        start, place = (s * source_rows + source_row) * LANES, (s * target_rows + target_row) * LANES
        copy_rows(source, start, target, place, N_STORES)


@njit(**OPTIONS)
def clear(memory, part, first, last):  # type: ignore[no-untyped-def]
    """Set rows ``first`` to ``last`` (exclusive) of all slabs to 0."""
    for s in range(part.n_groups * part.n_slabs):
        start = s * part.rows * LANES
        for i in range(start + first * LANES, start + last * LANES):
            memory[i] = 0.0


@njit(**OPTIONS)
def set_common(rows, place, memory, part, row):  # type: ignore[no-untyped-def]
    """Copy the row of each group into a row of all its slabs."""
    for g in range(part.n_groups):
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            copy_row(rows, (place + g) * LANES, memory, (s * part.rows + row) * LANES)


@njit(**OPTIONS)
def add_common(rows, place, memory, part, row):  # type: ignore[no-untyped-def]
    """Add the row of each group to a row of all its slabs."""
    for g in range(part.n_groups):
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            for c in range(LANES):
                memory[(s * part.rows + row) * LANES + c] += rows[(place + g) * LANES + c]


@njit(**OPTIONS)
def add_common_times(rows, place, memory, part, factor, row):  # type: ignore[no-untyped-def]
    """Add the row of each group, times a row of its slabs, to another row of all its slabs."""
    for g in range(part.n_groups):
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            start = s * part.rows * LANES
            for c in range(LANES):
                value = rows[(place + g) * LANES + c] * memory[start + factor * LANES + c]
                memory[start + row * LANES + c] += value


@njit(**OPTIONS)
def add_spare(memory, part, row):  # type: ignore[no-untyped-def]
    """Add the spare row of all slabs to another row."""
    for s in range(part.n_groups * part.n_slabs):
        start = s * part.rows * LANES
        for c in range(LANES):
            memory[start + row * LANES + c] += memory[start + SPARE * LANES + c]

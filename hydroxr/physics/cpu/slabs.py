"""Slabs of compiled kernels, and what moves numbers between them and the caller's memory.

A *lane* is one component of one cell. ``LANES`` lanes make a *slab*, an array (row, lane) that holds
the numbers of their day: stores, parameters, fluxes, and for the adjoint the cotangents. Slabs make a
*group*. In a slab there are several cells' one component, and a group has as many slabs as there are
components; or several components of one cell, and a group is a cell: the caller chooses by the
strides that it gives. What the lanes of a group have in common (weather, the mean over components)
is kept as one row of the group.

Memory of the caller is read and written through tables of addresses and strides, in elements: any
layout will do, and what does not vary in time or over components takes no room. A table has a row
for each array, see :data:`TABLE_COLUMNS`.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ...support.compiled import OPTIONS, inlined
from ..equations import DAY_FLUXES, DAY_PARAMETERS, STORES
from .rows import LANES, ahead, at, copy_row, copy_rows, pick_row, prefetch, sum_rows, total_of_row

CHUNK = 32  # days whose weather is fetched at once, and between two checkpoints

# Rows of a slab.
WEATHER = 0
STORE = WEATHER + 3
PARAMETER = STORE + len(STORES)
FLUX = PARAMETER + len(DAY_PARAMETERS)  # or, in the adjoint, its cotangent
RUNOFF = FLUX + len(DAY_FLUXES)
FORWARD_ROWS = RUNOFF + 1
COTANGENT = FORWARD_ROWS  # of the stores
GRADIENT = COTANGENT + len(STORES)  # of the parameters
WEATHER_GRADIENT = GRADIENT + len(DAY_PARAMETERS)
SPARE = WEATHER_GRADIENT  # in use after cotangents have come in, only
BACKWARD_ROWS = WEATHER_GRADIENT + 3

N_STORES, N_PARAMETERS, N_FLUXES = len(STORES), len(DAY_PARAMETERS), len(DAY_FLUXES)

# Address (0: no such array); strides from day to day, from group to group, from slab to slab of a
# group, and from lane to lane; two more numbers where they matter.
TABLE_COLUMNS = 7


class Part(NamedTuple):
    """Neighbouring groups in the slabs' memory: a block, or a tile of it."""

    group: int  # the first of them among all
    lanes: int  # side by side, in all its groups
    n_groups: int
    n_slabs: int  # of a group
    rows: int  # of a slab


@inlined
def entry(table, i):  # type: ignore[no-untyped-def]
    """A row of a table."""
    return ahead(table, i * TABLE_COLUMNS)


# ---- between the caller's memory and slabs ------------------------------------------------------


@inlined
def gather(source, start, stride, target, place, number):  # type: ignore[no-untyped-def]
    """Into a row from places ``stride`` apart; lanes from ``number`` on repeat the last."""
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
    """The first numbers of a row, or all, to places ``stride`` apart."""
    if stride == 1 and number >= LANES:
        copy_row(source, place, target, start)
    else:
        for c in range(min(LANES, number)):
            target[start + c * stride] = source[place + c]


@njit(**OPTIONS)
def load(array, like, day, part, memory, row):  # type: ignore[no-untyped-def]
    """An array's values of a day into a row of all slabs."""
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
    """Ask for an array's memory of a coming day: days lie too far apart for the processor to guess."""
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
    """A row of all slabs into an array's values of a day."""
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
    """What the slabs of a group have in common, on some days, times a factor, into rows ``step`` apart.

    The days are fetched together, since rows of distant days come late from memory.
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
    """The sum of a row over the slabs of each group, over a divisor, into rows of groups."""
    step = part.rows * LANES
    weight = type(like)(divisor)
    for g in range(part.n_groups):
        to = (place + g) * LANES
        sum_rows(memory, g * part.n_slabs * step + row * LANES, step, part.n_slabs, sums, to)
        for c in range(LANES):
            sums[to + c] /= weight


@njit(**OPTIONS)
def save_common(array, like, day, days, part, sums, place):  # type: ignore[no-untyped-def]
    """Rows of groups of some days into an array.

    Where the lanes of a group are components of one cell, the array has lane stride 0 and takes the
    sum of the row.
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
    """The rows of stores of slabs between memories with other rows."""
    for s in range(n_slabs):
        start, place = (s * source_rows + source_row) * LANES, (s * target_rows + target_row) * LANES
        copy_rows(source, start, target, place, N_STORES)


@njit(**OPTIONS)
def clear(memory, part, first, last):  # type: ignore[no-untyped-def]
    """Rows from ``first`` to before ``last`` of all slabs are 0."""
    for s in range(part.n_groups * part.n_slabs):
        start = s * part.rows * LANES
        for i in range(start + first * LANES, start + last * LANES):
            memory[i] = 0.0


@njit(**OPTIONS)
def set_common(rows, place, memory, part, row):  # type: ignore[no-untyped-def]
    """Rows of groups into a row of all their slabs."""
    for g in range(part.n_groups):
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            copy_row(rows, (place + g) * LANES, memory, (s * part.rows + row) * LANES)


@njit(**OPTIONS)
def add_common(rows, place, memory, part, row):  # type: ignore[no-untyped-def]
    """Rows of groups to a row of all their slabs."""
    for g in range(part.n_groups):
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            for c in range(LANES):
                memory[(s * part.rows + row) * LANES + c] += rows[(place + g) * LANES + c]


@njit(**OPTIONS)
def add_spare(memory, part, row):  # type: ignore[no-untyped-def]
    """The spare row of all slabs to another."""
    for s in range(part.n_groups * part.n_slabs):
        start = s * part.rows * LANES
        for c in range(LANES):
            memory[start + row * LANES + c] += memory[start + SPARE * LANES + c]

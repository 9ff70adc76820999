"""A tile of slabs through a chunk of days, forward and back; importing this imports numba.

All slabs of a tile pass a day before any passes the next one. They are independent of each other,
which keeps the processor's pipelines busy, and together they fit its nearest cache.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ...support.compiled import OPTIONS
from .day import advance_all, retreat_all
from .rows import LANES, ahead, at, size_of
from .slabs import (
    CHUNK,
    COTANGENT,
    FLUX,
    GRADIENT,
    N_PARAMETERS,
    N_STORES,
    PARAMETER,
    RUNOFF,
    SPARE,
    STORE,
    WEATHER_GRADIENT,
    WEIGHT_PLACE,
    add_common,
    add_common_times,
    add_spare,
    add_up,
    add_up_weighted,
    announce,
    clear,
    copy_stores,
    entry,
    load,
    save,
    set_common,
)

AHEAD = 3  # days by which dynamic parameters and their gradients are fetched into the cache early

# Rows of a kernel's table. INITIAL, FINAL and SERIES hold values in the forward kernel and cotangents
# in the adjoint. Only the adjoint uses D_FORCING and D_PARAMETERS.
FORCING = 0
PARAMETERS = FORCING + 3
INITIAL = PARAMETERS + N_PARAMETERS
FINAL = INITIAL + N_STORES
D_FORCING = FINAL + N_STORES
D_PARAMETERS = D_FORCING + 3
SERIES = D_PARAMETERS + N_PARAMETERS


class Space(NamedTuple):
    """Addresses of a kernel's scratch memory for one block, and the number of its groups.

    ``weather`` has three rows per day and group, ``sums`` one row per series, day and group.
    """

    slabs: int
    weather: int
    sums: int
    trail: int  # stores of a tile before each day of the chunk
    n_groups: int


@njit(**OPTIONS)
def _load_dynamic(table, like, row, part, memory, coming):  # type: ignore[no-untyped-def]
    """Load a row of the dynamic parameters, and prefetch the row ``coming`` unless it is negative."""
    for i in range(N_PARAMETERS):
        array = entry(table, PARAMETERS + i)
        if array[5] != 0:
            load(array, like, row, part, memory, PARAMETER + i)
            if coming >= 0:
                announce(array, like, coming, part)


@njit(**OPTIONS)
def _coming(held, begin, d, days):  # type: ignore[no-untyped-def]
    """The row that applies ``AHEAD`` days later, or -1 beyond the chunk."""
    return held[begin + d + AHEAD] if d + AHEAD < days else -1


@njit(**OPTIONS)
def is_weighted(table):  # type: ignore[no-untyped-def]
    """Whether components have weights in means."""
    return entry(table, PARAMETERS + WEIGHT_PLACE)[0] != 0


@njit(**OPTIONS)
def advance_tile(like, space, tile, offset, begin, days, held, table, n_series, everything, network):  # type: ignore[no-untyped-def]
    """Advance a tile through ``days`` days; its first group is group ``offset`` of the block."""
    memory = at(space.slabs + offset * tile.n_slabs * tile.rows * LANES * size_of(like), like)
    weather, sums = at(space.weather, like), at(space.sums, like)
    for d in range(days):
        if d == 0 or held[begin + d] != held[begin + d - 1]:
            _load_dynamic(table, like, held[begin + d], tile, memory, _coming(held, begin, d, days))
        group = d * space.n_groups + offset
        advance_all(memory, ahead(weather, group * 3 * LANES), tile, everything, network, like)
        for i in range(n_series):
            array = entry(table, SERIES + i)
            if array[6] == 0:
                save(array, like, begin + d, tile, memory, array[5])
            elif is_weighted(table):
                add_up_weighted(memory, like, tile, array[5], sums, i * CHUNK * space.n_groups + group)
            else:
                place = i * CHUNK * space.n_groups + group
                add_up(memory, like, tile, array[5], array[6], sums, place)


@njit(**OPTIONS)
def advance_again(like, space, tile, offset, begin, days, held, table, n_series, everything, network):  # type: ignore[no-untyped-def]
    """Recompute the stores before each day of a chunk from the checkpoint at its first day.

    On the way the weights of components get their gradients: cotangents of means times what was averaged.
    """
    memory = at(space.slabs + offset * tile.n_slabs * tile.rows * LANES * size_of(like), like)
    weather, trail = at(space.weather, like), at(space.trail, like)
    n_slabs = tile.n_groups * tile.n_slabs
    of_weights = is_weighted(table) and entry(table, D_PARAMETERS + WEIGHT_PLACE)[0] != 0
    for d in range(days):
        kept = ahead(trail, d * n_slabs * N_STORES * LANES)
        copy_stores(memory, STORE, tile.rows, kept, 0, N_STORES, n_slabs)
        if d < days - 1 or of_weights:
            if d == 0 or held[begin + d] != held[begin + d - 1]:
                _load_dynamic(table, like, held[begin + d], tile, memory, _coming(held, begin, d, days))
            group = d * space.n_groups + offset
            advance_all(
                memory, ahead(weather, group * 3 * LANES), tile, everything and of_weights, network, like
            )
            if of_weights:
                _add_to_weights(like, space, tile, memory, group, table, n_series)


@njit(**OPTIONS)
def _add_to_weights(like, space, tile, memory, place, table, n_series):  # type: ignore[no-untyped-def]
    """Add a day's cotangents of weighted means, times what was averaged, to the gradients of the weights."""
    for i in range(n_series):
        array = entry(table, SERIES + i)
        if array[6] == 0:
            rows = i * CHUNK * space.n_groups + place
            sums = at(space.sums, like)
            add_common_times(sums, rows, memory, tile, array[5], GRADIENT + WEIGHT_PLACE)


@njit(**OPTIONS)
def _load_cotangents(like, space, tile, memory, day, place, table, n_series):  # type: ignore[no-untyped-def]
    """Load the cotangents of the series on a day.

    The cotangent of a flux goes into the row of that flux. The cotangent of a store is added to the
    one that comes back from the next day.
    """
    sums = at(space.sums, like)
    for i in range(n_series):
        array = entry(table, SERIES + i)
        row = array[5] if array[5] >= FLUX else array[5] - STORE + COTANGENT
        is_common, is_flux = array[3] == 0, row < COTANGENT
        if array[6] == 0:
            if is_flux:
                clear(memory, tile, row, row + 1)
            rows = i * CHUNK * space.n_groups + place
            add_common_times(sums, rows, memory, tile, PARAMETER + WEIGHT_PLACE, row)
        elif is_common and is_flux:
            set_common(sums, i * CHUNK * space.n_groups + place, memory, tile, row)
        elif is_common:
            add_common(sums, i * CHUNK * space.n_groups + place, memory, tile, row)
        elif is_flux:
            load(array, like, day, tile, memory, row)
        else:
            load(array, like, day, tile, memory, SPARE)
            add_spare(memory, tile, row)


@njit(**OPTIONS)
def retreat_tile(like, space, tile, offset, begin, days, held, table, n_series, everything, network):  # type: ignore[no-untyped-def]
    """The adjoint of ``advance_tile``.

    The gradient of a row of dynamic parameters is the sum over the days on which the row applies.
    """
    memory = at(space.slabs + offset * tile.n_slabs * tile.rows * LANES * size_of(like), like)
    weather, trail = at(space.weather, like), at(space.trail, like)
    n_slabs = tile.n_groups * tile.n_slabs
    clear(memory, tile, FLUX if everything else RUNOFF, RUNOFF + 1)  # these rows now take cotangents
    for d in range(days - 1, -1, -1):
        row = held[begin + d]
        if d == days - 1 or row != held[begin + d + 1]:
            _load_dynamic(table, like, row, tile, memory, -1)
        group = d * space.n_groups + offset
        _load_cotangents(like, space, tile, memory, begin + d, group, table, n_series)
        before = ahead(trail, d * n_slabs * N_STORES * LANES)
        retreat_all(memory, before, ahead(weather, group * 3 * LANES), tile, everything, network, like)
        if begin + d == 0 or row != held[begin + d - 1]:  # the first day of the row
            for i in range(N_PARAMETERS):
                if entry(table, PARAMETERS + i)[5] != 0:
                    array = entry(table, D_PARAMETERS + i)
                    if array[0] != 0:
                        save(array, like, row, tile, memory, GRADIENT + i)
                        if d >= AHEAD:
                            announce(array, like, held[begin + d - AHEAD], tile)
                    clear(memory, tile, GRADIENT + i, GRADIENT + i + 1)
        for i in range(3):
            if entry(table, D_FORCING + i)[0] != 0:
                place = (n_series + i) * CHUNK * space.n_groups + group
                add_up(memory, like, tile, WEATHER_GRADIENT + i, 1, at(space.sums, like), place)

"""The compiled loops of :mod:`hydroxr.physics.cpu.loop`; importing this imports numba.

Groups of slabs (see :mod:`.kernels_slabs`) make a *tile*, tiles a *block*. All slabs of a tile
pass a day before the next one: they do not depend on each other, which keeps the processor busy,
and they fit its nearest cache. A tile passes a chunk of days before the next tile does; a block is
what reads weather and writes series for a chunk, in rows that are long enough to be worth the way
to the memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from numba import njit, types

from ...support.checksums import digest_of_sources
from ...support.compiled import OPTIONS, compile_cached
from .. import adjoint, adjoint_parts, equations, runoff_network
from . import day, network, numbers, rows, slabs
from .day import advance_all, retreat_all
from .network import NETWORK, WITH_NETWORK_ROWS, of_block
from .rows import LANES, ahead, at, pointer_to, size_of
from .slabs import (
    BACKWARD_ROWS,
    CHUNK,
    COTANGENT,
    FLUX,
    FORWARD_ROWS,
    GRADIENT,
    N_PARAMETERS,
    N_STORES,
    PARAMETER,
    RUNOFF,
    SPARE,
    STORE,
    WEATHER_GRADIENT,
    Part,
    add_common,
    add_spare,
    add_up,
    announce,
    clear,
    copy_stores,
    entry,
    load,
    load_common,
    save,
    save_common,
    set_common,
)

AHEAD = 3  # days before they are used, dynamic parameters and their gradients are asked for

# Rows of a kernel's table. INITIAL and FINAL are stores, in the adjoint their cotangents, and so are
# the series; the next two are there for the adjoint.
FORCING = 0
PARAMETERS = FORCING + 3
INITIAL = PARAMETERS + N_PARAMETERS
FINAL = INITIAL + N_STORES
D_FORCING = FINAL + N_STORES
D_PARAMETERS = D_FORCING + 3
SERIES = D_PARAMETERS + N_PARAMETERS

# ---- a tile through a chunk of days -------------------------------------------------------------


class Space(NamedTuple):
    """What a kernel keeps for a block, by address, and the block's number of groups.

    Weather and sums have a row for each day of a chunk and each group: one after the other three
    of weather; one for each series.
    """

    slabs: int
    weather: int
    sums: int
    trail: int  # stores of a tile before each day
    n_groups: int


@njit(**OPTIONS)
def _load_static(table, like, part, memory):  # type: ignore[no-untyped-def]
    for i in range(N_PARAMETERS):
        array = entry(table, PARAMETERS + i)
        if array[5] == 0:
            load(array, like, 0, part, memory, PARAMETER + i)


@njit(**OPTIONS)
def _load_dynamic(table, like, row, part, memory, coming):  # type: ignore[no-untyped-def]
    """A row of the dynamic parameters; the row ``coming`` is asked for, if it is not negative."""
    for i in range(N_PARAMETERS):
        array = entry(table, PARAMETERS + i)
        if array[5] != 0:
            load(array, like, row, part, memory, PARAMETER + i)
            if coming >= 0:
                announce(array, like, coming, part)


@njit(**OPTIONS)
def _coming(held, begin, d, days):  # type: ignore[no-untyped-def]
    """The row that holds some days ahead, within the chunk; -1 beyond it."""
    return held[begin + d + AHEAD] if d + AHEAD < days else -1


@njit(**OPTIONS)
def _load_weather(table, like, begin, days, block, weather):  # type: ignore[no-untyped-def]
    for v in range(3):
        load_common(entry(table, FORCING + v), like, begin, days, block, weather, v, 3, 1.0)


@njit(**OPTIONS)
def _advance_tile(like, space, tile, offset, begin, days, held, table, n_series, everything, network):  # type: ignore[no-untyped-def]
    """A tile, whose first group is the block's group ``offset``, through some days."""
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
            else:
                place = i * CHUNK * space.n_groups + group
                add_up(memory, like, tile, array[5], array[6], sums, place)


@njit(**OPTIONS)
def _advance_again(like, space, tile, offset, begin, days, held, table, network):  # type: ignore[no-untyped-def]
    """The stores before each day of a chunk, from those before its first day."""
    memory = at(space.slabs + offset * tile.n_slabs * tile.rows * LANES * size_of(like), like)
    weather, trail = at(space.weather, like), at(space.trail, like)
    n_slabs = tile.n_groups * tile.n_slabs
    for d in range(days):
        kept = ahead(trail, d * n_slabs * N_STORES * LANES)
        copy_stores(memory, STORE, tile.rows, kept, 0, N_STORES, n_slabs)
        if d < days - 1:
            if d == 0 or held[begin + d] != held[begin + d - 1]:
                _load_dynamic(table, like, held[begin + d], tile, memory, _coming(held, begin, d, days))
            group = d * space.n_groups + offset
            advance_all(memory, ahead(weather, group * 3 * LANES), tile, False, network, like)


@njit(**OPTIONS)
def _load_cotangents(like, space, tile, memory, day, place, table, n_series):  # type: ignore[no-untyped-def]
    """The series' cotangents of a day: a flux' in its row, a store's added to what comes back in time."""
    sums = at(space.sums, like)
    for i in range(n_series):
        array = entry(table, SERIES + i)
        row = array[5] if array[5] >= FLUX else array[5] - STORE + COTANGENT
        is_common, is_flux = array[3] == 0, row < COTANGENT
        if is_common and is_flux:
            set_common(sums, i * CHUNK * space.n_groups + place, memory, tile, row)
        elif is_common:
            add_common(sums, i * CHUNK * space.n_groups + place, memory, tile, row)
        elif is_flux:
            load(array, like, day, tile, memory, row)
        else:
            load(array, like, day, tile, memory, SPARE)
            add_spare(memory, tile, row)


@njit(**OPTIONS)
def _retreat_tile(like, space, tile, offset, begin, days, held, table, n_series, everything, network):  # type: ignore[no-untyped-def]
    """The adjoint of ``_advance_tile``; a row's gradient is the sum over the days on which it holds."""
    memory = at(space.slabs + offset * tile.n_slabs * tile.rows * LANES * size_of(like), like)
    weather, trail = at(space.weather, like), at(space.trail, like)
    n_slabs = tile.n_groups * tile.n_slabs
    clear(memory, tile, FLUX if everything else RUNOFF, RUNOFF + 1)  # of fluxes; for cotangents now
    for d in range(days - 1, -1, -1):
        row = held[begin + d]
        if d == days - 1 or row != held[begin + d + 1]:
            _load_dynamic(table, like, row, tile, memory, -1)
        group = d * space.n_groups + offset
        _load_cotangents(like, space, tile, memory, begin + d, group, table, n_series)
        before = ahead(trail, d * n_slabs * N_STORES * LANES)
        retreat_all(memory, before, ahead(weather, group * 3 * LANES), tile, everything, network, like)
        if begin + d == 0 or row != held[begin + d - 1]:  # the row's first day
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


# ---- the two kernels ----------------------------------------------------------------------------

# Everything that the kernels are compiled from, so that a change of any of it compiles them anew.
_SOURCES = (equations, adjoint, adjoint_parts, numbers, rows, slabs, runoff_network, network, day)


@njit(**OPTIONS)
def _spaces(like, scratch, block, rows, n_series, groups):  # type: ignore[no-untyped-def]
    """Where in the scratch memory is what."""
    size = LANES * size_of(like)
    weather = scratch + groups * block.n_slabs * rows * size
    sums = weather + CHUNK * groups * 3 * size
    trail = sums + CHUNK * groups * n_series * size
    return Space(scratch, weather, sums, trail, block.n_groups)


@njit(**OPTIONS)
def _part_of(first, groups, n_all, width, n_slabs, rows):  # type: ignore[no-untyped-def]
    """Groups from ``first``, as many or as there are."""
    number = min(groups, n_all - first)
    return Part(first, min(width - first * LANES, number * LANES), number, n_slabs, rows)


@njit(**OPTIONS)
def _checkpoint(checkpoints, like, begin, n_all, block):  # type: ignore[no-untyped-def]
    """Where the stores of a block before the day ``begin`` are kept."""
    group = begin // CHUNK * n_all + block.group
    return ahead(at(checkpoints, like), group * block.n_slabs * N_STORES * LANES)


@njit(**OPTIONS)
def _save_series(table, like, begin, days, block, sums, n_series):  # type: ignore[no-untyped-def]
    """Component means of a chunk."""
    for i in range(n_series):
        array = entry(table, SERIES + i)
        if array[6] != 0:
            save_common(array, like, begin, days, block, sums, i * CHUNK * block.n_groups)


@njit(**OPTIONS)
def _load_series(table, like, begin, days, block, sums, n_series):  # type: ignore[no-untyped-def]
    """Cotangents of what the slabs of a group have in common, of a chunk."""
    for i in range(n_series):
        array = entry(table, SERIES + i)
        if array[3] == 0:
            place = i * CHUNK * block.n_groups
            load_common(array, like, begin, days, block, sums, place, 1, 1.0 / array[6])


def _make_forward(sources: str) -> Callable[..., None]:
    def forward(  # type: ignore[no-untyped-def]
        like,
        scratch,
        tables,
        held,
        checkpoints,
        network,
        everything,
        n_days,
        width,
        n_slabs,
        tile_groups,
        groups,
        first,
        last,
    ):
        """Advance the blocks from ``first`` to before ``last`` through all days.

        After address and strides, parameters have 1 where dynamic; series have the slab's row and,
        where components are averaged, their number. ``checkpoints`` is an address or 0,
        ``width`` the number of lanes side by side in all groups, ``n_slabs`` that of a group.
        ``held`` has the row of the dynamic parameters for each day.
        With ``everything``, all fluxes are computed, else the runoff only. ``network`` is None or
        a :class:`.kernels_network.Network`.
        """
        assert len(sources) > 0
        table, n_series = pointer_to(tables), len(tables) - SERIES
        rows = FORWARD_ROWS if network is None else WITH_NETWORK_ROWS
        n_all = (width + LANES - 1) // LANES
        for index in range(first, last):
            block = _part_of(index * groups, groups, n_all, width, n_slabs, rows)
            space = _spaces(like, scratch.ctypes.data, block, rows, n_series, groups)
            memory, weather, sums = at(space.slabs, like), at(space.weather, like), at(space.sums, like)
            _load_static(table, like, block, memory)
            for i in range(N_STORES):
                load(entry(table, INITIAL + i), like, 0, block, memory, STORE + i)
            for begin in range(0, n_days, CHUNK):
                days = min(CHUNK, n_days - begin)
                _load_weather(table, like, begin, days, block, weather)
                if checkpoints != 0:
                    kept = _checkpoint(checkpoints, like, begin, n_all, block)
                    copy_stores(memory, STORE, rows, kept, 0, N_STORES, block.n_groups * n_slabs)
                for offset in range(0, block.n_groups, tile_groups):
                    at_most = min(tile_groups, block.n_groups - offset)
                    tile = _part_of(block.group + offset, at_most, n_all, width, n_slabs, rows)
                    _advance_tile(
                        like, space, tile, offset, begin, days, held, table, n_series, everything, network
                    )
                _save_series(table, like, begin, days, block, sums, n_series)
            for i in range(N_STORES):
                save(entry(table, FINAL + i), like, 0, block, memory, STORE + i)

    return forward


def _make_backward(sources: str) -> Callable[..., None]:
    def backward(  # type: ignore[no-untyped-def]
        like,
        scratch,
        tables,
        held,
        checkpoints,
        network,
        everything,
        n_days,
        width,
        n_slabs,
        tile_groups,
        groups,
        first,
        last,
    ):
        """The adjoint of ``forward``.

        Each chunk of days is advanced again from its checkpoint, so that the stores of every day
        need not be kept. With ``everything``, any flux may have a cotangent and the forcing a
        gradient, else of the fluxes only the runoff.
        """
        assert len(sources) > 0
        table, n_series = pointer_to(tables), len(tables) - SERIES
        rows = BACKWARD_ROWS if network is None else WITH_NETWORK_ROWS
        n_all = (width + LANES - 1) // LANES
        for index in range(first, last):
            block = _part_of(index * groups, groups, n_all, width, n_slabs, rows)
            space = _spaces(like, scratch.ctypes.data, block, rows, n_series + 3, groups)
            memory, weather, sums = at(space.slabs, like), at(space.weather, like), at(space.sums, like)
            clear(memory, block, FLUX, rows)
            own = of_block(network, index, like)
            _load_static(table, like, block, memory)
            for i in range(N_STORES):
                if entry(table, FINAL + i)[0] != 0:
                    load(entry(table, FINAL + i), like, 0, block, memory, COTANGENT + i)
            for begin in range((n_days - 1) // CHUNK * CHUNK, -1, -CHUNK):
                days = min(CHUNK, n_days - begin)
                _load_weather(table, like, begin, days, block, weather)
                _load_series(table, like, begin, days, block, sums, n_series)
                kept = _checkpoint(checkpoints, like, begin, n_all, block)
                copy_stores(kept, 0, N_STORES, memory, STORE, rows, block.n_groups * n_slabs)
                for offset in range(0, block.n_groups, tile_groups):
                    at_most = min(tile_groups, block.n_groups - offset)
                    tile = _part_of(block.group + offset, at_most, n_all, width, n_slabs, rows)
                    _advance_again(like, space, tile, offset, begin, days, held, table, own)
                    _retreat_tile(
                        like, space, tile, offset, begin, days, held, table, n_series, everything, own
                    )
                for i in range(3):
                    if entry(table, D_FORCING + i)[0] != 0:
                        place = (n_series + i) * CHUNK * block.n_groups
                        save_common(entry(table, D_FORCING + i), like, begin, days, block, sums, place)
            for i in range(N_PARAMETERS):
                if entry(table, PARAMETERS + i)[5] == 0 and entry(table, D_PARAMETERS + i)[0] != 0:
                    save(entry(table, D_PARAMETERS + i), like, 0, block, memory, GRADIENT + i)
            for i in range(N_STORES):
                if entry(table, INITIAL + i)[0] != 0:
                    save(entry(table, INITIAL + i), like, 0, block, memory, COTANGENT + i)

    return backward


def scratch_size(
    kind: str, with_network: bool, n_series: int, n_slabs: int, tile_groups: int, groups: int
) -> int:
    """How many numbers a kernel needs of its own."""
    rows = FORWARD_ROWS if kind == "forward" else BACKWARD_ROWS
    slabs = n_slabs * (WITH_NETWORK_ROWS if with_network else rows)
    if kind == "forward":
        return LANES * groups * (slabs + CHUNK * (3 + n_series))
    trail = CHUNK * min(tile_groups, groups) * n_slabs * N_STORES
    return LANES * (groups * (slabs + CHUNK * (6 + n_series)) + trail)


@cache
def compiled(kind: str, dtype: str, with_network: bool = False) -> Any:
    """The ``forward`` or ``backward`` kernel for float32 or float64, from numba's cache if it is there."""
    number = types.float64 if dtype == "float64" else types.float32
    arrays = (types.Array(number, 1, "C"), types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C"))
    network = NETWORK if with_network else types.none
    signature = types.void(number, *arrays, types.int64, network, types.boolean, *(types.int64,) * 7)
    make = _make_forward if kind == "forward" else _make_backward
    return compile_cached(make(digest_of_sources(*_SOURCES, sys.modules[__name__])), signature)

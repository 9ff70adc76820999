"""The compiled kernels of :mod:`hydroxr.physics.cpu.loop`; importing this imports numba.

Groups of slabs (:mod:`.slabs`) make a *tile* (:mod:`.tile`), and tiles make a *block*. A kernel works
through its blocks one after another. It takes each block through one chunk of days at a time: it reads
the weather of the whole block, takes each tile through the chunk, and writes the series of the whole
block. Long rows make good use of memory bandwidth; a small tile stays in the nearest cache.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit, types

from ...support.checksums import sources_digest
from ...support.compiled import OPTIONS, compile_cached
from .. import adjoint, adjoint_processes, equations, runoff_network
from . import day, elementary, network, rows, slabs, tile
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
    STORE,
    Part,
    clear,
    copy_stores,
    entry,
    load,
    load_common,
    save,
    save_common,
)
from .tile import (
    D_FORCING,
    D_PARAMETERS,
    FINAL,
    FORCING,
    INITIAL,
    PARAMETERS,
    SERIES,
    Space,
    advance_again,
    advance_tile,
    retreat_tile,
)

# All modules that the kernels are compiled from: a change in any of them compiles the kernels anew.
_PHYSICS = (equations, adjoint, adjoint_processes, runoff_network)
_SOURCES = (*_PHYSICS, elementary, rows, slabs, day, network, tile)

# ---- a block ------------------------------------------------------------------------------------


@njit(**OPTIONS)
def _load_static(table, like, part, memory):  # type: ignore[no-untyped-def]
    for i in range(N_PARAMETERS):
        array = entry(table, PARAMETERS + i)
        if array[5] == 0 and array[0] != 0:
            load(array, like, 0, part, memory, PARAMETER + i)


@njit(**OPTIONS)
def _load_weather(table, like, begin, days, block, weather):  # type: ignore[no-untyped-def]
    for v in range(3):
        load_common(entry(table, FORCING + v), like, begin, days, block, weather, v, 3, 1.0)


@njit(**OPTIONS)
def _spaces(like, scratch, block, rows, n_series, groups):  # type: ignore[no-untyped-def]
    """Divide the scratch memory of a block."""
    size = LANES * size_of(like)
    weather = scratch + groups * block.n_slabs * rows * size
    sums = weather + CHUNK * groups * 3 * size
    trail = sums + CHUNK * groups * n_series * size
    return Space(scratch, weather, sums, trail, block.n_groups)


@njit(**OPTIONS)
def _part_of(first, groups, n_all, width, n_slabs, rows):  # type: ignore[no-untyped-def]
    """At most ``groups`` groups from ``first``."""
    number = min(groups, n_all - first)
    return Part(first, min(width - first * LANES, number * LANES), number, n_slabs, rows)


@njit(**OPTIONS)
def _checkpoint(checkpoints, like, begin, n_all, block):  # type: ignore[no-untyped-def]
    """Pointer to the stores of a block before the day ``begin``."""
    group = begin // CHUNK * n_all + block.group
    return ahead(at(checkpoints, like), group * block.n_slabs * N_STORES * LANES)


@njit(**OPTIONS)
def _save_series(table, like, begin, days, block, sums, n_series):  # type: ignore[no-untyped-def]
    """Write the component means of a chunk."""
    for i in range(n_series):
        array = entry(table, SERIES + i)
        if array[6] != 0:
            save_common(array, like, begin, days, block, sums, i * CHUNK * block.n_groups)


@njit(**OPTIONS)
def _load_series(table, like, begin, days, block, sums, n_series):  # type: ignore[no-untyped-def]
    """Read the cotangents of component means for a chunk."""
    for i in range(n_series):
        array = entry(table, SERIES + i)
        if array[3] == 0:
            place = i * CHUNK * block.n_groups
            load_common(array, like, begin, days, block, sums, place, 1, 1.0 / max(array[6], 1))


# ---- the two kernels ----------------------------------------------------------------------------


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

        ``tables`` has one row per array (:data:`.slabs.TABLE_COLUMNS`). Its last two columns are, for
        a parameter, 1 if it is dynamic, and for a series, its row in the slab and the number of
        components to average (0: none; in the adjoint, by weights). ``held`` has the row of the dynamic
        parameters for each day. ``checkpoints`` is an address, or 0 to keep none. ``network`` is None or
        a :class:`.network.Network`. With ``everything`` all fluxes are computed, otherwise only the
        runoff. ``width`` is the number of lanes over all groups, ``n_slabs`` the slabs per group.
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
                    advance_tile(
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

        Each chunk of days is computed again from its checkpoint, so the stores of every day need not
        be kept. With ``everything`` any flux may have a cotangent and the forcing gets a gradient;
        otherwise only the runoff has a cotangent.
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
                    advance_again(
                        like, space, tile, offset, begin, days, held, table, n_series, everything, own
                    )
                    retreat_tile(
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
    """Length of the scratch memory of a kernel, in numbers."""
    rows = FORWARD_ROWS if kind == "forward" else BACKWARD_ROWS
    slabs = n_slabs * (WITH_NETWORK_ROWS if with_network else rows)
    if kind == "forward":
        return LANES * groups * (slabs + CHUNK * (3 + n_series))
    trail = CHUNK * min(tile_groups, groups) * n_slabs * N_STORES
    return LANES * (groups * (slabs + CHUNK * (6 + n_series)) + trail)


@cache
def compiled(kind: str, dtype: str, with_network: bool = False) -> Any:
    """The ``forward`` or ``backward`` kernel for float32 or float64, from numba's cache if possible."""
    number = types.float64 if dtype == "float64" else types.float32
    arrays = (types.Array(number, 1, "C"), types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C"))
    network = NETWORK if with_network else types.none
    signature = types.void(number, *arrays, types.int64, network, types.boolean, *(types.int64,) * 7)
    make = _make_forward if kind == "forward" else _make_backward
    return compile_cached(make(sources_digest(*_SOURCES, sys.modules[__name__])), signature)

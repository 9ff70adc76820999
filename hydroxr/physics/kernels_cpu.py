"""The compiled loops of :mod:`hydroxr.physics.loop_cpu`; importing this imports numba.

A *lane* is one component of one cell. Lanes are advanced eight cells at a time: for each
component of a group of cells there is a *slab*, an array (row, lane) that holds all numbers of
its day (weather, stores, parameters, fluxes, and for the adjoint the cotangents). The loop over
the lanes of a slab touches nothing else and has no branch, so that the compiler turns it into
vector instructions, whatever the number of components; the loop over slabs inside a day keeps the
processor busy, since slabs do not depend on each other. Memory of the caller is read and written
through tables of addresses and strides, in elements: any layout will do, and what does not vary
in time or over components takes no room.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

from .adjoint import make_adjoint
from .hbv import DAY_FLUXES, DAY_PARAMETERS, STORES, make_day

LANES = 8  # cells side by side: float32 numbers in one 256-bit register
CHUNK = 32  # days whose weather is fetched at once, and between two checkpoints

# Rows of a slab.
WEATHER = 0
STORE = 3
PARAMETER = STORE + len(STORES)
FLUX = PARAMETER + len(DAY_PARAMETERS)  # or, in the adjoint, its cotangent
RUNOFF = FLUX + len(DAY_FLUXES)
FORWARD_ROWS = RUNOFF + 1
COTANGENT = FORWARD_ROWS  # of the stores
GRADIENT = COTANGENT + len(STORES)  # of the parameters
WEATHER_GRADIENT = GRADIENT + len(DAY_PARAMETERS)
BACKWARD_ROWS = WEATHER_GRADIENT + 3

N_STORES, N_PARAMETERS, N_FLUXES = len(STORES), len(DAY_PARAMETERS), len(DAY_FLUXES)

# Products and sums may be fused, and the sign of zero may be lost. Nothing may assume that there
# are no NaNs: a NaN in forcing shall show.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}}
_inlined = njit(forceinline=True, **_OPTIONS)


# ---- elementary functions -----------------------------------------------------------------------


@_inlined
def _minimum(value, other):  # type: ignore[no-untyped-def]
    return other if other < value else value  # NaN where value is


@_inlined
def _maximum(value, other):  # type: ignore[no-untyped-def]
    return other if other > value else value


@_inlined
def _where(condition, value, other):  # type: ignore[no-untyped-def]
    return value if condition else other


def _coefficients(function: Callable[[np.ndarray], np.ndarray], lower: float, upper: float, degree: int) -> Any:
    """A polynomial through ``function`` at Chebyshev's points, lowest power first."""
    series = np.polynomial.Chebyshev.interpolate(function, degree, domain=[lower, upper])
    return tuple(series.convert(kind=np.polynomial.Polynomial).coef.astype(np.float32))


# log2(1 + f) = f L(f), for 1 + f from sqrt(1/2) to sqrt(2); 2^f = 1 + f E(f), for f from -1/2 to 1/2.
# So that neither has an error where f is 0: the power of 1 is 1. They are evaluated in pairs of
# terms, which do not wait for each other.
_L = _coefficients(lambda f: np.log2(1.0 + f) / f, math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0, 8)
_E = _coefficients(lambda f: np.expm1((f + 1e-30) * math.log(2.0)) / (f + 1e-30), -0.5, 0.5, 4)
_ROOT_HALF = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
_ONE_BITS = np.int32(np.float32(1.0).view(np.int32))
_SHIFT = np.int32(23)  # bits of the fraction
_UPPER_HALF = np.int32(-4096)  # the upper half of the fraction's bits
_LEAST = np.float32(2.0**-126)
_LEAST_POWER = np.float32(-126.0)
_ROUNDING = np.float32(1.5 * 2.0**23)  # adding it rounds to an integer, in the lowest bits
_ONE = np.float32(1.0)
_LN2 = np.float32(math.log(2.0))


@_inlined
def _log2_parts(x):  # type: ignore[no-untyped-def]
    """Integer and fraction, from -1/2 to 1/2, of log2 of a float32 above 2^-126."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _ROOT_HALF) >> _SHIFT)
    f = np.int32(bits - np.int32(exponent << _SHIFT)).view(np.float32) - _ONE
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = _L
    f2 = f * f
    lower = (c0 + f * c1) + f2 * (c2 + f * c3)
    upper = (c4 + f * c5) + f2 * (c6 + f * c7)
    f4 = f2 * f2
    return np.float32(exponent), f * (lower + f4 * (upper + f4 * c8))


@_inlined
def _power_32(x, y):  # type: ignore[no-untyped-def]
    """x^y for x from 0 to 1 and y from 0, within 1e-6 relative; NaN where x or y is NaN.

    Powers below 2^-126 are 0. The product with the integer part of the logarithm is exact in
    the upper half of y's digits, so that large exponents lose no accuracy.
    """
    integer, fraction = _log2_parts(_maximum(x, _LEAST))
    upper = np.int32(np.float32(y).view(np.int32) & _UPPER_HALF).view(np.float32)
    large = upper * integer
    small = (y - upper) * integer + y * fraction
    shifted = (large + small) + _ROUNDING
    f = (large - (shifted - _ROUNDING)) + small
    c0, c1, c2, c3, c4 = _E
    f2 = f * f
    mantissa = (_ONE + f * c0) + f2 * ((c1 + f * c2) + f2 * (c3 + f * c4))
    scale = np.int32(np.int32(np.float32(shifted).view(np.int32) << _SHIFT) + _ONE_BITS).view(np.float32)
    result = _where(large + small < _LEAST_POWER, np.float32(0.0), mantissa * scale)
    return _where(x == x, result, x)


@_inlined
def _logarithm_32(x):  # type: ignore[no-untyped-def]
    integer, fraction = _log2_parts(_maximum(x, _LEAST))
    return _LN2 * (integer + fraction)


@_inlined
def _power_64(x, y):  # type: ignore[no-untyped-def]
    return x**y


@_inlined
def _logarithm_64(x):  # type: ignore[no-untyped-def]
    return math.log(x)


# ---- the day and its adjoint, for each precision ------------------------------------------------

_DAYS = {
    types.float32: make_day(_minimum, _maximum, _power_32, _where, np.float32, _inlined),
    types.float64: make_day(_minimum, _maximum, _power_64, _where, np.float64, _inlined),
}
_ADJOINTS = {
    types.float32: make_adjoint(_minimum, _maximum, _power_32, _where, _logarithm_32, np.float32, _inlined),
    types.float64: make_adjoint(_minimum, _maximum, _power_64, _where, _logarithm_64, np.float64, _inlined),
}


# Stand-ins, which the compiler replaces by the function for the precision of the arguments. (A
# kernel that closes over compiled functions would not be found in the cache on disk.)
def _day(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def _adjoint(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


@overload(_day, jit_options={"forceinline": True, **_OPTIONS})
def _day_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _DAYS[arguments[0]]
    return lambda *arguments: function(*arguments)


@overload(_adjoint, jit_options={"forceinline": True, **_OPTIONS})
def _adjoint_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _ADJOINTS[arguments[0]]
    return lambda *arguments: function(*arguments)


@intrinsic
def _at(typing_context, address, like):  # type: ignore[no-untyped-def]
    """A pointer to numbers of the precision of the array ``like``."""
    pointer = types.CPointer(like.dtype)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.intp, like), generate


# ---- loops over lanes ---------------------------------------------------------------------------


@njit(**_OPTIONS)
def _advance(slab):  # type: ignore[no-untyped-def]
    """One day of one slab."""
    for c in range(LANES):
        stores, fluxes = _day(
            slab[c],
            slab[LANES + c],
            slab[2 * LANES + c],
            slab[STORE * LANES + c],
            slab[(STORE + 1) * LANES + c],
            slab[(STORE + 2) * LANES + c],
            slab[(STORE + 3) * LANES + c],
            slab[(STORE + 4) * LANES + c],
            slab[PARAMETER * LANES + c],
            slab[(PARAMETER + 1) * LANES + c],
            slab[(PARAMETER + 2) * LANES + c],
            slab[(PARAMETER + 3) * LANES + c],
            slab[(PARAMETER + 4) * LANES + c],
            slab[(PARAMETER + 5) * LANES + c],
            slab[(PARAMETER + 6) * LANES + c],
            slab[(PARAMETER + 7) * LANES + c],
            slab[(PARAMETER + 8) * LANES + c],
            slab[(PARAMETER + 9) * LANES + c],
            slab[(PARAMETER + 10) * LANES + c],
            slab[(PARAMETER + 11) * LANES + c],
            slab[(PARAMETER + 12) * LANES + c],
        )
        for row in range(N_STORES):
            slab[(STORE + row) * LANES + c] = stores[row]
        for row in range(N_FLUXES):
            slab[(FLUX + row) * LANES + c] = fluxes[row]
        slab[RUNOFF * LANES + c] = fluxes[N_FLUXES - 3] + fluxes[N_FLUXES - 2] + fluxes[N_FLUXES - 1]


@njit(**_OPTIONS)
def _retreat(slab):  # type: ignore[no-untyped-def]
    """The adjoint of one day of one slab: cotangents of the stores in place, gradients added."""
    for c in range(LANES):
        runoff = slab[RUNOFF * LANES + c]
        stores, parameters, weather = _adjoint(
            slab[c],
            slab[LANES + c],
            slab[2 * LANES + c],
            slab[STORE * LANES + c],
            slab[(STORE + 1) * LANES + c],
            slab[(STORE + 2) * LANES + c],
            slab[(STORE + 3) * LANES + c],
            slab[(STORE + 4) * LANES + c],
            slab[PARAMETER * LANES + c],
            slab[(PARAMETER + 1) * LANES + c],
            slab[(PARAMETER + 2) * LANES + c],
            slab[(PARAMETER + 3) * LANES + c],
            slab[(PARAMETER + 4) * LANES + c],
            slab[(PARAMETER + 5) * LANES + c],
            slab[(PARAMETER + 6) * LANES + c],
            slab[(PARAMETER + 7) * LANES + c],
            slab[(PARAMETER + 8) * LANES + c],
            slab[(PARAMETER + 9) * LANES + c],
            slab[(PARAMETER + 10) * LANES + c],
            slab[(PARAMETER + 11) * LANES + c],
            slab[(PARAMETER + 12) * LANES + c],
            slab[COTANGENT * LANES + c],
            slab[(COTANGENT + 1) * LANES + c],
            slab[(COTANGENT + 2) * LANES + c],
            slab[(COTANGENT + 3) * LANES + c],
            slab[(COTANGENT + 4) * LANES + c],
            slab[FLUX * LANES + c],
            slab[(FLUX + 1) * LANES + c],
            slab[(FLUX + 2) * LANES + c],
            slab[(FLUX + 3) * LANES + c],
            slab[(FLUX + 4) * LANES + c],
            slab[(FLUX + 5) * LANES + c],
            slab[(FLUX + 6) * LANES + c],
            slab[(FLUX + 7) * LANES + c],
            slab[(FLUX + 8) * LANES + c],
            slab[(FLUX + 9) * LANES + c] + runoff,
            slab[(FLUX + 10) * LANES + c] + runoff,
            slab[(FLUX + 11) * LANES + c] + runoff,
        )
        for row in range(N_STORES):
            slab[(COTANGENT + row) * LANES + c] = stores[row]
        for row in range(N_PARAMETERS):
            slab[(GRADIENT + row) * LANES + c] += parameters[row]
        for row in range(3):
            slab[(WEATHER_GRADIENT + row) * LANES + c] = weather[row]


# ---- between the caller's memory and slabs ------------------------------------------------------
# Tables have a row for each array: address (0: no such array), strides in time, space, component,
# and two more numbers where they matter. ``cells`` is how many cells are left from the first one
# of the block. Rows are moved with all loads before all stores, which lets the compiler move
# them as one vector although it cannot know that source and target do not overlap.


@_inlined
def _move(source, start, stride, target, place):  # type: ignore[no-untyped-def]
    """LANES numbers, ``stride`` apart, into a row."""
    a, b, c, d = source[start], source[start + stride], source[start + 2 * stride], source[start + 3 * stride]
    start += 4 * stride
    e, f, g, h = source[start], source[start + stride], source[start + 2 * stride], source[start + 3 * stride]
    target[place], target[place + 1], target[place + 2], target[place + 3] = a, b, c, d
    target[place + 4], target[place + 5], target[place + 6], target[place + 7] = e, f, g, h


@_inlined
def _spread(source, place, target, start, stride, number):  # type: ignore[no-untyped-def]
    """The first numbers of a row, or all, to places ``stride`` apart."""
    if stride == 1 and number >= LANES:
        _move(source, place, 1, target, start)
    else:
        for c in range(min(LANES, number)):
            target[start + c * stride] = source[place + c]


@njit(**_OPTIONS)
def _load(array, like, day, cell, cells, memory, n_components, rows, row):  # type: ignore[no-untyped-def]
    """An array's values of a day into a row of all slabs; lanes beyond the last cell repeat it."""
    source = _at(array[0], like)
    stride = array[2]
    place = row * LANES
    for first in range(0, cells, LANES):
        for component in range(n_components):
            start = day * array[1] + (cell + first) * stride + component * array[3]
            if first + LANES <= cells:
                _move(source, start, stride, memory, place)
            else:
                for c in range(LANES):
                    memory[place + c] = source[start + min(c, cells - first - 1) * stride]
            place += rows * LANES


@njit(**_OPTIONS)
def _load_cotangent(array, like, day, cell, cells, memory, n_components, rows):  # type: ignore[no-untyped-def]
    """A series' cotangent of a day: in its row for a flux, added to what comes back in time for a store."""
    source = _at(array[0], like)
    stride = array[2]
    row = array[4]
    share = like.dtype.type(1.0) / like.dtype.type(array[5])
    line = np.zeros(LANES, like.dtype)
    for first in range(0, cells, LANES):
        place = first // LANES * n_components * rows * LANES
        for component in range(n_components):
            if component == 0 or array[3] != 0:
                start = day * array[1] + (cell + first) * stride + component * array[3]
                for c in range(min(LANES, cells - first)):
                    line[c] = source[start + c * stride] * share
            if row >= FLUX:
                for c in range(LANES):
                    memory[place + row * LANES + c] = line[c]
            else:
                for c in range(LANES):
                    memory[place + (row - STORE + COTANGENT) * LANES + c] += line[c]
            place += rows * LANES


@njit(**_OPTIONS)
def _save(array, like, day, cell, cells, memory, n_components, rows, row):  # type: ignore[no-untyped-def]
    """A row of all slabs into an array's values of a day."""
    target = _at(array[0], like)
    place = row * LANES
    for first in range(0, cells, LANES):
        for component in range(n_components):
            start = day * array[1] + (cell + first) * array[2] + component * array[3]
            _spread(memory, place, target, start, array[2], cells - first)
            place += rows * LANES


@njit(**_OPTIONS)
def _save_sum(array, like, day, cell, cells, memory, n_components, rows, row, divisor):  # type: ignore[no-untyped-def]
    """The sum over components of a row, over a divisor, into an array's values of a day."""
    target = _at(array[0], like)
    place = row * LANES
    weight = like.dtype.type(divisor)
    zero = like.dtype.type(0.0)
    line = np.empty(LANES, like.dtype)
    for first in range(0, cells, LANES):
        a = b = c = d = e = f = g = h = zero
        for _ in range(n_components):
            a += memory[place]
            b += memory[place + 1]
            c += memory[place + 2]
            d += memory[place + 3]
            e += memory[place + 4]
            f += memory[place + 5]
            g += memory[place + 6]
            h += memory[place + 7]
            place += rows * LANES
        line[0], line[1], line[2], line[3] = a / weight, b / weight, c / weight, d / weight
        line[4], line[5], line[6], line[7] = e / weight, f / weight, g / weight, h / weight
        _spread(line, 0, target, day * array[1] + (cell + first) * array[2], array[2], cells - first)


@njit(**_OPTIONS)
def _load_weather(forcing, like, day, days, cell, cells, weather):  # type: ignore[no-untyped-def]
    """Weather of some days and cells, together, since rows of distant days come late from memory."""
    for v in range(3):
        source = _at(forcing[v, 0], like)
        stride = forcing[v, 2]
        for d in range(days):
            place = (d * ((cells + LANES - 1) // LANES) * 3 + v) * LANES
            for first in range(0, cells, LANES):
                start = (day + d) * forcing[v, 1] + (cell + first) * stride
                if first + LANES <= cells:
                    _move(source, start, stride, weather, place)
                else:
                    for c in range(LANES):
                        weather[place + c] = source[start + min(c, cells - first - 1) * stride]
                place += 3 * LANES


@njit(**_OPTIONS)
def _place_weather(weather, d, memory, n_groups, n_components, rows):  # type: ignore[no-untyped-def]
    place = WEATHER * LANES
    for group in range(n_groups):
        start = (d * n_groups + group) * 3 * LANES
        for _ in range(n_components):
            for row in range(3):
                _move(weather, start + row * LANES, 1, memory, place + row * LANES)
            place += rows * LANES


@njit(**_OPTIONS)
def _copy_stores(source, source_start, source_rows, target, target_start, target_rows, n_slabs):  # type: ignore[no-untyped-def]
    """Rows of stores between two memories, one of which has other rows, too."""
    for s in range(n_slabs):
        for row in range(N_STORES):
            start = source_start + (s * source_rows + row) * LANES
            _move(source, start, 1, target, target_start + (s * target_rows + row) * LANES)


@njit(**_OPTIONS)
def _clear(memory, n_slabs, rows, row):  # type: ignore[no-untyped-def]
    for s in range(n_slabs):
        for c in range(LANES):
            memory[(s * rows + row) * LANES + c] = 0.0


@njit(**_OPTIONS)
def _advance_all(address, like, n_slabs, rows):  # type: ignore[no-untyped-def]
    for s in range(n_slabs):
        _advance(_at(address + s * rows * LANES * like.itemsize, like))


@njit(**_OPTIONS)
def _retreat_all(address, like, n_slabs, rows):  # type: ignore[no-untyped-def]
    for s in range(n_slabs):
        _retreat(_at(address + s * rows * LANES * like.itemsize, like))


@njit(**_OPTIONS)
def _load_parameters(parameters, dynamic, like, day, cell, cells, memory, n_components, rows):  # type: ignore[no-untyped-def]
    """The static parameters, or the dynamic ones of a day."""
    for i in range(N_PARAMETERS):
        if parameters[i, 4] == dynamic:
            _load(parameters[i], like, day, cell, cells, memory, n_components, rows, PARAMETER + i)


# ---- the two kernels ----------------------------------------------------------------------------


def _sources() -> str:
    """A digest of what the kernels are made of.

    numba finds a kernel in its cache by the file it is defined in and by what it closes over;
    closing over this keeps a kernel of other equations from being found.
    """
    names = ("hbv.py", "adjoint.py", "kernels_cpu.py")
    return hashlib.sha256(b"".join((Path(__file__).parent / name).read_bytes() for name in names)).hexdigest()


def _make_forward(sources: str) -> Callable[..., None]:
    def forward(  # type: ignore[no-untyped-def]
        scratch, forcing, parameters, initial, final, series, checkpoints, n_days, n_cells, n_components, groups, first, last
    ):
        """Advance the blocks from ``first`` to before ``last`` through all days.

        ``parameters`` has 1 as fifth number where dynamic; ``series`` has the slab's row as
        fifth and, where components are averaged, their number as sixth. ``checkpoints`` is an
        address or 0.
        """
        assert len(sources) > 0
        rows = FORWARD_ROWS
        address = scratch.ctypes.data
        memory = _at(address, scratch)
        weather = _at(address + scratch.itemsize * groups * n_components * rows * LANES, scratch)
        n_chunks = (n_days + CHUNK - 1) // CHUNK
        for block in range(first, last):
            cell = block * groups * LANES
            cells = min(n_cells - cell, groups * LANES)
            n_groups = (cells + LANES - 1) // LANES
            n_slabs = n_groups * n_components
            _load_parameters(parameters, 0, scratch, 0, cell, cells, memory, n_components, rows)
            for i in range(N_STORES):
                _load(initial[i], scratch, 0, cell, cells, memory, n_components, rows, STORE + i)
            for day in range(n_days):
                if day % CHUNK == 0:
                    _load_weather(forcing, scratch, day, min(CHUNK, n_days - day), cell, cells, weather)
                    if checkpoints != 0:
                        start = (block * n_chunks + day // CHUNK) * groups * n_components * N_STORES * LANES
                        _copy_stores(memory, STORE * LANES, rows, _at(checkpoints, scratch), start, N_STORES, n_slabs)
                _load_parameters(parameters, 1, scratch, day, cell, cells, memory, n_components, rows)
                _place_weather(weather, day % CHUNK, memory, n_groups, n_components, rows)
                _advance_all(address, scratch, n_slabs, rows)
                for i in range(len(series)):
                    row, divisor = series[i, 4], series[i, 5]
                    if divisor == 0:
                        _save(series[i], scratch, day, cell, cells, memory, n_components, rows, row)
                    else:
                        _save_sum(series[i], scratch, day, cell, cells, memory, n_components, rows, row, divisor)
            for i in range(N_STORES):
                _save(final[i], scratch, 0, cell, cells, memory, n_components, rows, STORE + i)

    return forward


@njit(**_OPTIONS)
def _advance_again(  # type: ignore[no-untyped-def]
    scratch, address, memory, weather, trail, parameters, begin, days, cell, cells, n_components
):
    """From the stores at the beginning of a chunk, the stores before each of its days."""
    rows = BACKWARD_ROWS
    n_groups = (cells + LANES - 1) // LANES
    n_slabs = n_groups * n_components
    for d in range(days):
        _copy_stores(memory, STORE * LANES, rows, trail, d * n_slabs * N_STORES * LANES, N_STORES, n_slabs)
        if d < days - 1:
            _load_parameters(parameters, 1, scratch, begin + d, cell, cells, memory, n_components, rows)
            _place_weather(weather, d, memory, n_groups, n_components, rows)
            _advance_all(address, scratch, n_slabs, rows)
    for row in range(FLUX, FORWARD_ROWS):  # which is for cotangents now
        _clear(memory, n_slabs, rows, row)


def _make_backward(sources: str) -> Callable[..., None]:
    def backward(  # type: ignore[no-untyped-def]
        scratch,
        forcing,
        parameters,
        checkpoints,
        series,
        final,
        d_forcing,
        d_parameters,
        d_initial,
        n_days,
        n_cells,
        n_components,
        groups,
        first,
        last,
    ):
        """The adjoint of ``forward``: cotangents in ``series`` and ``final``, gradients in the rest.

        Each chunk of days is advanced again from its checkpoint, which takes less time than
        writing and reading the stores of every day.
        """
        assert len(sources) > 0
        rows = BACKWARD_ROWS
        address = scratch.ctypes.data
        memory = _at(address, scratch)
        weather = _at(address + scratch.itemsize * groups * n_components * rows * LANES, scratch)
        trail = _at(address + scratch.itemsize * groups * (n_components * rows + CHUNK * 3) * LANES, scratch)
        n_chunks = (n_days + CHUNK - 1) // CHUNK
        for block in range(first, last):
            cell = block * groups * LANES
            cells = min(n_cells - cell, groups * LANES)
            n_groups = (cells + LANES - 1) // LANES
            n_slabs = n_groups * n_components
            for row in range(FLUX, rows):
                _clear(memory, n_slabs, rows, row)
            _load_parameters(parameters, 0, scratch, 0, cell, cells, memory, n_components, rows)
            for i in range(N_STORES):
                if final[i, 0] != 0:
                    _load(final[i], scratch, 0, cell, cells, memory, n_components, rows, COTANGENT + i)
            for chunk in range(n_chunks - 1, -1, -1):
                begin = chunk * CHUNK
                days = min(CHUNK, n_days - begin)
                _load_weather(forcing, scratch, begin, days, cell, cells, weather)
                start = (block * n_chunks + chunk) * groups * n_components * N_STORES * LANES
                _copy_stores(_at(checkpoints, scratch), start, N_STORES, memory, STORE * LANES, rows, n_slabs)
                _advance_again(
                    scratch, address, memory, weather, trail, parameters, begin, days, cell, cells, n_components
                )
                for d in range(days - 1, -1, -1):
                    day = begin + d
                    start = d * n_slabs * N_STORES * LANES
                    _copy_stores(trail, start, N_STORES, memory, STORE * LANES, rows, n_slabs)
                    _load_parameters(parameters, 1, scratch, day, cell, cells, memory, n_components, rows)
                    _place_weather(weather, d, memory, n_groups, n_components, rows)
                    for i in range(len(series)):
                        _load_cotangent(series[i], scratch, day, cell, cells, memory, n_components, rows)
                    _retreat_all(address, scratch, n_slabs, rows)
                    for i in range(N_PARAMETERS):
                        if parameters[i, 4] != 0:
                            row = GRADIENT + i
                            if d_parameters[i, 0] != 0:
                                _save(d_parameters[i], scratch, day, cell, cells, memory, n_components, rows, row)
                            _clear(memory, n_slabs, rows, row)
                    for i in range(3):
                        if d_forcing[i, 0] != 0:
                            row = WEATHER_GRADIENT + i
                            _save_sum(d_forcing[i], scratch, day, cell, cells, memory, n_components, rows, row, 1)
            for i in range(N_PARAMETERS):
                if parameters[i, 4] == 0 and d_parameters[i, 0] != 0:
                    _save(d_parameters[i], scratch, 0, cell, cells, memory, n_components, rows, GRADIENT + i)
            for i in range(N_STORES):
                if d_initial[i, 0] != 0:
                    _save(d_initial[i], scratch, 0, cell, cells, memory, n_components, rows, COTANGENT + i)

    return backward


_TABLE = types.Array(types.int64, 2, "C")
_PLACES = (*(types.int64,) * 6,)  # n_days, n_cells, n_components, groups, first, last


def scratch_size(kind: str, n_components: int, groups: int) -> int:
    """How many numbers a kernel needs of its own, as its first argument."""
    rows = n_components * FORWARD_ROWS if kind == "forward" else n_components * (BACKWARD_ROWS + CHUNK * N_STORES)
    return groups * LANES * (rows + CHUNK * 3)


@cache
def compiled(kind: str, dtype: str) -> Any:
    """The ``forward`` or ``backward`` kernel for float32 or float64, from numba's cache if it is there."""
    like = types.Array(types.float64 if dtype == "float64" else types.float32, 1, "C")
    if kind == "forward":
        function = _make_forward(_sources())
        signature = types.void(like, *(_TABLE,) * 5, types.int64, *_PLACES)
    else:
        function = _make_backward(_sources())
        signature = types.void(like, *(_TABLE,) * 2, types.int64, *(_TABLE,) * 5, *_PLACES)
    try:
        return njit(signature, nogil=True, cache=True, **_OPTIONS)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return njit(signature, nogil=True, **_OPTIONS)(function)  # no writable place on disk

"""The compiled loops of :mod:`hydroxr.physics.loop_cpu`; importing this imports numba.

A *lane* is one component of one cell. Eight lanes make a *slab*, an array (row, lane) that holds
all numbers of their day (weather, stores, parameters, fluxes, and for the adjoint the cotangents).
The loop over the lanes of a slab touches nothing else and has no branch, so that the compiler turns
it into vector instructions. Slabs make a *group*, groups make a *block*. In a slab there are eight
cells' one component, and a group has as many slabs as there are components; or eight components of
one cell, and a group is a cell: the caller chooses by the strides that it gives. All slabs of a
block pass a day before the next one: they do not depend on each other, which keeps the processor
busy.

Memory of the caller is read and written through tables of addresses and strides, in elements: any
layout will do, and what does not vary in time or over components takes no room.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic, overload

from .adjoint import make_adjoint
from .hbv import DAY_FLUXES, DAY_PARAMETERS, STORES, make_day

LANES = 8  # float32 numbers in one 256-bit register
CHUNK = 32  # days whose weather is fetched at once, and between two checkpoints
AHEAD = 3  # days before it is used, a dynamic parameter is asked for

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

# Nothing may assume that there are no NaNs: a NaN in forcing shall show. The equations are rounded
# as the reference rounds them, so that both stand on the same side of a kink where a quantity is 0 but
# for rounding (snow that holds just the water it can). Within a power, products and sums are fused.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"nsz"}}
_INLINED: Any = {"forceinline": True, **_OPTIONS}
_inlined = njit(**_INLINED)
_fused = njit(forceinline=True, error_model="numpy", fastmath={"nsz", "contract"})


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


def _coefficients(
    function: Callable[[np.ndarray], np.ndarray], lower: float, upper: float, degree: int
) -> Any:
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


@_fused
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


@_fused
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


@_fused
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


@overload(_day, jit_options=_INLINED)
def _day_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _DAYS[arguments[0]]
    return lambda *arguments: function(*arguments)


@overload(_adjoint, jit_options=_INLINED)
def _adjoint_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _ADJOINTS[arguments[0]]
    return lambda *arguments: function(*arguments)


def _at_address(typing_context, address, like):  # type: ignore[no-untyped-def]
    """A pointer to numbers of the precision of the array ``like``."""
    pointer = types.CPointer(like.dtype)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.intp, like), generate


_at: Any = intrinsic(_at_address)


def _prefetch_index(typing_context, source, index):  # type: ignore[no-untyped-def]
    """Ask for the memory around ``source[index]``, without waiting for it."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        builder.call(function, [place, number(0), number(3), number(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(source, types.intp), generate


_prefetch: Any = intrinsic(_prefetch_index)


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
# Tables have a row for each array: address (0: no such array); strides from day to day, from group to
# group of lanes, from slab to slab of a group, and from lane to lane; two more numbers where they
# matter. ``group`` is the first group of a block, ``lanes`` how many lanes side by side it has in
# all its groups. Rows are moved with all loads before all stores, which lets the compiler move them
# as one vector although it cannot know that source and target do not overlap.


@_inlined
def _move(source, start, stride, target, place):  # type: ignore[no-untyped-def]
    """LANES numbers, ``stride`` apart, into a row."""
    a, b, c, d = source[start], source[start + stride], source[start + 2 * stride], source[start + 3 * stride]
    start += 4 * stride
    e, f, g, h = source[start], source[start + stride], source[start + 2 * stride], source[start + 3 * stride]
    target[place], target[place + 1], target[place + 2], target[place + 3] = a, b, c, d
    target[place + 4], target[place + 5], target[place + 6], target[place + 7] = e, f, g, h


@_inlined
def _gather(source, start, stride, target, place, number):  # type: ignore[no-untyped-def]
    """Into a row from places ``stride`` apart; lanes from ``number`` on repeat the last."""
    if number < LANES:
        for c in range(LANES):
            target[place + c] = source[start + min(c, number - 1) * stride]
    elif stride == 1:
        _move(source, start, 1, target, place)
    elif stride == 0:
        _move(source, start, 0, target, place)
    else:
        _move(source, start, stride, target, place)


@_inlined
def _spread(source, place, target, start, stride, number):  # type: ignore[no-untyped-def]
    """The first numbers of a row, or all, to places ``stride`` apart."""
    if stride == 1 and number >= LANES:
        _move(source, place, 1, target, start)
    else:
        for c in range(min(LANES, number)):
            target[start + c * stride] = source[place + c]


@_inlined
def _add(source, start, target, place):  # type: ignore[no-untyped-def]
    """A row to a row."""
    for c in range(LANES):
        target[place + c] += source[start + c]


@_inlined
def _sum_of_four(m, i, step, c):  # type: ignore[no-untyped-def]
    return (m[i + c] + m[i + step + c]) + (m[i + 2 * step + c] + m[i + 3 * step + c])


@_inlined
def _add_four(memory, start, step, line):  # type: ignore[no-untyped-def]
    """Four rows, ``step`` apart, to a row: the sum waits for its own last value less often."""
    a = line[0] + _sum_of_four(memory, start, step, 0)
    b = line[1] + _sum_of_four(memory, start, step, 1)
    c = line[2] + _sum_of_four(memory, start, step, 2)
    d = line[3] + _sum_of_four(memory, start, step, 3)
    e = line[4] + _sum_of_four(memory, start, step, 4)
    f = line[5] + _sum_of_four(memory, start, step, 5)
    g = line[6] + _sum_of_four(memory, start, step, 6)
    h = line[7] + _sum_of_four(memory, start, step, 7)
    line[0], line[1], line[2], line[3], line[4], line[5], line[6], line[7] = a, b, c, d, e, f, g, h


@njit(**_OPTIONS)
def _load(array, like, day, group, lanes, memory, n_slabs, rows, row):  # type: ignore[no-untyped-def]
    """An array's values of a day into a row of all slabs."""
    source = _at(array[0], like)
    place = row * LANES
    base = day * array[1] + group * array[2]
    for first in range(0, lanes, LANES):
        start = base
        for _ in range(n_slabs):
            _gather(source, start, array[4], memory, place, lanes - first)
            place += rows * LANES
            start += array[3]
        base += array[2]


@njit(**_OPTIONS)
def _announce(array, like, day, group, lanes, n_slabs):  # type: ignore[no-untyped-def]
    """Ask for an array's values of a coming day: days lie too far apart for the processor to guess."""
    source = _at(array[0], like)
    base = day * array[1] + group * array[2]
    for first in range(0, lanes, LANES):
        start = base
        last = (min(LANES, lanes - first) - 1) * array[4]
        for _ in range(n_slabs):
            _prefetch(source, start)
            _prefetch(source, start + last)
            start += array[3]
        base += array[2]


@njit(**_OPTIONS)
def _load_cotangent(array, like, day, group, lanes, memory, n_slabs, rows, line):  # type: ignore[no-untyped-def]
    """A series' cotangent of a day: in its row for a flux, added to what comes back in time for a store."""
    source = _at(array[0], like)
    stride = array[4]
    row = array[5]
    share = like.dtype.type(1.0) / like.dtype.type(array[6])
    place = (row if row >= FLUX else row - STORE + COTANGENT) * LANES
    base = day * array[1] + group * array[2]
    for first in range(0, lanes, LANES):
        start = base
        for slab in range(n_slabs):
            if slab == 0 or array[3] != 0:
                _gather(source, start, stride, line, 0, lanes - first)
                for c in range(LANES):
                    line[c] *= share
            if row >= FLUX:
                _move(line, 0, 1, memory, place)
            else:
                _add(line, 0, memory, place)
            place += rows * LANES
            start += array[3]
        base += array[2]


@njit(**_OPTIONS)
def _save(array, like, day, group, lanes, memory, n_slabs, rows, row):  # type: ignore[no-untyped-def]
    """A row of all slabs into an array's values of a day."""
    target = _at(array[0], like)
    place = row * LANES
    base = day * array[1] + group * array[2]
    for first in range(0, lanes, LANES):
        start = base
        for _ in range(n_slabs):
            _spread(memory, place, target, start, array[4], lanes - first)
            place += rows * LANES
            start += array[3]
        base += array[2]


@njit(**_OPTIONS)
def _save_sum(array, like, day, group, lanes, memory, n_slabs, rows, row, divisor, line):  # type: ignore[no-untyped-def]
    """The sum over components of a row, over a divisor, into an array's values of a day.

    Components are the slabs of a group or, where the array has lane stride 0, its lanes, too.
    """
    target = _at(array[0], like)
    place = row * LANES
    step = rows * LANES
    weight = like.dtype.type(divisor)
    start = day * array[1] + group * array[2]
    for first in range(0, lanes, LANES):
        for c in range(LANES):
            line[c] = 0.0
        for _ in range(n_slabs // 4):
            _add_four(memory, place, step, line)
            place += 4 * step
        for _ in range(n_slabs % 4):
            _add(memory, place, line, 0)
            place += step
        if array[4] == 0:
            total = ((line[0] + line[1]) + (line[2] + line[3])) + ((line[4] + line[5]) + (line[6] + line[7]))
            target[start] = total / weight
        else:
            for c in range(LANES):
                line[c] /= weight
            _spread(line, 0, target, start, array[4], lanes - first)
        start += array[2]


@njit(**_OPTIONS)
def _load_weather(forcing, like, day, days, group, lanes, weather):  # type: ignore[no-untyped-def]
    """Weather of some days, together, since rows of distant days come late from memory."""
    n_groups = (lanes + LANES - 1) // LANES
    for v in range(3):
        source = _at(forcing[v, 0], like)
        for d in range(days):
            place = (d * n_groups * 3 + v) * LANES
            start = (day + d) * forcing[v, 1] + group * forcing[v, 2]
            for first in range(0, lanes, LANES):
                _gather(source, start, forcing[v, 4], weather, place, lanes - first)
                place += 3 * LANES
                start += forcing[v, 2]


@njit(**_OPTIONS)
def _place_weather(weather, d, memory, n_groups, n_slabs, rows):  # type: ignore[no-untyped-def]
    place = WEATHER * LANES
    for group in range(n_groups):
        start = (d * n_groups + group) * 3 * LANES
        for _ in range(n_slabs):
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
def _load_static(parameters, like, group, lanes, memory, n_slabs, rows):  # type: ignore[no-untyped-def]
    for i in range(N_PARAMETERS):
        if parameters[i, 5] == 0:
            _load(parameters[i], like, 0, group, lanes, memory, n_slabs, rows, PARAMETER + i)


@njit(**_OPTIONS)
def _load_dynamic(parameters, like, day, group, lanes, memory, n_slabs, rows, coming):  # type: ignore[no-untyped-def]
    """The dynamic parameters of a day; those of the day ``coming`` are asked for, if it is not negative."""
    for i in range(N_PARAMETERS):
        if parameters[i, 5] != 0:
            _load(parameters[i], like, day, group, lanes, memory, n_slabs, rows, PARAMETER + i)
            if coming >= 0:
                _announce(parameters[i], like, coming, group, lanes, n_slabs)


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
        scratch,
        forcing,
        parameters,
        initial,
        final,
        series,
        checkpoints,
        n_days,
        width,
        n_slabs,
        groups,
        first,
        last,
    ):
        """Advance the blocks from ``first`` to before ``last`` through all days.

        After address and strides, ``parameters`` has 1 where dynamic; ``series`` has the slab's
        row and, where components are averaged, their number. ``checkpoints`` is an address or 0,
        ``width`` the number of lanes side by side in all groups, ``n_slabs`` that of a group.
        """
        assert len(sources) > 0
        rows = FORWARD_ROWS
        address = scratch.ctypes.data
        line = _at(address, scratch)
        address += scratch.itemsize * LANES
        memory = _at(address, scratch)
        weather = _at(address + scratch.itemsize * groups * n_slabs * rows * LANES, scratch)
        n_chunks = (n_days + CHUNK - 1) // CHUNK
        for block in range(first, last):
            group = block * groups
            lanes = min(width - group * LANES, groups * LANES)
            n_groups = (lanes + LANES - 1) // LANES
            n_all = n_groups * n_slabs
            _load_static(parameters, scratch, group, lanes, memory, n_slabs, rows)
            for i in range(N_STORES):
                _load(initial[i], scratch, 0, group, lanes, memory, n_slabs, rows, STORE + i)
            for day in range(n_days):
                if day % CHUNK == 0:
                    _load_weather(forcing, scratch, day, min(CHUNK, n_days - day), group, lanes, weather)
                    if checkpoints != 0:
                        start = (block * n_chunks + day // CHUNK) * groups * n_slabs * N_STORES * LANES
                        kept = _at(checkpoints, scratch)
                        _copy_stores(memory, STORE * LANES, rows, kept, start, N_STORES, n_all)
                coming = day + AHEAD if day + AHEAD < n_days else -1
                _load_dynamic(parameters, scratch, day, group, lanes, memory, n_slabs, rows, coming)
                _place_weather(weather, day % CHUNK, memory, n_groups, n_slabs, rows)
                _advance_all(address, scratch, n_all, rows)
                for i in range(len(series)):
                    row, divisor = series[i, 5], series[i, 6]
                    if divisor == 0:
                        _save(series[i], scratch, day, group, lanes, memory, n_slabs, rows, row)
                    else:
                        _save_sum(
                            series[i], scratch, day, group, lanes, memory, n_slabs, rows, row, divisor, line
                        )
            for i in range(N_STORES):
                _save(final[i], scratch, 0, group, lanes, memory, n_slabs, rows, STORE + i)

    return forward


@njit(**_OPTIONS)
def _advance_again(  # type: ignore[no-untyped-def]
    scratch, address, memory, weather, trail, parameters, begin, days, group, lanes, n_slabs
):
    """From the stores at the beginning of a chunk, the stores before each of its days."""
    rows = BACKWARD_ROWS
    n_groups = (lanes + LANES - 1) // LANES
    n_all = n_groups * n_slabs
    for d in range(days):
        _copy_stores(memory, STORE * LANES, rows, trail, d * n_all * N_STORES * LANES, N_STORES, n_all)
        if d < days - 1:
            coming = begin + d + AHEAD if d + AHEAD < days else -1
            _load_dynamic(parameters, scratch, begin + d, group, lanes, memory, n_slabs, rows, coming)
            _place_weather(weather, d, memory, n_groups, n_slabs, rows)
            _advance_all(address, scratch, n_all, rows)
    for row in range(FLUX, FORWARD_ROWS):  # which is for cotangents now
        _clear(memory, n_all, rows, row)


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
        width,
        n_slabs,
        groups,
        first,
        last,
    ):
        """The adjoint of ``forward``: cotangents in ``series`` and ``final``, gradients in the rest.

        Each chunk of days is advanced again from its checkpoint, so that the stores of every day
        need not be kept.
        """
        assert len(sources) > 0
        rows = BACKWARD_ROWS
        address = scratch.ctypes.data
        line = _at(address, scratch)
        address += scratch.itemsize * LANES
        memory = _at(address, scratch)
        weather = _at(address + scratch.itemsize * groups * n_slabs * rows * LANES, scratch)
        trail = _at(address + scratch.itemsize * groups * (n_slabs * rows + CHUNK * 3) * LANES, scratch)
        n_chunks = (n_days + CHUNK - 1) // CHUNK
        for block in range(first, last):
            group = block * groups
            lanes = min(width - group * LANES, groups * LANES)
            n_groups = (lanes + LANES - 1) // LANES
            n_all = n_groups * n_slabs
            for row in range(FLUX, rows):
                _clear(memory, n_all, rows, row)
            _load_static(parameters, scratch, group, lanes, memory, n_slabs, rows)
            for i in range(N_STORES):
                if final[i, 0] != 0:
                    _load(final[i], scratch, 0, group, lanes, memory, n_slabs, rows, COTANGENT + i)
            for chunk in range(n_chunks - 1, -1, -1):
                begin = chunk * CHUNK
                days = min(CHUNK, n_days - begin)
                _load_weather(forcing, scratch, begin, days, group, lanes, weather)
                start = (block * n_chunks + chunk) * groups * n_slabs * N_STORES * LANES
                _copy_stores(_at(checkpoints, scratch), start, N_STORES, memory, STORE * LANES, rows, n_all)
                _advance_again(
                    scratch, address, memory, weather, trail, parameters, begin, days, group, lanes, n_slabs
                )
                for d in range(days - 1, -1, -1):
                    day = begin + d
                    start = d * n_all * N_STORES * LANES
                    _copy_stores(trail, start, N_STORES, memory, STORE * LANES, rows, n_all)
                    _load_dynamic(parameters, scratch, day, group, lanes, memory, n_slabs, rows, -1)
                    _place_weather(weather, d, memory, n_groups, n_slabs, rows)
                    for i in range(len(series)):
                        _load_cotangent(series[i], scratch, day, group, lanes, memory, n_slabs, rows, line)
                    _retreat_all(address, scratch, n_all, rows)
                    for i in range(N_PARAMETERS):
                        if parameters[i, 5] != 0:
                            row = GRADIENT + i
                            if d_parameters[i, 0] != 0:
                                _save(d_parameters[i], scratch, day, group, lanes, memory, n_slabs, rows, row)
                            _clear(memory, n_all, rows, row)
                    for i in range(3):
                        if d_forcing[i, 0] != 0:
                            row = WEATHER_GRADIENT + i
                            _save_sum(
                                d_forcing[i], scratch, day, group, lanes, memory, n_slabs, rows, row, 1, line
                            )
            for i in range(N_PARAMETERS):
                if parameters[i, 5] == 0 and d_parameters[i, 0] != 0:
                    _save(d_parameters[i], scratch, 0, group, lanes, memory, n_slabs, rows, GRADIENT + i)
            for i in range(N_STORES):
                if d_initial[i, 0] != 0:
                    _save(d_initial[i], scratch, 0, group, lanes, memory, n_slabs, rows, COTANGENT + i)

    return backward


_TABLE = types.Array(types.int64, 2, "C")
_PLACES = (*(types.int64,) * 6,)  # n_days, width, n_slabs, groups, first, last


def scratch_size(kind: str, n_slabs: int, groups: int) -> int:
    """How many numbers a kernel needs of its own, as its first argument."""
    rows = n_slabs * FORWARD_ROWS if kind == "forward" else n_slabs * (BACKWARD_ROWS + CHUNK * N_STORES)
    return LANES * (1 + groups * (rows + CHUNK * 3))


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

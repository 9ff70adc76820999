"""One day of one slab with NN_r, and its adjoint; importing this imports numba.

:mod:`hydroxr.physics.runoff_network` defines the network. A day is three steps: a loop over lanes up to
the inputs of the network; the network, one hidden unit after another for all lanes at once; a loop over
lanes for the rest. Rows of the slab pass values between the steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ...support.compiled import INLINED, inlined
from ..adjoint import make_part_adjoints
from ..equations import make_parts
from ..runoff_network import INPUTS
from .elementary import logarithm_32, logarithm_64, maximum, minimum, power_32, power_64, where
from .rows import LANES, add_to_lane, at, copy_rows, get_lane, load_row, set_lane, size_of, store_row
from .slabs import (
    BACKWARD_ROWS,
    COTANGENT,
    FLUX,
    GRADIENT,
    INPUTS_OF_DAY,
    N_STORES,
    RUNOFF,
    STORE,
    WEATHER,
    WEATHER_GRADIENT,
)

N_INPUTS = len(INPUTS)
N_WEIGHTS = N_INPUTS + 2  # per hidden unit: for its inputs, its bias, its weight in the output

# Rows of a slab for the network, after all others.
INPUT = BACKWARD_ROWS
OUTPUT = INPUT + N_INPUTS  # before the sigmoid
D_OUTPUT = OUTPUT + 1  # from here on cotangents
D_INFLOW = D_OUTPUT + 1  # only through the processes after the network
D_INPUT = D_INFLOW + 1
WITH_NETWORK_ROWS = D_INPUT + N_INPUTS


class Network(NamedTuple):
    """Address of the weights (:meth:`.RunoffNetwork.weights`), address of their gradient, hidden units.

    The gradient has one row per weight and block; the caller sums it over lanes and blocks.
    """

    weights: int
    gradient: int
    hidden: int


NETWORK = types.NamedUniTuple(types.int64, len(Network._fields), Network)


@inlined
def of_block(network, index, like):  # type: ignore[no-untyped-def]
    """The network with the gradient rows of block ``index``."""
    if network is None:
        return None
    rows = network.hidden * N_WEIGHTS + 1
    offset = index * rows * LANES * size_of(like)
    return Network(network.weights, network.gradient + offset, network.hidden)


# ---- the network --------------------------------------------------------------------------------

_FUSED = ("contract",)


def _splat(builder, pointer, index, lanes=LANES):  # type: ignore[no-untyped-def]
    """Copy a number into all lanes of a vector."""
    zero = ir.IntType(32)(0)
    vector = ir.VectorType(pointer.type.pointee, lanes)(ir.Undefined)
    vector = builder.insert_element(vector, builder.load(builder.gep(pointer, [index])), zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(vector, vector, mask)


def _plus_product(builder, total, one, other):  # type: ignore[no-untyped-def]
    return builder.fadd(total, builder.fmul(one, other, flags=_FUSED), flags=_FUSED)


def _unit(builder, inputs, weights, unit):  # type: ignore[no-untyped-def]
    """The value of a hidden unit before its ReLU, and the weights of the unit."""
    start = builder.mul(unit, unit.type(N_WEIGHTS))
    own = [_splat(builder, weights, builder.add(start, unit.type(i))) for i in range(N_WEIGHTS)]
    signal = own[N_INPUTS]
    for value, weight in zip(inputs, own, strict=False):
        signal = _plus_product(builder, signal, value, weight)
    return signal, own


def _output_of_network(typing_context, slab, weights, hidden):  # type: ignore[no-untyped-def]
    """Compute the row of the output from the rows of the inputs."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        slab, weights, hidden = arguments
        index = hidden.type
        inputs = [load_row(builder, slab, index((INPUT + i) * LANES)) for i in range(N_INPUTS)]
        bias = _splat(builder, weights, builder.mul(hidden, index(N_WEIGHTS)))
        none = ir.Constant(bias.type, [0.0] * LANES)
        output = cgutils.alloca_once_value(builder, bias)
        with cgutils.for_range(builder, hidden) as loop:
            signal, own = _unit(builder, inputs, weights, loop.index)
            # An unordered comparison lets a NaN through.
            active = builder.select(builder.fcmp_unordered(">", signal, none), signal, none)
            builder.store(_plus_product(builder, builder.load(output), active, own[-1]), output)
        store_row(builder, builder.load(output), slab, index(OUTPUT * LANES))
        return context.get_dummy_value()

    return types.void(slab, weights, types.intp), generate


_network_output: Any = intrinsic(_output_of_network)


def _adjoint_of_network(typing_context, slab, weights, hidden, gradient, lanes):  # type: ignore[no-untyped-def]
    """Compute the cotangents of the inputs from the cotangent of the output.

    Only the first ``lanes`` lanes add to the gradient of the weights, because the others repeat the last.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        slab, weights, hidden, gradient, lanes = arguments
        index, vector = hidden.type, ir.VectorType(slab.type.pointee, LANES)
        none = ir.Constant(vector, [0.0] * LANES)
        inputs = [load_row(builder, slab, index((INPUT + i) * LANES)) for i in range(N_INPUTS)]
        numbers = ir.Constant(ir.VectorType(index, LANES), list(range(LANES)))
        limit = ir.VectorType(index, LANES)(ir.Undefined)
        for lane in range(LANES):
            limit = builder.insert_element(limit, lanes, ir.IntType(32)(lane))
        given = load_row(builder, slab, index(D_OUTPUT * LANES))
        given = builder.select(builder.icmp_signed("<", numbers, limit), given, none)
        totals = [cgutils.alloca_once_value(builder, none) for _ in inputs]

        def add(row, term):  # type: ignore[no-untyped-def]
            place = builder.mul(row, index(LANES))
            store_row(builder, builder.fadd(load_row(builder, gradient, place), term), gradient, place)

        add(builder.mul(hidden, index(N_WEIGHTS)), given)
        with cgutils.for_range(builder, hidden) as loop:
            signal, own = _unit(builder, inputs, weights, loop.index)
            is_active = builder.fcmp_unordered(">", signal, none)
            reaching = builder.select(is_active, given, none)
            back = builder.fmul(reaching, own[-1])
            row = builder.mul(loop.index, index(N_WEIGHTS))
            for i, (value, total) in enumerate(zip(inputs, totals, strict=True)):
                builder.store(_plus_product(builder, builder.load(total), back, own[i]), total)
                add(builder.add(row, index(i)), builder.fmul(back, value, flags=_FUSED))
            add(builder.add(row, index(N_INPUTS)), back)
            add(builder.add(row, index(N_INPUTS + 1)), builder.fmul(reaching, signal, flags=_FUSED))
        for i, total in enumerate(totals):
            store_row(builder, builder.load(total), slab, index((D_INPUT + i) * LANES))
        return context.get_dummy_value()

    return types.void(slab, weights, types.intp, gradient, types.intp), generate


_network_adjoint: Any = intrinsic(_adjoint_of_network)


# ---- the rest of the day, for each precision ----------------------------------------------------


def _make_share(power: Any, number: Any) -> Any:
    zero, one, inverse_e = number(0.0), number(1.0), number(np.exp(-1.0))

    @inlined
    def share_of(output):  # type: ignore[no-untyped-def]
        """The sigmoid and its derivative, without the exponential of a large number."""
        decay = power(inverse_e, maximum(output, -output))
        total = one + decay
        return where(output >= zero, one, decay) / total, decay / (total * total)

    return share_of


_POWERS = {types.float32: power_32, types.float64: power_64}
_LOGARITHMS = {types.float32: logarithm_32, types.float64: logarithm_64}
_NUMBERS = {types.float32: np.float32, types.float64: np.float64}
_PARTS = {
    kind: make_parts(minimum, maximum, _POWERS[kind], where, number, inlined)
    for kind, number in _NUMBERS.items()
}
_ADJOINTS = {
    kind: make_part_adjoints(minimum, maximum, _POWERS[kind], where, _LOGARITHMS[kind], number, inlined)
    for kind, number in _NUMBERS.items()
}
_SHARES = {kind: _make_share(_POWERS[kind], number) for kind, number in _NUMBERS.items()}


# Placeholders, see :mod:`.day`.
def _snow(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def _land(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def _snow_adjoint(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def _land_adjoint(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def _share(output):  # type: ignore[no-untyped-def]
    raise NotImplementedError


@overload(_snow, jit_options=INLINED)
def _snow_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _PARTS[arguments[0]][0]
    return lambda *arguments: function(*arguments)


@overload(_land, jit_options=INLINED)
def _land_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _PARTS[arguments[0]][2]
    return lambda *arguments: function(*arguments)


@overload(_snow_adjoint, jit_options=INLINED)
def _snow_adjoint_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _ADJOINTS[arguments[0]][0]
    return lambda *arguments: function(*arguments)


@overload(_land_adjoint, jit_options=INLINED)
def _land_adjoint_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _ADJOINTS[arguments[0]][2]
    return lambda *arguments: function(*arguments)


@overload(_share, jit_options=INLINED)
def _share_of_precision(output):  # type: ignore[no-untyped-def]
    function = _SHARES[output]
    return lambda output: function(output)


# ---- loops over lanes ---------------------------------------------------------------------------
# The values v of a lane are in the order of the rows: 0-2 weather, 3-7 stores, and 8-21 BETA, FC, K0, K1,
# K2, LP, PERC, UZL, TT, CFMAX, CFR, CWH, BETAET, C.


@inlined
def advance_with_network(slab, weather, everything, network, like):  # type: ignore[no-untyped-def]
    """Advance one slab by one day; write all fluxes with ``everything``, otherwise only the runoff."""
    copy_rows(weather, 0, slab, WEATHER * LANES, 3)
    for c in range(LANES):
        v = get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY)
        snow = _snow(v[0], v[1], v[3], v[4], v[16], v[17], v[18], v[19])
        set_lane(slab, INPUT * LANES + c, (v[9], v[8], v[5], v[5] / v[9], snow[2] + snow[6]))
        set_lane(slab, STORE * LANES + c, snow[:2])
        if everything:
            set_lane(slab, FLUX * LANES + c, snow[2:])
    _network_output(slab, at(network.weights, like), network.hidden)
    for c in range(LANES):
        v = get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY)
        inflow, output = get_lane(slab, (OUTPUT - 1) * LANES + c, 2)
        share, _ = _share(output)
        stores, fluxes = _land(
            inflow,
            share,
            v[2],
            v[5],
            v[6],
            v[7],
            v[9],
            v[10],
            v[11],
            v[12],
            v[13],
            v[14],
            v[15],
            v[20],
            v[21],
        )
        set_lane(slab, (STORE + 2) * LANES + c, stores)
        if everything:
            set_lane(slab, (FLUX + 5) * LANES + c, fluxes)
        set_lane(slab, RUNOFF * LANES + c, (fluxes[-3] + fluxes[-2] + fluxes[-1],))


@inlined
def retreat_with_network(slab, before, weather, everything, network, like, lanes):  # type: ignore[no-untyped-def]
    """The adjoint of one day of one slab; only the first ``lanes`` lanes add to the network's gradient.

    The rest is as in ``_retreat`` of :mod:`.day`.
    """
    copy_rows(weather, 0, slab, WEATHER * LANES, 3)
    copy_rows(before, 0, slab, STORE * LANES, N_STORES)
    for c in range(LANES):
        v = get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY)
        snow = _snow(v[0], v[1], v[3], v[4], v[16], v[17], v[18], v[19])
        set_lane(slab, INPUT * LANES + c, (v[9], v[8], v[5], v[5] / v[9], snow[2] + snow[6]))
    weights = at(network.weights, like)
    _network_output(slab, weights, network.hidden)
    for c in range(LANES):
        v = get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY)
        inflow, output = get_lane(slab, (OUTPUT - 1) * LANES + c, 2)
        share, slope = _share(output)
        (runoff,) = get_lane(slab, RUNOFF * LANES + c, 1)
        none = type(runoff)(0.0)
        f = (none, none, none, none, none, none, none, none)
        if everything:
            f = get_lane(slab, (FLUX + 5) * LANES + c, 8)
        d_soil, d_upper, d_lower = get_lane(slab, (COTANGENT + 2) * LANES + c, 3)
        of_land = (
            inflow,
            share,
            v[2],
            v[5],
            v[6],
            v[7],
            v[9],
            v[10],
            v[11],
            v[12],
            v[13],
            v[14],
            v[15],
            v[20],
            v[21],
        )
        given = (
            d_soil,
            d_upper,
            d_lower,
            f[0],
            f[1],
            f[2],
            f[3],
            f[4],
            f[5] + runoff,
            f[6] + runoff,
            f[7] + runoff,
        )
        d_inflow, d_share, d_pet, stores, parameters = _land_adjoint(*(of_land + given))
        set_lane(slab, (COTANGENT + 2) * LANES + c, stores)
        add_to_lane(slab, (GRADIENT + 1) * LANES + c, parameters[:7])
        add_to_lane(slab, (GRADIENT + 12) * LANES + c, parameters[7:])
        set_lane(slab, D_OUTPUT * LANES + c, (d_share * slope, d_inflow))
        if everything:
            set_lane(slab, (WEATHER_GRADIENT + 2) * LANES + c, (d_pet,))
    _network_adjoint(slab, weights, network.hidden, at(network.gradient, like), lanes)
    for c in range(LANES):
        v = get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY)
        d_inflow, d_FC, d_BETA, d_soil, d_ratio, d_input = get_lane(slab, D_INFLOW * LANES + c, 6)
        d_inflow = d_inflow + d_input
        d_ratio = d_ratio / v[9]
        add_to_lane(slab, (COTANGENT + 2) * LANES + c, (d_soil + d_ratio,))
        add_to_lane(slab, GRADIENT * LANES + c, (d_BETA, d_FC - d_ratio * (v[5] / v[9])))
        none = type(d_soil)(0.0)
        s = (none, none, none, none, none)
        if everything:
            s = get_lane(slab, FLUX * LANES + c, 5)
        d_snowpack, d_liquid = get_lane(slab, COTANGENT * LANES + c, 2)
        of_snow = (v[0], v[1], v[3], v[4], v[16], v[17], v[18], v[19])
        reaching = (d_snowpack, d_liquid, s[0] + d_inflow, s[1], s[2], s[3], s[4] + d_inflow)
        d = _snow_adjoint(*(of_snow + reaching))
        set_lane(slab, COTANGENT * LANES + c, d[2:4])
        add_to_lane(slab, (GRADIENT + 8) * LANES + c, d[4:])
        if everything:
            set_lane(slab, WEATHER_GRADIENT * LANES + c, d[:2])

"""One day and its adjoint for one GPU thread, with and without NN_r; importing this imports numba.cuda.

They are built from the equations in :mod:`hydroxr.physics.equations` and :mod:`hydroxr.physics.adjoint`.
Both take a pointer to the weights of the network, the number of its hidden units, and one tuple with the
arguments of the day or of its adjoint. The adjoint also returns the cotangent of the network's output
before the sigmoid, and the inflow; the gradient of the weights is computed from these.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import cuda as numba_cuda

from ..adjoint import make_adjoint, make_part_adjoints
from ..equations import Function, as_written, make_day, make_parts
from ..runoff_network import INPUTS

cuda: Any = numba_cuda  # a type checker would see the simulator, which has fewer options
SIMULATED = bool(cuda.config.ENABLE_CUDASIM)
if not SIMULATED and cuda.implementation != "NVIDIA":
    raise ImportError("numba's built-in CUDA target does not accept pointers; install numba-cuda.")
NUMBERS = {torch.float32: np.float32, torch.float64: np.float64}

N_WEIGHTS = len(INPUTS) + 2  # per hidden unit: for its inputs, its bias, its weight in the output

# The simulator calls plain Python functions.
device: Any = as_written if SIMULATED else cuda.jit(device=True, forceinline=True)


# ---- elementary functions -----------------------------------------------------------------------


@device
def _minimum(value, other):  # type: ignore[no-untyped-def]
    least = other if other < value else value  # NaN where value is
    return least if other == other else other  # and where other is


@device
def _maximum(value, other):  # type: ignore[no-untyped-def]
    return other if other > value else value  # other is a constant


@device
def _where(condition, value, other):  # type: ignore[no-untyped-def]
    return value if condition else other


@device
def _power(value, exponent):  # type: ignore[no-untyped-def]
    return value**exponent


def _make_logarithm(number: Any) -> Function:
    @device
    def logarithm(value):  # type: ignore[no-untyped-def]
        return number(math.log(value))

    return logarithm


# ---- the day and its adjoint, with and without a network ------------------------------------------


def _make_shares(number: Any) -> Function:
    """Build NN_r with its derivatives.

    ``shares(network, hidden, inflow, soil_moisture, BETA, FC) -> (share, slope, slopes)``. ``share`` is
    the share of the inflow that runs off, ``slope`` its derivative with respect to the output before the
    sigmoid, and ``slopes`` the derivatives of that output with respect to inflow, soil moisture, BETA and
    FC.
    """
    zero, one = number(0.0), number(1.0)

    @device
    def shares(network, hidden, inflow, soil_moisture, BETA, FC):  # type: ignore[no-untyped-def]
        ratio = soil_moisture / FC
        output = network[hidden * N_WEIGHTS]
        d_FC, d_BETA, d_soil, d_ratio, d_inflow = zero, zero, zero, zero, zero
        for unit in range(hidden):
            i = unit * N_WEIGHTS
            for_FC, for_BETA, for_soil = network[i], network[i + 1], network[i + 2]
            for_ratio, for_inflow, bias = network[i + 3], network[i + 4], network[i + 5]
            signal = for_FC * FC + for_BETA * BETA + for_soil * soil_moisture
            signal = signal + for_ratio * ratio + for_inflow * inflow + bias
            output = output + network[i + 6] * _maximum(signal, zero)
            weight = _where(signal > zero, network[i + 6], zero)
            d_FC = d_FC + weight * for_FC
            d_BETA = d_BETA + weight * for_BETA
            d_soil = d_soil + weight * for_soil
            d_ratio = d_ratio + weight * for_ratio
            d_inflow = d_inflow + weight * for_inflow
        decay = number(math.exp(_where(output >= zero, -output, output)))  # never overflows
        share = _where(output >= zero, one, decay) / (one + decay)
        slope = decay / ((one + decay) * (one + decay))
        d_ratio = d_ratio / FC
        return share, slope, (d_inflow, d_soil + d_ratio, d_BETA, d_FC - d_ratio * ratio)

    return shares


def make_plain(number: Any) -> tuple[Function, Function]:
    """The day and its adjoint without a network."""
    zero = number(0.0)

    day_of = make_day(_minimum, _maximum, _power, _where, number, device)
    adjoint_of = make_adjoint(_minimum, _maximum, _power, _where, _make_logarithm(number), number, device)

    @device
    def day(network, hidden, values):  # type: ignore[no-untyped-def]
        return day_of(*values)

    @device
    def adjoint(network, hidden, values):  # type: ignore[no-untyped-def]
        stores, parameters, weather = adjoint_of(*values)
        return stores, parameters, weather, zero, zero

    return day, adjoint


def make_with_network(number: Any) -> tuple[Function, Function]:
    """The day and its adjoint with NN_r instead of the process ``wetness``."""
    shares = _make_shares(number)
    snow, _, land = make_parts(_minimum, _maximum, _power, _where, number, device)
    snow_adjoint, _, land_adjoint = make_part_adjoints(
        _minimum, _maximum, _power, _where, _make_logarithm(number), number, device
    )

    @device
    def day(network, hidden, values):  # type: ignore[no-untyped-def]
        precipitation, temperature, pet, snowpack, liquid, soil_moisture, upper, lower = values[:8]
        BETA, FC, K0, K1, K2, LP, PERC, UZL, TT, CFMAX, CFR, CWH, BETAET, C = values[8:]
        snowpack, liquid, rainfall, snowfall, melt, refreezing, from_snow = snow(
            precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH
        )
        inflow = rainfall + from_snow
        share, _, _ = shares(network, hidden, inflow, soil_moisture, BETA, FC)
        stores, fluxes = land(
            inflow, share, pet, soil_moisture, upper, lower, FC, K0, K1, K2, LP, PERC, UZL, BETAET, C
        )
        return (snowpack, liquid, *stores), (rainfall, snowfall, melt, refreezing, from_snow, *fluxes)

    @device
    def adjoint(network, hidden, values):  # type: ignore[no-untyped-def]
        precipitation, temperature, pet, snowpack, liquid, soil_moisture, upper, lower = values[:8]
        BETA, FC, K0, K1, K2, LP, PERC, UZL, TT, CFMAX, CFR, CWH, BETAET, C = values[8:22]
        d_snowpack, d_liquid = values[22:24]
        d_rainfall, d_snowfall, d_melt, d_refreezing, d_from_snow = values[27:32]
        of_snow = (precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH)
        _, _, rainfall, _, _, _, from_snow = snow(*of_snow)
        inflow = rainfall + from_snow
        share, slope, slopes = shares(network, hidden, inflow, soil_moisture, BETA, FC)
        soil = (soil_moisture, upper, lower, FC, K0, K1, K2, LP, PERC, UZL, BETAET, C)
        of_land = (inflow, share, pet, *soil)
        d_inflow, d_share, d_pet, d_stores, d_land = land_adjoint(*(of_land + values[24:27] + values[32:]))
        d_output = d_share * slope
        d_inflow = d_inflow + d_output * slopes[0]
        d_snows = (d_snowpack, d_liquid, d_rainfall + d_inflow, d_snowfall, d_melt, d_refreezing)
        d_precipitation, d_temperature, d_snowpack, d_liquid, d_TT, d_CFMAX, d_CFR, d_CWH = snow_adjoint(
            *(of_snow + d_snows + (d_from_snow + d_inflow,))
        )
        stores = (d_snowpack, d_liquid, d_stores[0] + d_output * slopes[1], d_stores[1], d_stores[2])
        before = (d_output * slopes[2], d_land[0] + d_output * slopes[3])
        parameters = before + d_land[1:7] + (d_TT, d_CFMAX, d_CFR, d_CWH, d_land[7], d_land[8])
        return stores, parameters, (d_precipitation, d_temperature, d_pet), d_output, inflow

    return day, adjoint

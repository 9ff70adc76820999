"""Adjoints of the processes of an HBV day: snow, soil wetness, soil, subsurface zones.

Each ``make_*_adjoint`` mirrors a process of :func:`.equations.make_processes`. Names that begin with
``d_`` are cotangents: the gradient of the loss with respect to the named quantity.

The equations have kinks where the two arguments of a minimum or maximum are equal, and where the
temperature is TT. The adjoint takes the same gradient there as autograd takes in the reference loop:

- A minimum of two variable quantities shares the gradient evenly between equals. This concerns melt
  and snow, refreezing and liquid water, ET demand and available soil water, percolation and PERC. It
  happens often: on a frosty day without snow, melt is min(0, 0).
- A bound by a constant (0, 1 or the floor of the soil) lets the gradient pass at the bound. So soil
  at its floor and saturated soil stay connected to their inputs.
- Precipitation switches between rain and snow at TT without a gradient for TT or temperature. At
  T = TT it rains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .equations import SOIL_FLOOR, Function

LEAST_BASE = 1e-30  # bound in the derivative of a power; a base is 0 only if a user emptied a store


def _make_minimum_adjoint(
    where: Function, number: Callable[[float], Any], compiled: Callable[[Function], Function]
) -> Function:
    """Build ``share(first, second, cotangent)``: the cotangent of ``first`` in min(first, second)."""
    zero, half = number(0.0), number(0.5)

    @compiled
    def share(first, second, cotangent):  # type: ignore[no-untyped-def]
        return where(first < second, cotangent, where(second < first, zero, half * cotangent))

    return share


def make_snow_adjoint(
    minimum: Function,
    maximum: Function,
    where: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero = number(0.0)
    share = _make_minimum_adjoint(where, number, compiled)

    @compiled
    def snow_adjoint(  # type: ignore[no-untyped-def]
        precipitation,
        temperature,
        snowpack,
        liquid,
        TT,
        CFMAX,
        CFR,
        CWH,
        d_snowpack,
        d_liquid,
        d_rainfall,
        d_snowfall,
        d_melt,
        d_refreezing,
        d_infiltration,
    ):
        # Forward. A number at the end of a name counts the changes of that store.
        freezing = temperature < TT
        snowpack_1 = snowpack + where(freezing, precipitation, zero)
        degrees = temperature - TT
        warmth = CFMAX * degrees
        melting = maximum(warmth, zero)
        melt = minimum(melting, snowpack_1)
        liquid_1 = liquid + melt
        coldness = -CFR * warmth
        freezable = maximum(coldness, zero)
        refreezing = minimum(freezable, liquid_1)
        snowpack_3 = snowpack_1 - melt + refreezing
        above = liquid_1 - refreezing - CWH * snowpack_3

        # Backward.
        d_above = where(above >= zero, d_infiltration - d_liquid, zero)
        d_liquid_2 = d_liquid + d_above
        d_snowpack_3 = d_snowpack - CWH * d_above
        d_CWH = -snowpack_3 * d_above
        d_refreezing = d_refreezing + d_snowpack_3 - d_liquid_2
        d_freezable = share(freezable, liquid_1, d_refreezing)
        d_liquid_1 = d_liquid_2 + (d_refreezing - d_freezable)
        d_coldness = where(coldness >= zero, d_freezable, zero)
        d_CFR = -warmth * d_coldness
        d_melt = d_melt + d_liquid_1 - d_snowpack_3
        d_melting = share(melting, snowpack_1, d_melt)
        d_snowpack_1 = d_snowpack_3 + (d_melt - d_melting)
        d_warmth = where(warmth >= zero, d_melting, zero) - CFR * d_coldness
        d_CFMAX = degrees * d_warmth
        d_temperature = CFMAX * d_warmth
        d_precipitation = where(freezing, d_snowfall + d_snowpack_1, d_rainfall)
        return d_precipitation, d_temperature, d_snowpack_1, d_liquid_1, -d_temperature, d_CFMAX, d_CFR, d_CWH

    return snow_adjoint


def make_wetness_adjoint(
    minimum: Function,
    maximum: Function,
    where: Function,
    logarithm: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero, one, least = number(0.0), number(1.0), number(LEAST_BASE)

    @compiled
    def wetness_adjoint(soil_moisture, BETA, FC, wetness, d_wetness):  # type: ignore[no-untyped-def]
        ratio = soil_moisture / FC
        base = maximum(minimum(ratio, one), least)
        d_power = d_wetness * wetness
        d_BETA = d_power * logarithm(base)
        d_ratio = where(ratio <= one, d_power * BETA / base, zero) / FC
        return d_ratio, d_BETA, -d_ratio * ratio

    return wetness_adjoint


def make_soil_adjoint(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    logarithm: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero, one, floor, least = number(0.0), number(1.0), number(SOIL_FLOOR), number(LEAST_BASE)
    share = _make_minimum_adjoint(where, number, compiled)

    @compiled
    def soil_adjoint(  # type: ignore[no-untyped-def]
        inflow,
        wetness,
        pet,
        soil_moisture,
        FC,
        LP,
        BETAET,
        d_soil_moisture,
        d_effective_rainfall,
        d_excess,
        d_evapotranspiration,
    ):
        # Forward.
        soil_1 = soil_moisture + inflow - inflow * wetness
        over = soil_1 - FC
        soil_2 = where(over >= zero, FC, soil_1)
        capacity = LP * FC
        ratio = soil_2 / capacity
        base = minimum(ratio, one)
        efficiency = power(base, BETAET)
        demand = pet * efficiency
        above = soil_2 - floor
        available = maximum(above, zero)

        # Backward.
        d_left = where(soil_2 - minimum(demand, available) >= floor, d_soil_moisture, zero)
        d_evapotranspiration = d_evapotranspiration - d_left
        d_demand = share(demand, available, d_evapotranspiration)
        d_above = where(above >= zero, d_evapotranspiration - d_demand, zero)
        d_efficiency = pet * d_demand * efficiency
        base = maximum(base, least)
        d_BETAET = d_efficiency * logarithm(base)
        d_ratio = where(ratio <= one, d_efficiency * BETAET / base, zero) / capacity
        d_capacity = -d_ratio * ratio
        d_soil_2 = d_left + d_above + d_ratio
        d_over = where(over >= zero, d_excess - d_soil_2, zero)
        d_soil_1 = d_soil_2 + d_over
        d_effective_rainfall = d_effective_rainfall - d_soil_1
        d_inflow = d_soil_1 + d_effective_rainfall * wetness
        d_FC = d_capacity * LP - d_over
        d_wetness = d_effective_rainfall * inflow
        return d_inflow, d_wetness, efficiency * d_demand, d_soil_1, d_FC, d_capacity * FC, d_BETAET

    return soil_adjoint


def make_rise_adjoint(
    minimum: Function,
    where: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero, one = number(0.0), number(1.0)

    @compiled
    def rise_adjoint(soil_moisture, lower, FC, C, d_soil_moisture, d_lower, d_rise):  # type: ignore[no-untyped-def]
        ratio = soil_moisture / FC
        dryness = one - minimum(ratio, one)
        d_rise = d_rise + d_soil_moisture - d_lower
        d_ratio = where(ratio <= one, -d_rise * C * lower, zero) / FC
        d_lower = d_lower + d_rise * C * dryness
        return d_soil_moisture + d_ratio, d_lower, -d_ratio * ratio, d_rise * lower * dryness

    return rise_adjoint


def make_zones_adjoint(
    minimum: Function,
    maximum: Function,
    where: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero = number(0.0)
    share = _make_minimum_adjoint(where, number, compiled)

    @compiled
    def zones_adjoint(  # type: ignore[no-untyped-def]
        recharge,
        upper,
        lower,
        K0,
        K1,
        K2,
        PERC,
        UZL,
        d_upper,
        d_lower,
        d_percolation,
        d_quick_flow,
        d_interflow,
        d_baseflow,
    ):
        # Forward.
        upper_1 = upper + recharge
        percolation = minimum(upper_1, PERC)
        upper_2 = upper_1 - percolation
        over = upper_2 - UZL
        quick = maximum(over, zero)
        upper_3 = upper_2 - K0 * quick
        lower_1 = lower + percolation

        # Backward.
        d_baseflow = d_baseflow - d_lower
        d_lower_1 = d_lower + K2 * d_baseflow
        d_interflow = d_interflow - d_upper
        d_upper_3 = d_upper + K1 * d_interflow
        d_quick_flow = d_quick_flow - d_upper_3
        d_over = where(over >= zero, K0 * d_quick_flow, zero)
        d_upper_2 = d_upper_3 + d_over
        d_percolation = d_percolation + d_lower_1 - d_upper_2
        d_from_upper = share(upper_1, PERC, d_percolation)
        d_upper_1 = d_upper_2 + d_from_upper
        return (
            d_upper_1,
            d_upper_1,
            d_lower_1,
            quick * d_quick_flow,
            upper_3 * d_interflow,
            lower_1 * d_baseflow,
            d_percolation - d_from_upper,
            -d_over,
        )

    return zones_adjoint

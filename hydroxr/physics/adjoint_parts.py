"""The adjoints of the parts of an HBV day: snow, soil and its wetness, zones.

Kinks. The equations are not differentiable where the two arguments of a minimum or maximum are
equal, or where the temperature is TT. There the adjoint takes what autograd of the reference
takes:

- The minimum of two quantities that both vary (melt and snow, refreezing and liquid water, ET's
  demand and what the soil has, percolation and PERC) shares the gradient evenly between equals.
  This is no accident of measure zero: on a frosty day without snow, melt is min(0, 0).
- A bound by a constant (maximum with 0, with the floor, minimum with 1) lets the gradient pass
  at the bound. So soil at its floor and saturated soil stay connected to their inputs.
- Rain and snow switch at TT without a gradient with respect to TT or temperature; at T = TT it
  rains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .equations import SOIL_FLOOR, Function, as_written, make_processes

LEAST_BASE = 1e-30  # of a power's derivative; a base is zero only where a store was emptied by hand


def make_part_adjoints(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    logarithm: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
) -> tuple[Function, Function, Function]:
    """Build the adjoints of the three parts of a day, see :func:`.hbv.make_parts`.

    Arguments are those of :func:`.adjoint.make_adjoint`. Each adjoint takes the arguments of its part and the
    cotangents of what that returns. That of the share is the equation's; the land's takes the share
    as it comes and gives its cotangent, so that something else can have made it.
    """
    infiltration = make_processes(minimum, maximum, power, where, number, compiled).infiltration
    soil_adjoint = _make_soil(minimum, maximum, power, where, logarithm, number, compiled)
    zones_adjoint = _make_zones(minimum, maximum, where, number, compiled)

    @compiled
    def land_adjoint(  # type: ignore[no-untyped-def]
        inflow,
        share,
        pet,
        soil_moisture,
        upper,
        lower,
        FC,
        K0,
        K1,
        K2,
        LP,
        PERC,
        UZL,
        BETAET,
        d_soil_moisture,
        d_upper,
        d_lower,
        d_effective_rainfall,
        d_excess,
        d_evapotranspiration,
        d_percolation,
        d_quick_flow,
        d_interflow,
        d_baseflow,
    ):
        _, effective_rainfall, excess = infiltration(inflow, share, soil_moisture, FC)
        d_recharge, d_upper, d_lower, d_K0, d_K1, d_K2, d_PERC, d_UZL = zones_adjoint(
            effective_rainfall + excess,
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
        )
        d_inflow, d_share, d_pet, d_soil_moisture, d_FC, d_LP, d_BETAET = soil_adjoint(
            inflow,
            share,
            pet,
            soil_moisture,
            FC,
            LP,
            BETAET,
            d_soil_moisture,
            d_effective_rainfall + d_recharge,
            d_excess + d_recharge,
            d_evapotranspiration,
        )
        parameters = (d_FC, d_K0, d_K1, d_K2, d_LP, d_PERC, d_UZL, d_BETAET)
        return d_inflow, d_share, d_pet, (d_soil_moisture, d_upper, d_lower), parameters

    return (
        _make_snow(minimum, maximum, where, number, compiled),
        _make_wetness(minimum, maximum, where, logarithm, number, compiled),
        land_adjoint,
    )


def _make_share(
    where: Function, number: Callable[[float], Any], compiled: Callable[[Function], Function]
) -> Function:
    """Build what the first of two arguments of a minimum gets of the minimum's cotangent."""
    zero, half = number(0.0), number(0.5)

    @compiled
    def share(first, second, cotangent):  # type: ignore[no-untyped-def]
        return where(first < second, cotangent, where(second < first, zero, half * cotangent))

    return share


def _make_snow(
    minimum: Function,
    maximum: Function,
    where: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero = number(0.0)
    share = _make_share(where, number, compiled)

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
        # The day again. Numbers count the values that a store takes in the course of it.
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

        # And back.
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


def _make_wetness(
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


def _make_soil(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    logarithm: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero, one, floor, least = number(0.0), number(1.0), number(SOIL_FLOOR), number(LEAST_BASE)
    share = _make_share(where, number, compiled)

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
        # The day again.
        soil_1 = soil_moisture + inflow - inflow * wetness
        over = soil_1 - FC
        soil_2 = soil_1 - maximum(over, zero)
        capacity = LP * FC
        ratio = soil_2 / capacity
        base = minimum(ratio, one)
        efficiency = power(base, BETAET)
        demand = pet * efficiency
        above = soil_2 - floor
        available = maximum(above, zero)

        # And back.
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


def _make_zones(
    minimum: Function,
    maximum: Function,
    where: Function,
    number: Callable[[float], Any],
    compiled: Callable[[Function], Function],
) -> Function:
    zero = number(0.0)
    share = _make_share(where, number, compiled)

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
        # The day again.
        upper_1 = upper + recharge
        percolation = minimum(upper_1, PERC)
        upper_2 = upper_1 - percolation
        over = upper_2 - UZL
        quick = maximum(over, zero)
        upper_3 = upper_2 - K0 * quick
        lower_1 = lower + percolation

        # And back.
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

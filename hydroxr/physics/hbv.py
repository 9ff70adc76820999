"""The equations of one HBV day, written once.

:func:`make_day` builds the day from four elementary functions, so that one source serves torch
tensors of any shape and dtype and, given scalar functions and a compiler, a compiled loop over
cells. Its adjoint is in :mod:`hydroxr.physics.adjoint`. Symbols and equations are those of Feng
et al. (2022, doi:10.1029/2022WR032404), Table 1; the order of the steps and the floor of the soil
store are those of the code published with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Stores of a component, in the order in which the day takes and returns them.
STORES = ("snowpack", "snow_liquid_water", "soil_moisture", "upper_zone_storage", "lower_zone_storage")

# Fluxes of a component, in the order in which the day returns them.
DAY_FLUXES = (
    "rainfall",
    "snowfall",
    "snowmelt",
    "refreezing",
    "snow_infiltration",
    "effective_rainfall",
    "excess",
    "evapotranspiration",
    "percolation",
    "quick_flow",
    "interflow",
    "baseflow",
)

# Parameters of a day, in the order in which it takes them.
DAY_PARAMETERS = (
    "BETA",
    "FC",
    "K0",
    "K1",
    "K2",
    "LP",
    "PERC",
    "UZL",
    "TT",
    "CFMAX",
    "CFR",
    "CWH",
    "BETAET",
)

CHANNEL = "channel_outflow"  # water in the unit hydrograph, by the day ahead on which it leaves
UH_LENGTH = 15  # days of the unit hydrograph
LEADS = UH_LENGTH - 1  # days ahead on which water in it can leave

INITIAL_STORAGE = 1e-3  # mm in each store before the first day
SOIL_FLOOR = 1e-5  # mm; keeps powers of soil wetness differentiable

# The values that one day's equations work on: floats, arrays or tensors.
Value = Any
Function = Callable[..., Any]
Day = Callable[..., tuple[tuple[Value, ...], tuple[Value, ...]]]


def as_written(function: Function) -> Function:
    """The compiler that leaves a function as it is."""
    return function


def make_processes(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
) -> tuple[Function, Function, Function]:
    """Build the three parts of a day: snow, soil, and the upper and lower zone.

    Arguments are those of :func:`make_day`.
    """
    zero, one, floor = number(0.0), number(1.0), number(SOIL_FLOOR)

    @compiled
    def snow(precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH):  # type: ignore[no-untyped-def]
        """Table 1, rows of S_p and S_liq."""
        freezing = temperature < TT
        snowfall = where(freezing, precipitation, zero)
        rainfall = where(freezing, zero, precipitation)
        snowpack = snowpack + snowfall
        warmth = CFMAX * (temperature - TT)
        melt = minimum(maximum(warmth, zero), snowpack)
        snowpack = snowpack - melt
        liquid = liquid + melt
        refreezing = minimum(maximum(-CFR * warmth, zero), liquid)
        snowpack = snowpack + refreezing
        liquid = liquid - refreezing
        infiltration = maximum(liquid - CWH * snowpack, zero)
        liquid = liquid - infiltration
        return snowpack, liquid, rainfall, snowfall, melt, refreezing, infiltration

    @compiled
    def soil(inflow, pet, soil_moisture, BETA, FC, LP, BETAET):  # type: ignore[no-untyped-def]
        """Table 1, row of S_s.

        The powers are taken of a base that is at most one, which is the same as clipping the
        power and cannot overflow. Evapotranspiration takes no more than what lies above the
        soil's floor: the store follows the published equations to the last digit, and the
        floor creates no water.
        """
        wetness = power(minimum(soil_moisture / FC, one), BETA)
        effective_rainfall = inflow * wetness
        soil_moisture = soil_moisture + inflow - effective_rainfall
        excess = maximum(soil_moisture - FC, zero)
        soil_moisture = soil_moisture - excess
        efficiency = power(minimum(soil_moisture / (LP * FC), one), BETAET)
        evapotranspiration = minimum(pet * efficiency, maximum(soil_moisture - floor, zero))
        soil_moisture = maximum(soil_moisture - evapotranspiration, floor)
        return soil_moisture, effective_rainfall, excess, evapotranspiration

    @compiled
    def zones(recharge, upper, lower, K0, K1, K2, PERC, UZL):  # type: ignore[no-untyped-def]
        """Table 1, rows of S_uz and S_lz."""
        upper = upper + recharge
        percolation = minimum(upper, PERC)
        upper = upper - percolation
        quick_flow = K0 * maximum(upper - UZL, zero)
        upper = upper - quick_flow
        interflow = K1 * upper
        upper = upper - interflow
        lower = lower + percolation
        baseflow = K2 * lower
        lower = lower - baseflow
        return upper, lower, percolation, quick_flow, interflow, baseflow

    return snow, soil, zones


def make_day(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
) -> Day:
    """Build the function that advances the five stores by one day.

    Parameters
    ----------
    minimum, maximum, power, where
        Elementwise functions of the array library (or scalar ones); ``minimum`` and ``maximum``
        take a number as second argument, ``where`` as second or third. ``power`` is asked for
        bases from 0 to 1 only.
    number
        Makes the equations' constants, for compilers that tell one precision from another.
    compiled
        Compiles a function of scalars, when scalar ones are given.

    Returns
    -------
    day
        ``day(precipitation, temperature, pet, *stores, *parameters) -> (stores, fluxes)`` with
        stores in mm, fluxes in mm/day, temperature in degC, in the orders of :data:`STORES`,
        :data:`DAY_PARAMETERS` and :data:`DAY_FLUXES`. All arguments broadcast.
    """
    snow, soil, zones = make_processes(minimum, maximum, power, where, number, compiled)

    @compiled
    def day(  # type: ignore[no-untyped-def]
        precipitation,
        temperature,
        pet,
        snowpack,
        liquid,
        soil_moisture,
        upper,
        lower,
        BETA,
        FC,
        K0,
        K1,
        K2,
        LP,
        PERC,
        UZL,
        TT,
        CFMAX,
        CFR,
        CWH,
        BETAET,
    ):
        snowpack, liquid, rainfall, snowfall, melt, refreezing, infiltration = snow(
            precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH
        )
        soil_moisture, effective_rainfall, excess, evapotranspiration = soil(
            rainfall + infiltration, pet, soil_moisture, BETA, FC, LP, BETAET
        )
        upper, lower, percolation, quick_flow, interflow, baseflow = zones(
            effective_rainfall + excess, upper, lower, K0, K1, K2, PERC, UZL
        )
        stores = (snowpack, liquid, soil_moisture, upper, lower)
        fluxes = (
            rainfall,
            snowfall,
            melt,
            refreezing,
            infiltration,
            effective_rainfall,
            excess,
            evapotranspiration,
            percolation,
            quick_flow,
            interflow,
            baseflow,
        )
        return stores, fluxes

    return day

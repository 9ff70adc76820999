"""The equations of one HBV day, written once.

:func:`make_day` builds the day from four elementary functions, so that one source serves torch
tensors of any shape and dtype and, given scalar functions, a compiled loop over cells. Symbols
and equations are those of Feng et al. (2022, doi:10.1029/2022WR032404), Table 1; the order of
the steps and the floor of the soil store are those of the code published with it.
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

INITIAL_STORAGE = 1e-3  # mm in each store before the first day
SOIL_FLOOR = 1e-5  # mm; keeps powers of soil wetness differentiable

# The values that one day's equations work on: floats, arrays or tensors.
Value = Any
Day = Callable[..., tuple[tuple[Value, ...], tuple[Value, ...]]]


def make_day(
    minimum: Callable[[Value, Value], Value],
    maximum: Callable[[Value, Value], Value],
    power: Callable[[Value, Value], Value],
    where: Callable[[Value, Value, Value], Value],
) -> Day:
    """Build the function that advances the five stores by one day.

    Parameters
    ----------
    minimum, maximum, power, where
        Elementwise functions of the array library (or scalar ones); ``minimum`` and ``maximum``
        take a number as second argument.

    Returns
    -------
    day
        ``day(precipitation, temperature, pet, *stores, *parameters) -> (stores, fluxes)`` with
        stores in mm, fluxes in mm/day, temperature in degC, in the orders of :data:`STORES`,
        :data:`DAY_PARAMETERS` and :data:`DAY_FLUXES`. All arguments broadcast.
    """

    def snow(precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH):  # type: ignore[no-untyped-def]
        """Table 1, rows of S_p and S_liq."""
        freezing = temperature < TT
        snowfall = where(freezing, precipitation, 0.0)
        rainfall = where(freezing, 0.0, precipitation)
        snowpack = snowpack + snowfall
        warmth = CFMAX * (temperature - TT)
        melt = minimum(maximum(warmth, 0.0), snowpack)
        snowpack = snowpack - melt
        liquid = liquid + melt
        refreezing = minimum(maximum(-CFR * warmth, 0.0), liquid)
        snowpack = snowpack + refreezing
        liquid = liquid - refreezing
        infiltration = maximum(liquid - CWH * snowpack, 0.0)
        liquid = liquid - infiltration
        return snowpack, liquid, rainfall, snowfall, melt, refreezing, infiltration

    def soil(inflow, pet, soil_moisture, BETA, FC, LP, BETAET):  # type: ignore[no-untyped-def]
        """Table 1, row of S_s.

        The powers are taken of a base that is at most one, which is the same as clipping the
        power and cannot overflow. Evapotranspiration takes no more than what lies above the
        soil's floor: the store follows the published equations to the last digit, and the
        floor creates no water.
        """
        wetness = power(minimum(soil_moisture / FC, 1.0), BETA)
        effective_rainfall = inflow * wetness
        soil_moisture = soil_moisture + inflow - effective_rainfall
        excess = maximum(soil_moisture - FC, 0.0)
        soil_moisture = soil_moisture - excess
        efficiency = power(minimum(soil_moisture / (LP * FC), 1.0), BETAET)
        evapotranspiration = minimum(pet * efficiency, maximum(soil_moisture - SOIL_FLOOR, 0.0))
        soil_moisture = maximum(soil_moisture - evapotranspiration, SOIL_FLOOR)
        return soil_moisture, effective_rainfall, excess, evapotranspiration

    def zones(recharge, upper, lower, K0, K1, K2, PERC, UZL):  # type: ignore[no-untyped-def]
        """Table 1, rows of S_uz and S_lz."""
        upper = upper + recharge
        percolation = minimum(upper, PERC)
        upper = upper - percolation
        quick_flow = K0 * maximum(upper - UZL, 0.0)
        upper = upper - quick_flow
        interflow = K1 * upper
        upper = upper - interflow
        lower = lower + percolation
        baseflow = K2 * lower
        lower = lower - baseflow
        return upper, lower, percolation, quick_flow, interflow, baseflow

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

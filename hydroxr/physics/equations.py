"""The equations of one HBV day, written once.

:func:`make_day` builds the day from four elementary functions, so that one source serves torch
tensors of any shape and dtype and, given scalar functions and a compiler, a compiled loop over
cells. Its adjoint is in :mod:`hydroxr.physics.adjoint`. Symbols and equations are those of Feng
et al. (2022, doi:10.1029/2022WR032404), Table 1; the order of the steps and the floor of the soil
store are those of the code published with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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

# Processes of a day that something else can take the place of, by the flux that they decide.
REPLACEABLE = ("effective_rainfall", "evapotranspiration", "percolation")

# The values that one day's equations work on: floats, arrays or tensors.
Value = Any
Function = Callable[..., Any]
Day = Callable[..., tuple[tuple[Value, ...], tuple[Value, ...]]]


class Processes(NamedTuple):
    """The equations of a day, in their order; see :func:`make_processes`."""

    snow: Function
    wetness: Function
    infiltration: Function
    demand: Function
    evaporation: Function
    capacity: Function
    zones: Function


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
) -> Processes:
    """Build the parts of a day.

    Arguments are those of :func:`make_day`. ``wetness``, ``demand`` and ``capacity`` say how much
    may flow (Peff, ET, Perc); the parts between them move water, and move no more than there is.
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
    def wetness(inflow, soil_moisture, BETA, FC):  # type: ignore[no-untyped-def]
        """Table 1, W: the share of what reaches the soil that runs off.

        The power is taken of a base that is at most one, which is the same as clipping the power
        and cannot overflow.
        """
        return power(minimum(soil_moisture / FC, one), BETA)

    @compiled
    def infiltration(inflow, wetness, soil_moisture, FC):  # type: ignore[no-untyped-def]
        """Table 1, row of S_s, water that reaches the soil: P_eff and E_x."""
        effective_rainfall = inflow * wetness
        soil_moisture = soil_moisture + inflow - effective_rainfall
        excess = maximum(soil_moisture - FC, zero)
        return soil_moisture - excess, effective_rainfall, excess

    @compiled
    def demand(pet, soil_moisture, FC, LP, BETAET):  # type: ignore[no-untyped-def]
        """Table 1, row of S_s: E_T as far as the soil has it. The power is as in ``wetness``."""
        return pet * power(minimum(soil_moisture / (LP * FC), one), BETAET)

    @compiled
    def evaporation(demand, soil_moisture):  # type: ignore[no-untyped-def]
        """Table 1, row of S_s, water that leaves the soil.

        It is no more than what lies above the soil's floor: the store follows the published
        equations to the last digit, and the floor creates no water.
        """
        evapotranspiration = minimum(demand, maximum(soil_moisture - floor, zero))
        return maximum(soil_moisture - evapotranspiration, floor), evapotranspiration

    @compiled
    def capacity(upper, PERC):  # type: ignore[no-untyped-def]
        """Table 1, row of S_uz: Perc as far as the upper zone has it."""
        return PERC

    @compiled
    def zones(capacity, upper, lower, K0, K1, K2, UZL):  # type: ignore[no-untyped-def]
        """Table 1, rows of S_uz and S_lz, after the upper zone has got its recharge."""
        percolation = minimum(upper, capacity)
        upper = upper - percolation
        quick_flow = K0 * maximum(upper - UZL, zero)
        upper = upper - quick_flow
        interflow = K1 * upper
        upper = upper - interflow
        lower = lower + percolation
        baseflow = K2 * lower
        lower = lower - baseflow
        return upper, lower, percolation, quick_flow, interflow, baseflow

    return Processes(snow, wetness, infiltration, demand, evaporation, capacity, zones)


def make_parts(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
    replaced: Mapping[str, Function] | None = None,
) -> tuple[Function, Function, Function]:
    """Build the day in three parts, cut on both sides of what says how much runs off.

    Arguments are those of :func:`make_day`.

    Returns
    -------
    snow
        As of :func:`make_processes`; rainfall and infiltration are the soil's inflow.
    share
        ``share(inflow, soil_moisture, BETA, FC)``: of the inflow, what becomes effective rainfall.
    land
        ``land(inflow, share, pet, soil_moisture, upper, lower, FC, K0, K1, K2, LP, PERC, UZL,
        BETAET) -> (stores, fluxes)``: the last three of :data:`STORES`, the last seven of
        :data:`DAY_FLUXES`.
    """
    parts = make_processes(minimum, maximum, power, where, number, compiled)
    given = _held(replaced or {}, minimum, maximum, number)
    infiltration, evaporation, zones = parts.infiltration, parts.evaporation, parts.zones
    demand_of = given.get("evapotranspiration", parts.demand)
    capacity_of = given.get("percolation", parts.capacity)

    @compiled
    def land(  # type: ignore[no-untyped-def]
        inflow, share, pet, soil_moisture, upper, lower, FC, K0, K1, K2, LP, PERC, UZL, BETAET
    ):
        soil_moisture, effective_rainfall, excess = infiltration(inflow, share, soil_moisture, FC)
        demand = demand_of(pet, soil_moisture, FC, LP, BETAET)
        soil_moisture, evapotranspiration = evaporation(demand, soil_moisture)
        upper = upper + (effective_rainfall + excess)
        upper, lower, percolation, quick_flow, interflow, baseflow = zones(
            capacity_of(upper, PERC), upper, lower, K0, K1, K2, UZL
        )
        fluxes = (
            effective_rainfall,
            excess,
            evapotranspiration,
            percolation,
            quick_flow,
            interflow,
            baseflow,
        )
        return (soil_moisture, upper, lower), fluxes

    return parts.snow, given.get("effective_rainfall", parts.wetness), land


def make_day(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
    replaced: Mapping[str, Function] | None = None,
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
    replaced
        Functions that take the place of equations, by the flux that they decide
        (:data:`REPLACEABLE`). ``effective_rainfall(inflow, soil_moisture, BETA, FC)`` gives the
        share of the inflow that runs off, ``evapotranspiration(pet, soil_moisture, FC, LP,
        BETAET)`` and ``percolation(upper_zone_storage, PERC)`` mm/day. Each is held to what is
        possible, 0 to all the water there is.

    Returns
    -------
    day
        ``day(precipitation, temperature, pet, *stores, *parameters) -> (stores, fluxes)`` with
        stores in mm, fluxes in mm/day, temperature in degC, in the orders of :data:`STORES`,
        :data:`DAY_PARAMETERS` and :data:`DAY_FLUXES`. All arguments broadcast.
    """
    snow, share, land = make_parts(minimum, maximum, power, where, number, compiled, replaced)

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
        snowpack, liquid, rainfall, snowfall, melt, refreezing, from_snow = snow(
            precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH
        )
        inflow = rainfall + from_snow
        stores, fluxes = land(
            inflow,
            share(inflow, soil_moisture, BETA, FC),
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
        )
        return (snowpack, liquid, *stores), (rainfall, snowfall, melt, refreezing, from_snow, *fluxes)

    return day


def _held(
    replaced: Mapping[str, Function], minimum: Function, maximum: Function, number: Callable[[float], Any]
) -> dict[str, Function]:
    """The functions in the place of equations, held to at least 0 and a share to at most 1."""
    zero, one = number(0.0), number(1.0)
    held: dict[str, Function] = {
        name: lambda *values, function=function: maximum(function(*values), zero)
        for name, function in replaced.items()
    }
    if "effective_rainfall" in held:
        share = held["effective_rainfall"]
        held["effective_rainfall"] = lambda *values: minimum(share(*values), one)
    return held

"""The equations of one HBV day: snow, soil and subsurface zones.

:func:`make_day` builds the day from four elementary functions. One source thus serves torch tensors
of any shape and, with scalar functions and a compiler, compiled loops over cells. The adjoint is in
:mod:`hydroxr.physics.adjoint`. Symbols and equations are from Table 1 of Feng et al. (2022,
doi:10.1029/2022WR032404). The order of the steps and the floor of the soil store follow the code
published with the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .parameters import WEIGHT

# Stores of each component, in the order in which the day takes and returns them.
STORES = ("snowpack", "snow_liquid_water", "soil_moisture", "upper_zone_storage", "lower_zone_storage")

# Fluxes of each component, in the order in which the day returns them.
DAY_FLUXES = (
    "rainfall",
    "snowfall",
    "snowmelt",
    "refreezing",
    "snow_infiltration",
    "effective_rainfall",
    "excess",
    "evapotranspiration",
    "capillary_rise",
    "percolation",
    "quick_flow",
    "interflow",
    "baseflow",
)

# Parameters, in the order in which the day takes them.
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
    "C",
)

# Parameters of each component that the compiled loops know: those of the day, and its weight in means.
LANE_PARAMETERS = (*DAY_PARAMETERS, WEIGHT)

CHANNEL = "channel_outflow"  # water in the unit hydrograph, by the number of days until it leaves
UH_LENGTH = 15  # days of the unit hydrograph
LEADS = UH_LENGTH - 1  # days after today on which this water can leave

INITIAL_STORAGE = 1e-3  # mm in each store before the first day
SOIL_FLOOR = 1e-5  # mm; powers of soil wetness have no finite derivative at 0

# Processes that a module can replace, named by the flux that they compute.
REPLACEABLE = ("effective_rainfall", "evapotranspiration", "percolation")

# A value in the equations of a day: a float, an array or a tensor.
Value = Any
Function = Callable[..., Any]
Day = Callable[..., tuple[tuple[Value, ...], tuple[Value, ...]]]


class Processes(NamedTuple):
    """The processes of a day, in order; see :func:`make_processes`."""

    snow: Function
    wetness: Function
    infiltration: Function
    demand: Function
    evaporation: Function
    rise: Function
    capacity: Function
    zones: Function


def as_written(function: Function) -> Function:
    """Return the function uncompiled."""
    return function


def make_processes(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
) -> Processes:
    """Build the processes of a day.

    Parameters are the same as in :func:`make_day`. ``wetness``, ``demand`` and ``capacity`` compute
    potential fluxes (P_eff, E_T, Perc). The other processes move water, never more than there is.
    """
    zero, one, floor = number(0.0), number(1.0), number(SOIL_FLOOR)

    @compiled
    def snow(precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH):  # type: ignore[no-untyped-def]
        """Melt, refreezing and water leaving the snow: Table 1, rows S_p and S_liq."""
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
        """Share of the inflow that runs off: Table 1, W = min((S_s / FC)^BETA, 1).

        Bounding the base instead of the power gives the same result and cannot overflow.
        """
        return power(minimum(soil_moisture / FC, one), BETA)

    @compiled
    def infiltration(inflow, wetness, soil_moisture, FC):  # type: ignore[no-untyped-def]
        """Water that enters the soil: Table 1, row S_s, P_eff and E_x.

        Saturated soil holds FC exactly, so that rounding does not decide on which side of a bound it is.
        """
        effective_rainfall = inflow * wetness
        soil_moisture = soil_moisture + inflow - effective_rainfall
        over = soil_moisture - FC
        return where(over >= zero, FC, soil_moisture), effective_rainfall, maximum(over, zero)

    @compiled
    def demand(pet, soil_moisture, FC, LP, BETAET):  # type: ignore[no-untyped-def]
        """ET before the limit of available water: Table 1, row S_s, E_T."""
        return pet * power(minimum(soil_moisture / (LP * FC), one), BETAET)

    @compiled
    def evaporation(demand, soil_moisture):  # type: ignore[no-untyped-def]
        """Water that leaves the soil: Table 1, row S_s.

        ET takes only the water above the floor of the soil store. So the store equals that of the
        published equations, and the floor creates no water.
        """
        evapotranspiration = minimum(demand, maximum(soil_moisture - floor, zero))
        return maximum(soil_moisture - evapotranspiration, floor), evapotranspiration

    @compiled
    def rise(soil_moisture, lower, FC, C):  # type: ignore[no-untyped-def]
        """Water that rises from the lower zone into dry soil: Song et al. (2024), HBV 1.1p.

        They take the minimum with the lower zone's water, which C of at most 1 never exceeds.
        """
        capillary_rise = C * lower * (one - minimum(soil_moisture / FC, one))
        return soil_moisture + capillary_rise, lower - capillary_rise, capillary_rise

    @compiled
    def capacity(upper, PERC):  # type: ignore[no-untyped-def]
        """Percolation before the limit of available water: Table 1, row S_uz, Perc."""
        return PERC

    @compiled
    def zones(capacity, upper, lower, K0, K1, K2, UZL):  # type: ignore[no-untyped-def]
        """Runoff of both zones after recharge of the upper one: Table 1, rows S_uz and S_lz."""
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

    return Processes(snow, wetness, infiltration, demand, evaporation, rise, capacity, zones)


def make_parts(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
    replaced: Mapping[str, Function] | None = None,
) -> tuple[Function, Function, Function]:
    """Build the day in three parts, so that the share of runoff can come from elsewhere.

    Parameters are the same as in :func:`make_day`.

    Returns
    -------
    snow
        See :func:`make_processes`. The inflow of the soil is rainfall plus infiltration from snow.
    share
        ``share(inflow, soil_moisture, BETA, FC)``: the share of the inflow that runs off.
    land
        ``land(inflow, share, pet, soil_moisture, upper, lower, FC, K0, K1, K2, LP, PERC, UZL,
        BETAET, C) -> (stores, fluxes)``: the last three of :data:`STORES`, the last eight of
        :data:`DAY_FLUXES`.
    """
    parts = make_processes(minimum, maximum, power, where, number, compiled)
    given = _held(replaced or {}, minimum, maximum, number)
    infiltration, evaporation, rise, zones = parts.infiltration, parts.evaporation, parts.rise, parts.zones
    demand_of = given.get("evapotranspiration", parts.demand)
    capacity_of = given.get("percolation", parts.capacity)

    @compiled
    def land(  # type: ignore[no-untyped-def]
        inflow, share, pet, soil_moisture, upper, lower, FC, K0, K1, K2, LP, PERC, UZL, BETAET, C
    ):
        soil_moisture, effective_rainfall, excess = infiltration(inflow, share, soil_moisture, FC)
        demand = demand_of(pet, soil_moisture, FC, LP, BETAET)
        soil_moisture, evapotranspiration = evaporation(demand, soil_moisture)
        soil_moisture, lower, capillary_rise = rise(soil_moisture, lower, FC, C)
        upper = upper + (effective_rainfall + excess)
        upper, lower, percolation, quick_flow, interflow, baseflow = zones(
            capacity_of(upper, PERC), upper, lower, K0, K1, K2, UZL
        )
        fluxes = (
            effective_rainfall,
            excess,
            evapotranspiration,
            capillary_rise,
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
        Elementwise functions of an array library, or scalar functions. ``minimum`` and ``maximum``
        must accept a number as second argument, ``where`` as second or third. ``power`` gets
        bases from 0 to 1 only.
    number
        Converts the constants of the equations, for compilers that distinguish precisions.
    compiled
        Compiles a function of scalars.
    replaced
        Functions that replace equations, by the flux that they compute (:data:`REPLACEABLE`).
        ``effective_rainfall(inflow, soil_moisture, BETA, FC)`` returns the share of the inflow that
        runs off. ``evapotranspiration(pet, soil_moisture, FC, LP, BETAET)`` and
        ``percolation(upper_zone_storage, PERC)`` return mm/day. Results are limited to the range
        from 0 to all available water.

    Returns
    -------
    day
        ``day(precipitation, temperature, pet, *stores, *parameters) -> (stores, fluxes)``, with
        stores in mm, fluxes in mm/day and temperature in degC. Orders are those of :data:`STORES`,
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
        C,
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
            C,
        )
        return (snowpack, liquid, *stores), (rainfall, snowfall, melt, refreezing, from_snow, *fluxes)

    return day


def _held(
    replaced: Mapping[str, Function], minimum: Function, maximum: Function, number: Callable[[float], Any]
) -> dict[str, Function]:
    """The replacing functions, limited to at least 0, and a share also to at most 1."""
    zero, one = number(0.0), number(1.0)
    held: dict[str, Function] = {
        name: lambda *values, function=function: maximum(function(*values), zero)
        for name, function in replaced.items()
    }
    if "effective_rainfall" in held:
        share = held["effective_rainfall"]
        held["effective_rainfall"] = lambda *values: minimum(share(*values), one)
    return held

"""The adjoint of one HBV day, composed of the adjoints of its processes.

:func:`make_adjoint` builds it from the same elementary functions as the day, so that one source
serves tensors (in tests) and compiled loops. It computes the fluxes of the day again from the day's
inputs, so only the stores before each day need to be kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .adjoint_processes import (
    make_rise_adjoint,
    make_snow_adjoint,
    make_soil_adjoint,
    make_wetness_adjoint,
    make_zones_adjoint,
)
from .equations import Function, as_written, make_processes


def make_part_adjoints(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    logarithm: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
) -> tuple[Function, Function, Function]:
    """Build the adjoints of the three parts of a day (:func:`.equations.make_parts`).

    Parameters are the same as in :func:`make_adjoint`.

    Returns
    -------
    snow_adjoint, wetness_adjoint, land_adjoint
        Each takes the arguments of its part, then the cotangents of its results. ``land_adjoint``
        returns the cotangent of the share of runoff, whether an equation or a network computed it.
    """
    parts = make_processes(minimum, maximum, power, where, number, compiled)
    infiltration, demand, evaporation, rise = parts.infiltration, parts.demand, parts.evaporation, parts.rise
    rise_adjoint = make_rise_adjoint(minimum, where, number, compiled)
    soil_adjoint = make_soil_adjoint(minimum, maximum, power, where, logarithm, number, compiled)
    zones_adjoint = make_zones_adjoint(minimum, maximum, where, number, compiled)

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
        C,
        d_soil_moisture,
        d_upper,
        d_lower,
        d_effective_rainfall,
        d_excess,
        d_evapotranspiration,
        d_capillary_rise,
        d_percolation,
        d_quick_flow,
        d_interflow,
        d_baseflow,
    ):
        soil_1, effective_rainfall, excess = infiltration(inflow, share, soil_moisture, FC)
        soil_2, _ = evaporation(demand(pet, soil_1, FC, LP, BETAET), soil_1)
        _, lower_1, _ = rise(soil_2, lower, FC, C)
        d_recharge, d_upper, d_lower, d_K0, d_K1, d_K2, d_PERC, d_UZL = zones_adjoint(
            effective_rainfall + excess,
            upper,
            lower_1,
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
        d_soil_moisture, d_lower, d_FC_by_rise, d_C = rise_adjoint(
            soil_2, lower, FC, C, d_soil_moisture, d_lower, d_capillary_rise
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
        parameters = (d_FC + d_FC_by_rise, d_K0, d_K1, d_K2, d_LP, d_PERC, d_UZL, d_BETAET, d_C)
        return d_inflow, d_share, d_pet, (d_soil_moisture, d_upper, d_lower), parameters

    return (
        make_snow_adjoint(minimum, maximum, where, number, compiled),
        make_wetness_adjoint(minimum, maximum, where, logarithm, number, compiled),
        land_adjoint,
    )


def make_adjoint(
    minimum: Function,
    maximum: Function,
    power: Function,
    where: Function,
    logarithm: Function,
    number: Callable[[float], Any] = float,
    compiled: Callable[[Function], Function] = as_written,
) -> Function:
    """Build the adjoint of a day.

    Parameters
    ----------
    minimum, maximum, power, where, number, compiled
        See :func:`~hydroxr.physics.equations.make_day`.
    logarithm
        Natural logarithm, for arguments from :data:`~.adjoint_processes.LEAST_BASE` to 1.

    Returns
    -------
    adjoint
        ``adjoint(precipitation, temperature, pet, *stores, *parameters, *d_stores, *d_fluxes)
        -> (d_stores, d_parameters, d_forcing)``. It takes the inputs of the day and the cotangents
        of its results. It returns the cotangents of the stores before the day, of the parameters,
        and of precipitation, temperature and PET. Orders are those of :data:`~.equations.STORES`,
        :data:`~.equations.DAY_PARAMETERS` and :data:`~.equations.DAY_FLUXES`.
    """
    parts = make_processes(minimum, maximum, power, where, number, compiled)
    snow, wetness_of = parts.snow, parts.wetness
    snow_adjoint, wetness_adjoint, land_adjoint = make_part_adjoints(
        minimum, maximum, power, where, logarithm, number, compiled
    )

    @compiled
    def adjoint(  # type: ignore[no-untyped-def]
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
        d_snowpack,
        d_liquid,
        d_soil_moisture,
        d_upper,
        d_lower,
        d_rainfall,
        d_snowfall,
        d_melt,
        d_refreezing,
        d_infiltration,
        d_effective_rainfall,
        d_excess,
        d_evapotranspiration,
        d_capillary_rise,
        d_percolation,
        d_quick_flow,
        d_interflow,
        d_baseflow,
    ):
        _, _, rainfall, _, _, _, infiltration = snow(
            precipitation, temperature, snowpack, liquid, TT, CFMAX, CFR, CWH
        )
        inflow = rainfall + infiltration
        wetness = wetness_of(inflow, soil_moisture, BETA, FC)
        d_inflow, d_wetness, d_pet, d_stores, d_land = land_adjoint(
            inflow,
            wetness,
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
            d_soil_moisture,
            d_upper,
            d_lower,
            d_effective_rainfall,
            d_excess,
            d_evapotranspiration,
            d_capillary_rise,
            d_percolation,
            d_quick_flow,
            d_interflow,
            d_baseflow,
        )
        d_soil_moisture, d_upper, d_lower = d_stores
        d_FC, d_K0, d_K1, d_K2, d_LP, d_PERC, d_UZL, d_BETAET, d_C = d_land
        d_soil_by_wetness, d_BETA, d_FC_by_wetness = wetness_adjoint(
            soil_moisture, BETA, FC, wetness, d_wetness
        )
        d_precipitation, d_temperature, d_snowpack, d_liquid, d_TT, d_CFMAX, d_CFR, d_CWH = snow_adjoint(
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
            d_rainfall + d_inflow,
            d_snowfall,
            d_melt,
            d_refreezing,
            d_infiltration + d_inflow,
        )
        stores = (d_snowpack, d_liquid, d_soil_moisture + d_soil_by_wetness, d_upper, d_lower)
        parameters = (
            d_BETA,
            d_FC + d_FC_by_wetness,
            d_K0,
            d_K1,
            d_K2,
            d_LP,
            d_PERC,
            d_UZL,
            d_TT,
            d_CFMAX,
            d_CFR,
            d_CWH,
            d_BETAET,
            d_C,
        )
        return stores, parameters, (d_precipitation, d_temperature, d_pet)

    return adjoint

"""The adjoint of one HBV day, written once beside the equations.

:func:`make_adjoint` builds it from the same elementary functions as the day itself, so that one
source serves tensors (for its tests) and compiled loops. It recomputes what it needs from the
day's inputs; nothing of a day has to be kept for it but the stores before that day.

The adjoints of its parts, and what they take at kinks, are in :mod:`hydroxr.physics.adjoint_parts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .adjoint_parts import make_part_adjoints
from .equations import Function, as_written, make_processes


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
        As for :func:`~hydroxr.physics.equations.make_day`.
    logarithm
        The natural one, asked for arguments from :data:`~.adjoint_parts.LEAST_BASE` to 1.

    Returns
    -------
    adjoint
        ``adjoint(precipitation, temperature, pet, *stores, *parameters, *store_cotangents,
        *flux_cotangents) -> (stores, parameters, forcing)``: cotangents of the five stores
        before the day, of the parameters and of precipitation, temperature and PET, given those
        of the stores after the day and of its fluxes, in the orders of :data:`~.hbv.STORES`,
        :data:`~.hbv.DAY_PARAMETERS` and :data:`~.hbv.DAY_FLUXES`.
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
        )
        d_soil_moisture, d_upper, d_lower = d_stores
        d_FC, d_K0, d_K1, d_K2, d_LP, d_PERC, d_UZL, d_BETAET = d_land
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
        )
        return stores, parameters, (d_precipitation, d_temperature, d_pet)

    return adjoint

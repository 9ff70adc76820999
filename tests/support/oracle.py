"""A second, plain implementation of HBV, against which the package is tested.

It computes one cell, one component and one day at a time in Python floats (float64), after Table 1 of Feng
et al. (2022) and the published order of the day. It is slow and shares nothing with ``hydroxr.physics``.

The published program creates water: after ``ET = min(SM, PET * efficiency)`` it sets
``SM = max(SM - ET, 1e-5)``, which lifts very dry soil to that floor. Here the floor stays, and
evapotranspiration is soil moisture before minus after. Initial soil moisture below the floor is raised to
it. (Later it can be below only if field capacity is; then the soil loses nothing.)
"""

from __future__ import annotations

import math

import numpy as np

FLOOR = 1e-5  # mm, left in the soil by evapotranspiration
START = 0.001  # mm, initial water in each store of each component
LAGS = 15  # ordinates of the unit hydrograph: the same day and the 14 days after it

STORES = ("snowpack", "snow_liquid_water", "soil_moisture", "upper_zone_storage", "lower_zone_storage")
HBV_FLUXES = (
    "runoff",
    "quick_flow",
    "interflow",
    "baseflow",
    "evapotranspiration",
    "rainfall",
    "snowfall",
    "snowmelt",
    "refreezing",
    "snow_infiltration",
    "effective_rainfall",
    "excess",
    "capillary_rise",
    "percolation",
)
ROUTED = ("streamflow", "channel_storage")  # of the cell, not of a component
NAMES = (*HBV_FLUXES, *STORES, *ROUTED)


def clip(value: float) -> float:
    """The value, limited to [0, 1]."""
    return min(max(value, 0.0), 1.0)


def day(p: float, t: float, pet: float, par: dict[str, float], state: dict[str, float]) -> dict[str, float]:
    """One day of one component: all fluxes (mm/day) and the stores at the end of the day (mm)."""
    snowpack = state["snowpack"]
    liquid = state["snow_liquid_water"]
    soil = state["soil_moisture"]
    upper = state["upper_zone_storage"]
    lower = state["lower_zone_storage"]

    # 1. Rain or snow.
    rain, snow = (p, 0.0) if t >= par["TT"] else (0.0, p)

    # 2. Snow.
    snowpack = snowpack + snow
    melt = min(max(par["CFMAX"] * (t - par["TT"]), 0.0), snowpack)
    snowpack = snowpack - melt
    liquid = liquid + melt
    refreezing = min(max(par["CFR"] * par["CFMAX"] * (par["TT"] - t), 0.0), liquid)
    liquid = liquid - refreezing
    snowpack = snowpack + refreezing
    infiltration = max(liquid - par["CWH"] * snowpack, 0.0)
    liquid = liquid - infiltration

    # 3. Soil and effective rainfall.
    wetness = clip((soil / par["FC"]) ** par["BETA"])
    effective = (rain + infiltration) * wetness
    soil = soil + rain + infiltration - effective
    excess = max(soil - par["FC"], 0.0)
    soil = soil - excess

    # 4. Evapotranspiration.
    efficiency = clip((soil / (par["LP"] * par["FC"])) ** par.get("BETAET", 1.0))
    demand = min(soil, pet * efficiency)
    after = max(soil - demand, min(soil, FLOOR))
    evapotranspiration = soil - after
    soil = after

    # 5. Capillary rise (HBV 1.1p of Song et al., 2024).
    rise = min(lower, par.get("C", 0.0) * lower * (1.0 - min(soil / par["FC"], 1.0)))
    soil = soil + rise
    lower = lower - rise

    # 6. Upper and lower zone.
    upper = upper + effective + excess
    percolation = min(upper, par["PERC"])
    upper = upper - percolation
    quick = par["K0"] * max(upper - par["UZL"], 0.0)
    upper = upper - quick
    inter = par["K1"] * upper
    upper = upper - inter
    lower = lower + percolation
    base = par["K2"] * lower
    lower = lower - base

    return {
        "runoff": quick + inter + base,
        "quick_flow": quick,
        "interflow": inter,
        "baseflow": base,
        "evapotranspiration": evapotranspiration,
        "rainfall": rain,
        "snowfall": snow,
        "snowmelt": melt,
        "refreezing": refreezing,
        "snow_infiltration": infiltration,
        "effective_rainfall": effective,
        "excess": excess,
        "capillary_rise": rise,
        "percolation": percolation,
        "snowpack": snowpack,
        "snow_liquid_water": liquid,
        "soil_moisture": soil,
        "upper_zone_storage": upper,
        "lower_zone_storage": lower,
    }


def unit_hydrograph(shape: float, scale: float) -> list[float]:
    """Share of a day's runoff that leaves 0, 1, ..., 14 days later.

    A gamma density at 0.5, 1.5, ..., 14.5 days, divided by its sum, so that its constant factor does not
    matter. The largest exponent is subtracted, so that no power overflows or vanishes.
    """
    times = [lag + 0.5 for lag in range(LAGS)]
    logs = [(shape - 1.0) * math.log(t) - t / scale for t in times]
    weights = [math.exp(log - max(logs)) for log in logs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def simulate(precipitation, temperature, pet, parameters, initial_state=None, components=False):
    """Run the model over time; ``hydroxr.physics.simulate`` must return the same.

    Parameters
    ----------
    precipitation, temperature, pet : (time, space)
    parameters : each (space, component), or (time, space, component); UH_SHAPE and UH_SCALE (space,)
    initial_state : the stores (space, component) and channel_outflow (space, 14)
    components : keep HBV's outputs per component, as a last axis

    Returns
    -------
    outputs : dict of (time, space) arrays by name
    state : dict like initial_state
    """
    days, cells = np.shape(precipitation)
    par = {name: np.asarray(value, dtype=float) for name, value in parameters.items()}
    n = par["BETA"].shape[-1]
    hbv = {name: np.zeros((days, cells, n)) for name in (*HBV_FLUXES, *STORES)}
    state = {name: np.full((cells, n), START) for name in STORES}
    state["channel_outflow"] = np.zeros((cells, LAGS - 1))
    if initial_state is not None:
        state = {name: np.array(initial_state[name], dtype=float) for name in state}

    for cell in range(cells):
        for component in range(n):
            now = {name: float(state[name][cell, component]) for name in STORES}
            now["soil_moisture"] = max(now["soil_moisture"], FLOOR)
            for step in range(days):
                today = {}
                for name, value in par.items():
                    if value.ndim == 3:
                        today[name] = float(value[step, cell, component])
                    elif value.ndim == 2:
                        today[name] = float(value[cell, component])
                forcing = (float(x[step, cell]) for x in (precipitation, temperature, pet))
                result = day(*forcing, today, now)
                now = {name: result[name] for name in STORES}
                for name, value in result.items():
                    hbv[name][step, cell, component] = value
            for name in STORES:
                state[name][cell, component] = now[name]

    mean = {name: np.zeros((days, cells)) for name in hbv}
    for name, value in hbv.items():
        for step in range(days):
            for cell in range(cells):
                mean[name][step, cell] = math.fsum(value[step, cell]) / n

    streamflow = np.zeros((days, cells))
    channel = np.zeros((days, cells))
    for cell in range(cells):
        if "UH_SHAPE" not in par:
            streamflow[:, cell] = mean["runoff"][:, cell]
            continue
        weights = unit_hydrograph(float(par["UH_SHAPE"][cell]), float(par["UH_SCALE"][cell]))
        coming = [0.0, *state["channel_outflow"][cell]]  # leaves today (all gone), tomorrow, ..., in 14 days
        for step in range(days):
            runoff = mean["runoff"][step, cell]
            coming = [*coming[1:], 0.0]  # a night passes
            coming = [old + runoff * weight for old, weight in zip(coming, weights, strict=True)]
            streamflow[step, cell] = coming[0]
            channel[step, cell] = math.fsum(coming[1:])
        state["channel_outflow"][cell] = coming[1:]

    outputs = hbv if components else mean
    return {**outputs, "streamflow": streamflow, "channel_storage": channel}, state

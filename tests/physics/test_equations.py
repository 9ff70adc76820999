"""The equations of one day: examples worked out by hand, for one cell and one component."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.physics import loop_torch, simulate
from hydroxr.physics.equations import DAY_FLUXES, DAY_PARAMETERS, make_day
from tests.support.loops import FORCING, leaves_of, run
from tests.support.oracle import HBV_FLUXES, ROUTED, STORES
from tests.support.strategies import ROUTING, Case, examples

PLAIN = {
    "BETA": 2.0,
    "FC": 100.0,
    "K0": 0.5,
    "K1": 0.1,
    "K2": 0.02,
    "LP": 0.5,
    "PERC": 1.0,
    "UZL": 10.0,
    "TT": 0.0,
    "CFMAX": 2.0,
    "CFR": 0.05,
    "CWH": 0.1,
}


def one_day(p: float, t: float, pet: float, start: dict[str, float], **other: float) -> dict[str, float]:
    """Run a day; stores default to empty and parameters to PLAIN."""
    parameters = {name: np.array([[value]]) for name, value in {**PLAIN, **other}.items()}
    state = {name: np.array([[start.get(name, 0.0)]]) for name in STORES}
    state["channel_outflow"] = np.zeros((1, 14))
    forcing = (np.array([[x]], dtype=float) for x in (p, t, pet))
    outputs, _ = simulate(*forcing, parameters, state, outputs=OUTPUTS)
    return {name: float(value[0, 0]) for name, value in outputs.items()}


def expect(found: dict[str, float], **expected: float) -> None:
    """Assert these values."""
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_rain_on_dry_soil_mostly_stays_in_the_soil():
    """By hand: 10 mm of rain on soil that is a quarter full."""
    # wetness = (25 / 100)^2 = 0.0625; effective rainfall = 10 x 0.0625 = 0.625
    # SM = 25 + 10 - 0.625 = 34.375 < FC: no excess. PET = 0: no ET.
    # SUZ = 0.625; percolation = min(0.625, 0.125) = 0.125, left 0.5
    # Q0 = 0.5 x (0.5 - 0.1) = 0.2, left 0.3; Q1 = 0.1 x 0.3 = 0.03, left 0.27
    # SLZ = 0.125; Q2 = 0.02 x 0.125 = 0.0025, left 0.1225; Q = 0.2 + 0.03 + 0.0025 = 0.2325
    expect(
        one_day(10.0, 5.0, 0.0, {"soil_moisture": 25.0}, PERC=0.125, UZL=0.1),
        rainfall=10.0,
        snowfall=0.0,
        effective_rainfall=0.625,
        soil_moisture=34.375,
        excess=0.0,
        evapotranspiration=0.0,
        percolation=0.125,
        quick_flow=0.2,
        interflow=0.03,
        baseflow=0.0025,
        runoff=0.2325,
        streamflow=0.2325,
        upper_zone_storage=0.27,
        lower_zone_storage=0.1225,
        channel_storage=0.0,
    )


def test_wetness_is_of_the_soil_before_the_rain_and_excess_of_the_soil_after():
    """By hand: 30 mm of rain on soil at 90 of 100 mm."""
    # wetness = 0.9^2 = 0.81, effective rainfall = 24.3; SM = 90 + 5.7 = 95.7: no excess
    expect(
        one_day(30.0, 5.0, 0.0, {"soil_moisture": 90.0}),
        effective_rainfall=24.3,
        excess=0.0,
        soil_moisture=95.7,
    )
    # The same with BETA = 6: wetness = 0.9^6 = 0.531441, effective rainfall = 15.94323
    # SM = 90 + 14.05677 = 104.05677, excess = 4.05677, SM = 100
    # SUZ = 15.94323 + 4.05677 = 20; percolation 1, left 19; Q0 = 0.5 x (19 - 10) = 4.5, left 14.5
    # Q1 = 1.45, left 13.05; SLZ = 1, Q2 = 0.02, left 0.98
    expect(
        one_day(30.0, 5.0, 0.0, {"soil_moisture": 90.0}, BETA=6.0),
        effective_rainfall=15.94323,
        excess=4.05677,
        soil_moisture=100.0,
        percolation=1.0,
        quick_flow=4.5,
        interflow=1.45,
        baseflow=0.02,
        upper_zone_storage=13.05,
        lower_zone_storage=0.98,
    )


def test_soil_above_field_capacity_lets_all_rain_pass():
    """By hand: wetness is at most 1."""
    # wetness = min(1.2^2, 1) = 1; effective rainfall = 5; excess = 120 - 100 = 20
    expect(
        one_day(5.0, 5.0, 0.0, {"soil_moisture": 120.0}),
        effective_rainfall=5.0,
        excess=20.0,
        soil_moisture=100.0,
    )


def test_at_the_threshold_temperature_it_rains():
    """By hand: T = TT is rain, and neither melts nor freezes anything; just below it snows."""
    start = {"snowpack": 7.0, "snow_liquid_water": 0.5}
    expect(
        one_day(4.0, 1.5, 0.0, start, TT=1.5),
        rainfall=4.0,
        snowfall=0.0,
        snowmelt=0.0,
        refreezing=0.0,
        snowpack=7.0,
    )
    expect(
        one_day(4.0, 1.4999, 0.0, start, TT=1.5),
        rainfall=0.0,
        snowfall=4.0,
    )


def test_melt_fills_the_snow_before_it_reaches_the_soil():
    """By hand: 4 mm melt, and the snow holds a tenth of its remaining mass as liquid water."""
    # melt = 2 x (2 - 0) = 4, snowpack 10 - 4 = 6, liquid 0.5 + 4 = 4.5
    # infiltration = 4.5 - 0.1 x 6 = 3.9, liquid 0.6
    # wetness = (50 / 100)^2 = 0.25, effective rainfall = 3.9 x 0.25 = 0.975; SM = 50 + 2.925
    expect(
        one_day(0.0, 2.0, 0.0, {"snowpack": 10.0, "snow_liquid_water": 0.5, "soil_moisture": 50.0}),
        snowmelt=4.0,
        refreezing=0.0,
        snow_infiltration=3.9,
        snowpack=6.0,
        snow_liquid_water=0.6,
        effective_rainfall=0.975,
        soil_moisture=52.925,
    )


def test_melt_is_limited_by_the_snowpack():
    """By hand: 3 mm of snow on a day that could melt 20; rain and meltwater go to the soil together."""
    # melt = min(2 x 10, 3) = 3; liquid = 0.25 + 3, all infiltrates: CWH x 0 = 0 is held
    # wetness 0.25, effective rainfall = (1 + 3.25) x 0.25 = 1.0625, SM = 50 + 3.1875
    expect(
        one_day(1.0, 10.0, 0.0, {"snowpack": 3.0, "snow_liquid_water": 0.25, "soil_moisture": 50.0}),
        rainfall=1.0,
        snowmelt=3.0,
        snow_infiltration=3.25,
        snowpack=0.0,
        snow_liquid_water=0.0,
        effective_rainfall=1.0625,
        soil_moisture=53.1875,
    )


def test_liquid_water_refreezes_into_the_snowpack():
    """By hand: 1 mm freezes; liquid water above the capacity of the snow leaves."""
    # snowfall: snowpack 20 + 5 = 25; refreezing = 0.05 x 2 x 10 = 1: snowpack 26, liquid 3 - 1 = 2
    # CWH = 0.05 holds 1.3: infiltration = 0.7, liquid 1.3
    expect(
        one_day(5.0, -10.0, 0.0, {"snowpack": 20.0, "snow_liquid_water": 3.0}, CWH=0.05),
        snowfall=5.0,
        snowmelt=0.0,
        refreezing=1.0,
        snow_infiltration=0.7,
        snowpack=26.0,
        snow_liquid_water=1.3,
    )


def test_refreezing_is_limited_by_liquid_water():
    """By hand: 0.4 mm of liquid water on a day that could freeze 1."""
    expect(
        one_day(0.0, -10.0, 0.0, {"snowpack": 20.0, "snow_liquid_water": 0.4}),
        refreezing=0.4,
        snowpack=20.4,
        snow_liquid_water=0.0,
        snow_infiltration=0.0,
    )


def test_evapotranspiration_falls_with_soil_moisture_below_lp_times_fc():
    """By hand: LP FC = 50 mm."""
    soil = {"soil_moisture": 5.0}
    # linear: 4 x 5 / 50 = 0.4
    expect(one_day(0.0, 5.0, 4.0, soil), evapotranspiration=0.4, soil_moisture=4.6)
    # BETAET = 2: 4 x 0.1^2 = 0.04
    expect(one_day(0.0, 5.0, 4.0, soil, BETAET=2.0), evapotranspiration=0.04, soil_moisture=4.96)
    # BETAET = 0.5 at 12.5 mm: 4 x sqrt(12.5 / 50) = 2
    expect(
        one_day(0.0, 5.0, 4.0, {"soil_moisture": 12.5}, BETAET=0.5),
        evapotranspiration=2.0,
        soil_moisture=10.5,
    )


def test_evapotranspiration_is_potential_above_lp_times_fc():
    """By hand: at 60 mm of LP FC = 50 the whole 4 mm leave, whatever BETAET; at field capacity too."""
    for shape in (0.3, 1.0, 5.0):
        expect(
            one_day(0.0, 5.0, 4.0, {"soil_moisture": 60.0}, BETAET=shape),
            evapotranspiration=4.0,
            soil_moisture=56.0,
        )


def test_soil_moisture_keeps_a_floor_and_evapotranspiration_is_what_left():
    """By hand: demand exceeds the water in the soil; 1e-5 mm stay, and no water is created."""
    # LP FC = 10 mm; efficiency = (0.001 / 10)^0.3 = 0.0631, PET 8 asks for 0.505 mm, there is 0.001
    # SM = max(0.001 - 0.001, 1e-5) = 1e-5; ET = 0.001 - 0.00001 = 0.00099
    found = one_day(0.0, 5.0, 8.0, {"soil_moisture": 0.001}, FC=50.0, LP=0.2, BETAET=0.3)
    expect(found, soil_moisture=1e-5, evapotranspiration=0.00099)
    # At the floor nothing is left to take.
    found = one_day(0.0, 5.0, 8.0, {"soil_moisture": 1e-5}, FC=50.0, LP=0.2, BETAET=0.3)
    expect(found, soil_moisture=1e-5, evapotranspiration=0.0)


def test_rain_of_the_day_can_evaporate_on_that_day():
    """By hand: ET depends on the soil after rain."""
    # wetness = 10 / 100 = 0.1 (BETA = 1), effective rainfall = 2; SM = 10 + 18 = 28
    # efficiency = 28 / 50 = 0.56, ET = 5 x 0.56 = 2.8; SM = 25.2
    expect(
        one_day(20.0, 5.0, 5.0, {"soil_moisture": 10.0}, BETA=1.0),
        effective_rainfall=2.0,
        evapotranspiration=2.8,
        soil_moisture=25.2,
    )


def test_percolation_is_limited_by_perc_and_storage():
    """By hand: 8 mm in the upper zone, PERC 3; then 2 mm."""
    # 8 - 3 = 5 < UZL: no quick flow; Q1 = 0.5, left 4.5; SLZ = 3, Q2 = 0.06, left 2.94
    expect(
        one_day(0.0, 5.0, 0.0, {"upper_zone_storage": 8.0}, PERC=3.0),
        percolation=3.0,
        quick_flow=0.0,
        interflow=0.5,
        upper_zone_storage=4.5,
        baseflow=0.06,
        lower_zone_storage=2.94,
    )
    # 2 - 2 = 0: nothing flows from there; SLZ = 10 + 2, Q2 = 0.24, left 11.76
    expect(
        one_day(0.0, 5.0, 0.0, {"upper_zone_storage": 2.0, "lower_zone_storage": 10.0}, PERC=3.0),
        percolation=2.0,
        interflow=0.0,
        upper_zone_storage=0.0,
        baseflow=0.24,
        lower_zone_storage=11.76,
    )


def test_quick_flow_runs_above_its_threshold_only():
    """By hand: threshold 10 mm after percolation of 1 mm."""
    # 31 - 1 = 30: Q0 = 0.5 x 20 = 10, left 20; Q1 = 0.1 x 20 = 2, left 18
    expect(
        one_day(0.0, 5.0, 0.0, {"upper_zone_storage": 31.0}),
        quick_flow=10.0,
        interflow=2.0,
        upper_zone_storage=18.0,
    )
    # 11 - 1 = 10, at the threshold: Q0 = 0; Q1 = 1, left 9
    expect(
        one_day(0.0, 5.0, 0.0, {"upper_zone_storage": 11.0}),
        quick_flow=0.0,
        interflow=1.0,
        upper_zone_storage=9.0,
    )


def test_a_run_without_initial_state_starts_nearly_empty():
    """By hand: 0.001 mm in each of the five stores, nothing in the channel."""
    # T < TT: refreezing = min(0.05 x 2 x 1, 0.001) = 0.001: snowpack 0.002, liquid 0
    # SM stays 0.001. SUZ: percolation min(0.001, 1): SLZ 0.002, Q2 = 0.02 x 0.002 = 0.00004
    parameters = {name: np.array([[value]]) for name, value in PLAIN.items()}
    zero = np.zeros((1, 1))
    outputs, _ = simulate(zero, zero - 1.0, zero, parameters, outputs=OUTPUTS)
    expect(
        {name: float(value[0, 0]) for name, value in outputs.items()},
        snowpack=0.002,
        snow_liquid_water=0.0,
        soil_moisture=0.001,
        upper_zone_storage=0.0,
        lower_zone_storage=0.00196,
        runoff=0.00004,
        channel_storage=0.0,
    )


def test_components_are_averaged_with_equal_weights():
    """By hand: rain in one component (TT 0) and snow in the other (TT 4) give half of each."""
    parameters: dict[str, Any] = {name: np.array([[value, value]]) for name, value in PLAIN.items()}
    parameters["TT"] = np.array([[0.0, 4.0]])
    p, t, zero = np.array([[6.0]]), np.array([[2.0]]), np.zeros((1, 1))
    outputs, _ = simulate(p, t, zero, parameters, outputs=("rainfall", "snowfall"))
    assert outputs["rainfall"][0, 0] == 3.0
    assert outputs["snowfall"][0, 0] == 3.0


@examples(20)
@given(st.integers(1, 20), st.integers(1, 3))
def test_equal_components_equal_one(components: int, days: int):
    """Components with the same parameters give the same results as one component."""
    one = Case(17, days, 2, 1, "freeze-thaw")
    same = {k: x if k in ROUTING else np.repeat(x, components, axis=-1) for k, x in one.parameters.items()}
    expected, _ = simulate(*one.args, outputs=OUTPUTS)
    found, _ = simulate(*one.forcing, same, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_the_oracle_knows_every_output():
    """The oracle computes every output of the table."""
    assert {*HBV_FLUXES, *STORES, *ROUTED} == set(OUTPUTS)


def test_the_day_takes_plain_numbers():
    """The equations, built from Python's own functions."""
    day = make_day(min, max, pow, lambda condition, value, other: value if condition else other)
    case = Case(1, 1, 1, 1, "freeze-thaw")
    leaves = leaves_of(case)
    numbers = [float(leaves[name]) for name in (*FORCING, *STORES, *DAY_PARAMETERS)]
    stores, fluxes = day(*numbers)
    expected = run(loop_torch, leaves)
    for name, value in zip((*STORES, *DAY_FLUXES), (*stores, *fluxes), strict=True):
        assert value == pytest.approx(float(expected[name]), rel=1e-12, abs=1e-15), name

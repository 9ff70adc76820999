"""Water balance: no water is created or lost, and no store is negative."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from hydroxr.conventions.variables import FLUXES, OUTPUTS, STATES
from hydroxr.physics import simulate
from tests.support.oracle import ROUTED, START, STORES
from tests.support.strategies import TABLE, WEATHER, Case, cases, examples


def before_first_day(case: Case, initial_state: dict[str, np.ndarray] | None) -> np.ndarray:
    """All water before the first day (space,), in float64."""
    if initial_state is None:
        return np.full(case.cells, len(STORES) * START)
    stores = sum(initial_state[name].astype("float64").mean(axis=1) for name in STORES)
    return stores + initial_state["channel_outflow"].astype("float64").sum(axis=1)


def residual(case: Case, dtype: str, start: bool = False) -> np.ndarray:
    """P - ET - streamflow - change of all storages, each day (time, space), summed up in float64."""
    state = {name: x.astype(dtype) for name, x in case.state().items()} if start else None
    args = case.astype(dtype)
    outputs, _ = simulate(*args, state, outputs=OUTPUTS)
    water = {name: x.astype("float64") for name, x in outputs.items()}
    storage = sum(water[name] for name in STATES)
    change = np.diff(storage, axis=0, prepend=before_first_day(case, state)[None])
    return args[0].astype("float64") - water["evapotranspiration"] - water["streamflow"] - change


@examples(50)
@given(cases())
def test_water_balance_closes_each_day_in_float64(case: Case):
    """Precipitation = evapotranspiration + streamflow + change of storages, to 1e-9 mm, routing included."""
    if "UH_SHAPE" in case.without:  # without a channel nothing may start in it
        assert np.abs(residual(case, "float64")).max() <= 1e-9
    else:
        for start in (False, True):
            assert np.abs(residual(case, "float64", start)).max() <= 1e-9


@examples(50)
@given(cases(optional=False))
def test_water_balance_closes_each_day_in_float32(case: Case):
    """To 2e-3 mm a day. Rounding is 6e-8 of a store; the fullest here (two months of snow or monsoon) hold
    some 5,000 mm, so 3e-4 mm for each of the few sums of a day."""
    assert np.abs(residual(case, "float32", start=True)).max() <= 2e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", WEATHER)
def test_water_balance_closes_over_years(kind: str, dtype: str):
    """Three years, 16 components: single days as above, and the sum does not drift (1e-7 of the water)."""
    case = Case(41, 1095, 2, 16, kind)
    off = residual(case, dtype)
    water = 10.0 + case.precipitation.sum()
    assert np.abs(off).max() <= {"float32": 5e-3, "float64": 1e-9}[dtype]
    assert np.abs(off.sum(axis=0)).max() <= {"float32": 1e-5, "float64": 1e-12}[dtype] * water


@examples(40)
@given(cases(optional=False))
def test_no_store_and_no_flux_is_negative(case: Case):
    """In both precisions, from the default start and from a given state, for every component."""
    for dtype in ("float32", "float64"):
        args = case.astype(dtype)
        for state in (None, {name: x.astype(dtype) for name, x in case.state().items()}):
            outputs, final = simulate(*args, state, outputs=OUTPUTS, components=True)
            for name in (*FLUXES, *STATES):
                assert (outputs[name] >= 0).all(), f"{name} {outputs[name].min()} in {dtype}"
            for name, value in final.items():
                assert (value >= 0).all(), f"final {name} {value.min()} in {dtype}"


@examples(20)
@given(cases(optional=False, max_days=10, max_components=4))
def test_an_empty_start_makes_no_water_and_no_negative_evapotranspiration(case: Case):
    """All stores at 0 mm is a start that a user may choose; the soil then holds its floor, 1e-5 mm."""
    state = {name: np.zeros((case.cells, case.components)) for name in STORES}
    state["channel_outflow"] = np.zeros((case.cells, 14))
    outputs, _ = simulate(*case.args, state, outputs=OUTPUTS)
    storage = sum(outputs[name] for name in STATES)
    change = np.diff(storage, axis=0, prepend=1e-5)
    off = case.precipitation - outputs["evapotranspiration"] - outputs["streamflow"] - change
    assert np.abs(off).max() <= 1e-9
    assert (outputs["evapotranspiration"] >= 0).all()


@examples(40)
@given(cases())
def test_rain_and_snow_are_the_precipitation(case: Case):
    """No precipitation is lost between the two."""
    outputs, _ = simulate(*case.args, outputs=("rainfall", "snowfall"))
    total = outputs["rainfall"] + outputs["snowfall"]
    np.testing.assert_allclose(total, case.precipitation, rtol=1e-13, atol=0)


@examples(40)
@given(cases())
def test_runoff_is_the_sum_of_its_three_parts(case: Case):
    """Runoff = quick flow + interflow + baseflow, in the mean over components as in each."""
    names = ("runoff", "quick_flow", "interflow", "baseflow")
    for components in (False, True):
        outputs, _ = simulate(*case.args, outputs=names, components=components)
        parts = outputs["quick_flow"] + outputs["interflow"] + outputs["baseflow"]
        np.testing.assert_allclose(outputs["runoff"], parts, rtol=1e-13, atol=1e-15)


@examples(40)
@given(cases())
def test_the_mean_over_components_is_the_output_without_them(case: Case):
    """Averaging what components=True returns gives what components=False returns; streamflow has none."""
    means, _ = simulate(*case.args, outputs=OUTPUTS)
    each, _ = simulate(*case.args, outputs=OUTPUTS, components=True)
    for name in OUTPUTS:
        if name in ROUTED:
            assert each[name].shape == (case.days, case.cells)
            np.testing.assert_allclose(each[name], means[name], rtol=1e-13, atol=1e-14, err_msg=name)
        else:
            assert each[name].shape == (case.days, case.cells, case.components)
            np.testing.assert_allclose(
                each[name].mean(axis=-1), means[name], rtol=1e-12, atol=1e-14, err_msg=name
            )


# The five balances of Table 1 of Feng et al. (2022): what comes in, what leaves.
BALANCES = {
    "snowpack": (("snowfall", "refreezing"), ("snowmelt",)),
    "snow_liquid_water": (("snowmelt",), ("refreezing", "snow_infiltration")),
    "soil_moisture": (
        ("rainfall", "snow_infiltration"),
        ("effective_rainfall", "excess", "evapotranspiration"),
    ),
    "upper_zone_storage": (("effective_rainfall", "excess"), ("percolation", "quick_flow", "interflow")),
    "lower_zone_storage": (("percolation",), ("baseflow",)),
}


@pytest.mark.parametrize("store", BALANCES)
@examples(15)
@given(case=cases(max_days=20, max_components=5, optional=False))
def test_each_store_changes_by_its_own_fluxes(store: str, case: Case):
    """The balance equation of each store holds in each component on each day."""
    start = case.state()
    outputs, _ = simulate(*case.args, start, outputs=OUTPUTS, components=True)
    change = np.diff(outputs[store], axis=0, prepend=start[store][None])
    gains, losses = BALANCES[store]
    expected = sum(outputs[name] for name in gains) - sum(outputs[name] for name in losses)
    np.testing.assert_allclose(change, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("place", ["lower", "upper"])
@pytest.mark.parametrize("kind", ["dry", "all-snow", "zero-pet"])
@pytest.mark.parametrize("days", [1, 60])
def test_water_balance_closes_at_the_ends_of_the_ranges(days: int, kind: str, place: str):
    """All parameters at one end, in one-sided weather, also for a single day."""
    case = Case(42, days, 2, 2, kind, places=dict.fromkeys(TABLE, place))
    assert np.abs(residual(case, "float64")).max() <= 1e-9
    assert np.abs(residual(case, "float32")).max() <= 2e-3

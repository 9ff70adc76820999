"""Simulations: outputs and states follow the equations, for any arguments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.physics import simulate
from tests.support.oracle import STORES
from tests.support.oracle import simulate as oracle
from tests.support.strategies import HBV_PARAMETERS, ROUTING, TABLE, WEATHER, Case, cases, examples

# Rounding: about 1e-16 per day and store, for stores of up to about 1,000 mm, over 60 days. A day can
# amplify it: if BETAET is 5, wet and dry days alternate, and a small difference in soil moisture can more
# than double.
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def agree(case: Case, initial_state: dict[str, np.ndarray] | None = None, components: bool = False) -> None:
    """Assert that kernel and reference loop agree with the oracle in all outputs and the final state."""
    expected, expected_state = oracle(*case.args, initial_state, components=components)
    for backend in ("cpu", "torch"):
        found, state = simulate(*case.args, initial_state, OUTPUTS, backend, components)
        assert set(found) == set(OUTPUTS) == set(expected)
        for name in OUTPUTS:
            label = f"{name} of {case}, {backend}"
            assert found[name].shape == expected[name].shape, label
            np.testing.assert_allclose(found[name], expected[name], **CLOSE, err_msg=label)
        for name, value in expected_state.items():
            if name == "channel_outflow" and "UH_SHAPE" in case.without:
                continue  # without routing, the channel in the state is undefined
            np.testing.assert_allclose(state[name], value, **CLOSE, err_msg=f"final {name} of {case}")


# ---------------------------------------------------------------------------------------------------
# All outputs, against the second writing of the equations


@examples(50)
@given(cases())
def test_outputs_and_final_state_are_those_of_the_equations(case: Case):
    """Any weather, parameters inside or at their bounds, static or dynamic, 1 to 60 days."""
    agree(case)


@examples(25)
@given(cases(max_days=20, max_components=5))
def test_components_are_kept_apart_on_request(case: Case):
    """With components=True fluxes and stores have a component axis; streamflow has none."""
    agree(case, components=True)


@examples(25)
@given(cases(max_days=20, max_components=5))
def test_a_run_starts_from_the_state_that_is_given(case: Case):
    """Stores and channel start as given, even if soil is wetter than field capacity."""
    state = case.state()
    if "UH_SHAPE" in case.without:  # nothing would take it out of the channel
        state["channel_outflow"][:] = 0.0
    agree(case, initial_state=state)


@pytest.mark.parametrize("kind", WEATHER)
def test_every_kind_of_weather_follows_the_equations(kind: str):
    """A run of 60 days, 3 cells and 16 components per kind."""
    agree(Case(seed=7, days=60, cells=3, components=16, kind=kind, dynamic=("BETA", "BETAET")))


@pytest.mark.parametrize("place", ["lower", "upper"])
def test_all_parameters_at_one_end_follow_the_equations(place: str):
    """Corners of the parameter space, in weather that crosses the snow thresholds exactly."""
    agree(Case(3, 60, 2, 2, "freeze-thaw", places=dict.fromkeys(TABLE, place)))


@pytest.mark.parametrize("name", HBV_PARAMETERS)
def test_each_parameter_may_change_from_day_to_day(name: str):
    """One parameter is dynamic, the others are static."""
    agree(Case(11, 30, 2, 3, "freeze-thaw", dynamic=(name,)))


@pytest.mark.parametrize("components", [1, 3])
def test_a_dynamic_parameter_that_never_changes_equals_a_static_one(components: int):
    """A static value repeated every day gives the same result."""
    case = Case(5, 25, 3, components, "temperate")
    dynamic = {
        name: value if name in ROUTING else np.repeat(value[None], case.days, axis=0)
        for name, value in case.parameters.items()
    }
    static, _ = simulate(*case.args, outputs=OUTPUTS)
    repeated, _ = simulate(*case.forcing, dynamic, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(repeated[name], static[name], rtol=1e-13, atol=1e-13, err_msg=name)


def test_a_missing_component_axis_means_one_component():
    """Parameters (space,) and (time, space) give what (space, 1) and (time, space, 1) give."""
    case = Case(2, 12, 3, 1, "freeze-thaw", dynamic=("BETA", "TT"))
    bare = {name: x if name in ROUTING else x[..., 0] for name, x in case.parameters.items()}
    assert bare["BETA"].shape == (12, 3)
    assert bare["FC"].shape == (3,)
    for components in (False, True):
        full, state = simulate(*case.args, outputs=OUTPUTS, components=components)
        short, short_state = simulate(*case.forcing, bare, outputs=OUTPUTS, components=components)
        for name in OUTPUTS:
            np.testing.assert_array_equal(short[name], full[name], err_msg=name)
        for name in STORES:
            assert short_state[name].shape == state[name].shape == (3, 1), name


@pytest.mark.parametrize("length", [1, 2, 16])
def test_a_parameter_of_space_by_component_is_that_also_when_the_run_is_as_long(length: int):
    """As many days as cells and components: (space, component) is a static parameter still.

    A forecast of one day in one cell is such a run, and so is a block of 16 cells and 16 days.
    """
    case = Case(22, length, length, length, "temperate")
    agree(case)
    repeated = {k: x if k in ROUTING else np.repeat(x[None], length, 0) for k, x in case.parameters.items()}
    static, _ = simulate(*case.args, outputs=OUTPUTS)
    dynamic, _ = simulate(*case.forcing, repeated, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(static[name], dynamic[name], rtol=1e-13, atol=1e-13, err_msg=name)


def test_a_state_below_the_floor_of_the_soil_starts_at_the_floor():
    """Even an empty soil starts with 1e-5 mm."""
    case = Case(23, 10, 2, 3, "temperate")
    agree(case, {name: np.zeros_like(x) for name, x in case.state().items()})


def test_without_betaet_evapotranspiration_is_linear_in_soil_wetness():
    """BETAET left out equals BETAET = 1."""
    case = Case(21, 60, 3, 4, "temperate", without=("BETAET",))
    with_one = {**case.parameters, "BETAET": np.ones((3, 4))}
    absent, _ = simulate(*case.args, outputs=OUTPUTS)
    linear, _ = simulate(*case.forcing, with_one, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(absent[name], linear[name], rtol=1e-12, atol=1e-12, err_msg=name)


# ---------------------------------------------------------------------------------------------------
# What is returned


def test_only_requested_outputs_are_returned():
    """Runoff by default, otherwise the given names."""
    case = Case(1, 5, 2, 3)
    assert set(simulate(*case.args)[0]) == {"runoff"}
    asked = ("soil_moisture", "streamflow")
    assert set(simulate(*case.args, outputs=asked)[0]) == set(asked)


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_does_not_depend_on_the_others(name: str):
    """An output alone equals the same output among all; so does the final state."""
    case = Case(4, 10, 2, 3, "freeze-thaw")
    everything, state = simulate(*case.args, outputs=OUTPUTS)
    alone, alone_state = simulate(*case.args, outputs=(name,))
    np.testing.assert_allclose(alone[name], everything[name], rtol=1e-14, atol=1e-14)
    assert set(alone_state) == set(state)
    for store in (*STORES, "channel_outflow"):
        np.testing.assert_allclose(alone_state[store], state[store], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_give_arrays_and_tensors_give_tensors_of_the_same_precision(dtype: str):
    """numpy in, numpy out; torch in, torch out; float32 or float64 as the inputs; and equal numbers."""
    case = Case(8, 15, 3, 4, "freeze-thaw")
    p, t, pet, parameters = case.astype(dtype)
    arrays, state = simulate(p, t, pet, parameters, outputs=OUTPUTS)
    tensors, tensor_state = simulate(
        *(torch.tensor(x) for x in (p, t, pet)),
        {name: torch.tensor(x) for name, x in parameters.items()},
        outputs=OUTPUTS,
    )
    close = {"rtol": 1e-12, "atol": 1e-12} if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-3}
    for arrays_of, tensors_of in ((arrays, tensors), (state, tensor_state)):
        assert set(arrays_of) == set(tensors_of)
        for name, value in arrays_of.items():
            assert isinstance(value, np.ndarray), name
            assert value.dtype == dtype, name
            assert isinstance(tensors_of[name], torch.Tensor), name
            assert tensors_of[name].dtype == getattr(torch, dtype), name
            np.testing.assert_allclose(tensors_of[name].numpy(), value, **close, err_msg=name)


def test_final_state_has_every_store_and_the_water_in_the_channel():
    """Shapes (space, component), and (space, 14) for the days ahead on which channel water leaves."""
    _, state = simulate(*Case(8, 3, 2, 4).args)
    assert set(state) == {*STORES, "channel_outflow"}
    assert all(state[name].shape == (2, 4) for name in STORES)
    assert state["channel_outflow"].shape == (2, 14)


def test_final_state_is_the_last_day_of_the_stores():
    """Stores in the state equal those in the outputs at the end of the last day."""
    outputs, state = simulate(*Case(9, 20, 2, 4, "cold").args, outputs=OUTPUTS, components=True)
    for name in STORES:
        np.testing.assert_array_equal(outputs[name][-1], state[name], err_msg=name)
    np.testing.assert_allclose(
        outputs["channel_storage"][-1], state["channel_outflow"].sum(axis=1), rtol=1e-12
    )


# ---------------------------------------------------------------------------------------------------
# What goes in


def test_inputs_are_left_as_they_were():
    """Forcing, parameters and initial state do not change."""
    case = Case(10, 10, 2, 3, "freeze-thaw")
    state = case.state()
    given_arrays = [*case.forcing, *case.parameters.values(), *state.values()]
    before = [x.copy() for x in given_arrays]
    for x in given_arrays:
        x.flags.writeable = False
    simulate(*case.args, initial_state=state, outputs=OUTPUTS)
    for old, new in zip(before, given_arrays, strict=True):
        np.testing.assert_array_equal(old, new)


LAYOUTS = {
    "fortran order": np.asfortranarray,
    "reversed view": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "strided view": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "big-endian": lambda x: x.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_of_the_inputs_does_not_matter(layout: str):
    """Results do not depend on strides, order of axes or byte order."""
    case = Case(12, 10, 3, 4, "freeze-thaw", dynamic=("BETA",))
    as_laid = LAYOUTS[layout]
    found, _ = simulate(
        *(as_laid(x) for x in case.forcing),
        {name: as_laid(x) for name, x in case.parameters.items()},
        {name: as_laid(x) for name, x in case.state().items()},
        outputs=OUTPUTS,
    )
    expected, _ = simulate(*case.args, case.state(), outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_broadcast_arrays_are_accepted():
    """A view that repeats one value gives the same results as a full array."""
    case = Case(13, 10, 3, 4)
    flat = {name: np.broadcast_to(x.flat[0], x.shape) for name, x in case.parameters.items()}
    pet = np.broadcast_to(np.float64(1.5), case.pet.shape)
    found, _ = simulate(case.precipitation, case.temperature, pet, flat, outputs=OUTPUTS)
    expected, _ = oracle(case.precipitation, case.temperature, pet, flat)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], **CLOSE, err_msg=name)


def test_a_cell_does_not_depend_on_its_neighbours():
    """A cell alone gives the same results as among others."""
    case = Case(14, 30, 5, 7, "freeze-thaw", dynamic=("BETA",))
    together, _ = simulate(*case.args, outputs=OUTPUTS)
    for cell in range(case.cells):
        here = slice(cell, cell + 1)
        alone, _ = simulate(
            *(x[:, here] for x in case.forcing),
            {name: x[:, here] if name == "BETA" else x[here] for name, x in case.parameters.items()},
            outputs=OUTPUTS,
        )
        for name in OUTPUTS:
            np.testing.assert_allclose(
                alone[name], together[name][:, here], rtol=1e-12, atol=1e-12, err_msg=name
            )


def test_the_order_of_components_does_not_matter():
    """Components have equal weights, so their order changes no mean."""
    case = Case(15, 30, 2, 6, "freeze-thaw")
    turned = {name: x if name in ROUTING else x[..., ::-1] for name, x in case.parameters.items()}
    one, _ = simulate(*case.args, outputs=OUTPUTS)
    other, _ = simulate(*case.forcing, turned, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-12, atol=1e-12, err_msg=name)


# ---------------------------------------------------------------------------------------------------
# Single precision


@examples(40)
@given(cases(max_days=1, optional=False))
def test_a_day_in_float32_is_the_day_in_float64_within_rounding(case: Case):
    """One day from the same state.

    Rounding is 6e-8 of the largest number on the way: a store plus the day's water, below 1,500 mm here, so
    below 1e-4 mm for each of the few sums. Powers carry it further: their relative error is the exponent
    (6 at most) times that of their base, some 1e-6 of a flux. Hence 2e-4 mm + 1e-5 of the value.
    """
    single = case.astype("float32")
    state = {name: x.astype("float32") for name, x in case.state().items()}
    found, _ = simulate(*single, state, outputs=OUTPUTS)
    double = [x.astype("float64") for x in single[:3]]
    parameters = {name: x.astype("float64") for name, x in single[3].items()}
    start = {name: x.astype("float64") for name, x in state.items()}
    expected, _ = simulate(*double, parameters, start, outputs=OUTPUTS)
    for name in OUTPUTS:
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("kind", WEATHER)
def test_a_year_in_float32_stays_beside_float64(kind: str):
    """365 days: no flux is off by more than 0.001 mm/day, no store by more than 0.005 mm.

    The rounding of a day (see above) grows with its square root in time, and snow and soil
    forget it when they run empty or full. Parameters are inside their bounds: at their ends single days can
    amplify a difference (see CLOSE), and no bound on a long run could be promised.
    """
    case = Case(16, 365, 3, 8, kind)
    single = case.astype("float32")
    double = [x.astype("float64") for x in single[:3]]
    found, _ = simulate(*single, outputs=OUTPUTS)
    expected, _ = simulate(*double, {k: x.astype("float64") for k, x in single[3].items()}, outputs=OUTPUTS)
    for name in OUTPUTS:
        most = 5e-3 if name in (*STORES, "channel_storage") else 1e-3
        assert np.isfinite(found[name]).all(), name
        assert np.abs(found[name] - expected[name]).max() <= most, name

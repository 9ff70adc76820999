"""Wrong arguments are refused; messages name the argument, what was found and what was expected."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.errors import DimensionError, HydroxrError, MissingVariableError, ParameterError, StateError
from hydroxr.physics import simulate
from hydroxr.physics.parameters import ALL_PARAMETERS
from tests.support.oracle import STORES
from tests.support.strategies import HBV_PARAMETERS, ROUTING, TABLE, Case

DAYS, CELLS, COMPONENTS = 6, 3, 4
REQUIRED = tuple(name for name in HBV_PARAMETERS if name != "BETAET")


@pytest.fixture
def case() -> Case:
    """A run that works."""
    return Case(81, DAYS, CELLS, COMPONENTS, "temperate")


def numbers(message: str) -> set[float]:
    """All numbers in a text."""
    return {float(x) for x in re.findall(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", message)}


def refused(error: type[HydroxrError], *words: str, args: tuple[Any, ...], **options: Any) -> str:
    """Assert that a run is refused with this error, whose message has these words; return the message."""
    with pytest.raises(error) as caught:
        simulate(*args, **options)
    message = str(caught.value)
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"
    return message


def with_parameter(case: Case, name: str, value: Any) -> tuple[Any, ...]:
    """The arguments with one parameter replaced."""
    return (*case.forcing, {**case.parameters, name: value})


def test_the_run_of_these_tests_works(case: Case):
    """What is refused below is refused for what is wrong with it alone."""
    simulate(*case.args, case.state(), outputs=OUTPUTS)


# ---------------------------------------------------------------------------------------------------
# Parameters


def test_an_unknown_parameter_is_refused(case: Case):
    """A misspelt name is named, with the names that exist."""
    refused(
        ParameterError, "BETTA", "BETA", "FC", args=with_parameter(case, "BETTA", case.parameters["BETA"])
    )


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_parameter_is_refused(case: Case, name: str):
    """The message names what is missing."""
    parameters = {key: x for key, x in case.parameters.items() if key != name}
    message = refused(ParameterError, args=(*case.forcing, parameters))
    assert re.search(rf"\b{name}\b", message), message


@pytest.mark.parametrize("name", ROUTING)
def test_half_a_unit_hydrograph_is_refused(case: Case, name: str):
    """UH_SHAPE without UH_SCALE, or the other way round, is no routing and not no routing either."""
    parameters = {key: x for key, x in case.parameters.items() if key != name}
    refused(ParameterError, name, args=(*case.forcing, parameters))


WRONG_SHAPES = {
    "too many cells": (CELLS + 1, COMPONENTS),
    "too few cells": (CELLS - 1, COMPONENTS),
    "too few days": (DAYS - 1, CELLS, COMPONENTS),
    "too many days": (DAYS + 1, CELLS, COMPONENTS),
    "days and cells swapped": (CELLS, DAYS, COMPONENTS),
    "other components": (CELLS, COMPONENTS + 1),
    "other components, dynamic": (DAYS, CELLS, COMPONENTS - 1),
    "four axes": (1, DAYS, CELLS, COMPONENTS),
    "other cells, no components": (CELLS + 4,),
}


@pytest.mark.parametrize("what", WRONG_SHAPES)
def test_a_parameter_of_a_wrong_shape_is_refused(case: Case, what: str):
    """The message has the parameter and the shape that was found."""
    shape = WRONG_SHAPES[what]
    message = refused(ParameterError, args=with_parameter(case, "UZL", np.full(shape, 10.0)))
    if "components" in what and "no" not in what:  # which of those that disagree is at fault, nobody can say
        assert {COMPONENTS, shape[-1]} <= numbers(message), message
    else:
        assert "UZL" in message
        assert set(shape) <= numbers(message), message


def test_a_matrix_that_may_be_of_days_or_of_components_is_refused():
    """As many days as cells, one square matrix, the others without components: nobody can tell which it is.

    A last axis of length 1 says that it has days.
    """
    case = Case(82, 5, 5, 1, "temperate", dynamic=("BETA",))
    bare = {name: x if name in ROUTING else x[..., 0] for name, x in case.parameters.items()}
    refused(ParameterError, "BETA", "(5, 5)", "axis", args=(*case.forcing, bare))
    simulate(*case.forcing, {**bare, "BETA": case.parameters["BETA"]})


@pytest.mark.parametrize("name", ROUTING)
@pytest.mark.parametrize(
    "shape", [(CELLS, COMPONENTS + 1), (DAYS, CELLS), (CELLS + 1,), (DAYS, CELLS, COMPONENTS)]
)
def test_a_unit_hydrograph_has_one_value_a_cell(case: Case, name: str, shape: tuple[int, ...]):
    """Or one for each of the components, and never days."""
    message = refused(ParameterError, name, args=with_parameter(case, name, np.full(shape, 1.0)))
    assert {*shape, CELLS} <= numbers(message), message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", TABLE)
def test_a_parameter_that_is_not_finite_is_refused(case: Case, name: str, bad: float):
    """One NaN among good values is enough, and never becomes a NaN in the flow."""
    value = case.parameters[name].copy()
    value.flat[-1] = bad
    refused(ParameterError, name, args=with_parameter(case, name, value))


OUTSIDE = [
    (name, bound, bound + step)
    for name, row in ALL_PARAMETERS.items()
    if name in TABLE
    for bound, step in ((row.least, -0.25), (row.greatest, 0.25))
    if np.isfinite(bound)
]


@pytest.mark.parametrize(("name", "bound", "bad"), OUTSIDE)
def test_a_parameter_outside_its_domain_is_refused(case: Case, name: str, bound: float, bad: float):
    """The message has the value that was found and the bound that it broke."""
    value = case.parameters[name].copy()
    value.flat[1] = bad
    message = refused(ParameterError, name, args=with_parameter(case, name, value))
    found = numbers(message)
    assert any(x == pytest.approx(bad, rel=1e-3) for x in found), message
    assert any(x == pytest.approx(bound, rel=1e-3, abs=1e-12) for x in found), message


def test_one_bad_day_of_a_dynamic_parameter_is_refused(case: Case):
    """A dynamic parameter is checked on every day."""
    value = np.full((DAYS, CELLS, COMPONENTS), 0.3)
    value[4, 2, 1] = 1.5
    refused(ParameterError, "K1", "1.5", args=with_parameter(case, "K1", value))


@pytest.mark.parametrize("name", [name for name in TABLE if ALL_PARAMETERS[name].least == 0.0])
def test_the_ends_of_a_domain_belong_to_it(case: Case, name: str):
    """Zero, and one where one is the greatest, are values like others, also outside the learned range."""
    for value in (0.0, ALL_PARAMETERS[name].greatest):
        if np.isfinite(value):
            args = with_parameter(case, name, np.full((CELLS, COMPONENTS), value))
            outputs, _ = simulate(*args, outputs=OUTPUTS)
            assert all(np.isfinite(x).all() for x in outputs.values()), value


def test_values_outside_the_learned_range_but_inside_the_domain_are_accepted(case: Case):
    """lower and upper bound what is learned, not what a user may set: a threshold of -5 degC, 5 m of soil."""
    parameters = {**case.parameters, "TT": np.full((CELLS, COMPONENTS), -5.0)}
    parameters["FC"] = np.full((CELLS, COMPONENTS), 5000.0)
    outputs, _ = simulate(*case.forcing, parameters)
    assert np.isfinite(outputs["runoff"]).all()


def test_tensors_are_checked_as_arrays_are(case: Case):
    """Also when they carry gradients."""
    forcing = tuple(torch.tensor(x) for x in case.forcing)
    parameters = {name: torch.tensor(x) for name, x in case.parameters.items()}
    bad = {**parameters, "K2": torch.full((CELLS, COMPONENTS), 1.5, dtype=torch.float64, requires_grad=True)}
    refused(ParameterError, "K2", "1.5", args=(*forcing, bad))
    bad = {**parameters, "FC": torch.full((CELLS, COMPONENTS), torch.nan, dtype=torch.float64)}
    refused(ParameterError, "FC", args=(*forcing, bad))
    refused(DimensionError, args=(forcing[0][:-1], *forcing[1:], parameters))


# ---------------------------------------------------------------------------------------------------
# Forcings


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("cut", ["time", "space"])
def test_forcings_of_different_shapes_are_refused(case: Case, which: int, cut: str):
    """One forcing with a day or a cell less; the message has both shapes."""
    forcing = list(case.forcing)
    forcing[which] = forcing[which][:-1] if cut == "time" else forcing[which][:, :-1]
    message = refused(DimensionError, args=(*forcing, case.parameters))
    assert {*forcing[which].shape, DAYS, CELLS} <= numbers(message), message
    assert any(word in message for word in ("precipitation", "temperature", "pet")), message


def test_forcings_without_a_cell_axis_are_refused(case: Case):
    """(time,) alone is not (time, space)."""
    refused(DimensionError, args=(*(x[:, 0] for x in case.forcing), case.parameters))


def test_forcings_with_a_component_axis_are_refused(case: Case):
    """All components of a cell have the same weather."""
    refused(
        DimensionError, args=(*(np.repeat(x[..., None], 4, axis=-1) for x in case.forcing), case.parameters)
    )


# ---------------------------------------------------------------------------------------------------
# States


@pytest.mark.parametrize("name", [*STORES, "channel_outflow"])
def test_a_state_without_one_of_its_stores_is_refused(case: Case, name: str):
    """Water that is not there is not taken for zero in silence."""
    state = {key: x for key, x in case.state().items() if key != name}
    refused(StateError, name, args=(*case.args, state))


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize(
    "shape", [(CELLS + 1, COMPONENTS), (CELLS, COMPONENTS - 1), (COMPONENTS, CELLS), (CELLS, COMPONENTS, 1)]
)
def test_a_store_of_a_wrong_shape_is_refused(case: Case, name: str, shape: tuple[int, ...]):
    """The message has the store, the shape found and the shape expected."""
    state = {**case.state(), name: np.ones(shape)}
    message = refused(StateError, name, args=(*case.args, state))
    assert {*shape, CELLS, COMPONENTS} <= numbers(message), message


@pytest.mark.parametrize("shape", [(CELLS, 13), (CELLS, 15), (CELLS + 1, 14), (14, CELLS), (CELLS,)])
def test_channel_water_of_a_wrong_shape_is_refused(case: Case, shape: tuple[int, ...]):
    """channel_outflow is (space, 14)."""
    state = {**case.state(), "channel_outflow": np.ones(shape)}
    message = refused(StateError, "channel_outflow", args=(*case.args, state))
    assert {*shape, CELLS, 14} <= numbers(message), message


@pytest.mark.parametrize("bad", [-1e-3, np.nan, np.inf])
@pytest.mark.parametrize("name", [*STORES, "channel_outflow"])
def test_a_store_that_cannot_be_is_refused(case: Case, name: str, bad: float):
    """Less than no water, or not a number."""
    state = case.state()
    state[name].flat[-1] = bad
    refused(StateError, name, args=(*case.args, state))


def test_channel_water_that_nothing_routes_is_refused(case: Case):
    """A run without a unit hydrograph would lose it, against the promise of the balance."""
    parameters = {name: x for name, x in case.parameters.items() if name not in ROUTING}
    refused(StateError, "channel_outflow", "UH_SHAPE", args=(*case.forcing, parameters, case.state()))


# ---------------------------------------------------------------------------------------------------
# Outputs


@pytest.mark.parametrize("bad", ["discharge", "prcp", "initial_storage", "Q0"])
def test_an_unknown_output_is_refused(case: Case, bad: str):
    """The message has the name that was asked for and those that exist; names of inputs are no outputs."""
    refused(MissingVariableError, bad, "streamflow", "baseflow", args=case.args, outputs=("runoff", bad))


def test_wrong_input_is_refused_before_the_run(case: Case):
    """Errors are the program's own, so that one except clause finds them all."""
    for error in (ParameterError, DimensionError, StateError, MissingVariableError):
        assert issubclass(error, HydroxrError)

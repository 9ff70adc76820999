"""Gradients: equal to finite differences between kinks, finite everywhere.

The equations have kinks: rain or snow, minima, maxima, the floor of the soil. Between kinks, gradients must
agree with finite differences of 1e-6. The runs below use random values from fixed seeds, so no quantity is
within a few 1e-6 of a kink by chance (probability 1e-5 each). They also avoid kinks by construction: no
rounded temperatures, no day without rain or PET (a step would leave the domain), no parameter at a bound, no
store at its floor. A quantity that is exactly 0 on both sides of a step, like melt on a cold day, is no kink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.physics import loop_torch, simulate
from hydroxr.physics.adjoint import make_adjoint
from hydroxr.physics.equations import DAY_PARAMETERS
from tests.support.oracle import STORES
from tests.support.oracle import simulate as oracle
from tests.support.strategies import HBV_PARAMETERS, ROUTING, TABLE, Case, cases, examples, values

Tensors = dict[str, torch.Tensor]

Arrays = dict[str, np.ndarray]

FORCING = ("precipitation", "temperature", "pet")
KINDS = ("freeze-thaw", "cold", "wet", "dry")


def smooth(kind: str) -> tuple[Arrays, Arrays, Arrays]:
    """Forcing, parameters and initial state of a run without kinks.

    Together the four kinds cover both sides of every minimum, maximum and threshold (tested below).
    """
    case = Case(61 + KINDS.index(kind), 6, 2, 2, "temperate" if kind == "freeze-thaw" else kind)
    rng = np.random.default_rng([case.seed, 3])
    size = case.pet.shape
    forcing = {
        "precipitation": case.precipitation + rng.uniform(0.01, 0.1, size),
        "temperature": rng.normal(0.0, 4.0, size) if kind == "freeze-thaw" else case.temperature,
        "pet": case.pet + rng.uniform(0.01, 0.1, size),
    }
    state = case.state()
    if kind == "dry":  # the first component's soil runs down to its floor
        state["soil_moisture"] = np.array([[0.05, 3.0], [0.2, 12.0]])
        forcing["precipitation"] *= 0.1
        for name, value in {"FC": 60.0, "LP": 0.25, "BETAET": 0.4}.items():
            case.parameters[name][:, 0] = value
    return forcing, case.parameters, state


def groups(case: Case) -> tuple[Arrays, Arrays, Arrays]:
    """Forcing, parameters and an initial state of a case."""
    forcing = dict(zip(FORCING, case.forcing, strict=True))
    return forcing, case.parameters, case.state()


def tensors(*arrays: Arrays, dtype: torch.dtype = torch.float64) -> tuple[Tensors, ...]:
    """Arrays as tensors."""
    return tuple({name: torch.tensor(x, dtype=dtype) for name, x in group.items()} for group in arrays)


def check(
    function: Callable[[Tensors], dict[str, torch.Tensor]], leaves: Tensors, fast_mode: bool = True
) -> None:
    """Compare gradients with finite differences: one random projection of each output.

    Along a random direction of each leaf; with fast_mode=False along each of its elements.
    """
    generator = torch.Generator().manual_seed(0)
    names = tuple(leaves)
    weights: Tensors = {}

    def projections(*values: torch.Tensor) -> torch.Tensor:
        results = function(dict(zip(names, values, strict=True)))
        for name, value in results.items():
            if name not in weights:
                weights[name] = torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.5
        return torch.stack([(results[name] * weights[name]).sum() for name in sorted(results)])

    inputs = tuple(value.clone().requires_grad_() for value in leaves.values())
    assert torch.autograd.gradcheck(projections, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=fast_mode)


def run(forcing: Tensors, parameters: Tensors, state: Tensors | None, components: bool = False) -> Tensors:
    """All outputs and the final state in one dict."""
    outputs, final = simulate(
        *(forcing[name] for name in FORCING),
        parameters,
        state,
        outputs=OUTPUTS,
        components=components,
    )
    return {**outputs, **{f"final {name}": value for name, value in final.items()}}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_static_parameters_are_exact(kind: str):
    """For every parameter, including the unit hydrograph, and all outputs and the final state."""
    forcing, parameters, state = tensors(*smooth(kind))
    check(lambda leaves: run(forcing, leaves, state), parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_dynamic_parameters_are_exact(kind: str):
    """Each day's value of every parameter has its own derivative."""
    forcing, parameters, state = tensors(*smooth(kind))
    days = forcing["pet"].shape[0]
    rng = np.random.default_rng(71)
    dynamic = {
        name: x if name in ROUTING else x * torch.tensor(rng.uniform(0.97, 1.03, (days, *x.shape)))
        for name, x in parameters.items()
    }
    routing = {name: dynamic.pop(name) for name in ROUTING}
    check(lambda leaves: run(forcing, {**leaves, **routing}, state), dynamic)


def test_gradients_of_static_and_dynamic_parameters_together_are_exact():
    """BETA and BETAET dynamic, the others static, as in the paper's best model."""
    forcing, parameters, state = tensors(*smooth("freeze-thaw"))
    days = forcing["pet"].shape[0]
    rng = np.random.default_rng(72)
    for name in ("BETA", "BETAET"):
        factors = torch.tensor(rng.uniform(0.9, 1.1, (days, *parameters[name].shape)))
        parameters[name] = parameters[name] * factors
    check(lambda leaves: run(forcing, leaves, state), parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_forcings_are_exact(kind: str):
    """Precipitation, temperature (through melt and refreezing) and PET."""
    forcing, parameters, state = tensors(*smooth(kind))
    check(lambda leaves: run(leaves, parameters, state), forcing)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_initial_state_are_exact(kind: str):
    """The five stores and the water in the channel."""
    forcing, parameters, state = tensors(*smooth(kind))
    check(lambda leaves: run(forcing, parameters, leaves), state)


def test_gradients_of_everything_at_once_are_exact_for_each_component():
    """With components=True; forcings, parameters and state together, so that no path hides another."""
    forcing, parameters, state = tensors(*smooth("freeze-thaw"))
    leaves = {**forcing, **parameters, **state}

    def function(values: Tensors) -> Tensors:
        parts = ({name: values[name] for name in group} for group in (forcing, parameters, state))
        return run(*parts, components=True)

    check(function, leaves)


def test_gradients_of_every_single_value_are_exact():
    """Each element of each forcing, parameter and store by itself, in one cell."""
    arrays = [
        {name: x[:, :1] if name in FORCING else x[:1] for name, x in group.items()}
        for group in smooth("freeze-thaw")
    ]
    forcing, parameters, state = tensors(*arrays)
    check(lambda leaves: run(leaves, parameters, state), forcing, fast_mode=False)
    check(lambda leaves: run(forcing, leaves, state), parameters, fast_mode=False)
    check(lambda leaves: run(forcing, parameters, leaves), state, fast_mode=False)


def test_gradients_without_betaet_and_routing_are_exact():
    """With linear ET and no unit hydrograph, from the default start."""
    forcing, parameters, _ = tensors(*smooth("freeze-thaw"))
    for name in ("BETAET", *ROUTING):
        del parameters[name]

    def function(values: Tensors) -> Tensors:
        results = run(forcing, values, None)
        return {name: x for name, x in results.items() if x.requires_grad}

    check(function, parameters)


def test_gradients_of_the_unit_hydrograph_are_exact_in_a_long_run():
    """40 days: waves that began before, leave wholly, and are cut off by the end."""
    forcing, parameters, state = tensors(*groups(Case(65, 40, 3, 2, "wet")))
    routing = {name: parameters.pop(name) for name in ROUTING}
    check(lambda leaves: run(forcing, {**parameters, **leaves}, state), routing)


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_output_alone_has_the_gradients_it_has_among_others(name: str):
    """What is not asked for may not be missing from the derivatives of what is."""
    forcing, parameters, state = tensors(*smooth("freeze-thaw"))
    everything = {**forcing, **parameters, **state}

    def gradients(outputs: tuple[str, ...]) -> Arrays:
        leaves = {key: value.clone().requires_grad_() for key, value in everything.items()}
        parts = [{key: leaves[key] for key in group} for group in (forcing, parameters, state)]
        results, _ = simulate(*parts[0].values(), parts[1], parts[2], outputs=outputs)
        (results[name] ** 2).sum().backward()
        return {key: np.zeros(x.shape) if x.grad is None else x.grad.numpy() for key, x in leaves.items()}

    alone, among = gradients((name,)), gradients(OUTPUTS)
    for key in everything:
        np.testing.assert_allclose(alone[key], among[key], rtol=1e-10, atol=1e-12, err_msg=f"d{name}/d{key}")


def test_gradients_pass_through_a_state_that_is_handed_over():
    """A run in two pieces has the gradients of the run in one, the channel's included."""
    arrays = groups(Case(66, 20, 2, 3, "temperate"))

    def gradients(cut: int | None) -> Tensors:
        forcing, parameters, state = tensors(*arrays)
        leaves = {name: x.clone().requires_grad_() for name, x in {**parameters, **state}.items()}
        par = {name: leaves[name] for name in parameters}
        now: Any = {name: leaves[name] for name in state}
        flow = []
        for piece in (slice(0, cut), slice(cut, None)) if cut else (slice(None),):
            outputs, now = simulate(*(x[piece] for x in forcing.values()), par, now, outputs=("streamflow",))
            flow.append(outputs["streamflow"])
        (torch.cat(flow) ** 2).sum().backward()
        return {name: x.grad for name, x in leaves.items()}

    whole, pieces = gradients(None), gradients(8)
    for name, value in whole.items():
        torch.testing.assert_close(pieces[name], value, rtol=1e-10, atol=1e-12, msg=name)


def test_only_what_asks_for_gradients_gets_them():
    """One parameter that requires them is enough; results of plain tensors require none."""
    forcing, parameters, _ = tensors(*smooth("wet"))
    outputs, state = simulate(*forcing.values(), parameters, outputs=("streamflow",))
    assert not outputs["streamflow"].requires_grad
    assert not any(x.requires_grad for x in state.values())
    parameters["FC"].requires_grad_()
    outputs, _ = simulate(*forcing.values(), parameters, outputs=("streamflow",))
    outputs["streamflow"].sum().backward()
    assert parameters["FC"].grad is not None
    assert parameters["FC"].grad.abs().sum() > 0
    assert parameters["K0"].grad is None


def test_the_smooth_runs_take_both_sides_of_every_branch():
    """So that the gradient tests see rain and snow, melt and refreezing, excess, quick flow, and limits."""
    seen: dict[str, list[np.ndarray]] = {}
    for kind in KINDS:
        forcing, parameters, state = smooth(kind)
        out, _ = oracle(*forcing.values(), parameters, state, components=True)
        _, t, pet = (x[..., None] for x in forcing.values())
        par = {name: x[None] for name, x in parameters.items() if name not in ROUTING}
        branches = {
            "it rains": t >= par["TT"],
            "it melts": out["snowmelt"] > 0,
            "all snow melts": (out["snowmelt"] > 0) & (out["snowpack"] == 0),
            "water refreezes": out["refreezing"] > 0,
            "all water refreezes": (out["refreezing"] > 0) & (out["snow_liquid_water"] == 0),
            "water leaves the snow": out["snow_infiltration"] > 0,
            "soil is full": out["excess"] > 0,
            "ET is potential": np.isclose(out["evapotranspiration"], pet) & (pet > 0),
            "the soil is at its floor": out["soil_moisture"] == 1e-5,
            "percolation is PERC": out["percolation"] == par["PERC"],
            "quick flow runs": out["quick_flow"] > 0,
        }
        for name, value in branches.items():
            seen.setdefault(name, []).append(np.broadcast_to(value, out["runoff"].shape).ravel())
    for name, value in seen.items():
        both = np.concatenate(value)
        assert both.any(), name
        assert not both.all(), name


# ---------------------------------------------------------------------------------------------------
# Finite everywhere


def all_finite(case: Case, state: dict[str, np.ndarray] | None, dtype: torch.dtype = torch.float32) -> None:
    """Assert that all outputs and all gradients of all of them are finite numbers."""
    forcing, parameters, start = tensors(*groups(case)[:2], state or {}, dtype=dtype)
    leaves = {**forcing, **parameters, **start}
    for leaf in leaves.values():
        leaf.requires_grad_()
    outputs, final = simulate(*forcing.values(), parameters, start or None, outputs=OUTPUTS)
    total = torch.zeros((), dtype=dtype)
    for name, value in {**outputs, **final}.items():
        assert torch.isfinite(value).all(), name
        total = total + value.sum()
    total.backward()
    for name, leaf in leaves.items():
        assert leaf.grad is None or torch.isfinite(leaf.grad).all(), f"gradient of {name} in {case}"


@examples(50)
@given(cases(max_components=8, max_cells=3))
def test_gradients_are_finite_in_float32(case: Case):
    """Any weather, parameters at their bounds: never NaN, never infinite."""
    all_finite(case, None)
    if "UH_SHAPE" not in case.without:
        all_finite(case, case.state())


@pytest.mark.parametrize("shape_of_et", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("soil", [1e-5, 1e-3, 0.0])
def test_gradients_are_finite_in_dry_soil(soil: float, shape_of_et: float):
    """Soil at its floor, at the default start and quite empty; below 1, ET's shape is steep there."""
    for place in ("lower", "upper"):
        case = Case(67, 60, 2, 3, "dry", places=dict.fromkeys(TABLE, place))
        case.parameters["BETAET"] = np.full((2, 3), shape_of_et)
        state = case.state()
        state["soil_moisture"] = np.full((2, 3), soil)
        for dtype in (torch.float32, torch.float64):
            all_finite(case, state, dtype)


def test_gradients_are_finite_when_all_stores_are_empty():
    """Zero everywhere, in weather that would melt, freeze, evaporate and drain."""
    for kind in ("dry", "freeze-thaw", "all-snow", "zero-pet"):
        case = Case(68, 10, 2, 3, kind)
        case.precipitation[:] = 0.0
        state = {name: np.zeros((2, 3)) for name in STORES}
        state["channel_outflow"] = np.zeros((2, 14))
        all_finite(case, state)


@pytest.mark.parametrize("shape", [0.1, 3.0])
@pytest.mark.parametrize("scale", [0.5, 7.0])
def test_gradients_of_extreme_unit_hydrographs_are_finite_in_float32(shape: float, scale: float):
    """At the corners of the ranges."""
    case = Case(69, 30, 2, 2, "wet")
    case.parameters |= {"UH_SHAPE": np.full(2, shape), "UH_SCALE": np.full(2, scale)}
    all_finite(case, case.state())


def test_gradients_are_finite_over_a_year_in_float32():
    """365 days, 16 components: gradients neither vanish to nothing nor overflow."""
    case = Case(70, 365, 2, 16, "temperate", dynamic=("BETA", "BETAET"))
    all_finite(case, None)
    forcing, leaf, _ = tensors(*groups(case), dtype=torch.float32)
    for value in leaf.values():
        value.requires_grad_()
    outputs, _ = simulate(*forcing.values(), leaf, outputs=("streamflow",))
    outputs["streamflow"].mean().backward()
    for name in (*HBV_PARAMETERS, *ROUTING):
        gradient = leaf[name].grad
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name


@pytest.mark.parametrize("at_bounds", [False, True])
def test_the_adjoint_of_a_day_is_autograds(at_bounds: bool):
    """Thousands of days with ties: empty stores, dry days, temperatures at TT, parameters at bounds."""
    rng = np.random.default_rng(5)
    size = 3000

    def some(array: np.ndarray) -> np.ndarray:
        return np.where(rng.random(size) < 0.6, array, 0.0)

    temperature = rng.normal(0.0, 4.0, size)
    soil = np.maximum(some(rng.gamma(1.0, 200.0, size)), 1e-5)
    inputs = [
        some(rng.gamma(1.0, 9.0, size)),
        np.round(2.0 * temperature) / 2.0 if at_bounds else temperature,
        np.maximum(rng.normal(2.0, 2.0, size), 0.0),
        some(rng.gamma(1.0, 20.0, size)),
        some(rng.gamma(1.0, 3.0, size)),
        soil,
        some(rng.gamma(1.0, 20.0, size)),
        rng.gamma(1.0, 20.0, size),
        *(values(name, "mixed" if at_bounds else "inside", (size,), rng) for name in DAY_PARAMETERS),
    ]
    leaves = [torch.tensor(value, requires_grad=True) for value in inputs]
    stores, fluxes = loop_torch.day(*leaves)
    cotangents = [torch.tensor(rng.normal(size=size)) for _ in (*stores, *fluxes)]
    expected = torch.autograd.grad([*stores, *fluxes], leaves, cotangents)
    functions = (loop_torch._minimum, loop_torch._maximum, torch.pow, torch.where)
    adjoint = make_adjoint(*functions, torch.log)
    d_stores, d_parameters, d_forcing = adjoint(*(leaf.detach() for leaf in leaves), *cotangents)
    found = (*d_forcing, *d_stores, *d_parameters)
    for name, value, other in zip((*FORCING, *STORES, *DAY_PARAMETERS), expected, found, strict=True):
        difference = (other - value).abs() / (1.0 + value.abs())
        assert difference.max() < 1e-9, name

"""What the paper's model lacks: weights and hydrographs of components, corrections, capillary rise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.errors import ParameterError
from hydroxr.physics import loop_torch, simulate
from hydroxr.physics.arguments import total_storage
from hydroxr.physics.cpu import loop as loop_cpu
from tests.support import loops
from tests.support.loops import agree, leaves_of, network
from tests.support.oracle import simulate as oracle
from tests.support.strategies import Case

Tensors = dict[str, torch.Tensor]


def weights_of(cells: int, components: int) -> np.ndarray:
    """Random weights that sum to 1."""
    drawn = np.random.default_rng(5).random((cells, components)) + 0.05
    return np.asarray(drawn / drawn.sum(-1, keepdims=True))


def weighted(case: Case) -> Tensors:
    """Leaves of a case with weights of components and capillary rise."""
    shares = torch.tensor(weights_of(case.cells, case.components))
    rising = torch.tensor(np.random.default_rng(6).random(tuple(shares.shape)))
    return leaves_of(case) | {"WEIGHT": shares, "C": rising}


SIZES = [(40, 9, 3), (70, 3, 16), (33, 1, 5), (5, 130, 2), (3, 1, 16)]


@pytest.mark.parametrize(("days", "cells", "components"), SIZES)
@pytest.mark.parametrize("whole", [False, ("runoff",)])
def test_weighted_means_in_the_compiled_loop(days: int, cells: int, components: int, whole: Any) -> None:
    """Results and all gradients, those of the weights among them, are those of the reference."""
    case = Case(11, days, cells, components, "freeze-thaw", dynamic=("BETA",))
    agree(loop_cpu, case, weighted(case), components=whole)


def test_weighted_runoff_alone() -> None:
    """As in training; also with NN_r, and with parameters that hold for some days."""
    case = Case(12, 50, 9, 4, "freeze-thaw", dynamic=("K1",))
    rows = torch.arange(50) // 5
    for nnr in (None, network(3, 4)):
        agree(loop_cpu, case, weighted(case), wanted=("runoff",), network=nnr)
        agree(loop_cpu, case, loops.hold(weighted(case), rows), wanted=("runoff",), rows=rows, network=nnr)


def full(case: Case) -> dict[str, np.ndarray]:
    """All parameters of a case and its options, hydrographs per component."""
    rng = np.random.default_rng(7)
    size = (case.cells, case.components)
    own = {"UH_SHAPE": rng.uniform(0.5, 3.0, size), "UH_SCALE": rng.uniform(0.5, 3.0, size)}
    own |= {name: rng.uniform(0.8, 1.25, case.cells) for name in ("PCORR", "ECORR")}
    return case.parameters | own | {"WEIGHT": weights_of(*size), "C": rng.random(size)}


def total_change(case: Case, parameters: dict[str, np.ndarray], dtype: str, backend: str) -> np.ndarray:
    """Corrected precipitation less evapotranspiration, streamflow and change of storage, (time, space)."""
    state = case.state()
    given = [np.asarray(value, dtype) for value in case.forcing]
    made = {name: np.asarray(value, dtype) for name, value in parameters.items()}
    before = {name: np.asarray(value, dtype) for name, value in state.items()}
    results, _ = simulate(*given, made, before, OUTPUTS, backend=backend)
    results = {name: value.astype(float) for name, value in results.items()}
    states = ("snowpack", "snow_liquid_water", "soil_moisture", "upper_zone_storage", "lower_zone_storage")
    stored = sum(results[name] for name in (*states, "channel_storage"))
    start = total_storage({name: value.astype(float) for name, value in before.items()}, made["WEIGHT"])
    change = np.diff(stored, axis=0, prepend=start[None])
    rain = given[0].astype(float) * made["PCORR"]
    np.testing.assert_allclose(results["rainfall"] + results["snowfall"], rain, rtol=1e-5, atol=1e-5)
    return np.asarray(rain - results["evapotranspiration"] - results["streamflow"] - change)


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-11), ("float32", 2e-3)])
@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_the_balance_closes_with_corrected_precipitation(dtype: str, most: float, backend: str) -> None:
    """On each day, with all options at once."""
    case = Case(13, 60, 3, 4, "freeze-thaw")
    assert abs(total_change(case, full(case), dtype, backend)).max() < most


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_capillary_rise_is_that_of_the_publication(backend: str) -> None:
    """All results and the last state are those of an implementation of its own."""
    case = Case(18, 60, 3, 4)
    parameters = case.parameters | {"C": np.random.default_rng(8).random((3, 4))}
    found, last = simulate(*case.forcing, parameters, case.state(), OUTPUTS, backend=backend)
    expected, end = oracle(*case.forcing, parameters, case.state())
    for name, value in (expected | end).items():
        np.testing.assert_allclose((found | last)[name], value, rtol=1e-9, atol=1e-9, err_msg=name)
    assert (found["capillary_rise"] > 0.01).any()


def test_all_options_against_components_averaged_by_hand() -> None:
    """Each component runs alone, with its own hydrograph; the weights average what comes out."""
    case = Case(14, 40, 2, 3, "wet")
    parameters = full(case)
    found, last = simulate(*case.forcing, parameters, case.state(), OUTPUTS)
    forcing = [case.precipitation * parameters["PCORR"], case.temperature, case.pet * parameters["ECORR"]]
    parts = []
    for place in range(3):
        own = {name: value[:, place : place + 1] for name, value in parameters.items() if value.ndim == 2}
        own |= {name: own[name][:, 0] for name in ("UH_SHAPE", "UH_SCALE")}
        del own["WEIGHT"]
        state = {name: value[:, place : place + 1] for name, value in case.state().items()}
        state["channel_outflow"] = case.state()["channel_outflow"]
        parts.append(simulate(*forcing, own, state, OUTPUTS))
    for name, value in found.items():
        mean = sum(parameters["WEIGHT"][:, place] * parts[place][0][name] for place in range(3))
        np.testing.assert_allclose(value, mean, rtol=1e-9, atol=1e-9, err_msg=name)
    channel = sum(parameters["WEIGHT"][:, [place]] * parts[place][1]["channel_outflow"] for place in range(3))
    np.testing.assert_allclose(last["channel_outflow"], channel, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_gradients_of_all_options_are_exact(backend: str) -> None:
    """In float64, against finite differences; the weights are free to miss a sum of 1."""
    case = Case(15, 6, 2, 2, "wet")
    fixed = {name: torch.tensor(value) for name, value in full(case).items()}
    names = ("PCORR", "ECORR", "UH_SHAPE", "UH_SCALE", "WEIGHT", "C")
    state = {name: torch.tensor(value) for name, value in case.state().items()}
    forcing = [torch.tensor(value) for value in case.forcing]
    from hydroxr.physics.arguments import arrange_parameters
    from hydroxr.physics.simulation import simulate_tensors

    def run(*leaves: torch.Tensor) -> torch.Tensor:
        given = arrange_parameters(fixed | dict(zip(names, leaves, strict=True)), forcing[0].shape)
        wanted = ("streamflow", "evapotranspiration", "channel_storage", "soil_moisture")
        series, final = simulate_tensors(tuple(forcing), given, state, wanted, backend=backend)  # type: ignore[arg-type]
        return torch.stack([value.sum() for value in (*series.values(), *final.values())])

    assert torch.autograd.gradcheck(
        run, [fixed[name].clone().requires_grad_() for name in names], eps=1e-6, atol=1e-5, rtol=1e-4
    )


def test_a_run_in_two_parts_is_one_run() -> None:
    """The state carries the water in all hydrographs."""
    case = Case(16, 40, 2, 3, "wet")
    parameters = full(case)
    whole, end = simulate(*case.forcing, parameters, outputs=OUTPUTS)
    first, state = simulate(*(x[:23] for x in case.forcing), parameters, outputs=OUTPUTS)
    second, last = simulate(*(x[23:] for x in case.forcing), parameters, state, OUTPUTS)
    for name, value in whole.items():
        joined = np.concatenate([first[name], second[name]])
        np.testing.assert_allclose(joined, value, rtol=1e-10, atol=1e-12, err_msg=name)
    for name, value in end.items():
        np.testing.assert_allclose(last[name], value, rtol=1e-10, atol=1e-12, err_msg=name)


def test_weights_of_single_precision_lose_no_water() -> None:
    """In double precision the balance closes as if they summed to 1 exactly."""
    case = Case(19, 60, 3, 4, "freeze-thaw")
    parameters = full(case)
    rounded = parameters["WEIGHT"].astype("float32").astype(float)
    assert abs(rounded.sum(-1) - 1).max() > 1e-9
    found, _ = simulate(*case.forcing, parameters | {"WEIGHT": rounded}, case.state(), OUTPUTS)
    rain = case.precipitation * parameters["PCORR"]
    np.testing.assert_allclose(found["rainfall"] + found["snowfall"], rain, rtol=1e-12)


def test_equal_weights_are_the_mean() -> None:
    case = Case(17, 30, 3, 4)
    plain, _ = simulate(*case.args, outputs=OUTPUTS)
    equal, _ = simulate(*case.forcing, case.parameters | {"WEIGHT": np.full((3, 4), 0.25)}, outputs=OUTPUTS)
    for name, value in plain.items():
        np.testing.assert_allclose(equal[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WEIGHT", np.full((3, 4), 0.3), "misses a sum of 1 over components by 0.2"),
        ("WEIGHT", np.full(3, 1.0), "expected .space, component. with space = 3"),
        ("WEIGHT", np.full((3, 4), -0.25), "WEIGHT .* expected 0 to 1"),
        (
            "PCORR",
            np.full((3, 4), 1.0),
            "PCORR has shape .3, 4.; expected .space,. = .3,., one value",
        ),
        ("ECORR", np.full(3, -1.0), "ECORR .* expected 0 to inf"),
    ],
)
def test_what_is_refused(name: str, value: np.ndarray, words: str) -> None:
    case = Case(18, 5, 3, 4)
    with pytest.raises(ParameterError, match=words):
        simulate(*case.forcing, case.parameters | {name: value})


def test_loops_take_whole_series_and_means_together() -> None:
    """Without weights too."""
    case = Case(19, 20, 9, 3, "freeze-thaw")
    agree(loop_cpu, case, components=("runoff", "snowpack"))
    assert loops.run(loop_torch, leaves_of(case), ("runoff", "snowmelt"), ("runoff",))["runoff"].ndim == 3

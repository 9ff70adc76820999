"""The compiled loop against the reference loop: equal results and gradients, for any memory layout.

In float64 the loops differ by rounding only, even at kinks. The few tests of float32 compare with float64.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.errors import DescriptionError, DimensionError, HydroxrWarning
from hydroxr.physics import loop_torch, simulate, simulation
from hydroxr.physics.cpu import loop as loop_cpu
from hydroxr.physics.equations import DAY_PARAMETERS, STORES
from hydroxr.physics.routing import route
from tests.support import loops
from tests.support.loops import (
    FORCING,
    LEAVES,
    SERIES,
    Tensors,
    gradients,
    hold,
    leaves_of,
    near,
    network,
    run,
)
from tests.support.strategies import WEATHER, Case, cases, examples

pytest.importorskip("numba")

COUNTS = (1, 2, 3, 8, 16, 17, 32)
agree = partial(loops.agree, loop_cpu)


# ---------------------------------------------------------------------------------------------------
# Both loops


@pytest.mark.parametrize("components", COUNTS)
@pytest.mark.parametrize("cells", [1, 2, 9, 40])
def test_any_number_of_cells_and_components(cells: int, components: int):
    """Full and partly filled vectors, blocks of one and of several groups."""
    agree(Case(31, 40, cells, components, "freeze-thaw", dynamic=("BETA", "TT")))
    agree(Case(32, 5, cells, components, "temperate", dynamic=("BETAET",)), components=True)


@pytest.mark.parametrize("days", [1, 2, 31, 32, 33, 64, 65])
def test_any_number_of_days(days: int):
    """Lengths around multiples of the 32 days between checkpoints."""
    agree(Case(33, days, 3, 4, "freeze-thaw", dynamic=("K0", "PERC")))


@pytest.mark.parametrize("kind", WEATHER)
@pytest.mark.parametrize("components", [False, True])
def test_every_kind_of_weather(kind: str, components: bool):
    """Means over components and single components, static and dynamic parameters."""
    agree(Case(34, 50, 9, 3, kind, dynamic=("FC", "CWH")), components=components)


@examples(60)
@given(cases(max_days=70, max_cells=10), st.booleans())
def test_random_runs_agree(case: Case, components: bool):
    """Any weather, parameters at their bounds, any mix of static and dynamic ones."""
    agree(case, components=components)


@pytest.mark.parametrize("name", SERIES)
def test_one_series_alone(name: str):
    """Any single series can be requested; its gradients are right."""
    agree(Case(35, 40, 3, 5, "freeze-thaw", dynamic=("BETA",)), wanted=(name,))


def test_nothing_but_the_final_stores():
    """A warm-up requests no series."""
    agree(Case(36, 40, 3, 5, "freeze-thaw"), wanted=())


def test_a_series_requested_twice_is_returned_once():
    """The reference does the same."""
    series, _ = simulate(*Case(37, 5, 2, 3).args, outputs=("runoff", "runoff"), backend="cpu")
    assert tuple(series) == ("runoff",)


@examples(20)
@given(cases(max_days=20, max_cells=4))
def test_backends_of_simulate_agree(case: Case):
    """Including routing."""
    expected, expected_state = simulate(*case.args, outputs=OUTPUTS, backend="torch")
    found, state = simulate(*case.args, outputs=OUTPUTS, backend="cpu")
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for name, value in expected_state.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


# ---------------------------------------------------------------------------------------------------
# Gradients


@pytest.mark.parametrize("components", [3, 8])
def test_gradcheck(components: int):
    """Gradients agree with finite differences of the kernel, away from kinks."""
    case = Case(64, 6, 2, components, "wet")
    leaves = leaves_of(case)
    leaves["precipitation"] += 0.05
    leaves["pet"] += 0.05

    def function(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(run(loop_cpu, dict(zip(LEAVES, inputs, strict=True))).values())

    inputs = tuple(value.clone().requires_grad_() for value in leaves.values())
    assert torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("name", LEAVES)
def test_a_single_input_with_a_gradient(name: str):
    """The other inputs get no gradient."""
    for cells, dynamic in ((3, ()), (1, (name,) if name in DAY_PARAMETERS else ())):
        leaves = leaves_of(Case(38, 40, cells, 3, "freeze-thaw", dynamic=dynamic))
        found = {}
        for loop in (loop_torch, loop_cpu):
            leaf = leaves[name].clone().requires_grad_()
            run(loop, {**leaves, name: leaf}, wanted=("runoff",))["runoff"].sum().backward()
            found[loop] = leaf.grad
        assert found[loop_cpu] is not None
        torch.testing.assert_close(found[loop_cpu], found[loop_torch], rtol=1e-9, atol=1e-9)


def test_without_gradients_nothing_is_kept():
    """Without inputs that require gradients, under no_grad and inference_mode, results require none."""
    leaves = leaves_of(Case(39, 5, 2, 3))
    assert not any(value.requires_grad for value in run(loop_cpu, leaves).values())
    leaves["FC"].requires_grad_()
    with torch.no_grad():
        assert not any(value.requires_grad for value in run(loop_cpu, leaves).values())
    with torch.inference_mode():
        assert not any(value.requires_grad for value in run(loop_cpu, leaves).values())
    assert run(loop_cpu, leaves)["runoff"].requires_grad
    assert all(value.requires_grad for value in run(loop_cpu, leaves).values())


def test_expanded_and_strided_leaves_and_cotangents():
    """Strides of zero, transposed axes and slices with steps are read without copies."""
    case = Case(40, 20, 9, 16, "freeze-thaw", dynamic=("BETA", "FC", "LP"))
    leaves = leaves_of(case)
    leaves["BETA"] = leaves["BETA"].transpose(0, 1).contiguous().transpose(0, 1)
    leaves["FC"] = leaves["FC"].movedim(2, 0).contiguous().movedim(0, 2)
    leaves["LP"] = torch.stack([leaves["LP"]] * 2, dim=-1)[..., 1]
    leaves["K0"] = leaves["K0"][:, :1].expand(9, 16)
    leaves["K1"] = leaves["K1"][:1].expand(20, 9, 16)
    leaves["CFMAX"] = leaves["CFMAX"].T.contiguous().T
    leaves["temperature"] = leaves["temperature"][:, :1].expand(20, 9)
    leaves["pet"] = leaves["pet"].T.contiguous().T
    for components in (False, True):
        expected: Tensors = {}
        found: Tensors = {}
        for loop, results in ((loop_torch, expected), (loop_cpu, found)):
            inputs = {name: value.detach().requires_grad_() for name, value in leaves.items()}
            outcome = run(loop, inputs, components=components)
            sum(value.sum() for value in outcome.values()).backward()  # cotangents have strides of zero
            results |= outcome | {f"gradient of {name}": value.grad for name, value in inputs.items()}
        near(found, expected, 1e-9, 1e-9, case)


# ---------------------------------------------------------------------------------------------------
# Promises


@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize("kind", WEATHER)
def test_float32_is_float64_within_rounding(kind: str, hidden: int):
    """Results and gradients are within 1e-4 of the largest value of their array.

    There are two exceptions, in which soil stays on a kink: at its floor or at field capacity. There
    rounding decides the gradient of precipitation or PET, in the reference by the same amount.
    """
    case = Case(41, 300, 5, 16, kind, dynamic=("BETA", "BETAET"))
    case.temperature = case.temperature + 0.0123  # off TT's bounds, which float32 cannot tell from it
    leaves = {name: value.double() for name, value in leaves_of(case, torch.float32).items()}
    options: dict[str, Any] = {"wanted": ("runoff", "evapotranspiration")}
    options["network"] = network(6, hidden) if hidden else None
    expected, expected_gradients = gradients(loop_cpu, leaves, **options)
    single = {name: value.float() for name, value in leaves.items()}
    found, found_gradients = gradients(loop_cpu, single, **options)
    near(found, expected, 1e-4, 1e-3, kind)
    on_a_kink = {"dry": "precipitation", "zero-pet": "pet"}.get(kind)
    off_kinks = {name: value for name, value in found_gradients.items() if name != on_a_kink}
    near(off_kinks, {name: expected_gradients[name] for name in off_kinks}, 1e-4, 1e-3, kind)


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-11), ("float32", 2e-3)])
@pytest.mark.parametrize("kind", WEATHER)
def test_no_water_is_lost(kind: str, dtype: str, most: float):
    """Precipitation equals evapotranspiration plus runoff plus change of storage on each day."""
    case = Case(42, 400, 9, 5, kind)
    leaves = leaves_of(case, getattr(torch, dtype))
    results = {name: value.double() for name, value in run(loop_cpu, leaves).items()}
    stored = sum(results[name] for name in STORES)
    before = sum(leaves[name].double().mean(-1) for name in STORES)
    change = torch.diff(stored, dim=0, prepend=before[None])
    gap = leaves["precipitation"].double() - results["evapotranspiration"] - results["runoff"] - change
    assert gap.abs().max() < most


@pytest.mark.parametrize("name", [*FORCING, "soil_moisture", "BETA"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [0, 4])
def test_a_nan_shows(name: str, dtype: torch.dtype, hidden: int):
    """All values that depend on a NaN are NaN to the end of the run; other cells do not change."""
    leaves = leaves_of(Case(44, 30, 12, 3, "temperate", dynamic=("BETA",)), dtype)
    module = network(8, hidden) if hidden else None
    clean = run(loop_cpu, leaves, network=module)
    place = {"soil_moisture": (5, 0), "BETA": (3, 5, 0)}.get(name, (3, 5))
    leaves[name] = leaves[name].clone()
    leaves[name][place] = torch.nan
    found = run(loop_cpu, leaves, network=module)
    assert torch.isnan(found["soil_moisture"][5:, 5]).all()
    assert torch.isnan(found["runoff"][5:, 5]).all()
    others = [cell for cell in range(12) if cell != 5]
    for key in SERIES:
        assert torch.equal(found[key][:, others], clean[key][:, others]), key


@pytest.mark.parametrize("name", LEAVES)
def test_a_nan_shows_where_it_does_in_the_reference(name: str):
    """For a NaN in any input, every series has NaNs in the same places as the reference."""
    case = Case(56, 25, 9, 3, "freeze-thaw", dynamic=("BETA", "PERC", "CFR"))
    leaves = leaves_of(case)
    leaves[name] = leaves[name].clone()
    leaves[name][(4, 5) if leaves[name].ndim == 3 or name in FORCING else (5,)] = torch.nan
    expected = run(loop_torch, leaves)
    for key, value in run(loop_cpu, leaves).items():
        assert torch.equal(torch.isnan(value), torch.isnan(expected[key])), key


def test_second_derivatives_are_refused():
    """They would silently be 0."""
    leaves = leaves_of(Case(57, 5, 2, 3, "wet"))
    leaves["FC"].requires_grad_()
    runoff = torch.ones((20, 2), requires_grad=True)
    routed = route(runoff, torch.ones(2), torch.ones(2), torch.zeros(2, 14))[0]
    for total, leaf in ((run(loop_cpu, leaves)["runoff"].sum(), leaves["FC"]), (routed.sum(), runoff)):
        with pytest.raises(DescriptionError, match=r"no second derivatives.*backend='torch'"):
            torch.autograd.grad(total, leaf, create_graph=True)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("FC", lambda value: value.float()),
        ("pet", lambda value: value[:, :1]),
        ("K1", lambda value: value[:, :1]),
        ("snowpack", lambda value: value.to("meta")),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, change: Any):
    """Kernels read memory by address, so shapes must be right."""
    leaves = leaves_of(Case(58, 5, 2, 3))
    label = {"pet": "potential evapotranspiration"}.get(name, name)
    with pytest.raises(DimensionError, match=f"{label} is .*expected"):
        run(loop_cpu, {**leaves, name: change(leaves[name])})


def test_a_warmup_under_inference_mode_starts_a_training():
    """Inference tensors are copied, because autograd cannot save them."""
    leaves = leaves_of(Case(59, 5, 2, 3))
    with torch.inference_mode():
        stores = {name: value for name, value in run(loop_cpu, leaves).items() if name.startswith("final")}
    leaves |= {name.removeprefix("final "): value for name, value in stores.items()}
    leaves["FC"].requires_grad_()
    run(loop_cpu, leaves)["runoff"].sum().backward()
    assert leaves["FC"].grad is not None


def test_lazily_negated_tensors():
    """torch may return a view that is negated only when it is read."""
    leaves = leaves_of(Case(60, 8, 2, 3, "wet"))
    expected = run(loop_cpu, leaves)
    turned = torch.complex(torch.zeros_like(leaves["FC"]), -leaves["FC"]).conj().imag
    assert turned.is_neg()
    found = run(loop_cpu, {**leaves, "FC": turned})
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_without_a_compiler_the_reference_runs_with_one_warning(monkeypatch: pytest.MonkeyPatch):
    """Results are the same; requesting the kernel explicitly is an error that says why there is none."""
    case = Case(62, 10, 2, 3)
    expected, _ = simulate(*case.args, backend="torch")
    monkeypatch.setattr(loop_cpu, "obstacle", lambda dtype: "ImportError: no such thing")
    simulation._warn_of_slowness.cache_clear()
    with pytest.warns(HydroxrWarning, match="is numba installed.*no such thing.*reference in torch"):
        found, _ = simulate(*case.args)
    simulate(*case.args)  # a second warning would be an error here
    assert np.array_equal(found["runoff"], expected["runoff"])
    with pytest.raises(DescriptionError, match=r"'cpu' cannot be compiled here.*no such thing"):
        simulate(*case.args, backend="cpu")


def test_autocast_does_not_touch_water():
    """bfloat16 has three digits, too few for a water balance."""
    case = Case(63, 40, 3, 2, "wet")
    forcing = [torch.tensor(x, dtype=torch.float32) for x in case.forcing]
    for backend in ("cpu", "torch"):
        expected, _ = simulate(*forcing, case.parameters, outputs=("streamflow",), backend=backend)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, _ = simulate(*forcing, case.parameters, outputs=("streamflow",), backend=backend)
        assert torch.equal(found["streamflow"], expected["streamflow"])


def test_the_package_does_not_import_numba():
    """Importing numba takes most of a second, so it waits for the first run."""
    code = "import sys, hydroxr, hydroxr.physics.simulation; assert 'numba' not in sys.modules"
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=environment)


@pytest.mark.parametrize(
    ("days", "cells", "components", "rows"),
    [
        (1, 1, 1, [0]),
        (7, 3, 3, [0, 0, 0, 1, 1, 2, 3]),
        (40, 2, 16, [day // 5 for day in range(40)]),
        (70, 20, 2, [0] * 70),
        (131, 9, 5, [(day + 3) // 6 for day in range(131)]),
    ],
)
@pytest.mark.parametrize("with_network", [False, True])
def test_dynamic_parameters_are_held(
    days: int, cells: int, components: int, rows: list[int], with_network: bool
) -> None:
    """Rows may apply for any number of days; the gradient of a row is the sum over its days."""
    case = Case(61, days, cells, components, "freeze-thaw", dynamic=("BETA", "K1", "CWH"))
    held = torch.tensor(rows)
    leaves = hold(leaves_of(case), held)
    nnr = network(3, 4) if with_network else None
    agree(case, leaves, rows=held, network=nnr)
    daily = {name: value[held] if value.ndim == 3 else value for name, value in leaves.items()}
    torch.testing.assert_close(run(loop_cpu, leaves, rows=held), run(loop_cpu, daily), rtol=0.0, atol=0.0)

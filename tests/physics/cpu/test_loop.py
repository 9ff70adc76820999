"""The compiled loop against the reference loop: the same results and the same gradients, in any layout.

Both have the same ``run``. In float64 the loops differ by rounding only, at the kinks too; the few tests
of float32 compare with float64.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
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
from hydroxr.physics import threads as threads_module
from hydroxr.physics.adjoint import make_adjoint
from hydroxr.physics.cpu import loop as loop_cpu
from hydroxr.physics.equations import DAY_FLUXES, DAY_PARAMETERS, STORES, make_day
from hydroxr.physics.routing import route
from hydroxr.physics.runoff_network import RunoffNetwork
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
from tests.support.strategies import WEATHER, Case, cases, examples, values

pytest.importorskip("numba")

COUNTS = (1, 2, 3, 8, 16, 17, 32)


def agree(case: Case, leaves: Tensors | None = None, **options: Any) -> None:
    """Results to 1e-9 and gradients to 1e-6 of the reference's."""
    leaves = leaves_of(case) if leaves is None else leaves
    expected, expected_gradients = gradients(loop_torch, leaves, **options)
    found, found_gradients = gradients(loop_cpu, leaves, **options)
    near(found, expected, 1e-9, 1e-6, case)
    near(found_gradients, expected_gradients, 1e-6, 1e-6, case)


# ---------------------------------------------------------------------------------------------------
# The adjoint of a day


@pytest.mark.parametrize("at_bounds", [False, True])
def test_the_adjoint_of_a_day_is_autograds(at_bounds: bool):
    """Thousands of days with empty stores, dry days, temperatures at TT, parameters at bounds: ties, too."""
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


def test_the_day_takes_plain_numbers():
    """The one source of the equations, built from Python's own functions."""
    day = make_day(min, max, pow, lambda condition, value, other: value if condition else other)
    case = Case(1, 1, 1, 1, "freeze-thaw")
    leaves = leaves_of(case)
    numbers = [float(leaves[name]) for name in (*FORCING, *STORES, *DAY_PARAMETERS)]
    stores, fluxes = day(*numbers)
    expected = run(loop_torch, leaves)
    for name, value in zip((*STORES, *DAY_FLUXES), (*stores, *fluxes), strict=True):
        assert value == pytest.approx(float(expected[name]), rel=1e-12, abs=1e-15), name


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
    """Around the lengths between which the stores are kept."""
    agree(Case(33, days, 3, 4, "freeze-thaw", dynamic=("K0", "PERC")))


@pytest.mark.parametrize("kind", WEATHER)
@pytest.mark.parametrize("components", [False, True])
def test_every_kind_of_weather(kind: str, components: bool):
    """Means and whole components, static and dynamic parameters."""
    agree(Case(34, 50, 9, 3, kind, dynamic=("FC", "CWH")), components=components)


@examples(60)
@given(cases(max_days=70, max_cells=10), st.booleans())
def test_random_runs_agree(case: Case, components: bool):
    """Any weather, parameters at their bounds, any mix of static and dynamic ones."""
    agree(case, components=components)


@pytest.mark.parametrize("name", SERIES)
def test_one_series_alone(name: str):
    """Only what is wanted is computed, and its gradients are its own."""
    agree(Case(35, 40, 3, 5, "freeze-thaw", dynamic=("BETA",)), wanted=(name,))


def test_nothing_but_the_final_stores():
    """A warm-up wants no series."""
    agree(Case(36, 40, 3, 5, "freeze-thaw"), wanted=())


def test_a_series_that_is_asked_for_twice_comes_once():
    """As from the reference."""
    series, _ = simulate(*Case(37, 5, 2, 3).args, outputs=("runoff", "runoff"), backend="cpu")
    assert tuple(series) == ("runoff",)


@examples(20)
@given(cases(max_days=20, max_cells=4))
def test_backends_of_simulate_agree(case: Case):
    """With the routing."""
    expected, expected_state = simulate(*case.args, outputs=OUTPUTS, backend="torch")
    found, state = simulate(*case.args, outputs=OUTPUTS, backend="cpu")
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for name, value in expected_state.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


# ---------------------------------------------------------------------------------------------------
# NN_r in the place of the effective-rainfall equation


@pytest.mark.parametrize("components", COUNTS)
@pytest.mark.parametrize("cells", [1, 2, 9, 40])
def test_the_runoff_network_in_any_size(cells: int, components: int):
    """Lanes that only fill a vector up add nothing to the gradient of the weights."""
    case = Case(51, 35, cells, components, "freeze-thaw", dynamic=("BETA", "TT"))
    agree(case, network=network(1, 5))
    agree(Case(52, 5, cells, components, "temperate"), components=True, network=network(2, 16))


@examples(40)
@given(cases(max_days=70, max_cells=10), st.booleans(), st.integers(1, 20), st.integers(0, 9))
def test_random_runs_with_the_runoff_network_agree(case: Case, components: bool, hidden: int, seed: int):
    """Any weather, parameters at their bounds, any mix of static and dynamic ones, any weights."""
    agree(case, components=components, network=network(seed, hidden))


@pytest.mark.parametrize("name", SERIES)
def test_one_series_alone_with_the_runoff_network(name: str):
    """Only what is wanted is computed, and its gradients are its own."""
    agree(Case(53, 40, 3, 5, "freeze-thaw", dynamic=("BETA",)), wanted=(name,), network=network(3, 4))


def test_the_weights_alone_may_need_a_gradient():
    """As in training with the rest frozen."""
    leaves, module = leaves_of(Case(54, 30, 3, 8, "wet")), network(4, 6).double()
    found = {}
    for loop in (loop_torch, loop_cpu):
        total = run(loop, leaves, wanted=("runoff",), network=module)["runoff"].sum()
        found[loop] = torch.autograd.grad(total, list(module.parameters()))
    for value, expected in zip(found[loop_cpu], found[loop_torch], strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)


def test_the_runoff_network_in_large_numbers():
    """Outputs far from 0 before the sigmoid neither overflow nor become NaN."""
    module = network(5, 4).double()
    for sign in (1.0, -1.0):
        with torch.no_grad():
            module.output.bias.fill_(sign * 800.0)
        agree(Case(55, 20, 3, 3, "wet"), network=module)
        single = run(loop_cpu, leaves_of(Case(55, 20, 3, 3, "wet"), torch.float32), network=module)
        assert all(torch.isfinite(value).all() for value in single.values())


# ---------------------------------------------------------------------------------------------------
# Gradients


@pytest.mark.parametrize("components", [3, 8])
def test_gradcheck(components: int):
    """Finite differences of the kernel itself, away from kinks."""
    case = Case(64, 6, 2, components, "wet")
    leaves = leaves_of(case)
    leaves["precipitation"] += 0.05
    leaves["pet"] += 0.05

    def function(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(run(loop_cpu, dict(zip(LEAVES, inputs, strict=True))).values())

    inputs = tuple(value.clone().requires_grad_() for value in leaves.values())
    assert torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("name", LEAVES)
def test_a_single_leaf_that_needs_a_gradient(name: str):
    """The others get none."""
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
    """Plain tensors, no_grad and inference give plain results."""
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
    """Strides of zero, transposed axes, every other value: read where they lie."""
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
    """Results and gradients within 1e-4 of the largest value of their array.

    But for two: where soil stays at its floor or at field capacity, on a kink, rounding decides what
    precipitation or PET would change, in the reference by the same amount.
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
    """Precipitation is evapotranspiration, runoff and change of storage, each day."""
    case = Case(42, 400, 9, 5, kind)
    leaves = leaves_of(case, getattr(torch, dtype))
    results = {name: value.double() for name, value in run(loop_cpu, leaves).items()}
    stored = sum(results[name] for name in STORES)
    before = sum(leaves[name].double().mean(-1) for name in STORES)
    change = torch.diff(stored, dim=0, prepend=before[None])
    gap = leaves["precipitation"].double() - results["evapotranspiration"] - results["runoff"] - change
    assert gap.abs().max() < most


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("components", COUNTS)
def test_threads_change_no_digit(components: int, hidden: int, monkeypatch: pytest.MonkeyPatch):
    """Nor does the thread from which the loop is called."""
    leaves = leaves_of(Case(43, 200, 90, components, "freeze-thaw", dynamic=("BETA",)), torch.float32)
    options: dict[str, Any] = {"wanted": ("runoff", "snowpack")}
    options["network"] = network(7, hidden) if hidden else None
    number = torch.get_num_threads()
    monkeypatch.setattr(threads_module, "_SMALL", 1)  # however little work there is
    outcomes: list[tuple[Tensors, Tensors]] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            outcomes.append(gradients(loop_cpu, leaves, **options))
        thread = threading.Thread(target=lambda: outcomes.append(gradients(loop_cpu, leaves, **options)))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(number)
    assert len(outcomes) == 4
    for outcome in outcomes[1:]:
        for group, first in zip(outcome, outcomes[0], strict=True):
            assert all(torch.equal(group[name], first[name]) for name in first)


@pytest.mark.parametrize("name", [*FORCING, "soil_moisture", "BETA"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [0, 4])
def test_a_nan_shows(name: str, dtype: torch.dtype, hidden: int):
    """What depends on it is NaN to the end of the run, and other cells are as they were."""
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
    """Whatever it is in, in every series: nothing finite is made of it."""
    case = Case(56, 25, 9, 3, "freeze-thaw", dynamic=("BETA", "PERC", "CFR"))
    leaves = leaves_of(case)
    leaves[name] = leaves[name].clone()
    leaves[name][(4, 5) if leaves[name].ndim == 3 or name in FORCING else (5,)] = torch.nan
    expected = run(loop_torch, leaves)
    for key, value in run(loop_cpu, leaves).items():
        assert torch.equal(torch.isnan(value), torch.isnan(expected[key])), key


def test_an_interrupt_waits_for_the_other_threads(monkeypatch: pytest.MonkeyPatch):
    """They write to memory that the caller lets go of when it raises."""
    monkeypatch.setattr(threads_module, "_threads", lambda: 2)
    busy, main = threading.Event(), threading.main_thread()
    done: list[int] = []

    def part(first: int, last: int) -> None:
        if threading.current_thread() is main:
            busy.wait(5.0)
            raise KeyboardInterrupt
        busy.set()
        time.sleep(0.2)
        done.append(first)

    with pytest.raises(KeyboardInterrupt):
        threads_module.share(part, 100, 10**9)
    assert len(done) == 1
    time.sleep(0.3)
    assert len(done) == 1


def test_second_derivatives_are_refused():
    """They would be those of a constant."""
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
    """Kernels read memory by address: what is not there must not be read."""
    leaves = leaves_of(Case(58, 5, 2, 3))
    label = {"pet": "potential evapotranspiration"}.get(name, name)
    with pytest.raises(DimensionError, match=f"{label} is .*expected"):
        run(loop_cpu, {**leaves, name: change(leaves[name])})


def test_a_warmup_under_inference_mode_starts_a_training():
    """Its stores are copied where autograd wants to keep them."""
    leaves = leaves_of(Case(59, 5, 2, 3))
    with torch.inference_mode():
        stores = {name: value for name, value in run(loop_cpu, leaves).items() if name.startswith("final")}
    leaves |= {name.removeprefix("final "): value for name, value in stores.items()}
    leaves["FC"].requires_grad_()
    run(loop_cpu, leaves)["runoff"].sum().backward()
    assert leaves["FC"].grad is not None


def test_numbers_that_wait_for_their_sign():
    """torch keeps a view of some tensors with the sign still to be changed."""
    leaves = leaves_of(Case(60, 8, 2, 3, "wet"))
    expected = run(loop_cpu, leaves)
    turned = torch.complex(torch.zeros_like(leaves["FC"]), -leaves["FC"]).conj().imag
    assert turned.is_neg()
    found = run(loop_cpu, {**leaves, "FC": turned})
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("how", ["subclass", "hook"])
def test_a_variety_of_the_runoff_network_is_not_taken_for_it(how: str):
    """The kernels read weights only; what a module does beside them is done by the reference."""

    class Dry(RunoffNetwork):
        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(values[0])

    module = Dry() if how == "subclass" else network(1, 4)
    if how == "hook":
        module.register_forward_hook(lambda module, given, share: torch.zeros_like(share))
    found, _ = simulate(
        *Case(61, 20, 2, 3, "wet").args,
        outputs=("effective_rainfall",),
        processes={"effective_rainfall": module},
    )
    assert (found["effective_rainfall"] == 0.0).all()


def test_without_a_compiler_the_reference_runs_with_one_warning(monkeypatch: pytest.MonkeyPatch):
    """The same results; who asked for the kernel is told why there is none."""
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
    """bfloat16 has three digits."""
    case = Case(63, 40, 3, 2, "wet")
    forcing = [torch.tensor(x, dtype=torch.float32) for x in case.forcing]
    for backend in ("cpu", "torch"):
        expected, _ = simulate(*forcing, case.parameters, outputs=("streamflow",), backend=backend)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, _ = simulate(*forcing, case.parameters, outputs=("streamflow",), backend=backend)
        assert torch.equal(found["streamflow"], expected["streamflow"])


def test_powers_in_float32():
    """Within 1e-6 of the true power, or below what float32 holds."""
    from numba import njit

    from hydroxr.physics.cpu import elementary

    rng = np.random.default_rng(6)
    small = 10.0 ** rng.uniform(-9, 0, 200_000)
    base = np.concatenate([rng.random(200_000), small, [1.0, 1.0, 0.5, 1 - 2.0**-24]])
    exponent = np.concatenate([rng.uniform(0.0, 8.0, 400_000), [0.3, 6.0, 0.0, 6.0]])
    base, exponent = base.astype("f4"), exponent.astype("f4")
    power = elementary.power_32

    @njit
    def all_powers(base, exponent, out):  # type: ignore[no-untyped-def]
        for i in range(len(base)):
            out[i] = power(base[i], exponent[i])

    found = np.empty_like(base)
    all_powers(base, exponent, found)
    expected = base.astype("f8") ** exponent.astype("f8")
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-38)
    assert (found[-4:-1] == 1.0).all()
    assert (found <= 1.0).all()


def test_the_package_does_not_import_numba():
    """It takes most of a second: only a run pays for it."""
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
    """Over blocks of days of any length, across chunks: a row's gradient is the sum over its days."""
    case = Case(61, days, cells, components, "freeze-thaw", dynamic=("BETA", "K1", "CWH"))
    held = torch.tensor(rows)
    leaves = hold(leaves_of(case), held)
    nnr = network(3, 4) if with_network else None
    agree(case, leaves, rows=held, network=nnr)
    daily = {name: value[held] if value.ndim == 3 else value for name, value in leaves.items()}
    torch.testing.assert_close(run(loop_cpu, leaves, rows=held), run(loop_cpu, daily), rtol=0.0, atol=0.0)

"""The compiled loop with NN_r against the reference loop: equal results and equal gradients."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydroxr.physics import loop_torch, simulate
from hydroxr.physics.cpu import loop as loop_cpu
from hydroxr.physics.runoff_network import RunoffNetwork
from tests.support import loops
from tests.support.loops import (
    SERIES,
    leaves_of,
    network,
    run,
)
from tests.support.strategies import Case, cases, examples

pytest.importorskip("numba")

COUNTS = (1, 2, 3, 8, 16, 17, 32)
agree = partial(loops.agree, loop_cpu)


@pytest.mark.parametrize("components", COUNTS)
@pytest.mark.parametrize("cells", [1, 2, 9, 40])
def test_the_runoff_network_in_any_size(cells: int, components: int):
    """Lanes that only pad a vector add nothing to the gradient of the weights."""
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
    """Any single series can be requested; its gradients are right."""
    agree(Case(53, 40, 3, 5, "freeze-thaw", dynamic=("BETA",)), wanted=(name,), network=network(3, 4))


def test_the_weights_alone_may_need_a_gradient():
    """For example in a training of NN_r alone."""
    leaves, module = leaves_of(Case(54, 30, 3, 8, "wet")), network(4, 6).double()
    found = {}
    for loop in (loop_torch, loop_cpu):
        total = run(loop, leaves, wanted=("runoff",), network=module)["runoff"].sum()
        found[loop] = torch.autograd.grad(total, list(module.parameters()))
    for value, expected in zip(found[loop_cpu], found[loop_torch], strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)


def test_the_runoff_network_in_large_numbers():
    """Large values before the sigmoid neither overflow nor become NaN."""
    module = network(5, 4).double()
    for sign in (1.0, -1.0):
        with torch.no_grad():
            module.output.bias.fill_(sign * 800.0)
        agree(Case(55, 20, 3, 3, "wet"), network=module)
        single = run(loop_cpu, leaves_of(Case(55, 20, 3, 3, "wet"), torch.float32), network=module)
        assert all(torch.isfinite(value).all() for value in single.values())


@pytest.mark.parametrize("how", ["subclass", "hook"])
def test_a_modified_runoff_network_runs_in_the_reference(how: str):
    """The kernels know only the weights, so a subclass or a hook needs the reference loop."""

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

"""Routing on arrays: equal to an independent implementation, exact in water, differentiable, restartable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydroxr.physics.rivers.coefficients import channel, coefficients
from hydroxr.physics.rivers.routing import Reaches, route
from hydroxr.physics.rivers.scheme import make_scheme
from hydroxr.physics.rivers.topology import routing_order
from tests.physics.rivers import reference

#     0   1     4  7
#      \ /      |  |
#       2   3   5  8 -> 9 (9 is an outlet, and so is 6)
#        \ /    |
#         6 <---+
DOWNSTREAM = np.array([2, 2, 6, 6, 5, 6, -1, 8, 9, -1])
K = np.array([0.002, 0.06, 0.3, 1.0, 4.0, 0.0, 0.7, 0.0, 0.0, 12.0])  # days
X = np.array([0.1, 0.0, 0.2, 0.45, 0.2, 0.0, 0.5, 0.0, 0.3, 0.1])
SHARES = [0, 1, 2]


def lateral(n_days: int = 150, n: int = 10) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.gamma(0.5, 4.0, (n, n_days))


def reaches(
    method: str, k: np.ndarray = K, x: np.ndarray = X, downstream: np.ndarray = DOWNSTREAM
) -> Reaches:
    order = routing_order(downstream)
    return Reaches.alone(downstream, make_scheme(method, k, x, downstream, order))


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.array(array, dtype=float)) for array in arrays]


@pytest.mark.parametrize("method", ["linear", "muskingum"])
def test_equals_an_independent_implementation(method: str) -> None:
    tree = reaches(method)
    x = np.minimum(X, tree.scheme.most_x)
    expected, expected_stored = reference.route(lateral(), K, x, DOWNSTREAM, tree.scheme)
    discharge, stored, _, _ = route(*tensors(lateral(), K, X), tree)
    np.testing.assert_allclose(discharge, expected, rtol=1e-9)
    np.testing.assert_allclose(stored, expected_stored, rtol=1e-9, atol=1e-9 * expected_stored.max())


@pytest.mark.parametrize("method", ["linear", "muskingum"])
def test_water_is_neither_made_nor_lost_nor_negative(method: str) -> None:
    given = lateral(1000)
    discharge, stored, storage, _ = route(*tensors(given, K, X), reaches(method))
    out = discharge[[6, 9]].sum() * 86400
    assert float(out + stored[:, -1].sum()) == pytest.approx(given.sum() * 86400, rel=1e-12)
    assert float(storage.sum()) == pytest.approx(float(stored[:, -1].sum()), rel=1e-12)
    assert float(storage.min()) >= 0
    assert float(discharge.min()) >= 0


def test_no_coefficient_is_negative_for_any_reach() -> None:
    rng = np.random.default_rng(0)
    k, x = 10 ** rng.uniform(-3, 1.5, 5000), rng.uniform(0, 0.5, 5000)
    x[:50] = 0.5
    downstream = np.full(5000, -1)
    scheme = make_scheme("muskingum", k, x, downstream, np.arange(5000))
    used = np.minimum(x, scheme.most_x)
    dt = 1 / scheme.steps / scheme.within
    share = k / scheme.sections
    assert (2 * share * used <= dt * (1 + 1e-9)).all()
    assert (dt <= 2 * share * (1 - used) * (1 + 1e-9)).all()
    assert (used[x < 0.3] == x[x < 0.3]).all()  # X is lowered only where hardly a cut would do
    table = coefficients(torch.from_numpy(k), torch.from_numpy(x), scheme)
    assert float(table.min()) > -1e-12
    assert float((1 - 86400 / torch.from_numpy(scheme.steps) * table[1]).min()) > -1e-12


def test_without_travel_time_the_discharge_is_the_sum_of_all_water_above() -> None:
    given = lateral()
    for method in ("linear", "muskingum"):
        tree = reaches(method, 0 * K)
        discharge, stored, _, _ = route(*tensors(given, 0 * K, X), tree)
        expected = given.copy()
        for reach in reference.upstream_first(DOWNSTREAM):
            if DOWNSTREAM[reach] >= 0:
                expected[DOWNSTREAM[reach]] += expected[reach]
        np.testing.assert_allclose(discharge, expected, rtol=1e-12)
        assert float(stored.abs().max()) == 0.0


def test_a_steady_inflow_fills_each_reach_with_travel_time_times_discharge() -> None:
    steady = np.ones((10, 400))
    for method in ("linear", "muskingum"):
        discharge, stored, _, _ = route(*tensors(steady, K, X), reaches(method))
        np.testing.assert_allclose(stored[:, -1], 86400 * tensors(K)[0] * discharge[:, -1], rtol=1e-9)


def test_a_run_in_two_halves_is_the_whole_run() -> None:
    tree, given = reaches("muskingum"), lateral()
    whole, stored, _, _ = route(*tensors(given, K, X), tree)
    first, _, storage, _ = route(*tensors(given[:, :64], K, X), tree)
    second, later, _, _ = route(*tensors(given[:, 64:], K, X), tree, storage)
    assert torch.equal(torch.cat([first, second], 1), whole)
    assert torch.equal(later, stored[:, 64:])


def test_a_network_in_two_parts_is_the_whole_network() -> None:
    whole_tree, given = reaches("muskingum"), lateral()
    whole = route(*tensors(given, K, X), whole_tree)[0]
    above, below = np.array([0, 1, 2, 3, 4, 5]), np.array([6, 7, 8, 9])
    scheme = whole_tree.scheme
    parts = [scheme.of(some) for some in (above, below)]
    enters = np.array([2, 3, 5])
    upper = Reaches(np.array([2, 2, -1, -1, 5, -1]), parts[0], np.zeros(0, int), enters)
    lower = Reaches(np.array([-1, 2, 3, -1, 0, 0, 0]), parts[1], scheme.steps[enters], np.zeros(0, int))
    first, _, _, taken = route(*tensors(given[above], K[above], X[above]), upper)
    second = route(*tensors(given[below], K[below], X[below]), lower, given=taken)[0]
    np.testing.assert_allclose(torch.cat([first, second]), whole, rtol=1e-12)


@pytest.mark.parametrize("method", ["linear", "muskingum"])
def test_gradients_are_those_of_finite_differences(method: str) -> None:
    downstream = np.array([1, 3, 3, -1])
    k, x = np.array([0.03, 0.4, 2.0, 0.9]), np.array([0.05, 0.2, 0.3, 0.1])
    order = routing_order(downstream)
    scheme = make_scheme(method, k, x, downstream, order)
    tree = Reaches(np.array([1, 3, 3, -1, 2]), scheme, np.array([2]), np.array([1]))
    start = np.arange(1.0, 1 + tree.section_count) * 1e3
    arguments = [t.requires_grad_() for t in tensors(lateral(6, 4), k, x, start, np.arange(12.0))]

    def scaled(flow: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        discharge, stored, storage, taken = route(flow, *rest[:2], tree, *rest[2:])
        return discharge, stored / 86400, storage / 86400, taken

    assert torch.autograd.gradcheck(scaled, arguments, eps=1e-6, rtol=1e-5, atol=1e-7)


def test_gradients_do_not_depend_on_the_chunks_of_the_adjoint(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydroxr.physics.rivers import routing

    found = []
    for kept in (2**26, 500):
        monkeypatch.setattr(routing, "_KEPT", kept)
        arguments = [tensor.requires_grad_() for tensor in tensors(lateral(), K, X)]
        discharge, stored, _, _ = route(*arguments, reaches("muskingum"))
        (discharge.square().sum() + stored.sum()).backward()
        found.append([tensor.grad for tensor in arguments])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_gradients_by_mannings_n_go_through_the_channel() -> None:
    rng = np.random.default_rng(1)
    length, slope, width = rng.uniform(2e3, 4e4, 10), 10 ** rng.uniform(-4, -2, 10), rng.uniform(5, 100, 10)
    shape = tensors(length, slope, width)
    manning = torch.full((10,), 0.035, dtype=torch.float64, requires_grad=True)
    flow = torch.full((10,), 30.0, dtype=torch.float64)
    k, x = channel(*shape, manning, flow)
    assert bool(((x >= 0) & (x <= 0.5)).all())
    speed = torch.from_numpy(length) / k / 86400
    assert bool(((speed > 0.3) & (speed < 10)).all())  # m/s, as rivers flow
    tree = reaches("muskingum-cunge", k.detach().numpy(), x.detach().numpy())

    def routed(n: torch.Tensor) -> torch.Tensor:
        return route(tensors(lateral(20))[0], *channel(*shape, n, flow), tree)[0]

    assert torch.autograd.gradcheck(routed, (manning,), eps=1e-7, rtol=1e-4, atol=1e-6)


def test_travel_times_are_learnt_from_one_gauge() -> None:
    """K = a length slope**b of reaches on which water enters everywhere; the gauge is at the outlet."""
    rng = np.random.default_rng(5)
    downstream = np.array([2, 2, 6, 6, 5, 6, 7, 8, -1])
    length, slope = tensors(rng.uniform(10, 80, 9), 10 ** rng.uniform(-4, -2, 9))
    x = torch.full((9,), 0.2, dtype=torch.float64)
    (inflow,) = tensors(lateral(200, 9))

    def travel_time(learnt: torch.Tensor) -> torch.Tensor:
        return torch.exp(learnt[0] + learnt[1] * torch.log(slope / 1e-3)) * length

    def at_the_outlet(k: torch.Tensor) -> torch.Tensor:
        return route(inflow, k, x, reaches("muskingum", k.detach().numpy(), x.numpy(), downstream))[0][-1]

    truth = travel_time(torch.tensor([-4.2, -0.35], dtype=torch.float64))
    observed = at_the_outlet(truth)
    learnt = torch.tensor([-3.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([learnt], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        ((at_the_outlet(travel_time(learnt)) - observed) ** 2).mean().backward()
        optimiser.step()
    np.testing.assert_allclose(travel_time(learnt).detach(), truth, rtol=0.05)

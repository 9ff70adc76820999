"""The losses against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hydroxr.errors import DescriptionError
from hydroxr.models.streamflow_network import transform_streamflow
from hydroxr.training.loop.losses import LOSSES, describe_loss, make_loss

COMBINED = {"nse": 2.0, "low_flow": 0.5}
ALL: list[Any] = [*LOSSES, COMBINED]


def flows(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulated and observed (time, cell), variance (cell,); a fifth of the observations missing, some of
    them 0, one cell without any flow and one without observations."""
    rng = np.random.default_rng(seed)
    simulated, observed = rng.gamma(0.7, 3, (2, 40, 6))
    observed[rng.random(observed.shape) < 0.2] = np.nan
    observed[0], simulated[1] = 0.0, 0.0
    observed[:, 4], observed[:, 5] = 0.0, np.nan
    return simulated, observed, np.array([4.0, 9.0, 2.0, 3.0, 0.0, 0.0])


def loss(name: Any, simulated: np.ndarray, observed: np.ndarray, variance: np.ndarray | None = None) -> float:
    """The loss of hydroxr."""
    variance = flows()[2] if variance is None else variance
    return float(make_loss(name)(*(torch.tensor(part) for part in (simulated, observed, variance))))


def low(flow: float) -> float:
    """Equation 2."""
    return float(np.log10(np.sqrt(flow + 1e-6) + 0.1))


def pairs() -> list[tuple[float, float, float]]:
    """Simulated, observed and variance of each valid entry of :func:`flows`."""
    simulated, observed, variance = flows()
    return [
        (float(simulated[place]), float(observed[place]), float(variance[place[1]]))
        for place in np.ndindex(observed.shape)
        if observed[place] == observed[place]
    ]


def by_hand_paper() -> float:
    """Three quarters RMSE of the flow, one quarter RMSE of log10(sqrt(Q + 1e-6) + 0.1), equation 1."""
    squares = [(s - o) ** 2 for s, o, _ in pairs()]
    return 0.75 * float(np.mean(squares)) ** 0.5 + 0.25 * by_hand_low_flow()


def by_hand_low_flow() -> float:
    """RMSE of the transformed flow."""
    return float(np.mean([(low(s) - low(o)) ** 2 for s, o, _ in pairs()])) ** 0.5


def by_hand_nse() -> float:
    """Squared errors over the square of the cell's standard deviation plus 0.1 mm/day."""
    return float(np.mean([(s - o) ** 2 / (v**0.5 + 0.1) ** 2 for s, o, v in pairs()]))


def by_hand_kge() -> float:
    """The mean over the cells that have observations."""
    simulated, observed, _ = flows()
    distances = []
    for s, o in zip(simulated.T, observed.T, strict=True):
        s, o = s[np.isfinite(o)], o[np.isfinite(o)]
        if len(o):
            spread_s, spread_o = (np.sqrt(part.var() + 0.01) for part in (s, o))
            r = (np.mean((s - s.mean()) * (o - o.mean())) + 0.01) / spread_s / spread_o
            alpha, beta = spread_s / spread_o, (s.mean() + 0.1) / (o.mean() + 0.1)
            distances.append(np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2))
    assert len(distances) == 5
    return float(np.mean(distances))


BY_HAND: list[tuple[Any, Callable[[], float]]] = [
    ("paper", by_hand_paper),
    ("low_flow", by_hand_low_flow),
    ("nse", by_hand_nse),
    ("kge", by_hand_kge),
    (COMBINED, lambda: 2.0 * by_hand_nse() + 0.5 * by_hand_low_flow()),
]


@pytest.mark.parametrize(("name", "expected"), BY_HAND)
def test_each_is_what_it_says(name: Any, expected: Callable[[], float]) -> None:
    """The same in NumPy."""
    assert loss(name, *flows()) == pytest.approx(expected(), rel=1e-10)


def test_all_losses_are_written_out_here() -> None:
    """The list above has all losses."""
    assert {name for name, _ in BY_HAND if isinstance(name, str)} == set(LOSSES)


def test_kge_is_the_metric_s_where_it_flows() -> None:
    """1 - KGE of hydroxr.metrics, except for the small constants."""
    import xarray as xr

    from hydroxr.metrics import kge

    rng = np.random.default_rng(3)
    observed = rng.gamma(1, 300, (200, 3))
    simulated = observed * rng.uniform(0.5, 1.5, observed.shape)
    metric = kge(*(xr.DataArray(part, dims=("time", "basin")) for part in (simulated, observed)))
    assert loss("kge", simulated, observed) == pytest.approx(float((1 - metric).mean()), rel=1e-3)


@pytest.mark.parametrize("name", ALL, ids=str)
def test_missing_observations_do_not_count(name: Any) -> None:
    """Simulated values there do not matter, even if they are not finite."""
    simulated, observed, _ = flows()
    for value in (1e9, np.nan, np.inf):
        other = np.where(np.isnan(observed), value, simulated)
        assert loss(name, other, observed) == loss(name, simulated, observed)


@pytest.mark.parametrize("name", ALL, ids=str)
def test_missing_observations_have_no_gradient(name: Any) -> None:
    """Existing observations have a finite gradient, also at zero flow."""
    simulated, observed, variance = flows()
    simulated = np.where(np.isnan(observed), np.nan, simulated)
    tensor = torch.tensor(simulated, requires_grad=True)
    make_loss(name)(tensor, torch.tensor(observed), torch.tensor(variance)).backward()
    assert tensor.grad is not None
    assert (tensor.grad[torch.tensor(np.isnan(observed))] == 0).all()
    assert torch.isfinite(tensor.grad).all()
    assert (tensor.grad != 0).any()


@pytest.mark.parametrize("name", ALL, ids=str)
def test_gradients_are_those_of_differences(name: Any) -> None:
    """In float64."""
    simulated, observed, variance = (torch.tensor(part) for part in flows())
    # Away from 0, where low flows bend more than a difference can tell.
    simulated = (simulated + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: make_loss(name)(s, observed, variance), (simulated,))


@pytest.mark.parametrize("name", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_perfect_simulation_has_no_loss(name: Any, dtype: torch.dtype) -> None:
    """The loss is 0 with a finite gradient, and larger elsewhere."""
    _, observed, variance = (torch.tensor(part, dtype=dtype) for part in flows())
    simulated = torch.nan_to_num(observed).requires_grad_()
    value = make_loss(name)(simulated, observed, variance)
    value.backward()
    assert float(value.detach()) < 1e-6
    assert simulated.grad is not None
    assert torch.isfinite(simulated.grad).all()
    assert float(make_loss(name)(torch.nan_to_num(observed) + 0.1, observed, variance)) > 0.01


@pytest.mark.parametrize("name", ALL, ids=str)
def test_long_batches_are_not_favoured(name: Any) -> None:
    """The loss is a mean: repeating the entries, in more days or windows, does not change it."""
    simulated, observed, variance = flows()
    for axis in (0, 1):
        twice = [np.concatenate([part, part], axis) for part in (simulated, observed)]
        expected = loss(name, simulated, observed)
        repeated = np.concatenate([variance] * (1 + axis))
        assert loss(name, *twice, repeated) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["nse", "kge", COMBINED], ids=str)
def test_a_dry_cell_does_not_blow_up(name: Any) -> None:
    """An error of 0.001 mm/day without any flow is a small loss."""
    observed = np.zeros((40, 1))
    assert loss(name, observed + 0.001, observed, np.zeros(1)) < 0.1


def test_nothing_observed_is_no_loss() -> None:
    """The loss is 0, with a gradient of 0."""
    for name in ALL:
        simulated = torch.ones(5, 2, requires_grad=True)
        value = make_loss(name)(simulated, torch.full((5, 2), torch.nan), torch.zeros(2))
        value.backward()
        assert float(value.detach()) == 0.0
        assert simulated.grad is not None
        assert (simulated.grad == 0).all()


def test_transform_of_streamflow() -> None:
    """Equation 2: a dry day is log10(0.101)."""
    transformed = transform_streamflow(torch.tensor([0.0, 0.81 - 1e-6, 98.01 - 1e-6], dtype=torch.float64))
    np.testing.assert_allclose(transformed, [np.log10(0.101), 0.0, 1.0], atol=1e-12)


def mine(simulated: Tensor, observed: Tensor) -> Tensor:
    """A user's loss."""
    return torch.nanmean(torch.abs(simulated - observed))


def weighted(simulated: Tensor, observed: Tensor, variance: Tensor) -> Tensor:
    """A user's loss that gets the variance of the cells."""
    return torch.nanmean((simulated - observed) ** 2 / (variance + 1.0))


class Relative(torch.nn.Module):
    """A user's loss with settings."""

    def forward(self, simulated: Tensor, observed: Tensor) -> Tensor:
        """Mean error."""
        return torch.nanmean(simulated - observed)


def test_a_function_of_one_s_own_is_called_as_it_wants() -> None:
    """It gets the variance if it has such an argument."""
    simulated, observed, variance = flows()
    assert loss(mine, simulated, observed) == pytest.approx(np.nanmean(abs(simulated - observed)))
    expected = np.nanmean((simulated - observed) ** 2 / (variance + 1.0))
    assert loss(weighted, simulated, observed) == pytest.approx(expected)
    assert loss(Relative(), simulated, observed) == pytest.approx(np.nanmean(simulated - observed))


def test_a_function_is_known_by_its_name() -> None:
    """The name of module and function, or of the class."""
    assert describe_loss(mine) == f"{__name__}.mine"
    assert describe_loss(Relative()) == f"{__name__}.Relative"
    assert describe_loss(COMBINED) == COMBINED


@pytest.mark.parametrize("value", [1.0, None, torch.ones(3)], ids=["number", "nothing", "vector"])
def test_a_function_that_returns_no_scalar_is_refused(value: Any) -> None:
    """The message has what it returned."""
    with pytest.raises(DescriptionError, match=r"returned (float|NoneType|a tensor \(3,\)).*dimensions"):
        make_loss(lambda simulated, observed: value)(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1))

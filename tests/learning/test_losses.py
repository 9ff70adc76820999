"""The losses against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydroxr.learning.losses import paper_loss, transform_streamflow


def flows(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Simulated and observed (time, cell); a fifth of the observations missing, some of them 0."""
    rng = np.random.default_rng(seed)
    simulated, observed = rng.gamma(0.7, 3, (2, 40, 5))
    observed[rng.random(observed.shape) < 0.2] = np.nan
    observed[0], simulated[1] = 0.0, 0.0
    return simulated, observed


def loss(simulated: np.ndarray, observed: np.ndarray) -> float:
    """The program's."""
    return float(paper_loss(torch.tensor(simulated), torch.tensor(observed)))


def test_it_is_the_paper_s_equation_1() -> None:
    """Three quarters RMSE of the flow, one quarter RMSE of log10(sqrt(Q + 1e-6) + 0.1), over all valid
    entries."""
    simulated, observed = flows()
    squares, low_squares, count = 0.0, 0.0, 0
    for s, o in zip(simulated.ravel().tolist(), observed.ravel().tolist(), strict=True):
        if o == o:
            squares += (s - o) ** 2
            low_squares += (np.log10(np.sqrt(s + 1e-6) + 0.1) - np.log10(np.sqrt(o + 1e-6) + 0.1)) ** 2
            count += 1
    expected = 0.75 * (squares / count) ** 0.5 + 0.25 * (low_squares / count) ** 0.5
    assert loss(simulated, observed) == pytest.approx(expected, rel=1e-12)


def test_missing_observations_do_not_count() -> None:
    """Whatever is simulated there, also if it is not finite."""
    simulated, observed = flows()
    other = np.where(np.isnan(observed), 1e9, simulated)
    assert loss(other, observed) == loss(simulated, observed)


def test_missing_observations_have_no_gradient() -> None:
    """And those that are there have a finite one, at zero flow as well."""
    simulated, observed = flows()
    tensor = torch.tensor(simulated, requires_grad=True)
    paper_loss(tensor, torch.tensor(observed)).backward()
    assert tensor.grad is not None
    assert (tensor.grad[torch.tensor(np.isnan(observed))] == 0).all()
    assert torch.isfinite(tensor.grad).all()


def test_a_perfect_simulation_has_no_loss() -> None:
    """0, and more elsewhere."""
    _, observed = flows()
    assert loss(np.nan_to_num(observed), observed) == 0.0
    assert loss(np.nan_to_num(observed) + 0.1, observed) > 0.0


def test_long_batches_are_not_favoured() -> None:
    """A mean: the same entries twice have the same loss."""
    simulated, observed = flows()
    twice = [np.concatenate([part, part]) for part in (simulated, observed)]
    assert loss(*twice) == pytest.approx(loss(simulated, observed), rel=1e-12)


def test_transform_of_streamflow() -> None:
    """Equation 2: a dry day is log10(0.101)."""
    transformed = transform_streamflow(torch.tensor([0.0, 0.81 - 1e-6, 98.01 - 1e-6], dtype=torch.float64))
    np.testing.assert_allclose(transformed, [np.log10(0.101), 0.0, 1.0], atol=1e-12)

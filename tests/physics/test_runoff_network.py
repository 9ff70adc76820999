"""NN_r: its output and its start for training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydroxr.physics.runoff_network import RunoffNetwork


def network(seed: int = 0, hidden: int = 5) -> RunoffNetwork:
    """NN_r with weights large enough to show."""
    torch.manual_seed(seed)
    made = RunoffNetwork(hidden)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape))
    return made


def by_hand(made: RunoffNetwork, FC: float, BETA: float, soil: float, inflow: float) -> float:
    """NN_r of one cell, in NumPy."""
    x = np.array([FC / 1000.0, BETA / 6.0, soil / 1000.0, soil / FC, inflow / 50.0])
    w, b, v, c = (p.detach().numpy().astype(float) for p in made.parameters())
    return 1.0 / (1.0 + np.exp(-(v[0] @ np.maximum(w @ x + b, 0.0) + c[0])))


def test_the_runoff_network_is_what_it_says() -> None:
    """Its output for one cell, computed by hand from the inputs of the paper."""
    made = network()
    for FC, BETA, soil, inflow in (
        (300.0, 2.0, 120.0, 14.0),
        (50.0, 6.0, 0.0, 0.0),
        (1000.0, 1.0, 999.0, 90.0),
    ):
        tensors = [torch.full((1, 1), x, dtype=torch.float64) for x in (inflow, soil, BETA, FC)]
        expected = by_hand(made, FC, BETA, soil, inflow)
        assert made(*tensors).item() == pytest.approx(expected, rel=1e-6)


def test_the_runoff_network_begins_as_the_equation() -> None:
    """Where a training begins: within 0.1 of (S/FC)^β on average, whatever the inflow."""
    torch.manual_seed(3)
    made = RunoffNetwork(16)
    made.imitate_equation()
    wetness, BETA = torch.meshgrid(
        torch.linspace(0.05, 0.95, 19), torch.tensor([1.5, 3.0, 5.0]), indexing="ij"
    )
    for field_capacity in (100.0, 500.0, 900.0):
        FC = torch.full_like(wetness, field_capacity)
        for inflow in (0.5, 10.0, 30.0):
            share = made(torch.full_like(wetness, inflow), wetness * FC, BETA, FC)
            assert (share - wetness**BETA).detach().square().mean().sqrt() < 0.1
    assert all(weight.grad is None for weight in made.parameters())

"""Modules that replace equations: their arguments, the water balance and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.errors import DescriptionError, DimensionError
from hydroxr.physics import simulate
from hydroxr.physics.equations import REPLACEABLE
from hydroxr.physics.runoff_network import RunoffNetwork
from tests.support.oracle import STORES
from tests.support.strategies import WEATHER, Case

# The equations of Table 1 once more, as somebody would write them who replaces one by itself.
EQUATIONS = {
    "effective_rainfall": lambda inflow, soil, BETA, FC: ((soil / FC) ** BETA).clamp(0.0, 1.0),
    "evapotranspiration": lambda pet, soil, FC, LP, BETAET: pet * (soil / (LP * FC)).clamp(0, 1) ** BETAET,
    "percolation": lambda upper, PERC: PERC + 0.0 * upper,
}


def network(seed: int = 0, hidden: int = 5) -> RunoffNetwork:
    """NN_r with weights large enough to show."""
    torch.manual_seed(seed)
    made = RunoffNetwork(hidden)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape))
    return made


def gap(case: Case, series: dict[str, Any], state: dict[str, Any]) -> np.ndarray:
    """What the water balance of each day and cell lacks, mm."""
    stored = sum(np.asarray(series[name]) for name in STORES) + np.asarray(series["channel_storage"])
    before = sum(state[name].mean(-1) for name in STORES) + state["channel_outflow"].sum(-1)
    change = np.diff(stored, axis=0, prepend=before[None])
    return case.precipitation - series["evapotranspiration"] - series["streamflow"] - change


@pytest.mark.parametrize("name", REPLACEABLE)
@pytest.mark.parametrize("kind", ["temperate", "freeze-thaw"])
def test_an_equation_in_its_own_place_changes_nothing(name: str, kind: str) -> None:
    """A process gets what its equation gets, in that order."""
    case = Case(1, 60, 3, 4, kind, dynamic=("BETA",))
    expected, _ = simulate(*case.args, case.state(), OUTPUTS, backend="torch")
    found, _ = simulate(*case.args, case.state(), OUTPUTS, processes={name: EQUATIONS[name]})
    for output in OUTPUTS:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-12, atol=1e-12, err_msg=output)


@pytest.mark.parametrize("kind", WEATHER)
def test_no_process_can_make_or_lose_water(kind: str) -> None:
    """Wild modules in all three places: the balance closes and no store is negative."""
    case = Case(2, 80, 3, 4, kind)
    state = case.state()
    processes = {
        "effective_rainfall": lambda inflow, soil, BETA, FC: 9.0 * torch.sin(soil),
        "evapotranspiration": lambda pet, soil, FC, LP, BETAET: 1e6 * torch.cos(soil),
        "percolation": lambda upper, PERC: 1e6 * torch.sin(upper),
    }
    series, _ = simulate(*case.args, state, OUTPUTS, processes=processes)
    assert np.abs(gap(case, series, state)).max() < 1e-9
    for name in (*STORES, *REPLACEABLE, "runoff"):
        assert series[name].min() >= 0.0, name


@pytest.mark.parametrize("name", REPLACEABLE)
def test_any_module_learns(name: str) -> None:
    """Gradients reach the weights of a module of the user's."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1, dtype=torch.float64)

        def forward(self, first: Tensor, *others: Tensor) -> Tensor:
            return torch.sigmoid(self.layer(first[..., None])[..., 0])

    own = Own()
    case = Case(3, 60, 2, 3, "wet")
    forcing = [torch.tensor(x) for x in case.forcing]
    series, _ = simulate(*forcing, case.parameters, outputs=["runoff"], processes={name: own})
    series["runoff"].square().sum().backward()
    assert all(float(p.grad.abs().sum()) > 0.0 for p in own.parameters())


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("kind", WEATHER)
def test_water_with_the_runoff_network_closes(kind: str, backend: str) -> None:
    """In float64 to rounding."""
    case = Case(4, 80, 9, 3, kind)
    state = case.state()
    processes = {"effective_rainfall": network()}
    series, _ = simulate(*case.args, state, OUTPUTS, backend=backend, processes=processes)
    assert np.abs(gap(case, series, state)).max() < 1e-11


def test_what_cannot_take_a_place_is_refused() -> None:
    """By name, before anything is computed."""
    case = Case(5, 5, 2, 2)
    with pytest.raises(DescriptionError, match=r"'snowmelt'.*effective_rainfall, evapotranspiration"):
        simulate(*case.args, processes={"snowmelt": network()})
    with pytest.raises(DescriptionError, match=r"float.*Module"):
        simulate(*case.args, processes={"percolation": 3.0})  # type: ignore[dict-item]
    with pytest.raises(DescriptionError, match="backend 'cpu' runs no module"):
        simulate(*case.args, backend="cpu", processes={"percolation": EQUATIONS["percolation"]})
    with pytest.raises(DimensionError, match=r"percolation returned \(2,\).*\(2, 2\)"):
        simulate(*case.args, processes={"percolation": lambda upper, PERC: upper[:, 0]})
    with pytest.raises(DimensionError, match="percolation returned float"):
        simulate(*case.args, processes={"percolation": lambda upper, PERC: 1.0})

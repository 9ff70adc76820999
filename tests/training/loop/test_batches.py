"""The streamflow of a batch: its warm-up, and where gradients pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hydroxr.models.parameter_network import to_parameters
from hydroxr.models.specs import DeltaHBV
from hydroxr.physics import PARAMETERS
from hydroxr.training.loop.batches import batch_streamflow, begin_with_best
from hydroxr.training.loop.modules import ConstantParameters
from hydroxr.training.loop.protocol import Protocol, make_protocol
from tests.support.oracle import simulate as oracle
from tests.support.strategies import Case

DAYS, CELLS, COMPONENTS, WARMUP = 30, 3, 2, 12


class Module(torch.nn.Module):
    """A module without networks for equations."""

    runoff = None


def given(dynamic: tuple[str, ...] = ("BETA", "BETAET")) -> tuple[Tensor, dict[str, Tensor]]:
    """Forcing (time, cell, 3) and parameters, float64."""
    case = Case(3, DAYS, CELLS, COMPONENTS, dynamic=dynamic)
    forcing = torch.tensor(np.stack(case.forcing, axis=-1))
    return forcing, {name: torch.tensor(value) for name, value in case.parameters.items()}


def protocol(**options: Any) -> Protocol:
    """A protocol with a window of the days after the warm-up."""
    usual = {"warmup": WARMUP, "window": DAYS - WARMUP}
    return make_protocol("default", "lstm", usual | options)


def expected(forcing: Tensor, parameters: dict[str, Tensor]) -> np.ndarray:
    """The oracle's streamflow after the warm-up."""
    arrays = {name: value.numpy() for name, value in parameters.items()}
    series = oracle(*forcing.numpy().transpose(2, 0, 1), arrays)[0]
    return series["streamflow"][WARMUP:]


@pytest.mark.parametrize("gradient", [True, False])
def test_dynamic_parameters_of_each_day_in_the_warmup(gradient: bool) -> None:
    """One run from nearly empty stores, in one part or two."""
    forcing, parameters = given()
    flow = batch_streamflow(Module(), forcing, parameters, protocol(warmup_gradient=gradient))
    np.testing.assert_allclose(flow, expected(forcing, parameters), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gradient", [True, False])
def test_dynamic_parameters_of_the_last_day_in_the_warmup(gradient: bool) -> None:
    """As in the paper: every day of the warm-up has those of its last day."""
    forcing, parameters = given()
    options = {"warmup_parameters": "last day", "warmup_gradient": gradient}
    flow = batch_streamflow(Module(), forcing, parameters, protocol(**options))
    frozen = {name: value.clone() for name, value in parameters.items()}
    for name in ("BETA", "BETAET"):
        frozen[name][:WARMUP] = frozen[name][WARMUP - 1]
    np.testing.assert_allclose(flow, expected(forcing, frozen), rtol=1e-9, atol=1e-12)
    assert not np.allclose(flow, expected(forcing, parameters), rtol=1e-9)


def gradients(forcing: Tensor, parameters: dict[str, Tensor], **options: Any) -> dict[str, Tensor]:
    """Gradients of the sum of streamflow."""
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    flow = batch_streamflow(Module(), forcing, leaves, protocol(**options))
    return dict(zip(leaves, torch.autograd.grad(flow.sum(), list(leaves.values())), strict=True))


def by_difference(forcing: Tensor, parameters: dict[str, Tensor], name: str) -> float:
    """Gradient of the sum of streamflow with respect to one static parameter, through the whole run."""
    sums = []
    for sign in (1, -1):
        other = parameters | {name: parameters[name] * (1 + sign * 1e-6)}
        sums.append(float(batch_streamflow(Module(), forcing, other, protocol()).sum()))
    return (sums[0] - sums[1]) / 2e-6


def test_gradients_pass_through_the_warmup_where_they_should() -> None:
    """With warmup_gradient, FC counts from the first day on; without it, only in the window."""
    forcing, parameters = given()
    through, cut = (gradients(forcing, parameters, warmup_gradient=on) for on in (True, False))
    expected = by_difference(forcing, parameters, "FC")
    assert float((through["FC"] * parameters["FC"]).sum()) == pytest.approx(expected, rel=1e-5)
    assert float((cut["FC"] * parameters["FC"]).sum()) != pytest.approx(expected, rel=1e-2)
    for name in ("BETA", "BETAET"):
        assert (through[name][:WARMUP] != 0).any()
        assert (cut[name][:WARMUP] == 0).all()
        assert (cut[name][WARMUP:] != 0).any()


def test_with_the_paper_s_warmup_no_day_of_it_has_a_gradient() -> None:
    """Not even on the last day, which gives the warm-up its parameters, unless gradients pass through."""
    forcing, parameters = given()
    cut = gradients(forcing, parameters, warmup_gradient=False, warmup_parameters="last day")
    assert (cut["BETA"][:WARMUP] == 0).all()
    through = gradients(forcing, parameters, warmup_gradient=True, warmup_parameters="last day")
    assert (through["BETA"][WARMUP - 1] != 0).any()
    assert (through["BETA"][: WARMUP - 1] == 0).all()


@pytest.mark.parametrize("gradient", [True, False])
def test_without_warmup_the_window_starts_empty(gradient: bool) -> None:
    """Then all days count."""
    forcing, parameters = given(())
    assert set(parameters) <= set(PARAMETERS)
    options = protocol(warmup=0, window=DAYS, warmup_gradient=gradient)
    flow = batch_streamflow(Module(), forcing, parameters, options)
    arrays = {name: value.numpy() for name, value in parameters.items()}
    series = oracle(*forcing.numpy().transpose(2, 0, 1), arrays)[0]
    np.testing.assert_allclose(flow, series["streamflow"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("components", [1, 3])
def test_constant_parameters_begin_with_the_best_of_random_sets(components: int) -> None:
    """In each cell by itself; a cell without observations begins in the middle.

    The streamflow is that of one set of parameters per cell. From the middle of the ranges the errors are
    larger.
    """
    single = DeltaHBV(components=1, network="constant")
    series = np.stack(Case(3, 400, 4, 1).forcing, axis=-1)
    forcing = torch.tensor(series, dtype=torch.float32)
    places = torch.tensor([0.15, 0.3, 0.85, 0.5])[:, None].expand(4, single.size)
    settings = make_protocol("default", "constant", {"warmup": 100, "window": 300, "draws": 200})
    observed = batch_streamflow(
        Module(), forcing, to_parameters(torch.logit(places), single), replace(settings, warmup=0)
    )
    observed[:, 3] = torch.nan

    def errors(draws: int) -> Tensor:
        torch.manual_seed(0)
        module = ConstantParameters(replace(single, components=components), 4)
        begin_with_best(module, forcing, observed, replace(settings, draws=draws))
        with torch.no_grad():
            flow = batch_streamflow(module, forcing, module(torch.arange(4)), settings)
        assert (module.logits[3].abs() <= 1.0).all()
        return (((flow - observed[100:]) ** 2).mean(0) / observed[100:].var(0))[:3]

    found = errors(200)
    assert (found < 0.5 * errors(0)).all()
    assert (found < 0.5).all()

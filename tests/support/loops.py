"""Runs of any loop through the days, for tests that compare loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hydroxr.physics import loop_torch
from hydroxr.physics.equations import DAY_FLUXES, DAY_PARAMETERS, STORES
from hydroxr.physics.parameters import WEIGHT
from hydroxr.physics.runoff_network import RunoffNetwork
from tests.support.strategies import Case

SERIES = (*STORES, *DAY_FLUXES, "runoff")
FORCING = ("precipitation", "temperature", "pet")
LEAVES = (*FORCING, *DAY_PARAMETERS, *STORES)
Tensors = dict[str, torch.Tensor]


def leaves_of(case: Case, dtype: torch.dtype = torch.float64) -> Tensors:
    """Forcing, parameters of the day and initial stores of a case."""
    arrays = {**dict(zip(FORCING, case.forcing, strict=True)), **case.parameters, **case.state()}
    missing = np.ones((case.cells, case.components))
    return {name: torch.tensor(arrays.get(name, missing), dtype=dtype) for name in LEAVES}


def network(seed: int, hidden: int) -> RunoffNetwork:
    """NN_r with doubled initial weights, so that every input matters."""
    torch.manual_seed(seed)
    module = RunoffNetwork(hidden)
    with torch.no_grad():
        for weights in module.parameters():
            weights.mul_(2.0)
    return module


def run(
    loop: Any,
    leaves: Tensors,
    wanted: tuple[str, ...] = SERIES,
    components: bool | tuple[str, ...] = False,
    network: RunoffNetwork | None = None,
    rows: torch.Tensor | None = None,
) -> Tensors:
    """Series and final stores in one dict; all as components, some, or none."""
    forcing = tuple(leaves[name] for name in FORCING)
    parameters = {name: leaves[name] for name in DAY_PARAMETERS}
    stores = {name: leaves[name] for name in STORES}
    processes = {} if network is None else {"effective_rainfall": network}
    parameters |= {WEIGHT: leaves[WEIGHT]} if WEIGHT in leaves else {}
    whole = wanted if components is True else components or ()
    series, final = loop.run(forcing, parameters, stores, wanted, whole, processes, rows)
    assert tuple(series) == wanted
    assert tuple(final) == STORES
    return {**series, **{f"final {name}": value for name, value in final.items()}}


def gradients(
    loop: Any,
    leaves: Tensors,
    wanted: tuple[str, ...] = SERIES,
    components: bool | tuple[str, ...] = False,
    network: RunoffNetwork | None = None,
    device: torch.device | str = "cpu",
    rows: torch.Tensor | None = None,
) -> tuple[Tensors, Tensors]:
    """Results and gradients of all leaves and weights, for random cotangents of all results, on the CPU."""
    inputs = {name: value.detach().clone().to(device).requires_grad_() for name, value in leaves.items()}
    weights: Tensors = {}
    if network is not None:
        network = network.to(device, leaves["FC"].dtype)
        weights = {f"weights {name}": value for name, value in network.named_parameters()}
    results = run(loop, inputs, wanted, components, network, rows)
    generator = torch.Generator().manual_seed(0)
    cotangents = [
        torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for x in results.values()
    ]
    of = {**inputs, **weights}
    found = torch.autograd.grad(list(results.values()), list(of.values()), cotangents)
    return (
        {name: value.detach().cpu() for name, value in results.items()},
        {name: value.cpu() for name, value in zip(of, found, strict=True)},
    )


def hold(leaves: Tensors, rows: torch.Tensor) -> Tensors:
    """The same leaves, with dynamic parameters reduced to the first day of each row."""
    first = torch.tensor([rows.tolist().index(row) for row in range(int(rows[-1]) + 1)])
    return leaves | {name: leaves[name][first] for name in DAY_PARAMETERS if leaves[name].ndim == 3}


def near(found: Tensors, expected: Tensors, relative: float, least: float, label: Any = "") -> None:
    """Differences are small relative to each value or to the largest one of its array."""
    for name, value in expected.items():
        size = max(float(value.detach().abs().max()), least)
        torch.testing.assert_close(
            found[name].double(),
            value.double(),
            rtol=relative,
            atol=relative * size,
            msg=lambda text, name=name: f"{name} of {label}: {text}",
        )


def agree(
    loop: Any,
    case: Case,
    leaves: Tensors | None = None,
    reference: Any = loop_torch,
    device: torch.device | str = "cpu",
    **options: Any,
) -> None:
    """Assert that results are within 1e-9 and gradients within 1e-6 of the reference loop."""
    leaves = leaves_of(case) if leaves is None else leaves
    expected, expected_gradients = gradients(reference, leaves, **options)
    found, found_gradients = gradients(loop, leaves, device=device, **options)
    near(found, expected, 1e-9, 1e-6, case)
    near(found_gradients, expected_gradients, 1e-6, 1e-6, case)

"""The training loop: batches in, weights out.

Arrays only; labels stay with the caller.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..description import DeltaHBV
from ..errors import DescriptionError, MissingObservationError, TrainingError
from ..physics.runoff_network import RunoffNetwork
from ..physics.simulation import arrange_parameters, empty_state, simulate_tensors
from .losses import paper_loss
from .network import N_FORCING, ParameterNetwork, to_parameters
from .sampler import WindowSampler

GRADIENT_NORM = 1.0  # longer gradients are cut to this length
# Largest rates of the optimisers. Adam's decays to zero along a cosine; Adadelta's, as in the
# paper, is its own affair. Parameters fitted directly bear, and need, longer steps.
_RATES = {
    ("adam", "lstm"): 3e-3,
    ("adam", "constant"): 1e-1,
    ("adadelta", "lstm"): 1.0,
    ("adadelta", "constant"): 1.0,
}


@dataclass(frozen=True)
class TrainingData:
    """What is learned from, complete and in the model's units.

    Parameters
    ----------
    forcing : array, (time, space, 3), float32
        Precipitation, temperature, PET; nothing missing.
    attributes : array, (space, attribute), float32
        NaN where missing; no columns for a constant network.
    observed : array, (time, space), float32
        Streamflow, mm/day, NaN where missing.
    """

    forcing: np.ndarray
    attributes: np.ndarray
    observed: np.ndarray


@dataclass(frozen=True)
class Protocol:
    """How it is trained; see :meth:`hydroxr.accessor.HBVAccessor.fit` for the meaning of each."""

    iterations: int
    batch: int
    window: int
    warmup: int
    optimizer: str
    learning_rate: float
    seed: int


class ConstantParameters(nn.Module):
    """A parameter set a cell, fitted directly, in the place of a network."""

    def __init__(self, description: DeltaHBV, n_cells: int) -> None:
        super().__init__()
        self.description = description
        # Components that start alike stay alike: spread them over the middle of the ranges.
        self.logits = nn.Parameter(torch.empty(n_cells, description.size).uniform_(-1.0, 1.0))
        self.runoff = RunoffNetwork(description.runoff_network) if description.runoff_network else None

    def forward(self, cells: Tensor) -> dict[str, Tensor]:
        """Parameters of ``cells``, (batch, component) or (batch,)."""
        return to_parameters(torch.sigmoid(self.logits[cells]), self.description)


def default_rate(optimizer: str, network: str) -> float:
    """The learning rate for an optimiser and a network.

    Raises
    ------
    DescriptionError
        Where the optimiser is not known.
    """
    if (optimizer, network) not in _RATES:
        raise DescriptionError(f"optimizer {optimizer!r} is not known; expected 'adam' or 'adadelta'.")
    return _RATES[optimizer, network]


def train(
    description: DeltaHBV, data: TrainingData, protocol: Protocol, device: str, progress: bool
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Train a model.

    Returns
    -------
    weights
        Of the network (its normalisation among them) or, for a constant one, ``logits``.
    history
        ``loss`` and ``seconds`` of each iteration.

    Raises
    ------
    TrainingError
        Where the loss is not a finite number.
    """
    with _seeded(protocol.seed):
        module = _module(description, data).to(device)
    module.train()
    sampler = WindowSampler(
        data.observed,
        batch=protocol.batch,
        window=protocol.window,
        warmup=protocol.warmup,
        seed=protocol.seed,
    )
    if sampler.is_empty:
        raise MissingObservationError(
            f"no window of {protocol.window} days after {protocol.warmup} days of warm-up has observed "
            "streamflow; choose a longer period, or smaller window and warmup."
        )
    forcing = torch.from_numpy(data.forcing).to(device)
    attributes = torch.from_numpy(data.attributes).to(device)
    observed = torch.from_numpy(data.observed).to(device)
    optimizer, schedule = _optimizer(module, protocol)
    days = torch.arange(protocol.warmup + protocol.window, device=device)[:, None]
    history: dict[str, list[float]] = {"loss": [], "seconds": []}
    started = time.perf_counter()
    with (
        _seeded(protocol.seed),
        tqdm(total=protocol.iterations, desc="fit", unit="it", disable=not progress) as bar,
    ):
        for iteration in range(protocol.iterations):
            cells, starts = (torch.from_numpy(part).to(device) for part in sampler.draw())
            rows = days + starts
            target = observed[rows[protocol.warmup :], cells]
            streamflow = _streamflow(module, forcing[rows, cells], attributes, cells, protocol.warmup)
            loss = paper_loss(streamflow, target)
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"the loss is {float(loss.detach())} in iteration {iteration + 1}; "
                    "look at the data of the cells, or lower the learning rate."
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(module.parameters(), GRADIENT_NORM)
            if not bool(torch.isfinite(norm)):
                raise TrainingError(
                    f"the gradient of the loss is not finite in iteration {iteration + 1}; "
                    "look at the data of the cells, or lower the learning rate."
                )
            optimizer.step()
            schedule.step()
            history["loss"].append(float(loss.detach()))
            history["seconds"].append(time.perf_counter() - started)
            bar.set_postfix_str(f"loss {np.mean(history['loss'][-20:]):.4f}", refresh=False)
            bar.update()
    weights = {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}
    return weights, history


def _streamflow(module: Any, forcing: Tensor, attributes: Tensor, cells: Tensor, warmup: int) -> Tensor:
    """Streamflow of a batch after its warm-up, (window, batch); no gradient through the warm-up."""
    parameters = _parameters(module, forcing, attributes, cells)
    parameters = arrange_parameters(parameters, tuple(forcing.shape[:2]))

    def stretch(first: int, last: int) -> tuple[tuple[Tensor, Tensor, Tensor], dict[str, Tensor]]:
        values = {name: value[first:last] if value.ndim == 3 else value for name, value in parameters.items()}
        part = forcing[first:last]
        return (part[..., 0], part[..., 1], part[..., 2]), values

    processes = {} if module.runoff is None else {"effective_rainfall": module.runoff}
    n_components = parameters["BETA"].shape[-1]
    state = empty_state(forcing.shape[1], n_components, routed=True, like=forcing)
    n_days = forcing.shape[0]
    if warmup:
        with torch.no_grad():
            _, state = simulate_tensors(*stretch(0, warmup), state, (), processes=processes)
    series, _ = simulate_tensors(*stretch(warmup, n_days), state, ("streamflow",), processes=processes)
    return series["streamflow"]


def _parameters(
    module: nn.Module, forcing: Tensor, attributes: Tensor, cells: Tensor
) -> Mapping[str, Tensor]:
    if isinstance(module, ConstantParameters):
        return module(cells)
    assert isinstance(module, ParameterNetwork)
    description = module.description
    hidden, _ = module(forcing, attributes[cells])
    static = tuple(name for name in description.parameters if name not in description.dynamic)
    parameters = module.parameters_from(hidden[-1], static)
    return parameters | (module.parameters_from(hidden, description.dynamic) if description.dynamic else {})


def _module(description: DeltaHBV, data: TrainingData) -> nn.Module:
    if description.network == "constant":
        return ConstantParameters(description, data.forcing.shape[1])
    assert data.forcing.shape[2] == N_FORCING
    network = ParameterNetwork(description, data.attributes.shape[1])
    network.set_normalisation(torch.from_numpy(data.forcing), torch.from_numpy(data.attributes))
    return network


def _optimizer(module: nn.Module, protocol: Protocol) -> tuple[torch.optim.Optimizer, Any]:
    if protocol.optimizer == "adadelta":
        adadelta = torch.optim.Adadelta(module.parameters(), lr=protocol.learning_rate)
        return adadelta, torch.optim.lr_scheduler.LambdaLR(adadelta, lambda _: 1.0)
    adam = torch.optim.Adam(module.parameters(), lr=protocol.learning_rate)
    share = 1.0 / max(protocol.iterations, 1)
    return adam, torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: 0.5 * (1.0 + math.cos(math.pi * step * share))
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's random numbers inside, and give the caller's back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield

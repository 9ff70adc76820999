"""What is learned from, and the streamflow that a module gives a batch of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...models.parameter_network import ParameterNetwork, to_parameters
from ...models.specs import DeltaHBV, LSTMStreamflow, Spec
from ...models.streamflow_network import StreamflowNetwork
from ...physics.arguments import arrange_parameters, empty_state
from ...physics.runoff_network import RunoffNetwork
from ...physics.simulation import simulate_tensors
from .protocol import Protocol


@dataclass(frozen=True)
class TrainingData:
    """What is learned from, complete and in the model's units.

    Parameters
    ----------
    forcing : array, (time, space, forcing), float32
        In the order of the description; nothing missing.
    attributes : array, (space, attribute), float32
        NaN where missing; no columns for a constant network.
    observed : array, (time, space), float32
        Streamflow, mm/day, NaN where missing.
    names : tuple of str
        Of the cells, for messages.
    days : array, (time,)
        Dates, for messages.
    """

    forcing: np.ndarray
    attributes: np.ndarray
    observed: np.ndarray
    names: tuple[str, ...] = ()
    days: np.ndarray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class ValidationData:
    """What a model is judged by while it is trained; arrays as in :class:`TrainingData`.

    Parameters
    ----------
    forcing : array, (time, space, forcing), float32
        From the first day of the warm-up on.
    attributes : array, (space, attribute), float32
    observed : array, (time, space), float32
        NaN in the warm-up too.
    window : array, (day, space, forcing), float32
        The last days of the training period, at whose end static parameters are read.
    places : array, (space,), int
        Of the cells among those that are trained on; what a constant network knows them by.
    """

    forcing: np.ndarray
    attributes: np.ndarray
    observed: np.ndarray
    window: np.ndarray
    places: np.ndarray


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


GivesParameters = ConstantParameters | ParameterNetwork
Trainable = GivesParameters | StreamflowNetwork


def make_module(description: Spec, data: TrainingData) -> Trainable:
    """What is trained, with random weights and the normalisation of the data."""
    assert data.forcing.shape[2] == len(description.forcing)
    forcing, attributes = torch.from_numpy(data.forcing), torch.from_numpy(data.attributes)
    if isinstance(description, LSTMStreamflow):
        lstm = StreamflowNetwork(description, attributes.shape[1])
        lstm.set_normalisation(forcing, attributes)
        lstm.set_target(torch.from_numpy(data.observed))
        return lstm
    module: GivesParameters
    if description.network == "constant":
        module = ConstantParameters(description, data.forcing.shape[1])
    else:
        module = ParameterNetwork(description, attributes.shape[1])
        module.set_normalisation(forcing, attributes)
    if module.runoff is not None:
        module.runoff.imitate_equation()
    return module


def batch_output(
    module: StreamflowNetwork, forcing: Tensor, attributes: Tensor, protocol: Protocol
) -> Tensor:
    """An LSTM's normalised streamflow after the warm-up, (window, batch).

    Parameters
    ----------
    module : StreamflowNetwork
    forcing : Tensor, (time, batch, forcing)
    attributes : Tensor, (batch, attribute)
    protocol : Protocol
    """
    warmup = protocol.warmup
    hidden, _ = module(forcing, attributes, without_gradient=0 if protocol.warmup_gradient else warmup)
    return module.output(hidden[warmup:])


def batch_parameters(
    module: GivesParameters, forcing: Tensor, attributes: Tensor, cells: Tensor
) -> Mapping[str, Tensor]:
    """HBV's parameters for a batch: dynamic ones of every day, static ones of the last day.

    Parameters
    ----------
    module : ConstantParameters or ParameterNetwork
    forcing : Tensor, (time, batch, 3)
    attributes : Tensor, (space, attribute)
    cells : Tensor, (batch,)
        Which of space.
    """
    if isinstance(module, ConstantParameters):
        return module(cells)
    description = module.description
    hidden, _ = module(forcing, attributes[cells])
    static = tuple(name for name in description.parameters if name not in description.dynamic)
    parameters = module.parameters_from(hidden[-1], static)
    return parameters | (module.parameters_from(hidden, description.dynamic) if description.dynamic else {})


def processes_of(module: GivesParameters) -> dict[str, nn.Module]:
    """The modules in the place of equations."""
    return {} if module.runoff is None else {"effective_rainfall": module.runoff}


def batch_streamflow(
    module: GivesParameters, forcing: Tensor, parameters: Mapping[str, Tensor], protocol: Protocol
) -> Tensor:
    """Streamflow of a batch after its warm-up, (window, batch)."""
    n_days, n_cells = forcing.shape[:2]
    warmup = protocol.warmup
    arranged = arrange_parameters(parameters, (n_days, n_cells))
    state = empty_state(n_cells, arranged["BETA"].shape[-1], routed=True, like=forcing)
    processes = processes_of(module)

    def run(first: int, last: int, of: Mapping[str, Tensor], outputs: tuple[str, ...]) -> Any:
        days = forcing[first:last]
        return simulate_tensors(
            (days[..., 0], days[..., 1], days[..., 2]), of, state, outputs, processes=processes
        )

    if not warmup or (protocol.warmup_gradient and protocol.warmup_parameters == "daily"):
        return run(0, n_days, arranged, ("streamflow",))[0]["streamflow"][warmup:]
    before, after = {}, {}
    for name, value in arranged.items():
        varies = value.ndim == 3
        last_day = protocol.warmup_parameters == "last day"
        before[name] = value if not varies else value[warmup - 1] if last_day else value[:warmup]
        after[name] = value[warmup:] if varies else value
    with nullcontext() if protocol.warmup_gradient else torch.no_grad():
        _, state = run(0, warmup, before, ())
    return run(warmup, n_days, after, ("streamflow",))[0]["streamflow"]

"""The torch module that is trained: a network, or constant parameters for each cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...models.filter_network import FilterNetwork
from ...models.model import RIVERS
from ...models.parameter_network import ParameterNetwork, to_parameters
from ...models.specs import DeltaHBV, LSTMStreamflow, Spec
from ...models.streamflow_network import StreamflowNetwork
from ...physics.rivers.learnt import RiverParameters
from ...physics.runoff_network import RunoffNetwork
from ..processes import ALONE, Processes
from .arrays import TrainingData
from .protocol import Protocol

RIVER_RATE = 0.05  # largest learning rate of K and X
OFFSET_DECAY = 0.05  # of the offsets of cells: share by which a step of learning rate 1 shortens them


class ConstantParameters(nn.Module):
    """One parameter set per cell, fitted directly instead of by a network."""

    def __init__(self, description: DeltaHBV, n_cells: int) -> None:
        super().__init__()
        self.description = description
        # Components that start alike stay alike: spread them over the middle of the ranges.
        self.logits = nn.Parameter(torch.empty(n_cells, description.size).uniform_(-1.0, 1.0))
        self.runoff = RunoffNetwork(description.runoff_network) if description.runoff_network else None

    def forward(self, cells: Tensor) -> dict[str, Tensor]:
        """Parameters of ``cells``: (batch, component), or (batch,) for the routing."""
        return to_parameters(self.logits[cells], self.description)


GivesParameters = ConstantParameters | FilterNetwork | ParameterNetwork
Trainable = GivesParameters | StreamflowNetwork


def make_module(
    description: Spec, data: TrainingData, least: float = 0.0, processes: Processes = ALONE
) -> Trainable:
    """The module to train, with random weights and the normalisation of the training data.

    ``least`` is the protocol's ``least_deviation``.
    """
    assert data.forcing.shape[2] == len(description.forcing)
    forcing, attributes = torch.from_numpy(data.forcing), torch.from_numpy(data.attributes)
    if isinstance(description, LSTMStreamflow):
        lstm = StreamflowNetwork(description, attributes.shape[1])
        lstm.set_normalisation(forcing, attributes, least, processes.moments)
        lstm.set_target(torch.from_numpy(data.observed), least, processes.moments)
        return lstm
    module: GivesParameters
    if description.network == "constant":
        module = ConstantParameters(description, data.cells)
    else:
        if description.reads_window:
            module = ParameterNetwork(description, attributes.shape[1])
        else:
            module = FilterNetwork(description, attributes.shape[1], data.cells)
        module.set_normalisation(forcing, attributes, least, processes.moments)
    if module.runoff is not None:
        module.runoff.imitate_equation()
    if data.rivers is not None:
        start = (data.rivers.travel_time, data.rivers.x, data.rivers.attributes)
        module.add_module("rivers", RiverParameters(*map(torch.from_numpy, start)))
    return module


def make_optimizer(module: Trainable, protocol: Protocol) -> torch.optim.Optimizer:
    """The optimiser of a training; offsets of cells decay towards 0, and rivers have a rate of their own."""
    kind = {"adam": torch.optim.AdamW, "adadelta": torch.optim.Adadelta}[protocol.optimizer]
    named = dict(module.named_parameters())
    own = {name: value for name, value in named.items() if name == "offsets"}
    rivers = [value for name, value in named.items() if name.startswith(RIVERS)]
    rest = [value for name, value in named.items() if name not in own and not name.startswith(RIVERS)]
    groups: list[dict[str, Any]] = [{"params": rest}]
    if rivers:
        groups.append({"params": rivers, "share": min(1.0, RIVER_RATE / protocol.learning_rate)})
    groups += [{"params": [value], "weight_decay": OFFSET_DECAY} for value in own.values()]
    return kind(groups, lr=protocol.learning_rate, weight_decay=0.0)


def processes_of(module: GivesParameters) -> dict[str, nn.Module]:
    """Networks that replace an equation of HBV, by the name of the process."""
    return {} if module.runoff is None else {"effective_rainfall": module.runoff}

"""The torch module that is trained: a network, or constant parameters for each cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...models.filter_network import FilterNetwork
from ...models.model import RIVERS
from ...models.parameter_network import Moments, ParameterNetwork, to_parameters
from ...models.specs import DeltaHBV, LSTMStreamflow, Spec
from ...models.streamflow_network import StreamflowNetwork
from ...physics.rivers.learnt import RiverParameters
from ...physics.runoff_network import RunoffNetwork
from ..pool import ahead
from ..processes import ALONE, Processes, pooled_moments
from .arrays import ShardedData, TrainingData
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
    description: Spec, data: TrainingData | ShardedData, least: float = 0.0, processes: Processes = ALONE
) -> Trainable:
    """The module to train, with random weights and the normalisation of the training data.

    ``least`` is the protocol's ``least_deviation``.
    """
    n_attributes = data.attributes.shape[1]
    if isinstance(description, LSTMStreamflow):
        lstm = StreamflowNetwork(description, n_attributes)
        _normalise(lstm, data, least, processes)
        return lstm
    module: GivesParameters
    if description.network == "constant":
        module = ConstantParameters(description, data.cells)
    else:
        if description.reads_window:
            module = ParameterNetwork(description, n_attributes)
        else:
            module = FilterNetwork(description, n_attributes, data.cells)
        _normalise(module, data, least, processes)
    if module.runoff is not None:
        module.runoff.imitate_equation()
    if data.rivers is not None:
        start = (data.rivers.travel_time, data.rivers.x, data.rivers.attributes)
        module.add_module("rivers", RiverParameters(*map(torch.from_numpy, start)))
    return module


def _normalise(
    module: FilterNetwork | ParameterNetwork | StreamflowNetwork,
    data: TrainingData | ShardedData,
    least: float,
    processes: Processes,
) -> None:
    """Give a network the normalisation of the data."""
    attributes = torch.from_numpy(data.attributes)

    def take(forcing: np.ndarray, observed: np.ndarray, moments: Moments) -> None:
        assert forcing.shape[2] == len(module.description.forcing)
        module.set_normalisation(torch.from_numpy(forcing), attributes, least, moments)
        if isinstance(module, StreamflowNetwork):
            module.set_target(torch.from_numpy(observed), least, moments)

    if isinstance(data, TrainingData):
        take(data.forcing, data.observed, processes.moments)
        return
    # Moments of all cells from those of shards. The running means of a filter network are those of
    # normalised forcing, so that their moments are known when those of the forcing are.
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    known: list[tuple[Tensor, Tensor]] = []
    for _ in range(2 if isinstance(module, FilterNetwork) else 1):
        found = []
        for forcing, observed in ahead(data.read, data.shards(data.own)):
            module.load_state_dict(fresh)
            record = _Record(known)
            take(forcing, observed, record)
            found.append(record.found)
        known = [pooled_moments(parts) for parts in zip(*found, strict=True)]
    module.load_state_dict(fresh)
    take(forcing[:, :1], observed[:, :1], _Record(known))


class _Record:
    """Takes the moments of a shard, and gives those of all shards where they are known."""

    def __init__(self, known: list[tuple[Tensor, Tensor]]) -> None:
        self.known = known
        self.found: list[tuple[int, Tensor, Tensor]] = []

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor]:
        place = len(self.found)
        self.found.append((values.numel() // values.shape[-1], *ALONE.moments(values)))
        return self.known[place] if place < len(self.known) else self.found[place][1:]


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

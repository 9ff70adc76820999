"""The torch module that is trained: a network, or constant parameters for each cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...models.filter_network import FilterNetwork
from ...models.parameter_network import ParameterNetwork, to_parameters
from ...models.specs import DeltaHBV, LSTMStreamflow, Spec
from ...models.streamflow_network import StreamflowNetwork
from ...physics.runoff_network import RunoffNetwork
from .arrays import TrainingData


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
        return to_parameters(torch.sigmoid(self.logits[cells]), self.description)


GivesParameters = ConstantParameters | FilterNetwork | ParameterNetwork
Trainable = GivesParameters | StreamflowNetwork


def make_module(description: Spec, data: TrainingData, least: float = 0.0) -> Trainable:
    """The module to train, with random weights and the normalisation of the training data.

    ``least`` is the protocol's ``least_deviation``.
    """
    assert data.forcing.shape[2] == len(description.forcing)
    forcing, attributes = torch.from_numpy(data.forcing), torch.from_numpy(data.attributes)
    if isinstance(description, LSTMStreamflow):
        lstm = StreamflowNetwork(description, attributes.shape[1])
        lstm.set_normalisation(forcing, attributes, least)
        lstm.set_target(torch.from_numpy(data.observed), least)
        return lstm
    module: GivesParameters
    if description.network == "constant":
        module = ConstantParameters(description, data.forcing.shape[1])
    else:
        network = ParameterNetwork if description.reads_window else FilterNetwork
        module = network(description, attributes.shape[1])
        module.set_normalisation(forcing, attributes, least)
    if module.runoff is not None:
        module.runoff.imitate_equation()
    return module


def processes_of(module: GivesParameters) -> dict[str, nn.Module]:
    """Networks that replace an equation of HBV, by the name of the process."""
    return {} if module.runoff is None else {"effective_rainfall": module.runoff}

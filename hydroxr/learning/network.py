"""The parameter network g_A: from forcing and attributes to the parameters of HBV.

Feng et al. (2022), section 2.1, as trained there: a linear layer with ReLU, an LSTM, a linear
layer, a sigmoid. The normalisation of the inputs belongs to the network and is kept with it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..description import DeltaHBV
from ..physics.parameters import PARAMETERS, ROUTING
from ..physics.runoff_network import RunoffNetwork

N_FORCING = 3  # precipitation, temperature, potential evapotranspiration

# Where only the last day's output is used, the gradient decays on its way back through the days
# until its numbers are subnormal, with which a CPU computes some twenty times slower. Every few
# weeks what has no weight any more is therefore set to zero.
_STRETCH = 32  # days
_TRACE = 1e-20

_DROPOUT = 0.5  # in training, of a description that leaves it to the training protocol

NetworkState = tuple[Tensor, Tensor]  # hidden and cell state, each (space, hidden)


def _without_traces(gradient: Tensor) -> Tensor:
    return torch.where(gradient.abs() < _TRACE, 0.0, gradient)


def transform_precipitation(precipitation: Tensor) -> Tensor:
    """log10(sqrt(P) + 0.1), which brings precipitation near a normal distribution."""
    return torch.log10(torch.sqrt(precipitation) + 0.1)


def to_parameters(
    unit: Tensor, description: DeltaHBV, names: tuple[str, ...] | None = None
) -> dict[str, Tensor]:
    """Map a network's output in (0, 1) onto the parameters' ranges.

    Parameters
    ----------
    unit : Tensor, (..., n)
        For each of ``names`` in order: one number a component, one for a parameter of routing.
    names : tuple of str, optional
        Default: all parameters of the model, in the order of the table.

    Returns
    -------
    dict of Tensor
        (..., component), or (...) for UH_SHAPE and UH_SCALE.
    """
    names = description.parameters if names is None else names
    widths = [1 if name in ROUTING else description.components for name in names]
    out = {}
    for name, part in zip(names, unit.split(widths, dim=-1), strict=True):
        row = PARAMETERS[name]
        value = row.lower + (row.upper - row.lower) * part
        out[name] = value[..., 0] if name in ROUTING else value
    return out


class ParameterNetwork(nn.Module):
    """g_A with its normalisation, and NN_r (``runoff``) where the model has it.

    Parameters
    ----------
    description : DeltaHBV
        Components, dynamic parameters, width, dropout.
    n_attributes : int
        Static inputs a cell.

    Attributes
    ----------
    lstm_dtype : torch.dtype
        In which the LSTM computes while it is trained; weights, their gradients and all else are
        float32. Without training it is float32 as well.
    """

    forcing_mean: Tensor
    forcing_std: Tensor
    attribute_mean: Tensor
    attribute_std: Tensor

    def __init__(self, description: DeltaHBV, n_attributes: int) -> None:
        super().__init__()
        self.description = description
        self.lstm_dtype = torch.float32
        hidden = description.hidden
        self.encode = nn.Linear(N_FORCING + n_attributes, hidden)
        bound = 1.0 / math.sqrt(hidden)
        self.weight_input = nn.Parameter(torch.empty(4 * hidden, hidden).uniform_(-bound, bound))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden, hidden).uniform_(-bound, bound))
        self.bias_input = nn.Parameter(torch.empty(4 * hidden).uniform_(-bound, bound))
        self.bias_hidden = nn.Parameter(torch.empty(4 * hidden).uniform_(-bound, bound))
        self.decode = nn.Linear(hidden, description.size)
        self.runoff = RunoffNetwork(description.runoff_network) if description.runoff_network else None
        self.register_buffer("forcing_mean", torch.zeros(N_FORCING))
        self.register_buffer("forcing_std", torch.ones(N_FORCING))
        self.register_buffer("attribute_mean", torch.zeros(n_attributes))
        self.register_buffer("attribute_std", torch.ones(n_attributes))

    def set_normalisation(self, forcing: Tensor, attributes: Tensor) -> None:
        """Take means and standard deviations from the training data.

        Parameters
        ----------
        forcing : Tensor, (time, space, 3)
            Precipitation, temperature, PET of the training period.
        attributes : Tensor, (space, attribute)
            May have NaN. A standard deviation under 0.001 counts as 1.
        """
        for index in range(N_FORCING):  # one at a time: a copy of the whole would not be small
            series = forcing[..., index]
            series = transform_precipitation(series) if index == 0 else series
            std, mean = torch.std_mean(series.double(), correction=0)
            self.forcing_mean[index], self.forcing_std[index] = mean, torch.where(std < 1e-3, 1.0, std)
        present = ~torch.isnan(attributes)
        count = present.sum(0).clamp(min=1)
        values = attributes.double()
        mean = torch.where(present, values, 0.0).sum(0) / count
        std = (torch.where(present, values - mean, 0.0).square().sum(0) / count).sqrt()
        self.attribute_mean.copy_(mean)
        self.attribute_std.copy_(torch.where(std < 1e-3, 1.0, std))

    def _encoded(self, forcing: Tensor, attributes: Tensor) -> Tensor:
        """First layer on the normalised inputs; the attributes' share is computed once, not daily."""
        daily = torch.cat([transform_precipitation(forcing[..., :1]), forcing[..., 1:]], dim=-1)
        daily = (daily - self.forcing_mean) / self.forcing_std
        static = torch.nan_to_num((attributes - self.attribute_mean) / self.attribute_std, nan=0.0)
        weight = self.encode.weight
        constant = nn.functional.linear(static, weight[:, N_FORCING:], self.encode.bias)
        return torch.relu(nn.functional.linear(daily, weight[:, :N_FORCING]) + constant)

    def forward(
        self, forcing: Tensor, attributes: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """Hidden states of the LSTM.

        Parameters
        ----------
        forcing : Tensor, (time, space, 3)
            In the model's units, not normalised.
        attributes : Tensor, (space, attribute)
        state : optional
            Of an earlier stretch that this one continues.

        Returns
        -------
        hidden : Tensor, (time, space, hidden)
        state
            After the last day.
        """
        inputs = self._encoded(forcing, attributes)
        if state is None:
            zeros = inputs.new_zeros(inputs.shape[1], self.description.hidden)
            state = (zeros, zeros)
        weights: list[Tensor] = [self.weight_input, self.weight_hidden, self.bias_input, self.bias_hidden]
        dropout = _DROPOUT if self.description.dropout is None else self.description.dropout
        if self.training and dropout > 0.0:
            # Dropout on the weights, one mask a pass, as the paper's g_A has it.
            weights = [*(nn.functional.dropout(weight, dropout) for weight in weights[:2]), *weights[2:]]
        h, c = (part[None].contiguous() for part in state)
        dtype = self.lstm_dtype if self.training else inputs.dtype
        if dtype != inputs.dtype:
            inputs, h, c = inputs.to(dtype), h.to(dtype), c.to(dtype)
            weights = [weight.to(dtype) for weight in weights]
        stretches = []
        for stretch in inputs.split(_STRETCH if torch.is_grad_enabled() else len(inputs)):
            hidden, h, c = torch.lstm(stretch, [h, c], weights, True, 1, 0.0, self.training, False, False)
            stretches.append(hidden)
            for part in (h, c):
                if part.requires_grad:
                    part.register_hook(_without_traces)
        return torch.cat(stretches).to(self.encode.weight.dtype), (h[0], c[0])

    def parameters_from(self, hidden: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        """Parameters ``names`` from hidden states (..., hidden); only their rows of the last layer run."""
        rows = self._rows(names)
        unit = torch.sigmoid(nn.functional.linear(hidden, self.decode.weight[rows], self.decode.bias[rows]))
        return to_parameters(unit, self.description, names)

    def _rows(self, names: tuple[str, ...]) -> Tensor:
        places: list[int] = []
        start = 0
        for name in self.description.parameters:
            width = 1 if name in ROUTING else self.description.components
            if name in names:
                places.extend(range(start, start + width))
            start += width
        return torch.tensor(places, device=self.decode.weight.device)

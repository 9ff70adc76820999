"""Regional networks of forcing and attributes, and g_A, which gives the parameters of HBV.

Feng et al. (2022), section 2.1: a linear layer with ReLU, an LSTM, a linear layer and, for g_A, a
sigmoid. The normalisation of the inputs is part of the network and is saved with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..physics.parameters import WEIGHT
from ..physics.runoff_network import RunoffNetwork
from .specs import DeltaHBV, Spec

DAYS_AT_ONCE = 128  # days per pass outside of training
_PASS_COPIES = 10  # arrays (days, cell, hidden) that the LSTM holds during a pass

_DROPOUT = 0.5  # in training, if the description has none
_CONSTANT = 1e-6  # a standard deviation below this share of the mean is rounding

NetworkState = tuple[Tensor, Tensor]  # hidden and cell state, each (space, hidden)


Moments = Callable[[Tensor], tuple[Tensor, Tensor]]


def moments_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all but the last axis."""
    std, mean = torch.std_mean(values.reshape(-1, values.shape[-1]), 0, correction=0)
    return mean, std


def mean_and_deviation(
    values: Tensor, least: float = 0.0, moments: Moments = moments_of
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all values, in float64, see :func:`varying`."""
    mean, std = (number[0] for number in moments(values.double().reshape(-1, 1)))
    return mean, varying(std, mean, least)


def varying(std: Tensor, mean: Tensor, least: float = 0.0) -> Tensor:
    """Standard deviations, 1 for what is constant: relative to its mean, so in any unit.

    ``least`` is a further bound, below which a deviation counts as 1; it does depend on units.
    """
    return torch.where((std <= _CONSTANT * mean.abs()) | (std < least), 1.0, std)


def mean_and_deviation_of_present(attributes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column of (space, attribute), in float64, of its finite values."""
    present = attributes.isfinite()
    count = present.sum(0).clamp(min=1)
    values = attributes.double()
    mean = torch.where(present, values, 0.0).sum(0) / count
    return mean, (torch.where(present, values - mean, 0.0).square().sum(0) / count).sqrt()


def numbers_of_pass(days: int, hidden: int) -> int:
    """Numbers in memory per cell while a network of width ``hidden`` passes over ``days`` days."""
    return min(days, DAYS_AT_ONCE) * _PASS_COPIES * hidden


def transform_precipitation(precipitation: Tensor) -> Tensor:
    """log10(sqrt(P) + 0.1), P in mm/day: brings precipitation closer to a normal distribution."""
    return torch.log10(torch.sqrt(precipitation) + 0.1)


def to_parameters(
    output: Tensor, description: DeltaHBV, names: tuple[str, ...] | None = None
) -> dict[str, Tensor]:
    """Map a network's output onto the parameters' ranges by a sigmoid, onto weights by a softmax.

    Parameters
    ----------
    output : Tensor, (..., n)
        For each parameter in ``names`` one number per component; one in all for a parameter of the cell.
    names : tuple of str, optional
        Default: all parameters of the model, in the order of the table.

    Returns
    -------
    dict of Tensor
        (..., component), or (...) for parameters of the cell, in the units of the parameters.
    """
    names = description.parameters if names is None else names
    widths = [description.widths[name] for name in names]
    out = {}
    parts = zip(names, torch.sigmoid(output).split(widths, -1), output.split(widths, -1), strict=True)
    for name, unit, raw in parts:
        lower, upper = description.range_of(name)
        value = torch.softmax(raw, -1) if name == WEIGHT else lower + (upper - lower) * unit
        out[name] = value[..., 0] if name in description.per_cell else value
    return out


class RegionalNetwork(nn.Module):
    """From forcing and attributes to hidden states: normalisation, a linear layer with ReLU, an LSTM.

    Subclasses add the last layer.

    Parameters
    ----------
    description : DeltaHBV or LSTMStreamflow
        Its forcing, width and dropout are used.
    n_attributes : int
        Number of static inputs.

    Attributes
    ----------
    lstm_dtype : torch.dtype
        Precision of the LSTM in training. Weights, gradients and everything else are float32, and so is the
        LSTM outside of training.
    """

    forcing_mean: Tensor
    forcing_std: Tensor
    attribute_mean: Tensor
    attribute_std: Tensor

    def __init__(self, description: Spec, n_attributes: int) -> None:
        super().__init__()
        self.description = description
        self.lstm_dtype = torch.float32
        self._precipitation = description.forcing.index("prcp")
        hidden, n_forcing = description.hidden, len(description.forcing)
        self.encode = nn.Linear(n_forcing + n_attributes, hidden)
        bound = 1.0 / math.sqrt(hidden)
        self.weight_input = nn.Parameter(torch.empty(4 * hidden, hidden).uniform_(-bound, bound))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden, hidden).uniform_(-bound, bound))
        self.bias_input = nn.Parameter(torch.empty(4 * hidden).uniform_(-bound, bound))
        self.bias_hidden = nn.Parameter(torch.empty(4 * hidden).uniform_(-bound, bound))
        self.register_buffer("forcing_mean", torch.zeros(n_forcing))
        self.register_buffer("forcing_std", torch.ones(n_forcing))
        self.register_buffer("attribute_mean", torch.zeros(n_attributes))
        self.register_buffer("attribute_std", torch.ones(n_attributes))

    def set_normalisation(
        self, forcing: Tensor, attributes: Tensor, least: float = 0.0, moments: Moments = moments_of
    ) -> None:
        """Take means and standard deviations from the training data.

        Parameters
        ----------
        forcing : Tensor, (time, space, forcing)
            Forcing of the training period, in the order of the description.
        attributes : Tensor, (space, attribute)
            Missing where not finite.
        least : float
            A standard deviation below it counts as 1; one of 0 does always.
        moments : function
            Gives mean and standard deviation of forcing, also of that which other processes have.
        """
        for index in range(len(self.forcing_mean)):  # one input at a time: a copy of all takes memory
            series = forcing[..., index]
            series = transform_precipitation(series) if index == self._precipitation else series
            self.forcing_mean[index], self.forcing_std[index] = mean_and_deviation(series, least, moments)
        mean, std = mean_and_deviation_of_present(attributes)
        self.attribute_mean.copy_(mean)
        self.attribute_std.copy_(varying(std, mean, least))

    def _encoded(self, forcing: Tensor, attributes: Tensor) -> Tensor:
        """First layer, (time, space, hidden); the share of the attributes is computed once, not daily."""
        at = self._precipitation
        rain = transform_precipitation(forcing[..., at : at + 1])
        daily = torch.cat([forcing[..., :at], rain, forcing[..., at + 1 :]], dim=-1)
        daily = (daily - self.forcing_mean) / self.forcing_std
        static = (attributes - self.attribute_mean) / self.attribute_std
        static = torch.where(static.isfinite(), static, 0.0)  # missing attributes count as the mean
        weight = self.encode.weight
        n_forcing = daily.shape[-1]
        constant = nn.functional.linear(static, weight[:, n_forcing:], self.encode.bias)
        return torch.relu(nn.functional.linear(daily, weight[:, :n_forcing]) + constant)

    def forward(
        self,
        forcing: Tensor,
        attributes: Tensor,
        state: NetworkState | None = None,
        without_gradient: int = 0,
    ) -> tuple[Tensor, NetworkState]:
        """Hidden states of the LSTM.

        Parameters
        ----------
        forcing : Tensor, (time, space, forcing)
            In the model's units, not normalised.
        attributes : Tensor, (space, attribute)
        state : (Tensor, Tensor), each (space, hidden), optional
            State to continue from; default: zeros.
        without_gradient : int
            Number of days at the beginning that no gradient passes through.

        Returns
        -------
        hidden : Tensor, (time, space, hidden)
        state : (Tensor, Tensor), each (space, hidden)
            State after the last day.
        """
        weights: list[Tensor] = [self.weight_input, self.weight_hidden, self.bias_input, self.bias_hidden]
        dropout = _DROPOUT if self.description.dropout is None else self.description.dropout
        if self.training and dropout > 0.0:
            # Dropout on the weights, one mask per pass, as in the paper's g_A.
            weights = [*(nn.functional.dropout(weight, dropout) for weight in weights[:2]), *weights[2:]]
        dtype = self.lstm_dtype if self.training else self.encode.weight.dtype
        weights = [weight.to(dtype) for weight in weights]
        if state is None:
            zeros = forcing.new_zeros(forcing.shape[1], self.description.hidden)
            state = (zeros, zeros)
        parts = []
        if without_gradient:
            with torch.no_grad():
                first = self._encoded(forcing[:without_gradient], attributes)
                hidden, state = self._walk(first.to(dtype), state, weights)
            parts.append(hidden)
            forcing = forcing[without_gradient:]
        hidden, state = self._walk(self._encoded(forcing, attributes).to(dtype), state, weights)
        hidden = torch.cat([*parts, hidden]) if parts else hidden
        return hidden.to(self.encode.weight.dtype), state

    def passes(
        self, forcing: Tensor, attributes: Tensor, state: NetworkState | None = None
    ) -> Iterator[tuple[Tensor, NetworkState]]:
        """As :meth:`forward`, in parts of ``DAYS_AT_ONCE`` days, which bounds the memory."""
        for part in forcing.split(DAYS_AT_ONCE):
            hidden, state = self(part, attributes, state)
            yield hidden, state

    def _walk(
        self, inputs: Tensor, state: NetworkState, weights: list[Tensor]
    ) -> tuple[Tensor, NetworkState]:
        """Run the LSTM over the days of ``inputs``, (time, space, hidden), in their precision."""
        h, c = (part[None].contiguous().to(inputs.dtype) for part in state)
        hidden, h, c = torch.lstm(inputs, [h, c], weights, True, 1, 0.0, self.training, False, False)
        return hidden, (h[0], c[0])


class ParameterNetwork(RegionalNetwork):
    """g_A of Feng et al. (2022): HBV parameters from forcing and attributes.

    Parameters
    ----------
    description : DeltaHBV
        Its components, dynamic parameters, width and dropout are used. If it has NN_r, the network that
        replaces the equation of effective rainfall, that is ``runoff``.
    n_attributes : int
        Number of static inputs.
    """

    description: DeltaHBV

    def __init__(self, description: DeltaHBV, n_attributes: int) -> None:
        super().__init__(description, n_attributes)
        self.decode = nn.Linear(description.hidden, description.size)
        self.runoff = RunoffNetwork(description.runoff_network) if description.runoff_network else None

    def parameters_from(self, hidden: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        """Parameters ``names``, (..., component) or (...), from hidden states (..., hidden)."""
        rows = self._rows(names)
        output = nn.functional.linear(hidden, self.decode.weight[rows], self.decode.bias[rows])
        return to_parameters(output, self.description, names)

    def last_parameters(
        self, forcing: Tensor, attributes: Tensor, names: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """Parameters ``names`` on the last day of ``forcing``, (space, component) or (space,)."""
        for hidden, _ in self.passes(forcing, attributes):
            last = hidden[-1]
        return self.parameters_from(last, names)

    def daily_parameters(
        self, forcing: Tensor, attributes: Tensor, state: NetworkState | None = None
    ) -> tuple[dict[str, Tensor], NetworkState]:
        """Dynamic parameters of each day, (time, space, component), and the state after the last day."""
        days = []
        for hidden, last in self.passes(forcing, attributes, state):
            days.append(self.parameters_from(hidden, self.description.dynamic))
            state = last
        assert state is not None
        return {name: torch.cat([day[name] for day in days]) for name in self.description.dynamic}, state

    def _rows(self, names: tuple[str, ...]) -> Tensor:
        places: list[int] = []
        start = 0
        for name, width in self.description.widths.items():
            if name in names:
                places.extend(range(start, start + width))
            start += width
        return torch.tensor(places, device=self.decode.weight.device)

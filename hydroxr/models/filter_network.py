"""A parameter network without recurrence: static parameters from attributes, dynamic ones from filters.

Static parameters depend on the attributes alone. Dynamic parameters depart from them by what a second
network reads from the attributes, the weather of a day and its running means
(:mod:`hydroxr.physics.running_means`). They are computed on the first day of a block of a few days and held
to its last, so that no day uses a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ..physics.running_means import running_means
from ..physics.runoff_network import RunoffNetwork
from .parameter_network import (
    Moments,
    mean_and_deviation_of_present,
    moments_of,
    to_parameters,
    transform_precipitation,
    varying,
)
from .specs import FILTER_UNITS, RUNNING_MEANS, TIME_SCALES, DeltaHBV

STEP = 5  # days in a block
# Largest departure of a dynamic parameter from its static value, before the sigmoid: one from the middle of
# its range stays between 12 and 88 % of it. Without it most values lie at a bound; scores are the same.
MOST_DEPARTURE = 2.0
_DROPOUT = 0.1  # if neither the description nor the protocol says otherwise


@dataclass(frozen=True)
class Blocks:
    """Blocks of days on which dynamic parameters hold.

    They start on 1 January and every five days after it; the last one of a year may be shorter. So the
    blocks of a run are the same wherever it is cut.

    Parameters
    ----------
    starts : Tensor of int64, (block,)
        Position of the first day of each block that starts within the days.
    rows : Tensor of int64, (time,)
        The block of each day. Block 0 is the first one, whether it starts within the days or before them.
    """

    starts: Tensor
    rows: Tensor

    @classmethod
    def of(cls, days_of_year: np.ndarray, continued: bool = False) -> Blocks:
        """The blocks of consecutive days.

        ``continued`` days may begin within a block of an earlier run; else a block starts on the first.
        """
        first = (np.asarray(days_of_year) - 1) % STEP == 0
        if not continued:
            first[0] = True
        marks = first.astype(np.int64)
        marks[0] = 0
        return cls(torch.from_numpy(np.flatnonzero(first)), torch.from_numpy(marks.cumsum()))


class FilterNetwork(nn.Module):
    """Parameters of HBV from attributes and from running means of the forcing.

    Parameters
    ----------
    description : DeltaHBV
    n_attributes : int
        Static inputs per cell.
    n_cells : int
        Training cells, each of which has offsets if the description wants them.
    """

    forcing_mean: Tensor
    forcing_std: Tensor
    mean_std: Tensor
    attribute_mean: Tensor
    attribute_std: Tensor
    offset_attributes: Tensor

    def __init__(self, description: DeltaHBV, n_attributes: int, n_cells: int = 0) -> None:
        super().__init__()
        self.description = description
        widths = (n_attributes, description.hidden, max(1, description.hidden // 2))
        self.static = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.decode = nn.Linear(widths[-1], description.size)
        self.runoff = RunoffNetwork(description.runoff_network) if description.runoff_network else None
        if description.dynamic:
            n_inputs = len(description.forcing) + RUNNING_MEANS + n_attributes
            self.read = nn.Linear(n_inputs, FILTER_UNITS)
            self.depart = nn.Linear(FILTER_UNITS, len(description.dynamic) * description.components)
            nn.init.zeros_(self.depart.weight)
            nn.init.zeros_(self.depart.bias)
        # Number of windows in a batch of several processes, and which of them are passed here.
        self.part: tuple[int, Tensor] | None = None
        self.offsets: nn.Parameter | None = None
        if description.gauge_offsets:
            self.offsets = nn.Parameter(torch.zeros(n_cells, description.size))
            self.register_buffer("offset_attributes", torch.zeros(n_cells, n_attributes))
        self.register_buffer("forcing_mean", torch.zeros(len(description.forcing)))
        self.register_buffer("forcing_std", torch.ones(len(description.forcing)))
        self.register_buffer("mean_std", torch.ones(len(description.forcing), len(TIME_SCALES)))
        self.register_buffer("attribute_mean", torch.zeros(n_attributes))
        self.register_buffer("attribute_std", torch.ones(n_attributes))

    def set_normalisation(
        self, forcing: Tensor, attributes: Tensor, least: float = 0.0, moments: Moments = moments_of
    ) -> None:
        """Take means and standard deviations from the training data.

        Parameters
        ----------
        forcing : Tensor, (time, space, variable)
            Of the training period.
        attributes : Tensor, (space, attribute)
            A value that is not finite is missing.
        least : float
            A standard deviation of forcing or attributes below it counts as 1; one of 0 does always.
        moments : function
            Gives mean and standard deviation of forcing, also of that which other processes have.
        """
        mean, std = moments(self.normalised_forcing(forcing).double())
        self.forcing_mean.copy_(mean)
        self.forcing_std.copy_(varying(std, mean, least))
        rows = torch.arange(len(forcing))
        means, _ = self._means(self.normalised_forcing(forcing), self.empty_means(forcing.shape[1]), rows)
        of_means = moments(means.double().flatten(2))[1].view_as(self.mean_std)
        self.mean_std.copy_(varying(of_means, torch.ones(1)))
        mean, std = mean_and_deviation_of_present(attributes)
        self.attribute_mean.copy_(mean)
        self.attribute_std.copy_(varying(std, mean, least))
        self.know_cells(attributes)

    def know_cells(self, attributes: Tensor) -> None:
        """Keep the attributes (space, attribute) of the training cells, which offsets belong to."""
        if self.offsets is not None:
            self.offset_attributes.copy_(self._normalised(attributes))

    def normalised_forcing(self, forcing: Tensor) -> Tensor:
        """Forcing (time, space, variable) in standard deviations of the training data."""
        at = self.description.forcing.index("prcp")
        parts = list(forcing.unbind(-1))
        parts[at] = transform_precipitation(parts[at])
        return (torch.stack(parts, -1) - self.forcing_mean) / self.forcing_std

    def empty_means(self, space: int) -> Tensor:
        """The running means before a record begins, (space, mean): the training data's mean, which is 0."""
        return self.mean_std.new_zeros((space, RUNNING_MEANS))

    def features(self, forcing: Tensor, start: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What dynamic parameters are read from on some days.

        Parameters
        ----------
        forcing : Tensor, (time, space, variable)
        start : Tensor, (space, mean)
            The running means before the first day.
        rows : Tensor of int64, (row,)
            Days, ascending.

        Returns
        -------
        features : Tensor, (row, space, variable + mean)
        last : Tensor, (space, mean)
            The running means at the end of the last day.
        """
        series = self.normalised_forcing(forcing)
        means, last = self._means(series, start, rows)
        return torch.cat([series[rows], (means / self.mean_std).flatten(2)], -1), last

    def _means(self, series: Tensor, start: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        scales = torch.tensor(TIME_SCALES, device=series.device)
        before = start.view(len(start), *self.mean_std.shape).to(series.dtype)
        means, last = running_means(series, before, scales, rows)
        return means, last.flatten(1)

    def parameters_from(
        self,
        attributes: Tensor,
        features: Tensor | None,
        names: tuple[str, ...],
        cells: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Parameters ``names``, static ones (space, component) and dynamic ones (row, space, component).

        Parameters
        ----------
        attributes : Tensor, (space, attribute)
        features : Tensor, (row, space, variable + mean), optional
            Of the rows of dynamic parameters; not needed for static ones.
        names : tuple of str
        cells : Tensor of int64, (space,), optional
            Number of each cell among those of the training, -1 for others: whose offsets apply.
        """
        description = self.description
        values = self._normalised(attributes)
        hidden = values
        for layer in self.static:
            hidden = torch.relu(layer(hidden))
        widths = list(description.widths.values())
        output = self.decode(hidden)
        if cells is not None and self.offsets is not None:
            own = self.offsets[cells.clamp(min=0)]
            output = output + torch.where((cells >= 0)[:, None], own, 0.0)
        logits = dict(zip(description.parameters, output.split(widths, -1), strict=True))
        if features is not None:
            departures = self._departures(values, features).chunk(len(description.dynamic), -1)
            for name, departure in zip(description.dynamic, departures, strict=True):
                logits[name] = logits[name] + departure
        out: dict[str, Tensor] = {}
        for name in names:
            out |= to_parameters(logits[name], description, (name,))
        return out

    def _departures(self, attributes: Tensor, features: Tensor) -> Tensor:
        """Distance of dynamic parameters from the static ones, in the space of the network's output."""
        weight, n_features = self.read.weight, features.shape[-1]
        constant = nn.functional.linear(attributes, weight[:, n_features:], self.read.bias)
        hidden = torch.relu(nn.functional.linear(features, weight[:, :n_features]) + constant)
        dropout = _DROPOUT if self.description.dropout is None else self.description.dropout
        departures: Tensor = self.depart(self._dropped(hidden, dropout))
        return MOST_DEPARTURE * torch.tanh(departures / MOST_DEPARTURE)

    def _dropped(self, hidden: Tensor, share: float) -> Tensor:
        """Dropout; each process drops of its windows what one process would drop of them."""
        if self.part is None or not self.training:
            return nn.functional.dropout(hidden, share, self.training)
        number, columns = self.part
        mask = nn.functional.dropout(hidden.new_ones(len(hidden), number, hidden.shape[-1]), share)
        return hidden * mask[:, columns]

    def _normalised(self, attributes: Tensor) -> Tensor:
        values = (attributes - self.attribute_mean) / self.attribute_std
        return torch.where(values.isfinite(), values, 0.0)  # missing: the mean

"""The LSTM that gives streamflow itself, the data-driven benchmark.

It learns transformed (equation 2) and normalised streamflow, see Feng et al. (2022), section 2.2.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .parameter_network import Moments, NetworkState, RegionalNetwork, mean_and_deviation, moments_of
from .specs import LSTMStreamflow


class StreamflowNetwork(RegionalNetwork):
    """A linear layer with ReLU, an LSTM, and a linear layer that gives normalised streamflow.

    Normalised streamflow is ``(log10(sqrt(Q + 1e-6) + 0.1) - mean) / std``. Mean and standard deviation are
    those of the training observations and are saved with the weights.

    Parameters
    ----------
    description : LSTMStreamflow
        Its forcing, width and dropout are used.
    n_attributes : int
        Number of static inputs.
    """

    description: LSTMStreamflow
    streamflow_mean: Tensor
    streamflow_std: Tensor

    def __init__(self, description: LSTMStreamflow, n_attributes: int) -> None:
        super().__init__(description, n_attributes)
        self.decode = nn.Linear(description.hidden, 1)
        self.register_buffer("streamflow_mean", torch.zeros(1))
        self.register_buffer("streamflow_std", torch.ones(1))

    def set_target(self, observed: Tensor, least: float = 0.0, moments: Moments = moments_of) -> None:
        """Take mean and standard deviation from the training data.

        Parameters
        ----------
        observed : Tensor, (time, space)
            mm/day, NaN where missing.
        least, moments
            As in :meth:`set_normalisation`.
        """
        transformed = transform_streamflow(observed[~torch.isnan(observed)].double())
        mean, std = mean_and_deviation(transformed, least, moments)
        self.streamflow_mean[0], self.streamflow_std[0] = mean, std

    def output(self, hidden: Tensor) -> Tensor:
        """Normalised streamflow, (time, space), from hidden states (time, space, hidden)."""
        normalised: Tensor = self.decode(hidden)[..., 0]
        return normalised

    def daily_streamflow(
        self, forcing: Tensor, attributes: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """Streamflow of each day, (time, space), mm/day, and the state after the last day.

        Parameters
        ----------
        forcing : Tensor, (time, space, forcing)
        attributes : Tensor, (space, attribute)
        state : (Tensor, Tensor), each (space, hidden), optional
            State to continue from; default: zeros.
        """
        days = []
        for hidden, last in self.passes(forcing, attributes, state):
            days.append(self.streamflow(self.output(hidden)))
            state = last
        assert state is not None
        return torch.cat(days), state

    def normalised(self, streamflow: Tensor) -> Tensor:
        """Normalised streamflow from streamflow in mm/day; NaN stays NaN."""
        return (transform_streamflow(streamflow) - self.streamflow_mean) / self.streamflow_std

    def streamflow(self, normalised: Tensor) -> Tensor:
        """Streamflow in mm/day, the inverse of :meth:`normalised`; 0 instead of negative values."""
        transformed = normalised * self.streamflow_std + self.streamflow_mean
        root = torch.clamp(10.0**transformed - 0.1, min=0.0)
        return torch.clamp(root**2 - STREAMFLOW_OFFSET, min=0.0)


STREAMFLOW_OFFSET = 1e-6  # mm/day, Feng et al. (2022), equation 2


def transform_streamflow(streamflow: Tensor) -> Tensor:
    """log10(sqrt(Q + 1e-6) + 0.1), Q in mm/day: Feng et al. (2022), equation 2."""
    return torch.log10(torch.sqrt(streamflow + STREAMFLOW_OFFSET) + 0.1)

"""K and X of reaches, to be trained: numbers of each reach, or a small network of its attributes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .scheme import UNITS

_LARGEST_X = 0.5
_MOST = 3.0  # change of the logarithm of K, a factor of 20, and of the logit of X


class RiverParameters(nn.Module):
    """K and X of reaches, from where they start.

    Parameters
    ----------
    travel_time, x : Tensor, (reach,)
        Where training starts: K, days, and X. Where K is 0 it stays 0.
    attributes : Tensor, (reach, attribute)
        From which a small network learns how K and X differ from their start. Without columns each reach
        learns numbers of its own.
    """

    start: Tensor
    attributes: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, travel_time: Tensor, x: Tensor, attributes: Tensor) -> None:
        super().__init__()
        share = (x.double() / _LARGEST_X).clamp(0.01, 0.99)
        start = torch.stack([torch.log(travel_time.double()), torch.logit(share)])
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("attributes", attributes.double(), persistent=False)
        self.layers: nn.Module | None = None
        if attributes.shape[1] == 0:
            self.change = nn.Parameter(torch.zeros_like(start))
            return
        spread = attributes.double().std(0, correction=0)
        self.register_buffer("mean", attributes.double().mean(0))
        self.register_buffer("deviation", torch.where(spread > 0, spread, 1.0))
        last = nn.Linear(UNITS, 2, dtype=torch.float64)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(attributes.shape[1], UNITS, dtype=torch.float64)
        self.layers = nn.Sequential(first, nn.Tanh(), last)

    def forward(self) -> tuple[Tensor, Tensor]:
        """K (days) and X, both (reach,)."""
        if self.layers is None:
            change = self.change
        else:
            change = self.layers((self.attributes - self.mean) / self.deviation).T
        log_k, logit = self.start + _MOST * torch.tanh(change / _MOST)
        return torch.exp(log_k), _LARGEST_X * torch.sigmoid(logit)

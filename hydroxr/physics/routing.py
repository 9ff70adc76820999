"""Routing: a gamma unit hydrograph, with the water that is still in it.

Feng et al. (2022), Table 1, row "Routing". The hydrograph is sampled at the middle of each of
15 days and normalised, so that every drop leaves: what fell on one day has left after the 14th
day that follows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .hbv import UH_LENGTH


def unit_hydrograph(shape: Tensor, scale: Tensor) -> Tensor:
    """Gamma density at 0.5, 1.5, ..., 14.5 days, normalised to sum 1.

    Parameters
    ----------
    shape, scale : Tensor, (space,)
        UH_SHAPE (1) and UH_SCALE (days).

    Returns
    -------
    Tensor, (space, 15)
        Share of a day's runoff that leaves on that day, the next one, and so on.
    """
    days = torch.arange(UH_LENGTH, dtype=shape.dtype, device=shape.device) + 0.5
    # log of t^(a-1) exp(-t/tau); softmax normalises, and the gamma function cancels.
    density = (shape[:, None] - 1.0) * torch.log(days) - days / scale[:, None]
    return torch.softmax(density, dim=1)


def _convolve(series: Tensor, kernel: Tensor) -> Tensor:
    """Causal convolution a cell: (time, space) with (space, lags) -> (time + lags - 1, space)."""
    lags = kernel.shape[1]
    padded = torch.nn.functional.pad(series.T[None], (lags - 1, lags - 1))
    # A GPU would round the factors to ten bits (TF32), and the water balance would not close.
    with torch.backends.cudnn.flags(allow_tf32=False):
        return torch.nn.functional.conv1d(padded, kernel.flip(1)[:, None], groups=kernel.shape[0])[0].T


def route(runoff: Tensor, shape: Tensor, scale: Tensor, arriving: Tensor) -> tuple[Tensor, Tensor]:
    """Route runoff to the gauge.

    Parameters
    ----------
    runoff : Tensor, (time, space)
        Mean over the components, mm/day.
    shape, scale : Tensor, (space,)
        Of the unit hydrograph.
    arriving : Tensor, (space, 14)
        Water of earlier days, mm, by the day of this run on which it leaves.

    Returns
    -------
    streamflow : Tensor, (time, space)
        mm/day.
    arriving : Tensor, (space, 14)
        Water in the channel after the last day, mm, by the day ahead on which it leaves.
    """
    n_days = runoff.shape[0]
    full = _convolve(runoff, unit_hydrograph(shape, scale))  # (time + 14, space)
    earlier = torch.nn.functional.pad(arriving.T, (0, 0, 0, n_days))
    full = full + earlier
    return full[:n_days], full[n_days:].T


def in_transit(runoff: Tensor, shape: Tensor, scale: Tensor, arriving: Tensor) -> Tensor:
    """Water in the channel at the end of each day, mm, (time, space); arguments as of :func:`route`."""
    n_days = runoff.shape[0]
    # Share of a day's runoff that is still to come after 0, 1, ... days: sums from the far end,
    # which cannot be negative in any precision.
    still_to_come = unit_hydrograph(shape, scale).flip(1).cumsum(1).flip(1)[:, 1:]
    stored = _convolve(runoff, still_to_come)[:n_days]
    earlier = arriving.flip(1).cumsum(1).flip(1)[:, 1:].T  # after day 1, 2, ..., 13
    if n_days > earlier.shape[0]:
        earlier = torch.nn.functional.pad(earlier, (0, 0, 0, n_days - earlier.shape[0]))
    return stored + earlier[:n_days]

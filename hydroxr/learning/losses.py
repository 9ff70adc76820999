"""Losses between simulated and observed streamflow; missing observations do not count."""

from __future__ import annotations

import torch
from torch import Tensor

LOW_FLOW_WEIGHT = 0.25  # the paper's alpha
_EPSILON = 1e-6


def transform_streamflow(streamflow: Tensor) -> Tensor:
    """log10(sqrt(Q + 1e-6) + 0.1), Feng et al. (2022), equation 2."""
    return torch.log10(torch.sqrt(streamflow + _EPSILON) + 0.1)


def paper_loss(simulated: Tensor, observed: Tensor) -> Tensor:
    """RMSE of streamflow and of transformed streamflow, Feng et al. (2022), equation 1.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; days with NaN observed are left out.

    Returns
    -------
    Tensor, scalar
        ``0.75 RMSE(Q) + 0.25 RMSE(log10(sqrt(Q + 1e-6) + 0.1))`` over all valid entries.
    """
    valid = ~torch.isnan(observed)
    simulated, observed = simulated[valid], observed[valid]
    high = _rmse(simulated - observed)
    low = _rmse(transform_streamflow(simulated) - transform_streamflow(observed))
    return (1.0 - LOW_FLOW_WEIGHT) * high + LOW_FLOW_WEIGHT * low


def _rmse(error: Tensor) -> Tensor:
    mean = torch.mean(error**2)
    # The root has no finite gradient at 0: a perfect fit has nothing more to learn.
    return torch.where(mean > 0, torch.sqrt(torch.where(mean > 0, mean, 1.0)), 0.0)

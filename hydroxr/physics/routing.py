"""Routing of runoff to the gauge with a gamma unit hydrograph.

Feng et al. (2022), Table 1, row "Routing". The hydrograph is sampled at the middle of each of 15 days
and normalised, so all runoff of a day has left the channel 14 days later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from .cpu import loop as loop_cpu
from .cpu.convolution import convolve
from .equations import LEADS, UH_LENGTH
from .parameters import ROUTING, WEIGHT


def unit_hydrograph(shape: Tensor, scale: Tensor) -> Tensor:
    """Gamma density at 0.5, 1.5, ..., 14.5 days, normalised to sum 1.

    Parameters
    ----------
    shape, scale : Tensor, (space,)
        UH_SHAPE (1) and UH_SCALE (days).

    Returns
    -------
    Tensor, (space, 15)
        Share of the runoff of a day that leaves on the same day, the next day, and so on.
    """
    days = torch.arange(UH_LENGTH, dtype=torch.float64, device=shape.device) + 0.5
    # log2 of t^(a-1) exp(-t/tau). Normalising by the sum cancels the gamma function. float64 is used
    # because torch may round the same number differently depending on its position in the array. torch's
    # softmax and exp start all its threads even for few numbers, and these would occupy the cores that
    # the compiled loop needs.
    decay = days[:, None] * math.log2(math.e) / scale.double()
    density = (shape.double() - 1.0) * torch.log2(days)[:, None] - decay
    share = torch.exp2(density - density.detach().amax(0))
    return (share / share.sum(0)).T.to(shape.dtype)


def _convolve(
    series: Tensor, weights: Tensor, earlier: Tensor, n_rest: int, compiled: bool
) -> tuple[Tensor, Tensor]:
    """Do the same as :func:`.convolution.convolve`, on any device."""
    if compiled and loop_cpu.accepts(series) and not loop_cpu.obstacle(series.dtype):
        return convolve(series, weights, earlier, n_rest)
    if series.dtype == torch.float16:  # torch's convolution on CPUs hangs
        result, rest = _convolve(series.float(), weights.float(), earlier.float(), n_rest, compiled)
        return result.half(), rest.half()
    n_days, lags = len(series), weights.shape[1]
    padded = torch.nn.functional.pad(series.T[None], (lags - 1, n_rest))
    # With TF32, a GPU would round the factors to ten bits, and the water balance would not close.
    with torch.backends.cudnn.flags(allow_tf32=False):
        full = torch.nn.functional.conv1d(padded, weights.flip(1)[:, None], groups=len(weights))[0]
    full = full + torch.nn.functional.pad(earlier, (0, n_days + n_rest - earlier.shape[1]))
    return full[:, :n_days].T, full[:, n_days:]


def route(
    runoff: Tensor, shape: Tensor, scale: Tensor, arriving: Tensor, compiled: bool = True
) -> tuple[Tensor, Tensor]:
    """Route runoff to the gauge.

    Parameters
    ----------
    runoff : Tensor, (time, space)
        Mean over the components, mm/day.
    shape, scale : Tensor, (space,)
        Parameters of the unit hydrograph, UH_SHAPE (1) and UH_SCALE (days).
    arriving : Tensor, (space, 14)
        Water from before this run, mm, by the day of this run on which it leaves.
    compiled : bool
        Use the compiled kernel if there is one for the device and dtype; otherwise use torch.

    Returns
    -------
    streamflow : Tensor, (time, space)
        mm/day.
    arriving : Tensor, (space, 14)
        Water in the channel after the last day, mm, by the day after the run on which it leaves.
    """
    return _convolve(runoff, unit_hydrograph(shape, scale), arriving, LEADS, compiled)


def in_transit(
    runoff: Tensor, shape: Tensor, scale: Tensor, arriving: Tensor, compiled: bool = True
) -> Tensor:
    """Water in the channel at the end of each day, (time, space), mm. Parameters: see :func:`route`."""
    # Share of the runoff of a day that is still in the channel after 0, 1, ... days. Sums from the far
    # end cannot become negative by rounding.
    still_to_come = _from_the_end(unit_hydrograph(shape, scale))[:, 1:]
    earlier = _from_the_end(arriving)[:, 1:]  # after day 1, 2, ..., 13
    return _convolve(runoff, still_to_come, earlier, 0, compiled)[0]


def route_components(
    runoff: Tensor, parameters: Mapping[str, Tensor], arriving: Tensor, compiled: bool = True
) -> tuple[Tensor, Tensor]:
    """Route each component with its own hydrograph to the mean at the gauge.

    Parameters and results are those of :func:`route`, but ``runoff`` is (time, space, component), and
    ``parameters`` has UH_SHAPE and UH_SCALE, (space, component), and the weights of components, if any.
    """
    shape, scale = (parameters[name].flatten() for name in ROUTING)
    return _summed(runoff, _weighted(unit_hydrograph(shape, scale), parameters), arriving, LEADS, compiled)


def in_transit_of_components(
    runoff: Tensor, parameters: Mapping[str, Tensor], arriving: Tensor, compiled: bool = True
) -> Tensor:
    """Water in the channel at the end of each day, (time, space), mm; see :func:`route_components`."""
    shape, scale = (parameters[name].flatten() for name in ROUTING)
    still_to_come = _from_the_end(unit_hydrograph(shape, scale))[:, 1:]
    earlier = _from_the_end(arriving)[:, 1:]
    return _summed(runoff, _weighted(still_to_come, parameters), earlier, 0, compiled)[0]


def _weighted(hydrographs: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Hydrographs (space * component, lag) times the shares of the components in the mean."""
    if WEIGHT in parameters:
        return hydrographs * parameters[WEIGHT].reshape(-1, 1)
    return hydrographs / parameters[ROUTING[0]].shape[-1]


def _summed(
    runoff: Tensor, hydrographs: Tensor, earlier: Tensor, n_rest: int, compiled: bool
) -> tuple[Tensor, Tensor]:
    """Convolve all components of a cell, and add them and what is on its way from before."""
    n_days, n_cells, n = runoff.shape
    nothing = earlier.new_zeros((n_cells * n, earlier.shape[1]))
    series, rest = _convolve(runoff.flatten(1), hydrographs, nothing, n_rest, compiled)
    total = torch.cat([series, rest.T]).view(n_days + n_rest, n_cells, n).sum(-1)
    first = min(len(total), earlier.shape[1])
    total = torch.cat([total[:first] + earlier.T[:first], total[first:]])
    return total[:n_days], total[n_days:].T


def _from_the_end(values: Tensor) -> Tensor:
    return values.flip(1).cumsum(1).flip(1)

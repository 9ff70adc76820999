"""Losses between simulated and observed streamflow; missing observations do not count.

Each takes (time, space) tensors and gives a scalar. What is simulated on a day without observation
has no part in it and no gradient, and the gradient is finite everywhere, at a perfect fit too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import DescriptionError
from ...models.streamflow_network import transform_streamflow

LOW_FLOW_WEIGHT = 0.25  # the paper's alpha
# Added to standard deviations that a loss divides by: where it hardly ever flows, errors of a
# tenth of a millimetre are no disaster.
_SPREAD = 0.1  # mm/day

Loss = str | Mapping[str, float] | Callable[..., Tensor]


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
    valid, simulated, observed = _valid(simulated, observed)
    high = _root(_mean((simulated - observed) ** 2, valid))
    return (1.0 - LOW_FLOW_WEIGHT) * high + LOW_FLOW_WEIGHT * low_flow_loss(simulated, observed, valid)


def low_flow_loss(simulated: Tensor, observed: Tensor, valid: Tensor | None = None) -> Tensor:
    """RMSE of transformed streamflow, the second part of the paper's loss: it weighs low flows.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; days with NaN observed are left out.
    valid : Tensor of bool, (time, space), optional
        The days that count, where nothing is NaN any more.

    Returns
    -------
    Tensor, scalar
        RMSE of ``log10(sqrt(Q + 1e-6) + 0.1)`` over all valid entries.
    """
    if valid is None:
        valid, simulated, observed = _valid(simulated, observed)
    error = transform_streamflow(simulated) - transform_streamflow(observed)
    return _root(_mean(error**2, valid))


def transformed_loss(simulated: Tensor, observed: Tensor, normalised: tuple[Tensor, Tensor]) -> Tensor:
    """RMSE of an LSTM's own output, Feng et al. (2022), section 2.2.1: transformed, normalised streamflow.

    It is :func:`low_flow_loss` over the standard deviation of transformed streamflow, but where the
    network is below what streamflow can be it still has a gradient.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; not looked at.
    normalised : (Tensor, Tensor), (time, space)
        The network's output, and what it should be, NaN on days that are left out.

    Returns
    -------
    Tensor, scalar
        RMSE over all valid entries, in standard deviations.
    """
    valid, output, target = _valid(*normalised)
    return _root(_mean((output - target) ** 2, valid))


def nse_loss(simulated: Tensor, observed: Tensor, variance: Tensor) -> Tensor:
    """Squared error over the variance of each cell's observations: 1 - NSE, on average.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; days with NaN observed are left out.
    variance : Tensor, (space,)
        Of the observed streamflow in the training period, (mm/day)².

    Returns
    -------
    Tensor, scalar
        Mean of ``(s - o)² / (sqrt(variance) + 0.1)²`` over all valid entries.
    """
    valid, simulated, observed = _valid(simulated, observed)
    return _mean((simulated - observed) ** 2 / (torch.sqrt(variance) + _SPREAD) ** 2, valid)


def kge_loss(simulated: Tensor, observed: Tensor) -> Tensor:
    """1 - KGE (Gupta et al., 2009) of each window, on average.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; days with NaN observed are left out, and windows that have no others.

    Returns
    -------
    Tensor, scalar
        Mean over the windows of ``sqrt((r - 1)² + (α - 1)² + (β - 1)²)``. Variances and the
        covariance are taken (0.1 mm/day)² larger and means 0.1 mm/day larger than they are, so that
        windows without flow have a loss.
    """
    valid, simulated, observed = _valid(simulated, observed)
    count = valid.sum(0)
    days = count.clamp(min=1)
    mean_s, mean_o = simulated.sum(0) / days, observed.sum(0) / days
    deviation_s = torch.where(valid, simulated - mean_s, 0.0)
    deviation_o = torch.where(valid, observed - mean_o, 0.0)
    spread_s = torch.sqrt((deviation_s**2).sum(0) / days + _SPREAD**2)
    spread_o = torch.sqrt((deviation_o**2).sum(0) / days + _SPREAD**2)
    r = ((deviation_s * deviation_o).sum(0) / days + _SPREAD**2) / (spread_s * spread_o)
    beta = (mean_s + _SPREAD) / (mean_o + _SPREAD)
    distance = (r - 1.0) ** 2 + (spread_s / spread_o - 1.0) ** 2 + (beta - 1.0) ** 2
    return _mean(_root(distance), count > 0)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "paper": paper_loss,
    "nse": nse_loss,
    "kge": kge_loss,
    "low_flow": low_flow_loss,
}
# Of an LSTM's own output, which a δ model does not have.
OUTPUT_LOSSES: dict[str, Callable[..., Tensor]] = {"transformed": transformed_loss}


def checked_loss(loss: Any) -> Loss:
    """``loss`` as it is kept: a name, a dict of weights by name, or a function.

    Raises
    ------
    DescriptionError
        Where it is none of them.
    """
    if callable(loss):
        return loss
    weights = loss if isinstance(loss, Mapping) else {loss: 1.0} if isinstance(loss, str) else {}
    names = {**LOSSES, **OUTPUT_LOSSES}
    known = ", ".join(map(repr, names))
    if not weights:
        raise DescriptionError(
            f"loss is {loss!r}; expected one of {known}, a dict of weights such as "
            "{'nse': 1.0, 'low_flow': 1.0}, or a function of simulated and observed streamflow."
        )
    for name, weight in weights.items():
        if name not in names:
            raise DescriptionError(f"loss {name!r} is not known; expected some of {known}, or a function.")
        number = isinstance(weight, int | float) or hasattr(weight, "__float__")
        if not number or isinstance(weight, bool) or not 0.0 < float(weight) < float("inf"):
            raise DescriptionError(f"the weight of loss {name!r} is {weight!r}; expected a number above 0.")
    return loss if isinstance(loss, str) else {name: float(weight) for name, weight in weights.items()}


def parts_of(loss: Loss) -> tuple[str, ...]:
    """The names in a loss; none for a function."""
    return (loss,) if isinstance(loss, str) else tuple(loss) if isinstance(loss, Mapping) else ()


def describe_loss(loss: Loss) -> str | dict[str, float]:
    """What is written of a loss: its name, its weights, or a function's qualified name."""
    if isinstance(loss, str):
        return loss
    if isinstance(loss, Mapping):
        return dict(loss)
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return f"{getattr(loss, '__module__', '?')}.{name}"


def make_loss(loss: Loss) -> Callable[..., Tensor]:
    """The function of simulated, observed (time, space) and the cells' variance (space,).

    For an LSTM a fourth argument is the pair of normalised simulated and observed streamflow.
    """
    if isinstance(loss, Mapping):
        parts = [(weight, make_loss(name)) for name, weight in loss.items()]
        return lambda *given: torch.stack([weight * part(*given) for weight, part in parts]).sum()
    function = {**LOSSES, **OUTPUT_LOSSES}[loss] if isinstance(loss, str) else loss
    wants_variance = takes_variance(function)
    wants_output = isinstance(loss, str) and loss in OUTPUT_LOSSES

    def call(
        simulated: Tensor,
        observed: Tensor,
        variance: Tensor,
        normalised: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        more: dict[str, Any] = {"variance": variance} if wants_variance else {}
        if wants_output:
            more["normalised"] = normalised
        value = function(simulated, observed, **more)
        if not isinstance(value, Tensor) or value.ndim:
            found = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise DescriptionError(
                f"loss {describe_loss(loss)} returned {found}; expected a tensor without dimensions."
            )
        return value

    return call


def takes_variance(function: Callable[..., Tensor]) -> bool:
    """Whether a loss has an argument ``variance``."""
    try:
        return "variance" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function that does not tell, as some of C do not
        return False


def _valid(simulated: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which entries count, and both series with 0 in the others."""
    valid = ~torch.isnan(observed)
    return valid, torch.where(valid, simulated, 0.0), torch.where(valid, observed, 0.0)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def _root(values: Tensor) -> Tensor:
    # The root has no finite gradient at 0: a perfect fit has nothing more to learn.
    return torch.where(values > 0, torch.sqrt(torch.where(values > 0, values, 1.0)), 0.0)

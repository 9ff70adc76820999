"""Losses between simulated and observed streamflow.

Each takes tensors (time, space) and returns a scalar. Days without an observation do not count and get
no gradient. The gradient is finite everywhere, also at a perfect fit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...errors import DescriptionError
from ...models.streamflow_network import transform_streamflow

LOW_FLOW_WEIGHT = 0.25  # the paper's alpha
# Added to standard deviations in denominators, so that errors of a tenth of a millimetre do not
# dominate in cells that are nearly dry.
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
    """RMSE of transformed streamflow, the part of the paper's loss that weights low flows.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; days with NaN observed are left out.
    valid : Tensor of bool, (time, space), optional
        The days that count, if the series have no NaN any more.

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
    """RMSE of the normalised output of an LSTM, Feng et al. (2022), section 2.2.1.

    This is :func:`low_flow_loss` divided by the standard deviation of transformed streamflow. It has a
    gradient even where the output corresponds to negative streamflow.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; unused.
    normalised : (Tensor, Tensor), (time, space)
        Output of the network and its target; days with NaN in the target are left out.

    Returns
    -------
    Tensor, scalar
        RMSE over all valid entries, in standard deviations.
    """
    valid, output, target = _valid(*normalised)
    return _root(_mean((output - target) ** 2, valid))


def nse_loss(simulated: Tensor, observed: Tensor, variance: Tensor) -> Tensor:
    """Mean squared error over the variance of each cell's observations: 1 - NSE on average.

    Parameters
    ----------
    simulated, observed : Tensor, (time, space)
        mm/day; days with NaN observed are left out.
    variance : Tensor, (space,)
        Variance of observed streamflow in the training period, (mm/day)².

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
        mm/day; days with NaN observed are left out, and so are windows without any observation.

    Returns
    -------
    Tensor, scalar
        Mean over the windows of ``sqrt((r - 1)² + (α - 1)² + (β - 1)²)``. Variances and covariance are
        increased by (0.1 mm/day)² and means by 0.1 mm/day, so that windows without flow have a loss.
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
# Losses of the normalised output of an LSTM, which a δ model does not have.
OUTPUT_LOSSES: dict[str, Callable[..., Tensor]] = {"transformed": transformed_loss}


def checked_loss(loss: Any) -> Loss:
    """Return ``loss`` if it is a name, a dict of weights by name, or a function.

    Raises
    ------
    DescriptionError
        If it is none of these, a name is unknown, or a weight is not a number above 0.
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
            raise DescriptionError(f"loss {name!r} is not known; expected one of {known}, or a function.")
        number = isinstance(weight, int | float) or hasattr(weight, "__float__")
        if not number or isinstance(weight, bool) or not 0.0 < float(weight) < float("inf"):
            raise DescriptionError(f"the weight of loss {name!r} is {weight!r}; expected a number above 0.")
    ordered = {name: float(weights[name]) for name in names if name in weights}
    only = next(iter(ordered))
    return only if ordered == {only: 1.0} else ordered  # one loss, however it is written


def parts_of(loss: Loss) -> tuple[str, ...]:
    """The names that a loss consists of; none for a function."""
    return (loss,) if isinstance(loss, str) else tuple(loss) if isinstance(loss, Mapping) else ()


def describe_loss(loss: Loss) -> str | dict[str, float]:
    """A loss for JSON: its name, its weights, or the qualified name of a function."""
    if isinstance(loss, str):
        return loss
    if isinstance(loss, Mapping):
        return dict(loss)
    if isinstance(loss, partial):
        return f"a partial of {describe_loss(loss.func)}"
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return f"{getattr(loss, '__module__', '?')}.{name}"


def make_loss(loss: Loss) -> Callable[..., Tensor]:
    """The function that computes a loss.

    It takes simulated and observed streamflow, (time, space), the variance of each cell, (space,), and for
    an LSTM the pair of normalised output and target, (time, space).
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
        if simulated.requires_grad and not value.requires_grad:
            raise DescriptionError(
                f"loss {describe_loss(loss)} returned a tensor without gradient, from which nothing can be "
                "learned; expected one that torch computed from the simulated streamflow, without detach() "
                "or NumPy."
            )
        return value

    return call


def takes_variance(function: Callable[..., Tensor]) -> bool:
    """Whether a loss function has an argument ``variance``."""
    try:
        return "variance" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return False


def _valid(simulated: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The entries that count, and both series with 0 elsewhere."""
    valid = ~torch.isnan(observed)
    return valid, torch.where(valid, simulated, 0.0), torch.where(valid, observed, 0.0)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def _root(values: Tensor) -> Tensor:
    # The root has no finite gradient at 0; a perfect fit needs none.
    return torch.where(values > 0, torch.sqrt(torch.where(values > 0, values, 1.0)), 0.0)

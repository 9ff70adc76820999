"""Scores of ensembles and of quantiles, by the package ``scores`` (extra ``scores``), for hydroxr's labels.

A predictive distribution is an array with the dimension ``member``, or ``quantile`` as ``add_quantiles``
gives it. Quantiles count as members of equal probability, interpolated between them, so give many of
them: ``numpy.linspace(0.01, 0.99, 99)``. A forecast needs observations of the days that it is for:
``observed.sel(time=ahead["valid_time"])``. Pairs without a value are left out.
"""

from __future__ import annotations

from collections.abc import Hashable
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DescriptionError, DimensionError
from .alignment import by_label, of_the_same_cells, require_arrays, require_same_units
from .selection import Dims, dimensions

MEMBER, QUANTILE = "member", "quantile"
_MEMBERS = 50  # that stand for quantiles


def crps(predicted: xr.DataArray, observed: xr.DataArray, dim: Dims = "time") -> xr.DataArray:
    """Continuous ranked probability score: 0 is perfect; of one member it is the mean absolute error.

    Parameters
    ----------
    predicted : DataArray
        With ``member`` or ``quantile``.
    observed : DataArray
        Without that dimension, with the same labels.
    dim : Hashable or iterable of Hashable
        Dimensions to average over, or ``...`` for all.

    Returns
    -------
    DataArray
        In the units of ``predicted``.

    Raises
    ------
    DimensionError, CoordinateError, UnitsError
        If dimensions, labels or units do not fit.
    ImportError
        If the package ``scores`` is not installed.

    Notes
    -----
    Of the members as they are, without a correction for their number (``method="ecdf"``).
    """
    members, observed, dims = _pairs(predicted, observed, dim)
    out: xr.DataArray = _scores().crps_for_ensemble(
        members, observed, ensemble_member_dim=MEMBER, method="ecdf", reduce_dims=list(dims)
    )
    return _labelled(out, "crps", "continuous ranked probability score", predicted.attrs.get("units", "1"))


def brier(
    predicted: xr.DataArray, observed: xr.DataArray, threshold: float, dim: Dims = "time"
) -> xr.DataArray:
    """Brier score of exceeding a threshold, such as that of a flood: 0 is perfect.

    Parameters
    ----------
    predicted, observed, dim
        As for :func:`crps`.
    threshold : float
        In the units of ``predicted``. The event is a value of at least this.

    Returns
    -------
    DataArray
        Mean squared difference of forecast probability and event.

    Raises
    ------
    As :func:`crps`.
    """
    members, observed, dims = _pairs(predicted, observed, dim)
    out: xr.DataArray = _scores().brier_score_for_ensemble(
        members,
        observed,
        ensemble_member_dim=MEMBER,
        event_thresholds=float(threshold),
        reduce_dims=list(dims),
        fair_correction=False,
    )
    out = out.squeeze("threshold", drop=True)
    return _labelled(out, "brier", f"Brier score of at least {threshold:g}", "1")


def pit(predicted: xr.DataArray, observed: xr.DataArray, dim: Dims = "time", bins: int = 10) -> xr.DataArray:
    """Histogram of the probability integral transform: flat for a calibrated distribution.

    Parameters
    ----------
    predicted, observed, dim
        As for :func:`crps`.
    bins : int

    Returns
    -------
    DataArray
        ``(bin, ...)``, the share of observations in each bin of probability; ``bin`` is its middle.

    Raises
    ------
    As :func:`crps`.
    """
    members, observed, dims = _pairs(predicted, observed, dim)
    found = _scores().Pit(members, observed, ensemble_member_dim=MEMBER, reduce_dims=list(dims))
    out: xr.DataArray = found.hist_values(bins).rename(bin_centre="bin")
    out = out.drop_vars(["bin_left_endpoint", "bin_right_endpoint"], errors="ignore")
    out["bin"].attrs = {"long_name": "probability of a lower value", "units": "1"}
    return _labelled(out.transpose("bin", ...), "pit", "share of the observations", "1")


def reliability(predicted: xr.DataArray, observed: xr.DataArray, dim: Dims = "time") -> xr.DataArray:
    """How often observations lie at or below each quantile; equal to it for a calibrated distribution.

    Parameters
    ----------
    predicted : DataArray
        With ``quantile``, or with ``member``, of which the quantiles 0.05, 0.1, ... are taken.
    observed, dim
        As for :func:`crps`.

    Returns
    -------
    DataArray
        ``(quantile, ...)``.

    Raises
    ------
    As :func:`crps`.
    """
    members, observed, dims = _pairs(predicted, observed, dim, as_members=False)
    if MEMBER in members.dims:
        members = members.quantile(np.arange(1, 20) / 20, MEMBER, method="weibull")
    known = members.notnull() & observed.notnull()
    out = (observed <= members).where(known).mean(dims)
    out[QUANTILE].attrs = {"long_name": "forecast probability of a lower value", "units": "1"}
    return _labelled(out.transpose(QUANTILE, ...), "reliability", "observed share of lower values", "1")


def spread_skill(predicted: xr.DataArray, observed: xr.DataArray, dim: Dims = "time") -> xr.Dataset:
    """Spread of the members and error of their mean, which are alike for a calibrated ensemble.

    Parameters
    ----------
    predicted, observed, dim
        As for :func:`crps`.

    Returns
    -------
    Dataset
        ``spread``, the root of the members' mean variance with the factor (n + 1) / n of n members;
        ``error``, the root mean squared error of their mean; ``ratio`` of both: below 1, the spread is too
        small.

    Raises
    ------
    As :func:`crps`.
    """
    members, observed, dims = _pairs(predicted, observed, dim)
    number = members.sizes[MEMBER]
    if number < 2:
        raise DimensionError("there is one member; expected several, which have a spread.")
    known = members.notnull().all(MEMBER) & observed.notnull()
    variance = members.var(MEMBER, ddof=1) * (number + 1) / number
    spread = variance.where(known).mean(dims) ** 0.5
    error = ((members.mean(MEMBER) - observed) ** 2).where(known).mean(dims) ** 0.5
    units = predicted.attrs.get("units", "1")
    return xr.Dataset(
        {
            "spread": _labelled(spread, "spread", "spread of the members", units),
            "error": _labelled(error, "error", "root mean squared error of the mean", units),
            "ratio": _labelled(spread / error, "ratio", "spread over error", "1"),
        }
    )


def _scores() -> Any:
    """The package's probabilistic scores."""
    try:
        return import_module("scores.probability")
    except ImportError as error:
        raise ImportError("probabilistic scores need scores: pip install 'hydroxr[scores]'.") from error


def _pairs(
    predicted: xr.DataArray, observed: xr.DataArray, dim: Dims, as_members: bool = True
) -> tuple[xr.DataArray, xr.DataArray, tuple[Hashable, ...]]:
    """Members and observations with the same labels, and the dimensions to reduce."""
    require_arrays(predicted, observed)
    require_same_units(predicted, observed)
    own = [name for name in (MEMBER, QUANTILE) if name in predicted.dims]
    if len(own) != 1 or own[0] in observed.dims:
        raise DimensionError(
            f"predicted has dimensions {predicted.dims}, observed {observed.dims}; expected 'member' or "
            "'quantile' in predicted alone."
        )
    dims = tuple(name for name in dimensions(dim, predicted) if name != own[0])
    predicted, observed = by_label(*of_the_same_cells(predicted, observed, ("time",)))
    strange = [name for name in (*dims, *observed.dims) if name not in predicted.dims]
    strange += [name for name in dims if name not in observed.dims]
    if strange:
        raise DimensionError(
            f"dimension {strange[0]!r} is not in both predicted, {predicted.dims}, and observed, "
            f"{observed.dims}; expected the days that the forecast is for: observed.sel(time=valid_time)."
        )
    try:
        predicted, observed = xr.align(predicted, observed, join="exact")
    except ValueError as error:
        raise CoordinateError(
            f"labels of predicted and observed differ: {error}. Expected the same ones; select them first."
        ) from error
    bare = [
        array.drop_vars([name for name in array.coords if name not in array.dims])
        for array in (predicted, observed)
    ]
    if own[0] == QUANTILE and as_members:
        bare[0] = _members_of(bare[0])
    return bare[0], bare[1], dims


def _members_of(quantiles: xr.DataArray) -> xr.DataArray:
    """Members of equal probability, between quantiles; beyond the outermost ones, these."""
    known = quantiles[QUANTILE].values
    if len(known) < 2 or (np.diff(known) <= 0).any():
        raise DescriptionError(f"quantiles are {list(known)}; expected two at least, ascending.")
    wanted = np.clip((np.arange(_MEMBERS) + 0.5) / _MEMBERS, known[0], known[-1])
    low = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, len(known) - 2)
    share = xr.DataArray((wanted - known[low]) / (known[low + 1] - known[low]), dims=MEMBER)
    below, above = (
        quantiles.drop_vars(QUANTILE).isel({QUANTILE: xr.DataArray(place, dims=MEMBER)})
        for place in (low, low + 1)
    )
    return (1.0 - share) * below + share * above


def _labelled(array: xr.DataArray, name: str, long_name: str, units: str) -> xr.DataArray:
    out = array.rename(name)
    out.attrs = {"long_name": long_name, "units": units}
    return out

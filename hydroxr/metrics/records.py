"""Records of observed streamflow that say too little about a basin to be fitted like others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FEWEST = 30  # observations
FEWEST_SHARE = 0.1  # of the days of a short period
# Least standard deviation as a share of the mean. No catchment of CAMELS-US is below 0.28 in ten years,
# nor below 0.19 in one.
FLATTEST = 0.15


def few_and_flat(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which records have too few observations, and which hardly vary.

    Parameters
    ----------
    observed : array, (time, cell)
        Streamflow in any unit, NaN where missing; cells without any are neither.

    Returns
    -------
    few : array of bool, (cell,)
        Fewer than 30 observations, or than a tenth of the days if those are less.
    flat : array of bool, (cell,)
        Others, whose standard deviation is 0, or less than 0.15 of the mean.
    """
    count = np.isfinite(observed).sum(0)
    mean, variance = mean_and_variance(observed)
    few = (count > 0) & (count < min(FEWEST, FEWEST_SHARE * len(observed)))
    std = np.sqrt(variance)
    return few, (count > 0) & ~few & ((std == 0) | (std < FLATTEST * mean))


def mean_and_variance(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the finite values of each cell, (cell,), float64; 0 without any."""
    valid = np.isfinite(observed)
    count = np.maximum(valid.sum(0), 1)
    values = np.where(valid, observed, 0.0).astype(float)
    mean = values.sum(0) / count
    return mean, (np.where(valid, values - mean, 0.0) ** 2).sum(0) / count


def bounded_variance(
    observed: np.ndarray, of_all: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> np.ndarray:
    """Variance of each cell, (cell,), by which a loss divides its squared errors.

    It is the cell's own, except where observations are few or flat: errors there would weigh up to a
    hundred times those of others. Such a cell has at least the median variance of the others, and a
    standard deviation of at least 0.15 of its mean. ``of_all`` gives values of all cells, (value, cell),
    where others have some of them.
    """
    return variance_of_facts(of_all(variance_facts(observed)))


def variance_facts(observed: np.ndarray) -> np.ndarray:
    """What :func:`bounded_variance` needs of each cell, (fact, cell)."""
    weak = np.logical_or(*few_and_flat(observed))
    return np.stack([*mean_and_variance(observed), weak, np.isfinite(observed).any(0)])


def variance_of_facts(facts: np.ndarray) -> np.ndarray:
    """The bounded variance of each cell, (cell,), from the facts of all, (fact, cell)."""
    mean, variance, weak, there = facts
    weak = weak.astype(bool)
    usual = variance[~weak & there.astype(bool)]
    least = np.median(usual) if usual.size else 0.0
    return np.where(weak, np.maximum(np.maximum(variance, least), (FLATTEST * mean) ** 2), variance)

"""Nash-Sutcliffe efficiency of plain arrays: the formula that labelled metrics and training share."""

from __future__ import annotations

from typing import Any

import numpy as np


def efficiency(squared_error: Any, squared_anomaly: Any) -> Any:
    """One minus squared errors over squared anomalies of the observations, both summed or both averaged.

    Nash & Sutcliffe (1970), https://doi.org/10.1016/0022-1694(70)90255-6. Takes any arrays that broadcast;
    pass NaN instead of a ``squared_anomaly`` of 0.
    """
    return 1 - squared_error / squared_anomaly


def nse(simulated: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """NSE per cell, ``(space,)``, of arrays ``(time, space)`` in the same units.

    Days without an observation do not count. NaN where the observations do not vary, -inf where the
    simulation is not finite.
    """
    valid = np.isfinite(observed)
    count = np.maximum(valid.sum(0), 1)
    o = np.where(valid, observed, 0.0).astype(float)
    error = np.where(valid, simulated - o, 0.0)
    mean = o.sum(0) / count
    spread = (np.where(valid, o - mean, 0.0) ** 2).sum(0)
    scores = efficiency((error**2).sum(0), np.where(spread > 0, spread, np.nan))
    scores[(spread > 0) & ~np.isfinite(scores)] = -np.inf
    return np.asarray(scores)

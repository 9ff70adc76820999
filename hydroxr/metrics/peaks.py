"""Finding peaks of streamflow and timing them; see :func:`hydroxr.metrics.peak_timing` for the definition."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DescriptionError, DimensionError
from .pairs import Pairs


@dataclass(frozen=True)
class PeakRule:
    """What counts as a peak, and how far from it to look for the simulated one.

    Parameters
    ----------
    window
        Time steps on either side of an observed peak.
    distance
        Least number of time steps between two peaks.
    threshold
        Least prominence of a peak, in standard deviations of the observations.
    """

    window: int = 3
    distance: int = 100
    threshold: float = 1.0

    def __post_init__(self) -> None:
        for name in ("window", "distance"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise DescriptionError(
                    f"{name} is {value!r}; expected a whole number of time steps, at least 1."
                )
        if not isinstance(self.threshold, int | float | np.number) or not 0 <= self.threshold < np.inf:
            raise DescriptionError(
                f"threshold is {self.threshold!r}; expected a number of standard deviations, 0 or more."
            )


def timing_errors(pairs: Pairs, rule: PeakRule) -> tuple[xr.DataArray, xr.DataArray]:
    """Sum over the peaks of the absolute differences in time, days, and the number of peaks.

    Returns
    -------
    tuple of DataArray
        Both ``(...)``, without the dimensions that the pairs reduce.
    """
    axis = _axis(pairs)
    series = [pairs.simulated, pairs.observed]
    if any(array.chunks is not None for array in series):
        series = [array.chunk({axis: -1}) for array in series]
    days, order, places = _steps(pairs.observed, axis, rule)
    total, count = xr.apply_ufunc(
        _errors,
        *series,
        kwargs={"rule": rule, "days": days, "order": order, "places": places},
        input_core_dims=[[axis], [axis]],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.int64],
    )
    others = [dim for dim in pairs.dims if dim != axis]
    return total.sum(others), count.sum(others)


def _axis(pairs: Pairs) -> Hashable:
    if "time" in pairs.dims:
        return "time"
    if len(pairs.dims) == 1:
        return pairs.dims[0]
    raise DimensionError(
        f"the dimensions {pairs.dims} are reduced, and none of them is 'time', along which peaks are looked "
        "for; expected 'time' among them, or one dimension alone."
    )


def _steps(array: xr.DataArray, axis: Hashable, rule: PeakRule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time of each value in days, the order in time, and the position among even steps.

    Positions that are not consecutive mark gaps. Numeric labels count as days; without dates or numbers,
    values count as one per day.
    """
    index = array.indexes.get(axis)
    days = np.arange(array.sizes[axis], dtype=float)
    if isinstance(index, pd.DatetimeIndex | xr.CFTimeIndex):
        days = np.asarray((index - index[0]) / np.timedelta64(1, "D"), dtype=float)
    elif index is not None and index.dtype.kind in "iuf":
        days = np.asarray(index - index[0], dtype=float)
    order = np.argsort(days, kind="stable")
    days = days[order]
    steps = np.diff(days)
    # Months and years are uneven: round to whole steps. No gap needs to be longer than the reach of a peak.
    usual = np.median(steps) if steps.size else 1.0
    whole = np.clip(np.rint(steps / usual), 1, rule.distance + 2 * rule.window + 1)
    return days, order, np.concatenate([[0], np.cumsum(whole)]).astype(int)


def _errors(
    simulated: np.ndarray,
    observed: np.ndarray,
    *,
    rule: PeakRule,
    days: np.ndarray,
    order: np.ndarray,
    places: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`timing_errors` of arrays (..., time)."""
    simulated, observed = np.broadcast_arrays(simulated, observed)
    total = np.zeros(simulated.shape[:-1])
    count = np.zeros(simulated.shape[:-1], dtype=np.int64)
    when = np.full(places[-1] + 1, np.nan)
    when[places] = days
    for cell in np.ndindex(total.shape):
        whole = np.full((2, when.size), np.nan)
        whole[:, places] = simulated[cell][order], observed[cell][order]
        found = _cell_errors(whole[0], whole[1], when, rule)
        total[cell], count[cell] = found.sum(), found.size
    return total, count


def _cell_errors(simulated: np.ndarray, observed: np.ndarray, when: np.ndarray, rule: PeakRule) -> np.ndarray:
    """Days from each observed peak of a series to the simulated maximum."""
    if np.isfinite(observed).sum() < 2:
        return np.zeros(0)
    peaks = find_peaks(observed, rule.distance, rule.threshold * np.nanstd(observed))
    peaks = peaks[(peaks >= rule.window) & (peaks < observed.size - rule.window)]
    around = peaks[:, None] + np.arange(-rule.window, rule.window + 1)
    complete = np.isfinite(simulated[around]).all(axis=1)
    peaks, around = peaks[complete], around[complete]
    values = simulated[around]
    highest = values == values.max(axis=1, keepdims=True)
    away = np.abs(when[around] - when[peaks][:, None])
    return np.where(highest, away, np.inf).min(axis=1)


def find_peaks(values: np.ndarray, distance: int, prominence: float) -> np.ndarray:
    """Positions of the peaks of a series, ascending.

    Parameters
    ----------
    values : array, (time,)
        At even steps, NaN where missing.
    distance
        A peak removes lower ones closer than this, in steps; the highest goes first.
    prominence
        Least height of the remaining peaks above the higher of the lowest values on either side, up to a
        higher value or the end; units of ``values``.
    """
    peaks = _maxima(values)
    peaks = peaks[_apart(peaks, values[peaks], distance)]
    return np.array([peak for peak in peaks if _prominence(values, peak) >= prominence], dtype=int)


def _maxima(values: np.ndarray) -> np.ndarray:
    """Positions of values above both neighbours; of adjacent equal values, the middle one."""
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    ends = np.concatenate([begins[1:], [values.size]]) - 1
    level = values[begins]
    above = (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])  # False next to a gap
    return ((begins + ends) // 2)[1:-1][above]


def _apart(peaks: np.ndarray, heights: np.ndarray, distance: int) -> np.ndarray:
    """Which peaks remain; of equal heights, the earlier one goes first."""
    kept = np.ones(peaks.size, dtype=bool)
    for place in np.argsort(-heights, kind="stable"):
        if kept[place]:
            first = np.searchsorted(peaks, peaks[place] - distance, side="right")
            last = np.searchsorted(peaks, peaks[place] + distance, side="left")
            kept[first:last] = False
            kept[place] = True
    return kept


def _prominence(values: np.ndarray, peak: int) -> float:
    higher = np.flatnonzero(values > values[peak])
    place = np.searchsorted(higher, peak)
    first = higher[place - 1] + 1 if place else 0
    last = higher[place] if place < higher.size else values.size
    return float(values[peak] - max(np.nanmin(values[first : peak + 1]), np.nanmin(values[peak:last])))

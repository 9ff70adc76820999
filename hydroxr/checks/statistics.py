"""Numbers that summarise one daily series in each of many cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..conventions.missing_values import look_missing

_YEAR = 365.25  # days
_WET = 1e-3  # mm/day; less is no precipitation


@dataclass(frozen=True)
class Statistics:
    """Statistics of a daily series; each an array (cell,) unless it says otherwise.

    NaN where a cell has no value, except for counts.

    Parameters
    ----------
    known : int
        Number of days with a finite value.
    mean, lowest, highest, second : float
        Mean, smallest, largest and second largest value.
    first, last : int
        Positions of the first and last day with a value.
    zeros, wet : int
        Days of 0, and of more than 0.001.
    rises, falls : int
        Days above, and below, the day before.
    longest, longest_end : int
        Days of the longest run of one and the same value, and the position of its last day.
    season_cos, season_sin : float
        Coefficients of the yearly wave, in the units of the series.
    codes : int
        Days with a number that data sets write for missing values.
    key : int
        The same for series that are equal in every bit; different otherwise, in all likelihood.
    months : float, (cell, 12)
        Mean of each month of the year.
    """

    known: np.ndarray
    mean: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    second: np.ndarray
    first: np.ndarray
    last: np.ndarray
    zeros: np.ndarray
    wet: np.ndarray
    rises: np.ndarray
    falls: np.ndarray
    longest: np.ndarray
    longest_end: np.ndarray
    season_cos: np.ndarray
    season_sin: np.ndarray
    codes: np.ndarray
    key: np.ndarray
    months: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, days_of_year: np.ndarray, months: np.ndarray) -> Statistics:
        """Statistics of values (cell, time); ``days_of_year`` and ``months`` (time,) count from 1."""
        codes = _codes(values)
        values = np.where(codes, np.nan, values) if codes.any() else values  # they are no values
        there = np.isfinite(values)
        known, days = there.sum(axis=1), values.shape[1]
        whole = np.where(there, values, 0.0)
        mean = _ratio(whole.sum(axis=1, dtype=float), known)
        sorted_end = np.sort(np.partition(np.where(there, values, -np.inf), max(days - 2, 0), axis=1)[:, -2:])
        change = np.diff(np.where(there, values, np.nan), axis=1)
        angle = 2 * np.pi * days_of_year / _YEAR
        anomaly = np.where(there, values - np.nan_to_num(mean)[:, None], 0.0)
        longest, end = _longest_run(values)
        by_month = [
            _ratio(whole[:, chosen].sum(axis=1, dtype=float), there[:, chosen].sum(axis=1))
            for chosen in (months == month for month in range(1, 13))
        ]
        return cls(
            known=known,
            mean=mean,
            lowest=_finite(np.where(there, values, np.inf).min(axis=1)),
            highest=_finite(sorted_end[:, -1]),
            second=_finite(sorted_end[:, 0]),
            first=there.argmax(axis=1),
            last=days - 1 - there[:, ::-1].argmax(axis=1),
            zeros=(values == 0).sum(axis=1),
            wet=(values > _WET).sum(axis=1),
            rises=(change > 0).sum(axis=1),
            falls=(change < 0).sum(axis=1),
            longest=longest,
            longest_end=end,
            season_cos=2 * _ratio((anomaly * np.cos(angle)).sum(axis=1), known),
            season_sin=2 * _ratio((anomaly * np.sin(angle)).sum(axis=1), known),
            codes=codes.sum(axis=1),
            key=_keys(values),
            months=np.stack(by_month, axis=1),
        )

    @classmethod
    def joined(cls, parts: Sequence[Statistics]) -> Statistics:
        """Statistics of all cells of several parts."""
        return cls(
            **{
                each.name: np.concatenate([getattr(part, each.name) for part in parts])
                for each in fields(cls)
            }
        )

    @property
    def constant(self) -> np.ndarray:
        """Whether all values are the same, over a month or more."""
        return (self.known >= 30) & (self.lowest == self.highest)

    @property
    def amplitude(self) -> np.ndarray:
        """Half of the range of the yearly wave."""
        return np.hypot(self.season_cos, self.season_sin)

    @property
    def peak(self) -> np.ndarray:
        """Day of the year on which the yearly wave is highest."""
        return (np.arctan2(self.season_sin, self.season_cos) / (2 * np.pi) * _YEAR) % _YEAR


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan).astype(float)


def _longest_run(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days of the longest run of equal values, and the position of its last day; NaN equals nothing."""
    day = np.arange(values.shape[1])
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    length = day - np.maximum.accumulate(np.where(starts, day, 0), axis=1) + 1
    end = length.argmax(axis=1)
    return length[np.arange(len(values)), end], end


def _codes(values: np.ndarray) -> np.ndarray:
    """Which values are numbers that usually stand for a missing value."""
    out = np.abs(values) >= 99
    out[out] = look_missing(values[out])
    return out


def _keys(values: np.ndarray) -> np.ndarray:
    """Sums of the bits with a weight for each day, which no order of adding changes."""
    bits = np.ascontiguousarray(values, dtype="float64").view("uint64")
    weights = np.random.default_rng(0).integers(1, 2**63, values.shape[1], dtype="uint64") | np.uint64(1)
    return (bits * weights).sum(axis=1, dtype="uint64")

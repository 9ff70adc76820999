"""Fill gaps of the forcing, for runs with ``missing="fill"``."""

from __future__ import annotations

import numpy as np

LONG = 7  # days; longer gaps are filled with a climatology
_AROUND = 15  # days before and after a day of the year that its climatology is the mean of
_DAYS = 366


def fill_gaps(
    values: np.ndarray, days_of_year: np.ndarray, *, precipitation: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Fill missing days of daily forcing.

    Gaps of up to a week are interpolated linearly in time; at both ends the nearest value is repeated.
    Precipitation filled so is at most the mean of the days that have any: two wet days beside a gap do not
    make a wet week.

    Longer gaps are filled with a climatology: the mean of the known days of all years within 15 days of
    the same day of the year. Where fewer than 15 days are known at that time of the year, precipitation is
    the mean of all known days: one wet day beside a gap does not make a wet month. Where none is known,
    other forcing is interpolated.

    Parameters
    ----------
    values : array, (cell, time)
        All days of the record.
    days_of_year : array, (time,)
        The day of the year of each, from 1.
    precipitation : bool
        Whether the values are precipitation.

    Returns
    -------
    filled : array, (cell, time)
        A cell without any value stays missing.
    was_missing : array of bool, (cell, time)
    """
    was_missing = np.isnan(values)
    filled = values.copy()
    days = np.arange(values.shape[-1])
    for cell in np.flatnonzero(was_missing.any(axis=-1)):
        gaps = was_missing[cell]
        known = ~gaps
        if not known.any():
            continue
        record = values[cell, known].astype(float)
        invented = np.interp(days[gaps], days[known], record)
        if precipitation:
            wet = record[record > 0]
            invented = np.minimum(invented, wet.mean() if wet.size else 0.0)
        long = _lengths(gaps)[gaps] > LONG
        if long.any():
            least = _AROUND if precipitation else 1
            usual = _climatology(record, days_of_year[known], least)[days_of_year[gaps] - 1]
            if precipitation:
                usual = np.where(np.isnan(usual), record.mean(), usual)
            invented = np.where(long & ~np.isnan(usual), usual, invented)
        filled[cell, gaps] = invented
    return filled, was_missing


def _lengths(gaps: np.ndarray) -> np.ndarray:
    """For each day the length of the gap that it lies in, (time,); 0 outside of gaps."""
    edges = np.diff(gaps.astype("int8"), prepend=0, append=0)
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    out = np.zeros(len(gaps), dtype=int)
    out[gaps] = np.repeat(last - first, last - first)
    return out


def _climatology(record: np.ndarray, days_of_year: np.ndarray, least: int) -> np.ndarray:
    """The mean of known days by day of the year, (366,); NaN with fewer than ``least`` within 15 days."""
    sums, counts = (
        _around(np.bincount(days_of_year - 1, weights=weights, minlength=_DAYS))
        for weights in (record, np.ones(len(record)))
    )
    return np.divide(sums, counts, out=np.full(_DAYS, np.nan), where=counts > least - 0.5)


def _around(by_day: np.ndarray) -> np.ndarray:
    """Sums over the days around each day of the year; December is beside January."""
    circle = np.concatenate([by_day[-_AROUND:], by_day, by_day[:_AROUND]])
    return np.convolve(circle, np.ones(2 * _AROUND + 1), mode="valid")

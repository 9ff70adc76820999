"""Gaps of the forcing: short ones are interpolated, long ones get a climatology."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hydroxr.inputs.gaps import fill_gaps

DAYS = pd.date_range("2000-01-01", periods=3 * 365)
OF_YEAR = np.asarray(DAYS.day_of_year)
SEASON = 10 - 8 * np.cos(2 * np.pi * (OF_YEAR - 15) / 365.25)  # coldest in the middle of January
RNG = np.random.default_rng(1)
RAIN = np.where(RNG.random(len(DAYS)) < 0.4, RNG.gamma(0.8, 8.0, len(DAYS)), 0.0)


def filled(values: np.ndarray, *gaps: slice, **options: bool) -> np.ndarray:
    with_gaps = values.copy()
    for gap in gaps:
        with_gaps[gap] = np.nan
    out, missing = fill_gaps(with_gaps[None], OF_YEAR, **options)
    np.testing.assert_array_equal(missing[0], np.isnan(with_gaps))
    np.testing.assert_array_equal(out[0][~missing[0]], with_gaps[~missing[0]])
    return out[0]


def test_a_week_is_interpolated() -> None:
    """Between its neighbours; at the ends the nearest value."""
    out = filled(SEASON, slice(100, 107), slice(0, 3))
    np.testing.assert_allclose(out[100:107], np.linspace(SEASON[99], SEASON[107], 9)[1:-1])
    np.testing.assert_array_equal(out[:3], SEASON[3])


def test_a_longer_gap_gets_the_climatology() -> None:
    """Half a year without data still has its season: a line from autumn to spring would have no winter."""
    gap = slice(300, 500)
    out = filled(SEASON, gap)
    np.testing.assert_allclose(out[gap], SEASON[gap], atol=0.5)
    line = np.linspace(SEASON[299], SEASON[500], 202)[1:-1]
    assert abs(line - SEASON[gap]).max() > 3


@pytest.mark.parametrize("gap", [slice(101, 161), slice(0, 60), slice(1035, 1095)])
def test_wet_days_beside_a_gap_do_not_make_a_flood(gap: slice) -> None:
    """Sixty days between two of 50 mm are no 3,000 mm, but about what falls in sixty days."""
    rain = RAIN.copy()
    rain[[place for place in (gap.start - 1, gap.stop) if 0 <= place < len(rain)]] = 50.0
    total = filled(rain, gap, precipitation=True)[gap].sum()
    assert total == pytest.approx(60 * RAIN.mean(), rel=0.5)


def test_one_year_alone_has_no_climatology_of_a_gap() -> None:
    """Within 15 days of it are the wet days beside it, and few others."""
    rain, gap = RAIN[:400].copy(), slice(101, 161)
    rain[[100, 161]] = 50.0
    rain[gap] = np.nan
    out, _ = fill_gaps(rain[None], OF_YEAR[:400], precipitation=True)
    assert out[0, gap].mean() == pytest.approx(np.nanmean(rain), rel=0.1)


def test_a_short_gap_of_precipitation_is_no_flood_either() -> None:
    """A day that is made up has at most the mean of wet days."""
    rain = RAIN.copy()
    rain[[99, 107]] = 50.0
    out = filled(rain, slice(100, 107), precipitation=True)
    known = np.delete(rain, np.s_[100:107])
    np.testing.assert_allclose(out[100:107], known[known > 0].mean())


def test_a_season_that_no_year_has() -> None:
    """Precipitation is the mean of all known days, temperature a line: there is nothing better."""
    rain, missing = RAIN[:300].copy(), slice(120, 240)
    rain[missing] = np.nan
    out, _ = fill_gaps(rain[None], OF_YEAR[:300], precipitation=True)
    assert out[0, 180] == pytest.approx(np.nanmean(rain))
    cold = SEASON[:300].copy()
    cold[missing] = np.nan
    out, _ = fill_gaps(cold[None], OF_YEAR[:300])
    assert out[0, 180] == pytest.approx(np.interp(180, [119, 240], SEASON[[119, 240]]))


def test_nothing_is_made_of_nothing() -> None:
    """A cell without any value stays missing; the type stays."""
    values = np.stack([np.full(len(DAYS), np.nan), RAIN]).astype("float32")
    values[1, 5] = np.nan
    out, missing = fill_gaps(values, OF_YEAR, precipitation=True)
    assert np.isnan(out[0]).all()
    assert missing[0].all()
    assert np.isfinite(out[1]).all()
    assert out.dtype == "float32"

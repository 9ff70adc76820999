"""Metrics of the flow duration curve against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hydroxr import metrics
from tests.support.metrics_by_hand import series

pytestmark = pytest.mark.filterwarnings("error")


def test_duration_curves_do_not_look_at_the_days():
    observed = series(np.arange(1.0, 101.0))
    backwards = observed.copy(data=observed.values[::-1])
    assert float(metrics.flv(backwards, observed)) == 0.0
    assert float(metrics.fhv(backwards, observed)) == 0.0
    assert float(metrics.correlation(backwards, observed)) == pytest.approx(-1.0)


def test_duration_curves_take_the_lowest_30_and_the_highest_2_percent():
    observed = series(np.arange(1.0, 101.0))
    low = observed.where(observed > 30, observed + 1)  # 30 of 100 flows are 1 too high
    assert float(metrics.flv(low, observed)) == pytest.approx(100 * 30 / (30 * 31 / 2))
    assert float(metrics.fhv(low, observed)) == 0.0
    high = observed.where(observed < 99, observed + 1)  # 2 of 100
    assert float(metrics.fhv(high, observed)) == pytest.approx(100 * 2 / (99 + 100))
    assert float(metrics.flv(high, observed)) == 0.0


@pytest.mark.parametrize(("n", "n_low", "n_high"), [(5, 2, 0), (25, 8, 0), (26, 8, 1), (75, 22, 2)])
def test_duration_curves_round_the_number_of_days(n, n_low, n_high):
    # 0.3 x 5 = 1.5 and 0.3 x 75 = 22.5 and 0.02 x 25 = 0.5: halves go to the even number
    observed = series(np.arange(1.0, n + 1.0))
    assert float(metrics.flv(observed + 1, observed)) == pytest.approx(100 * 2 / (n_low + 1))
    expected = 100 / (n - (n_high - 1) / 2) if n_high else math.nan
    assert float(metrics.fhv(observed + 1, observed)) == pytest.approx(expected, nan_ok=True)


def test_gaps_in_the_simulation_do_not_enter_the_duration_curves():
    observed = series(np.arange(1.0, 201.0))
    simulated = observed.where(observed <= 100)
    assert float(metrics.flv(simulated, observed)) == 0.0
    assert float(metrics.fhv(simulated, observed)) == 0.0

"""Gaps, undefined metrics and the precision of sums."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr import metrics
from tests.support.metrics_by_hand import EVALUATED, SINGLE, basins, series

pytestmark = pytest.mark.filterwarnings("error")


def test_a_gap_in_one_series_takes_the_value_out_of_the_other():
    observed = series([1.0, 2.0, np.nan, 4.0, 7.0, 5.0])
    simulated = series([1.5, 2.0, 1000.0, np.nan, 6.0, 5.5])
    kept = [0, 1, 4, 5]
    whole = metrics.evaluate(simulated, observed)
    xr.testing.assert_allclose(whole, metrics.evaluate(simulated[kept], observed[kept]))
    assert int(whole["n_days"]) == 4


@pytest.mark.parametrize("observed", [[np.nan, np.nan, np.nan], [1.0, np.nan, np.nan]])
def test_fewer_than_two_pairs_are_undefined(observed):
    simulated = series([1.0, 2.0, 3.0])
    scores = metrics.evaluate(simulated, series(observed))
    assert int(scores["n_days"]) == np.isfinite(observed).sum()
    assert all(np.isnan(scores[name]) for name in EVALUATED if name != "n_days")
    assert all(np.isnan(metric(simulated, series(observed))) for metric in SINGLE.values())


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.0])
def test_constant_observations_have_no_efficiency(constant):
    # the mean of many 0.1 is not 0.1 in floating point: a variance of 1e-33 must count as none
    observed = series(np.full(5479, constant))
    scores = metrics.evaluate(series(np.arange(5479.0)), observed)
    for name in ("nse", "kge", "r", "alpha", "log_nse", "kge_2012", "gamma", "peak_timing"):
        assert np.isnan(scores[name]), name
    assert np.isfinite(scores["rmse"])
    assert np.isnan(scores["pbias"]) == (constant == 0)
    assert np.isnan(metrics.correlation(observed, observed))


def test_a_dry_river_has_no_bias_in_percent():
    observed = series([0.0] * 40 + [1.0] * 60)
    scores = metrics.evaluate(observed + 0.1, observed)
    assert np.isnan(scores["flv"])
    assert float(scores["pbias"]) == pytest.approx(100 * 0.1 / 0.6)


def test_a_simulation_that_has_blown_up_is_not_flattered():
    simulated, observed = basins()
    simulated[2, 7] = np.inf
    observed[7, 2] = 1.0
    scores = metrics.evaluate(simulated, observed)
    assert all(np.isnan(scores[name][2]) for name in EVALUATED if name != "n_days")
    assert np.isnan(metrics.peak_timing(simulated, observed, distance=10)[2])
    assert np.isfinite(scores["nse"][[0, 1, 3]]).all()


@pytest.mark.parametrize("dtype", ["float32", ">f4", "int32"])
def test_sums_are_taken_in_float64(dtype):
    random = np.random.default_rng(1)
    observed = series((1e6 + 1000 * random.random(20_000)).round()).astype(dtype)
    simulated = (observed + 100).astype(dtype)
    scores = metrics.evaluate(simulated, observed)
    assert all(scores[name].dtype == np.float64 for name in EVALUATED if name != "n_days")
    assert float(scores["alpha"]) == pytest.approx(1.0, rel=1e-9)
    assert float(metrics.bias(simulated, observed)) == pytest.approx(100.0, rel=1e-9)


def test_lazy_and_undefined_gives_no_warning():
    simulated, observed = basins()
    observed[:, 0] = np.nan
    observed[:, 1] = 0.0
    simulated[2] = np.inf
    lazy = metrics.evaluate(simulated.chunk(time=50), observed.chunk(time=50))
    xr.testing.assert_allclose(lazy.compute(scheduler="sync"), metrics.evaluate(simulated, observed))

"""Records of streamflow that say too little about a basin, and what a loss divides their errors by."""

from __future__ import annotations

import numpy as np

from hydroxr.metrics.records import bounded_variance, few_and_flat


def records(days: int = 400) -> np.ndarray:
    """Two usual cells, one constant, one with a single day, one that is always dry, one without any."""
    rng = np.random.default_rng(0)
    flow = np.full((days, 6), np.nan)
    flow[:, 0], flow[:, 1] = rng.gamma(1.0, 2.0, days), rng.gamma(2.0, 0.01, days)
    flow[:, 2], flow[7, 3], flow[:, 4] = 8.0, 3.0, 0.0
    return flow


def test_too_few_and_too_flat_records_are_found() -> None:
    few, flat = few_and_flat(records())
    assert few.tolist() == [False, False, False, True, False, False]
    assert flat.tolist() == [False, False, True, False, True, False]


def test_a_short_period_needs_fewer_observations() -> None:
    """A tenth of its days."""
    few, _ = few_and_flat(np.random.default_rng(1).gamma(1.0, 1.0, (50, 1)))
    assert not few.any()


def test_usual_cells_keep_their_variance_and_others_weigh_no_more() -> None:
    """Also a usual cell that is nearly dry: its errors are small as well."""
    flow = records()
    variance = bounded_variance(flow)
    np.testing.assert_allclose(variance[:2], flow[:, :2].var(0))
    assert (variance[2:5] >= np.median(variance[:2])).all()
    assert np.isfinite(variance).all()


def test_alone_a_flat_record_counts_relative_to_its_mean() -> None:
    """There is no other cell to compare with."""
    np.testing.assert_allclose(bounded_variance(np.full((100, 1), 8.0)), [(0.15 * 8.0) ** 2])

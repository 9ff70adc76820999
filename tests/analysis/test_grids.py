"""Edges of cells, of numbers and of dates."""

from __future__ import annotations

import numpy as np

from hydroxr.analysis.grids import cell_edges


def test_edges_lie_halfway_and_as_far_beyond_the_ends() -> None:
    np.testing.assert_array_equal(cell_edges(np.array([1.0, 2.0, 4.0])), [0.5, 1.5, 3.0, 5.0])
    np.testing.assert_array_equal(cell_edges(np.array([4.0, 2.0, 1.0])), [5.0, 3.0, 1.5, 0.5])


def test_a_single_cell_has_the_width_that_is_given() -> None:
    np.testing.assert_array_equal(cell_edges(np.array([3.0]), width=1.0), [2.5, 3.5])


def test_dates_have_edges_too() -> None:
    days = np.array(["2001-01-01", "2001-01-03"], "datetime64[ns]")
    expected = np.array(["2000-12-31", "2001-01-02", "2001-01-04"], "datetime64[ns]")
    np.testing.assert_array_equal(cell_edges(days), expected)
    noon = np.array(["2000-12-31T12", "2001-01-01T12"], "datetime64[ns]")
    np.testing.assert_array_equal(cell_edges(days[:1], width=np.timedelta64(24, "h")), noon)

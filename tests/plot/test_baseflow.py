"""Promises of hydroxr.plot.baseflow_index."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr import plot
from hydroxr.errors import (
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    UnitsError,
)
from tests.support.plots import boxes_of, drawn_values, make_results, tall

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def results() -> xr.Dataset:
    return make_results()


def test_the_baseflow_index_is_mapped_and_compared_for_all_and_for_good_cells(results):
    nse = results["nse"].isel(run=2).values
    known = nse < np.quantile(nse, 0.9)  # some good cells have no index
    results["bfi_l13"] = results["bfi_l13"].where(known)
    axes = plot.baseflow_index(results, run="dn-bt-gt", threshold=0.6)
    assert axes.shape == (3, 2)
    one = results.isel(run=2)
    good = (one["nse"].values > 0.6) & known
    assert 2 < good.sum() < known.sum() - 2
    for column, counted in enumerate((known, good)):
        np.testing.assert_array_equal(
            drawn_values(axes[0, column]).get_array(), one["bfi_l13"].values[counted]
        )
        np.testing.assert_array_equal(
            drawn_values(axes[1, column]).get_array(), one["baseflow_index"].values[counted]
        )
        x, y = one["bfi_l13"].values[counted], one["baseflow_index"].values[counted]
        np.testing.assert_array_equal(axes[2, column].collections[0].get_offsets(), np.column_stack([x, y]))
        title = axes[2, column].get_title(loc="left")
        name = ("(e) all cells", "(f) NSE > 0.6")[column]
        assert title == f"{name}: r = {np.corrcoef(x, y)[0, 1]:.3f}, {counted.sum()} cells"
    assert axes[2, 0].get_xlabel() == "BFI after Ladson et al. (2013)"
    assert axes[2, 0].get_ylabel() == r"simulated $Q_2/Q$ of $\delta_n(\gamma^t,\,\beta^t)$"
    assert axes[0, 0].figure.axes[-1].get_xlabel() == "baseflow index"


def test_without_a_threshold_no_nse_is_needed(results):
    """Another index may be named or given, for more basins in another order."""
    one = results.isel(run=2, drop=True).drop_vars("nse")
    axes = plot.baseflow_index(one, "bfi_usgs", threshold=None)
    assert axes.shape == (3, 1)
    given = plot.baseflow_index(
        one.isel(basin=slice(0, 30)), one["bfi_usgs"].isel(basin=slice(None, None, -1)), threshold=None
    )
    np.testing.assert_array_equal(
        given[2, 0].collections[0].get_offsets(), axes[2, 0].collections[0].get_offsets()[:30]
    )


def test_without_two_good_cells_the_right_side_is_left_out(results):
    axes = plot.baseflow_index(results, run="d1", threshold=2)
    assert axes.shape == (3, 1)
    assert axes[2, 0].get_title(loc="left").startswith("(c) all cells")


@pytest.mark.parametrize("region", ["wide", "tall"])
def test_nothing_of_the_baseflow_figure_overlaps_or_lies_outside(results, region):
    results = results if region == "wide" else tall(results)
    for threshold in (0.5, None):
        axes = plot.baseflow_index(results, run="d1", threshold=threshold)
        figure = axes[0, 0].figure
        figure.canvas.draw()
        bar = figure.axes[-1].get_window_extent()
        for panel in axes.ravel():
            texts = [panel._left_title, panel.xaxis.label, panel.yaxis.label]
            for box in boxes_of(texts):
                assert box.x0 >= -1
                assert box.y0 >= -1
                assert box.x1 <= figure.bbox.x1 + 1
                assert not box.overlaps(bar)


def test_a_baseflow_index_in_percent_is_drawn_as_a_fraction(results):
    percent = (results["bfi_l13"] * 100).assign_attrs(units="%")
    drawn = [
        plot.baseflow_index(each, run="dn-bt-gt")
        for each in (results, results.assign(bfi_l13=percent), results.assign(bfi_l13=percent / 1))
    ]
    for axes in drawn[1:]:
        np.testing.assert_allclose(
            axes[2, 0].collections[0].get_offsets(), drawn[0][2, 0].collections[0].get_offsets()
        )
        np.testing.assert_allclose(drawn_values(axes[0, 0]).get_array(), results["bfi_l13"])


def test_a_baseflow_index_that_cannot_be_drawn_is_refused(results):
    contradictory = (results["bfi_l13"] * 100).assign_attrs(units="1")
    with pytest.raises(UnitsError, match="expected 0 to 1 with units '1' or 0 to 100 with units '%'"):
        plot.baseflow_index(results.assign(bfi_l13=contradictory), run="dn-bt-gt")
    with pytest.raises(EmptySelectionError, match=r"0 cells have a simulated.*An LSTM has none"):
        plot.baseflow_index(results, run="lstm")
    with pytest.raises(MissingVariableError, match="needs 'nse'"):
        plot.baseflow_index(results.drop_vars("nse"), run="d1")
    with pytest.raises(MissingVariableError, match="needs 'bfi'"):
        plot.baseflow_index(results, "bfi", run="d1")
    with pytest.raises(DimensionError, match="choose one of"):
        plot.baseflow_index(results)
    with pytest.raises(CoordinateError, match="no basin 00001210"):
        plot.baseflow_index(results, results["bfi_l13"][:30], run="d1")
    with pytest.raises(ValueError, match=r"expected one Axes per panel, arranged as \(3, 2\)"):
        plot.baseflow_index(results, run="d1", axes=plt.subplots(3)[1])

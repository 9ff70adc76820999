"""Promises of hydroxr.plot.cdf and hydroxr.plot.evapotranspiration."""

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
from hydroxr.plot.runs import one_run
from hydroxr.plot.style import MODEL_COLOURS, mathematical
from tests.support.plots import make_results

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first

DELTA1, DELTAN = r"$\delta_1$", r"$\delta_n(\gamma^t,\,\beta^t)$"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def results() -> xr.Dataset:
    return make_results()


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


# --- Distributions --------------------------------------------------------------------------------


def test_a_single_run_is_drawn_as_its_empirical_distribution(results):
    """At each value, the share of the cells that is as low or lower."""
    nse = results["nse"].isel(run=2).values
    axes = plot.cdf(results.isel(run=2), "nse")
    (line,) = axes.lines
    x, y = line.get_xdata(), line.get_ydata()
    for value, share in zip(x, y, strict=True):
        assert share == pytest.approx(np.mean(nse <= value))
    np.testing.assert_array_equal(x, np.sort(nse))
    assert line.get_drawstyle() == "steps-post"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("NSE", "share of the cells (of 40)")
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1))
    assert legend(axes) == [f"median {np.median(nse):.3f}"]


def test_seeds_of_a_model_make_a_line_on_a_band(results):
    """Means and extremes of the two seeds' quantiles; the others are alone."""
    axes = plot.cdf(results, "kge")
    median = results["kge"].isel(run=[0, 1]).median("basin")
    assert legend(axes)[0] == f"{DELTA1}: median {float(median.mean()):.3f} (2 seeds)"
    assert [text.split(":")[0] for text in legend(axes)] == [DELTA1, DELTAN, "LSTM"]
    line = axes.lines[0]
    middle = list(line.get_ydata()).index(0.5)
    assert line.get_xdata()[middle] == pytest.approx(float(median.mean()))
    (band,) = axes.collections
    edge = band.get_paths()[0].vertices
    at_half = edge[np.isclose(edge[:, 1], 0.5), 0]
    assert {at_half.min(), at_half.max()} == {float(median.min()), float(median.max())}


def test_models_have_their_colours_and_order_whatever_the_order_of_runs(results):
    axes = plot.cdf(results.isel(run=[3, 2]), "nse")
    assert [line.get_color() for line in axes.lines] == [MODEL_COLOURS["dn-bt-gt"], MODEL_COLOURS["lstm"]]


def test_splits_have_lines_of_their_own(results):
    """Ungauged basins are not averaged with the years that were not trained on."""
    both = results.isel(run=[2, 2]).assign_coords(run=["a", "b"], split=("run", ["time", "pub"]))
    axes = plot.cdf(both, "nse")
    assert [text.split(":")[0] for text in legend(axes)] == [f"{DELTAN}, time", f"{DELTAN}, PUB"]
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]


def test_scores_of_single_simulations_are_named_by_a_dict(results):
    """A Dataset or the metric itself."""
    one = results.isel(run=0, drop=True)
    axes = plot.cdf({"δ1": one, "mine": one["nse"] - 0.1}, "nse")
    assert [text.split(":")[0] for text in legend(axes)] == [DELTA1, "mine"]
    np.testing.assert_allclose(axes.lines[1].get_xdata(), np.sort(one["nse"] - 0.1))


def test_cells_without_a_value_do_not_count(results):
    one = results["nse"].isel(run=2).where(np.arange(40) >= 10)
    axes = plot.cdf(one)
    assert axes.get_ylabel() == "share of the cells (of 30)"
    assert axes.lines[0].get_ydata()[0] == pytest.approx(1 / 30)


def test_runs_with_other_numbers_of_cells_are_not_given_one_number(results):
    results["nse"][2, :10] = np.nan
    assert plot.cdf(results, "nse").get_ylabel() == "share of the cells"


def test_the_axis_is_that_of_the_metric(results):
    axes = plot.cdf(results, "flv")
    assert axes.get_xlabel() == "FLV (%)"
    assert axes.get_xlim() == (-100, 100)
    assert plot.cdf(results, "flv", limits=(-5, 5)).get_xlim() == (-5, 5)
    rain = plot.cdf(results, "precipitation")
    assert rain.get_xlabel() == "mean precipitation (mm/day)"
    low, high = np.quantile(results["precipitation"], [0.02, 0.98])
    assert rain.get_xlim() == (pytest.approx(low), pytest.approx(high))


def test_a_distribution_can_be_drawn_where_one_wants(results):
    mine = plt.subplots()[1]
    assert plot.cdf(results, axes=mine) is mine
    assert len(plt.get_fignums()) == 1


def test_what_cannot_be_drawn_is_refused(results):
    with pytest.raises(MissingVariableError, match="'results' has no variable 'nash'"):
        plot.cdf(results, "nash")
    with pytest.raises(EmptySelectionError, match=r"'baseflow_index' of LSTM has no value"):
        plot.cdf(results, "baseflow_index")
    with pytest.raises(EmptySelectionError, match="hold no run"):
        plot.cdf(results.isel(run=[]), "nse")
    with pytest.raises(TypeError, match="expected a Dataset, a DataArray or a dict"):
        plot.cdf(results["nse"].values)


@pytest.mark.parametrize(
    ("symbol", "printed"),
    [
        ("δn", r"$\delta_n$"),
        ("δn(NNr)", r"$\delta_n(\mathrm{NN}_r)$"),
        ("δn(βt,NNr)", r"$\delta_n(\beta^t,\,\mathrm{NN}_r)$"),
        ("δn(θ_FCt)", r"$\delta_n(\theta_{\mathrm{FC}}^t)$"),
        ("a_b$", "a_b\\$"),
    ],
)
def test_symbols_are_printed_as_in_the_paper(symbol, printed):
    assert mathematical(symbol) == printed
    plt.figure().suptitle(printed)
    plt.gcf().canvas.draw()  # what matplotlib does not understand is an error here


# --- Evapotranspiration ---------------------------------------------------------------------------


def test_boxes_are_the_quartiles_of_each_model_that_has_evapotranspiration(results):
    """Two seeds are drawn as their mean in each cell; an LSTM has no evapotranspiration."""
    axes = plot.evapotranspiration(results, run="dn-bt-gt")
    assert axes.shape == (2,)
    means = [results["et_correlation"].isel(run=[0, 1]).mean("run"), results["et_correlation"].isel(run=2)]
    labels = [text.get_text() for text in axes[0].get_xticklabels()]
    assert labels == [
        f"{symbol}\n{float(mean.median()):.2f}" for symbol, mean in zip((DELTA1, DELTAN), means, strict=True)
    ]
    for patch, mean in zip(axes[0].patches, means, strict=True):
        heights = patch.get_path().vertices[:, 1]
        expected = np.quantile(mean, [0.25, 0.75])
        np.testing.assert_allclose([heights.min(), heights.max()], expected)
    ends = [line.get_ydata()[0] for line in axes[0].lines if len(set(line.get_ydata())) == 1]
    for mean in means:  # of the whiskers: the outermost values within 5 and 95 %
        low, high = np.quantile(mean, [0.05, 0.95])
        assert float(mean.where(mean >= low).min()) in ends
        assert float(mean.where(mean <= high).max()) in ends


def test_long_term_means_are_compared_with_the_water_balance(results):
    axes = plot.evapotranspiration(results, run="dn-bt-gt/seed0")[1]
    (points,) = axes.collections
    one = results.isel(run=2)
    x, y = one["precipitation"] - one["streamflow_observed"], one["evapotranspiration"]
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([x, y]))
    assert axes.get_title(loc="left") == f"(b) long-term means:\nr = {float(xr.corr(x, y)):.3f}, 40 cells"
    assert axes.get_xlabel() == "precipitation minus observed\nstreamflow\n(mm/day)"
    assert axes.get_ylabel() == f"simulated ET of {DELTAN}\n(mm/day)"


def test_of_a_model_the_mean_over_its_seeds_is_compared_with_any_estimate(results):
    """Its cells are found by their labels."""
    estimate = (results["precipitation"].isel(run=0, drop=True) / 2).rename("modis")
    estimate.attrs = {"units": "mm/day", "long_name": "MOD16A2"}
    (axes,) = plot.evapotranspiration(
        results.drop_vars("et_correlation"), estimate.isel(basin=slice(None, None, -1)), run="d1"
    )
    (points,) = axes.collections
    mean = results["evapotranspiration"].isel(run=[0, 1]).mean("run")
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([estimate, mean]))
    assert axes.get_xlabel() == "MOD16A2\n(mm/day)"


def compared(results, run: int) -> xr.Dataset:
    """As hx.compare.evapotranspiration returns it."""
    one = results.isel(run=run)
    reference = (one["precipitation"] - one["streamflow_observed"]).assign_attrs(units="kg m-2 day-1")
    data = {"simulated": one["evapotranspiration"], "reference": reference, "r": one["et_correlation"]}
    return xr.Dataset(data, attrs={"period": "2001-01-01 to 2004-12-31"})


def test_a_comparison_is_drawn_as_it_is_returned(results):
    """One, or those of several models by name, of which one is chosen for the means."""
    own = compared(results, 2)
    one = plot.evapotranspiration(own)
    both = plot.evapotranspiration({"δn(γt,βt)": own, "mine": compared(results, 0)}, run="δn(γt,βt)")
    for axes in (one, both):
        points = axes[1].collections[0].get_offsets()
        np.testing.assert_allclose(points, np.column_stack([own["reference"], own["simulated"]]))
    medians = [float(compared(results, run)["r"].median()) for run in (2, 0)]
    assert [text.get_text() for text in one[0].get_xticklabels()] == [f"{medians[0]:.2f}"]
    names = [text.get_text() for text in both[0].get_xticklabels()]
    assert names == [f"{DELTAN}\n{medians[0]:.2f}", f"mine\n{medians[1]:.2f}"]
    with pytest.raises(EmptySelectionError, match="no comparison"):
        plot.evapotranspiration({})


def test_long_names_of_models_neither_overlap_nor_squeeze_the_panels(results):
    """Beneath boxes and in the legend of distributions."""
    many = results.isel(run=[2, 0, 2, 0, 2, 0])
    symbols = ["δn(γt,βt)", "δn(βt)", "δn", "δ1", "mine", "a very long name that a user gave to a model"]
    many = many.assign_coords(
        run=symbols, model=("run", [f"m{k}" for k in range(6)]), symbol=("run", symbols)
    )
    axes = plot.evapotranspiration(many, run="m0")
    figure = axes[0].figure
    figure.canvas.draw()
    texts = [panel._left_title for panel in axes] + [panel.xaxis.label for panel in axes]
    texts = [each for each in [*texts, *axes[0].get_xticklabels()] if each.get_text()]
    for box in (each.get_window_extent() for each in texts):
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y0 >= -1
    single = plot.cdf(many, "nse")
    single.figure.canvas.draw()
    assert single.get_position().width > 0.7
    for text in single.get_legend().get_texts():
        assert text.get_window_extent().x1 <= single.figure.bbox.x1 + 1


def test_the_distribution_of_one_cell_is_a_step_that_can_be_seen(results):
    (line,) = plot.cdf(results.isel(run=2, basin=[3])).lines
    value = float(results["nse"][2, 3])
    np.testing.assert_array_equal(line.get_xydata(), [[value, 0], [value, 1]])


def test_a_model_is_its_runs_over_time_where_there_are_others(results):
    """Those of folds, or an ensemble, are chosen by their own names."""
    d1 = results.isel(run=[0, 1])
    names = {"run": ["d1/seed0", "d1/seed0-pub"], "split": ("run", ["time", "pub"])}
    both = d1.assign_coords(names)
    for given, name, place in ((both, "d1", 0), (both, "d1/seed0-pub", 1), (both.isel(run=[1]), "d1", 1)):
        chosen, symbol = one_run(given, name)
        assert symbol == DELTA1
        np.testing.assert_array_equal(chosen["nse"], d1["nse"][place])


def test_an_evapotranspiration_that_cannot_be_drawn_is_refused(results):
    with pytest.raises(DimensionError, match=r"4 runs of 3 models.*choose one of d1, dn-bt-gt, lstm"):
        plot.evapotranspiration(results)
    with pytest.raises(CoordinateError, match="no run or model 'dn'"):
        plot.evapotranspiration(results, run="dn")
    with pytest.raises(EmptySelectionError, match="0 cells have a simulated evapotranspiration"):
        plot.evapotranspiration(results, run="lstm")
    with pytest.raises(MissingVariableError, match="no 'streamflow_observed'"):
        plot.evapotranspiration(results.drop_vars("streamflow_observed"), run="d1")
    with pytest.raises(MissingVariableError, match="needs 'evapotranspiration'"):
        plot.evapotranspiration(results[["nse"]])
    with pytest.raises(UnitsError, match="degC"):
        plot.evapotranspiration(results, results["bfi_l13"].assign_attrs(units="degC"), run="d1")
    with pytest.raises(ValueError, match="'axes' has 3 Axes, but the figure has 2 panels"):
        plot.evapotranspiration(results, run="d1", axes=plt.subplots(3)[1])


# --- Forecasts ------------------------------------------------------------------------------------


def test_skill_by_lead_and_reliability_draw_medians_over_cells():
    rng = np.random.default_rng(1)
    skill = xr.DataArray(rng.uniform(size=(9, 3)), {"lead": [1, 2, 3]}, ("basin", "lead"), "nse")
    axes = plot.skill_by_lead({"analysed": skill, "plain": skill - 0.1})
    first, second = axes.lines
    np.testing.assert_allclose(first.get_ydata(), skill.median("basin"))
    np.testing.assert_allclose(second.get_ydata(), skill.median("basin") - 0.1)
    assert legend(axes) == ["analysed", "plain"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lead (days)", "NSE")
    share = skill.rename(lead="quantile").assign_coords(quantile=[0.1, 0.5, 0.9])
    diagonal, line = plot.reliability(share).lines
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    np.testing.assert_allclose(line.get_ydata(), share.median("basin"))
    for draw in (plot.skill_by_lead, plot.reliability):
        with pytest.raises(DimensionError, match="among them"):
            draw(skill.isel(lead=0))

"""Promises of hydroxr.plot.loss, hydroxr.plot.history and hydroxr.plot.search."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr
from hydroxr import plot
from hydroxr.errors import DimensionError, MissingVariableError
from tests.conftest import FIT
from tests.support.labelled import make_dataset

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_loss_is_drawn_over_the_iterations():
    history = xr.Dataset({"loss": ("iteration", [3.0, 2.0, 1.5])}, coords={"iteration": [10, 20, 30]})
    axes = plot.loss(history)
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [10, 20, 30]
    assert line.get_ydata().tolist() == [3.0, 2.0, 1.5]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("iteration", "loss")
    history["loss"].attrs["units"] = "kg m-2 day-1"
    assert plot.loss(history, axes=axes) is axes
    assert axes.get_ylabel() == "loss (mm/day)"


@pytest.fixture
def training() -> xr.Dataset:
    """200 iterations, of which one was left out, with validation every 50."""
    random = np.random.default_rng(1)
    iteration = np.arange(1, 201)
    loss = 1 + 2 * np.exp(-iteration / 40) + random.normal(0, 0.1, 200)
    loss[17] = np.nan
    nse = np.full(200, np.nan)
    nse[49::50] = [0.3, -np.inf, 0.62, 0.58]
    return xr.Dataset(
        {
            "loss": ("iteration", loss, {"units": "1"}),
            "learning_rate": ("iteration", np.linspace(0.003, 0, 200)),
            "validation_nse": ("iteration", nse),
        },
        {"iteration": iteration},
    )


def test_the_course_of_a_training_is_drawn_with_its_validation(training):
    """Loss of each batch and its mean; a point a validation, the best one marked and named."""
    axes = plot.history(training)
    assert axes.shape == (2,)
    each, mean = axes[0].get_lines()
    np.testing.assert_array_equal(each.get_ydata(), training["loss"])
    assert np.isfinite(mean.get_ydata()).all()
    middle = float(training["loss"][98:102].mean())
    at = list(mean.get_xdata()).index(100)
    assert mean.get_ydata()[at] == pytest.approx(middle)
    points, best = axes[1].get_lines()
    np.testing.assert_array_equal(points.get_xdata(), [50, 150, 200])
    assert (best.get_xdata(), best.get_ydata()) == ([150], [0.62])
    assert "0.620 after 150" in axes[1].get_legend().get_texts()[0].get_text()
    labels = (axes[0].get_ylabel(), axes[1].get_ylabel(), axes[1].get_xlabel())
    assert labels == ("loss", "validation: median NSE", "iteration")


def test_without_validation_the_learning_rate_is_drawn(training):
    axes = plot.history(training.drop_vars("validation_nse"))
    assert axes[1].get_ylabel() == "learning rate"
    np.testing.assert_array_equal(axes[1].get_lines()[0].get_ydata(), training["learning_rate"])


def test_the_course_of_a_training_can_be_drawn_where_one_wants(training):
    mine = plt.subplots(2)[1]
    assert plot.history(training, axes=mine)[1] is mine[1]
    with pytest.raises(ValueError, match="3 Axes, but the figure has 2 panels"):
        plot.history(training, axes=plt.subplots(3)[1])
    with pytest.raises(MissingVariableError, match="'learning_rate'"):
        plot.history(training[["loss"]])
    with pytest.raises(DimensionError, match="Select one training"):
        plot.history(xr.concat([training, training], "member"))


@pytest.mark.parametrize("options", [{}, {"validation": slice("2000-02-15", None), "validate_every": 1}])
def test_the_history_of_a_model_can_be_drawn(options):
    model = make_dataset().hbv.fit(hydroxr.DeltaHBV(2, network="constant"), **FIT | options)
    plot.history(model.history)[0].figure.canvas.draw()


def test_a_history_without_loss_is_refused():
    with pytest.raises(MissingVariableError, match=r"no variable 'loss', only \['rate'\]"):
        plot.loss(xr.Dataset({"rate": ("iteration", [1.0])}))
    with pytest.raises(DimensionError, match=r"'loss' has dimensions \('run', 'iteration'\)"):
        plot.loss(xr.Dataset({"loss": (("run", "iteration"), np.ones((2, 3)))}))


@pytest.fixture
def trials() -> xr.Dataset:
    """Four trials, as hx.search returns them."""
    return xr.Dataset(
        {
            "nse": (("trial", "period"), [[0.5, 0.4], [0.6, 0.5], [0.7, 0.6], [np.nan, np.nan]]),
            "ended_early": ("trial", [True, False, False, True]),
        },
        {
            "trial": range(4),
            "period": ["before", "after"],
            "rank": ("trial", [3, 2, 1, 4]),
            "learning_rate": ("trial", [0.001, 0.01, 0.1, 0.1]),
            "dynamic": ("trial", ["", "BETA", "BETA", ""]),
            "batch": ("trial", [4, 4, 4, 4]),
        },
    )


def test_a_search_is_drawn_against_the_options_that_differ(trials):
    """Numbers along an axis, choices side by side; points of each period; the best one has a ring."""
    axes = plot.search(trials)
    assert [each.get_xlabel() for each in axes] == ["learning rate", "dynamic"]
    assert axes[0].get_xscale() == "log"
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["none", "BETA"]
    whole, early, *_, ring = axes[0].get_lines()
    assert whole.get_xdata().tolist() == [0.01, 0.1]
    assert whole.get_ydata().tolist() == [0.6, 0.7]
    assert early.get_markerfacecolor() == "none"
    assert ring.get_ydata().tolist() == [0.7, 0.6]
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["before", "after"]
    axes[0].figure.canvas.draw()


def test_a_search_that_is_none_is_refused(trials):
    with pytest.raises(MissingVariableError, match="the trials have no 'kge'"):
        plot.search(trials, "kge")
    with pytest.raises(DimensionError, match="'ended_early' has dimensions"):
        plot.search(trials, "ended_early")
    with pytest.raises(ValueError, match="2 panels"):
        plot.search(trials, axes=plt.subplots(3)[1])

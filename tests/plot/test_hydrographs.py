"""Promises of hydroxr.plot.hydrographs and hydroxr.plot.dynamic_parameters, and of sim.hbv.plot."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import compare, plot
from hydroxr.conventions.variables import VARIABLES
from hydroxr.errors import (
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    TimeAxisError,
)
from hydroxr.metrics import nse
from hydroxr.plot.style import MODEL_COLOURS
from tests.support.plots import make_results

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first

DAYS = xr.date_range("2000-10-01", periods=500)
IDS = ["01022500", "02038850", "05408000"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make_simulation(seed: int, symbol: str) -> xr.Dataset:
    random = np.random.default_rng(seed)
    data = {
        name: (("time", "basin"), random.gamma(1.0, 2.0, (500, 3)), VARIABLES[name].attrs())
        for name in ("streamflow", "runoff", "baseflow", "soil_moisture")
    }
    data["baseflow"] = (*data["baseflow"][:1], data["runoff"][1] * [0.2, 0.5, 0.7], data["baseflow"][2])
    coords = {
        "time": DAYS,
        "basin": [3, 70, 400],
        "basin_id": ("basin", IDS),
        "lat": ("basin", [44.6, 37.4, 43.6]),
        "lon": ("basin", [-67.9, -78.6, -90.6]),
    }
    spec = hx.LSTMStreamflow() if symbol == "LSTM" else hx.DeltaHBV(network="lstm")
    attrs = {"hydroxr_model": symbol, "hydroxr_description": json.dumps(spec.to_dict())}
    return xr.Dataset(data, coords, attrs)


@pytest.fixture
def delta() -> xr.Dataset:
    return make_simulation(1, "δn")


@pytest.fixture
def lstm() -> xr.Dataset:
    return make_simulation(2, "LSTM")


@pytest.fixture
def observed(delta) -> xr.Dataset:
    """Of more basins, in another order."""
    flow = delta["streamflow"] * 1.3 + 0.1
    flow.attrs["units"] = "mm/day"
    flow[17, 0] = np.nan
    more = flow.isel(basin=[2, 1, 0, 0]).assign_coords(basin=[400, 70, 3, 9])
    more = more.assign_coords(basin_id=("basin", [*IDS[::-1], "09999999"]))
    return more.to_dataset(name="streamflow")


# --- Hydrographs of several basins ----------------------------------------------------------------


def test_each_basin_has_a_panel_with_all_models_and_the_observed(delta, lstm, observed):
    axes = plot.hydrographs({"δn": delta, "LSTM": lstm}, observed, basins=IDS[1:], time="2001")
    assert axes.shape == (3,)
    for number, (panel, basin) in enumerate(zip(axes, IDS[1:], strict=False)):
        assert panel.get_title(loc="left") == f"({'ab'[number]})  {basin}"
        assert panel.get_ylabel() == "streamflow\n(mm/day)"
        drawn, first, second = panel.lines
        flow = observed["streamflow"].isel(basin=IDS[::-1].index(basin))
        np.testing.assert_array_equal(drawn.get_ydata(), flow.sel(time="2001"))
        for line, simulation in ((first, delta), (second, lstm)):
            series = simulation["streamflow"].isel(basin=IDS.index(basin))
            np.testing.assert_array_equal(line.get_ydata(), series.sel(time="2001"))
        assert [line.get_color() for line in (first, second)] == [MODEL_COLOURS["dn"], MODEL_COLOURS["lstm"]]


def test_a_model_is_told_by_its_description_whatever_it_is_called(delta, lstm, observed):
    """The second of a kind has another colour; a simulation without description has none of the paper's."""
    given = {"LSTM": delta, "b": delta, "c": lstm, "d": delta.assign_attrs(hydroxr_description="")}
    lines = plot.hydrographs(given, observed, basins=IDS[:1])[0].lines
    colours = [line.get_color() for line in lines[1:]]
    assert colours[0] == MODEL_COLOURS["dn"]
    assert colours[2] == MODEL_COLOURS["lstm"]
    assert len(set(colours)) == 4


def test_the_legend_has_the_nse_of_all_days_not_of_those_drawn(delta, lstm, observed):
    axes = plot.hydrographs({"δn": delta, "mine": lstm}, observed, basins=[IDS[0]], time="2001-03")
    texts = [text.get_text() for text in axes[0].get_legend().get_texts()]
    flow = observed["streamflow"].isel(basin=2)
    scores = [float(nse(each["streamflow"].isel(basin=0), flow)) for each in (delta, lstm)]
    expected = [r"$\delta_n$", "mine"]
    assert texts == ["observed", *(f"{n}: NSE {s:.2f}" for n, s in zip(expected, scores, strict=True))]


def test_the_map_has_the_letters_of_the_panels(delta, observed):
    *_, last = plot.hydrographs(delta, observed, basins=[70, 3])
    assert [text.get_text() for text in last.texts] == ["(a)", "(b)"]
    every = last.collections[0].get_offsets()
    assert len(every) == 3
    np.testing.assert_allclose(last.texts[0].xy, every[1])
    np.testing.assert_allclose(last.texts[1].xy, every[0])


def test_without_places_there_is_no_map(delta, observed):
    axes = plot.hydrographs(delta.drop_vars(["lat", "lon"]), observed)
    assert axes.shape == (3,)
    mine = plt.subplots(3)[1]
    assert plot.hydrographs(delta.drop_vars(["lat", "lon"]), observed, axes=mine)[0] is mine[0]


def test_runs_of_one_dataset_are_models(delta, lstm, observed):
    runs = xr.concat([delta, lstm], "run").assign_coords(
        run=["dn/seed0", "lstm/seed0"], symbol=("run", ["δn", "LSTM"])
    )
    axes = plot.hydrographs(runs, observed, basins=IDS[:1])
    texts = [text.get_text().split(":")[0] for text in axes[0].get_legend().get_texts()]
    assert texts == ["observed", r"$\delta_n$", "LSTM"]


def test_long_names_stay_on_the_page_and_leave_the_panels_their_width(delta, observed):
    many = {f"model {number} with a rather long name": delta for number in range(5)}
    many["one whose name is so long that a line of the legend cannot hold it, not even all alone"] = delta
    axes = plot.hydrographs(many, observed, basins=IDS[:1])
    figure = axes[0].figure
    figure.canvas.draw()
    assert axes[0].get_position().width > 0.8
    legend, panel = axes[0].get_legend().get_window_extent(), axes[0].get_window_extent()
    assert legend.x0 >= panel.x0 - 1
    assert legend.x1 <= panel.x1 + 1
    highest = max(float(np.nanmax(line.get_ydata())) for line in axes[0].lines)
    assert axes[0].transData.transform((0, highest))[1] < legend.y0


def test_basins_at_the_edge_are_inside_of_the_map(delta, observed):
    *_, last = plot.hydrographs(delta, observed, basins=IDS[:1])
    places = last.collections[0].get_offsets()
    for ends, found in zip((last.get_xlim(), last.get_ylim()), places.T, strict=True):
        margin = min(found.min() - ends[0], ends[1] - found.max())
        assert margin > 0.1 * np.ptp(found)


def test_a_hydrograph_without_any_value_is_refused(delta):
    with pytest.raises(EmptySelectionError, match="have only missing values in the period"):
        plot.hydrograph(delta.isel(basin=0).where(False))


def test_hydrographs_that_cannot_be_drawn_are_refused(delta, observed):
    with pytest.raises(CoordinateError, match="'δn' has no basin '09999999', only 3 others such as 01022500"):
        plot.hydrographs(delta, observed, basins=["09999999"])
    with pytest.raises(CoordinateError, match="'observed' has no basin '01022500'"):
        plot.hydrographs(delta, observed.isel(basin=[0]))
    with pytest.raises(MissingVariableError, match="'δn' has no 'streamflow'"):
        plot.hydrographs(delta[["runoff"]], observed)
    with pytest.raises(DimensionError, match="room for 1 to 6 basins, but 0 are selected"):
        plot.hydrographs(delta, observed, basins=[])
    with pytest.raises(DimensionError, match="no simulation"):
        plot.hydrographs({}, observed)
    with pytest.raises(EmptySelectionError, match="no days in '1900'"):
        plot.hydrographs(delta, observed, time="1900")
    with pytest.raises(ValueError, match="'axes' has 2 Axes, but the figure has 4"):
        plot.hydrographs(delta, observed, axes=plt.subplots(2)[1])


# --- Dynamic parameters ---------------------------------------------------------------------------


@pytest.fixture
def parameters() -> xr.Dataset:
    """Two basins, four components, of which the third (basin 0) and the first have the lower median."""
    random = np.random.default_rng(4)
    level = np.array([[1.5, 5.0, 2.0, 4.0], [3.0, 1.2, 5.5, 3.5]])
    beta = level[:, None, :] + random.normal(0, 0.05, (2, 500, 4))
    dims = ("basin", "time", "component")
    return xr.Dataset(
        {
            "BETA": (dims, beta, {"units": "1"}),
            "PERC": (dims, beta, {"units": "kg m-2 day-1"}),
            "FC": (("basin", "component"), np.ones((2, 4))),
        },
        {"time": DAYS, "basin_id": ("basin", IDS[:2])},
    )


def test_the_component_in_the_middle_is_in_colour_the_others_are_grey(parameters):
    axes = plot.dynamic_parameters(parameters)
    assert axes.shape == (2, 2)
    for row, middle in enumerate((2, 0)):
        *others, coloured = axes[row, 0].lines
        np.testing.assert_array_equal(coloured.get_ydata(), parameters["BETA"][row, :, middle])
        assert len(others) == 3
        assert {line.get_color() for line in others} == {"0.65"}
        assert coloured.get_color() == "#0072B2"
        assert axes[row, 0].get_title(loc="left") == IDS[row]
    assert [each.get_ylabel() for each in axes[0]] == ["β  (BETA)", "perc  (PERC)\n(mm/day)"]
    texts = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert texts == ["other components", "median of 4 components"]


def test_the_panels_of_parameters_fill_the_page(parameters):
    """The legend is that of the figure, and takes no width from them."""
    axes = plot.dynamic_parameters(parameters)
    figure = axes[0, 0].figure
    figure.canvas.draw()
    assert sum(each.get_position().width for each in axes[0]) > 0.7
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    mine = plt.subplots(2, 2)[1]
    assert len(plot.dynamic_parameters(parameters, axes=mine)[0, 0].get_legend().get_texts()) == 2


@pytest.mark.parametrize("time", ["2001", "2001-03", "2001-03-05", slice("2001-01", None)])
def test_a_period_of_the_parameters_can_be_drawn(parameters, time):
    """With dates that matplotlib can place; a warning is an error here."""
    axes = plot.dynamic_parameters(parameters.isel(basin=0), time=time)
    axes[0, 0].figure.canvas.draw()
    expected = parameters["time"].sel(time=time if isinstance(time, slice) else slice(time, time))
    np.testing.assert_array_equal(axes[0, 0].lines[-1].get_xdata(), expected)


def test_thirty_years_can_be_drawn(parameters):
    long = parameters.isel(basin=0).pad(time=(0, 10000), mode="wrap")
    long = long.assign_coords(time=xr.date_range("1980-10-01", periods=10500))
    plot.dynamic_parameters(long)[0, 0].figure.canvas.draw()


def test_a_single_component_is_the_middle_one(parameters):
    one = parameters.isel(component=0, basin=0)
    (line,) = plot.dynamic_parameters(one)[0, 0].lines
    np.testing.assert_array_equal(line.get_ydata(), one["BETA"])


def test_parameters_that_cannot_be_drawn_are_refused(parameters):
    with pytest.raises(MissingVariableError, match="none is dynamic"):
        plot.dynamic_parameters(parameters[["FC"]])
    many = parameters.isel(basin=[0] * 7)
    with pytest.raises(DimensionError, match=r"7 cells.*isel\(basin=\[...\]\)"):
        plot.dynamic_parameters(many)
    with pytest.raises(EmptySelectionError, match="no days in '1900'"):
        plot.dynamic_parameters(parameters, time="1900")
    with pytest.raises(TimeAxisError, match="expected dates"):
        plot.dynamic_parameters(parameters.assign_coords(time=np.arange(500)))
    with pytest.raises(ValueError, match=r"4 panels; expected one Axes per panel, arranged as \(2, 2\)"):
        plot.dynamic_parameters(parameters, axes=plt.subplots(3)[1])


# --- sim.hbv.plot ---------------------------------------------------------------------------------


def test_a_simulation_draws_its_own_pictures(delta, observed, parameters):
    """Each as the function of hx.plot does."""
    scores = delta.hbv.evaluate(observed, time=slice("2001", None))
    line = delta.hbv.plot.cdf(observed, "kge", time=slice("2001", None)).lines[0]
    np.testing.assert_allclose(line.get_xdata(), np.sort(scores["kge"]))
    assert delta.hbv.plot.hydrographs(observed, basins=IDS[:1]).shape == (2,)
    assert parameters.hbv.plot.dynamic_parameters().shape == (2, 2)
    axes = delta.hbv.plot.map("soil_moisture", time=slice("2001-01-01", "2001-12-31"))
    mean = delta["soil_moisture"].sel(time="2001").mean("time")
    np.testing.assert_allclose(axes.collections[0].get_array(), mean)
    assert axes.figure.axes[1].get_xlabel() == "mean soil water (mm)"
    with pytest.raises(MissingVariableError, match="no variable 'snow'"):
        delta.hbv.plot.map("snow")


def test_a_simulation_draws_its_baseflow_index(delta, observed):
    """The index comes from the run's own baseflow and runoff; the observed one may have more basins."""
    known = observed.assign(bfi_usgs=("basin", [0.8, 0.4, 0.1, 0.2]))
    # Whole years count: 2001-10-01 and later, all baseflow here, do not.
    late = delta["time"] >= np.datetime64("2001-10-01")
    delta["baseflow"] = delta["baseflow"].where(~late, delta["runoff"]).assign_attrs(delta["baseflow"].attrs)
    axes = delta.hbv.plot.baseflow_index(known, "bfi_usgs", threshold=-100)
    np.testing.assert_allclose(axes[2, 0].collections[0].get_offsets(), [[0.1, 0.2], [0.4, 0.5], [0.8, 0.7]])
    with pytest.raises(MissingVariableError, match=r"lacks \['runoff'\]"):
        delta.drop_vars("runoff").hbv.plot.baseflow_index(known)
    with pytest.raises(MissingVariableError, match="no variable 'baseflow_index'"):
        delta.hbv.plot.baseflow_index(known)


def test_a_simulation_is_compared_with_a_product_of_evapotranspiration_in_one_call(delta):
    """The figure has what hx.compare.evapotranspiration finds."""
    random = np.random.default_rng(9)
    months = xr.date_range("2000-11-01", periods=12, freq="MS")
    coords = {"time": months, "basin": delta["basin"]}
    product = xr.DataArray(random.gamma(4, 20, (12, 3)), coords, ("time", "basin"), attrs={"units": "mm"})
    flux = VARIABLES["evapotranspiration"].attrs()
    sim = delta.assign(evapotranspiration=(("time", "basin"), random.gamma(1, 2, (500, 3)), flux))
    found = compare.evapotranspiration(sim, product)
    boxes, means = sim.hbv.plot.evapotranspiration(product)
    expected = np.column_stack([found["reference"], found["simulated"]])
    np.testing.assert_allclose(means.collections[0].get_offsets(), expected)
    (label,) = boxes.get_xticklabels()
    assert label.get_text() == f"{float(found['r'].median()):.2f}"
    assert means.get_ylabel() == "simulated ET of $\\delta_n$\n(mm/day)"


def test_figures_are_legible_at_the_width_of_a_column_or_a_page(delta, lstm, observed, parameters):
    """No letter below 8 points, and nothing that lies beyond the paper."""
    results = make_results()
    drawn = {
        8.5: [plot.cdf(results), plot.map(results["nse"].isel(run=0))],
        17.0: [
            plot.baseflow_index(results, run="d1")[0, 0],
            plot.evapotranspiration(results, run="d1")[0],
            plot.hydrographs({"δn": delta, "LSTM": lstm}, observed)[0],
            plot.dynamic_parameters(parameters)[0, 0],
        ],
    }
    for width, all_axes in drawn.items():
        for axes in all_axes:
            figure = axes.figure
            assert figure.get_figwidth() == pytest.approx(width / 2.54)
            figure.canvas.draw()
            texts = [each for each in figure.findobj(matplotlib.text.Text) if each.get_text().strip()]
            assert min(text.get_fontsize() for text in texts) >= 8
            titles = [each for panel in figure.axes for each in (panel._left_title, panel.xaxis.label)]
            for text in (each for each in titles if each.get_text()):
                box = text.get_window_extent()
                assert box.x0 >= -1
                assert box.x1 <= figure.bbox.x1 + 1


def test_matplotlib_is_missed_clearly(delta, observed, parameters, monkeypatch):
    results = make_results()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draws = [
        lambda: plot.cdf(results),
        lambda: plot.map(results["nse"].isel(run=0)),
        lambda: plot.baseflow_index(results, run="d1"),
        lambda: plot.evapotranspiration(results, run="d1"),
        lambda: plot.hydrographs(delta, observed),
        lambda: plot.dynamic_parameters(parameters),
    ]
    for draw in draws:
        with pytest.raises(ImportError, match=r"pip install hydroxr\[plot\]"):
            draw()


def test_a_fan_chart_has_a_band_for_each_pair_of_quantiles():
    """Bands of a series, and of one forecast on the days that it is for."""
    time = np.arange("2000-01-01", "2000-01-11", dtype="datetime64[D]").astype("datetime64[ns]")
    flow = xr.DataArray(np.arange(1.0, 11.0), {"time": time, "basin": "a"}, "time", attrs={"units": "mm/day"})
    levels = xr.DataArray([0.05, 0.25, 0.5, 0.75, 0.95], dims="quantile")
    fan = (flow * (0.5 + levels)).transpose("quantile", "time").assign_coords(quantile=levels.values)
    axes = plot.fan_chart(fan, flow)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        *("5 to 95 %", "25 to 75 %", "50 %", "observed")
    ]
    median, observed = axes.lines
    np.testing.assert_allclose(median.get_ydata(), flow)
    np.testing.assert_allclose(observed.get_ydata(), flow)
    outer = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (outer.min(), outer.max()) == (pytest.approx(0.55), pytest.approx(14.5))
    one = fan.isel(time=slice(2, 5)).rename(time="lead").assign_coords(lead=[1, 2, 3])
    one = one.assign_coords(valid_time=("lead", time[2:5]))
    ahead = plot.fan_chart(one, flow)
    assert len(ahead.lines[1].get_xdata()) == 3  # observations of these days
    with pytest.raises(DimensionError, match="of one cell"):
        plot.fan_chart(fan.drop_vars("basin").expand_dims(basin=2))

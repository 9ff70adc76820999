"""Promises of hydroxr.plot: what is drawn, with which labels, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import dask
import numpy as np
import pytest
import xarray as xr

from hydroxr import plot
from hydroxr.conventions.variables import VARIABLES
from hydroxr.errors import (
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first

pytestmark = pytest.mark.filterwarnings("error")

FLUXES = ("rainfall", "snowfall", "streamflow", "baseflow")
STORAGES = (
    "snowpack",
    "snow_liquid_water",
    "soil_moisture",
    "upper_zone_storage",
    "lower_zone_storage",
    "channel_storage",
)
TITLES = [
    "Precipitation",
    "Streamflow",
    "Snow",
    r"Soil moisture $S_{\mathrm{s}}$",
    r"Upper zone storage $S_{\mathrm{uz}}$",
    r"Lower zone storage $S_{\mathrm{lz}}$",
    "Channel storage",
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def simulation() -> xr.Dataset:
    """One basin, 400 days, with the variables and attributes of a simulation."""
    random = np.random.default_rng(3)
    data = {
        name: ("time", random.gamma(1.0, 4.0, 400), VARIABLES[name].attrs()) for name in FLUXES + STORAGES
    }
    coords = {
        "time": xr.date_range("2000-10-01", periods=400),
        "basin_id": "01022500",
        "basin_name": "Narraguagus River",
    }
    return xr.Dataset(data, coords=coords)


@pytest.fixture
def observed(simulation) -> xr.DataArray:
    flow = (simulation["streamflow"] * 1.2).rename("qobs").assign_attrs(units="mm/day")
    return flow.where(flow["time"] != flow["time"][10])


def titles(axes) -> list[str]:
    return [each.get_title(loc="left") for each in axes]


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


# --- What is drawn --------------------------------------------------------------------------------


def test_a_hydrograph_has_all_panels_with_units(simulation, observed):
    axes = plot.hydrograph(simulation, observed)
    assert isinstance(axes, np.ndarray)
    assert axes.shape == (7,)
    assert titles(axes) == TITLES
    assert [each.get_ylabel() for each in axes] == ["mm/day"] * 2 + ["mm"] * 5
    assert axes[0].figure.get_suptitle() == "01022500  Narraguagus River"


def test_streamflow_lines_have_the_data(simulation, observed):
    panel = plot.hydrograph(simulation, observed)[1]
    lines = {line.get_label(): line for line in panel.lines}
    assert list(lines) == ["observed", "simulated streamflow $Q^{\\mathrm{*}}$"]
    for line, values in zip(lines.values(), (observed, simulation["streamflow"]), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values.values)
        np.testing.assert_array_equal(line.get_xdata(), values["time"].values)
    assert lines["observed"].get_color() == "#000000"
    assert legend(panel) == ["baseflow $Q_{\\mathrm{2}}$", *lines]


def test_baseflow_fills_from_zero(simulation):
    (fill,) = plot.hydrograph(simulation)[1].collections
    heights = fill.get_paths()[0].vertices[:, 1]
    assert heights.min() == 0.0
    assert heights.max() == simulation["baseflow"].values.max()


def test_precipitation_hangs_from_the_top_snow_under_rain(simulation):
    panel = plot.hydrograph(simulation)[0]
    bottom, top = panel.get_ylim()
    total = (simulation["rainfall"] + simulation["snowfall"]).values
    assert top == 0
    assert bottom > total.max()
    rain, snow = (patch.get_data() for patch in panel.patches)
    np.testing.assert_array_equal(rain.values, simulation["rainfall"].values)
    np.testing.assert_array_equal(snow.baseline, simulation["rainfall"].values)
    np.testing.assert_allclose(snow.values, total)
    # a bar a day, around the stamp
    stamps = matplotlib.dates.date2num(simulation["time"].values)
    np.testing.assert_allclose(rain.edges, np.append(stamps - 0.5, stamps[-1] + 0.5))


def test_dry_days_have_no_bar(simulation):
    simulation["snowfall"][5] = 0.0
    snow = plot.hydrograph(simulation)[0].patches[1].get_data()
    assert np.isnan(snow.values[5])
    assert np.isfinite(np.delete(snow.values, 5)).all()


def test_storages_are_the_lower_panels(simulation):
    axes = plot.storages(simulation)
    assert titles(axes) == TITLES[2:]
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), simulation["soil_moisture"].values)
    assert all(each.get_ylim()[0] == 0 for each in axes)
    ice, liquid = (fill.get_paths()[0].vertices[:, 1] for fill in axes[0].collections)
    assert ice.min() == 0.0
    assert liquid.min() > 0.0
    assert liquid.max() == (simulation["snowpack"] + simulation["snow_liquid_water"]).values.max()
    assert legend(axes[0]) == [r"snowpack $S_{\mathrm{p}}$", r"snow liquid water $S_{\mathrm{liq}}$"]


@pytest.mark.parametrize(
    ("absent", "left"),
    [
        (("channel_storage",), TITLES[:6]),
        (("rainfall", "snowfall", "soil_moisture"), TITLES[1:3] + TITLES[4:]),
        (("snowfall", "snow_liquid_water", "baseflow"), TITLES),
        (("rainfall", "snowfall", *STORAGES), ["Streamflow"]),
    ],
)
def test_panels_without_variables_are_left_out(simulation, absent, left):
    assert titles(plot.hydrograph(simulation.drop_vars(absent))) == left


def test_observations_alone_have_a_panel(simulation, observed):
    axes = plot.hydrograph(simulation[["soil_moisture"]], observed)
    assert titles(axes) == [TITLES[1], TITLES[3]]
    assert axes[0].get_ylabel() == "mm/day"
    assert titles(plot.hydrograph(simulation[["soil_moisture"]])) == [TITLES[3]]


@pytest.mark.parametrize("time", ["2001", "2001-03", "2001-03-05", slice("2001-03-01", "2001-03-10")])
def test_a_period(simulation, observed, time):
    period = time if isinstance(time, slice) else slice(time, time)
    expected = simulation["streamflow"].sel(time=period)
    for line in plot.hydrograph(simulation, observed, time=time)[1].lines:
        np.testing.assert_array_equal(line.get_xdata(), expected["time"].values)


def test_longer_observations_do_not_widen_the_picture(simulation, observed):
    axes = plot.hydrograph(simulation.isel(time=slice(100, 200)), observed)
    line = axes[1].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), simulation["time"].values[100:200])
    stamps = matplotlib.dates.date2num(simulation["time"].values[[100, 199]])
    assert axes[1].get_xlim() == (stamps[0] - 0.5, stamps[1] + 0.5)


def test_observations_may_be_a_dataset_and_have_size_one_dimensions(simulation, observed):
    dataset = observed.expand_dims("basin").to_dataset()
    axes = plot.hydrograph(simulation.expand_dims(["lat", "lon"]), dataset)
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), observed.values)


def test_other_variables_may_have_other_dimensions(simulation):
    simulation["time_bnds"] = (("time", "bnds"), np.zeros((400, 2)))
    simulation["parameter"] = ("component", np.zeros(16))
    assert plot.hydrograph(simulation).size == 7


def test_lazy_variables_are_computed_once(simulation):
    calls = []

    def count(dsk, keys, **kwargs):
        calls.append(keys)
        return dask.get(dsk, keys, **kwargs)

    with dask.config.set(scheduler=count):
        axes = plot.hydrograph(simulation.chunk(time=100))
    assert len(calls) == 1
    np.testing.assert_array_equal(axes[3].lines[0].get_ydata(), simulation["soil_moisture"].values)


def test_given_axes_are_drawn_on(simulation):
    figure, given = plt.subplots(5, 1)
    axes = plot.storages(simulation, axes=given)
    assert all(mine is yours for mine, yours in zip(axes, given, strict=True))
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="'axes' has 5 Axes, but the figure has 7 panels"):
        plot.hydrograph(simulation, axes=given)


def test_units_are_those_of_the_simulation(simulation):
    simulation["streamflow"].attrs["units"] = "m3 s-1"
    assert plot.hydrograph(simulation)[1].get_ylabel() == "m3 s-1"
    del simulation["soil_moisture"].attrs["units"]
    assert plot.storages(simulation)[1].get_ylabel() == "mm"


def test_a_grid_cell_is_named_by_its_place(simulation):
    cell = simulation.drop_vars(["basin_id", "basin_name"]).assign_coords(lat=50.25, lon=-7.5)
    assert plot.storages(cell)[0].figure.get_suptitle() == "50.25°N  7.50°W"
    assert plot.storages(cell.drop_vars("lat"))[0].figure.get_suptitle() == ""


@pytest.mark.parametrize("calendar", ["noleap", "standard"])
def test_other_calendars_are_drawn_at_their_dates(simulation, calendar):
    other = simulation.convert_calendar(calendar, use_cftime=True)
    line = plot.hydrograph(other, time="2001-03")[1].lines[0]
    assert line.get_xdata()[0] == np.datetime64("2001-03-01")
    assert len(line.get_xdata()) == 31


def test_missing_and_dry_series_can_be_drawn(simulation, observed):
    simulation["soil_moisture"][:] = np.nan
    simulation["upper_zone_storage"][:] = 0.0
    axes = plot.hydrograph(simulation, observed * np.nan)
    axes[0].figure.canvas.draw()
    assert axes[3].get_ylim() == (0, 1)
    assert axes[4].get_ylim() == (0, 1)


def test_the_figure_is_legible(simulation, observed):
    figure = plot.hydrograph(simulation, observed)[0].figure
    assert figure.get_figwidth() == pytest.approx(18 / 2.54)
    figure.canvas.draw()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 8
    # titles, legends and data of all panels: nothing lies on anything else
    boxes = []
    for each in figure.axes:
        boxes += [each.get_window_extent(), each._left_title.get_window_extent()]
        if each.get_legend():
            boxes.append(each.get_legend().get_window_extent())
    boxes.append(figure._suptitle.get_window_extent())
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            overlap = matplotlib.transforms.Bbox.intersection(box, other)
            assert overlap is None or min(overlap.width, overlap.height) < 1  # pixel


def test_settings_of_matplotlib_are_left_as_they_were(simulation):
    before = dict(matplotlib.rcParams)
    plot.storages(simulation)
    assert dict(matplotlib.rcParams) == before


# --- Errors ---------------------------------------------------------------------------------------


def test_more_than_one_cell_is_refused_with_advice(simulation, observed):
    many = xr.concat([simulation, simulation], "basin", coords="minimal", compat="override")
    with pytest.raises(DimensionError, match=r"expected one cell.*Select one: simulation.isel\(basin=0\)"):
        plot.hydrograph(many)
    with pytest.raises(DimensionError, match=r"Select one: observed.isel\(gauge=0\)"):
        plot.hydrograph(simulation, xr.concat([observed, observed], "gauge"))
    with pytest.raises(DimensionError, match="'soil_moisture' of the simulation has no dimension 'time'"):
        plot.storages(simulation.mean("time")[["soil_moisture"]])


def test_nothing_to_draw_is_refused(simulation, observed):
    with pytest.raises(MissingVariableError, match="nothing to draw; choose from"):
        plot.storages(simulation[["streamflow"]])
    with pytest.raises(MissingVariableError, match="nothing to draw"):
        plot.hydrograph(simulation[[]], observed)
    with pytest.raises(MissingVariableError, match="no observed streamflow"):
        plot.hydrograph(simulation, xr.Dataset({"prcp": simulation["rainfall"]}))


def test_an_empty_period_is_refused(simulation):
    with pytest.raises(EmptySelectionError, match="no days in '2050'"):
        plot.hydrograph(simulation, time="2050")


def test_observations_of_another_basin_or_in_other_units_are_refused(simulation, observed):
    with pytest.raises(CoordinateError, match="'basin_id' is 01022500 in 'simulated' and 99"):
        plot.hydrograph(simulation, observed.assign_coords(basin_id="99"))
    with pytest.raises(UnitsError, match="m3 s-1"):
        plot.hydrograph(simulation, observed.assign_attrs(units="m3 s-1"))


def test_time_without_dates_is_refused(simulation):
    with pytest.raises(TimeAxisError, match="labels of type int64; expected dates"):
        plot.storages(simulation.assign_coords(time=np.arange(400)))
    with pytest.raises(TimeAxisError, match="no labels; expected dates"):
        plot.storages(simulation.drop_vars("time"))
    days = xr.date_range("2000-01-01", periods=400, calendar="360_day", use_cftime=True)
    with pytest.raises(TimeAxisError, match=r"'360_day'.*convert_calendar\('standard', align_on='date'\)"):
        plot.storages(simulation.assign_coords(time=days))


def test_matplotlib_is_imported_late_and_missed_clearly(simulation, monkeypatch):
    code = "import sys, hydroxr.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in (plot.hydrograph, plot.storages):
        with pytest.raises(ImportError, match=r"plots need matplotlib: pip install hydroxr\[plot\]"):
            draw(simulation)


def test_what_a_notebook_sets_with_the_first_figure_stays_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else later figures would not be shown; our own fonts do not stay."""
    monkeypatch.setitem(matplotlib.rcParams, "interactive", False)
    before = matplotlib.rcParams["font.size"]
    subplots = plt.subplots

    def first_figure(*given: object, **options: object) -> object:
        matplotlib.rcParams["interactive"] = True
        return subplots(*given, **options)

    monkeypatch.setattr(plt, "subplots", first_figure)
    plot.loss(xr.Dataset({"loss": ("iteration", [2.0, 1.0])}))
    assert matplotlib.rcParams["interactive"] is True
    assert matplotlib.rcParams["font.size"] == before
    plt.close("all")

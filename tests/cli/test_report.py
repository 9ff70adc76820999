"""Promises of the report: a page that needs nothing but itself and says what was found."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.__main__ import main
from hydroxr.cli.report import write_report
from hydroxr.cli.summary import REPORTED, summary
from hydroxr.errors import DataFileError, StoreError
from tests.conftest import FIT
from tests.support.labelled import make_dataset

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

_VOID = {"meta", "img"}


class Page(HTMLParser):
    """The elements of a page; an end tag that fits no start tag is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return make_dataset(days=400)  # a whole year and some days


@pytest.fixture(scope="module")
def sim(ds: xr.Dataset) -> xr.Dataset:
    model = ds.hbv.fit(hx.DeltaHBV(2, network="constant"), **FIT)
    return ds.hbv.simulate(model).compute()


@pytest.fixture(scope="module")
def page(sim: xr.Dataset, ds: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Page:
    observed = ds.assign(baseflow_index=("basin", np.linspace(0.2, 0.6, ds.sizes["basin"])))
    path = write_report(sim, observed, tmp_path_factory.mktemp("report") / "report.html")
    text = path.read_text(encoding="utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert list(path.parent.iterdir()) == [path]
    return Page(text)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For promises about text and tables: drawing takes most of the time."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, file, **_: file.write(b"<svg/>"))


def test_the_page_needs_nothing_but_itself(page: Page) -> None:
    """No script, no link, no picture from elsewhere."""
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "link", "iframe", "object"}
    pictures = [attrs for tag, attrs in page.found if tag == "img"]
    assert len(pictures) >= 6
    for attrs in pictures:
        assert attrs["src"].startswith("data:image/svg+xml;base64,")
        assert attrs["alt"]
    assert not [attrs for _, attrs in page.found if "http" in str(attrs.get("href", ""))]


def test_the_table_of_metrics_has_what_evaluate_says(page: Page, sim: xr.Dataset, ds: xr.Dataset) -> None:
    metrics = sim.hbv.evaluate(ds)
    header, *rows = page.tables[0]
    assert header == ["metric", "unit", "median", "lower 25 %", "upper 25 %", "cells"]
    by_name = {row[0]: row[1:] for row in rows}
    assert len(rows) == len(REPORTED)
    for name, digits in (("nse", 3), ("pbias", 1), ("rmse", 3)):
        row = by_name[metrics[name].attrs["long_name"]]
        expected = metrics[name].quantile([0.5, 0.25, 0.75]).values
        assert row[1:4] == [f"{value:.{digits}f}" for value in expected]
        assert row[4] == str(int(metrics[name].notnull().sum()))
    assert by_name["root-mean-square error (RMSE)"][0] == "mm/day"


def test_every_cell_has_its_metrics_and_water_balance(page: Page, sim: xr.Dataset, ds: xr.Dataset) -> None:
    (table,) = [table for table in page.tables if table[0][-1] == "residual (mm)"]
    assert len(table) == 1 + sim.sizes["basin"]
    balance = sim.hbv.water_balance()
    rain = balance["precipitation"].values / sim.sizes["time"] * 365.25
    column = table[0].index("P (mm/year)")
    assert [row[column] for row in table[1:]] == [f"{value:.1f}" for value in rain]
    nse = sim.hbv.evaluate(ds)["nse"].values
    assert [row[1] for row in table[1:]] == [f"{v:.3f}" if np.isfinite(v) else "–" for v in nse]


@pytest.mark.usefixtures("no_pictures")
def test_the_baseflow_index_is_of_whole_years_and_understands_percent(
    page: Page, sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn are the same points whether the observed index is a fraction or percent."""
    year = sim.isel(time=slice(0, 366))  # 2000
    expected = (year["baseflow"].sum("time", dtype=float) / year["runoff"].sum("time", dtype=float)).values
    (line,) = [text for text in page.text if text.startswith("Simulated baseflow index")]
    assert f"median {np.median(expected):.2f}," in line
    drawn = []
    monkeypatch.setattr("hydroxr.cli.report.scatter", lambda axes, x, y, *_, **__: drawn.append((x, y)))
    share = np.linspace(0.2, 0.6, ds.sizes["basin"])
    for factor, units in ((1.0, "1"), (100.0, "%")):
        observed = ds.assign(baseflow_index=("basin", share * factor, {"units": units}))
        write_report(sim, observed, tmp_path / "report.html")
    for x, y in drawn:
        np.testing.assert_allclose(x, share)
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert len(drawn) == 2


def test_the_page_says_of_what_kind_its_scores_are(page: Page, sim: xr.Dataset) -> None:
    """Days of the training, empty stores; and of three cells no quartiles."""
    period = json.loads(sim.attrs["hydroxr_training"])["period"]
    (line,) = [text for text in page.text if text.startswith("The model was trained on")]
    assert f"{period[0]} to {period[1]}" in line
    assert "empty stores" in line
    assert sum(", rank " in text for text in page.text) == 3
    assert not [text for text in page.text if "quartile of the cells" in text]


@pytest.mark.usefixtures("no_pictures")
def test_a_run_of_less_than_a_year_has_no_baseflow_index(
    sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path
) -> None:
    short = sim.isel(time=slice(0, 300))
    text = write_report(short, ds, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "no whole year" in text


def test_the_page_says_where_the_simulation_comes_from(page: Page, sim: xr.Dataset) -> None:
    (table,) = [table for table in page.tables if any(row[0] == "hydroxr_model_sha256" for row in table)]
    assert [row[0] for row in table] == list(sim.attrs)
    assert dict(table)["history"] == sim.attrs["history"]
    assert '"components": 2' in dict(table)["hydroxr_description"]


def test_text_is_escaped(sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path) -> None:
    """Names and attributes are text, whatever they hold."""
    names = [f"<b>{place}</b> & $x" for place in range(sim.sizes["basin"])]
    named = sim.assign_coords(basin_name=("basin", names)).assign_attrs(history="<script>alert(1)</script>")
    page = Page(write_report(named, ds, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not {"script", "b"} & {tag for tag, _ in page.found}
    cells = [row[0] for table in page.tables for row in table]
    assert sum("<b>0</b> & $x" in cell for cell in cells) == 1
    assert any("<b>0</b> & $x" in text for text in page.text)


def test_an_lstm_has_a_report_without_water_balance(ds: xr.Dataset, sim: xr.Dataset, tmp_path: Path) -> None:
    """What the simulation lacks is left out, with a word why."""
    lstm = sim[["streamflow"]].assign_attrs(hydroxr_model="LSTM", hydroxr_model_kind="lstm_streamflow")
    text = " ".join(Page(write_report(lstm, ds, tmp_path / "r.html").read_text(encoding="utf-8")).text)
    assert "Not computed: the simulation comes from an LSTM" in text
    assert "no baseflow and runoff" in text


@pytest.mark.parametrize("cells", ["one", "series", "grid"])
def test_any_space_can_be_reported(sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path, cells: str) -> None:
    """A single cell, with or without a dimension; a grid."""
    if cells == "grid":
        both = [
            each.isel(basin=[0, 1]).drop_vars(
                [name for name in ("basin", "basin_id", "lat", "lon") if name in each.coords]
            )
            for each in (sim, ds[["streamflow"]])
        ]
        labels = {"lat": [50.0], "lon": [7.0, 8.0]}
        given = [each.rename(basin="lon").expand_dims(lat=1).assign_coords(labels) for each in both]
    else:
        given = [each.isel(basin=[0] if cells == "one" else 0) for each in (sim, ds)]
    page = Page(write_report(*given, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert any(tag == "img" for tag, _ in page.found)


@pytest.mark.usefixtures("no_pictures")
def test_a_period_is_reported(sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path) -> None:
    """With a water balance that begins on its second day."""
    days = sim.indexes["time"][[10, 49]]
    page = Page(write_report(sim, ds, tmp_path / "r.html", time=slice(*days)).read_text(encoding="utf-8"))
    assert any(
        text.startswith(f"{sim.sizes['basin']} cells, 40 days, {days[0]:%Y-%m-%d}") for text in page.text
    )
    balance = sim.sel(time=slice(*days)).hbv.water_balance()
    (table,) = [table for table in page.tables if table[0][0] == "mm/year"]
    median = float((balance["precipitation"] / 39 * 365.25).median())
    assert table[1][:2] == ["precipitation (P)", f"{median:.1f}"]


def test_a_report_that_cannot_be_written_is_refused_before_it_is_made(
    sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydroxr.cli.report.evaluate_simulation", lambda *_: pytest.fail("computed"))
    with pytest.raises(StoreError, match="is not a folder"):
        write_report(sim, ds, tmp_path / "nowhere" / "report.html")
    with pytest.raises(DataFileError, match=r"'borders'.*does not exist"):
        write_report(sim, ds, tmp_path / "report.html", borders=tmp_path / "states.shp")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_the_report(
    sim: xr.Dataset, ds: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its table has every metric, with the cells that have it and its unit."""
    store, data, report = tmp_path / "run.zarr", tmp_path / "data.nc", tmp_path / "report.html"
    sim.hbv.to_zarr(store)
    ds.to_netcdf(data)
    command = ["evaluate", str(store), "--observed", str(data)]
    assert main([*command, "--html", str(report)]) == 0
    printed = capsys.readouterr().out
    assert Page(report.read_text(encoding="utf-8")).tables
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.split()}
    assert set(REPORTED) <= set(rows)
    metrics = sim.hbv.evaluate(ds)
    for row in summary(metrics):
        assert rows[row.name][0] == f"{row.median:.3f}"
        assert rows[row.name][3] == str(int(np.isfinite(metrics[row.name]).sum()))
    assert rows["rmse"][4] == "mm/day"
    assert main([*command, "--borders", "states.shp"]) == 1
    assert re.search("--borders is for the map", capsys.readouterr().err)

"""``check`` judges magnitudes: each kind of improbable data is remarked, and sound data are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    ImprobableValueError,
    MissingAttributeError,
    MissingVariableError,
    ValueRangeError,
)
from tests.support.labelled import make_dataset, make_parameters

CAMELS = Path(__file__).parents[3] / "shared" / "data" / "camels_us_daymet.nc"
DAYS = 730
SEASON = np.cos(2 * np.pi * (np.arange(DAYS) - 200) / 365.25)  # highest in the middle of July

Change = Callable[[xr.Dataset], xr.Dataset]


def sound(cells: int = 4) -> xr.Dataset:
    """Two years of a temperate climate of the northern hemisphere, without anything to remark."""
    rng = np.random.default_rng(3)
    shape, dims = (cells, DAYS), ("basin", "time")
    wet = rng.random(shape) < 0.4
    rain = np.where(wet, rng.gamma(0.8, 8.0, shape), 0.0)
    flow = rng.gamma(2.0, 0.5, shape)
    mean = 9 + 10 * SEASON + rng.normal(0, 2, shape)
    half = rng.uniform(3, 7, shape)
    return xr.Dataset(
        {
            "prcp": (dims, rain, {"units": "mm/day"}),
            "tmean": (dims, mean, {"units": "degC"}),
            "tmin": (dims, mean - half, {"units": "degC"}),
            "tmax": (dims, mean + half, {"units": "degC"}),
            "pet": (dims, np.maximum(2.4 + 2 * SEASON + rng.normal(0, 0.1, shape), 0.1), {"units": "mm/day"}),
            "streamflow": (dims, flow, {"units": "mm/day"}),
        },
        {
            "basin": [f"g{cell}" for cell in range(cells)],
            "time": pd.date_range("2001-01-01", periods=DAYS),
            "lat": ("basin", np.linspace(45, 50, cells), {"units": "degrees_north"}),
        },
    )


def scaled(name: str, factor: float, cells: slice = slice(None), days: slice = slice(None)) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds[name][cells, days] = ds[name][cells, days] * factor
        return ds

    return change


def put(name: str, value: float, cells: slice = slice(None), days: slice = slice(None)) -> Change:
    def change(ds: xr.Dataset) -> xr.Dataset:
        ds[name][cells, days] = value
        return ds

    return change


def accumulated(ds: xr.Dataset) -> xr.Dataset:
    ds["prcp"] = ds["prcp"].groupby("time.month").map(lambda part: part.cumsum("time") / 30)
    return ds.assign(prcp=ds["prcp"].assign_attrs(units="mm/day"))


def over_ten_days(ds: xr.Dataset) -> xr.Dataset:
    """Sums that are set back every tenth day."""
    tens = xr.DataArray(np.arange(DAYS) // 10, dims="time", name="tens")
    total = ds["prcp"].groupby(tens).map(lambda part: part.cumsum("time"))
    return ds.assign(prcp=total.drop_vars("tens", errors="ignore").transpose(*ds["prcp"].dims) / 6)


def without_extremes(change: Change) -> Change:
    return lambda ds: change(ds).drop_vars(["tmin", "tmax"])


def repeated_cell(ds: xr.Dataset) -> xr.Dataset:
    return ds.isel(basin=[0, 1, 2, 1]).assign_coords(basin=ds["basin"])


def at_latitude(value: float) -> Change:
    return lambda ds: ds.assign_coords(lat=("basin", np.full(ds.sizes["basin"], value), ds["lat"].attrs))


ONE, SOME = slice(1, 2), slice(200, 201)

IMPROBABLE: dict[str, tuple[Change, str]] = {
    "hours summed": (scaled("prcp", 12.5), r"precipitation is .* mm a year in 4 of 4 cells.*accumulation"),
    "metres": (scaled("prcp", 0.001), "precipitation is .* expected 20 to 6000"),
    "inches": (scaled("prcp", 1 / 25.4), "desert.*inches"),
    "accumulated": (accumulated, "accumulated"),
    "accumulated over ten days": (over_ten_days, "accumulated"),
    "crossed extremes": (scaled("tmax", -1, ONE), "tmin is above tmax on .* cell-days"),
    "one cell in metres": (scaled("prcp", 0.001, ONE), r"0\.00.* times the median.*g1.*1000 .*m and mm"),
    "one cell in tenths": (scaled("prcp", 10, ONE), "times the median.*g1.*tenths"),
    "one day in another unit": (put("prcp", 1900, ONE, SOME), "largest precipitation is .*second.*g1"),
    "a wet day in another unit": (put("prcp", 250, ONE, SOME), "largest precipitation is .*second.*g1"),
    "a code among unused extremes": (put("tmin", -999, ONE, SOME), "'tmin'.*-999.*g1.*Nothing is computed"),
    "a flood of a day": (put("streamflow", 900, ONE, SOME), "largest observed streamflow.*g1"),
    "more flow than rain": (scaled("streamflow", 3.3, ONE), "above precipitation in 1 of 4 cells .*g1"),
    "cubic feet": (scaled("streamflow", 35.3), "above precipitation.*cubic feet and cubic metres"),
    "litres": (scaled("streamflow", 0.001), "less than a thousandth"),
    "no flow": (put("streamflow", 0, ONE), "one and the same value on all days in 1 of 4 cells .*g1"),
    "ice": (put("streamflow", 0.7, ONE, slice(20, 45)), "repeats one value.*g1.*25 days to 2001-02-14"),
    "hardly observed": (put("streamflow", np.nan, ONE, slice(50, None)), "fewer than 100 days.*g1"),
    "pet in inches": (scaled("pet", 1 / 25.4), r"times what Hargreaves.*25\.4 .*inches"),
    "pet of a desert": (without_extremes(scaled("pet", 5)), "potential evapotranspiration is .* mm a year"),
    "constant pet": (put("pet", 1.0), "potential evapotranspiration has one and the same value"),
    "zero pet": (put("pet", 0.0), "potential evapotranspiration has one and the same value"),
    "fahrenheit": (without_extremes(lambda ds: ds.assign(tmean=ds["tmean"] + 30)), "Fahrenheit"),
    "the other hemisphere": (at_latitude(-47.0), "dark half of the year"),
    "swapped coordinates": (at_latitude(8.0), "latitude and longitude swapped"),
    "a cell twice": (repeated_cell, "another cell.*repeated"),
    "9999": (put("streamflow", 9999.0, ONE, slice(20, 23)), "stands for a missing value.*g1"),
}


def test_sound_data_have_nothing_to_remark() -> None:
    """In silence: a remark on everything is read by nobody."""
    report = sound().hbv.check(strict=True)
    assert report.remarks == report.improbable == ()


@pytest.mark.parametrize("name", IMPROBABLE)
def test_what_is_improbable_is_remarked(name: str) -> None:
    """With the cells, and a guess at the reason; ``strict`` raises it."""
    change, message = IMPROBABLE[name]
    ds = change(sound())
    for variable in ("prcp", "tmean", "pet", "streamflow"):
        ds[variable].attrs["units"] = "degC" if variable == "tmean" else "mm/day"
    report = ds.hbv.check()
    (match,) = [remark for remark in report.improbable if pd.Series([remark]).str.contains(message)[0]]
    assert match in report.remarks
    assert match in repr(report)
    with pytest.raises(ImprobableValueError, match=f"(?s){message}"):
        ds.hbv.check(strict=True)


def test_other_tests_data_have_no_doubts() -> None:
    """Sixty days are too few for yearly sums."""
    assert make_dataset().hbv.check().improbable == ()


def test_a_river_over_square_metres_is_refused() -> None:
    """1.2 million mm a day; the remarks stand beside the fault."""
    ds = sound().assign(area=((), 700.0, {"units": "m2"}))
    ds["streamflow"].attrs["units"] = "m3/s"
    with pytest.raises(ValueRangeError, match=r"(?s)streamflow.*0 to 10000.*area.*note:.*km2 and m2"):
        ds.hbv.check()


CODES: dict[str, tuple[Change, str]] = {
    "rain": (put("prcp", -999.0, ONE, slice(20, 80)), r"-999 kg m-2 day-1 in basin g1"),
    "flow": (put("streamflow", -999.0, ONE, slice(20, 80)), r"-999 kg m-2 day-1 in basin g1"),
    "pet": (put("pet", 1e20, ONE, slice(20, 80)), r"1e\+20 kg m-2 day-1 in basin g1"),
    "temperature": (
        lambda ds: put("tmean", -999.0, ONE, slice(20, 300))(ds).drop_vars("pet"),
        r"-999 degC in basin g1",
    ),
    "kelvin": (
        lambda ds: ds.assign(tmean=(ds["tmean"] + 273.15).assign_attrs(units="degC")),
        "looks like kelvin",
    ),
}


@pytest.mark.parametrize("name", CODES)
def test_a_fault_gives_no_remark(name: str) -> None:
    """Sixty days of -999 are no mean, no outlier and no desert; and they are told once."""
    change, message = CODES[name]
    with pytest.raises(hx.HydroxrError, match=f"(?s){message}") as caught:
        change(sound()).hbv.check()
    assert "note:" not in str(caught.value)
    assert "faults" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "units", "code"),
    [
        ("prcp", "kg m-2 s-1", -999.0),
        ("tmean", "K", -9999.0),
        ("pet", "m/day", 1e20),
        ("streamflow", "m3/s", -999.0),
        ("streamflow", "ft3/s", 9.969209968386869e36),
    ],
)
def test_codes_are_shown_as_they_stand_in_the_file(name: str, units: str, code: float) -> None:
    """And not as the conversion of units makes them, by whoever refuses them."""
    ds = sound().assign(area=("basin", [100.0, 700.0, 40.0, 3.3], {"units": "km2"}))
    scale = {"kg m-2 s-1": 1 / 86400, "m/day": 1e-3}.get(units, 1.0)
    ds[name] = (ds[name] * scale + (273.15 if units == "K" else 0.0)).assign_attrs(units=units)
    ds[name][1, 5] = code
    message = (
        re.escape(f"is {code:g} {units} in basin g1 on 2001-01-06") + f".*array != {re.escape(str(code))}"
    )
    spec = hx.DeltaHBV(components=1, network="constant")
    calls = [ds.hbv.check, lambda: ds.hbv.fit(spec, iterations=1, batch=2, progress=False)]
    if name != "streamflow":
        calls += [lambda: ds.hbv.simulate(make_parameters(ds)).compute()]
    for call in calls:
        with pytest.raises(ValueRangeError, match=message):
            call()


def test_all_faults_come_at_once() -> None:
    """Also those of names and units, which are found before any value."""
    ds = sound().drop_vars(["tmean", "tmin"])
    ds["prcp"][0, 3] = -1
    del ds["pet"].attrs["units"]
    with pytest.raises(
        hx.HydroxrError, match=r"(?s)3 faults.*temperature.*'pet' has no 'units'.*-1 "
    ) as caught:
        ds.hbv.check()
    assert isinstance(caught.value, hx.errors.MissingVariableError)


def test_simulate_tells_all_that_metadata_tell() -> None:
    """Two units that are absent, in one error."""
    ds = sound()
    del ds["pet"].attrs["units"], ds["tmean"].attrs["units"]
    with pytest.raises(hx.errors.UnitsError, match=r"(?s)2 faults.*'tmean'.*'pet'"):
        ds.hbv.simulate(make_parameters(ds))


def test_what_looks_like_an_input_and_is_not_used_is_remarked() -> None:
    """It is no doubt about the data, but a question."""
    ds = sound().assign(tp_rain=sound()["prcp"] * 2).assign(rainfall_radar=sound()["prcp"] * 2)
    report = ds.hbv.check(strict=True)
    assert any("looks like precipitation" in remark for remark in report.remarks)


def test_streamflow_of_another_name_is_judged_if_it_is_named() -> None:
    """And must be there."""
    ds = sound().rename(streamflow="gauge")
    ds["gauge"][1] = 0.0
    assert any("one and the same value" in remark for remark in ds.hbv.check(target="gauge").improbable)
    with pytest.raises(MissingVariableError, match="'nothing'"):
        ds.hbv.check(target="nothing")


def test_a_regional_model_without_attributes_is_told_what_is_missing() -> None:
    """As ``fit`` would."""
    with pytest.raises(MissingAttributeError, match=r"Table A1.*attributes=\["):
        sound().hbv.check(hx.DeltaHBV(network="lstm"))
    sound().hbv.check(hx.DeltaHBV(network="constant"))
    own = sound().assign(height=("basin", [1.0, 2.0, 3.0, 4.0]))
    own.hbv.check(hx.DeltaHBV(network="lstm"), attributes=["height"])


def test_codes_among_attributes_are_remarked() -> None:
    """-999 m is no elevation."""
    ds = sound().assign(elev_mean=("basin", [100.0, 200.0, -999.0, 400.0], {"units": "m"}))
    (remark,) = ds.hbv.check(hx.DeltaHBV(network="lstm")).improbable
    assert "elev_mean is -999" in remark


def test_magnitudes_are_those_of_the_data() -> None:
    """By hand: over cells, of the means of days that are known."""
    ds = sound()
    ds["streamflow"][1, 10:20] = np.nan
    report = ds.hbv.check()
    assert report.magnitudes is not None
    rain = report.magnitudes["precipitation"]
    sums = np.sort(ds["prcp"].mean("time").values * 365.25)
    np.testing.assert_allclose([rain.least, rain.median, rain.most], [sums[0], np.median(sums), sums[-1]])
    flow = report.magnitudes["observed streamflow"]
    assert flow.missing == 10
    assert flow.period == ("2001-01-01", "2002-12-31")
    air = report.magnitudes["daily mean air temperature"]
    np.testing.assert_allclose(air.months, ds["tmean"].groupby("time.month").mean(...).values, rtol=0.02)
    assert "10 cell-days missing" in repr(report)


def test_lazy_data_are_read_once_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the chunks, in blocks that fit the limit; a sample says that it is one."""
    from hydroxr.checks import summary

    ds = sound(6)
    ds["streamflow"][1, 100] = -5.0
    ds["streamflow"][4, 200] = -7.0
    with pytest.raises(ValueRangeError) as expected:
        ds.hbv.check()
    lazy = ds.chunk(basin=2, time=300)
    reads = []
    lazy["prcp"] = lazy["prcp"].copy(
        data=lazy["prcp"].data.map_blocks(
            lambda block: (reads.append(block.shape), block)[1], dtype="f8", meta=np.empty((0, 0))
        )
    )
    monkeypatch.setattr(summary, "BLOCK", 2 * DAYS * 7)
    with pytest.raises(ValueRangeError) as found:
        lazy.hbv.check()
    assert str(found.value) == str(expected.value)  # 2 of 4380 cell-days in 2 cells
    assert "2 of 4380 cell-days in 2 cells" in str(found.value)
    assert len(reads) == 3 * 3
    monkeypatch.setattr(summary, "MOST", 4 * DAYS * 7)
    sample = lazy.drop_vars("streamflow").hbv.check()
    assert any("4 of 6 cells were looked at" in remark for remark in sample.remarks)


def test_a_notebook_shows_pictures() -> None:
    """A table with a line of months and a histogram of cells for each role; text is escaped."""
    ds = sound().rename(basin="<b>")
    ds["streamflow"][2] = 0
    html = ds.hbv.check()._repr_html_()
    assert html.count("<polyline") == 4
    assert html.count("<svg") == 8
    assert "improbable" in html
    assert "&lt;b&gt; g2" in html


@pytest.mark.skipif(not CAMELS.exists(), reason="the real catchments are not here")
def test_real_catchments_have_remarks_and_no_faults() -> None:
    """12 of 569 with more streamflow than precipitation in the years of CAMELS' own statistics."""
    ds = hx.open_camels(CAMELS)[["prcp", "tmin", "tmax", "streamflow"]].sel(
        time=slice("1989-10-01", "2009-09-30")
    )
    report = ds.isel(basin=ds["streamflow"].isel(time=0).notnull().values).hbv.check()
    assert any("above precipitation in 12 of 569 cells" in remark for remark in report.improbable)
    assert any("tmin is above tmax on 695 cell-days" in remark for remark in report.improbable)
    assert len(report.improbable) == 3

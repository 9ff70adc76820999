"""Tables of daily series as programs and people write them: the same Dataset from all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.cli.commands import open_data
from hydroxr.errors import DataFileError, DescriptionError, HydroxrError, UnitsError, ValueRangeError
from tests.support.labelled import make_parameters

DAYS = pd.date_range("2000-01-01", periods=40)
UNITS = {"prcp": "mm/day", "tmean": "degC", "pet": "mm/day", "streamflow": "mm/day"}
HEADER = {name: f"{name} ({unit})" for name, unit in UNITS.items()}


def frame() -> pd.DataFrame:
    count = np.arange(40.0)
    columns = {"prcp": count % 3 + 0.5, "tmean": count / 2 - 3, "pet": 1.25, "streamflow": 1 + count / 100}
    return pd.DataFrame(columns, DAYS.rename("date"))


def german(path: Path) -> None:
    """As Excel exports it: semicolons, decimal commas, the day first, empty rows below, no Unicode."""
    table = frame().rename(columns=HEADER | {"tmean": "Temperature (°C)"})
    text = table.set_axis(DAYS.strftime("%d.%m.%Y")).to_csv(sep=";", decimal=",", index_label="Datum")
    path.write_bytes(("sep=;\n" + text + ";;;;\n;;;;\n").encode("cp1252"))


def unicode_text(path: Path) -> None:
    text = frame().rename(columns=HEADER).to_csv(sep="\t", decimal=",")
    path.write_bytes(text.encode("utf-16"))


def american(path: Path) -> None:
    table = frame().rename(columns=HEADER).set_axis(DAYS.strftime("%m/%d/%Y"))
    path.write_text("# Some station\n" + table.to_csv(index_label="Date"))


def parts(path: Path) -> None:
    table = frame().rename(columns=HEADER)
    table.insert(0, "DY", DAYS.day)
    table.insert(0, "MO", DAYS.month)
    table.insert(0, "YEAR", DAYS.year)
    path.write_text(table.to_string(index=False).replace(" (", "("))


def units_below(path: Path) -> None:
    row = ",".join(["", *UNITS.values()])
    first, rest = frame().to_csv().split("\n", 1)
    path.write_text(f"{first}\n{row}\n{rest}")


def shuffled(path: Path) -> None:
    """In any order, with a time zone."""
    table = frame().rename(columns=HEADER).set_axis(DAYS.strftime("%Y-%m-%dT00:00:00+01:00"))
    table.sample(frac=1, random_state=0).to_csv(path, index_label="time")


STYLES: list[Callable[[Path], None]] = [german, unicode_text, american, parts, units_below, shuffled]


@pytest.mark.parametrize("write", STYLES)
def test_every_style_gives_the_same(write: Callable[[Path], None], tmp_path: Path) -> None:
    """One statement from the file to a Dataset that runs."""
    path = tmp_path / "Au Saumon.csv"
    write(path)
    ds = hx.open_table(path, lat=45.5, area=738.0)
    expected = frame()
    for name in UNITS:
        np.testing.assert_allclose(ds[name].sel(basin="Au Saumon"), expected[name])
        assert ds[name].attrs["units"] == ("degC" if name == "tmean" else "kg m-2 day-1")
    np.testing.assert_array_equal(ds["time"], DAYS)
    assert set(ds.hbv.simulate(make_parameters(ds))["streamflow"].dims) == {"basin", "time"}
    xr.testing.assert_equal(open_data(path), ds.drop_vars(["lat", "area"]))


def test_gauges_of_usgs(tmp_path: Path) -> None:
    """RDB: comments, a row of widths, a column of the gauge, codes as text, cubic feet."""
    path = tmp_path / "flow.txt"
    rows = [f"USGS\t01022500\t{day:%Y-%m-%d}\t{number}\tA" for number, day in enumerate(DAYS)]
    rows[7] = rows[7].replace("\t7\t", "\tIce\t")
    del rows[20]
    head = "agency_cd\tsite_no\tdatetime\t85_00060_00003\t85_00060_00003_cd\n5s\t15s\t20d\t14n\t10s\n"
    path.write_text("# USGS\n#\n" + head + "\n".join(rows) + "\n")
    options: dict[str, Any] = {"names": {"85_00060_00003": "streamflow"}, "basin": "site_no"}
    units = {"streamflow": "ft3/s"}
    with pytest.raises(ValueRangeError, match=r"'streamflow' holds 'Ice' \(1 of 39.*na_values=\['Ice'\]"):
        hx.open_table(path, units, **options)
    ds = hx.open_table(path, units, **options, area=86.4, na_values=["Ice"])
    flow = ds["streamflow"].sel(basin="01022500")
    assert np.flatnonzero(flow.isnull()).tolist() == [7, 20]
    np.testing.assert_allclose(flow[10], 10 * 0.3048**3)
    assert "agency_cd" in ds.attrs["comment"]
    later = hx.open_table(path, units, **options, na_values=["Ice"])["streamflow"]
    np.testing.assert_allclose(later.squeeze("basin"), flow)  # m3 s-1 over 86.4 km2 are mm/day
    assert later.attrs["units"] == "m3 s-1"


def test_several_gauges(tmp_path: Path) -> None:
    """A file each, frames by gauge, or a column with the gauges; the same Dataset."""
    tables = {"a": frame(), "b": frame().iloc[5:] * 2}
    for gauge, table in tables.items():
        table.to_csv(tmp_path / f"{gauge}.csv")
    places = {"lat": {"a": 45.0, "b": 46.0}}
    ds = hx.open_table(tmp_path / "*.csv", UNITS, **places)
    assert ds["basin"].values.tolist() == ["a", "b"]
    assert int(ds["prcp"].isnull().sum()) == 5
    np.testing.assert_allclose(ds["prcp"].sel(basin="b")[5:], tables["b"]["prcp"])
    xr.testing.assert_equal(hx.open_table(tables, UNITS, **places), ds)
    aquafetch = {"prcp": "pcp_mm", "tmean": "airtemp_C_mean", "pet": "pet_mm", "streamflow": "q_mm_obs"}
    renamed = {gauge: table.rename(columns=aquafetch) for gauge, table in tables.items()}
    units = {aquafetch[name]: unit for name, unit in UNITS.items()}
    xr.testing.assert_equal(hx.open_table(renamed, units, **places), ds)
    long = pd.concat(tables, names=["gauge"])
    xr.testing.assert_equal(hx.open_table(long, UNITS, basin="gauge", **places), ds)


def test_what_a_table_lacks_is_told(tmp_path: Path) -> None:
    """All at once, with what to write."""
    bare = frame().drop(columns="pet")
    refused: list[tuple[dict[str, Any], type[HydroxrError], str]] = [
        ({}, UnitsError, r"'prcp', 'tmean', 'streamflow' have no units.*'prcp \(\.\.\.\)'.*units=\{'prcp'"),
        ({"units": UNITS}, DescriptionError, "units has 'pet', and there is no such column"),
        ({"names": {"rain": "prcp"}}, DescriptionError, "names has 'rain'.*'date', 'prcp'"),
        ({"lat": {"x": 1.0}}, DescriptionError, "lat has no value for the gauge 'basin'"),
    ]
    for options, kind, message in refused:
        with pytest.raises(kind, match=message):
            hx.open_table(bare, **options)
    with pytest.raises(UnitsError, match=r"daily sums.*units=\{'prcp': \.\.\.\}"):
        hx.open_table(frame(), UNITS | {"prcp": "mm"})
    with pytest.raises(DataFileError, match="has 2000-01-01 more than once"):
        hx.open_table(pd.concat([frame(), frame()]), UNITS)
    with pytest.raises(DataFileError, match="has no column of dates among 'index', 'prcp'"):
        hx.open_table(frame().reset_index(drop=True), UNITS)
    two = frame().iloc[[0, 31]].set_axis(["01/02/2000", "01/02/2001"]).rename_axis("date")
    with pytest.raises(DataFileError, match="may be 2000-02-01 or 2000-01-02"):
        hx.open_table(two, UNITS)
    with pytest.raises(DataFileError, match="no such file"):
        hx.open_table(tmp_path / "absent.csv")
    path = tmp_path / "own.csv"
    frame().to_csv(path)
    for reader in (hx.open_catchments, hx.open_forcing):
        with pytest.raises(DataFileError, match=r"hx\.open_table"):
            reader(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('01,"1,234"|01,987', r"'Q' holds '1,234', whose comma may separate thousands or decimals"),
        ("01,1,5|01,2,5", "rows have more fields than the header"),
        ("01,1|,2", "column 'id' names no gauge in 1 of 2 rows"),
    ],
)
def test_no_number_goes_astray(rows: str, message: str, tmp_path: Path) -> None:
    """Neither by a factor of 1000, nor to another column, nor with a row that has no gauge."""
    dated = [f"{day:%Y-%m-%d},{row}" for day, row in zip(DAYS, rows.split("|"), strict=False)]
    path = tmp_path / "gauge.csv"
    path.write_text("\n".join(["date,id,Q (m3/s)", *dated]))
    with pytest.raises(HydroxrError, match=message):
        hx.open_table(path, basin="id")


def test_short_names_and_places_within(tmp_path: Path) -> None:
    """P and T by their units; latitude as a column; columns without a value are left out."""
    table = frame().rename(columns={"prcp": "P", "tmean": "T", "pet": "PET", "streamflow": "Q"})
    table.assign(latitude=45.5, Flag=np.nan).to_csv(tmp_path / "a.csv")
    units = {"P": "mm/day", "T": "degC", "PET": "mm/day", "Q": "mm/day"}
    ds = hx.open_table(tmp_path / "a.csv", units)
    expected = hx.open_table({"a": frame()}, UNITS, lat={"a": 45.5})
    xr.testing.assert_equal(ds, expected)
    named = hx.open_table(tmp_path / "a.csv", units, names={"Q": "streamflow"})  # units by the given name
    xr.testing.assert_equal(named, expected)
    assert "Flag" in ds.attrs["comment"]

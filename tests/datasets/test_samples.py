"""The embedded sample: complete, true to its source, and honest about what is not observed."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.datasets import samples
from hydroxr.datasets.samples import SAMPLES, open_sample
from hydroxr.errors import DataFileError

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "quebec"
DATASETS = Path(__file__).parents[2] / "datasets"
SERIES = ("prcp", "tmean", "pet", "streamflow")
RECORDS = {
    None: ("1980-01-01", "2003-12-31"),
    "Au Saumon": ("1975-03-01", "2003-12-31"),
    "Baskatong": ("1980-01-01", "2017-12-31"),
    "Leaf": ("1957-01-01", "1987-12-31"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_record_is_daily_and_complete(name: str | None) -> None:
    ds = open_sample(name)
    days = pd.date_range(*RECORDS[name])
    np.testing.assert_array_equal(ds["time"], days)
    for series in SERIES:
        assert ds[series].dims == ("basin", "time")
        assert ds[series].notnull().all()


@pytest.mark.parametrize("name", RECORDS)
def test_basins_and_coordinates(name: str | None) -> None:
    ds = open_sample(name)
    expected = ["Au Saumon", "Baskatong"] if name is None else [name]
    assert ds["basin"].values.tolist() == expected
    assert ds["basin"].attrs["cf_role"] == "timeseries_id"
    assert ds.sel(basin=expected[-1])["prcp"].dims == ("time",)


def test_units_and_latitude() -> None:
    ds = open_sample()
    assert {name: ds[name].attrs["units"] for name in SERIES} == {
        "prcp": "kg m-2 day-1",
        "tmean": "degC",
        "pet": "kg m-2 day-1",
        "streamflow": "kg m-2 day-1",
    }
    assert ds["lat"].values.tolist() == [45.482, 47.20985]
    assert ds["elev_median"].values.tolist() == [474.0, 408.0]
    assert "Université Laval" in ds.attrs["license"]


def test_temperature_of_leaf_is_labelled_as_not_observed() -> None:
    ds = open_sample("Leaf")
    assert (ds["tmean"] == 20.0).all()
    assert "not observed" in ds["tmean"].attrs["comment"]
    assert ds["tmean"].attrs["units"] == "degC"
    assert ds["tmean"].dtype == ds["prcp"].dtype
    assert "comment" not in open_sample("Au Saumon")["tmean"].attrs
    with xr.open_dataset(DATASETS / "quebec.nc") as stored:
        assert stored["tmean"].sel(basin=2).isnull().all()


def test_two_calls_share_nothing() -> None:
    first = open_sample()
    first["prcp"][:] = -1.0
    assert (open_sample()["prcp"] >= 0).all()


def test_sample_can_be_written(tmp_path: Path) -> None:
    ds = open_sample()
    ds.to_netcdf(tmp_path / "copy.nc")
    with xr.open_dataset(tmp_path / "copy.nc") as copy:
        xr.testing.assert_identical(copy.load(), ds)


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(DataFileError, match=r"'Saguenay'.*Au Saumon, Baskatong, Leaf"):
        open_sample("Saguenay")


def test_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samples, "_PLACES", (tmp_path / "quebec.nc",))
    with pytest.raises(DataFileError, match=r"quebec\.nc.*Install"):
        open_sample()


def test_installed_place_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = open_sample("Baskatong")
    (tmp_path / "quebec.nc").write_bytes((DATASETS / "quebec.nc").read_bytes())
    monkeypatch.setattr(samples, "_PLACES", (tmp_path / "quebec.nc", tmp_path / "nowhere.nc"))
    xr.testing.assert_identical(open_sample("Baskatong"), expected)


def test_file_is_small_and_licensed() -> None:
    assert (DATASETS / "quebec.nc").stat().st_size < 1.5e6
    with xr.open_dataset(DATASETS / "quebec.nc", decode_cf=False) as stored:
        assert stored.attrs["Conventions"] == "CF-1.11"
        assert stored.attrs["featureType"] == "timeSeries"
        assert stored.attrs["license"] == (DATASETS / "LICENSE.quebec").read_text("utf-8").strip()
        assert stored["time"].attrs["units"] == "days since 1957-01-01"
        assert stored["time"].attrs["calendar"] == "standard"
        for name in ("time", "basin", "basin_id", "lat"):
            assert "_FillValue" not in stored[name].attrs
        for name in (*SERIES, "elev_median"):
            assert np.isnan(stored[name].attrs["_FillValue"])


@pytest.mark.skipif(not SOURCE.is_dir(), reason="the source of the sample is not here")
@pytest.mark.parametrize("name", SAMPLES)
def test_values_are_those_of_the_source(name: str) -> None:
    table = pd.read_csv(SOURCE / f"{name}_Observations.csv", parse_dates=["Date"])
    ds = open_sample(name).isel(basin=0)
    np.testing.assert_array_equal(ds["time"], table["Date"])
    columns = {"P": "prcp", "E0": "pet", "Qo": "streamflow"} | ({} if name == "Leaf" else {"T": "tmean"})
    for column, variable in columns.items():
        np.testing.assert_array_equal(ds[variable], table[column].astype(np.float32))


@pytest.mark.skipif(not SOURCE.is_dir(), reason="the source of the sample is not here")
def test_file_is_what_its_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(DATASETS / "repack_quebec.py"))["main"](SOURCE, tmp_path / "quebec.nc")
    with (
        xr.open_dataset(DATASETS / "quebec.nc") as stored,
        xr.open_dataset(tmp_path / "quebec.nc") as made,
    ):
        xr.testing.assert_identical(made, stored)

"""Data sets of catchments: small files in each published layout, through one interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DataFileError, DescriptionError
from tests.datasets.catchment_files import (
    AREA,
    DAYS,
    FLOW,
    GAUGES,
    MADE,
    PRCP,
    camels_gb,
    caravan_netcdf,
    lamah,
    write,
)


@pytest.mark.parametrize("name", MADE)
def test_every_layout_gives_the_same_dataset(name: str, tmp_path: Path, raise_if_dask_computes: Any) -> None:
    """Recognised, lazy, with the same names, units and labels; empty fields are missing."""
    MADE[name](tmp_path)
    with raise_if_dask_computes():
        lazy = hx.open_catchments(tmp_path)
    assert all(lazy[each].chunks is not None for each in ("prcp", "streamflow"))
    ds = lazy.load()
    assert list(ds["basin"].values) == list(GAUGES)
    assert ds["basin"].attrs["cf_role"] == "timeseries_id"
    np.testing.assert_array_equal(ds["time"], DAYS)
    np.testing.assert_allclose(ds["prcp"].sel(basin="202"), PRCP["202"])
    flow = ds["streamflow"].sel(basin="101")
    unknown = [7] if name == "camels-aus" else []
    assert np.flatnonzero(flow.isnull()).tolist() == unknown
    np.testing.assert_allclose(flow.fillna(FLOW["101"][7]), FLOW["101"], rtol=1e-6)
    for role in ("prcp", "streamflow"):
        assert ds[role].attrs["units"] == "kg m-2 day-1"
    if name != "lamah-ce":
        np.testing.assert_allclose(ds["pet"], 1.5)
    assert ds["lat"].sel(basin="202").item() == 46.5
    assert ds["lat"].attrs["units"] == "degrees_north"
    assert ds["basin_name"].values.tolist()[1] == ""
    np.testing.assert_array_equal(ds["area"], list(AREA.values()))
    assert ds["own_class"].values.tolist() == ["karst", ""]
    assert "doi" in ds.attrs["references"]
    ds.hbv.check()


@pytest.mark.parametrize("name", ["camels-gb", "caravan"])
def test_attributes_of_camels_us_are_named(name: str, tmp_path: Path) -> None:
    """Under their own names, with that of CAMELS-US beside; or under that."""
    MADE[name](tmp_path)
    own = {"camels-gb": "elev_mean", "caravan": "ele_mt_sav"}[name]
    ds = hx.open_catchments(tmp_path, name)
    assert ds[own].attrs == {
        "units": "m",
        "long_name": "mean elevation of the catchment",
        "camels_us_name": "elev_mean",
    }
    assert np.isnan(ds[own].values[0])
    renamed = hx.open_catchments(tmp_path, name, attributes="camels-us")
    np.testing.assert_array_equal(renamed["elev_mean"], ds[own])
    np.testing.assert_array_equal(renamed["area_gages2"], ds["area"])


def test_one_basin_without_the_rest(tmp_path: Path) -> None:
    """By its label, or a file alone, with attributes or without."""
    caravan_netcdf(tmp_path)
    ds = hx.open_catchments(tmp_path, basins="202")
    assert ds["basin"].values.tolist() == ["202"]
    file = tmp_path / "timeseries/netcdf/camels/202.nc"
    xr.testing.assert_identical(hx.open_catchments(file).load(), ds.load())
    alone = tmp_path / "202.nc"
    alone.write_bytes(file.read_bytes())
    (tmp_path / "attributes").rename(tmp_path / "elsewhere")
    found = hx.open_catchments(alone)
    np.testing.assert_allclose(found["prcp"].sel(basin="202"), PRCP["202"])
    assert "area" not in found


def test_a_gauge_with_fewer_days_or_no_flow_is_missing_there(tmp_path: Path) -> None:
    lamah(tmp_path)
    folder = tmp_path / "D_gauges/2_timeseries/daily"
    (folder / "ID_202.csv").unlink()
    path = tmp_path / "A_basins_total_upstrm/2_timeseries/daily/ID_101.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:1] + lines[11:]))
    ds = hx.open_catchments(tmp_path).load()
    assert ds["streamflow"].isnull().all("time").values.tolist() == [False, True]
    assert int(ds["prcp"].isnull().sum()) == 10


def test_foreign_tables_are_left_alone(tmp_path: Path) -> None:
    """A table without gauges, and one with further gauges."""
    camels_gb(tmp_path)
    write(tmp_path / "data/CAMELS_GB_notes_attributes.csv", pd.DataFrame({"note": ["x"], "value": [1]}))
    more = pd.DataFrame({"gauge_id": ["101", "999"], "extra": [1, 2]})
    write(tmp_path / "data/CAMELS_GB_extra_attributes.csv", more)
    ds = hx.open_catchments(tmp_path)
    assert "note" not in ds
    np.testing.assert_array_equal(ds["extra"], [1, np.nan])


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataFileError, match=r"holds no series in the layout of Caravan, CAMELS-GB.*CAMELS-US"
    ):
        hx.open_catchments(tmp_path)
    with pytest.raises(DataFileError, match=r"layout of CAMELS-GB; expected.*CAMELS_GB_hydromet"):
        hx.open_catchments(tmp_path, "camels-gb")
    with pytest.raises(DescriptionError, match=r"'camels-xx'.*'camels-us'"):
        hx.open_catchments(tmp_path, "camels-xx")
    camels_gb(tmp_path)
    with pytest.raises(DataFileError, match=r"no series of the basin '7'.*named like '101'"):
        hx.open_catchments(tmp_path, basins=["7"])
    with pytest.raises(DataFileError, match="no such file"):
        hx.open_catchments(tmp_path / "absent")


OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "camels_us_official_layout"


@pytest.mark.skipif(not OFFICIAL.exists(), reason="needs CAMELS-US as published")
def test_camels_us_is_recognised() -> None:
    ds = hx.open_catchments(OFFICIAL, basins="01022500")
    assert ds.sizes["basin"] == 1
    assert "CAMELS-US" in ds.attrs["title"]

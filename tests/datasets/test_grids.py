"""Gridded forcing in the layouts in which it is downloaded, made ready for ``ds.hbv``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DataFileError, DescriptionError, MissingForcingError, TimeAxisError
from tests.datasets.grid_files import (
    CELSIUS,
    NORTH,
    cmip6,
    daymet,
    e_obs,
    era5_land,
    grid,
    gridmet,
    hourly,
    nldas,
)
from tests.support.labelled import make_parameters


@pytest.mark.parametrize("offset", [0, 6, -5])
def test_era5_land_is_summed_over_the_days_of_a_stated_place(offset: int) -> None:
    """Rain of the hours that end within each day; temperature of its hours."""
    ds = hx.open_forcing(era5_land(), utc_offset=offset)
    time, rain, kelvin = hourly()
    shift = pd.Timedelta(hours=offset)
    sums = pd.Series(rain * 1000, time).groupby((time - pd.Timedelta("1h") + shift).floor("D")).sum()
    means = pd.Series(kelvin - CELSIUS, time).groupby((time + shift).floor("D")).agg(["mean", "min", "max"])
    days = ds.indexes["time"]
    assert len(days) == (4 if offset == 0 else 3)
    cell = ds.isel(latitude=0, longitude=0)
    np.testing.assert_allclose(cell["prcp"], sums[days], rtol=1e-6)
    for name, method in {"tmean": "mean", "tmin": "min", "tmax": "max"}.items():
        np.testing.assert_allclose(cell[name], means.loc[days, method], atol=1e-4)
    np.testing.assert_allclose(ds["prcp"].isel(latitude=1, longitude=1), 4 * cell["prcp"], rtol=1e-6)
    np.testing.assert_allclose(cell["srad"], cell["prcp"] * 1e7 / 86400, rtol=1e-6)
    np.testing.assert_allclose(ds["wind"].isel(latitude=0, longitude=0), 5.0)
    assert f"from {-offset % 24:02d} UTC" in ds.attrs["comment"]
    np.testing.assert_array_equal(ds["latitude"], NORTH)


def test_era5_land_runs_at_once(tmp_path: Path, raise_if_dask_computes: Any) -> None:
    """From files: lazy, with PET, without a fault."""
    whole = era5_land()
    for number, part in enumerate((slice(0, 48), slice(48, None))):
        whole.isel(valid_time=part).to_netcdf(tmp_path / f"{number}.nc")
    with raise_if_dask_computes():
        ds = hx.open_forcing(tmp_path / "*.nc", "era5-land")
    assert ds["prcp"].chunks is not None
    assert "Hargreaves" in ds.hbv.check().roles["potential evapotranspiration"]
    xr.testing.assert_allclose(ds.load(), hx.open_forcing(whole))
    same = hx.open_forcing(str(tmp_path))
    assert same.sizes == ds.sizes


@pytest.mark.parametrize("lazy", [False, True])
def test_the_sea_is_not_simulated(lazy: bool) -> None:
    """Cells without forcing are masked; one that has some, and a gap, is refused as ever."""
    ds = era5_land()
    ds["tp"][:, 0, 0] = np.nan
    grid = hx.open_forcing(ds.chunk() if lazy else ds)
    assert "1 cells are outside of the mask" in str(grid.hbv.check())
    flow = grid.hbv.simulate(make_parameters(grid))["streamflow"]
    assert bool(flow[..., 0, 0].isnull().all())
    assert int(flow.notnull().sum()) == 5 * grid.sizes["time"]
    ds["tp"][30:40, 1, 1] = np.nan
    with pytest.raises(MissingForcingError, match=r"latitude 46\.1, longitude 7\.1 on 2020-02-28"):
        hx.open_forcing(ds).hbv.check()


@pytest.mark.parametrize("source", ["era5-land", "era5"])
def test_whole_months_end_with_the_last_day_that_is_whole(source: str) -> None:
    """From 00 to 23 UTC the last hour of rain is missing: that day is left out, and the rest is ready."""
    ds = hx.open_forcing(era5_land(hours_more=0), source)
    assert ds.sizes["time"] == 3
    assert not bool(ds.to_array().isnull().any())
    ds.hbv.check()


def test_era5_has_sums_of_hours() -> None:
    """The same names as ERA5-Land on a grid of 0.25 degrees: rain does not accumulate."""
    time, rain, kelvin = hourly()
    series = {"tp": (rain, {"units": "m"}), "t2m": (kelvin, {"units": "K"})}
    places = (np.array([46.5, 46.25, 46.0]), np.array([7.0, 7.25]))
    ds = hx.open_forcing(grid(series, time, ("time", "latitude", "longitude"), places))
    assert ds.attrs["comment"].startswith("ERA5,")
    assert float(ds["prcp"].sum("time")[0, 0]) == pytest.approx(1000 * rain[1:].sum())


def test_daymet_s_leap_year_gets_its_last_day(tmp_path: Path) -> None:
    """The mean of its neighbours, and the Dataset says so; other days stay."""
    ds = hx.open_forcing(daymet(tmp_path))
    cell = ds["prcp"].isel(y=0, x=0)
    assert ds.sizes["time"] == 31 + 366 + 59
    last, near = cell.sel(time="2020-12-31"), cell.sel(time=["2020-12-30", "2021-01-01"])
    assert float(last) == float(near.mean())
    assert float(cell[-1]) == (ds.sizes["time"] - 2) / 2
    assert "31 December of 2020: the mean of 30 December and 1 January" in ds.attrs["comment"]
    assert ds["prcp"].attrs["grid_mapping"] == "lambert_conformal_conic"
    assert ds.hbv.check().days == ds.sizes["time"]
    elevated = ds.assign(elevation=((), 500.0, {"units": "m"}))
    assert elevated.hbv.pet("priestley-taylor").dims == ("time", "y", "x")


def test_gridmet_s_files_call_both_extremes_alike(tmp_path: Path) -> None:
    """One file for each variable; ``day``; K; PET of its own."""
    gridmet(tmp_path)
    ds = hx.open_forcing(tmp_path / "*_2000.nc")
    cell = ds.isel(lat=0, lon=0, time=3)
    found = {name: float(cell[name]) for name in ("prcp", "tmin", "tmax", "pet")}
    assert found == pytest.approx(
        {"prcp": 4.0, "tmin": 270 - CELSIUS, "tmax": 280 - CELSIUS, "pet": 2.0}, abs=1e-4
    )
    assert ds.hbv.check().days == 20


def test_nldas_hours_become_days() -> None:
    ds = hx.open_forcing(nldas(), utc_offset=-6)
    np.testing.assert_allclose(ds["pet"] * 2, ds["prcp"])
    assert ds.attrs["comment"].startswith("NLDAS-2")
    assert "from 06 UTC" in ds.attrs["comment"]
    assert ds.hbv.check().days == 3


def test_e_obs_is_renamed() -> None:
    ds = hx.open_forcing(e_obs())
    assert (ds["prcp"].attrs["units"], ds["tmean"].attrs["units"]) == ("kg m-2 day-1", "degC")
    assert "Oudin" in ds.hbv.check().roles["potential evapotranspiration"]


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_cmip6_in_its_calendars(calendar: str) -> None:
    out = hx.open_forcing(cmip6(calendar))
    assert float(out["prcp"][0, 0, 1]) == pytest.approx(2.0)
    assert "time_bnds" not in out
    assert out.hbv.check().days == 400


def test_hours_are_not_days() -> None:
    """The error shows the call; a gap in the hours is named."""
    ds = era5_land().rename(valid_time="time")
    with pytest.raises(TimeAxisError, match=r"hx\.open_forcing"):
        ds.rename(tp="prcp").assign(prcp=ds["tp"].assign_attrs(units="m/day")).hbv.check()
    with pytest.raises(TimeAxisError, match=r"hx\.open_forcing"):  # before any word on units
        ds.rename(tp="prcp").hbv.check()
    with pytest.raises(TimeAxisError, match=r"steps of 1 hours, and a gap: 2020-02-27 13:00:00 follows"):
        hx.open_forcing(ds.isel(time=np.r_[0:10, 13:90]))
    with pytest.raises(TimeAxisError, match="'tp' has no whole day"):
        hx.open_forcing(ds.isel(time=slice(0, 20)))


def test_unknown_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"'era6'.*'era5-land'"):
        hx.open_forcing(era5_land(), "era6")
    with pytest.raises(DataFileError, match=r"not recognised by the variables rain; name it: source"):
        hx.open_forcing(xr.Dataset({"rain": ("time", [1.0])}))
    with pytest.raises(DataFileError, match="no such file"):
        hx.open_forcing(tmp_path / "absent.nc")
    with pytest.raises(DataFileError, match="none of the variables of E-OBS"):
        hx.open_forcing(era5_land(), "e-obs")

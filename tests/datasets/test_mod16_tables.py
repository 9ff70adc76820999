"""MOD16 in tables, of years, and as servers cut it: the layouts of AppEEARS, Earth Engine and OPeNDAP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DataFileError, DescriptionError, UnitsError
from tests.datasets import granules

DATES = granules.dates(number=4)
ET = {"01022500": [10.0, 11.5, 0.0, 7.5], "north": [20.0, np.nan, 3.5, 1.0]}


def is_as_made(ds: xr.Dataset) -> None:
    """The values above, with the bounds of composites."""
    assert ds["evapotranspiration"].dims == ("basin", "time")
    for name, values in ET.items():
        np.testing.assert_allclose(ds["evapotranspiration"].sel(basin=name), values, rtol=1e-6)
    np.testing.assert_array_equal(ds["time"], DATES)
    assert list((ds["time_bnds"][:, 1] - ds["time_bnds"][:, 0]).dt.days) == [8, 8, 8, 5]
    assert ds["evapotranspiration"].attrs["units"] == "kg m-2"


def long(values: dict[str, Any] = ET, scale: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"basin": name, "date": date, "ET": value / scale}
            for name, each in values.items()
            for date, value in zip(DATES, each, strict=True)
        ]
    )


@pytest.mark.parametrize("code", [32766.0, 3276.6])
def test_point_samples_of_appeears(tmp_path: Path, code: float) -> None:
    """Labels keep their zeros; codes are missing, scaled or not."""
    rows = long()
    table = pd.DataFrame(
        {
            "ID": rows["basin"],
            "Category": "",
            "Latitude": np.where(rows["basin"] == "north", 60.5, 44.5),
            "Longitude": -70.25,
            "Date": rows["date"].dt.strftime("%Y-%m-%d"),
            "MODIS_Tile": "h12v04",
            "MOD16A2GF_061_ET_500m": rows["ET"].fillna(code),
            "MOD16A2GF_061_PET_500m": 40.0,
            "MOD16A2GF_061_ET_QC_500m": 0,
            "MOD16A2GF_061_ET_QC_500m_bitmask": "0b00000000",
        }
    )
    path = tmp_path / "my-points-MOD16A2GF-061-results.csv"
    table.sample(frac=1.0, random_state=0).to_csv(path, index=False)
    ds = hx.compare.open_mod16(path)
    is_as_made(ds)
    assert (ds["pet"] == 40.0).all()
    assert ds["lat"].sel(basin="north") == 60.5
    assert "MOD16A2GF" in ds.attrs["title"]
    path.write_text(path.read_text().replace("MOD16A2GF_061_ET_500m", "MOD16A2GF_061_ET_1km"))
    assert "evapotranspiration" not in hx.compare.open_mod16(path)


def test_area_statistics_of_appeears(tmp_path: Path) -> None:
    """Of each layer and area; those of quality are left alone."""
    rows = long({"aid0001": ET["01022500"], "aid0002": [5.0, 6.0, 7.0, 8.0]})
    for name, part in rows.groupby("basin"):
        days = part["date"].dt.strftime("%Y%j")
        table = pd.DataFrame(
            {
                "File Name": "MOD16A2GF.061_ET_500m_doy" + days + f"_{name}",
                "Dataset": "MOD16A2GF_061_ET_500m",
                "aid": name,
                "Date": part["date"].dt.strftime("%Y-%m-%d"),
                "Count": 100.0,
                "Minimum": 0.0,
                "Maximum": 99.0,
                "Mean": part["ET"],
            }
        )
        quality = table.assign(Dataset="MOD16A2GF_061_ET_QC_500m", Mean=1.0)
        quality["File Name"] = quality["File Name"].str.replace("ET_500m", "ET_QC_500m")
        pd.concat([table, quality]).to_csv(tmp_path / f"{name}-Statistics.csv", index=False)
    (tmp_path / "README.txt").write_text("not a table")
    ds = hx.compare.open_mod16(tmp_path)
    assert list(ds["basin"].values) == ["aid0001", "aid0002"]
    np.testing.assert_allclose(ds["evapotranspiration"].sel(basin="aid0001"), ET["01022500"], rtol=1e-6)
    assert set(ds.data_vars) == {"evapotranspiration"}


@pytest.mark.parametrize("layout", ["date", "system:index", "system:time_start", "wide"])
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_means_of_earth_engine(tmp_path: Path, layout: str, scale: float) -> None:
    """Whether they are scaled must be said: nothing in the table does."""
    rows = long(scale=scale)
    stamps = rows["date"].dt.strftime("%Y_%m_%d")
    table = rows[["basin", "ET"]].rename(columns={"basin": "gauge_id"}).assign(**{".geo": "{}"})
    if layout == "wide":
        table = table.assign(column=stamps + "_ET").pivot(index="gauge_id", columns="column", values="ET")
        table = table.reset_index().assign(**{"system:index": "0", ".geo": "{}"})
    else:
        times = {
            "date": rows["date"],
            "system:index": stamps + "_0000000000000000000" + rows.index.astype(str),
            "system:time_start": (rows["date"] - pd.Timestamp(0)) // pd.Timedelta("1ms"),
        }
        table[layout] = times[layout]
    table.to_csv(tmp_path / "MOD16A2GF.csv", index=False)
    is_as_made(hx.compare.open_mod16(tmp_path / "MOD16A2GF.csv", scale=scale))
    with pytest.raises(DescriptionError, match=r"scale=0.1"):
        hx.compare.open_mod16(tmp_path / "MOD16A2GF.csv")


def test_tables_that_tell_too_little_are_refused(tmp_path: Path) -> None:
    def refused(table: pd.DataFrame, message: str, kind: type[hx.HydroxrError] = DataFileError) -> None:
        table.to_csv(tmp_path / "table.csv", index=False)
        with pytest.raises(kind, match=message):
            hx.compare.open_mod16(tmp_path / "table.csv", scale=1.0).load()

    rows = long()
    refused(rows.rename(columns={"ET": "NDVI"}), "no column of ET or PET")
    refused(rows.drop(columns="date"), "no dates")
    refused(rows.drop(columns="basin").assign(x=1, y=2), "names the basins")
    refused(pd.concat([rows, rows.assign(ET=rows["ET"] + 1)]), "two values on 2003-12-03")
    refused(rows.assign(date=rows["date"] + pd.Timedelta("1D")), "begins on 2003-12-04")
    refused(rows.assign(ET=rows["ET"] * 100), "values up to 2000", UnitsError)
    years = rows.assign(date=[pd.Timestamp(f"{2000 + place % 4}-01-01") for place in rows.index])
    refused(years, "product='MOD16A3GF'")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataFileError, match="cannot be read"):
        hx.compare.open_mod16(tmp_path / "empty.csv")
    years.to_csv(tmp_path / "table.csv", index=False)
    ds = hx.compare.open_mod16(tmp_path / "table.csv", scale=1.0, product="MOD16A3GF")
    assert str(ds["time_bnds"].values[0, 1])[:10] == "2001-01-01"
    with pytest.raises(DescriptionError, match="MOD13Q1"):
        hx.compare.open_mod16(tmp_path / "table.csv", product="MOD13Q1")


def yearly_file(path: Path, units: str = "kg/m^2/yr") -> np.ndarray:
    """MOD16A3GF as AppEEARS writes it: larger integers, and codes above 65500."""
    values = np.array([[[5000, 9000], [65535, 65529]], [[65500, 0], [7000, 8000]]], "uint16")
    with netCDF4.Dataset(path, "w") as file:
        for name, numbers, unit in (
            ("time", [366, 731], "days since 2000-01-01"),
            ("lat", [45.0, 44.9], "degrees_north"),
            ("lon", [6.0, 6.1], "degrees_east"),
        ):
            file.createDimension(name, 2)
            file.createVariable(name, "f8", (name,))[:] = numbers
            file[name].units = unit
        layer = file.createVariable("ET_500m", "u2", ("time", "lat", "lon"), fill_value=65535)
        layer.set_auto_maskandscale(False)
        layer[:] = values
        layer.scale_factor, layer.units = 0.1, units
    return values


@pytest.mark.parametrize("units", ["kg/m^2/yr", ""])
def test_sums_of_years(tmp_path: Path, units: str) -> None:
    """By the units, or by the name; with their own codes."""
    values = yearly_file(tmp_path / "MOD16A3GF.061_500m_aid0001.nc", units)
    ds = hx.compare.open_mod16(tmp_path / "MOD16A3GF.061_500m_aid0001.nc", fill_codes=True)
    np.testing.assert_allclose(
        ds["evapotranspiration"], np.where(values > 65500, np.nan, values * 0.1), rtol=1e-6
    )
    np.testing.assert_array_equal(ds["fill_code"], np.where(values > 65500, values, 0))
    assert list((ds["time_bnds"][:, 1] - ds["time_bnds"][:, 0]).dt.days) == [365, 365]
    assert "yearly sums (MOD16A3GF)" in ds.attrs["title"]
    ds.load().to_netcdf(tmp_path / "again.nc")
    again = hx.compare.open_mod16(tmp_path / "again.nc")
    np.testing.assert_array_equal(again["evapotranspiration"], ds["evapotranspiration"])
    np.testing.assert_array_equal(again["time_bnds"], ds["time_bnds"])


def test_a_name_that_contradicts_the_units_is_refused(tmp_path: Path) -> None:
    yearly_file(tmp_path / "MOD16A2GF.061_500m_aid0001.nc")
    with pytest.raises(UnitsError, match=r"'kg/m\^2/yr'"):
        hx.compare.open_mod16(tmp_path / "MOD16A2GF.061_500m_aid0001.nc")


def granule_of_a_server(folder: Path, day: int, values: np.ndarray, coordinates: bool = True) -> None:
    """A subset of a granule in the groups of HDF-EOS, without time (DAP4)."""
    with netCDF4.Dataset(
        folder / f"MOD16A2GF.A2010{day:03d}.h18v04.061.2020256154955.hdf.dap.nc4", "w"
    ) as file:
        grid = file.createGroup("MOD_Grid_MOD16A2")
        for name, size in zip(("YDim", "XDim"), values.shape, strict=True):
            grid.createDimension(name, size)
            if coordinates:
                first = 5.0e6 if name == "YDim" else 4.7e5
                sign = -1 if name == "YDim" else 1
                grid.createVariable(name, "f8", (name,))[:] = first + sign * granules.PIXEL * np.arange(size)
                grid[name].units = "m"
        grid.createVariable("_HDFEOS_CRS", "i1").grid_mapping_name = "sinusoidal"
        fields = grid.createGroup("Data_Fields")
        layer = fields.createVariable("ET_500m", "i2", ("YDim", "XDim"), fill_value=32767)
        layer.set_auto_maskandscale(False)
        layer[:] = values
        layer.setncatts({"scale_factor": 0.1, "add_offset": 0.0, "units": "kg/m^2/8day"})


def test_granules_of_an_opendap_server(tmp_path: Path) -> None:
    values = granules.raw(2)
    for day, each in zip((9, 1), values, strict=True):
        granule_of_a_server(tmp_path, day, each)
    ds = hx.compare.open_mod16(tmp_path)
    assert ds["evapotranspiration"].dims == ("time", "y", "x")
    expected = np.where(values[::-1] > 32700, np.nan, values[::-1] * 0.1)
    np.testing.assert_allclose(ds["evapotranspiration"], expected, rtol=1e-6)
    assert [str(day)[:10] for day in ds["time"].values] == ["2010-01-01", "2010-01-09"]
    assert ds["y"].values[0] == 5.0e6
    assert ds["evapotranspiration"].attrs["grid_mapping"] == "crs"
    assert ds["crs"].attrs["grid_mapping_name"] == "sinusoidal"
    assert ds["crs"].attrs["earth_radius"] == granules.RADIUS
    assert ds["crs"].attrs["longitude_of_projection_origin"] == 0.0


def test_a_tile_without_coordinates_lies_where_its_name_says(tmp_path: Path) -> None:
    """h18v04 begins at 0 E, 50 N on the sphere; a part of it could lie anywhere."""
    granule_of_a_server(tmp_path, 1, np.zeros((2400, 2400), "i2"), coordinates=False)
    ds = hx.compare.open_mod16(tmp_path)
    north = np.radians(50.0) * granules.RADIUS
    np.testing.assert_allclose(
        ds["y"].values[[0, -1]] - [-0.5, 0.5],
        [north - granules.PIXEL / 2 + 0.5, north * 0.8 + granules.PIXEL / 2 - 0.5],
        atol=1.0,
    )
    np.testing.assert_allclose(ds["x"].values[0], granules.PIXEL / 2, atol=1.0)
    (tmp_path / "part").mkdir()
    granule_of_a_server(tmp_path / "part", 1, np.zeros((3, 4), "i2"), coordinates=False)
    with pytest.raises(DataFileError, match="no coordinates along 'YDim'"):
        hx.compare.open_mod16(tmp_path / "part")

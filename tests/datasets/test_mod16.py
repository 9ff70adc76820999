"""MOD16A2 as delivered: values, codes, dates and grids of files with known content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DataFileError, MissingVariableError, UnitsError
from tests.datasets import granules


def expected(values: np.ndarray) -> np.ndarray:
    return np.where(values > 32700, np.nan, values * 0.1)


@pytest.mark.parametrize("geographic", [True, False])
def test_a_netcdf_file_of_appeears(tmp_path: Path, geographic: bool) -> None:
    values = granules.write_netcdf(tmp_path / "et.nc", geographic)
    ds = hx.compare.open_mod16(tmp_path / "et.nc")
    assert set(ds.data_vars) == {"evapotranspiration", "pet"}
    assert ds["evapotranspiration"].dims == ("time", "lat", "lon") if geographic else ("time", "y", "x")
    np.testing.assert_allclose(ds["evapotranspiration"], expected(values), rtol=1e-6)
    np.testing.assert_allclose(ds["pet"][1:], expected(values + 100)[1:], rtol=1e-6)
    assert ds["evapotranspiration"].attrs["units"] == "kg m-2"
    assert ds["evapotranspiration"].attrs["cell_methods"] == "time: sum"
    assert float(ds["evapotranspiration"].max()) == pytest.approx(3270.0)
    assert ds["evapotranspiration"].attrs["grid_mapping"] == "crs"
    if not geographic:
        assert ds["crs"].attrs["earth_radius"] == granules.RADIUS


def test_every_code_is_missing_and_can_be_told(tmp_path: Path) -> None:
    values = granules.write_netcdf(tmp_path / "et.nc")
    ds = hx.compare.open_mod16(tmp_path / "et.nc", fill_codes=True)
    assert ds["evapotranspiration"].isnull().sum() == 7
    np.testing.assert_array_equal(ds["fill_code"], np.where(values > 32700, values, 0))
    assert list(ds["fill_code"].attrs["flag_values"]) == [0, *granules.CODES]
    assert len(ds["fill_code"].attrs["flag_meanings"].split()) == 8
    assert ds["fill_code"].attrs["flag_meanings"].split()[-2:] == ["water_body", "fill_value"]


def test_composites_end_with_the_year(tmp_path: Path) -> None:
    """Day 361 begins 5 days before 2004, which is a leap year, and 6 before 2005."""
    granules.write_netcdf(tmp_path / "et.nc", number=52)
    ds = hx.compare.open_mod16(tmp_path / "et.nc")
    days = (ds["time_bnds"][:, 1] - ds["time_bnds"][:, 0]).dt.days
    assert ds["time"].dtype.kind == "M"
    assert [str(day)[:10] for day in ds["time"].values[[2, 3, 4, 49, 50]]] == [
        "2003-12-19",
        "2003-12-27",
        "2004-01-01",
        "2004-12-26",
        "2005-01-01",
    ]
    assert list(days.values[[2, 3, 4, 48, 49, 50]]) == [8, 5, 8, 8, 6, 8]
    assert (ds["time"].dt.year == 2004).sum() == 46
    np.testing.assert_array_equal(ds["time_bnds"][1:, 0], ds["time_bnds"][:-1, 1])


def test_a_zarr_store_packed_or_scaled(tmp_path: Path) -> None:
    """As stored by whoever: integers as they were, or numbers scaled by xarray, which knows one code."""
    values = granules.write_netcdf(tmp_path / "et.nc")
    for name, scaled in (("packed", False), ("scaled", True)):
        with xr.open_dataset(tmp_path / "et.nc", mask_and_scale=scaled, engine="netcdf4") as ds:
            if scaled:  # as large as no water is; that is refused, see below
                ds = ds.where(~(abs(ds - 3270.0) < 1.0), 320.0)
                values = np.where(values == 32700, 3200, values)
            for array in ds.variables.values():
                array.encoding = {}
            ds["time"] = ds.indexes["time"].to_datetimeindex(unsafe=True, time_unit="ns")
            ds.load().to_zarr(tmp_path / name, zarr_format=3, consolidated=False)
        out = hx.compare.open_mod16(tmp_path / name, fill_codes=True)
        np.testing.assert_allclose(out["evapotranspiration"], expected(values), rtol=1e-6)
        codes = np.where(values > 32700, values, 0)
        codes[values == 32767] = 0 if scaled else 32767  # xarray has made that one NaN
        np.testing.assert_array_equal(out["fill_code"], codes)


def test_what_is_written_opens_again(tmp_path: Path) -> None:
    granules.write_netcdf(tmp_path / "et.nc")
    first = hx.compare.open_mod16(tmp_path / "et.nc").load()
    first.to_zarr(tmp_path / "again", zarr_format=3, consolidated=False)
    again = hx.compare.open_mod16(tmp_path / "again")
    xr.testing.assert_allclose(again, first)


@pytest.mark.parametrize("clock", [False, True])
def test_a_folder_of_geotiffs(tmp_path: Path, clock: bool, raise_if_dask_computes: object) -> None:
    pytest.importorskip("rasterio")
    values = granules.write_geotiffs(tmp_path / "tif", clock=clock)
    with raise_if_dask_computes():  # type: ignore[operator]
        ds = hx.compare.open_mod16(tmp_path / "tif")
    assert ds["evapotranspiration"].chunks is not None
    assert ds["evapotranspiration"].dims == ("time", "y", "x")
    np.testing.assert_allclose(ds["evapotranspiration"], expected(values), rtol=1e-6)
    np.testing.assert_array_equal(ds["time"], granules.dates())
    np.testing.assert_allclose(ds["y"], 5.0e6 - granules.PIXEL * (np.arange(3) + 0.5))
    np.testing.assert_allclose(ds["x"], 4.7e5 + granules.PIXEL * (np.arange(4) + 0.5))
    assert "6371007.181" in ds["spatial_ref"].attrs["crs_wkt"]
    listed = hx.compare.open_mod16(sorted((tmp_path / "tif").glob("*_ET_500m*")))
    assert "pet" not in listed
    np.testing.assert_array_equal(listed["evapotranspiration"], ds["evapotranspiration"])


def test_geotiffs_in_longitude_and_latitude(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    from rasterio.transform import from_origin

    values = granules.raw(1)[0]
    name = tmp_path / "MOD16A2.061_PET_500m_doy2012361_aid0001.tif"
    profile = {"driver": "GTiff", "height": 3, "width": 4, "count": 1, "dtype": "int16", "crs": "EPSG:4326"}
    with rasterio.open(name, "w", transform=from_origin(6.0, 45.0, 0.1, 0.1), **profile) as file:
        file.write(values, 1)
    ds = hx.compare.open_mod16(name)
    assert ds["pet"].dims == ("time", "lat", "lon")
    np.testing.assert_allclose(ds["lat"], [44.95, 44.85, 44.75])
    np.testing.assert_allclose(ds["lon"], [6.05, 6.15, 6.25, 6.35])
    assert ds["spatial_ref"].attrs["grid_mapping_name"] == "latitude_longitude"
    assert [str(day)[:10] for day in ds["time_bnds"].values[0]] == ["2012-12-26", "2013-01-01"]
    np.testing.assert_allclose(ds["pet"][0], expected(values), rtol=1e-6)


def test_geotiffs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    from rasterio.transform import from_origin

    folder = tmp_path / "tif"
    granules.write_geotiffs(folder, number=3, layers=False)
    first = min(folder.iterdir())
    twin = folder / first.name.replace("aid0001", "aid0002")
    twin.write_bytes(first.read_bytes())
    with pytest.raises(DataFileError, match="2 areas: _aid0001, _aid0002"):
        hx.compare.open_mod16(folder)
    twin.unlink()
    twin = folder / first.name.replace("MOD16A2GF", "MOD16A2")
    twin.write_bytes(first.read_bytes())
    with pytest.raises(DataFileError, match="2 products: MOD16A2, MOD16A2GF"):
        hx.compare.open_mod16(folder)
    twin.unlink()
    second = sorted(folder.iterdir())[1]
    with rasterio.open(second) as file:
        profile = {**file.profile, "transform": from_origin(0.0, 5.0e6, granules.PIXEL, granules.PIXEL)}
        block = file.read(1)
    with rasterio.open(second, "w", **profile) as file:
        file.write(block, 1)
    with pytest.raises(DataFileError, match="one area per folder"):
        hx.compare.open_mod16(folder).load()
    first.rename(folder / "evapotranspiration.tif")
    with pytest.raises(DataFileError, match="name of MOD16A2 layers"):
        hx.compare.open_mod16([folder / "evapotranspiration.tif"])


def test_hdf4_is_read_or_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rasterio = pytest.importorskip("rasterio")
    monkeypatch.setattr("hydroxr.datasets.mod16_files.pyhdf", lambda: None)
    with rasterio.Env() as env:
        if "HDF4" in env.drivers():
            pytest.skip("this GDAL reads HDF4")
    (tmp_path / "MOD16A2GF.A2010001.h10v05.061.2020256154955.hdf").write_bytes(b"\x0e\x03\x13\x01")
    with pytest.raises(DataFileError, match=r"HDF4.*hydroxr\[hdf4\].*conda-forge.*AppEEARS"):
        hx.compare.open_mod16(tmp_path)


def test_granules_are_put_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tiles and three dates in HDF4's layout, whose subdatasets GeoTIFF files stand for."""
    rasterio = pytest.importorskip("rasterio")
    from rasterio.transform import from_origin

    values = granules.raw(6)
    real, named = rasterio.open, {}
    for tile, west in (("h18v04", 0.0), ("h19v04", 4 * granules.PIXEL)):
        for step, day in enumerate(granules.dates(number=3)):
            name = tmp_path / f"MOD16A2GF.A{day.year}{day.day_of_year:03d}.{tile}.061.2020256154955.hdf"
            name.touch()
            for layer, offset in (("ET_500m", 0), ("PET_500m", 3)):
                stand_in = tmp_path / f"{tile}{step}{layer}.tif"
                profile = {"driver": "GTiff", "height": 3, "width": 4, "count": 1, "dtype": "int16"}
                place = from_origin(west, 5.0e6, granules.PIXEL, granules.PIXEL)
                with real(stand_in, "w", transform=place, crs=granules.WKT, **profile) as file:
                    file.write(values[(step + offset) % 6], 1)
                named[f'HDF4_EOS:EOS_GRID:"{name}":MOD_Grid_MOD16A2:{layer}'] = stand_in
    monkeypatch.setattr("hydroxr.datasets.mod16_files.pyhdf", lambda: None)
    monkeypatch.setattr(rasterio, "open", lambda name: real(named[str(name)]))
    monkeypatch.setattr(rasterio.Env, "drivers", lambda _: {"HDF4": "", "GTiff": ""})
    ds = hx.compare.open_mod16(sorted(tmp_path.glob("*.hdf")))
    assert dict(ds.sizes) == {"time": 3, "y": 3, "x": 8, "bnds": 2}
    np.testing.assert_allclose(ds["evapotranspiration"][..., 4:], expected(values[:3]), rtol=1e-6)
    np.testing.assert_allclose(ds["pet"][..., :4], expected(values[3:]), rtol=1e-6)
    assert (np.diff(ds["x"]) > 0).all()


def test_granules_are_read_by_pyhdf(tmp_path: Path) -> None:
    """Two tiles and two dates in HDF-EOS2, with the corners that it states."""
    sd = pytest.importorskip("pyhdf.SD")
    values = granules.raw(4)
    for tile, west in (("h18v04", 0.0), ("h19v04", 4 * granules.PIXEL)):
        for step, day in enumerate(("2010001", "2010009")):
            name = tmp_path / f"MOD16A2GF.A{day}.{tile}.061.2020256154955.hdf"
            file = sd.SD(str(name), sd.SDC.WRITE | sd.SDC.CREATE)
            corners = (west, 5.0e6), (west + 4 * granules.PIXEL, 5.0e6 - 3 * granules.PIXEL)
            words = ("UpperLeftPointMtrs", "LowerRightMtrs")
            lines = [f"\t{word}=({x:.6f},{y:.6f})" for word, (x, y) in zip(words, corners, strict=True)]
            setattr(file, "StructMetadata.0", "\n".join(lines))
            for layer, offset in (("ET_500m", 0), ("PET_500m", 2)):
                array = file.create(layer, sd.SDC.INT16, (3, 4))
                array[:] = values[(step + offset) % 4]
                array.endaccess()
            file.end()
    ds = hx.compare.open_mod16(tmp_path)
    assert dict(ds.sizes) == {"time": 2, "y": 3, "x": 8, "bnds": 2}
    np.testing.assert_allclose(ds["evapotranspiration"][..., 4:], expected(values[:2]), rtol=1e-6)
    np.testing.assert_allclose(ds["pet"][..., :4], expected(values[2:]), rtol=1e-6)
    np.testing.assert_allclose(ds["x"], granules.PIXEL * (np.arange(8) + 0.5), atol=1e-5)
    assert ds["spatial_ref"].attrs["earth_radius"] == granules.RADIUS
    (tmp_path / "MOD16A2GF.A2010017.h18v04.061.2020256154955.hdf").write_bytes(b"\x0e\x03\x13\x01")
    with pytest.raises(DataFileError, match="cannot be read"):
        hx.compare.open_mod16(tmp_path / "MOD16A2GF.A2010017.h18v04.061.2020256154955.hdf")


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="nothing at"):
        hx.compare.open_mod16(tmp_path / "absent.nc")
    with pytest.raises(DataFileError, match="holds no GeoTIFF, HDF4, NetCDF or CSV"):
        hx.compare.open_mod16(tmp_path)
    (tmp_path / "broken.nc").write_bytes(b"CDF")
    with pytest.raises(DataFileError, match="cannot be read"):
        hx.compare.open_mod16(tmp_path / "broken.nc")
    granules.write_netcdf(tmp_path / "et.nc")
    with for_change(tmp_path / "et.nc") as file:
        file["ET_500m"].scale_factor = 1.0
    with pytest.raises(UnitsError, match="scale_factor 1"):
        hx.compare.open_mod16(tmp_path / "et.nc")
    with for_change(tmp_path / "et.nc") as file:
        file["ET_500m"].scale_factor = 0.1
        file["time"][3] += 1
    with pytest.raises(DataFileError, match="begins on 2003-12-28"):
        hx.compare.open_mod16(tmp_path / "et.nc")
    with for_change(tmp_path / "et.nc") as file:
        file.renameVariable("ET_500m", "LE")
        file.renameVariable("PET_500m", "PLE")
    with pytest.raises(MissingVariableError, match="ET_500m or PET_500m"):
        hx.compare.open_mod16(tmp_path / "et.nc")


def for_change(path: Path) -> granules.netCDF4.Dataset:
    return granules.netCDF4.Dataset(path, "a")


def scaled_file(folder: Path, values: np.ndarray, name: str = "scaled.nc", **attrs: object) -> Path:
    """One layer as floating-point numbers without a scale, as other tools write it."""
    granules.write_netcdf(folder / "et.nc", number=len(values))
    with xr.open_dataset(folder / "et.nc", mask_and_scale=False, decode_times=False) as ds:
        layer = ds["ET_500m"].copy(data=values.astype("float32"))
        layer.attrs, layer.encoding = {"units": "kg/m^2/8day", **attrs}, {}
        if "_FillValue" not in attrs:
            layer.encoding = {"_FillValue": None}
        ds[["lat", "lon", "time"]].assign(ET_500m=layer).to_netcdf(folder / name)
    return folder / name


@pytest.mark.parametrize("key", ["_FillValue", "missing_value"])
def test_the_fill_value_of_a_file_is_missing(tmp_path: Path, key: str) -> None:
    """-9999, as GDAL and others write, in integers and in scaled numbers."""
    values = granules.raw(2)
    own = np.where(values > 32700, -9999.0, np.minimum(values, 3000) * 0.1)
    ds = hx.compare.open_mod16(scaled_file(tmp_path, own, **{key: np.float32(-9999)}), fill_codes=True)
    want = np.where(own == -9999, np.nan, own)
    np.testing.assert_allclose(ds["evapotranspiration"], want, rtol=1e-6)
    np.testing.assert_array_equal(ds["fill_code"], np.where(np.isnan(want), 32767, 0))
    with xr.open_dataset(tmp_path / "et.nc", mask_and_scale=False, decode_times=False) as raw:
        raw = raw.load()
    raw["ET_500m"] = raw["ET_500m"].where(raw["ET_500m"] <= 32700, -9999).astype("int16")
    raw["ET_500m"].attrs = {"scale_factor": 0.1, key: np.int16(-9999)}
    raw.to_netcdf(tmp_path / "packed.nc")
    ds = hx.compare.open_mod16(tmp_path / "packed.nc")
    np.testing.assert_allclose(ds["evapotranspiration"], expected(values), rtol=1e-6)


def test_less_than_the_valid_range_is_missing_or_refused(tmp_path: Path) -> None:
    values = np.minimum(granules.raw(2), 600) * 0.1
    values[1, 0, 0] = -9999.0
    ds = hx.compare.open_mod16(
        scaled_file(tmp_path, values, "ranged.nc", valid_range=np.array([-100.0, 3270.0]))
    )
    np.testing.assert_allclose(ds["evapotranspiration"], np.where(values < -100, np.nan, values), rtol=1e-6)
    ds = hx.compare.open_mod16(scaled_file(tmp_path, values))
    with pytest.raises(UnitsError, match=r"down to -9999.*_FillValue"):
        ds.load()


@pytest.mark.parametrize("codes", [True, False])
def test_numbers_that_nobody_scaled_are_refused(tmp_path: Path, codes: bool) -> None:
    """Found by their codes, or by values that are no water of 8 days."""
    values = granules.raw(2)
    values = values if codes else np.where(values > 600, 0, values)
    with pytest.raises(UnitsError, match="no scale_factor and values up to"):
        hx.compare.open_mod16(scaled_file(tmp_path, values)).load()
    ds = hx.compare.open_mod16(scaled_file(tmp_path, values, "stated.nc", scale_factor=0.1))
    np.testing.assert_allclose(ds["evapotranspiration"], expected(values), rtol=1e-6)


def test_geotiffs_with_a_fill_value_or_a_kind_of_numbers_of_their_own(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    values = granules.write_geotiffs(tmp_path / "tif", number=3, layers=False)

    def rewrite(name: Path, block: np.ndarray, **changed: object) -> None:
        with rasterio.open(name) as file:
            profile = {**file.profile, **changed, "dtype": block.dtype}
        with rasterio.open(name, "w", **profile) as file:
            file.write(block, 1)

    names = sorted((tmp_path / "tif").iterdir())
    rewrite(names[0], np.where(values[0] > 32700, -9999, values[0]).astype("int16"), nodata=-9999)
    ds = hx.compare.open_mod16(tmp_path / "tif", fill_codes=True)
    np.testing.assert_allclose(ds["evapotranspiration"], expected(values), rtol=1e-6)
    np.testing.assert_array_equal(ds["fill_code"][0], np.where(values[0] > 32700, 32767, 0))
    rewrite(names[1], (0.1 * values[1]).astype("float32"))
    with pytest.raises(DataFileError, match="holds float32, the first file int16"):
        hx.compare.open_mod16(tmp_path / "tif").load()


def test_several_netcdf_files_in_any_order(tmp_path: Path) -> None:
    """A list, a folder or a pattern, whatever the ending is; dates are put in order."""
    granules.write_netcdf(tmp_path / "et.nc")
    whole = hx.compare.open_mod16(tmp_path / "et.nc").load()
    (tmp_path / "parts").mkdir()
    with xr.open_dataset(tmp_path / "et.nc", mask_and_scale=False, decode_times=False) as ds:
        for name, steps in {"b.nc": [1, 0, 2], "a.NC": [6, 7], "c.nc4": [3, 4, 5]}.items():
            ds.isel(time=steps).to_netcdf(tmp_path / "parts" / name)
        ds.isel(time=[0, 0]).to_netcdf(tmp_path / "twice.nc")
    files = sorted((tmp_path / "parts").iterdir())
    for path in (files, tmp_path / "parts", str(tmp_path / "parts" / "*")):
        out = hx.compare.open_mod16(path)
        xr.testing.assert_equal(out.load(), whole)
        assert out["evapotranspiration"].attrs == whole["evapotranspiration"].attrs
    with pytest.raises(DataFileError, match="comes twice"):
        hx.compare.open_mod16(tmp_path / "twice.nc")

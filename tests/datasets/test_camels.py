"""CAMELS-US from a compact file, and the same basins from the published ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from hydroxr.conventions.variables import ATTRIBUTES
from hydroxr.datasets.camels import open_camels
from hydroxr.errors import DataFileError

DATA = Path(__file__).parents[3] / "shared" / "data"
COMPACT = DATA / "camels_us_daymet.nc"
OFFICIAL = DATA / "camels_us_official_layout"
needs_compact = pytest.mark.skipif(not COMPACT.is_file(), reason="the compact CAMELS-US file is not here")
needs_official = pytest.mark.skipif(
    not OFFICIAL.is_dir(), reason="the published CAMELS-US files are not here"
)

FOUR = ["01022500", "01547700", "02064000", "03015500"]
# Half the steps with which the compact file stores its values.
HALF_STEP = {"prcp": 0.005, "tmin": 0.005, "tmax": 0.005, "srad": 0.01, "vp": 0.1, "dayl": 0.5}
# Streamflow keeps 5 bits behind the leading one, rounded to nearest: half of the last is 2**-6.
STREAMFLOW_ERROR = 2.0**-6

GAUGES = ["01000001", "02000002", "03000003"]


@pytest.fixture
def compact(tmp_path: Path) -> Path:
    """Write a file like the compact one: packed, with descriptions and without units."""
    time = np.arange("1980-10-01", "1980-10-06", dtype="datetime64[D]").astype("datetime64[ns]")
    dims = ("basin", "time")
    values = np.linspace(0.0, 60.0, 15).round(2).reshape(3, 5)
    forcing = (dims, values, {"description": "not told by units"})
    ds = xr.Dataset(
        dict.fromkeys(("prcp", "tmin", "tmax"), forcing) | {"streamflow": (dims, values.astype(np.float32))},
        {"time": time, "basin": np.arange(3, dtype=np.int32), "basin_id": ("basin", GAUGES)},
        {"title": "CAMELS-US, Daymet forcing", "source": "a test"},
    )
    packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -32768}
    path = tmp_path / "compact" / "camels.nc"
    path.parent.mkdir()
    ds.to_netcdf(path, encoding=dict.fromkeys(("prcp", "tmin", "tmax"), packed))
    return path


def test_compact_is_lazy_labelled_and_unchanged(compact: Path) -> None:
    with xr.open_dataset(compact) as stored, open_camels(compact) as ds:
        assert ds["prcp"].chunks is None
        assert not ds["prcp"].variable._in_memory
        assert ds["basin"].values.tolist() == GAUGES
        assert ds.sel(basin=GAUGES[1])["prcp"].dims == ("time",)
        stored = stored.drop_vars(["basin", "basin_id"])
        xr.testing.assert_equal(ds.drop_vars("basin"), stored)
        assert {name: ds[name].dtype for name in stored.variables} == {
            name: variable.dtype for name, variable in stored.variables.items()
        }
        assert ds["prcp"].attrs["standard_name"] == "precipitation_flux"
        assert "description" not in ds["prcp"].attrs
        assert ds["streamflow"].attrs["units"] == "kg m-2 day-1"
        assert ds.attrs["title"] == stored.attrs["title"]


def test_folder_with_one_compact_file(compact: Path) -> None:
    with open_camels(compact.parent) as ds, open_camels(compact) as expected:
        xr.testing.assert_identical(ds, expected)
    shutil.copy(compact, compact.with_name("other.nc"))
    with pytest.raises(DataFileError, match=r"2 NetCDF files \(camels\.nc, other\.nc\)"):
        open_camels(compact.parent)


def test_compact_selection(compact: Path) -> None:
    with open_camels(compact, basins=[3000003, "01000001"]) as ds:
        assert ds["basin"].values.tolist() == ["01000001", "03000003"]
        assert not ds["prcp"].variable._in_memory
    with pytest.raises(DataFileError, match=r"camels\.nc: has no basin 00000009"):
        open_camels(compact, basins=[9])


def test_copy_of_compact_keeps_heavy_rain_for_every_reader(compact: Path, tmp_path: Path) -> None:
    """Limits beside packed integers would make the NetCDF library mask values above 20 mm/day."""
    with open_camels(compact) as ds:
        ds.to_netcdf(tmp_path / "copy.nc")
        expected = ds["prcp"].values
    with netCDF4.Dataset(tmp_path / "copy.nc") as copy:
        np.testing.assert_array_equal(copy["prcp"][:].filled(-1), expected)


def test_units_of_the_file_are_not_overruled(compact: Path) -> None:
    with netCDF4.Dataset(compact, "a") as file:
        file["tmin"].units = "K"
    with open_camels(compact) as ds:
        assert ds["tmin"].attrs["units"] == "K"
        assert ds["tmax"].attrs["units"] == "degC"


def test_what_is_no_compact_file(compact: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"camels\.nc: holds Daymet forcing .*expected NLDAS"):
        open_camels(compact, forcing="nldas")
    cut = tmp_path / "cut.nc"
    cut.write_bytes(compact.read_bytes()[:3000])
    text = tmp_path / "text.nc"
    text.write_text("no NetCDF")
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"prcp": ("time", [1.0])}).to_netcdf(foreign)
    for path, message in (
        (cut, "cannot be opened"),
        (text, "cannot be opened"),
        (foreign, "has no basin_id"),
    ):
        with pytest.raises(DataFileError, match=rf"{path.name}: {message}"):
            open_camels(path)


@needs_compact
def test_compact_has_all_basins_in_file_order() -> None:
    with open_camels(COMPACT) as ds, xr.open_dataset(COMPACT) as stored:
        assert dict(ds.sizes) == {"basin": 671, "time": 10957}
        assert set(ds.variables) == set(stored.variables) - {"basin_id"}
        np.testing.assert_array_equal(ds["basin"], stored["basin_id"])
        assert set(ATTRIBUTES) <= set(ds.data_vars)
        for name, variable in ds.variables.items():
            assert variable.attrs["long_name"], name
            if variable.dtype.kind == "f":
                assert variable.attrs["units"], name
        assert "1.6%" in ds["streamflow"].attrs["comment"]
        some = {"basin": slice(50, 53)}
        xr.testing.assert_equal(
            ds.drop_vars("basin").isel(some).load(), stored.drop_vars(["basin", "basin_id"]).isel(some).load()
        )


@needs_compact
@needs_official
def test_published_and_compact_are_equal_within_the_steps_of_storage() -> None:
    published = open_camels(OFFICIAL)
    assert published["basin"].values.tolist() == FOUR
    with open_camels(COMPACT, basins=FOUR) as ds:
        compact = ds.sel(time=published["time"]).load()
    np.testing.assert_array_equal(published["basin"], compact["basin"])
    for name, step in HALF_STEP.items():
        given = published[name].notnull().values  # three of the four end a year before the first
        assert given.sum() == 4749
        difference = (published[name] - compact[name]).values[given]
        assert abs(difference).max() <= step + 1e-9
    observed = published["streamflow"].notnull()
    ratio = (compact["streamflow"] / published["streamflow"]).where(observed & (published["streamflow"] > 0))
    assert abs(ratio - 1).max() <= STREAMFLOW_ERROR
    assert ratio.notnull().sum() > 4000
    zero = (published["streamflow"] == 0).values
    assert (compact["streamflow"].values[zero] == 0).all()


@needs_compact
@needs_official
def test_published_and_compact_share_attributes_names_and_units() -> None:
    published = open_camels(OFFICIAL)
    with open_camels(COMPACT, basins=FOUR) as ds:
        compact = ds.drop_dims("time").load()
        only_compact = {"bfi_ave_gagesii", "in_531", "pub_fold", "pur_region"}
        assert set(ds.variables) - set(published.variables) == only_compact
        for name in set(ds.variables) - only_compact - {"streamflow"}:
            assert published[name].attrs == ds[name].attrs, name
    for name in set(compact.variables) - only_compact:
        np.testing.assert_array_equal(published[name], compact[name], err_msg=name)


@needs_official
@pytest.mark.parametrize(("forcing", "tmin"), [("daymet", -14.36), ("nldas", -6.44), ("maurer", -14.99)])
def test_products(forcing: str, tmin: float) -> None:
    ds = open_camels(OFFICIAL, forcing=forcing)
    assert ds["basin"].values.tolist() == FOUR
    assert float(ds["tmean" if forcing == "nldas" else "tmin"][0, 0]) == tmin
    assert ds.sizes["time"] == (1461 if forcing == "daymet" else 1096)
    assert "667 of the 671" in ds.attrs["comment"]
    # The published NLDAS files have no temperature range, and the Dataset says so.
    assert ("tmin" in ds) == (forcing != "nldas")
    if forcing == "nldas":
        assert "equal throughout" in ds["tmean"].attrs["comment"]
        assert ds.hbv.pet().attrs["comment"] == "Oudin, from 'tmean' and 'lat'"
        ds.isel(time=slice(0, 1000)).hbv.check()

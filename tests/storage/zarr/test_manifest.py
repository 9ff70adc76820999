"""What files say and do not say: checksums of all of it, times to the last bit, no secrets, sound names."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

import hydroxr as hx
from hydroxr.errors import (
    DamagedStoreError,
    DescriptionError,
    EditedStoreError,
    EmptySelectionError,
    HydroxrWarning,
)
from hydroxr.support.checksums import without_secrets
from tests.storage.zarr.test_continuity import parts
from tests.storage.zarr.test_run import lazy
from tests.support.labelled import make_dataset, make_grid, make_parameters

ADDRESS = "https://SOMEONE:PASSWORD@host.org/data/forcing.nc?signature=SECRET"


@pytest.fixture
def sim() -> xr.Dataset:
    """Three basins, twenty days."""
    ds = make_dataset(20)
    return ds.hbv.simulate(make_parameters(ds))


@pytest.mark.parametrize("what", ["time", "time_bnds", "basin_id", "streamflow", "units", "title"])
def test_whatever_changes_in_a_file_is_found(sim: xr.Dataset, what: str, tmp_path: Path) -> None:
    """Coordinates, text and attributes too; changed through the library, so that HDF5 has no objection."""
    path = sim.hbv.to_netcdf(tmp_path / "run.nc")
    hx.open_run(path, verify=True).close()
    with netCDF4.Dataset(path, "a") as file:
        if what == "title":
            file.title = "another"
        elif what == "units":
            file["time"].units = "days since 2001-01-01"
        elif what == "basin_id":
            file[what][1] = "g9"
        else:
            file[what][1, ...] = file[what][1, ...] + 1
    with pytest.raises(DamagedStoreError, match="not what was written"):
        hx.open_run(path, verify=True)


def test_a_file_without_a_digest_is_read_instead(sim: xr.Dataset, tmp_path: Path) -> None:
    """As those that were written before there was one; what was read is written with a digest of its own."""
    path = sim.hbv.to_netcdf(tmp_path / "run.nc")
    with hx.open_run(path) as opened:
        again = opened.isel(basin=slice(0, 2)).load()
    assert hx.open_run(again.hbv.to_netcdf(tmp_path / "part.nc"), verify=True).sizes["basin"] == 2
    assert "hydroxr_digest" not in xr.open_zarr(again.hbv.to_zarr(tmp_path / "part.zarr")).attrs
    with netCDF4.Dataset(path, "a") as file:
        file.delncattr("hydroxr_digest")
    assert hx.open_run(path, verify=True).sizes["basin"] == 3


@pytest.mark.parametrize(
    "shift", [np.timedelta64(10, "m"), np.timedelta64(500, "m"), np.timedelta64(7, "ms")]
)
@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_times_come_back_to_the_last_bit(shift: np.timedelta64, way: str, tmp_path: Path) -> None:
    """Stamps that are no simple fractions of a day."""
    ds = make_dataset(3000, 1)
    ds = ds.assign_coords(time=ds["time"].astype("datetime64[ns]") + shift)
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    found = hx.open_run(getattr(sim.hbv, way)(tmp_path / "run"), verify=True)
    np.testing.assert_array_equal(found["time"], ds["time"])
    np.testing.assert_array_equal(found["time_bnds"], sim["time_bnds"])


def test_days_are_appended_at_their_minute(tmp_path: Path) -> None:
    """To 08:20, which has a balance from its store; a month's stamps at another hour are refused."""
    ds = make_dataset(60).assign_coords(time=make_dataset(60)["time"] + np.timedelta64(500, "m"))
    sim, later, _ = parts(ds)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    later.hbv.to_zarr(path, append_dim="time")
    found = hx.open_run(path, verify=True)
    np.testing.assert_array_equal(found["time"], ds["time"])
    assert bool(found.hbv.water_balance()["closed"].all())


@pytest.mark.parametrize("name", ["a/b", "", ".hidden", 5])
@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_names_that_no_file_can_have(sim: xr.Dataset, way: str, name: object, tmp_path: Path) -> None:
    """A slash makes a group, and what is in it is lost."""
    with pytest.raises(DescriptionError, match="cannot be a name"):
        getattr(sim.assign({name: sim["streamflow"]}).hbv, way)(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_secrets_of_addresses_are_not_written(way: str, tmp_path: Path) -> None:
    """User, password and signature of the input's address; nor the path of a file on this machine."""
    ds = make_dataset(20)
    for source, told in (
        (ADDRESS, "host.org/data/forcing.nc"),
        ("/home/me/private/forcing.nc", "forcing.nc"),
    ):
        ds.encoding["source"] = source
        sim = ds.hbv.simulate(make_parameters(ds))
        path = getattr(sim.hbv, way)(tmp_path / "run", overwrite=True)
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        written = b"".join(file.read_bytes() for file in files)
        assert told.encode() in written
        for word in (b"PASSWORD", b"SECRET", b"SOMEONE", b"private"):
            assert word not in written


@pytest.mark.parametrize(
    ("address", "bare"),
    [
        ("s3://bucket/run.zarr", "s3://bucket/run.zarr"),
        ("s3://KEY:SEC/RET@bucket/run.zarr", "s3://bucket/run.zarr"),
        ("zip::https://me@host/a.zip?x=1&y=2::s3://b/c#d", "zip::https://host/a.zip::s3://b/c"),
        ("/data/a@b?.nc", "/data/a@b?.nc"),
    ],
)
def test_addresses_without_secrets(address: str, bare: str) -> None:
    assert without_secrets(address) == bare


@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_what_no_file_can_hold(way: str, tmp_path: Path) -> None:
    """No cells, and a stacked grid; before anything is there."""
    sim = make_grid(20).hbv.simulate(make_parameters(make_grid(20)), variables=["streamflow"])
    with pytest.raises(EmptySelectionError, match="'lat'"):
        getattr(sim.isel(lat=slice(0, 0)).hbv, way)(tmp_path / "run")
    stacked = sim.drop_vars(["lat_bnds", "lon_bnds"]).stack(cell=("lat", "lon"))
    with pytest.raises(DescriptionError, match="stacked index"):
        getattr(stacked.hbv, way)(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [None, True, {"a": 1}, [1, None], np.float16(1)])
def test_attributes_without_a_type_in_netcdf(sim: xr.Dataset, value: object, tmp_path: Path) -> None:
    """Named with their owner, before a folder is made; so is a type of the data."""
    sim["streamflow"].attrs["mine"] = value
    with pytest.raises(DescriptionError, match="'mine' of 'streamflow'"):
        sim.hbv.to_netcdf(tmp_path / "folder" / "run.nc")
    with pytest.raises(DescriptionError, match="float16"):
        sim[["runoff"]].astype("float16").hbv.to_netcdf(tmp_path / "folder" / "run.nc")
    assert list(tmp_path.iterdir()) == []


EDITS: dict[str, tuple[str, ...]] = {
    "an array's": ("streamflow",),
    "the root's": ("",),
    "nothing, consolidated again": ("consolidate",),
    "all, consolidated again": ("streamflow", "", "consolidate"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:zarr")
@pytest.mark.parametrize("zarr_format", [3, 2])
@pytest.mark.parametrize("edits", EDITS)
def test_edited_attributes_are_no_damage(edits: str, zarr_format: int, tmp_path: Path) -> None:
    """The store opens with a warning; verified it is told apart from what is damaged as well."""
    path = lazy()[0].hbv.to_zarr(tmp_path / "run.zarr", zarr_format=zarr_format)
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for edit in EDITS[edits]:
        if edit == "consolidate":
            zarr.consolidate_metadata(path)
        else:
            (group[edit] if edit else group).attrs["note"] = "checked by hand"
    with pytest.warns(HydroxrWarning, match="edited them"):
        xr.testing.assert_equal(hx.open_run(path).load(), lazy()[0].compute())
    with pytest.raises(EditedStoreError, match="so are all values"):
        hx.open_run(path, verify=True)
    chunk = next(file for file in (path / "runoff").rglob("*") if file.is_file() and file.suffix != ".json")
    chunk = chunk if chunk.name[0] != "." else path / "runoff" / "0.0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedStoreError, match="chunks and metadata are not what was written") as caught:
        hx.open_run(path, verify=True)
    assert not isinstance(caught.value, EditedStoreError)


@pytest.mark.parametrize("name", ["scale_factor", "_FillValue", "units"])
def test_attributes_that_decide_on_values_are_values(name: str, tmp_path: Path) -> None:
    """Of data, and of dates."""
    path = lazy()[0].hbv.to_zarr(tmp_path / "run.zarr")
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    group["time" if name == "units" else "streamflow"].attrs[name] = "days since 1900-01-01 00:00"
    for verify in (True, False):
        with pytest.raises(DamagedStoreError, match="not what was written"):
            hx.open_run(path, verify=verify)


def test_edited_attributes_of_a_file_are_no_damage(tmp_path: Path) -> None:
    """As ncatted edits them."""
    path = lazy()[0].hbv.to_netcdf(tmp_path / "run.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.note = file["runoff"].note = "checked by hand"
    with pytest.raises(EditedStoreError, match="edited them"):
        hx.open_run(path, verify=True)
    with hx.open_run(path) as opened:
        assert opened.attrs["note"] == "checked by hand"
    with netCDF4.Dataset(path, "a") as file:
        file["runoff"].scale_factor = 2.0
    with pytest.raises(DamagedStoreError, match="checksum differs"):
        hx.open_run(path, verify=True)

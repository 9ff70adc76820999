"""Round trips: formats, calendars, grids, object stores, packed and rounded values; readers need neither
hydroxr nor torch."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
import zarr

import hydroxr as hx
from hydroxr.conventions.labels import labelled
from hydroxr.errors import DescriptionError, IncompleteStoreError, StoreError, ValueRangeError
from hydroxr.storage.packing import round_mantissa
from tests.storage.zarr.test_run import lazy
from tests.support.labelled import make_dataset, make_grid, make_parameters

FORMATS = ("netcdf4", "h5netcdf", "zarr 3", "zarr 2", "memory://", "sharded")


def there_and_back(ds: xr.Dataset, how: str, folder: Path, **options: Any) -> xr.Dataset:
    """Written in that way and read with plain xarray, in memory."""
    if how in ("netcdf4", "h5netcdf"):
        if how == "h5netcdf":
            pytest.importorskip("h5py")
        with xr.open_dataset(ds.hbv.to_netcdf(folder / "run.nc", **options), engine=how) as opened:
            return opened.load()
    if how == "memory://":
        url = f"memory://{folder.name}/run.zarr"
        assert ds.hbv.to_zarr(url, **options) == url
        xr.testing.assert_identical(hx.open_run(url, verify=True).load(), labelled(xr.open_zarr(url).load()))
        return xr.open_zarr(url).load()
    more: dict[str, Any] = {"zarr 2": {"zarr_format": 2}, "sharded": {"shards": True}}.get(how, {})
    path = ds.hbv.to_zarr(folder / "run.zarr", **options, **more)
    assert zarr.open_group(path, mode="r").metadata.zarr_format == (2 if how == "zarr 2" else 3)
    return xr.open_zarr(path).load()


@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
@pytest.mark.parametrize("kind", ["basins", "grid"])
def test_everything_comes_back(kind: str, calendar: str, how: str, tmp_path: Path) -> None:
    """Values to the last bit, types, coordinates, attributes, the calendar."""
    ds = make_dataset(40) if kind == "basins" else make_grid(40)
    names = ["streamflow", "baseflow", "soil_moisture"]
    sim = ds.hbv.simulate(make_parameters(ds), variables=names)
    if calendar != "standard":
        times = xr.date_range("2001-02-10", periods=40, calendar=calendar, use_cftime=True)
        sim = sim.drop_vars("time_bnds").assign_coords(time=("time", times, sim["time"].attrs))
        del sim["time"].attrs["bounds"]
    back = there_and_back(sim, how, tmp_path)
    assert set(back.variables) == {*sim.variables, *(["crs"] if kind == "grid" else [])}
    assert back["time"].dt.calendar == ("proleptic_gregorian" if calendar == "standard" else calendar)
    for name, array in sim.variables.items():
        assert back[name].dims == array.dims
        np.testing.assert_array_equal(back[name].values, array.values, err_msg=str(name))
        if name not in ("time", "time_bnds"):
            limits = {"valid_min"} if "netcdf" not in how else set()  # JSON would not keep their type
            expected = {key: value for key, value in array.attrs.items() if key not in limits}
            assert back[name].attrs.items() >= expected.items()
            kinds = ("O", "T", "U") if array.dtype.kind == "U" else (array.dtype.kind,)
            assert back[name].dtype.kind in kinds
    assert back.attrs.items() >= sim.attrs.items()


# --- Object stores --------------------------------------------------------------------------------


def object_stores(folder: Path) -> dict[str, Any]:
    """What stands for a bucket."""
    stores: dict[str, Any] = {"zarr": zarr.storage.MemoryStore(), "fsspec": f"memory://{folder.name}/a.zarr"}
    try:
        import obstore.store
    except ImportError:
        return stores
    (folder / "bucket").mkdir()
    return stores | {
        "obstore": zarr.storage.ObjectStore(obstore.store.MemoryStore()),
        "obstore local": zarr.storage.ObjectStore(obstore.store.LocalStore(folder / "bucket")),
    }


@pytest.mark.parametrize("kind", ["zarr", "fsspec", "obstore", "obstore local"])
def test_object_stores_are_complete_or_not_there(kind: str, tmp_path: Path) -> None:
    """Refused, resumed, appended to and verified as a folder is; the root's metadata comes last."""
    stores = object_stores(tmp_path)
    if kind not in stores:
        pytest.skip("obstore is not installed")
    store = stores[kind]
    with pytest.raises(RuntimeError, match="machine is gone"):
        lazy(fails=lambda first: first == 4)[0].hbv.to_zarr(store)
    with pytest.raises(StoreError, match="no Zarr store"):
        hx.open_run(store)  # nothing of it is left
    with dask.config.set(scheduler="synchronous"), pytest.raises(RuntimeError, match="machine is gone"):
        lazy(fails=lambda first: first == 4)[0].hbv.to_zarr(store, resume=True)
    with pytest.raises(IncompleteStoreError, match=r"block 2 \(basin 40 to 50\)"):
        hx.open_run(store)
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(store)
    with pytest.raises(StoreError, match="half written"):
        lazy()[0].hbv.to_zarr(store)
    with pytest.raises(StoreError, match="coordinate basin"):
        lazy(6)[0].hbv.to_zarr(store, resume=True)
    ds, computed = lazy()
    ds.hbv.to_zarr(store, resume=True)
    assert 0 < len(set(computed)) < 4
    whole = lazy()[0].compute()
    xr.testing.assert_equal(hx.open_run(store, verify=True).load(), whole)
    with pytest.raises(StoreError, match="overwrite=True"):
        lazy()[0].hbv.to_zarr(store)
    later = whole.assign_coords(time=whole["time"] + np.timedelta64(30, "D"))
    later.hbv.to_zarr(store, append_dim="time")
    both = xr.concat([whole, later], "time")
    xr.testing.assert_equal(hx.open_run(store, verify=True).load(), both)
    lazy()[0].hbv.to_zarr(store, overwrite=True)
    xr.testing.assert_equal(hx.open_run(store, verify=True).load(), whole)


def test_a_bucket_is_not_overwritten_with_what_is_read_from_it(tmp_path: Path) -> None:
    """The old keys go first there, and with them what is still to be computed; in a folder they go last."""
    store = zarr.storage.MemoryStore()
    ds, _ = lazy()
    ds.hbv.to_zarr(store)
    doubled = 2 * xr.open_zarr(store)
    doubled_values = doubled.compute()
    with pytest.raises(StoreError, match=r"is what the run is computed from.*another path"):
        doubled.hbv.to_zarr(store, overwrite=True)
    xr.testing.assert_equal(hx.open_run(store, verify=True).load(), ds.compute())
    (2 * xr.open_zarr(store, chunks=None)).hbv.to_zarr(store, overwrite=True)
    xr.testing.assert_equal(hx.open_run(store, verify=True).load(), doubled_values)
    path = ds.hbv.to_zarr(tmp_path / "run.zarr")
    (2 * hx.open_run(path)).hbv.to_zarr(path, overwrite=True)
    xr.testing.assert_allclose(hx.open_run(path, verify=True).load(), 2 * ds.compute())


def test_a_bucket_of_another_half_run_is_given_up_on_request() -> None:
    """With overwrite=True."""
    store = zarr.storage.MemoryStore()
    with dask.config.set(scheduler="synchronous"), pytest.raises(RuntimeError, match="machine is gone"):
        lazy(fails=lambda first: first == 4)[0].hbv.to_zarr(store, resume=True)
    lazy(6)[0].hbv.to_zarr(store, resume=True, overwrite=True)
    xr.testing.assert_equal(hx.open_run(store, verify=True).load(), lazy(6)[0].compute())


def test_other_things_in_an_object_store_are_not_replaced() -> None:
    """Nor removed by overwrite=True."""
    store = zarr.storage.MemoryStore({"thesis.txt": zarr.buffer.cpu.Buffer.from_bytes(b"years of work")})
    with pytest.raises(StoreError, match="other things"):
        lazy()[0].hbv.to_zarr(store, overwrite=True)
    with pytest.raises(StoreError, match=r"nowhere://"):
        lazy()[0].hbv.to_zarr("nowhere://bucket/run.zarr")


# --- Smaller, with a stated error -----------------------------------------------------------------


@pytest.fixture(scope="module")
def sim() -> xr.Dataset:
    """A simulation with a missing value."""
    ds = make_dataset(60)
    sim = ds.hbv.simulate(make_parameters(ds))
    sim["streamflow"][1, 7] = np.nan
    return sim


@pytest.mark.parametrize("how", FORMATS)
def test_packing_keeps_to_its_stated_error(sim: xr.Dataset, how: str, tmp_path: Path) -> None:
    """All fluxes and states; the error in the attributes is never exceeded, and nearly reached."""
    back = there_and_back(sim.chunk(basin=2), how, tmp_path, packed=True)
    for name in ("streamflow", "baseflow", "soil_moisture", "lower_zone_storage"):
        assert back[name].encoding["dtype"] == np.dtype("int16")
        stated = back[name].attrs["packing_maximum_absolute_error"]
        assert stated == (0.005 if name in ("streamflow", "baseflow") else 0.05)
        error = abs(back[name].astype(float) - sim[name].astype(float)).max().item()
        assert stated / 4 < error <= stated * (1 + 1e-9)
        np.testing.assert_array_equal(back[name].isnull(), sim[name].isnull())
    assert back["initial_storage"].dtype == np.float32
    assert back["streamflow"].attrs["units"] == "kg m-2 day-1"


@pytest.mark.parametrize("how", FORMATS)
def test_what_was_packed_is_not_doubled(sim: xr.Dataset, how: str, tmp_path: Path) -> None:
    """xarray reads short integers as double; written again they take no more than before."""
    (tmp_path / "again").mkdir()
    once = there_and_back(sim, how, tmp_path, packed=True)
    twice = there_and_back(once, how, tmp_path / "again")
    assert {twice[name].dtype for name in ("streamflow", "soil_moisture")} == {np.dtype("float32")}
    np.testing.assert_allclose(twice["soil_moisture"], once["soil_moisture"], rtol=1e-6)


def test_packing_by_variable(sim: xr.Dataset, tmp_path: Path) -> None:
    """A smaller error takes wider integers; what does not fit is an error, not another number."""
    packed = {"streamflow": 1e-4}
    path = sim.hbv.to_zarr(tmp_path / "run.zarr", packed=packed)
    back = xr.open_zarr(path)
    assert back["streamflow"].encoding["dtype"] == np.dtype("int32")
    assert abs(back["streamflow"].astype(float) - sim["streamflow"].astype(float)).max() <= 1.0001e-4
    assert back["baseflow"].dtype == np.float32
    flood = sim.assign(streamflow=sim["streamflow"].copy(data=sim["streamflow"].values + 700))
    for way in ("to_zarr", "to_netcdf"):
        with pytest.raises(ValueRangeError, match="streamflow has 70"):
            getattr(flood.hbv, way)(tmp_path / way, packed=True)
        assert not (tmp_path / way).exists()
    with pytest.raises(DescriptionError, match="flow"):
        sim.hbv.to_zarr(tmp_path / "other", packed={"flow": 0.1})


@pytest.mark.parametrize("how", FORMATS)
def test_rounding_keeps_to_its_stated_error(sim: xr.Dataset, how: str, tmp_path: Path) -> None:
    """Relative, of every number; missing values stay, and what is not asked for stays as it is."""
    back = there_and_back(sim, how, tmp_path, keep_bits={"streamflow": 9})
    flow, exact = (part["streamflow"].astype(float) for part in (back, sim))
    assert back["streamflow"].attrs["quantization_nsb"] == 9
    stated = back["streamflow"].attrs["quantization_maximum_relative_error"]
    assert stated == 2.0**-10
    error = (abs(flow - exact) / abs(exact).where(exact != 0)).max().item()
    assert stated / 3 < error <= stated
    np.testing.assert_array_equal(flow.isnull(), exact.isnull())
    np.testing.assert_array_equal(back["baseflow"], sim["baseflow"])
    with pytest.raises(DescriptionError, match="1 to 23"):
        sim.hbv.to_netcdf(tmp_path / "other", keep_bits=24)


def test_rounding_is_to_the_nearest_and_to_even() -> None:
    """Against exact arithmetic in double precision."""
    values = np.random.default_rng(1).normal(0, 1e3, 10_000).astype("float32")
    mantissa, exponent = np.frexp(values.astype("float64"))
    expected = np.ldexp(np.rint(mantissa * 2**6) / 2**6, exponent)  # np.rint takes halves to even
    np.testing.assert_array_equal(round_mantissa(values, 5), expected.astype("float32"))
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo("float32").tiny], dtype="float32")
    np.testing.assert_array_equal(round_mantissa(odd, 5), odd)


def test_days_are_appended_in_the_encoding_of_the_store(tmp_path: Path) -> None:
    """Packed and rounded like those before."""
    ds = make_dataset(60)
    parameters = make_parameters(ds)
    first, state = ds.isel(time=slice(0, 40)).hbv.simulate(parameters, return_state=True)
    later = ds.isel(time=slice(40, None)).hbv.simulate(parameters, initial_state=state)
    path = first.hbv.to_zarr(tmp_path / "run.zarr", packed={"streamflow": 0.01}, keep_bits=8)
    later.hbv.to_zarr(path, append_dim="time")
    whole = ds.hbv.simulate(parameters).hbv.to_zarr(
        tmp_path / "whole.zarr", packed={"streamflow": 0.01}, keep_bits=8
    )
    found, expected = (hx.open_run(each, verify=True).load() for each in (path, whole))
    for name in ("streamflow", "baseflow"):
        np.testing.assert_allclose(found[name], expected[name], rtol=2**-7, atol=0.021)
    np.testing.assert_array_equal(round_mantissa(found["baseflow"].values, 8), found["baseflow"].values)


# --- Without hydroxr ------------------------------------------------------------------------------

READER = """
    import sys
    import xarray as xr
    for path in sys.argv[1:]:
        run = xr.open_dataset(path) if path.endswith(".nc") else xr.open_zarr(path)
        print(round(float(run["streamflow"].sum()), 3), run.sizes["time"])
        run.close()
"""


def test_readers_need_neither_hydroxr_nor_torch(tmp_path: Path) -> None:
    """Where xarray, zarr and netCDF4 alone are there; every format is read, packed as well."""
    ds = make_dataset(40)
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    paths = [
        sim.hbv.to_netcdf(tmp_path / "run.nc"),
        sim.hbv.to_zarr(tmp_path / "3.zarr"),
        sim.hbv.to_zarr(tmp_path / "2.zarr", zarr_format=2),
        sim.hbv.to_zarr(tmp_path / "sharded.zarr", shards=True, packed={"streamflow": 1e-5}),
    ]
    (tmp_path / "reader.py").write_text(textwrap.dedent(READER))
    bare = [
        sys.executable,
        "-W",
        "error",
        str(Path(__file__).parents[2] / "support" / "bare.py"),
        "xarray,zarr,netCDF4",
    ]
    command = [*bare, str(tmp_path / "reader.py"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        total, days = line.split()
        assert float(total) == pytest.approx(float(sim["streamflow"].sum()), rel=1e-4)
        assert days == "40"
    assert len(done.stdout.splitlines()) == 4

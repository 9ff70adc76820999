"""What is written: complete or absent, CF to the letter, readable without hydroxr, and true to the last
bit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

import hydroxr as hx
from hydroxr.errors import DamagedStoreError, HydroxrError, MissingForcingError, StoreError
from hydroxr.models.model import Model
from hydroxr.support import atomic
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    make_dataset,
    make_grid,
    make_parameters,
)

WAYS = ("to_netcdf", "to_zarr")


@pytest.fixture(scope="module")
def sim() -> xr.Dataset:
    """A simulation of three basins over 30 days."""
    ds = make_dataset(30)
    return ds.hbv.simulate(make_parameters(ds))


def write(ds: xr.Dataset, way: str, path: Path, **options: Any) -> Path:
    """``ds.hbv.to_netcdf(path)`` or ``ds.hbv.to_zarr(path)``."""
    return getattr(ds.hbv, way)(path, **options)


def read(path: Path, way: str, **options: Any) -> xr.Dataset:
    """With plain xarray, in memory."""
    with xr.open_dataset(path, engine="zarr" if way == "to_zarr" else "netcdf4", **options) as opened:
        return opened.load()


# --- Round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_values_and_attributes_come_back(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """All variables, coordinates, units, names, cell methods, bounds and global attributes.

    Limits need the type of their variable (CF 2.5.1), which JSON does not keep: stores have none.
    """
    left_out = ("valid_min", "valid_max") if way == "to_zarr" else ()
    back = read(write(sim, way, tmp_path / "sim"), way)
    assert set(back.data_vars) == {*OUTPUTS, "initial_storage"}
    assert back["streamflow"].dtype == np.float32
    assert_same_values(sim, back)
    for name, variable in sim.variables.items():
        expected = {
            key: value
            for key, value in variable.attrs.items()
            if (key not in ("units", "bounds") or name != "time") and key not in left_out
        }
        stored = back[name].attrs | ({"bounds": "time_bnds"} if name == "time" else {})
        assert stored.items() >= expected.items(), name
    assert back.attrs.items() >= sim.attrs.items()
    np.testing.assert_array_equal(back["time"], sim["time"])
    np.testing.assert_array_equal(back["time_bnds"], sim["time_bnds"])
    np.testing.assert_array_equal(back["basin_id"], sim["basin_id"])


@pytest.mark.parametrize("way", WAYS)
def test_lazy_results_are_written_as_they_would_be_in_memory(way: str, tmp_path: Path) -> None:
    """Block by block, with a progress bar on request."""
    ds = make_dataset(30)
    parameters = make_parameters(ds)
    lazy = ds.chunk(basin=2).hbv.simulate(parameters)
    path = write(lazy, way, tmp_path / "lazy", progress=True)
    assert_same_values(ds.hbv.simulate(parameters), read(path, way), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chunks", [(1, 3, 1), (2, 3), (3, 1, 1)])
def test_any_chunking_can_be_written(way: str, chunks: tuple[int, ...], tmp_path: Path) -> None:
    """Also chunks of unequal sizes, as a selection of cells leaves them; Zarr itself takes equal ones."""
    ds = make_dataset(30, 5).drop_vars(["basin_id", "lat"])
    parameters = make_parameters(ds)
    path = write(ds.chunk(basin=chunks).hbv.simulate(parameters), way, tmp_path / "lazy")
    assert_same_values(ds.hbv.simulate(parameters), read(path, way), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["grid", "single", "components", "float64", "filled"])
def test_every_kind_of_result_can_be_written(what: str, way: str, tmp_path: Path) -> None:
    """Grids, components, double precision, flags, a single basin."""
    ds = make_grid(30) if what == "grid" else make_dataset(30)
    options: dict[str, Any] = {
        "components": {"components": True},
        "float64": {"dtype": "float64"},
        "filled": {"missing": "fill"},
    }.get(what, {})
    result = ds.hbv.simulate(make_parameters(ds), **options)
    result = result.isel(basin=0) if what == "single" else result
    back = read(write(result, way, tmp_path / "result"), way)
    assert_same_values(result, back)
    assert {name: array.dtype for name, array in back.data_vars.items()} == {
        name: array.dtype for name, array in result.data_vars.items()
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["input", "scores", "balance", "parameters", "state", "subset"])
def test_whatever_hydroxr_makes_can_be_written(
    static_model: Model, what: str, way: str, tmp_path: Path
) -> None:
    """Inputs, scores, balances, parameters and states too, each with format and version in it."""
    ds = make_dataset(60)
    sim, state = ds.hbv.simulate(static_model, return_state=True)
    result = {
        "input": ds,
        "scores": sim.hbv.evaluate(ds),
        "balance": sim.hbv.water_balance(),
        "parameters": ds.hbv.parameters(static_model),
        "state": state,
        "subset": ds.hbv.simulate(static_model, variables=["streamflow"]),
    }[what]
    back = read(write(result, way, tmp_path / "result"), way)
    numeric = [name for name in result.data_vars if result[name].dtype.kind == "f"]
    assert_same_values(result[numeric], back)
    assert back.attrs["hydroxr_format"] == 1
    assert back.attrs["hydroxr_version"] == hx.__version__


@pytest.mark.parametrize("way", WAYS)
def test_what_was_read_can_be_written_again(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """From Zarr to NetCDF and back, lazily: the encodings of one do not disturb the other."""
    for first in WAYS:
        path = write(sim, first, tmp_path / f"{first}-first")
        with xr.open_dataset(path, engine="zarr" if first == "to_zarr" else "netcdf4", chunks={}) as opened:
            again = write(opened, way, tmp_path / f"{first}-{way}")
        assert_same_values(sim, read(again, way))


def test_a_copy_without_hidden_files_is_not_taken_for_whole(sim: xr.Dataset, tmp_path: Path) -> None:
    """As some programs copy: without the manifest nobody can say what is missing."""
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    shutil.copytree(path, tmp_path / "copy.zarr", ignore=shutil.ignore_patterns(".*"))
    with pytest.raises(DamagedStoreError, match=r"copy.zarr lacks its folder .hydroxr"):
        hx.open_run(tmp_path / "copy.zarr")
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "copy.zarr").load(), xr.open_zarr(path).load())
    again = hx.open_run(path).hbv.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(again) as opened:
        assert "hydroxr_manifest" not in opened.attrs


@pytest.mark.parametrize("way", WAYS)
def test_missing_text_is_empty_text(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """In both formats: they have no other text that stands for none."""
    names = np.array(["a", None, "c"], dtype=object)
    path = getattr(sim.assign_coords(river=("basin", names)).hbv, way)(tmp_path / "sim")
    with xr.open_dataset(path, engine="zarr" if way == "to_zarr" else "netcdf4") as opened:
        assert opened["river"].values.tolist() == ["a", "", "c"]


@pytest.mark.parametrize("way", WAYS)
def test_text_labels_become_names_beside_numbers(way: str, tmp_path: Path) -> None:
    """A text index ``basin(basin)`` breaks CF 1.12: it is written as ``basin_id`` with its ``cf_role``."""
    ds = make_dataset(30).drop_vars("basin_id").assign_coords(basin=["Au Saumon", "Baskatong", "Leaf é"])
    back = read(write(ds.hbv.simulate(make_parameters(ds)), way, tmp_path / "sim"), way)
    np.testing.assert_array_equal(back["basin_id"], ds["basin"])
    assert back["basin_id"].attrs["cf_role"] == "timeseries_id"
    assert back["basin"].dtype.kind == "i"


def test_text_labels_leave_other_names_alone(tmp_path: Path) -> None:
    """Where the Dataset has ids beside labels, both are in the file."""
    ds = make_dataset(cells=2).isel(time=slice(0, 3))[["prcp"]]
    ds = ds.assign_coords(basin=["upper", "lower"], basin_id=("basin", ["07", "09"]))
    with xr.open_dataset(ds.hbv.to_netcdf(tmp_path / "run.nc")) as back:
        assert back["basin_id"].values.tolist() == ["07", "09"]
        assert back["basin_name"].values.tolist() == ["upper", "lower"]
        assert back["basin"].values.tolist() == [0, 1]


def test_writing_changes_nothing_in_memory(sim: xr.Dataset, tmp_path: Path) -> None:
    """Neither attributes nor encodings nor values of what is written."""
    before = sim.copy(deep=True)
    encodings = {name: dict(variable.encoding) for name, variable in sim.variables.items()}
    for way in WAYS:
        write(sim, way, tmp_path / way)
    xr.testing.assert_identical(sim, before)
    assert {name: variable.encoding for name, variable in sim.variables.items()} == encodings


# --- CF -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def netcdf(sim: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The simulation as a NetCDF file, opened without xarray."""
    path = write(sim, "to_netcdf", tmp_path_factory.mktemp("cf") / "sim.nc")
    with netCDF4.Dataset(path) as opened:
        yield opened


def test_coordinates_have_no_fill_value(netcdf: Any) -> None:
    """CF forbids it (2.5.1); xarray writes one by default."""
    for name in ("time", "time_bnds", "basin", "basin_id", "lat"):
        assert "_FillValue" not in netcdf[name].ncattrs()
        assert "missing_value" not in netcdf[name].ncattrs()


def test_time_is_as_cf_wants_it(netcdf: Any) -> None:
    """Days since a midnight, calendar, leap seconds told; bounds without attributes that contradict."""
    time = netcdf["time"]
    assert time.units.removesuffix(" 00:00:00") == "days since 2000-01-01"
    assert time.calendar == "proleptic_gregorian"
    assert time.units_metadata == "leap_seconds: none"
    assert time.bounds == "time_bnds"
    assert (time.standard_name, time.axis) == ("time", "T")
    np.testing.assert_array_equal(time[:], np.arange(30.0))
    bounds = netcdf["time_bnds"]
    np.testing.assert_array_equal(bounds[:], np.arange(30.0)[:, None] + [0.0, 1.0])
    assert all(getattr(bounds, name) == getattr(time, name) for name in bounds.ncattrs())


def test_it_is_a_collection_of_time_series(netcdf: Any) -> None:
    """CF chapter 9: one variable with a role, the time last, each series with its coordinates."""
    assert netcdf.Conventions == "CF-1.11, ACDD-1.3"
    assert netcdf.featureType == "timeSeries"
    assert netcdf["streamflow"].dimensions == ("basin", "time")
    assert "basin_id" in netcdf["streamflow"].coordinates.split()
    assert [name for name in netcdf.variables if "cf_role" in netcdf[name].ncattrs()] == ["basin_id"]


def test_ranges_have_the_type_of_the_data(netcdf: Any) -> None:
    """valid_min of a float is a float (CF 2.5.1)."""
    assert netcdf["streamflow"].valid_min.dtype == netcdf["streamflow"].dtype


def test_only_one_variable_names_the_series(tmp_path: Path) -> None:
    """Other text, as ``huc_id`` or the members of an ensemble, does not get its role too (CF 9.5)."""
    members = xr.DataArray([1.0, 0.5], dims="member", coords={"member": ["wet", "dry"]})
    ds = make_dataset(30).assign_coords(huc_id=("basin", ["01", "02", "03"]))
    ds["prcp"] = (ds["prcp"] * members).assign_attrs(units="mm/day")
    path = write(ds.hbv.simulate(make_parameters(ds)), "to_netcdf", tmp_path / "sim.nc")
    with netCDF4.Dataset(path) as opened:
        roles = [name for name in opened.variables if "cf_role" in opened[name].ncattrs()]
    assert roles == ["basin_id"]


def test_a_grid_is_no_time_series(tmp_path: Path) -> None:
    """Maps a day, with the axes' names and units."""
    grid = make_grid(30)
    for name in ("lat", "lon"):
        grid[name].attrs = {}
    path = write(grid.hbv.simulate(make_parameters(grid)), "to_netcdf", tmp_path / "grid.nc")
    with netCDF4.Dataset(path) as opened:
        assert "featureType" not in opened.ncattrs()
        assert opened["streamflow"].dimensions == ("time", "lat", "lon")
        assert (opened["lat"].units, opened["lon"].units) == ("degrees_north", "degrees_east")
        assert (opened["lat"].standard_name, opened["lon"].standard_name) == ("latitude", "longitude")


def test_zarr_has_no_fill_value_on_coordinates_either(sim: xr.Dataset, tmp_path: Path) -> None:
    """And no units on the bounds that would be read twice."""
    group = zarr.open_group(write(sim, "to_zarr", tmp_path / "sim.zarr"), mode="r")
    for name in ("time", "time_bnds", "basin", "basin_id", "lat"):
        assert "_FillValue" not in group[name].attrs


# --- Complete or absent ---------------------------------------------------------------------------


def failing(error: Exception) -> xr.Dataset:
    """A lazy Dataset of four blocks, of which the third raises."""

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise error
        return values

    data = da.ones((4, 30), chunks=(1, 30), dtype="float32").map_blocks(block, dtype="float32")
    time = make_dataset(30)["time"]
    return xr.Dataset({"runoff": (("basin", "time"), data, {"units": "kg m-2 day-1"})}, {"time": time})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [RuntimeError("a block"), OSError("the disk"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_nothing(way: str, error: Any, tmp_path: Path) -> None:
    """Neither a part under the name nor temporary files; the error says what happened."""
    with pytest.raises((StoreError, RuntimeError, KeyboardInterrupt)) as caught:
        write(failing(error), way, tmp_path / "result")
    if isinstance(error, OSError):
        assert isinstance(caught.value, StoreError)
        assert "result" in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_the_data_stays_what_it_is(ds: xr.Dataset, way: str, tmp_path: Path) -> None:
    """Missing forcing that is found while writing is MissingForcingError."""
    ds["prcp"][2, 3] = np.nan
    with pytest.raises(MissingForcingError):
        write(ds.chunk(basin=1).hbv.simulate(make_parameters(ds)), way, tmp_path / "sim")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("way", WAYS)
def test_what_exists_is_not_overwritten_unasked(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """An error with the way out; what was there is as it was."""
    path = write(sim, way, tmp_path / "result")
    with pytest.raises(StoreError, match=r"result exists.*overwrite=True"):
        write(sim * 2, way, path)
    assert_same_values(sim, read(path, way))


@pytest.mark.parametrize("way", WAYS)
def test_overwriting_replaces_all_of_it(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """Nothing of the old one shines through."""
    path = write(sim, way, tmp_path / "result")
    write(sim[["runoff"]].isel(basin=[0]), way, path, overwrite=True)
    back = read(path, way)
    assert set(back.data_vars) == {"runoff"}
    assert back.sizes["basin"] == 1
    assert os.listdir(tmp_path) == ["result"]


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_write_ends_when_all_its_threads_have(
    sim: xr.Dataset, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them writes any more when the folder is removed; where it stays, the error says so."""
    begun: list[int] = []
    ended: list[int] = []

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        place = block_info[0]["chunk-location"][0]
        begun.append(place)
        time.sleep(0.5 if place else 0.1)
        ended.append(place)
        if not place:
            raise OSError("this disk is full")
        return values

    lazy = sim[["runoff"]].chunk(basin=1)
    lazy["runoff"].data = lazy["runoff"].data.map_blocks(block, dtype="float32", meta=np.empty((0, 0), "f4"))
    with dask.config.set(num_workers=3), pytest.raises(StoreError, match="Nothing of it is left"):
        write(lazy, way, tmp_path / "result")
    assert sorted(begun) == sorted(ended)
    assert len(begun) > 1
    assert os.listdir(tmp_path) == []
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_TRIES", 1)
        patch.setattr(atomic.shutil, "rmtree", lambda *args, **options: None)
        with pytest.raises(StoreError, match=r"is left in .*partial-.*remove it"):
            write(lazy, way, tmp_path / "result")


@pytest.mark.parametrize("way", WAYS)
def test_overwriting_that_fails_leaves_the_old_one(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """A failing block does not cost what was there before."""
    path = write(sim, way, tmp_path / "result")
    with pytest.raises(RuntimeError):
        write(failing(RuntimeError("a block")), way, path, overwrite=True)
    assert_same_values(sim, read(path, way))
    assert os.listdir(tmp_path) == ["result"]


@pytest.mark.parametrize("way", WAYS)
def test_overwriting_whose_last_step_fails_leaves_the_old_one(
    sim: xr.Dataset, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new name cannot be taken: the old result is still there."""
    path = write(sim, way, tmp_path / "result")
    replace = os.replace

    def refuse(source: Any, target: Any, **options: Any) -> None:
        if Path(target) == path and ".partial-" in str(source):
            raise OSError("not permitted")
        replace(source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "exchange", lambda *paths: False)  # names cannot be swapped everywhere
        patch.setattr(atomic.os, "replace", refuse)
        with pytest.raises(StoreError):
            write(sim[["runoff"]], way, path, overwrite=True)
    assert_same_values(sim, read(path, way))
    assert os.listdir(tmp_path) == ["result"]


@pytest.mark.parametrize("way", WAYS)
def test_overwriting_never_deletes_what_is_no_result(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """``overwrite=True`` with the path of a folder of other things (a typing error, ``"."``) is an error."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")
    with pytest.raises(StoreError, match="thesis"):
        write(sim, way, folder, overwrite=True)
    assert (folder / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("way", WAYS)
def test_a_result_can_replace_what_it_was_computed_from(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """Read lazily from a store, changed, and written over it."""
    path = write(sim, way, tmp_path / "result")
    engine = "zarr" if way == "to_zarr" else "netcdf4"
    with xr.open_dataset(path, engine=engine, chunks={}) as opened:
        write(opened[["runoff"]] * 2, way, path, overwrite=True)
    np.testing.assert_allclose(read(path, way)["runoff"], 2 * sim["runoff"])


@pytest.mark.parametrize("way", WAYS)
def test_folders_on_the_way_are_made(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """And the path is returned."""
    path = tmp_path / "new" / "folder" / "result"
    assert write(sim, way, path) == path
    assert path.exists()


# --- Checksums ------------------------------------------------------------------------------------


def chunk_files(path: Path) -> list[Path]:
    """The files of a store that hold data, not metadata."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json")
    return [file for file in files if ".hydroxr" not in file.parts]


def test_a_flipped_bit_is_found(sim: xr.Dataset, tmp_path: Path) -> None:
    """Wherever it is, in whichever array, coordinates, time and text included: reading fails, or the bit
    meant nothing; never are other values read in silence."""
    path = write(sim, "to_zarr", tmp_path / "sim.zarr")
    silent = set()
    for file in chunk_files(path):
        name = file.relative_to(path).parts[0]
        array = zarr.open_array(path / name, mode="r")
        expected = array[:]
        sound = file.read_bytes()
        for share in np.linspace(0, 1, 15):
            changed = bytearray(sound)
            changed[int(share * (len(sound) - 1))] ^= 4
            file.write_bytes(bytes(changed))
            try:
                if not np.array_equal(array[:], expected):
                    silent.add(name)
            except Exception:  # which error is zarr's affair; that there is one is ours
                continue
        file.write_bytes(sound)
    assert silent == set()
    assert_same_values(sim, read(path, "to_zarr"))


# --- Without hydroxr ------------------------------------------------------------------------------


def run(code: str, *arguments: str) -> str:
    """What a fresh Python prints."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_xarray_reads_results(sim: xr.Dataset, tmp_path: Path) -> None:
    """A stranger with xarray, and neither hydroxr nor torch, sees names, units and standard names."""
    for way in WAYS:
        write(sim, way, tmp_path / way)
    out = run(
        """
        import sys
        import xarray as xr
        for opened in (xr.open_dataset(sys.argv[1], engine="netcdf4"), xr.open_zarr(sys.argv[2])):
            flow = opened["evapotranspiration"]
            first = str(opened.time.values[0])[:10]
            print(flow.attrs["units"], flow.attrs["standard_name"], float(flow.sum()), first)
            opened.close()
        print([name for name in ("hydroxr", "torch") if name in sys.modules])
        """,
        str(tmp_path / "to_netcdf"),
        str(tmp_path / "to_zarr"),
    )
    lines = out.splitlines()
    assert len(lines) == 3
    for line in lines[:2]:
        *words, total, day = line.split()
        assert " ".join(words) == "kg m-2 day-1 water_evapotranspiration_flux"
        assert float(total) == pytest.approx(float(sim["evapotranspiration"].sum()), rel=1e-5)
        assert day == "2000-01-01"
    assert lines[2] == "[]"


def test_importing_hydroxr_imports_nothing_heavy() -> None:
    """Neither torch nor matplotlib nor numba; the submodules are there all the same."""
    out = run(
        """
        import sys
        import hydroxr
        import xarray as xr
        xr.Dataset().hbv
        hydroxr.DeltaHBV(components=4)
        dir(hydroxr)
        print([name for name in ("torch", "matplotlib", "numba", "distributed") if name in sys.modules])
        print(hydroxr.physics.PARAMETERS["FC"].upper, hydroxr.metrics.nse.__name__)
        print([name for name in ("torch", "matplotlib", "numba") if name in sys.modules])
        """
    )
    assert out.splitlines() == ["[]", "1000.0 nse", "[]"]


def test_reading_a_store_a_balance_and_a_model_needs_no_torch(
    sim: xr.Dataset, constant_model: Model, tmp_path: Path
) -> None:
    """Torch is for computing; it takes seconds to import."""
    path, model = write(sim, "to_zarr", tmp_path / "sim.zarr"), constant_model.save(tmp_path / "model")
    out = run(
        """
        import sys
        import xarray as xr
        import hydroxr as hx
        opened = xr.open_zarr(sys.argv[1])
        opened.hbv.water_balance().load()
        opened.hbv.evaluate(opened).load()
        hx.load_model(sys.argv[2]).constant_parameters()
        opened.hbv.to_netcdf(sys.argv[3])
        print("torch" in sys.modules)
        """,
        str(path),
        str(model),
        str(tmp_path / "again.nc"),
    )
    assert out == "False\n"


def test_every_public_name_is_there() -> None:
    """``from hydroxr import *`` finds what ``__all__`` promises, and no other name is found."""
    for name in hx.__all__:
        assert getattr(hx, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        hx.nothing  # noqa: B018


def test_nothing_is_written_in_silence_about_an_empty_dataset(tmp_path: Path) -> None:
    """Without days or variables there is nothing to write, and an error says so or a file is whole."""
    ds = make_dataset(30)
    empty = ds.hbv.simulate(make_parameters(ds)).isel(time=slice(0, 0))
    with warnings.catch_warnings():
        try:
            path = write(empty, "to_netcdf", tmp_path / "empty.nc")
        except HydroxrError:
            return
    assert read(path, "to_netcdf").sizes["time"] == 0


def test_names_as_labels_come_back_as_the_same_places(tmp_path: Path) -> None:
    """A file has a number and a name for a text label; results, states and parameters still fit together."""
    ds = make_dataset(60).drop_vars("basin_id").assign_coords(basin=["a", "b", "c"])
    parameters = make_parameters(make_dataset(60)).drop_vars("basin_id", errors="ignore")
    parameters = parameters.assign_coords(basin=["a", "b", "c"])
    first, state = ds.isel(time=slice(0, 40)).hbv.simulate(parameters, return_state=True)
    for way in ("to_netcdf", "to_zarr"):
        kept = {}
        for name, part in {"sim": first, "state": state, "parameters": parameters}.items():
            kept[name] = read(write(part, way, tmp_path / f"{name}-{way}"), way)
        scores = kept["sim"].hbv.evaluate(ds)
        np.testing.assert_allclose(scores["nse"], first.hbv.evaluate(ds)["nse"])
        rest = ds.isel(time=slice(40, None))
        again = rest.hbv.simulate(kept["parameters"], initial_state=kept["state"])
        expected = rest.hbv.simulate(parameters, initial_state=state)
        xr.testing.assert_allclose(again["streamflow"], expected["streamflow"])

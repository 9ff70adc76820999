"""A write that was ended goes on where it stood; what is not complete is not taken for complete."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DamagedStoreError, DescriptionError, IncompleteStoreError, StoreError
from hydroxr.storage.zarr.location import Place
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset, make_grid, make_parameters

DAYS = 30


def lazy(cells: int = 8, fails: Callable[[int], bool] = lambda cell: False, missing: bool = False) -> Any:
    """A run of two variables in blocks of two cells, and the list of first cells that were computed."""
    computed: list[int] = []

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info:
            first = block_info[0]["array-location"][0][0]
            if fails(first):
                raise RuntimeError("the machine is gone")
            computed.append(first)
        return np.full_like(values, np.nan) if missing else values

    rng = np.random.default_rng(3)
    values = da.from_array(rng.uniform(0, 9, (cells, DAYS)).astype("float32"), chunks=(2, -1))
    runoff = values.map_blocks(block, dtype="float32")
    time = make_dataset(DAYS)["time"]
    variables = {
        "runoff": (("basin", "time"), runoff, {"units": "kg m-2 day-1"}),
        "streamflow": (("basin", "time"), runoff * 2, {"units": "kg m-2 day-1"}),
    }
    return xr.Dataset(variables, {"basin": 10 * np.arange(cells), "time": time}), computed


def broken(path: Path, at: int = 4, **options: Any) -> None:
    """Write to ``path`` and fail at the block of that cell, one block after another."""
    ds, _ = lazy(fails=lambda first: first == at)
    with dask.config.set(scheduler="synchronous"), pytest.raises(RuntimeError, match="machine is gone"):
        ds.hbv.to_zarr(path, resume=True, **options)


def same(path: Path, **options: Any) -> None:
    """The store is what an uninterrupted write gives."""
    xr.testing.assert_equal(hx.open_run(path, verify=True).load(), lazy(**options)[0].compute())


def test_only_what_is_missing_is_written(tmp_path: Path) -> None:
    """After an error the finished blocks are kept and not computed again; the result is the same."""
    path = tmp_path / "run.zarr"
    broken(path)
    assert not path.exists()
    ds, computed = lazy()
    assert ds.hbv.to_zarr(path, resume=True) == path
    assert 0 < len(set(computed)) < 4
    same(path)
    assert os.listdir(tmp_path) == ["run.zarr"]


def test_another_run_is_given_up_on_request(tmp_path: Path) -> None:
    """With overwrite=True what another run left does not stop this one, nor is it gone on with."""
    path = tmp_path / "run.zarr"
    broken(path)
    other, computed = lazy(6)
    with pytest.raises(StoreError, match="another run"):
        other.hbv.to_zarr(path, resume=True)
    other.hbv.to_zarr(path, resume=True, overwrite=True)
    assert set(computed) == {0, 2, 4}
    same(path, cells=6)
    assert os.listdir(tmp_path) == ["run.zarr"]


@pytest.mark.parametrize("at", range(4, 12))
def test_format_2_is_whole_or_resumed(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its root has three keys; ended between two of them it is not taken for complete."""
    put, calls = Place.put, [0]

    def end(self: Place, values: Any) -> None:
        calls[0] += 1
        if calls[0] >= at:
            raise KeyboardInterrupt
        put(self, values)

    path = tmp_path / "run.zarr"
    with monkeypatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr(Place, "put", end)
        with pytest.raises(KeyboardInterrupt):
            lazy(4)[0].hbv.to_zarr(path, resume=True, zarr_format=2)
    lazy(4)[0].hbv.to_zarr(path, resume=True, zarr_format=2)
    same(path, cells=4)
    assert {".zattrs", ".zgroup", ".zmetadata"} <= set(os.listdir(path))


def test_the_error_says_that_the_blocks_are_kept(tmp_path: Path) -> None:
    """And what to do."""
    ds, _ = lazy(fails=lambda first: first == 4)
    with pytest.raises(RuntimeError) as caught:
        ds.hbv.to_zarr(tmp_path / "run.zarr", resume=True)
    assert "repeat the call" in " ".join(caught.value.__notes__)


@pytest.mark.parametrize("missing", [False, True])
def test_a_complete_store_is_left_as_it_is(missing: bool, tmp_path: Path) -> None:
    """Also one of missing values only, whose chunks Zarr by itself would not write."""
    path = tmp_path / "run.zarr"
    lazy(missing=missing)[0].hbv.to_zarr(path, resume=True)
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    ds, computed = lazy(missing=missing)
    ds.hbv.to_zarr(path, resume=True)
    assert computed == []
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    assert len(list((path / "runoff" / "c").rglob("0"))) >= 4  # a file for each block
    same(path, missing=missing)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """By its coordinates, with how much there is, and how to go on; plain xarray finds no store."""
    path = tmp_path / "run.zarr"
    broken(path)
    with pytest.raises(IncompleteStoreError, match=r"of 4 blocks are done.*basin 40 to 50.*resume=True"):
        hx.open_run(path)
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(path)
    (folder,) = tmp_path.iterdir()
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(folder / "run.zarr")
    with pytest.raises(StoreError, match="does not exist"):
        hx.open_run(tmp_path / "other.zarr")


CHANGES: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "hydroxr_model_sha256": lambda ds: ds.assign_attrs(hydroxr_model_sha256="another"),
    "coordinate basin": lambda ds: ds.assign_coords(basin=ds["basin"] + 1),
    "coordinate time": lambda ds: ds.assign_coords(time=ds["time"] + np.timedelta64(1, "D")),
    "variable runoff": lambda ds: ds.assign(runoff=ds["runoff"].assign_attrs(units="mm")),
    "variable streamflow": lambda ds: ds.assign(streamflow=ds["streamflow"].astype("float64")),
    "variable interflow": lambda ds: ds.assign(interflow=ds["runoff"]),
    "chunks of basin": lambda ds: ds.chunk(basin=4),
}


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("what", CHANGES)
def test_another_run_is_not_continued(what: str, complete: bool, tmp_path: Path) -> None:
    """Whatever tells them apart is named; what is there stays."""
    path = tmp_path / "run.zarr"
    if complete:
        lazy()[0].hbv.to_zarr(path)
    else:
        broken(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=what):
        CHANGES[what](lazy()[0]).hbv.to_zarr(path, resume=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_another_input_is_not_continued(tmp_path: Path) -> None:
    """The file that the input was opened from has changed since."""
    ds = make_dataset(DAYS, 4)
    parameters = make_parameters(ds)
    source = tmp_path / "input.nc"
    ds.to_netcdf(source)
    path = tmp_path / "run.zarr"

    def run() -> xr.Dataset:
        with xr.open_dataset(source, chunks={"basin": 2}) as opened:
            return opened.hbv.simulate(parameters)

    run().hbv.to_zarr(path)
    run().hbv.to_zarr(path, resume=True)
    os.utime(source, ns=(1, 1))
    with pytest.raises(StoreError, match="input"):
        run().hbv.to_zarr(path, resume=True)


def test_options_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    """Before anything is computed."""
    ds, computed = lazy()
    for options in ({"layout": "mats"}, {"zarr_format": 4}, {"zarr_format": 2, "shards": True}):
        with pytest.raises(DescriptionError, match="expected"):
            ds.hbv.to_zarr(tmp_path / "run.zarr", **options)
    assert computed == []
    assert os.listdir(tmp_path) == []


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    """The second is told that the first is at work."""
    path = tmp_path / "run.zarr"
    broken(path)
    (folder,) = tmp_path.iterdir()
    code = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX); "
    command = [sys.executable, "-c", f"{code} print(1, flush=True); input()", str(folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreError, match="being written"):
            lazy()[0].hbv.to_zarr(path, resume=True)
        lazy()[0].hbv.to_zarr(path)  # a write of its own does not disturb it
        assert folder.exists()
        other.communicate("\n")
    same(path)


# --- Layout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_chunks_are_for_their_readers(
    chunked: bool, shards: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A series lies in few chunks, a map in few; blocks stay whole numbers of chunks."""
    monkeypatch.setattr("hydroxr.storage.zarr.layout._CHUNK", 4 * 60)
    grid = make_grid(60, 4, 6)
    parameters = make_parameters(grid)
    sim = grid.hbv.simulate(parameters, variables=["streamflow"])
    lazily = (grid.chunk(lat=2, lon=3) if chunked else grid).hbv.simulate(
        parameters, variables=["streamflow"]
    )
    maps = (10, 2, 3) if chunked else (2, 4, 6)
    for layout, expected in {"series": (60, 1, 1), "maps": maps}.items():
        path = lazily.hbv.to_zarr(tmp_path / layout, layout=layout, shards=shards)
        opened = hx.open_run(path, verify=True)
        assert opened["streamflow"].encoding["chunks"] == expected
        if shards:
            assert len(list((path / "streamflow" / "c").rglob("*.*"))) == 0
            files = [file for file in (path / "streamflow" / "c").rglob("*") if file.is_file()]
            assert len(files) == (4 if chunked else 1)
        np.testing.assert_allclose(opened["streamflow"], sim["streamflow"], rtol=1e-6, atol=1e-6)


# --- Damage ---------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A complete store."""
    return lazy()[0].hbv.to_zarr(tmp_path / "run.zarr")


def test_a_lost_chunk_is_named(whole: Path) -> None:
    """Without verifying: an ended copy loses chunks, and Zarr reads them as missing values."""
    (whole / "runoff" / "c" / "1" / "0").unlink()
    with pytest.raises(IncompleteStoreError, match=r"runoff/c/1/0 \(basin 20 to 30, time 2000-01-01 to"):
        hx.open_run(whole)


def test_a_changed_chunk_is_named(whole: Path) -> None:
    """By its checksum when asked; by its length at once."""
    chunk = whole / "streamflow" / "c" / "3" / "0"
    sound = chunk.read_bytes()
    chunk.write_bytes(sound[:20] + bytes([sound[20] ^ 1]) + sound[21:])
    with pytest.raises(DamagedStoreError, match=r"streamflow/c/3/0 \(basin 60 to 70"):
        hx.open_run(whole, verify=True)
    chunk.write_bytes(sound[:-1])
    with pytest.raises(DamagedStoreError, match=r"streamflow/c/3/0"):
        hx.open_run(whole)


@pytest.mark.parametrize("key", ["zarr.json", "time/zarr.json", ".hydroxr/manifest-0.json", ".hydroxr/part"])
@pytest.mark.parametrize("damage", ["changed", "lost"])
def test_changed_metadata_is_named(whole: Path, key: str, damage: str) -> None:
    """Of the root, of an array, and the manifest's own."""
    (file,) = [path for path in whole.rglob("*.json") if path.relative_to(whole).as_posix().startswith(key)]
    if damage == "lost":
        file.unlink()
    else:
        file.write_text(file.read_text().replace("2", "3", 1))
    with pytest.raises((DamagedStoreError, IncompleteStoreError), match=key.split("/")[-1]):
        hx.open_run(whole, verify=True)


def test_netcdf_is_verified_by_its_own_checksums(tmp_path: Path) -> None:
    """A changed chunk cannot be read; a file that is no run is refused."""
    ds = lazy()[0].compute()
    path = ds.hbv.to_netcdf(tmp_path / "run.nc")
    with hx.open_run(path, verify=True) as opened:
        xr.testing.assert_equal(opened.load()[["runoff"]], ds[["runoff"]])
    sound, found = path.read_bytes(), 0
    for share in np.linspace(0.01, 0.99, 64):  # much of so small a file is room that nothing uses
        raw = bytearray(sound)
        raw[int(share * len(raw))] ^= 16
        path.write_bytes(bytes(raw))
        try:
            with hx.open_run(path, verify=True) as opened:
                np.testing.assert_array_equal(opened["runoff"], ds["runoff"])
        except (DamagedStoreError, StoreError):
            found += 1
    assert found > 8
    (tmp_path / "text.nc").write_text("no file")
    with pytest.raises(DamagedStoreError, match="NetCDF"):
        hx.open_run(tmp_path / "text.nc")
    ds.to_netcdf(tmp_path / "other.nc")
    with pytest.raises(StoreError, match=r"xr\.open_dataset"):
        hx.open_run(tmp_path / "other.nc")


def test_stores_of_earlier_versions_open(tmp_path: Path) -> None:
    """They have no manifest; they were complete or absent. They cannot be verified, and an error says so."""
    ds = lazy()[0].compute().assign_attrs(hydroxr_format=1, hydroxr_version="0.2.0")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        ds.to_zarr(tmp_path / "old.zarr", consolidated=True)
    xr.testing.assert_equal(hx.open_run(tmp_path / "old.zarr").load(), ds)
    with pytest.raises(StoreError, match=r"0\.2\.0"):
        hx.open_run(tmp_path / "old.zarr", verify=True)


# --- Workers --------------------------------------------------------------------------------------


def test_workers_in_other_processes_write_the_same(tmp_path: Path) -> None:
    """Under a client with processes, resumed as well."""
    path = tmp_path / "run.zarr"
    ds = make_dataset(DAYS, 6)
    parameters = make_parameters(ds)
    sim = ds.hbv.simulate(parameters, variables=["streamflow", "baseflow"])
    lazily = ds.chunk(basin=2).hbv.simulate(parameters, variables=["streamflow", "baseflow"])
    with local_client():
        lazily.hbv.to_zarr(path, resume=True, progress=True)
    opened = hx.open_run(path, verify=True)
    np.testing.assert_allclose(opened["baseflow"], sim["baseflow"], rtol=1e-6, atol=1e-6)
    record = json.loads((path / ".hydroxr" / "manifest-0.json").read_text())["content"]
    assert len(record["parts"]) == 1


# --- kill -9 --------------------------------------------------------------------------------------

KILLED = """
    import sys, time
    import numpy as np
    from tests.storage.zarr.test_run import lazy
    ds, _ = lazy(fails=lambda first: time.sleep(0.05))
    print("begun", flush=True)
    ds.hbv.to_zarr(sys.argv[1], resume=True)
"""


def test_after_kill_9_it_goes_on(tmp_path: Path) -> None:
    """At three moments; no store is there in between, and in the end it is that of an undisturbed run."""
    path = tmp_path / "run.zarr"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    for delay in (0.02, 0.12, 0.2):
        if path.exists():
            break
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        if path.exists():
            break
        with pytest.raises(StoreError):
            hx.open_run(path)
    lazy()[0].hbv.to_zarr(path, resume=True)
    same(path)
    assert os.listdir(tmp_path) == ["run.zarr"]


@pytest.mark.parametrize("space", [("lat", "lon"), ("y", "x")])
def test_a_grid_goes_on_where_it_was(space: tuple[str, str], tmp_path: Path) -> None:
    """Blocks along three dimensions: what is finished is not mistaken for other blocks."""
    values = np.arange(4 * 4 * 6, dtype="float32").reshape(4, 4, 6)
    path, failing = tmp_path / "run.zarr", [True]

    def fail_late(block: np.ndarray) -> np.ndarray:
        if failing[0] and block.size and block.flat[0] == 84:  # time 3, the third of its four blocks in space
            raise RuntimeError("the power went")
        return block

    array = da.from_array(values, chunks=(1, 2, 3)).map_blocks(fail_late, dtype="float32", meta=values)
    ds = xr.Dataset({"runoff": (("time", *space), array)})
    ds = ds.assign_coords(time=np.datetime64("2000-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D"))
    with dask.config.set(scheduler="sync"):
        with pytest.raises(RuntimeError):
            ds.hbv.to_zarr(path, resume=True)
        failing[0] = False
        ds.hbv.to_zarr(path, resume=True)
    np.testing.assert_array_equal(hx.open_run(path, verify=True)["runoff"].values, values)


def test_what_was_made_of_a_simulation_since_is_another_run(tmp_path: Path) -> None:
    """Half written or complete, it is not gone on with by values that were changed lazily."""
    ds = make_dataset(DAYS, 4)
    sim = ds.chunk(basin=2).hbv.simulate(make_parameters(ds), variables=["streamflow"])
    twice = sim.assign(streamflow=(sim["streamflow"] * 2).assign_attrs(sim["streamflow"].attrs))
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    with pytest.raises(StoreError, match=r"not this run.*input"):
        twice.hbv.to_zarr(path, resume=True)
    sim.hbv.to_zarr(path, resume=True)
    np.testing.assert_array_equal(hx.open_run(path)["streamflow"], sim["streamflow"])

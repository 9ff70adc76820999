"""A result gets its name when it is complete; what has the name by then is never lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
import zarr

import hydroxr as hx
from hydroxr.errors import StoreError
from hydroxr.support import atomic
from tests.storage.zarr.test_run import lazy
from tests.support.labelled import make_dataset

WAYS = ("to_netcdf", "to_zarr")


def meets(write: Callable[[], object]) -> xr.Dataset:
    """A lazy run, and meanwhile another program is at work."""

    def block(values: np.ndarray) -> np.ndarray:
        if values.size:
            write()
        return values

    ds = lazy()[0]
    data = ds["runoff"].data.map_blocks(block, dtype="float32", meta=np.empty((0, 0), "float32"))
    return ds.assign(runoff=ds["runoff"].copy(data=data))


def run(path: Path) -> xr.Dataset:
    """What a path holds, in memory, found sound."""
    with hx.open_run(path, verify=True) as opened:
        return opened.load()


@pytest.mark.parametrize("options", [{}, {"resume": True}])
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_what_another_program_finished_meanwhile_stays(
    way: str, links: bool, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one is refused, and is complete in a folder that the error names."""
    if way == "to_netcdf" and options:
        return
    if not links:
        monkeypatch.setattr(atomic.os, "link", lambda *paths: os.stat("/no such file"))
    path, first, second = tmp_path / "run", lazy()[0].compute(), lazy()[0].compute() * 2
    other = getattr(first.hbv, way)(tmp_path / "other")

    lock = Lock()

    def copy() -> None:
        with lock:
            if not path.exists():
                (shutil.copytree if other.is_dir() else shutil.copy)(other, path)

    later = meets(copy)
    later["streamflow"] = later["streamflow"] + later["runoff"] * 0
    with pytest.raises(StoreError, match=r"run is there by now.*complete in .*run\.partial-"):
        getattr((later * 2).assign(time=later["time"]).hbv, way)(path, **options)
    xr.testing.assert_equal(run(path), first)
    getattr(first.hbv, way)(path, overwrite=True)  # tidies nothing that is complete
    (kept,) = tmp_path.glob("run.partial-*/run")
    kept.rename(tmp_path / "mine")
    xr.testing.assert_allclose(run(tmp_path / "mine"), second)


def test_overwriting_spares_what_came_meanwhile_and_is_no_result(tmp_path: Path) -> None:
    """As a folder of other things."""
    path = tmp_path / "run.zarr"

    def thesis() -> None:
        path.mkdir(exist_ok=True)
        (path / "chapter.txt").write_text("years of work")

    with pytest.raises(StoreError, match="is not replaced"):
        meets(thesis).hbv.to_zarr(path, overwrite=True)
    assert (path / "chapter.txt").read_text() == "years of work"


def test_two_writers_of_an_object_store(tmp_path: Path) -> None:
    """There both have the same keys: the later one ends with an error, and deletes nothing."""
    store = zarr.storage.MemoryStore()
    first = lazy(4)[0].compute()
    other: list[xr.Dataset] = [first]

    def write() -> None:
        if other:
            other.pop().hbv.to_zarr(store, overwrite=True)

    with pytest.raises(StoreError, match="another program"):
        meets(write).hbv.to_zarr(store)
    assert "zarr.json" in store._store_dict


@pytest.mark.parametrize("way", WAYS)
def test_what_a_killed_write_left_goes_with_the_next(way: str, tmp_path: Path) -> None:
    """It has no lock any more."""
    (tmp_path / "run.partial-0123" / "run").mkdir(parents=True)
    getattr(lazy()[0].hbv, way)(tmp_path / "run")
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("way", WAYS)
def test_links_are_followed_first(way: str, tmp_path: Path) -> None:
    """The link stays, also one that led nowhere, and what it leads to is written or replaced."""
    link, place = tmp_path / "link", tmp_path / "far" / "run"
    link.symlink_to(place)
    for ds in (lazy()[0], lazy(6)[0]):
        assert getattr(ds.hbv, way)(link, overwrite=True) == place
        assert link.is_symlink()
        xr.testing.assert_equal(run(place), ds.compute())
    assert sorted(os.listdir(tmp_path)) == ["far", "link"]


@pytest.mark.parametrize("way", WAYS)
def test_a_relative_path_is_that_of_the_call(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the folder in which a worker, or a later moment, finds itself."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    getattr(meets(lambda: os.chdir(tmp_path / "elsewhere")).hbv, way)("run")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "run"]
    assert os.listdir(tmp_path / "elsewhere") == []


class Named:
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize("way", WAYS)
def test_targets_are_paths_or_refused_before_computing(way: str, tmp_path: Path) -> None:
    """Nothing gets the name of an object, or of a URL."""
    ds, computed = lazy()
    for wrong in ({}, None, b"x", zarr.group()):
        with pytest.raises(TypeError, match="path is a"):
            getattr(ds.hbv, way)(wrong)
    with pytest.raises(StoreError, match=r"URL|nowhere://"):
        getattr(ds.hbv, way)("nowhere://bucket/run")
    for name in ("x" * 250, "x" * 300):
        with pytest.raises(StoreError, match="name too long"):
            getattr(ds.hbv, way)(tmp_path / name)
    assert computed == []
    assert os.listdir(tmp_path) == []
    getattr(ds.hbv, way)(Named(tmp_path / "run"))
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("options", [{}, {"resume": True}])
@pytest.mark.parametrize("way", WAYS)
def test_a_place_that_cannot_be_written_is_told_before_computing(way: str, options: dict[str, Any]) -> None:
    """And nobody claims that something was written."""
    if way == "to_netcdf" and options:
        return
    ds, computed = lazy()
    with pytest.raises(StoreError, match=r"/proc/run could not be written.*Nothing of it is left"):
        getattr(ds.hbv, way)("/proc/run", **options)
    assert computed == []


def test_stores_that_cannot_take_a_run_are_refused_before_computing(tmp_path: Path) -> None:
    """Zip files, and what was opened for reading."""
    ds, computed = lazy()
    with pytest.raises(StoreError, match="zip file"):
        ds.hbv.to_zarr(zarr.storage.ZipStore(tmp_path / "run.zip", mode="w"))
    with pytest.raises(StoreError, match="for reading only"):
        ds.hbv.to_zarr(zarr.storage.MemoryStore(read_only=True))
    assert computed == []


def test_processes_that_do_not_see_the_target_are_told_before_computing() -> None:
    """Each has a memory of its own: all would be computed, and nothing kept."""
    ds, _ = lazy()
    for place in (zarr.storage.MemoryStore(), "memory://of-processes/run.zarr"):
        with (
            dask.config.set(scheduler="processes", num_workers=1),
            pytest.raises(StoreError, match="not to be seen by the processes"),
        ):
            ds.hbv.to_zarr(place)


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_disk_that_is_full_while_days_are_appended(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the store's, the days before are there, and the same call goes on."""
    ds = lazy()[0].compute()
    later = ds.assign_coords(time=ds["time"] + np.timedelta64(30, "D"))
    path, put, calls = ds.hbv.to_zarr(tmp_path / "run.zarr"), atomic.write_file, [0]

    def full(file: Path, data: bytes) -> None:
        calls[0] += 1
        if calls[0] >= at:
            raise OSError(28, "No space left on device")
        put(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_file", full)
        with pytest.raises(StoreError, match=r"run\.zarr could not be written.*No space left"):
            later.hbv.to_zarr(path, append_dim="time")
    xr.testing.assert_equal(run(path), ds)
    later.hbv.to_zarr(path, append_dim="time")
    xr.testing.assert_equal(run(path), xr.concat([ds, later], "time"))


def test_a_full_disk_is_an_error_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NetCDF says so with a RuntimeError, which a block may raise as well."""

    def full(*args: Any, **options: Any) -> None:
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(StoreError, match=r"HDF error; the disk may be full. Nothing of it is left"):
        make_dataset(30)[["prcp"]].hbv.to_netcdf(tmp_path / "run.nc")

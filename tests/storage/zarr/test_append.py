"""Later days are added to a run while others read it; nobody ever sees a part of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    HydroxrError,
    MissingVariableError,
    StoreError,
    TimeAxisError,
)
from hydroxr.storage.zarr import append as zarr_append
from hydroxr.storage.zarr import blocks as zarr_blocks
from tests.support.labelled import make_dataset, make_parameters

STRETCHES = (0, 40, 57, 80, 100)


FEW = ("streamflow", "baseflow", "soil_moisture")
LAZY = {"basin": 2, "time": 13}


def stretches(ds: xr.Dataset, variables: Any = FEW, **chunks: int) -> list[xr.Dataset]:
    """A run in stretches of days, each from the state at the end of the one before."""
    parameters, state, out = make_parameters(ds), None, []
    for first, last in pairwise(STRETCHES):
        part = ds.isel(time=slice(first, last))
        sim, state = (part.chunk(chunks) if chunks else part).hbv.simulate(
            parameters, initial_state=state, variables=variables, return_state=True
        )
        state = state.load()
        out.append(sim)
    return out


@pytest.fixture
def ds() -> xr.Dataset:
    """Five basins, 100 days."""
    return make_dataset(100, 5)


@pytest.fixture
def parts(ds: xr.Dataset) -> list[xr.Dataset]:
    """Four stretches of it, in memory."""
    return stretches(ds)


@cache
def whole_run() -> xr.Dataset:
    """Of ``ds``, in one piece."""
    ds = make_dataset(100, 5)
    return ds.hbv.simulate(make_parameters(ds))


def assert_is_run(found: xr.Dataset, days: int | None = None, **close: float) -> None:
    """``found`` is the first days of one run through all of them."""
    expected = whole_run().isel(time=slice(0, days))
    for name in found.data_vars:
        array = expected[name]
        np.testing.assert_allclose(
            found[name].transpose(*array.dims),
            array,
            err_msg=str(name),
            **(close or {"rtol": 1e-5, "atol": 1e-5}),
        )
    names = "basin_id" if "basin_id" in expected.coords and "basin_id" not in found.coords else "basin"
    np.testing.assert_array_equal(found["basin"], expected[names])
    for name in ("time", "time_bnds", "lat"):
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize(
    ("chunks", "options", "zarr_format"),
    [
        ({}, {}, 3),
        ({}, {"layout": "maps"}, 2),
        ({}, {"shards": True}, 3),
        (LAZY, {}, 2),
        (LAZY, {"layout": "maps"}, 3),
        (LAZY, {"layout": "series"}, 2),
        (LAZY, {"shards": True}, 3),
    ],
)
def test_stretches_are_one_run(
    ds: xr.Dataset, chunks: dict[str, int], options: dict[str, Any], zarr_format: int, tmp_path: Path
) -> None:
    """In memory and lazy, in every layout; closed water balance over all days, checksums whole."""
    first, *later = stretches(ds, FEW if options else None, **chunks)
    path = first.hbv.to_zarr(tmp_path / "run.zarr", zarr_format=zarr_format, **options)
    for part in later:
        assert part.hbv.to_zarr(path, append_dim="time") == path
    opened = hx.open_run(path, verify=True)
    assert_is_run(opened)
    assert_is_run(xr.open_zarr(path, consolidated=False))
    if not options:
        assert float(abs(opened.hbv.water_balance()["residual"]).max()) < 1e-2
    assert opened.attrs["history"].count("appended") == 3


def test_a_repeated_call_adds_nothing(parts: list[xr.Dataset], tmp_path: Path) -> None:
    """The last stretch again is a call whose end was not seen."""
    path = parts[0].hbv.to_zarr(tmp_path / "run.zarr")
    for _ in range(2):
        parts[1].hbv.to_zarr(path, append_dim="time")
    assert_is_run(hx.open_run(path, verify=True), STRETCHES[2])


@pytest.mark.parametrize("chunks", [{}, {"basin": 2}])
def test_a_script_can_be_run_again(ds: xr.Dataset, chunks: dict[str, int], tmp_path: Path) -> None:
    """A longer store that begins with the run is the run; another run is still refused."""
    path = tmp_path / "run.zarr"
    for _ in range(2):
        first, *later = stretches(ds, **chunks)
        first.hbv.to_zarr(path, resume=True)
        for part in later:
            part.hbv.to_zarr(path, append_dim="time")
    assert_is_run(hx.open_run(path, verify=True))
    other = stretches(ds.assign(prcp=(ds["prcp"] * 2).assign_attrs(ds["prcp"].attrs)), **chunks)
    with pytest.raises(StoreError, match=r"not this run.*overwrite=True"):
        other[0].hbv.to_zarr(path, resume=True)
    with pytest.raises(HydroxrError):
        other[1].hbv.to_zarr(path, append_dim="time")


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        ("gap", TimeAxisError, "2000-02-27 follows 2000-02-09"),
        ("overlap", TimeAxisError, "without gap or overlap"),
        ("hole", TimeAxisError, "2000-02-14 follows 2000-02-12"),
        ("cells", CoordinateError, "basin"),
        ("fewer", CoordinateError, "basin"),
        ("model", StoreError, "hydroxr_model"),
        ("variables", MissingVariableError, "baseflow"),
        ("calendar", TimeAxisError, "noleap"),
        ("dimension", DimensionError, "time"),
        ("layout", DescriptionError, "layout"),
    ],
)
def test_what_does_not_continue_is_refused(
    parts: list[xr.Dataset], what: str, error: type[HydroxrError], text: str, tmp_path: Path
) -> None:
    """Before anything is written; the store stays as it is."""
    path = parts[0].hbv.to_zarr(tmp_path / "run.zarr")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "lock"}
    part = parts[1]
    changed = {
        "gap": parts[2],
        "overlap": parts[0].isel(time=slice(5, None)),
        "hole": part.isel(time=[0, 1, 2, 4]),
        "cells": part.assign_coords(basin_id=part["basin_id"].str.upper()),
        "fewer": part.isel(basin=slice(0, 3)),
        "model": part.assign_attrs(hydroxr_model="another"),
        "variables": part.drop_vars("baseflow"),
        "calendar": part.convert_calendar("noleap"),
    }.get(what, part)
    options = {"append_dim": "basin" if what == "dimension" else "time"}
    if what == "layout":
        options["layout"] = "maps"
    with pytest.raises(error, match=text):
        changed.hbv.to_zarr(path, **options)
    after = {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "lock"}
    assert after == before


def test_there_must_be_a_complete_run(parts: list[xr.Dataset], tmp_path: Path) -> None:
    """Not nothing, and no store of another program."""
    parts[0].drop_encoding().to_zarr(tmp_path / "other.zarr", zarr_format=2)
    for name in ("nothing.zarr", "other.zarr"):
        with pytest.raises(StoreError, match="not a complete store"):
            parts[1].hbv.to_zarr(tmp_path / name, append_dim="time")


# --- Ended in the middle --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, xr.Dataset]]:
    """A run of two stretches, whose last chunk in time is not full, and the third: lazy, and in memory."""
    folder, made = tmp_path_factory.mktemp("begun"), {}
    for kind, chunks in (("lazy", {"basin": 2}), ("in memory", {})):
        first, second, third, _ = stretches(make_dataset(100, 5), **chunks)
        path = first.hbv.to_zarr(folder / kind)
        second.hbv.to_zarr(path, append_dim="time")
        made[kind] = (path, third)
    return made


@pytest.mark.parametrize(
    ("kind", "at"), [*(("lazy", at) for at in range(1, 18, 2)), *(("in memory", at) for at in range(2, 9, 2))]
)
def test_an_append_that_was_ended_is_finished_by_its_repetition(
    begun: dict[str, tuple[Path, xr.Dataset]],
    kind: str,
    at: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever step is the last: readers have the days before or all, with all checksums right; then all."""
    path, third = Path(shutil.copytree(begun[kind][0], tmp_path / "run.zarr")), begun[kind][1]
    put, calls = zarr_blocks.Place.put, [0]

    def end(self: Any, values: Any) -> None:
        calls[0] += 1
        if calls[0] >= at:
            if self.folder is not None and len(values) > 1:  # half of it is there
                put(self, dict(list(values.items())[: len(values) // 2]))
            raise KeyboardInterrupt
        put(self, values)

    with monkeypatch.context() as patch:
        patch.setattr(zarr_append.Place, "put", end)
        try:
            third.hbv.to_zarr(path, append_dim="time")
        except KeyboardInterrupt:
            pass
        else:
            assert calls[0] < at  # there are fewer steps
    found = hx.open_run(path, verify=True)
    assert found.sizes["time"] in (STRETCHES[2], STRETCHES[3])
    assert_is_run(found, found.sizes["time"])
    third.hbv.to_zarr(path, append_dim="time")
    assert_is_run(hx.open_run(path, verify=True), STRETCHES[3])
    assert not list((path / ".hydroxr").glob("write-*"))


def test_other_days_may_follow_an_append_that_was_ended(
    parts: list[xr.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up where another stretch is appended instead; its chunks do no harm."""
    path = parts[0].hbv.to_zarr(tmp_path / "run.zarr")

    def fail(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zarr_append, "publish", fail)
        with pytest.raises(KeyboardInterrupt):
            parts[1].hbv.to_zarr(path, append_dim="time")
    parts[1].isel(time=slice(0, 5)).hbv.to_zarr(path, append_dim="time")
    assert_is_run(hx.open_run(path, verify=True), STRETCHES[1] + 5)
    parts[1].isel(time=slice(5, None)).hbv.to_zarr(path, append_dim="time")
    assert_is_run(hx.open_run(path, verify=True), STRETCHES[2])


# --- Readers --------------------------------------------------------------------------------------

READER = """
    import sys, time
    import numpy as np
    import xarray as xr
    ends, seen, loops = {40, 57, 80, 100}, set(), 0
    expected = np.load(sys.argv[2])
    began = time.monotonic()
    print("reading", flush=True)
    while 100 not in seen and time.monotonic() - began < 120:
        run = xr.open_zarr(sys.argv[1], chunks=None)
        days = run.sizes["time"]
        assert days in ends, days
        for name in ("time", "time_bnds", "streamflow", "baseflow", "soil_moisture"):
            assert run[name].sizes["time"] == days
            assert not run[name].isnull().any(), (name, days)
        assert (np.diff(run["time"].values) == np.timedelta64(1, "D")).all()
        flow = run["streamflow"].transpose("basin", "time")
        np.testing.assert_allclose(flow, expected[:, :days], atol=1e-5)
        seen.add(days)
        loops += 1
    print(loops, sorted(seen), [name for name in ("hydroxr", "torch") if name in sys.modules])
"""


def test_a_reader_never_sees_a_part_of_what_is_appended(parts: list[xr.Dataset], tmp_path: Path) -> None:
    """Another process with xarray alone reads in a loop while three stretches are added."""
    path = parts[0].hbv.to_zarr(tmp_path / "run.zarr")
    flow = whole_run()["streamflow"].transpose("basin", "time")
    flow_file = str(tmp_path / "flow.npy")
    np.save(flow_file, flow.values)
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        textwrap.dedent(READER),
        str(path),
        str(tmp_path / "flow.npy"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        for part in parts[1:]:
            part.hbv.to_zarr(path, append_dim="time")
        out, errors = reader.communicate(timeout=150)
    assert reader.returncode == 0, errors
    assert int(out.split()[0]) >= 1
    assert out.strip().endswith("100] []")


DAY = np.timedelta64(1, "D")
ALONG_TIME: dict[str, Any] = {
    "dates": np.datetime64("1999-12-31", "ns") + np.arange(100) * DAY,
    "microseconds": np.datetime64("2000-01-01", "us") + np.arange(100) * np.timedelta64(86_400_000_001, "us"),
    "lengths": (np.arange(100) * DAY).astype("timedelta64[s]"),
    "cftime": xr.date_range("2001-03-01", periods=100, calendar="noleap", use_cftime=True).values,
    "bool": np.arange(100) % 3 == 0,
    "text": np.array(["1"] * 57 + ["a longer one"] * 43),
    "small": np.arange(100, dtype="int8"),
}


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_everything_along_time_is_in_the_encoding_of_the_store(
    ds: xr.Dataset, zarr_format: int, tmp_path: Path
) -> None:
    """Coordinates of every type, and data that are dates, read back as they were given."""
    ds = ds.assign_coords({name: ("time", values) for name, values in ALONG_TIME.items()})
    parts = [part.assign(date=part["dates"].reset_coords(drop=True)) for part in stretches(ds)[:3]]
    path = parts[0].hbv.to_zarr(tmp_path / "run.zarr", zarr_format=zarr_format)
    for part in parts[1:]:
        part.hbv.to_zarr(path, append_dim="time")
    found = hx.open_run(path, verify=True)
    for name, values in {**ALONG_TIME, "date": ALONG_TIME["dates"]}.items():
        np.testing.assert_array_equal(found[name].values, values[:80], err_msg=name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dates", ALONG_TIME["microseconds"]),  # the store has whole days
        ("dates", ALONG_TIME["cftime"]),
        ("lengths", ALONG_TIME["lengths"] + np.timedelta64(1, "s")),
        ("small", np.arange(100) + 200),
        ("small", np.arange(100) / 2),
        ("small", ALONG_TIME["dates"]),
        ("bool", np.arange(100)),
    ],
)
def test_what_the_encoding_of_the_store_cannot_express_is_refused(
    ds: xr.Dataset, name: str, values: np.ndarray, tmp_path: Path
) -> None:
    """By name, and the store is as it was."""
    ds = ds.assign_coords({each: ("time", array) for each, array in ALONG_TIME.items()})
    first, later, *_ = stretches(ds)
    path = first.hbv.to_zarr(tmp_path / "run.zarr")
    with pytest.raises(CoordinateError, match=f"'{name}' as"):
        later.assign_coords({name: ("time", values[40:57])}).hbv.to_zarr(path, append_dim="time")
    np.testing.assert_array_equal(hx.open_run(path, verify=True)["time"], first["time"])

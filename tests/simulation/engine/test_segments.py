"""What is cut into blocks of cells and segments of days is the run in one piece."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    BlockError,
    DescriptionError,
    MissingForcingError,
    ModelFileError,
    StateError,
    ValueRangeError,
)
from hydroxr.models.ensemble import Ensemble
from hydroxr.models.model import Model
from hydroxr.simulation.engine import block as blocks
from hydroxr.simulation.engine.model_reference import ModelReference
from hydroxr.support.dask_graphs import rechunked
from tests.support.labelled import (
    assert_same_values,
    make_dataset,
    make_parameters,
    raise_if_dask_computes,
    untrained,
    with_extremes,
)

CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order
LADDER = {
    name: dataclasses.replace(spec, hidden=4, components=min(spec.components, 2))
    for name, spec in hx.DeltaHBV.ladder().items()
}
LSTM = hx.LSTMStreamflow(hidden=4, forcing=("prcp", "tmean", "pet"))
ELSEWHERE = ("1990-01-06", "1990-02-14")


def model(name: str, period: tuple[str, str] = ("2000-01-06", "2000-02-14")) -> Any:
    """A model of the ladder, the LSTM, or an ensemble."""
    if name == "ensemble":
        return Ensemble(tuple(untrained(LADDER["dn-bt-gt"], period=period, seed=seed) for seed in (0, 1)))
    return untrained(LSTM if name == "lstm" else LADDER[name], period=period)


def in_segments(ds: xr.Dataset, given: Any, cells: int, days: int, **options: Any) -> Any:
    """Simulated lazily with a state, by one thread, with memory for blocks of so many cells and days."""
    lazy = ds.chunk(basin=cells, time=days)
    with dask.config.set(num_workers=1), raise_if_dask_computes():
        cell_day = lazy.hbv.plan(given, **options).cell_day
        memory = 4.0 * 1.01 * cells * days * cell_day  # a quarter is for a block
        plan = lazy.hbv.plan(given, memory=memory, **options)
        sim, state = lazy.hbv.simulate(given, memory=memory, return_state=True, **options)
    assert len(plan.edges) > 1
    assert sim.chunksizes["time"] == tuple(last - first for first, last in plan.edges)
    return sim, state


@pytest.mark.parametrize("name", [*LADDER, "lstm", "ensemble"])
@pytest.mark.parametrize(
    ("cells", "days", "period"), [(2, 7, ELSEWHERE), (5, 25, ("2000-01-06", "2000-02-14"))]
)
def test_segments_are_one_run(name: str, cells: int, days: int, period: tuple[str, str]) -> None:
    """Every model, inside and outside of its training period: outputs to 1e-5 mm/day, and the state."""
    ds = make_dataset(60, 5)
    given = model(name, period)
    expected, expected_state = ds.hbv.simulate(given, return_state=True)
    sim, state = dask.compute(*in_segments(ds, given, cells, days))
    assert_same_values(sim, expected, **CLOSE)
    assert_same_values(state, expected_state, **CLOSE)


def test_segments_of_given_parameters_are_one_run() -> None:
    """Some of which vary in time, some lack components."""
    ds = make_dataset(50, 4)
    parameters = make_parameters(ds, dynamic=("BETA",))
    parameters["K1"] = parameters["K1"].isel(component=0, drop=True)
    expected, expected_state = ds.hbv.simulate(parameters, return_state=True)
    sim, state = dask.compute(*in_segments(ds, parameters, 2, 11))
    assert_same_values(sim, expected, **CLOSE)
    assert_same_values(state, expected_state, **CLOSE)


@pytest.mark.parametrize("name", [*LADDER, "lstm", "ensemble"])
@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_a_forecast_from_a_state_on_disk_is_one_run(name: str, way: str, tmp_path: Path) -> None:
    """In segments to the 41st day, the state through a file, and on from there: to 1e-5 mm/day."""
    ds = make_dataset(60, 3)
    given = model(name)
    _, state = in_segments(ds.isel(time=slice(0, 48)), given, 3, 13)
    getattr(state.hbv, way)(tmp_path / "state")
    with xr.open_dataset(tmp_path / "state", engine="zarr" if way == "to_zarr" else "netcdf4") as opened:
        start = opened.load()
    sim = ds.isel(time=slice(48, None)).hbv.simulate(given, initial_state=start)
    expected = ds.hbv.simulate(given).isel(time=slice(48, None))
    assert_same_values(sim.drop_vars("initial_storage", errors="ignore"), expected, **CLOSE)


def test_parameters_are_those_of_one_piece() -> None:
    """Static and dynamic ones, where the parameter window is longer than a segment."""
    ds = make_dataset(60, 4)
    given = model("dn-bt")
    with dask.config.set(num_workers=1):
        from hydroxr.simulation.parameters import parameters

        found = parameters(ds.chunk(basin=2, time=10), given, memory="6kB")
    assert len(found.chunksizes["time"]) > 2
    assert_same_values(found.compute(), ds.hbv.parameters(given), **CLOSE)


def test_gaps_are_filled_across_chunks_of_time() -> None:
    """``missing="fill"`` needs time whole, and takes it: a gap over two chunks is filled as in one piece."""
    ds = make_dataset(50, 4)
    ds["prcp"][1, 8:23] = np.nan
    parameters = make_parameters(ds)
    with dask.config.set(num_workers=1):
        sim = ds.chunk(basin=2, time=10).hbv.simulate(parameters, missing="fill", memory="6kB")
    assert sim.chunksizes["time"] == (50,)
    assert_same_values(sim.compute(), ds.hbv.simulate(parameters, missing="fill"), **CLOSE)


@pytest.mark.parametrize("first", [365, 380, 364])
def test_a_year_without_evaporation_is_refused_however_it_is_cut(first: int) -> None:
    """Hargreaves of equal extremes is 0: refused from a whole year on, which no segment has."""
    ds = with_extremes(make_dataset(420, 2))
    ds["lat"] = ("basin", [40.0, 45.0], {"units": "degrees_north"})
    equal = xr.DataArray(np.arange(420) < first, dims="time") & (ds["basin"] == 20)
    attrs = ds["tmin"].attrs
    for name in ("tmin", "tmax"):
        ds[name] = ds[name].where(~equal, ds["tmean"]).assign_attrs(attrs)
    parameters = make_parameters(ds)
    lazy, _ = in_segments(ds, parameters, 1, 100)
    if first < 365:
        assert_same_values(lazy.compute(), ds.hbv.simulate(parameters), **CLOSE)
        return
    with pytest.raises(ValueRangeError, match="temperatures are equal"):
        ds.hbv.simulate(parameters)
    with pytest.raises(ValueRangeError, match=r"temperatures are equal.*block of basin g1"):
        lazy.compute(scheduler="sync")


def test_chunks_are_merged_by_one_task_a_block() -> None:
    """Values as of dask's own way, along several dimensions, where chunks are whole in the new ones."""
    values = np.arange(7 * 6 * 4).reshape(7, 6, 4)
    lazy = xr.DataArray(da.from_array(values, chunks=(1, 2, 3)), dims=("y", "x", "time"))
    merged = rechunked(lazy, {"y": 3, "x": 4})
    assert merged.chunks == ((3, 3, 1), (4, 2), (3, 1))
    np.testing.assert_array_equal(merged.values, values)
    assert len(merged.data.dask.layers[merged.data.name]) == 3 * 2 * 2
    other = rechunked(lazy, {"x": 3})  # cuts a chunk
    assert other.chunks == lazy.chunk(x=3).chunks
    np.testing.assert_array_equal(other.values, values)
    assert rechunked(lazy, {"x": 2}).data.name == lazy.data.name


# --- The plan -------------------------------------------------------------------------------------


def wide(cells: int, days: int, chunks: tuple[int, int]) -> xr.Dataset:
    """A lazy Dataset of zeros."""
    ds = (
        make_dataset(2, 2)
        .isel(basin=[0] * cells)
        .drop_vars(["basin_id"])
        .assign_coords(basin=np.arange(cells))
    )
    ds = ds.isel(time=[0] * days).assign_coords(
        time=np.datetime64("1980-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    )
    zeros = da.zeros((cells, days), chunks=chunks, dtype="f4")
    return ds.assign({name: (("basin", "time"), zeros, ds[name].attrs) for name in ("prcp", "tmean", "pet")})


def test_a_plan_prints_what_a_run_will_take() -> None:
    """Blocks, segments, bytes, time; by the formula of the module."""
    ds = wide(4000, 730, (4000, 365))
    with dask.config.set(num_workers=1):
        plan = ds.hbv.plan(model("dn"), variables=["streamflow", "runoff"], memory="200MB")
    # three forcings and two outputs of four bytes, each twice; the carry counts little
    assert plan.cell_day == pytest.approx(2 * 4 * 5, rel=0.1)
    assert plan.output_bytes == 4000 * 730 * 2 * 4
    assert plan.block_bytes <= 50e6
    assert plan.peak_bytes >= plan.block_bytes + plan.machine.working
    for word in (
        "blocks",
        "segments",
        "peak memory",
        "output",
        "23.4 MB",
        "time",
        "ns per component and day",
    ):
        assert word in repr(plan)


@pytest.mark.parametrize(
    ("chunks", "memory", "blocks_", "segment"),
    [
        ((300, 1000), "4GB", 4, 1000),  # as the chunks are
        ((1, 1000), "4GB", 4, 1000),  # merged, as long as there are four blocks a thread
        ((1000, 1000), "1MB", 170, 1000),  # split
        ((1000, 100), "16MB", 1, 100),  # segments of whole chunks
        ((100, 100), "16MB", 10, 1000),  # time whole where it fits
    ],
)
def test_chunks_make_the_plan(chunks: tuple[int, int], memory: str, blocks_: int, segment: int) -> None:
    """Chunks of the input are merged, split or kept; segments only where time does not fit whole."""
    ds = wide(1000, 1000, chunks)
    with dask.config.set(num_workers=1):
        plan = ds.hbv.plan(make_parameters(ds), variables=["runoff"], memory=memory)
    assert plan.blocks == pytest.approx(blocks_, rel=0.25)
    assert plan.segment == segment
    assert plan.block_bytes <= plan.machine.block


def test_a_grid_is_cut_in_its_dimensions() -> None:
    """Rows first."""
    ds = hx.virtual_continent(years=1, shape=(30, 40), chunks={"lat": 30, "lon": 40})
    with dask.config.set(num_workers=1):
        plan = ds.hbv.plan(make_parameters(ds), memory="40MB")
    assert plan.block["lon"] == 40
    assert plan.block["lat"] < 30
    assert plan.blocks == -(-30 // plan.block["lat"])


def test_an_ensemble_needs_room_for_its_members() -> None:
    """Their outputs wait for the mean; simulated in the blocks that the plan says."""
    ds = wide(600, 60, (600, 60))
    options = {"variables": ["streamflow", "runoff"], "memory": "1.2MB"}
    with dask.config.set(num_workers=1):
        one = ds.hbv.plan(model("dn-bt-gt"), **options)
        several = ds.hbv.plan(model("ensemble"), **options)
        sim = ds.hbv.simulate(model("ensemble"), **options)
    assert several.cell_day == one.cell_day + 8  # two outputs of four bytes of one member more
    assert several.block["basin"] < one.block["basin"]
    assert sim.chunksizes["basin"][0] == several.block["basin"]


def test_a_plan_refuses_a_state_of_one_model_for_an_ensemble() -> None:
    """As the simulation does."""
    ds = make_dataset(60, 3)
    _, state = ds.isel(time=slice(0, 45)).hbv.simulate(model("dn-bt-gt"), return_state=True)
    later = ds.isel(time=slice(45, None))
    with pytest.raises(StateError, match="no members"):
        later.hbv.plan(model("ensemble"), initial_state=state)


def test_years_that_are_not_alike_take_more_memory() -> None:
    """Segments are all alike for Zarr, so that the rest of a file waits for the next one."""
    alike, leap = wide(1000, 1461, (1000, 365)), wide(1000, 1461, (1000, 365))
    leap = leap.chunk(time=(366, 365, 365, 365))
    elevation = da.zeros(1000, chunks=300)  # a coordinate in chunks of its own is no hindrance
    leap = leap.assign_coords(elevation=("basin", elevation))
    options = {"variables": ["runoff"], "memory": "20MB"}
    with dask.config.set(num_workers=1):
        first, second = (ds.hbv.plan(make_parameters(ds), **options) for ds in (alike, leap))
    assert len(first.edges) > 1
    assert second.cell_day == pytest.approx(first.cell_day + 12)  # three forcings of four bytes
    assert second.block_bytes <= second.machine.block


def test_memory_that_is_no_size_is_refused(ds: xr.Dataset) -> None:
    """With what would be understood."""
    for wrong in ("much", -1, 0):
        with pytest.raises(DescriptionError, match="2GB"):
            ds.hbv.plan(make_parameters(ds), memory=wrong)


# --- What travels ---------------------------------------------------------------------------------


def test_weights_are_not_in_the_graph() -> None:
    """A model a hundred times as wide makes no larger graph; tokens are those of its checksum."""
    ds = make_dataset(30, 4).chunk(basin=1)
    sizes = []
    for hidden in (4, 256):
        given = untrained(
            dataclasses.replace(LADDER["dn"], hidden=hidden), period=("2000-01-01", "2000-01-30")
        )
        sim = ds.hbv.simulate(given, variables=["streamflow"])
        sizes.append(len(pickle.dumps(dict(sim["streamflow"].data.dask))))
        again = ds.hbv.simulate(pickle.loads(pickle.dumps(given)), variables=["streamflow"])
        assert again["streamflow"].data.name == sim["streamflow"].data.name
    assert abs(sizes[1] - sizes[0]) < 10_000


def test_a_reference_finds_its_model(tmp_path: Path) -> None:
    """Through a folder of its own if the model was fitted, through the model's if it was read; a worker that
    does not see it says what to do."""
    fitted = model("dn")
    with dask.config.set({"temporary-directory": str(tmp_path / "cache")}):
        reference = pickle.loads(pickle.dumps(ModelReference(fitted)))
        assert reference == ModelReference(fitted)
        assert reference.model() == fitted
        assert [path.name for path in (tmp_path / "cache").glob("*/*")] == [fitted.hash]
    read = hx.load_model(fitted.save(tmp_path / "saved"))
    assert isinstance(read, Model)
    assert pickle.loads(pickle.dumps(ModelReference(read)))._path == str((tmp_path / "saved").resolve())
    other = dataclasses.replace(read, weights={k: v + 1 for k, v in read.weights.items()})
    with dask.config.set({"temporary-directory": str(tmp_path / "other")}):
        lost = pickle.loads(pickle.dumps(ModelReference(other)))  # the folder has another model
    for file in (tmp_path / "other").glob("*/*/*"):
        file.unlink()
    with pytest.raises(ModelFileError, match=r"all workers see.*temporary-directory"):
        lost.model()


def test_a_reference_looks_at_its_model_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tasks have it; what is damaged in the cache is replaced and leaves nothing behind."""
    fitted = model("dn")
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        reference = ModelReference(fitted)
        pickle.dumps(reference)
        with monkeypatch.context() as patched:
            patched.setattr(
                "hydroxr.simulation.engine.model_reference._folder_of",
                lambda *given: pytest.fail("read again"),
            )
            pickle.dumps(reference)
        (folder,) = tmp_path.glob("*/*")
        weights = folder / "weights.safetensors"
        sound = weights.read_bytes()
        weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        for _ in range(2):
            assert pickle.loads(pickle.dumps(ModelReference(fitted)))._read() == fitted
        described = folder / "model.json"  # as another version would have written it
        described.write_text(described.read_text(encoding="utf-8").replace("json_sha256", "checksum"))
        assert pickle.loads(pickle.dumps(ModelReference(fitted)))._read() == fitted
        assert [path.name for path in tmp_path.glob("*/*")] == [fitted.hash]


def test_threads_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each of dask's threads torch uses one, and afterwards as many as before."""
    seen = []
    real = blocks._run_piece

    def recorded(*args: Any) -> Any:
        main = threading.current_thread() is threading.main_thread()
        seen.append((main, torch.get_num_threads()))
        return real(*args)

    monkeypatch.setattr(blocks, "_run_piece", recorded)
    before = torch.get_num_threads()
    ds = make_dataset(60, 4)
    try:
        torch.set_num_threads(2)
        ds.chunk(basin=1).hbv.simulate(model("dn-bt")).compute(scheduler="threads", num_workers=2)
        assert torch.get_num_threads() == 2
        assert len(seen) == 4
        assert set(seen) == {(False, 1)}
        ds.hbv.simulate(model("dn-bt"))
        assert seen[-1] == (True, 2)
    finally:
        torch.set_num_threads(before)


# --- What fails -----------------------------------------------------------------------------------


def test_a_block_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its first and last cell and day, with the cause, whatever that is."""
    ds = make_dataset(40, 6)
    ds["prcp"][4, 25] = np.nan
    parameters = make_parameters(ds)
    with pytest.raises(
        MissingForcingError, match=r"g4 on 2000-01-26.*block of basin g4 to basin g5, 2000-01-01"
    ):
        ds.chunk(basin=2).hbv.simulate(parameters).compute(scheduler="sync")

    def broken(*args: Any) -> Any:
        raise ArithmeticError("of a library")

    monkeypatch.setattr(blocks, "_run_piece", broken)
    ds = make_dataset(40, 6)
    with pytest.raises(
        BlockError, match=r"of basin g. to basin g., 2000-01-01 to 2000-02-09.*ArithmeticError: of a"
    ):
        ds.chunk(basin=2).hbv.simulate(parameters).compute(scheduler="sync")


def test_a_gpu_without_memory_is_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Half the cells at a time, in the end on the CPU, which the log says."""
    ds = make_dataset(40, 5)
    parameters = make_parameters(ds)
    expected = ds.hbv.simulate(parameters)
    real, tried = blocks._run_piece, []

    def small_gpu(given: Any, device: str, job: Any) -> Any:
        cells = len(given["forcing:prcp"])
        tried.append((device, cells))
        if device == "cuda":
            raise torch.OutOfMemoryError("of a GPU")
        return real(given, device, job)

    monkeypatch.setattr(blocks, "_run_piece", small_gpu)
    monkeypatch.setattr(blocks, "_device", lambda name: "cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 10**9))
    assert_same_values(ds.hbv.simulate(parameters), expected, **CLOSE)
    assert tried[:4] == [("cuda", 5), ("cuda", 2), ("cuda", 1), ("cpu", 1)]
    assert "GPU" in caplog.text

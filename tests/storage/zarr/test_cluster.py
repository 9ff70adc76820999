"""On a cluster what blocks need is not read long before they are written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from distributed import Client, get_worker

import hydroxr as hx
from hydroxr.errors import HydroxrWarning, StoreError
from hydroxr.physics import simulation
from hydroxr.storage.zarr import run as zarr_store
from hydroxr.storage.zarr.blocks import BlockWriter
from hydroxr.support.dask_cluster import _Threads
from hydroxr.support.dask_graphs import cluster_client
from tests.support.cluster import ANY_PORT, local_client
from tests.support.labelled import assert_same_values, make_dataset, make_parameters, untrained

SPEC = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm")


class Counted:
    """How many cells were read and not written, at most."""

    def __init__(self) -> None:
        self.lock, self.now, self.most = Lock(), 0, 0

    def add(self, number: int) -> None:
        """Some more."""
        with self.lock:
            self.now += number
            self.most = max(self.most, self.now)

    def start(self) -> None:
        """At nothing."""
        self.now = self.most = 0


COUNTED = Counted()


@pytest.fixture(scope="module")
def worker() -> Iterator[Client]:
    """One of one thread, in this process."""
    with local_client(processes=False) as client:
        yield client


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Counts down where a block is written."""
    COUNTED.start()
    real = BlockWriter.__call__

    def counting(*args: Any) -> None:
        real(*args)
        COUNTED.add(-1)

    monkeypatch.setattr(BlockWriter, "__call__", counting)
    return COUNTED


class Source:
    """An array on a disk, so to speak, of which every reading counts."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, place: Any) -> np.ndarray:
        COUNTED.add(len(range(*place[0].indices(len(self.values)))))
        return self.values[place]


def read_by_block(ds: xr.Dataset, **chunks: int) -> xr.Dataset:
    """Precipitation that counts when it is read, chunk by chunk."""
    prcp = ds["prcp"]
    sizes = [chunks.get(str(dim), size) for dim, size in prcp.sizes.items()]
    lazy = da.from_array(Source(prcp.values), chunks=sizes, name=False, meta=prcp.values[:0, :0])
    return ds.assign(prcp=(prcp.dims, lazy, prcp.attrs))


@pytest.mark.parametrize("number", [16, 64])
def test_reading_does_not_run_ahead(worker: Client, counted: Counted, tmp_path: Path, number: int) -> None:
    """Chunks of four cells, blocks of one: at most two chunks are in hand, however many there are."""
    ds = read_by_block(make_dataset(60, number), basin=4)
    sim = ds.hbv.simulate(untrained(SPEC), variables=["streamflow"], memory="12kB")
    assert (sim.chunksizes["basin"], sim.chunksizes["time"]) == ((1,) * number, (60,))
    sim.hbv.to_zarr(tmp_path / "sim.zarr")
    assert counted.now == 0
    assert 4 <= counted.most <= 8


def test_memory_beyond_the_limit_of_workers_is_a_warning(worker: Client) -> None:
    """dask ends workers that exceed it."""
    ds = make_dataset(30).chunk(basin=1)
    with pytest.warns(HydroxrWarning, match="exceeds the workers' limit"):
        ds.hbv.simulate(make_parameters(ds), variables=["streamflow"], memory="900TB")


def test_segments_are_not_read_ahead(worker: Client, counted: Counted, tmp_path: Path) -> None:
    """Four places are in hand, and at each the segments that are computed and read: eight at most."""
    whole = make_dataset(200, 6)
    parameters = make_parameters(whole)
    ds = read_by_block(whole, basin=1, time=10)
    sim = ds.hbv.simulate(parameters, variables=["streamflow"], memory="2kB")
    assert sim.chunksizes["time"] == (10,) * 20
    sim.hbv.to_zarr(tmp_path / "sim.zarr")
    expected = whole.hbv.simulate(parameters, variables=["streamflow"])
    assert_same_values(xr.open_zarr(tmp_path / "sim.zarr").load(), expected, rtol=1e-6, atol=1e-5)
    assert counted.now == 0
    assert 1 <= counted.most <= 8


def test_a_resumed_run_does_not_read_ahead_what_it_computes_again(
    worker: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 30 segments that are written already: a few at each of the four places."""
    whole = make_dataset(400, 6)
    parameters = make_parameters(whole)
    ds = read_by_block(whole, basin=1, time=10)
    sim = ds.hbv.simulate(parameters, variables=["streamflow"], memory="2kB")
    real_run, real_write = simulation.simulate_tensors, zarr_store.write_blocks
    COUNTED.start()

    def run(*args: Any, **options: Any) -> Any:
        COUNTED.add(-1)
        return real_run(*args, **options)

    def write(ds: xr.Dataset, writer: BlockWriter, todo: Any, **options: Any) -> None:
        time = writer.plan.grid.dims.index("time")
        real_write(ds, writer, [block for block in todo if block[time] >= 30], **options)

    monkeypatch.setattr(simulation, "simulate_tensors", run)
    monkeypatch.setattr(zarr_store, "write_blocks", write)
    with pytest.raises(StoreError, match="lacks 180 of 240 blocks"):
        sim.hbv.to_zarr(tmp_path / "sim.zarr")
    assert COUNTED.now == 0
    assert 1 <= COUNTED.most <= 16


@pytest.mark.parametrize("days", [100, 200])
def test_chains_that_read_the_same_go_side_by_side(
    worker: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Chunks of six cells, blocks of one: few chunks wait for the last cell, however many days there are."""
    COUNTED.start()
    real = simulation.simulate_tensors

    def run(*args: Any, **options: Any) -> Any:
        COUNTED.add(-1)
        return real(*args, **options)

    monkeypatch.setattr(simulation, "simulate_tensors", run)
    whole = make_dataset(days, 6)
    ds = read_by_block(whole, basin=6, time=10)
    sim = ds.hbv.simulate(make_parameters(whole), variables=["streamflow"], memory="2kB")
    assert (len(sim.chunksizes["basin"]), len(sim.chunksizes["time"])) == (6, days // 10)
    sim.hbv.to_zarr(tmp_path / "sim.zarr")
    assert COUNTED.now == 0
    assert 6 <= COUNTED.most <= 30


def test_earlier_blocks_have_priority(
    worker: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler ranks a write by its block, and what it needs by the first block that needs it."""
    found: dict[int, tuple[float, set[float]]] = {}
    real = BlockWriter.__call__

    def looking(writer: BlockWriter, block: tuple[int, ...], values: Any) -> None:
        # Other tasks tell nothing: the scheduler may not know yet that the last block is done.
        task = worker.cluster.scheduler.tasks[get_worker().get_current_task()]
        found[block[0]] = task.priority[0], {needed.priority[0] for needed in task.dependencies}
        real(writer, block, values)

    monkeypatch.setattr(BlockWriter, "__call__", looking)
    ds = make_dataset(60, 8).chunk(basin=4)
    sim = ds.hbv.simulate(untrained(SPEC), variables=["streamflow"], memory="12kB")
    sim.hbv.to_zarr(tmp_path / "sim.zarr")
    assert len(found) == 8
    assert all(own == block for block, (own, _) in found.items())
    assert all(needed and max(needed) <= block for block, (_, needed) in found.items())


@pytest.mark.parametrize("persisted", ["forcing", "simulation", "both and more"])
def test_what_a_cluster_has_is_not_waited_for(worker: Client, tmp_path: Path, persisted: str) -> None:
    """Datasets that were persisted, and what is derived from them."""
    ds = make_dataset(60, 8).chunk(basin=4, time=30)
    ds = ds if persisted == "simulation" else ds.persist()
    sim = ds.hbv.simulate(untrained(SPEC), variables=["streamflow"], memory="12kB")
    sim = sim if persisted == "forcing" else sim.persist()
    if persisted == "both and more":
        sim["runoff"] = (2 * sim["streamflow"] - sim["streamflow"].mean("time")).assign_attrs(units="mm")
    sim.hbv.to_zarr(tmp_path / "sim.zarr")
    assert_same_values(xr.open_zarr(tmp_path / "sim.zarr").load(), sim.compute())


def test_writes_do_not_share_their_turns(
    worker: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of the same Dataset at once: where one of them fails, the other is written."""
    ds = make_dataset(60, 8).chunk(basin=4)
    sim = ds.hbv.simulate(untrained(SPEC), variables=["streamflow"], memory="12kB")
    real = BlockWriter.__call__
    begun = Event()

    def failing(writer: BlockWriter, block: tuple[int, ...], values: Any) -> None:
        begun.set()
        if "first" in writer.place.name and block == (3,):
            raise OSError("this disk is full")
        time.sleep(0.1)
        real(writer, block, values)

    monkeypatch.setattr(BlockWriter, "__call__", failing)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(sim.hbv.to_zarr, tmp_path / "first.zarr")
        assert begun.wait(60)
        second = pool.submit(sim.hbv.to_zarr, tmp_path / "second.zarr")
        with pytest.raises(StoreError, match="this disk is full"):
            first.result()
        second.result()
    assert_same_values(xr.open_zarr(tmp_path / "second.zarr").load(), sim.compute())
    assert "Detected different" not in caplog.text


def test_an_asynchronous_client_hinders_no_plan() -> None:
    """Nor the description of a run, which computes nothing yet."""

    async def describe() -> None:
        options = {"n_workers": 1, "processes": False, "dashboard_address": ANY_PORT}
        async with Client(asynchronous=True, **options):
            assert cluster_client() is None
            ds = make_dataset(60, 8).chunk(basin=4)
            ds.hbv.simulate(untrained(SPEC), variables=["streamflow"])

    asyncio.run(describe())


def test_workers_that_come_later_get_blocks() -> None:
    """The number of blocks in hand grows with the cluster."""
    with local_client(processes=False) as client:
        threads = _Threads(client)
        assert threads.number == 1
        client.cluster.scale(3)
        assert _Threads(client).number == 3  # planned
        client.wait_for_workers(3, timeout=60)
        threads._asked = 0
        assert threads.number == 3

"""On a cluster what blocks need is not read long before they are written."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from distributed import Client, LocalCluster

import hydroxr as hx
from hydroxr.errors import StoreError
from hydroxr.physics import simulation
from hydroxr.storage.zarr import run as zarr_store
from hydroxr.storage.zarr.blocks import BlockWriter
from hydroxr.storage.zarr.turns import lanes_of, take_turns
from hydroxr.support.dask_graphs import cluster_client
from tests.support.labelled import assert_same_values, make_dataset, make_parameters, untrained

SPEC = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",))
Graph = dict[Any, GraphNode]


def graph_of(needs: dict[str, list[str]]) -> Graph:
    """Tasks by the names of what they need; what needs nothing but "given" reads."""
    tasks: Graph = {key: Task(key, max, *(TaskRef(each) for each in of)) for key, of in needs.items()}
    return tasks | {"given": DataNode("given", 1)}


def before(graph: Graph, key: Any) -> set[Any]:
    """All that must have ended before a task can begin."""
    found: set[Any] = set()
    left = [key]
    while left:
        new = set(graph[left.pop()].dependencies) - found
        found |= new
        left.extend(new)
    return found


def test_reading_waits_for_an_earlier_block() -> None:
    """With three lanes the first three blocks wait for nobody, the others for the one three before them."""
    needs = {f"read{n}": ["given"] for n in range(8)} | {f"write{n}": [f"read{n}"] for n in range(8)}
    graph, priority = take_turns(graph_of(needs), [[f"write{n}"] for n in range(8)], 3)
    for n in range(8):
        waits_for = [m for m in range(8) if f"write{m}" in before(graph, f"read{n}")]
        assert waits_for == list(range(n % 3, n, 3))
        assert priority(f"read{n}") == priority(f"write{n}") == -n
    assert graph_of(needs).keys() == graph.keys()


def test_what_is_shared_is_read_for_the_first() -> None:
    """It waits for what its first user may wait for, else nobody could go on."""
    needs = {"read": ["given"]} | {f"write{n}": ["read"] for n in range(4)}
    graph, _ = take_turns(graph_of(needs), [[f"write{n}"] for n in range(4)], 1)
    assert before(graph, "read") == {"given"}


def test_a_chain_is_in_one_lane() -> None:
    """What needs the block before it runs after it anyway; it reads one block ahead."""
    needs = {f"read{c}{n}": ["given"] for c in "ab" for n in range(5)}
    needs |= {
        f"run{c}{n}": [f"read{c}{n}", *([f"run{c}{n - 1}"] if n else [])] for c in "ab" for n in range(5)
    }
    needs |= {f"write{c}{n}": [f"run{c}{n}"] for c in "ab" for n in range(5)}
    chains = [[f"write{c}{n}" for n in range(5)] for c in "ab"]
    graph, _ = take_turns(graph_of(needs), chains, 1)
    assert "writea1" in before(graph, "reada3")
    assert "writea2" not in before(graph, "reada3")
    assert "writea4" in before(graph, "readb0")
    graph, _ = take_turns(graph_of(needs), chains, 2)
    assert not [key for key in before(graph, "writeb4") if "a" in key.removeprefix("read")]


def test_what_a_block_computes_once_more_is_read_when_its_turn_comes() -> None:
    """As where a run goes on in the middle of a chain: 20 segments, the last of which is written."""
    needs = {f"read{n}": ["given"] for n in range(20)} | {f"convert{n}": [f"read{n}"] for n in range(20)}
    needs |= {f"run{n}": [f"convert{n}", *([f"run{n - 1}"] if n else [])] for n in range(20)}
    needs |= {"write": ["run19"], "other": ["otherread"], "otherread": ["given"]}
    graph, _ = take_turns(graph_of(needs), [["other"], ["write"]], 1)
    for n in range(6, 20):
        assert f"run{n - 6}" in before(graph, f"read{n}")
        assert f"run{n - 3}" not in before(graph, f"read{n}")
    assert all("other" in before(graph, f"read{n}") for n in range(20))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_waits_for_itself(seed: int) -> None:
    """Whatever needs what: all can be done in some order, and what was needed still is."""
    random = np.random.default_rng(seed)
    needs: dict[str, list[str]] = {}
    for n in range(90):  # three long ways with some links
        of = {f"task{n - 3}"} if n > 2 and random.random() < 0.9 else set()
        if n and random.random() < 0.15:
            of.add(f"task{random.integers(0, n)}")
        needs[f"task{n}"] = sorted(of) or ["given"]
    blocks = [f"task{n}" for n in sorted(random.choice(90, 8, replace=False))]
    needs |= {f"write-{name}": [name] for name in blocks}
    chains = [[f"write-{name}" for name in blocks[first : first + 4]] for first in (0, 4)]
    graph, _ = take_turns(graph_of(needs), chains, int(random.integers(1, 4)))
    order = list(TopologicalSorter({key: node.dependencies for key, node in graph.items()}).static_order())
    assert set(order) == set(needs) | {"given"}
    assert all(set(of) <= graph[key].dependencies for key, of in needs.items() if of != ["given"])


def test_chains_that_read_the_same_are_in_hand_together() -> None:
    """All six of a chunk; those of the next one wait until one is done that was before them."""
    needs: dict[str, list[str]] = {}
    for chain in range(12):
        for n in range(4):
            needs[f"shared{chain // 6}{n}"] = needs[f"own{chain}.{n}"] = ["given"]
            of = [f"shared{chain // 6}{n}", f"own{chain}.{n}", *([f"write{chain}.{n - 1}"] if n else [])]
            needs[f"write{chain}.{n}"] = of
    chains = [[f"write{chain}.{n}" for n in range(4)] for chain in range(12)]
    graph, priority = take_turns(graph_of(needs), chains, 4)
    for chain in range(6):
        assert not [key for key in before(graph, f"own{chain}.0") if key.startswith("write")]
        assert "write2.3" in before(graph, f"own{chain + 6}.0")
    assert priority("write5.0") > priority("write0.1") > priority("write5.3") > priority("write6.0")
    graph, _ = take_turns(graph_of(needs), chains, 1)
    assert "write0.3" in before(graph, "own5.0")  # five chains at most


def test_what_is_needed_on_two_ways_does_not_wait_for_itself() -> None:
    """Early on the long way, and on another one that joins it later."""
    needs = {"long0": ["given"]} | {f"long{n}": [f"long{n - 1}"] for n in range(1, 12)}
    needs |= {"read": ["given"], "other1": ["read"]}
    needs |= {f"other{n}": [f"other{n - 1}"] for n in range(2, 7)}
    needs["long8"].append("read")
    needs["write"] = ["long11", "other6"]
    graph, _ = take_turns(graph_of(needs), [["write"]], 1)
    assert "long1" in before(graph, "read")
    assert "read" not in before(graph, "read")


def test_blocks_that_share_a_mean_are_no_chain() -> None:
    """They can run side by side, whatever their order in time."""
    needs = {f"read{n}": ["given"] for n in range(6)} | {"mean": [f"read{n}" for n in range(6)]}
    needs |= {f"other{n}": ["given"] for n in range(6)}
    needs |= {f"write{n}": ["mean", f"other{n}"] for n in range(6)}
    graph, _ = take_turns(graph_of(needs), [[f"write{n}" for n in range(6)]], 3)
    assert not [key for key in before(graph, "write3") if "write" in key and key != "write0"]


def test_without_a_limit_nothing_waits() -> None:
    """Nobody knows how many workers will come."""
    needs = {"read0": ["given"], "read1": ["given"], "write0": ["read0"], "write1": ["read1"]}
    graph, _ = take_turns(graph_of(needs), [["write0"], ["write1"]], math.inf)
    assert graph == graph_of(needs)


def test_lanes_are_of_the_workers_that_will_come() -> None:
    """Those of a queue, and of a cluster that grows."""

    def client(workers: int, **cluster: Any) -> Any:
        info = {"workers": {n: {"nthreads": 2} for n in range(workers)}}
        return SimpleNamespace(
            scheduler_info=lambda n_workers: info, cluster=SimpleNamespace(**cluster) if cluster else None
        )

    assert lanes_of(client(3)) == 24
    assert lanes_of(client(3, plan=set(range(10)))) == 80
    assert lanes_of(client(1, plan={0}, _adaptive=SimpleNamespace(maximum=math.inf))) == math.inf
    assert lanes_of(client(0)) == math.inf


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
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
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


def test_segments_are_not_read_ahead(worker: Client, counted: Counted, tmp_path: Path) -> None:
    """Four places are in hand, and at each the segments that are computed and read: eight at most."""
    whole = make_dataset(400, 6)
    parameters = make_parameters(whole)
    ds = read_by_block(whole, basin=1, time=10)
    sim = ds.hbv.simulate(parameters, variables=["streamflow"], memory="2kB")
    assert sim.chunksizes["time"] == (10,) * 40
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


@pytest.mark.parametrize("days", [200, 400])
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
    """The scheduler knows of it: the block, and all that it needs."""
    found: dict[int, set[float]] = {}
    real = BlockWriter.__call__

    def looking(writer: BlockWriter, block: tuple[int, ...], values: Any) -> None:
        tasks = worker.cluster.scheduler.tasks.values()
        found[block[0]] = {task.priority[0] for task in tasks if task.state == "processing"}
        real(writer, block, values)

    monkeypatch.setattr(BlockWriter, "__call__", looking)
    ds = make_dataset(60, 8).chunk(basin=4)
    sim = ds.hbv.simulate(untrained(SPEC), variables=["streamflow"], memory="12kB")
    sim.hbv.to_zarr(tmp_path / "sim.zarr")
    assert all(min(priorities) == block for block, priorities in found.items())
    assert len(found) == 8


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
        options = {"n_workers": 1, "processes": False, "dashboard_address": ":0"}
        async with Client(asynchronous=True, **options):
            assert cluster_client() is None
            ds = make_dataset(60, 8).chunk(basin=4)
            ds.hbv.simulate(untrained(SPEC), variables=["streamflow"])

    asyncio.run(describe())

"""On worker processes: the same results, whatever happens to them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import xarray as xr
from distributed import Client, wait

import hydroxr as hx
from hydroxr.errors import MissingForcingError
from tests.support.cluster import local_client
from tests.support.labelled import assert_same_values, make_dataset, untrained

CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm
SPEC = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two worker processes of one thread."""
    with local_client(2) as client:
        yield client


def slowed() -> None:
    """In a worker: every block takes a while."""
    from hydroxr.simulation.engine import block as blocks

    real = blocks._run

    def slow(*args: Any) -> Any:
        time.sleep(0.2)
        return real(*args)

    blocks._run = slow


def what_is_kept() -> dict[str, int]:
    """In a worker: models that were read, threads of torch."""
    import torch

    from hydroxr.simulation.engine import model_reference as reference

    models = [key for key in reference._kept if key[0] == "model"]
    return {"models": len(models), "threads": torch.get_num_threads()}


def lazy(ds: xr.Dataset, **options: Any) -> xr.Dataset:
    """A run in a block per basin and six segments."""
    return ds.chunk(basin=1, time=10).hbv.simulate(untrained(SPEC), memory="7kB", **options)


def test_a_cluster_is_planned_for(client: Client) -> None:
    """Its workers, threads and memory."""
    plan = make_dataset().chunk(basin=1).hbv.plan(untrained(SPEC))
    assert (plan.machine.workers, plan.machine.threads) == (2, 1)
    assert "cluster" in repr(plan)
    limit = min(worker["memory_limit"] for worker in client.scheduler_info()["workers"].values())
    assert plan.machine.memory == limit


def test_segments_on_workers_are_one_run(client: Client) -> None:
    """Each reads the model once, and torch has one thread in each."""
    ds = make_dataset(60, 6)
    sim = lazy(ds)
    assert len(sim.chunksizes["time"]) > 2
    assert_same_values(sim.compute(), ds.hbv.simulate(untrained(SPEC)), **CLOSE)
    found = client.run(what_is_kept).values()
    assert all(one == {"models": 1, "threads": 1} for one in found)


def test_an_error_of_a_worker_names_the_place(client: Client) -> None:
    """Class and message arrive."""
    ds = make_dataset(60, 4)
    ds["prcp"][2, 33] = float("nan")
    with pytest.raises(MissingForcingError, match=r"2000-02-03.*block of basin g2"):
        lazy(ds, variables=["runoff"]).compute()


def test_a_killed_worker_changes_nothing(client: Client) -> None:
    """SIGKILL in the middle of a run: what it had done is done again."""
    ds = make_dataset(60, 6)
    expected = ds.hbv.simulate(untrained(SPEC))
    client.run(slowed)
    pids = client.run(os.getpid)
    running = client.persist(lazy(ds))
    time.sleep(1.5)
    done = [future.done() for future in client.futures_of(running)]
    assert not all(done)
    os.kill(next(iter(pids.values())), signal.SIGKILL)
    wait(running, timeout=120)
    assert_same_values(running.compute(), expected, **CLOSE)
    assert client.run(os.getpid) != pids

"""Faults on purpose on a cluster: kill -9 of worker processes, and of whole runs, at random moments.

    python tests/faults/cluster_faults.py --workers 10 --runs 10

A run goes from Zarr to Zarr on two worker processes, in blocks of cells and segments of days. Promises: a
worker that is killed changes nothing; what a killed run left is refused or complete, and ``resume=True``
makes of it what an undisturbed run gives, to the last bit. Exits with 1 where one of them is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dask
import xarray as xr
from distributed import Client

import hydroxr as hx
from hydroxr.errors import StoreError
from tests.faults.store_faults import equal
from tests.support.cluster import local_client
from tests.support.labelled import untrained

SPEC = hx.DeltaHBV(components=4, hidden=64, dynamic=("BETA",), network="lstm")
VARIABLES = ("streamflow", "baseflow", "soil_moisture")
PERIOD = ("1980-10-01", "1980-12-31")
READY = "ready"


@dataclass(frozen=True)
class Size:
    """Of a run."""

    cells: int = 240
    years: int = 4
    blocks: int = 12


@contextmanager
def cluster() -> Iterator[Client]:
    """Two worker processes of one thread."""
    # On a busy machine a killed worker needs longer to come back than the 15 s after which it is given up.
    patience = {"distributed.deploy.lost-worker-timeout": "10 minutes"}
    with dask.config.set(patience), local_client(2) as client:
        yield client


def prepare(folder: Path, size: Size) -> None:
    """Forcing with a chunk a year, and a model that nobody has trained."""
    chunks = {"basin": -(-size.cells // size.blocks), "time": 366}
    ds = hx.virtual_continent(cells=size.cells, years=size.years, chunks=chunks)
    ds.drop_vars(["tmin", "tmax"]).hbv.to_zarr(folder / "forcing.zarr")
    untrained(SPEC, period=PERIOD).save(folder / "model")


def simulation(folder: Path) -> xr.Dataset:
    """The run, lazy; its memory makes segments of it."""
    ds = xr.open_zarr(folder / "forcing.zarr")
    model = hx.load_model(folder / "model")
    chunk = ds["prcp"].variable.chunksizes["basin"][0] * 366
    memory = 4.4 * chunk * ds.hbv.plan(model, variables=VARIABLES).cell_day
    return ds.hbv.simulate(model, variables=VARIABLES, memory=memory)


def write(folder: Path, path: Path) -> None:
    """Start the run, or go on with it."""
    simulation(folder).hbv.to_zarr(path, resume=True)


def undisturbed(folder: Path) -> tuple[xr.Dataset, float]:
    """What a run gives, and the seconds that it takes."""
    write(folder, folder / "first.zarr")
    began = time.monotonic()
    write(folder, folder / "whole.zarr")
    seconds = time.monotonic() - began
    return hx.open_run(folder / "whole.zarr", verify=True).load(), seconds


def kill_workers(number: int, folder: Path, client: Client, seed: int) -> Counter[str]:
    """One worker a run."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    expected, seconds = undisturbed(folder)
    path = folder / "run.zarr"
    with ThreadPoolExecutor(1) as thread:
        while counts["killed"] < number:
            shutil.rmtree(path, ignore_errors=True)
            client.wait_for_workers(2, timeout=600)
            pids = sorted(client.run(os.getpid).values())
            running = thread.submit(write, folder, path)
            time.sleep(rng.uniform(0, seconds))
            at_work = not running.done()
            os.kill(rng.choice(pids), signal.SIGKILL)
            try:
                running.result(timeout=600)
            except Exception as error:  # whatever it is, it is not what was promised
                counts[f"BROKEN: ended with {type(error).__name__}: {error}"] += 1
            counts["killed"] += at_work
            counts["killed when all was done"] += not at_work
            same = path.exists() and equal(hx.open_run(path, verify=True).load(), expected)
            counts["the same as undisturbed" if same else "BROKEN: another result"] += 1
    return counts


def kill_run(folder: Path, path: Path, delay: float) -> bool:
    """Start the run in a session of its own and kill all of that; whether it was still at work."""
    command = [sys.executable, __file__, "--folder", str(folder), "--path", str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as child:
        assert child.stdout is not None
        if child.stdout.readline().strip().decode() != READY:
            raise RuntimeError("the run did not start")
        time.sleep(delay)
        at_work = child.poll() is None
        with suppress(ProcessLookupError):  # it has ended, and took its workers with it
            os.killpg(child.pid, signal.SIGKILL)
    return at_work and child.returncode == -signal.SIGKILL


def kill_runs(number: int, folder: Path, seed: int) -> Counter[str]:
    """Client, scheduler and workers at once; the cluster of this process goes on with what they left."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    expected, seconds = undisturbed(folder)
    path = folder / "run.zarr"
    while counts["killed"] < number:
        shutil.rmtree(path, ignore_errors=True)
        killed = kill_run(folder, path, rng.uniform(0, seconds))
        counts["killed"] += killed
        counts["ended before it was killed"] += not killed
        try:
            whole = equal(hx.open_run(path, verify=True).load(), expected)
            counts["complete when killed" if whole else "BROKEN: incomplete, and opens"] += 1
        except StoreError:
            begun = any((folder / name).is_dir() for name in os.listdir(folder) if "run.zarr.partial" in name)
            counts["some of it was there" if begun else "nothing was there yet"] += 1
        write(folder, path)
        same = equal(hx.open_run(path, verify=True).load(), expected)
        counts["resumed: the same as undisturbed" if same else "BROKEN: resumed is another result"] += 1
    counts["BROKEN: litter"] += len([name for name in os.listdir(folder) if ".partial" in name])
    return counts


def child(folder: Path, path: Path) -> None:
    """A run that is going to be killed."""
    with cluster() as client:
        client.run(hx.load_model, str(folder / "model"))  # imports
        print(READY, flush=True)
        write(folder, path)


def main() -> int:
    """Run what is asked for; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Kill worker processes and whole runs.")
    parser.add_argument("--workers", type=int, default=10, help="worker processes that are killed")
    parser.add_argument("--runs", type=int, default=10, help="runs that are killed")
    for name, value in Size().__dict__.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.path is not None:
        child(given.folder, given.path)
        return 0
    broken = 0
    size = Size(given.cells, given.years, given.blocks)
    for name, number in (("workers", given.workers), ("runs", given.runs)):
        if not number:
            continue
        with tempfile.TemporaryDirectory() as text, cluster() as client:
            folder = Path(text)
            prepare(folder, size)
            began = time.monotonic()
            if name == "workers":
                counts = kill_workers(number, folder, client, given.seed)
            else:
                counts = kill_runs(number, folder, given.seed)
            print(f"{name}: {number} killed, {time.monotonic() - began:.0f} s", flush=True)
            for line, count in sorted(counts.items()):
                if count:
                    print(f"  {count:6d}  {line}", flush=True)
                    broken += line.startswith("BROKEN")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

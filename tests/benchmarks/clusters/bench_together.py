"""One process, one process under a client, and two processes that train one model: iterations per second.

    python tests/benchmarks/clusters/bench_together.py [--repeats N] [--iterations N]

Weather and streamflow are random, the batch is the same per process (so that of two is twice that of one),
and every process has one thread. The three take turns, and ratios are of medians, so that other programs slow
all of them alike. On fewer than two free cores two processes are no faster than one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[3]))

import psutil
from dask.distributed import Client

import hydroxr as hx
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset

SPEC = hx.DeltaHBV(dynamic=("BETA", "BETAET"))
BATCH = 50


def rate(ds: Any, iterations: int, **options: Any) -> float:
    """Windows simulated per second; the first iterations, which compile and import, do not count."""
    model = ds.hbv.fit(SPEC, iterations=iterations, progress=False, device="cpu", **options)
    seconds = model.history["seconds"].values
    skipped = max(1, iterations // 5)
    return options["batch"] * (iterations - skipped) / float(seconds[-1] - seconds[skipped - 1])


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=15)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    ds = make_dataset(1100, 120).drop_vars("geol_class_1st")
    rates: dict[str, list[float]] = {"alone": [], "one under a client": [], "two": []}
    with local_client(1) as one, local_client(2) as two:
        clients: dict[str, tuple[Client | None, int]] = {
            "alone": (None, 1),
            "one under a client": (one, 1),
            "two": (two, 2),
        }
        for _ in range(given.repeats):
            for name, (client, number) in clients.items():
                rates[name].append(rate(ds, given.iterations, batch=BATCH * number, client=client))
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in median.items():
        print(f"{name:20}{value:8.1f} windows/s{value / median['alone']:8.2f}")
    print(f"two over one under a client {median['two'] / median['one under a client']:.2f}")
    print(f"load of the machine {psutil.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

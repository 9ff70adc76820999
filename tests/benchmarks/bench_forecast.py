"""Times and memory of assimilation: many basins, an analysis on each day.

    python tests/benchmarks/bench_forecast.py [--data FILE] [--basins N] [--dates N] [--window DAYS]

The data are those of ``hx.open_camels``, or a made-up continent without ``--data``. The model has 16
components and is not trained, which costs the same. All threads of torch are used: OMP_NUM_THREADS sets them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import hydroxr as hx
from tests.support.labelled import make_dataset, untrained

PAPER_BASINS, YEAR = 569, 365


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--model", help="a folder; default: one that is not trained")
    parser.add_argument("--basins", type=int, default=50)
    parser.add_argument("--dates", type=int, default=20)
    parser.add_argument("--window", type=int, default=30)
    parser.add_argument("--iterations", type=int, default=25)
    given = parser.parse_args()
    days = 400 + given.dates
    if given.data is None:
        ds = make_dataset(days, given.basins)
    else:
        ds = hx.open_camels(given.data).isel(basin=slice(given.basins), time=slice(2500, 2500 + days)).load()
    spec = hx.DeltaHBV(network="filters", hidden=64, dynamic=("BETA", "BETAET"))
    model = untrained(spec) if given.model is None else hx.load_model(given.model)
    options = {"window": given.window, "iterations": given.iterations}
    ds.hbv.assimilate(model, init=ds["time"][400:401], **options)  # compiles the kernels
    start, work = time.perf_counter(), time.process_time()
    analysis = ds.hbv.assimilate(model, init=ds["time"][400:], **options)
    wall, cpu = time.perf_counter() - start, time.process_time() - work
    number = given.basins * given.dates
    share = float(np.nanmedian(analysis["cost"] / analysis["cost_of_background"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{given.basins} basins, {given.dates} dates, window of {given.window} days: {number:,} problems")
    print(f"{wall:.1f} s, {cpu:.1f} s of processors, {1e3 * cpu / number:.2f} ms of a processor per problem")
    print(f"peak {peak:.2f} GB; the median cost is {share:.2f} of that without an analysis")
    minutes = PAPER_BASINS * YEAR * cpu / number / 60
    print(f"extrapolated to {PAPER_BASINS} basins and {YEAR} dates: {minutes:.1f} minutes of one processor")


if __name__ == "__main__":
    main()

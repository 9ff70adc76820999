"""Times and memory of routing: the kernel and its adjoint, and a network from Zarr to Zarr.

    python tests/benchmarks/bench_rivers.py [--reaches N] [--years N] [--store FOLDER]

The kernel runs in one thread; times are of its processor, medians of five, per reach and sub-step. With
``--store`` a store of streamflow is made, and then routed to another by two threads of a process of its own,
whose peak of memory is printed, and the time of its processors, which others on the machine change less.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from hydroxr.physics.rivers.routing import Reaches, route
from hydroxr.physics.rivers.scheme import make_scheme
from hydroxr.physics.rivers.topology import routing_order

SHORT = 365  # days of the kernel's series
ROUTED = """
import resource, sys, time
import dask, xarray as xr
import hydroxr as hx
sim = xr.open_zarr(sys.argv[1])
network = hx.RiverNetwork(xr.open_dataset(sys.argv[2], decode_timedelta=False))
start, busy = time.perf_counter(), time.process_time()
with dask.config.set(scheduler="threads", num_workers=2):
    sim.hbv.route(network).hbv.to_zarr(sys.argv[3])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
busy = time.process_time() - busy
print(f"Zarr to Zarr: {time.perf_counter() - start:.1f} s, {busy:.1f} s of processors, {peak:.2f} GB")
"""


def make_network(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions below, K (days) and X of a random network in the order of flow."""
    rng = np.random.default_rng(0)
    places = np.arange(number)
    downstream = np.minimum(places + rng.integers(1, 40, number), number)
    downstream[downstream == number] = -1
    return downstream, rng.uniform(0.03, 0.4, number), rng.uniform(0.0, 0.3, number)


def seconds(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(5):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def bench_kernel(number: int) -> None:
    downstream, k, x = make_network(number)
    scheme = make_scheme("muskingum", k, x, downstream, routing_order(downstream))
    reaches = Reaches.alone(downstream, scheme)
    lateral = torch.from_numpy(np.random.default_rng(1).gamma(0.5, 2.0, (number, SHORT)))
    tensors = (lateral, torch.from_numpy(k), torch.from_numpy(x))
    steps = float((scheme.steps * scheme.sections).sum()) * SHORT
    forward = seconds(lambda: route(*tensors, reaches))
    leaves = [tensor.requires_grad_() for tensor in tensors]

    def both() -> None:
        discharge = route(*leaves, reaches)[0]
        discharge.backward(torch.ones_like(discharge))

    whole = seconds(both)
    print(f"{number} reaches, {SHORT} days, {steps / number / SHORT:.2f} sub-steps per day")
    print(f"forward: {forward:.2f} s, {1e9 * forward / steps:.2f} ns per reach and sub-step")
    print(f"forward and backward: {whole:.2f} s, {whole / forward:.2f} times forward")


def bench_store(number: int, years: int, folder: Path) -> None:
    import dask.array as da
    import pandas as pd
    import xarray as xr

    folder.mkdir(parents=True, exist_ok=True)
    downstream, k, x = make_network(number)
    days = pd.date_range("2000-01-01", periods=round(365.25 * years))
    chunks = (2500, 366)
    flow = da.random.default_rng(2).gamma(0.5, 2.0, (number, len(days)), chunks=chunks).astype("float32")
    sim = xr.Dataset({"streamflow": (("reach", "time"), flow, {"units": "mm/day"})})
    sim.assign_coords(reach=np.arange(number), time=days).to_zarr(folder / "sim.zarr", mode="w")
    columns = {"downstream": ("reach", downstream), "x": ("reach", x)}
    table = xr.Dataset(columns, {"reach": np.arange(number)})
    table["travel_time"] = ("reach", k, {"units": "days"})
    table["area"] = ("reach", np.full(number, 50.0), {"units": "km2"})
    table.to_netcdf(folder / "network.nc")
    paths = [str(folder / name) for name in ("sim.zarr", "network.nc", "routed.zarr")]
    subprocess.run([sys.executable, "-c", ROUTED, *paths], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reaches", type=int, default=100_000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench_kernel(given.reaches)
    if given.store is not None:
        bench_store(given.reaches, given.years, given.store)


if __name__ == "__main__":
    main()

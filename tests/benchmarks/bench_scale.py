"""A continent from Zarr to Zarr: time by part, memory, more cells, more workers, the graph.

    python tests/benchmarks/bench_scale.py [--cells 20000] [--years 10] [--hidden 256] [--window 365]

It prints, in this order: the time to build the graph of 100,000 chunks of one cell; one worker; two workers;
the speed-up of two processes that share nothing, which bounds that of two workers; four times the cells; and
the table of the guide ``continent_arithmetic.md``. Run nothing else meanwhile.

Weather and catchments come from ``hx.virtual_continent``. The model is an untrained δn with 16 components;
its static parameters are read at the end of ``--window`` days. Five outputs are written. Every run starts new
worker processes of one thread each. Timers in them measure the physics, the network, reading and encoding by
Zarr ("codec"), and writing chunks through to the disk ("disk"). The rest is conversion, checks, dask, and
waiting between scheduler and client, which no timer separates. Memory is the peak of a worker process,
libraries included. The input is written once per number of cells, and not timed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from distributed import Client, LocalCluster

import hydroxr as hx
from hydroxr.models.model import Model
from tests.benchmarks import arithmetic
from tests.benchmarks.bench_physics import high_water

TIMERS = ("physics", "network", "codec", "disk")
OUTPUTS = ["streamflow", "evapotranspiration", "snowpack", "soil_moisture", "baseflow"]


def untrained(hidden: int, window: int, ds: xr.Dataset) -> Model:
    """δn with random weights that uses the numeric attributes of ``ds``."""
    from hydroxr.conventions.variables import ATTRIBUTES
    from hydroxr.models.parameter_network import ParameterNetwork

    names = tuple(name for name in ATTRIBUTES if ds[name].dtype.kind == "f")
    spec = hx.DeltaHBV(components=16, hidden=hidden, network="lstm")
    torch.manual_seed(0)
    network = ParameterNetwork(spec, len(names))
    network.set_normalisation(
        torch.tensor([[[0.0, 0.0, 0.0]], [[10.0, 20.0, 5.0]]]),
        torch.from_numpy(ds[list(names)].to_dataarray("attribute").transpose("basin", ...).values),
    )
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    period = [str(day)[:10] for day in ds["time"].values[[0, window - 1]]]
    return Model(spec, weights, names, training={"period": period, "days": window})


def install_timers(dask_worker: Any) -> None:
    """In a worker: sum up the time in physics, network, codec and disk."""
    spent: dict[str, float] = {}
    dask_worker.spent = spent
    import zarr

    from hydroxr.models.parameter_network import ParameterNetwork
    from hydroxr.physics import simulation

    def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def inner(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                spent[what] = spent.get(what, 0.0) + time.perf_counter() - started

        return inner

    from hydroxr.storage.zarr.location import Place

    Place.put = timed("disk", Place.put)
    simulation.simulate_tensors = timed("physics", simulation.simulate_tensors)
    ParameterNetwork.last_parameters = timed("network", ParameterNetwork.last_parameters)
    zarr.Array.__getitem__ = timed("codec", zarr.Array.__getitem__)
    zarr.Array.__setitem__ = timed("codec", zarr.Array.__setitem__)


def what_was_spent(dask_worker: Any) -> dict[str, float]:
    """In a worker: seconds by timer, and its peak memory in GB.

    ``getrusage`` would not do: a process starts with the peak of its parent.
    """
    return {**dask_worker.spent, "peak": high_water() * 1024**2 / 1e9}


def warm_up() -> None:
    """In a worker: import and compile, so that it is not timed."""
    ds = hx.virtual_continent(cells=8, years=1).load()
    ds.hbv.simulate(untrained(8, 100, ds), variables=OUTPUTS)


def alone(seconds: float) -> int:
    """In a worker: how often some cells in memory are simulated in that time."""
    ds = hx.virtual_continent(cells=100, years=2).load()
    model = untrained(256, 365, ds)
    number, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        ds.hbv.simulate(model, variables=OUTPUTS)
        number += 1
    return number


def ceiling(client: Client) -> float:
    """Speed-up of two processes that share nothing."""
    first, second = client.scheduler_info()["workers"]
    one = client.submit(alone, 8.0, workers=first, pure=False).result()
    both = [client.submit(alone, 8.0, workers=each, pure=False) for each in (first, second)]
    return sum(future.result() for future in both) / one


def graph_of_chunks(number: int = 100_000) -> tuple[float, float]:
    """Wall and processor seconds to build the graph of a run with so many chunks of one cell."""
    import dask.array as da

    few = hx.virtual_continent(cells=2, years=10).drop_vars(["tmin", "tmax"]).load()
    model = untrained(256, 365, few)
    series = ["prcp", "tmean", "pet"]
    ds = few.drop_vars(series).isel(basin=np.zeros(number, dtype=int))
    ds = ds.assign_coords(basin=np.arange(number))
    zeros = da.zeros((number, few.sizes["time"]), dtype="f4", chunks=(1, -1))
    ds = ds.assign({name: (few[name].dims, zeros, few[name].attrs) for name in series})
    few.hbv.simulate(model, variables=OUTPUTS)  # imports are not timed
    started, used = time.perf_counter(), time.process_time()
    ds.hbv.simulate(model, variables=OUTPUTS)
    return time.perf_counter() - started, time.process_time() - used


def bytes_of(store: Path) -> int:
    """Bytes on disk."""
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


def forcing(folder: Path, cells: int, given: argparse.Namespace) -> Path:
    """The input, made by processes that end before the timing."""
    source = folder / f"forcing-{cells}.zarr"
    if not source.exists():
        limits = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": given.memory}
        with LocalCluster(dashboard_address=":0", **limits) as cluster, Client(cluster):
            ds = hx.virtual_continent(cells=cells, years=given.years)
            ds.drop_vars(["tmin", "tmax"]).hbv.to_zarr(source)
    return source


def run(folder: Path, cells: int, given: argparse.Namespace, workers: int) -> dict[str, float]:
    """One run: seconds in all, for the graph, by timer (per worker), and peak memory."""
    source = forcing(folder, cells, given)
    limits = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": given.memory}
    with LocalCluster(processes=True, dashboard_address=":0", **limits) as cluster, Client(cluster) as client:
        client.run(warm_up)
        client.run(install_timers)
        ds = xr.open_zarr(source)
        model = untrained(given.hidden, given.window, ds)
        started = time.perf_counter()
        plan = ds.hbv.plan(model, variables=OUTPUTS)
        sim = ds.hbv.simulate(model, variables=OUTPUTS)
        graph = time.perf_counter() - started
        sim.hbv.to_zarr(folder / "sim.zarr")
        wall = time.perf_counter() - started
        found = client.run(what_was_spent).values()
        most = ceiling(client) if workers == 2 else 1.0
    if workers == 1:
        print(plan)
    out = {name: sum(one.get(name, 0.0) for one in found) / workers for name in TIMERS}
    out |= {"wall": wall, "graph": graph, "peak": max(one["peak"] for one in found), "ceiling": most}
    out |= {"forcing_bytes": bytes_of(source), "output_bytes": bytes_of(folder / "sim.zarr")}
    shutil.rmtree(folder / "sim.zarr")
    return out


def tell(what: str, found: dict[str, float]) -> None:
    """Print one run."""
    shares = {name: found[name] / found["wall"] for name in TIMERS}
    parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    asked = sum(shares[name] for name in ("physics", "network", "codec"))
    print(
        f"{what}: {found['wall']:.1f} s, of which {parts}; physics, network and codec {asked:.0%}; "
        f"peak {found['peak']:.2f} GB per worker; graph {found['graph']:.2f} s"
    )


def main() -> None:
    """One worker, two workers, and four times the cells."""
    warnings.filterwarnings("ignore", message="Sending large graph")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--window", type=int, default=365, help="days of the parameter window")
    parser.add_argument("--memory", default="3GB", help="limit of a worker process")
    parser.add_argument(
        "--folder", type=Path, help="folder with 20 GB of space; default: the system's temporary folder"
    )
    parser.add_argument("--skip-more-cells", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-", dir=given.folder))
    try:
        seconds, used = graph_of_chunks()
        print(f"graph of 100,000 chunks of one cell: {seconds:.2f} s, {used:.2f} s of the processor")
        one = run(folder, given.cells, given, workers=1)
        tell(f"{given.cells} cells x {given.years} years, one worker", one)
        two = run(folder, given.cells, given, workers=2)
        tell("two workers", two)
        print(
            f"two workers are {one['wall'] / two['wall']:.2f} times as fast as one; two processes of this "
            f"machine that share nothing do {two['ceiling']:.2f} times as much as one"
        )
        if not given.skip_more_cells:
            more = run(folder, 4 * given.cells, given, workers=1)
            tell("four times the cells, one worker", more)
            print(
                f"four times the cells: time x {more['wall'] / one['wall']:.2f}, "
                f"memory x {more['peak'] / one['peak']:.2f}"
            )
        days = arithmetic.days_of(given.years)
        rates = arithmetic.Rates.of(one, given.cells, days, given.window)
        print(f"\n{arithmetic.table(rates, arithmetic.days_of(15))}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

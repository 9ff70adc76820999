"""A continent from Zarr to Zarr: where the time goes, memory, more cells, more workers, the graph.

    python tests/benchmarks/bench_scale.py [--cells 20000] [--years 10] [--hidden 256] [--window 365]

Weather and catchments are those of ``hx.virtual_continent``; the model is δn with 16 components and static
parameters, whose weights nobody has trained, read at the end of ``--window`` days. Five outputs are
written. Every run has worker processes of its own, of one thread each; three timers in them round the
physics, the network and Zarr's reading and writing; memory is the peak of a worker process, libraries
included. The input is written once for each number of cells, and not timed.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from distributed import Client, LocalCluster

import hydroxr as hx
from hydroxr.model import Model

OUTPUTS = ["streamflow", "evapotranspiration", "snowpack", "soil_moisture", "baseflow"]


def untrained(hidden: int, window: int, ds: xr.Dataset) -> Model:
    """δn with random weights, and the attributes of ``ds`` that are numbers."""
    from hydroxr.learning.network import ParameterNetwork
    from hydroxr.variables import ATTRIBUTES

    names = tuple(name for name in ATTRIBUTES if ds[name].dtype.kind == "f")
    spec = hx.DeltaHBV(components=16, hidden=hidden)
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
    """In a worker: sum up the time in physics, network and codec."""
    spent: dict[str, float] = {}
    dask_worker.spent = spent
    import zarr

    from hydroxr.learning.network import ParameterNetwork
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

    simulation.simulate_tensors = timed("physics", simulation.simulate_tensors)
    ParameterNetwork.last_parameters = timed("network", ParameterNetwork.last_parameters)
    zarr.Array.__getitem__ = timed("codec", zarr.Array.__getitem__)
    zarr.Array.__setitem__ = timed("codec", zarr.Array.__setitem__)


def what_was_spent(dask_worker: Any) -> dict[str, float]:
    """In a worker: what the timers say, and its peak memory in GB."""
    return {**dask_worker.spent, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def warm_up() -> None:
    """In a worker: import and compile what would otherwise be timed."""
    ds = hx.virtual_continent(cells=8, years=1).load()
    ds.hbv.simulate(untrained(8, 100, ds), variables=OUTPUTS)


def run(folder: Path, cells: int, given: argparse.Namespace, workers: int) -> dict[str, float]:
    """One run; seconds of the whole, of the graph, of the timers (a worker), and peak memory."""
    source = folder / f"forcing-{cells}.zarr"
    limits = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": given.memory}
    with LocalCluster(processes=True, dashboard_address=":0", **limits) as cluster, Client(cluster) as client:
        if not source.exists():
            ds = hx.virtual_continent(cells=cells, years=given.years)
            ds.drop_vars(["tmin", "tmax"]).hbv.to_zarr(source)
            client.restart()
        client.run(warm_up)
        client.run(install_timers)
        ds = xr.open_zarr(source)
        model = untrained(given.hidden, given.window, ds)
        started = time.perf_counter()
        plan = ds.hbv.plan(model, variables=OUTPUTS)
        sim = ds.hbv.simulate(model, variables=OUTPUTS)
        graph = time.perf_counter() - started
        sim.hbv.to_zarr(folder / "sim.zarr", overwrite=True)
        wall = time.perf_counter() - started
        found = client.run(what_was_spent).values()
    if workers == 1:
        print(plan)
    out = {
        name: sum(one.get(name, 0.0) for one in found) / workers for name in ("physics", "network", "codec")
    }
    return {**out, "wall": wall, "graph": graph, "peak": max(one["peak"] for one in found)}


def tell(what: str, found: dict[str, float]) -> None:
    """A line or two of a run."""
    shares = {name: found[name] / found["wall"] for name in ("physics", "network", "codec")}
    parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    print(
        f"{what}: {found['wall']:.1f} s, of which {parts}: {sum(shares.values()):.0%}; "
        f"peak {found['peak']:.2f} GB a worker; graph {found['graph']:.2f} s"
    )


def main() -> None:
    """One worker, the same with four times the cells, and with two workers."""
    warnings.filterwarnings("ignore", message="Sending large graph")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--window", type=int, default=365, help="days of the parameter window")
    parser.add_argument("--memory", default="3GB", help="limit of a worker process")
    parser.add_argument("--skip-more-cells", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-"))
    try:
        one = run(folder, given.cells, given, workers=1)
        tell(f"{given.cells} cells x {given.years} years, one worker", one)
        two = run(folder, given.cells, given, workers=2)
        tell("two workers", two)
        print(f"two workers are {one['wall'] / two['wall']:.2f} times as fast as one")
        if not given.skip_more_cells:
            more = run(folder, 4 * given.cells, given, workers=1)
            tell("four times the cells, one worker", more)
            print(
                f"four times the cells: time x {more['wall'] / one['wall']:.2f}, "
                f"memory x {more['peak'] / one['peak']:.2f}"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

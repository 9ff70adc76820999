"""A continent on a cluster: simulate from Zarr to Zarr with jobs of SLURM.

Run it on the login node or in a small job of its own. It only schedules; the jobs that it submits compute::

    python tutorials/cluster_slurm.py forcing.zarr model run.zarr \\
        --jobs 20 --cores 16 --memory 64GB --queue compute --account hydrology --walltime 04:00:00

With GPUs, one process per GPU (each job has one GPU, and dask-cuda starts the process)::

    python tutorials/cluster_slurm.py forcing.zarr model run.zarr --gpus 8 --memory 32GB --queue gpu

Before that, on any machine: how the run is cut, what it needs, and a trial with a few cells::

    python tutorials/cluster_slurm.py forcing.zarr model run.zarr --local 2 --plan
    python tutorials/cluster_slurm.py forcing.zarr model trial.zarr --local 2 --cells 100

If you have no forcing yet, ``--virtual 20000 10`` writes ``forcing.zarr`` first: 20,000 catchments over 10
years of ``hx.virtual_continent``. All nodes must see forcing, model and result.

If a run ends early, at its walltime for example, give the same command again: finished blocks are kept. Jobs
may come and go meanwhile; another job computes again what a lost one had not written.

Besides hydroxr this needs ``pip install dask-jobqueue``, and for GPUs ``pip install dask-cuda``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import xarray as xr
from distributed import Client, LocalCluster

import hydroxr as hx


def slurm(given: argparse.Namespace) -> Any:
    """Start a cluster with SLURM jobs as workers: one process with one thread per core, or one per GPU."""
    jobqueue = needed("dask_jobqueue", "dask-jobqueue")
    job = {
        "queue": given.queue,
        "account": given.account,
        "walltime": given.walltime,
        "memory": given.memory,  # per job; its processes share it
        "local_directory": given.scratch,
        "job_extra_directives": list(given.directive),
        # Otherwise each process starts as many library threads as there are cores.
        "job_script_prologue": ["export OMP_NUM_THREADS=1", *given.prologue],
    }
    if not given.gpus:
        cluster = jobqueue.SLURMCluster(cores=given.cores, processes=given.cores, **job)
        cluster.scale(jobs=given.jobs)
        return cluster
    needed("dask_cuda", "dask-cuda")
    job["job_extra_directives"] += ["--gpus=1"]
    # The process asks its GPU how much memory is free, and chooses the size of its pieces accordingly.
    cluster = jobqueue.SLURMCluster(
        cores=1, processes=1, job_cpu=given.cores, worker_command="dask_cuda.cli", **job
    )
    cluster.scale(jobs=given.gpus)
    return cluster


def needed(module: str, package: str) -> Any:
    """Import a module that this script needs and hydroxr does not."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        sys.exit(f"This script needs {package}, which is not installed: pip install {package} ({error})")


def run(client: Client, given: argparse.Namespace) -> None:
    """Plan, and simulate from Zarr to Zarr."""
    if given.virtual and not Path(given.forcing).exists():
        cells, years = given.virtual
        hx.virtual_continent(cells=cells, years=years).hbv.to_zarr(given.forcing, resume=True)
    ds = xr.open_zarr(given.forcing)
    if given.cells:
        space = next(dim for dim in ds["prcp"].dims if dim != "time")
        ds = ds.isel({space: slice(0, given.cells)})
    model = hx.load_model(given.model)
    options = {"variables": given.variables, "memory": given.block_memory}
    print(ds.hbv.plan(model, **options), flush=True)
    if given.plan:
        return
    print(f"dashboard: {client.dashboard_link}", flush=True)
    sim = ds.hbv.simulate(model, **options)
    sim.hbv.to_zarr(given.result, resume=True, layout=given.layout)
    print(hx.open_run(given.result), flush=True)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("forcing", help="Zarr store with forcing and attributes")
    parser.add_argument(
        "model", help="folder written by model.save, or the name of a model that comes with hydroxr"
    )
    parser.add_argument("result", help="Zarr store to write")
    what = parser.add_argument_group("what to simulate")
    what.add_argument("--variables", nargs="+", default=["streamflow", "evapotranspiration"])
    what.add_argument("--cells", type=int, help="simulate only the first CELLS of the first dimension")
    what.add_argument("--layout", choices=["series", "maps"], help="chunks for reading time series or maps")
    what.add_argument("--virtual", type=int, nargs=2, metavar=("CELLS", "YEARS"), help="make forcing")
    what.add_argument("--plan", action="store_true", help="print the plan, do not run")
    what.add_argument("--block-memory", help="memory per process, such as 2GB (default: that of the workers)")
    where = parser.add_argument_group("where")
    where.add_argument("--local", type=int, metavar="N", help="N processes on this machine, no SLURM")
    where.add_argument("--jobs", type=int, default=1, help="SLURM jobs (default: %(default)s)")
    where.add_argument("--gpus", type=int, default=0, help="GPUs instead, one job and process per GPU")
    where.add_argument("--cores", type=int, default=8, help="per job (default: %(default)s)")
    where.add_argument("--memory", default="32GB", help="per job (default: %(default)s)")
    where.add_argument("--walltime", default="02:00:00", help="per job (default: %(default)s)")
    where.add_argument("--queue", help="partition")
    where.add_argument("--account")
    where.add_argument("--scratch", help="folder on each node for data that does not fit in memory")
    where.add_argument("--directive", action="append", default=[], help="any other option of sbatch")
    where.add_argument("--prologue", action="append", default=[], help="shell command before a worker starts")
    return parser.parse_args(given)


def main(given: argparse.Namespace) -> None:
    """Start the workers, run, and release them."""
    cluster = LocalCluster(n_workers=given.local, threads_per_worker=1) if given.local else slurm(given)
    with cluster, Client(cluster) as client:
        # The plan asks the workers for their memory: wait for the first one.
        client.wait_for_workers(given.local or 1)
        run(client, given)


if __name__ == "__main__":
    main(arguments())

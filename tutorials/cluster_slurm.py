"""A continent on a real cluster: forcing in Zarr, a model, SLURM; out comes a Zarr store.

On the login node, or in a small job of its own (it only schedules, the jobs that it submits compute)::

    python tutorials/cluster_slurm.py forcing.zarr model run.zarr \\
        --jobs 20 --cores 16 --memory 64GB --queue compute --account hydrology --walltime 04:00:00

GPUs, one process for each: a job has one of them, and dask-cuda starts the process::

    python tutorials/cluster_slurm.py forcing.zarr model run.zarr --gpus 8 --memory 32GB --queue gpu

Before that, on any machine, how the run is cut and what it takes, and a trial of a few cells::

    python tutorials/cluster_slurm.py forcing.zarr model run.zarr --local 2 --plan
    python tutorials/cluster_slurm.py forcing.zarr model trial.zarr --local 2 --cells 100

Where ``forcing.zarr`` is not there, ``--virtual 20000 10`` makes it: so many catchments and years of
``hx.virtual_continent``. Forcing, model and result must lie where all nodes see them.

A run that ended early, by its walltime say, goes on when the same command is given again: finished blocks
are kept. Jobs may come and go meanwhile; what a lost one had not written is computed again by another.

Needed beside hydroxr: ``pip install dask-jobqueue``, for GPUs also ``pip install dask-cuda``.
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
    """A cluster whose workers are jobs of SLURM: a process of one thread for each core, or for each GPU."""
    jobqueue = needed("dask_jobqueue", "dask-jobqueue")
    job = {
        "queue": given.queue,
        "account": given.account,
        "walltime": given.walltime,
        "memory": given.memory,  # of a job: each of its processes gets its share
        "local_directory": given.scratch,
        "job_extra_directives": list(given.directive),
        # Threads of libraries would multiply with the processes.
        "job_script_prologue": ["export OMP_NUM_THREADS=1", *given.prologue],
    }
    if not given.gpus:
        cluster = jobqueue.SLURMCluster(cores=given.cores, processes=given.cores, **job)
        cluster.scale(jobs=given.jobs)
        return cluster
    needed("dask_cuda", "dask-cuda")
    job["job_extra_directives"] += ["--gpus=1"]
    # The process asks its GPU how much memory is free, and sizes what it computes at once by that.
    cluster = jobqueue.SLURMCluster(
        cores=1, processes=1, job_cpu=given.cores, worker_command="dask_cuda.cli", **job
    )
    cluster.scale(jobs=given.gpus)
    return cluster


def needed(module: str, package: str) -> Any:
    """A module that this script needs and hydroxr does not."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        sys.exit(f"This needs {package}, which is not installed: pip install {package} ({error})")


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
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("forcing", help="Zarr store with forcing and attributes")
    parser.add_argument("model", help="folder of model.save, or the name of a model that comes with hydroxr")
    parser.add_argument("result", help="Zarr store to write")
    what = parser.add_argument_group("what to simulate")
    what.add_argument("--variables", nargs="+", default=["streamflow", "evapotranspiration"])
    what.add_argument("--cells", type=int, help="only the first so many (of the first dimension)")
    what.add_argument("--layout", choices=["series", "maps"], help="chunks for reading series, or maps")
    what.add_argument("--virtual", type=int, nargs=2, metavar=("CELLS", "YEARS"))
    what.add_argument("--plan", action="store_true", help="print the plan, do not run")
    what.add_argument("--block-memory", help="of a process, such as 2GB; default: what the workers have")
    where = parser.add_argument_group("where")
    where.add_argument("--local", type=int, metavar="N", help="N processes on this machine, no SLURM")
    where.add_argument("--jobs", type=int, default=1, help="jobs of SLURM (default: %(default)s)")
    where.add_argument("--gpus", type=int, default=0, help="GPUs instead, one job and process for each")
    where.add_argument("--cores", type=int, default=8, help="of a job (default: %(default)s)")
    where.add_argument("--memory", default="32GB", help="of a job (default: %(default)s)")
    where.add_argument("--walltime", default="02:00:00", help="of a job (default: %(default)s)")
    where.add_argument("--queue", help="partition")
    where.add_argument("--account")
    where.add_argument("--scratch", help="folder on each node for what does not fit in memory")
    where.add_argument("--directive", action="append", default=[], help="any other option of sbatch")
    where.add_argument("--prologue", action="append", default=[], help="shell line before a worker starts")
    return parser.parse_args(given)


def main(given: argparse.Namespace) -> None:
    """Start the workers, run, let them go."""
    cluster = LocalCluster(n_workers=given.local, threads_per_worker=1) if given.local else slurm(given)
    with cluster, Client(cluster) as client:
        # The plan asks the workers what memory they have: wait for the first.
        client.wait_for_workers(given.local or 1)
        run(client, given)


if __name__ == "__main__":
    main(arguments())

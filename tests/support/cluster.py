"""A dask cluster on this machine, for tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dask.distributed import Client, LocalCluster

# Without an address of its own (None too) dask takes port 8787, and warns where another test has that.
ANY_PORT = ":0"


@contextmanager
def local_client(workers: int = 1, *, processes: bool = True) -> Iterator[Client]:
    """A client of `workers` with one thread each, in processes of their own or in this one."""
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": processes}
    with LocalCluster(dashboard_address=ANY_PORT, **options) as cluster, Client(cluster) as client:
        yield client

"""How a lazy run is cut into blocks of cells and segments of days, so that it fits in memory.

**The memory.** A worker process has M bytes for T threads: the memory limit and the threads of the
workers of dask's cluster where there is one; else half of this machine's memory (or of what the
container may have) and as many threads as dask uses; or ``memory=`` for each process. A thread may take
``share = M / (2 T)``: the other half is for libraries (some 0.5 GB per process), for results that wait to
be written, and for dask, which begins to move data to disk at 60 %. At most 200 MB and at
most half of this share are working memory, within which a block cuts its cells into pieces.

**The block.** The rest is for what comes in and goes out: each cell-day takes ``b`` bytes, twice those of
the forcing (as it is read, as it is converted) and twice those of the outputs (as they are computed, as
they are compressed); the mean of an ensemble needs the outputs of each other member once more. So a block
may have ``(share - working) / b`` cell-days. Blocks need not be that large: 200 MB are enough, unless
there would be more than 10,000 blocks, whose graph would take long to build.

**Its shape.** Time stays whole where that fits, because then nothing is handed over: chunks of the input
are merged or split in space. Where the input has chunks in time, as an archive with a file a year, and
one of its chunks in space does not fit over all days, the days are cut into segments, some whole chunks
of the input each and all alike. They run in order: each hands its water, the network's state and the
static parameters to the next. So no chunk is read for the sake of others, and memory does not grow with
the years. Segments are all alike, because a Zarr array has chunks of one length: where the files are not
(years of 365 and 366 days), the rest of a file waits for the next segment, which ``b`` counts. Chunks in
space are merged only as long as four blocks a thread are left, and split where there is not one.
``missing="fill"`` looks for the next value however late it comes, and needs time whole.

**The time.** From rates of one thread: see :data:`PHYSICS`, :data:`NETWORK`, :data:`CODEC`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from ...errors import warn
from ...models.specs import DeltaHBV
from ...support.dask_graphs import cluster_client
from ...support.memory import bytes_of, machine_memory, size_text
from .block import BUDGET
from .job import Job, width

PHYSICS = 15e-9  # seconds a component and day
NETWORK = 40e9  # operations a second: multiplications and additions of the LSTM
CODEC = 150e6  # bytes a second, read and written

ENOUGH = 200e6  # bytes of a block
SMALL = 8e6  # bytes of a block that is not worth splitting
MOST = 10_000  # blocks, all segments together
PER_THREAD = 4  # blocks, that threads end at about the same time
LIBRARIES = 0.5e9  # bytes of a process before it has any data


@dataclass(frozen=True)
class Machine:
    """What computes.

    Parameters
    ----------
    memory : float
        Bytes that a process may take.
    threads, workers : int
        Threads of a process; processes.
    found : str
        How messages call it.
    """

    memory: float
    threads: int
    workers: int
    found: str

    @property
    def working(self) -> float:
        """Bytes within which a block cuts its cells into pieces."""
        share = self.memory / (2 * self.threads)
        return min(BUDGET, share / 2)

    @property
    def block(self) -> float:
        """Bytes that the inputs and outputs of a block may take."""
        return self.memory / (2 * self.threads) - self.working


@dataclass(frozen=True)
class Plan:
    """How a run is cut, and what it will take; it prints as a table.

    Parameters
    ----------
    space, block : dict
        Cells by dimension, of all and of one block.
    days, segment : int
        Days of the run, and of one segment.
    machine : Machine
    cell_day : float
        Bytes of inputs and outputs, each twice, a cell and day.
    output_bytes : float
        Of the whole result, before compression.
    seconds : float
        Estimate of the time, by the rates of this module.
    in_memory : bool
        The data are in memory: one call, cells in pieces.
    """

    space: dict[str, int]
    block: dict[str, int]
    days: int
    segment: int
    machine: Machine
    cell_day: float
    output_bytes: float
    seconds: float
    in_memory: bool = False

    @property
    def cells(self) -> int:
        """How many cells the run has."""
        return math.prod(self.space.values())

    @property
    def blocks(self) -> int:
        """In space."""
        return math.prod(-(-size // self.block[dim]) for dim, size in self.space.items())

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """First day and day after the last, of each segment."""
        starts = range(0, self.days, self.segment)
        return tuple((first, min(first + self.segment, self.days)) for first in starts)

    @property
    def block_bytes(self) -> float:
        """Inputs and outputs of a block and segment, each twice."""
        return math.prod(self.block.values()) * self.segment * self.cell_day

    @property
    def peak_bytes(self) -> float:
        """Memory of a process with one block in work and one block to be written for each thread."""
        threads = 1 if self.in_memory else self.machine.threads
        return LIBRARIES + threads * (2 * self.block_bytes + self.machine.working)

    def __repr__(self) -> str:
        shape = " x ".join(f"{size} {dim}" for dim, size in self.block.items()) or "1 cell"
        machine = self.machine
        lines = [
            f"<hydroxr plan: {self.cells:,} cells x {self.days:,} days, {machine.found}>",
            f"  blocks       {self.blocks:,} of {shape}",
            f"  segments     {len(self.edges)} of {self.segment:,} days, in order",
            f"  block        {size_text(self.block_bytes)} of inputs and outputs, "
            f"{size_text(machine.working)} of working memory",
            f"  peak memory  {size_text(self.peak_bytes)} per process with {machine.threads} "
            f"thread{'s' * (machine.threads > 1)} (limit {size_text(machine.memory)})",
            f"  output       {size_text(self.output_bytes)} before compression",
            f"  time         about {_duration(self.seconds)} on "
            f"{machine.threads * machine.workers} thread{'s' * (machine.threads * machine.workers > 1)}, "
            f"at {PHYSICS * 1e9:g} ns per component and day, {NETWORK / 1e9:g} Gflop/s in the network, "
            f"{CODEC / 1e6:g} MB/s read and written",
        ]
        return "\n".join(lines)


def plan_run(
    forcing: Mapping[str, xr.DataArray],
    arrays: Mapping[str, xr.DataArray],
    space: tuple[Any, ...],
    job: Job,
    memory: str | float | None = None,
    together: int = 1,
) -> Plan:
    """Cut a run.

    Parameters
    ----------
    forcing, arrays
        What goes in, of which some may be lazy.
    space : tuple
        Its dimensions.
    job : Job
        Of all days.
    memory : str or float, optional
        Of a process: bytes, or "2GB".
    together : int
        Runs of the same cells whose results wait for each other, as those of members for their mean.

    Raises
    ------
    DescriptionError
        Where ``memory`` is no such thing.
    """
    machine = _machine(memory)
    sizes = {str(dim): forcing["prcp"].sizes[dim] for dim in space}
    days = len(job.days)
    itemsize = 8 if job.dtype == "float64" else 4
    out = sum(itemsize * _numbers(name, job) for name in job.series) + ("forcing_flag" in job.outputs)
    into = sum(array.dtype.itemsize for array in forcing.values())
    into += sum(
        itemsize * job.sizes.get("component", 1) for name, array in arrays.items() if "time" in array.dims
    )
    cell_day = 2.0 * (into + out) + 2.0 * itemsize * (width(job.received) + width(job.carried)) / days
    cell_day += (together - 1) * out
    lazy = [array for array in (*forcing.values(), *arrays.values()) if array.chunks is not None]
    chunks = dict(zip(lazy[0].dims, map(max, lazy[0].chunks or ()), strict=True)) if lazy else {}
    if lazy and len({*lazy[0].variable.chunksizes.get("time", ())[:-1]}) > 1:
        cell_day += into  # a chunk of which the next segment needs the rest
    source = {dim: min(chunks.get(dim, size), size) for dim, size in sizes.items()}
    source_days = chunks.get("time", days)
    block, segment = sizes, days
    if lazy:
        least = days if job.missing == "fill" else 1
        block, segment = _cut(sizes, source, (days, source_days, least), cell_day, machine)
    cells = math.prod(sizes.values())
    return Plan(
        space=sizes,
        block=block,
        days=days,
        segment=segment,
        machine=machine,
        cell_day=cell_day,
        output_bytes=float(cells) * days * out,
        seconds=_seconds(cells, days, into + out, job) / (machine.threads * machine.workers),
        in_memory=not lazy,
    )


def _numbers(name: str, job: Job) -> int:
    return math.prod(job.sizes[dim] for dim in job.output_dims[name] if dim != "time")


def _cut(
    sizes: dict[str, int],
    source: dict[str, int],
    of_time: tuple[int, int, int],
    cell_day: float,
    machine: Machine,
) -> tuple[dict[str, int], int]:
    """Cells of a block by dimension, and days of a segment; see the head of this module.

    ``of_time`` are the days of the run, of a chunk of the input, and of the shortest segment that may be.
    """
    days, source_days, least = of_time
    cells, chunk = math.prod(sizes.values()), math.prod(source.values())
    threads = machine.threads * machine.workers
    bytes_of_block = min(machine.block, max(ENOUGH, cells * days * cell_day / MOST))
    most = bytes_of_block / cell_day  # cell-days
    segment = days
    if chunk * days > most and source_days < days:
        segment = min(days, source_days * max(1, int(most // (chunk * source_days))))
    segment = max(least, min(segment, int(most)))
    fit = max(1, int(most // segment))
    if chunk < fit:  # merge, as long as there are blocks enough
        enough = max(chunk, -(-cells // (PER_THREAD * threads)))
        return _shape(source, sizes, min(fit, enough)), segment
    worth = max(1, int(SMALL / (segment * cell_day)))
    return _shape(source, sizes, min(fit, max(-(-cells // threads), worth))), segment


def _shape(source: dict[str, int], sizes: dict[str, int], cells: int) -> dict[str, int]:
    """Chunks of the input merged, last dimension first, or split, first dimension first, to ``cells``."""
    shape = dict(source)
    for dim in reversed(shape):
        times = cells // math.prod(shape.values())
        shape[dim] = min(sizes[dim], shape[dim] * max(1, times))
    for dim in shape:
        parts = -(-math.prod(shape.values()) // cells)
        if parts > 1:
            shape[dim] = _part(shape[dim], parts)
    return shape


def _part(length: int, parts: int) -> int:
    """About ``length / parts``, if it can be so that ``length`` is a multiple of it."""
    longest = max(1, length // parts)
    for part in range(longest, max(0, longest // 2), -1):
        if length % part == 0:
            return part
    return longest


def _seconds(cells: int, days: int, bytes_of_day: float, job: Job) -> float:
    """How long one thread needs."""
    seconds = cells * days * bytes_of_day / CODEC
    walked = 0
    hidden = 0
    if job.model is not None:
        spec = job.model.description
        hidden = spec.hidden
        walked = job.window[1] - job.window[0] if isinstance(spec, DeltaHBV) else days
        walked += days if isinstance(spec, DeltaHBV) and spec.dynamic else 0
    if job.runs_physics and (job.model is None or isinstance(job.model.description, DeltaHBV)):
        seconds += cells * days * job.sizes.get("component", 1) * PHYSICS
    return seconds + cells * walked * 16 * hidden**2 / NETWORK


def _machine(memory: str | float | None) -> Machine:
    """What dask would compute with now, with ``memory`` for a process where it is given."""
    cluster = _cluster()
    found = cluster or _this_machine()
    if memory is None:
        return found
    number = bytes_of(memory)
    if cluster and number > cluster.memory:  # dask ends workers that exceed their limit
        warn(
            f"memory={memory!r} exceeds the workers' limit of {size_text(cluster.memory)}, and dask ends "
            "those that exceed it; expected that limit at most, or workers with more memory."
        )
    return Machine(number, found.threads, found.workers, found.found)


def _cluster() -> Machine | None:
    """The workers of the cluster that dask would use, if it would use one."""
    client = cluster_client()
    workers = client.scheduler_info(n_workers=-1)["workers"].values() if client is not None else ()
    if not workers:
        return None
    whole = machine_memory()
    smallest = min(workers, key=lambda worker: (worker["memory_limit"] or whole) / worker["nthreads"])
    memory = float(smallest["memory_limit"] or whole / (2 * len(workers)))
    return Machine(memory, smallest["nthreads"], len(workers), f"a cluster of {len(workers)} workers")


def _this_machine() -> Machine:
    """Half of its memory, and dask's threads."""
    import dask
    from dask.system import CPU_COUNT

    scheduler = str(dask.config.get("scheduler", None) or "threads")
    threads = 1 if scheduler.startswith(("sync", "single")) else dask.config.get("num_workers", None)
    return Machine(machine_memory() / 2, int(threads or CPU_COUNT), 1, "this machine")


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.2g} s"

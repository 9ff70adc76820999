"""Read what a training learns from: at once, or in shards where it exceeds the memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ...errors import MemoryLimitError, warn
from ...inputs.resolve import Inputs
from ...models.model import Model
from ...models.specs import RUNNING_MEANS, Spec
from ...support.memory import bytes_of, machine_memory, size_text
from ..pool import IN_FLIGHT, RESIDENT
from ..processes import ALONE, Processes
from .checks import Task, Validation, check_sharing, task_of
from .streamed import streamed_arrays
from .whole import whole_arrays

if TYPE_CHECKING:
    from ..loop.arrays import ShardedData, ShardedValidation, TrainingData, ValidationData
    from ..loop.protocol import Protocol

_NUMBER = 4  # bytes
_SHARE = 4  # of the machine's memory, the part for shards where nobody says how much


def training_arrays(
    inputs: Inputs,
    spec: Spec,
    attributes: Sequence[str] | None,
    time: slice | None,
    protocol: Protocol,
    validation: Validation | None,
    missing: str = "raise",
    start: Model | None = None,
    processes: Processes = ALONE,
    memory: str | float | None = None,
    may_stream: bool = True,
) -> tuple[TrainingData | ShardedData, ValidationData | ShardedValidation | None, Model, pd.Index]:
    """Read and check the arrays that a model learns from and is judged by.

    Of several processes each reads the cells that it owns.

    Parameters
    ----------
    inputs : Inputs
        All days; the daily inputs of ``spec`` and the observed streamflow.
    attributes : sequence of str, optional
        Static inputs of a regional model; default: those of the paper's Table A1.
    time : slice, optional
        The training period.
    validation : slice, DataArray or sequence, optional
        A period, or cells that are not trained on.
    missing : {"raise", "drop"}
        What to do with cells that lack forcing: refuse them, or leave them out.
    start : Model, optional
        The model that the training begins from; its attributes are the default.
    processes : Processes
        Those that train together.
    memory : str or float, optional
        Bytes that the data may take, or "2GB"; default: what is free.
    may_stream : bool
        Whether data that exceed the memory can be read in shards.

    Returns
    -------
    data : TrainingData or ShardedData
    validation : ValidationData, ShardedValidation or None
    model : Model
        Without weights.
    days : Index
        The days of training.

    Raises
    ------
    HydroxrError
        Named for what is wrong with the data.
    """
    task = task_of(inputs, spec, attributes, time, protocol, validation, missing, start)
    check_sharing(memory, processes.together)
    may_stream = may_stream and spec.regional and not processes.together
    if may_stream or memory is not None:
        size = _shard_size(task, memory, may_stream)
        if size is not None:
            return streamed_arrays(task, size)
    return whole_arrays(task, processes)


def _shard_size(task: Task, memory: str | float | None, may_stream: bool) -> int | None:
    """Cells of a shard, or None where all data fit into memory.

    Raises
    ------
    MemoryLimitError
        If the data exceed the memory and cannot be read in shards, or a single cell does not fit.
    """
    import psutil

    cells, days = task.period.cell_count, len(task.period.days)
    numbers = len(task.spec.forcing) + 1
    features = len(task.spec.forcing) + RUNNING_MEANS if _has_features(task.spec) else 0
    # At once: forcing and features three times while these are made, or the data while they are copied.
    all_days = days + (0 if task.later is None else len(task.later.days))
    whole = _NUMBER * cells * all_days * (numbers + max(3 * features, 2 * numbers))
    limit = psutil.virtual_memory().available if memory is None else bytes_of(memory)
    if whole <= limit:
        return None
    what = f"training needs about {size_text(whole)} in memory ({cells} cells, {days} days)"
    if not may_stream:
        raise MemoryLimitError(
            f"{what}, and memory allows {size_text(limit)}; a constant network needs the data of all its "
            "cells at once. Fit groups of cells, ds.isel(...): each cell has parameters of its own."
        )
    budget = min(limit, machine_memory() / _SHARE) if memory is None else limit
    cell = _NUMBER * days * (numbers + features + 0.25)
    size = min(int(budget / (cell * (RESIDENT + IN_FLIGHT))), cells)
    if not size:
        least = size_text(cell * (RESIDENT + IN_FLIGHT))
        raise MemoryLimitError(f"{what}, and at least {least}, of which memory allows {size_text(budget)}.")
    size = _aligned(task.period, size)
    if memory is None:
        warn(
            f"{what}, and {size_text(limit)} are free: {size} cells at a time are read while it goes on. "
            "Which these are depends on the memory of the machine; say memory=... to have the same training "
            "elsewhere."
        )
    return size


def _has_features(spec: Spec) -> bool:
    """Whether a network reads running means of the forcing."""
    return spec.network == "filters" and bool(getattr(spec, "dynamic", ()))


def _aligned(period: Inputs, size: int) -> int:
    """A size of shards of whole chunks, if they are not larger; else a warning."""
    if not period.space:
        return size
    first, array = period.space[0], period.variable("prcp")
    lengths = array.chunksizes.get(first) or (array.encoding.get("preferred_chunks", {}).get(first, 1),)
    chunk = max(lengths) * math.prod(period.ds.sizes[dim] for dim in period.space[1:])
    if chunk <= size:
        return size - size % chunk
    if chunk > 2 * size:
        warn(
            f"chunks of {chunk} cells are read for shards of {size}, so that reading takes {chunk // size} "
            "times as long as it could. Give more memory, or write the data in chunks of fewer cells and "
            f"all days: ds.chunk({first}={size}, time=-1).to_zarr(...)."
        )
    return size

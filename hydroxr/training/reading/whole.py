"""Read all data of a training into memory, and check them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import DescriptionError, MemoryLimitError
from ...inputs.cells import misplaced, series_of
from ...inputs.ranges import forcing_faults, raise_faults, range_faults
from ...inputs.resolve import Inputs
from ...inputs.stated import stated
from ...inputs.time_axis import days_of_year
from ...metrics.records import few_and_flat
from ...models.model import Model
from ..processes import ALONE, Processes
from ..untrained import static_inputs, untrained
from .checks import (
    Task,
    counted_cells,
    refuse_constant_validation,
    refuse_ungauged,
    refuse_unjudged,
    refuse_unobserved_validation,
    that_vary,
    warn_of_lacking,
    warn_of_weak,
)

if TYPE_CHECKING:
    from ..loop.arrays import TrainingData, ValidationData
    from ..loop.protocol import Protocol

_COPIES = 3  # of the training data at once, while they are read


def whole_arrays(
    task: Task, processes: Processes = ALONE
) -> tuple[TrainingData, ValidationData | None, Model, pd.Index]:
    """The arrays of a training; of several processes each reads the cells that it owns."""
    from ..loop.arrays import TrainingData

    period, protocol, missing, held = task.period, task.protocol, task.missing, task.held
    flow, own = _observed_here(period, protocol.warmup, held, processes)
    kept, arrays = checked_forcing(period, flow, own, missing, processes)
    flow, own = flow[:, kept], own[kept]
    trained = ~held[own]
    gauged = np.zeros(period.cell_count, dtype=bool)
    gauged[np.concatenate(processes.gathered(own[trained]))] = True
    refuse_ungauged(gauged)
    _check_share(trained, processes)
    model = untrained(period, task.spec, task.names, gauged, task.start)
    static = static_inputs(period, model)
    data = TrainingData(
        arrays[:, trained],
        static[gauged],
        flow[:, trained],
        tuple(np.asarray(period.cell_names, dtype=object)[gauged]),
        period.ds["time"].values,
        places=(np.cumsum(gauged) - 1)[own[trained]],
    )
    judged: ValidationData | None = None
    if task.later is not None:
        judged = _of_period(task, task.later, own[trained], data, processes)
    elif processes.any(not trained.all()):
        others = ~trained
        cut = (flow[:, others], arrays[:, others], static[own[others]])
        judged = _of_cells(period, *cut, protocol, processes)
    elif task.validation is not None:
        refuse_unjudged(False, task)
    few, flat = processes.of_all(data.own, np.stack(few_and_flat(data.observed)))
    warn_of_weak(few, flat, data.names)
    return data, judged, model, period.days


def _observed_here(
    period: Inputs, warmup: int, held: np.ndarray, processes: Processes
) -> tuple[np.ndarray, np.ndarray]:
    """Streamflow (time, own) of the cells that count and are this process's, and which they are, (own,)."""
    read = processes.split(np.arange(period.cell_count))
    with processes.agreeing():
        _check_memory([*period.forcing.values(), period.observed], processes)
        flow = series_of(period.observed, period.space, read)
    there = np.isfinite(flow)
    late, early = processes.of_all(read, np.stack([there[warmup:].any(axis=0), there.any(axis=0)]))
    cells = np.asarray(period.cell_names, dtype=object)
    counted = counted_cells(late, early, warmup, cells, held)
    parts = [processes.split(np.flatnonzero(counted & group)) for group in (~held, held)]
    own = np.sort(np.concatenate(parts))
    with processes.agreeing():
        if np.isin(own, read).all():
            return flow[:, own - read[0]], own
        return series_of(period.observed, period.space, own), own


def _check_share(trained: np.ndarray, processes: Processes) -> None:
    """Refuse more processes than there are cells to train on."""
    with processes.agreeing():
        if not trained.any():
            raise DescriptionError(
                f"process {processes.rank + 1} of {processes.size} has no cell to train on; use fewer "
                "processes."
            )


def _of_period(
    task: Task, later: Inputs, own: np.ndarray, data: TrainingData, processes: Processes
) -> ValidationData:
    """Validation data: the cells ``own`` that are trained on here, on other days."""
    from ..loop.arrays import ValidationData

    protocol = task.protocol
    with processes.agreeing():
        _check_memory([*later.forcing.values(), later.observed], processes)
        flow = series_of(later.observed, later.space, own)
    flow[: task.uncounted] = np.nan
    refuse_unobserved_validation(processes.any(bool(np.isfinite(flow).any())))
    chosen = np.flatnonzero(_judging(flow, processes))
    kept, arrays = checked_forcing(later, flow[:, chosen], own[chosen], task.missing, processes)
    chosen = chosen[kept]
    refuse_unjudged(processes.any(bool(chosen.size)), task)
    places = data.own[chosen]
    return ValidationData(
        arrays,
        data.attributes[places],
        flow[:, chosen],
        _window(data.forcing, protocol)[:, chosen],
        places,
        days_of_year(later.ds.indexes["time"]),
    )


def _of_cells(
    period: Inputs,
    flow: np.ndarray,
    forcing: np.ndarray,
    static: np.ndarray,
    protocol: Protocol,
    processes: Processes,
) -> ValidationData:
    """Validation data: cells that are not trained on, in the training period."""
    from ..loop.arrays import ValidationData

    flow = flow.copy()
    flow[: protocol.warmup] = np.nan
    chosen = _judging(flow, processes)
    forcing = forcing[:, chosen]
    places = np.full(int(chosen.sum()), -1)
    days = days_of_year(period.ds.indexes["time"])
    return ValidationData(forcing, static[chosen], flow[:, chosen], _window(forcing, protocol), places, days)


def _judging(flow: np.ndarray, processes: Processes) -> np.ndarray:
    """The cells whose streamflow varies, (cell,): others have no NSE to judge by."""
    varies = that_vary(flow)
    refuse_constant_validation(processes.any(bool(varies.any())))
    return varies


def _window(forcing: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The last days of the training period, as many as a window and its warm-up have."""
    return forcing[-(protocol.warmup + protocol.window) :]


def checked_forcing(
    inputs: Inputs,
    flow: np.ndarray,
    places: np.ndarray,
    missing: str,
    processes: Processes = ALONE,
    warn_of: Callable[[list[str]], None] = warn_of_lacking,
) -> tuple[np.ndarray, np.ndarray]:
    """Forcing of the cells at ``places``, after a check of all values; ``flow`` is theirs.

    ``warn_of`` gets the names of cells that are left out.

    Returns
    -------
    kept : array of bool, (cell,)
        False for those that lack forcing, if ``missing`` is "drop".
    forcing : array, (time, kept cell, forcing)
    """
    cells = np.asarray(inputs.cell_names, dtype=object)[places]
    with processes.agreeing():
        arrays = {name: series_of(array, inputs.space, places) for name, array in inputs.forcing.items()}
    kept = np.ones(len(places), dtype=bool)
    if missing == "drop":
        kept = ~np.any([np.isnan(array).any(axis=0) for array in arrays.values()], axis=0)
        lacking = [name for part in processes.gathered(cells[~kept]) for name in part]
        if lacking:
            warn_of(lacking)
        arrays = {name: array[:, kept] for name, array in arrays.items()}
    with processes.agreeing():
        names, times = tuple(cells[kept]), inputs.ds["time"].values
        by_cell = {name: array.T for name, array in arrays.items()}
        as_given = {name: each.of(places[kept]) for name, each in stated(inputs, with_flow=True).items()}
        faults = range_faults("streamflow", flow[:, kept].T, times, names, stated=as_given.get("streamflow"))
        faults |= forcing_faults(
            by_cell, times, names, called=inputs.called, derived=inputs.derived, stated=as_given
        )
        raise_faults(faults.values(), misplaced(inputs.ds, inputs.name("lat")))
    return kept, np.stack(list(arrays.values()), axis=-1)


def _check_memory(arrays: Sequence[xr.DataArray], processes: Processes) -> None:
    import psutil

    needed = sum(4 * array.size for array in arrays) * _COPIES * processes.on_machine / processes.size
    available = psutil.virtual_memory().available
    if needed > available:
        raise MemoryLimitError(
            f"training needs about {needed / 1e9:.1f} GB in memory (forcing and streamflow, "
            f"{arrays[0].sizes['time']} days, "
            f"{arrays[0].size // max(arrays[0].sizes['time'], 1)} cells), and {available / 1e9:.1f} GB are "
            "free. Select fewer days, time=slice(...), or fewer cells, ds.isel(...): those with observed "
            "streamflow are enough. Or share the cells among several machines: client=..."
        )

"""Check the data of a training that exceed the memory, some cells at a time, for reading them again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from ...inputs.cells import series_of
from ...inputs.resolve import Inputs
from ...inputs.time_axis import days_of_year
from ...metrics.records import few_and_flat, variance_facts, variance_of_facts
from ...models.model import Model
from ...support.checksums import sha256
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
from .whole import checked_forcing

if TYPE_CHECKING:
    from ..loop.arrays import ShardedData, ShardedValidation, ValidationData

# Reading in the background keeps to one core, and to this process.
_SCHEDULER = "synchronous"


@dataclass(frozen=True)
class CellReader:
    """Reads forcing (time, cell, forcing) and streamflow (time, cell) of cells by their number.

    Parameters
    ----------
    inputs : Inputs
    places : array of int, (cell,)
        Of each cell in the flattened space.
    """

    inputs: Inputs
    places: np.ndarray

    def __call__(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.forcing(cells), self._series(self.inputs.observed, cells)

    def forcing(self, cells: np.ndarray) -> np.ndarray:
        """Forcing alone."""
        arrays = self.inputs.forcing.values()
        out = np.empty((len(self.inputs.days), len(cells), len(arrays)), dtype="float32")
        for place, array in enumerate(arrays):
            out[..., place] = self._series(array, cells)
        return out

    def _series(self, array: xr.DataArray, cells: np.ndarray) -> np.ndarray:
        return series_of(array, self.inputs.space, self.places[cells], _SCHEDULER)


@dataclass(frozen=True)
class ValidationReader:
    """Reads the validation data of some of the cells that a model is judged by.

    Parameters
    ----------
    read : CellReader
    before : int
        Days at the beginning that do not count.
    window : CellReader, optional
        Of the last days of training, if a network reads them and they are other ones.
    n_window : int
        How many days these are.
    attributes : array, (cell, attribute)
    places : array of int, (cell,)
        Number of each cell among those of the training, -1 if it is none of them.
    """

    read: CellReader
    before: int
    window: CellReader | None
    n_window: int
    attributes: np.ndarray
    places: np.ndarray

    def __call__(self, cells: np.ndarray) -> ValidationData:
        from ..loop.arrays import ValidationData

        forcing, flow = self.read(cells)
        flow[: self.before] = np.nan
        window = forcing[-self.n_window :] if self.window is None else self.window.forcing(cells)
        days = days_of_year(self.read.inputs.days)
        return ValidationData(forcing, self.attributes[cells], flow, window, self.places[cells], days)


@dataclass
class _Survey:
    """What one pass over all cells finds out, (cell,) or (fact, cell)."""

    observed: np.ndarray  # bool: on some day, after the warm-up; on some day
    kept: np.ndarray  # bool: whether no forcing is missing
    windows: np.ndarray  # bool: whether there is a window to learn from
    varies: np.ndarray  # bool: after the days that do not count
    weak: np.ndarray  # bool: few observations, flat ones
    facts: np.ndarray  # see variance_facts
    digests: np.ndarray  # text
    lacking: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, inputs: Inputs, places: np.ndarray, before: int, task: Task, size: int) -> _Survey:
        """Read the cells at ``places``; the first ``before`` days do not count."""
        from ..loop.sampler import observed_windows

        number, protocol = len(places), task.protocol
        out = cls(
            np.zeros((2, number), dtype=bool),
            np.zeros(number, dtype=bool),
            np.zeros(number, dtype=bool),
            np.zeros(number, dtype=bool),
            np.zeros((2, number), dtype=bool),
            np.zeros((4, number)),
            np.full(number, "", dtype=object),
        )
        for first in range(0, number, size):
            here = np.arange(first, min(first + size, number))
            flow = series_of(inputs.observed, inputs.space, places[here])
            there = np.isfinite(flow)
            out.observed[:, here] = there[before:].any(axis=0), there.any(axis=0)
            some = out.observed[0, here]
            here, flow = here[some], flow[:, some]
            out.varies[here] = that_vary(flow[before:])
            kept, forcing = checked_forcing(
                inputs, flow, places[here], task.missing, warn_of=out.lacking.extend
            )
            here, flow = here[kept], flow[:, kept]
            out.kept[here] = True
            if len(flow) >= protocol.warmup + protocol.window:
                windows = observed_windows(flow, protocol.window, protocol.warmup)
                out.windows[here] = windows.any(axis=0)
            out.weak[:, here] = few_and_flat(flow)
            out.facts[:, here] = variance_facts(flow)
            for at, cell in enumerate(here):
                parts = (np.ascontiguousarray(part).tobytes() for part in (flow[:, at], forcing[:, at]))
                out.digests[cell] = sha256(*parts)
        if out.lacking:
            warn_of_lacking(out.lacking)
        return out

    def checksum(self, cells: np.ndarray, *more: str) -> str:
        """Of all values of some cells."""
        return sha256("\n".join([*more, *self.digests[cells]]))[:16]


def streamed_arrays(task: Task, size: int) -> tuple[ShardedData, ShardedValidation | None, Model, pd.Index]:
    """The data of a training, checked and ready to be read in shards of ``size`` cells."""
    from ..loop.arrays import ShardedData

    period = _lazy(task.period)
    cells = np.asarray(period.cell_names, dtype=object)
    found = _Survey.of(period, np.arange(len(cells)), task.protocol.warmup, task, size)
    late, early = found.observed
    counted_cells(late, early, task.protocol.warmup, cells, task.held)
    gauged = found.kept & ~task.held
    refuse_ungauged(gauged)
    model = untrained(period, task.spec, task.names, gauged, task.start)
    static = static_inputs(period, model)
    places = np.flatnonzero(gauged)
    days = period.ds["time"].values
    data = ShardedData(
        CellReader(period, places),
        static[gauged],
        tuple(cells[gauged]),
        days,
        np.flatnonzero(found.windows[gauged]),
        variance_of_facts(found.facts[:, gauged]),
        size,
        found.checksum(places, *map(str, cells[gauged]), *map(str, days), sha256(static[gauged].tobytes())),
    )
    _refuse_windowless(data, task)
    judged: ShardedValidation | None = None
    if task.later is not None:
        judged = _of_period(task, period, places, data, size)
    elif task.validation is not None:
        judged = _of_cells(task, period, found, static, size)
    few, flat = found.weak[:, gauged]
    warn_of_weak(few, flat, data.names)
    return data, judged, model, period.days


def _of_period(
    task: Task, period: Inputs, places: np.ndarray, data: ShardedData, size: int
) -> ShardedValidation:
    """Validation data: the cells that are trained on, on other days."""
    assert task.later is not None
    later = _lazy(task.later)
    before = task.uncounted
    found = _Survey.of(later, places, before, task, size)
    refuse_unobserved_validation(bool(found.observed[0].any()))
    refuse_constant_validation(bool(found.varies.any()))
    chosen = np.flatnonzero(found.varies & found.kept)
    refuse_unjudged(bool(chosen.size), task)
    n_window = task.protocol.warmup + task.protocol.window
    last = period.of(period.ds.isel(time=slice(-n_window, None)))
    return _in_shards(
        ValidationReader(
            CellReader(later, places[chosen]),
            before,
            CellReader(last, places[chosen]),
            n_window,
            data.attributes[chosen],
            chosen,
        ),
        size,
        found.checksum(chosen, *map(str, chosen)),
    )


def _of_cells(task: Task, period: Inputs, found: _Survey, static: np.ndarray, size: int) -> ShardedValidation:
    """Validation data: cells that are not trained on, in the training period."""
    held = found.kept & task.held
    refuse_unjudged(bool(held.any()), task)
    refuse_constant_validation(bool(found.varies[held].any()))
    chosen = np.flatnonzero(held & found.varies)
    n_window = task.protocol.warmup + task.protocol.window
    reader = CellReader(period, chosen)
    none = np.full(len(chosen), -1)
    return _in_shards(
        ValidationReader(reader, task.protocol.warmup, None, n_window, static[chosen], none),
        size,
        found.checksum(chosen, sha256(static[chosen].tobytes())),
    )


def _in_shards(read: ValidationReader, size: int, checksum: str) -> ShardedValidation:
    from ..loop.arrays import ShardedValidation

    number = len(read.places)
    shards = tuple(np.arange(first, min(first + size, number)) for first in range(0, number, size))
    return ShardedValidation(read, shards, checksum)


def _lazy(inputs: Inputs) -> Inputs:
    """The same inputs, of which no daily series is read as a whole.

    A series that xarray reads when it is first used would be, as soon as its units are converted.
    """
    series = {
        name: array.chunk(array.encoding.get("preferred_chunks", {}))
        for name, array in inputs.ds.data_vars.items()
        if "time" in array.dims and array.chunks is None
    }
    return inputs.of(inputs.ds.assign(series))


def _refuse_windowless(data: ShardedData, task: Task) -> None:
    """Refuse data without a window to learn from."""
    if not len(data.drawn):
        from ..loop.sampler import no_window

        raise no_window(task.protocol.window, task.protocol.warmup)

"""Read the arrays that a model learns from and is judged by, and check them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import (
    DescriptionError,
    EmptySelectionError,
    MemoryLimitError,
    MissingForcingError,
    MissingObservationError,
    warn,
)
from ..inputs.attributes import attribute_names
from ..inputs.cells import series_of
from ..inputs.choice import chosen_cells
from ..inputs.ranges import forcing_faults, raise_faults, range_faults
from ..inputs.resolve import Inputs
from ..inputs.stated import stated
from ..inputs.time_axis import days_of_year, select_days
from ..metrics.records import few_and_flat
from ..models.model import Model
from ..models.specs import Spec
from .processes import ALONE, Processes
from .untrained import static_inputs, untrained

if TYPE_CHECKING:
    from .loop.arrays import TrainingData, ValidationData
    from .loop.protocol import Protocol

_COPIES = 3  # of the training data at once, while they are read
_SHOWN = 5  # cells that a message names

Validation = slice | xr.DataArray | Sequence[Any] | np.ndarray


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
) -> tuple[TrainingData, ValidationData | None, Model, pd.Index]:
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

    Returns
    -------
    data : TrainingData
    validation : ValidationData or None
    model : Model
        Without weights.
    days : Index
        The days of training.

    Raises
    ------
    HydroxrError
        Named for what is wrong with the data.
    """
    from .loop.arrays import TrainingData

    inputs.check_time()
    for name, days in (("time", time), ("validation", validation)):
        refuse_steps(name, days)
    period = inputs.of(select_days(inputs.ds, time))
    later = _validation_days(inputs, period, validation, protocol) if isinstance(validation, slice) else None
    ds, space = period.ds, period.space
    if period.name("streamflow") in spec.forcing:
        raise DescriptionError(
            f"forcing {period.name('streamflow')!r} is the observed streamflow that the model is to learn; "
            "expected other variables: hx.LSTMStreamflow(forcing=(...))."
        )
    default = spec.attributes if start is None else start.attributes
    names = attribute_names(ds, space, attributes, default) if spec.regional else ()
    check_length(len(period.days), protocol)
    held = _held_out(period, validation, spec)
    flow, own = _observed_here(period, protocol.warmup, held, processes)
    kept, arrays = _checked_forcing(period, flow, own, missing, processes)
    flow, own = flow[:, kept], own[kept]
    trained = ~held[own]
    gauged = np.zeros(period.cell_count, dtype=bool)
    gauged[np.concatenate(processes.gathered(own[trained]))] = True
    if not gauged.any():
        raise MissingForcingError(
            "in each cell with observed streamflow that is not held out, forcing is missing on some day of "
            "the period; nothing can be learned."
        )
    _check_share(trained, processes)
    model = untrained(period, spec, names, gauged, start)
    static = static_inputs(period, model)
    data = TrainingData(
        arrays[:, trained],
        static[gauged],
        flow[:, trained],
        tuple(np.asarray(period.cell_names, dtype=object)[gauged]),
        ds["time"].values,
        places=(np.cumsum(gauged) - 1)[own[trained]],
    )
    judged: ValidationData | None = None
    if later is not None:
        judged = _of_period(later, own[trained], data, protocol, validation, missing, processes)
    elif processes.any(not trained.all()):
        others = ~trained
        cut = (flow[:, others], arrays[:, others], static[own[others]])
        judged = _of_cells(period, *cut, protocol, processes)
    elif validation is not None:
        raise MissingForcingError(
            "forcing is missing on some day of the period in each cell held out for validation; hold out "
            "others."
        )
    _warn_of_weak(data, processes)
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
    counted = _counted(late, early, warmup, cells, held)
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


def refuse_steps(name: str, days: Any) -> None:
    """Refuse a period that leaves out days: a model learns from consecutive ones."""
    if isinstance(days, slice) and days.step is not None:
        raise DescriptionError(
            f"{name} is {days!r}, with a step; expected a beginning and an end: consecutive days."
        )


def _counted(
    counted: np.ndarray, there: np.ndarray, warmup: int, cells: np.ndarray, held: np.ndarray
) -> np.ndarray:
    """Which cells have streamflow that counts, (cell,); those that have it in the warm-up only are named."""
    early = there & ~counted
    if not (counted & ~held).any():
        where = " that is not held out" if held.any() else ""
        when = f"after the {warmup} days of warm-up" if (early & ~held).any() else "of the period"
        raise MissingObservationError(
            f"observed streamflow is missing on every day {when} in every cell{where}; nothing can be "
            "learned."
        )
    if held.any() and not (counted & held).any():
        raise MissingObservationError(
            "none of the cells held out for validation has observed streamflow after the warm-up; hold out "
            "others."
        )
    if early.any():
        warn(
            f"observed streamflow of {_named(cells[early])} is missing after the {warmup} days of warm-up; "
            f"{_left_out(int(early.sum()))}."
        )
    return counted


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(map(str, names[:_SHOWN])) + more


def _left_out(number: int) -> str:
    return "it is left out" if number == 1 else f"these {number} cells are left out"


def _warn_of_weak(data: TrainingData, processes: Processes) -> None:
    """Name the cells of which the observations say too little; see :func:`bounded_variance`."""
    few, flat = processes.of_all(data.own, np.stack(few_and_flat(data.observed)))
    names = np.asarray(data.names, dtype=object)
    for weak, what in ((few, "too few observations"), (flat, "streamflow that hardly varies")):
        if weak.any():
            warn(
                f"{int(weak.sum())} of {weak.size} cells have {what}: {_named(names[weak])}. In the loss "
                "'nse' errors there weigh no more than in a usual cell. Look at these records, and leave the "
                "cells out if they are wrong."
            )


def check_length(days: int, protocol: Protocol) -> None:
    """Refuse a training period shorter than the warm-up and a window."""
    if days < protocol.warmup + protocol.window:
        raise EmptySelectionError(
            f"the period has {days} days; expected at least {protocol.warmup} for the warm-up and "
            f"{protocol.window} for a window. Choose a longer period, or a smaller window and warmup."
        )


def _of_period(
    later: Inputs,
    own: np.ndarray,
    data: TrainingData,
    protocol: Protocol,
    validation: Any,
    missing: str,
    processes: Processes,
) -> ValidationData:
    """Validation data: the cells ``own`` that are trained on here, on other days."""
    from .loop.arrays import ValidationData

    with processes.agreeing():
        _check_memory([*later.forcing.values(), later.observed], processes)
        flow = series_of(later.observed, later.space, own)
    counted = select_days(later.ds, validation).indexes["time"]
    flow[: max(protocol.warmup, len(flow) - len(counted))] = np.nan
    chosen = np.isfinite(flow).any(axis=0)
    if not processes.any(bool(chosen.any())):
        raise MissingObservationError(
            "observed streamflow is missing on every day of the validation period, after its warm-up, in "
            "every cell that is trained on; choose another period."
        )
    chosen = np.flatnonzero(_judging(flow, processes))
    kept, arrays = _checked_forcing(later, flow[:, chosen], own[chosen], missing, processes)
    chosen = chosen[kept]
    if not processes.any(bool(chosen.size)):
        raise MissingForcingError(
            "forcing is missing on some day of the validation period, or of its warm-up, in every cell that "
            "is trained on; choose another period."
        )
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
    from .loop.arrays import ValidationData

    flow = flow.copy()
    flow[: protocol.warmup] = np.nan
    chosen = _judging(flow, processes)
    forcing = forcing[:, chosen]
    places = np.full(int(chosen.sum()), -1)
    days = days_of_year(period.ds.indexes["time"])
    return ValidationData(forcing, static[chosen], flow[:, chosen], _window(forcing, protocol), places, days)


def _judging(flow: np.ndarray, processes: Processes) -> np.ndarray:
    """The cells whose streamflow varies, (cell,): others have no NSE to judge by."""
    with np.errstate(invalid="ignore"):
        varies = np.fmax.reduce(flow, axis=0) > np.fmin.reduce(flow, axis=0)
    if not processes.any(bool(varies.any())):
        raise MissingObservationError(
            "observed streamflow of the validation is constant, or a single value, in every cell, so that "
            "there is no NSE to judge by; choose a longer period, or other cells."
        )
    return varies


def _window(forcing: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The last days of the training period, as many as a window and its warm-up have."""
    return forcing[-(protocol.warmup + protocol.window) :]


def _validation_days(inputs: Inputs, period: Inputs, validation: slice, protocol: Protocol) -> Inputs:
    """The days of a validation period and, if the Dataset has them, of its warm-up."""
    days, trained = select_days(inputs.ds, validation).indexes["time"], period.days
    if days[0] <= trained[-1] and trained[0] <= days[-1]:
        raise DescriptionError(
            f"validation, {str(days[0])[:10]} to {str(days[-1])[:10]}, shares days with the training period, "
            f"{str(trained[0])[:10]} to {str(trained[-1])[:10]}; expected other days. Choose both: "
            "time=slice(...), validation=slice(...)."
        )
    first = int(inputs.days.get_loc(days[0]))
    warmup = min(first, protocol.warmup)
    if warmup + len(days) <= protocol.warmup:
        raise EmptySelectionError(
            f"validation has {len(days)} days, of which none is left after {protocol.warmup} days of "
            "warm-up; choose a longer period."
        )
    return inputs.of(inputs.ds.isel(time=slice(first - warmup, first + len(days))))


def _held_out(inputs: Inputs, validation: Validation | None, spec: Spec) -> np.ndarray:
    """Which cells are not trained on, (cell,)."""
    if validation is None or isinstance(validation, slice):
        return np.zeros(inputs.cell_count, dtype=bool)
    if isinstance(validation, str) or not np.iterable(validation):
        raise DescriptionError(
            f"validation is {validation!r}; expected a period, slice('1990-10-01', '1995-09-30'), labels of "
            "cells, or a mask of bool, True for cells to hold out."
        )
    if spec.network == "constant":
        raise DescriptionError(
            "a constant network has parameters only for the cells that it is fitted to; validate it on a "
            "period: validation=slice(...)."
        )
    return chosen_cells(inputs.ds, inputs.space, validation, "validation")


def _checked_forcing(
    inputs: Inputs, flow: np.ndarray, places: np.ndarray, missing: str, processes: Processes
) -> tuple[np.ndarray, np.ndarray]:
    """Forcing of the cells at ``places``, after a check of all values; ``flow`` is theirs.

    Returns
    -------
    kept : array of bool, (cell,)
        False for those that lack forcing, if ``missing`` is "drop"; a warning names them.
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
            warn(f"forcing is missing in {_named(lacking)}; {_left_out(len(lacking))} (missing='drop').")
        arrays = {name: array[:, kept] for name, array in arrays.items()}
    with processes.agreeing():
        names, times = tuple(cells[kept]), inputs.ds["time"].values
        by_cell = {name: array.T for name, array in arrays.items()}
        as_given = {name: each.of(places[kept]) for name, each in stated(inputs, with_flow=True).items()}
        faults = range_faults("streamflow", flow[:, kept].T, times, names, stated=as_given.get("streamflow"))
        faults |= forcing_faults(
            by_cell, times, names, called=inputs.called, derived=inputs.derived, stated=as_given
        )
        raise_faults(faults.values())
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

"""What a training is asked for, checked as far as that needs no data, and what it says of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...errors import (
    DescriptionError,
    EmptySelectionError,
    MissingForcingError,
    MissingObservationError,
    warn,
)
from ...inputs.attributes import attribute_names
from ...inputs.choice import chosen_cells
from ...inputs.resolve import Inputs
from ...inputs.time_axis import select_days
from ...models.model import Model
from ...models.specs import Spec
from ...support.memory import bytes_of

if TYPE_CHECKING:
    from ..loop.protocol import Protocol

_SHOWN = 5  # cells that a message names

Validation = slice | xr.DataArray | Sequence[Any] | np.ndarray


@dataclass(frozen=True)
class Task:
    """What a training learns from and is judged by.

    Parameters
    ----------
    period : Inputs
        The days of training.
    later : Inputs, optional
        Those of the validation and of its warm-up, if it is on other days.
    spec : DeltaHBV or LSTMStreamflow
    protocol : Protocol
    names : tuple of str
        The attributes.
    validation : slice, DataArray or sequence, optional
    held : array of bool, (cell,)
        Cells that are not trained on.
    missing : {"raise", "drop"}
    start : Model, optional
    """

    period: Inputs
    later: Inputs | None
    spec: Spec
    protocol: Protocol
    names: tuple[str, ...]
    validation: Validation | None
    held: np.ndarray
    missing: str
    start: Model | None

    @property
    def uncounted(self) -> int:
        """Days at the beginning of the validation that do not count."""
        if self.later is None or not isinstance(self.validation, slice):
            return self.protocol.warmup
        counted = select_days(self.later.ds, self.validation).indexes["time"]
        return max(self.protocol.warmup, len(self.later.days) - len(counted))


def task_of(
    inputs: Inputs,
    spec: Spec,
    attributes: Sequence[str] | None,
    time: slice | None,
    protocol: Protocol,
    validation: Validation | None,
    missing: str,
    start: Model | None,
) -> Task:
    """The task of a training; refuses one that no data could make possible.

    The parameters are those of :func:`~hydroxr.training.reading.read.training_arrays`.
    """
    inputs.check_time()
    for name, days in (("time", time), ("validation", validation)):
        refuse_steps(name, days)
    period = inputs.of(select_days(inputs.ds, time))
    later = validation_days(inputs, period, validation, protocol) if isinstance(validation, slice) else None
    if period.name("streamflow") in spec.forcing:
        raise DescriptionError(
            f"forcing {period.name('streamflow')!r} is the observed streamflow that the model is to learn; "
            "expected other variables: hx.LSTMStreamflow(forcing=(...))."
        )
    default = spec.attributes if start is None else start.attributes
    names = attribute_names(period.ds, period.space, attributes, default) if spec.regional else ()
    check_length(len(period.days), protocol)
    held = held_out(period, validation, spec)
    return Task(period, later, spec, protocol, tuple(names), validation, held, missing, start)


def check_sharing(memory: str | float | None, is_shared: bool) -> None:
    """Refuse ``memory`` that is no size, or where data are not read in shards."""
    if memory is None:
        return
    bytes_of(memory)
    if is_shared:
        raise DescriptionError(
            f"memory={memory!r} is for one process that reads cells in shards; several processes, and a "
            "training through rivers, hold their data in memory. Leave it out."
        )


def refuse_ungauged(gauged: np.ndarray) -> None:
    """Refuse a training without a cell to train on."""
    if not gauged.any():
        raise MissingForcingError(
            "in each cell with observed streamflow that is not held out, forcing is missing on some day of "
            "the period; nothing can be learned."
        )


def refuse_unjudged(there: bool, task: Task) -> None:
    """Refuse held-out cells, or days, none of which has forcing."""
    if there:
        return
    if task.later is not None:
        raise MissingForcingError(
            "forcing is missing on some day of the validation period, or of its warm-up, in every cell that "
            "is trained on; choose another period."
        )
    raise MissingForcingError(
        "forcing is missing on some day of the period in each cell held out for validation; hold out others."
    )


def refuse_unobserved_validation(there: bool) -> None:
    """Refuse days of a validation without any observation."""
    if not there:
        raise MissingObservationError(
            "observed streamflow is missing on every day of the validation period, after its warm-up, in "
            "every cell that is trained on; choose another period."
        )


def refuse_constant_validation(varies: bool) -> None:
    """Refuse observations that no cell has an NSE of."""
    if not varies:
        raise MissingObservationError(
            "observed streamflow of the validation is constant, or a single value, in every cell, so that "
            "there is no NSE to judge by; choose a longer period, or other cells."
        )


def that_vary(flow: np.ndarray) -> np.ndarray:
    """The cells whose streamflow (time, cell) varies: others have no NSE to judge by."""
    with np.errstate(invalid="ignore"):
        varies: np.ndarray = np.fmax.reduce(flow, axis=0) > np.fmin.reduce(flow, axis=0)
    return varies


def refuse_steps(name: str, days: Any) -> None:
    """Refuse a period that leaves out days: a model learns from consecutive ones."""
    if isinstance(days, slice) and days.step is not None:
        raise DescriptionError(
            f"{name} is {days!r}, with a step; expected a beginning and an end: consecutive days."
        )


def counted_cells(
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
            f"observed streamflow of {named(cells[early])} is missing after the {warmup} days of warm-up; "
            f"{left_out(int(early.sum()))}."
        )
    return counted


def named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(map(str, names[:_SHOWN])) + more


def left_out(number: int) -> str:
    return "it is left out" if number == 1 else f"these {number} cells are left out"


def warn_of_lacking(names: Sequence[str]) -> None:
    """Name the cells that are left out because forcing is missing."""
    warn(f"forcing is missing in {named(names)}; {left_out(len(names))} (missing='drop').")


def warn_of_weak(few: np.ndarray, flat: np.ndarray, names: Sequence[str]) -> None:
    """Name the cells of which the observations say too little; see :func:`bounded_variance`."""
    cells = np.asarray(names, dtype=object)
    for weak, what in ((few, "too few observations"), (flat, "streamflow that hardly varies")):
        if weak.any():
            warn(
                f"{int(weak.sum())} of {weak.size} cells have {what}: {named(cells[weak])}. In the loss "
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


def validation_days(inputs: Inputs, period: Inputs, validation: slice, protocol: Protocol) -> Inputs:
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


def held_out(inputs: Inputs, validation: Validation | None, spec: Spec) -> np.ndarray:
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

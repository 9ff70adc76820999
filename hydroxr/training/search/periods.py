"""The days that a search reads, and those that its trials are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DescriptionError, EmptySelectionError, HydroxrError
from ...inputs.attributes import attribute_names
from ...inputs.resolve import Inputs, inputs_of
from ...inputs.time_axis import select_days
from ..reading.checks import check_length, refuse_steps
from .space import Trial

Judged = dict[str, slice]  # the days that count, by the name of a period


def judged_in(
    inputs: Inputs, trials: Sequence[Trial], periods: Mapping[str, slice], options: Mapping[str, Any]
) -> tuple[Inputs, Judged]:
    """The inputs of a search, and the days by which its trials are judged.

    Returns
    -------
    inputs : Inputs
        Without days after the last that is named, and without cells that nothing is learned from.
    judged : dict of slice

    Raises
    ------
    HydroxrError
        Named for what is wrong with periods, time axis or attributes.
    """
    inputs.check_time()
    if not isinstance(periods, Mapping) or not periods:
        raise DescriptionError(
            f"periods is {periods!r}; expected the days that trials are judged by, by name: "
            "{'after': slice('1992-10-01', '1995-09-30')}."
        )
    trained = select_days(inputs.ds, options["time"]).indexes["time"]
    refuse_steps("time", options["time"])
    for trial in trials:
        _check(inputs, trial, len(trained))
    warmup = max(trial.protocol.warmup for trial in trials)
    found = {str(name): _days(inputs, str(name), days, trained) for name, days in periods.items()}
    judged = {name: _after_warmup(inputs, name, days, warmup) for name, days in found.items()}
    ends = [trained[-1], *(days[-1] for days in found.values())]
    if isinstance(options.get("validation"), slice):
        ends.append(select_days(inputs.ds, options["validation"]).indexes["time"][-1])
    inputs = inputs.of(inputs.ds.isel(time=slice(0, int(inputs.days.get_loc(max(ends))) + 1)))
    return _gauged(inputs, options), judged


def _check(inputs: Inputs, trial: Trial, days: int) -> None:
    """Refuse what the training of a trial would refuse: now, not after hours."""
    try:
        check_length(days, trial.protocol)
        if trial.spec.regional:
            start = trial.options.get("start")
            default = trial.spec.attributes if start is None else start.attributes
            attribute_names(inputs.ds, inputs.space, trial.options.get("attributes"), default)
        _ = inputs_of(inputs, trial.spec.forcing, target=inputs.target).forcing
    except HydroxrError as error:
        error.add_note(f"in {trial.shown}")
        raise


def _days(inputs: Inputs, name: str, days: Any, trained: pd.Index) -> pd.Index:
    what = f"periods[{name!r}]"
    if not isinstance(days, slice):
        raise DescriptionError(f"{what} is {days!r}; expected a period: slice('1992-10-01', '1995-09-30').")
    refuse_steps(what, days)
    found = select_days(inputs.ds, days, what).indexes["time"]
    if found[0] <= trained[-1] and trained[0] <= found[-1]:
        raise DescriptionError(
            f"{what}, {_text(found)}, shares days with the training period, {_text(trained)}; expected other "
            "days: trials must be judged by what they have not seen."
        )
    return found


def _after_warmup(inputs: Inputs, name: str, days: pd.Index, warmup: int) -> slice:
    """The days of a period that count: those with a warm-up before them."""
    first = max(int(inputs.days.get_loc(days[0])), warmup)
    last = int(inputs.days.get_loc(days[-1]))
    if first > last:
        raise EmptySelectionError(
            f"periods[{name!r}], {_text(days)}, has no day after {warmup} days of warm-up from the first "
            "day of the Dataset; expected a later or longer period."
        )
    return slice(str(inputs.days[first])[:10], str(inputs.days[last])[:10])


def _gauged(inputs: Inputs, options: Mapping[str, Any]) -> Inputs:
    """Without cells that have no streamflow in the training period, where cells are a list."""
    held_out = options.get("validation")
    if len(inputs.space) != 1 or not isinstance(held_out, slice | None):  # a mask may count all cells
        return inputs
    (dim,) = inputs.space
    flow = select_days(inputs.observed.to_dataset(name="_values"), options["time"])["_values"]
    known = flow.notnull().any("time").values
    if known.all() or not known.any():
        return inputs
    return inputs.of(inputs.ds.isel({dim: np.flatnonzero(known)}))


def _text(days: pd.Index) -> str:
    return f"{str(days[0])[:10]} to {str(days[-1])[:10]}"

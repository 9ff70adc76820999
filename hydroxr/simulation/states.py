"""States at the end of many days, from one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..inputs.resolve import Inputs
from ..models.ensemble import Ensemble
from ..models.model import Model
from .engine import segments
from .engine.job import CARRY, width
from .ensemble import join_members, of_member
from .one_model import in_chunks, prepare
from .parameters import static_parameters
from .state import state_dataset


def states_of_days(
    inputs: Inputs,
    given: Model | Ensemble | xr.Dataset,
    places: Sequence[int] | np.ndarray,
    along: str,
    initial_state: xr.Dataset | None = None,
    *,
    memory: str | float | None = None,
    **options: Any,
) -> xr.Dataset:
    """The state at the end of each of some days, from one run through the record.

    Parameters
    ----------
    inputs : Inputs
    given : Model, Ensemble or Dataset
        As for :func:`hydroxr.simulation.simulate.simulate`.
    places : sequence of int
        Positions of the days in the record, ascending, each once.
    along : str
        The dimension that the days get.
    initial_state : Dataset, optional
        Before the first day of the record.
    memory
        Of a process.
    **options
        ``dtype``, ``device`` and ``backend``.

    Returns
    -------
    Dataset
        As ``simulate(..., return_state=True)`` returns it. What varies in time has ``along`` first, and
        static parameters do not have it.
    """
    static = static_parameters(inputs, given, options) if initial_state is None else None
    until = inputs.of(inputs.ds.isel(time=slice(0, int(places[-1]) + 1)))
    ends = [int(place) + 1 for place in places]
    if not isinstance(given, Ensemble):
        return _of_one(until, given, ends, along, initial_state, static, memory, options)
    parts = [
        _of_one(
            until,
            model,
            ends,
            along,
            of_member(initial_state, place, given, "the initial state"),
            of_member(static, place, given, "static"),
            memory,
            options,
        )
        for place, model in enumerate(given.members)
    ]
    return join_members(parts, given)


def _of_one(
    inputs: Inputs,
    given: Model | xr.Dataset,
    ends: list[int],
    along: str,
    initial_state: xr.Dataset | None,
    static: xr.Dataset | None,
    memory: str | float | None,
    options: dict[str, Any],
) -> xr.Dataset:
    """The states of one model."""
    run = prepare(inputs, given, initial_state, [], static=static, return_state=True, **options)
    cut = run.plan(memory)
    found = segments.carries(run.forcing, run.setup.arrays, run.job, cut, ends)
    fixed = tuple(part for part in run.job.carried if part[0].startswith("parameter:"))
    varying = run.job.carried[: len(run.job.carried) - len(fixed)]
    edge = width(varying)
    series = xr.concat([carry.isel({CARRY: slice(edge)}) for carry in found], along)
    labels = (inputs.ds, inputs.space, run.setup.attrs, run.job.per_cell)
    states = state_dataset(series, varying, *labels)
    constant = state_dataset(found[0].isel({CARRY: slice(edge, None)}), fixed, *labels)
    return in_chunks(states.assign(constant.data_vars), cut).drop_vars("time")

"""From a labelled Dataset to a labelled result: options, ingredients, a plan, a run, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from ..analysis.derived import derivation
from ..errors import DescriptionError
from ..inputs.time_axis import select_time
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import DeltaHBV
from ..support.devices import torch_device
from .engine.plan import Plan
from .ensemble import of_member, simulate_members
from .one_model import (
    check_options,
    checked_outputs,
    prepare,
    simulate_one,
)
from .parameters import parameters


def simulate(
    ds: xr.Dataset,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    return_state: bool = False,
    missing: str = "raise",
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
    members: bool = False,
    static: xr.Dataset | None = None,
    flag_attributes: bool = True,
    memory: str | float | None = None,
    together: int = 1,
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate every cell of ``ds``; see :meth:`hydroxr.accessor.HBVAccessor.simulate`.

    ``static`` has static parameters of a regional model that were read from a longer input. With
    ``flag_attributes`` cells unlike those of the training are marked and warned of. ``together`` runs of
    the same cells, of which this is one, are in memory at once.
    """
    spec = model_or_parameters.description if isinstance(model_or_parameters, Model | Ensemble) else None
    wanted = checked_outputs(spec, variables, components, backend)
    finish = derivation(ds, variables)
    check_options(missing, dtype, backend)
    device = device if device == "auto" else torch_device(device)  # "auto": each worker decides
    if isinstance(model_or_parameters, Ensemble):
        options = {"wanted": wanted, "components": components, "missing": missing, "dtype": dtype}
        options |= {"memory": memory}
        found = simulate_members(
            ds,
            model_or_parameters,
            initial_state,
            members=members,
            return_state=return_state,
            static=static,
            device=device,
            backend=backend,
            flag_attributes=flag_attributes,
            **options,
        )
        return (finish(found[0]), found[1]) if isinstance(found, tuple) else finish(found)
    if members:
        raise DescriptionError("members=True is for an ensemble; a single model has no members.")
    result = simulate_one(
        ds,
        model_or_parameters,
        initial_state,
        wanted,
        components=components,
        return_state=return_state,
        missing=missing,
        dtype=dtype,
        device=device,
        backend=backend,
        static=static,
        flag_attributes=flag_attributes,
        memory=memory,
        together=together,
    )
    return (finish(result[0]), result[1]) if isinstance(result, tuple) else finish(result)


def plan(
    ds: xr.Dataset,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    missing: str = "raise",
    dtype: str = "float32",
    memory: str | float | None = None,
) -> Plan:
    """How ``simulate`` would cut that run, and what it would take; see the accessor.

    Of an ensemble it is that of its mean: the members have the same blocks, and one after another takes
    the time of all.
    """
    members: tuple[Model, ...] = ()
    given = model_or_parameters
    if isinstance(given, Ensemble):
        members, given = given.members, given.members[0]
    spec = given.description if isinstance(given, Model) else None
    wanted = checked_outputs(spec, variables, components, "auto")
    check_options(missing, dtype, "auto")
    if isinstance(model_or_parameters, Ensemble):
        initial_state = of_member(initial_state, 0, model_or_parameters, "the initial state")
    run = prepare(ds, given, initial_state, wanted, components=components, missing=missing, dtype=dtype)
    found = run.plan(memory, max(1, len(members)))
    return replace(found, seconds=found.seconds * max(1, len(members)))


def run_period(ds: xr.Dataset, model: Model | Ensemble, period: slice | None, **options: Any) -> xr.Dataset:
    """Simulate ``period`` after a warm-up with all days before it.

    The water balance of the result starts with its first day: the days before end in a state
    from which the period is a run of its own. Static parameters are those of the whole input.
    """
    if period is None:
        return ds.hbv.simulate(model, **options)
    chosen = select_time(ds, period)
    has_parameters = isinstance(model.description, DeltaHBV) and model.description.regional
    static = parameters(ds, model, static_only=True) if has_parameters else None
    place = ds.indexes["time"].get_loc(chosen.indexes["time"][0])
    state = None
    if place > 0:
        before = {**options, "variables": [], "return_state": True}
        warmup: Any = simulate(ds.isel(time=slice(0, place)), model, static=static, **before)
        state = warmup[1]
    result: Any = simulate(chosen, model, initial_state=state, static=static, **options)
    return result

"""Simulate a Dataset: one model, given parameters or an ensemble; a whole record or a period of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import xarray as xr

from ..analysis.derived import derivation
from ..errors import DescriptionError
from ..inputs.resolve import Inputs, inputs_of
from ..inputs.time_axis import select_days
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import DeltaHBV
from ..support.devices import torch_device
from .engine.plan import Plan
from .ensemble import of_member, simulate_members
from .one_model import check_options, checked_outputs, inputs_for, prepare, simulate_one
from .parameters import parameters


@overload
def simulate(
    data: xr.Dataset | Inputs,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    return_state: Literal[False] = False,
    missing: str = "raise",
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
    members: bool = False,
    static: xr.Dataset | None = None,
    flag_attributes: bool = True,
    memory: str | float | None = None,
) -> xr.Dataset: ...


@overload
def simulate(
    data: xr.Dataset | Inputs,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    *,
    return_state: Literal[True],
    missing: str = "raise",
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
    members: bool = False,
    static: xr.Dataset | None = None,
    flag_attributes: bool = True,
    memory: str | float | None = None,
) -> tuple[xr.Dataset, xr.Dataset]: ...


@overload
def simulate(
    data: xr.Dataset | Inputs,
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
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]: ...


def simulate(
    data: xr.Dataset | Inputs,
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
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate every cell; see :meth:`hydroxr.accessor.HBVAccessor.simulate`.

    Parameters
    ----------
    data : Dataset or Inputs
        Inputs are not looked up again.
    static : Dataset, optional
        Static parameters of a regional model that were read from a longer input.
    flag_attributes : bool
        Flag cells unlike those of the training, and warn of them.
    """
    spec = model_or_parameters.description if isinstance(model_or_parameters, Model | Ensemble) else None
    wanted = checked_outputs(spec, variables, components, backend)
    found = inputs_of(data)
    finish = derivation(found, variables)
    check_options(missing, dtype, backend)
    device = device if device == "auto" else torch_device(device)  # "auto": each worker decides
    if members and not isinstance(model_or_parameters, Ensemble):
        raise DescriptionError("members=True is for an ensemble; a single model has no members.")
    inputs = inputs_for(found, model_or_parameters)
    options: dict[str, Any] = {
        "return_state": return_state,
        "static": static,
        "flag_attributes": flag_attributes,
        "memory": memory,
        "components": components,
        "missing": missing,
        "dtype": dtype,
        "device": device,
        "backend": backend,
    }
    if isinstance(model_or_parameters, Ensemble):
        result = simulate_members(
            inputs, model_or_parameters, initial_state, wanted, members=members, **options
        )
    else:
        result = simulate_one(inputs, model_or_parameters, initial_state, wanted, **options)
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
    """How ``simulate`` would cut a run, and what it would take; see the accessor.

    For an ensemble this is the plan of its mean: the members have the same blocks, and run one after
    another.
    """
    given = model_or_parameters
    members = len(given) if isinstance(given, Ensemble) else 1
    if isinstance(given, Ensemble):
        initial_state = of_member(initial_state, 0, given, "the initial state")
        given = given.members[0]
    spec = given.description if isinstance(given, Model) else None
    wanted = checked_outputs(spec, variables, components, "auto")
    check_options(missing, dtype, "auto")
    inputs = inputs_for(ds, model_or_parameters)
    run = prepare(inputs, given, initial_state, wanted, components=components, missing=missing, dtype=dtype)
    found = run.plan(memory, members)
    return replace(found, seconds=found.seconds * members)


def run_period(ds: xr.Dataset, model: Model | Ensemble, period: slice | None, **options: Any) -> xr.Dataset:
    """Simulate ``period`` after a warm-up with all days before it.

    The warm-up ends in a state, from which the period is a run of its own: its water balance starts
    with its first day. Static parameters are those of the whole input.
    """
    if period is None:
        return simulate(ds, model, **options)
    inputs = inputs_of(ds)
    inputs.check_time()
    chosen = inputs.of(select_days(inputs.ds, period))
    has_parameters = isinstance(model.description, DeltaHBV) and model.description.regional
    static = parameters(inputs, model, static_only=True) if has_parameters else None
    first = inputs.days.get_loc(chosen.days[0])
    state = None
    if first > 0:
        warmup = {**options, "variables": []}
        before = inputs.of(inputs.ds.isel(time=slice(0, first)))
        state = simulate(before, model, static=static, return_state=True, **warmup)[1]
    return simulate(chosen, model, initial_state=state, static=static, **options)

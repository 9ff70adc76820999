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
from ..models.error_tables import SIMULATION
from ..models.model import Model
from ..support.devices import torch_device
from .engine.plan import Plan
from .ensemble import of_member, simulate_members
from .one_model import check_options, checked_outputs, inputs_for, prepare, simulate_one
from .parameters import static_parameters
from .quantiles import predictive
from .spinup import SpinUp, spin_up


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
    spinup: str | int | slice | None = None,
    offsets: bool = True,
    quantiles: Sequence[float] | None = None,
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
    spinup: str | int | slice | None = None,
    offsets: bool = True,
    quantiles: Sequence[float] | None = None,
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
    spinup: str | int | slice | None = None,
    offsets: bool = True,
    quantiles: Sequence[float] | None = None,
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
    spinup: str | int | slice | None = None,
    offsets: bool = True,
    quantiles: Sequence[float] | None = None,
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
    spinup
        Days to repeat before the run, see :func:`hydroxr.simulation.spinup.spin_up`.
    quantiles : sequence of float, optional
        Quantiles of streamflow to add, by the errors that the model carries.
    """
    wanted = checked_outputs(model_or_parameters, variables, components, backend)
    found = inputs_of(data)
    finish = derivation(found, variables)
    check_options(missing, dtype, backend)
    device = device if device == "auto" else torch_device(device)  # "auto": each worker decides
    if members and not isinstance(model_or_parameters, Ensemble):
        raise DescriptionError("members=True is for an ensemble; a single model has no members.")
    inputs = inputs_for(found, model_or_parameters)
    spread = predictive(model_or_parameters, quantiles, SIMULATION, variables, members, inputs)
    options: dict[str, Any] = {
        "static": static,
        "flag_attributes": flag_attributes,
        "memory": memory,
        "components": components,
        "missing": missing,
        "dtype": dtype,
        "device": device,
        "backend": backend,
        "offsets": offsets,
    }
    if isinstance(model_or_parameters, Ensemble):
        options["members"] = members
    before: tuple[SpinUp, xr.Dataset] | None = None
    if spinup is not None:
        if initial_state is not None:
            raise DescriptionError("spinup and initial_state exclude each other; expected one of them.")
        before, initial_state, options["static"] = _spun_up(inputs, model_or_parameters, spinup, options)
    result = _run(inputs, model_or_parameters, initial_state, wanted, return_state=return_state, **options)
    sim, state = result if isinstance(result, tuple) else (result, None)
    if before is not None:
        sim = before[0].described(sim, before[1])
    sim = spread(finish(sim))
    return sim if state is None else (sim, state)


def _run(
    inputs: Inputs,
    given: Model | Ensemble | xr.Dataset,
    state: xr.Dataset | None,
    wanted: list[str],
    **options: Any,
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    if isinstance(given, Ensemble):
        return simulate_members(inputs, given, state, wanted, **options)
    return simulate_one(inputs, given, state, wanted, **options)


def _spun_up(
    inputs: Inputs, given: Model | Ensemble | xr.Dataset, spinup: str | int | slice, options: dict[str, Any]
) -> tuple[tuple[SpinUp, xr.Dataset], xr.Dataset, xr.Dataset | None]:
    """The spin-up and its last run, the state at its end, and the static parameters of all days."""
    plan = spin_up(inputs, spinup)
    static = options["static"]
    if static is None:
        static = static_parameters(inputs, given, options)
    run = given if isinstance(given, Model | Ensemble) else plan.parameters(given)
    options = {**options, "static": static, "components": False, "flag_attributes": False}
    done: Any = (None, None)
    for _ in range(plan.times):
        done = _run(plan.inputs, run, done[1], [], return_state=True, **options)
        done = done[0], done[1].drop_vars("time")
    return (plan, done[0]), done[1], static


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
    wanted = checked_outputs(given, variables, components, "auto")
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
    static = static_parameters(inputs, model, options)
    first = inputs.days.get_loc(chosen.days[0])
    state = None
    if first > 0:
        warmup = {**options, "variables": []}
        before = inputs.of(inputs.ds.isel(time=slice(0, first)))
        state = simulate(before, model, static=static, return_state=True, **warmup)[1]
    return simulate(chosen, model, initial_state=state, static=static, **options)

"""The loop over days on GPUs, in kernels with their own adjoint.

It computes the same as the reference, :mod:`hydroxr.physics.loop_torch`. For gradients, the five stores
before every day are kept: 20 bytes per component and day in float32. NaNs in forcing, parameters or
stores propagate to all values that depend on them. The same input gives the same digits in every run.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..arguments import mean_of_components
from ..autograd import first_only, saveable
from ..equations import DAY_FLUXES, DAY_PARAMETERS, STORES
from ..parameters import WEIGHT
from ..runoff_network import INPUTS

SERIES = (*STORES, *DAY_FLUXES, "runoff")  # in the order of the kernels

_N_WEIGHTS = len(INPUTS) + 2  # per hidden unit: for its inputs, its bias, its weight in the output
_MOST_UNITS = 2**25  # component-days times hidden units per step of the gradient, to bound memory


def accepts(like: Tensor) -> bool:
    """Whether the kernels accept tensors of this dtype and device."""
    simulated = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
    types = ("cuda", "cpu") if simulated else ("cuda",)
    return like.device.type in types and like.dtype in (torch.float32, torch.float64)


@cache
def obstacle(dtype: torch.dtype = torch.float32) -> str:
    """Why the kernels cannot be compiled for a dtype; empty if they can."""
    try:
        from .kernels import compiled

        compiled("forward", dtype, False)
    except Exception as error:  # whatever is wrong with the compiler, the reference loop still works
        return f"{type(error).__name__}: {error}"
    return ""


def run(
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    stores: Mapping[str, Tensor],
    wanted: Sequence[str],
    whole: Collection[str] = (),
    processes: Mapping[str, Any] | None = None,
    rows: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run HBV through all days; parameters and results are the same as in :func:`.loop_torch.run`.

    Tensors are all float32 or all float64, on one GPU. ``processes`` may have a
    :class:`~.runoff_network.RunoffNetwork` for ``effective_rainfall``, nothing else. First derivatives
    of all series and of the final stores exist with respect to all tensors.
    """
    from .kernels import MOST_COMPONENTS

    names = tuple(dict.fromkeys(wanted))
    weights = parameters.get(WEIGHT)
    if whole and not set(whole) >= set(names):  # the kernels have either means or components
        each, last = run(forcing, parameters, stores, names, names, processes, rows)
        means = {name: mean_of_components(each[name], weights) for name in names if name not in whole}
        return each | means, last
    n_components = stores[STORES[0]].shape[-1]
    if n_components > MOST_COMPONENTS:
        return _run_as_cells(forcing, parameters, stores, names, whole, processes, rows)
    ordered = tuple(name for name in SERIES if name in names)
    static = [parameters[name] for name in DAY_PARAMETERS if parameters[name].ndim == 2]
    daily = [parameters[name] for name in DAY_PARAMETERS if parameters[name].ndim == 3]
    like = forcing[0]
    tensors = (
        *(series.contiguous() for series in forcing),
        torch.stack(static) if static else like.new_zeros(1),
        torch.stack(daily) if daily else like.new_zeros(1),
        # All arrays of a kernel have one dtype, which represents these whole numbers exactly.
        (torch.arange(len(like)) if rows is None else rows).to(like),
        _weights(processes, like),
        like.new_zeros(1) if weights is None else weights.contiguous(),
        torch.stack([stores[name] for name in STORES]),
    )
    task = _Task(
        sizes=(*like.shape, n_components),
        n_rows=len(daily[0]) if daily else 0,
        dynamic=_bits([parameters[name].ndim == 3 for name in DAY_PARAMETERS]),
        wanted=_bits([name in names for name in SERIES]),
        n_wanted=len(names),
        whole=bool(whole),
        weighted=weights is not None and not whole,
    )
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        series, final = _Loop.apply(task, *saveable(tensors))
    else:
        series, final, _ = _forward(task, tensors, keep=False)
    found = dict(zip(ordered, series.unbind(0), strict=True))
    return {name: found[name] for name in names}, dict(zip(STORES, final.unbind(0), strict=True))


class _Task(NamedTuple):
    """Facts of a run that its tensors do not tell."""

    sizes: tuple[int, int, int]  # days, cells, components
    n_rows: int  # of the dynamic parameters
    dynamic: int  # one bit per dynamic parameter
    wanted: int  # one bit per wanted series
    n_wanted: int
    whole: bool  # record every component, not the mean
    weighted: bool  # whether components have weights in means


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, task: _Task, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        series, final, kept = _forward(task, tensors, keep=True)
        ctx.task = task
        ctx.save_for_backward(*tensors[:-1], kept)
        return series, final

    @staticmethod
    @first_only
    def backward(ctx: Any, d_series: Tensor | None, d_final: Tensor | None) -> tuple[Tensor | None, ...]:
        return (None, *_backward(ctx.task, ctx.saved_tensors, d_series, d_final, ctx.needs_input_grad[1:]))


def _forward(task: _Task, tensors: Sequence[Tensor], keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Series, final stores, and stores before each day: (time, store, space, component)."""
    from .kernels import launch

    like = tensors[0]
    shape = task.sizes if task.whole else task.sizes[:2]
    series = like.new_empty((task.n_wanted, *shape))
    final = like.new_empty((len(STORES), *task.sizes[1:]))
    kept = like.new_empty((task.sizes[0], len(STORES), *task.sizes[1:]) if keep else 1)
    which = (task.n_rows, task.dynamic, _hidden(tensors[6]), task.wanted, task.n_wanted)
    numbers = [int(x) for x in (*which, task.whole, keep, task.weighted)]
    n_rows = 0 if task.whole else task.n_wanted
    launch("forward", n_rows, task.sizes, (*tensors, series, final, kept), numbers, task.weighted)
    return series, final, kept


def _backward(
    task: _Task,
    saved: Sequence[Tensor],
    d_series: Tensor | None,
    d_final: Tensor | None,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of the tensors, None for those not needed, from those of series and final stores."""
    from .kernels import launch

    like, static, daily, network = saved[0], *saved[3:5], saved[6]
    nothing = like.new_empty(1)
    for_weather, for_daily, for_network = needed[:3], needed[4], needed[6]
    n_weather = sum(for_weather)
    d_weather = like.new_empty((n_weather, *task.sizes[:2])) if n_weather else nothing
    d_static = torch.empty_like(static)
    d_daily = torch.zeros_like(daily) if for_daily else nothing
    d_weights = torch.empty_like(saved[7]) if task.weighted else nothing
    d_initial = like.new_empty((len(STORES), *task.sizes[1:]))
    d_output = like.new_empty(task.sizes) if for_network else nothing
    inflow = like.new_empty(task.sizes) if for_network else nothing
    cotangents = (
        nothing if d_series is None else d_series.contiguous(),
        torch.zeros_like(d_initial) if d_final is None else d_final.contiguous(),
    )
    gradients = (d_weather, d_static, d_daily, d_weights, d_initial, d_output, inflow)
    wanted = 0 if d_series is None else task.wanted
    numbers = (task.n_rows, task.dynamic, _hidden(network), wanted, task.whole)
    flags = (_bits(for_weather), n_weather, for_daily, for_network)
    tensors = (*saved, *cotangents, *gradients)
    launch("backward", n_weather, task.sizes, tensors, [int(x) for x in (*numbers, *flags)], task.weighted)
    rows = iter(d_weather)
    results = [next(rows) if need else None for need in for_weather]
    d_network = _network_gradient(task, saved, d_output, inflow) if for_network else None
    d_parameters = [d_static if needed[3] else None, d_daily if for_daily else None]
    return [*results, *d_parameters, None, d_network, d_weights if task.weighted else None, d_initial]


# ---- NN_r ---------------------------------------------------------------------------------------


def _weights(processes: Mapping[str, Any] | None, like: Tensor) -> Tensor:
    """All weights of NN_r (:meth:`.RunoffNetwork.weights`); a single number if there is no network."""
    if not processes:
        return like.new_zeros(1)
    return processes["effective_rainfall"].weights(like.dtype).to(like)


def _hidden(network: Tensor) -> int:
    return network.numel() // _N_WEIGHTS


def _network_gradient(task: _Task, saved: Sequence[Tensor], d_output: Tensor, inflow: Tensor) -> Tensor:
    """Gradient of the weights of NN_r, from the cotangents of its output before the sigmoid.

    A thread of the kernel has too few registers for it, so matrix products compute it from saved values,
    some days at a time.
    """
    static, daily, held, network, _, kept = saved[3:]
    units = network[:-1].view(-1, _N_WEIGHTS)
    columns = []
    for place in (1, 0):  # FC, BETA
        below = task.dynamic & ((1 << place) - 1)
        slot = below.bit_count()
        columns.append(daily[slot][held.long()] if task.dynamic >> place & 1 else static[place - slot])
    FC, BETA = (value.expand(task.sizes) for value in columns)
    d_units = torch.zeros_like(units)
    step = max(1, _MOST_UNITS // (len(units) * task.sizes[1] * task.sizes[2]))
    for begin in range(0, task.sizes[0], step):
        days = slice(begin, begin + step)
        soil, total = kept[days, 2], d_output[days].reshape(-1, 1)
        parts = (FC[days], BETA[days], soil, soil / FC[days], inflow[days])
        inputs = torch.stack([*parts, torch.ones_like(soil)], -1).view(-1, 6)  # the last for the bias
        signals = inputs @ units[:, :6].T
        d_signals = total * torch.where(signals > 0, units[:, 6], torch.zeros_like(units[:, 6]))
        d_units[:, :6] += d_signals.T @ inputs
        d_units[:, 6] += (torch.relu(signals) * total).sum(0)
    return torch.cat([d_units.reshape(-1), d_output.sum().reshape(1)])


# ---- arrangement --------------------------------------------------------------------------------


def _bits(flags: Sequence[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _run_as_cells(
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    stores: Mapping[str, Tensor],
    names: tuple[str, ...],
    whole: Collection[str],
    processes: Mapping[str, Any] | None,
    rows: Tensor | None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run each component as a cell, when there are more components than threads in a block."""
    n_cells, n_components = stores[STORES[0]].shape
    repeated = tuple(series.repeat_interleave(n_components, dim=1) for series in forcing)
    flat = {name: parameters[name].flatten(-2)[..., None] for name in DAY_PARAMETERS}
    start = {name: stores[name].reshape(-1, 1) for name in STORES}
    precipitation, temperature, pet = repeated
    series, final = run((precipitation, temperature, pet), flat, start, names, names, processes, rows)
    results = {name: value.view(-1, n_cells, n_components) for name, value in series.items()}
    weights = parameters.get(WEIGHT)
    results = {
        name: value if name in whole else mean_of_components(value, weights)
        for name, value in results.items()
    }
    return results, {name: value.view(n_cells, n_components) for name, value in final.items()}

"""Run blocks of cells over segments of days: the only place that calls ``apply_ufunc``.

Segments run in order. What one hands to the next, all water a component, the network's hidden state
and the static parameters, is one array a block, the *carry*: with an array for each of them, dask would
have thirty times the tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import xarray as xr

from ...models.specs import LSTM_STATE, DeltaHBV
from ...support.dask_graphs import read_again, rechunked
from . import block as blocks
from .job import CARRY, OFFSET_ROWS, ZERO_PET, Job, Layout, layout, width
from .plan import Plan

Arrays = Mapping[str, xr.DataArray]

_RECEIVED = "received"  # the dimension of a carry that comes in
_OF_NETWORK = ("attributes", OFFSET_ROWS)
_ONCE = (*_OF_NETWORK, "mask")


def run(forcing: Arrays, arrays: Arrays, job: Job, plan: Plan) -> dict[str, xr.DataArray]:
    """All outputs of ``job``, lazy where anything is.

    Parameters
    ----------
    forcing : mapping of DataArray, (time, space...)
    arrays : mapping of DataArray, (space..., core dimensions)
        ``job.inputs`` by name.
    job : Job
        Of all days.
    plan : Plan

    Returns
    -------
    dict of DataArray
        ``job.outputs`` by name.
    """
    if not job.outputs:
        return {}
    job = _complete(job, arrays)
    if plan.in_memory:
        return _apply(_bare(forcing), _bare(arrays), job)
    import dask

    # Tasks, also with a cluster: its other way of merging chunks waits for all of them.
    with dask.config.set({"array.rechunk.method": "tasks"}):
        job = replace(job, budget=plan.machine.working, one_of_many=True)
        forcing, arrays = _in_blocks(forcing, plan), _in_blocks(arrays, plan)
        if len(plan.edges) == 1:
            return _apply(_of_days(forcing, 0, plan.days), arrays, job)
        return _in_order(forcing, arrays, job, plan)


def carries(forcing: Arrays, arrays: Arrays, job: Job, plan: Plan, ends: Sequence[int]) -> list[xr.DataArray]:
    """What a run hands on after the days before each of the positions ``ends``, (space..., carry).

    The run is cut at them, whether it is lazy or not; see :func:`run`.
    """
    import dask

    job = replace(_complete(job, arrays), outputs=(CARRY,))
    edges = list(pairwise(sorted({0, *ends, *(first for first, _ in plan.edges if first < max(ends))})))
    with dask.config.set({"array.rechunk.method": "tasks"}):
        if plan.in_memory:
            forcing, arrays = _bare(forcing), _bare(arrays)
        else:
            job = replace(job, budget=plan.machine.working, one_of_many=True)
            forcing, arrays = _in_blocks(forcing, plan), _in_blocks(arrays, plan)
        parts = _segments(forcing, arrays, job, plan, edges)
        own = slice(width(job.carried))
        return [
            part[CARRY].isel({CARRY: own})
            for (_, last), part in zip(edges, parts, strict=True)
            if last in ends
        ]


def _complete(job: Job, arrays: Arrays) -> Job:
    return replace(job, inputs=tuple(arrays), sizes=job.sizes | {CARRY: width(job.carried)})


def _bare(arrays: Arrays) -> dict[str, xr.DataArray]:
    return {
        name: array.drop_vars([coord for coord in array.coords if coord not in array.indexes])
        for name, array in arrays.items()
    }


def _in_blocks(arrays: Arrays, plan: Plan) -> dict[str, xr.DataArray]:
    """Chunks of the plan in space; of time as they are."""
    return {
        name: rechunked(array, {dim: plan.block[str(dim)] for dim in array.dims if dim in plan.block})
        for name, array in _bare(arrays).items()
    }


def _of_days(arrays: Arrays, first: int, last: int, in_memory: bool = False) -> dict[str, xr.DataArray]:
    """These days, in one chunk where lazy; other core dimensions in one chunk as well."""
    out = {}
    for name, array in arrays.items():
        part = array.isel(time=slice(first, last)) if "time" in array.dims else array
        if in_memory:
            out[name] = part
            continue
        whole = [
            dim
            for dim in part.dims
            if dim in ("time", "component", "attribute", "lead", "hidden_unit", "running_mean")
        ]
        out[name] = part.chunk(dict.fromkeys(whole, -1))
    return out


def _in_order(forcing: Arrays, arrays: Arrays, job: Job, plan: Plan) -> dict[str, xr.DataArray]:
    """Each segment with the carry of the one before; outputs one after the other."""
    results = list(_segments(forcing, arrays, job, plan, plan.edges))
    out = {
        name: xr.concat([part[name] for part in results], "time", join="override", coords="minimal")
        if "time" in job.output_dims[name]
        else results[0][name]
        for name in job.outputs
        if name != CARRY
    }
    return out | ({CARRY: results[-1][CARRY]} if CARRY in job.outputs else {})


def _segments(
    forcing: Arrays, arrays: Arrays, job: Job, plan: Plan, edges: Sequence[tuple[int, int]]
) -> Iterator[dict[str, xr.DataArray]]:
    """Results of each segment that has some, with its carry; the first of them has what has no time."""
    carry: xr.DataArray | None = None
    received: Layout = ()
    own = job.carried
    if "pet" in job.derived:  # whether it is 0 all year no segment knows
        job = replace(job, carried=(*own, (ZERO_PET, 1)))
    if job.needs_network and job.window[1] > plan.segment:
        carry, received = _walk_window(forcing, arrays, job, plan)
    for number, (first, last) in enumerate(edges):
        is_last = number == len(edges) - 1
        some = dict(arrays) if number == 0 else _still_needed(arrays, job)
        if carry is not None:
            some[CARRY] = carry.rename({CARRY: _RECEIVED})
        outputs = [name for name in job.outputs if number == 0 or "time" in job.output_dims[name]]
        outputs = [name for name in outputs if name != CARRY]
        if not is_last or CARRY in job.outputs:
            outputs.append(CARRY)
        if not outputs:
            continue
        step = _step(job, some, tuple(outputs), first, last)
        step = replace(step, received=received, window=job.window if number == 0 else (0, 0))
        step = replace(step, carried=own if is_last else job.carried)
        step = replace(step, sizes=step.sizes | {CARRY: width(step.carried)})
        whole = plan.in_memory
        result = _apply(_of_days(forcing, first, last, whole), _of_days(some, first, last, whole), step)
        carry, received = result.get(CARRY), job.carried
        yield result


def _step(job: Job, arrays: Arrays, outputs: tuple[str, ...], first: int, last: int) -> Job:
    """The job of some days."""
    return replace(
        job,
        inputs=tuple(arrays),
        input_dims=job.input_dims | {CARRY: (_RECEIVED,)},
        outputs=outputs,
        output_dims=job.output_dims | {CARRY: (CARRY,)},
        days=job.days.part(first, last),
        sizes=job.sizes | {"time": last - first},
    )


def _still_needed(arrays: Arrays, job: Job) -> dict[str, xr.DataArray]:
    """After the first segment: what the carry does not have."""
    spec = None if job.model is None else job.model.description
    daily = spec is not None and (not isinstance(spec, DeltaHBV) or bool(spec.dynamic))
    once = [name for name in _ONCE if daily or name not in _OF_NETWORK]
    return {
        name: array
        for name, array in arrays.items()
        if name in once or name.startswith("label:") or "time" in array.dims
    }


def _walk_window(forcing: Arrays, arrays: Arrays, job: Job, plan: Plan) -> tuple[xr.DataArray | None, Layout]:
    """Static parameters at the end of a parameter window that is longer than a segment.

    The network walks through the window segment by segment before the run begins. It reads the forcing
    for itself: shared with the run, all days of the window would wait in memory.
    """
    assert job.model is not None
    spec = job.model.description
    assert isinstance(spec, DeltaHBV)
    static = tuple(
        f"parameter:{name}"
        for name in spec.parameters
        if name not in spec.dynamic and f"parameter:{name}" not in arrays
    )
    parameters = layout(static, job.sizes, job.per_cell)
    states = layout(tuple(f"state:{name}" for name in LSTM_STATE), job.sizes)
    if not static:
        return None, ()
    first, end = job.window
    forcing = {name: read_again(array.isel(time=slice(0, end))) for name, array in forcing.items()}
    some = {name: array for name, array in arrays.items() if name in _ONCE or name.startswith("label:")}
    carry = None
    for start in range(first, end, plan.segment):
        stop = min(start + plan.segment, end)
        carried = parameters if stop == end else states
        if carry is not None:
            some[CARRY] = carry.rename({CARRY: _RECEIVED})
        step = replace(
            _step(job, some, (CARRY,), start, stop),
            received=() if carry is None else states,
            carried=carried,
            only_window=True,
        )
        step = replace(step, sizes=step.sizes | {CARRY: width(carried)})
        carry = _apply(_of_days(forcing, start, stop), some, step)[CARRY]
    return carry, parameters


def _apply(forcing: Arrays, extra: Arrays, job: Job) -> dict[str, xr.DataArray]:
    """Run the blocks of one segment: the one call of ``apply_ufunc``."""
    results = xr.apply_ufunc(
        blocks.run_block,
        *forcing.values(),
        *extra.values(),
        kwargs={"job": job},
        input_core_dims=[["time"]] * len(forcing) + [list(job.input_dims[name]) for name in extra],
        output_core_dims=[list(job.output_dims[name]) for name in job.outputs],
        join="exact",
        dask="parallelized",
        output_dtypes=[np.dtype("int8" if name == "forcing_flag" else job.dtype) for name in job.outputs],
        dask_gufunc_kwargs={
            "output_sizes": {dim: job.sizes[dim] for name in job.outputs for dim in job.output_dims[name]}
        },
        keep_attrs=False,
    )
    results = results if isinstance(results, tuple) else (results,)
    return dict(zip(job.outputs, results, strict=True))

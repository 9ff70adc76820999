"""The loop on CPUs: the day's equations through time in compiled kernels, with their own adjoint.

The meaning is that of :mod:`hydroxr.physics.loop_torch`, the reference. The kernels run without
Python's lock. A call from the main thread spreads blocks of cells over as many threads as torch
uses (``torch.get_num_threads()``); a call from any other thread is one of several, as under dask,
and stays in its thread. No result depends on the number of threads.

For gradients, only the stores of every 32nd day are kept; the adjoint computes the days between
again. NaNs in forcings, parameters or stores pass through to what depends on them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .hbv import DAY_FLUXES, DAY_PARAMETERS, STORES

_SLABS = 16  # a block has as many, if it can: work for a core that fits its nearest cache
_SMALL = 50_000  # lane-days for which starting a thread does not pay

DTYPES = {torch.float32: "float32", torch.float64: "float64"}


def accepts(like: Tensor) -> bool:
    """Whether tensors such as this one can be given."""
    return like.device.type == "cpu" and like.dtype in DTYPES


@cache
def available(dtype: torch.dtype = torch.float32) -> bool:
    """Whether there is a kernel: numba is installed and compiles here."""
    try:
        from .kernels_cpu import compiled

        compiled("forward", DTYPES[dtype])
    except Exception:  # whatever is wrong with a compiler, there is another loop
        return False
    return True


def run(
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    stores: Mapping[str, Tensor],
    wanted: Sequence[str],
    components: bool,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Walk through the days; arguments and results are those of :func:`.loop_torch.run`.

    Tensors are float32 or float64 (one of them), on the CPU, in any memory layout. Gradients flow
    from every series and from the final stores to everything, where required; those of
    gradients do not exist.
    """
    names = tuple(dict.fromkeys(wanted))
    tensors = (*forcing, *(parameters[name] for name in DAY_PARAMETERS), *(stores[name] for name in STORES))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        results = _Loop.apply(names, components, *tensors)
    else:
        results = _forward(names, components, tensors, None)
    series, final = results[: len(names)], results[len(names) :]
    return dict(zip(names, series, strict=True)), dict(zip(STORES, final, strict=True))


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, names: tuple[str, ...], components: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.names, ctx.components = names, components
        ctx.checkpoints = _Problem(tensors, components).empty_checkpoints()
        ctx.save_for_backward(*tensors)
        return _forward(names, components, tensors, ctx.checkpoints)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[2:]
        gradients = _backward(
            ctx.names, ctx.components, ctx.saved_tensors, ctx.checkpoints, cotangents, needed
        )
        return (None, None, *gradients)


class _Problem:
    """Sizes of a run, and what is side by side in vectors: components or cells.

    Components, where they fill vectors and where that saves transposing what has them in every
    day; else cells, with one slab for each component, for any number of components. A single cell
    would leave such vectors empty: there, components are run as if they were cells of one
    component (``unfolded``), and component means taken afterwards.
    """

    def __init__(self, tensors: Sequence[Tensor], components: bool) -> None:
        from .kernels_cpu import CHUNK, LANES

        self.like = tensors[0]
        self.n_days, self.n_cells = self.like.shape
        self.n_components = tensors[-1].shape[-1]
        daily = components or any(tensor.ndim == 3 for tensor in tensors)
        self.across = self.n_components % LANES == 0 and (daily or self.n_cells < LANES)
        self.unfolded = self.n_cells == 1 and not self.across
        if self.across:
            self.width, self.n_slabs = self.n_cells * LANES, self.n_components // LANES
        elif self.unfolded:
            self.width, self.n_slabs = self.n_components, 1
        else:
            self.width, self.n_slabs = self.n_cells, self.n_components
        self.lanes = LANES
        n_groups = -(-self.width // LANES)
        self.groups = max(1, min(n_groups, _SLABS // max(self.n_slabs, 1)))
        self.n_blocks = -(-n_groups // self.groups)
        self._checkpoint = -(-self.n_days // CHUNK) * self.groups * self.n_slabs * len(STORES) * LANES

    def empty_checkpoints(self) -> Tensor:
        return self.like.new_empty((self.n_blocks, self._checkpoint))

    def table(
        self, tensors: Sequence[Tensor | None], axes: str = "", kinds: Sequence[tuple[int, int]] = ()
    ) -> np.ndarray:
        """Addresses, strides (day, group, slab, lane) and two more numbers, as the kernels take them.

        ``axes`` names those of an array of two dimensions: "time" for (time, space), "component"
        for (space, component). A missing axis has stride 0.
        """
        rows = np.zeros((len(tensors), 7), dtype=np.int64)
        for row, tensor in zip(rows, tensors, strict=True):
            if tensor is None:
                continue
            strides = tensor.stride()
            if tensor.ndim == 2:
                strides = (*strides, 0) if axes == "time" else (0, *strides)
            time, space, component = strides
            if self.across:
                strides = (time, space, self.lanes * component, component)
            elif self.unfolded:
                strides = (time, self.lanes * component, 0, component)
            else:
                strides = (time, self.lanes * space, component, space)
            row[:5] = tensor.data_ptr(), *strides
        if kinds:
            rows[:, 5:] = kinds
        return rows

    def parameters(self, tensors: Sequence[Tensor]) -> np.ndarray:
        return self.table(tensors, "component", [(int(tensor.ndim == 3), 0) for tensor in tensors])

    def execute(self, kind: str, *arguments: Any) -> None:
        """Run a kernel over all blocks, in several threads where that pays."""
        from .kernels_cpu import compiled, scratch_size

        dtype = DTYPES[self.like.dtype]
        kernel = compiled(kind, dtype)
        sizes = (self.n_days, self.width, self.n_slabs, self.groups)

        def part(first: int, last: int) -> None:
            scratch = np.zeros(scratch_size(kind, self.n_slabs, self.groups), dtype)
            kernel(scratch, *arguments, *sizes, first, last)

        n_threads = min(_threads(), self.n_blocks, -(-self.n_days * self.width * self.n_slabs // _SMALL))
        if n_threads <= 1:
            part(0, self.n_blocks)
            return
        edges = [self.n_blocks * thread // n_threads for thread in range(n_threads + 1)]
        pool = _pool(n_threads - 1, os.getpid())
        others = [pool.submit(part, edges[thread], edges[thread + 1]) for thread in range(1, n_threads)]
        part(0, edges[1])
        for other in others:
            other.result()


def _forward(
    names: tuple[str, ...], components: bool, tensors: Sequence[Tensor], checkpoints: Tensor | None
) -> tuple[Tensor, ...]:
    """The series and the final stores."""
    from .kernels_cpu import STORE

    problem = _Problem(tensors, components)
    forcing, parameters, initial = tensors[:3], tensors[3:-5], tensors[-5:]
    whole = components or problem.unfolded
    shape = (problem.n_days, problem.n_cells, problem.n_components)
    series = [problem.like.new_empty(shape if whole else shape[:2]) for _ in names]
    final = [problem.like.new_empty(shape[1:]) for _ in STORES]
    kinds = [(_row(name, STORE), 0 if whole else problem.n_components) for name in names]
    problem.execute(
        "forward",
        problem.table(forcing, "time"),
        problem.parameters(parameters),
        problem.table(initial, "component"),
        problem.table(final, "component"),
        problem.table(series, "time", kinds),
        0 if checkpoints is None else checkpoints.data_ptr(),
    )
    if whole and not components:
        series = [value.mean(-1) for value in series]
    return (*series, *final)


def _backward(
    names: tuple[str, ...],
    components: bool,
    tensors: Sequence[Tensor],
    checkpoints: Tensor,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Cotangents of the inputs that need one, given those of the series and the final stores."""
    from .kernels_cpu import STORE

    problem = _Problem(tensors, components)
    shape = (problem.n_days, problem.n_cells, problem.n_components)
    given = [(name, value) for name, value in zip(names, cotangents, strict=False) if value is not None]
    kinds = [(_row(name, STORE), 1 if components else problem.n_components) for name, _ in given]
    # The gradient of a forcing is a sum over components: taken inside, or below for one cell.
    shapes = [shape if problem.unfolded else shape[:2]] * 3 + [tensor.shape for tensor in tensors[3:]]
    gradients = [
        problem.like.new_empty(size) if need else None for size, need in zip(shapes, needed, strict=True)
    ]
    problem.execute(
        "backward",
        problem.table(tensors[:3], "time"),
        problem.parameters(tensors[3:-5]),
        checkpoints.data_ptr(),
        problem.table([value for _, value in given], "time", kinds),
        problem.table(cotangents[len(names) :], "component"),
        problem.table(gradients[:3], "time"),
        problem.table(gradients[3:-5], "component"),
        problem.table(gradients[-5:], "component"),
    )
    if problem.unfolded:
        gradients[:3] = [None if value is None else value.sum(-1) for value in gradients[:3]]
    return gradients


def _row(name: str, first_store: int) -> int:
    """The row of a series in the kernels' arrays."""
    if name in STORES:
        return first_store + STORES.index(name)
    fluxes = (*DAY_FLUXES, "runoff")
    return first_store + len(STORES) + len(DAY_PARAMETERS) + fluxes.index(name)


def _threads() -> int:
    return torch.get_num_threads() if threading.current_thread() is threading.main_thread() else 1


@lru_cache(maxsize=1)
def _pool(n_threads: int, process: int) -> ThreadPoolExecutor:
    """The helping threads; a forked process has none of its parent's and needs its own."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"hydroxr-{process}")

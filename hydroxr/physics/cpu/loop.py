"""The loop on CPUs: the day's equations through time in compiled kernels, with their own adjoint.

The meaning is that of :mod:`hydroxr.physics.loop_torch`, the reference. The kernels run without
Python's lock. A call from the main thread spreads blocks of cells over as many threads as torch
uses (``torch.get_num_threads()``); a call from any other thread is one of several, as under dask,
and stays in its thread. No result depends on the number of threads.

For gradients, only the stores of every 32nd day are kept; the adjoint computes the days between
again. NaNs in forcings, parameters or stores pass through to what depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DimensionError
from ..derivatives import first_only, saveable
from ..equations import DAY_FLUXES, DAY_PARAMETERS, STORES
from ..threads import share

_TILE = 16  # slabs that fit a core's nearest cache
_BLOCK = 128  # slabs that fit the next one, with their weather and series
_PARTS = 8  # blocks at least, if it can be, for threads to share
_FEW = 32  # vectors of cells, one of which may be partly empty

_FORCING = ("precipitation", "temperature", "potential evapotranspiration")
DTYPES = {torch.float32: "float32", torch.float64: "float64"}


def accepts(like: Tensor) -> bool:
    """Whether tensors such as this one can be given."""
    return like.device.type == "cpu" and like.dtype in DTYPES


@cache
def obstacle(dtype: torch.dtype = torch.float32) -> str:
    """Why there is no kernel for a type: what went wrong on compiling it; empty where there is one."""
    try:
        from numba.core import config

        if getattr(config, "DISABLE_JIT", 0):
            return "numba's compiler is switched off (NUMBA_DISABLE_JIT)"
        from .kernels import compiled

        compiled("forward", DTYPES[dtype])
    except Exception as error:  # whatever is wrong with a compiler, there is another loop
        return f"{type(error).__name__}: {error}"
    return ""


def run(
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    stores: Mapping[str, Tensor],
    wanted: Sequence[str],
    components: bool,
    processes: Mapping[str, Any] | None = None,
    rows: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Walk through the days; arguments and results are those of :func:`.loop_torch.run`.

    Tensors are float32 or float64 (one of them), on the CPU, in any memory layout. Of
    ``processes`` there may be :class:`~.runoff_network.RunoffNetwork` for ``effective_rainfall``.
    Gradients flow from every series and from the final stores to everything, where required; those
    of gradients do not exist.
    """
    names = tuple(dict.fromkeys(wanted))
    tensors = (*forcing, *(parameters[name] for name in DAY_PARAMETERS), *(stores[name] for name in STORES))
    held = torch.arange(len(forcing[0])) if rows is None else rows
    tensors = _checked(tensors, len(forcing[0]) if rows is None else None)
    weights = None
    if processes:
        weights = processes["effective_rainfall"].weights(forcing[0].dtype).to(forcing[0].device)
    differentiated = tensors if weights is None else (*tensors, weights)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in differentiated):
        results = _Loop.apply(names, components, held, weights, *saveable(tensors))
    else:
        results = _forward(names, components, held, weights, tensors, None)
    series, final = results[: len(names)], results[len(names) :]
    return dict(zip(names, series, strict=True)), dict(zip(STORES, final, strict=True))


def _checked(tensors: Sequence[Tensor], n_rows: int | None) -> tuple[Tensor, ...]:
    """Tensors whose memory is what the kernels take it for; dynamic parameters have ``n_rows`` (None: any).

    Raises
    ------
    DimensionError
        Where one has another type, device or shape than it must have beside the others.
    """
    like, (n_cells, n_components) = tensors[0], tensors[-1].shape
    days = like.shape[0]
    for place, tensor in enumerate(tensors):
        name = (*_FORCING, *DAY_PARAMETERS, *STORES)[place]
        allowed: list[tuple[int, ...]] = [(days, n_cells)] if place < 3 else [(n_cells, n_components)]
        if 3 <= place < 3 + len(DAY_PARAMETERS):
            allowed.append((tensor.shape[0] if n_rows is None else n_rows, n_cells, n_components))
        if tuple(tensor.shape) not in allowed or tensor.dtype != like.dtype or tensor.device != like.device:
            raise DimensionError(
                f"{name} is {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}; expected "
                f"{' or '.join(map(str, allowed))}, {like.dtype} on {like.device}."
            )
    return tuple(tensor.resolve_neg() for tensor in tensors)


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        names: tuple[str, ...],
        components: bool,
        held: Tensor,
        weights: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.names, ctx.components, ctx.held = names, components, held
        ctx.checkpoints = _Problem(tensors, components).empty_checkpoints()
        ctx.save_for_backward(weights, *tensors)
        return _forward(names, components, held, weights, tensors, ctx.checkpoints)

    @staticmethod
    @first_only
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        weights, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[4:]
        gradients = _backward(
            ctx.names, ctx.components, ctx.held, weights, tensors, ctx.checkpoints, cotangents, needed
        )
        return (None, None, None, *gradients)


class _Problem:
    """Sizes of a run, and what is side by side in vectors: components or cells.

    Components, where they fill vectors and where that saves transposing what has them in every
    day or leaving vectors of few cells partly empty; else cells, with one slab for each component,
    for any number of components. A single cell would leave such vectors empty: there, components
    are run as if they were cells of one component (``unfolded``), and component means taken
    afterwards.
    """

    def __init__(self, tensors: Sequence[Tensor], components: bool) -> None:
        from .rows import LANES
        from .slabs import CHUNK

        self.like = tensors[0]
        self.n_days, self.n_cells = self.like.shape
        self.n_components = tensors[-1].shape[-1]
        daily = components or any(tensor.ndim == 3 for tensor in tensors)
        self.across = self.n_components % LANES == 0 and (daily or self.n_cells < _FEW * LANES)
        self.unfolded = self.n_cells == 1 and not self.across
        if self.across:
            self.width, self.n_slabs = self.n_cells * LANES, self.n_components // LANES
        elif self.unfolded:
            self.width, self.n_slabs = self.n_components, 1
        else:
            self.width, self.n_slabs = self.n_cells, self.n_components
        self.lanes = LANES
        self.n_groups = -(-self.width // LANES)
        self.tile = max(1, min(self.n_groups, _TILE // max(self.n_slabs, 1)))
        tiles = max(1, min(_BLOCK // (self.tile * self.n_slabs), self.n_groups // (_PARTS * self.tile)))
        self.groups = self.tile * tiles
        self.n_blocks = -(-self.n_groups // self.groups)
        self._checkpoint = self.n_groups * self.n_slabs * len(STORES) * LANES
        self._n_chunks = -(-self.n_days // CHUNK)

    def empty_checkpoints(self) -> Tensor:
        return self.like.new_empty((self._n_chunks, self._checkpoint))

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

    def execute(
        self,
        kind: str,
        n_series: int,
        tables: Sequence[np.ndarray],
        held: Tensor,
        checkpoints: Tensor | None,
        weights: Tensor | None,
        everything: bool,
    ) -> Tensor | None:
        """Run a kernel over all blocks, in several threads where that pays.

        The adjoint's gives the gradient of NN_r's ``weights``, where there are any.
        """
        from .kernels import compiled, scratch_size
        from .network import N_WEIGHTS, Network

        dtype = DTYPES[self.like.dtype]
        kernel = compiled(kind, dtype, weights is not None)
        table = np.concatenate(tables)
        held_rows = np.ascontiguousarray(held.numpy(), dtype=np.int64)
        kept = 0 if checkpoints is None else checkpoints.data_ptr()
        sizes = (self.n_slabs, self.tile, self.groups)
        network, gradient = None, None
        if weights is not None:
            # A sum a block: the order in which blocks are done changes no digit.
            shape = (self.n_blocks, len(weights), self.lanes)
            gradient = weights.new_zeros(shape) if kind == "backward" else None
            address = 0 if gradient is None else gradient.data_ptr()
            network = Network(weights.data_ptr(), address, (len(weights) - 1) // N_WEIGHTS)

        def part(first: int, last: int) -> None:
            scratch = np.empty(scratch_size(kind, network is not None, n_series, *sizes), dtype)
            lengths = (self.n_days, self.width, *sizes)
            kernel(0.0, scratch, table, held_rows, kept, network, everything, *lengths, first, last)

        share(part, self.n_blocks, self.n_days * self.width * self.n_slabs)
        return None if gradient is None else gradient.sum((0, 2))


def _forward(
    names: tuple[str, ...],
    components: bool,
    held: Tensor,
    weights: Tensor | None,
    tensors: Sequence[Tensor],
    checkpoints: Tensor | None,
) -> tuple[Tensor, ...]:
    """The series and the final stores."""
    from .slabs import STORE

    problem = _Problem(tensors, components)
    forcing, parameters, initial = tensors[:3], tensors[3:-5], tensors[-5:]
    whole = components or problem.unfolded
    shape = (problem.n_days, problem.n_cells, problem.n_components)
    series = [problem.like.new_empty(shape if whole else shape[:2]) for _ in names]
    final = [problem.like.new_empty(shape[1:]) for _ in STORES]
    kinds = [(_row(name, STORE), 0 if whole else problem.n_components) for name in names]
    tables = [
        problem.table(forcing, "time"),
        problem.parameters(parameters),
        problem.table(initial, "component"),
        problem.table(final, "component"),
        problem.table([None] * (3 + len(parameters))),
        problem.table(series, "time", kinds),
    ]
    everything = any(name in DAY_FLUXES for name in names)
    problem.execute("forward", len(names), tables, held, checkpoints, weights, everything)
    if whole and not components:
        series = [value.mean(-1) for value in series]
    return (*series, *final)


def _backward(
    names: tuple[str, ...],
    components: bool,
    held: Tensor,
    weights: Tensor | None,
    tensors: Sequence[Tensor],
    checkpoints: Tensor,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Cotangents of weights and inputs that need one, given those of the series and the final stores."""
    from .slabs import STORE

    problem = _Problem(tensors, components)
    shape = (problem.n_days, problem.n_cells, problem.n_components)
    given = [(name, value) for name, value in zip(names, cotangents, strict=False) if value is not None]
    kinds = [(_row(name, STORE), 1 if components else problem.n_components) for name, _ in given]
    # The gradient of a forcing is a sum over components: taken inside, or below for one cell.
    shapes = [shape if problem.unfolded else shape[:2]] * 3 + [tensor.shape for tensor in tensors[3:]]
    gradients = [
        problem.like.new_empty(size) if need else None for size, need in zip(shapes, needed, strict=True)
    ]
    everything = any(needed[:3]) or any(name in DAY_FLUXES for name, _ in given)
    tables = [
        problem.table(tensors[:3], "time"),
        problem.parameters(tensors[3:-5]),
        problem.table(gradients[-5:], "component"),
        problem.table(cotangents[len(names) :], "component"),
        problem.table(gradients[:3], "time"),
        problem.table(gradients[3:-5], "component"),
        problem.table([value for _, value in given], "time", kinds),
    ]
    d_weights = problem.execute("backward", len(given), tables, held, checkpoints, weights, everything)
    if problem.unfolded:
        gradients[:3] = [None if value is None else value.sum(-1) for value in gradients[:3]]
    return [d_weights, *gradients]


def _row(name: str, first_store: int) -> int:
    """The row of a series in the kernels' arrays."""
    if name in STORES:
        return first_store + STORES.index(name)
    fluxes = (*DAY_FLUXES, "runoff")
    return first_store + len(STORES) + len(DAY_PARAMETERS) + fluxes.index(name)

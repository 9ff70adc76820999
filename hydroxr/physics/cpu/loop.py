"""The loop over days on CPUs, in compiled kernels with their own adjoint.

It computes the same as the reference, :mod:`hydroxr.physics.loop_torch`. The kernels run without
Python's lock, in several threads by the rule of :mod:`hydroxr.physics.threads`. No result depends on
the number of threads.

For gradients, only the stores of every 32nd day are kept; the adjoint computes the days in between
again. NaNs in forcing, parameters or stores propagate to all values that depend on them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DimensionError
from ..arguments import mean_of_components
from ..autograd import first_only, saveable
from ..equations import DAY_FLUXES, LANE_PARAMETERS, STORES
from ..parameters import WEIGHT
from ..threads import share

_TILE = 16  # slabs that fit into the first-level cache of a core
_BLOCK = 128  # slabs that fit into the second-level cache, with their weather and series
_PARTS = 8  # blocks at least, if there are enough cells, for threads to share
_FEW = 4  # vectors of cells below which a partly empty one matters

_FORCING = ("precipitation", "temperature", "potential evapotranspiration")
DTYPES = {torch.float32: "float32", torch.float64: "float64"}
Tensors = Sequence[Tensor | None]  # forcing, LANE_PARAMETERS, stores; None for a parameter that is not given


def accepts(like: Tensor) -> bool:
    """Whether the kernels accept tensors of this dtype and device."""
    return like.device.type == "cpu" and like.dtype in DTYPES


@cache
def obstacle(dtype: torch.dtype = torch.float32) -> str:
    """Why the kernels cannot be compiled for a dtype; empty if they can."""
    try:
        from numba.core import config

        if getattr(config, "DISABLE_JIT", 0):
            return "numba's compiler is switched off (NUMBA_DISABLE_JIT)"
        from .kernels import compiled

        compiled("forward", DTYPES[dtype])
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

    Tensors are all float32 or all float64, on the CPU, in any memory layout. ``processes`` may have a
    :class:`~.runoff_network.RunoffNetwork` for ``effective_rainfall``, nothing else. First derivatives
    of all series and of the final stores exist with respect to all tensors.
    """
    names = tuple(dict.fromkeys(wanted))
    whole = frozenset(whole)
    if WEIGHT in parameters and _Problem.unfolds(forcing[0], parameters[WEIGHT]) and not whole >= {*names}:
        series, final = run(forcing, parameters, stores, names, names, processes, rows)
        for name in {*names} - whole:
            series[name] = mean_of_components(series[name], parameters[WEIGHT])
        return series, final
    given = [parameters.get(name) for name in LANE_PARAMETERS]
    tensors = (*forcing, *given, *(stores[name] for name in STORES))
    held = torch.arange(len(forcing[0])) if rows is None else rows
    leaves = _checked(tensors, len(forcing[0]) if rows is None else None)
    weights = None
    if processes:
        weights = processes["effective_rainfall"].weights(forcing[0].dtype).to(forcing[0].device)
    differentiated = [tensor for tensor in (*leaves, weights) if tensor is not None]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in differentiated):
        results = _Loop.apply(names, whole, held, weights, *saveable(leaves))
    else:
        results = _forward(names, whole, held, weights, leaves, None)
    series, final = results[: len(names)], results[len(names) :]
    return dict(zip(names, series, strict=True)), dict(zip(STORES, final, strict=True))


def _checked(tensors: Sequence[Any], n_rows: int | None) -> Tensors:
    """Return the tensors if their shapes, dtype and device are consistent; kernels read raw memory.

    Dynamic parameters must have ``n_rows`` rows (None: any number).

    Raises
    ------
    DimensionError
        If the shape, dtype or device of a tensor does not fit the others.
    """
    like, (n_cells, n_components) = tensors[0], tensors[-1].shape
    days = like.shape[0]
    for place, tensor in enumerate(tensors):
        if tensor is None:  # a parameter that not all models have
            continue
        name = (*_FORCING, *LANE_PARAMETERS, *STORES)[place]
        allowed: list[tuple[int, ...]] = [(days, n_cells)] if place < 3 else [(n_cells, n_components)]
        if 3 <= place < 3 + len(LANE_PARAMETERS) and name != WEIGHT:
            allowed.append((tensor.shape[0] if n_rows is None else n_rows, n_cells, n_components))
        if tuple(tensor.shape) not in allowed or tensor.dtype != like.dtype or tensor.device != like.device:
            raise DimensionError(
                f"{name} is {tuple(tensor.shape)}, {tensor.dtype} on {tensor.device}; expected "
                f"{' or '.join(map(str, allowed))}, {like.dtype} on {like.device}."
            )
    return tuple(None if tensor is None else tensor.resolve_neg() for tensor in tensors)


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        names: tuple[str, ...],
        whole: Collection[str],
        held: Tensor,
        weights: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.names, ctx.whole, ctx.held = names, whole, held
        ctx.checkpoints = _Problem(tensors, whole).empty_checkpoints()
        ctx.save_for_backward(weights, *tensors)
        return _forward(names, whole, held, weights, tensors, ctx.checkpoints)

    @staticmethod
    @first_only
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        weights, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[4:]
        gradients = _backward(
            ctx.names, ctx.whole, ctx.held, weights, tensors, ctx.checkpoints, cotangents, needed
        )
        return (None, None, None, *gradients)


class _Problem:
    """Sizes of a run, and the choice between components and cells as the lanes of vectors.

    ``across``: components are lanes. They must fill whole vectors, and it must pay: either arrays
    have components on every day, which saves transposing them, or there are few cells, which would
    leave vectors partly empty. Otherwise cells are lanes, with one slab per component.
    ``unfolded``: a single cell would leave vectors nearly empty, so its components run as if they were
    cells with one component. Means over components are taken afterwards.
    """

    def __init__(self, tensors: Tensors, whole: Collection[str]) -> None:
        from .rows import LANES
        from .slabs import CHUNK

        assert tensors[0] is not None
        assert tensors[-1] is not None
        self.like = tensors[0]
        self.n_days, self.n_cells = self.like.shape
        self.n_components = tensors[-1].shape[-1]
        daily = bool(whole) or any(tensor is not None and tensor.ndim == 3 for tensor in tensors)
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

    @staticmethod
    def unfolds(like: Tensor, parameter: Tensor) -> bool:
        """Whether a run of this forcing with this parameter of components is ``unfolded``."""
        from .rows import LANES

        return like.shape[1] == 1 and parameter.shape[-1] % LANES != 0

    def empty_checkpoints(self) -> Tensor:
        return self.like.new_empty((self._n_chunks, self._checkpoint))

    def table(
        self, tensors: Sequence[Tensor | None], axes: str = "", kinds: Sequence[tuple[int, int]] = ()
    ) -> np.ndarray:
        """A table for the kernels (:data:`.slabs.TABLE_COLUMNS`): address, strides, ``kinds``.

        ``axes`` tells what a tensor of two dimensions is: "time" for (time, space), "component" for
        (space, component). A missing axis has stride 0.
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

    def parameters(self, tensors: Tensors) -> np.ndarray:
        kinds = [(int(tensor is not None and tensor.ndim == 3), 0) for tensor in tensors]
        return self.table(tensors, "component", kinds)

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
        """Run a kernel over all blocks, in several threads if that pays.

        The adjoint returns the gradient of the ``weights`` of NN_r, if there are any.
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
            # One sum per block, so that the order in which blocks run does not change the result.
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
    whole: Collection[str],
    held: Tensor,
    weights: Tensor | None,
    tensors: Tensors,
    checkpoints: Tensor | None,
) -> tuple[Tensor, ...]:
    """Run the forward kernel; return the series, then the final stores."""
    from .slabs import STORE

    problem = _Problem(tensors, whole)
    forcing, parameters, initial = tensors[:3], tensors[3:-5], tensors[-5:]
    apart = [problem.unfolded or name in whole for name in names]
    shape = (problem.n_days, problem.n_cells, problem.n_components)
    series = [problem.like.new_empty(shape if each else shape[:2]) for each in apart]
    final = [problem.like.new_empty(shape[1:]) for _ in STORES]
    kinds = [
        (_row(name, STORE), 0 if each else problem.n_components)
        for name, each in zip(names, apart, strict=True)
    ]
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
    if problem.unfolded:
        series = [
            value if name in whole else value.mean(-1) for name, value in zip(names, series, strict=True)
        ]
    return (*series, *final)


def _backward(
    names: tuple[str, ...],
    whole: Collection[str],
    held: Tensor,
    weights: Tensor | None,
    tensors: Tensors,
    checkpoints: Tensor,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Run the adjoint; return the gradients of weights and inputs, None for those not needed.

    ``cotangents`` are those of the series, then those of the final stores.
    """
    from .slabs import STORE

    problem = _Problem(tensors, whole)
    shape = (problem.n_days, problem.n_cells, problem.n_components)
    given = [(name, value) for name, value in zip(names, cotangents, strict=False) if value is not None]
    of_mean = problem.n_components if tensors[3 + LANE_PARAMETERS.index(WEIGHT)] is None else 0
    kinds = [(_row(name, STORE), 1 if name in whole else of_mean) for name, _ in given]
    # The gradient of a forcing is a sum over components. The kernel takes it, except for a single cell.
    shapes: list[tuple[int, ...]] = [shape if problem.unfolded else shape[:2]] * 3
    shapes += [() if tensor is None else tuple(tensor.shape) for tensor in tensors[3:]]
    # A row of dynamic parameters that holds on no day is not written: its gradient is 0.
    like = problem.like
    dynamic = {place for place, tensor in enumerate(tensors) if tensor is not None and tensor.ndim == 3}
    gradients = [
        None if not need else (like.new_zeros if place in dynamic else like.new_empty)(size)
        for place, (size, need) in enumerate(zip(shapes, needed, strict=True))
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
    """The row of a series in a slab."""
    if name in STORES:
        return first_store + STORES.index(name)
    fluxes = (*DAY_FLUXES, "runoff")
    return first_store + len(STORES) + len(LANE_PARAMETERS) + fluxes.index(name)

"""Causal convolution of cells' series in a compiled kernel, with its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..derivatives import first_only, saveable
from ..threads import share
from .loop import DTYPES

_GROUPS = 8  # vectors of a strip: rows worth the way to the memory
_PARTS = 8  # strips at least, if it can be, for threads to share
_WORK = 2  # cell-days as much work as one of a component in the loop


def convolve(series: Tensor, weights: Tensor, earlier: Tensor, n_rest: int) -> tuple[Tensor, Tensor]:
    """Convolve each cell's series with its weights.

    Parameters
    ----------
    series : Tensor, (time, space)
        float32 or float64, on the CPU, as the others; any memory layout.
    weights : Tensor, (space, lag)
    earlier : Tensor, (space, day)
        Added to the result of the first days.
    n_rest : int
        Days after the last whose results are wanted, too.

    Returns
    -------
    result : Tensor, (time, space)
    rest : Tensor, (space, n_rest)
    """
    series, weights, earlier = (value.resolve_neg() for value in (series, weights, earlier))
    if torch.is_grad_enabled() and any(value.requires_grad for value in (series, weights, earlier)):
        result, rest = _Convolution.apply(*saveable((series, weights, earlier)), n_rest)
    else:
        result, rest = _forward(series, weights, earlier, n_rest)
    return result, rest.T


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, series: Tensor, weights: Tensor, earlier: Tensor, n_rest: int
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.n_rest, ctx.n_earlier = n_rest, earlier.shape[1]
        ctx.save_for_backward(series, weights)
        return _forward(series, weights, earlier, n_rest)

    @staticmethod
    @first_only
    def backward(ctx: Any, d_result: Tensor | None, d_rest: Tensor | None) -> tuple[Tensor | None, ...]:
        series, weights = ctx.saved_tensors
        of_series, of_weights, of_earlier = ctx.needs_input_grad[:3]
        d_series = series.new_empty(series.shape) if of_series else None
        d_weights = weights.new_empty(weights.shape) if of_weights else None
        if of_series or of_weights:
            arrays = (
                series,
                weights.T,
                d_series,
                d_result,
                d_rest,
                None if d_weights is None else d_weights.T,
            )
            _execute("backward", arrays, ctx.n_rest, 0)
        d_earlier = None
        if of_earlier:
            d_earlier = weights.new_zeros((weights.shape[0], ctx.n_earlier))
            n_days = len(series)
            if d_result is not None:
                first = min(n_days, ctx.n_earlier)
                d_earlier[:, :first] = d_result[:first].T
            if d_rest is not None and ctx.n_earlier > n_days:
                following = min(ctx.n_earlier - n_days, ctx.n_rest)
                d_earlier[:, n_days : n_days + following] = d_rest[:following].T
        return d_series, d_weights, d_earlier, None


def _forward(series: Tensor, weights: Tensor, earlier: Tensor, n_rest: int) -> tuple[Tensor, Tensor]:
    """The result and, (time, space), the rest."""
    result = series.new_empty(series.shape)
    rest = series.new_empty((n_rest, series.shape[1]))
    _execute("forward", (series, weights.flip(1).T, earlier.T, result, rest), n_rest, earlier.shape[1])
    return result, rest


def _execute(kind: str, arrays: Sequence[Tensor | None], n_rest: int, n_earlier: int) -> None:
    """Run a kernel over all cells, in several threads where that pays."""
    from .convolution_kernels import compiled, scratch_size
    from .rows import LANES
    from .slabs import TABLE_COLUMNS

    series, weights = arrays[0], arrays[1]
    assert series is not None
    assert weights is not None
    (n_days, width), lags = series.shape, len(weights)
    tables = np.zeros((len(arrays), TABLE_COLUMNS), dtype=np.int64)
    for row, array in zip(tables, arrays, strict=True):
        if array is not None:
            time, space = array.stride()
            row[:5] = array.data_ptr(), time, LANES * space, 0, space
    n_groups = -(-width // LANES)
    groups = max(1, min(_GROUPS, n_groups // _PARTS))
    dtype = DTYPES[series.dtype]
    kernel = compiled(kind, dtype)

    def part(first: int, last: int) -> None:
        scratch = np.empty(scratch_size(lags, groups), dtype)
        kernel(0.0, scratch, tables, n_days, n_rest, n_earlier, lags, width, groups, first, last)

    share(part, -(-n_groups // groups), n_days * width // _WORK)

"""Causal convolution of the series of cells in a compiled kernel, with its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..autograd import first_only, saveable
from ..threads import share
from .loop import DTYPES

_GROUPS = 8  # vectors per strip: long rows make good use of memory bandwidth
_PARTS = 8  # strips at least, if there are enough cells, for threads to share
_WORK = 2  # cell-days that take as long as one component-day of the loop


def convolve(series: Tensor, weights: Tensor, earlier: Tensor, n_rest: int) -> tuple[Tensor, Tensor]:
    """Convolve the series of each cell with its weights.

    Parameters
    ----------
    series : Tensor, (time, space)
        All tensors are float32 or float64 (the same dtype) on the CPU, in any memory layout.
    weights : Tensor, (space, lag)
        Share of a value that arrives 0, 1, ... days later.
    earlier : Tensor, (space, day)
        Added to the result of the first days.
    n_rest : int
        Number of days to compute after the end of the series.

    Returns
    -------
    result : Tensor, (time, space)
        On the days of the series.
    rest : Tensor, (space, n_rest)
        On the days after the series.
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
    """The result and the rest, both (time, space)."""
    result = series.new_empty(series.shape)
    rest = series.new_empty((n_rest, series.shape[1]))
    _execute("forward", (series, weights.flip(1).T, earlier.T, result, rest), n_rest, earlier.shape[1])
    return result, rest


def _execute(kind: str, arrays: Sequence[Tensor | None], n_rest: int, n_earlier: int) -> None:
    """Run a kernel over all cells, in several threads if that pays."""
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

"""Exponential running means of daily series: what a network without recurrence knows of the past.

The mean with time scale τ (days) follows m(t) = m(t-1) + (x(t) - m(t-1)) / τ. It uses no later day, and it
is linear in the series, so that the means of a whole record are computed once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

_CHUNK = 128  # days that one matrix product advances where there is no compiled loop


def running_means(series: Tensor, start: Tensor, scales: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Running means of series on some days.

    Parameters
    ----------
    series : Tensor, (time, space, variable)
    start : Tensor, (space, variable, scale)
        The means before the first day.
    scales : Tensor, (scale,)
        Time scales, days; at least 1.
    rows : Tensor of int64, (row,)
        Days whose means are returned, ascending.

    Returns
    -------
    means : Tensor, (row, space, variable, scale)
        At the end of those days.
    last : Tensor, (space, variable, scale)
        At the end of the last day.
    """
    if series.device.type != "cpu":
        return _by_products(series, start, scales, rows)
    days, shape = series.shape[0], start.shape
    flat = np.ascontiguousarray(series.detach().numpy().reshape(days, -1))
    last = np.array(start.reshape(-1, shape[-1]).T.numpy(), order="C")  # (scale, space * variable)
    means = np.empty((len(rows), *last.shape), dtype=flat.dtype)
    weights = (1.0 / scales.double()).numpy().astype(flat.dtype)
    _loop(flat.dtype.name)(flat, weights, rows.numpy(), last, means)
    order = torch.from_numpy(means).transpose(1, 2).reshape(len(rows), *shape)
    return order, torch.from_numpy(last).T.reshape(shape)


@cache
def _loop(dtype: str) -> Any:
    """The recursion compiled for one type; it releases Python's lock."""
    from numba import types

    from ..support.compiled import compile_cached

    number = types.float64 if dtype == "float64" else types.float32
    matrix, cube = types.Array(number, 2, "C"), types.Array(number, 3, "C")
    signature = types.void(
        matrix, types.Array(number, 1, "C"), types.Array(types.int64, 1, "C"), matrix, cube
    )
    return compile_cached(_advance, signature)


def _advance(series, weights, rows, last, means):  # type: ignore[no-untyped-def]
    coming = 0
    for day in range(series.shape[0]):
        for scale in range(weights.shape[0]):
            weight = weights[scale]
            for i in range(series.shape[1]):
                last[scale, i] += weight * (series[day, i] - last[scale, i])
        if coming < rows.shape[0] and rows[coming] == day:
            means[coming] = last
            coming += 1


def _by_products(series: Tensor, start: Tensor, scales: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The same by products with triangular matrices: a GPU does not wait for a launch per day."""
    weight = (1.0 / scales.double()).to(series.dtype)
    lag = torch.arange(_CHUNK, device=series.device)
    distance = (lag[:, None] - lag[None, :]).clamp(min=0)
    decay = torch.tril((1.0 - weight)[:, None, None] ** distance) * weight[:, None, None]
    parts, last = [], start
    for first in range(0, series.shape[0], _CHUNK):
        part = series[first : first + _CHUNK]
        n = part.shape[0]
        new = torch.einsum("sde,exv->dxvs", decay[:, :n, :n], part)
        means = new + last * (1.0 - weight) ** (lag[:n, None, None, None] + 1)
        chosen = rows[(rows >= first) & (rows < first + n)] - first
        parts.append(means[chosen])
        last = means[-1]
    return torch.cat(parts), last

"""Routing of lateral inflow through a network of reaches, compiled and differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..autograd import first_only, saveable
from .coefficients import coefficients
from .scheme import MOST_STEPS, Scheme
from .topology import routing_order

_CHUNK = 64  # days that a reach goes through at once: a series of a chunk fits into the nearest cache
_RECORDED = 2**24  # inflows that the adjoint keeps at a time


@dataclass(frozen=True)
class Reaches:
    """Where the water of each reach goes, and how the reach is cut.

    Parameters
    ----------
    downstream : array of int, (reach + given,)
        Position of the reach below, -1 at an outlet. The last entries are series from outside.
    scheme : Scheme
        Of the reaches.
    steps_given : array of int, (given,)
        Steps per day of the series from outside.
    taken : array of int
        Positions of reaches whose outflow in each step is returned.
    """

    downstream: np.ndarray
    scheme: Scheme
    steps_given: np.ndarray
    taken: np.ndarray

    @classmethod
    def alone(cls, downstream: np.ndarray, scheme: Scheme) -> Reaches:
        """A network that no water enters from outside."""
        none = np.zeros(0, dtype=int)
        return cls(downstream, scheme, none, none)

    @property
    def section_count(self) -> int:
        """Number of sections of all reaches."""
        return int(self.scheme.sections.sum())

    def first_sections(self) -> np.ndarray:
        """The number of the first section of each reach."""
        return np.concatenate([[0], np.cumsum(self.scheme.sections)[:-1]]).astype(int)

    def tables(self, n_days: int, chunk: int) -> tuple[tuple[np.ndarray, ...], np.ndarray, int, int]:
        """What the kernels want: their tree, the order, the length of ``taken`` and of the record."""
        scheme, number = self.scheme, len(self.scheme.steps)
        steps = np.concatenate([scheme.steps, self.steps_given])
        sections = np.concatenate([scheme.sections, np.zeros_like(self.steps_given)])
        place = np.full(len(steps), -1)
        ends = np.cumsum(steps[number:] * n_days)
        place[number:] = ends - steps[number:] * n_days
        ends = np.cumsum(steps[self.taken] * n_days)
        place[self.taken] = ends - steps[self.taken] * n_days
        before = np.concatenate([[0], np.cumsum(steps * sections * chunk)])
        nodes = np.concatenate([[0], np.cumsum(sections)[:-1]])
        tree = (steps, sections, nodes, self.downstream, place, before[:-1])
        order = routing_order(self.downstream)
        return (
            tuple(np.ascontiguousarray(each, dtype=np.int64) for each in tree),
            np.ascontiguousarray(order, dtype=np.int64),
            int(ends[-1]) if len(ends) else 0,
            int(before[-1]),
        )


def route(
    lateral: Tensor,
    travel_time: Tensor,
    x: Tensor,
    reaches: Reaches,
    storage: Tensor | None = None,
    given: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Route lateral inflow, which enters at the upper end of its reach.

    Differentiable by all tensors. Computed in float64.

    Parameters
    ----------
    lateral : Tensor, (reach, time)
        Mean inflow of each day to each reach, m3 s-1.
    travel_time, x : Tensor, (reach,)
        K, days, and X of Muskingum.
    reaches : Reaches
    storage : Tensor, (section,), optional
        Water in the sections before the first day, m3; default: none.
    given : Tensor, (step,), optional
        Series from outside, one after the other, m3 s-1.

    Returns
    -------
    discharge : Tensor, (reach, time)
        Mean outflow of each day, m3 s-1.
    stored : Tensor, (reach, time)
        Water in each reach at the end of each day, m3.
    storage : Tensor, (section,)
        Water in the sections after the last day, m3.
    taken : Tensor, (step,)
        Outflow of ``reaches.taken`` in each of their steps, one after the other, m3 s-1.
    """
    lateral = lateral.double()
    storage = lateral.new_zeros(reaches.section_count) if storage is None else storage.double()
    given = lateral.new_zeros(0) if given is None else given.double()
    table = coefficients(travel_time.double(), x.double(), reaches.scheme)
    tensors = (lateral, storage, table, given)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        result: tuple[Tensor, Tensor, Tensor, Tensor] = _Routing.apply(*saveable(tensors), reaches)
        return result
    return _forward(*tensors, reaches, None)


class _Routing(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, lateral: Tensor, storage: Tensor, table: Tensor, given: Tensor, reaches: Reaches
    ) -> tuple[Tensor, ...]:
        chunk = _chunk(lateral, reaches)
        checkpoints = lateral.new_empty((-(-lateral.shape[1] // chunk), len(storage)))
        ctx.reaches = reaches
        out = _forward(lateral, storage, table, given, reaches, checkpoints)
        ctx.save_for_backward(lateral, table, given, checkpoints)
        return out

    @staticmethod
    @first_only
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        from .kernels import compiled

        lateral, table, given, checkpoints = ctx.saved_tensors
        chunk = _chunk(lateral, ctx.reaches)
        tree, order, _, n_kept = ctx.reaches.tables(lateral.shape[1], chunk)
        of_discharge, of_stored, of_storage, of_taken = (_array(tensor) for tensor in cotangents)
        d_storage = np.array(of_storage)
        gradients = tuple(np.zeros(tensor.shape) for tensor in (lateral, table, given))
        compiled("backward")(
            _array(lateral),
            _array(checkpoints),
            (_array(table), tree, order),
            _array(given),
            _work(order, chunk),
            chunk,
            n_kept,
            (of_discharge, of_stored, of_taken),
            d_storage,
            gradients,
        )
        d_lateral, d_table, d_given = map(torch.from_numpy, gradients)
        return d_lateral, torch.from_numpy(d_storage), d_table, d_given, None


def _forward(
    lateral: Tensor,
    storage: Tensor,
    table: Tensor,
    given: Tensor,
    reaches: Reaches,
    checkpoints: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from .kernels import compiled

    chunk = _CHUNK if checkpoints is None else _chunk(lateral, reaches)
    tree, order, n_taken, _ = reaches.tables(lateral.shape[1], chunk)
    after = np.array(storage.detach().numpy())
    discharge, stored = np.empty(lateral.shape), np.empty(lateral.shape)
    taken = np.empty(n_taken)
    compiled("forward")(
        _array(lateral),
        after,
        (_array(table), tree, order),
        (_array(given), taken),
        (discharge, stored),
        _work(order, chunk),
        chunk,
        np.empty((0, 0)) if checkpoints is None else checkpoints.numpy(),
    )
    return (
        torch.from_numpy(discharge),
        torch.from_numpy(stored),
        torch.from_numpy(after),
        torch.from_numpy(taken),
    )


def _chunk(lateral: Tensor, reaches: Reaches) -> int:
    """Days of a chunk of which the adjoint can keep everything."""
    a_day = int((reaches.scheme.steps * reaches.scheme.sections).sum())
    return max(1, min(_CHUNK, _RECORDED // max(1, a_day), lateral.shape[1]))


def _work(order: np.ndarray, chunk: int) -> np.ndarray:
    """Room for the series of a chunk: those that wait for a confluence, and those in hand."""
    return np.empty((int(np.log2(len(order) + 1)) + 5, chunk * MOST_STEPS))


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())

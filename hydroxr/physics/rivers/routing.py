"""Routing of lateral inflow through a network of reaches, compiled and differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..autograd import first_only, saveable
from .coefficients import coefficients
from .scheme import MOST_STEPS, Scheme
from .topology import routing_order

_CHUNK = 128  # days that a reach goes through at once: a series of a chunk fits into the nearest cache
_KEPT = 2**26  # inflows that the adjoint keeps at a time; if there are more, chunks of days run again


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

    @cached_property
    def order(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions in routing order; whether no water comes from above; whether none came below before."""
        order = np.ascontiguousarray(routing_order(self.downstream), dtype=np.int64)
        number = len(self.downstream)
        inside = self.downstream >= 0
        fresh = np.bincount(self.downstream[inside], minlength=number) == 0
        leads = np.zeros(number, dtype=bool)
        leads[order[np.unique(self.downstream[order], return_index=True)[1]]] = True
        return order, fresh, leads & inside

    def tables(self, n_days: int, chunk: int) -> tuple[tuple[Any, ...], int, int]:
        """What the kernels want: their tree and its marks, the length of ``taken`` and of a record."""
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
        order, fresh, leads = self.order
        tree = (order, steps, sections, nodes, self.downstream, place, before[:-1])
        return (
            (tuple(np.ascontiguousarray(each, dtype=np.int64) for each in tree), (fresh, leads)),
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
    nothing = lateral.new_empty((-(-lateral.shape[1] // _CHUNK), 0))
    return _forward(*tensors, reaches, _CHUNK, lateral.new_empty((0, 0)), nothing)


class _Routing(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, lateral: Tensor, storage: Tensor, table: Tensor, given: Tensor, reaches: Reaches
    ) -> tuple[Tensor, ...]:
        chunk, n_kept = _sizes(lateral, reaches)
        n_chunks = -(-lateral.shape[1] // chunk)
        checkpoints = lateral.new_empty((n_chunks, len(storage)))
        # NumPy asks for huge pages; torch's small ones take longer to be filled than the record itself.
        kept = torch.from_numpy(np.empty((n_chunks, n_kept if n_chunks * n_kept <= _KEPT else 0)))
        out = _forward(lateral, storage, table, given, reaches, chunk, checkpoints, kept)
        ctx.reaches = reaches
        ctx.save_for_backward(lateral, table, given, checkpoints, kept)
        return out

    @staticmethod
    @first_only
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        from .kernels import compiled

        lateral, table, given, checkpoints, kept = ctx.saved_tensors
        chunk, n_kept = _sizes(lateral, ctx.reaches)
        again = kept.shape[1] < n_kept
        of_discharge, of_stored, of_storage, of_taken = (_array(tensor) for tensor in cotangents)
        d_storage = np.array(of_storage)
        gradients = tuple(np.zeros(tensor.shape) for tensor in (lateral, table, given))
        compiled("backward")(
            _array(lateral),
            _array(checkpoints),
            (_array(table), *ctx.reaches.tables(lateral.shape[1], chunk)[0]),
            _array(given),
            _work(ctx.reaches, chunk),
            chunk,
            np.empty((1, n_kept)) if again else _array(kept),
            again,
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
    chunk: int,
    checkpoints: Tensor,
    kept: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from .kernels import compiled

    tree, n_taken, _ = reaches.tables(lateral.shape[1], chunk)
    after = np.array(storage.detach().numpy())
    discharge, stored = np.empty(lateral.shape), np.empty(lateral.shape)
    taken = np.empty(n_taken)
    compiled("forward")(
        _array(lateral),
        after,
        (_array(table), *tree),
        (_array(given), taken),
        (discharge, stored),
        _work(reaches, chunk),
        chunk,
        checkpoints.numpy(),
        kept.numpy(),
    )
    return (
        torch.from_numpy(discharge),
        torch.from_numpy(stored),
        torch.from_numpy(after),
        torch.from_numpy(taken),
    )


def _sizes(lateral: Tensor, reaches: Reaches) -> tuple[int, int]:
    """Days of a chunk, and the inflows of its sections and steps, all of which the adjoint can keep."""
    a_day = int((reaches.scheme.steps * reaches.scheme.sections).sum())
    chunk = max(1, min(_CHUNK, _KEPT // max(1, a_day), lateral.shape[1]))
    return chunk, a_day * chunk


def _work(reaches: Reaches, chunk: int) -> np.ndarray:
    """Room for the series of a chunk: those that wait for a confluence, and those in hand."""
    return np.empty((int(np.log2(len(reaches.downstream) + 1)) + 6, chunk * MOST_STEPS))


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())

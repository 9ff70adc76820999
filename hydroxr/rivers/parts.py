"""Parts of a network over stretches of days: what one task routes. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..physics.rivers.routing import Reaches, route
from ..physics.rivers.scheme import Scheme

# kg m-2 day-1 m2 -> m3 s-1, and kg m-2 m2 -> m3
TO_DISCHARGE, TO_VOLUME = 1.0 / 1000.0 / 86400.0, 1.0 / 1000.0
FLOW, PRECIPITATION, EVAPOTRANSPIRATION, STORAGE, INITIAL = "flow", "prcp", "et", "storage", "initial"

Outflows = Mapping[int, np.ndarray]  # series by the position of the reach that gives them


@dataclass(frozen=True)
class Source:
    """Where cells of one block of the simulation drain to.

    Parameters
    ----------
    cell : array of int, (pair,)
        Number within the block.
    reach : array of int, (pair,)
        Number within the part, ascending.
    area : array, (pair,)
        m2.
    """

    cell: np.ndarray
    reach: np.ndarray
    area: np.ndarray

    def add(self, values: np.ndarray, to: np.ndarray, factor: float) -> None:
        """Add values ``(cell, ...)`` times areas to the reaches."""
        firsts = np.flatnonzero(np.diff(self.reach, prepend=-1))
        if len(firsts):
            scaled = values[self.cell] * (factor * self.area[:, None])
            if len(firsts) < len(scaled):
                scaled = np.add.reduceat(scaled, firsts, axis=0)
            to[self.reach[firsts]] += scaled


@dataclass(frozen=True)
class Part:
    """Reaches from position ``first`` to ``last`` (exclusive) of a network.

    Parameters
    ----------
    first, last : int
    below : array of int, (reach,)
        Position within the part, -1 where the water leaves it.
    travel_time, x : array, (reach,)
    scheme : Scheme
        Of these reaches.
    entering : array of int
        Positions in the network of reaches of other parts that flow into this one.
    into : array of int
        Reach of this part that each of them flows into.
    entering_steps : array of int
        Steps per day of each of them.
    leaving : array of int
        Positions within the part of reaches that flow into another part.
    sources : tuple of Source
        One for each block of the simulation that the part needs.
    width : int
        Largest number of sections of a reach of the network.
    dtype : str
    balance : bool
        Whether water that falls on, leaves and fills the cells is summed up too.
    """

    first: int
    last: int
    below: np.ndarray
    travel_time: np.ndarray
    x: np.ndarray
    scheme: Scheme
    entering: np.ndarray
    into: np.ndarray
    entering_steps: np.ndarray
    leaving: np.ndarray
    sources: tuple[Source, ...]
    width: int
    dtype: str
    balance: bool

    def __call__(
        self,
        blocks: Sequence[Mapping[str, np.ndarray]],
        state: np.ndarray,
        entering: Mapping[str, Outflows],
        n_days: int,
        first: bool,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, dict[int, np.ndarray]]]:
        """Route some days.

        Parameters
        ----------
        blocks : sequence of dict
            For each source, series by name, ``(cell, time)``, kg m-2 day-1 or kg m-2.
        state : array, (reach, section)
            Water in the sections before the first day, m3.
        entering : dict
            Outflows of other parts, for each thing that is routed.
        n_days : int
        first : bool
            Whether these are the first days of a run with a balance.

        Returns
        -------
        dict of array
            Variables ``(reach, time)``, and ``initial_upstream_storage`` ``(reach, 1)``.
        array
            State after the last day.
        dict
            Outflows for other parts.
        """
        lateral = self._gathered(blocks, FLOW, TO_DISCHARGE, n_days)
        used = np.arange(self.width) < self.scheme.sections[:, None]
        found = self._route(self._reaches, lateral, state[used], entering.get(FLOW, {}))
        discharge, stored, after, leaving = found
        out = {"discharge": discharge, "river_storage": stored, "lateral_inflow": lateral}
        gone = {FLOW: leaving}
        if self.balance:
            series = {
                "upstream_precipitation": self._gathered(blocks, PRECIPITATION, TO_DISCHARGE, n_days),
                "upstream_evapotranspiration": self._gathered(
                    blocks, EVAPOTRANSPIRATION, TO_DISCHARGE, n_days
                ),
                "upstream_storage": self._gathered(blocks, STORAGE, TO_VOLUME, n_days) + stored,
            }
            if first:
                held = self._gathered(blocks, INITIAL, TO_VOLUME, 1)
                series["initial_upstream_storage"] = held + state.sum(1, keepdims=True)
            for name, values in series.items():
                out[name], gone[name] = self._summed(values, entering.get(name, {}))
        final = np.zeros_like(state)
        final[used] = after
        return {name: values.astype(self.dtype) for name, values in out.items()}, final, gone

    def _gathered(
        self, blocks: Sequence[Mapping[str, np.ndarray]], name: str, factor: float, n_days: int
    ) -> np.ndarray:
        total = np.zeros((self.last - self.first, n_days))
        for source, block in zip(self.sources, blocks, strict=True):
            source.add(block[name], total, factor)
        return total

    def _summed(self, values: np.ndarray, entering: Outflows) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Sum over all reaches above: routing without travel time."""
        total, _, _, leaving = self._route(self._at_once, values, np.zeros(len(values)), entering)
        return total, leaving

    @cached_property
    def _reaches(self) -> Reaches:
        downstream = np.concatenate([self.below, self.into])
        return Reaches(downstream, self.scheme, self.entering_steps, self.leaving)

    @cached_property
    def _at_once(self) -> Reaches:
        """The same reaches without travel time."""
        ones = np.ones(len(self.below), dtype=int)
        scheme = Scheme(True, ones, ones, ones, np.zeros(len(ones)))
        return replace(self._reaches, scheme=scheme, steps_given=np.ones(len(self.entering), dtype=int))

    def _route(
        self, reaches: Reaches, lateral: np.ndarray, storage: np.ndarray, entering: Outflows
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[int, np.ndarray]]:
        import torch

        moves = 1.0 if reaches is self._reaches else 0.0
        series = [np.asarray(entering[int(place)]) for place in self.entering]
        given = np.concatenate(series) if series else np.zeros(0)
        parts = (moves * self.travel_time, moves * self.x, np.array(storage, dtype=float), given)
        flow, k, share, water, outside = map(torch.from_numpy, (lateral, *parts))
        found = route(flow, k, share, reaches, water, outside)
        discharge, stored, after, taken = (tensor.numpy() for tensor in found)
        ends = np.cumsum(reaches.scheme.steps[self.leaving] * lateral.shape[1])
        pieces = np.split(taken, ends[:-1]) if len(ends) else []
        leaving = {int(self.first + at): each for at, each in zip(self.leaving, pieces, strict=True)}
        return discharge, stored, after, leaving


def variables_of(part: Part) -> tuple[str, ...]:
    """Names of all variables that a part gives."""
    upstream = ("upstream_precipitation", "upstream_evapotranspiration", "upstream_storage")
    more = (*upstream, "initial_upstream_storage") if part.balance else ()
    return ("discharge", "river_storage", "lateral_inflow", *more)


def divide(
    below: np.ndarray, travel_time: np.ndarray, x: np.ndarray, scheme: Scheme, size: int, part: Part
) -> list[Part]:
    """Cut a network into parts of ``size`` reaches in the order of positions.

    Parameters
    ----------
    below, travel_time, x, scheme
        Of the whole network. With more than one part, each reach must come after those above it.
    size : int
    part : Part
        Gives width, dtype and balance.
    """
    out = []
    for first in range(0, len(below), size):
        last = min(first + size, len(below))
        some = slice(first, last)
        inside = (below[some] >= first) & (below[some] < last)
        entering = np.flatnonzero((below[:first] >= first) & (below[:first] < last))
        out.append(
            replace(
                part,
                first=first,
                last=last,
                below=np.where(inside, below[some] - first, -1),
                travel_time=travel_time[some],
                x=x[some],
                scheme=scheme.of(some),
                entering=entering,
                into=below[entering] - first,
                entering_steps=scheme.steps[entering],
                leaving=np.flatnonzero(below[some] >= last),
            )
        )
    return out

"""Random cells and windows of time for training, of data in memory or of shards that come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import MissingObservationError
from ..pool import Pool, rounds_of
from .arrays import ShardedData
from .protocol import Protocol


def observed_windows(observed: np.ndarray, window: int, warmup: int) -> np.ndarray:
    """Whether the window that begins on a day, after its warm-up, has an observation, (first day, space)."""
    counts = np.cumsum(np.isfinite(observed), axis=0, dtype=np.int32)
    counts = np.concatenate([np.zeros_like(counts[:1]), counts])
    first = np.arange(len(observed) - warmup - window + 1)
    has_any: np.ndarray = counts[first + warmup + window] > counts[first + warmup]
    return has_any


def no_window(window: int, warmup: int) -> MissingObservationError:
    """The error where there is nothing to draw."""
    return MissingObservationError(
        f"no window of {window} days after {warmup} days of warm-up has observed streamflow; choose a longer "
        "period, or a smaller window or warmup."
    )


class WindowSampler:
    """Draw pairs of a cell and a first day, with at least one observation in the window.

    Parameters
    ----------
    observed : array, (time, space)
        Streamflow, NaN where missing.
    batch : int
        Pairs per draw.
    window, warmup : int
        Days that count in the loss, and days of warm-up before them.
    seed : int
        The same seed gives the same draws.
    of_all : function, optional
        Gives values of all cells, (first day, space), where ``observed`` has some of them.
    balanced : bool
        Whether each batch has as many windows of one cell as of another, give or take one.

    Notes
    -----
    Cells are drawn uniformly and with replacement, as in Feng et al. (2022), so that a few cells can
    fill a batch with many of their windows. ``balanced`` draws are for parameters that are learned from
    the windows of one cell alone. The first day is then drawn uniformly among the days of the cell whose
    window has an observation.
    """

    def __init__(
        self,
        observed: np.ndarray,
        *,
        batch: int,
        window: int,
        warmup: int,
        seed: int,
        balanced: bool = False,
        of_all: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        self.draw_from(of_all(observed_windows(observed, window, warmup)))
        self._batch = batch
        self._balanced = balanced
        self._rng = np.random.default_rng(seed)

    def draw_from(self, has_any: np.ndarray) -> None:
        """Draw from windows with an observation, (first day, space), from now on."""
        self._cells = np.flatnonzero(has_any.any(axis=0))
        self._has_any = has_any

    @property
    def is_empty(self) -> bool:
        """Whether no window has an observation."""
        return len(self._cells) == 0

    @property
    def state(self) -> dict[str, Any]:
        """State of the random numbers as plain values; set it to continue from there."""
        return dict(self._rng.bit_generator.state)

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._rng.bit_generator.state = value

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells and first days (of the warm-up) of one batch, each (batch,)."""
        cells = self._draw_cells()
        starts = self._rng.integers(self._has_any.shape[0], size=self._batch)
        while not (fine := self._has_any[starts, cells]).all():
            starts[~fine] = self._rng.integers(self._has_any.shape[0], size=int((~fine).sum()))
        return cells, starts

    def _draw_cells(self) -> np.ndarray:
        if not self._balanced:
            return self._rng.choice(self._cells, self._batch)
        rounds, rest = divmod(self._batch, len(self._cells))
        some = self._rng.choice(self._cells, rest, replace=False)
        return np.concatenate([np.tile(self._cells, rounds), some])


class Stream:
    """Draw from the shards of data that are in memory at present.

    Parameters
    ----------
    data : ShardedData
    protocol : Protocol
        ``iterations`` is a number.
    device : str
    features : function
        From forcing (time, cell, forcing) what a network reads from it, if anything.
    """

    def __init__(
        self,
        data: ShardedData,
        protocol: Protocol,
        device: str,
        features: Callable[[Tensor], Tensor | None],
    ) -> None:
        assert protocol.iterations is not None
        self._data, self._device, self._features = data, device, features
        self._span = window, warmup = protocol.window, protocol.warmup
        shards, days, total = data.shards(data.drawn), len(data.days), protocol.iterations
        simulated = protocol.batch * (window + warmup)
        rounds = rounds_of(data.cells, days, simulated, total, len(shards))
        self._pool = Pool(shards, data.cells, self._prepared, total, rounds, protocol.seed)
        nothing = np.empty((days, 0), "float32")
        self._sampler = WindowSampler(
            nothing, batch=protocol.batch, window=window, warmup=warmup, seed=protocol.seed
        )
        self.close = self._pool.close

    @property
    def row(self) -> np.ndarray:
        """Where each cell is among those in memory, (cell,), -1 if it is not."""
        return self._pool.column

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """Forcing, streamflow and features, if there are any, of the cells in memory, (time, row, ...)."""
        return self._pool.parts[1:]

    @property
    def state(self) -> dict[str, Any]:
        """As that of a :class:`WindowSampler`."""
        return self._sampler.state

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._sampler.state = value

    def at(self, iteration: int) -> bool:
        """Hold the shards of an iteration; says whether they are other ones than before."""
        changed = self._pool.at(iteration)
        if changed:
            self._sampler.draw_from(self._pool.parts[0].numpy())
        return changed

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells and first days (of the warm-up) of one batch, each (batch,)."""
        rows, starts = self._sampler.draw()
        return self._pool.cells[rows], starts

    def _prepared(self, cells: np.ndarray) -> tuple[Tensor, ...]:
        """Where windows of a shard have an observation, and its :attr:`parts`."""
        forcing, observed = self._data.read(cells)
        windows = torch.from_numpy(observed_windows(observed, *self._span))
        there, flow = (torch.from_numpy(array).to(self._device) for array in (forcing, observed))
        features = self._features(there)
        return (windows, there, flow) if features is None else (windows, there, flow, features)

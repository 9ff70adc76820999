"""Random cells and windows of time for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


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
        n_days = observed.shape[0]
        counts = np.cumsum(np.isfinite(observed), axis=0, dtype=np.int32)
        counts = np.concatenate([np.zeros_like(counts[:1]), counts])
        first = np.arange(n_days - warmup - window + 1)
        has_any = of_all(counts[first + warmup + window] > counts[first + warmup])  # (first day, space)
        self._cells = np.flatnonzero(has_any.any(axis=0))
        self._has_any = has_any
        self._batch = batch
        self._balanced = balanced
        self._rng = np.random.default_rng(seed)

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

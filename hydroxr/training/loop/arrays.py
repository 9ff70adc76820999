"""The arrays that a training learns from and is validated with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..pool import ahead


@dataclass(frozen=True)
class RiverData:
    """Rivers between the cells that a model is trained on and the gauges that it learns from.

    Parameters
    ----------
    below : array, (reach,), int
        Position of the reach below each, -1 at an outlet.
    travel_time, x : array, (reach,)
        K (days) and X where training starts.
    attributes : array, (reach, attribute)
        From which K and X are learned; without columns each reach has its own.
    cell, reach : array, (pair,), int
        Which cells drain to which reaches.
    area : array, (pair,)
        m2 of the cell that do.
    gauges : array, (gauge,), int
        Reach of each gauge.
    observed : array, (time, gauge), float32
        mm/day over the area above, NaN where missing.
    names : tuple of str
        Name of each gauge.
    """

    below: np.ndarray
    travel_time: np.ndarray
    x: np.ndarray
    attributes: np.ndarray
    cell: np.ndarray
    reach: np.ndarray
    area: np.ndarray
    gauges: np.ndarray
    observed: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class TrainingData:
    """The arrays that a model is trained on, complete and in the model's units.

    Parameters
    ----------
    forcing : array, (time, space, forcing), float32
        In the order of the description, without missing values.
    attributes : array, (space, attribute), float32
        NaN where missing. A constant network has no columns.
    observed : array, (time, space), float32
        Streamflow in mm/day, NaN where missing.
    names : tuple of str
        Name of each cell, for messages.
    days : array, (time,)
        Date of each day, for messages.
    rivers : RiverData, optional
        If given, its gauges are learned from instead, and ``observed`` is of the gauge next below each cell.
    places : array of int, (own,), optional
        Where several processes train together: the cells that ``forcing`` and ``observed`` have. Attributes
        and names are of all cells. Default: all.
    """

    forcing: np.ndarray
    attributes: np.ndarray
    observed: np.ndarray
    names: tuple[str, ...] = ()
    days: np.ndarray = field(default_factory=lambda: np.empty(0))
    rivers: RiverData | None = None
    places: np.ndarray | None = None

    @property
    def cells(self) -> int:
        """Number of cells that are trained on, by all processes."""
        return len(self.attributes)

    @property
    def own(self) -> np.ndarray:
        """The cells that ``forcing`` and ``observed`` have."""
        return np.arange(self.cells) if self.places is None else self.places

    @property
    def learned(self) -> TrainingData | RiverData:
        """Whose observations count."""
        return self.rivers or self


@dataclass(frozen=True)
class ShardedData:
    """Training data that exceed the memory: some cells at a time are read when they are needed.

    Parameters
    ----------
    read : function
        From numbers of cells, their forcing (time, cell, forcing) and streamflow (time, cell), as in
        :class:`TrainingData`; called in the background.
    attributes, names, days
        As in :class:`TrainingData`.
    drawn : array of int, (some,)
        The cells that have a window to learn from.
    variance : array, (space,)
        Of the streamflow, by which a loss divides its squared errors.
    size : int
        Cells that are read at a time.
    checksum : str
        Of all values.
    """

    read: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    attributes: np.ndarray
    names: tuple[str, ...]
    days: np.ndarray
    drawn: np.ndarray
    variance: np.ndarray
    size: int
    checksum: str
    rivers: None = None

    @property
    def cells(self) -> int:
        """Number of cells that are trained on."""
        return len(self.attributes)

    @property
    def own(self) -> np.ndarray:
        """The cells of this process: all."""
        return np.arange(self.cells)

    @property
    def learned(self) -> ShardedData:
        """Whose observations count."""
        return self

    def shards(self, cells: np.ndarray) -> list[np.ndarray]:
        """These cells in groups that are read at a time."""
        return [cells[first : first + self.size] for first in range(0, len(cells), self.size)]


@dataclass(frozen=True)
class ValidationData:
    """The arrays that a model is judged by during training, in the model's units.

    Parameters
    ----------
    forcing : array, (time, space, forcing), float32
        Warm-up included.
    attributes : array, (space, attribute), float32
    observed : array, (time, space), float32
        Streamflow in mm/day, NaN where missing and throughout the warm-up.
    window : array, (day, space, forcing), float32
        The last days of the training period. Static parameters are those at its end.
    places : array, (space,), int
        Index of each cell among the cells of the training, -1 if it is not one of them.
    days_of_year : array, (time,), int
        For the blocks of days that share dynamic parameters.
    """

    forcing: np.ndarray
    attributes: np.ndarray
    observed: np.ndarray
    window: np.ndarray
    places: np.ndarray
    days_of_year: np.ndarray

    def blocks(self) -> Iterator[ValidationData]:
        """All cells at once."""
        yield self


@dataclass(frozen=True)
class ShardedValidation:
    """Validation data that are read, some cells at a time, whenever a model is judged.

    Parameters
    ----------
    read : function
        From numbers of cells, the data of these; called in the background.
    shards : tuple of array of int
        The cells that are read at a time.
    checksum : str
        Of all values.
    """

    read: Callable[[np.ndarray], ValidationData]
    shards: tuple[np.ndarray, ...]
    checksum: str

    def blocks(self) -> Iterator[ValidationData]:
        """Some cells at a time."""
        return ahead(self.read, self.shards)


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Parameters
    ----------
    weights : dict of array
        Weights and normalisation of the network, or ``logits`` of constant parameters.
    history : dict of list
        One entry per iteration; ``validation_nse`` is NaN in iterations without validation.
    facts : dict
        For the model's provenance: iterations done, the iteration of these weights, and more.
    """

    weights: dict[str, np.ndarray]
    history: dict[str, list[Any]]
    facts: dict[str, Any]

"""The arrays that a training learns from and is validated with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


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
    """

    forcing: np.ndarray
    attributes: np.ndarray
    observed: np.ndarray
    names: tuple[str, ...] = ()
    days: np.ndarray = field(default_factory=lambda: np.empty(0))


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

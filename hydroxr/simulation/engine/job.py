"""What to compute for every block of cells and days: a description that travels to workers.

Nothing in it is large, because dask sends it with each block: a model is there by its checksum
(:mod:`hydroxr.simulation.engine.model_reference`), days by the first of them, what a segment of days
hands to the next one by its layout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from ...conventions.variables import FORCING
from ...inputs.stated import Stated
from ...inputs.time_axis import days_of_year
from ...models.specs import FILTER_STATE, LSTM_STATE
from ...physics.equations import CHANNEL, STORES
from ...physics.parameters import PER_CELL
from .model_reference import ModelReference

ZERO_PET = "zero_pet"  # part of a carry: days from the first on whose PET is 0, or -1 where there is one with
CARRIED = "the initial state has static parameters that no run returns"  # what errors say of them
OFFSET_ROWS = "offset_rows"  # input: number of each cell among those with offsets, -1 for others
CARRY = "carry"  # the array in which one segment of days hands to the next what that needs

Layout = tuple[tuple[str, int], ...]  # names of what a carry has, and how many numbers of each


@dataclass(frozen=True)
class Days:
    """Consecutive days, by position."""

    first: Any
    number: int

    def __getitem__(self, place: int) -> Any:
        return self.first + timedelta(days=int(place))

    def __len__(self) -> int:
        return self.number

    @property
    def days_of_year(self) -> np.ndarray:
        """The day of the year of each, from 1."""
        if isinstance(self.first, pd.Timestamp):
            return days_of_year(pd.date_range(self.first, periods=self.number))
        return np.array([self[place].dayofyr for place in range(self.number)])

    def part(self, first: int, last: int) -> Days:
        """Those from position ``first`` to before ``last``."""
        return Days(self[first], last - first)


@dataclass(frozen=True)
class Job:
    """What to compute for every block; the same for all blocks of a segment of days.

    Parameters
    ----------
    inputs : tuple of str
        Names of the arrays that follow the forcing: ``attributes``, ``parameter:BETA``,
        ``state:snowpack``, ``mask``, ``label:basin`` and so on; ``carry`` has several of them in one.
    outputs : tuple of str
        What to return: names of outputs, ``parameter:...``, ``initial_storage``, ``forcing_flag``,
        ``carry``.
    input_dims, output_dims : dict
        Dimensions of each beside those of space.
    sizes : dict
        Their lengths.
    days : Days
    forcing : tuple of str
        Names of the daily inputs, in the order of their arrays.
    model : ModelReference, optional
        Whose network gives the parameters that ``inputs`` lack, or streamflow itself.
    runoff_of : ModelReference, optional
        Whose NN_r takes the place of the effective-rainfall equation.
    window : (int, int)
        First and last day (exclusive) of the parameter window.
    only_window : bool
        Walk the network through these days, which are some of the parameter window, and nothing else.
    received, carried : layout
        Of the carry that comes in, and of the one that goes out.
    components : bool
        Outputs a component.
    per_cell : tuple of str
        Parameters with one value per cell.
    budget : float, optional
        Bytes of working memory; default :data:`hydroxr.simulation.engine.block.BUDGET`.
    one_of_many : bool
        Whether there are other blocks, so that an error is to say which one it is of.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_dims: dict[str, tuple[str, ...]]
    output_dims: dict[str, tuple[str, ...]]
    sizes: dict[str, int]
    days: Days
    forcing: tuple[str, ...] = FORCING
    model: ModelReference | None = None
    runoff_of: ModelReference | None = None
    window: tuple[int, int] = (0, 0)
    only_window: bool = False
    received: Layout = ()
    carried: Layout = ()
    components: bool = False
    per_cell: tuple[str, ...] = PER_CELL
    missing: str = "raise"
    dtype: str = "float32"
    device: str = "cpu"
    backend: str = "auto"
    budget: float | None = None
    one_of_many: bool = False
    called: dict[str, str] = field(default_factory=dict, repr=False)
    derived: tuple[str, ...] = field(default=(), repr=False)  # forcing derived from other variables
    stated: dict[str, Stated] = field(default_factory=dict, repr=False)  # forcing that was converted

    @property
    def series_of(self) -> tuple[str, ...]:
        """What the arrays of forcing are called beside ``inputs``."""
        return tuple(f"forcing:{name}" for name in self.forcing)

    @property
    def series(self) -> tuple[str, ...]:
        """Those outputs that the physics gives."""
        others = ("initial_storage", "forcing_flag", CARRY)
        return tuple(name for name in self.outputs if ":" not in name and name not in others)

    @property
    def runs_physics(self) -> bool:
        """Whether any output needs a run through time; parameters alone do not."""
        carries_water = CARRY in self.outputs and any(
            name == f"state:{STORES[0]}" for name, _ in self.carried
        )
        return bool(self.series) or "initial_storage" in self.outputs or carries_water

    @property
    def knows_zero_pet(self) -> bool:
        """Whether days before these were asked for their PET."""
        return ZERO_PET in dict(self.received)

    @property
    def needs_network(self) -> bool:
        """Whether the network runs: it does not where all of its parameters are known."""
        return self.model is not None and "attributes" in self.inputs


def core_dims(
    name: str, dynamic: tuple[str, ...], components: bool, per_cell: tuple[str, ...] = PER_CELL
) -> tuple[str, ...]:
    """Dimensions of an output, or of a part of a carry, beside those of space.

    ``per_cell`` names the parameters that have one value per cell.
    """
    kind, _, bare = name.rpartition(":")
    if name == CARRY:
        return (CARRY,)
    if name == ZERO_PET:
        return ()
    if kind == "parameter":
        if bare in per_cell:
            return ()
        return ("time", "component") if bare in dynamic else ("component",)
    if kind == "state":
        return {
            CHANNEL: ("lead",),
            **dict.fromkeys(LSTM_STATE, ("hidden_unit",)),
            FILTER_STATE: ("running_mean",),
        }.get(bare, ("component",))
    if bare == "initial_storage":
        return ()
    per_component = components and bare not in ("streamflow", "channel_storage", "forcing_flag")
    return ("time", "component") if per_component else ("time",)


def layout(names: tuple[str, ...], sizes: dict[str, int], per_cell: tuple[str, ...] = PER_CELL) -> Layout:
    """The layout of a carry with these ``state:...`` and static ``parameter:...``."""
    return tuple(
        (name, int(np.prod([sizes[dim] for dim in core_dims(name, (), False, per_cell)]))) for name in names
    )


def width(parts: Layout) -> int:
    """How many numbers a cell a carry of that layout has."""
    return sum(size for _, size in parts)


def places(parts: Layout) -> dict[str, slice]:
    """Where in a carry each part is."""
    out, first = {}, 0
    for name, size in parts:
        out[name] = slice(first, first + size)
        first += size
    return out

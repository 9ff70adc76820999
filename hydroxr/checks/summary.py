"""One pass over the inputs of a Dataset, block by block: statistics of each cell, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dask
import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.variables import VARIABLES
from ..inputs.cells import cells_first
from ..inputs.ranges import Faults, forcing_faults, joined, out_of_range, range_faults
from ..inputs.resolve import Inputs
from ..inputs.stated import stated
from ..inputs.time_axis import days_of_year
from .statistics import Statistics

BLOCK = 16_000_000  # values of all series of a block in memory at once, (cell, time)
_JUDGED = ("prcp", "tmean", "pet", "streamflow", "tmin", "tmax", "hargreaves")
MOST = 1_000_000_000  # values that are read in all; of larger grids a sample


@dataclass(frozen=True)
class Summary:
    """What rules judge.

    Parameters
    ----------
    inputs : Inputs
    cells : tuple of str
        Names of the cells that were looked at.
    land : int
        Number of cells that are simulated, of which ``cells`` may be a sample.
    statistics : dict of Statistics
        By role. ``hargreaves`` is the PET that Hargreaves' equation gives beside the Dataset's own;
        ``common`` is precipitation on days with observed streamflow.
    crossed : int
        Cell-days with tmin above tmax.
    places : dict of array, (cell,)
        Latitude and longitude, if known.
    faults : dict of Fault
    beside : dict of Fault
        Those of daily extremes that nothing is computed from.
    """

    inputs: Inputs
    cells: tuple[str, ...]
    land: int
    statistics: dict[str, Statistics]
    crossed: int
    places: dict[str, np.ndarray]
    faults: Faults = field(default_factory=dict)
    beside: Faults = field(default_factory=dict)

    @property
    def days(self) -> pd.Index:
        """The time axis."""
        return self.inputs.days

    def where(self, wrong: np.ndarray, most: int = 3) -> str:
        """For messages: in how many cells, and the names of the first."""
        if self.cells == ("",):
            return "the only cell"
        names = [self.cells[place] for place in np.flatnonzero(wrong)[:most]]
        count = int(wrong.sum())
        more = f" and {count - len(names)} more" if count > len(names) else ""
        return f"{count} of {len(self.cells)} cells ({'; '.join(names)}{more})"


def summarise(inputs: Inputs, arrays: Mapping[str, xr.DataArray], land: np.ndarray) -> Summary:
    """Read the series once and summarise them; what is a fault is told as such, and not judged.

    Parameters
    ----------
    inputs : Inputs
    arrays : mapping of DataArray, (time, *space)
        The series by role; those of ``inputs.wanted`` are checked as forcing.
    land : array of bool, (cell,)
        Which cells are simulated.
    """
    of_year, months = days_of_year(inputs.days), np.asarray(inputs.days.month)
    times, names = inputs.ds["time"].values, np.asarray(inputs.cell_names, dtype=object)
    parts: dict[str, list[Statistics]] = {}
    faults: Faults = {}
    beside: Faults = {}
    crossed, seen, as_given = 0, [], stated(inputs, with_flow=True)
    for numbers, block in _blocks(inputs, arrays, land):
        seen.append(numbers)
        cells = names[numbers]
        forcing = {name: values for name, values in block.items() if name in inputs.wanted}
        unknown = _without_temperature(block)
        for name in ("hargreaves", *inputs.derived):
            if np.any(unknown) and name in ("hargreaves", "pet") and name in block:
                block[name] = np.where(unknown, np.nan, block[name])
                if name in forcing:
                    forcing[name] = np.where(unknown, 1.0, forcing[name])  # possible
        here = {name: each.of(numbers) for name, each in as_given.items()}
        found = forcing_faults(
            forcing, times, cells, called=inputs.called, derived=inputs.derived, stated=here
        )
        if "streamflow" in block:
            flow = block["streamflow"]
            found |= range_faults("streamflow", flow, times, cells, stated=here.get("streamflow"))
        extremes: Faults = {}
        for name in ("tmin", "tmax") if "tmean" not in inputs.derived else ():
            if name in block:
                called = repr(inputs.name(name))
                extremes |= range_faults(name, block[name], times, cells, called, here.get(name))
        if "pet" in inputs.derived:
            found |= extremes
        else:
            beside = joined(beside, extremes, sum(map(len, seen)) * len(times))
        block = {name: _sound(name, each) if name in _JUDGED else each for name, each in block.items()}
        if {"streamflow", "prcp"} <= {*block}:
            block["common"] = np.where(np.isfinite(block["streamflow"]), block["prcp"], np.nan)
        faults = joined(faults, found, sum(map(len, seen)) * len(times))
        if {"tmin", "tmax"} <= {*block}:
            crossed += int((block["tmin"] > block["tmax"]).sum())
        for name, values in block.items():
            parts.setdefault(name, []).append(Statistics.of(values, of_year, months))
    numbers = np.concatenate(seen) if seen else np.zeros(0, dtype=int)
    return Summary(
        inputs,
        tuple(names[numbers]),
        int(land.sum()),
        {name: Statistics.joined(every) for name, every in parts.items()},
        crossed,
        _places(inputs, numbers),
        faults,
        beside,
    )


def _sound(name: str, values: np.ndarray) -> np.ndarray:
    """Values without those that are faults, which would mislead whoever judges the others.

    Where most water of a cell is, a wrong unit is the reason, which remarks help to name.
    """
    row = VARIABLES["pet" if name == "hargreaves" else name]
    wrong = out_of_range(row.name, values)
    if row.quantity != "temperature":
        wrong &= (2 * wrong.sum(axis=1) < np.isfinite(values).sum(axis=1))[:, None]
    return np.where(wrong, np.nan, values) if wrong.any() else values


def _without_temperature(block: Mapping[str, np.ndarray]) -> Any:
    """Where a temperature is a fault, so that PET by a formula is none of its own; False if nowhere."""
    wrong = [out_of_range(name, block[name]) for name in ("tmean", "tmin", "tmax") if name in block]
    return np.any(wrong, axis=0) if np.any(wrong) else False


def _places(inputs: Inputs, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Latitude and longitude of each cell, in degrees, where coordinates in memory have them."""
    out = {}
    for name, called in (("lat", inputs.name("lat")), ("lon", _longitude(inputs.ds))):
        array = None if called is None else inputs.ds[called]
        if array is None or array.chunks is not None or array.dtype.kind not in "iuf":
            continue
        if set(array.dims) <= set(inputs.space):
            sizes = {dim: inputs.ds.sizes[dim] for dim in inputs.space}
            whole = array.variable.set_dims({**sizes, **array.sizes}).transpose(*inputs.space)
            values = whole.values.ravel()[numbers].astype(float)
            out[name] = np.where(np.abs(values) > (90.0 if name == "lat" else np.inf), np.nan, values)
    return out


def _longitude(ds: xr.Dataset) -> str | None:
    return next((name for name in ("lon", "longitude") if name in ds.variables), None)


def _blocks(
    inputs: Inputs, arrays: Mapping[str, xr.DataArray], land: np.ndarray
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Numbers of the cells of each block, and its series, (cell, time)."""
    cells = max(1, BLOCK // max(1, len(inputs.days) * len(arrays)))
    if not any(array.chunks is not None for array in arrays.values()):
        series = {name: cells_first(array) for name, array in arrays.items()}
        simulated = np.flatnonzero(land)
        for first in range(0, len(simulated), cells):
            numbers = simulated[first : first + cells]
            yield numbers, {name: values[numbers] for name, values in series.items()}
        return
    places = np.arange(inputs.cell_count).reshape([inputs.ds.sizes[dim] for dim in inputs.space])
    blocks = _slices(inputs, arrays["prcp"] if "prcp" in arrays else next(iter(arrays.values())), cells)
    kept = [block for block in blocks if land[places[block].ravel()].any()]
    budget = max(1, MOST // max(1, len(inputs.days) * len(arrays) * min(cells, places.size)))
    if len(kept) > budget:  # evenly spaced
        kept = [kept[place] for place in np.linspace(0, len(kept) - 1, budget).astype(int)]
    for block in kept:
        numbers = places[block].ravel()
        chosen = dict(zip(inputs.space, block, strict=True))
        computed: tuple[dict[str, Any]] = dask.compute(
            {name: array.isel(chosen).transpose(*inputs.space, "time").data for name, array in arrays.items()}
        )
        here = land[numbers]
        yield (
            numbers[here],
            {
                name: np.asarray(values).reshape(len(numbers), -1)[here]
                for name, values in computed[0].items()
            },
        )


def _slices(inputs: Inputs, like: xr.DataArray, cells: int) -> list[tuple[slice, ...]]:
    """Blocks of space of about ``cells`` cells: whole chunks, so that none is read twice.

    A chunk that has more cells gives an evenly spaced sample of them.
    """
    sizes = [inputs.ds.sizes[dim] for dim in inputs.space]
    widths = [
        min(size, max(like.chunksizes.get(dim, (size,))))
        for dim, size in zip(inputs.space, sizes, strict=True)
    ]
    for place in reversed(range(len(sizes))):
        widths[place] = min(sizes[place], widths[place] * max(1, cells // int(np.prod(widths))))
    steps = [1] * len(sizes)
    while int(np.prod([-(-width // step) for width, step in zip(widths, steps, strict=True)])) > cells:
        widest = int(np.argmax([width / step for width, step in zip(widths, steps, strict=True)]))
        steps[widest] += 1
    axes = [
        [slice(first, min(first + width, size), step) for first in range(0, size, width)]
        for size, width, step in zip(sizes, widths, steps, strict=True)
    ]
    grid = np.ndindex(*(len(axis) for axis in axes))
    return [tuple(axis[place] for axis, place in zip(axes, places, strict=True)) for places in grid]

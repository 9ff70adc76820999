"""Compute the parts of a network over stretches of days: at once in memory, or as tasks of dask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from operator import itemgetter
from typing import Any

import numpy as np
import xarray as xr

from ..errors import MemoryLimitError
from ..physics.rivers.scheme import Scheme
from .catchments import Catchments
from .checks import REACH
from .parts import (
    EVAPOTRANSPIRATION,
    FLOW,
    INITIAL,
    PRECIPITATION,
    STORAGE,
    Part,
    Source,
    divide,
    variables_of,
)

_WORKING = 3e8  # bytes of a task
_SERIES = 60  # bytes per reach and day of one thing that is routed

Channel = tuple[np.ndarray, np.ndarray, Scheme]


@dataclass(frozen=True)
class Series:
    """What the cells give, ``(space..., time)``: kg m-2 day-1, and kg m-2 for what they store."""

    flow: xr.DataArray
    precipitation: xr.DataArray | None
    evapotranspiration: xr.DataArray | None
    storage: xr.DataArray | None
    initial: xr.DataArray | None

    @property
    def balance(self) -> bool:
        """Whether all that the water balance needs is there."""
        return self.precipitation is not None

    def named(self) -> dict[str, xr.DataArray]:
        """Those that are there, by the names that parts know."""
        pairs = {
            FLOW: self.flow,
            PRECIPITATION: self.precipitation,
            EVAPOTRANSPIRATION: self.evapotranspiration,
            STORAGE: self.storage,
            INITIAL: self.initial,
        }
        return {name: array for name, array in pairs.items() if array is not None}


def run(
    series: Series,
    catchments: Catchments,
    below: np.ndarray,
    channel: Channel,
    state: np.ndarray,
    whole: Part,
) -> tuple[dict[str, xr.DataArray], xr.DataArray]:
    """Variables ``(reach, time)`` by name, and the state after the last day, ``(reach, section)``.

    Parameters
    ----------
    series : Series
    catchments : Catchments
    below : array of int, (reach,)
    channel : tuple
        K, X and the scheme of all reaches.
    state : array, (reach, section)
    whole : Part
        Gives what all parts have in common.
    """
    if series.flow.chunks is None:
        (part,) = divide(below, *channel, len(below), whole)
        arrays = {name: _flat(array, catchments).values for name, array in series.named().items()}
        part = replace(part, sources=(Source(catchments.cell, catchments.reach, catchments.area),))
        days = arrays[FLOW].shape[1]
        out, final, _ = part([arrays], state, {}, days, first=INITIAL in arrays)
        variables = {name: _labelled(name, values) for name, values in out.items()}
        return variables, xr.DataArray(final, dims=(REACH, "section"))
    return _lazily(series, catchments, below, channel, state, whole)


def _flat(array: xr.DataArray, catchments: Catchments) -> xr.DataArray:
    """Cells in a row, and days; one day for what has no days."""
    array = array.reset_coords(drop=True).drop_vars([*array.indexes])
    array = array if "time" in array.dims else array.expand_dims(time=1)
    array = array.transpose(*catchments.space, "time")
    sizes = int(np.prod([array.sizes[dim] for dim in catchments.space]))
    return xr.DataArray(array.data.reshape(sizes, -1), dims=("cell", "time"))


def _labelled(name: str, values: Any) -> xr.DataArray:
    if name.startswith("initial"):
        return xr.DataArray(values[:, 0], dims=(REACH,))
    return xr.DataArray(values, dims=(REACH, "time"))


def _lazily(
    series: Series,
    catchments: Catchments,
    below: np.ndarray,
    channel: Channel,
    state: np.ndarray,
    whole: Part,
) -> tuple[dict[str, xr.DataArray], xr.DataArray]:
    """A task for each part and stretch of days; it needs the stretch before, and the parts above."""
    from dask.array import Array
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    arrays = _in_common_chunks(series, catchments)
    days = tuple(map(int, arrays[FLOW].chunks[-1]))
    parts = divide(below, *channel, _size(below, max(days), whole), whole)
    blocks = _Blocks(arrays[FLOW].chunks[:-1])
    cells = [catchments.cell, catchments.reach, catchments.area]
    token = tokenize([array.name for array in arrays.values()], below, *channel, state, cells, len(parts))
    name = f"route-{token}"
    layer: dict[Any, Any] = {}
    for number, part in enumerate(parts):
        sources, places = blocks.sources(catchments, part.first, part.last)
        layer[f"part-{token}", number] = replace(part, sources=sources)
        layer[f"start-{token}", number] = state[part.first : part.last]
        above = sorted({int(place) // (parts[0].last or 1) for place in part.entering})
        for step, length in enumerate(days):
            names = [key for key in arrays if key != INITIAL or step == 0]
            keys = [
                [(arrays[key].name, *at, 0 if key == INITIAL else step) for key in names] for at in places
            ]
            before = (f"after-{token}", number, step - 1) if step else (f"start-{token}", number)
            entering = [(f"leaving-{token}", other, step) for other in above]
            # So that the variables of a stretch need not wait in memory for those that follow it.
            layer[f"after-{token}", number, step] = (itemgetter(1), (name, number, step))
            layer[f"leaving-{token}", number, step] = (itemgetter(2), (name, number, step))
            layer[name, number, step] = (
                _task,
                (f"part-{token}", number),
                names,
                keys,
                before,
                entering,
                length,
            )
    graph = HighLevelGraph.from_collections(name, layer, dependencies=list(arrays.values()))
    ones = ((1,) * len(parts), (1,) * len(days))
    tasks: Any = Array(graph, name, chunks=ones, meta=np.empty((0, 0), dtype=object))

    def picked(variable: str, index: int, steps: list[int], widths: tuple[int, ...], dtype: Any) -> Array:
        own = f"{variable}-{token}"
        reaches = tuple(part.last - part.first for part in parts)
        picks: dict[Any, Any] = {
            (own, number, at): (_pick, (name, number, step), index, variable)
            for number, (at, step) in product(range(len(parts)), enumerate(steps))
        }
        made = HighLevelGraph.from_collections(own, picks, dependencies=[tasks])
        return Array(made, own, chunks=(reaches, widths), dtype=dtype)

    variables = {}
    for variable in variables_of(whole):
        once = variable.startswith("initial")
        steps = [0] if once else list(range(len(days)))
        data = picked(variable, 0, steps, (1,) if once else days, whole.dtype)
        variables[variable] = _labelled(variable, data)
    final = picked("final", 1, [len(days) - 1], (state.shape[1],), float)
    return variables, xr.DataArray(final, dims=(REACH, "section"))


def _in_common_chunks(series: Series, catchments: Catchments) -> dict[str, Any]:
    """The arrays of dask, (space..., time), in the chunks of the flow."""
    flow = series.flow.transpose(*catchments.space, "time")
    chunks = dict(zip(map(str, flow.dims), flow.chunks or (), strict=True))
    out = {}
    for name, array in series.named().items():
        array = array if "time" in array.dims else array.expand_dims(time=1)
        array = array.transpose(*catchments.space, "time")
        wanted = {dim: (1,) if name == INITIAL and dim == "time" else sizes for dim, sizes in chunks.items()}
        out[name] = array.chunk(wanted).data
    return out


def _size(below: np.ndarray, days: int, whole: Part) -> int:
    """Reaches of a part that fit into memory.

    Raises
    ------
    MemoryLimitError
        If the network must be cut, and its reaches are not in the order of flow.
    """
    a_reach = days * _SERIES * (4 if whole.balance else 1)
    size = max(1, int(_WORKING / a_reach))
    if size >= len(below):
        return max(1, len(below))
    if ((below >= 0) & (below < np.arange(len(below)))).any():
        raise MemoryLimitError(
            f"{len(below)} reaches over {days} days need {len(below) * a_reach / 1e9:.1f} GB at once. They "
            "can be routed in parts only if each reach comes after those above it: "
            "network.sorted(). Or cut the simulation into shorter chunks of days."
        )
    return size


class _Blocks:
    """The blocks that a simulation is cut into along its dimensions of space."""

    def __init__(self, chunks: tuple[tuple[int, ...], ...]) -> None:
        self.edges = [np.cumsum([0, *sizes]) for sizes in chunks]

    def sources(
        self, catchments: Catchments, first: int, last: int
    ) -> tuple[tuple[Source, ...], list[tuple[int, ...]]]:
        """Sources of the reaches from ``first`` to ``last``, and the places of their blocks."""
        some = slice(*np.searchsorted(catchments.reach, [first, last]))
        reach, area = catchments.reach[some] - first, catchments.area[some]
        places = np.unravel_index(catchments.cell[some], [int(edges[-1]) for edges in self.edges])
        at = [
            np.searchsorted(edges, place, "right") - 1
            for edges, place in zip(self.edges, places, strict=True)
        ]
        number = np.ravel_multi_index(at, [len(edges) - 1 for edges in self.edges])
        out, where = [], []
        for block in np.unique(number):
            own = np.flatnonzero(number == block)
            spot = tuple(int(each[own[0]]) for each in at)
            shape = [int(edges[k + 1] - edges[k]) for edges, k in zip(self.edges, spot, strict=True)]
            inside = [place[own] - edges[k] for place, edges, k in zip(places, self.edges, spot, strict=True)]
            out.append(Source(np.ravel_multi_index(inside, shape), reach[own], area[own]))
            where.append(spot)
        return tuple(out), where


def _task(
    part: Part,
    names: list[str],
    blocks: list[list[np.ndarray]],
    state: np.ndarray,
    above: list[dict[str, dict[int, np.ndarray]]],
    n_days: int,
) -> Any:
    """One part over one stretch of days."""
    entering: dict[str, dict[int, np.ndarray]] = {}
    for gone in above:
        for thing, series in gone.items():
            entering.setdefault(thing, {}).update(series)
    flat = [
        {name: np.reshape(array, (-1, array.shape[-1])) for name, array in zip(names, some, strict=True)}
        for some in blocks
    ]
    return part(flat, state, entering, n_days, first=INITIAL in names)


def _pick(result: Any, index: int, variable: str) -> np.ndarray:
    found: np.ndarray = result[0][variable] if index == 0 else result[1]
    return found

"""Which cells of a simulation drain to which reach, and with which area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..analysis.area_weights import require_same_grid
from ..analysis.grids import Grid, grid_of
from ..conventions.dimensions import space_of
from ..conventions.units import convert
from ..conventions.variables import VARIABLES
from ..errors import CoordinateError, DescriptionError, DimensionError, MissingVariableError
from ..inputs.find import find
from .network import RiverNetwork

_KM2 = 1e6  # m2


@dataclass(frozen=True)
class Catchments:
    """Pairs of a cell and a reach, ordered by reach.

    Parameters
    ----------
    space : tuple of str
        Dimensions of the cells, in the order in which they are flattened.
    cell, reach : array of int, (pair,)
        Number of the cell in the flattened space, and position of the reach.
    area : array, (pair,)
        m2 of the cell that drain to the reach.
    dropped, dropped_area : array
        Cells without a reach, and their areas (m2; 0 where they are not known).
    """

    space: tuple[str, ...]
    cell: np.ndarray
    reach: np.ndarray
    area: np.ndarray
    dropped: np.ndarray
    dropped_area: np.ndarray


def assign(
    flow: xr.DataArray, sim: xr.Dataset, network: RiverNetwork, weights: Any, unassigned: str
) -> Catchments:
    """Assign the cells of ``flow`` to reaches; see :meth:`hydroxr.accessor.HBVAccessor.route`."""
    if unassigned not in ("raise", "drop"):
        raise DescriptionError(f"unassigned={unassigned!r} is not known; expected 'raise' or 'drop'.")
    space = tuple(map(str, space_of(flow)))
    if weights is None:
        cell, reach, area, whole = _by_label(flow, sim, network, space)
    elif isinstance(weights, xr.DataArray):
        cell, reach, area, whole = _by_reach_names(flow, sim, network, weights, space)
    elif isinstance(weights, xr.Dataset) and {"source", "target", "weight"} <= set(weights.data_vars):
        space, cell, reach, area, whole = _by_table(sim, network, weights)
    else:
        raise DescriptionError(
            f"weights is {type(weights).__name__}; expected the table of hx.compare.area_weights, or a "
            "DataArray with the reach of each cell."
        )
    used = (reach >= 0) & (area > 0)
    dropped = np.setdiff1d(np.arange(len(whole)), cell[used])
    if flow.chunks is None and len(dropped):  # cells that were not simulated have no water to lose
        values = flow.transpose(*space, ...).values.reshape(len(whole), -1)
        dropped = dropped[~np.isnan(values[dropped]).all(1)]
    if len(dropped) and unassigned == "raise":
        _refuse(flow, space, dropped, len(whole))
    order = np.argsort(reach[used], kind="stable")
    cell, reach, area = (values[used][order] for values in (cell, reach, area))
    return Catchments(space, cell, reach, area, dropped, np.nan_to_num(whole[dropped]))


def _refuse(flow: xr.DataArray, space: tuple[str, ...], dropped: np.ndarray, number: int) -> None:
    places = np.unravel_index(dropped[0], [flow.sizes[dim] for dim in space])
    label = ", ".join(
        f"{dim} {flow.indexes[dim][place] if dim in flow.indexes else place}"
        for dim, place in zip(space, places, strict=True)
    )
    raise CoordinateError(
        f"{label} drains to no reach ({len(dropped)} of {number} cells); expected a reach for each cell. "
        "Select the cells of the network, complete the weights, or leave their water out with "
        "unassigned='drop', which the water balance then shows."
    )


Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # cell, reach, area, area of all cells


def _by_label(flow: xr.DataArray, sim: xr.Dataset, network: RiverNetwork, space: tuple[str, ...]) -> Found:
    """One catchment per reach, of the same label."""
    if len(space) != 1 or space[0] not in flow.indexes:
        raise DescriptionError(
            f"the simulation has the cells {space}; expected catchments with the labels of the reaches, or "
            "weights: hx.compare.area_weights(sim, catchments, dim='reach')."
        )
    labels = flow.indexes[space[0]]
    reach = _positions(network, labels, f"{space[0]} of the simulation")
    own = find(sim, "area")
    if "area" in network:
        area = np.where(reach >= 0, network.values("area")[reach], np.nan) * _KM2
    elif own is not None:
        area = convert(sim[own], VARIABLES["area"]).values.astype(float) * _KM2
    else:
        raise MissingVariableError(
            "neither the network nor the simulation has an 'area' of the catchments; expected one, in km2 or "
            "m2: sim.assign_coords(area=ds['area'])."
        )
    return np.arange(len(labels)), reach, area, area


def _by_reach_names(
    flow: xr.DataArray, sim: xr.Dataset, network: RiverNetwork, names: xr.DataArray, space: tuple[str, ...]
) -> Found:
    """The label of the reach of each cell, as for response units along segments."""
    if set(names.dims) != set(space):
        raise DimensionError(f"the reaches of the cells have the dimensions {names.dims}; expected {space}.")
    shared = [dim for dim in space if dim in names.indexes and dim in flow.indexes]
    if any(not flow.indexes[dim].isin(names.indexes[dim]).all() for dim in shared):
        raise CoordinateError("the reaches of some cells are not given; expected one for each cell.")
    names = names.sel({dim: flow.indexes[dim] for dim in shared}).transpose(*space)
    reach = _positions(network, pd.Index(names.values.ravel()), "the reaches of the cells")
    own = find(sim, "area")
    if own is None and len(space) == 2:
        area = _areas(grid_of(flow))
    elif own is None:
        raise MissingVariableError(
            "the simulation has no 'area' of the cells; expected one, in km2 or m2: "
            "sim.assign_coords(area=ds['area'])."
        )
    else:
        area = convert(sim[own], VARIABLES["area"]).transpose(*space).values.astype(float).ravel() * _KM2
    return np.arange(len(reach)), reach, area, area


def _by_table(
    sim: xr.Dataset, network: RiverNetwork, table: xr.Dataset
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    grid = grid_of(sim)
    require_same_grid(grid, table)
    (dim,) = table["target_area"].dims
    labels = table.indexes[dim]
    reach = _positions(network, labels, "the catchments of the weights")
    absent = np.flatnonzero(reach < 0)
    if len(absent):
        raise CoordinateError(
            f"the weights have a catchment {labels[absent[0]]!r} that is no reach of the network "
            f"({len(absent)} of {len(labels)}); expected labels of reaches, such as {network.reaches[0]!r}."
        )
    source, target = table["source"].values, table["target"].values
    space = tuple(map(str, grid.dims))
    return space, source, reach[target], table["weight"].values.astype(float), _areas(grid)


def _positions(network: RiverNetwork, labels: pd.Index, what: str) -> np.ndarray:
    """Positions of reaches by label, -1 where there is none."""
    numbers = [index.dtype.kind in "iuf" for index in (labels, network.reaches)]
    if numbers[0] != numbers[1] and len(labels):
        raise CoordinateError(
            f"{what} have labels such as {labels[0]!r}, the reaches such as {network.reaches[0]!r}; expected "
            "labels of one type, text or whole numbers."
        )
    return network.reaches.get_indexer(labels)


def _areas(grid: Grid) -> np.ndarray:
    """Areas of the cells of a grid, row by row, m2."""
    rows, columns = grid.in_plane()
    return np.outer(np.abs(np.diff(rows)), np.abs(np.diff(columns))).ravel()

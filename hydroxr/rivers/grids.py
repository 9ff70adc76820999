"""Networks of grid cells, from maps of flow directions that pyflwdir or earthkit-hydro have read."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..analysis.grids import grid_of, optional
from ..errors import DescriptionError, NetworkError
from .checks import REACH

KINDS = ("d8", "ldd", "nextxy")
_RADIUS = 6_371_007.2  # m, of a sphere with the area of the Earth


def dataset_of_directions(directions: Any, kind: str | None) -> xr.Dataset:
    """The Dataset of a network with one reach per cell; see :meth:`.network.RiverNetwork.from_directions`."""
    if isinstance(directions, xr.DataArray):
        if kind not in KINDS:
            raise DescriptionError(
                f"kind={kind!r} is not known; expected 'd8' (ESRI, MERIT Hydro), 'ldd' (PCRaster) or "
                "'nextxy' (CaMa-Flood)."
            )
        return _of_map(directions, kind)
    if hasattr(directions, "idxs_ds") and hasattr(directions, "transform"):
        return _of_pyflwdir(directions)
    if hasattr(directions, "n_nodes") and hasattr(directions, "mask"):
        return _of_earthkit(directions)
    raise DescriptionError(
        f"flow directions are {type(directions).__name__}; expected a DataArray, an object of pyflwdir "
        "(FlwdirRaster) or of earthkit-hydro (RiverNetwork)."
    )


def _of_map(directions: xr.DataArray, kind: str) -> xr.Dataset:
    grid = grid_of(directions)
    rows, columns = (np.asarray(labels, dtype=float) for labels in grid.labels)
    values = directions.transpose(..., *grid.dims).values
    pyflwdir = optional("pyflwdir")
    if rows[0] < rows[-1]:  # directions are for maps with north on top
        values, rows = values[..., ::-1, :], rows[::-1]
    flow = pyflwdir.from_array(values, ftype=kind)
    places = np.flatnonzero(np.asarray(flow.rank).ravel() >= 0)
    row, column = np.divmod(places, len(columns))
    return _table(places, np.asarray(flow.idxs_ds)[places], rows[row], columns[column], grid.geographic)


def _of_pyflwdir(flow: Any) -> xr.Dataset:
    places = np.flatnonzero(np.asarray(flow.rank).ravel() >= 0)
    x, y = flow.xy(places)
    return _table(places, np.asarray(flow.idxs_ds)[places], np.asarray(y), np.asarray(x), bool(flow.latlon))


def _of_earthkit(flow: Any) -> xr.Dataset:
    if flow.bifurcates:
        raise NetworkError(
            "the network divides: some reaches have two reaches below; expected one. Read it without "
            "bifurcations."
        )
    places = np.asarray(flow.mask) if flow.mask is not None else np.arange(flow.n_nodes)
    below = places.copy()
    down, up = np.concatenate([np.asarray(group)[:2] for group in flow.groups], axis=1)
    below[up] = places[down]
    coords = flow.coords or {}
    axes = [np.asarray(coords[name]) for name in ("lat", "lon") if name in coords]
    if flow.shape is None or len(axes) < 2:
        return _table(places, below, None, None, False)
    row, column = np.divmod(places, flow.shape[1])
    return _table(places, below, axes[0][row], axes[1][column], True)


def _table(
    places: np.ndarray, below: np.ndarray, y: np.ndarray | None, x: np.ndarray | None, geographic: bool
) -> xr.Dataset:
    """A reach per cell, labelled by its number in the grid, row by row; pits are outlets."""
    places, below = places.astype("int64"), below.astype("int64")
    out = xr.Dataset(coords={REACH: places})
    out["downstream"] = (REACH, np.where(below == places, -1, below))
    if y is None or x is None:
        return out
    names = ("lat", "lon") if geographic else ("y", "x_coordinate")
    target = np.searchsorted(places, below)
    if geographic:
        lat, lon = np.radians(y), np.radians(x)
        half = np.sin((lat[target] - lat) / 2) ** 2
        half = half + np.cos(lat) * np.cos(lat[target]) * np.sin((lon[target] - lon) / 2) ** 2
        length = 2 * _RADIUS * np.arcsin(np.sqrt(half))
    else:
        length = np.hypot(y[target] - y, x[target] - x)
    out["length"] = (REACH, length, {"units": "m", "long_name": "distance to the centre of the cell below"})
    return out.assign_coords({names[0]: (REACH, y), names[1]: (REACH, x)})

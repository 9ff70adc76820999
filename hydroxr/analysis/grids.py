"""Rectilinear grids: their dimensions, the edges of their cells, their projection.

Areas are computed in a plane. This is the projection of the grid or, for latitude and longitude, the
cylindrical equal-area projection of a sphere, which preserves areas.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DimensionError

EARTH_RADIUS = 6371007.181  # m, of the sphere of the MODIS grid, with the area of the ellipsoid
GEOGRAPHIC = "EPSG:4326"

_NAMES = (("lat", "lon"), ("latitude", "longitude"), ("y", "x"), ("ydim", "xdim"))
_DEGREES = ("degrees_north", "degrees_east", "degree_north", "degree_east", "degrees", "degree")


@dataclass(frozen=True)
class Grid:
    """A rectilinear grid.

    Parameters
    ----------
    dims
        Names of the dimensions of rows and columns.
    labels
        Centres of rows ``(row,)`` and columns ``(column,)``, degrees or metres.
    edges
        Edges of rows ``(row + 1,)`` and columns ``(column + 1,)``, degrees or metres.
    geographic
        Whether the coordinates are latitude and longitude.
    crs
        Projection in a form that pyproj understands; None if unknown.
    """

    dims: tuple[Hashable, Hashable]
    labels: tuple[np.ndarray, np.ndarray]
    edges: tuple[np.ndarray, np.ndarray]
    geographic: bool
    crs: Any

    def in_plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges of rows and columns in the plane, m."""
        rows, columns = self.edges
        return (to_plane_y(rows), to_plane_x(columns)) if self.geographic else (rows, columns)


def to_plane_y(latitude: np.ndarray) -> np.ndarray:
    """Northing of the cylindrical equal-area projection, m, from degrees."""
    return EARTH_RADIUS * np.sin(np.deg2rad(latitude))


def to_plane_x(longitude: np.ndarray) -> np.ndarray:
    """Easting of the cylindrical equal-area projection, m, from degrees."""
    return EARTH_RADIUS * np.deg2rad(longitude)


def grid_of(ds: xr.Dataset | xr.DataArray) -> Grid:
    """Read the grid of a Dataset; edges come from CF bounds, else lie halfway between centres."""
    found = [pair for pair in (*_NAMES, _by_attributes(ds)) if all(dim in ds.dims for dim in pair)]
    if not found or None in found[0]:
        raise DimensionError(
            f"the grid has dimensions {tuple(ds.dims)}; expected rows and columns: lat and lon, or y and x. "
            "Rename them: .rename(...)."
        )
    rows, columns = dims = found[0]
    labels = tuple(_labels(ds, dim) for dim in dims)
    edges = [_edges(ds, dim, centres) for dim, centres in zip(dims, labels, strict=True)]
    units = [str(ds[dim].attrs.get("units", "")) for dim in dims]
    named = str(rows).startswith("lat") and str(columns).startswith("lon")
    geographic = all(unit in _DEGREES for unit in units) or (named and "m" not in units)
    if geographic:
        if np.abs(labels[0]).max() > 90.0:
            raise CoordinateError(
                f"{rows!r} has latitudes up to {np.abs(labels[0]).max():g}; expected -90 to 90."
            )
        edges[0] = edges[0].clip(-90.0, 90.0)
    crs = GEOGRAPHIC if geographic else _projection(ds)
    return Grid(dims, (labels[0], labels[1]), (edges[0], edges[1]), geographic, crs)


def _by_attributes(ds: xr.Dataset | xr.DataArray) -> tuple[Any, Any]:
    """Names of the coordinates that CF attributes mark as y and x."""
    axes: dict[str, Any] = {}
    for name, array in ds.coords.items():
        if array.dims == (name,):
            standard = str(array.attrs.get("standard_name", ""))
            if standard in ("latitude", "projection_y_coordinate") or array.attrs.get("axis") == "Y":
                axes["y"] = name
            elif standard in ("longitude", "projection_x_coordinate") or array.attrs.get("axis") == "X":
                axes["x"] = name
    return axes.get("y"), axes.get("x")


def _labels(ds: xr.Dataset | xr.DataArray, dim: Hashable) -> np.ndarray:
    if dim not in ds.coords or ds[dim].dtype.kind not in "fiu":
        raise CoordinateError(
            f"{dim!r} of the grid has no numeric coordinate; expected the centres of its cells: "
            f"ds.assign_coords({dim}=...)."
        )
    centres = ds[dim].values.astype(float)
    steps = np.diff(centres)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise CoordinateError(
            f"{dim!r} of the grid neither rises nor falls throughout; expected sorted cells: sortby({dim!r})."
        )
    return centres


def _edges(ds: xr.Dataset | xr.DataArray, dim: Hashable, centres: np.ndarray) -> np.ndarray:
    bounds = ds[dim].attrs.get("bounds", f"{dim}_bnds")
    if bounds in getattr(ds, "variables", ds.coords):
        pairs = np.sort(ds[bounds].values.astype(float), axis=1)
        rising = centres[-1] >= centres[0]
        lower, upper = (pairs[:, 0], pairs[:, 1]) if rising else (pairs[:, 1], pairs[:, 0])
        if not np.allclose(lower[1:], upper[:-1], rtol=0.0, atol=1e-6 * np.abs(pairs[0, 1] - pairs[0, 0])):
            raise CoordinateError(f"the cells of {bounds!r} do not touch; expected cells without gaps.")
        return np.r_[lower, upper[-1]]
    if len(centres) == 1:
        raise CoordinateError(
            f"{dim!r} has one cell and no bounds that say how wide it is; expected {dim}_bnds, ({dim}, 2)."
        )
    return cell_edges(centres)


def cell_edges(centres: np.ndarray, width: Any = None) -> np.ndarray:
    """Edges halfway between neighbouring centres, and as far beyond the first and the last.

    Parameters
    ----------
    centres
        Sorted numbers or dates, ``(cell,)``.
    width
        Width of a single cell, which has no neighbours.

    Returns
    -------
    ndarray
        ``(cell + 1,)``.
    """
    if len(centres) == 1:
        return np.concatenate([centres - width / 2, centres + width / 2])
    if centres.dtype.kind == "M":  # dates cannot be added, but time differences can
        return np.asarray(centres[0] + cell_edges(centres - centres[0]))
    middle = (centres[1:] + centres[:-1]) / 2
    return np.r_[2 * centres[0] - middle[0], middle, 2 * centres[-1] - middle[-1]]


def _projection(ds: xr.Dataset | xr.DataArray) -> Any:
    """The grid mapping: its WKT if it has one, else its attributes, or None without a grid mapping."""
    arrays = [ds] if isinstance(ds, xr.DataArray) else list(ds.data_vars.values())
    named = [array.attrs.get("grid_mapping", array.encoding.get("grid_mapping")) for array in arrays]
    for name in (*named, "spatial_ref", "crs"):
        if name is not None and name in getattr(ds, "variables", ds.coords):
            attrs = ds[name].attrs
            return attrs.get("crs_wkt") or attrs.get("spatial_ref") or dict(attrs) or None
    return None


def same_projection(first: Grid, second: Grid) -> bool:
    """Whether two grids have the same projection; unknown projections count as the same."""
    if first.geographic or second.geographic:
        return first.geographic and second.geographic
    if first.crs is None or second.crs is None or first.crs == second.crs:
        return (first.crs is None) == (second.crs is None)
    return bool(as_crs(first.crs) == as_crs(second.crs))


def as_crs(crs: Any) -> Any:
    """The projection as a pyproj CRS."""
    pyproj = optional("pyproj")
    return pyproj.CRS.from_cf(dict(crs)) if isinstance(crs, Mapping) else pyproj.CRS.from_user_input(crs)


def optional(module: str) -> Any:
    """Import a library of the extra ``basins``."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"overlaps of polygons or of different projections need {module}: pip install 'hydroxr[basins]'."
        ) from error

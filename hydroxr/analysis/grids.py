"""Rectilinear grids, the edges of their cells, and how they and polygons overlap in the plane.

The plane is the grid's own projection, or for longitude and latitude the cylindrical equal-area
projection of a sphere, in which areas are those on the sphere.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DimensionError

EARTH_RADIUS = 6371007.181  # m: of the sphere that MODIS' grid is on, of the area of the ellipsoid
GEOGRAPHIC = "EPSG:4326"

_NAMES = (("lat", "lon"), ("latitude", "longitude"), ("y", "x"), ("ydim", "xdim"))
_DEGREES = ("degrees_north", "degrees_east", "degree_north", "degree_east", "degrees", "degree")
_HALF_A_TURN = 180.0 + 1e-6
_STRAIGHT = 32  # pieces that the longest side of a shape is cut into before it is projected


@dataclass(frozen=True)
class Grid:
    """A rectilinear grid.

    Parameters
    ----------
    dims
        Names of its rows and columns.
    labels
        Coordinates of their centres.
    edges
        Of rows and of columns, one more than these, degrees or metres.
    geographic
        Whether the coordinates are latitude and longitude.
    crs
        What pyproj understands as the projection; None where unknown.
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
    """Northing of the cylindrical equal-area projection, m, of degrees."""
    return EARTH_RADIUS * np.sin(np.deg2rad(latitude))


def to_plane_x(longitude: np.ndarray) -> np.ndarray:
    """Easting of the cylindrical equal-area projection, m, of degrees."""
    return EARTH_RADIUS * np.deg2rad(longitude)


def grid_of(ds: xr.Dataset | xr.DataArray) -> Grid:
    """The grid of a Dataset: its dimensions, the edges of its cells, its projection.

    Edges come from CF bounds, else lie halfway between centres.

    Raises
    ------
    DimensionError, CoordinateError
    """
    found = [pair for pair in (*_NAMES, _by_attributes(ds)) if all(dim in ds.dims for dim in pair)]
    if not found or None in found[0]:
        raise DimensionError(
            f"the grid has dimensions {tuple(ds.dims)}; expected rows and columns: lat and lon, or y and x. "
            "Rename yours."
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
            f"{dim!r} of the grid has no numbers as coordinate; expected those of its cells."
        )
    centres = ds[dim].values.astype(float)
    steps = np.diff(centres)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise CoordinateError(
            f"{dim!r} of the grid neither rises nor falls throughout; expected sorted cells."
        )
    return centres


def _edges(ds: xr.Dataset | xr.DataArray, dim: Hashable, centres: np.ndarray) -> np.ndarray:
    bounds = ds[dim].attrs.get("bounds", f"{dim}_bnds")
    if bounds in getattr(ds, "variables", ds.coords):
        pairs = np.sort(ds[bounds].values.astype(float), axis=1)
        rising = centres[-1] >= centres[0]
        lower, upper = (pairs[:, 0], pairs[:, 1]) if rising else (pairs[:, 1], pairs[:, 0])
        if not np.allclose(lower[1:], upper[:-1], rtol=0.0, atol=1e-6 * np.abs(pairs[0, 1] - pairs[0, 0])):
            raise CoordinateError(f"the cells of {bounds!r} do not touch; expected one after the other.")
        return np.r_[lower, upper[-1]]
    if len(centres) == 1:
        raise CoordinateError(
            f"{dim!r} has one cell, and no bounds say how wide it is; expected {dim}_bnds, ({dim}, 2)."
        )
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.r_[2.0 * centres[0] - middle[0], middle, 2.0 * centres[-1] - middle[-1]]


def _projection(ds: xr.Dataset | xr.DataArray) -> Any:
    """Attributes of the grid mapping, as text where there is a text, or None."""
    arrays = [ds] if isinstance(ds, xr.DataArray) else list(ds.data_vars.values())
    named = [array.attrs.get("grid_mapping", array.encoding.get("grid_mapping")) for array in arrays]
    for name in (*named, "spatial_ref", "crs"):
        if name is not None and name in getattr(ds, "variables", ds.coords):
            attrs = ds[name].attrs
            return attrs.get("crs_wkt") or attrs.get("spatial_ref") or dict(attrs) or None
    return None


def same_projection(first: Grid, second: Grid) -> bool:
    """Whether the coordinates of two grids mean the same; unknown projections are taken as one."""
    if first.geographic or second.geographic:
        return first.geographic and second.geographic
    if first.crs is None or second.crs is None or first.crs == second.crs:
        return (first.crs is None) == (second.crs is None)
    return bool(as_crs(first.crs) == as_crs(second.crs))


def as_crs(crs: Any) -> Any:
    """As pyproj knows it."""
    pyproj = optional("pyproj")
    return pyproj.CRS.from_cf(dict(crs)) if isinstance(crs, Mapping) else pyproj.CRS.from_user_input(crs)


def optional(module: str) -> Any:
    """A library of the extra ``basins``.

    Raises
    ------
    ImportError
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"overlaps of polygons or of different projections need {module}: pip install 'hydroxr[basins]'."
        ) from error


def cells_as_polygons(grid: Grid) -> np.ndarray:
    """The cells of a grid as shapes in its own coordinates, row by row."""
    shapely = optional("shapely")
    (south, north), (west, east) = ((edges[:-1], edges[1:]) for edges in grid.edges)
    rows, columns = np.meshgrid(np.arange(len(south)), np.arange(west.size), indexing="ij")
    boxes = shapely.box(west[columns], south[rows], east[columns], north[rows])
    return np.asarray(boxes).ravel()


def polygons_in_plane(polygons: np.ndarray, crs: Any, grid: Grid) -> np.ndarray:
    """Shapes in the plane of ``grid``, from coordinates of ``crs``; long sides bend as they should.

    Raises
    ------
    CoordinateError
        Where a projection is not known or has no coordinates for a shape; a part wider than 180 degrees.
    """
    shapely = optional("shapely")
    extent = shapely.bounds(polygons)
    longest = np.maximum(extent[:, 2] - extent[:, 0], extent[:, 3] - extent[:, 1])
    polygons = shapely.segmentize(polygons, np.maximum(longest, 1e-12) / _STRAIGHT)
    if crs == GEOGRAPHIC:
        _require_narrow(shapely, polygons)
    known = (crs == GEOGRAPHIC and grid.geographic) or (crs is None and grid.crs is None)
    if not known:
        if crs is None or grid.crs is None:
            raise CoordinateError(
                f"the projection of the {'grid' if grid.crs is None else 'polygons'} is not known; expected "
                "a grid mapping with CF attributes, or crs=..."
            )
        source, target = as_crs(crs), as_crs(grid.crs)
        if source != target:
            change = optional("pyproj").Transformer.from_crs(source, target, always_xy=True)
            polygons = shapely.transform(
                polygons, lambda points: np.stack(change.transform(points[:, 0], points[:, 1]), axis=1)
            )
    if grid.geographic:
        _require_narrow(shapely, polygons)
        polygons = shapely.transform(
            polygons, lambda points: np.stack([to_plane_x(points[:, 0]), to_plane_y(points[:, 1])], axis=1)
        )
    if not np.isfinite(shapely.bounds(polygons)).all():
        raise CoordinateError(
            "a polygon is empty, or lies where the grid's projection has no coordinates; expected polygons "
            f"in {crs!r}."
        )
    return np.asarray(shapely.make_valid(polygons, method="structure", keep_collapsed=False))


def _require_narrow(shapely: Any, polygons: np.ndarray) -> None:
    """No part of a shape, degrees, goes round more than half of the world: it crosses 180 degrees unsplit."""
    parts, numbers = shapely.get_parts(polygons, return_index=True)
    west, _, east, _ = shapely.bounds(parts).T
    wide = np.flatnonzero(east - west > _HALF_A_TURN)
    if len(wide):
        place = wide[0]
        raise CoordinateError(
            f"polygon number {numbers[place]} reaches from longitude {west[place]:g} to {east[place]:g}; "
            "expected parts of at most 180 degrees. Where it crosses the 180th meridian, split it there or "
            "count on: 178 to 182. One that is as wide in truth: cut it into narrower parts."
        )

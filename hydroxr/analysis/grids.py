"""Rectilinear grids: their dimensions, the edges of their cells, their projection.

Areas are computed in a plane. This is the projection of the grid or, for latitude and longitude, also
those of a rotated pole, the cylindrical equal-area projection of a sphere, which preserves areas.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.dimensions import grid_mapping_of
from ..conventions.units import factor_offset
from ..errors import CoordinateError, DimensionError

EARTH_RADIUS = 6371007.181  # m, of the sphere of the MODIS grid, with the area of the ellipsoid
GEOGRAPHIC = "EPSG:4326"

_NAMES = (("lat", "lon"), ("latitude", "longitude"), ("rlat", "rlon"), ("y", "x"), ("ydim", "xdim"))
_DEGREES = re.compile(r"(?:deg(?:ree)?s?|°)[_ ]?(?:n|e|north|east)?", re.IGNORECASE)
_ROTATED = "rotated_latitude_longitude"
# A CRS of latitude and longitude in WKT; with a conversion or an extension, its pole may be rotated.
_LATITUDE_LONGITUDE = re.compile(r"\s*GEOG(?:CRS|CS)\[(?!.*(?:DERIVINGCONVERSION|EXTENSION))", re.DOTALL)
_FLOAT32 = 4 * float(np.finfo("float32").eps)


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
    angular
        Whether the coordinates are degrees on a sphere, of the Earth's or of a rotated pole.
    crs
        Projection in a form that pyproj understands; None if unknown.
    """

    dims: tuple[Hashable, Hashable]
    labels: tuple[np.ndarray, np.ndarray]
    edges: tuple[np.ndarray, np.ndarray]
    angular: bool
    crs: Any

    @property
    def geographic(self) -> bool:
        """Whether the coordinates are latitude and longitude."""
        return bool(self.crs == GEOGRAPHIC)

    def in_plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges of rows and columns in the plane, m."""
        rows, columns = self.edges
        return (to_plane_y(rows), to_plane_x(columns)) if self.angular else (rows, columns)


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
    dims = found[0]
    units = [str(ds[dim].attrs.get("units", "")) if dim in ds.coords else "" for dim in dims]
    angular, crs = _reference(ds, dims, units)
    factors = [1.0 if angular else _metres(dim, unit) for dim, unit in zip(dims, units, strict=True)]
    labels = [_labels(ds, dim) for dim in dims]
    edges = [_edges(ds, dim, centres) for dim, centres in zip(dims, labels, strict=True)]
    if angular:
        if np.abs(labels[0]).max() > 90.0:
            raise CoordinateError(
                f"{dims[0]!r} has latitudes up to {np.abs(labels[0]).max():g}; expected -90 to 90."
            )
        edges[0] = edges[0].clip(-90.0, 90.0)
    labels, edges = (
        [f * values for f, values in zip(factors, each, strict=True)] for each in (labels, edges)
    )
    return Grid(dims, (labels[0], labels[1]), (edges[0], edges[1]), angular, crs)


def _reference(
    ds: xr.Dataset | xr.DataArray, dims: tuple[Hashable, Hashable], units: list[str]
) -> tuple[bool, Any]:
    """Whether the coordinates are degrees, and their projection: by the grid mapping, else by name and units.

    Raises
    ------
    CoordinateError
        If the coordinates are those of a rotated pole that is not stated, or contradict the grid mapping.
    """
    degrees = all(_DEGREES.fullmatch(unit.strip()) for unit in units)
    crs = _projection(ds)
    if crs is not None:
        angular = crs == GEOGRAPHIC or _in_degrees(crs)
        if all(units) and angular != degrees:
            raise CoordinateError(
                f"{dims[0]!r} and {dims[1]!r} have units {units[0]!r} and {units[1]!r}, and the grid mapping "
                f"is one of {'degrees' if angular else 'metres'}; expected both to agree. Correct the units, "
                "or the grid mapping."
            )
        return angular, crs
    kinds = {str(ds[dim].attrs.get("standard_name", "")) for dim in dims if dim in ds.coords}
    earthly = {"latitude", "longitude"} & kinds or any("_" in unit for unit in units)
    by_place = any(
        array.ndim == 2 and set(array.dims) == set(dims) and str(name).lower().startswith("lat")
        for name, array in ds.coords.items()
    )
    if (
        kinds & {"grid_latitude", "grid_longitude"}
        or dims == _NAMES[2]
        or (degrees and by_place and not earthly)
    ):
        raise CoordinateError(
            f"{dims[0]!r} and {dims[1]!r} seem to be coordinates of a rotated pole, and no grid mapping says "
            f"which; expected a variable with grid_mapping_name {_ROTATED!r} that the data name in their "
            "attribute 'grid_mapping'."
        )
    named = str(dims[0]).startswith("lat") and str(dims[1]).startswith("lon")
    angular = degrees or (named and "m" not in units)
    return angular, GEOGRAPHIC if angular else None


def _metres(dim: Hashable, unit: str) -> float:
    """Metres per unit of a coordinate; without units it is in metres, as projections are."""
    return 1.0 if unit in ("", "m", "metre", "meter") else factor_offset(unit, "length", name=str(dim))[0]


def _by_attributes(ds: xr.Dataset | xr.DataArray) -> tuple[Any, Any]:
    """Names of the coordinates that CF attributes mark as y and x."""
    axes: dict[str, Any] = {}
    for name, array in ds.coords.items():
        if array.dims == (name,):
            standard = str(array.attrs.get("standard_name", ""))
            if (
                standard in ("latitude", "grid_latitude", "projection_y_coordinate")
                or array.attrs.get("axis") == "Y"
            ):
                axes["y"] = name
            elif (
                standard in ("longitude", "grid_longitude", "projection_x_coordinate")
                or array.attrs.get("axis") == "X"
            ):
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
        width = np.abs(pairs[0, 1] - pairs[0, 0])
        rounding = np.clip(_FLOAT32 * np.abs(pairs).max(), 1e-6 * width, 1e-2 * width)
        if not np.allclose(lower[1:], upper[:-1], rtol=0.0, atol=rounding):
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
    """The grid mapping: GEOGRAPHIC, its WKT, or its attributes; None without a grid mapping."""
    arrays = [ds] if isinstance(ds, xr.DataArray) else list(ds.data_vars.values())
    for name in (*(grid_mapping_of(array) for array in arrays), "spatial_ref", "crs"):
        if name is not None and name in getattr(ds, "variables", ds.coords):
            attrs = {key: np.asarray(value).tolist() for key, value in ds[name].attrs.items()}
            text = attrs.get("crs_wkt") or attrs.get("spatial_ref") or ""
            plain = attrs.get("grid_mapping_name") == "latitude_longitude"
            if _LATITUDE_LONGITUDE.match(text) or (plain and not attrs.get("longitude_of_prime_meridian")):
                return GEOGRAPHIC
            return text or attrs or None
    return None


def _in_degrees(crs: Any) -> bool:
    """Whether coordinates of a projection are degrees; its name or the first word of its WKT says so."""
    if isinstance(crs, Mapping):
        return crs.get("grid_mapping_name") in ("latitude_longitude", _ROTATED)
    return not crs.lstrip().startswith("PROJ") and bool(as_crs(crs).is_geographic)


def same_projection(first: Grid, second: Grid) -> bool:
    """Whether two grids have the same projection; unknown projections count as the same."""
    if first.crs is None or second.crs is None or first.crs == second.crs:
        return (first.crs is None) == (second.crs is None)
    return bool(as_crs(first.crs) == as_crs(second.crs))


def as_crs(crs: Any) -> Any:
    """The projection as a pyproj CRS.

    Raises
    ------
    CoordinateError
        If pyproj does not understand it.
    """
    pyproj = optional("pyproj")
    try:
        return pyproj.CRS.from_cf(dict(crs)) if isinstance(crs, Mapping) else pyproj.CRS.from_user_input(crs)
    except (pyproj.exceptions.CRSError, KeyError) as error:
        raise CoordinateError(
            f"the projection {crs!r} is not understood by pyproj ({error}); expected a grid mapping with the "
            "attributes of CF ('grid_mapping_name' and those that belong to it) or with 'crs_wkt'."
        ) from error


def optional(module: str) -> Any:
    """Import a library of the extra ``basins``."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"overlaps of polygons or of different projections need {module}: pip install 'hydroxr[basins]'."
        ) from error

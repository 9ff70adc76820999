"""Area weights: how much of each cell of a grid lies in each basin, or in each cell of another grid."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from .grids import GEOGRAPHIC, Grid, grid_of, optional, same_projection
from .overlaps import Overlaps, between_grids, cells_as_polygons, polygons_in_plane, with_polygons

PAIR = "pair"  # dimension of the table of weights


def area_weights(
    grid: xr.Dataset | xr.DataArray, target: Any, *, dim: str = "basin", crs: Any = None
) -> xr.Dataset:
    """Area of each overlap of a grid cell and a basin, or a cell of another grid.

    Parameters
    ----------
    grid : Dataset or DataArray
        On a rectilinear grid: ``lat`` and ``lon``, or ``y`` and ``x`` with a CF grid mapping. Cell edges come
        from CF bounds, else lie halfway between the centres.
    target : GeoDataFrame, GeoSeries, mapping of name to shapely geometry, Dataset or DataArray
        Polygons (the index of a GeoDataFrame names them) or another grid. Polygons, and grids in different
        projections, need the extra ``basins``. Split a polygon at the 180th meridian, or use longitudes such
        as 178 to 182.
    dim : str
        Name of the dimension of polygons.
    crs : any CRS that pyproj understands, optional
        Coordinate system of polygons that do not state one; default: longitude and latitude.

    Returns
    -------
    Dataset
        ``source`` and ``target`` ``(pair)``, numbers of the cells, row by row; ``weight`` ``(pair)``, their
        common area, m2; ``target_area`` ``(target...)``, the area of whole targets, m2. It can be saved to a
        file. With ``lat`` and ``lon``, areas are those on a sphere; otherwise those in the projection of
        the grid, which are true for an equal-area projection such as the sinusoidal one of MODIS.

    Raises
    ------
    DimensionError
        If a grid has no dimensions known as rows and columns.
    CoordinateError
        If coordinates of a grid are not sorted numbers, its projection is unknown, or a polygon is empty,
        outside the projection or wider than 180 degrees.
    DescriptionError
        If ``target`` is neither polygons nor a grid.
    EmptySelectionError
        If nothing overlaps.
    ImportError
        If the extra ``basins`` is needed and not installed.
    """
    source = grid_of(grid)
    if isinstance(target, xr.Dataset | xr.DataArray):
        other = grid_of(target)
        overlaps = _of_grids(source, other)
        coords: dict[Hashable, Any] = {name: target[name].variable for name in other.dims}
        dims: tuple[Hashable, ...] = other.dims
    else:
        names, shapes, known = _polygons(target)
        overlaps = with_polygons(source, polygons_in_plane(shapes, known or crs or GEOGRAPHIC, source))
        coords, dims = {dim: names}, (dim,)
    if len(overlaps.area) == 0:
        raise EmptySelectionError(
            f"the grid ({_extent(source)}) and the target share no area; expected them to overlap. Check "
            "their coordinate systems."
        )
    return _table(source, overlaps, dims, coords)


def _of_grids(source: Grid, other: Grid) -> Overlaps:
    if same_projection(source, other):
        return between_grids(source, other)
    return with_polygons(source, polygons_in_plane(cells_as_polygons(other), other.crs, source))


def _polygons(target: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Names, geometries, and the coordinate system if stated."""
    if isinstance(target, Mapping):
        return np.array(list(target)), _shapes(list(target.values())), None
    if hasattr(target, "geometry") and hasattr(target, "index"):
        known = None if target.crs is None else target.crs.to_wkt()
        same = known is not None and target.crs.to_epsg() == 4326
        return target.index.to_numpy(), _shapes(list(target.geometry)), GEOGRAPHIC if same else known
    raise DescriptionError(
        f"target is {type(target).__name__}; expected polygons as a GeoDataFrame or a mapping of name to "
        "geometry, or a Dataset on a grid."
    )


def _shapes(shapes: list[Any]) -> np.ndarray:
    shapely = optional("shapely")
    out = np.empty(len(shapes), dtype=object)
    out[:] = shapes
    wrong = [type(shape).__name__ for shape in shapes if not shapely.is_geometry(shape)]
    if wrong or not len(shapes):
        raise DescriptionError(f"the polygons hold {wrong[0] if wrong else 'nothing'}; expected geometries.")
    return out


def _table(
    source: Grid, overlaps: Overlaps, dims: tuple[Hashable, ...], coords: dict[Hashable, Any]
) -> xr.Dataset:
    names = {dim: f"source_{dim}" for dim in source.dims}
    out = xr.Dataset(
        {
            "source": (PAIR, overlaps.source.astype("int64"), {"long_name": "number of the cell"}),
            "target": (PAIR, overlaps.target.astype("int64"), {"long_name": "number of the target"}),
            "weight": (PAIR, overlaps.area, {"long_name": "area that both share", "units": "m2"}),
        },
        coords={
            **coords,
            **{names[dim]: labels for dim, labels in zip(source.dims, source.labels, strict=True)},
        },
    )
    whole = overlaps.whole.reshape([out.sizes[dim] for dim in dims])
    out["target_area"] = (dims, whole, {"long_name": "area of the whole target", "units": "m2"})
    out.attrs = {"title": "Area weights", "source_dims": " ".join(map(str, source.dims))}
    return out


def table_of_weights(weights: xr.DataArray, grid: Grid) -> xr.Dataset:
    """Convert dense weights ``(target..., rows, columns)`` to a table as of :func:`area_weights`."""
    missing = [dim for dim in grid.dims if dim not in weights.dims]
    if missing or weights.ndim < 3:
        raise DimensionError(
            f"the weights have dimensions {weights.dims}; expected {grid.dims} and at least one "
            "dimension of the target."
        )
    dims = tuple(dim for dim in weights.dims if dim not in grid.dims)
    ordered = weights.transpose(*dims, *grid.dims)
    own = grid_of(weights)
    dense = np.nan_to_num(ordered.values.astype(float), nan=0.0)
    if (dense < 0).any():
        raise DescriptionError(
            f"the weights go down to {dense.min():g}; expected areas or shares of at least 0."
        )
    dense = dense.reshape(-1, len(grid.labels[0]) * len(grid.labels[1]))
    target, source = np.nonzero(dense)
    overlaps = Overlaps(source, target, dense[target, source], dense.sum(1))
    coords = {
        name: array.variable for name, array in weights.coords.items() if not set(grid.dims) & set(array.dims)
    }
    missing_labels = {dim: np.arange(weights.sizes[dim]) for dim in dims if dim not in coords}
    return _table(own, overlaps, dims, {**coords, **missing_labels})


def require_same_grid(grid: Grid, table: xr.Dataset) -> None:
    """Require that weights were made for ``grid``."""
    dims = tuple(str(table.attrs.get("source_dims", "")).split())
    if dims != tuple(map(str, grid.dims)):
        raise DimensionError(
            f"the weights are for a grid of {dims}, the data are on one of {grid.dims}; expected the same. "
            "Make the weights from the data: area_weights(ds, ...)."
        )
    for dim, labels, edges in zip(grid.dims, grid.labels, grid.edges, strict=True):
        made_for = table[f"source_{dim}"].values
        tolerance = 1e-3 * np.abs(np.diff(edges)).min()
        if len(made_for) != len(labels) or np.abs(made_for - labels).max() > tolerance:
            raise CoordinateError(
                f"the weights are for {len(made_for)} cells along {dim!r} from {made_for[0]:g} to "
                f"{made_for[-1]:g}, the data have {len(labels)} from {labels[0]:g} to {labels[-1]:g}; "
                "expected the same grid. Make the weights from the data: area_weights(ds, ...)."
            )


def _extent(grid: Grid) -> str:
    return ", ".join(
        f"{dim} {edges.min():g} to {edges.max():g}" for dim, edges in zip(grid.dims, grid.edges, strict=True)
    )

"""Area-weighted means: from a grid to basins, or from one grid to another.

Two steps: :func:`area_weights` says once which cell lies in which target, :func:`aggregate` then takes
means of whatever lies on that grid.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from .grids import GEOGRAPHIC, Grid, cells_as_polygons, grid_of, optional, polygons_in_plane, same_projection
from .overlaps import Overlaps, between_grids, with_polygons

_PAIR = "pair"


def area_weights(
    grid: xr.Dataset | xr.DataArray, target: Any, *, dim: str = "basin", crs: Any = None
) -> xr.Dataset:
    """Which cells of a grid lie in which basin, or in which cell of another grid, and by how much.

    Parameters
    ----------
    grid : Dataset or DataArray
        On a rectilinear grid: ``lat`` and ``lon``, or ``y`` and ``x`` with a CF grid mapping. Bounds are used
        where there are any.
    target
        Polygons as a GeoDataFrame or GeoSeries (its index names them) or a mapping of name to
        shapely geometry; or a Dataset or DataArray on another grid. Polygons, and grids in different
        projections, need the extra ``basins``. One that crosses the 180th meridian is split there, or counts
        on: 178 to 182 degrees.
    dim
        What the dimension of polygons is called.
    crs
        Coordinate system of polygons that do not state theirs; longitude and latitude by default.

    Returns
    -------
    Dataset
        A table ``(pair)`` of ``source`` and ``target`` (numbers of cells, row by row) and ``weight``, the
        area that they share, m2; ``target_area``, the area of whole targets. A file keeps it. Areas are those
        on a sphere for ``lat`` and ``lon``, else those of the grid's projection, which are true where it
        is an equal-area one (MODIS' sinusoidal is).

    Raises
    ------
    DimensionError, CoordinateError, EmptySelectionError, ImportError
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
            f"the grid ({_extent(source)}) and the target share no area; expected that they overlap: are the "
            "coordinate systems right?"
        )
    return _table(source, overlaps, dims, coords)


def _of_grids(source: Grid, other: Grid) -> Overlaps:
    if same_projection(source, other):
        return between_grids(source, other)
    return with_polygons(source, polygons_in_plane(cells_as_polygons(other), other.crs, source))


def _polygons(target: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Names, shapes, and the coordinate system where it is stated."""
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
            "source": (_PAIR, overlaps.source.astype("int64"), {"long_name": "number of the cell"}),
            "target": (_PAIR, overlaps.target.astype("int64"), {"long_name": "number of the target"}),
            "weight": (_PAIR, overlaps.area, {"long_name": "area that both share", "units": "m2"}),
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


def aggregate(
    ds: xr.Dataset | xr.DataArray, weights: xr.Dataset | xr.DataArray, min_valid: float = 0.5
) -> xr.Dataset | xr.DataArray:
    """Area-weighted means over basins, or over the cells of another grid, lazily.

    Parameters
    ----------
    ds : Dataset or DataArray
        On the grid that the weights were made for. Missing values are left out of the mean.
    weights
        Of :func:`area_weights`, or a DataArray ``(target..., rows, columns)`` of areas or shares, 0 or NaN
        where a cell is not part of a target.
    min_valid
        Share of a target's area, 0 to 1, that must have values; below it the mean is missing. With a
        DataArray of weights the area of a target is their sum.

    Returns
    -------
    Dataset or DataArray
        As ``ds``, with the target's dimensions in place of the grid's, float64; variables without the grid's
        dimensions stay. Of flags with ``flag_masks`` every bit that is set in any cell of a target.

    Raises
    ------
    DimensionError, CoordinateError, DescriptionError
    """
    if not 0.0 <= min_valid <= 1.0:
        raise DescriptionError(f"min_valid is {min_valid}; expected a share of the area, 0 to 1.")
    grid = grid_of(ds)
    table = _sparse(weights, grid) if isinstance(weights, xr.DataArray) else weights
    _require_same_grid(grid, table)
    if isinstance(ds, xr.DataArray):
        return _means(ds, grid, table, min_valid)
    mappings = {array.attrs.get("grid_mapping") for array in ds.data_vars.values()}
    kept = {}
    for name, array in ds.data_vars.items():
        if set(grid.dims) <= set(array.dims):
            kept[name] = _means(array, grid, table, min_valid)
        elif set(grid.dims) & set(array.dims):
            if not str(name).endswith("_bnds"):
                raise DimensionError(
                    f"{name!r} has dimensions {array.dims}; expected both of {grid.dims} or none. "
                    f"Leave it out: ds.drop_vars({name!r})."
                )
        elif name not in mappings:
            kept[name] = array.drop_vars([coord for coord in array.coords if coord in mappings])
    coords = {
        name: array.variable
        for name, array in ds.coords.items()
        if not set(grid.dims) & set(array.dims) and name not in mappings
    }
    return xr.Dataset(kept, attrs=ds.attrs).assign_coords(coords)


def _bits(array: xr.DataArray, grid: Grid, table: xr.Dataset) -> xr.DataArray:
    """Every bit that is set in any cell of a target, however small its share."""
    mapping = {key: value for key, value in array.attrs.items() if key == "grid_mapping"}
    bits = []
    for mask in np.atleast_1d(array.attrs["flag_masks"]):
        is_set = ((array & mask) != 0).astype(float).drop_attrs().assign_attrs(mapping)
        share = _means(is_set, grid, table, 0.0)
        bits.append((share > 0).astype(array.dtype) * array.dtype.type(mask))
    kept = {key: value for key, value in array.attrs.items() if key not in mapping}
    return reduce(or_, bits).rename(array.name).drop_attrs(deep=False).assign_attrs(kept)


def _means(array: xr.DataArray, grid: Grid, table: xr.Dataset, min_valid: float) -> xr.DataArray:
    if "flag_values" in array.attrs:
        raise DescriptionError(
            f"{array.name!r} holds flags, of which there is no mean; leave it out: "
            f"ds.drop_vars({array.name!r})."
        )
    if "flag_masks" in array.attrs:
        return _bits(array, grid, table)
    whole = table["target_area"].reset_coords(drop=True)
    parts = [table[name].drop_vars(table[name].coords) for name in ("source", "target", "weight")]
    plain = array.drop_vars([name for name in array.coords if set(grid.dims) & set(array[name].dims)])
    plain = plain.drop_vars(array.attrs.get("grid_mapping", ""), errors="ignore")
    flat = whole.drop_vars(whole.coords).stack(_target=whole.dims).drop_vars(["_target", *whole.dims])
    if plain.chunks is not None:
        if any(len(plain.chunksizes[dim]) > 1 for dim in grid.dims):
            plain = plain.chunk({dim: -1 if dim in grid.dims else "auto" for dim in plain.dims})
        parts, flat = [part.chunk() for part in parts], flat.chunk()
    out: xr.DataArray = xr.apply_ufunc(
        _weighted,
        plain,
        *parts,
        flat,
        kwargs={"min_valid": min_valid},
        input_core_dims=[list(grid.dims), *([[_PAIR]] * 3), ["_target"]],
        output_core_dims=[["_target"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"_target": flat.size}},
    )
    # xarray's unstack wants an index; the target's own dimensions and labels are set by hand.
    shape = [size for dim, size in out.sizes.items() if dim != "_target"] + list(whole.shape)
    dims = [dim for dim in out.dims if dim != "_target"] + list(whole.dims)
    labels = {name: table[name].variable for name in table["target_area"].coords}
    result = xr.DataArray(out.data.reshape(shape), {**out.coords, **labels}, dims, array.name)
    result.attrs = {name: value for name, value in array.attrs.items() if name != "grid_mapping"}
    methods = str(array.attrs.get("cell_methods", "")).strip()
    result.attrs["cell_methods"] = f"{methods} area: mean".strip()
    return result


def _weighted(
    values: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    whole: np.ndarray,
    min_valid: float,
) -> np.ndarray:
    """Means (..., target) of values (..., rows, columns), one step after the other to save memory."""
    source, target, weight, whole = (part.reshape(-1) for part in (source, target, weight, whole))
    steps = values.reshape(-1, values.shape[-2] * values.shape[-1])
    out = np.full((len(steps), len(whole)), np.nan)
    least = np.maximum(min_valid * whole * (1.0 - 1e-9), np.finfo(float).tiny)
    for number, step in enumerate(steps):
        picked = step[source].astype(float)
        valid = ~np.isnan(picked)
        area = np.bincount(target, weight * valid, len(whole))
        total = np.bincount(target, weight * np.where(valid, picked, 0.0), len(whole))
        np.divide(total, area, out=out[number], where=area >= least)
    return out.reshape(*values.shape[:-2], len(whole))


def _sparse(weights: xr.DataArray, grid: Grid) -> xr.Dataset:
    """Dense weights as a table."""
    missing = [dim for dim in grid.dims if dim not in weights.dims]
    if missing or weights.ndim < 3:
        raise DimensionError(
            f"the weights have dimensions {weights.dims}; expected {grid.dims} and at least one "
            "of the target."
        )
    dims = tuple(dim for dim in weights.dims if dim not in grid.dims)
    ordered = weights.transpose(*dims, *grid.dims)
    own = grid_of(weights)
    dense = np.nan_to_num(ordered.values.astype(float), nan=0.0)
    if (dense < 0).any():
        raise DescriptionError(
            f"the weights go down to {dense.min():g}; expected areas or shares, 0 or more."
        )
    dense = dense.reshape(-1, len(grid.labels[0]) * len(grid.labels[1]))
    target, source = np.nonzero(dense)
    overlaps = Overlaps(source, target, dense[target, source], dense.sum(1))
    coords = {
        name: array.variable for name, array in weights.coords.items() if not set(grid.dims) & set(array.dims)
    }
    missing_labels = {dim: np.arange(weights.sizes[dim]) for dim in dims if dim not in coords}
    return _table(own, overlaps, dims, {**coords, **missing_labels})


def _require_same_grid(grid: Grid, table: xr.Dataset) -> None:
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
                f"the weights were made for {len(made_for)} cells along {dim!r} from {made_for[0]:g} to "
                f"{made_for[-1]:g}, the data have {len(labels)} from {labels[0]:g} to {labels[-1]:g}; "
                "expected the same grid. Make the weights from the data: area_weights(ds, ...)."
            )


def _extent(grid: Grid) -> str:
    return ", ".join(
        f"{dim} {edges.min():g} to {edges.max():g}" for dim, edges in zip(grid.dims, grid.edges, strict=True)
    )

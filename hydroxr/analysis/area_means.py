"""Area-weighted means over basins or over the cells of another grid, by :mod:`.area_weights`."""

from __future__ import annotations

from functools import reduce
from operator import or_

import numpy as np
import xarray as xr

from ..conventions.missing_values import stated_missing
from ..errors import DescriptionError, DimensionError
from .area_weights import PAIR, require_same_grid, table_of_weights
from .grids import Grid, grid_of


def aggregate(
    ds: xr.Dataset | xr.DataArray, weights: xr.Dataset | xr.DataArray, min_valid: float = 0.5
) -> xr.Dataset | xr.DataArray:
    """Area-weighted means over basins, or over the cells of another grid; lazy if ``ds`` is.

    Parameters
    ----------
    ds : Dataset or DataArray
        On the grid of the weights, ``(..., rows, columns)``. Missing values do not count, nor do those that
        attributes such as ``_FillValue`` state as missing.
    weights : Dataset or DataArray
        From :func:`area_weights`, or a DataArray ``(target..., rows, columns)`` of areas or shares, 0 or NaN
        where a cell is not part of a target.
    min_valid : float
        Share of the area of a target, 0 to 1, that must have values; otherwise the mean is missing. With
        a DataArray of weights, the area of a target is their sum.

    Returns
    -------
    Dataset or DataArray
        As ``ds``, ``(..., target...)``, float64. Variables without the dimensions of the grid are kept. Flags
        with ``flag_masks`` have every bit that is set in any cell of a target.

    Raises
    ------
    DimensionError
        If the weights are for other dimensions, or a variable has only one dimension of the grid.
    CoordinateError
        If the weights are for other cells.
    DescriptionError
        If ``min_valid`` is not between 0 and 1, a weight is negative, or a variable has ``flag_values``.
    """
    if not 0.0 <= min_valid <= 1.0:
        raise DescriptionError(f"min_valid is {min_valid}; expected a share of the area between 0 and 1.")
    grid = grid_of(ds)
    table = table_of_weights(weights, grid) if isinstance(weights, xr.DataArray) else weights
    require_same_grid(grid, table)
    if isinstance(ds, xr.DataArray):
        return _means(stated_missing(ds), grid, table, min_valid)
    mappings = {array.attrs.get("grid_mapping") for array in ds.data_vars.values()}
    kept = {}
    for name, array in ds.data_vars.items():
        if set(grid.dims) <= set(array.dims):
            kept[name] = _means(stated_missing(array), grid, table, min_valid)
        elif set(grid.dims) & set(array.dims):
            if not str(name).endswith("_bnds"):
                raise DimensionError(
                    f"{name!r} has dimensions {array.dims}; expected both of {grid.dims} or neither. "
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
    """Every bit that is set in any cell of a target, however small the overlap."""
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
            f"{array.name!r} holds flags, which have no mean; leave it out: ds.drop_vars({array.name!r})."
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
        input_core_dims=[list(grid.dims), *([[PAIR]] * 3), ["_target"]],
        output_core_dims=[["_target"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"_target": flat.size}},
    )
    # xarray's unstack needs an index, so set the dimensions and labels of the target by hand.
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
    """Means (..., target) of values (..., rows, columns), one step at a time to save memory."""
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

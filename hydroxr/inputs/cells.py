"""The cells of a Dataset: their names, their attributes, whether two Datasets have the same."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import CoordinateError

Space = tuple[Hashable, ...]

_PLACES = ("basin", "lat", "lon", "y", "x")  # scalars that say which place a single series is of


def space_coords(ds: xr.Dataset, space: Space) -> xr.Dataset:
    """What identifies the cells: index coordinates (made where absent) and text ones, without variables."""
    out = xr.Dataset(
        coords={dim: ds[dim].values if dim in ds.indexes else np.arange(ds.sizes[dim]) for dim in space}
    )
    for name, array in ds.coords.items():
        if name not in out.coords and _tells_apart(array, space):
            out = out.assign_coords({name: (array.dims, array.values)})
    return out


def _tells_apart(array: xr.DataArray, space: Space) -> bool:
    """Whether a coordinate says which cell is which: names of cells, or where a single series is."""
    if space:
        return bool(array.dims) and set(array.dims) <= set(space) and array.dtype.kind in "OTU"
    names_it = str(array.name).endswith("_id") or array.attrs.get("cf_role") == "timeseries_id"
    return not array.dims and (array.name in _PLACES or names_it)


def space_labels(ds: xr.Dataset, space: Space) -> dict[str, xr.DataArray]:
    """What messages call the cells by, for each dimension of space: names, labels, else positions."""
    out = {}
    for dim in space:
        ids = [
            array
            for array in ds.coords.values()
            if array.dims == (dim,) and array.attrs.get("cf_role") == "timeseries_id" and len(space) == 1
        ]
        label = ids[0] if ids else ds[dim] if dim in ds.coords else None
        values = np.arange(ds.sizes[dim]) if label is None else label.variable.data
        out[str(dim)] = xr.DataArray(values, dims=(dim,))
    return out


def space_names(ds: xr.Dataset, space: Space) -> tuple[str, ...]:
    """A name a cell for messages, in the order of the flattened space."""
    axes = [array.values for array in space_labels(ds, space).values()]
    return tuple(
        ", ".join(f"{dim} {axis[place]}" for dim, axis, place in zip(space, axes, places, strict=True))
        for places in np.ndindex(*(ds.sizes[dim] for dim in space))
    )


def select_cells(given: xr.Dataset, ds: xr.Dataset, space: Space, what: str) -> xr.Dataset:
    """The cells of ``given`` that ``ds`` has, in its order, by label.

    Raises
    ------
    CoordinateError
        Where ``given`` lacks a cell of ``ds``, or has others more than once.
    """
    for dim in space:
        if dim not in given.dims or dim not in given.indexes or dim not in ds.indexes:
            continue
        given = _labelled_alike(given, ds, dim)
        if given.indexes[dim].equals(ds.indexes[dim]):
            continue
        repeated = given.indexes[dim][given.indexes[dim].duplicated()]
        if len(repeated):
            raise CoordinateError(
                f"{what} has {dim} {repeated[0]} more than once ({len(repeated)} repeats), and other labels "
                f"than the Dataset; expected each once: drop_duplicates({str(dim)!r})."
            )
        absent = ds.indexes[dim][~ds.indexes[dim].isin(given.indexes[dim])]
        if len(absent):
            raise CoordinateError(
                f"{what} has no {dim} {absent[0]} ({len(absent)} of {ds.sizes[dim]} are missing); expected "
                f"every {dim} of the Dataset."
            )
        given = given.sel({dim: ds.indexes[dim]})
    check_same_cells(given, ds, space, what)
    return given


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    """NaN, a place that is not known, equals itself."""
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f" and second.dtype.kind == "f")


def _labelled_alike(given: xr.Dataset, ds: xr.Dataset, dim: Hashable) -> xr.Dataset:
    """``given`` with the labels of ``ds`` where one has names as labels, the other numbers beside names.

    A file has no text as label of a dimension: ``basin`` is written as a number and ``basin_id``.
    """
    names = f"{dim}_id"
    if given.indexes[dim].dtype.kind in "OTU" and ds.indexes[dim].dtype.kind not in "OTU" and names in ds:
        numbers = dict(zip(map(str, ds[names].values), ds.indexes[dim], strict=True))
        shared = given.isel({dim: [str(label) in numbers for label in given.indexes[dim]]})
        if shared.sizes[dim]:
            return shared.assign_coords({dim: [numbers[str(label)] for label in shared.indexes[dim]]})
    if ds.indexes[dim].dtype.kind in "OTU" and given.indexes[dim].dtype.kind not in "OTU" and names in given:
        labels = pd.Index(given[names].values.astype(object), dtype=ds.indexes[dim].dtype)
        return given.assign_coords({dim: labels}).drop_vars(names)
    return given


def check_same_cells(given: xr.Dataset, ds: xr.Dataset, space: Space, what: str) -> None:
    """Refuse cells that differ in number, label or name.

    Raises
    ------
    CoordinateError
    """
    for dim in space:
        if dim not in given.dims:
            continue
        if given.sizes[dim] != ds.sizes[dim]:
            raise CoordinateError(
                f"{what} has {given.sizes[dim]} values of {dim!r}, the Dataset {ds.sizes[dim]}; expected "
                "the same cells."
            )
        if dim in given.indexes and dim in ds.indexes and not given.indexes[dim].equals(ds.indexes[dim]):
            raise CoordinateError(
                f"{what} has other values of {dim!r} than the Dataset; expected the same cells in the same "
                "order."
            )
    common = set(given.coords) & set(ds.coords)
    for name in sorted(common, key=lambda name: (name in ("lat", "lon"), str(name))):
        mine, theirs = given[name], ds[name]
        if mine.chunks is not None or theirs.chunks is not None:
            continue  # names that are not in memory are not read for this
        comparable = mine.dims == theirs.dims and _tells_apart(mine, space)
        if comparable and not _equal(mine.values, theirs.values):
            place = int(np.argmax(mine.values.ravel() != theirs.values.ravel()))
            raise CoordinateError(
                f"{what} was made for {name} {str(mine.values.ravel()[place])!r} where the Dataset has "
                f"{str(theirs.values.ravel()[place])!r}: "
                "equal positions, other places."
            )


def cells_first(array: xr.DataArray) -> np.ndarray:
    values = array.transpose(..., "time").values
    return values.reshape(-1, values.shape[-1])

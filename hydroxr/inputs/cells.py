"""The cells of a Dataset: their labels and names, and whether two Datasets have the same cells."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import CoordinateError

Space = tuple[Hashable, ...]

_PLACES = ("basin", "lat", "lon", "y", "x")  # scalar coordinates that locate a single series


def space_coords(ds: xr.Dataset, space: Space) -> xr.Dataset:
    """Coordinates that identify the cells: an index per dimension (positions if absent), and text."""
    out = xr.Dataset(
        coords={dim: ds[dim].values if dim in ds.indexes else np.arange(ds.sizes[dim]) for dim in space}
    )
    for name, array in ds.coords.items():
        if name not in out.coords and _tells_apart(array, space):
            out = out.assign_coords({name: (array.dims, array.values)})
    return out


def _tells_apart(array: xr.DataArray, space: Space) -> bool:
    """Whether a coordinate identifies cells: their names, or the place of a single series."""
    if space:
        return bool(array.dims) and set(array.dims) <= set(space) and array.dtype.kind in "OTU"
    names_it = str(array.name).endswith("_id") or array.attrs.get("cf_role") == "timeseries_id"
    return not array.dims and (array.name in _PLACES or names_it)


def space_labels(ds: xr.Dataset, space: Space) -> dict[str, xr.DataArray]:
    """Labels for messages along each dimension of space: names, else the index, else positions."""
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
    """One name per cell for messages, in the order of the flattened space."""
    axes = [array.values for array in space_labels(ds, space).values()]
    return tuple(
        ", ".join(f"{dim} {axis[place]}" for dim, axis, place in zip(space, axes, places, strict=True))
        for places in np.ndindex(*(ds.sizes[dim] for dim in space))
    )


def select_cells(given: xr.Dataset, ds: xr.Dataset, space: Space, what: str) -> xr.Dataset:
    """Select the cells of ``ds`` from ``given`` by label, in the order of ``ds``.

    Raises
    ------
    CoordinateError
        If ``given`` lacks a cell of ``ds``, repeats labels, or names other places.
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
                f"{dim} {repeated[0]} occurs more than once in {what} ({len(repeated)} repeats), and the "
                f"labels differ from the Dataset's; expected each once: drop_duplicates({str(dim)!r})."
            )
        absent = ds.indexes[dim][~ds.indexes[dim].isin(given.indexes[dim])]
        if len(absent):
            raise CoordinateError(
                f"there is no {dim} {absent[0]} in {what} ({len(absent)} of {ds.sizes[dim]} are missing); "
                f"expected every {dim} of the Dataset."
            )
        given = given.sel({dim: ds.indexes[dim]})
    check_same_cells(given, ds, space, what)
    return given


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether arrays are equal; NaN, an unknown place, equals itself."""
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f" and second.dtype.kind == "f")


def _labelled_alike(given: xr.Dataset, ds: xr.Dataset, dim: Hashable) -> xr.Dataset:
    """``given`` with the labels of ``ds``, if one is labelled by names and the other by numbers.

    A file labels no dimension by text: it has numbers as ``basin``, and the names as ``basin_id``.
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
    """Refuse cells that differ in number, label or name, with a CoordinateError."""
    for dim in space:
        if dim not in given.dims:
            continue
        if given.sizes[dim] != ds.sizes[dim]:
            raise CoordinateError(
                f"there are {given.sizes[dim]} values of {dim!r} in {what}, but {ds.sizes[dim]} in the "
                "Dataset; expected the same cells."
            )
        if dim in given.indexes and dim in ds.indexes and not given.indexes[dim].equals(ds.indexes[dim]):
            raise CoordinateError(
                f"{dim!r} has other values in {what} than in the Dataset; expected the same cells in the "
                "same order."
            )
    common = set(given.coords) & set(ds.coords)
    for name in sorted(common, key=lambda name: (name in ("lat", "lon"), str(name))):
        mine, theirs = given[name], ds[name]
        if mine.chunks is not None or theirs.chunks is not None:
            continue  # lazy names are not read for this check
        comparable = mine.dims == theirs.dims and _tells_apart(mine, space)
        if comparable and not _equal(mine.values, theirs.values):
            place = int(np.argmax(mine.values.ravel() != theirs.values.ravel()))
            raise CoordinateError(
                f"{name} is {str(mine.values.ravel()[place])!r} in {what}, but "
                f"{str(theirs.values.ravel()[place])!r} in the Dataset at the same position; expected the "
                "same cells in the same order."
            )


def cells_first(array: xr.DataArray) -> np.ndarray:
    """Values as (cell, time), cells in the order of the flattened space."""
    values = array.transpose(..., "time").values
    return values.reshape(-1, values.shape[-1])

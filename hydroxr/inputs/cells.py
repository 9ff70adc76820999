"""The cells of a Dataset: their labels and names, and whether two Datasets have the same cells."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.labels import as_text, bytes_as_text, in_same_terms, names_of, tells_apart
from ..errors import CoordinateError, ValueRangeError

Space = tuple[Hashable, ...]


def space_coords(ds: xr.Dataset, space: Space) -> xr.Dataset:
    """Coordinates that identify the cells: an index per dimension (positions if absent), and text."""
    out = xr.Dataset(
        coords={dim: _plain(ds[dim]) if dim in ds.indexes else np.arange(ds.sizes[dim]) for dim in space}
    )
    for name, array in ds.coords.items():
        if name not in out.coords and _tells_apart(array, space):
            out = out.assign_coords({name: (array.dims, _plain(array))})
    return out


def _tells_apart(array: xr.DataArray, space: Space) -> bool:
    """Whether a coordinate identifies cells: their names, or the place of a single series."""
    if space:
        return bool(array.dims) and set(array.dims) <= set(space) and array.dtype.kind in "OSTU"
    return not array.dims and tells_apart(array)


def _plain(array: xr.DataArray) -> np.ndarray:
    """Values; text that is missing is empty, and bytes are text."""
    return as_text(array.values) if array.dtype.kind in "OSTU" else array.values


def check_labels(ds: xr.Dataset, space: Space) -> None:
    """Refuse an index of cells that lacks a label somewhere, with a CoordinateError."""
    for dim in space:
        index = ds.indexes.get(dim)
        if index is not None and not isinstance(index, pd.MultiIndex) and index.hasnans:
            raise CoordinateError(
                f"{dim!r} has no label in {int(index.isna().sum())} of {len(index)} places; expected one for "
                f"each. Leave these cells out, ds.sel({dim}=ds[{dim!r}].notnull()), or label them."
            )


def space_labels(ds: xr.Dataset, space: Space) -> dict[str, xr.DataArray]:
    """Labels for messages along each dimension of space: names, else the index, else positions."""
    out = {}
    for dim in space:
        name = names_of(ds, dim)
        chosen = dim if name is None else name
        known = chosen in ds.variables
        values = bytes_as_text(ds.variables[chosen]).data if known else np.arange(ds.sizes[dim])
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
    """Select the cells of ``ds`` from ``given`` by label, in the order of ``ds`` and with its labels.

    Labels are compared as in :mod:`hydroxr.conventions.labels`: a file that xarray opened has numbers as
    index and the labels beside them. Of a Dataset with one cell the scalar coordinate that a selection left
    is the label.

    Raises
    ------
    CoordinateError
        If ``given`` lacks a cell of ``ds``, repeats labels, or names other places.
    """
    mine, theirs = in_same_terms(given, ds)
    for dim in set(theirs.coords) - {*theirs.dims, "time"}:  # of ds one cell is left, of given more
        if dim in mine.indexes and not theirs[dim].dims:
            mine = mine.isel({dim: _places(mine, theirs, dim, what)[0]})
    for dim in space:
        if dim not in mine.dims:
            _check_one(mine, theirs, dim, what)
        elif dim in mine.indexes and dim in theirs.indexes:
            if not mine.indexes[dim].equals(theirs.indexes[dim]):
                mine = mine.isel({dim: _places(mine, theirs, dim, what)})
        elif mine.sizes[dim] != theirs.sizes[dim]:
            raise CoordinateError(
                f"there are {mine.sizes[dim]} values of {dim!r} in {what}, but {theirs.sizes[dim]} in the "
                f"Dataset, and no labels say which belong together; give both the coordinate {dim!r}."
            )
    _check_names(mine, theirs, space, what)
    own = {dim: ds[dim].variable for dim in space if dim in mine.indexes and dim in ds.indexes}
    nameless = [dim for dim in space if dim in mine.indexes and dim not in ds.indexes]
    return mine.drop_vars(nameless).assign_coords(own)


def cells_of_model(given: xr.Dataset, ds: xr.Dataset, space: Space) -> xr.Dataset:
    """Select the cells of ``ds`` from what a model learned for each of its own.

    Raises
    ------
    CoordinateError
        As :func:`select_cells`; or if ``ds`` is of one cell and does not say of which.
    """
    for dim, array in given.coords.items():
        lost = dim not in ds.variables and names_of(ds, dim) is None and dim not in ds.dims
        if not space and lost and dim not in ("lat", "lon", "y", "x") and array.dims in ((), (dim,)):
            known = _some(pd.Index(np.atleast_1d(array.values)))
            raise CoordinateError(
                f"the model was fitted to {dim} {known}, and the Dataset does not say which {dim} it is of; "
                f"expected its label. Select it with its label, ds.isel({dim}=0) without drop=True, or add "
                f"it: ds.assign_coords({dim}=...)."
            )
    return select_cells(given, ds, space, "the model")


def _places(given: xr.Dataset, ds: xr.Dataset, dim: Hashable, what: str) -> np.ndarray:
    """Positions in ``given`` of the labels of ``ds``."""
    index, wanted = given.indexes[dim], pd.Index(np.atleast_1d(ds[dim].values))
    repeated = index[index.duplicated()]
    if len(repeated):
        raise CoordinateError(
            f"{dim} {repeated[0]} occurs more than once in {what} ({len(repeated)} repeats), and the "
            f"labels differ from the Dataset's; expected each once: drop_duplicates({str(dim)!r})."
        )
    places: np.ndarray = index.get_indexer(wanted)
    absent = wanted[places < 0]
    if len(absent):
        raise CoordinateError(
            f"there is no {dim} {absent[0]} in {what} ({len(absent)} of {len(wanted)} are missing); it has "
            f"{_some(index)}. Expected every {dim} of the Dataset."
        )
    return places


def _some(index: pd.Index) -> str:
    """The first labels."""
    return ", ".join(map(str, index[:3])) + (f" and {len(index) - 3} more" if len(index) > 3 else "")


def _check_one(given: xr.Dataset, ds: xr.Dataset, dim: Hashable, what: str) -> None:
    """Refuse one cell, which a selection left, for other ones."""
    if dim not in given.coords or given[dim].dims or dim not in ds.indexes:
        return
    others = ds.indexes[dim] != given[dim].item()
    if others.any():
        raise CoordinateError(
            f"{dim} {given[dim].item()} is the only one in {what}, and the Dataset has "
            f"{_some(ds.indexes[dim][others])}; expected every {dim} of the Dataset."
        )


def _check_names(given: xr.Dataset, ds: xr.Dataset, space: Space, what: str) -> None:
    """Refuse cells that are named or placed otherwise, with a CoordinateError."""
    common = (set(given.coords) & set(ds.coords)) - set(space)
    for name in sorted(common, key=lambda name: (name in ("lat", "lon"), str(name))):
        mine, theirs = given[name], ds[name]
        if mine.chunks is not None or theirs.chunks is not None:
            continue  # lazy names are not read for this check
        if mine.dims != theirs.dims or not _tells_apart(mine, space):
            continue
        first, second = np.atleast_1d(_plain(mine)), np.atleast_1d(_plain(theirs))
        differ = np.flatnonzero(((first != second) & ((first == first) | (second == second))).ravel())
        if len(differ):
            place = np.unravel_index(differ[0], first.shape)
            where = f" for {space_names(ds, mine.dims)[differ[0]]}" if mine.dims else ""
            raise CoordinateError(
                f"{name} is {str(first[place])!r} in {what}, but {str(second[place])!r} in the Dataset"
                f"{where}; expected the same cells."
            )


def first_place(array: xr.DataArray, wrong: np.ndarray) -> str:
    """Where the first of some values is, by its labels: ``"basin 01022500, time 1990-01-01"``."""
    places = np.unravel_index(int(wrong.argmax()), wrong.shape)
    first = dict(zip(array.dims, places, strict=True))
    return ", ".join(
        f"{dim} {_label(array[dim].values[at]) if dim in array.coords else at}" for dim, at in first.items()
    )


def _label(value: object) -> str:
    """A label as text, and a date without its time of day."""
    return str(value)[:10] if isinstance(value, np.datetime64) or hasattr(value, "isoformat") else str(value)


def cells_first(array: xr.DataArray) -> np.ndarray:
    """Values as (cell, time), cells in the order of the flattened space."""
    values = array.transpose(..., "time").values
    return values.reshape(-1, values.shape[-1])


def series_of(
    array: xr.DataArray, space: Space, places: np.ndarray, scheduler: str | None = None
) -> np.ndarray:
    """Values as float32, (time, cell), of the cells at these places of the flattened space.

    Of lazy data only rows along the first dimension of space that have such cells are read, by the
    ``scheduler`` of dask that is named, or by the one in use.
    """
    array = array.transpose("time", *space)
    inner = int(np.prod(array.shape[2:], dtype=int))
    if space:
        rows, at = np.unique(places // inner, return_inverse=True)
        whole = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
        array = array.isel({space[0]: slice(rows[0], rows[-1] + 1) if whole else rows})
        places = at * inner + places % inner
    read = array.values if scheduler is None else array.compute(scheduler=scheduler).values
    values = read.astype("float32")
    values = values.reshape(len(values), -1)
    return values if np.array_equal(places, np.arange(values.shape[1])) else values[:, places]


def checked_latitude(latitude: xr.DataArray, called: str) -> xr.DataArray:
    """Refuse latitudes, in degrees, beyond the poles; lazy ones are not read.

    Raises
    ------
    ValueRangeError
        It names the first place.
    """
    if latitude.chunks is not None:
        return latitude
    wrong = np.abs(latitude.values) > 90.0
    if not wrong.any():
        return latitude
    found = float(latitude.values.ravel()[int(wrong.argmax())])
    where = f"at {first_place(latitude, wrong)} " if latitude.ndim else ""
    raise ValueRangeError(
        f"latitude ({called!r}) is {found:g} degrees_north {where}({int(wrong.sum())} of {wrong.size} "
        "out of range); expected -90 to 90: are latitude and longitude swapped?"
    )


def misplaced(ds: xr.Dataset, name: str | None) -> list[ValueRangeError]:
    """The fault of latitudes in memory beyond the poles, if ``name`` has some."""
    if name is not None and ds[name].dtype.kind in "iuf":
        try:
            checked_latitude(ds[name], name)
        except ValueRangeError as error:
            return [error]
    return []

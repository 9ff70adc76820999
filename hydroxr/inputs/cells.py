"""The cells of a Dataset: their names, their attributes, whether two Datasets have the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.variables import ATTRIBUTES
from ..errors import CoordinateError, DimensionError, MissingAttributeError

if TYPE_CHECKING:
    from ..models.model import Model

Space = tuple[Hashable, ...]

NO_TEXT = ("", "nan", "None", "<NA>")  # says nothing
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


def attribute_names(ds: xr.Dataset, space: Space, chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The static inputs: those chosen, or those of the paper's Table A1 that are there.

    Raises
    ------
    MissingAttributeError, DimensionError
    """
    chosen = [chosen] if isinstance(chosen, str) else chosen
    names = tuple(chosen) if chosen is not None else tuple(name for name in ATTRIBUTES if name in ds)
    absent = [name for name in names if name not in ds]
    if absent:
        raise MissingAttributeError(
            f"attributes {', '.join(absent)} are not in the Dataset; add them or name others: "
            "attributes=[...]."
        )
    if not names:
        raise MissingAttributeError(
            "the Dataset has none of the catchment attributes of the paper's Table A1; a regional model "
            "tells cells apart by them. "
            "Name yours, attributes=[...], or fit each cell by itself: hx.DeltaHBV(network='constant')."
        )
    for name in names:
        _check_static(ds[name], space)
    return names


def _check_static(array: xr.DataArray, space: Space) -> None:
    strange = [dim for dim in array.dims if dim not in space]
    if strange:
        raise DimensionError(
            f"attribute {str(array.name)!r} has dimension {str(strange[0])!r}; expected some of "
            f"{', '.join(map(str, space))}: attributes do not vary in time."
        )


def attribute_categories(
    ds: xr.Dataset, space: Space, names: Sequence[str], trained: np.ndarray
) -> dict[str, list[str]]:
    """For each text attribute its values in the cells that are trained on, sorted: each has a number."""
    text = [name for name in names if ds[name].dtype.kind in "OTU"]
    out = {}
    for name in text:
        missing = {dim: ds.sizes[dim] for dim in space if dim not in ds[name].dims}
        values = ds[name].expand_dims(missing).transpose(*space).values.ravel()
        out[name] = sorted({str(value) for value in values[trained]} - {*NO_TEXT})
    return out


def attribute_array(ds: xr.Dataset, space: Space, model: Model, missing: str = "raise") -> xr.DataArray:
    """Static inputs of a model, (space..., attribute), lazily where they are lazy; NaN where missing.

    Text is the number of its category; infinite where training did not have it, which a network takes as it
    takes what is missing.

    With ``missing="fill"`` attributes that the Dataset lacks are missing in all cells.

    Raises
    ------
    MissingAttributeError, DimensionError
    """
    absent = [name for name in model.attributes if name not in ds]
    if absent and (missing == "raise" or len(absent) == len(model.attributes)):
        raise MissingAttributeError(
            f"the model was trained with attributes that the Dataset lacks: {', '.join(absent)}; add them "
            "with the meaning and units of the training data, or some of them, and take the training's mean "
            "for the others: missing='fill'."
        )
    columns: list[xr.Variable] = []
    for name in model.attributes:
        if name in absent:
            nowhere = np.full([ds.sizes[dim] for dim in space], np.nan, dtype="float32")
            columns.append(xr.Variable(space, nowhere))
            continue
        array = ds[name].reset_coords(drop=True)
        _check_static(array, space)
        if name in model.categories:
            array = _numbers(array, model.categories[name])
        others = {dim: ds.sizes[dim] for dim in space if dim not in array.dims}
        columns.append(array.variable.set_dims({**others, **array.sizes}).transpose(*space).astype("float32"))
    stacked = xr.Variable.concat([xr.Variable(space, column.data) for column in columns], "attribute")
    out = xr.DataArray(stacked, {dim: ds.indexes[dim] for dim in space if dim in ds.indexes})
    out = out.transpose(*space, "attribute")
    return out.chunk(attribute=-1) if out.chunks is not None else out


def _numbers(array: xr.DataArray, categories: Sequence[str]) -> xr.DataArray:
    """Text as the number of its category; NaN for none, infinite for text that training did not have."""
    out: xr.DataArray = xr.apply_ufunc(
        _numbered,
        array,
        kwargs={"categories": tuple(categories)},
        dask="parallelized",
        output_dtypes=[np.dtype("float32")],
    )
    return out


def _numbered(values: np.ndarray, categories: tuple[str, ...]) -> np.ndarray:
    text = missing_as_empty(values)
    out = np.full(text.shape, np.inf, dtype="float32")
    for number, category in enumerate(categories):
        out[text == category] = number
    out[text == ""] = np.nan
    return out


def missing_as_empty(values: np.ndarray) -> np.ndarray:
    """Text as objects, "" where it says nothing."""
    text = np.array(values, dtype=object)
    text[np.asarray(pd.isna(text))] = ""
    for word in NO_TEXT[1:]:
        text[text == word] = ""
    return text

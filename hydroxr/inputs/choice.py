"""Cells that a caller chooses, by their labels or by a mask: one rule for every option that takes them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.labels import as_text, names_of
from ..errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from .cells import Space

_SHOWN = 3  # labels in a message


def chosen_cells(ds: xr.Dataset, space: Space, chosen: Any, option: str) -> np.ndarray:
    """Which cells a caller means, (cell,), in the order of the flattened space.

    Parameters
    ----------
    ds : Dataset
    space : tuple
        Its dimensions of space.
    chosen : DataArray, Series, array or sequence
        Values of bool are a mask, True for the cells that are meant, one per cell; a DataArray or Series
        of them must have the labels of ``ds``. An array or sequence of anything else holds labels; all
        rows of a label are meant.
    option : str
        Name of the option, for messages.

    Raises
    ------
    DescriptionError
        If ``chosen`` is neither, mixes both, or repeats a label, as a mask of 0 and 1 would.
    EmptySelectionError
        If no cell is chosen.
    DimensionError
        If a mask does not have one value per cell, or cells with several dimensions are named by labels.
    CoordinateError
        If a label is not there, or a mask separates rows of one label.
    """
    if isinstance(chosen, str | bytes) or not np.iterable(chosen):
        raise DescriptionError(
            f"{option} is {chosen!r}; expected labels of cells, or a mask of bool, True for the cells that "
            "are meant."
        )
    if isinstance(chosen, pd.Series) and not isinstance(chosen.index, pd.RangeIndex) and len(space) == 1:
        chosen = xr.DataArray(chosen.to_numpy(), {space[0]: chosen.index.to_numpy()}, (space[0],))
    values = chosen if isinstance(chosen, xr.DataArray) else _as_array(chosen, option)
    if values.dtype.kind == "b":
        found = _by_mask(ds, space, values, option)
    elif isinstance(chosen, xr.DataArray):
        raise DimensionError(
            f"{option} is a DataArray of {values.dtype}; expected bool, True for the cells that are meant, "
            "or labels as a list."
        )
    elif len(space) != 1 or values.ndim != 1:
        raise DimensionError(
            f"{option} has {values.dtype} over {values.ndim} dimensions; expected a mask of bool over "
            f"{tuple(map(str, space))}, True for the cells that are meant: labels name cells in one "
            "dimension only."
        )
    else:
        found = _by_label(ds, space[0], np.asarray(values).tolist(), option)
    if not found.any():
        raise EmptySelectionError(
            f"{option} chooses no cell: it is {'False everywhere' if values.dtype.kind == 'b' else 'empty'}; "
            "expected at least one, or None."
        )
    if len(space) == 1:
        refuse_split_labels(ds, space[0], found, option)
    return found


def refuse_split_labels(ds: xr.Dataset, dim: Hashable, marked: np.ndarray, option: str) -> None:
    """Refuse marks that differ between rows of one label: the same place on both sides of a split.

    Raises
    ------
    CoordinateError
        It names the label.
    """
    for labels in _labels(ds, dim):
        if labels.is_unique:
            continue
        codes = pd.factorize(labels)[0]
        counts, of_them = np.bincount(codes[codes >= 0]), np.bincount(codes[codes >= 0], marked[codes >= 0])
        split = np.flatnonzero((of_them > 0) & (of_them < counts))
        if len(split):
            label = labels.tolist()[int(np.argmax(codes == split[0]))]
            raise CoordinateError(
                f"{option} separates rows of {dim} {label!r}, which occurs {counts[split[0]]} times in the "
                "Dataset; expected all of them on one side, since the other would know their streamflow. "
                "Give each its own label, or keep one: "
                f"ds.drop_duplicates({str(dim)!r})."
            )


def _as_array(chosen: Any, option: str) -> np.ndarray:
    """Labels or a mask as an array, in which numbers and text stay what they are."""
    if hasattr(chosen, "__array__"):
        chosen = np.asarray(chosen)
        if chosen.dtype != object:
            return chosen
    parts = list(chosen)
    kinds = {np.asarray(part).dtype.kind == "b" for part in parts}
    if kinds == {True}:
        return np.asarray(parts)
    if True in kinds:
        raise _mixed(option)
    labels = np.empty(len(parts), dtype=object)
    labels[:] = [part.item() if isinstance(part, np.generic) else part for part in parts]
    return labels


def _mixed(option: str) -> DescriptionError:
    return DescriptionError(
        f"{option} mixes True or False with labels; expected a mask of bool for all cells, or labels only."
    )


def _by_mask(ds: xr.Dataset, space: Space, mask: xr.DataArray | np.ndarray, option: str) -> np.ndarray:
    sizes = {dim: ds.sizes[dim] for dim in space}
    if not isinstance(mask, xr.DataArray):
        if mask.shape != tuple(sizes.values()):
            raise DimensionError(
                f"{option} is a mask of shape {mask.shape}; expected {tuple(sizes.values())}, one value for "
                f"each of {tuple(map(str, space))}, or labels."
            )
        return np.asarray(mask.ravel(), dtype=bool)
    if set(mask.dims) != set(space):
        raise DimensionError(
            f"{option} is a DataArray of {mask.dtype} with dimensions {mask.dims}; expected bool and "
            f"{tuple(map(str, space))}, True for the cells that are meant."
        )
    for dim in space:
        labelled = dim in mask.indexes and dim in ds.indexes
        if mask.sizes[dim] != ds.sizes[dim] or (labelled and not mask.indexes[dim].equals(ds.indexes[dim])):
            raise CoordinateError(
                f"{option} has other values of {dim!r} than the Dataset; expected the same cells in the "
                "same order."
            )
    return np.asarray(mask.transpose(*space).values.ravel(), dtype=bool)


def _by_label(ds: xr.Dataset, dim: Hashable, labels: Sequence[Any], option: str) -> np.ndarray:
    """All rows of each label."""
    named = [np.array(each, dtype=object) for each in _labels(ds, dim)]
    found = np.zeros(ds.sizes[dim], dtype=bool)
    before = set()
    for label in labels:
        if isinstance(label, bool) or not isinstance(label, Hashable):  # True equals the label 1
            raise _mixed(option)
        if label in before:
            raise DescriptionError(
                f"{option} names {dim} {label!r} more than once; expected each label once, or a mask of bool."
            )
        before.add(label)
        rows = [each == label for each in named]
        there = [row for row in rows if row.any()]
        if not there:
            examples = list(named[0][:_SHOWN])
            raise CoordinateError(
                f"{option} names {dim} {label!r}, which is not in the Dataset; expected labels such as "
                f"{examples}."
            )
        found |= there[0]
    return found


def _labels(ds: xr.Dataset, dim: Hashable) -> list[pd.Index]:
    """What names the cells: the labels beside the numbers of a file, if any, and the index, else positions.

    Any other coordinate, such as ``huc_id``, says something about cells, not which they are.
    """
    name = names_of(ds, dim)
    beside = [] if name is None else [pd.Index(as_text(ds[name].values))]
    return [*beside, ds.indexes[dim] if dim in ds.indexes else pd.RangeIndex(ds.sizes[dim])]

"""Cells divided into folds by a label that each has: a number, a region's name."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MissingObservationError,
    MissingVariableError,
)
from ..inputs.attributes import missing_as_empty
from ..inputs.cells import select_cells, space_names

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Fold:
    """Cells that are held out together.

    Parameters
    ----------
    label : str
        What they have in common.
    held_out, trained : array of int, (cell,)
        Positions along the dimension of space, ascending.
    """

    label: str
    held_out: np.ndarray
    trained: np.ndarray

    @property
    def folder(self) -> str:
        """A name for its files, whatever the label."""
        return f"fold-{quote(self.label, safe='')}"


def cell_dimension(space: Sequence[Hashable]) -> Hashable:
    """The only dimension of space.

    Raises
    ------
    DimensionError
        Where there are several, or none.
    """
    if len(space) == 1:
        return space[0]
    advice = (
        f"make the cells a list: ds.stack(cell={[str(dim) for dim in space]}).reset_index('cell')."
        if space
        else "a single series has nothing to be held out."
    )
    raise DimensionError(
        f"the Dataset has {len(space)} dimensions of space, ({', '.join(map(str, space))}); expected one, "
        f"along which cells are divided into folds: {advice}"
    )


def fold_labels(ds: xr.Dataset, dim: Hashable, folds: str | xr.DataArray) -> tuple[str, xr.DataArray]:
    """The name of the label, and its values ``(cell,)`` in the order of ``ds``, without attributes.

    Raises
    ------
    MissingVariableError, DescriptionError, DimensionError, CoordinateError
    """
    if isinstance(folds, xr.DataArray):
        name, array = str(folds.name or "folds"), folds
    elif not isinstance(folds, str):
        raise DescriptionError(
            f"folds is {type(folds).__name__}; expected the name of a label in the Dataset, 'pub_fold', or a "
            "DataArray."
        )
    elif folds not in ds.variables:
        raise MissingVariableError(
            f"{folds!r}, by which cells are to be divided into folds, is not in the Dataset; it has "
            f"{', '.join(sorted(map(str, ds.variables)))}. Name another, folds='...', or give a DataArray."
        )
    else:
        name, array = folds, ds[folds]
    if array.dims != (dim,):
        raise DimensionError(
            f"the label {name!r} has dimensions {array.dims}; expected {(dim,)}: one value a cell."
        )
    bare = array.drop_vars([label for label in array.coords if label != dim])
    aligned = select_cells(bare.to_dataset(name="_fold"), ds, (dim,), f"the label {name!r}")["_fold"]
    return name, aligned.drop_attrs()


def missing_labels(labels: xr.DataArray) -> np.ndarray:
    """Which cells have none, (cell,): NaN, or text that says nothing."""
    values = labels.values
    if values.dtype.kind in "OTUS":
        return np.asarray(missing_as_empty(values) == "", dtype=bool)
    return np.asarray(pd.isna(values))


def require_labels(
    ds: xr.Dataset,
    dim: Hashable,
    name: str,
    missing: np.ndarray,
    else_do: str = "leave them out: drop_missing=True",
) -> None:
    """Refuse cells without a label; ``else_do`` is what the message advises beside giving them one.

    Raises
    ------
    CoordinateError
        With their names.
    """
    if not missing.any():
        return
    cells = [cell for cell, gone in zip(space_names(ds, (dim,)), missing, strict=True) if gone]
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    raise CoordinateError(
        f"the label {name!r} is missing for {len(cells)} of {missing.size} cells, {', '.join(cells[:_SHOWN])}"
        f"{more}; expected one a cell. Give them one, or {else_do}."
    )


def plain_labels(labels: xr.DataArray) -> np.ndarray:
    """Complete labels as whole numbers, numbers or text, (cell,)."""
    values = labels.values
    if values.dtype.kind in "OTUS":
        return np.array([str(value) for value in values])
    if values.dtype.kind == "f" and (values == np.rint(values)).all():
        return values.astype(np.int64)  # numbers of folds become float where some are missing
    return values


def make_folds(labels: np.ndarray, name: str, gauged: np.ndarray) -> list[Fold]:
    """One fold a label, sorted.

    Parameters
    ----------
    labels, gauged : array, (cell,)
        The labels, and whether there is anything to learn from in that cell.
    name : str
        Of the label.

    Raises
    ------
    EmptySelectionError
        Where all cells have the same label.
    MissingObservationError
        Where nothing can be learned for a fold: no cell of the others is gauged.
    """
    found = np.unique(labels)
    if found.size < 2:
        raise EmptySelectionError(
            f"the label {name!r} has {found.size} value{'s' * (found.size != 1)}, "
            f"{', '.join(map(str, found)) or 'for no cell'}; expected at least two, so that one fold can be "
            "held out and the others learned from."
        )
    folds = [
        Fold(str(label), np.flatnonzero(labels == label), np.flatnonzero(labels != label)) for label in found
    ]
    for fold in folds:
        if not gauged[fold.trained].any():
            raise MissingObservationError(
                f"with fold {fold.label!r} of {name!r} held out none of the other {fold.trained.size} cells "
                "has observed streamflow in the training period; nothing can be learned. Choose another "
                "label or period."
            )
    return folds

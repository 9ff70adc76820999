"""Divide cells into folds by a label: a number, or the name of a region."""

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
from ..inputs.find import nearest

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Fold:
    """Cells that are held out together.

    Parameters
    ----------
    label : str
        The label that they share.
    held_out, trained : array of int, (cell,)
        Positions along the dimension of space, ascending.
    """

    label: str
    held_out: np.ndarray
    trained: np.ndarray

    @property
    def folder(self) -> str:
        """Name of the folder for its files, valid for any label."""
        return f"fold-{quote(self.label, safe='')}"


def cell_dimension(space: Sequence[Hashable]) -> Hashable:
    """The only dimension of space.

    Raises
    ------
    DimensionError
        If there are several, or none.
    """
    if len(space) == 1:
        return space[0]
    advice = (
        f"make the cells a list: ds.stack(cell={[str(dim) for dim in space]}).reset_index('cell')."
        if space
        else "a single series leaves nothing to hold out."
    )
    raise DimensionError(
        f"the Dataset has {len(space)} dimensions of space, ({', '.join(map(str, space))}); expected one, "
        f"along which cells are divided into folds: {advice}"
    )


def fold_labels(ds: xr.Dataset, dim: Hashable, folds: str | xr.DataArray) -> tuple[str, xr.DataArray]:
    """The name of the label, and its values ``(cell,)`` in the order of ``ds``, without attributes.

    Raises
    ------
    MissingVariableError
        If the Dataset has no such label.
    DescriptionError
        If ``folds`` is neither a name nor a DataArray.
    DimensionError, CoordinateError
        If it does not have one value per cell of ``ds``.
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
            f"{nearest(ds.variables, (folds,))}. Name another, folds='...', or give a DataArray."
        )
    else:
        name, array = folds, ds[folds]
    if array.dims != (dim,):
        raise DimensionError(
            f"the label {name!r} has dimensions {array.dims}; expected {(dim,)}: one value per cell."
        )
    bare = array.drop_vars([label for label in array.coords if label != dim])
    aligned = select_cells(bare.to_dataset(name="_fold"), ds, (dim,), f"the label {name!r}")["_fold"]
    return name, aligned.drop_attrs()


def missing_labels(labels: xr.DataArray) -> np.ndarray:
    """Which cells lack a label, (cell,): NaN, or text that counts as missing."""
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
    """Refuse cells without a label; the message advises to label them or to ``else_do``.

    Raises
    ------
    CoordinateError
        If labels are missing; it names cells.
    """
    if not missing.any():
        return
    cells = [cell for cell, gone in zip(space_names(ds, (dim,)), missing, strict=True) if gone]
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    raise CoordinateError(
        f"the label {name!r} is missing for {len(cells)} of {missing.size} cells, {', '.join(cells[:_SHOWN])}"
        f"{more}; expected one per cell. Give them one, or {else_do}."
    )


def plain_labels(labels: xr.DataArray) -> np.ndarray:
    """Complete labels as text, whole numbers or other numbers, (cell,)."""
    values = labels.values
    if values.dtype.kind in "OTUS":
        return np.array([str(value) for value in values])
    if values.dtype.kind == "f" and (values == np.rint(values)).all():
        return values.astype(np.int64)  # whole numbers become float if some are missing
    return values


def make_folds(labels: np.ndarray, name: str, gauged: np.ndarray) -> list[Fold]:
    """One fold per label, sorted by label.

    Parameters
    ----------
    labels, gauged : array, (cell,)
        The labels, and whether a cell has streamflow to learn from.
    name : str
        Name of the label, for messages.

    Raises
    ------
    EmptySelectionError
        If all cells have the same label.
    MissingObservationError
        If none of the other cells is gauged when a fold is held out.
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

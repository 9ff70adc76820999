"""Cells chosen by labels or by a mask: what is meant, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from hydroxr.inputs.choice import chosen_cells, refuse_split_labels

NUMBERED = xr.Dataset(coords={"basin": [0, 1, 2, 3], "huc_id": ("basin", [3, 0, 1, 2])})
NAMED = xr.Dataset(coords={"basin": [10, 11, 12, 13], "basin_id": ("basin", ["a", "b", "c", "d"])})
REPEATED = xr.Dataset(coords={"basin": ["a", "a", "b", "c"]})
MASK = np.array([False, False, True, False])


def chosen(ds: xr.Dataset, what: Any) -> list[int]:
    """Positions of the chosen cells."""
    return np.flatnonzero(chosen_cells(ds, ("basin",), what, "cells")).tolist()


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK.tolist(),
        tuple(MASK),
        list(MASK),
        MASK.astype(object),
        pd.Series(MASK),
        pd.Series(MASK, index=[0, 1, 2, 3]),
        xr.DataArray(MASK, dims="basin"),
        xr.DataArray(MASK, {"basin": [0, 1, 2, 3]}, "basin"),
        xr.DataArray(MASK, dims="basin").chunk(),
    ],
    ids=lambda mask: type(mask).__name__,
)
def test_bool_is_a_mask_in_any_container(mask: Any) -> None:
    """Never the labels 0 and 1, which equal False and True."""
    assert chosen(NUMBERED, mask) == [2]


@pytest.mark.parametrize(
    "labels", [[1], np.array([1]), (np.int32(1),), {1}, pd.Index([1]), [np.int64(1)], [1.0]]
)
def test_labels_are_those_of_the_index(labels: Any) -> None:
    """Not those of a coordinate that says something else about the cells."""
    assert chosen(NUMBERED, labels) == [1]


def test_names_of_the_cells_are_labels_too() -> None:
    """The coordinate <dim>_id, or one with the cf_role; and the index beside it."""
    assert chosen(NAMED, ["b", "d"]) == [1, 3]
    assert chosen(NAMED, [12]) == [2]
    other = NAMED.rename(basin_id="gauge")
    with pytest.raises(CoordinateError, match="cells names basin 'b', which is not in the Dataset"):
        chosen(other, ["b"])
    other["gauge"].attrs["cf_role"] = "timeseries_id"
    assert chosen(other, ["b"]) == [1]


def test_all_rows_of_a_label_are_chosen() -> None:
    """So that none of them stays on the other side; a mask must not separate them."""
    assert chosen(REPEATED, ["a"]) == [0, 1]
    assert chosen(REPEATED, [True, True, False, False]) == [0, 1]
    with pytest.raises(CoordinateError, match=r"separates rows of basin 'a', which occurs 2 times"):
        chosen(REPEATED, [True, False, False, False])
    with pytest.raises(CoordinateError, match="separates rows of basin 'a'"):
        refuse_split_labels(REPEATED, "basin", np.array([1, 0, 0, 0]), "folds")


def test_a_mask_may_have_several_dimensions() -> None:
    """By name or by order."""
    grid = xr.Dataset(coords={"lat": [1.0, 2.0], "lon": [5.0, 6.0, 7.0]})
    mask = np.zeros((2, 3), dtype=bool)
    mask[1, 0] = True
    for given in (mask, xr.DataArray(mask.T, dims=("lon", "lat"))):
        assert np.flatnonzero(chosen_cells(grid, ("lat", "lon"), given, "cells")).tolist() == [3]
    with pytest.raises(DimensionError, match="expected a mask of bool over"):
        chosen_cells(grid, ("lat", "lon"), [1.0], "cells")


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ([], EmptySelectionError, "chooses no cell: it is empty"),
        (np.zeros(4, dtype=bool), EmptySelectionError, "False everywhere"),
        ([True, False], DimensionError, r"shape \(2,\); expected \(4,\)"),
        ([True, 1, 2, 3], DescriptionError, "mixes True or False with labels"),
        ([0, 0, 1, 0], DescriptionError, "basin 0 more than once.*mask of bool"),
        (xr.DataArray([0, 0, 1, 0], dims="basin"), DimensionError, "DataArray of int64; expected bool"),
        (
            xr.DataArray(MASK, {"basin": [3, 2, 1, 0]}, "basin"),
            CoordinateError,
            "same cells in the same order",
        ),
        (pd.Series(MASK, index=[3, 2, 1, 0]), CoordinateError, "same cells in the same order"),
        ([7], CoordinateError, r"basin 7, which is not in the Dataset.*such as \[0, 1, 2\]"),
        ("a", DescriptionError, "'a'; expected labels"),
        (3, DescriptionError, "3; expected labels"),
    ],
)
def test_what_is_neither_is_refused(what: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        chosen(NUMBERED, what)

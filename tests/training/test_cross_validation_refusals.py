"""What ``ds.hbv.cross_validate`` refuses, before anything is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    HydroxrError,
    MissingAttributeError,
    MissingForcingError,
    MissingObservationError,
    MissingVariableError,
    ValueRangeError,
)
from hydroxr.training import cross_validation
from tests.conftest import FIT
from tests.support.labelled import make_dataset, make_grid

SPEC = hx.DeltaHBV(components=2, hidden=4, network="lstm")
LABELS = [3, 1, 3, 2, 1]  # not in order, as folds drawn at random are not


def labelled(folds: Any = LABELS) -> xr.Dataset:
    """Five basins with a fold each."""
    return make_dataset(cells=5).assign(pub_fold=("basin", np.array(folds)))


def run(ds: xr.Dataset, spec: hx.DeltaHBV = SPEC, **options: Any) -> xr.Dataset:
    """Three iterations a fold, unless told otherwise."""
    return ds.hbv.cross_validate(spec, **FIT | options)


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fitted or simulated."""

    def refuse(*_: object) -> None:
        raise AssertionError("a fold was begun")

    monkeypatch.setattr(cross_validation, "_run_fold", refuse)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"spec": hx.DeltaHBV(network="constant")}, DescriptionError, "held-out cells; cross-validate"),
        ({"spec": "dn"}, DescriptionError, "expected a description"),
        ({"folds": "pur_region"}, MissingVariableError, "'pur_region'.*is not in the Dataset"),
        ({"folds": 3}, DescriptionError, "folds is int"),
        ({"folds": "prcp"}, DimensionError, r"'prcp' has dimensions \('basin', 'time'\)"),
        (
            {"folds": xr.DataArray([1, 2], dims="basin")},
            CoordinateError,
            "2 values of 'basin' in the label .*, but 5 in the Dataset",
        ),
        ({"variables": ["outflow"]}, MissingVariableError, "'outflow' is not an output"),
        ({"variables": ["discharge"]}, MissingVariableError, "discharge needs the area"),
        ({"missing": "drop"}, DescriptionError, "missing='drop'"),
        ({"client": "tcp://"}, DescriptionError, "client is str"),
        ({"validation": [10]}, DescriptionError, "expected a period"),
        ({"simulate_time": slice("1990", "1991")}, EmptySelectionError, "no day in"),
        ({"time": slice("1990", "1991")}, EmptySelectionError, "no day in"),
        ({"attributes": ["slope"]}, MissingAttributeError, "slope"),
        ({"target": "gauge"}, MissingVariableError, "'gauge'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_computed(
    options: dict, error: type[HydroxrError], message: str, no_fit: None
) -> None:
    """By a named error."""
    with pytest.raises(error, match=message):
        run(labelled(), **options)


def test_data_that_a_later_fold_would_refuse_are_refused_at_once(no_fit: None) -> None:
    """Also in cells that the first fold does not look at."""
    ds = labelled()
    gap = ds.copy(deep=True)
    gap["tmean"][1, 50] = np.nan  # held out first, and after the training period
    with pytest.raises(MissingForcingError, match="basin g1"):
        run(gap)
    gap["tmean"][1, 20] = np.nan  # of the training period, where nothing is filled
    with pytest.raises(MissingForcingError, match="basin g1"):
        run(gap, missing="fill")
    negative = ds.copy(deep=True)
    negative["streamflow"][1, 20] = -1
    with pytest.raises(ValueRangeError, match="basin g1"):
        run(negative)


def test_missing_forcing_can_be_filled() -> None:
    """In simulations, where it is flagged."""
    ds = labelled()
    ds["tmean"][1, 50] = np.nan
    cv = run(ds, missing="fill")
    assert cv["forcing_flag"].values.sum() == 1
    assert int(cv["forcing_flag"][1, 50]) == 1


def test_folds_that_leave_nothing_to_learn_are_refused(no_fit: None) -> None:
    """One label for all; all gauged cells in one fold."""
    with pytest.raises(EmptySelectionError, match="'pub_fold' has 1 value, 7; expected at least two"):
        run(labelled([7] * 5))
    ds = labelled()
    ds["streamflow"][[0, 2, 3]] = np.nan
    with pytest.raises(MissingObservationError, match="fold '1' of 'pub_fold' held out none of the other 3"):
        run(ds)


def test_space_is_a_list_of_cells(no_fit: None) -> None:
    """A grid can be made one, as the message says; a single series not."""
    grid = make_grid()
    folds = xr.DataArray(np.ones((2, 3)), dims=("lat", "lon"))
    with pytest.raises(DimensionError, match=r"ds.stack\(cell=\['lat', 'lon'\]\).reset_index\('cell'\)"):
        run(grid, folds=folds)
    with pytest.raises(DimensionError, match="a single series"):
        run(labelled().isel(basin=0))


def test_a_grid_as_a_list_of_cells() -> None:
    """Works as a list does."""
    grid = make_grid().assign(half=(("lat", "lon"), [["a", "b", "b"], ["a", "b", "a"]]))
    cv = run(grid.stack(cell=["lat", "lon"]).reset_index("cell"), folds="half")
    assert cv["fold"].values.tolist() == ["a", "b", "b", "a", "b", "a"]

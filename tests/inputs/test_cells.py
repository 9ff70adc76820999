"""Cells by label, states and parameters that do not fit, coordinates that are nobody else's."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import CoordinateError, ParameterError, StateError
from tests.support.labelled import assert_same_values, make_dataset, make_grid, make_parameters, untrained

REGIONAL = hx.DeltaHBV(components=2, hidden=4, network="lstm")


@pytest.mark.parametrize("lazy", [False, True])
def test_a_state_with_impossible_parameters_is_an_error_of_the_state(lazy: bool) -> None:
    """It is the state that is damaged, not parameters that somebody gave."""
    ds = make_dataset(60, 3)
    model = untrained(REGIONAL)
    _, state = ds.isel(time=slice(0, 45)).hbv.simulate(model, return_state=True)
    state["FC"] = state["FC"].where(state["basin"] != 20)
    later = ds.isel(time=slice(45, None))
    if lazy:
        later, state = later.chunk(basin=1), state.chunk(basin=1)
    with pytest.raises(StateError, match=r"static parameters.*FC"):
        later.hbv.simulate(model, initial_state=state).compute()


def test_parameters_over_the_sea_are_not_looked_at() -> None:
    """Whatever stands there, in memory or lazy; on land it is refused."""
    ds = make_grid()
    land = xr.DataArray([[1, 0, 1], [1, 1, 1]], dims=("lat", "lon"))
    ds["mask"] = land
    parameters = make_parameters(ds)
    expected = ds.hbv.simulate(parameters)
    for nonsense in (-9999.0, np.nan, np.inf):
        odd = parameters.assign(FC=parameters["FC"].where(land == 1, nonsense))
        assert_same_values(ds.hbv.simulate(odd), expected)
        assert_same_values(ds.chunk(lat=1).hbv.simulate(odd).compute(), expected)
        with pytest.raises(ParameterError, match="FC"):
            ds.drop_vars("mask").hbv.simulate(odd)


def test_names_choose_among_more_cells() -> None:
    """Parameters of more basins, by name, for a file's numbered basins, and the other way round."""
    ds = make_dataset(30, 5)
    parameters = make_parameters(ds)
    named = parameters.assign_coords(basin=ds["basin_id"].values.astype(str))
    some = ds.isel(basin=[3, 1])
    expected = some.hbv.simulate(parameters)
    assert_same_values(some.hbv.simulate(named), expected)
    texts = some.assign_coords(basin=some["basin_id"].values.astype(str)).drop_vars("basin_id")
    numbered = parameters.assign_coords(basin=np.arange(5), basin_id=ds["basin_id"])
    assert_same_values(texts.hbv.simulate(numbered), expected)
    with pytest.raises(CoordinateError, match=r"there is no basin .* in the parameters \(1 of 2"):
        some.hbv.simulate(named.isel(basin=[0, 1, 2]))


def test_labels_that_repeat() -> None:
    """The same labels in the same order are the same cells; otherwise nobody knows which is which."""
    ds = make_dataset(30, 3).drop_vars("basin_id").assign_coords(basin=[7, 7, 8])
    parameters = make_parameters(ds)
    assert ds.hbv.simulate(parameters).sizes["basin"] == 3
    with pytest.raises(CoordinateError, match="basin 7 occurs more than once in the parameters"):
        ds.isel(basin=[2, 0, 1]).hbv.simulate(parameters)


def test_other_names_at_the_same_positions() -> None:
    """The message says which gauge is missing."""
    ds = make_dataset(30, 2).assign_coords(basin_id=("basin", ["a", "b"]))
    parameters = make_parameters(ds).assign_coords(basin_id=("basin", ["a", "c"]))
    with pytest.raises(
        CoordinateError, match=r"there is no basin b in the parameters \(1 of 2 are missing\); it has a, c"
    ):
        ds.hbv.simulate(parameters)


def test_results_have_coordinates_of_their_own() -> None:
    """What is changed in a state, in parameters or on a projection does not change the input."""
    ds = make_dataset(60, 3)
    ds = ds.assign_coords(season=("time", np.arange(60)), crs=((), 0))
    ds["prcp"].attrs["grid_mapping"] = "crs"
    before = ds.copy(deep=True)
    model = untrained(REGIONAL)
    sim, state = ds.hbv.simulate(model, return_state=True)
    for result in (sim, state, ds.hbv.parameters(model)):
        for name in set(result.coords) - {*result.indexes, "time_bnds"}:
            if result[name].dtype.kind in "fi":
                result[name].values[...] = -1
    xr.testing.assert_identical(ds, before)


def test_static_parameters_have_no_time() -> None:
    """Not either where another coordinate of the input has it."""
    ds = make_dataset(60, 3).assign_coords(season=("time", np.arange(60)))
    assert "time" not in ds.hbv.parameters(untrained(REGIONAL)).dims
    dynamic = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm")
    assert "season" in ds.hbv.parameters(untrained(dynamic)).coords

"""Results of ``ds.hbv.simulate`` are labelled: variables, attributes, coordinates, type."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model
from tests.support.labelled import (
    FLUXES,
    OUTPUTS,
    STATES,
    make_dataset,
    make_parameters,
)


def test_every_output_of_the_contract_is_there(ds: xr.Dataset) -> None:
    """All names of the contract's table and ``initial_storage``, and nothing else."""
    sim = ds.hbv.simulate(make_parameters(ds))
    assert set(sim.data_vars) == {*OUTPUTS, "initial_storage"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_attributes_of_an_output(ds: xr.Dataset, name: str) -> None:
    """Fluxes are daily means in kg m-2 day-1, states points at the day's end in kg m-2; both have a long
    name."""
    attrs = ds.hbv.simulate(make_parameters(ds))[name].attrs
    flux = name in FLUXES
    assert attrs["units"] == ("kg m-2 day-1" if flux else "kg m-2")
    assert attrs["cell_methods"] == ("time: mean" if flux else "time: point (at the end of the time bounds)")
    assert len(attrs["long_name"]) > 5


def test_attributes_come_from_the_table_and_never_from_the_input(ds: xr.Dataset) -> None:
    """What the input says of itself (comments, statistics) is not said of the output."""
    parameters = make_parameters(ds)
    for name in ds.data_vars:
        ds[name].attrs["comment"] = "of the input"
    for name in parameters.data_vars:
        parameters[name].attrs["comment"] = "of the input"
    ds.attrs["comment"] = "of the input"
    sim, state = ds.hbv.simulate(parameters, return_state=True)
    for result in (sim, state):
        assert "of the input" not in str(
            [result.attrs, *(array.attrs for array in result.data_vars.values())]
        )


@pytest.mark.parametrize("hour", [0, 6, 12, 23])
def test_time_stamps_are_the_input_s_and_bounds_span_their_day(ds: xr.Dataset, hour: int) -> None:
    """Stamps stay; ``time_bnds`` go from midnight to midnight and ``time`` points to them."""
    ds = ds.assign_coords(time=ds["time"] + np.timedelta64(hour, "h"))
    sim = ds.hbv.simulate(make_parameters(ds))
    assert sim.indexes["time"].equals(ds.indexes["time"])
    assert sim["time"].attrs["bounds"] == "time_bnds"
    days = pd.date_range("2000-01-01", periods=61)
    np.testing.assert_array_equal(sim["time_bnds"], np.stack([days[:-1], days[1:]], axis=1))


def test_cells_keep_their_coordinates(ds: xr.Dataset) -> None:
    """Labels, names with ``cf_role``, latitudes."""
    sim = ds.hbv.simulate(make_parameters(ds))
    for name in ("basin", "basin_id", "lat"):
        np.testing.assert_array_equal(sim[name], ds[name])
        assert sim[name].attrs.items() >= ds[name].attrs.items()


def test_bounds_that_are_left_behind_are_not_referred_to(grid: xr.Dataset) -> None:
    """A latitude whose bounds do not come along does not say that it has bounds (CF 7.1)."""
    grid = grid.assign(lat_bnds=(("lat", "bnds"), np.stack([grid["lat"] - 0.5, grid["lat"] + 0.5], axis=1)))
    grid["lat"].attrs["bounds"] = "lat_bnds"
    sim = grid.hbv.simulate(make_parameters(grid), variables=["streamflow"])
    assert sim["lat"].attrs.get("bounds") in (None, *sim.variables)


def test_global_attributes_say_what_made_the_result(ds: xr.Dataset, static_model: Model) -> None:
    """Conventions, version, format, the model's symbol and hash, its description and training as JSON."""
    attrs = ds.hbv.simulate(static_model).attrs
    assert attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert attrs["hydroxr_version"] == hx.__version__
    assert isinstance(attrs["hydroxr_format"], int)
    assert attrs["hydroxr_model"] == "δn"
    assert attrs["hydroxr_model_sha256"] == static_model.hash
    assert json.loads(attrs["hydroxr_description"])["components"] == 2
    assert json.loads(attrs["hydroxr_training"])["period"] == ["2000-01-06", "2000-02-14"]


def test_the_input_is_left_as_it_was(ds: xr.Dataset, constant_model: Model) -> None:
    """Neither values nor attributes nor coordinates of the caller's Dataset, parameters or state change."""
    state = make_dataset().hbv.simulate(constant_model, return_state=True)[1].drop_vars("time")
    given = [ds, make_parameters(ds), state]
    before = [one.copy(deep=True) for one in given]
    ds.hbv.simulate(given[1], initial_state=state, missing="fill")
    ds.hbv.check()
    ds.hbv.parameters(constant_model)
    for one, old in zip(given, before, strict=True):
        xr.testing.assert_identical(one, old)


def test_initial_storage_is_all_water_before_the_first_day(ds: xr.Dataset) -> None:
    """0.001 mm in each of five stores; later the storages at the end of the run before, channel included."""
    parameters = make_parameters(ds)
    first, state = ds.isel(time=slice(0, 40)).hbv.simulate(parameters, return_state=True, dtype="float64")
    np.testing.assert_allclose(first["initial_storage"], 5 * 0.001)
    second = ds.isel(time=slice(40, None)).hbv.simulate(parameters, initial_state=state, dtype="float64")
    stored = sum(first[name].isel(time=-1) for name in STATES)
    np.testing.assert_allclose(second["initial_storage"], stored, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_of_the_results(ds: xr.Dataset, dtype: str) -> None:
    """Results have the precision that was asked for."""
    sim, state = ds.hbv.simulate(make_parameters(ds), dtype=dtype, return_state=True)
    assert {array.dtype for array in (*sim.data_vars.values(), *state.data_vars.values())} == {
        np.dtype(dtype)
    }


def test_results_are_found_by_standard_name(ds: xr.Dataset) -> None:
    """With cf_xarray, each by its own: no two results share a standard name."""
    import cf_xarray  # noqa: F401  registers ds.cf

    sim = ds.hbv.simulate(make_parameters(ds))
    named = {
        name: array.attrs["standard_name"]
        for name, array in sim.data_vars.items()
        if "standard_name" in array.attrs
    }
    assert named["runoff"] == "runoff_flux"
    for name, standard_name in named.items():
        assert sim.cf[standard_name].name == name

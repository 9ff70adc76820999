"""Any calendar can be simulated and trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    make_parameters,
    with_extremes,
)


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard", "proleptic_gregorian", "julian"])
def test_calendars_of_climate_models_are_accepted(
    ds: xr.Dataset, calendar: str, dynamic_model: Model, tmp_path: Any
) -> None:
    """Checked, simulated with time bounds of their own calendar, continued, evaluated, written and read
    again."""
    days = xr.date_range("2000-01-01", periods=60, calendar=calendar, use_cftime=True)
    other = ds.assign_coords(time=days)
    assert other.hbv.check().days == 60
    parameters = make_parameters(ds)
    sim = other.hbv.simulate(parameters)
    assert_same_values(sim[list(OUTPUTS)], ds.hbv.simulate(parameters).drop_vars("time")[list(OUTPUTS)])
    assert ((sim["time_bnds"][:, 1] - sim["time_bnds"][:, 0]) == np.timedelta64(1, "D")).all()
    assert (sim["time_bnds"][1:, 0].values == sim["time_bnds"][:-1, 1].values).all()
    other.hbv.simulate(dynamic_model)
    sim.hbv.evaluate(other)
    sim.hbv.water_balance()
    _, middle = other.isel(time=slice(0, 50)).hbv.simulate(parameters, return_state=True)
    other.isel(time=slice(50, None)).hbv.simulate(parameters, initial_state=middle)
    path = sim.hbv.to_netcdf(tmp_path / "sim.nc")
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as opened:
        assert opened["time"].dt.calendar == calendar
        np.testing.assert_array_equal(opened["time"], days)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_hargreaves_and_training_take_any_calendar(ds: xr.Dataset, calendar: str) -> None:
    """A model is fitted and its parameter window found again."""
    days = xr.date_range("2000-01-01", periods=60, calendar=calendar, use_cftime=True)
    other = with_extremes(ds).assign_coords(time=days)
    model = other.hbv.fit(hx.DeltaHBV(components=1, hidden=4), **FIT)
    assert "the training period" in other.hbv.simulate(model).attrs["hydroxr_parameter_window"]


def test_a_model_of_one_calendar_runs_on_another(ds: xr.Dataset) -> None:
    """Trained up to 30 February, it simulates years that have none."""
    days = xr.date_range("2000-01-01", periods=60, calendar="360_day", use_cftime=True)
    model = ds.assign_coords(time=days).hbv.fit(hx.DeltaHBV(components=1, hidden=4), **FIT | {"time": None})
    assert model.training["period"][1] == "2000-02-30"
    assert "first days" in ds.hbv.simulate(model).attrs["hydroxr_parameter_window"]


def test_a_state_of_another_calendar_is_refused(ds: xr.Dataset) -> None:
    """With an error of hydroxr's."""
    parameters = make_parameters(ds)
    _, state = ds.isel(time=slice(0, 50)).hbv.simulate(parameters, return_state=True)
    days = xr.date_range("2000-02-20", periods=10, calendar="noleap", use_cftime=True)
    with pytest.raises(errors.StateError):
        ds.isel(time=slice(50, None)).assign_coords(time=days).hbv.simulate(parameters, initial_state=state)

"""Any calendar and any stamp of a day; labels that are no dates are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
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
    model = other.hbv.fit(hx.DeltaHBV(components=1, hidden=4, network="lstm"), **FIT)
    assert "the training period" in other.hbv.simulate(model).attrs["hydroxr_parameter_window"]


def test_a_model_of_one_calendar_runs_on_another(ds: xr.Dataset) -> None:
    """Trained up to 30 February, it simulates years that have none."""
    days = xr.date_range("2000-01-01", periods=60, calendar="360_day", use_cftime=True)
    model = ds.assign_coords(time=days).hbv.fit(
        hx.DeltaHBV(components=1, hidden=4, network="lstm"), **FIT | {"time": None}
    )
    assert model.training["period"][1] == "2000-02-30"
    assert "first days" in ds.hbv.simulate(model).attrs["hydroxr_parameter_window"]


def test_a_state_of_another_calendar_is_refused(ds: xr.Dataset) -> None:
    """With an error of hydroxr's."""
    parameters = make_parameters(ds)
    _, state = ds.isel(time=slice(0, 50)).hbv.simulate(parameters, return_state=True)
    days = xr.date_range("2000-02-20", periods=10, calendar="noleap", use_cftime=True)
    with pytest.raises(errors.StateError):
        ds.isel(time=slice(50, None)).assign_coords(time=days).hbv.simulate(parameters, initial_state=state)


def stamped(ds: xr.Dataset, hours: int, bounds: bool = True) -> xr.Dataset:
    """A Dataset whose stamps are ``hours`` after the beginning of each day, with or without bounds."""
    start = ds["time"].values
    day = np.timedelta64(1, "D")
    out = ds.assign_coords(time=start + np.timedelta64(hours, "h"))
    return (
        out.assign_coords(time_bnds=(("time", "bnds"), np.stack([start, start + day], 1))) if bounds else out
    )


@pytest.mark.parametrize("lazy", [False, True])
def test_time_bounds_tell_the_day_of_stamps_at_its_end(ds: xr.Dataset, tmp_path: Any, lazy: bool) -> None:
    """Rain of 1 January that is stamped 2 January, 00:00 stays on 1 January, in results and comparisons."""
    parameters = make_parameters(ds)
    end = stamped(ds, 24).chunk(basin=1) if lazy else stamped(ds, 24)
    sim, expected = end.hbv.simulate(parameters), ds.hbv.simulate(parameters)
    np.testing.assert_array_equal(sim["time"], end["time"])  # stamps are the input's
    np.testing.assert_array_equal(sim["time_bnds"], expected["time_bnds"])
    assert sim.attrs["hydroxr_start"] == expected.attrs["hydroxr_start"]
    assert (hx.metrics.nse(sim["streamflow"], expected["streamflow"]) == 1.0).all()
    assert (hx.metrics.nse(expected["streamflow"], sim["streamflow"]) == 1.0).all()
    np.testing.assert_array_equal(
        sim.hbv.aggregate_time("month")["streamflow"], expected.hbv.aggregate_time("month")["streamflow"]
    )
    for by in (None, "year"):
        balance, same = (run.hbv.water_balance(by=by) for run in (sim, expected))
        xr.testing.assert_allclose(balance, same, atol=1e-9)
        assert balance.attrs == same.attrs
    for run, observed in ((sim, end), (sim, ds), (expected, end)):
        scores = run.hbv.evaluate(observed)["nse"]
        np.testing.assert_allclose(scores, expected.hbv.evaluate(ds)["nse"])
    sim.hbv.to_netcdf(tmp_path / "end.nc")
    again = hx.open_run(tmp_path / "end.nc")
    np.testing.assert_allclose(again.hbv.evaluate(ds)["nse"], expected.hbv.evaluate(ds)["nse"])


def test_series_that_do_not_tell_their_stamps_are_compared_only_if_labels_are_the_same(
    ds: xr.Dataset,
) -> None:
    """Otherwise the observations may be a day off."""
    end = stamped(ds, 24)
    sim = end.hbv.simulate(make_parameters(ds))
    flow = end["streamflow"].drop_vars("time_bnds", errors="ignore")
    np.testing.assert_allclose(hx.metrics.nse(sim["streamflow"], flow), sim.hbv.evaluate(end)["nse"])
    with pytest.raises(errors.CoordinateError, match=r"end of each day.*evaluate\(ds\)"):
        hx.metrics.nse(sim["streamflow"], flow.isel(time=slice(5, None)))


def test_a_run_with_stamps_at_the_end_continues(ds: xr.Dataset, static_model: Model, tmp_path: Any) -> None:
    """State, appended store, parameter window and dynamic parameters are of the right days."""
    end = stamped(ds, 24)
    whole = end.hbv.simulate(static_model)
    first, state = end.isel(time=slice(0, 50)).hbv.simulate(static_model, return_state=True)
    rest = end.isel(time=slice(50, None))
    np.testing.assert_array_equal(
        rest.hbv.simulate(static_model, initial_state=state)["streamflow"], whole["streamflow"][:, 50:]
    )
    first.hbv.to_zarr(tmp_path / "run.zarr")
    rest.hbv.simulate(static_model, initial_state=state).hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")
    np.testing.assert_array_equal(hx.open_run(tmp_path / "run.zarr")["time_bnds"], whole["time_bnds"])
    parameters = make_parameters(ds)
    daily = parameters.assign(BETA=parameters["BETA"].expand_dims(time=end["time"].values))
    assert_same_values(end.hbv.simulate(daily), end.hbv.simulate(parameters))


@pytest.mark.parametrize("hours", [0, 12, 23])
def test_stamps_within_the_day_mean_that_day(ds: xr.Dataset, hours: int) -> None:
    """With bounds or without."""
    for bounds in (True, False):
        sim = stamped(ds, hours, bounds).hbv.simulate(make_parameters(ds))
        np.testing.assert_array_equal(sim["time_bnds"][:, 0], ds["time"])
        assert "hydroxr_stamp" not in sim["time"].attrs


def test_days_that_begin_in_the_morning_stay_so(ds: xr.Dataset) -> None:
    """The bounds of the result are the input's; bounds that do not belong to their stamps are refused."""
    first = ds["time"].values + np.timedelta64(6, "h")
    bounds = np.stack([first, first + np.timedelta64(1, "D")], 1)
    morning = ds.assign_coords(time_bnds=(("time", "nv"), bounds))
    sim = morning.hbv.simulate(make_parameters(ds))
    np.testing.assert_array_equal(sim["time_bnds"], bounds)
    np.testing.assert_array_equal(sim["time"], ds["time"])
    wrong = morning.assign_coords(time=ds["time"] + np.timedelta64(5, "D"))
    with pytest.raises(errors.TimeAxisError, match="time bounds of 2000-01-06"):
        wrong.hbv.check()


def test_jitter_of_microseconds_is_daily(ds: xr.Dataset) -> None:
    """Days are whole, also where rounding has moved a stamp before midnight."""
    jitter = np.where(np.arange(60) % 2, 1, -1) * np.timedelta64(3, "us")
    noisy = ds.assign_coords(time=ds["time"].values + jitter)
    noisy.hbv.check()
    sim = noisy.hbv.simulate(make_parameters(ds))
    np.testing.assert_array_equal(sim["time_bnds"][:, 0], ds["time"])
    assert_same_values(sim.drop_vars("time"), ds.hbv.simulate(make_parameters(ds)).drop_vars("time"))
    assert sim.hbv.evaluate(noisy)["n_days"].values.tolist() == [60, 60, 60]


ZONED = pd.date_range("2000-01-01", periods=60, tz="Europe/Berlin")
LABELS: dict[str, Any] = {
    "text": ZONED.strftime("%Y-%m-%d"),
    "periods": pd.period_range("2000-01-01", periods=60, freq="D"),
    "a time zone": ZONED,
    "objects with a time zone": ZONED.astype(object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_are_no_dates_are_refused_with_the_call_that_mends_them(
    ds: xr.Dataset, kind: str
) -> None:
    """The call in the message works."""
    bad = ds.drop_vars("time").assign_coords(time=LABELS[kind])
    for use in (lambda: bad.hbv.check(), lambda: bad.chunk().hbv.simulate(make_parameters(ds))):
        with pytest.raises(errors.TimeAxisError, match=r"'time' h.*expected dates") as caught:
            use()
    call = str(caught.value).rpartition(": ")[2].rstrip(".")
    mended = eval(call, {"ds": bad, "pd": pd})
    mended.hbv.check()
    assert len(mended.indexes["time"]) == 60

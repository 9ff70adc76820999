"""Spin-up: days repeated before a run, in memory and lazy, and what the result says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, EmptySelectionError, StateError
from hydroxr.models.ensemble import Ensemble
from tests.support.labelled import make_dataset, make_parameters, untrained

V = ["streamflow", "soil_moisture"]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    """Two years from a leap year on."""
    return make_dataset(731, 3)


def repeated(ds: xr.Dataset, given: Any, part: xr.Dataset, times: int, **options: Any) -> xr.Dataset:
    """The run after a spin-up, by hand."""
    state = None
    for _ in range(times):
        _, state = part.hbv.simulate(given, initial_state=state, return_state=True, **options)
        state = state.drop_vars("time")
    return ds.hbv.simulate(given, initial_state=state, variables=V, **options)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("wanted", ["1y", 3, slice("2000-03-01", "2001-02-28")])
def test_days_are_repeated_before_the_run(ds: xr.Dataset, wanted: Any, lazy: bool) -> None:
    """The first year as often as said, or the period once; the change of storage of the last time is told."""
    parameters = make_parameters(ds)
    year = ds.isel(time=slice(0, 366)) if not isinstance(wanted, slice) else ds.sel(time=wanted)
    times = 3 if wanted == 3 else 1
    given = ds.chunk(basin=1, time=200) if lazy else ds
    sim = given.hbv.simulate(parameters, variables=V, spinup=wanted)
    assert (sim["streamflow"].chunks is not None) == lazy
    expected = repeated(ds, parameters, year, times)
    for name in (*V, "initial_storage"):
        np.testing.assert_array_equal(sim[name], expected[name])
    before = repeated(ds, parameters, year, times - 1)["initial_storage"] if times > 1 else None
    if before is not None:
        np.testing.assert_allclose(
            sim["spinup_storage_change"], expected["initial_storage"] - before, atol=1e-4
        )
    note = sim.attrs["hydroxr_spinup"]
    assert note.startswith(
        f"{times} x {'2000-03-01' if year is not None and len(year.time) == 365 else '2000-01-01'}"
    )
    assert ("changed by at most" in note) != lazy
    assert sim.attrs["hydroxr_start"].startswith(f"spin-up of {times} x")


def test_repetitions_bring_storages_into_balance(ds: xr.Dataset) -> None:
    """The change of the last time falls, and a run that starts there is closed."""
    parameters = make_parameters(ds)
    runs = [ds.hbv.simulate(parameters, spinup=times) for times in (1, 4)]
    first, last = (float(abs(run["spinup_storage_change"]).max()) for run in runs)
    assert last < 0.5 * first
    assert bool(runs[1].hbv.water_balance()["closed"].all())


def test_a_model_keeps_its_static_parameters(ds: xr.Dataset) -> None:
    """Of all days of the input, not those of the days that are repeated; an ensemble spins up each member."""
    model = untrained(hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm"))
    sim, state = ds.hbv.simulate(model, variables=V, spinup=1, return_state=True)
    static = ds.hbv.parameters(model)
    np.testing.assert_allclose(state["FC"], static["FC"], rtol=1e-6)
    both = Ensemble(
        (model, untrained(hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm"), seed=1))
    )
    members = ds.hbv.simulate(both, variables=V, spinup=1, members=True)
    np.testing.assert_allclose(members["streamflow"].isel(member=0), sim["streamflow"], rtol=1e-5)
    assert members["spinup_storage_change"].dims == ("member", "basin")
    flow = untrained(hx.LSTMStreamflow(hidden=4, forcing=("prcp", "tmean", "pet")))
    alone = ds.hbv.simulate(flow, spinup=1)
    assert "spinup_storage_change" not in alone
    assert alone.attrs["hydroxr_spinup"] == "1 x 2000-01-01 to 2000-12-31"


def test_parameters_of_each_day_are_those_of_the_repeated_days(ds: xr.Dataset) -> None:
    """Given ones with time."""
    constant = make_parameters(ds)
    daily = constant.assign(BETA=constant["BETA"].expand_dims(time=ds["time"]))
    first, second = (ds.hbv.simulate(each, variables=V, spinup="1 year") for each in (constant, daily))
    np.testing.assert_allclose(second["streamflow"], first["streamflow"], rtol=1e-5)


def test_a_run_after_a_spin_up_is_written_and_continued(ds: xr.Dataset, tmp_path: Any) -> None:
    """A later run from its state is appended; one of its own spin-up is not."""
    parameters = make_parameters(ds)
    first, rest = ds.isel(time=slice(0, 500)), ds.isel(time=slice(500, None))
    sim, state = first.chunk(basin=1).hbv.simulate(parameters, spinup=2, return_state=True)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    later = rest.hbv.simulate(parameters, initial_state=state.compute())
    with pytest.raises(StateError, match="spin-up"):
        rest.hbv.simulate(parameters, spinup=slice(None)).hbv.to_zarr(path, append_dim="time")
    later.hbv.to_zarr(path, append_dim="time")
    run = hx.open_run(path, verify=True)
    whole = ds.hbv.simulate(parameters, spinup=2)
    np.testing.assert_array_equal(run["streamflow"], whole["streamflow"])
    np.testing.assert_allclose(run["spinup_storage_change"], whole["spinup_storage_change"], atol=1e-4)
    assert "2 x 2000-01-01 to 2000-12-31" in run.attrs["hydroxr_spinup"]


def test_what_is_no_spin_up_is_refused(ds: xr.Dataset) -> None:
    """Before anything is computed."""
    parameters = make_parameters(ds)
    for wrong in (0, -1, True, 1.5, "a year", "0y"):
        with pytest.raises(DescriptionError, match=r"spinup=.*'3y', or a period"):
            ds.hbv.simulate(parameters, spinup=wrong)
    short = ds.isel(time=slice(0, 300))
    with pytest.raises(EmptySelectionError, match="300 days"):
        short.hbv.simulate(parameters, spinup="1y")
    with pytest.raises(EmptySelectionError, match="no day in"):
        ds.hbv.simulate(parameters, spinup=slice("1990", "1991"))
    _, state = short.hbv.simulate(parameters, return_state=True)
    with pytest.raises(DescriptionError, match="exclude each other"):
        ds.isel(time=slice(300, None)).hbv.simulate(parameters, initial_state=state, spinup=1)


@pytest.mark.parametrize(("calendar", "days"), [("360_day", 360), ("noleap", 365)])
def test_the_first_year_of_any_calendar(calendar: str, days: int) -> None:
    """Whole, also if it is all that there is."""
    time = xr.date_range("2001-02-01", periods=days, calendar=calendar, use_cftime=True)
    ds = make_dataset(days, 1).assign_coords(time=time)
    sim = ds.hbv.simulate(make_parameters(ds), variables=[], spinup=1)
    assert sim.attrs["hydroxr_spinup"].startswith("1 x 2001-02-01 to 2002-01-")

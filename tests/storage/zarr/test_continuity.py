"""What is appended goes on from the water at the end of the store; calendars, hours, layouts that meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import StateError, StoreError, TimeAxisError
from hydroxr.storage.zarr import append as zarr_append
from tests.support.labelled import make_dataset, make_parameters, raise_if_dask_computes

FEW = ("streamflow", "soil_moisture")


def parts(
    ds: xr.Dataset, at: int = 40, variables: Any = None, **chunks: int
) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """A run until that day, its continuation, and the state between them."""
    parameters = make_parameters(ds)
    first, later = ds.isel(time=slice(0, at)), ds.isel(time=slice(at, None))
    _, state = first.hbv.simulate(parameters, return_state=True)
    if chunks:
        first, later = first.chunk(chunks), later.chunk(chunks)
    sim = first.hbv.simulate(parameters, variables=variables)
    return sim, later.hbv.simulate(parameters, initial_state=state, variables=variables), state


@pytest.mark.parametrize("chunks", [{}, {"basin": 2}])
@pytest.mark.parametrize("variables", [None, FEW])
def test_a_run_from_empty_stores_is_refused(
    ds: xr.Dataset, variables: Any, chunks: dict[str, int], tmp_path: Path
) -> None:
    """Before anything is computed, whatever variables it has; later days of one run are not meant."""
    sim, _, _ = parts(ds, variables=variables, **chunks)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    part = ds.isel(time=slice(40, None))
    cold = (part.chunk(chunks) if chunks else part).hbv.simulate(make_parameters(ds), variables=variables)
    with raise_if_dask_computes(), pytest.raises(StateError, match=r"nearly empty.*initial_state=state"):
        cold.hbv.to_zarr(path, append_dim="time")
    assert hx.open_run(path, verify=True).sizes["time"] == 40
    whole = ds.hbv.simulate(make_parameters(ds), variables=variables)
    whole.isel(time=slice(40, None)).hbv.to_zarr(path, append_dim="time")
    np.testing.assert_array_equal(hx.open_run(path)["streamflow"], whole["streamflow"])


@pytest.mark.parametrize("chunks", [{}, {"basin": 2}])
@pytest.mark.parametrize("options", [{}, {"packed": {"soil_moisture": 0.01}, "keep_bits": 20}])
def test_a_run_from_another_state_is_refused(
    ds: xr.Dataset, chunks: dict[str, int], options: dict[str, Any], tmp_path: Path
) -> None:
    """One millimetre in one cell is told; the right run is taken afterwards, and it closes."""
    sim, later, state = parts(ds, **chunks)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr", **options)
    state["lower_zone_storage"][1] += 1.0
    part = ds.isel(time=slice(40, None))
    part = part.chunk(chunks) if chunks else part
    wrong = part.hbv.simulate(make_parameters(ds), initial_state=state)
    with pytest.raises(StateError, match=r"1 of 3 cells differ, basin g1 by [01]"):
        wrong.hbv.to_zarr(path, append_dim="time")
    assert hx.open_run(path, verify=True).sizes["time"] == 40
    later.hbv.to_zarr(path, append_dim="time")
    found = hx.open_run(path, verify=True)
    assert found.sizes["time"] == 60
    assert bool(found.hbv.water_balance()["closed"].all())


def test_other_values_for_the_same_days_are_no_repetition(ds: xr.Dataset, tmp_path: Path) -> None:
    """Lazy ones, whose values nobody reads beforehand: an overlap, and not nothing to do."""
    sim, later, _ = parts(ds, variables=FEW, basin=2)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    (later * 2).assign_attrs(later.attrs).hbv.to_zarr(path, append_dim="time")
    with pytest.raises(TimeAxisError, match="overlap"):
        later.hbv.to_zarr(path, append_dim="time")
    path = sim.hbv.to_zarr(tmp_path / "again.zarr")
    for _ in range(2):
        later.hbv.to_zarr(path, append_dim="time")


@pytest.mark.parametrize("zarr_format", [3, 2])
def test_the_hour_of_the_stamps_is_kept(ds: xr.Dataset, zarr_format: int, tmp_path: Path) -> None:
    """Days that begin at 08:00, as in some networks of gauges."""
    ds = ds.assign_coords(time=ds["time"] + np.timedelta64(8, "h"))
    sim, later, _ = parts(ds)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr", zarr_format=zarr_format)
    later.hbv.to_zarr(path, append_dim="time")
    np.testing.assert_array_equal(xr.open_zarr(path)["time"], ds["time"])


@pytest.mark.parametrize("first_is_cftime", [True, False])
def test_calendars_that_agree_are_one(ds: xr.Dataset, first_is_cftime: bool, tmp_path: Path) -> None:
    """The standard calendar and the proleptic Gregorian one are the same today."""
    other = ds.convert_calendar("standard", use_cftime=True)
    pair = [parts(each, variables=FEW) for each in (ds, other)]
    path = pair[first_is_cftime][0].hbv.to_zarr(tmp_path / "run.zarr")
    pair[not first_is_cftime][1].hbv.to_zarr(path, append_dim="time")
    np.testing.assert_array_equal(xr.open_zarr(path)["time"], ds["time"])


@pytest.mark.parametrize("shards", [False, True])
def test_what_is_in_memory_beside_lazy_variables(shards: bool, tmp_path: Path) -> None:
    """Is written in chunks of the same length, so that days can be appended to all of them."""
    ds = make_dataset(100, 5)
    sim, later, _ = parts(ds, variables=FEW, basin=2, time=7)
    sim["precipitation"], later["precipitation"] = (
        ds["prcp"].isel(time=slice(0, 40)),
        ds["prcp"].isel(time=slice(40, None)),
    )
    path = sim.hbv.to_zarr(tmp_path / "run.zarr", shards=shards)
    later.isel(time=slice(0, 11)).hbv.to_zarr(path, append_dim="time")
    later.isel(time=slice(11, None)).hbv.to_zarr(path, append_dim="time")
    found = hx.open_run(path, verify=True)
    assert found["precipitation"].encoding["chunks"] == found["streamflow"].encoding["chunks"]
    np.testing.assert_array_equal(found["precipitation"], ds["prcp"])
    whole = ds.hbv.simulate(make_parameters(ds))
    np.testing.assert_allclose(found["streamflow"], whole["streamflow"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("at", range(1, 15, 2))
def test_format_2_has_no_moment_between_two_keys(
    ds: xr.Dataset, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at any step, the old days or all are there, with checksums; the repetition finishes it."""
    sim, later, _ = parts(ds, variables=FEW)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr", zarr_format=2)
    put, calls = zarr_append.Place.put, [0]

    def end(self: Any, values: Any) -> None:
        calls[0] += 1
        if calls[0] >= at:
            raise KeyboardInterrupt
        put(self, values)

    with monkeypatch.context() as patch:
        patch.setattr(zarr_append.Place, "put", end)
        try:
            later.hbv.to_zarr(path, append_dim="time")
        except KeyboardInterrupt:
            pass
        else:
            assert calls[0] < at
    assert hx.open_run(path, verify=True).sizes["time"] in (40, 60)
    later.hbv.to_zarr(path, append_dim="time")
    assert hx.open_run(path, verify=True).sizes["time"] == 60


def test_only_a_state_of_the_day_before_or_the_same_run_goes_on(ds: xr.Dataset, tmp_path: Path) -> None:
    """Where no storages are written as well: not a run from empty stores whose first days are left out, nor
    one from a state of another day."""
    sim, later, _ = parts(ds, variables=["streamflow"])
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    parameters = make_parameters(ds)
    cold = ds.isel(time=slice(35, None)).hbv.simulate(parameters, variables=["streamflow"])
    _, early = ds.isel(time=slice(0, 35)).hbv.simulate(parameters, return_state=True)
    other = ds.isel(time=slice(35, None)).hbv.simulate(
        parameters, initial_state=early, variables=["streamflow"]
    )
    for wrong in (cold, other):
        with pytest.raises(StateError, match=r"2000-02-05.*days before 2000-02-10"):
            wrong.isel(time=slice(5, None)).hbv.to_zarr(path, append_dim="time")
    later.isel(time=slice(0, 5)).hbv.to_zarr(path, append_dim="time")
    later.isel(time=slice(5, None)).hbv.to_zarr(path, append_dim="time")  # of the run that is there
    whole = ds.hbv.simulate(parameters)["streamflow"]
    np.testing.assert_allclose(hx.open_run(path)["streamflow"], whole, rtol=1e-5, atol=1e-5)


def test_a_missing_value_hides_no_water(ds: xr.Dataset, tmp_path: Path) -> None:
    """One missing storage proves nothing; a cell that was not simulated is none of ours."""
    whole = ds.hbv.simulate(make_parameters(ds))
    sim, later = whole.isel(time=slice(0, 40)), whole.isel(time=slice(40, None)).copy(deep=True)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    wrong = later.copy(deep=True)
    wrong["soil_moisture"][{"basin": 1, "time": 0}] = np.nan
    wrong["lower_zone_storage"][{"basin": 1, "time": 0}] += 500.0
    with pytest.raises(StateError, match="1 of 3 cells differ"):
        wrong.hbv.to_zarr(path, append_dim="time")
    for name in set(later.data_vars) - {"initial_storage"}:
        later[name][{"basin": 1}] = np.nan
    later.hbv.to_zarr(path, append_dim="time")


@pytest.mark.parametrize("what", ["cell_methods", "standard_name", "hydroxr_area"])
def test_what_a_variable_means_is_compared(ds: xr.Dataset, what: str, tmp_path: Path) -> None:
    """Not only its units: means of months after their ends, discharge of another area."""
    sim, later, _ = parts(ds)
    path = sim.hbv.to_zarr(tmp_path / "run.zarr")
    later["soil_moisture"].attrs[what] = "another"
    with pytest.raises(StoreError, match=rf"{what} of soil_moisture"):
        later.hbv.to_zarr(path, append_dim="time")


@pytest.mark.parametrize("fluxes", ["mean", "sum"])
@pytest.mark.parametrize("calendar", ["standard", "360_day"])
def test_months_follow_months(calendar: str, fluxes: str, tmp_path: Path) -> None:
    """Of one run and of stretches of it: by their bounds, and with the water of all their days."""
    ds = make_dataset(180)
    if calendar != "standard":
        days = xr.date_range("2000-01-01", periods=180, calendar=calendar, use_cftime=True)
        ds = ds.assign_coords(time=days)
    at = int((ds["time"].dt.month < 4).sum())
    sim, later, _ = parts(ds, at)
    whole = ds.hbv.simulate(make_parameters(ds)).hbv.aggregate_time("month", fluxes=fluxes)
    path = whole.isel(time=slice(0, 3)).hbv.to_zarr(tmp_path / "slices.zarr")
    wrong = whole.isel(time=slice(3, None)).copy(deep=True)
    wrong["lower_zone_storage"] += 1.0
    with pytest.raises(StateError, match="3 of 3 cells"):
        wrong.hbv.to_zarr(path, append_dim="time")
    with pytest.raises(TimeAxisError, match="2000-05-01 follows 2000-03-01"):
        whole.isel(time=slice(4, None)).hbv.to_zarr(path, append_dim="time")
    daily = (TimeAxisError, r"P1M.*P1D") if fluxes == "mean" else (StoreError, "units of streamflow")
    with pytest.raises(daily[0], match=daily[1]):
        later.hbv.to_zarr(path, append_dim="time")
    whole.isel(time=slice(3, None)).hbv.to_zarr(path, append_dim="time")
    months = [part.hbv.aggregate_time("month", fluxes=fluxes) for part in (sim, later)]
    other = months[0].hbv.to_zarr(tmp_path / "stretches.zarr")
    months[1].hbv.to_zarr(other, append_dim="time")
    for found in (hx.open_run(path, verify=True), hx.open_run(other, verify=True)):
        np.testing.assert_array_equal(found["time"], whole["time"])
        np.testing.assert_allclose(found["streamflow"], whole["streamflow"], rtol=1e-5, atol=1e-5)


def test_each_forcing_is_named(ds: xr.Dataset, tmp_path: Path) -> None:
    """That of later days beside that of the first, once."""
    runs = [parts(ds.assign_attrs(title=title)) for title in ("Daymet", "ERA5")]
    path = runs[0][0].hbv.to_zarr(tmp_path / "run.zarr")
    later = runs[1][1]
    for days in (slice(0, 5), slice(5, None)):
        later.isel(time=days).hbv.to_zarr(path, append_dim="time")
    told = json.loads(hx.open_run(path).attrs["forcing_provenance"])
    assert told["title"] == "Daymet"
    assert [(each["from"], each["title"]) for each in told["appended"]] == [("2000-02-10", "ERA5")]
    assert "2000-02-10 to 2000-02-14 appended" in hx.open_run(path).attrs["history"]

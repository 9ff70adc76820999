"""What is appended goes on from the water at the end of the store; calendars, hours, layouts that meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import zarr_append
from hydroxr.errors import StateError, TimeAxisError
from tests.labelled import make_dataset, make_parameters, raise_if_dask_computes

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
    with pytest.raises(StateError, match=r"1 of 3 cells differ, the first by [01]"):
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

"""Attributes of files that the checker cannot judge: their origin and their truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.acdd import after_append
from hydroxr.conventions.cf import for_file, timestamp
from tests.cf.files import in_calendar, projected, with_area
from tests.support.labelled import make_dataset, make_grid, make_parameters, untrained

COVERAGE = ("start", "end", "duration", "resolution")


def coverage(ds: xr.Dataset) -> list[Any]:
    """Time coverage as written to a file."""
    attrs = for_file(ds).attrs
    return [attrs.get(f"time_coverage_{part}") for part in COVERAGE]


@pytest.fixture(scope="module")
def sim() -> xr.Dataset:
    """Three basins from 2000-01-01 to 2001-02-03."""
    ds = with_area(make_dataset(400))
    return ds.hbv.simulate(make_parameters(ds))


def test_a_file_says_what_it_is(sim: xr.Dataset) -> None:
    attrs = for_file(sim).attrs
    assert attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert len(attrs["summary"]) > 100
    assert attrs["source"] == f"HBV with given parameters, hydroxr {hx.__version__}"
    assert "10.1029/2022WR032404" in attrs["references"]
    assert "runoff_flux, " in attrs["keywords"]
    assert attrs["keywords_vocabulary"] == attrs["standard_name_vocabulary"] == "CF Standard Name Table v93"
    assert attrs["date_created"] == sim.attrs["date_created"]
    assert np.datetime64(attrs["date_created"].removesuffix("Z")) <= np.datetime64("now")


def test_time_coverage_describes_the_written_days(sim: xr.Dataset) -> None:
    """First and last day, both included, of a whole, a part, one day, months, years and composites; and of a
    part of a result that carries the coverage of the whole."""
    assert coverage(sim) == ["2000-01-01", "2001-02-03", "P400D", "P1D"]
    assert coverage(sim.sel(time="2000-02")) == ["2000-02-01", "2000-02-29", "P29D", "P1D"]
    assert coverage(sim.isel(time=[0])) == ["2000-01-01", "2000-01-01", "P1D", "P1D"]
    assert coverage(sim.hbv.aggregate_time("month")) == ["2000-01-01", "2001-01-31", "P397D", "P1M"]
    assert coverage(sim.hbv.aggregate_time("year")) == ["2000-01-01", "2000-12-31", "P366D", "P1Y"]
    assert coverage(sim.hbv.aggregate_time("8day")) == ["2000-01-01", "2001-02-01", "P398D", "P8D"]
    again = for_file(sim).isel(time=slice(5, 10))
    assert coverage(again) == ["2000-01-06", "2000-01-10", "P5D", "P1D"]
    assert coverage(sim.drop_vars("time_bnds")) == ["2000-01-01", "2001-02-03", "P400D", "P1D"]
    noon = sim.drop_vars("time_bnds").assign_coords(time=sim["time"] + np.timedelta64(12, "h"))
    assert coverage(noon) == ["2000-01-01", "2001-02-03", "P400D", "P1D"]


@pytest.mark.parametrize(
    ("calendar", "end"), [("standard", "2000-11-03"), ("noleap", "2000-11-04"), ("360_day", "2000-11-10")]
)
def test_time_coverage_in_other_calendars(calendar: str, end: str) -> None:
    """400 days from 1999-10-01 on."""
    ds = in_calendar(make_dataset(400), calendar)
    sim = ds.hbv.simulate(make_parameters(ds), variables=["runoff"])
    assert coverage(sim) == ["1999-10-01", end, "P400D", "P1D"]
    months = sim.hbv.aggregate_time("month")
    assert coverage(months)[0] == "1999-10-01"
    assert coverage(months)[3] == "P1M"


def test_a_state_covers_its_day() -> None:
    ds = make_dataset(40)
    _, state = ds.hbv.simulate(make_parameters(ds), return_state=True)
    assert coverage(state) == ["2000-02-09", "2000-02-09", None, None]


def test_the_box_encloses_the_written_cells(sim: xr.Dataset) -> None:
    """Unknown coordinates do not count."""
    keys = [f"geospatial_{part}_{end}" for part in ("lat", "lon") for end in ("min", "max", "units")]
    attrs = for_file(sim).attrs
    assert [attrs[key] for key in keys] == [40.0, 50.0, "degrees_north", -80.0, -70.0, "degrees_east"]
    one = for_file(for_file(sim).isel(basin=1)).attrs
    assert [one[key] for key in keys] == [45.0, 45.0, "degrees_north", -75.0, -75.0, "degrees_east"]
    unknown = sim.assign_coords(lat=sim["lat"].copy(data=[np.nan, 45.0, 50.0]))
    assert for_file(unknown).attrs["geospatial_lat_min"] == 45.0


def test_lazy_results_have_the_same_attributes(sim: xr.Dataset) -> None:
    ds = with_area(make_dataset(400))
    lazy = ds.chunk(basin=1).hbv.simulate(make_parameters(ds))
    attrs = [for_file(each).attrs for each in (sim, lazy)]
    for each in attrs:
        each.pop("history")
        each.pop("date_created")
    assert attrs[0] == attrs[1]
    for name in sim.variables:
        assert for_file(sim)[name].attrs == for_file(lazy)[name].attrs


@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_attributes_of_the_user_are_kept_and_none_invented(sim: xr.Dataset, way: str, tmp_path: Path) -> None:
    """Neither creator nor licence is named unless the user does so."""
    said = {"creator_name": "A. Person", "license": "CC-BY-4.0", "title": "My run", "keywords": "my, own"}
    said["summary"] = "In my words."
    persons = ("creator", "publisher", "institution", "license", "acknowledg", "contributor")
    plain = for_file(sim).attrs
    assert [key for key in plain if key.startswith(persons)] == []
    getattr(sim.assign_attrs(said).hbv, way)(tmp_path / "run")
    with xr.open_dataset(tmp_path / "run", engine="zarr" if way == "to_zarr" else "netcdf4") as opened:
        assert opened.attrs.items() >= said.items()
        assert "keywords_vocabulary" not in opened.attrs


def test_attributes_of_the_input_go_into_one_attribute(tmp_path: Path) -> None:
    """It holds the input's title, licence and file, and the variables used."""
    ds = make_dataset(30).rename(prcp="pr").assign_attrs(title="Some forcing", license="CC0", history="long")
    ds.to_netcdf(tmp_path / "forcing.nc")
    with xr.open_dataset(tmp_path / "forcing.nc") as opened:
        sim, state = opened.hbv.simulate(make_parameters(make_dataset(30)), return_state=True)
        lstm = opened.rename(pr="prcp").assign(srad=opened["tmean"].assign_attrs(units="W m-2")).load()
    expected = {"title": "Some forcing", "license": "CC0", "file": "forcing.nc"}
    for result in (sim, state):
        told = json.loads(result.attrs["forcing_provenance"])
        assert told == expected | {"variables": {"prcp": "pr", "tmean": "tmean", "pet": "pet"}}
        assert "license" not in result.attrs
    model = untrained(hx.LSTMStreamflow(forcing=("prcp", "srad"), hidden=4))
    model = replace(model, forcing_units={"srad": "W m-2"})
    told = json.loads(lstm.hbv.simulate(model).attrs["forcing_provenance"])
    assert told["variables"] == {"prcp": "prcp", "srad": "srad"}


def test_an_append_updates_the_attributes(sim: xr.Dataset) -> None:
    """Attributes of the whole follow from those of two parts."""
    parts = [for_file(sim.isel(time=part)).attrs for part in (slice(0, 300), slice(300, 400))]
    now = timestamp()
    updated = parts[0] | after_append(parts[0], parts[1], now)
    whole = for_file(sim).attrs
    assert [updated[f"time_coverage_{part}"] for part in COVERAGE] == coverage(sim)
    assert updated["date_modified"] == now
    assert updated.keys() - {"date_modified"} == whole.keys()
    assert after_append({"history": "of an older hydroxr"}, parts[1], now) == {"date_modified": now}


# --- Bounds of grids ------------------------------------------------------------------------------


def test_an_even_grid_has_bounds() -> None:
    """They lie halfway between rows and never beyond a pole; axes are named."""
    grid = make_grid(10).assign_coords(lat=[89.0, 87.0])
    sim = grid.hbv.simulate(make_parameters(grid), variables=["runoff"])
    np.testing.assert_allclose(sim["lat_bnds"], [[90.0, 88.0], [88.0, 86.0]])
    np.testing.assert_allclose(sim["lon_bnds"], [[4.5, 5.5], [5.5, 6.5], [6.5, 7.5]])
    assert (sim["lat"].attrs["bounds"], sim["lon"].attrs["bounds"]) == ("lat_bnds", "lon_bnds")
    assert (sim["lat"].attrs["axis"], sim["lon"].attrs["axis"]) == ("Y", "X")


def test_an_uneven_grid_has_no_bounds() -> None:
    """Edges of cells are not guessed."""
    grid = make_grid(10).assign_coords(lon=[5.0, 6.0, 9.0])
    sim = grid.hbv.simulate(make_parameters(grid), variables=["runoff"])
    assert "lon_bnds" not in sim.coords
    assert "bounds" not in sim["lon"].attrs


def test_given_bounds_are_written(tmp_path: Path) -> None:
    """Bounds of the input pass through the simulation into its file; a state has none and refers to none."""
    ds = projected()
    sim, state = ds.hbv.simulate(make_parameters(ds), return_state=True)
    np.testing.assert_array_equal(sim["y_bnds"], ds["y_bnds"])
    assert sim["y_bnds"].dims == ("y", "nv")
    sim.hbv.to_netcdf(tmp_path / "sim.nc")
    state.hbv.to_netcdf(tmp_path / "state.nc")
    with xr.open_dataset(tmp_path / "sim.nc", decode_coords="all") as opened:
        np.testing.assert_array_equal(opened["y_bnds"], ds["y_bnds"])
        assert "_FillValue" not in opened["y_bnds"].encoding
        assert opened["laea"].attrs["grid_mapping_name"] == "lambert_azimuthal_equal_area"
    with xr.open_dataset(tmp_path / "state.nc") as opened:
        assert "bounds" not in opened["y"].attrs


def test_outdated_attributes_are_dropped(sim: xr.Dataset) -> None:
    """No vocabulary for absent keywords, and no box or period without coordinates for them."""
    written = for_file(sim)
    assert written.attrs["keywords_vocabulary"]
    attrs = for_file(written[["streamflow"]]).attrs
    assert attrs["keywords"] == "hydrology"
    assert "keywords_vocabulary" not in attrs
    placeless = for_file(written.drop_vars("lat")).attrs
    assert not [key for key in placeless if key.startswith("geospatial_lat")]
    assert placeless["geospatial_lon_max"] == -70.0
    timeless = for_file(written.isel(time=0, drop=True).drop_vars("time_bnds")).attrs
    assert not [key for key in timeless if key.startswith("time_coverage")]

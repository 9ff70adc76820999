"""Hargreaves' potential evapotranspiration against the book and against a second writing of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import MissingVariableError, UnitsError, ValueRangeError
from hydroxr.inputs.pet.sun import extraterrestrial_radiation
from hydroxr.inputs.pet.temperature import hargreaves
from tests.support.labelled import make_dataset, make_grid, with_extremes


def radiation_by_sum(latitude: float, day: int) -> float:
    """Extraterrestrial radiation, MJ m-2 day-1, as the sum of the sun's height over a day, minute by minute.

    The formula of FAO 56 is the integral of this between sunrise and sunset; here the sun is asked each
    minute whether it is up, so that polar night and day need no case of their own.
    """
    phi = math.radians(latitude)
    declination = 0.409 * math.sin(2 * math.pi / 365 * day - 1.39)
    nearness = 1 + 0.033 * math.cos(2 * math.pi / 365 * day)
    total = 0.0
    for minute in range(1440):
        hour_angle = 2 * math.pi * (minute + 0.5) / 1440 - math.pi
        height = math.sin(phi) * math.sin(declination)
        height += math.cos(phi) * math.cos(declination) * math.cos(hour_angle)
        total += 0.0820 * nearness * max(height, 0.0)
    return total


def pet_by_hand(latitude: float, day: int, tmean: float, tmin: float, tmax: float) -> float:
    """Hargreaves in plain floats, mm/day: radiation as depth of water that it would evaporate."""
    depth = radiation_by_sum(latitude, day) / 2.45
    return max(0.0023 * depth * (tmean + 17.8) * math.sqrt(abs(tmax - tmin)), 0.0)


def radiation(latitude: float, day: int) -> float:
    """The program's, of one place and day."""
    return float(extraterrestrial_radiation(xr.DataArray(latitude), xr.DataArray(day)))


def test_the_worked_example_of_fao_56() -> None:
    """Example 8: 20 degrees south on 3 September has 32.2 MJ m-2 day-1."""
    day = pd.Timestamp("2001-09-03").day_of_year
    assert day == 246
    assert radiation(-20.0, day) == pytest.approx(32.2, abs=0.05)


@pytest.mark.parametrize("latitude", [-90, -67, -35, -0.5, 0, 12, 47.3, 65, 66.6, 80, 90])
@pytest.mark.parametrize("day", [1, 80, 172, 246, 355, 366])
def test_radiation_is_the_sum_over_the_day(latitude: float, day: int) -> None:
    """From pole to pole, polar night and polar day included, to 0.01 MJ m-2 day-1."""
    assert radiation(latitude, day) == pytest.approx(radiation_by_sum(latitude, day), abs=0.01)


def test_polar_night_has_no_evapotranspiration() -> None:
    """At 80 degrees north in December: 0, not NaN."""
    time = xr.DataArray(pd.date_range("2000-12-15", periods=5), dims="time", name="time")
    tmin = xr.DataArray(np.full(5, -10.0), dims="time", coords={"time": time})
    pet = hargreaves(tmin + 5, tmin, tmin + 10, xr.DataArray(80.0))
    np.testing.assert_allclose(pet, 0.0, atol=1e-12)


def test_deep_frost_has_no_negative_evapotranspiration(ds: xr.Dataset) -> None:
    """Under -17.8 degC the formula would be negative: 0."""
    ds = with_extremes(ds).drop_vars("tmean")
    cold = ds.assign({name: (ds[name] - 40).assign_attrs(units="degC") for name in ("tmin", "tmax")})
    np.testing.assert_array_equal(cold.hbv.pet(), 0.0)


@pytest.mark.parametrize("with_mean", [True, False])
def test_pet_of_a_dataset_is_the_formula_day_by_day(with_mean: bool) -> None:
    """Every basin and day of two years, one a leap year, by hand; with a mean temperature of its own or
    without."""
    ds = with_extremes(make_dataset(731, 2, start="2000-01-01"))
    ds = ds if with_mean else ds.drop_vars("tmean")
    pet = ds.hbv.pet()
    days = ds["time"].dt.dayofyear.values
    for basin in range(2):
        for step in range(0, 731, 13):
            low, high = (float(ds[name][basin, step]) for name in ("tmin", "tmax"))
            mean = float(ds["tmean"][basin, step]) if with_mean else (low + high) / 2
            expected = pet_by_hand(float(ds["lat"][basin]), int(days[step]), mean, low, high)
            assert float(pet[basin, step]) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_crossed_extremes_count_by_their_distance(ds: xr.Dataset) -> None:
    """Where the data have tmin above tmax (Daymet has such days), the absolute difference is taken."""
    ds = with_extremes(ds)
    crossed = ds.assign(tmin=ds["tmax"], tmax=ds["tmin"])
    np.testing.assert_allclose(crossed.hbv.pet(), ds.hbv.pet())
    assert crossed.hbv.pet().notnull().all()


def test_units_make_no_difference(ds: xr.Dataset) -> None:
    """Kelvin for one of the two."""
    ds = with_extremes(ds)
    kelvin = ds.assign(tmax=(ds["tmax"].astype(float) + 273.15).assign_attrs(units="K"))
    np.testing.assert_allclose(kelvin.hbv.pet(), ds.hbv.pet(), rtol=1e-4)


def test_a_dataset_s_own_pet_comes_first(ds: xr.Dataset) -> None:
    """In mm/day, whatever its units."""
    both = with_extremes(ds).assign(pet=(ds["pet"] / 86400).assign_attrs(units="kg m-2 s-1"))
    np.testing.assert_allclose(both.hbv.pet(), ds["pet"], rtol=1e-6)


@pytest.mark.parametrize("own", [True, False])
def test_pet_says_what_it_is(ds: xr.Dataset, own: bool) -> None:
    """Name, units and standard name of the table."""
    pet = (ds if own else with_extremes(ds)).hbv.pet()
    assert pet.name == "pet"
    assert pet.attrs["units"] == "kg m-2 day-1"
    assert pet.attrs["standard_name"] == "water_potential_evaporation_flux"
    assert pet.dims == ds["prcp"].dims


def test_latitude_is_taken_from_a_grid() -> None:
    """From the dimension ``lat``: each row has its own sun."""
    grid = with_extremes(make_grid(20))
    pet = grid.hbv.pet()
    assert set(pet.dims) == {"time", "lat", "lon"}
    cell = grid.isel(lat=1, lon=2, time=7)
    expected = pet_by_hand(46.5, 8, *(float(cell[name]) for name in ("tmean", "tmin", "tmax")))
    assert float(pet.isel(lat=1, lon=2, time=7)) == pytest.approx(expected, rel=1e-4)


def test_what_is_missing_is_named(ds: xr.Dataset) -> None:
    """Of tmin, tmax and latitude."""
    with pytest.raises(MissingVariableError, match=r"potential evapotranspiration.*needs tmax, lat;"):
        with_extremes(ds).drop_vars(["tmax", "lat"]).hbv.pet()


def test_latitude_needs_units(ds: xr.Dataset) -> None:
    """As everything else; radians are not mistaken for degrees."""
    ds = with_extremes(ds)
    for units in ({}, {"units": "radian"}):
        other: Any = ds.assign_coords(lat=("basin", ds["lat"].values, units))
        with pytest.raises(UnitsError, match=r"'lat'.*degrees_north"):
            other.hbv.pet()


def test_equal_extremes_of_a_whole_year_are_refused() -> None:
    """CAMELS' NLDAS files have tmin = tmax: Hargreaves would evaporate nothing, and say nothing."""
    ds = make_dataset(400).drop_vars("pet")
    flat = ds.assign(tmin=ds["tmean"], tmax=ds["tmean"]).assign_coords(
        lat=("basin", [40.0, 45.0, 50.0], {"units": "degrees_north"})
    )
    with pytest.raises(ValueRangeError, match="0 on each of the first 400 days in 3 cells"):
        flat.hbv.check()
    assert flat.isel(time=slice(0, 100)).hbv.check().days == 100  # a polar night may be that long


@pytest.mark.parametrize("make", [make_dataset, make_grid])
def test_lazy_forcing_gives_lazy_pet(make: Any) -> None:
    """In the chunks of the forcing, and no array of all cells and days is made beforehand."""
    ds = with_extremes(make(400))
    lazy = ds.chunk({dim: 100 if dim == "time" else 1 for dim in ds["tmean"].dims})
    whole, found = (each.hbv.pet() for each in (ds, lazy))
    assert found.chunks == lazy["tmean"].chunks
    series = {
        id(lazy[name].data.dask.layers[layer]) for name in lazy for layer in lazy[name].data.dask.layers
    }
    own = [layer for layer in found.data.dask.layers.values() if id(layer) not in series]
    held = [getattr(task, "value", task) for layer in own for task in dict(layer).values()]
    assert 400 * 4 <= sum(getattr(value, "nbytes", 0) for value in held) < 2 * 400 * 8  # of the days alone
    np.testing.assert_allclose(found, whole, rtol=1e-6)

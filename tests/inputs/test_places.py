"""Places that cannot be, and faults that are told together."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import HydroxrError, MissingForcingError, ValueRangeError
from tests.conftest import FIT
from tests.support.labelled import make_grid, make_parameters, with_extremes

LATITUDES = {"units": "degrees_north"}


@pytest.mark.parametrize("latitude", [95.0, 100.0, 135.0, -100.0])
def test_latitudes_beyond_the_poles_are_refused(ds: xr.Dataset, latitude: float) -> None:
    """Wherever they are used; the message names the basin and guesses why."""
    ds = with_extremes(ds).assign_coords(lat=("basin", [45.0, latitude, 50.0], LATITUDES))
    message = rf"latitude.*{latitude:g} degrees_north.*basin 20.*1 of 3.*swapped"
    for call in (ds.hbv.check, ds.hbv.pet, lambda: ds.hbv.simulate(make_parameters(ds))):
        with pytest.raises(ValueRangeError, match=message):
            call()


def test_latitudes_of_a_grid_are_refused_too() -> None:
    """An axis in 0 to 180, say."""
    grid = with_extremes(make_grid())
    grid["lat"] = ("lat", grid["lat"].values + 90.0, LATITUDES)
    with pytest.raises(ValueRangeError, match=r"latitude.*lat 135\.5"):
        grid.hbv.pet()


@pytest.mark.parametrize("latitude", [-90.0, 90.0])
def test_the_poles_are_places(ds: xr.Dataset, latitude: float) -> None:
    """PET is finite there."""
    ds = with_extremes(ds).assign_coords(lat=("basin", [45.0, latitude, 50.0], LATITUDES))
    assert np.isfinite(ds.hbv.pet()).all()


@pytest.mark.parametrize("value", [-999.0, 9.96921e36, 1e20, 1.2e6, np.inf])
def test_streamflow_that_cannot_be_is_refused(ds: xr.Dataset, value: float) -> None:
    """By check, fit and evaluate alike: fill values, and a river over a few square metres."""
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    ds["streamflow"][1, 10] = value
    spec = hx.DeltaHBV(components=1, network="constant")
    for call in (ds.hbv.check, lambda: ds.hbv.fit(spec, **FIT), lambda: sim.hbv.evaluate(ds)):
        with pytest.raises(ValueRangeError, match=r"streamflow.*2000-01-11"):
            call()


def test_fit_tells_all_faults_at_once(ds: xr.Dataset) -> None:
    """One run of the program for four mistakes; the class is that of the first."""
    ds["streamflow"][1, 10] = -999
    ds["tmean"][0, 12] = np.nan
    ds["pet"][2, 11] = 900
    ds = ds.assign_coords(lat=("basin", [45.0, 95.0, 50.0], LATITUDES))
    spec = hx.DeltaHBV(components=1, network="constant")
    message = r"(?s)4 faults.*streamflow.*temperature.*potential.*latitude"
    with pytest.raises(HydroxrError, match=message) as caught:
        ds.hbv.fit(spec, **FIT)
    assert type(caught.value) is ValueRangeError


def test_a_block_tells_all_faults_at_once(ds: xr.Dataset) -> None:
    """So does simulate."""
    ds["prcp"][0, 12] = np.nan
    ds["tmean"][2, 11] = 300
    with pytest.raises(MissingForcingError, match=r"(?s)2 faults.*1\. precipitation.*2\. .*temperature"):
        ds.hbv.simulate(make_parameters(ds))

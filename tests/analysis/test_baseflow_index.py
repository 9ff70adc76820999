"""Baseflow index of a simulation against others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import CoordinateError, EmptySelectionError, MissingVariableError, UnitsError


@pytest.fixture
def sim() -> xr.Dataset:
    """Two years and some days of which the shares are 0.2, 0.5 and 0.8, but in the days left over."""
    time = pd.date_range("1999-10-01", "2001-12-31")
    share = np.array([0.2, 0.5, 0.8])[:, None] * np.ones(len(time))
    share[:, time > pd.Timestamp("2001-09-30")] = 1.0
    runoff = np.random.default_rng(0).gamma(1.0, 2.0, share.shape)
    dims = ("basin", "time")
    return xr.Dataset(
        {"runoff": (dims, runoff), "baseflow": (dims, runoff * share)},
        coords={"basin": [1, 2, 3], "time": time, "basin_id": ("basin", ["a", "b", "c"])},
    )


def index(values: list[float], units: str | None, basins: list[int] | None = None) -> xr.DataArray:
    attrs = {} if units is None else {"units": units}
    return xr.DataArray(values, {"basin": basins or [1, 2, 3]}, ["basin"], "bfi", attrs)


@pytest.mark.parametrize(
    ("factor", "units"),
    [
        (1.0, "1"),
        (1.0, None),
        (1.0, "dimensionless"),
        (1.0, "Fraction"),
        (100.0, "%"),
        (100.0, "Percent"),
        (100.0, "pct"),
        (100.0, None),
    ],
)
def test_whole_years_are_compared_in_either_unit(sim: xr.Dataset, factor: float, units: str | None) -> None:
    out = hx.compare.baseflow(sim, index([0.3 * factor, 0.5 * factor, 0.7 * factor], units))
    np.testing.assert_allclose(out["baseflow_index"], [0.2, 0.5, 0.8])
    np.testing.assert_allclose(out["difference"], [-0.1, 0.0, 0.1], atol=1e-12)
    np.testing.assert_allclose(out["spatial_r"], 1.0)
    np.testing.assert_allclose(out["spatial_bias"], 0.0, atol=1e-12)
    np.testing.assert_allclose(out["spatial_rmse"], np.sqrt(0.02 / 3))
    assert out.attrs["period"] == "1999-10-01 to 2001-09-30"
    assert {array.attrs["units"] for array in out.data_vars.values()} == {"1"}


def test_an_index_of_more_basins_is_selected_by_label(sim: xr.Dataset) -> None:
    out = hx.compare.baseflow(sim, index([0.9, 0.8, 0.5, 0.2], "1", [7, 3, 2, 1]))
    np.testing.assert_allclose(out["difference"], 0.0, atol=1e-12)


def test_a_period_can_be_chosen(sim: xr.Dataset) -> None:
    out = hx.compare.baseflow(sim, index([0.2, 0.5, 0.8], "1"), time=slice("2001-01-01", "2001-12-31"))
    assert (out["baseflow_index"] > [0.2, 0.5, 0.8]).all()
    assert out.attrs["period"] == "2001-01-01 to 2001-12-31"


def test_components_are_averaged_first(sim: xr.Dataset) -> None:
    parts = xr.concat([sim, 3.0 * sim], "component")
    parts["baseflow"][1] = 0.0
    out = hx.compare.baseflow(parts, index([0.2, 0.5, 0.8], "1"))
    np.testing.assert_allclose(out["baseflow_index"], [0.05, 0.125, 0.2])


def test_what_cannot_be_compared_is_refused(sim: xr.Dataset) -> None:
    good = index([0.2, 0.5, 0.8], "1")
    with pytest.raises(UnitsError, match="from 20 to 80"):
        hx.compare.baseflow(sim, index([20.0, 50.0, 80.0], "1"))
    with pytest.raises(UnitsError, match=r"'%' and values from 0.2 to 0.8"):  # would be 0.002 to 0.008
        hx.compare.baseflow(sim, index([0.2, 0.5, 0.8], "%"))
    with pytest.raises(UnitsError, match=r"'none' and values from 0.4 to 1.02"):
        hx.compare.baseflow(sim, index([0.4, 0.5, 1.02], None))
    with pytest.raises(UnitsError, match="'mm'"):
        hx.compare.baseflow(sim, index([0.2, 0.5, 0.8], "mm"))
    with pytest.raises(CoordinateError, match="no basin 3"):
        hx.compare.baseflow(sim, good[:2])
    with pytest.raises(MissingVariableError, match="'runoff'"):
        hx.compare.baseflow(sim.drop_vars("runoff"), good)
    with pytest.raises(EmptySelectionError, match="no whole year"):
        hx.compare.baseflow(sim.isel(time=slice(0, 364)), good)


def test_the_index_counts_days_that_both_have() -> None:
    flow = xr.DataArray([1.0, 2.0, np.nan, 4.0], dims="time")
    base = xr.DataArray([0.5, np.nan, 1.0, 2.0], dims="time")
    np.testing.assert_allclose(hx.compare.baseflow_index(base, flow), 2.5 / 5.0)
    assert np.isnan(hx.compare.baseflow_index(base, 0.0 * flow))


def test_a_gridded_product_in_percent(sim: xr.Dataset) -> None:
    """Means over basins keep the unit."""
    grid = xr.DataArray(
        [[10.0, 30.0, 50.0, 80.0]] * 2,
        {"lat": [45.5, 44.5], "lon": [0.5, 1.5, 2.5, 3.5]},
        ["lat", "lon"],
        attrs={"units": "%"},
    )
    inside = np.zeros((3, 2, 4))
    inside[0, :, :2] = inside[1, :, 2] = inside[2, :, 3] = 1.0
    weights = xr.DataArray(
        inside, {"basin": [1, 2, 3], "lat": grid["lat"], "lon": grid["lon"]}, ["basin", "lat", "lon"]
    )
    out = hx.compare.baseflow(sim, hx.compare.aggregate(grid, weights))
    np.testing.assert_allclose(out["reference"], [0.2, 0.5, 0.8])


def test_basins_are_matched_by_name_whatever_numbers_a_file_gives_them():
    """One part from a file that xarray opened, with numbers and names, and one with names as labels."""
    days = {"time": pd.date_range("2000-01-01", periods=10)}
    names = ("basin", ["a", "b"], {"cf_role": "timeseries_id"})
    flow = xr.DataArray(np.full((2, 10), 2.0), {"basin": ["b", "a"], **days}, ("basin", "time"))
    slow = xr.DataArray([[0.5] * 10, [1.0] * 10], {"basin": [0, 1], "basin_id": names, **days}, flow.dims)
    found = hx.compare.baseflow_index(slow, flow)
    assert {str(each.basin.item()): each.item() for each in found} == {"a": 0.25, "b": 0.5}

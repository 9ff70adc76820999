"""Quantiles of streamflow cover what they promise in years that they were not fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    EmptySelectionError,
    MissingObservationError,
    MissingVariableError,
)
from tests.support.labelled import raise_if_dask_computes

FIT, LATER = slice("1990", "1993"), slice("1994", "1999")
LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    """Ten years: errors are larger in winter, of another size in each basin, and correlated in time."""
    rng = np.random.default_rng(4)
    time = pd.date_range("1990-01-01", "1999-12-31")
    flow = rng.gamma(2.0, 1.5, (3, len(time)))
    noise = rng.normal(size=flow.shape)
    for day in range(1, len(time)):
        noise[:, day] = 0.6 * noise[:, day - 1] + 0.8 * noise[:, day]
    size = np.array([[0.1], [0.3], [0.6]]) * np.where(time.month.isin([12, 1, 2]), 2.0, 1.0)
    series = ("basin", "time")
    return xr.Dataset(
        {
            "streamflow": (series, flow, {"units": "mm/day"}),
            "qobs": (series, flow * np.exp(0.1 + size * noise), {"units": "mm/day"}),
        },
        coords={"basin": ["a", "b", "c"], "time": time},
    )


@pytest.fixture(scope="module")
def observed(ds: xr.Dataset) -> xr.DataArray:
    return ds["qobs"]


@pytest.fixture(scope="module")
def errors(ds: xr.Dataset, observed: xr.DataArray) -> xr.Dataset:
    return ds[["streamflow"]].hbv.fit_errors(observed, FIT)


def test_later_years_are_covered(ds: xr.Dataset, observed: xr.DataArray, errors: xr.Dataset) -> None:
    """Each quantile in each cell, and the interval in each season; the bias is gone."""
    found = ds[["streamflow"]].sel(time=LATER).hbv.add_quantiles(errors, LEVELS)["streamflow_quantile"]
    assert found.dims == ("quantile", "basin", "time")
    below = (observed.sel(time=LATER) <= found).mean("time")
    np.testing.assert_allclose(below, np.tile(LEVELS, (3, 1)), atol=0.045)
    inside = below.sel(quantile=0.95) - below.sel(quantile=0.05)
    assert ((inside > 0.88) & (inside < 0.94)).all()
    within = (observed >= found.sel(quantile=0.05)) & (observed <= found.sel(quantile=0.95))
    seasons = within.groupby("time.season").mean()
    assert (abs(seasons.mean("basin") - 0.9) < 0.05).all()  # at 0.7 in winter without seasons
    assert (found.diff("quantile") >= 0).all()
    assert (errors["widening"] < 1.25).all()


def test_years_that_differ_widen_the_quantiles(ds: xr.Dataset, observed: xr.DataArray) -> None:
    """A bias that grows from year to year: days alone would promise too much."""
    other = (observed * np.exp(0.3 * (ds["time"].dt.year - 1991))).assign_attrs(units="mm/day")
    errors = ds[["streamflow"]].hbv.fit_errors(other, FIT)
    assert (errors["widening"].isel(basin=0) > 1.2).all()


def test_a_negative_flow_counts_as_none(ds: xr.Dataset, observed: xr.DataArray) -> None:
    """A gauge below a reservoir has some; one such day may not cost its cell all quantiles."""
    some = observed["time"] == np.datetime64("1990-03-01")
    pair = [ds[["streamflow"]].hbv.fit_errors(observed.where(~some, low), FIT) for low in (-0.5, 0.0)]
    xr.testing.assert_identical(*pair)


def test_it_is_saved_and_found_by_label(ds: xr.Dataset, errors: xr.Dataset, tmp_path: Path) -> None:
    errors.to_netcdf(tmp_path / "errors.nc")
    again = xr.open_dataset(tmp_path / "errors.nc")
    some = ds[["streamflow"]].isel(basin=[2, 0], time=slice(50))
    found = some.hbv.add_quantiles(again, [0.1, 0.333])["streamflow_quantile"]
    whole = ds[["streamflow"]].hbv.add_quantiles(errors, [0.1, 0.333])["streamflow_quantile"]
    xr.testing.assert_allclose(found, whole.isel(basin=[2, 0], time=slice(50)))


def test_lazy_data_stay_lazy(ds: xr.Dataset, observed: xr.DataArray, errors: xr.Dataset) -> None:
    lazy = ds[["streamflow"]].chunk(basin=2, time=1000)
    with raise_if_dask_computes():
        fitted = lazy.hbv.fit_errors(observed.chunk(basin=1), FIT)
        found = lazy.hbv.add_quantiles(fitted, LEVELS)
    xr.testing.assert_allclose(fitted.compute(), errors)
    expected = ds[["streamflow"]].hbv.add_quantiles(errors, LEVELS)
    xr.testing.assert_allclose(found.compute(), expected)


def test_forecasts_have_errors_of_each_lead(ds: xr.Dataset, observed: xr.DataArray) -> None:
    """Here lead 2 is the observation itself, and lead 1 the simulation."""
    init = ds["time"].values[:-2:3]
    valid = xr.DataArray(init, dims="init") + np.array([1, 2], "timedelta64[D]") * xr.DataArray(
        [1, 1], dims="lead"
    )
    first, second = (
        series.sel(time=valid.isel(lead=place)).drop_vars("time")
        for place, series in enumerate((ds["streamflow"], observed))
    )
    flow = xr.concat([first, second], "lead").transpose("init", "lead", "basin")
    ahead = flow.to_dataset(name="streamflow").assign_coords(
        init=init, lead=[1, 2], valid_time=valid.transpose("init", "lead")
    )
    errors = ahead.hbv.fit_errors(observed, FIT)
    found = ahead.hbv.add_quantiles(errors, [0.05, 0.95])["streamflow_quantile"]
    assert found.dims == ("quantile", "init", "lead", "basin")
    width = found.diff("quantile").mean("init").squeeze("quantile")
    np.testing.assert_allclose(width.sel(lead=2), 0.0, atol=1e-9)
    assert (width.sel(lead=1) > 0.5).all()
    with pytest.raises(DescriptionError, match="errors of forecasts are by lead"):
        ds[["streamflow"]].hbv.add_quantiles(errors)


def test_what_cannot_be_fitted_is_refused(ds: xr.Dataset, observed: xr.DataArray, errors: xr.Dataset) -> None:
    sim = ds[["streamflow"]]
    with pytest.raises(EmptySelectionError, match="at least two years"):
        sim.hbv.fit_errors(observed, slice("1990-02", "1990-11"))
    with pytest.raises(MissingObservationError, match="no day of the simulation has observed"):
        sim.hbv.fit_errors(observed.where(False).assign_attrs(units="mm/day"), FIT)
    with pytest.raises(DescriptionError, match=r"quantiles are \[0.0, 0.5\]; expected ascending"):
        sim.hbv.add_quantiles(errors, [0.0, 0.5])
    with pytest.raises(MissingVariableError, match="errors lacks 'streamflow_error'"):
        sim.hbv.add_quantiles(sim, [0.5])
    with pytest.raises(CoordinateError, match="no basin c in errors"):
        sim.hbv.add_quantiles(errors.sel(basin=["a", "b"]), [0.5])

"""Probabilistic scores against formulas for normal distributions, and against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import hydroxr as hx
from hydroxr.errors import CoordinateError, DimensionError, UnitsError

LEVELS = np.linspace(0.01, 0.99, 99)


@pytest.fixture(scope="module")
def normal() -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Members, quantiles and observations from the same distributions; one day is unknown."""
    rng = np.random.default_rng(2)
    days = 4000
    middle, size = rng.normal(5, 1, (2, days)), 0.5
    coords = {"basin": ["a", "b"], "time": np.arange(days)}
    attrs = {"units": "mm/day"}
    observed = xr.DataArray(
        middle + size * rng.normal(size=(2, days)), coords, ("basin", "time"), attrs=attrs
    )
    observed[0, 3] = np.nan
    draws = middle + size * rng.normal(size=(20, 2, days))
    members = xr.DataArray(draws, coords, ("member", "basin", "time"), attrs=attrs)
    values = middle + size * stats.norm.ppf(LEVELS)[:, None, None]
    quantiles = xr.DataArray(
        values, {"quantile": LEVELS, **coords}, ("quantile", "basin", "time"), attrs=attrs
    )
    return members, quantiles, observed


def test_a_calibrated_distribution(normal: tuple[xr.DataArray, xr.DataArray, xr.DataArray]) -> None:
    """Its CRPS is 0.5642 standard deviations, its histogram flat, its quantiles kept."""
    pytest.importorskip("scores")
    members, quantiles, observed = normal
    np.testing.assert_allclose(hx.metrics.crps(quantiles, observed), 0.5 / np.sqrt(np.pi), rtol=0.03)
    np.testing.assert_allclose(hx.metrics.crps(members, observed, ...), 0.5 / np.sqrt(np.pi), rtol=0.08)
    flat = hx.metrics.pit(quantiles, observed, bins=5)
    assert flat.dims == ("bin", "basin")
    np.testing.assert_allclose(flat, 0.2, atol=0.02)
    np.testing.assert_allclose(
        hx.metrics.reliability(quantiles, observed), np.tile(LEVELS[:, None], 2), atol=0.02
    )
    parts = hx.metrics.spread_skill(members, observed)
    np.testing.assert_allclose(parts["ratio"], 1.0, atol=0.04)
    np.testing.assert_allclose(parts["spread"], 0.5 * np.sqrt(21 / 20), rtol=0.02)


def test_scores_are_their_sums(normal: tuple[xr.DataArray, xr.DataArray, xr.DataArray]) -> None:
    pytest.importorskip("scores")
    members, _, observed = normal
    x, y = members.isel(basin=1).values, observed.isel(basin=1).values
    expected = (abs(x - y).mean(0) - abs(x[:, None] - x[None]).mean((0, 1)) / 2).mean()
    found = hx.metrics.crps(members, observed)
    np.testing.assert_allclose(found.isel(basin=1), expected, rtol=1e-9)
    assert found.attrs["units"] == "mm/day"
    assert np.isfinite(found).all()  # the unknown day is left out
    event = (((x >= 6).mean(0) - (y >= 6)) ** 2).mean()
    np.testing.assert_allclose(hx.metrics.brier(members, observed, 6.0).isel(basin=1), event, rtol=1e-9)


def test_a_distribution_that_is_too_narrow(normal: tuple[xr.DataArray, xr.DataArray, xr.DataArray]) -> None:
    members, quantiles, observed = normal
    middle = quantiles.sel(quantile=0.5, method="nearest")
    narrow = (middle + 0.5 * (quantiles - middle)).transpose(*quantiles.dims).assign_attrs(quantiles.attrs)
    below = hx.metrics.reliability(narrow, observed, ...)
    assert float(below.sel(quantile=0.05, method="nearest")) == pytest.approx(
        stats.norm.cdf(-1.645 / 2), abs=0.02
    )
    half = (members.mean("member") + 0.5 * (members - members.mean("member"))).transpose(*members.dims)
    ratio = hx.metrics.spread_skill(half.assign_attrs(members.attrs), observed)["ratio"]
    np.testing.assert_allclose(ratio, 0.5, atol=0.02)


def test_what_does_not_fit_is_refused(normal: tuple[xr.DataArray, xr.DataArray, xr.DataArray]) -> None:
    members, _, observed = normal
    with pytest.raises(DimensionError, match="expected 'member' or 'quantile' in predicted alone"):
        hx.metrics.reliability(observed, observed)
    with pytest.raises(DimensionError, match="'time' is not in both"):
        hx.metrics.reliability(members.rename(time="lead"), observed, "lead")
    with pytest.raises(CoordinateError, match="labels of predicted and observed differ"):
        hx.metrics.reliability(members, observed.isel(time=slice(5)))
    with pytest.raises(UnitsError):
        hx.metrics.reliability(members, observed.assign_attrs(units="m3 s-1"))


def test_basins_are_matched_by_label(normal: tuple[xr.DataArray, xr.DataArray, xr.DataArray]) -> None:
    """In another order, and one among more."""
    members, _, observed = normal
    expected = hx.metrics.spread_skill(members, observed)
    shuffled = observed.isel(basin=[1, 0])
    xr.testing.assert_allclose(hx.metrics.spread_skill(members, shuffled), expected)
    one = hx.metrics.spread_skill(members.isel(basin=1), shuffled)
    np.testing.assert_allclose(one["ratio"], expected["ratio"].isel(basin=1))

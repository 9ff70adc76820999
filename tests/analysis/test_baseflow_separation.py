"""Digital filters of baseflow, against a program written out here and CAMELS' own index."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, DimensionError

CAMELS = Path(__file__).parents[3] / "shared" / "data" / "camels_us_daymet.nc"


def lyne_hollick(flow: np.ndarray, alpha: float, passes: int, reflect: int) -> np.ndarray:
    """The filter of one unbroken series, day by day."""
    beside = min(reflect, len(flow) - 1)
    series = list(np.pad(flow, beside, mode="reflect")) if beside else list(flow)
    for turn in range(passes):
        if turn % 2:
            series.reverse()
        quick = series[0]
        out = [0.0 if quick > 0 else series[0]]
        for before, now in pairwise(series):
            quick = alpha * quick + (1 + alpha) / 2 * (now - before)
            out.append(now - max(quick, 0.0))
        series = out[::-1] if turn % 2 else out
    kept = np.array(series[beside : beside + len(flow)])
    return np.maximum(kept, 0.0)


def eckhardt(flow: np.ndarray, share: float, a: float) -> np.ndarray:
    """The filter of one unbroken series."""
    out = [share * flow[0]]
    for now in flow[1:]:
        out.append(min(now, ((1 - share) * a * out[-1] + (1 - a) * share * now) / (1 - a * share)))
    return np.array(out)


def flows(cells: int = 3, days: int = 400, seed: int = 0) -> xr.DataArray:
    """Flashy series with recessions, mm/day."""
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.1, 20.0, (cells, days))
    flow = np.zeros((cells, days))
    for day in range(1, days):
        flow[:, day] = 0.93 * flow[:, day - 1] + rain[:, day]
    return xr.DataArray(
        flow + 0.1,
        {"basin": 10 * np.arange(cells), "time": xr.date_range("2001-01-01", periods=days)},
        ("basin", "time"),
        attrs={"units": "mm/day", "standard_name": "runoff_flux"},
    )


@pytest.mark.parametrize(("passes", "reflect"), [(1, 0), (2, 5), (3, 30), (3, 1000)])
def test_lyne_hollick_is_what_its_formula_says(passes: int, reflect: int) -> None:
    flow = flows()
    out = hx.compare.lyne_hollick(flow, passes=passes, reflect=reflect)
    expected = [lyne_hollick(row, 0.925, passes, reflect) for row in flow.values]
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)
    assert out.dims == flow.dims
    assert out.attrs["units"] == "mm/day"
    assert "standard_name" not in out.attrs


def test_baseflow_is_part_of_streamflow() -> None:
    flow = flows(seed=3)
    for out in (hx.compare.lyne_hollick(flow), hx.compare.eckhardt(flow)):
        assert ((out >= 0) & (out <= flow)).all()
        assert 0.02 < float(hx.compare.baseflow_index(out, flow).min()) < 0.98


def test_a_constant_flow_is_baseflow_alone() -> None:
    """But for the start of the first pass, which counts as quick and lies in the mirrored days."""
    flow = xr.full_like(flows(), 2.0)
    out = hx.compare.lyne_hollick(flow, reflect=300)
    np.testing.assert_allclose(out, 2.0, rtol=1e-6)
    np.testing.assert_allclose(hx.compare.eckhardt(flow, 0.8, 0.97)[:, -1], 1.6, rtol=1e-3)


@pytest.mark.parametrize("method", ["lyne_hollick", "eckhardt"])
def test_pieces_between_gaps_are_filtered_on_their_own(method: str) -> None:
    flow = flows()
    flow[0, 100:103] = np.nan
    flow[1, :50] = np.nan
    flow[1, 350:] = np.inf
    flow[2] = np.nan
    options = {} if method == "lyne_hollick" else {"bfi_max": 0.6, "recession": 0.95}
    run = getattr(hx.compare, method)
    out = run(flow, **options)
    np.testing.assert_array_equal(out.isnull(), ~np.isfinite(flow))
    for cell, piece in ((0, slice(0, 100)), (0, slice(103, 400)), (1, slice(50, 350))):
        alone = run(flow.isel(basin=[cell], time=piece), **options)
        np.testing.assert_allclose(out.isel(basin=[cell], time=piece), alone, rtol=1e-13)


def test_a_single_day_between_gaps_stays_finite() -> None:
    flow = flows(days=5)
    flow[:, [1, 3]] = np.nan
    out = hx.compare.lyne_hollick(flow)
    assert ((out >= 0) & (out <= flow))[:, [0, 2, 4]].all()


def test_short_gaps_are_bridged_for_the_filter_and_stay_missing() -> None:
    flow = flows(cells=1)
    gappy = flow.copy(deep=True)
    gappy[0, [40, 41, 200]] = np.nan
    line = flow.values[0].copy()
    line[[40, 41, 200]] = np.nan
    good = ~np.isnan(line)
    line = np.interp(np.arange(400), np.flatnonzero(good), line[good])
    expected = np.where(good, lyne_hollick(line, 0.925, 3, 30), np.nan)
    np.testing.assert_allclose(hx.compare.lyne_hollick(gappy)[0], expected, rtol=1e-12)
    assert np.isnan(gappy.values[0, 40])  # what was given is as it was


def test_short_pieces_between_longer_gaps_are_missing() -> None:
    """They would count as nearly all quick flow."""
    flow = flows(cells=1)
    flow[0, [100, 101, 102, 133, 134, 135, 166, 167, 168]] = np.nan  # pieces of 100, 30, 30 and 231 days
    out = hx.compare.lyne_hollick(flow)
    assert np.isnan(out.values[0, 100:169]).all()
    assert np.isfinite(np.delete(out.values[0], np.arange(100, 169))).all()
    assert np.isfinite(hx.compare.lyne_hollick(flow, reflect=29).values[0, 103:133]).all()


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_days_missing_at_random_leave_the_index(share: float) -> None:
    """Against the index of the record without gaps; parted at each gap it would be 0.1 too small and more."""
    flow = flows(cells=5, days=4000)
    gone = xr.DataArray(np.random.default_rng(1).random(4000) < share, dims="time")
    whole = hx.compare.baseflow_index(hx.compare.lyne_hollick(flow), flow)
    gappy = flow.where(~gone)
    index = hx.compare.baseflow_index(hx.compare.lyne_hollick(gappy), gappy)
    np.testing.assert_allclose(index, whole, atol=0.02)


def test_eckhardt_is_what_its_formula_says() -> None:
    flow = flows()
    share = xr.DataArray([0.8, 0.5, 0.25], {"basin": flow["basin"]}, ["basin"])
    out = hx.compare.eckhardt(flow, share, 0.97)
    expected = [eckhardt(row, b, 0.97) for row, b in zip(flow.values, share.values, strict=True)]
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    assert out.dims == flow.dims


def test_the_recession_constant_of_a_linear_store_is_found() -> None:
    days = np.arange(300)
    flow = flows(cells=2, days=300)
    flow[0] = 5.0 * 0.96 ** (days % 60)
    flow[1] = np.nan
    out = hx.compare.recession_constant(flow)
    np.testing.assert_allclose(out[0], 0.96, rtol=1e-12)
    assert np.isnan(out[1])
    assert out.attrs["units"] == "1"
    assert hx.compare.eckhardt(flow)[1].isnull().all()


@pytest.mark.parametrize("method", ["lyne_hollick", "eckhardt", "recession_constant"])
def test_filters_are_lazy_over_any_dimensions(method: str, raise_if_dask_computes: object) -> None:
    flow = flows(cells=6)
    grid = flow.drop_vars("basin").data.reshape(2, 3, -1)
    cube = xr.DataArray(np.moveaxis(grid, -1, 0), dims=("time", "lat", "lon"))
    run = getattr(hx.compare, method)
    with raise_if_dask_computes():  # type: ignore[operator]
        lazy = run(cube.chunk(time=50, lat=1))
    assert lazy.chunks is not None
    expected = run(flow)
    if method == "recession_constant":
        np.testing.assert_array_equal(lazy.values.ravel(), expected)
    else:
        assert lazy.dims == cube.dims
        np.testing.assert_array_equal(lazy.transpose("lat", "lon", "time").values.reshape(6, -1), expected)


@pytest.mark.parametrize("wrong", [{"alpha": 1.0}, {"alpha": 0.0}, {"passes": 0}, {"reflect": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DescriptionError, match=next(iter(wrong))):
        hx.compare.lyne_hollick(flows(), **wrong)  # type: ignore[arg-type]


def test_impossible_constants_are_refused() -> None:
    with pytest.raises(DescriptionError, match="bfi_max"):
        hx.compare.eckhardt(flows(), bfi_max=80.0)
    with pytest.raises(DimensionError, match="'days'"):
        hx.compare.lyne_hollick(flows(), dim="days")


@pytest.mark.skipif(not CAMELS.is_file(), reason="the compact CAMELS-US file is not here")
def test_the_index_of_camels_is_met() -> None:
    """Of 569 basins, whose index was computed by another program from 1989-10 to 2009-09."""
    ds = hx.open_camels(CAMELS)
    flow = ds["streamflow"].sel(time=slice("1989-10-01", "2009-09-30")).dropna("basin", how="all").load()
    index = hx.compare.baseflow_index(hx.compare.lyne_hollick(flow), flow)
    published = ds["baseflow_index"].sel(basin=flow["basin"]).load()
    assert index.size == 569
    assert float(xr.corr(index, published)) > 0.999999
    assert float(abs(index - published).median()) < 2e-4
    assert float(abs(index - published).max()) < 2e-3

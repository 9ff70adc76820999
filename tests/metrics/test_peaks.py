"""Promises of ``peak_timing``, checked against SciPy, a walk day by day and series made by hand."""

from __future__ import annotations

import math

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks as scipy_peaks

from hydroxr import metrics
from hydroxr.errors import DescriptionError, DimensionError
from hydroxr.metrics.peaks import find_peaks
from tests.support.metrics_by_hand import basins, peaks_by_hand, refuse_to_compute, series, timing_by_hand

RULES = [(3, 100, 1.0), (1, 7, 0.5), (5, 20, 0.0), (2, 1, 2.0)]


def hydrographs(
    n_basins: int = 3, n_days: int = 1500, gaps: float = 0.0
) -> tuple[xr.DataArray, xr.DataArray]:
    """Storms with recessions, ``(basin, time)``, simulated some days off."""
    random = np.random.default_rng(5)
    storms = np.where(random.random((n_basins, n_days)) < 0.06, random.gamma(1, 8, (n_basins, n_days)), 0)
    kernel = np.exp(-np.arange(30) / 6.0)
    observed = np.stack([np.convolve(row, kernel)[:n_days] for row in storms]) + random.random(storms.shape)
    simulated = np.roll(observed, 1, axis=1) * random.lognormal(0, 0.2, observed.shape)
    observed[random.random(observed.shape) < gaps] = np.nan
    coords = {"basin": np.arange(n_basins), "time": xr.date_range("1990-10-01", periods=n_days)}
    return tuple(xr.DataArray(a, dims=("basin", "time"), coords=coords) for a in (simulated, observed))


def pulses(days: dict[int, float], n: int = 60) -> xr.DataArray:
    """A series of zeros with single days above."""
    values = np.zeros(n)
    values[list(days)] = list(days.values())
    return series(values)


# --- Peaks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("distance", "threshold"), [rule[1:] for rule in RULES])
def test_peaks_are_scipys(distance, threshold):
    """On series without gaps, with the distance and the prominence that the source gives it."""
    for row in hydrographs()[1].values:
        prominence = threshold * row.std()
        expected = scipy_peaks(row, distance=distance, prominence=prominence)[0]
        np.testing.assert_array_equal(find_peaks(row, distance, prominence), expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(0, 3))
def test_equal_values_side_by_side_are_one_peak_in_their_middle(values, prominence):
    row = np.array(values, dtype=float)
    expected = scipy_peaks(row, prominence=prominence)[0]
    np.testing.assert_array_equal(find_peaks(row, 1, prominence), expected)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.just(math.nan), st.integers(0, 6).map(float)), min_size=2, max_size=40),
    st.integers(1, 9),
    st.integers(0, 3),
)
def test_peaks_of_any_series_are_those_of_a_walk_day_by_day(values, distance, prominence):
    row = np.array(values)
    assert find_peaks(row, distance, prominence).tolist() == peaks_by_hand(row, distance, prominence)


# --- Timing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [0.0, 0.05])
@pytest.mark.parametrize(("window", "distance", "threshold"), RULES)
def test_timing_is_that_of_a_walk_day_by_day(window, distance, threshold, gaps):
    rule = {"window": window, "distance": distance, "threshold": threshold}
    simulated, observed = hydrographs(gaps=gaps)
    found = metrics.peak_timing(simulated, observed, **rule)
    assert found.dims == ("basin",)
    for basin in range(3):
        expected = timing_by_hand(simulated[basin].values, observed[basin].values, **rule)
        assert len(expected) > 1
        assert float(found[basin]) == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("shift", [-3, -1, 0, 2, 3])
def test_a_shifted_simulation_is_as_many_days_off(shift):
    """To either side, up to the window."""
    observed = pulses({10: 5.0, 30: 9.0, 50: 7.0})
    simulated = pulses({10 + shift: 5.0, 30 + shift: 9.0, 50 + shift: 7.0})
    assert float(metrics.peak_timing(simulated, observed, distance=10)) == abs(shift)


def test_a_shift_beyond_the_window_is_not_seen():
    """The highest of what is within it counts, be it a tail; of equal values the nearest."""
    observed, simulated = pulses({30: 9.0}), pulses({37: 9.0})
    assert float(metrics.peak_timing(simulated, observed)) == 0.0
    assert float(metrics.peak_timing(simulated, observed, window=7)) == 7.0


def test_a_higher_value_nearby_counts_more_than_a_peak_on_the_day():
    """Other than in the program of the source; see the docstring."""
    observed, simulated = pulses({30: 9.0}), pulses({30: 5.0, 32: 6.0})
    assert float(metrics.peak_timing(simulated, observed)) == 2.0


def test_without_peaks_there_is_nothing_to_time():
    rising = series(np.arange(50.0))
    assert np.isnan(metrics.peak_timing(rising, rising))
    flat = xr.full_like(rising, 2.0)
    assert np.isnan(metrics.peak_timing(rising, flat))
    small = pulses({10: 9.0, 30: 1.0})  # prominent enough for no more than the first
    late = pulses({10: 9.0, 33: 1.0})
    assert float(metrics.peak_timing(late, small, distance=5)) == 0.0
    assert float(metrics.peak_timing(late, small, distance=5, threshold=0.5)) == 1.5


def test_windows_that_are_not_complete_do_not_count():
    """At the ends of the record, and beside gaps in either series."""
    observed, simulated = pulses({1: 9.0, 30: 9.0}), pulses({2: 9.0, 32: 9.0})
    assert float(metrics.peak_timing(simulated, observed, distance=5)) == 2.0
    for gap in (27, 33):
        gone = simulated.copy(data=np.where(np.arange(60) == gap, np.nan, simulated))
        assert np.isnan(metrics.peak_timing(gone, observed, distance=5))
    assert np.isnan(
        metrics.peak_timing(simulated.where(simulated["time"] != simulated["time"][33]), observed)
    )


def test_days_that_both_lack_are_a_gap():
    """No label, no pair: a window does not reach over it as if there were none."""
    simulated, observed = hydrographs(gaps=0.05)
    expected = metrics.peak_timing(simulated, observed, distance=10)
    complete = observed["time"].dt.day > 3
    with_gaps = metrics.peak_timing(simulated.where(complete), observed, distance=10)
    without_labels = [array.isel(time=np.flatnonzero(complete)) for array in (simulated, observed)]
    xr.testing.assert_allclose(metrics.peak_timing(*without_labels, distance=10), with_gaps)
    assert not np.allclose(with_gaps, expected, equal_nan=True)


def test_the_order_of_the_days_does_not_matter():
    simulated, observed = hydrographs()
    expected = metrics.peak_timing(simulated, observed)
    backwards = [array.isel(time=slice(None, None, -1)) for array in (simulated, observed)]
    np.testing.assert_allclose(metrics.peak_timing(*backwards), expected)


@pytest.mark.parametrize(
    ("time", "days"),
    [
        (xr.date_range("2000-01-01", periods=60, calendar="noleap", use_cftime=True), 2.0),
        (xr.date_range("2000-01-01", periods=60, freq="6h"), 0.5),
        (xr.date_range("2000-01-01", periods=60, freq="MS"), 59.0),  # from July to September 2002: 62
        (np.arange(60), 2.0),
        (None, 2.0),
        ([f"day {i}" for i in range(60)], 2.0),
    ],
)
def test_any_axis_gives_days(time, days):
    """Of any calendar and step; labels that are no dates count as days."""
    observed, simulated = pulses({30: 9.0}), pulses({32: 9.0})
    pair = [array.drop_vars("time") for array in (simulated, observed)]
    pair = pair if time is None else [array.assign_coords(time=time) for array in pair]
    if days == 59.0:
        days = float((pair[0]["time"][32] - pair[0]["time"][30]) / np.timedelta64(1, "D"))
    assert float(metrics.peak_timing(*pair)) == days


# --- Dimensions, laziness, errors -----------------------------------------------------------------


def test_several_dimensions_pool_the_peaks():
    """Each series has its own, as many as it has."""
    simulated, observed = hydrographs(gaps=0.05)
    errors = [
        error
        for basin in range(3)
        for error in timing_by_hand(simulated[basin].values, observed[basin].values, distance=20)
    ]
    found = metrics.peak_timing(simulated, observed, ("basin", "time"), distance=20)
    assert float(found) == pytest.approx(np.mean(errors), rel=1e-12)
    assert found.attrs["units"] == "day"


def test_members_share_the_observed_peaks():
    simulated, observed = hydrographs()
    members = xr.concat([simulated, simulated.shift(time=1)], "member")
    found = metrics.peak_timing(members, observed)
    assert found.sizes == {"member": 2, "basin": 3}
    np.testing.assert_array_equal(found[0], metrics.peak_timing(simulated, observed))
    np.testing.assert_array_equal(found[1], metrics.peak_timing(simulated.shift(time=1), observed))


@pytest.mark.parametrize("chunks", [{"time": 200}, {"basin": 2}, {"basin": 1, "time": 77}])
def test_lazy_is_eager(chunks):
    simulated, observed = hydrographs(gaps=0.05)
    expected = metrics.peak_timing(simulated, observed)
    with dask.config.set(scheduler=refuse_to_compute):
        lazy = metrics.peak_timing(simulated.chunk(chunks), observed)
        pooled = metrics.peak_timing(simulated.chunk(chunks), observed.chunk(time=500), ...)
    xr.testing.assert_allclose(lazy.compute(scheduler="sync"), expected)
    expected = metrics.peak_timing(simulated, observed, ("basin", "time"))
    xr.testing.assert_allclose(pooled.compute(scheduler="sync"), expected)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("window", 0),
        ("window", 1.5),
        ("distance", True),
        ("distance", 0),
        ("threshold", -1),
        ("threshold", "1"),
    ],
)
def test_rules_that_make_no_sense_are_refused(option, value):
    observed = pulses({30: 9.0})
    with pytest.raises(DescriptionError, match=f"{option} is {value!r}; expected"):
        metrics.peak_timing(observed, observed, **{option: value})


def test_peaks_need_an_axis():
    simulated, observed = basins()
    pair = [array.expand_dims(run=2) for array in (simulated, observed)]
    with pytest.raises(DimensionError, match="none of them is 'time'"):
        metrics.peak_timing(*pair, ("run", "basin"))
    assert "peak_timing" not in metrics.evaluate(*pair, ("run", "basin"))
    assert "peak_timing" in metrics.evaluate(*pair, ("run", "time"))

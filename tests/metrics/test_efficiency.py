"""Promises of hydroxr.metrics, checked against other packages, plain Python and closed forms."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hydroxr import metrics
from hydroxr.errors import CoordinateError, DimensionError, EmptySelectionError, UnitsError

pytestmark = pytest.mark.filterwarnings("error")

SINGLE: dict[str, Callable[..., xr.DataArray]] = {
    "nse": metrics.nse,
    "kge": metrics.kge,
    "rmse": metrics.rmse,
    "bias": metrics.bias,
    "pbias": metrics.pbias,
    "correlation": metrics.correlation,
    "log_nse": metrics.log_nse,
    "flv": metrics.flv,
    "fhv": metrics.fhv,
    "kge_2012": metrics.kge_2012,
    "peak_timing": metrics.peak_timing,
}
EVALUATED = [
    *("nse", "kge", "r", "alpha", "beta", "rmse", "pbias", "flv", "fhv", "log_nse"),
    *("kge_2012", "gamma", "peak_timing", "n_days"),
]


def series(values, start: str = "2000-01-01", **coords) -> xr.DataArray:
    """A daily series."""
    values = np.asarray(values, dtype=float)
    time = xr.date_range(start, periods=values.size)
    return xr.DataArray(values, dims="time", coords={"time": time, **coords})


def basins(n_basins: int = 4, n_days: int = 300, seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Streamflow of some basins, simulated ``(basin, time)`` and observed ``(time, basin)``, with gaps."""
    random = np.random.default_rng(seed)
    observed = random.gamma(0.7, 3.0, (n_days, n_basins))
    simulated = (observed * random.lognormal(0.1, 0.5, observed.shape)).T
    observed[random.random(observed.shape) < 0.1] = np.nan
    simulated[random.random(simulated.shape) < 0.05] = np.nan
    coords = {
        "time": xr.date_range("1990-10-01", periods=n_days),
        "basin": np.arange(n_basins),
        "basin_id": ("basin", [f"{10 * i:08d}" for i in range(n_basins)]),
    }
    attrs = {"units": "kg m-2 day-1", "standard_name": "runoff_flux", "cell_methods": "time: mean"}
    return (
        xr.DataArray(simulated, dims=("basin", "time"), coords=coords, attrs=attrs, name="streamflow"),
        xr.DataArray(observed, dims=("time", "basin"), coords=coords, attrs={"units": "mm/day"}, name="qobs"),
    )


def refuse_to_compute(*_args, **_kwargs):
    raise AssertionError("something was computed that should have stayed lazy")


def peaks_by_hand(observed: np.ndarray, distance: int, prominence: float) -> list[int]:
    """The peaks of a series, from their definition, day by day."""
    n = len(observed)
    maxima = []
    for first in range(1, n):
        last = first
        while last + 1 < n and observed[last + 1] == observed[first]:
            last += 1
        if last + 1 < n and observed[first - 1] < observed[first] > observed[last + 1]:
            maxima.append((first + last) // 2)
    left: list[int] = []
    for peak in sorted(maxima, key=lambda day: (-observed[day], day)):
        if all(abs(peak - other) >= distance for other in left):
            left.append(peak)
    kept = []
    for peak in sorted(left):
        lowest = []
        for step in (-1, 1):
            day, found = peak, observed[peak]
            while 0 <= day < n and not observed[day] > observed[peak]:
                found = min(found, observed[day]) if observed[day] == observed[day] else found
                day += step
            lowest.append(found)
        if observed[peak] - max(lowest) >= prominence:
            kept.append(peak)
    return kept


def timing_by_hand(
    simulated: np.ndarray,
    observed: np.ndarray,
    window: int = 3,
    distance: int = 100,
    threshold: float = 1.0,
) -> list[int]:
    """For each peak the days to the nearest of the highest simulated values around it."""
    there = ~np.isnan(simulated) & ~np.isnan(observed)
    if there.sum() < 2:
        return []
    simulated, observed = np.where(there, simulated, np.nan), np.where(there, observed, np.nan)
    errors = []
    for peak in peaks_by_hand(observed, distance, threshold * statistics.pstdev(observed[there])):
        days = range(peak - window, peak + window + 1)
        if days[0] >= 0 and days[-1] < len(observed) and there[list(days)].all():
            highest = max(simulated[day] for day in days)
            errors.append(min(abs(day - peak) for day in days if simulated[day] == highest))
    return errors


def by_hand(simulated: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    """The metrics of one basin in plain Python, pair by pair."""
    pairs = [(s, o) for s, o in zip(simulated, observed, strict=True) if not (math.isnan(s) or math.isnan(o))]
    s, o = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    n = len(pairs)
    r = statistics.correlation(s, o)
    alpha = statistics.stdev(s) / statistics.stdev(o)  # n - 1 above and below: the ratio is the same
    beta = statistics.fmean(s) / statistics.fmean(o)
    low, high = round(0.3 * n), round(0.02 * n)
    s_low, o_low = sum(sorted(s)[:low]), sum(sorted(o)[:low])
    s_high, o_high = sum(sorted(s, reverse=True)[:high]), sum(sorted(o, reverse=True)[:high])
    gamma = (statistics.pstdev(s) / statistics.fmean(s)) / (statistics.pstdev(o) / statistics.fmean(o))
    timing = timing_by_hand(simulated, observed)
    s_log, o_log = ([math.log(math.sqrt(q + 1e-6) + 0.1) for q in flow] for flow in (s, o))
    return {
        "nse": 1 - sum((a - b) ** 2 for a, b in pairs) / (statistics.pvariance(o) * n),
        "kge": 1 - math.dist((r, alpha, beta), (1, 1, 1)),
        "r": r,
        "alpha": alpha,
        "beta": beta,
        "rmse": math.sqrt(statistics.fmean((a - b) ** 2 for a, b in pairs)),
        "pbias": 100 * (sum(s) / sum(o) - 1),
        "flv": 100 * (s_low / o_low - 1),
        "fhv": 100 * (s_high / o_high - 1) if high else math.nan,
        # NSE does not change with the base of a logarithm: the natural one must do as well as log10
        "log_nse": 1 - math.dist(s_log, o_log) ** 2 / (statistics.pvariance(o_log) * n),
        "kge_2012": 1 - math.dist((r, gamma, beta), (1, 1, 1)),
        "gamma": gamma,
        "peak_timing": statistics.fmean(timing) if timing else math.nan,
        "n_days": n,
    }


# --- Independent sources --------------------------------------------------------------------------


def formula_series() -> tuple[xr.DataArray, xr.DataArray]:
    day = np.arange(1000)
    observed = 3 + 2 * np.sin(2 * np.pi * day / 365.25) + (day * 7919 % 101) / 25
    simulated = 2.5 + 2.4 * np.sin(2 * np.pi * (day - 9) / 365.25) + (day * 104729 % 97) / 30
    observed[day % 37 == 5] = np.nan
    simulated[day % 53 == 11] = np.nan
    return series(simulated), series(observed)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nse", 0.054024873794344286),  # hydroeval 0.1.0, HydroErr 2.0.0, neuralhydrology 1.13.0
        ("kge", 0.6182817628672405),  # the same three
        ("r", 0.6632017524143766),  # hydroeval, HydroErr
        ("alpha", 1.0492982521098024),  # the three
        ("beta", 0.8272416852307446),  # the three
        ("rmse", 1.7792471521387145),  # the three
        ("pbias", -17.275831476925557),  # hydroeval, whose sign is the opposite
        ("fhv", -9.94909990035269),  # neuralhydrology, fdc_fhv with h=0.02
        ("log_nse", -0.7352159024882876),  # HydroErr, nse of the transformed series
        ("n_days", 954),
    ],
)
def test_values_agree_with_other_packages(name, expected):
    simulated, observed = formula_series()
    assert float(metrics.evaluate(simulated, observed)[name]) == pytest.approx(expected, rel=1e-12)


def test_bias_agrees_with_another_package():
    # HydroErr 2.0.0, me
    assert float(metrics.bias(*formula_series())) == pytest.approx(-0.8900887830265917, rel=1e-12)


def test_values_agree_with_plain_python_in_every_basin():
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed)
    for basin in scores["basin"].values:
        expected = by_hand(simulated.sel(basin=basin).values, observed.sel(basin=basin).values)
        found = {name: float(scores[name].sel(basin=basin)) for name in EVALUATED}
        assert found == pytest.approx(expected, rel=1e-10, nan_ok=True)


FLOW = st.one_of(st.just(math.nan), st.integers(1, 6400).map(lambda steps: steps / 64))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(FLOW, FLOW), min_size=1, max_size=60))
def test_any_series_gives_the_values_of_plain_python_or_nan(pairs):
    simulated, observed = (np.array(column) for column in zip(*pairs, strict=True))
    scores = metrics.evaluate(series(simulated), series(observed))
    there = ~np.isnan(simulated) & ~np.isnan(observed)
    assert int(scores["n_days"]) == there.sum()
    if there.sum() < 2:
        assert all(np.isnan(scores[name]) for name in EVALUATED if name != "n_days")
    elif len(set(simulated[there])) > 1 and len(set(observed[there])) > 1:
        found = {name: float(scores[name]) for name in EVALUATED}
        assert found == pytest.approx(by_hand(simulated, observed), rel=1e-9, abs=1e-9, nan_ok=True)


def hydroerr(name: str, simulated: np.ndarray, observed: np.ndarray) -> float | tuple[float, ...]:
    """A metric of HydroErr; on pairs, since it warns of each gap that it takes out."""
    import HydroErr

    parts = {"return_all": True} if name.startswith("kge") else {}
    both = ~np.isnan(simulated) & ~np.isnan(observed)
    return getattr(HydroErr, name)(simulated[both], observed[both], **parts)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("nse", metrics.nse),
        ("rmse", metrics.rmse),
        ("me", metrics.bias),
        ("pearson_r", metrics.correlation),
        ("kge_2009", lambda *pair: (*metrics.kge_parts(*pair).data_vars.values(), metrics.kge(*pair))),
        (
            "kge_2012",
            lambda *pair: (*metrics.kge_2012_parts(*pair).data_vars.values(), metrics.kge_2012(*pair)),
        ),
    ],
)
def test_values_agree_with_hydroerr_in_every_basin(theirs, ours):
    simulated, observed = basins()
    found = ours(simulated, observed)
    for basin in simulated["basin"].values:
        expected = hydroerr(theirs, simulated.sel(basin=basin).values, observed.sel(basin=basin).values)
        parts = found if isinstance(found, tuple) else (found,)
        here = [float(part.sel(basin=basin)) for part in parts]
        assert here == pytest.approx(list(np.atleast_1d(expected)), rel=1e-10)


def test_log_nse_agrees_with_hydroerr_on_the_scale_of_feng_et_al():
    simulated, observed = basins()
    scaled = [np.log10(np.sqrt(a.sel(basin=1).values + 1e-6) + 0.1) for a in (simulated, observed)]
    expected = hydroerr("nse", *scaled)
    assert float(metrics.log_nse(simulated, observed).sel(basin=1)) == pytest.approx(expected, rel=1e-10)


# --- Closed forms ---------------------------------------------------------------------------------


def test_a_perfect_simulation():
    _, observed = basins()
    scores = metrics.evaluate(observed, observed)
    for name in ("nse", "kge", "r", "alpha", "beta", "log_nse", "kge_2012", "gamma"):
        np.testing.assert_allclose(scores[name], 1.0, rtol=1e-12)
    for name in ("rmse", "pbias", "flv", "fhv"):
        np.testing.assert_array_equal(scores[name], 0.0)
    timing = metrics.peak_timing(observed, observed, distance=10)
    np.testing.assert_array_equal(timing, 0.0)


def test_the_mean_flow_as_simulation():
    observed = series([1.0, 2.0, 6.0, 3.0, 3.0])
    scores = metrics.evaluate(xr.full_like(observed, 3.0), observed)
    assert float(scores["nse"]) == 0.0
    assert float(scores["r"]) == 0.0
    assert float(scores["alpha"]) == 0.0
    assert float(scores["beta"]) == 1.0
    assert float(scores["kge"]) == pytest.approx(1 - math.sqrt(2))  # Knoben et al. (2019)
    assert float(scores["gamma"]) == 0.0
    assert float(scores["kge_2012"]) == pytest.approx(1 - math.sqrt(2))


def test_a_simulation_twice_too_large():
    observed = series(np.arange(1.0, 101.0))
    scores = metrics.evaluate(2 * observed, observed)
    assert float(scores["r"]) == pytest.approx(1.0)
    assert float(scores["alpha"]) == pytest.approx(2.0)
    assert float(scores["beta"]) == pytest.approx(2.0)
    assert float(scores["kge"]) == pytest.approx(1 - math.sqrt(2))
    assert float(scores["gamma"]) == pytest.approx(1.0)
    assert float(scores["kge_2012"]) == pytest.approx(0.0)  # the bias counts once
    assert float(scores["pbias"]) == pytest.approx(100.0)
    assert float(scores["flv"]) == pytest.approx(100.0)
    assert float(scores["fhv"]) == pytest.approx(100.0)
    # the mean of squares of 1..n is (n + 1)(2n + 1)/6, their variance (n^2 - 1)/12
    assert float(scores["rmse"]) == pytest.approx(math.sqrt(101 * 201 / 6))
    assert float(scores["nse"]) == pytest.approx(1 - (101 * 201 / 6) / ((100**2 - 1) / 12))


def test_duration_curves_do_not_look_at_the_days():
    observed = series(np.arange(1.0, 101.0))
    backwards = observed.copy(data=observed.values[::-1])
    assert float(metrics.flv(backwards, observed)) == 0.0
    assert float(metrics.fhv(backwards, observed)) == 0.0
    assert float(metrics.correlation(backwards, observed)) == pytest.approx(-1.0)


def test_duration_curves_take_the_lowest_30_and_the_highest_2_percent():
    observed = series(np.arange(1.0, 101.0))
    low = observed.where(observed > 30, observed + 1)  # 30 of 100 flows are 1 too high
    assert float(metrics.flv(low, observed)) == pytest.approx(100 * 30 / (30 * 31 / 2))
    assert float(metrics.fhv(low, observed)) == 0.0
    high = observed.where(observed < 99, observed + 1)  # 2 of 100
    assert float(metrics.fhv(high, observed)) == pytest.approx(100 * 2 / (99 + 100))
    assert float(metrics.flv(high, observed)) == 0.0


@pytest.mark.parametrize(("n", "n_low", "n_high"), [(5, 2, 0), (25, 8, 0), (26, 8, 1), (75, 22, 2)])
def test_duration_curves_round_the_number_of_days(n, n_low, n_high):
    # 0.3 x 5 = 1.5 and 0.3 x 75 = 22.5 and 0.02 x 25 = 0.5: halves go to the even number
    observed = series(np.arange(1.0, n + 1.0))
    assert float(metrics.flv(observed + 1, observed)) == pytest.approx(100 * 2 / (n_low + 1))
    expected = 100 / (n - (n_high - 1) / 2) if n_high else math.nan
    assert float(metrics.fhv(observed + 1, observed)) == pytest.approx(expected, nan_ok=True)


def test_negative_flows_count_as_zero_in_log_nse():
    observed = series([0.2, 1.0, 2.0, 3.0])
    with_zero, with_negative = series([0.0, 1.0, 2.0, 2.0]), series([-0.5, 1.0, 2.0, 2.0])
    assert float(metrics.log_nse(with_negative, observed)) == float(metrics.log_nse(with_zero, observed))


# --- Gaps, and what is undefined ------------------------------------------------------------------


def test_a_gap_in_one_series_takes_the_value_out_of_the_other():
    observed = series([1.0, 2.0, np.nan, 4.0, 7.0, 5.0])
    simulated = series([1.5, 2.0, 1000.0, np.nan, 6.0, 5.5])
    kept = [0, 1, 4, 5]
    whole = metrics.evaluate(simulated, observed)
    xr.testing.assert_allclose(whole, metrics.evaluate(simulated[kept], observed[kept]))
    assert int(whole["n_days"]) == 4


def test_gaps_in_the_simulation_do_not_enter_the_duration_curves():
    observed = series(np.arange(1.0, 201.0))
    simulated = observed.where(observed <= 100)
    assert float(metrics.flv(simulated, observed)) == 0.0
    assert float(metrics.fhv(simulated, observed)) == 0.0


@pytest.mark.parametrize("observed", [[np.nan, np.nan, np.nan], [1.0, np.nan, np.nan]])
def test_fewer_than_two_pairs_are_undefined(observed):
    simulated = series([1.0, 2.0, 3.0])
    scores = metrics.evaluate(simulated, series(observed))
    assert int(scores["n_days"]) == np.isfinite(observed).sum()
    assert all(np.isnan(scores[name]) for name in EVALUATED if name != "n_days")
    assert all(np.isnan(metric(simulated, series(observed))) for metric in SINGLE.values())


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.0])
def test_constant_observations_have_no_efficiency(constant):
    # the mean of many 0.1 is not 0.1 in floating point: a variance of 1e-33 must count as none
    observed = series(np.full(5479, constant))
    scores = metrics.evaluate(series(np.arange(5479.0)), observed)
    for name in ("nse", "kge", "r", "alpha", "log_nse", "kge_2012", "gamma", "peak_timing"):
        assert np.isnan(scores[name]), name
    assert np.isfinite(scores["rmse"])
    assert np.isnan(scores["pbias"]) == (constant == 0)
    assert np.isnan(metrics.correlation(observed, observed))


def test_a_constant_simulation_has_a_correlation_of_zero():
    observed = series(np.arange(1.0, 5480.0))
    parts = metrics.kge_parts(xr.full_like(observed, 0.1), observed)
    assert float(parts["r"]) == 0.0
    assert float(parts["alpha"]) == 0.0


def test_a_dry_river_has_no_bias_in_percent():
    observed = series([0.0] * 40 + [1.0] * 60)
    scores = metrics.evaluate(observed + 0.1, observed)
    assert np.isnan(scores["flv"])
    assert float(scores["pbias"]) == pytest.approx(100 * 0.1 / 0.6)


def test_a_simulation_that_has_blown_up_is_not_flattered():
    simulated, observed = basins()
    simulated[2, 7] = np.inf
    observed[7, 2] = 1.0
    scores = metrics.evaluate(simulated, observed)
    assert all(np.isnan(scores[name][2]) for name in EVALUATED if name != "n_days")
    assert np.isnan(metrics.peak_timing(simulated, observed, distance=10)[2])
    assert np.isfinite(scores["nse"][[0, 1, 3]]).all()


@pytest.mark.parametrize("dtype", ["float32", ">f4", "int32"])
def test_sums_are_taken_in_float64(dtype):
    random = np.random.default_rng(1)
    observed = series((1e6 + 1000 * random.random(20_000)).round()).astype(dtype)
    simulated = (observed + 100).astype(dtype)
    scores = metrics.evaluate(simulated, observed)
    assert all(scores[name].dtype == np.float64 for name in EVALUATED if name != "n_days")
    assert float(scores["alpha"]) == pytest.approx(1.0, rel=1e-9)
    assert float(metrics.bias(simulated, observed)) == pytest.approx(100.0, rel=1e-9)


# --- Labels, dimensions, attributes ---------------------------------------------------------------


def test_each_function_is_a_variable_of_evaluate():
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed)
    assert list(scores.data_vars) == EVALUATED
    for name, metric in SINGLE.items():
        if name in scores:
            xr.testing.assert_identical(metric(simulated, observed), scores[name])
    xr.testing.assert_identical(metrics.correlation(simulated, observed), scores["r"])
    xr.testing.assert_identical(metrics.kge_parts(simulated, observed), scores[["r", "alpha", "beta"]])
    xr.testing.assert_identical(metrics.kge_2012_parts(simulated, observed), scores[["r", "gamma", "beta"]])
    xr.testing.assert_allclose(
        metrics.bias(simulated, observed),
        (simulated - observed).mean("time"),
    )


def test_attributes_come_from_the_table_and_no_others():
    scores = metrics.evaluate(*basins())
    units = {name: scores[name].attrs.pop("units") for name in EVALUATED}
    percent, flow = ("pbias", "flv", "fhv"), ("rmse",)
    expected = {n: "%" if n in percent else "kg m-2 day-1" if n in flow else "1" for n in EVALUATED}
    assert units == expected | {"peak_timing": "day"}
    assert all(list(scores[name].attrs) == ["long_name"] for name in EVALUATED)
    assert scores.attrs == {}


def test_an_error_has_the_units_of_the_data():
    observed = series([1.0, 2.0, 4.0]).assign_attrs(units="m3 s-1")
    assert metrics.rmse(observed, observed).attrs["units"] == "m3 s-1"
    assert (
        metrics.bias(observed.assign_attrs(units="mm/day"), observed.assign_attrs(units="mm d-1")).attrs[
            "units"
        ]
        == "kg m-2 day-1"
    )


def test_coordinates_of_space_are_kept():
    simulated, observed = basins()
    simulated = simulated.assign_coords(elevation=("basin", [1.0, 2.0, 3.0, 4.0]))
    observed = observed.assign_coords(elevation=("basin", [1.0, 2.0, 3.0, 4.1]))
    scores = metrics.evaluate(simulated, observed)
    assert set(scores.coords) == {"basin", "basin_id", "elevation"}
    assert scores["elevation"].values.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert scores["nse"].dims == ("basin",)


def test_inputs_are_left_as_they_were():
    simulated, observed = basins()
    copies = simulated.copy(deep=True), observed.copy(deep=True)
    metrics.evaluate(simulated, observed)
    xr.testing.assert_identical(simulated, copies[0])
    xr.testing.assert_identical(observed, copies[1])


def test_a_grid_and_any_order_of_dimensions():
    simulated, observed = basins(6)
    flat = metrics.evaluate(simulated, observed)
    grid = [
        a.drop_vars(["basin", "basin_id"]).data.reshape(shape)
        for a, shape in ((simulated, (2, 3, -1)), (observed.transpose(), (2, 3, -1)))
    ]
    coords = {"time": simulated["time"], "lat": [50.0, 50.5], "lon": [7.0, 7.5, 8.0]}
    first = xr.DataArray(grid[0], dims=("lat", "lon", "time"), coords=coords)
    second = xr.DataArray(grid[1], dims=("lat", "lon", "time"), coords=coords).transpose("lon", "time", "lat")
    scores = metrics.evaluate(first, second)
    assert scores["nse"].dims == ("lat", "lon")
    for name in EVALUATED:
        np.testing.assert_allclose(scores[name].values.ravel(), flat[name].values)


def test_members_of_an_ensemble_share_the_observations():
    simulated, observed = basins()
    members = xr.concat([simulated, 2 * simulated], "member")
    scores = metrics.evaluate(members, observed)
    assert scores["nse"].sizes == {"member": 2, "basin": 4}
    xr.testing.assert_allclose(scores.isel(member=1), metrics.evaluate(2 * simulated, observed))


def test_another_dimension_than_time():
    simulated, observed = basins()
    across = metrics.rmse(simulated, observed, dim="basin")
    assert across.dims == ("time",)
    expected = ((simulated - observed) ** 2).mean("basin").where((simulated * observed).count("basin") > 1)
    np.testing.assert_allclose(across, expected**0.5)


def test_only_common_days_count():
    simulated, observed = basins()
    later = observed.isel(time=slice(100, None))
    xr.testing.assert_allclose(
        metrics.evaluate(simulated, later), metrics.evaluate(simulated.isel(time=slice(100, None)), later)
    )
    assert (metrics.evaluate(simulated, later)["n_days"] <= 200).all()


def test_days_are_matched_by_label_not_by_position():
    simulated, observed = basins()
    xr.testing.assert_allclose(
        metrics.evaluate(simulated.isel(time=slice(None, None, -1)), observed),
        metrics.evaluate(simulated, observed),
    )


def test_resolutions_of_time_do_not_matter():
    simulated, observed = basins()
    seconds = observed.assign_coords(time=observed["time"].values.astype("datetime64[s]"))
    xr.testing.assert_allclose(metrics.evaluate(simulated, seconds), metrics.evaluate(simulated, observed))


# --- Errors ---------------------------------------------------------------------------------------


def test_stamps_at_00_and_12_hours_are_named():
    observed = series(np.arange(10.0))
    simulated = observed.assign_coords(time=observed["time"] + np.timedelta64(12, "h"))
    with pytest.raises(CoordinateError, match="the days are the same") as caught:
        metrics.nse(simulated, observed)
    message = str(caught.value)
    assert "'simulated' is stamped 12:00 and 'observed' 00:00" in message
    assert "2000-01-01 12:00 to 2000-01-10 12:00" in message
    assert "2000-01-01 00:00" in message
    # the advice in the message works
    midnight = simulated.assign_coords(time=lambda a: a["time"].dt.floor("D"))
    assert 'assign_coords(time=lambda a: a["time"].dt.floor("D"))' in message
    assert float(metrics.nse(midnight, observed)) == 1.0


def test_stamps_at_00_and_12_hours_are_named_in_any_calendar():
    time = xr.date_range("2000-02-25", periods=10, calendar="noleap", use_cftime=True)
    observed = series(np.arange(10.0)).assign_coords(time=time)
    simulated = observed.assign_coords(time=time.shift(12, "h"))
    with pytest.raises(CoordinateError, match="'simulated' is stamped 12:00 and 'observed' 00:00"):
        metrics.nse(simulated, observed)


def test_periods_without_a_common_day_tell_both_ranges():
    with pytest.raises(CoordinateError) as caught:
        metrics.evaluate(series(np.arange(5.0)), series(np.arange(5.0), start="2010-01-01"))
    message = str(caught.value)
    assert "2000-01-01 00:00 to 2000-01-05 00:00" in message
    assert "2010-01-01 00:00 to 2010-01-05 00:00" in message
    assert "stamped" not in message


def test_calendars_that_differ_are_named():
    observed = series(np.arange(5.0))
    simulated = observed.convert_calendar("noleap", use_cftime=True)
    with pytest.raises(CoordinateError, match=r"calendars differ \(noleap .* proleptic_gregorian") as caught:
        metrics.nse(simulated, observed)
    assert "observed.convert_calendar('noleap', use_cftime=True)" in str(caught.value)
    assert float(metrics.nse(simulated, observed.convert_calendar("noleap", use_cftime=True))) == 1.0


def test_labels_that_are_no_times():
    one = xr.DataArray([1.0, 2.0, 3.0], dims="run", coords={"run": [1, 2, 3]})
    assert float(metrics.nse(one, one, dim="run")) == 1.0
    with pytest.raises(CoordinateError, match=r"1 to 3.*4 to 6"):
        metrics.nse(one, one.assign_coords(run=[4, 5, 6]), dim="run")


def test_duplicate_days_are_refused():
    observed = series(np.arange(5.0))
    with pytest.raises(CoordinateError, match="duplicate"):
        metrics.nse(observed, observed.isel(time=[0, 0, 1, 2]))


def test_lengths_without_labels_must_be_the_same():
    observed = xr.DataArray([1.0, 2.0, 4.0], dims="time")
    assert float(metrics.nse(observed, observed)) == 1.0
    with pytest.raises(CoordinateError, match="cannot be matched along 'time'"):
        metrics.nse(observed, observed[:2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.isel(basin=[0, 1]), "2 labels in common"),
        (lambda a: a.isel(basin=[1, 0, 2, 3]), r"Only the order differs: use observed.sel\(basin=simulated"),
        (lambda a: a.assign_coords(basin=[10, 11, 12, 13]), "0 labels in common"),
        (lambda a: a.drop_vars(["basin", "basin_id"]).isel(basin=[0, 1]), "no labels say which"),
    ],
)
def test_basins_that_do_not_match_are_refused(change, message):
    simulated, observed = basins()
    with pytest.raises(CoordinateError, match=message):
        metrics.evaluate(simulated, change(observed))


def test_a_grid_that_differs_by_rounding_is_refused_with_advice():
    values = np.ones((3, 2))
    coords = {"time": [0, 1, 2], "lat": np.array([50.1, 50.3])}
    simulated = xr.DataArray(values, dims=("time", "lat"), coords=coords)
    observed = simulated.assign_coords(lat=np.array([50.1, 50.3], dtype="float32"))
    with pytest.raises(
        CoordinateError, match=r"rounding, use observed.assign_coords\(lat=simulated\['lat'\]\)"
    ):
        metrics.rmse(simulated, observed)


def test_basin_ids_must_match_although_they_are_no_index():
    simulated, observed = basins()
    other = observed.assign_coords(basin_id=("basin", ["00000000", "99", "00000020", "00000030"]))
    with pytest.raises(
        CoordinateError, match="'basin_id' is 00000010 in 'simulated' and 99 in 'observed', 1 of 4"
    ):
        metrics.evaluate(simulated, other)
    with pytest.raises(CoordinateError, match="'basin' is 0 in 'simulated' and 1 in 'observed'"):
        metrics.evaluate(simulated.isel(basin=0), observed.isel(basin=1))
    with pytest.raises(CoordinateError, match=r"'basin' has dimensions \{'basin': 4\} in 'simulated'"):
        metrics.evaluate(simulated, observed.isel(basin=1))
    # where only one of the two says, there is nothing to compare
    metrics.evaluate(simulated, observed.drop_vars("basin_id"))


def test_dimensions_that_would_multiply_are_refused():
    simulated, observed = basins()
    with pytest.raises(DimensionError, match="one must have all those of the other"):
        metrics.nse(simulated, observed.rename(basin="gauge"))
    with pytest.raises(DimensionError, match="'observed' has no dimension 'time'"):
        metrics.nse(simulated, observed.mean("time"))


def test_an_empty_selection_is_refused():
    observed = series(np.arange(5.0))
    with pytest.raises(EmptySelectionError, match="'simulated' has no values along 'time'"):
        metrics.nse(observed.sel(time=slice("2010", "2011")), observed)


def test_units_that_differ_are_refused():
    observed = series([1.0, 2.0, 4.0])
    with pytest.raises(UnitsError, match="'simulated' is in 'mm/day', 'observed' in 'm3 s-1'"):
        metrics.nse(observed.assign_attrs(units="mm/day"), observed.assign_attrs(units="m3 s-1"))
    assert float(metrics.nse(observed.assign_attrs(units="mm/day"), observed)) == 1.0


# --- Lazy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [{"basin": 2}, {"time": 70}, {"basin": 3, "time": 113}, {"time": -1}])
@pytest.mark.parametrize("which", ["both", "simulated", "observed"])
def test_lazy_is_eager_with_any_chunks(chunks, which):
    simulated, observed = basins()
    eager = metrics.evaluate(simulated, observed)
    if which != "observed":
        simulated = simulated.chunk(chunks)
    if which != "simulated":
        observed = observed.chunk({name: size if size < 0 else size + 1 for name, size in chunks.items()})
    with dask.config.set(scheduler=refuse_to_compute):
        lazy = metrics.evaluate(simulated, observed)
        single = {name: metric(simulated, observed) for name, metric in SINGLE.items()}
    assert all(lazy[name].chunks is not None for name in EVALUATED)
    assert all(result.chunks is not None for result in single.values())
    xr.testing.assert_allclose(lazy.compute(scheduler="threads"), eager, rtol=1e-11)
    assert lazy["nse"].attrs == eager["nse"].attrs


def test_lazy_basin_ids_are_compared_when_computed():
    simulated, observed = (array.chunk(basin=2) for array in basins())  # chunks basin_id as well
    other = observed.assign_coords(basin_id=("basin", ["00000000", "00000010", "00000020", "99"]))
    with dask.config.set(scheduler=refuse_to_compute):
        lazy = metrics.nse(simulated, other)
    with pytest.raises(CoordinateError, match="'basin_id' is 00000030 in 'simulated' and 99 in 'observed'"):
        lazy.compute(scheduler="sync")


def test_cells_outside_all_basins_may_have_nan_as_basin_id():
    simulated, observed = basins()
    ids = ("basin", [1.0, np.nan, 3.0, np.nan])
    for chunks in (None, {"basin": 2}):
        pair = [array.assign_coords(basin_id=ids) for array in (simulated, observed)]
        scores = metrics.nse(*(pair if chunks is None else [array.chunk(chunks) for array in pair]))
        np.testing.assert_allclose(scores, metrics.nse(simulated, observed))


def test_lazy_stays_chunked_in_space():
    simulated, observed = (array.chunk(basin=1, time=50) for array in basins())
    for variable in metrics.evaluate(simulated, observed).data_vars.values():
        assert variable.chunks == ((1, 1, 1, 1),)


def test_lazy_and_undefined_gives_no_warning():
    simulated, observed = basins()
    observed[:, 0] = np.nan
    observed[:, 1] = 0.0
    simulated[2] = np.inf
    lazy = metrics.evaluate(simulated.chunk(time=50), observed.chunk(time=50))
    xr.testing.assert_allclose(lazy.compute(scheduler="sync"), metrics.evaluate(simulated, observed))

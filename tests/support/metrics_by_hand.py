"""Metrics in plain Python, and series to test them on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import xarray as xr

from hydroxr import metrics

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
    """Simulated streamflow ``(basin, time)`` and observed ``(time, basin)``, both with gaps."""
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


def formula_series() -> tuple[xr.DataArray, xr.DataArray]:
    day = np.arange(1000)
    observed = 3 + 2 * np.sin(2 * np.pi * day / 365.25) + (day * 7919 % 101) / 25
    simulated = 2.5 + 2.4 * np.sin(2 * np.pi * (day - 9) / 365.25) + (day * 104729 % 97) / 30
    observed[day % 37 == 5] = np.nan
    simulated[day % 53 == 11] = np.nan
    return series(simulated), series(observed)


def refuse_to_compute(*_args, **_kwargs):
    raise AssertionError("something was computed that should have stayed lazy")


def peaks_by_hand(observed: np.ndarray, distance: int, prominence: float) -> list[int]:
    """The peaks of a series by their definition, day by day."""
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
    """For each peak, days to the nearest of the highest simulated values around it."""
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
    alpha = statistics.stdev(s) / statistics.stdev(o)  # n - 1 in both: the ratio is the same
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
        # NSE does not depend on the base of the logarithm.
        "log_nse": 1 - math.dist(s_log, o_log) ** 2 / (statistics.pvariance(o_log) * n),
        "kge_2012": 1 - math.dist((r, gamma, beta), (1, 1, 1)),
        "gamma": gamma,
        "peak_timing": statistics.fmean(timing) if timing else math.nan,
        "n_days": n,
    }


def hydroerr(name: str, simulated: np.ndarray, observed: np.ndarray) -> float | tuple[float, ...]:
    """A metric of HydroErr, on pairs without gaps, since it warns of each gap."""
    import HydroErr

    parts = {"return_all": True} if name.startswith("kge") else {}
    both = ~np.isnan(simulated) & ~np.isnan(observed)
    return getattr(HydroErr, name)(simulated[both], observed[both], **parts)

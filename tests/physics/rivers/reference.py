"""Routing in NumPy, day by day and step by step, in Muskingum's own form of three coefficients."""

from __future__ import annotations

import numpy as np

from hydroxr.physics.rivers.scheme import Scheme

DAY = 86400.0


def route(
    lateral: np.ndarray, k: np.ndarray, x: np.ndarray, downstream: np.ndarray, scheme: Scheme
) -> tuple[np.ndarray, np.ndarray]:
    """Discharge (reach, time), m3 s-1, and water in the reaches at the end of each day, m3.

    ``O2 = C0 I2 + C1 I1 + C2 O1`` of means over sub-steps. ``k`` is in days.
    """
    number, n_days = lateral.shape
    discharge, stored = np.zeros((number, n_days)), np.zeros((number, n_days))
    before = [np.zeros((n, 2)) for n in scheme.sections]  # inflow and outflow of the last sub-step
    water = [np.zeros(n) for n in scheme.sections]
    for day in range(n_days):
        arrived: dict[int, list[np.ndarray]] = {reach: [] for reach in range(number)}
        for reach in upstream_first(downstream):
            steps, within = int(scheme.steps[reach]), int(scheme.within[reach])
            series = np.full(steps, lateral[reach, day]) + sum(resampled(s, steps) for s in arrived[reach])
            for section in range(scheme.sections[reach]):
                out = np.empty(steps)
                for step in range(steps):
                    parts = []
                    for _ in range(within):
                        share = k[reach] * DAY / scheme.sections[reach]
                        dt = DAY / steps / within
                        flow = outflow(
                            series[step], before[reach][section], water[reach][section], share, x[reach], dt,
                            scheme.linear,
                        )  # fmt: skip
                        water[reach][section] += dt * (series[step] - flow)
                        before[reach][section] = series[step], flow
                        parts.append(flow)
                    out[step] = np.mean(parts)
                series = out
            discharge[reach, day], stored[reach, day] = series.mean(), water[reach].sum()
            if downstream[reach] >= 0:
                arrived[downstream[reach]].append(series)
    return discharge, stored


def outflow(
    inflow: float, before: np.ndarray, water: float, k: float, x: float, dt: float, linear: bool
) -> float:
    if k == 0:
        return inflow
    if linear:
        left = water * np.exp(-dt / k) + inflow * k * (1 - np.exp(-dt / k))
        return inflow - (left - water) / dt
    divisor = 2 * k * (1 - x) + dt
    c = np.array([dt - 2 * k * x, dt + 2 * k * x, 2 * k * (1 - x) - dt]) / divisor
    assert (c > -1e-12).all()
    assert np.isclose(c.sum(), 1)
    return float(c @ [inflow, *before])


def resampled(series: np.ndarray, steps: int) -> np.ndarray:
    if len(series) > steps:
        return series.reshape(steps, -1).mean(1)
    return np.repeat(series, steps // len(series))


def upstream_first(downstream: np.ndarray) -> list[int]:
    done: list[int] = []
    while len(done) < len(downstream):
        waiting = {int(downstream[r]) for r in range(len(downstream)) if r not in done}
        done += [r for r in range(len(downstream)) if r not in done and r not in waiting]
    return done

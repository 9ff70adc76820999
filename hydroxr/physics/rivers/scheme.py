"""How each reach is cut in space and time, so that no coefficient of its routing is negative.

Muskingum's coefficients are not negative if ``2 K X <= dt <= 2 K (1 - X)``. A long reach is cut into
sections, of which each has its share of K; a short one takes sub-steps. Reaches hand on means over a
step, of which a day has a power of two: so the series of a reach is resampled for the next without loss
of water.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

DAY = 86400.0  # s
METHODS = ("linear", "muskingum", "muskingum-cunge")
UNITS = 16  # hidden units of the network that reads K and X from attributes of reaches
MOST_STEPS = 16  # per day that reaches hand on; a shorter reach takes more within each of them


@dataclass(frozen=True)
class Scheme:
    """Sections and steps of each reach, ``(reach,)``.

    Parameters
    ----------
    linear : bool
        Whether the reaches are linear reservoirs, solved exactly, instead of Muskingum's.
    steps : array of int
        Steps per day at which a reach takes water and hands it on.
    sections : array of int
        Sections in a row, each with an equal share of K.
    within : array of int
        Sub-steps within each step.
    most_x : array of float
        Largest X without a negative coefficient.
    """

    linear: bool
    steps: np.ndarray
    sections: np.ndarray
    within: np.ndarray
    most_x: np.ndarray

    def of(self, some: slice | np.ndarray) -> Scheme:
        """The scheme of some reaches."""
        parts = (self.steps, self.sections, self.within, self.most_x)
        return Scheme(self.linear, *(part[some] for part in parts))


def make_scheme(
    method: str, travel_time: np.ndarray, x: np.ndarray, downstream: np.ndarray, order: np.ndarray
) -> Scheme:
    """Cut the reaches.

    Parameters
    ----------
    method : str
        Of :data:`METHODS`.
    travel_time, x : array, (reach,)
        K, days, and X of Muskingum.
    downstream, order : array of int, (reach,)
        See :mod:`.topology`.
    """
    cut = _linear(travel_time) if method == "linear" else _muskingum(travel_time, x)
    passes = travel_time == 0
    if not passes.any():
        return cut
    # A reach that water passes at once neither averages over its steps nor needs any.
    steps = np.where(passes, 1, cut.steps)
    for reach in order[~passes.all() & (passes | passes[downstream])[order]]:
        below = downstream[reach]
        if below >= 0 and passes[below]:
            steps[below] = max(steps[below], steps[reach])
    return replace(cut, steps=steps)


def _linear(travel_time: np.ndarray) -> Scheme:
    ones = np.ones(len(travel_time), dtype=int)
    return Scheme(True, _power_of_two(0.5 / _positive(travel_time)), ones, ones, 0.0 * travel_time)


def _muskingum(travel_time: np.ndarray, x: np.ndarray) -> Scheme:
    """The cheapest of all cuts in which sections over sub-steps lie within both bounds, if there is one."""
    k = _positive(travel_time)
    low, high = 2 * k * x, 2 * k * (1 - x)
    best = np.full(len(k), np.inf)
    steps, sections, within = (np.ones(len(k), dtype=int) for _ in range(3))
    for number in 2 ** np.arange(int(np.log2(MOST_STEPS)) + 1):
        needed = np.maximum(1, np.ceil(low * number * (1 - 1e-12)))
        better = (needed <= high * number * (1 + 1e-12)) & (needed * number < best)
        best = np.where(better, needed * number, best)
        steps, sections = np.where(better, number, steps), np.where(better, needed, sections).astype(int)
    # A very short reach; the ends of its sub-steps within a step are known in closed form.
    short = np.isinf(best) & (high * MOST_STEPS < 1)
    within = np.where(short, np.ceil(1 / (MOST_STEPS * high)), within).astype(int)
    # X near 0.5 leaves hardly a choice: the nearest cut, and X as large as it may be there.
    tight = np.isinf(best) & ~(short & (within * MOST_STEPS * low <= 1))
    steps = np.where(np.isinf(best), MOST_STEPS, steps)
    sections = np.where(tight, np.maximum(1, np.rint(k * MOST_STEPS)), sections).astype(int)
    within = np.where(tight, np.maximum(1, np.ceil(1 / (k * MOST_STEPS))), within).astype(int)
    within = np.where(tight & (k * MOST_STEPS >= 1), 1, within)
    share = sections / (steps * within * 2 * k)  # of dt in 2 K of a section
    return Scheme(False, steps, sections, within, np.clip(np.minimum(share, 1 - share), 0.0, 0.5))


def _positive(travel_time: np.ndarray) -> np.ndarray:
    """K, and a day where it is 0."""
    return np.where(travel_time > 0, travel_time, 1.0)


def _power_of_two(number: np.ndarray) -> np.ndarray:
    """The next power of two, at most :data:`MOST_STEPS`."""
    return (2 ** np.ceil(np.log2(np.clip(number, 1, MOST_STEPS)))).astype(int)

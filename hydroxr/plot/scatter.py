"""One estimate of a quantity against another, a point a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .style import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def scatter(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    x_label: str,
    y_label: str,
    *,
    title: str,
    colour: str,
    limits: tuple[float, float] | None = None,
) -> float:
    """Draw ``y`` over ``x`` ``(cell,)`` and the line of equality.

    Returns
    -------
    float
        The correlation, which the title has as well.
    """
    r = correlation(x, y)
    if limits is None:
        ends = np.concatenate([x, y])
        margin = 0.03 * float(np.ptp(ends)) or 0.5
        limits = float(ends.min()) - margin, float(ends.max()) + margin
    axes.plot(limits, limits, color="0.4", linewidth=0.8, linestyle="--", label="equal")
    axes.scatter(x, y, s=9, color=colour, alpha=0.55, linewidth=0, label="cells")
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    known = f"r = {r:.3f}, " if np.isfinite(r) else ""
    axes.set_title(f"{title}: {known}{x.size} cells", loc="left")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    tidy(axes)
    axes.set_xticks([tick for tick in axes.get_yticks() if limits[0] <= tick <= limits[1]])
    axes.set_yticks(axes.get_xticks())
    axes.grid(axis="x", color="0.88", linewidth=0.6)
    return r


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's; NaN where one of the two does not vary."""
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])

"""The look that all plots share: colours, fonts, axes, scatter plots. Matplotlib is imported on first use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "observed": "#000000",
    "rainfall": "#08519C",
    "snowfall": "#9ECAE1",
    "streamflow": "#D55E00",
    "baseflow": "#7CCDB5",
    "snowpack": "#9ECAE1",
    "snow_liquid_water": "#0072B2",
    "soil_moisture": "#8C6D31",
    "upper_zone_storage": "#E69F00",
    "lower_zone_storage": "#009E73",
    "channel_storage": "#D55E00",
}
# A model of the paper has the same colour in all plots. The order is that of legends.
MODEL_COLOURS = {
    "d1": "#E69F00",
    "dn": "#56B4E9",
    "dn-bt": "#009E73",
    "dn-gt": "#CC79A7",
    "dn-bt-gt": "#D55E00",
    "dn-nnr": "#0072B2",
    "lstm": "#555555",
}
OTHER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
FAINT = "0.65"  # context: graticules, borders, other components

WIDTH = 18 / 2.54  # inches: the text width of an A4 page
COLUMN = 8.5 / 2.54  # one column of a journal
PAGE = 17 / 2.54  # both columns
FONTS = {  # at least 8 pt: legible in print without scaling
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "figure.titlesize": 10.5,
}


def matplotlib_part(part: str) -> ModuleType:
    """Import a module of matplotlib.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to install it.
    """
    try:
        return import_module(f"matplotlib.{part}")
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install hydroxr[plot]") from error


@contextmanager
def fonts() -> Iterator[None]:
    """Use the fonts of hydroxr inside the ``with`` block.

    Matplotlib's ``rc_context`` restores all settings, including the backend that a notebook sets with its
    first figure; later figures would not be shown.
    """
    settings = matplotlib_part("pyplot").rcParams
    before = {name: settings[name] for name in FONTS}
    settings.update(FONTS)
    try:
        yield
    finally:
        settings.update(before)


def tidy(axes: Axes, *, few_ticks: bool = False) -> None:
    """Set few ticks, a faint grid behind the data and no frame; also on Axes that the caller made."""
    axes.tick_params(labelsize=FONTS["xtick.labelsize"])
    axes.yaxis.set_major_locator(matplotlib_part("ticker").MaxNLocator(nbins=3 if few_ticks else 5))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def date_axis(
    axes: Axes, first: np.datetime64, last: np.datetime64, *, least: int = 5, most: int | None = None
) -> None:
    """Label the horizontal axis with dates, between ``first`` and ``last``."""
    dates = matplotlib_part("dates")
    axes.set_xlim(first, last)  # type: ignore[arg-type]  # matplotlib converts dates
    locator = dates.AutoDateLocator(minticks=least, maxticks=most)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def panels_of(axes: object, *shape: int) -> np.ndarray:
    """The given Axes as an array of this shape.

    Raises
    ------
    ValueError
        If their number differs from the number of panels.
    """
    given = np.asarray(axes, dtype=object)
    if given.size != np.prod(shape):
        rows = f", arranged as {shape}" if len(shape) > 1 else ""
        raise ValueError(
            f"'axes' has {given.size} Axes, but the figure has {np.prod(shape)} panels; expected one Axes "
            f"per panel{rows}."
        )
    return given.reshape(shape)


def mathematical(symbol: str) -> str:
    """Typeset a model symbol such as ``δn(γt,βt)`` with its indices; leave other text unchanged."""
    if not re.match("δ[n1]", symbol):
        return symbol.replace("$", r"\$")
    inner = re.sub(r"δ(\w)", r"\\delta_\1", symbol)
    inner = re.sub(r"γt", r"\\gamma^t", inner)
    inner = re.sub(r"βt", r"\\beta^t", inner)
    inner = re.sub(r"(θ)_(\w+)t", r"\\theta_{\\mathrm{\2}}^t", inner)
    return "$" + inner.replace("NNr", r"\mathrm{NN}_r").replace(",", ",\\,") + "$"


def printed_length(text: str) -> int:
    """Approximate number of printed letters in a text with formulas."""
    return len(re.sub(r"[${}\\^_,]", "", re.sub(r"\\[a-zA-Z]+", "x", text)))


def lines_of(text: str, most: int) -> str:
    """Wrap a text after about ``most`` letters, between words and formulas."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and printed_length(f"{lines[-1]} {word}") <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


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
) -> None:
    """Draw ``y`` against ``x`` ``(cell,)`` with the 1:1 line; the title states the correlation."""
    if limits is None:
        ends = np.concatenate([x, y])
        margin = 0.03 * float(np.ptp(ends)) or 0.5
        limits = float(ends.min()) - margin, float(ends.max()) + margin
    axes.plot(limits, limits, color="0.4", linewidth=0.8, linestyle="--", label="equal")
    axes.scatter(x, y, s=9, color=colour, alpha=0.55, linewidth=0, label="cells")
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    r = _correlation(x, y)
    known = f"r = {r:.3f}, " if np.isfinite(r) else ""
    axes.set_title(f"{title}: {known}{x.size} cells", loc="left")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    tidy(axes)
    axes.set_xticks([tick for tick in axes.get_yticks() if limits[0] <= tick <= limits[1]])
    axes.set_yticks(axes.get_xticks())
    axes.grid(axis="x", color="0.88", linewidth=0.6)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation; NaN if either series is constant."""
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])

"""How all pictures look: colours, fonts, axes. Matplotlib is imported only when something is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

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
# By name of the paper's models, in the order of their making, so that a model looks the same everywhere.
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
FAINT = "0.65"  # what is drawn for orientation

WIDTH = 18 / 2.54  # inches: the text width of an A4 page
COLUMN = 8.5 / 2.54  # and the widths of a journal: a column,
PAGE = 17 / 2.54  # both columns
FONTS = {  # no smaller than 8 pt, so that the figure can be printed as it is
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "figure.titlesize": 10.5,
}


def matplotlib_part(part: str) -> ModuleType:
    """A module of matplotlib, or what to install."""
    try:
        return import_module(f"matplotlib.{part}")
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install hydroxr[plot]") from error


@contextmanager
def fonts() -> Iterator[None]:
    """Our fonts, inside.

    Not matplotlib's ``rc_context``: that gives back all settings, also what a notebook sets when
    the first figure is made, and later figures would not be shown any more.
    """
    settings = matplotlib_part("pyplot").rcParams
    before = {name: settings[name] for name in FONTS}
    settings.update(FONTS)
    try:
        yield
    finally:
        settings.update(before)


def tidy(axes: Axes, *, few_ticks: bool = False) -> None:
    """Few ticks, a faint grid behind the data, no frame; labels of our size on others' Axes as well."""
    axes.tick_params(labelsize=FONTS["xtick.labelsize"])
    axes.yaxis.set_major_locator(matplotlib_part("ticker").MaxNLocator(nbins=3 if few_ticks else 5))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def mathematical(symbol: str) -> str:
    """A model's symbol as it is printed: ``δn(γt,βt)`` with its indices, other text as it is."""
    if not re.match("δ[n1]", symbol):
        return symbol.replace("$", r"\$")
    inner = re.sub(r"δ(\w)", r"\\delta_\1", symbol)
    inner = re.sub(r"γt", r"\\gamma^t", inner)
    inner = re.sub(r"βt", r"\\beta^t", inner)
    inner = re.sub(r"(θ)_(\w+)t", r"\\theta_{\\mathrm{\2}}^t", inner)
    return "$" + inner.replace("NNr", r"\mathrm{NN}_r").replace(",", ",\\,") + "$"


def printed_length(text: str) -> int:
    """About how many letters are printed of a text that may hold formulas."""
    return len(re.sub(r"[${}\\^_,]", "", re.sub(r"\\[a-zA-Z]+", "x", text)))


def lines_of(text: str, most: int) -> str:
    """In lines of about ``most`` letters; words, and formulas, are kept whole."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and printed_length(f"{lines[-1]} {word}") <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)

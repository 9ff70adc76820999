"""Pictures of a simulation in one cell, and of a training.

Names and symbols come from :mod:`hydroxr.variables`; fluxes are labelled mm/day and storages mm, which
kg m-2 day-1 and kg m-2 are in number. The colours can be told apart by readers who do not see all of them
(after Okabe and Ito, 2008), and what drains from a store has the hue of that store.

Matplotlib is imported only when something is drawn, since hydroxr works without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .errors import DimensionError, MissingVariableError
from .inputs import observed_streamflow
from .plot_cell import Cell, cell_series, displayed
from .variables import VARIABLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["hydrograph", "loss", "storages"]

_COLOURS = {
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


_WIDTH = 18 / 2.54  # inches: the text width of an A4 page
_HEADER = 0.30  # inches a panel, for its title and legend
_MARGINS = 0.65  # inches for the title of the figure and the dates
_FONTS = {  # no smaller than 8 pt, so that the figure can be printed as it is
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "figure.titlesize": 10.5,
}


def hydrograph(
    simulation: xr.Dataset,
    observed: xr.DataArray | xr.Dataset | None = None,
    *,
    time: slice | str | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw precipitation, streamflow and all storages of one cell, one panel below the other.

    Rain and snow hang from the top; below are the observed and the simulated streamflow over the baseflow
    (before routing), then the panels of :func:`storages`. A panel whose variables are not in the
    simulation is left out.

    Parameters
    ----------
    simulation
        Of one cell, ``(time,)``; dimensions of size 1 do not matter. Lazy variables are computed once.
    observed
        Streamflow of the same cell ``(time,)``, or a Dataset that has it under a name and in units that
        hydroxr understands; on days of its own, drawn where they lie within those of the simulation.
    time
        The period to draw: ``slice("2001-10-01", "2002-09-30")`` or ``"2002"``. All if None.
    axes
        Where to draw: as many as there are panels. By default a new figure, 18 cm wide, whose title is the
        basin's ``basin_id`` and ``basin_name``, or its latitude and longitude, where the simulation has them.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``, from top to bottom.

    Raises
    ------
    DimensionError
        The simulation or the observations have more than one cell, or no time.
    MissingVariableError
        The simulation has none of the variables, or ``observed`` is a Dataset without streamflow.
    CoordinateError, UnitsError
        The observations are of another basin, or in other units.
    EmptySelectionError
        The simulation has no days in the period.
    TimeAxisError
        Time has no dates, or those of a calendar that cannot be drawn.
    ValueError
        The number of ``axes`` is not that of the panels.
    ImportError
        There is no matplotlib.

    Examples
    --------
    >>> hydrograph(simulation.isel(basin=0), observations["streamflow"].isel(basin=0))  # doctest: +SKIP
    """
    if isinstance(observed, xr.Dataset):
        observed = observed_streamflow(observed)
    return _draw((*_FLOWS, *_STORAGES), simulation, observed, time, axes)


def storages(
    simulation: xr.Dataset,
    *,
    time: slice | str | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw the water stored in one cell: snow, soil, upper and lower zone, channel.

    The panels begin at 0, so that their heights can be compared. Liquid water in the snowpack is drawn on
    top of the frozen water.

    Parameters
    ----------
    simulation, time, axes
        As for :func:`hydrograph`.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``, from top to bottom.

    Raises
    ------
    DimensionError, MissingVariableError, EmptySelectionError, TimeAxisError, ValueError, ImportError
        As :func:`hydrograph`.
    """
    return _draw(_STORAGES, simulation, None, time, axes)


def loss(history: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw the loss of a training over its iterations.

    Parameters
    ----------
    history
        With ``loss`` ``(iteration,)``.
    axes
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingVariableError
        There is no ``loss``.
    DimensionError
        ``loss`` has other dimensions than ``iteration``.
    ImportError
        There is no matplotlib.
    """
    if "loss" not in history:
        raise MissingVariableError(
            f"the history has no variable 'loss', only {sorted(map(str, history.data_vars))}; "
            "give the Dataset that the training wrote."
        )
    values = history["loss"].squeeze()
    if values.dims != ("iteration",):
        raise DimensionError(
            f"'loss' has dimensions {history['loss'].dims}; expected ('iteration',). Select one training."
        )
    plt = _matplotlib("pyplot")
    with plt.rc_context(_FONTS):
        if axes is None:
            axes = plt.subplots(figsize=(_WIDTH, _WIDTH / 2.2), layout="constrained")[1]
        assert axes is not None
        axes.plot(
            values["iteration"].values, values.values, color=_COLOURS["snow_liquid_water"], linewidth=1.0
        )
        axes.set_xlabel("iteration")
        units = values.attrs.get("units", "1")
        axes.set_ylabel("loss" if units == "1" else f"loss ({displayed(units)})")
        axes.margins(x=0)
        _tidy(axes)
    return axes


def _matplotlib(part: str) -> ModuleType:
    try:
        return import_module(f"matplotlib.{part}")
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install hydroxr[plot]") from error


def _label(name: str) -> str:
    """A variable's name with its symbol in the paper: ``soil moisture $S_{s}$``."""
    words, symbol = name.replace("_", " "), VARIABLES[name].symbol
    if symbol is None:
        return words
    mark = "^" if symbol[1:] == "*" else "_"
    return f"{words} ${symbol[0]}{mark}{{\\mathrm{{{symbol[1:]}}}}}$"


# --- Panels -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Panel:
    """What a panel may show, how high it is (inches), how it is drawn and, for several things, called."""

    names: tuple[str, ...]
    height: float
    draw: Callable[[Axes, Cell, list[str]], None]
    title: str | None = None


def _draw_precipitation(axes: Axes, cell: Cell, names: list[str]) -> None:
    """Bars that hang from the top, snowfall under rainfall."""
    below = np.zeros(cell.time.size)
    # Where many days share a point of paper, an outline keeps each at least a point wide.
    outline = max(0.0, 1.0 - _WIDTH * 72 / cell.time.size)
    for name in names:
        top = below + cell.series[name]
        axes.stairs(  # one patch instead of thousands of bars
            np.where(top > below, top, np.nan),
            cell.edges,
            baseline=below,
            fill=True,
            facecolor=_COLOURS[name],
            edgecolor=_COLOURS[name],
            linewidth=outline,
            label=_label(name),
        )
        below = top
    axes.set_ylim(_headroom(below), 0)


def _draw_flow(axes: Axes, cell: Cell, names: list[str]) -> None:
    """Observed and simulated streamflow over the baseflow that is a part of it."""
    values = [cell.series[name] for name in names]
    if "baseflow" in names:
        axes.fill_between(
            cell.time,
            cell.series["baseflow"],
            color=_COLOURS["baseflow"],
            linewidth=0,
            label=_label("baseflow"),
        )
    if cell.observed is not None:
        axes.plot(*cell.observed, color=_COLOURS["observed"], linewidth=1.0, label="observed")
        values.append(cell.observed[1])
    if "streamflow" in names:
        label = "simulated " + _label("streamflow")
        axes.plot(
            cell.time, cell.series["streamflow"], color=_COLOURS["streamflow"], linewidth=1.0, label=label
        )
    axes.set_ylim(0, _headroom(np.concatenate(values)))


def _draw_storage(axes: Axes, cell: Cell, names: list[str]) -> None:
    """Stored water: one kind upon the other, or one alone under a line."""
    below = np.zeros(cell.time.size)
    alone = len(names) == 1
    for name in names:
        top = below + cell.series[name]
        colour, opacity = _COLOURS[name], 0.3 if alone else 1.0
        axes.fill_between(cell.time, below, top, color=colour, alpha=opacity, linewidth=0, label=_label(name))
        if alone:
            axes.plot(cell.time, top, color=colour, linewidth=1.0)
        below = top
    axes.set_ylim(0, _headroom(below))


_FLOWS = (
    _Panel(("rainfall", "snowfall"), 0.8, _draw_precipitation, "precipitation"),
    _Panel(("baseflow", "streamflow"), 2.0, _draw_flow, "streamflow"),
)
_STORAGES = (
    _Panel(("snowpack", "snow_liquid_water"), 0.8, _draw_storage, "snow"),
    _Panel(("soil_moisture",), 0.8, _draw_storage),
    _Panel(("upper_zone_storage",), 0.8, _draw_storage),
    _Panel(("lower_zone_storage",), 0.8, _draw_storage),
    _Panel(("channel_storage",), 0.8, _draw_storage),
)


def _headroom(values: np.ndarray) -> float:
    """The upper end of an axis, a little above the highest value; 1 where all is dry."""
    highest = np.max(values, initial=0.0, where=np.isfinite(values))
    return 1.06 * float(highest) if highest > 0 else 1.0


# --- Figure -----------------------------------------------------------------------------------------


def _draw(
    panels: Sequence[_Panel],
    simulation: xr.Dataset,
    observed: xr.DataArray | None,
    time: slice | str | None,
    axes: Sequence[Axes] | np.ndarray | None,
) -> np.ndarray:
    shown = {panel: [name for name in panel.names if name in simulation] for panel in panels}
    shown = {
        panel: names
        for panel, names in shown.items()
        if names or (observed is not None and panel.draw is _draw_flow)
    }
    names = [name for present in shown.values() for name in present]
    if not names:
        expected = [name for panel in panels for name in panel.names]
        raise MissingVariableError(
            f"the simulation has {sorted(map(str, simulation.data_vars))}, nothing that is drawn here; "
            f"expected some of {expected}. Simulate them: variables=[...]."
        )
    cell = cell_series(simulation, names, observed, time)
    plt = _matplotlib("pyplot")
    with plt.rc_context(_FONTS):
        if axes is None:
            axes = _new_axes(plt, list(shown), cell.title)
        axes = np.ravel(np.asarray(axes, dtype=object))
        if axes.size != len(shown):
            raise ValueError(
                f"'axes' has {axes.size} Axes, but {len(shown)} panels are to be drawn; give as many."
            )
        for each, (panel, present) in zip(axes, shown.items(), strict=True):
            panel.draw(each, cell, present)
            _label_panel(each, panel, cell, present)
    return axes


def _new_axes(plt: ModuleType, panels: list[_Panel], title: str) -> np.ndarray:
    """One Axes a panel, on a figure that grows with their number."""
    heights = [panel.height for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(_WIDTH, sum(heights) + _HEADER * len(panels) + _MARGINS),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    if title:
        figure.suptitle(title, fontweight="bold")
    figure.align_ylabels()
    column: np.ndarray = axes[:, 0]
    return column


def _label_panel(axes: Axes, panel: _Panel, cell: Cell, names: list[str]) -> None:
    """Title and legend in one row above the panel, where neither can cover the data; units; dates."""
    dates = _matplotlib("dates")
    title = panel.title or _label(names[0])
    axes.set_title(title[0].upper() + title[1:], loc="left")
    if panel.title:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=3,
            frameon=False,
            borderaxespad=0.2,
            handlelength=1.5,
        )
    axes.set_ylabel(cell.units[names[-1] if names else "streamflow"])
    axes.set_xlim(cell.edges[0], cell.edges[-1])
    locator = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    _tidy(axes, few_ticks=panel.height < 1)


def _tidy(axes: Axes, *, few_ticks: bool = False) -> None:
    axes.yaxis.set_major_locator(_matplotlib("ticker").MaxNLocator(nbins=3 if few_ticks else 5))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

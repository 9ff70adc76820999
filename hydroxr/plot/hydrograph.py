"""The hydrograph and the storages of one cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..conventions.variables import VARIABLES
from ..errors import EmptySelectionError, MissingVariableError
from ..inputs.resolve import observed_streamflow
from .series import Cell, cell_series
from .style import COLOURS, WIDTH, date_axis, fonts, matplotlib_part, panels_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADER = 0.30  # inches per panel for title and legend
_MARGINS = 0.65  # inches for the figure's title and the dates


def hydrograph(
    simulation: xr.Dataset,
    observed: xr.DataArray | xr.Dataset | None = None,
    *,
    time: slice | str | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw precipitation, streamflow and storages of one cell in panels that share a time axis.

    Rainfall and snowfall hang from the top. Below are observed and simulated streamflow, with baseflow
    (before routing) as an area, then the panels of :func:`hydroxr.plot.storages`. A panel is left out if the
    simulation has none of its variables.

    Parameters
    ----------
    simulation
        Fluxes and storages of one cell ``(time,)``; dimensions of size 1 are dropped. Lazy variables are
        computed once.
    observed
        Observed streamflow of the same cell ``(time,)``, or a Dataset with it under a name and in units that
        hydroxr recognises. It may cover other days: those during the simulation are drawn.
    time
        Period to draw: ``slice("2001-10-01", "2002-09-30")`` or ``"2002"``. Default: all days.
    axes
        Axes to draw on, one per panel. Default: a new figure 18 cm wide, with the label and
        ``basin_name`` of the basin, or else latitude and longitude, as its title.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``, from top to bottom.

    Raises
    ------
    DimensionError
        If the simulation or the observations have several cells, or no dimension ``time``.
    MissingVariableError
        If the simulation has none of the variables, or ``observed`` is a Dataset without streamflow.
    CoordinateError
        If the observations belong to another basin.
    UnitsError
        If the observations have other units than the simulation.
    EmptySelectionError
        If the simulation has no days in the period, or no values on them.
    TimeAxisError
        If time has no dates, or dates that the standard calendar lacks.
    ValueError
        If the number of ``axes`` differs from the number of panels.
    ImportError
        If matplotlib is not installed.

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

    All panels begin at 0. Liquid water in the snowpack is drawn on top of the frozen water.

    Parameters
    ----------
    simulation
        Storages of one cell ``(time,)``; dimensions of size 1 are dropped. Lazy variables are computed once.
    time
        Period to draw: ``slice("2001-10-01", "2002-09-30")`` or ``"2002"``. Default: all days.
    axes
        Axes to draw on, one per panel. Default: a new figure 18 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``, from top to bottom.

    Raises
    ------
    DimensionError
        If the simulation has several cells, or no dimension ``time``.
    MissingVariableError
        If the simulation has no storages.
    EmptySelectionError
        If the simulation has no days in the period, or no values on them.
    TimeAxisError
        If time has no dates, or dates that the standard calendar lacks.
    ValueError
        If the number of ``axes`` differs from the number of panels.
    ImportError
        If matplotlib is not installed.
    """
    return _draw(_STORAGES, simulation, None, time, axes)


def _label(name: str) -> str:
    """A variable's name and its symbol in the paper: ``soil moisture $S_{s}$``."""
    words, symbol = name.replace("_", " "), VARIABLES[name].symbol
    if symbol is None:
        return words
    mark = "^" if symbol[1:] == "*" else "_"
    return f"{words} ${symbol[0]}{mark}{{\\mathrm{{{symbol[1:]}}}}}$"


# --- Panels -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Panel:
    """One panel of the figure."""

    names: tuple[str, ...]  # variables that it shows
    height: float  # inches
    draw: Callable[[Axes, Cell, list[str]], None]
    title: str | None = None  # None: the variable's name


def _draw_precipitation(axes: Axes, cell: Cell, names: list[str]) -> None:
    """Draw bars that hang from the top, snowfall below rainfall."""
    below = np.zeros(cell.time.size)
    # An outline keeps each bar at least a point wide in long series.
    outline = max(0.0, 1.0 - WIDTH * 72 / cell.time.size)
    for name in names:
        top = below + cell.series[name]
        axes.stairs(  # one patch is faster than thousands of bars
            np.where(top > below, top, np.nan),
            cell.edges,
            baseline=below,
            fill=True,
            facecolor=COLOURS[name],
            edgecolor=COLOURS[name],
            linewidth=outline,
            label=_label(name),
        )
        below = top
    axes.set_ylim(_headroom(below), 0)


def _draw_flow(axes: Axes, cell: Cell, names: list[str]) -> None:
    """Draw observed and simulated streamflow over the area of baseflow."""
    values = [cell.series[name] for name in names]
    if "baseflow" in names:
        axes.fill_between(
            cell.time,
            cell.series["baseflow"],
            color=COLOURS["baseflow"],
            linewidth=0,
            label=_label("baseflow"),
        )
    if cell.observed is not None:
        axes.plot(*cell.observed, color=COLOURS["observed"], linewidth=1.0, label="observed")
        values.append(cell.observed[1])
    if "streamflow" in names:
        label = "simulated " + _label("streamflow")
        axes.plot(
            cell.time, cell.series["streamflow"], color=COLOURS["streamflow"], linewidth=1.0, label=label
        )
    axes.set_ylim(0, _headroom(np.concatenate(values)))


def _draw_storage(axes: Axes, cell: Cell, names: list[str]) -> None:
    """Draw stacked areas, or a single area below a line."""
    below = np.zeros(cell.time.size)
    alone = len(names) == 1
    for name in names:
        top = below + cell.series[name]
        colour, opacity = COLOURS[name], 0.3 if alone else 1.0
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
    """Upper limit of an axis: 6 % above the highest value, or 1 if no value is positive."""
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
            f"the simulation has {sorted(str(name) for name in simulation.data_vars)} and nothing to draw; "
            f"choose from {expected}. Simulate them: variables=[...]."
        )
    cell = cell_series(simulation, names, observed, time)
    drawn = [*cell.series.values(), *([cell.observed[1]] if cell.observed else [])]
    if not any(np.isfinite(values).any() for values in drawn):
        raise EmptySelectionError(
            f"{', '.join(repr(name) for name in names)} have only missing values in the period. Choose "
            "another cell or another period: time=..."
        )
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            axes = _new_axes(plt, list(shown), cell.title)
        axes = panels_of(axes, len(shown))
        for each, (panel, present) in zip(axes, shown.items(), strict=True):
            panel.draw(each, cell, present)
            _label_panel(each, panel, cell, present)
    return axes


def _new_axes(plt: ModuleType, panels: list[_Panel], title: str) -> np.ndarray:
    """A new figure with one Axes per panel."""
    heights = [panel.height for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(WIDTH, sum(heights) + _HEADER * len(panels) + _MARGINS),
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
    """Put title and legend in one row above the panel, clear of the data; label units and dates."""
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
    date_axis(axes, cell.edges[0], cell.edges[-1])
    tidy(axes, few_ticks=panel.height < 1)

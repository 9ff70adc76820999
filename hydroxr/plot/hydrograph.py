"""Hydrographs and storages of one cell."""

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
from .style import COLOURS, WIDTH, fonts, matplotlib_part, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADER = 0.30  # inches a panel, for its title and legend
_MARGINS = 0.65  # inches for the title of the figure and the dates


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
        The simulation has no days in the period, or no values on them.
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
    outline = max(0.0, 1.0 - WIDTH * 72 / cell.time.size)
    for name in names:
        top = below + cell.series[name]
        axes.stairs(  # one patch instead of thousands of bars
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
    """Observed and simulated streamflow over the baseflow that is a part of it."""
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
    """Stored water: one kind upon the other, or one alone under a line."""
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
            f"the simulation has {sorted(str(name) for name in simulation.data_vars)}, nothing that is drawn "
            f"here; expected some of {expected}. Simulate them: variables=[...]."
        )
    cell = cell_series(simulation, names, observed, time)
    drawn = [*cell.series.values(), *([cell.observed[1]] if cell.observed else [])]
    if not any(np.isfinite(values).any() for values in drawn):
        raise EmptySelectionError(
            f"{', '.join(repr(name) for name in names)} have no value on the days to be "
            "drawn; expected numbers. Choose another cell or period: time=..."
        )
    plt = matplotlib_part("pyplot")
    with fonts():
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
    """Title and legend in one row above the panel, where neither can cover the data; units; dates."""
    dates = matplotlib_part("dates")
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
    tidy(axes, few_ticks=panel.height < 1)

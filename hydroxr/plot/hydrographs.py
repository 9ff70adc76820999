"""Hydrographs of several basins by several models, and where the basins lie."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DimensionError, MissingVariableError
from ..inputs.resolve import observed_streamflow
from ..metrics import nse
from .geography import Feature, Outlines, features
from .maps import frame
from .runs import run_labels
from .series import Cell, cell_series
from .style import (
    COLOURS,
    FAINT,
    MODEL_COLOURS,
    OTHER_COLOURS,
    PAGE,
    fonts,
    lines_of,
    mathematical,
    matplotlib_part,
    printed_length,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 6  # basins that fit on a page
_HEIGHT = 1.65  # inches of a basin's panel
_MAP = 2.6  # inches of the map
_ROW = 0.17  # inches of a line of the legend
_LETTERS = 84  # that fit beside each other in a panel


def hydrographs(
    simulations: xr.Dataset | Mapping[str, xr.Dataset],
    observed: xr.DataArray | xr.Dataset,
    *,
    basins: Sequence[Hashable] | None = None,
    time: slice | str | None = None,
    borders: Outlines | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw the streamflow of several basins by several models against the observed, and a map of where.

    The legend has each model's NSE over all days of the simulation that have an observation, not only those
    that are drawn.

    Parameters
    ----------
    simulations
        By name, each with ``streamflow`` ``(time, basin)``; or one Dataset of several runs ``(run, time,
        basin)`` with the coordinate ``symbol`` or ``model``; or a single simulation.
    observed
        Streamflow ``(time, basin)``, or a Dataset that has it.
    basins
        Their ``basin_id``, or labels of their dimension; by default all, of which there may be 6.
    time
        The period to draw: ``slice("2001-10-01", "2003-09-30")`` or ``"2002"``. All if None.
    borders
        For the map: a shapefile or other outlines, see :func:`hydroxr.plot.map`.
    axes
        Where to draw: one a basin, and one for the map where the basins have ``lat`` and ``lon``. By
        default a new figure, 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``: a basin each, then the map where there is one.

    Raises
    ------
    CoordinateError
        A basin is not in the simulations or the observations.
    DimensionError
        There are more basins than fit on a page, or none.
    MissingVariableError
        A simulation has no streamflow, or there is no observed one.
    EmptySelectionError, TimeAxisError, UnitsError
        As :func:`hydroxr.plot.hydrograph`.
    ValueError
        The number of ``axes`` is not that of the panels.
    ImportError
        There is no matplotlib or, for a shapefile, no pyshp.

    Examples
    --------
    >>> hydrographs({"δn": delta, "LSTM": lstm}, ds, basins=["01022500", "08023080"])  # doctest: +SKIP
    """
    by_name = _by_name(simulations)
    first = next(iter(by_name.values()))
    flow = observed_streamflow(observed) if isinstance(observed, xr.Dataset) else observed
    chosen = list(_names(first)) if basins is None else [str(each) for each in basins]
    if not 0 < len(chosen) <= _MOST:
        raise DimensionError(
            f"{len(chosen)} basins are to be drawn; expected 1 to {_MOST}. Choose some: basins=[...]."
        )
    cells = [_read(by_name, flow, basin, time) for basin in chosen]
    lines = [] if borders is None else features(borders, "'borders'")
    mapped = all(name in first.coords and first[name].ndim == 1 for name in ("lat", "lon"))
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            rows = _legend_rows(cells[0][2])[1]
            heights = [_HEIGHT + _ROW * (rows - 1)] * len(cells) + ([_MAP] if mapped else [])
            size = (PAGE, sum(heights) + 0.1)
            axes = plt.subplots(len(heights), figsize=size, height_ratios=heights, layout="constrained")[1]
        axes = np.ravel(np.asarray(axes, dtype=object))
        if axes.size != len(cells) + mapped:
            raise ValueError(
                f"'axes' has {axes.size} Axes, but {len(cells) + mapped} panels are to be drawn; give as "
                "many."
            )
        for place, (each, cell) in enumerate(zip(axes, cells, strict=False)):
            _draw_basin(each, *cell, letter=chr(ord("a") + place), colours=_colours(by_name))
        if mapped:
            _draw_map(axes[-1], first, chosen, lines)
    return axes


def _by_name(simulations: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    if isinstance(simulations, xr.Dataset):
        if "run" in simulations.dims:
            symbols = run_labels(simulations, "symbol")
            labels = symbols if len(set(symbols)) == len(symbols) else run_labels(simulations, "run")
            simulations = {label: simulations.isel(run=place) for place, label in enumerate(labels)}
        else:
            simulations = {str(simulations.attrs.get("hydroxr_model", "simulated")): simulations}
    for label, each in simulations.items():
        if "streamflow" not in each:
            raise MissingVariableError(
                f"{label!r} has no 'streamflow', only {sorted(map(str, each.data_vars))}; simulate it."
            )
    if not simulations:
        raise DimensionError("there is no simulation to draw; give one or more by name.")
    return dict(simulations)


def _names(data: xr.Dataset | xr.DataArray) -> list[str]:
    """What the basins are called; one, "", where there is no such dimension."""
    array = data["streamflow"] if isinstance(data, xr.Dataset) else data
    space = [dim for dim in array.dims if dim != "time"]
    if not space:
        return [str(array["basin_id"].item()) if "basin_id" in array.coords else ""]
    if len(space) > 1:
        raise DimensionError(
            f"streamflow has dimensions {array.dims}; expected time and basin. Stack the others: "
            f".stack(basin={space})."
        )
    label = "basin_id" if "basin_id" in array.coords else space[0]
    return [str(each) for each in array[label].values.astype(object)]


def _one(data: xr.DataArray, basin: str, what: str) -> xr.DataArray:
    names = _names(data)
    space = [dim for dim in data.dims if dim != "time"]
    if not space:
        return data
    if basin not in names:  # a label of the dimension, in place of a name
        names = [str(each) for each in data[space[0]].values]
    if basin not in names:
        raise CoordinateError(
            f"{what} has no basin {basin!r}; it has {len(names)}, such as {', '.join(_names(data)[:3])}. "
            "Choose among them: basins=[...]."
        )
    return data.isel({space[0]: names.index(basin)})


def _read(
    by_name: Mapping[str, xr.Dataset], observed: xr.DataArray, basin: str, time: slice | str | None
) -> tuple[Cell, dict[str, Cell], dict[str, float]]:
    """Of one basin: observed and simulated series in the period, and NSE over all days."""
    flow = _one(observed, basin, "'observed'").compute()
    cells, scores = {}, {}
    for label, simulation in by_name.items():
        series = _one(simulation["streamflow"], basin, f"{label!r}").compute()
        scores[label] = float(nse(series, flow))
        cells[label] = cell_series(series.to_dataset(name="streamflow"), ["streamflow"], flow, time)
    return next(iter(cells.values())), cells, scores


def _colours(by_name: Mapping[str, xr.Dataset]) -> dict[str, str]:
    from ..models.specs import DeltaHBV, LSTMStreamflow

    models = {spec.symbol: name for name, spec in DeltaHBV.ladder().items()} | {LSTMStreamflow.symbol: "lstm"}
    known = {label: MODEL_COLOURS.get(models.get(label, label)) for label in by_name}
    free = iter([each for each in OTHER_COLOURS if each not in known.values()] * len(by_name))
    return {label: colour or next(free) for label, colour in known.items()}


def _draw_basin(
    axes: Axes,
    cell: Cell,
    cells: Mapping[str, Cell],
    scores: Mapping[str, float],
    *,
    letter: str,
    colours: Mapping[str, str],
) -> None:
    dates = matplotlib_part("dates")
    assert cell.observed is not None
    axes.plot(*cell.observed, color=COLOURS["observed"], linewidth=1.1, label="observed")
    for label, each in cells.items():
        axes.plot(
            *(each.time, each.series["streamflow"]),
            color=colours[label],
            linewidth=0.9,
            alpha=0.9,
            label=_entry(label, scores),
        )
    axes.set_title(f"({letter})  {cell.title}", loc="left")
    columns, rows = _legend_rows(scores)
    legend = axes.legend(loc="upper right", frameon=False, ncols=columns, borderaxespad=0.1)
    legend.set_in_layout(False)
    axes.set_ylabel(f"streamflow\n({cell.units['streamflow']})")
    free = _ROW * rows / (_HEIGHT - 0.5 + _ROW * (rows - 1))  # of the height, for the legend
    axes.set_ylim(bottom=0, top=max(float(axes.get_ylim()[1]), 1e-3) / (1 - free))
    axes.set_xlim(cell.edges[0], cell.edges[-1])
    locator = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    tidy(axes)


def _entry(label: str, scores: Mapping[str, float]) -> str:
    return lines_of(f"{mathematical(label)}: NSE {scores[label]:.2f}", 70)


def _legend_rows(scores: Mapping[str, float]) -> tuple[int, int]:
    """Columns of a panel's legend, so that it is no wider than the panel, and its lines of text."""
    entries = ["observed", *(_entry(label, scores) for label in scores)]
    longest = max(printed_length(line) for entry in entries for line in entry.split("\n"))
    columns = int(np.clip(_LETTERS // (longest + 8), 1, min(4, len(entries))))
    lines = max(entry.count("\n") + 1 for entry in entries)
    return columns, -(-len(entries) // columns) * lines


def _draw_map(axes: Axes, simulation: xr.Dataset, chosen: list[str], borders: list[Feature]) -> None:
    """All basins of the simulation, faint, and the chosen ones with the letters of their panels."""
    lon, lat = (simulation[name].values.astype(float) for name in ("lon", "lat"))
    project = frame(axes, lon, lat, borders, margin=0.12)  # room for points and letters
    axes.scatter(*project(lon, lat), s=3, color=FAINT, linewidth=0, label="all basins")
    for place, basin in enumerate(chosen):
        here = _one(simulation["streamflow"], basin, "the simulation")
        x, y = project(np.array([float(here["lon"])]), np.array([float(here["lat"])]))
        axes.plot(x, y, marker="o", markersize=4, color=COLOURS["streamflow"], linestyle="none")
        axes.annotate(
            f"({chr(ord('a') + place)})",
            (float(x[0]), float(y[0])),
            xytext=(4, 2),
            textcoords="offset points",
            fontweight="bold",
        )
    axes.set_title(f"({chr(ord('a') + len(chosen))})  where the basins lie", loc="left")

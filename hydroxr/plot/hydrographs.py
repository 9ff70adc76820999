"""Hydrographs of several basins and models with a map of the basins, and fan charts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..conventions.attributes import MODEL
from ..conventions.variables import FLUX
from ..errors import CoordinateError, DimensionError, MissingVariableError
from ..inputs.resolve import observed_streamflow
from ..metrics import nse
from .geography import Feature, Outlines, features
from .maps import frame
from .runs import described_model, model_colours, run_labels
from .series import Cell, basin_names, cell_series, cell_title, displayed, select_period, stamps_of
from .style import (
    COLOURS,
    FAINT,
    PAGE,
    date_axis,
    fonts,
    lines_of,
    mathematical,
    matplotlib_part,
    panels_of,
    printed_length,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 6  # basins per page
_HEIGHT = 1.65  # inches per basin
_MAP = 2.6  # inches for the map
_ROW = 0.17  # inches per line of the legend
_LETTERS = 84  # per line of the legend


def hydrographs(
    simulations: xr.Dataset | Mapping[str, xr.Dataset],
    observed: xr.DataArray | xr.Dataset,
    *,
    basins: Sequence[Hashable] | None = None,
    time: slice | str | None = None,
    borders: Outlines | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw simulated and observed streamflow of several basins, and a map of the basins.

    The legend states each model's NSE over all days with an observation, not only the days drawn.

    Parameters
    ----------
    simulations
        Simulations with ``streamflow`` ``(time, basin)`` by name; or one Dataset of several runs
        ``(run, time, basin)`` with the coordinate ``symbol`` or ``model``; or a single simulation.
    observed
        Observed streamflow ``(time, basin)``, or a Dataset with it.
    basins
        Labels of the basins. Default: all basins, at most 6.
    time
        Period to draw: ``slice("2001-10-01", "2003-09-30")`` or ``"2002"``. Default: all days.
    borders
        Outlines for the map, see :func:`hydroxr.plot.map`.
    axes
        Axes to draw on: one per basin, and one for the map if the basins have ``lat`` and ``lon``. Default:
        a new figure 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``: one per basin, then the map, if there is one.

    Raises
    ------
    CoordinateError
        If a basin is missing from the simulations or the observations.
    DimensionError
        If there are no simulations, no basins, or more than 6; or the streamflow has more dimensions.
    MissingVariableError
        If a simulation or the observations have no streamflow.
    EmptySelectionError
        If a simulation has no days in the period, or a basin has no values on them.
    TimeAxisError
        If time has no dates, or dates that the standard calendar lacks.
    UnitsError
        If the observations have other units than a simulation.
    DataFileError
        If a file of outlines does not exist or cannot be read.
    ValueError
        If the number of ``axes`` differs from the number of panels.
    ImportError
        If matplotlib is not installed or, for a shapefile, pyshp.

    Examples
    --------
    >>> hydrographs({"δn": delta, "LSTM": lstm}, ds, basins=["01022500", "08023080"])  # doctest: +SKIP
    """
    by_name = _by_name(simulations)
    first = next(iter(by_name.values()))
    flow = observed_streamflow(observed) if isinstance(observed, xr.Dataset) else observed
    chosen = basin_names(first["streamflow"]) if basins is None else [str(each) for each in basins]
    if not 0 < len(chosen) <= _MOST:
        raise DimensionError(
            f"the figure has room for 1 to {_MOST} basins, but {len(chosen)} are selected. Choose "
            "some: basins=[...]."
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
        axes = panels_of(axes, len(cells) + mapped)
        colours = _colours(by_name)
        for place, (each, cell) in enumerate(zip(axes, cells, strict=False)):
            _draw_basin(each, *cell, letter=chr(ord("a") + place), colours=colours)
        if mapped:
            _draw_map(axes[-1], first, chosen, lines)
    return axes


def fan_chart(
    predicted: xr.DataArray,
    observed: xr.DataArray | None = None,
    *,
    time: slice | str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw quantiles of streamflow as bands around their median, and observations.

    Parameters
    ----------
    predicted
        Quantiles of one cell, ``(quantile, time)`` or, of one forecast, ``(quantile, lead)`` with the
        coordinate ``valid_time``. Pairs of quantiles such as 0.05 and 0.95 bound a band each.
    observed
        Observed streamflow ``(time)``.
    time
        Period to draw. Default: all days of the prediction, and of observations those around it.
    axes
        Axes to draw on. Default: a new figure 17 cm wide.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DimensionError
        If the prediction has other dimensions.
    EmptySelectionError
        If no day lies in the period.
    TimeAxisError
        If time has no dates.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> fan_chart(sim["streamflow_quantile"].sel(basin="Leaf"), flow, time="1979")  # doctest: +SKIP
    """
    if "lead" in predicted.dims and "valid_time" in predicted.coords:
        predicted = predicted.swap_dims(lead="valid_time").drop_vars(["time", "lead"], errors="ignore")
        predicted = predicted.rename(valid_time="time")
    if {*predicted.dims} != {"quantile", "time"}:
        raise DimensionError(
            f"the prediction has dimensions {predicted.dims}; expected ('quantile', 'time') of one cell, or "
            "('quantile', 'lead') of one forecast: select them first."
        )
    chosen = select_period(predicted.to_dataset(name="_flow"), time, "prediction")["_flow"]
    chosen = chosen.transpose("quantile", "time").compute()
    levels, values = chosen["quantile"].values, chosen.values
    stamps = stamps_of(chosen.to_dataset(name="_flow"), "prediction")
    colour = COLOURS["streamflow"]
    with fonts():
        if axes is None:
            axes = matplotlib_part("pyplot").subplots(figsize=(PAGE, 0.42 * PAGE), layout="constrained")[1]
        assert axes is not None
        bands = len(levels) // 2
        for low in range(bands):
            high = len(levels) - 1 - low
            label = f"{100 * levels[low]:.3g} to {100 * levels[high]:.3g} %"
            shade = 0.15 + 0.45 * low / max(bands - 1, 1)  # of the colour, in white: opaque, as in the legend
            tint = [1 - shade * (1 - part) for part in matplotlib_part("colors").to_rgb(colour)]
            axes.fill_between(stamps, values[low], values[high], color=tint, linewidth=0, label=label)
        if len(levels) % 2:
            middle = len(levels) // 2
            axes.plot(
                stamps, values[middle], color=colour, linewidth=1.4, label=f"{100 * levels[middle]:.3g} %"
            )
        if observed is not None:
            flow = observed.to_dataset(name="_flow")
            known = stamps_of(flow, "observed")
            near = (known >= stamps[0]) & (known <= stamps[-1])
            axes.plot(
                *(known[near], flow["_flow"].values[near]),
                color=COLOURS["observed"],
                linewidth=1.0,
                marker="." if near.sum() < 60 else "",
                label="observed",
            )
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"streamflow ({displayed(predicted.attrs.get('units', FLUX))})")
        axes.set_title(cell_title(chosen.coords.to_dataset()), loc="left")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        date_axis(axes, stamps[0], stamps[-1])
        tidy(axes)
    return axes


def _by_name(simulations: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    if isinstance(simulations, xr.Dataset):
        if "run" in simulations.dims:
            symbols = run_labels(simulations, "symbol")
            labels = symbols if len(set(symbols)) == len(symbols) else run_labels(simulations, "run")
            simulations = {label: simulations.isel(run=place) for place, label in enumerate(labels)}
        else:
            simulations = {str(simulations.attrs.get(MODEL, "simulated")): simulations}
    for label, each in simulations.items():
        if "streamflow" not in each:
            raise MissingVariableError(
                f"simulation {label!r} has no 'streamflow', only {sorted(map(str, each.data_vars))}. "
                "Simulate it."
            )
    if not simulations:
        raise DimensionError("no simulation was given; expected at least one.")
    return dict(simulations)


def _one(data: xr.DataArray, basin: str, what: str) -> xr.DataArray:
    """Select a basin by its label, or its number in a file."""
    names = basin_names(data)
    space = [dim for dim in data.dims if dim != "time"]
    if not space:
        return data
    if basin not in names:
        names = [str(each) for each in data[space[0]].values]
    if basin not in names:
        raise CoordinateError(
            f"{what} has no basin {basin!r}, only {len(names)} others such as "
            f"{', '.join(basin_names(data)[:3])}. Choose some of them: basins=[...]."
        )
    return data.isel({space[0]: names.index(basin)})


def _read(
    by_name: Mapping[str, xr.Dataset], observed: xr.DataArray, basin: str, time: slice | str | None
) -> tuple[Cell, dict[str, Cell], dict[str, float]]:
    """One basin's observed series in the period, and simulated series and NSE over all days by model."""
    flow = _one(observed, basin, "'observed'").compute()
    cells, scores = {}, {}
    for label, simulation in by_name.items():
        series = _one(simulation["streamflow"], basin, f"{label!r}").compute()
        scores[label] = float(nse(series, flow))
        cells[label] = cell_series(series.to_dataset(name="streamflow"), ["streamflow"], flow, time)
    return next(iter(cells.values())), cells, scores


def _colours(by_name: Mapping[str, xr.Dataset]) -> dict[str, str]:
    """One colour per simulation: the paper's for the first of each model, others for the rest."""
    models = {label: described_model(simulation) or label for label, simulation in by_name.items()}
    first = {model: label for label, model in reversed(models.items())}
    names = {label: model if first[model] == label else label for label, model in models.items()}
    colours = model_colours(names.values())
    return {label: colours[name] for label, name in names.items()}


def _draw_basin(
    axes: Axes,
    cell: Cell,
    cells: Mapping[str, Cell],
    scores: Mapping[str, float],
    *,
    letter: str,
    colours: Mapping[str, str],
) -> None:
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
    free = _ROW * rows / (_HEIGHT - 0.5 + _ROW * (rows - 1))  # share of the height for the legend
    axes.set_ylim(bottom=0, top=max(float(axes.get_ylim()[1]), 1e-3) / (1 - free))
    date_axis(axes, cell.edges[0], cell.edges[-1])
    tidy(axes)


def _entry(label: str, scores: Mapping[str, float]) -> str:
    return lines_of(f"{mathematical(label)}: NSE {scores[label]:.2f}", 70)


def _legend_rows(scores: Mapping[str, float]) -> tuple[int, int]:
    """Columns of a panel's legend, as many as fit in its width, and lines of text."""
    entries = ["observed", *(_entry(label, scores) for label in scores)]
    longest = max(printed_length(line) for entry in entries for line in entry.split("\n"))
    columns = int(np.clip(_LETTERS // (longest + 8), 1, min(4, len(entries))))
    lines = max(entry.count("\n") + 1 for entry in entries)
    return columns, -(-len(entries) // columns) * lines


def _draw_map(axes: Axes, simulation: xr.Dataset, chosen: list[str], borders: list[Feature]) -> None:
    """Mark all basins of the simulation, and the drawn ones by the letters of their panels."""
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
    axes.set_title(f"({chr(ord('a') + len(chosen))})  location of the basins", loc="left")

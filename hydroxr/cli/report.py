"""A report on a simulation as one web page: tables, figures, water balance, metadata."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

from .. import plot
from .._version import __version__
from ..analysis.baseflow_index import as_fraction
from ..analysis.derived import derive
from ..analysis.water_balance import water_balance
from ..conventions.attributes import MODEL, START, TRAINING
from ..conventions.labels import is_text, series_of
from ..conventions.stamps import days as days_meant
from ..errors import EmptySelectionError, HydroxrError, StoreError, UnitsError
from ..inputs.cells import Space, select_cells, space_labels, space_names
from ..inputs.resolve import observed_streamflow
from ..inputs.time_axis import select_days
from ..metrics.evaluate import evaluate_simulation
from ..plot.geography import Outlines, features
from ..plot.runs import SHORT_NAMES
from ..plot.style import COLUMN, MODEL_COLOURS, PAGE, fonts, matplotlib_part, scatter
from ..support.atomic import write_whole
from . import html
from .summary import summary

_EXTREMES = 5  # cells in the tables of the lowest and the highest NSE
_MOST_CELLS = 5000  # in the table of all cells
_DRAWN = np.timedelta64(729, "D")  # a hydrograph shows two years
_OBSERVED_INDEXES = ("bfi_l13", "baseflow_index", "bfi_usgs", "bfi_ave_gagesii")
_COLUMNS = ("nse", "kge", "log_nse", "pbias", "flv", "fhv", "n_days")
_TERMS = {"precipitation": "P", "evapotranspiration": "ET", "streamflow": "Q", "storage_change": "ΔS"}


def write_report(
    sim: xr.Dataset,
    observed: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    time: slice | None = None,
    borders: Outlines | None = None,
) -> Path:
    """Write a report on a simulation to a self-contained web page.

    It has metrics over the cells and for the cells with the lowest and highest NSE, their distribution and
    map, hydrographs of the cells at the quartiles of NSE, the baseflow index, the water balance, and the
    attributes of the simulation.

    Parameters
    ----------
    sim
        Simulation with ``streamflow``. The report says which parts it leaves out for lack of variables.
    observed
        Observed streamflow and, if available, an observed baseflow index (``baseflow_index``, ``bfi_l13``,
        ``bfi_usgs``, ``bfi_ave_gagesii``), for at least the cells of the simulation.
    path
        Path of the HTML file. An existing file is replaced once the new one is complete.
    time
        Period to evaluate. Default: all days with simulation and observation.
    borders
        Outlines for the map, see :func:`hydroxr.plot.map`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    StoreError
        If the file cannot be written.
    DataFileError
        If the outlines cannot be read.
    HydroxrError
        As :meth:`ds.hbv.evaluate`.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> write_report(xr.open_zarr("run.zarr"), ds, "report.html")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StoreError(f"{path} cannot be written: {path.parent} is not a folder. Create it first.")
    text = _report(sim, observed, time, borders)
    try:
        write_whole(path, text)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}.") from error
    return path


def _report(sim: xr.Dataset, observed: xr.Dataset, time: slice | None, borders: Outlines | None) -> str:
    if borders is not None:
        features(borders, "'borders'")  # fail before computing anything
    sim = select_days(sim, time, "the simulation")
    space = tuple(dim for dim in sim["streamflow"].dims if dim != "time") if "streamflow" in sim else ()
    metrics = evaluate_simulation(sim, observed, time).compute()
    names = _cell_names(sim, space)
    model = str(sim.attrs.get(MODEL, "an unnamed model"))
    days = sim.indexes["time"]
    subtitle = (
        f"{len(names)} cells, {len(days)} days, {str(days[0])[:10]} to {str(days[-1])[:10]}. "
        f"Report by hydroxr {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    )
    balance = _balance_of(sim)
    parts = [
        *_origin(sim),
        html.heading("Streamflow"),
        *_metric_tables(metrics, names),
        *_score_figures(metrics, model, space, borders),
        html.heading("Hydrographs"),
        *_hydrographs(sim, observed, metrics, space, names),
        html.heading("Baseflow"),
        *_baseflow(sim, observed, space),
        html.heading("Water balance"),
        *_balance_tables(balance, names),
        html.heading("All cells"),
        _all_cells(metrics, balance, names),
        html.heading("Metadata"),
        *_attributes_of("simulation", sim),
        *_attributes_of("observations", observed),
    ]
    return html.page(f"Simulation by {model}", subtitle, parts)


def _origin(sim: xr.Dataset) -> list[str]:
    """The training period and the initial state, by which a reader judges the scores."""
    told = []
    try:
        first, last = json.loads(sim.attrs[TRAINING])["period"]
        told.append(f"The model was trained on {first} to {last}")
    except (KeyError, TypeError, ValueError):
        pass
    if START in sim.attrs:
        told.append(f"the simulation began with {sim.attrs[START]}")
    text = "; ".join(told)
    return [html.paragraph(f"{text[0].upper()}{text[1:]}.")] if told else []


def _cell_names(sim: xr.Dataset, space: Space) -> list[str]:
    if not space:
        name = series_of(sim)
        return ["the cell" if name is None else str(sim[name].item())]
    described = [name for name in ("basin_name",) if name in sim.coords and sim[name].dims == space]
    if len(space) > 1 or not (described or is_text(sim, space[0])):
        return list(space_names(sim, space))
    columns = [array.values for array in space_labels(sim, space).values()]
    columns += [sim[name].values.astype(object) for name in described]
    return ["  ".join(map(str, parts)) for parts in zip(*columns, strict=True)]


# --- Streamflow -------------------------------------------------------------------------------------


def _metric_tables(metrics: xr.Dataset, names: list[str]) -> list[str]:
    rows = []
    for row in summary(metrics):
        digits = 1 if row.units == "%" else 3
        numbers = [html.number(value, digits) for value in (row.median, row.lower, row.upper)]
        rows.append([row.long_name, row.units if row.units != "1" else "", *numbers, str(row.cells)])
    header = ("metric", "unit", "median", "lower 25 %", "upper 25 %", "cells")
    parts = [html.table("Over the cells with observations", header, rows, text=2)]
    order = _by_nse(metrics)
    if order.size > 2 * _EXTREMES:
        parts += [
            _cell_table(f"The {_EXTREMES} cells with the lowest NSE", metrics, names, order[:_EXTREMES]),
            _cell_table(
                f"The {_EXTREMES} cells with the highest NSE", metrics, names, order[: -_EXTREMES - 1 : -1]
            ),
        ]
    return parts


def _by_nse(metrics: xr.Dataset) -> np.ndarray:
    """Positions of the cells with an NSE, from the lowest NSE."""
    nse = metrics["nse"].values.ravel()
    order: np.ndarray = np.argsort(nse, kind="stable")[: int(np.isfinite(nse).sum())]
    return order


def _cell_table(caption: str, metrics: xr.Dataset, names: list[str], places: np.ndarray) -> str:
    columns = _columns(metrics)
    rows = [[names[place], *(column[place] for column in columns.values())] for place in places]
    return html.table(caption, ("cell", *columns), rows)


def _columns(metrics: xr.Dataset) -> dict[str, list[str]]:
    """Formatted metrics of each cell by column heading."""
    out = {}
    for name in _COLUMNS:
        percent = metrics[name].attrs["units"] == "%"
        heading = "days" if name == "n_days" else SHORT_NAMES[name] + (" (%)" if percent else "")
        digits = 0 if name == "n_days" else 1 if percent else 3
        out[heading] = [html.number(value, digits) for value in metrics[name].values.ravel()]
    return out


def _score_figures(metrics: xr.Dataset, model: str, space: Space, borders: Outlines | None) -> list[str]:
    known = int(np.isfinite(metrics["nse"].values).sum())
    if known < 2:
        return [html.paragraph("A distribution needs the scores of at least two cells.")]
    figures = [
        html.picture(
            plot.cdf(metrics, name),
            f"cumulative distribution of {name.upper()} over {known} cells",
            f"Share of cells below each {name.upper()}.",
        )
        for name in ("nse", "kge")
    ]
    parts = [html.beside(*figures)]
    if all(name in metrics.coords and set(metrics[name].dims) <= set(space) for name in ("lat", "lon")):
        with fonts():
            axes = matplotlib_part("pyplot").subplots(figsize=(PAGE, PAGE * 0.66), layout="constrained")[1]
        plot.map(metrics["nse"], borders=borders, axes=axes)
        caption = f"NSE of {model}."
        parts.append(html.picture(axes, f"map of the NSE of {known} cells", caption))
    else:
        parts.append(html.paragraph("No map: the simulation has no lat and lon."))
    return parts


# --- Hydrographs ------------------------------------------------------------------------------------


def _hydrographs(
    sim: xr.Dataset, observed: xr.Dataset, metrics: xr.Dataset, space: Space, names: list[str]
) -> list[str]:
    """Hydrographs of the cells at the quartiles of NSE, for the last two years with observations."""
    flow = select_cells(observed_streamflow(observed).to_dataset(name="streamflow"), sim, space, "'observed'")
    order = _by_nse(metrics)
    if not order.size:
        return [html.paragraph("No cell has observations.")]
    shares = {0.25: "lower quartile", 0.5: "median", 0.75: "upper quartile"}
    if order.size < 4:  # too few for quartiles
        chosen = {int(place): f"rank {rank} of {order.size}" for rank, place in enumerate(order[::-1], 1)}
    else:
        chosen = {int(order[round(at * (order.size - 1))]): f"the {each}" for at, each in shares.items()}
    parts = []
    for place, text in chosen.items():
        here = dict(zip(space, np.unravel_index(place, [sim.sizes[dim] for dim in space]), strict=True))
        series = flow["streamflow"].isel({dim: at for dim, at in here.items() if dim in flow.dims}).compute()
        days = series["time"].values[
            np.isin(series["time"].values, sim["time"].values) & series.notnull().values
        ]
        axes = plot.hydrograph(sim.isel(here), series, time=slice(max(days[0], days[-1] - _DRAWN), days[-1]))
        nse = float(metrics["nse"].values.ravel()[place])
        caption = f"{names[place]}: NSE {nse:.2f}, {text} of the cells."
        parts.append(html.picture(axes[0], f"hydrograph of {names[place]}", caption))
    return parts


# --- Baseflow ---------------------------------------------------------------------------------------


def _baseflow(sim: xr.Dataset, observed: xr.Dataset, space: Space) -> list[str]:
    if "baseflow" not in sim or "runoff" not in sim:
        return [html.paragraph("No baseflow index: the simulation has no baseflow and runoff.")]
    try:
        index = derive(sim[["baseflow", "runoff"]], "baseflow_index")["baseflow_index"].compute()
    except EmptySelectionError:
        return [html.paragraph("No baseflow index: the simulation covers no whole year.")]
    low, median, high = np.nanquantile(index.values, [0.25, 0.5, 0.75])
    parts = [
        html.paragraph(
            "Simulated baseflow index, the share of baseflow in runoff over whole years: median "
            f"{median:.2f}, quartiles {low:.2f} and {high:.2f}."
        )
    ]
    pictures = []
    for name in (name for name in _OBSERVED_INDEXES if name in observed and observed[name].dims == space):
        given = select_cells(observed[[name]], sim, space, "'observed'")[name]
        try:
            x, y = as_fraction(given).values.ravel(), index.values.ravel()
        except UnitsError as error:
            parts.append(html.paragraph(f"Not compared: {error}"))
            continue
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < 2:
            continue
        with fonts():
            axes = matplotlib_part("pyplot").subplots(figsize=(COLUMN, COLUMN), layout="constrained")[1]
            label = str(given.attrs.get("long_name", name))
            scatter(
                *(axes, x[known], y[known], "from observations", "simulated $Q_2/Q$"),
                title="baseflow index",
                colour=MODEL_COLOURS["dn-nnr"],
                limits=(0, 1),
            )
        pictures.append(
            html.picture(axes, f"simulated baseflow index against {name}", f"Observed: {label} ({name}).")
        )
    if pictures:
        return [*parts, html.beside(*pictures)]
    return [*parts, html.paragraph("No comparison: the observations have no baseflow index.")]


# --- Water balance ----------------------------------------------------------------------------------


def _balance_of(sim: xr.Dataset) -> xr.Dataset | str:
    """The water balance with its length in the attribute ``years``, or the reason that there is none."""
    try:
        balance = water_balance(sim).compute()
    except HydroxrError as error:
        return str(error)
    # The balance of a later part of a run begins on the second day.
    later = not balance.attrs["period"].startswith(str(days_meant(sim["time"])[0])[:10])
    return balance.assign_attrs(years=(sim.sizes["time"] - later) / 365.25)


def _balance_tables(balance: xr.Dataset | str, names: list[str]) -> list[str]:
    if isinstance(balance, str):
        return [html.paragraph(f"Not computed: {balance}")]
    rows = []
    for name in (*_TERMS, "residual"):
        values = balance[name].values.ravel() / balance.attrs["years"]
        known = values[np.isfinite(values)]
        low, median, high = np.quantile(known, [0.25, 0.5, 0.75]) if known.size else [np.nan] * 3
        called = f"{name.replace('_', ' ')} ({_TERMS[name]})" if name in _TERMS else name
        rows.append([called, *(html.number(each, 1) for each in (median, low, high))])
    header = ("mm/year", "median", "lower 25 %", "upper 25 %")
    parts = [html.table(f"Over the cells, {balance.attrs['period']}", header, rows)]
    whole = np.abs(balance["residual"].values.ravel())
    daily = balance["largest_daily_residual"].values.ravel()
    if np.isfinite(whole).any():
        worst, worst_day = int(np.nanargmax(whole)), int(np.nanargmax(daily))
        parts.append(
            html.paragraph(
                "The largest residual of precipitation = evapotranspiration + streamflow + storage change is "
                f"{whole[worst]:.2g} mm over the whole period ({names[worst]}) and "
                f"{daily[worst_day]:.2g} mm on one day ({names[worst_day]})."
            )
        )
    return parts


def _all_cells(metrics: xr.Dataset, balance: xr.Dataset | str, names: list[str]) -> str:
    """A folded table with metrics and water balance of each cell."""
    if len(names) > _MOST_CELLS:
        return html.paragraph(
            f"No table: {len(names)} cells are too many for a page. evaluate --out FILE writes them."
        )
    columns = _columns(metrics)
    if not isinstance(balance, str):
        for name, symbol in _TERMS.items():
            rates = balance[name].values.ravel() / balance.attrs["years"]
            columns[f"{symbol} (mm/year)"] = [html.number(each, 1) for each in rates]
        columns["residual (mm)"] = [html.number(each, 4) for each in balance["residual"].values.ravel()]
    rows = [[name, *(column[place] for column in columns.values())] for place, name in enumerate(names)]
    content = html.table("", ("cell", *columns), rows)
    return html.folded(f"Metrics and water balance of all {len(names)} cells", content)


def _attributes_of(what: str, ds: xr.Dataset) -> list[str]:
    if not ds.attrs:
        return [
            html.paragraph(
                f"The {what} have no attributes." if what.endswith("s") else f"The {what} has no attributes."
            )
        ]
    return [html.paragraph(f"Attributes of the {what}:"), html.attributes(ds.attrs)]

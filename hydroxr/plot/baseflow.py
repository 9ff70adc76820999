"""Simulated against observed baseflow index: maps and scatter plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..analysis.baseflow_index import as_fraction
from ..analysis.derived import derive
from ..errors import EmptySelectionError, MissingVariableError
from ..metrics.evaluate import evaluate_simulation
from .geography import Outlines
from .maps import draw_map, map_height, map_places
from .runs import need, one_run, same_cells
from .style import MODEL_COLOURS, PAGE, fonts, matplotlib_part, panels_of, scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INDEXES = {
    "bfi_l13": "BFI after Ladson et al. (2013)",
    "baseflow_index": "BFI after Ladson et al. (2013)",
    "bfi_usgs": "BFI of the USGS",
    "bfi_ave_gagesii": "BFI of the USGS",
}
_SCATTER = 2.8  # inches


def baseflow_index(
    results: xr.Dataset,
    observed: str | xr.DataArray = "bfi_l13",
    *,
    run: str | None = None,
    threshold: float | None = 0.5,
    borders: Outlines | None = None,
    polygons: Outlines | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """Draw maps of the observed and the simulated baseflow index, and a scatter plot of both.

    The left column has all cells with both indices. The right column has those with an NSE above the
    threshold, if there are at least two.

    Parameters
    ----------
    results
        Dataset with ``baseflow_index`` (simulated: sum of Q2 over sum of Q) and ``nse``, ``(run, basin)`` or
        ``(basin,)``, and the coordinates ``lat`` and ``lon``.
    observed
        Index from a baseflow separation ``(basin,)``: a variable of the results, or a DataArray that covers
        their basins. A fraction or percent, as for :func:`hydroxr.compare.baseflow`.
    run
        A label of ``run``, or a model, of which the mean over its seeds is drawn. Required if there are
        several models.
    threshold
        Lower limit of NSE for the right column. None: no right column, and no NSE needed.
    borders, polygons
        Outlines for orientation and of the basins, see :func:`hydroxr.plot.map`.
    axes
        Axes to draw on, ``(3, 2)``, or ``(3, 1)`` with one column. Default: a new figure 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(row, column)``: map of the observed index, map of the simulated index, scatter plot.

    Raises
    ------
    MissingVariableError
        If the results lack a variable.
    DimensionError
        If there are several models and ``run`` does not choose one.
    CoordinateError
        If no run or model has the name ``run``, the cells have no position, or ``observed`` lacks a basin.
    UnitsError
        If an index is neither a fraction nor percent.
    EmptySelectionError
        If fewer than two cells have both indices. An LSTM simulates no baseflow.
    DataFileError
        If a file of outlines does not exist or cannot be read.
    ValueError
        If the number of ``axes`` differs from the number of panels.
    ImportError
        If matplotlib is not installed or, for a shapefile, pyshp.
    """
    wanted = ["baseflow_index"] + ([] if threshold is None else ["nse"])
    need(results, [*wanted, *([observed] if isinstance(observed, str) else [])], "the figure of baseflow")
    chosen, symbol = one_run(results[wanted], run)
    simulated = chosen["baseflow_index"]
    reference = results[observed] if isinstance(observed, str) else same_cells(observed, simulated)
    name = _INDEXES.get(str(reference.name), str(reference.attrs.get("long_name", "observed BFI")))
    simulated, reference = as_fraction(simulated), as_fraction(reference)
    reference = reference.rename("bfi_l13").assign_attrs(long_name=name, units="1")
    both = np.isfinite(simulated.values) & np.isfinite(reference.values)
    columns = [("all cells", both)]
    if threshold is not None:
        columns.append((f"NSE > {threshold:g}", both & (chosen["nse"].values > threshold)))
    if both.sum() < 2:
        raise EmptySelectionError(
            f"{both.sum()} cells have a simulated and an observed baseflow index; expected at least two. An "
            "LSTM has none: choose a δ model, run=..."
        )
    columns = [(title, counted) for title, counted in columns if counted.sum() >= 2]
    label = f"simulated $Q_2/Q$ of {symbol}" if symbol else "simulated $Q_2/Q$"
    simulated = simulated.assign_attrs(long_name=label, units="1")
    return _draw(columns, reference, simulated, (borders, polygons), axes)


def baseflow_results(simulation: xr.Dataset, observed: xr.Dataset, index: str) -> xr.Dataset:
    """What :func:`baseflow_index` draws of one simulation: its index over whole years, and its NSE.

    Raises
    ------
    MissingVariableError
        If the simulation lacks ``baseflow`` or ``runoff``, or ``observed`` lacks ``index``.
    EmptySelectionError
        If the simulation has no whole year.
    """
    absent = [name for name in ("baseflow", "runoff") if name not in simulation]
    if absent:
        raise MissingVariableError(
            f"the baseflow index needs 'baseflow' and 'runoff', and the simulation lacks {absent}. Simulate "
            "them; an LSTM has none."
        )
    if index not in observed:
        raise MissingVariableError(
            f"the observations have no variable {index!r}; expected an observed baseflow index. Add it, or "
            "name it: index=..."
        )
    simulated = derive(simulation[["baseflow", "runoff"]], "baseflow_index")["baseflow_index"]
    scores = evaluate_simulation(simulation, observed)[["nse"]]
    return scores.assign(baseflow_index=simulated).assign_attrs(simulation.attrs).compute()


def _draw(
    columns: list[tuple[str, np.ndarray]],
    reference: xr.DataArray,
    simulated: xr.DataArray,
    outlines: tuple[Outlines | None, Outlines | None],
    axes: np.ndarray | None,
) -> np.ndarray:
    plt = matplotlib_part("pyplot")
    (dim,) = simulated.dims
    with fonts():
        if axes is None:
            part = reference.isel({dim: columns[0][1]})
            high = map_height(*map_places(part)[:2], PAGE / 2 - 0.5) + 0.35
            size = (PAGE * len(columns) / 2, 2 * high + _SCATTER + 0.7)
            options = {"height_ratios": (high, high, _SCATTER), "squeeze": False, "layout": "constrained"}
            axes = plt.subplots(3, len(columns), figsize=size, **options)[1]
        axes = panels_of(axes, 3, len(columns))
        for column, (title, counted) in enumerate(columns):
            rows: tuple[xr.DataArray, xr.DataArray] = (reference, simulated)
            for row, values in enumerate(rows):
                each: Axes = axes[row, column]
                part = values.isel({dim: counted})
                borders, polygons = outlines
                draw_map(part, borders=borders, polygons=polygons, limits=(0, 1), colourbar=False, axes=each)
                each.set_anchor("W")  # leaves the full width to the title
                words = values.attrs["long_name"] + (f", {title}" if row == 0 else "")
                each.set_title(f"({'abcdef'[row * len(columns) + column]}) {words}", loc="left")
            pair = [values.values[counted] for values in rows]
            labels = [values.attrs["long_name"] for values in rows]
            letter = "abcdef"[2 * len(columns) + column]
            heading, colour = f"({letter}) {title}", MODEL_COLOURS["dn-nnr"]
            scatter(axes[2, column], *pair, *labels, title=heading, colour=colour, limits=(0, 1))
        _one_colourbar(axes)
    return axes


def _one_colourbar(axes: np.ndarray) -> None:
    maps = axes[:2].ravel().tolist()
    drawn = next(each for each in maps[0].collections if not each.get_label().startswith("no value"))
    bar = maps[0].figure.colorbar(
        drawn, ax=maps, location="bottom", shrink=0.7, aspect=40, pad=0.02, panchor=False
    )
    bar.set_label("baseflow index")
    bar.outline.set_visible(False)

"""The simulated baseflow index against that of a separation of the observed streamflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..analysis.baseflow_index import as_fraction
from ..errors import EmptySelectionError
from .geography import Outlines
from .maps import draw_map, map_height, map_places
from .runs import need, one_run, same_cells
from .scatter import scatter
from .style import MODEL_COLOURS, PAGE, fonts, matplotlib_part

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
    """Draw maps of the baseflow index, from observations and simulated, and the one against the other.

    On the left all cells that have both, on the right those of them with an NSE above the threshold, if there
    are two.

    Parameters
    ----------
    results
        With ``baseflow_index`` (simulated: sum of Q2 over sum of Q) and ``nse``, ``(run, basin)`` or
        ``(basin,)``, and coordinates ``lat`` and ``lon``.
    observed
        The index from a baseflow separation ``(basin,)``: a variable of the results, or a DataArray that has
        their basins. A fraction or percent, as :func:`hydroxr.compare.baseflow` takes it.
    run
        A label of ``run``, or a model, of which the mean over its seeds is drawn; needed where there are
        several models.
    threshold
        Of the NSE; None leaves the right side out and needs no NSE.
    borders, polygons
        See :func:`hydroxr.plot.map`.
    axes
        Where to draw, ``(3, 2)``, or ``(3, 1)`` without a threshold; by default a new figure, 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(row, column)``: maps of the observed and of the simulated index, scatter.

    Raises
    ------
    MissingVariableError
        A variable is not there.
    DimensionError, CoordinateError
        There are several models and ``run`` names none, or one that is not there; as
        :func:`hydroxr.plot.map`.
    UnitsError
        An index is neither a fraction nor percent.
    EmptySelectionError
        Fewer than two cells have both: an LSTM has no baseflow.
    ValueError
        The number of ``axes`` is not that of the panels.
    ImportError
        There is no matplotlib or, for a shapefile, no pyshp.
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
        axes = np.asarray(axes, dtype=object)
        if axes.size != 3 * len(columns):
            raise ValueError(f"'axes' has the shape {axes.shape}; expected (3, {len(columns)}).")
        axes = axes.reshape(3, len(columns))
        for column, (title, counted) in enumerate(columns):
            rows: tuple[xr.DataArray, xr.DataArray] = (reference, simulated)
            for row, values in enumerate(rows):
                each: Axes = axes[row, column]
                part = values.isel({dim: counted})
                borders, polygons = outlines
                draw_map(part, borders=borders, polygons=polygons, limits=(0, 1), colourbar=False, axes=each)
                each.set_anchor("W")  # so that the title has all the width
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

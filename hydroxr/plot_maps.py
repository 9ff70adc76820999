"""Values of cells on a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .errors import CoordinateError, DimensionError, EmptySelectionError
from .plot_geography import Feature, Outlines, Projection, features, matched
from .plot_results import axis_label
from .plot_scores import IN_PERCENT, UP_TO_ONE
from .plot_style import COLUMN, FAINT, FONTS, fonts, matplotlib_part

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection

_SIGNED = (*IN_PERCENT, "bias")  # 0 is the best, both sides are of interest
_FROM_ZERO_TO_ONE = (*UP_TO_ONE, "baseflow_index", "bfi_l13", "bfi_usgs", "bfi_ave_gagesii")
_MARGIN = 0.05  # of the extent, on each side
_STEPS = (1, 2, 5, 10, 20, 30, 60)  # degrees between lines of the graticule


def draw_map(
    values: xr.DataArray,
    *,
    borders: Outlines | None = None,
    polygons: Outlines | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str | None = None,
    colourbar: bool = True,
    axes: Axes | None = None,
) -> Axes:
    """Draw a value of each cell where it lies: basins as points or polygons, grids as their cells.

    The map is an equal-area projection (Albers') for the region of the cells. Cells without a value are
    hollow. Values beyond the limits have the colour of the limit, which the colour bar shows by an arrow.

    Parameters
    ----------
    values
        ``(basin,)`` with ``lat`` and ``lon`` in degrees, or on a grid ``(lat, lon)``.
    borders
        Outlines for orientation, in degrees: the path of a shapefile or GeoJSON file, such as the states of
        Natural Earth, or a GeoDataFrame. A shapefile needs pyshp: ``pip install hydroxr[maps]``.
    polygons
        The basins' own outlines, likewise, of which some property has their names (``basin_id``). By
        default basins are points.
    limits
        Values of the first and the last colour; by default 0 and 1 for NSE, its like and baseflow indices,
        as far from 0 on both sides for biases, else the range of the middle 96 % of the values.
    cmap
        Name of a colour map of matplotlib; by default "viridis", for biases "RdBu".
    colourbar
        Whether to draw one, with the name and the unit of the values.
    axes
        Where to draw; by default a new figure as wide as a journal's column, 8.5 cm.

    Returns
    -------
    matplotlib.axes.Axes
        In radii of the earth. Its first collection without a label has the values.

    Raises
    ------
    CoordinateError
        There is no ``lat`` and ``lon``, or outlines are not in degrees, or basins have no polygon.
    DimensionError
        The values have other dimensions than those of space: they vary in time, or are of several runs.
    EmptySelectionError
        There is no cell.
    DataFileError
        A file of outlines does not exist or cannot be read.
    ImportError
        There is no matplotlib or, for a shapefile, no pyshp.

    Examples
    --------
    >>> hx.plot.map(sim.hbv.evaluate(ds)["nse"], borders="states.shp")  # doctest: +SKIP
    """
    lon, lat, gridded = _places(values)
    plt = matplotlib_part("pyplot")
    lines = [] if borders is None else features(borders, "'borders'")
    shapes = [] if polygons is None else matched(features(polygons, "'polygons'"), names(values))
    with fonts():
        if axes is None:
            axes = plt.subplots(figsize=(COLUMN, COLUMN * 0.78), layout="constrained")[1]
        assert axes is not None
        projection = frame(axes, *_extent(lon, lat, shapes), lines)
        numbers = values.values.astype(float)
        low, high = limits if limits is not None else _limits(values)
        style: dict[str, Any] = {
            "cmap": cmap or ("RdBu" if values.name in _SIGNED else "viridis"),
            "norm": matplotlib_part("colors").Normalize(low, high),
        }
        if gridded:
            drawn = _grid(axes, projection, values, style)
        elif shapes:
            drawn = _polygons(axes, projection, shapes, numbers, style)
        else:
            drawn = _points(axes, projection(lon, lat), numbers, style)
        if colourbar:
            _colourbar(axes, drawn, values)
    return axes


def names(values: xr.DataArray | xr.Dataset) -> list[str]:
    """What the basins are called: ``basin_id``, else the labels of their dimension."""
    (dim,) = values["lat"].dims
    label = "basin_id" if "basin_id" in values.coords else dim
    return [str(each) for each in values[label].values.astype(object)]


def frame(axes: Axes, lon: np.ndarray, lat: np.ndarray, borders: list[Feature]) -> Projection:
    """An empty map of the region of some points: borders, parallels and meridians."""
    projection = Projection.of(lon, lat)
    x, y = projection(lon, lat)
    for which, ends in ((axes.set_xlim, x), (axes.set_ylim, y)):
        margin = _MARGIN * max(float(np.ptp(ends)), 0.01)
        which(float(ends.min()) - margin, float(ends.max()) + margin)
    axes.set_aspect("equal")
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    _graticule(axes, projection, lon, lat)
    near = (lon.min() - 5, lon.max() + 5), (lat.min() - 5, lat.max() + 5)
    for feature in borders:
        for ring in feature.rings:
            if all(ring[:, i].min() < near[i][1] and ring[:, i].max() > near[i][0] for i in (0, 1)):
                axes.plot(*projection(ring[:, 0], ring[:, 1]), color=FAINT, linewidth=0.5, label="_border")
    return projection


def _graticule(axes: Axes, projection: Projection, lon: np.ndarray, lat: np.ndarray) -> None:
    """A line each some degrees, named where it leaves the map below or on the left."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    middle = float(lon.min() + lon.max()) / 2, float(lat.min() + lat.max()) / 2
    wide, high = float(np.ptp(lon)) + 4, float(np.ptp(lat)) + 4
    eastings = np.linspace(middle[0] - wide, middle[0] + wide, 400)
    northings = np.clip(np.linspace(middle[1] - high, middle[1] + high, 400), -90, 90)
    ticks: dict[str, list[tuple[float, str]]] = {"x": [], "y": []}
    for meridian in _round_degrees(eastings, wide):
        x, y = projection(np.full(northings.size, meridian), northings)
        axes.plot(x, y, color="0.9", linewidth=0.5, zorder=0, label="_graticule")
        name = f"{abs((meridian + 180) % 360 - 180):g}°{'W' if (meridian + 180) % 360 < 180 else 'E'}"
        ticks["x"].append((float(np.interp(bottom, y, x)), name))
    for parallel in _round_degrees(northings, high):
        x, y = projection(eastings, np.full(eastings.size, parallel))
        axes.plot(x, y, color="0.9", linewidth=0.5, zorder=0, label="_graticule")
        ticks["y"].append((float(np.interp(left, x, y)), f"{abs(parallel):g}°{'S' if parallel < 0 else 'N'}"))
    inside_x = [(place, name) for place, name in ticks["x"] if left <= place <= right]
    inside_y = [(place, name) for place, name in ticks["y"] if bottom <= place <= top]
    axes.set_xticks([place for place, _ in inside_x], [name for _, name in inside_x])
    axes.set_yticks([place for place, _ in inside_y], [name for _, name in inside_y])
    axes.tick_params(length=0, labelcolor="0.4", labelsize=FONTS["xtick.labelsize"])


def _round_degrees(along: np.ndarray, extent: float) -> np.ndarray:
    step = next((step for step in _STEPS if extent / step <= 6.5), _STEPS[-1])
    return np.arange(np.ceil(along.min() / step), np.floor(along.max() / step) + 1) * step


# --- What is drawn of the values --------------------------------------------------------------------


def _points(
    axes: Axes, places: tuple[np.ndarray, np.ndarray], numbers: np.ndarray, style: dict[str, Any]
) -> Collection:
    known = np.isfinite(numbers)
    size = float(np.clip(4000 / max(numbers.size, 1), 9, 40))
    x, y = places
    if not known.all():
        axes.scatter(
            *(x[~known], y[~known]),
            s=size * 0.7,
            facecolor="none",
            edgecolor=FAINT,
            linewidth=0.6,
            label="no value",
        )
    drawn: Collection = axes.scatter(
        *(x[known], y[known]), c=numbers[known], s=size, edgecolor="0.2", linewidth=0.2, **style
    )
    return drawn


def _polygons(
    axes: Axes, projection: Projection, shapes: list[Feature], numbers: np.ndarray, style: dict[str, Any]
) -> Collection:
    """Large ones first, since basins may lie within each other."""
    outline = matplotlib_part("path").Path
    collection = matplotlib_part("collections").PathCollection
    paths, areas = [], []
    for shape in shapes:
        rings = [np.column_stack(projection(ring[:, 0], ring[:, 1])) for ring in shape.rings]
        paths.append(outline.make_compound_path(*(outline(ring, closed=True) for ring in rings)))
        areas.append(abs(sum(_signed_area(ring) for ring in rings)))
    order = np.argsort(areas)[::-1]
    for known in (False, True):
        chosen = [place for place in order if np.isfinite(numbers[place]) == known]
        if not known and not chosen:
            continue
        look: dict[str, Any] = (
            {"array": numbers[chosen], **style} if known else {"facecolor": "none", "label": "no value"}
        )
        drawn = collection(
            [paths[place] for place in chosen], edgecolor="0.2" if known else FAINT, linewidth=0.12, **look
        )
        axes.add_collection(drawn, autolim=False)
    return drawn


def _signed_area(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def _grid(axes: Axes, projection: Projection, values: xr.DataArray, style: dict[str, Any]) -> Collection:
    edges = [_edges(values[dim].values.astype(float)) for dim in ("lon", "lat")]
    corners = projection(*np.meshgrid(*edges))
    drawn: Collection = axes.pcolormesh(*corners, values.transpose("lat", "lon").values, zorder=0.5, **style)
    return drawn


def _edges(centres: np.ndarray) -> np.ndarray:
    """Half-way between the centres of cells, and as far outside the first and the last."""
    if centres.size == 1:
        return centres[0] + np.array([-0.5, 0.5])
    half = np.diff(centres) / 2
    return np.concatenate([centres[:1] - half[:1], centres[:-1] + half, centres[-1:] + half[-1:]])


def _colourbar(axes: Axes, drawn: Collection, values: xr.DataArray) -> None:
    numbers, norm = values.values[np.isfinite(values.values)], drawn.norm
    below, above = bool((numbers < norm.vmin).any()), bool((numbers > norm.vmax).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = axes.figure.colorbar(
        drawn,
        ax=axes,
        orientation="horizontal",
        extend=extend[below, above],
        extendfrac=0.03,
        shrink=0.8,
        aspect=30,
        pad=0.02,
    )
    bar.set_label(axis_label(values), wrap=True)
    bar.outline.set_visible(False)


# --- Where they lie ---------------------------------------------------------------------------------


def _places(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Longitude and latitude of each cell ``(cell,)``, and whether they are those of a grid."""
    absent = [repr(name) for name in ("lat", "lon") if name not in values.coords]
    if absent:
        raise CoordinateError(
            f"{str(values.name)!r} has no coordinate {' and '.join(absent)}; expected where the "
            "cells are, in degrees. Add them: assign_coords(lat=..., lon=...)."
        )
    gridded = values["lat"].dims == ("lat",) and values["lon"].dims == ("lon",)
    space = {"lat", "lon"} if gridded else set(values["lat"].dims)
    if set(values.dims) != space or (not gridded and len(space) != 1):
        others = [str(dim) for dim in values.dims if dim not in space]
        advice = f"Reduce or select {others[0]!r} first: .mean({others[0]!r})." if others else ""
        raise DimensionError(
            f"{str(values.name)!r} has dimensions {values.dims}; expected (basin,) or (lat, lon). {advice}"
        )
    if values.size == 0:
        raise EmptySelectionError(f"{str(values.name)!r} has no cell that could be drawn.")
    lon, lat = values["lon"].values.astype(float), values["lat"].values.astype(float)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and np.abs(lat).max() <= 90):
        raise CoordinateError(
            "'lat' or 'lon' has values that are missing or no degrees; expected latitudes of -90 to 90. "
            "Select the cells whose place is known."
        )
    if gridded:
        lon, lat = (each.ravel() for each in np.meshgrid(lon, lat))
    return lon, lat, gridded


def _extent(lon: np.ndarray, lat: np.ndarray, shapes: list[Feature]) -> tuple[np.ndarray, np.ndarray]:
    if not shapes:
        return lon, lat
    points = np.concatenate([ring for shape in shapes for ring in shape.rings])
    return points[:, 0], points[:, 1]


def _limits(values: xr.DataArray) -> tuple[float, float]:
    if values.name in _FROM_ZERO_TO_ONE:
        return 0.0, 1.0
    numbers = values.values[np.isfinite(values.values)]
    if numbers.size == 0:
        return 0.0, 1.0
    if values.name in _SIGNED:
        furthest = float(np.quantile(np.abs(numbers), 0.96)) or 1.0
        return -furthest, furthest
    low, high = np.quantile(numbers, [0.02, 0.98])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)

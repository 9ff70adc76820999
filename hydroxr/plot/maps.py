"""Maps of values per cell."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..analysis.grids import cell_edges
from ..conventions.variables import FLUX, FLUXES
from ..errors import CoordinateError, DimensionError, EmptySelectionError, MissingVariableError
from ..inputs.time_axis import select_days
from .geography import (
    BELOW,
    Feature,
    Outlines,
    Projection,
    draw_reaches,
    features,
    matched,
    wrapped,
)
from .runs import axis_label
from .scores import IN_PERCENT, UP_TO_ONE
from .series import basin_names
from .style import COLUMN, FAINT, FONTS, fonts, matplotlib_part

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection

_SIGNED = (*IN_PERCENT, "bias")  # the best value is 0, between both signs
_FROM_ZERO_TO_ONE = (*UP_TO_ONE, "baseflow_index", "bfi_l13", "bfi_usgs", "bfi_ave_gagesii")
_MARGIN = 0.05  # share of the extent on each side
_LABEL = (0.5, 0.15)  # inches for the label of a meridian and of a parallel
_STEPS = (1, 2, 5, 10, 20, 30, 60, 90)  # degrees between lines of the graticule


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
    """Draw a map of one value per cell: basins as points or polygons, grids as cells, reaches as lines.

    The projection is Albers' equal-area conic, fitted to the region of the cells. Missing values are grey
    crosses, or grey polygons. An arrow on the colour bar marks values beyond the limits.

    Parameters
    ----------
    values
        Values ``(basin,)`` with ``lat`` and ``lon`` in degrees, or on a grid ``(lat, lon)``. Those of a
        routed run, which have the coordinate ``downstream``, are lines, wider for larger values.
    borders
        Outlines for orientation, in degrees: path of a shapefile or GeoJSON file, such as the states of
        Natural Earth, or a GeoDataFrame. Shapefiles need pyshp: ``pip install hydroxr[maps]``.
    polygons
        Outlines of the basins, in the same formats, with a property that matches the labels of the
        basins. Default: basins are points.
    limits
        Values of the first and the last colour. Default: 0 and 1 for NSE, similar metrics and baseflow
        indices; symmetric about 0 for biases, at most 100 %; otherwise the range of the middle 96 %.
    cmap
        Name of a matplotlib colour map. Default: "viridis", for biases "RdBu".
    colourbar
        Whether to draw a colour bar with the name and unit of the values.
    axes
        Axes to draw on. Default: a new figure as wide as a journal's column, 8.5 cm.

    Returns
    -------
    matplotlib.axes.Axes
        Its coordinates are radii of the earth; its first collection without a label has the values.

    Raises
    ------
    CoordinateError
        If ``lat`` or ``lon`` is missing or not in degrees, outlines are not in degrees, or a basin has no
        polygon.
    DimensionError
        If the values have dimensions besides space, such as time or runs.
    EmptySelectionError
        If there is no cell.
    DataFileError
        If a file of outlines does not exist or cannot be read.
    TypeError
        If outlines are neither a path nor an object such as a GeoDataFrame.
    ImportError
        If matplotlib is not installed or, for a shapefile, pyshp.

    Examples
    --------
    >>> hx.plot.map(sim.hbv.evaluate(ds)["nse"], borders="states.shp")  # doctest: +SKIP
    """
    lon, lat, gridded = map_places(values)
    plt = matplotlib_part("pyplot")
    lines = [] if borders is None else features(borders, "'borders'")
    shapes = [] if polygons is None else matched(features(polygons, "'polygons'"), basin_names(values))
    with fonts():
        if axes is None:
            high = map_height(*_extent(lon, lat, shapes), COLUMN - 0.4) + 0.25 + 0.6 * colourbar
            axes = plt.subplots(figsize=(COLUMN, high), layout="constrained")[1]
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
        elif BELOW in values.coords:
            drawn = draw_reaches(axes, projection(lon, lat), values, style)
        else:
            drawn = _points(axes, projection(lon, lat), numbers, style)
        if colourbar:
            _colourbar(axes, drawn, values)
    return axes


def time_mean(simulation: xr.Dataset, name: str, time: slice | None) -> xr.DataArray:
    """The mean of a variable over the days in ``time``, computed; a variable without time as it is.

    Raises
    ------
    MissingVariableError
        If the Dataset has no variable ``name``.
    EmptySelectionError
        If it has no days in the period.
    """
    if name not in simulation:
        raise MissingVariableError(
            f"there is no variable {name!r}, only {sorted(str(each) for each in simulation.data_vars)}. "
            "Simulate it, or choose one of these."
        )
    values = simulation[name]
    if "time" not in values.dims:
        return values.compute()
    values = select_days(simulation[[name]], time, "the simulation")[name]
    words = str(values.attrs.get("long_name", name)).split(":")[0].split(" (")[0]
    units = values.attrs.get("units", FLUX if name in FLUXES else "1")
    attrs = {"long_name": f"mean {words}", "units": units}
    return values.mean("time", skipna=False).assign_attrs(attrs).compute()


def map_height(lon: np.ndarray, lat: np.ndarray, width: float) -> float:
    """The height in inches of a map of these points, for a given width."""
    x, y = Projection.of(lon, lat)(lon, lat)
    aspect = max(float(np.ptp(y)), 0.01) / max(float(np.ptp(x)), 0.01)
    return width * float(np.clip(aspect, 0.3, 1.2))


def frame(
    axes: Axes, lon: np.ndarray, lat: np.ndarray, borders: list[Feature], margin: float = _MARGIN
) -> Projection:
    """Draw an empty map of the region of these points: borders, parallels and meridians."""
    projection = Projection.of(lon, lat)
    x, y = projection(lon, lat)
    for which, ends in ((axes.set_xlim, x), (axes.set_ylim, y)):
        room = margin * max(float(np.ptp(ends)), 0.01)
        which(float(ends.min()) - room, float(ends.max()) + room)
    axes.set_aspect("equal")
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    _graticule(axes, projection, lon, lat)
    east = projection.relative(lon)
    near = (east.min() - 5, east.max() + 5), (lat.min() - 5, lat.max() + 5)
    for feature in borders:
        for ring in feature.rings:
            line = np.column_stack([projection.relative(ring[:, 0]), ring[:, 1]])
            if all(line[:, i].min() < near[i][1] and line[:, i].max() > near[i][0] for i in (0, 1)):
                cuts = np.flatnonzero(np.abs(np.diff(line[:, 0])) > 180) + 1  # cut at the edge of the map
                line = np.insert(line, cuts, np.nan, axis=0)
                axes.plot(*projection.from_centre(*line.T), color=FAINT, linewidth=0.5, label="_border")
    return projection


def _graticule(axes: Axes, projection: Projection, lon: np.ndarray, lat: np.ndarray) -> None:
    """Draw meridians and parallels at round degrees, labelled at the lower and the left edge."""
    east = projection.relative(lon)
    middle = float(east.min() + east.max()) / 2, float(lat.min() + lat.max()) / 2
    wide, high = min(float(np.ptp(east)) + 4, 180.0), float(np.ptp(lat)) + 4
    eastings = np.clip(np.linspace(middle[0] - wide, middle[0] + wide, 400), -180, 180)
    northings = np.clip(np.linspace(middle[1] - high, middle[1] + high, 400), -90, 90)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()

    def meridian(degrees: float) -> tuple[np.ndarray, np.ndarray, float]:
        x, y = projection(np.full(northings.size, degrees), northings)
        return x, y, float(np.interp(bottom, y, x))

    def parallel(degrees: float) -> tuple[np.ndarray, np.ndarray, float]:
        x, y = projection.from_centre(eastings, np.full(eastings.size, degrees))
        return x, y, float(np.interp(left, x, y))

    apart = _inches(axes)
    for place, line, along, extent, ends, least in (
        (0, meridian, eastings + projection.centre, wide, (left, right), _LABEL[0] / apart),
        (1, parallel, northings, high, (bottom, top), _LABEL[1] / apart),
    ):
        ticks: list[tuple[float, str]] = []
        for step in (step for step in _STEPS if extent / step <= 6.5 or step == _STEPS[-1]):
            lines = [(degrees, *line(degrees)) for degrees in _round_degrees(along, step)]
            inside = sorted((at, degrees) for degrees, _, _, at in lines if ends[0] <= at <= ends[1])
            ticks = [(at, _degrees(degrees, place == 0)) for at, degrees in inside]
            if all(after[0] - before[0] >= least for before, after in pairwise(ticks)):
                break
        else:
            ticks = ticks[:1]
        for _, x, y, _ in lines:
            axes.plot(x, y, color="0.9", linewidth=0.5, zorder=0, label="_graticule")
        which = axes.set_yticks if place else axes.set_xticks
        which([at for at, _ in ticks], [name for _, name in ticks])
    axes.tick_params(length=0, labelcolor="0.4", labelsize=FONTS["xtick.labelsize"])


def _inches(axes: Axes) -> float:
    """Approximate length in inches of a radius of the earth; the final layout is not known yet."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_position()
    sizes = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    extents = float(np.ptp(axes.get_xlim())), float(np.ptp(axes.get_ylim()))
    return min(size / extent for size, extent in zip(sizes, extents, strict=True))


def _degrees(degrees: float, longitude: bool) -> str:
    if not longitude:
        return f"{abs(degrees):g}°{'S' if degrees < 0 else 'N' if degrees else ''}"
    around = float(wrapped(np.array(degrees)))
    side = "" if abs(around) in (0, 180) else "W" if around < 0 else "E"
    return f"{abs(around):g}°{side}"


def _round_degrees(along: np.ndarray, step: int) -> np.ndarray:
    found = np.arange(np.ceil(along.min() / step), np.floor(along.max() / step) + 1) * step
    found = found[found < along.min() + 360]  # 180 degrees west are 180 degrees east
    return found[np.abs(found) != 90] if np.abs(along).max() <= 90 else found  # the poles are no lines


# --- Values -----------------------------------------------------------------------------------------


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
            marker="x",
            color=FAINT,
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
    """Draw large polygons first, so that nested basins stay visible."""
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
            {"array": numbers[chosen], **style} if known else {"facecolor": "0.85", "label": "no value"}
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
    east = projection.relative(values["lon"].values.astype(float))
    order = np.argsort(east, kind="stable")
    north = np.clip(cell_edges(values["lat"].values.astype(float), width=1.0), -90, 90)
    corners = projection.from_centre(*np.meshgrid(cell_edges(east[order], width=1.0), north))
    numbers = values.transpose("lat", "lon").values[:, order]
    drawn: Collection = axes.pcolormesh(*corners, numbers, zorder=0.5, **style)
    return drawn


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


# --- Positions --------------------------------------------------------------------------------------


def map_places(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Longitude and latitude of each cell ``(cell,)``, and whether the cells form a grid.

    Raises
    ------
    CoordinateError
        If ``lat`` or ``lon`` is missing or not in degrees.
    DimensionError
        If the values have dimensions besides space.
    EmptySelectionError
        If there is no cell.
    """
    absent = [repr(name) for name in ("lat", "lon") if name not in values.coords]
    if absent:
        raise CoordinateError(
            f"{str(values.name)!r} has no coordinate {' and '.join(absent)}; expected the cells' position in "
            "degrees. Add it: assign_coords(lat=..., lon=...)."
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
        raise EmptySelectionError(f"{str(values.name)!r} has no cell; expected at least one.")
    lon, lat = values["lon"].values.astype(float), values["lat"].values.astype(float)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and np.abs(lat).max() <= 90):
        raise CoordinateError(
            "'lat' or 'lon' has missing values or values that are not degrees; expected latitudes from "
            "-90 to 90. Select the cells with a known position."
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
        furthest = min(furthest, 100.0) if values.name in IN_PERCENT else furthest
        return -furthest, furthest
    low, high = np.quantile(numbers, [0.02, 0.98])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)

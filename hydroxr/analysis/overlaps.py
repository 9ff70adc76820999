"""Overlaps in the plane: how much of each cell of a grid lies in each cell of another, or in each polygon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import CoordinateError
from .grids import EARTH_RADIUS, GEOGRAPHIC, Grid, as_crs, optional, to_plane_x, to_plane_y

_WHOLE = 1.0 - 1e-12  # share of a block above which all of its cells lie in the polygon
_HALF_TURN = 180.0 + 1e-6  # degrees
_PIECES = 32  # per longest side of a polygon, so that straight lines bend as the projection requires


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a cell and a target that overlap, and the areas of whole targets.

    Parameters
    ----------
    source, target
        Numbers of the cell and of the target, ``(pair,)``, in row-major order.
    area
        Common area, ``(pair,)``, m2.
    whole
        Area of each target, ``(target,)``, m2, including parts outside the grid.
    """

    source: np.ndarray
    target: np.ndarray
    area: np.ndarray
    whole: np.ndarray


def between_grids(grid: Grid, target: Grid) -> Overlaps:
    """Overlaps of two grids in one projection."""
    rows, columns = grid.in_plane()
    target_rows, target_columns = target.in_plane()
    from_row, to_row, height = _common_intervals(rows, target_rows)
    turns = (-1, 0, 1) if grid.angular else (0,)
    turned = [
        _common_intervals(columns, target_columns + turn * 2.0 * np.pi * EARTH_RADIUS) for turn in turns
    ]
    from_column, to_column, width = (np.concatenate(parts) for parts in zip(*turned, strict=True))
    source = from_row[:, None] * (len(columns) - 1) + from_column
    number = to_row[:, None] * (len(target_columns) - 1) + to_column
    area = height[:, None] * width
    whole = np.abs(np.diff(target_rows))[:, None] * np.abs(np.diff(target_columns))
    return Overlaps(source.ravel(), number.ravel(), area.ravel(), whole.ravel())


def with_polygons(grid: Grid, polygons: np.ndarray) -> Overlaps:
    """Overlaps of a grid and polygons in its plane."""
    shapely = optional("shapely")
    rows, columns = grid.in_plane()
    row_order, column_order = _ascending(rows), _ascending(columns)
    whole = np.asarray(shapely.area(polygons), dtype=float)
    numbers = np.arange(len(polygons))
    placed = [(polygons, numbers)]
    if grid.angular:
        for turn in (-1, 1):  # the same places once around the globe, west and east
            shift = np.array([turn * 2.0 * np.pi * EARTH_RADIUS, 0.0])
            placed.append((shapely.transform(polygons, lambda points, by=shift: points + by), numbers))
    shapes, targets = (np.concatenate(parts) for parts in zip(*placed, strict=True))
    row, column, target, area = _share(shapely, shapes, targets, np.sort(rows), np.sort(columns))
    source = row_order[row] * (len(columns) - 1) + column_order[column]
    return Overlaps(source, target, area, whole)


def _ascending(edges: np.ndarray) -> np.ndarray:
    """Numbers of the cells in the order of ascending edges."""
    cells = np.arange(len(edges) - 1)
    return cells if edges[-1] > edges[0] else cells[::-1]


def _common_intervals(edges: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of overlapping intervals, and the length of each overlap."""
    order, other_order = _ascending(edges), _ascending(others)
    edges, others = np.sort(edges), np.sort(others)
    low, high = max(edges[0], others[0]), min(edges[-1], others[-1])
    points = np.unique(np.r_[edges, others])
    points = points[(points >= low) & (points <= high)]
    if len(points) < 2:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    middle = 0.5 * (points[1:] + points[:-1])
    first, second = (np.searchsorted(each, middle) - 1 for each in (edges, others))
    return order[first], other_order[second], np.diff(points)


@dataclass(frozen=True)
class _Blocks:
    """Rectangular blocks of cells ``(block,)``, each with the part of a polygon that may lie in it."""

    shapes: np.ndarray
    targets: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def take(self, chosen: np.ndarray, **changed: np.ndarray) -> _Blocks:
        """The ``chosen`` blocks, with some arrays ``changed``."""
        return _Blocks(**{name: values[chosen] for name, values in vars(self).items()} | changed)


def _share(
    shapely: Any, polygons: np.ndarray, targets: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row, column, target and area of each overlap of a polygon and a cell, by halving blocks of cells.

    A block entirely inside or outside a polygon is not halved further, so the number of intersections
    grows with the outline of a polygon, not with its area.
    """
    west, south, east, north = shapely.bounds(polygons).T
    blocks = _Blocks(
        polygons,
        targets,
        np.maximum(np.searchsorted(rows, south, "right") - 1, 0),
        np.minimum(np.searchsorted(rows, north, "left"), len(rows) - 1),
        np.maximum(np.searchsorted(columns, west, "right") - 1, 0),
        np.minimum(np.searchsorted(columns, east, "left"), len(columns) - 1),
    )
    blocks = blocks.take((blocks.top < blocks.bottom) & (blocks.left < blocks.right))
    found = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    while len(blocks.shapes):
        low, high = rows[blocks.top], rows[blocks.bottom]
        first, last = columns[blocks.left], columns[blocks.right]
        shapes = shapely.intersection(blocks.shapes, shapely.box(first, low, last, high))
        covered = shapely.area(shapes)
        height, width = blocks.bottom - blocks.top, blocks.right - blocks.left
        one = (height == 1) & (width == 1)
        full = ~one & (covered >= _WHOLE * (high - low) * (last - first))
        single = one & (covered > 0.0)
        found.append((blocks.top[single], blocks.left[single], blocks.targets[single], covered[single]))
        found += [_all_cells(blocks, int(place), rows, columns) for place in np.flatnonzero(full)]
        blocks = _halves(_Blocks(**{**vars(blocks), "shapes": shapes}), (covered > 0.0) & ~one & ~full)
    row, column, target, area = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return row, column, target, area


def _all_cells(
    blocks: _Blocks, place: int, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Overlaps of the cells of a block that lies in its polygon."""
    row = np.arange(blocks.top[place], blocks.bottom[place])
    column = np.arange(blocks.left[place], blocks.right[place])
    area = np.outer(np.diff(rows)[row], np.diff(columns)[column]).ravel()
    grid = np.meshgrid(row, column, indexing="ij")
    return grid[0].ravel(), grid[1].ravel(), np.full(area.size, blocks.targets[place]), area


def _halves(blocks: _Blocks, chosen: np.ndarray) -> _Blocks:
    """Both halves of the ``chosen`` blocks, cut across the longer side."""
    blocks = blocks.take(chosen)
    tall = blocks.bottom - blocks.top >= blocks.right - blocks.left
    middle = np.where(tall, blocks.top + blocks.bottom, blocks.left + blocks.right) // 2
    everything = np.ones(len(tall), bool)
    low = blocks.take(
        everything,
        bottom=np.where(tall, middle, blocks.bottom),
        right=np.where(tall, blocks.right, middle),
    )
    high = blocks.take(
        everything, top=np.where(tall, middle, blocks.top), left=np.where(tall, blocks.left, middle)
    )
    parts = {name: np.concatenate([values, vars(high)[name]]) for name, values in vars(low).items()}
    return _Blocks(**parts)


def cells_as_polygons(grid: Grid) -> np.ndarray:
    """The cells of a grid as polygons in its own coordinates, row by row."""
    shapely = optional("shapely")
    (south, north), (west, east) = ((edges[:-1], edges[1:]) for edges in grid.edges)
    rows, columns = np.meshgrid(np.arange(len(south)), np.arange(west.size), indexing="ij")
    boxes = shapely.box(west[columns], south[rows], east[columns], north[rows])
    return np.asarray(boxes).ravel()


def polygons_in_plane(polygons: np.ndarray, crs: Any, grid: Grid) -> np.ndarray:
    """Project polygons from ``crs`` to the plane of ``grid``."""
    shapely = optional("shapely")
    extent = shapely.bounds(polygons)
    longest = np.maximum(extent[:, 2] - extent[:, 0], extent[:, 3] - extent[:, 1])
    polygons = shapely.segmentize(polygons, np.maximum(longest, 1e-12) / _PIECES)
    if crs == GEOGRAPHIC:
        _require_narrow(shapely, polygons)
    if crs != grid.crs:
        if crs is None or grid.crs is None:
            raise CoordinateError(
                f"the projection of the {'grid' if grid.crs is None else 'polygons'} is unknown; expected a "
                "grid mapping with CF attributes, or crs=..."
            )
        source, target = as_crs(crs), as_crs(grid.crs)
        if source != target:
            change = optional("pyproj").Transformer.from_crs(source, target, always_xy=True)
            polygons = shapely.transform(
                polygons, lambda points: np.stack(change.transform(points[:, 0], points[:, 1]), axis=1)
            )
            polygons = _together(shapely, polygons) if grid.angular else polygons
    if grid.angular:
        _require_narrow(shapely, polygons)
        polygons = shapely.transform(
            polygons, lambda points: np.stack([to_plane_x(points[:, 0]), to_plane_y(points[:, 1])], axis=1)
        )
    if not np.isfinite(shapely.bounds(polygons)).all():
        raise CoordinateError(
            "a polygon is empty, or lies outside the projection of the grid; expected coordinates of "
            f"{crs!r}. Check crs=..."
        )
    return np.asarray(shapely.make_valid(polygons, method="structure", keep_collapsed=False))


def _together(shapely: Any, polygons: np.ndarray) -> np.ndarray:
    """Polygons, in degrees, whose longitudes lie within half a turn of those of their first points."""
    points, numbers = shapely.get_coordinates(polygons, return_index=True)
    first = points[np.searchsorted(numbers, numbers), 0]
    points[:, 0] = first + (points[:, 0] - first + 180.0) % 360.0 - 180.0
    return np.asarray(shapely.set_coordinates(polygons.copy(), points))


def _require_narrow(shapely: Any, polygons: np.ndarray) -> None:
    """Refuse polygons, in degrees, that span over half the globe: most cross the 180th meridian unsplit."""
    parts, numbers = shapely.get_parts(polygons, return_index=True)
    west, _, east, _ = shapely.bounds(parts).T
    wide = np.flatnonzero(east - west > _HALF_TURN)
    if len(wide):
        place = wide[0]
        raise CoordinateError(
            f"polygon number {numbers[place]} reaches from longitude {west[place]:g} to {east[place]:g}; "
            "expected parts of at most 180 degrees. If it crosses the 180th meridian, split it there or use "
            "longitudes such as 178 to 182; if it really is that wide, cut it into narrower parts."
        )

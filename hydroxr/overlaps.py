"""How much of each cell of a grid lies in each cell of another, or in each polygon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .grids import EARTH_RADIUS, Grid, optional

_WHOLE = 1.0 - 1e-12  # share of a block of cells above which all of them lie in the polygon


@dataclass(frozen=True)
class Overlaps:
    """Pairs of cells and targets that overlap, and the areas of whole targets.

    Parameters
    ----------
    source, target
        Numbers of cell and target (pair), in row-major order.
    area
        Of what they share (pair), m2.
    whole
        Of each target (target), whether the grid covers it or not, m2.
    """

    source: np.ndarray
    target: np.ndarray
    area: np.ndarray
    whole: np.ndarray


def between_grids(grid: Grid, target: Grid) -> Overlaps:
    """Of two grids in one projection."""
    rows, columns = grid.in_plane()
    target_rows, target_columns = target.in_plane()
    from_row, to_row, height = _of_intervals(rows, target_rows)
    turns = (-1, 0, 1) if grid.geographic else (0,)
    turned = [_of_intervals(columns, target_columns + turn * 2.0 * np.pi * EARTH_RADIUS) for turn in turns]
    from_column, to_column, width = (np.concatenate(parts) for parts in zip(*turned, strict=True))
    source = from_row[:, None] * (len(columns) - 1) + from_column
    number = to_row[:, None] * (len(target_columns) - 1) + to_column
    area = height[:, None] * width
    whole = np.abs(np.diff(target_rows))[:, None] * np.abs(np.diff(target_columns))
    return Overlaps(source.ravel(), number.ravel(), area.ravel(), whole.ravel())


def with_polygons(grid: Grid, polygons: np.ndarray) -> Overlaps:
    """Of a grid and shapes in its plane."""
    shapely = optional("shapely")
    rows, columns = grid.in_plane()
    row_order, column_order = _ascending(rows), _ascending(columns)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for number, polygon in enumerate(polygons):
        for turn in (-1, 0, 1) if grid.geographic else (0,):
            placed = polygon
            if turn:
                shift = turn * 2.0 * np.pi * EARTH_RADIUS
                placed = shapely.transform(polygon, lambda points, by=shift: points + np.array([by, 0.0]))
            for cells, areas in _cut(shapely, placed, np.sort(rows), np.sort(columns)):
                row, column = row_order[cells[0]], column_order[cells[1]]
                found.append((row * (len(columns) - 1) + column, np.full(len(row), number), areas))
    whole = np.asarray(shapely.area(polygons), dtype=float)
    if not found:
        return Overlaps(np.zeros(0, int), np.zeros(0, int), np.zeros(0), whole)
    source, target, area = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Overlaps(source, target, area, whole)


def _ascending(edges: np.ndarray) -> np.ndarray:
    """Number of the cell at each place once edges are sorted upwards."""
    cells = np.arange(len(edges) - 1)
    return cells if edges[-1] > edges[0] else cells[::-1]


def _of_intervals(edges: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of intervals that overlap, and by how much."""
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


def _cut(shapely: Any, polygon: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Yield cells (row, column) and areas of a polygon on a grid, by halving the grid again and again."""
    west, south, east, north = shapely.bounds(polygon)
    limits = [
        (
            max(int(np.searchsorted(edges, low, "right")) - 1, 0),
            min(int(np.searchsorted(edges, high, "left")), len(edges) - 1),
        )
        for edges, low, high in ((rows, south, north), (columns, west, east))
    ]
    if any(first >= last for first, last in limits):
        return
    stack = [(polygon, *limits[0], *limits[1], True)]
    while stack:
        shape, top, bottom, left, right, to_clip = stack.pop()
        box = (columns[left], rows[top], columns[right], rows[bottom])
        if to_clip:
            shape = shapely.intersection(shape, shapely.box(*box))
        covered = shape.area
        if covered <= 0.0:
            continue
        one = bottom - top == 1 and right - left == 1
        if one or covered >= _WHOLE * (box[2] - box[0]) * (box[3] - box[1]):
            height, width = np.diff(rows[top : bottom + 1]), np.diff(columns[left : right + 1])
            cells = np.meshgrid(np.arange(top, bottom), np.arange(left, right), indexing="ij")
            areas = np.array([covered]) if one else np.outer(height, width).ravel()
            yield (cells[0].ravel(), cells[1].ravel()), areas
        elif bottom - top >= right - left:
            half = (top + bottom) // 2
            stack += [(shape, top, half, left, right, True), (shape, half, bottom, left, right, True)]
        else:
            half = (left + right) // 2
            stack += [(shape, top, bottom, left, half, True), (shape, top, bottom, half, right, True)]

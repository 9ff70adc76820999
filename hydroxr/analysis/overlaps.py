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
    whole = np.asarray(shapely.area(polygons), dtype=float)
    numbers = np.arange(len(polygons))
    placed = [(polygons, numbers)]
    if grid.geographic:
        for turn in (-1, 1):  # the same places a turn to the west and to the east
            shift = np.array([turn * 2.0 * np.pi * EARTH_RADIUS, 0.0])
            placed.append((shapely.transform(polygons, lambda points, by=shift: points + by), numbers))
    shapes, targets = (np.concatenate(parts) for parts in zip(*placed, strict=True))
    row, column, target, area = _cut(shapely, shapes, targets, np.sort(rows), np.sort(columns))
    source = row_order[row] * (len(columns) - 1) + column_order[column]
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


@dataclass(frozen=True)
class _Blocks:
    """Blocks of cells (block), each with the part of a polygon that may lie in it."""

    shapes: np.ndarray
    targets: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def take(self, chosen: np.ndarray, **changed: np.ndarray) -> _Blocks:
        """Some of them, with other limits."""
        return _Blocks(
            **{
                name: changed[name] if name in changed else values[chosen]
                for name, values in vars(self).items()
            }
        )


def _cut(
    shapely: Any, polygons: np.ndarray, targets: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns, targets and areas of what polygons share with cells, by halving blocks of cells.

    A block that lies in a polygon as a whole, or outside, is not halved further: so the number
    of intersections grows with a polygon's outline, not with its area.
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
    """The cells of a block that lies in its polygon."""
    row = np.arange(blocks.top[place], blocks.bottom[place])
    column = np.arange(blocks.left[place], blocks.right[place])
    area = np.outer(np.diff(rows)[row], np.diff(columns)[column]).ravel()
    grid = np.meshgrid(row, column, indexing="ij")
    return grid[0].ravel(), grid[1].ravel(), np.full(area.size, blocks.targets[place]), area


def _halves(blocks: _Blocks, chosen: np.ndarray) -> _Blocks:
    """Both halves of some blocks, across their longer side."""
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

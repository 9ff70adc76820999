"""An equal-area map projection, outlines from files, and rivers as lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CoordinateError, DataFileError
from .style import matplotlib_part

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.collections import LineCollection

BELOW = "downstream"  # coordinate of routed runs: label of the reach below
_THIN, _THICK = 0.4, 3.5  # points, lines of reaches
_OCEAN = 60.0  # degrees: a wider gap between longitudes lies outside the region

Outlines = str | os.PathLike[str] | Any  # a path, or an object with __geo_interface__


@dataclass(frozen=True)
class Projection:
    """Albers' equal-area conic projection of a sphere, fitted to a region.

    For a region on both sides of the equator the cone is close to a cylinder; Lambert's cylindrical
    equal-area projection is used instead.

    Parameters
    ----------
    centre
        Longitude of the vertical meridian, degrees.
    parallels
        The two latitudes with true lengths, degrees.

    References
    ----------
    Snyder, J. P. (1987). Map projections: a working manual. U.S. Geological Survey Professional Paper 1395,
    equations 14-1 to 14-6 and 10-1 to 10-2. https://doi.org/10.3133/pp1395
    """

    centre: float
    parallels: tuple[float, float]

    @classmethod
    def of(cls, lon: np.ndarray, lat: np.ndarray) -> Projection:
        """The projection for the region of these points; its parallels lie a sixth inside the region."""
        along = np.unique(lon)
        gaps = np.diff(along)
        widest = int(gaps.argmax()) if gaps.size else 0
        # Longitudes all around the world have no gap: the mean of the first and the last is the centre.
        if gaps.size and gaps[widest] > max(_OCEAN, 360 - (along[-1] - along[0])):
            centre = float(wrapped((along[widest] + along[widest + 1]) / 2 + 180))
        else:
            centre = float(along[0] + along[-1]) / 2
        south, north = float(np.min(lat)), float(np.max(lat))
        sixth = (north - south) / 6
        return cls(centre, (south + sixth, north - sixth))

    def __call__(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project longitudes and latitudes in degrees to x and y in radii of the earth."""
        return self.from_centre(self.relative(lon), lat)

    def relative(self, lon: np.ndarray) -> np.ndarray:
        """Degrees east of the centre, -180 to 180."""
        return wrapped(np.asarray(lon) - self.centre)

    def from_centre(self, relative: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project degrees east of the centre; -180 and 180 are the left and the right edge of the map."""
        first, second = np.radians(self.parallels)
        angle, latitude = np.radians(relative), np.radians(lat)
        cone = (np.sin(first) + np.sin(second)) / 2
        if abs(cone) < 0.1:
            true = np.cos((first + second) / 2)
            return angle * true, np.sin(latitude) / true
        constant = np.cos(first) ** 2 + 2 * cone * np.sin(first)
        radius = np.sqrt(np.maximum(constant - 2 * cone * np.sin(latitude), 0.0)) / cone
        return radius * np.sin(cone * angle), -radius * np.cos(cone * angle)


def wrapped(lon: np.ndarray) -> np.ndarray:
    """Longitudes between -180 (inclusive) and 180."""
    around: np.ndarray = (np.asarray(lon) + 180.0) % 360.0 - 180.0
    return around


@dataclass(frozen=True)
class Feature:
    """One feature of a file of outlines: its properties, and its rings or lines ``(point, 2)``."""

    properties: dict[str, Any]
    rings: tuple[np.ndarray, ...]


def features(source: Outlines, what: str) -> list[Feature]:
    """Read outlines in degrees from a shapefile, a GeoJSON file, or an object such as a GeoDataFrame.

    Raises
    ------
    DataFileError
        If the file does not exist, cannot be read, or has no outlines.
    CoordinateError
        If the coordinates are not degrees.
    TypeError
        If the source is neither a path nor an object with outlines.
    ImportError
        If the file is a shapefile and pyshp is not installed.
    """
    if isinstance(source, str | os.PathLike):
        found = list(_from_file(Path(source), what))
    else:
        interface = getattr(source, "__geo_interface__", source)
        if not isinstance(interface, Mapping):
            raise TypeError(
                f"{what} is of type {type(source).__name__}; expected the path of a shapefile or GeoJSON "
                "file, or a GeoDataFrame."
            )
        found = list(_from_geojson(interface))
    found = [feature for feature in found if feature.rings]
    if not found:
        raise DataFileError(f"{what} has no polygons or lines; expected outlines.")
    for feature in found:
        furthest = max(float(np.abs(ring).max()) for ring in feature.rings)
        if not furthest <= 360.0:
            raise CoordinateError(
                f"{what} has a coordinate of {furthest:g}; expected longitudes and latitudes in degrees. "
                "Convert them: GeoDataFrame.to_crs('EPSG:4326')."
            )
    return found


def matched(found: Sequence[Feature], names: Sequence[str]) -> list[Feature]:
    """The outline of each basin, matched by the property that has the names of all basins.

    Leading zeros and text before a number are ignored: 1013500 and camels_01013500 match 01013500.

    Raises
    ------
    CoordinateError
        If no property has the names of all basins.
    """
    wanted = [_bare(name) for name in names]
    best, fewest = "", len(wanted) + 1
    for key in dict.fromkeys(key for feature in found for key in feature.properties):
        places = {_bare(feature.properties.get(key)): feature for feature in found}
        absent = sum(name not in places for name in wanted)
        if absent == 0:
            return [places[name] for name in wanted]
        if absent < fewest:
            best, fewest = key, absent
    raise CoordinateError(
        f"the polygons have no property with the names of all {len(wanted)} basins, such as {names[0]!r}; "
        f"{best!r} comes closest and lacks {fewest}. Select basins with a polygon, or give other polygons."
    )


def _bare(name: object) -> str:
    text = str(int(name)) if isinstance(name, float) and name == int(name) else str(name)
    number = re.search(r"(\d+)$", text)
    return number[1].lstrip("0") if number else text


def _from_file(path: Path, what: str) -> Iterator[Feature]:
    if not path.exists():
        raise DataFileError(f"{what}: {path} does not exist; expected a shapefile (.shp) or a GeoJSON file.")
    if path.suffix.lower() in (".json", ".geojson"):
        try:
            yield from _from_geojson(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DataFileError(f"{what}: {path} cannot be read as GeoJSON: {error}") from error
        return
    try:
        shapefile = import_module("shapefile")
    except ImportError as error:
        raise ImportError("reading a shapefile needs pyshp: pip install hydroxr[maps]") from error
    try:
        with shapefile.Reader(path) as reader:
            for shape, record in zip(reader.iterShapes(), reader.iterRecords(), strict=True):
                points = np.array([point[:2] for point in shape.points], dtype=float).reshape(-1, 2)
                parts = tuple(np.split(points, list(shape.parts)[1:])) if len(points) else ()
                yield Feature(record.as_dict(), parts)
    except (shapefile.ShapefileException, OSError) as error:
        raise DataFileError(f"{what}: {path} cannot be read as a shapefile: {error}") from error


def _from_geojson(interface: Mapping[str, Any]) -> Iterator[Feature]:
    """Read a FeatureCollection, a Feature or a geometry."""
    if interface.get("type") == "FeatureCollection":
        for each in interface["features"]:
            yield from _from_geojson(each)
    elif interface.get("type") == "Feature":
        rings = tuple(_rings(interface["geometry"] or {}))
        yield Feature(dict(interface.get("properties") or {}) | {"id": interface.get("id")}, rings)
    else:
        yield Feature({}, tuple(_rings(interface)))


def _rings(geometry: Mapping[str, Any]) -> Iterator[np.ndarray]:
    depth = {"LineString": 0, "MultiLineString": 1, "Polygon": 1, "MultiPolygon": 2}
    if geometry.get("type") == "GeometryCollection":
        for each in geometry["geometries"]:
            yield from _rings(each)
    elif geometry.get("type") in depth:
        nested = [geometry["coordinates"]]
        for _ in range(depth[geometry["type"]]):
            nested = [part for whole in nested for part in whole]
        for points in nested:
            yield np.array([point[:2] for point in points], dtype=float).reshape(-1, 2)


def draw_reaches(
    axes: Any, places: tuple[np.ndarray, np.ndarray], values: xr.DataArray, style: dict[str, Any]
) -> LineCollection:
    """Draw values ``(reach,)`` with the coordinate ``downstream``.

    A line leads from each reach to the reach below, if that is among the values; it is a dot otherwise. Its
    width grows with the root of the value.
    """
    dim = values.dims[0]
    labels = {label: place for place, label in enumerate(values[dim].values.tolist())}
    below = [labels.get(label, place) for place, label in enumerate(values[BELOW].values.tolist())]
    points = np.column_stack(places)
    numbers = values.values.astype(float)
    share = np.sqrt(np.nan_to_num(numbers).clip(0) / max(np.nanmax(numbers, initial=0.0), 1e-12))
    lines = matplotlib_part("collections").LineCollection(
        np.stack([points, points[below]], axis=1),
        linewidths=_THIN + (_THICK - _THIN) * share,
        capstyle="round",
        **style,
    )
    lines.set_array(numbers)
    axes.add_collection(lines)
    return lines

"""Promises of hydroxr.plot.map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hydroxr import plot
from hydroxr.errors import (
    CoordinateError,
    DataFileError,
    DimensionError,
    EmptySelectionError,
)
from hydroxr.plot.geography import Projection, features, matched
from hydroxr.plot.series import basin_names
from tests.support.plots import boxes_of, drawn_values, make_results, tall

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend must be chosen first

SHAPES = Path(__file__).parents[3] / "shared" / "data" / "shapes"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def results() -> xr.Dataset:
    return make_results()


@pytest.fixture
def nse(results) -> xr.DataArray:
    return results["nse"].isel(run=2, drop=True)


def square(lon: float, lat: float, size: float) -> list[list[float]]:
    corners = [(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]
    return [[lon + size * x, lat + size * y] for x, y in corners]


def outlines(values: xr.DataArray, key: str = "gauge_id", prefix: str = "camels_") -> dict:
    """A square around each basin, in reverse order, larger ones first in the file."""
    places = zip(values["basin_id"].values, values["lon"].values, values["lat"].values, strict=True)
    features = [
        {
            "type": "Feature",
            "properties": {"area": 3, key: f"{prefix}{name}"},
            "geometry": {"type": "Polygon", "coordinates": [square(lon, lat, 0.5 + 0.01 * number)]},
        }
        for number, (name, lon, lat) in enumerate(places)
    ]
    return {"type": "FeatureCollection", "features": features[::-1]}


# --- Projection -----------------------------------------------------------------------------------


def test_the_projection_is_that_of_snyder():
    """The worked example of his manual, p. 291, of which the origin is 23° N."""
    project = Projection(-96.0, (29.5, 45.5))
    x, y = project(np.array([-75.0, -96.0]), np.array([35.0, 23.0]))
    assert (x[0], y[0] - y[1]) == (pytest.approx(0.2952720, abs=5e-8), pytest.approx(0.2416774, abs=1e-7))


@pytest.mark.parametrize("parallels", [(29.5, 45.5), (-40.0, -10.0), (-20.0, 20.0), (50.0, 50.0)])
def test_areas_are_true_everywhere(parallels):
    """A small quadrangle has the area that it has on a sphere."""
    project = Projection(170.0, parallels)
    lon, lat, size = np.array([150.0, 175.0, -170.0]), np.array([-35.0, 5.0, 44.0]), 1e-4
    at = [project(lon + east * size, lat + north * size) for east, north in ((0, 0), (1, 0), (0, 1))]
    (dx1, dy1), (dx2, dy2) = ((x - at[0][0], y - at[0][1]) for x, y in at[1:])
    np.testing.assert_allclose(
        dx1 * dy2 - dx2 * dy1, np.radians(size) ** 2 * np.cos(np.radians(lat)), rtol=1e-4
    )


def test_the_region_is_in_the_middle_wherever_it_is_cut():
    """Also on both sides of the date line, or with longitudes up to 360."""
    project = Projection.of(np.array([175.0, -175.0]), np.array([60.0, 66.0]))
    assert abs((project.centre + 360) % 360 - 180) < 1e-9
    assert project.parallels == (61.0, 65.0)
    assert Projection.of(np.array([350.0, 20.0]), np.array([40.0, 50.0])).centre == pytest.approx(5.0)


# --- Maps -----------------------------------------------------------------------------------------


def test_basins_are_points_with_their_values(nse):
    axes = plot.map(nse)
    points = drawn_values(axes)
    np.testing.assert_array_equal(points.get_array(), nse)
    project = Projection.of(nse["lon"].values, nse["lat"].values)
    np.testing.assert_allclose(points.get_offsets(), np.column_stack(project(nse["lon"], nse["lat"])))
    assert points.get_clim() == (0, 1)
    bar = axes.figure.axes[1]
    assert bar.get_xlabel() == "NSE"
    assert axes.get_aspect() == 1


def test_places_can_be_read_from_the_graticule(nse):
    axes = plot.map(nse)
    longitudes = [text.get_text() for text in axes.get_xticklabels()]
    latitudes = [text.get_text() for text in axes.get_yticklabels()]
    assert "100°W" in longitudes
    assert "40°N" in latitudes
    # the mark of 40°N lies on that parallel, at the left edge
    project = Projection.of(nse["lon"].values, nse["lat"].values)
    x, y = project(np.linspace(-140, -60, 4000), np.full(4000, 40.0))
    place = axes.get_yticks()[latitudes.index("40°N")]
    assert place == pytest.approx(float(np.interp(axes.get_xlim()[0], x, y)), abs=1e-4)


def test_cells_without_a_value_are_crosses_that_no_scale_has(nse):
    axes = plot.map(nse.where(nse > nse.median()))
    hollow = next(each for each in axes.collections if each.get_label() == "no value")
    assert len(hollow.get_offsets()) + drawn_values(axes).get_array().size == 40
    assert len(hollow.get_offsets()) == 20
    np.testing.assert_allclose(hollow.get_edgecolor(), [[0.65, 0.65, 0.65, 1.0]])
    assert not hollow.get_paths()[0].codes.tolist().count(matplotlib.path.Path.CLOSEPOLY)


@pytest.mark.parametrize(
    ("name", "units", "values", "limits", "cmap"),
    [
        ("fhv", "%", [-80.0, 10.0, 30.0], None, "RdBu"),
        ("baseflow_index", "1", [0.2, 0.3, 0.4], (0, 1), "viridis"),
        ("runoff", "kg m-2 day-1", [2.0, 2.0, 2.0], (1.5, 2.5), "viridis"),
    ],
)
def test_the_scale_suits_the_variable(name, units, values, limits, cmap):
    """Biases have their 0 in the middle of two hues."""
    coords = {"lat": ("basin", [10.0, 12, 14]), "lon": ("basin", [5.0, 8, 7])}
    array = xr.DataArray(values, dims="basin", coords=coords, name=name, attrs={"units": units})
    points = drawn_values(plot.map(array))
    low, high = points.get_clim()
    assert (low == -high) if limits is None else ((low, high) == limits)
    assert points.get_cmap().name == cmap
    assert drawn_values(plot.map(array, limits=(1, 3))).get_clim() == (1, 3)


def test_values_beyond_the_scale_are_told_by_an_arrow(nse):
    nse[0] = -3.0
    bar = plot.map(nse).figure.axes[1]
    assert bar._colorbar.extend == "min"


def test_a_grid_is_drawn_cell_by_cell():
    """Edges half-way between the centres."""
    lat, lon = [60.0, 59.0, 58.0], [8.0, 10.0]
    values = xr.DataArray(
        np.arange(6.0).reshape(2, 3),
        dims=("lon", "lat"),
        coords={"lat": lat, "lon": lon},
        name="snow",
        attrs={"units": "kg m-2"},
    )
    axes = plot.map(values)
    mesh = drawn_values(axes)
    np.testing.assert_array_equal(mesh.get_array(), values.transpose("lat", "lon"))
    project = Projection.of(*(each.ravel() for each in np.meshgrid(lon, lat)))
    corner = mesh.get_coordinates()[0, 0]
    np.testing.assert_allclose(corner, project(np.array(7.0), np.array(60.5)))
    assert axes.figure.axes[1].get_xlabel() == "snow (mm)"


def test_borders_are_lines_below_the_data(nse, tmp_path):
    """From a GeoJSON file, from an object as geopandas has them; those far away are left out."""
    line = {"type": "LineString", "coordinates": [[-100, 30], [-100, 40]]}
    far = {"type": "MultiPolygon", "coordinates": [[square(60, 30, 2)]]}
    both = {"type": "GeometryCollection", "geometries": [line, far]}
    path = tmp_path / "states.geojson"
    path.write_text(json.dumps(both))

    class Frame:
        __geo_interface__ = both

    project = Projection.of(nse["lon"].values, nse["lat"].values)
    for source in (path, str(path), Frame(), both):
        axes = plot.map(nse, borders=source)
        (border,) = [each for each in axes.lines if each.get_label() == "_border"]
        expected = project(np.array([-100.0, -100.0]), np.array([30.0, 40.0]))
        np.testing.assert_allclose(border.get_xydata(), np.column_stack(expected))


def test_basins_are_polygons_where_their_outlines_are_given(nse):
    """Found by their names whatever stands before the number; small ones lie on top of large ones."""
    nse[3] = np.nan
    axes = plot.map(nse, polygons=outlines(nse))
    polygons = drawn_values(axes)
    size, lat = 0.5 + 0.01 * np.arange(40), nse["lat"].values
    areas = size * (np.sin(np.radians(lat + size)) - np.sin(np.radians(lat - size)))
    order = [place for place in np.argsort(areas)[::-1] if place != 3]
    np.testing.assert_array_equal(polygons.get_array(), nse.values[order])
    other = drawn_values(plot.map(nse, polygons=outlines(nse, "hru", "")))
    np.testing.assert_array_equal(other.get_array(), nse.values[order])
    places = enumerate(zip(nse["lon"].values, lat, strict=True))
    ends = np.concatenate([square(lon, lat, 0.5 + 0.01 * number) for number, (lon, lat) in places])
    project = Projection.of(ends[:, 0], ends[:, 1])
    centres = [path.vertices[:4].mean(axis=0) for path in polygons.get_paths()]
    expected = np.column_stack(project(nse["lon"].values, lat))[order]
    np.testing.assert_allclose(centres, expected, atol=2e-4)


def test_shapefiles_are_read(nse, tmp_path):
    """Polygons with holes in several parts, by pyshp."""
    shapefile = pytest.importorskip("shapefile")
    path = tmp_path / "basins.shp"
    with shapefile.Writer(path) as writer:
        writer.field("hru_id", "N", size=9)
        for name, lon, lat in zip(nse["basin_id"].values, nse["lon"].values, nse["lat"].values, strict=True):
            writer.poly([square(lon, lat, 0.5), square(lon, lat, 0.2)[::-1]])
            writer.record(int(name))
    axes = plot.map(nse, polygons=path, borders=path)
    paths = drawn_values(axes).get_paths()
    assert len(paths) == 40
    assert all((path.codes == path.MOVETO).sum() == 2 for path in paths)
    assert len([each for each in axes.lines if each.get_label() == "_border"]) == 80


@pytest.mark.skipif(not SHAPES.exists(), reason="the outlines of CAMELS lie elsewhere")
def test_the_outlines_of_camels_are_those_of_its_basins():
    """Each basin lies where its polygon does; names in the file have a prefix."""
    pytest.importorskip("shapefile")
    places = xr.open_dataset(SHAPES.parent / "camels_us_daymet.nc")[["basin_id", "lat", "lon"]].load()
    places = places.set_coords(["basin_id", "lat", "lon"])
    outline = matched(features(SHAPES / "camels_basin_shapes.shp", "'polygons'"), basin_names(places))
    for lat, lon, feature in zip(places["lat"].values, places["lon"].values, outline, strict=True):
        points = np.concatenate(feature.rings)
        assert (points.min(axis=0) - 0.2 < (lon, lat)).all()
        assert (points.max(axis=0) + 0.2 > (lon, lat)).all()


def test_a_map_that_cannot_be_drawn_is_refused(results, nse, tmp_path, monkeypatch):
    with pytest.raises(DimensionError, match=r"\('run', 'basin'\).*\.mean\('run'\)"):
        plot.map(results["nse"])
    with pytest.raises(CoordinateError, match="no coordinate 'lon'"):
        plot.map(nse.drop_vars("lon"))
    with pytest.raises(CoordinateError, match="missing values or values that are not degrees"):
        plot.map(nse.assign_coords(lat=nse["lat"] * 1000))
    with pytest.raises(EmptySelectionError, match="no cell"):
        plot.map(nse.isel(basin=[]))
    with pytest.raises(CoordinateError, match=r"all 40 basins.*'gauge_id' comes closest and lacks 1"):
        plot.map(nse, polygons=outlines(nse[1:]))
    with pytest.raises(CoordinateError, match="to_crs"):
        plot.map(nse, borders={"type": "Polygon", "coordinates": [square(5e5, 4e6, 1e3)]})
    with pytest.raises(DataFileError, match="does not exist"):
        plot.map(nse, borders=tmp_path / "nothing.shp")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(DataFileError, match="cannot be read as GeoJSON"):
        plot.map(nse, borders=broken)
    with pytest.raises(DataFileError, match="no polygons or lines"):
        plot.map(nse, borders={"type": "Point", "coordinates": [0, 0]})
    with pytest.raises(TypeError, match="'borders' is of type int"):
        plot.map(nse, borders=3)
    monkeypatch.setitem(__import__("sys").modules, "shapefile", None)
    (tmp_path / "there.shp").write_bytes(b"")
    with pytest.raises(ImportError, match=r"hydroxr\[maps\]"):
        plot.map(nse, borders=tmp_path / "there.shp")


@pytest.mark.parametrize("region", ["wide", "tall", "global"])
def test_names_of_meridians_and_parallels_do_not_overlap(nse, region):
    if region == "global":
        axes = plot.map(globe())
        assert axes.get_xticks().size >= 3
        assert axes.get_yticks().size >= 3
    else:
        axes = plot.map(nse if region == "wide" else tall(nse))
    axes.figure.canvas.draw()
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = boxes_of(labels)
        assert boxes
        assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[:number])


def globe(first: float = -177.5) -> xr.DataArray:
    lat, lon = np.arange(-87.5, 90, 5), first + np.arange(0, 360, 5)
    numbers = np.arange(36.0 * 72).reshape(36, 72)
    return xr.DataArray(numbers, {"lat": lat, "lon": lon}, ("lat", "lon"), name="snow")


@pytest.mark.parametrize("first", [-177.5, 2.5, -180.0])
def test_a_grid_around_the_world_has_all_its_columns_in_their_order(first):
    """Each as wide as the others, from one end of the map to the other."""
    values = globe(first)
    mesh = drawn_values(plot.map(values))
    np.testing.assert_array_equal(mesh.get_array(), values)
    widths = np.diff(mesh.get_coordinates()[0, :, 0])
    np.testing.assert_allclose(widths, widths[0], rtol=1e-6)
    assert widths[0] > 0


def test_a_grid_across_the_date_line_is_in_one_piece():
    lon = np.array([175.0, 177.5, 180.0, -177.5, -175.0])
    values = xr.DataArray(
        np.arange(10.0).reshape(2, 5), {"lat": [60.0, 58.0], "lon": lon}, ("lat", "lon"), name="snow"
    )
    axes = plot.map(values)
    mesh = drawn_values(axes)
    np.testing.assert_array_equal(mesh.get_array(), values)
    assert (np.diff(mesh.get_coordinates()[0, :, 0]) > 0).all()
    assert "180°" in [text.get_text() for text in axes.get_xticklabels()]


def test_biases_beyond_a_hundred_percent_do_not_make_the_others_white(nse):
    flv = (nse * 4000).rename("flv").assign_attrs(units="%")
    axes = plot.map(flv)
    assert drawn_values(axes).get_clim() == (-100, 100)
    assert axes.figure.axes[1]._colorbar.extend in ("max", "both")
    assert drawn_values(plot.map(flv / 1e5)).get_clim()[1] < 100


def test_reaches_are_lines_that_widen_downstream() -> None:
    coords = {"reach": ["a", "b", "c"], "downstream": ("reach", ["c", "c", ""])}
    coords |= {"lat": ("reach", [46.0, 46.5, 45.0]), "lon": ("reach", [7.0, 8.0, 7.5])}
    drawn = drawn_values(plot.map(xr.DataArray([1.0, 4.0, 5.0], coords, ("reach",), name="discharge")))
    a, b, c = drawn.get_segments()
    np.testing.assert_array_equal(a[1], c[0])
    np.testing.assert_array_equal(b[1], c[0])
    np.testing.assert_array_equal(c[0], c[1])
    assert list(np.argsort(drawn.get_linewidths())) == [0, 1, 2]
    np.testing.assert_array_equal(drawn.get_array(), [1.0, 4.0, 5.0])

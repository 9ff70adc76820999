"""Areas of overlaps of grids and polygons, against closed forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hydroxr.analysis.area_means import aggregate
from hydroxr.analysis.area_weights import area_weights
from hydroxr.errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from tests.support.grids import RADIUS, geographic, sinusoidal, zone


def test_areas_of_a_coarser_grid_are_those_of_the_sphere() -> None:
    fine, coarse = (geographic(np.arange(-90 + s / 2, 90, s), np.arange(s / 2, 360, s)) for s in (10, 30))
    weights = area_weights(fine, coarse)
    assert weights.sizes["pair"] == 18 * 36
    np.testing.assert_allclose(weights["weight"].sum(), 4 * np.pi * RADIUS**2, rtol=1e-12)
    np.testing.assert_allclose(weights["target_area"][0], zone(-90, -60, 30), rtol=1e-12)
    mean = aggregate(fine, weights)["et"]
    row = np.array([zone(-90 + 10 * k, -80 + 10 * k, 10) for k in range(3)])
    block = fine["et"].values[:3, 3:6]
    np.testing.assert_allclose(mean[0, 1], (block * row[:, None]).sum() / (3 * row.sum()), rtol=1e-12)


def test_projected_grids_of_one_projection_need_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third pixel edge is one of the coarser grid; means of 3 x 3 pixels."""
    for module in ("shapely", "pyproj"):
        monkeypatch.setitem(sys.modules, module, None)
    fine = sinusoidal(rows=12, columns=9)
    coarse = sinusoidal(rows=4, columns=3, size=15000.0)
    weights = area_weights(fine, coarse)
    np.testing.assert_allclose(weights["weight"], 5000.0**2, rtol=1e-9)
    out = aggregate(fine, weights)["et"]
    np.testing.assert_allclose(out, fine["et"].values.reshape(4, 3, 3, 3).mean((1, 3)), rtol=1e-12)


def test_cell_bounds_are_used() -> None:
    ds = geographic(np.array([1.0, 4.0]), np.array([0.5, 1.5]))
    ds["lat"].attrs["bounds"] = "lat_bnds"
    ds["lat_bnds"] = (("lat", "bnds"), [[0.0, 2.0], [2.0, 6.0]])
    target = geographic(np.array([1.5, 4.5]), np.array([0.5, 1.5]))
    weights = area_weights(ds, target)
    out = aggregate(ds, weights)["et"]
    np.testing.assert_allclose(weights["target_area"][:, 0], [zone(0, 3, 1), zone(3, 6, 1)], rtol=1e-12)
    top, bottom = zone(0, 2, 1), zone(2, 3, 1)
    expected = (ds["et"][0] * top + ds["et"][1] * bottom) / (top + bottom)
    np.testing.assert_allclose(out[0], expected, rtol=1e-12)
    np.testing.assert_allclose(out[1], ds["et"][1], rtol=1e-12)


def test_a_polygon_on_the_sphere() -> None:
    """A box of longitude and latitude that cuts cells, and one that the grid covers by a quarter."""
    shapely = pytest.importorskip("shapely")
    ds = geographic(np.arange(49.5, 40, -1.0), np.arange(0.5, 10, 1.0), steps=3)
    boxes = {"a": shapely.box(1.5, 41.25, 4.0, 43.0), "b": shapely.box(9.5, 45.0, 11.5, 46.0)}
    weights = area_weights(ds, boxes)
    np.testing.assert_allclose(weights["target_area"], [zone(41.25, 43, 2.5), zone(45, 46, 2)], rtol=1e-9)
    out = aggregate(ds, weights)["et"]
    assert out.dims == ("time", "basin")
    assert list(out["basin"].values) == ["a", "b"]
    rows = {42.5: zone(42, 43, 1), 41.5: zone(41.25, 42, 1)}
    columns = {1.5: 0.5, 2.5: 1.0, 3.5: 1.0}
    total = sum(
        height * width * ds["et"].sel(lat=lat, lon=lon)
        for lat, height in rows.items()
        for lon, width in columns.items()
    )
    np.testing.assert_allclose(out.sel(basin="a"), total / (2.5 * sum(rows.values())), rtol=1e-9)
    assert out.sel(basin="b").isnull().all()
    quarter = aggregate(ds, weights, min_valid=0.25)["et"].sel(basin="b")
    np.testing.assert_allclose(quarter, ds["et"].sel(lat=45.5, lon=9.5), rtol=1e-12)
    assert out.attrs["cell_methods"] == "time: sum area: mean"


def test_a_polygon_with_a_hole_across_the_meridian() -> None:
    shapely = pytest.importorskip("shapely")
    ds = geographic(np.arange(0.25, 10, 0.5), np.arange(0.25, 360, 0.5))
    ring = shapely.difference(shapely.box(-3.0, 1.0, 3.0, 7.0), shapely.box(-1.0, 3.0, 1.1, 5.0))
    weights = area_weights(ds, {"ring": ring})
    np.testing.assert_allclose(weights["weight"].sum(), zone(1, 7, 6) - zone(3, 5, 2.1), rtol=1e-9)
    np.testing.assert_allclose(weights["weight"].sum(), weights["target_area"].sum(), rtol=1e-12)
    lon = np.deg2rad(ds["lon"].values[weights["source"].values % 720])
    assert (np.cos(lon) > np.cos(np.deg2rad(3.0))).all()


def test_polygons_on_the_sinusoidal_grid_lie_where_the_formulas_of_the_projection_say() -> None:
    """x = R lon cos(lat), y = R lat: a box of degrees becomes a shape with the sphere's area."""
    shapely = pytest.importorskip("shapely")
    pytest.importorskip("pyproj")
    ds = sinusoidal(rows=80, columns=80, size=500.0)
    box = shapely.box(6.1, 45.0, 6.4, 45.2)
    weights = area_weights(ds, {"box": box})
    np.testing.assert_allclose(weights["weight"].sum(), zone(45.0, 45.2, 0.3), rtol=1e-6)
    row, column = np.divmod(weights["source"].values, 80)
    lat = np.rad2deg(ds["y"].values[row] / RADIUS)
    lon = np.rad2deg(ds["x"].values[column] / RADIUS / np.cos(np.deg2rad(lat)))
    inner = weights["weight"].values > 0.999 * 500.0**2
    assert inner.sum() > 1500
    assert ((lat[inner] > 45.0) & (lat[inner] < 45.2) & (lon[inner] > 6.1) & (lon[inner] < 6.4)).all()
    centre = np.average(np.c_[lat, lon], axis=0, weights=weights["weight"])
    np.testing.assert_allclose(centre, [45.1, 6.25], atol=2e-3)


def test_grids_that_cannot_be_are_refused() -> None:
    ds = geographic(np.arange(40.5, 45), np.arange(0.5, 6))
    with pytest.raises(EmptySelectionError, match="share no area"):
        area_weights(ds, geographic(np.array([-41.0, -43.0]), np.array([1.0, 3.0])))
    with pytest.raises(DimensionError, match="rows and columns"):
        area_weights(ds.rename(lat="station"), ds)
    with pytest.raises(CoordinateError, match="one cell"):
        area_weights(ds.isel(lat=[0]), ds)
    with pytest.raises(CoordinateError, match="neither rises"):
        area_weights(ds.isel(lat=[0, 2, 1]), ds)
    with pytest.raises(DescriptionError, match="list"):
        area_weights(ds, [1, 2])


def test_a_projection_that_is_not_known_is_refused() -> None:
    shapely = pytest.importorskip("shapely")
    ds = sinusoidal().drop_vars("crs")
    with pytest.raises(CoordinateError, match="projection of the grid"):
        area_weights(ds, {"a": shapely.box(6.0, 45.0, 6.2, 45.1)})


def test_a_polygon_across_the_antimeridian_is_split_or_refused() -> None:
    """From 178 E to 177 W: as two parts, counted on, or, unsplit, round the world."""
    shapely = pytest.importorskip("shapely")
    globe = geographic(np.arange(-89.5, 90), np.arange(-179.5, 180))
    parts = shapely.MultiPolygon([shapely.box(178, 60, 180, 65), shapely.box(-180, 60, -177, 65)])
    weights = area_weights(globe, {"split": parts, "on": shapely.box(178, 60, 183, 65)})
    np.testing.assert_allclose(weights["target_area"], zone(60, 65, 5), rtol=1e-9)
    columns = np.r_[358:360, 0:3]
    rows = np.array([zone(lat, lat + 1, 1) for lat in range(60, 65)])
    mean = (globe["et"].values[150:155][:, columns].mean(1) * rows).sum() / rows.sum()
    np.testing.assert_allclose(aggregate(globe, weights)["et"], mean, rtol=1e-9)
    unsplit = shapely.Polygon([(178, 60), (-177, 60), (-177, 65), (178, 65)])
    for grid in (globe, sinusoidal()):
        with pytest.raises(CoordinateError, match="polygon number 1 reaches from longitude -177 to 178"):
            area_weights(grid, {"a": shapely.box(6, 45, 6.1, 45.2), "b": unsplit})

"""Edges of cells, of numbers and of dates; grids in degrees, of rotated poles and in kilometres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.analysis.area_means import aggregate
from hydroxr.analysis.area_weights import area_weights
from hydroxr.analysis.grids import cell_edges, grid_of
from hydroxr.errors import CoordinateError, EmptySelectionError, UnitsError
from tests.support.grids import geographic, sinusoidal, zone

POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 39.25,
    "grid_north_pole_longitude": -162.0,
}
WGS84 = 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
WGS84 += 'UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'


def rotated(**mapping: Any) -> xr.Dataset:
    """The true latitude on a grid of half degrees around Europe, by the formulas of a rotated sphere."""
    rlat, rlon = np.arange(-20.25, 20, 0.5), np.arange(-25.25, 25, 0.5)
    y, x = np.radians(rlat)[:, None], np.radians(rlon)
    pole = np.radians(POLE["grid_north_pole_latitude"])
    sine = np.sin(y) * np.sin(pole) + np.cos(y) * np.cos(x) * np.cos(pole)
    ds = xr.Dataset(
        {"lat_true": (("rlat", "rlon"), np.degrees(np.arcsin(sine)), {"grid_mapping": "pole"})},
        {
            "rlat": ("rlat", rlat, {"units": "degrees", "standard_name": "grid_latitude"}),
            "rlon": ("rlon", rlon, {"units": "degrees", "standard_name": "grid_longitude"}),
        },
    )
    return ds.assign_coords(pole=((), 0, POLE | mapping))


def test_edges_lie_halfway_and_as_far_beyond_the_ends() -> None:
    np.testing.assert_array_equal(cell_edges(np.array([1.0, 2.0, 4.0])), [0.5, 1.5, 3.0, 5.0])
    np.testing.assert_array_equal(cell_edges(np.array([4.0, 2.0, 1.0])), [5.0, 3.0, 1.5, 0.5])


def test_a_single_cell_has_the_width_that_is_given() -> None:
    np.testing.assert_array_equal(cell_edges(np.array([3.0]), width=1.0), [2.5, 3.5])


def test_dates_have_edges_too() -> None:
    days = np.array(["2001-01-01", "2001-01-03"], "datetime64[ns]")
    expected = np.array(["2000-12-31", "2001-01-02", "2001-01-04"], "datetime64[ns]")
    np.testing.assert_array_equal(cell_edges(days), expected)
    noon = np.array(["2000-12-31T12", "2001-01-01T12"], "datetime64[ns]")
    np.testing.assert_array_equal(cell_edges(days[:1], width=np.timedelta64(24, "h")), noon)


@pytest.mark.parametrize("as_wkt", [False, True])
def test_a_rotated_pole_is_turned_back(as_wkt: bool) -> None:
    """A field of latitude has in a box the latitude of the box; the area is that of the sphere."""
    shapely, pyproj = pytest.importorskip("shapely"), pytest.importorskip("pyproj")
    ds = rotated()
    if as_wkt:
        ds["pole"].attrs = {"crs_wkt": pyproj.CRS.from_cf(POLE).to_wkt()}
    weights = area_weights(ds, {"alps": shapely.box(7, 46, 9, 47)})
    np.testing.assert_allclose(weights["weight"].sum(), zone(46, 47, 2), rtol=1e-4)
    np.testing.assert_allclose(aggregate(ds, weights)["lat_true"], 46.5, atol=0.01)
    with pytest.raises(EmptySelectionError, match="share no area"):
        area_weights(ds, {"pacific": shapely.box(-170, -20, -160, -10)})


def test_a_field_comes_to_a_grid_of_a_rotated_pole_and_back() -> None:
    pytest.importorskip("shapely"), pytest.importorskip("pyproj")
    ds, globe = rotated(), geographic(np.arange(-89.5, 90), np.arange(-179.5, 180))
    globe["et"] = globe["lat"].broadcast_like(globe["et"])
    part = ds.isel(rlat=slice(20, 60, 8), rlon=slice(None, None, 20))
    mean = aggregate(globe, area_weights(globe, part))["et"]
    np.testing.assert_allclose(mean, part["lat_true"], atol=1.6)  # of cells of 4 by 10 degrees
    box = globe.sel(lat=slice(45, 50), lon=slice(5, 10))
    back = aggregate(ds, area_weights(ds, box))["lat_true"]
    np.testing.assert_allclose(back, box["lat"].broadcast_like(box["et"]), atol=0.05)


def test_rotated_coordinates_without_their_pole_are_refused() -> None:
    ds = rotated().drop_vars("pole")
    places = ds.rename(rlat="y", rlon="x").drop_attrs().assign_coords(lat=(("y", "x"), ds["lat_true"].values))
    for name in ("y", "x"):
        places[name].attrs["units"] = "degrees"
    for each in (ds, ds.drop_attrs(), places):
        with pytest.raises(CoordinateError, match="rotated pole"):
            grid_of(each)


def test_x_and_y_of_a_crs_in_degrees_are_longitude_and_latitude() -> None:
    ds = geographic(np.array([80.0, 40.0]), np.array([0.0, 40.0]))
    plain = ds.rename(lat="y", lon="x").assign_coords(spatial_ref=((), 0, {"crs_wkt": WGS84}))
    named = ds.rename(lat="y", lon="x").assign_coords(
        crs=((), 0, {"grid_mapping_name": "latitude_longitude", "semi_major_axis": 6378137.0})
    )
    for each in (plain, named):
        grid = grid_of(each)
        assert grid.geographic
        for mine, theirs in zip(grid.in_plane(), grid_of(ds).in_plane(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_units_count_and_may_not_contradict_the_grid_mapping() -> None:
    ds = sinusoidal()
    far = ds.assign_coords({name: (ds[name] / 1000).assign_attrs(units="km") for name in ("y", "x")})
    for mine, theirs in zip(grid_of(far).edges, grid_of(ds).edges, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    for name in ("y", "x"):
        ds[name].attrs["units"] = "degrees"
    with pytest.raises(CoordinateError, match="agree"):
        grid_of(ds)
    for name in ("y", "x"):
        ds[name].attrs["units"] = "rad"
    with pytest.raises(UnitsError, match="rad"):
        grid_of(ds)


def test_a_grid_mapping_that_says_nothing_is_refused() -> None:
    shapely = pytest.importorskip("shapely")
    ds = sinusoidal()
    ds["crs"].attrs = {"grid_mapping_name": "of_my_own"}
    with pytest.raises(CoordinateError, match="of_my_own"):
        area_weights(ds, {"a": shapely.box(6.0, 45.0, 6.2, 45.1)})


@pytest.mark.parametrize("step", [0.1, 0.05, 1 / 120])
def test_bounds_in_single_precision_touch(step: float) -> None:
    centres = (150.0 - np.arange(60) * step).astype("float32")
    half = np.float32(step / 2)
    ds = geographic(np.array([1.0, 2.0]), centres)
    ds["lon"].attrs["bounds"] = "lon_bnds"
    ds = ds.assign_coords(lon_bnds=(("lon", "b"), np.stack([centres - half, centres + half], 1)))
    edges = grid_of(ds).edges[1]
    np.testing.assert_allclose(edges, 150.0 + step / 2 - np.arange(61) * step, atol=5e-5)
    ds["lon_bnds"][30:] -= 0.1 * step
    with pytest.raises(CoordinateError, match="do not touch"):
        grid_of(ds)

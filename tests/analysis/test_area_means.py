"""From grids to basins and to other grids: areas and means against closed forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr

from hydroxr.analysis.area_means import aggregate, area_weights
from hydroxr.errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from tests.support.labelled import make_parameters

RADIUS = 6371007.181
SINUSOIDAL = {
    "grid_mapping_name": "sinusoidal",
    "longitude_of_projection_origin": 0.0,
    "longitude_of_central_meridian": 0.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "earth_radius": RADIUS,
}


def field(rows: np.ndarray, columns: np.ndarray, names: tuple[str, str], steps: int = 0) -> xr.Dataset:
    """Random values on a grid, or a series of them."""
    shape = ((steps,) if steps else ()) + (len(rows), len(columns))
    values = np.random.default_rng(0).normal(5.0, 2.0, shape)
    dims = (("time",) if steps else ()) + names
    attrs = {"units": "kg m-2", "cell_methods": "time: sum"}
    return xr.Dataset({"et": (dims, values, attrs)}, {names[0]: rows, names[1]: columns})


def geographic(lat: np.ndarray, lon: np.ndarray, steps: int = 0) -> xr.Dataset:
    return field(lat, lon, ("lat", "lon"), steps)


def sinusoidal(rows: int = 12, columns: int = 10, size: float = 5000.0, steps: int = 0) -> xr.Dataset:
    """Pixels near 45 N, 6 E on MODIS' sphere."""
    north, west = RADIUS * np.deg2rad(45.3), RADIUS * np.deg2rad(6.0) * np.cos(np.deg2rad(45.3))
    y = north - size * (np.arange(rows) + 0.5)
    ds = field(y, west + size * (np.arange(columns) + 0.5), ("y", "x"), steps)
    ds["et"].attrs["grid_mapping"] = "crs"
    for name in ("y", "x"):
        ds[name].attrs = {"units": "m", "standard_name": f"projection_{name}_coordinate"}
    return ds.assign_coords(crs=((), 0, SINUSOIDAL))


def zone(south: float, north: float, width: float) -> float:
    """Area of a part of a zone of the sphere, m2."""
    return RADIUS**2 * np.deg2rad(width) * (np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south)))


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


@pytest.mark.parametrize("flip", [False, True])
def test_what_is_on_both_grids_is_conserved(flip: bool) -> None:
    """Of grids that do not nest, in either order, on either sense of longitude."""
    first = geographic(np.arange(40.5, 50, 1.0), np.arange(-9.5, 10, 1.0))
    second = geographic(np.arange(40.65, 50, 1.3)[:7], np.arange(350.7, 370, 1.4)[:13])
    if flip:
        first, second = second.isel(lat=slice(None, None, -1)), first
    weights = area_weights(first, second)
    out = aggregate(first, weights, min_valid=0.0)["et"]
    shared = weights["weight"].values
    source = first["et"].values.ravel()[weights["source"]]
    target = np.nan_to_num(out.values).ravel()[weights["target"]]
    np.testing.assert_allclose((shared * target).sum(), (shared * source).sum(), rtol=1e-12)
    np.testing.assert_allclose(shared.sum(), zone(40.0, 49.1, 18.2), rtol=1e-9)


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


def test_a_simulation_on_a_grid_to_basins_is_compared_as_any(grid: xr.Dataset) -> None:
    """Gridded results keep units, attributes and time bounds; their means obey the same balance."""
    sim = grid.hbv.simulate(make_parameters(grid), dtype="float64")
    inside = xr.DataArray(
        [[[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]],
        {"basin": ["a", "b"], "lat": sim["lat"], "lon": sim["lon"]},
        ["basin", "lat", "lon"],
    )
    out = aggregate(sim, inside)
    assert set(out.data_vars) == set(sim.data_vars)
    assert out["streamflow"].attrs["units"] == "kg m-2 day-1"
    assert "time_bnds" in out.coords
    balance = out.hbv.water_balance()
    np.testing.assert_allclose(balance["residual"], 0.0, atol=1e-8)


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


def test_from_the_models_grid_to_modis_and_back() -> None:
    pytest.importorskip("shapely")
    pytest.importorskip("pyproj")
    pixels = sinusoidal(steps=2)
    cells = geographic(np.arange(44.4, 46, 0.2), np.arange(5.4, 7.4, 0.2), steps=2)
    there = area_weights(cells, pixels)
    np.testing.assert_allclose(there["target_area"], 5000.0**2, rtol=1e-6)
    out = aggregate(cells, there)
    assert out["et"].dims == ("time", "y", "x")
    assert out["et"].notnull().all()
    back = area_weights(pixels, cells)
    pairs = {
        (source, target): area
        for source, target, area in zip(
            *(there[n].values for n in ("source", "target", "weight")), strict=True
        )
        if area > 1e3
    }
    returned = {
        (target, source): area
        for source, target, area in zip(
            *(back[n].values for n in ("source", "target", "weight")), strict=True
        )
        if area > 1e3
    }
    assert set(pairs) == set(returned)
    np.testing.assert_allclose([pairs[key] for key in returned], list(returned.values()), rtol=1e-3, atol=1e3)


def test_the_valid_area_decides() -> None:
    """Missing pixels leave the mean, and half of the area must be left."""
    ds = geographic(np.array([0.5, 1.5]), np.array([0.5, 1.5]), steps=3)
    weights = xr.DataArray(
        np.ones((1, 2, 2)), {"basin": [7], "lat": ds["lat"], "lon": ds["lon"]}, ["basin", "lat", "lon"]
    )
    values = ds["et"].values
    values[1, 0] = np.nan
    values[2, 0], values[2, 1, 0] = np.nan, np.nan
    out = aggregate(ds, weights)["et"]
    np.testing.assert_allclose(out[:2, 0], [values[0].mean(), values[1, 1].mean()])
    assert np.isnan(out[2, 0])
    np.testing.assert_allclose(aggregate(ds, weights, min_valid=0.25)["et"][2, 0], values[2, 1, 1])
    assert aggregate(ds * np.nan, weights, min_valid=0.0)["et"].isnull().all()


def test_dense_weights_may_be_areas_of_any_unit_with_gaps() -> None:
    ds = geographic(np.array([0.5, 1.5]), np.array([0.5, 1.5, 2.5]))
    dense = xr.DataArray(
        [[[1.0, np.nan], [3.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 2.0], [0.0, 2.0]]],
        {"basin": ["p", "q"], "lon": ds["lon"], "lat": ds["lat"]},
        ["basin", "lon", "lat"],
    )
    out = aggregate(ds["et"], dense)
    v = ds["et"].values
    np.testing.assert_allclose(out, [(v[0, 0] + 3 * v[0, 1]) / 4, (v[1, 1] + v[1, 2]) / 2])
    with pytest.raises(DescriptionError, match="go down to -3"):
        aggregate(ds["et"], -dense)
    with pytest.raises(DimensionError, match="at least one"):
        aggregate(ds["et"], dense[0])


def test_it_is_lazy_and_keeps_what_has_no_space(raise_if_dask_computes: object) -> None:
    ds = geographic(np.arange(40.5, 45), np.arange(0.5, 6), steps=4)
    ds["n"] = ("time", np.arange(4))
    ds = ds.assign_coords(time_bnds=(("time", "bnds"), np.zeros((4, 2))))
    target = geographic(np.array([41.0, 43.0]), np.array([1.0, 3.0]))
    weights = area_weights(ds, target)
    with raise_if_dask_computes():  # type: ignore[operator]
        lazy = aggregate(ds.chunk(time=1, lat=2), weights)
    assert lazy["et"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), aggregate(ds, weights))
    np.testing.assert_array_equal(lazy["n"], np.arange(4))
    assert "time_bnds" in lazy.coords


def test_weights_come_back_from_a_file(tmp_path: object) -> None:
    ds = geographic(np.arange(40.5, 45), np.arange(0.5, 6), steps=2)
    weights = area_weights(ds, geographic(np.array([41.0, 43.0]), np.array([1.0, 3.0])))
    weights.to_netcdf(f"{tmp_path}/weights.nc")
    with xr.open_dataset(f"{tmp_path}/weights.nc") as again:
        xr.testing.assert_identical(aggregate(ds, again), aggregate(ds, weights))


def test_weights_of_another_grid_are_refused() -> None:
    ds = geographic(np.arange(40.5, 45), np.arange(0.5, 6))
    weights = area_weights(ds, geographic(np.array([41.0, 43.0]), np.array([1.0, 3.0])))
    with pytest.raises(CoordinateError, match="5 cells along 'lat'"):
        aggregate(ds.isel(lat=slice(0, 3)), weights)
    with pytest.raises(CoordinateError, match="'lon'"):
        aggregate(ds.assign_coords(lon=ds["lon"] + 0.1), weights)
    with pytest.raises(DimensionError, match="'y'"):
        aggregate(ds.rename(lat="y", lon="x"), weights)
    with pytest.raises(DescriptionError, match="min_valid"):
        aggregate(ds, weights, min_valid=50)


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


def test_flags_have_no_mean() -> None:
    ds = geographic(np.arange(40.5, 45), np.arange(0.5, 6))
    ds["fill_code"] = xr.zeros_like(ds["et"], dtype="int16").assign_attrs(flag_values=[0, 1])
    weights = area_weights(ds, geographic(np.array([41.0, 43.0]), np.array([1.0, 3.0])))
    with pytest.raises(DescriptionError, match="drop_vars"):
        aggregate(ds, weights)


def test_bits_of_flags_are_those_of_any_cell() -> None:
    """However small its share of the target; as whole numbers."""
    fine, coarse = (geographic(np.arange(-90 + s / 2, 90, s), np.arange(s / 2, 360, s)) for s in (10, 30))
    attrs = {"flag_masks": np.array([1, 2], dtype="int8"), "flag_meanings": "missing outside"}
    fine["flag"] = xr.zeros_like(fine["et"], dtype="int8").drop_attrs().assign_attrs(attrs)
    fine["flag"][0, 0], fine["flag"][2, 1], fine["flag"][17, 35] = 1, 2, 2
    expected = np.zeros((6, 12), dtype="int8")
    expected[0, 0], expected[5, 11] = 3, 2
    weights = area_weights(fine, coarse)
    for given in (fine, fine.chunk(lat=9)):
        flag = aggregate(given, weights)["flag"]
        np.testing.assert_array_equal(flag, expected)
        assert flag.dtype == "int8"
        assert flag.attrs.keys() == attrs.keys()


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

"""From grids to basins and to other grids: areas and means against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr.analysis.area_means import aggregate
from hydroxr.analysis.area_weights import area_weights
from hydroxr.errors import CoordinateError, DescriptionError, DimensionError
from tests.support.grids import geographic, sinusoidal, zone
from tests.support.labelled import make_parameters


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

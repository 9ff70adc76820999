"""Where grids lie, for GDAL and QGIS; files that xarray writes without hydroxr."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.cf import for_file
from tests.cf.files import projected
from tests.support.labelled import make_dataset, make_grid, make_parameters


@pytest.mark.parametrize("names", [("lat", "lon"), ("latitude", "longitude")])
def test_gdal_places_a_grid_of_latitude_and_longitude(tmp_path: Path, names: tuple[str, str]) -> None:
    rasterio = pytest.importorskip("rasterio")
    ds = make_grid(20).rename(dict(zip(("lat", "lon"), names, strict=True)))
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    path = sim.hbv.to_netcdf(tmp_path / "grid.nc")
    with rasterio.open(f"NETCDF:{path}:streamflow") as raster:
        assert raster.crs.to_epsg() == 4326
        assert tuple(raster.bounds) == (4.5, 45.0, 7.5, 47.0)
    with hx.open_run(path) as opened:  # written once more, it has the same
        assert opened.hbv.to_netcdf(tmp_path / "again.nc").stat().st_size > 0
    sim.to_netcdf(tmp_path / "plain.nc")  # warnings are errors: time bounds in the units of the stamps


def test_only_grids_without_a_grid_mapping_get_one() -> None:
    own, basins = projected(), make_dataset(20)
    for ds, mapping in ((own, "laea"), (basins, None)):
        sim = for_file(ds.hbv.simulate(make_parameters(ds), variables=["streamflow"]))
        assert sim["streamflow"].attrs.get("grid_mapping") == mapping
        assert "crs" not in sim.coords


def test_days_are_appended_to_a_store_without_a_grid_mapping(tmp_path: Path) -> None:
    """As earlier versions wrote it."""
    ds = make_grid(40)
    parameters = make_parameters(ds)
    first, state = ds.isel(time=slice(0, 20)).hbv.simulate(parameters, return_state=True)
    first["lat"].attrs["standard_name"] = "projection_y_coordinate"  # so that it gets none
    first.hbv.to_zarr(tmp_path / "run.zarr")
    assert "crs" not in hx.open_run(tmp_path / "run.zarr")
    later = ds.isel(time=slice(20, None)).hbv.simulate(parameters, initial_state=state)
    later.hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")
    assert hx.open_run(tmp_path / "run.zarr", verify=True).sizes["time"] == 40


def test_stores_state_no_limits_whose_type_they_cannot_keep(tmp_path: Path) -> None:
    ds = make_dataset(20)
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    assert sim["streamflow"].attrs["valid_min"] == 0.0
    sim.hbv.to_zarr(tmp_path / "run.zarr")
    assert sim["streamflow"].attrs["valid_min"] == 0.0
    with xr.open_zarr(tmp_path / "run.zarr") as store:
        assert "valid_min" not in store["streamflow"].attrs
        store.to_netcdf(tmp_path / "run.nc")

"""The virtual continent, and grids with a sea and a projection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.variables import ATTRIBUTES
from hydroxr.errors import DescriptionError, DimensionError, MissingForcingError
from tests.support.labelled import assert_same_values, make_parameters, raise_if_dask_computes, untrained

CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm


@pytest.fixture(scope="module")
def continent() -> xr.Dataset:
    """Of 60 catchments, four years, in memory."""
    return hx.virtual_continent(cells=60, years=4).compute()


@pytest.fixture
def grid() -> xr.Dataset:
    """12 x 15 cells with a sea, one year."""
    return hx.virtual_continent(years=1, shape=(12, 15), chunks={"lat": 5, "lon": 15})


def test_it_is_lazy_and_passes_the_check() -> None:
    """As catchments and as a grid, with all the attributes."""
    with raise_if_dask_computes():
        lazy = hx.virtual_continent(cells=30, years=1)
        lazy_grid = hx.virtual_continent(years=1, shape=(8, 9))
    assert lazy["prcp"].dims == ("basin", "time")
    assert lazy_grid["prcp"].dims == ("time", "lat", "lon")
    for ds in (lazy, lazy_grid):
        assert ds["prcp"].chunks is not None
        assert set(ATTRIBUTES) <= set(ds.data_vars)
        report = ds.hbv.check()
        assert report.days == 365
    assert "outside of the mask" in str(ds.hbv.check())


def test_it_is_plausible(continent: xr.Dataset) -> None:
    """Dry days and wet spells, seasons, colder to the north and in the heights, PET below 10 mm/day."""
    ds = continent
    wet = ds["prcp"] > 0.1
    assert 0.2 < float(wet.mean()) < 0.6
    after_wet = float((wet.values[:, 1:] & wet.values[:, :-1]).sum() / wet.values[:, :-1].sum())
    assert after_wet > 1.3 * float(wet.mean())
    ratio = ds["prcp"].mean("time") / ds["p_mean"]
    assert 0.7 < float(ratio.median()) < 1.4
    assert float(xr.corr(ds["prcp"].mean("time"), ds["p_mean"])) > 0.7
    monthly = ds["tmean"].groupby("time.month").mean().mean("basin")
    assert float(monthly.sel(month=7) - monthly.sel(month=1)) > 10
    assert float(xr.corr(ds["tmean"].mean("time"), ds["lat"])) < -0.5
    assert bool((ds["tmax"] > ds["tmean"]).all() & (ds["tmean"] > ds["tmin"]).all())
    assert 0 <= float(ds["pet"].min()) < float(ds["pet"].max()) < 15
    assert float(xr.corr(ds["pet"].mean("time"), ds["pet_mean"])) > 0.8
    np.testing.assert_allclose(ds["sand_frac"] + ds["silt_frac"] + ds["clay_frac"], 100, rtol=1e-5)
    assert float(ds["frac_snow"].min()) >= 0
    assert float(ds["elev_mean"].max()) < 5000


@pytest.mark.parametrize("chunks", [{"basin": 7}, {"basin": 60, "time": 100}, {"basin": 13, "time": 365}])
def test_chunks_change_no_value(continent: xr.Dataset, chunks: dict[str, int]) -> None:
    """Every value is one of the place, the day and the seed; a later end or fewer cells change none."""
    other = hx.virtual_continent(cells=60, years=4, chunks=chunks)
    assert other["prcp"].chunksizes["basin"][0] == min(chunks["basin"], 60)
    some = other.isel(basin=slice(11, 30), time=slice(300, 500)).compute()
    expected = continent.isel(basin=slice(11, 30), time=slice(300, 500))
    for name in ("prcp", "tmean", "tmin", "tmax", "pet"):
        np.testing.assert_allclose(some[name], expected[name], rtol=1e-6, atol=1e-6)
    shorter = hx.virtual_continent(cells=60, years=2).compute()
    assert_same_values(shorter[["prcp"]], continent.isel(time=slice(0, 730))[["prcp"]], rtol=1e-6, atol=1e-6)


def test_a_seed_makes_a_continent(continent: xr.Dataset) -> None:
    """The same one the same, in value and in dask's names; another one another."""
    first, second = (hx.virtual_continent(cells=60, years=4, seed=seed) for seed in (0, 1))
    again = hx.virtual_continent(cells=60, years=4, seed=0)
    assert first["prcp"].data.name == again["prcp"].data.name
    assert first["prcp"].data.name != second["prcp"].data.name
    assert float(abs(second["prcp"].compute() - continent["prcp"]).mean()) > 1
    assert not np.array_equal(second["p_mean"], continent["p_mean"])


@pytest.mark.parametrize("wrong", [{"cells": 0}, {"years": 1.5}, {"shape": (0, 3)}])
def test_sizes_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    """Named, with what was expected."""
    with pytest.raises(DescriptionError, match="whole number"):
        hx.virtual_continent(**wrong)


# --- The sea --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parameters", "static", "dynamic"])
def test_the_sea_is_skipped(grid: xr.Dataset, kind: str) -> None:
    """Cells outside of the mask come back as NaN, whatever is missing there; on land they are as if alone."""
    given: Any
    if kind == "parameters":
        given = make_parameters(grid).where(grid["mask"] == 1).drop_vars("mask", errors="ignore")
    else:
        spec = hx.DeltaHBV(
            components=2, hidden=4, dynamic=("BETA",) if kind == "dynamic" else (), network="lstm"
        )
        given = untrained(spec, period=("1980-10-01", "1980-11-09"))
    sim, state = grid.hbv.simulate(given, return_state=True)
    sim = sim.compute()
    sea = grid["mask"] == 0
    assert bool(sim["streamflow"].isnull().all("time").equals(sea))
    assert bool(sim["streamflow"].where(~sea, 0.0).notnull().all())
    np.testing.assert_array_equal(state["snowpack"].isnull().all("component"), sea)
    rows, columns = np.nonzero(~sea.values)
    cell = {"lat": [rows[5]], "lon": [columns[5]]}
    alone = grid.isel(cell).drop_vars("mask").compute()
    expected = alone.hbv.simulate(given.isel(cell) if kind == "parameters" else given)
    assert_same_values(sim.isel(cell), expected, **CLOSE)


def test_the_sea_is_flagged_where_gaps_are(grid: xr.Dataset) -> None:
    """With ``missing="fill"``: 2 outside of the mask, as in cells without any forcing."""
    parameters = make_parameters(grid)
    sims = [
        one.hbv.simulate(parameters, missing="fill", variables=["runoff"]).compute()
        for one in (grid, grid.drop_vars("mask"))
    ]
    assert_same_values(*sims)
    np.testing.assert_array_equal((sims[0]["forcing_flag"] == 2).all("time"), grid["mask"] == 0)


def test_no_cell_of_the_sea_is_computed(grid: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The physics gets those on land, and no more."""
    from hydroxr.simulation.engine import block as blocks

    real, cells = blocks.run_cells, []

    def counted(given: Any, *rest: Any) -> Any:
        cells.append(len(given["forcing:prcp"]))
        return real(given, *rest)

    monkeypatch.setattr(blocks, "run_cells", counted)
    grid.hbv.simulate(make_parameters(grid), variables=["runoff"]).compute(scheduler="sync")
    assert sum(cells) == int(grid["mask"].sum())


def test_missing_forcing_on_land_is_an_error_all_the_same(grid: xr.Dataset) -> None:
    """A mask excuses the sea alone; what is no mask is refused."""
    grid = grid.load()
    parameters = make_parameters(grid)
    land = np.argwhere(grid["mask"].values == 1)[0]
    grid["tmean"][{"lat": land[0], "lon": land[1], "time": 9}] = np.nan
    with pytest.raises(MissingForcingError, match="1980-10-10"):
        grid.hbv.simulate(parameters)
    with pytest.raises(DimensionError, match="'mask'"):
        grid.assign(mask=grid["prcp"] > 0).hbv.simulate(parameters)


def test_a_projection_is_kept(grid: xr.Dataset, tmp_path: Path) -> None:
    """The grid mapping comes along as a coordinate that each variable names, to the file and back."""
    ds = grid.rename(lat="y", lon="x").drop_vars("mask").fillna(1.0)
    ds = ds.assign(crs=((), 0, {"grid_mapping_name": "lambert_azimuthal_equal_area"}))
    ds["prcp"].attrs["grid_mapping"] = "crs"
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    assert sim["streamflow"].attrs["grid_mapping"] == "crs"
    sim.hbv.to_netcdf(tmp_path / "sim.nc")
    with xr.open_dataset(tmp_path / "sim.nc", decode_coords="all") as opened:
        assert opened["crs"].attrs["grid_mapping_name"] == "lambert_azimuthal_equal_area"
        assert opened["streamflow"].encoding["grid_mapping"] == "crs"


def test_chunks_of_other_dimensions_are_refused() -> None:
    """Catchments have no latitude to cut along."""
    with pytest.raises(DescriptionError, match=r"'lat'.*basin, time"):
        hx.virtual_continent(cells=4, years=1, chunks={"lat": 2})

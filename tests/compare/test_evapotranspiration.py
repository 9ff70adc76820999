"""Simulated evapotranspiration against products, with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    EmptySelectionError,
    MissingVariableError,
)
from tests.datasets import granules
from tests.support.labelled import make_dataset, make_parameters
from tests.support.products import frame, product, simulation


def test_eight_day_sums_with_known_answers() -> None:
    """As the paper compares: r, bias and RMSE of sums over composites, r of the means in space."""
    sim = simulation()
    table = frame(sim)
    composite = [(day.year, (day.day_of_year - 1) // 8) for day in table.index]
    sums = table.groupby(pd.MultiIndex.from_tuples(composite)).sum()
    sums.index = [pd.Timestamp(f"{year}-01-01") + pd.Timedelta(days=8 * k) for year, k in sums.index]
    rng = np.random.default_rng(2)
    estimate = 0.8 * sums + 3.0 + rng.normal(0.0, 2.0, sums.shape)
    estimate.iloc[5, 0] = np.nan
    out = hx.compare.evapotranspiration(sim, product(estimate, "kg/m^2/8day", "ET_500m"))
    for cell in range(4):
        s, o = sums[cell], estimate[cell]
        np.testing.assert_allclose(out["r"][cell], s.corr(o), rtol=1e-10)
        np.testing.assert_allclose(out["bias"][cell], (s - o).mean(), rtol=1e-10)
        np.testing.assert_allclose(out["rmse"][cell], np.sqrt(((s - o) ** 2).mean()), rtol=1e-10)
    assert list(out["n_periods"].values) == [137, 138, 138, 138]
    assert out["rmse"].attrs["units"] == "kg m-2"
    assert out["simulated"].attrs["units"] == "kg m-2 day-1"
    valid = estimate.notna()
    days = np.array([5 if d.day_of_year == 361 and d.year != 2004 else 8 for d in sums.index])
    days[(sums.index.year == 2004) & (sums.index.day_of_year == 361)] = 6
    first, second = ((t.where(valid).sum() / valid.mul(days, axis=0).sum()) for t in (sums, estimate))
    np.testing.assert_allclose(out["simulated"], first, rtol=1e-12)
    np.testing.assert_allclose(out["reference"], second, rtol=1e-12)
    np.testing.assert_allclose(out["spatial_r"], np.corrcoef(first, second)[0, 1], rtol=1e-10)
    np.testing.assert_allclose(out["spatial_bias"], (first - second).mean(), rtol=1e-9)
    assert out.attrs["period"] == "2003-01-01 to 2005-12-31"
    assert list(out["basin_id"].values) == ["g0", "g1", "g2", "g3"]


def test_time_chooses_and_components_are_averaged() -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").mean(), "mm/day")
    parts = xr.concat([0.5 * sim, 1.5 * sim], "component")
    parts["evapotranspiration"].attrs["units"] = "mm/day"
    out = hx.compare.evapotranspiration(parts, given, time=slice("2004-01-15", "2004-12-31"))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 11).all()
    assert out.attrs["period"] == "2004-02-01 to 2004-12-31"


def test_modis_pixels_to_basins_to_metrics(tmp_path: Path, raise_if_dask_computes: object) -> None:
    """All of the way, lazily: a file of AppEEARS, weights, means, metrics."""
    shapely = pytest.importorskip("shapely")
    values = granules.write_netcdf(tmp_path / "et.nc", number=52)
    modis = hx.compare.open_mod16(tmp_path / "et.nc")
    south, east = 45.0 - 2.5 / 240, 6.0 + 3.5 / 240
    basins = {
        "g0": shapely.box(6.0 - 0.5 / 240, south, east, 45.0 - 0.5 / 240)
    }  # the two lower rows of pixels
    weights = hx.compare.area_weights(modis, basins)
    sim = simulation("2003-10-01", "2005-03-31", cells=1)
    with raise_if_dask_computes():  # type: ignore[operator]
        lazy = hx.compare.evapotranspiration(sim.chunk(time=100), hx.compare.aggregate(modis, weights))
    out = lazy.compute()
    pixels = np.where(values > 32700, np.nan, 0.1 * values)[:, 1:]
    means = np.nanmean(pixels, axis=(1, 2))  # rows are 1/240 of a degree: equal to 1e-5
    sums = hx.compare.composite_8day(sim["evapotranspiration"]).sel(time=modis["time"])[0]
    np.testing.assert_allclose(out["r"][0], np.corrcoef(sums, means)[0, 1], rtol=1e-4)
    np.testing.assert_allclose(out["bias"][0], (sums.values - means).mean(), rtol=1e-4)
    assert out["n_periods"] == 52


def test_the_water_balance_as_a_product() -> None:
    """P - Q of hydrologic years; one with a missing day of streamflow is missing."""
    ds = make_dataset(365 * 3 + 200, start="2001-06-01")
    ds["streamflow"][1, 200] = np.nan
    out = hx.compare.water_balance_evapotranspiration(ds)
    assert list(out["time"].dt.strftime("%Y-%m-%d").values) == ["2001-10-01", "2002-10-01", "2003-10-01"]
    assert str(out["time_bnds"].values[-1, 1])[:10] == "2004-10-01"
    left = (ds["prcp"] - ds["streamflow"]).sel(time=slice("2002-10-01", "2003-09-30")).sum("time")
    np.testing.assert_allclose(out["evapotranspiration"].sel(time="2002-10-01"), left, rtol=1e-5)
    np.testing.assert_array_equal(
        out["evapotranspiration"].isnull().transpose("basin", "time"),
        [[False] * 3, [True, False, False], [False] * 3],
    )
    assert out["evapotranspiration"].attrs["units"] == "kg m-2"
    sim = ds.hbv.simulate(make_parameters(ds))
    fit = hx.compare.evapotranspiration(sim, out)
    assert list(fit["n_periods"].values) == [3, 2, 3]
    again = sim[["rainfall", "snowfall"]].assign(streamflow=ds["streamflow"])
    by_parts = hx.compare.water_balance_evapotranspiration(again, first_month=10)
    np.testing.assert_allclose(
        by_parts["evapotranspiration"].transpose("basin", "time"),
        out["evapotranspiration"].transpose("basin", "time"),
        rtol=1e-4,
    )
    with pytest.raises(EmptySelectionError, match="first day of month 10"):
        hx.compare.water_balance_evapotranspiration(ds.isel(time=slice(0, 30)))
    with pytest.raises(MissingVariableError, match="no precipitation"):
        hx.compare.water_balance_evapotranspiration(ds[["streamflow"]])


def test_a_perfect_model_closes_the_water_balance() -> None:
    """Without change of storage, P - Q is evapotranspiration: the simulation against its own balance."""
    ds = make_dataset(365 * 3 + 200, start="2001-06-01")
    sim = ds.hbv.simulate(make_parameters(ds), dtype="float64")
    storage = sim.hbv.derive("terrestrial_water_storage")["terrestrial_water_storage"]
    given = hx.compare.water_balance_evapotranspiration(ds.assign(streamflow=sim["streamflow"]))
    edges = pd.DatetimeIndex(["2001-09-30", "2002-09-30", "2003-09-30", "2004-09-30"])
    change = storage.sel(time=edges).diff("time").transpose("time", "basin").values
    given["evapotranspiration"] = (
        given["evapotranspiration"].transpose("time", "basin") - change
    ).assign_attrs(units="kg m-2")
    out = hx.compare.evapotranspiration(sim, given)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-2)  # the forcing is float32
    np.testing.assert_allclose(out["r"], 1.0, atol=1e-6)


def test_a_calendar_of_a_climate_model() -> None:
    """Both in one calendar of their own."""
    sim = simulation().convert_calendar("noleap")
    days = sim["evapotranspiration"].transpose("time", "basin")
    monthly = days.resample(time="MS").sum().assign_attrs(units="mm")
    out = hx.compare.evapotranspiration(sim, monthly)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 36).all()


def test_evapotranspiration_of_the_other_sign_is_noticed() -> None:
    sim = simulation()
    given = product(-frame(sim).resample("MS").sum(), "mm")
    with pytest.warns(hx.HydroxrWarning, match=r"'ET' of the product is negative.*-product"):
        hx.compare.evapotranspiration(sim, given)


def test_all_of_it_is_lazy(raise_if_dask_computes: object) -> None:
    sim = simulation()
    et = product(frame(sim).resample("MS").sum(), "mm")
    swe = product(frame(sim, "snowpack").resample("MS").mean(), "mm", "swe")
    lazy = sim.chunk(time=100, basin=2)
    for compare, given in (
        (hx.compare.evapotranspiration, et),
        (hx.compare.snow, swe),
        (hx.compare.storage, swe.rename(swe="tws")),
    ):
        with raise_if_dask_computes():  # type: ignore[operator]
            out = compare(lazy, given.chunk(time=12))
        assert out["r"].chunks is not None
        xr.testing.assert_allclose(out.compute(), compare(sim, given))

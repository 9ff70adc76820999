"""A simulation against products of evapotranspiration, snow and stored water, with known answers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    AmbiguousVariableError,
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
)
from tests.support import granules
from tests.support.labelled import STATES, make_dataset, make_parameters

DIMS = ("basin", "time")


def simulation(start: str = "2003-01-01", end: str = "2005-12-31", cells: int = 4) -> xr.Dataset:
    """Evapotranspiration and states that differ between days and basins."""
    time = pd.date_range(start, end)
    rng = np.random.default_rng(1)
    season = 1.5 - np.cos(2 * np.pi * np.arange(len(time)) / 365.25)
    et = np.arange(1, cells + 1)[:, None] * season + rng.gamma(1.0, 0.3, (cells, len(time)))
    ds = xr.Dataset(
        {"evapotranspiration": (DIMS, et, {"units": "kg m-2 day-1"})},
        coords={
            "basin": 10 * np.arange(cells),
            "time": time,
            "basin_id": ("basin", [f"g{k}" for k in range(cells)]),
        },
    )
    for name in STATES:
        ds[name] = (DIMS, rng.gamma(2.0, 20.0, et.shape), {"units": "kg m-2"})
    return ds


def frame(sim: xr.Dataset, name: str = "evapotranspiration") -> pd.DataFrame:
    """Days as rows, basins as columns."""
    return pd.DataFrame(sim[name].transpose("time", "basin").values, sim.indexes["time"])


def product(table: pd.DataFrame, units: str, name: str = "ET") -> xr.Dataset:
    """A product of the rows of a table."""
    basins = 10 * np.arange(table.shape[1])
    coords = {"time": pd.DatetimeIndex(table.index), "basin": basins}
    return xr.Dataset({name: (("time", "basin"), table.values, {"units": units})}, coords)


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


@pytest.mark.parametrize("stamp", ["MS", "middle", "ME"])
@pytest.mark.parametrize(
    ("units", "rate"),
    [("mm/day", True), ("mm/month", False), ("mm", False), ("cm", False), ("mm.mon-1", False)],
)
def test_a_perfect_monthly_product_in_many_spellings(stamp: str, units: str, rate: bool) -> None:
    """Wherever in the month its stamp is, as a rate or a sum."""
    sim = simulation("2003-12-10", "2005-02-20")
    table = frame(sim).loc["2004-01":"2005-01"].resample("MS")
    values = table.mean() if rate else table.sum() / (10.0 if units == "cm" else 1.0)
    shift = {"MS": 0, "middle": 14, "ME": None}[stamp]
    values.index = values.index + (pd.offsets.MonthEnd(1) if shift is None else pd.Timedelta(days=shift))
    out = hx.compare.evapotranspiration(sim, product(values, units))
    np.testing.assert_allclose(out["r"], 1.0)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 13).all()
    np.testing.assert_allclose(out["spatial_r"], 1.0)


@pytest.mark.parametrize("step", ["daily", "yearly", "bounds"])
def test_other_time_steps(step: str) -> None:
    sim = simulation()
    table = frame(sim)
    if step == "daily":
        given = product(table.iloc[100:500] / 86400.0, "kg m-2 s-1")
    elif step == "yearly":
        given = product(table.resample("YS").sum(), "mm/year")
    else:
        edges = pd.date_range("2003-02-05", "2005-10-01", freq="17D")
        sums = [table[(table.index >= a) & (table.index < b)].sum() for a, b in pairwise(edges)]
        given = product(pd.DataFrame(sums, edges[:-1] + pd.Timedelta(days=8)), "kg m-2")
        given["time"].attrs["bounds"] = "climatology"
        given["climatology"] = (("time", "nv"), np.stack([edges[:-1], edges[1:]], axis=1))
    out = hx.compare.evapotranspiration(sim, given)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == {"daily": 400, "yearly": 3, "bounds": 57}[step]).all()


def test_a_missing_month_takes_no_other_with_it() -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").sum(), "mm")
    out = hx.compare.evapotranspiration(sim, given.isel(time=np.r_[0:4, 7:30]))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 27).all()


def test_time_chooses_and_components_are_averaged() -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").mean(), "mm/day")
    parts = xr.concat([0.5 * sim, 1.5 * sim], "component")
    parts["evapotranspiration"].attrs["units"] = "mm/day"
    out = hx.compare.evapotranspiration(parts, given, time=slice("2004-01-15", "2004-12-31"))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 11).all()
    assert out.attrs["period"] == "2004-02-01 to 2004-12-31"


def test_more_basins_in_another_order_are_matched_by_label() -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").sum(), "mm").isel(basin=[3, 1, 0, 2])
    out = hx.compare.evapotranspiration(sim.isel(basin=[0, 3]), given)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    named = given.assign_coords(basin=["g3", "g1", "g0", "g2"])  # as polygons bear the names of gauges
    xr.testing.assert_identical(hx.compare.evapotranspiration(sim.isel(basin=[0, 3]), named), out)
    with pytest.raises(CoordinateError, match="no basin 20"):
        hx.compare.evapotranspiration(sim, given.isel(basin=[0, 1, 2]))


def test_modis_pixels_to_basins_to_metrics(tmp_path: Path, raise_if_dask_computes: object) -> None:
    """All of the way, lazily: a file of AppEEARS, weights, means, metrics."""
    shapely = pytest.importorskip("shapely")
    values = granules.write_netcdf(tmp_path / "et.nc", number=52)
    modis = hx.compare.open_mod16(tmp_path / "et.nc")
    south, east = 45.0 - 2.5 / 240, 6.0 + 3.5 / 240
    basins = {0: shapely.box(6.0 - 0.5 / 240, south, east, 45.0 - 0.5 / 240)}  # the two lower rows of pixels
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


def test_snow_against_a_daily_and_a_monthly_product() -> None:
    sim = simulation()
    swe = sum(frame(sim, name) for name in ("snowpack", "snow_liquid_water"))
    daily = product(swe.iloc[30:400] + 2.0, "mm", "swe")
    out = hx.compare.snow(sim, daily)
    np.testing.assert_allclose(out["r"], 1.0)
    np.testing.assert_allclose(out["bias"], -2.0)
    np.testing.assert_allclose(out["rmse"], 2.0)
    np.testing.assert_allclose(out["reference"], swe.iloc[30:400].mean() + 2.0)
    assert out["simulated"].attrs["units"] == "kg m-2"
    monthly = product(swe.resample("MS").mean() / 1000.0, "m", "anything")
    out = hx.compare.snow(sim, monthly)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 36).all()
    equivalent = sim.hbv.derive("snow_water_equivalent")["snow_water_equivalent"]
    assert equivalent.attrs["standard_name"] == "surface_snow_amount"
    xr.testing.assert_identical(hx.compare.snow(equivalent, monthly), out)


def test_storage_against_grace() -> None:
    """Anomalies: a baseline of its own and missing months do not matter."""
    sim = simulation()
    storage = sum(frame(sim, name) for name in STATES)
    monthly = storage.resample("MS").mean()
    monthly.index = monthly.index + pd.Timedelta(days=15)
    kept = np.r_[0:10, 12:36]
    given = product((2.0 * monthly.iloc[kept] - 700.0) / 10.0, "cm", "lwe_thickness")
    out = hx.compare.storage(sim, given)
    np.testing.assert_allclose(out["r"], 1.0)
    np.testing.assert_allclose(out["alpha"], 0.5)
    anomalies = monthly.iloc[kept] - monthly.iloc[kept].mean()
    np.testing.assert_allclose(out["rmse"], anomalies.std(ddof=0), rtol=1e-9)
    assert (out["n_periods"] == 34).all()
    total = sim.hbv.derive("terrestrial_water_storage")["terrestrial_water_storage"]
    xr.testing.assert_identical(hx.compare.storage(total, given), out)
    with pytest.raises(MissingVariableError, match="needs channel_storage"):
        hx.compare.storage(sim.drop_vars("channel_storage"), given)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ("", "has units 'none'"),
        ("W m-2", "2.45 MJ"),
        ("MJ/m2/day", "2.45 MJ"),
        ("mm/year", "time steps of 28 to 31 days"),
        ("degC", "not understood"),
    ],
)
def test_units_that_say_something_else_are_refused(units: str, message: str) -> None:
    sim = simulation()
    with pytest.raises(UnitsError, match=message):
        hx.compare.evapotranspiration(sim, product(frame(sim).resample("MS").sum(), units))


def test_products_that_cannot_be_compared_are_refused() -> None:
    sim = simulation()
    good = product(frame(sim).resample("MS").sum(), "mm")
    with pytest.raises(AmbiguousVariableError, match="'ET', 'E'"):
        hx.compare.evapotranspiration(sim, good.assign(E=good["ET"]))
    with pytest.raises(MissingVariableError, match="no variable along 'time'"):
        hx.compare.evapotranspiration(
            sim, good[["ET"]].isel(time=0, drop=True).assign_coords(time=good["time"])
        )
    with pytest.raises(MissingVariableError, match="variables=None"):
        hx.compare.evapotranspiration(sim.drop_vars("evapotranspiration"), good)
    with pytest.raises(DimensionError, match=r"hx\.compare\.aggregate"):
        hx.compare.evapotranspiration(sim, good.rename(basin="lat").expand_dims(lon=[1.0]))
    with pytest.raises(EmptySelectionError, match="none of the 36 periods"):
        hx.compare.evapotranspiration(simulation("1999-01-01", "1999-12-31"), good)
    with pytest.raises(TimeAxisError, match="12 days apart"):
        hx.compare.evapotranspiration(sim, product(frame(sim).resample("12D").sum(), "mm"))
    with pytest.raises(TimeAxisError, match="of which there is one"):
        hx.compare.evapotranspiration(sim, good.isel(time=[3]))
    with pytest.raises(CoordinateError, match=r"'noleap'.*convert_calendar"):
        hx.compare.evapotranspiration(sim.convert_calendar("noleap"), good)
    bounds = np.stack([good["time"].values] * 2, axis=1)
    with pytest.raises(TimeAxisError, match="end before they begin"):
        hx.compare.evapotranspiration(sim, good.assign_coords(time_bnds=(("time", "bnds"), bounds)))


def test_a_calendar_of_a_climate_model() -> None:
    """Both in one calendar of their own."""
    sim = simulation().convert_calendar("noleap")
    days = sim["evapotranspiration"].transpose("time", "basin")
    monthly = days.resample(time="MS").sum().assign_attrs(units="mm")
    out = hx.compare.evapotranspiration(sim, monthly)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 36).all()


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


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("pet", {}),
        ("PET_500m", {}),
        ("prcp", {}),
        ("streamflow", {}),
        ("x", {"standard_name": "water_potential_evaporation_flux"}),
        ("x", {"standard_name": "precipitation_amount"}),
        ("x", {"long_name": "Potential evapotranspiration"}),
    ],
)
def test_the_only_variable_is_not_taken_where_it_is_something_else(name: str, attrs: dict[str, str]) -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").sum(), "mm", name)
    given[name].attrs.update(attrs)
    with pytest.raises(MissingVariableError, match=f"'{name}' only, which is something else"):
        hx.compare.evapotranspiration(sim, given)
    given[name].attrs["standard_name"] = "water_evapotranspiration_amount"
    np.testing.assert_allclose(hx.compare.evapotranspiration(sim, given)["rmse"], 0.0, atol=1e-9)


@pytest.mark.parametrize("days", ["YS", "YE", "YS-OCT", "YE-SEP", "YS-APR"])
def test_years_without_bounds_are_calendar_years_or_refused(days: str) -> None:
    sim = simulation("2003-01-01", "2007-12-31")
    given = product(frame(sim).resample(days).sum().iloc[1:-1], "mm")
    if days in ("YS", "YE"):
        out = hx.compare.evapotranspiration(sim, given)
        np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    else:
        with pytest.raises(TimeAxisError, match=r"calendar years stamped on 1 January.*time_bnds"):
            hx.compare.evapotranspiration(sim, given)


def test_years_stamped_in_the_middle() -> None:
    sim = simulation()
    table = frame(sim).resample("YS").sum()
    table.index = pd.DatetimeIndex(["2003-07-02", "2004-07-01", "2005-06-30"])
    out = hx.compare.evapotranspiration(sim, product(table, "mm a-1"))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("units", "step", "factor"),
    [
        ("mm/8d", "8day", 1.0),
        ("mm (8 days)-1", "8day", 1.0),
        ("kg/m^2/8day", "8day", 1.0),
        ("mm 8d-1", "8day", 1.0),
        ("mm/mo", "MS", 1.0),
        ("meters", "MS", 1000.0),
        ("m of water equivalent", "MS", 1000.0),
        ("mm a-1", "YS", 1.0),
        ("mm y-1", "YS", 1.0),
        ("mm/yr", "YS", 1.0),
    ],
)
def test_spellings_of_units(units: str, step: str, factor: float) -> None:
    sim = simulation()
    table = frame(sim)
    if step == "8day":
        first = [
            pd.Timestamp(day.year, 1, 1) + pd.Timedelta(days=(day.day_of_year - 1) // 8 * 8)
            for day in table.index
        ]
        sums = table.groupby(pd.DatetimeIndex(first)).sum()
    else:
        sums = table.resample(step).sum()
    out = hx.compare.evapotranspiration(sim, product(sums / factor, units))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)


def test_evapotranspiration_of_the_other_sign_is_noticed() -> None:
    sim = simulation()
    given = product(-frame(sim).resample("MS").sum(), "mm")
    with pytest.warns(hx.HydroxrWarning, match=r"'ET' of the product is negative.*-product"):
        hx.compare.evapotranspiration(sim, given)

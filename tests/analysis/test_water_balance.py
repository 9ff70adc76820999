"""The water balance: recomputed here from a written file alone, and as ``water_balance`` sums it up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.errors import (
    DescriptionError,
    EmptySelectionError,
    HydroxrError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
)
from hydroxr.models.model import Model
from tests.support.labelled import FLUXES, STATES, make_dataset, make_parameters

TERMS = ("precipitation", "evapotranspiration", "streamflow", "storage_change", "residual")
LIMITS = {"float32": 2e-3, "float64": 1e-9}  # mm a step


@pytest.fixture
def simulated(ds: xr.Dataset) -> xr.Dataset:
    """Sixty days in float64."""
    return ds.hbv.simulate(make_parameters(ds), dtype="float64")


@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("later", [False, True])
def test_a_file_alone_closes_each_day(
    ds: xr.Dataset, dtype: str, way: str, later: bool, tmp_path: Path
) -> None:
    """Rain and snow less evapotranspiration less streamflow is the change of all storages, from the first day
    on, whether the run starts empty or continues another; in NumPy, from what was written."""
    parameters = make_parameters(ds)
    sim, state = ds.isel(time=slice(0, 30)).hbv.simulate(parameters, return_state=True, dtype=dtype)
    if later:
        sim = ds.isel(time=slice(30, None)).hbv.simulate(parameters, initial_state=state, dtype=dtype)
    path = getattr(sim.hbv, way)(tmp_path / "sim")
    with xr.open_dataset(path, engine="zarr" if way == "to_zarr" else "netcdf4") as opened:
        water = {
            name: array.values.astype(float) for name, array in opened.data_vars.items()
        }  # (basin, time)
    storage = sum(water[name] for name in STATES)
    change = np.diff(np.concatenate([water["initial_storage"][:, None], storage], axis=1), axis=1)
    residual = (
        water["rainfall"] + water["snowfall"] - water["evapotranspiration"] - water["streamflow"] - change
    )
    assert np.abs(residual).max() < LIMITS[dtype]
    assert water["streamflow"].max() > 0.1


@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr"])
def test_the_balance_of_a_file_is_that_of_the_run(simulated: xr.Dataset, way: str, tmp_path: Path) -> None:
    """What a file needs to know of its beginning is in it."""
    path = getattr(simulated.hbv, way)(tmp_path / "sim")
    with xr.open_dataset(path, engine="zarr" if way == "to_zarr" else "netcdf4") as opened:
        balance = opened.hbv.water_balance().load()
    xr.testing.assert_allclose(balance, simulated.hbv.water_balance(), rtol=1e-12)


def test_sums_are_those_of_the_run(ds: xr.Dataset, simulated: xr.Dataset) -> None:
    """Each term by itself; precipitation is the input's."""
    balance = simulated.hbv.water_balance()
    np.testing.assert_allclose(balance["precipitation"], ds["prcp"].astype(float).sum("time"), rtol=1e-9)
    for name in ("evapotranspiration", "streamflow"):
        np.testing.assert_allclose(balance[name], simulated[name].sum("time"), rtol=1e-12)
    stored = sum(simulated[name].isel(time=-1) for name in STATES)
    np.testing.assert_allclose(balance["storage_change"], stored - 0.005, rtol=1e-9)
    np.testing.assert_allclose(balance["residual"], 0.0, atol=1e-8)
    assert (balance["largest_daily_residual"] < 1e-9).all()
    assert balance.attrs["period"] == "2000-01-01 to 2000-02-29"
    amounts = balance.drop_vars(["closed", "days"])
    assert {array.attrs["units"] for array in amounts.data_vars.values()} == {"kg m-2"}


def test_a_leak_is_found(simulated: xr.Dataset) -> None:
    """One millimetre that is missing on one day is told in both residuals, where it is."""
    simulated["evapotranspiration"][1, 20] += 1.0
    balance = simulated.hbv.water_balance()
    np.testing.assert_allclose(balance["residual"], [0.0, -1.0, 0.0], atol=1e-8)
    np.testing.assert_allclose(balance["largest_daily_residual"], [0.0, 1.0, 0.0], atol=1e-8)


def test_a_later_stretch_closes_from_its_second_day(simulated: xr.Dataset) -> None:
    """What was stored before a stretch in the middle is not in it: its first day is the start."""
    balance = simulated.isel(time=slice(20, 50)).hbv.water_balance()
    assert balance.attrs["period"] == "2000-01-22 to 2000-02-19"
    rain = simulated[["rainfall", "snowfall"]].isel(time=slice(21, 50)).sum("time")
    np.testing.assert_allclose(balance["precipitation"], rain["rainfall"] + rain["snowfall"], rtol=1e-12)
    np.testing.assert_allclose(balance["residual"], 0.0, atol=1e-8)


def test_a_continued_run_closes_from_its_first_day(ds: xr.Dataset, static_model: Model) -> None:
    """Its initial_storage is what the run before left."""
    _, state = ds.isel(time=slice(0, 50)).hbv.simulate(static_model, return_state=True)
    sim = ds.isel(time=slice(50, None)).hbv.simulate(static_model, initial_state=state)
    balance = sim.hbv.water_balance()
    assert balance.attrs["period"].startswith("2000-02-20")
    np.testing.assert_allclose(balance["residual"], 0.0, atol=1e-2)


def test_components_are_averaged_first(ds: xr.Dataset) -> None:
    """A run that keeps its components has the same balance."""
    parameters = make_parameters(ds, components=3)
    apart = ds.hbv.simulate(parameters, components=True, dtype="float64").hbv.water_balance()
    means = ds.hbv.simulate(parameters, dtype="float64").hbv.water_balance()
    for name in TERMS:
        assert apart[name].dims == ("basin",)
        np.testing.assert_allclose(apart[name], means[name], rtol=1e-9, atol=1e-9)


def test_float32_is_summed_in_float64() -> None:
    """A long sum of single precision does not drift."""
    ds = make_dataset(400)
    parameters = make_parameters(ds)
    balance = ds.hbv.simulate(parameters).hbv.water_balance()
    amounts = balance.drop_vars(["closed", "days"])
    assert {array.dtype for array in amounts.data_vars.values()} == {np.dtype(float)}
    assert (abs(balance["residual"]) < 2e-3).all()


def test_it_is_lazy(ds: xr.Dataset, raise_if_dask_computes: object) -> None:
    """As the simulation is."""
    parameters = make_parameters(ds)
    lazy = ds.drop_vars("basin_id").chunk(basin=1).hbv.simulate(parameters, dtype="float64")
    with raise_if_dask_computes():  # type: ignore[operator]
        balance = lazy.hbv.water_balance()
    assert balance["residual"].chunks is not None
    np.testing.assert_allclose(balance["residual"].compute(), 0.0, atol=1e-8)


def test_without_routing_it_closes_too(ds: xr.Dataset) -> None:
    """channel_storage is 0 then."""
    sim = ds.hbv.simulate(make_parameters(ds, without=("UH_SHAPE", "UH_SCALE")), dtype="float64")
    np.testing.assert_allclose(sim.hbv.water_balance()["residual"], 0.0, atol=1e-8)


@pytest.mark.parametrize("absent", ["snowfall", "channel_storage", "initial_storage"])
def test_what_is_missing_is_named(simulated: xr.Dataset, absent: str) -> None:
    """With how to get it."""
    with pytest.raises(MissingVariableError, match=f"needs {absent}.*variables=None"):
        simulated.drop_vars(absent).hbv.water_balance()


def test_what_is_no_stretch_of_days_is_refused(simulated: xr.Dataset) -> None:
    """A season of each year has no balance: the storage changes in between as well."""
    with pytest.raises(HydroxrError, match="gap"):
        simulated.isel(time=[*range(10), *range(30, 40)]).hbv.water_balance()


def test_one_day_in_the_middle_has_no_balance(simulated: xr.Dataset) -> None:
    """Nor has no day at all; the first day of a run has one."""
    for days in (slice(5, 6), slice(0, 0)):
        with pytest.raises(EmptySelectionError):
            simulated.isel(time=days).hbv.water_balance()
    np.testing.assert_allclose(simulated.isel(time=[0]).hbv.water_balance()["residual"], 0.0, atol=1e-9)


def test_a_cell_without_simulation_has_no_balance(ds: xr.Dataset) -> None:
    """Missing, not 0; nothing can have leaked there, so a grid with sea can be closed in all cells."""
    ds["prcp"][1] = np.nan
    balance = ds.hbv.simulate(make_parameters(ds), missing="fill").hbv.water_balance()
    for name in balance.data_vars:
        if name not in ("closed", "days"):
            np.testing.assert_array_equal(balance[name].isnull(), [False, True, False])
    np.testing.assert_array_equal(balance["closed"], [True, True, True])


# --- What is called closed ------------------------------------------------------------------------


def years_by_hand(sim: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Precipitation less losses less the change of storage from one New Year to the next, (basin, year)."""
    water = {name: sim[name].transpose("basin", "time").values.astype(float) for name in (*FLUXES, *STATES)}
    storage = sum(water[name] for name in STATES)
    before = np.concatenate([sim["initial_storage"].values[:, None], storage[:, :-1]], axis=1)
    residual = water["rainfall"] + water["snowfall"] - water["evapotranspiration"] - water["streamflow"]
    residual = residual - (storage - before)
    years = sim["time"].dt.year.values
    numbers = np.unique(years)
    return numbers, np.stack([residual[:, years == year].sum(1) for year in numbers], axis=1)


@pytest.mark.parametrize("lazy", [False, True])
def test_closure_of_each_cell_and_year(lazy: bool) -> None:
    """Each year by itself, as by hand; with what is lost in one of them the others stay closed."""
    ds = make_dataset(800, start="2000-03-01")
    sim = ds.hbv.simulate(make_parameters(ds), dtype="float64")
    sim["streamflow"][2, 400] += 1e-3  # 2001
    numbers, residual = years_by_hand(sim)
    balance = (sim.chunk(basin=1, time=300) if lazy else sim).hbv.water_balance(by="year")
    assert (balance["residual"].chunks is not None) == lazy
    np.testing.assert_array_equal(balance["year"], numbers)
    assert balance["residual"].dims == ("basin", "year")
    np.testing.assert_allclose(balance["residual"], residual, atol=1e-10)
    np.testing.assert_array_equal(balance["days"], [306, 365, 129])
    expected = np.ones((3, 3), dtype=bool)
    expected[2, 1] = False
    np.testing.assert_array_equal(balance["closed"], expected)
    np.testing.assert_array_equal(sim.hbv.water_balance()["closed"], [True, True, False])


def test_what_cancels_is_not_closed(simulated: xr.Dataset) -> None:
    """Water that is lost on one day and comes back on the next one."""
    simulated["streamflow"][0, 20] += 1.0
    simulated["streamflow"][0, 21] -= 1.0
    balance = simulated.hbv.water_balance()
    np.testing.assert_allclose(balance["residual"], 0.0, atol=1e-8)
    np.testing.assert_array_equal(balance["closed"], [False, True, True])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sound_runs_are_closed_and_leaks_are_not(dtype: str) -> None:
    """In single precision as well; the tolerance is some thousandths of the water that moved, at most."""
    ds = make_dataset(1500, 8)
    sim = ds.hbv.simulate(make_parameters(ds), dtype=dtype)
    balance = sim.hbv.water_balance(by="year")
    assert bool(balance["closed"].all())
    ratio = (abs(balance["residual"]) / balance["tolerance"]).max()
    assert ratio < 0.5
    assert bool((balance["tolerance"] < 2e-5 * balance["precipitation"]).all())
    sim["snowmelt"] = 2 * sim["snowmelt"]  # no term of the balance
    assert bool(sim.hbv.water_balance()["closed"].all())
    sim["channel_storage"] = 0 * sim["channel_storage"]
    assert not bool(sim.hbv.water_balance(by="year")["closed"].any())


def wet(days: int = 60) -> xr.Dataset:
    """Enough rain that the errors of packing are a small share of it."""
    ds = make_dataset(days)
    ds["prcp"] = (4 * ds["prcp"]).assign_attrs(ds["prcp"].attrs)
    return ds.hbv.simulate(make_parameters(ds))


@pytest.mark.parametrize("options", [{"packed": True}, {"keep_bits": 10}])
def test_packed_files_are_closed_to_within_what_they_state(options: dict[str, Any], tmp_path: Path) -> None:
    """And no better: the tolerance says so; nor is a leak beyond it closed."""
    sim = wet()
    with xr.open_dataset(sim.hbv.to_netcdf(tmp_path / "a.nc", **options)) as opened:
        balance = opened.load().hbv.water_balance()
    assert bool(balance["closed"].all())
    assert bool((balance["tolerance"] > 0.1).all())
    assert bool((balance["tolerance"] < 0.01 * balance["precipitation"]).all())
    leak = (2 * balance["tolerance"].drop_attrs() / 60).astype("float32")
    sim["streamflow"] = (sim["streamflow"] + leak).assign_attrs(sim["streamflow"].attrs)
    with xr.open_dataset(sim.hbv.to_netcdf(tmp_path / "b.nc", **options)) as opened:
        assert not bool(opened.hbv.water_balance()["closed"].any())


def test_a_day_has_a_tolerance_of_its_own(tmp_path: Path) -> None:
    """What packing may add up to over all days does not hide what is lost on one; both as by hand."""
    sim = wet(400)
    sim["streamflow"][0, 200] += 2.0
    with xr.open_dataset(sim.hbv.to_netcdf(tmp_path / "a.nc", packed=True)) as opened:
        balance = opened.hbv.water_balance()
    # Half a step of packing: four fluxes of 0.005, six storages of 0.05 at both ends of the day.
    fluxes, storages = 4 * 0.005, 6 * 0.05
    np.testing.assert_allclose(balance["daily_tolerance"], fluxes + 2 * storages, atol=0.02)
    np.testing.assert_allclose(balance["tolerance"], 400 * fluxes + 2 * storages, atol=0.1)
    assert float(balance["tolerance"][0]) > 2.5 > float(balance["largest_daily_residual"][0]) > 1.0
    assert abs(float(balance["residual"][0])) < float(balance["tolerance"][0])
    np.testing.assert_array_equal(balance["closed"], [False, True, True])


@pytest.mark.parametrize("name", ["rainfall", "streamflow", "soil_moisture", "initial_storage"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_not_closed(name: str, value: float, simulated: xr.Dataset) -> None:
    """Nothing is within a tolerance that is infinite; the other cells are as they were."""
    at = {"basin": 1, "time": 20} if "time" in simulated[name].dims else {"basin": 1}
    simulated[name][at] = value
    np.testing.assert_array_equal(simulated.hbv.water_balance()["closed"], [True, False, True])
    np.testing.assert_array_equal(simulated.hbv.water_balance(by="year")["closed"][:, 0], [True, False, True])


def test_a_component_that_is_missing_is_not_left_out(ds: xr.Dataset) -> None:
    """Its water is: here of a day on which it has no snow, so that the sums are the same without it."""
    sim = ds.hbv.simulate(make_parameters(ds), components=True, dtype="float64")
    dry = sim["snowpack"].transpose("basin", "time", "component").values[0].max(axis=1) == 0
    day = int(np.flatnonzero(dry)[0])
    assert bool(sim.hbv.water_balance()["closed"].all())
    sim["snowpack"] = sim["snowpack"].where(
        (sim["basin"] != sim["basin"][0])
        | (sim["time"] != sim["time"][day])
        | (sim["component"] != sim["component"][1])
    )
    np.testing.assert_array_equal(sim.hbv.water_balance()["closed"], [False, True, True])


def test_each_variable_is_rounded_to_its_own_type(simulated: xr.Dataset) -> None:
    """One in single precision allows for its own roundings, by hand, and not for those of all water."""
    simulated["snowfall"] = simulated["snowfall"].astype("float32")
    single, double = 16 * np.finfo("float32").eps, 16 * np.finfo("float64").eps
    water = {name: simulated[name].values.astype(float) for name in (*FLUXES, *STATES, "initial_storage")}
    storage = sum(water[name] for name in STATES)
    storage = np.concatenate([water["initial_storage"][:, None], storage], axis=1)
    moved = double * (water["rainfall"] + water["evapotranspiration"] + water["streamflow"])
    moved = moved + single * water["snowfall"]
    ends = double * np.maximum(storage[:, 1:], storage[:, :-1])
    balance = simulated.hbv.water_balance()
    np.testing.assert_allclose(balance["tolerance"], moved.sum(1) + 2 * ends.max(1), rtol=1e-9)
    a_day = (moved + double * (storage[:, 1:] + storage[:, :-1])).max(1)
    np.testing.assert_allclose(balance["daily_tolerance"], a_day, rtol=1e-9)
    assert bool(balance["closed"].all())
    simulated["streamflow"][0, int(water["snowfall"][0].argmin())] += 1e-8
    np.testing.assert_array_equal(simulated.hbv.water_balance()["closed"], [False, True, True])


def test_stated_errors_that_hide_a_leak_verify_nothing(simulated: xr.Dataset) -> None:
    """More than a hundredth of the precipitation: to be within such a tolerance is no proof."""
    simulated["streamflow"][0, 20] += 1.0
    simulated["streamflow"].attrs["packing_maximum_absolute_error"] = 10.0
    balance = simulated.hbv.water_balance()
    assert bool((balance["tolerance"] > 600.0).all())
    assert not bool(balance["closed"].any())


def test_a_desert_is_closed_without_rain(ds: xr.Dataset) -> None:
    """Where nothing is packed no share of the precipitation is asked for."""
    ds["prcp"] = (0 * ds["prcp"]).assign_attrs(ds["prcp"].attrs)
    assert bool(ds.hbv.simulate(make_parameters(ds)).hbv.water_balance()["closed"].all())


def test_what_cannot_be_judged_is_refused(simulated: xr.Dataset, tmp_path: Path) -> None:
    """Other numbers than a run's, in other units, or not of days."""
    with pytest.raises(DescriptionError, match="rainfall has type float16"):
        simulated.astype("float16").hbv.water_balance()
    path = simulated.hbv.to_netcdf(tmp_path / "a.nc", packed={"snowpack": 0.05})
    with (
        xr.open_dataset(path, mask_and_scale=False) as raw,
        pytest.raises(DescriptionError, match=r"snowpack has type int.*mask_and_scale=True"),
    ):
        raw.hbv.water_balance()
    metres = (simulated["soil_moisture"] / 1000).assign_attrs(units="m")
    with pytest.raises(UnitsError, match="'soil_moisture' has units 'm'; expected 'kg m-2'"):
        simulated.assign(soil_moisture=metres).hbv.water_balance()
    for fluxes in ("mean", "sum"):
        month = simulated.hbv.aggregate_time("month", fluxes=fluxes).isel(time=[0])
        with pytest.raises(TimeAxisError, match="from 2000-01-01 to 2000-02-01; expected daily"):
            month.hbv.water_balance()


def test_other_periods_are_not_known(simulated: xr.Dataset) -> None:
    """Only the year."""
    with pytest.raises(DescriptionError, match=r"'month'.*expected 'year'"):
        simulated.hbv.water_balance(by="month")

"""Months, years and composites, against NumPy over the days that the calendar gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.analysis.time_means import aggregate_time
from hydroxr.conventions.variables import FLUXES, STATES, VARIABLES
from hydroxr.errors import DescriptionError, EmptySelectionError, TimeAxisError
from tests.support.labelled import make_dataset, make_parameters

CALENDARS = ("standard", "noleap", "360_day")


def simulation(calendar: str = "standard", start: str = "1999-11-20", days: int = 830) -> xr.Dataset:
    """Three basins over a leap year; neither its first nor its last month is whole."""
    ds = make_dataset(days)
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    parameters = make_parameters(ds).assign(C=0.5)  # so that every flux is there
    return ds.assign_coords(time=time).hbv.simulate(parameters)


@pytest.fixture(scope="module")
def sims() -> dict[str, xr.Dataset]:
    return {calendar: simulation(calendar) for calendar in CALENDARS}


def blocks(sim: xr.Dataset, step: str, first_month: int = 1) -> list[np.ndarray]:
    """The positions of the days of each whole step, by walking through the calendar."""
    keys = []
    for day in sim.indexes["time"]:
        if step == "month":
            keys.append((day.year, day.month))
        elif step == "year":
            keys.append((day.year - (day.month < first_month), 0))
        else:
            keys.append((day.year, (day.dayofyr if hasattr(day, "dayofyr") else day.day_of_year) - 1 >> 3))
    groups = {key: np.flatnonzero([key == other for other in keys]) for key in dict.fromkeys(keys)}
    return list(groups.values())[1:-1]  # the first and the last are not whole


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize(("step", "first_month"), [("month", 1), ("year", 1), ("year", 10), ("8day", 1)])
@pytest.mark.parametrize(("fluxes", "states"), [("mean", "end"), ("sum", "mean")])
def test_values_and_bounds(
    calendar: str, step: str, first_month: int, fluxes: str, states: str, sims: dict[str, xr.Dataset]
) -> None:
    """Every variable, in every calendar; steps that are not whole are left out."""
    sim = sims[calendar]
    out = sim.hbv.aggregate_time(step, fluxes=fluxes, states=states, first_month=first_month)
    groups = blocks(sim, step, first_month)
    assert out.sizes["time"] == len(groups) > 0
    for name in (*FLUXES, *STATES):
        values = [sim[name].values[:, group].astype(float) for group in groups]
        how = {"mean": np.mean, "sum": np.sum}[fluxes if name in FLUXES else "mean"]
        expected = np.stack([how(block, axis=1) for block in values], axis=1)
        if name in STATES and states == "end":
            expected = np.stack([block[:, -1] for block in values], axis=1)
        np.testing.assert_allclose(out[name], expected, rtol=2e-6, atol=2e-6, err_msg=name)
        assert out[name].dtype == np.float32
    days = sim["time_bnds"].values
    np.testing.assert_array_equal(out["time_bnds"][:, 0], [days[group[0], 0] for group in groups])
    np.testing.assert_array_equal(out["time_bnds"][:, 1], [days[group[-1], 1] for group in groups])
    np.testing.assert_array_equal(out["time"], out["time_bnds"][:, 0])
    assert out["time"].attrs["bounds"] == "time_bnds"


def test_attributes_say_what_was_done(sims: dict[str, xr.Dataset]) -> None:
    sim = sims["standard"]
    means, sums = (
        sim.hbv.aggregate_time("month"),
        sim.hbv.aggregate_time("month", fluxes="sum", states="mean"),
    )
    for name in FLUXES:
        assert means[name].attrs == sim[name].attrs | {"cell_methods": "time: mean"}
        assert sums[name].attrs["cell_methods"] == "time: sum"
        assert sums[name].attrs["units"] == "kg m-2"
        assert sums[name].attrs.get("standard_name") == VARIABLES[name].amount_name
    for name in STATES:
        assert means[name].attrs == sim[name].attrs
        assert sums[name].attrs == sim[name].attrs | {"cell_methods": "time: mean"}
    assert means.attrs["title"].endswith(": months")
    assert means.attrs["hydroxr_version"] == sim.attrs["hydroxr_version"]


def test_the_balance_of_whole_steps_closes() -> None:
    """Amounts and storages at the end: what came in is what went out and what is there more."""
    sim = simulation(start="2000-01-01", days=800).astype("float64")
    out = sim.hbv.aggregate_time("month", fluxes="sum")
    stored = sum(out[name] for name in STATES)
    came = (out["rainfall"] + out["snowfall"] - out["evapotranspiration"] - out["streamflow"]).cumsum("time")
    np.testing.assert_allclose(stored - out["initial_storage"], came, atol=2e-3)
    assert float(came.max()) > 10.0


def test_initial_storage_stays_only_where_it_is_that(sims: dict[str, xr.Dataset]) -> None:
    """Where the first whole month begins after the run, what was before the run was not before it."""
    assert "initial_storage" not in sims["standard"].hbv.aggregate_time("month")
    assert "initial_storage" in simulation(start="2000-01-01", days=60).hbv.aggregate_time("month")


def test_what_is_no_plain_mean_is_not_summed() -> None:
    """Flags keep the largest, temperatures their mean, a spread the mean of the days' spreads."""
    sim = simulation(start="2001-01-01", days=59)
    flag = np.zeros((3, 59), "int8")
    flag[1, 40] = 2
    sim["forcing_flag"] = (("basin", "time"), flag, {"flag_values": np.array([0, 1, 2], "int8")})
    sim["streamflow_spread"] = sim["streamflow"].assign_attrs(VARIABLES["streamflow_spread"].attrs())
    sim["tmin"] = sim["runoff"].assign_attrs(VARIABLES["tmin"].attrs())
    out = sim.hbv.aggregate_time("month", fluxes="sum")
    np.testing.assert_array_equal(out["forcing_flag"], [[0, 0], [0, 2], [0, 0]])
    assert out["forcing_flag"].dtype == np.int8
    for name, days in (("streamflow_spread", "streamflow"), ("tmin", "runoff")):
        np.testing.assert_allclose(out[name][:, 0], sim[days].values[:, :31].mean(1), rtol=1e-6)
        methods = VARIABLES[name].cell_methods
        assert out[name].attrs["cell_methods"] == f"{methods} time: mean"
        assert out[name].attrs["units"] == VARIABLES[name].units


def test_a_missing_value_makes_its_step_missing(sims: dict[str, xr.Dataset]) -> None:
    sim = sims["standard"].copy(deep=True)
    sim["runoff"][1, 20] = np.nan
    out = sim.hbv.aggregate_time("month")
    assert out["runoff"].isnull().sum() == 1
    assert bool(out["runoff"][1, 0].isnull())


@pytest.mark.parametrize("chunks", [{"time": 50}, {"basin": 1}])
def test_it_stays_lazy(
    chunks: dict[str, int], sims: dict[str, xr.Dataset], raise_if_dask_computes: Any
) -> None:
    sim = sims["360_day"]
    with raise_if_dask_computes():
        lazy = sim.chunk(chunks).hbv.aggregate_time("month", fluxes="sum")
    assert lazy["runoff"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), sim.hbv.aggregate_time("month", fluxes="sum"))


def test_what_cannot_be_done_is_refused(sims: dict[str, xr.Dataset]) -> None:
    sim = sims["standard"]
    with pytest.raises(DescriptionError, match="step='decade'"):
        sim.hbv.aggregate_time("decade")
    with pytest.raises(DescriptionError, match="fluxes='max'"):
        sim.hbv.aggregate_time("month", fluxes="max")
    with pytest.raises(DescriptionError, match="first_month is 10 with step='month'"):
        sim.hbv.aggregate_time("month", first_month=10)
    with pytest.raises(DescriptionError, match="first_month is 13"):
        sim.hbv.aggregate_time("year", first_month=13)
    with pytest.raises(EmptySelectionError, match="none of the 1 periods"):
        sim.isel(time=slice(0, 5)).hbv.aggregate_time("month")
    with pytest.raises(TimeAxisError, match="expected daily values"):
        simulation(start="2000-01-01", days=60).hbv.aggregate_time("month").hbv.water_balance()


@pytest.mark.parametrize(
    "methods",
    [
        "",
        "time: mean",
        "time: mean area: mean",
        "area: mean time: mean",
        "area: time: mean",
        "time: mean (interval: 1 hour)",
    ],
)
@pytest.mark.parametrize("fluxes", ["mean", "sum"])
def test_a_flux_is_one_however_its_cell_methods_are_spelled(methods: str, fluxes: str) -> None:
    values = np.random.default_rng(0).gamma(1.0, 2.0, 59)
    attrs = {"units": "mm/day", "standard_name": "runoff_flux", "cell_methods": methods}
    time = xr.date_range("2001-01-01", periods=59)
    ds = xr.Dataset({"runoff": ("time", values, attrs)}, {"time": time})
    out = aggregate_time(ds, "month", fluxes=fluxes)["runoff"]
    expected = [getattr(np, fluxes)(values[:31]), getattr(np, fluxes)(values[31:])]
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    assert out.attrs["units"] == {"mean": "kg m-2 day-1", "sum": "kg m-2"}[fluxes]
    assert f"time: {fluxes}" in out.attrs["cell_methods"]
    assert ("area: mean" in out.attrs["cell_methods"]) == ("area" in methods)
    assert out.attrs["standard_name"] == {"mean": "runoff_flux", "sum": "runoff_amount"}[fluxes]


@pytest.mark.parametrize(("units", "factor"), [("mm", 1.0), ("kg m-2", 1.0), ("cm", 10.0)])
def test_amounts_of_a_day_are_summed_or_become_a_rate(units: str, factor: float) -> None:
    values = np.random.default_rng(0).gamma(1.0, 2.0, 31)
    attrs = {"units": units, "standard_name": "runoff_amount", "cell_methods": "area: mean time: sum"}
    ds = xr.Dataset({"runoff": ("time", values, attrs)}, {"time": xr.date_range("2001-01-01", periods=31)})
    total, mean = (aggregate_time(ds, "month", fluxes=how)["runoff"] for how in ("sum", "mean"))
    np.testing.assert_allclose(total, [factor * values.sum()], rtol=1e-12)
    np.testing.assert_allclose(mean, [factor * values.mean()], rtol=1e-12)
    assert (total.attrs["units"], total.attrs["standard_name"]) == ("kg m-2", "runoff_amount")
    assert (mean.attrs["units"], mean.attrs["standard_name"]) == ("kg m-2 day-1", "runoff_flux")
    assert total.attrs["cell_methods"] == "area: mean time: sum"


def month_of(sim: xr.Dataset, values: np.ndarray, **attrs: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """January and February of a variable of a day of one's own: of means and of sums."""
    sim = sim.assign(own=(("basin", "time"), values, attrs))
    return tuple(sim.hbv.aggregate_time("month", fluxes=fluxes) for fluxes in ("mean", "sum"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def two_months() -> xr.Dataset:
    return simulation(start="2001-01-01", days=59)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("units", ["kg m-2 day-1", "1"])
@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8"])
def test_means_of_whole_numbers_are_no_whole_numbers(
    dtype: str, units: str, lazy: bool, two_months: xr.Dataset
) -> None:
    """Rainfall that is stored as integers, a count, whether it rained."""
    values = np.random.default_rng(0).integers(0, 7, (3, 59)).astype(dtype)
    given = two_months[["time_bnds"]].assign_coords(basin=two_months["basin"])
    given = given.assign(own=(("basin", "time"), values, {"units": units}))
    given = given.chunk(time=40) if lazy else given
    out = given.hbv.aggregate_time("month")["own"]
    expected = np.stack([values[:, :31].astype(float).mean(1), values[:, 31:].astype(float).mean(1)], axis=1)
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    assert out.dtype == np.float64
    assert out.attrs["cell_methods"] == "time: mean"


@pytest.mark.parametrize("lazy", [False, True])
def test_masks_keep_every_bit(lazy: bool, two_months: xr.Dataset) -> None:
    """Which the largest number does not: 1 on one day and 2 on another are 3."""
    values = np.random.default_rng(0).choice(np.array([0, 1, 2, 4], "uint8"), (3, 59))
    flag = xr.DataArray(values, two_months["runoff"].coords, ("basin", "time"))
    flag.attrs["flag_masks"] = np.array([1, 2, 4], "uint8")
    given = two_months.assign(own=flag)
    out = (given.chunk(time=40) if lazy else given).hbv.aggregate_time("month")["own"]
    expected = [[np.bitwise_or.reduce(row[:31]), np.bitwise_or.reduce(row[31:])] for row in values]
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == np.uint8
    assert int(np.max(expected)) > values.max()
    with pytest.raises(DescriptionError, match="'own' has flag_masks, and float64"):
        given.assign(own=flag.astype(float)).hbv.aggregate_time("month")


@pytest.mark.parametrize(
    "values", [np.full((3, 59), "wet"), np.full((3, 59), np.datetime64("2000-01-01", "ns"))]
)
def test_text_and_dates_have_no_mean(values: np.ndarray, two_months: xr.Dataset) -> None:
    with pytest.raises(DescriptionError, match=r"'own' holds .*\.drop_vars\('own'\)"):
        month_of(two_months, values)


def test_amounts_of_a_day_are_added(two_months: xr.Dataset) -> None:
    """As fluxes are: rainfall in kg m-2, a sum over its day."""
    values = two_months["rainfall"].values
    _, sums = month_of(two_months, values, units="kg m-2", cell_methods="time: sum")
    np.testing.assert_allclose(sums["own"][:, 0], values[:, :31].sum(1, dtype=float), rtol=1e-6)
    attrs = {"long_name": "own, sum over the time bounds", "units": "kg m-2", "cell_methods": "time: sum"}
    assert sums["own"].attrs == attrs


def test_of_mean_storages_no_balance_is_told(two_months: xr.Dataset) -> None:
    """Neither what it would begin with, nor that it closes."""
    for states, told in (("end", True), ("mean", False)):
        out = two_months.hbv.aggregate_time("month", states=states)
        assert ("initial_storage" in out) == told
        assert ("change of all storages" in out.attrs["summary"]) == told
        assert out.attrs["summary"].startswith("Water fluxes")
    assert "change of all storages" in two_months.attrs["summary"]


@pytest.mark.parametrize("options", [{"packed": True}, {"keep_bits": 6}])
def test_stated_errors_are_those_of_the_aggregates(
    options: dict[str, Any], two_months: xr.Dataset, tmp_path: Path
) -> None:
    """A sum of a month is off by what each of its days is; no more than stated, and by more than one day."""
    with xr.open_dataset(two_months.hbv.to_netcdf(tmp_path / "a.nc", **options)) as opened:
        stored = opened.load()
    for fluxes, days in (("mean", 1), ("sum", 31)):
        out, exact = (
            ds.hbv.aggregate_time("month", fluxes=fluxes, states="mean") for ds in (stored, two_months)
        )
        for name in (*FLUXES, *STATES):
            attrs = out[name].attrs
            absolute = attrs.get("packing_maximum_absolute_error", 0.0)
            relative = attrs.get("quantization_maximum_relative_error", 0.0)
            if "packed" in options:
                assert absolute == pytest.approx(0.005 * days if name in FLUXES else 0.05)
            else:
                assert relative == 2.0**-7
                assert "quantization_nsb" not in attrs
            off = np.abs(out[name].values.astype(float) - exact[name].values)
            assert (off <= absolute + relative * np.abs(exact[name].values) + 1e-4).all(), name
    first = stored["evapotranspiration"].attrs.get("packing_maximum_absolute_error", 0.0)
    assert first in (0.0, 0.005)


def test_errors_are_stated_in_the_units_of_the_aggregate(two_months: xr.Dataset) -> None:
    """Metres a second become kg m-2 day-1; of what may cancel no share is stated."""
    values = two_months["rainfall"].values / 86400e3
    own = {
        "units": "m s-1",
        "packing_maximum_absolute_error": 1e-10,
        "quantization_maximum_relative_error": 0.1,
    }
    means, sums = month_of(two_months, values, **own)
    assert means["own"].attrs["packing_maximum_absolute_error"] == pytest.approx(1e-10 * 86400e3)
    assert sums["own"].attrs["packing_maximum_absolute_error"] == pytest.approx(1e-10 * 86400e3 * 31)
    assert "quantization_maximum_relative_error" not in means["own"].attrs

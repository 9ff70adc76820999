"""Variables that follow from a simulation, against plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.attributes import TOKEN
from hydroxr.conventions.variables import DERIVED, VARIABLES
from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    StoreError,
    TimeAxisError,
    UnitsError,
    ValueRangeError,
)
from hydroxr.models.ensemble import Ensemble
from hydroxr.models.model import Model
from tests.support.labelled import STATES, make_dataset, make_grid, make_parameters, untrained

AREA = np.array([10.0, 250.0, 3000.0])  # km2
DAILY = ("snow_water_equivalent", "terrestrial_water_storage", "discharge")


def basins(days: int = 800) -> xr.Dataset:
    """Three basins with areas, from 2000-01-01 on."""
    return make_dataset(days).assign(area=("basin", AREA, {"units": "km2"}))


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return basins()


@pytest.fixture(scope="module")
def sim(ds: xr.Dataset) -> xr.Dataset:
    return ds.hbv.simulate(make_parameters(ds))


def expected(sim: xr.Dataset, reference: slice = slice(None)) -> dict[str, np.ndarray]:
    """Each by its definition, (basin, time) or (basin)."""
    values = {str(name): sim[name].values.astype(float) for name in sim.data_vars}
    storage = sum(values[name] for name in STATES)
    years = slice(0, 731)  # 2000 and 2001
    return {
        "snow_water_equivalent": values["snowpack"] + values["snow_liquid_water"],
        "terrestrial_water_storage": storage,
        "terrestrial_water_storage_anomaly": storage - storage[:, reference].mean(1, keepdims=True),
        # mm/day = 1e-3 m / 86400 s, over 1e6 m2 a km2
        "discharge": values["streamflow"] * 1e-3 / 86400.0 * 1e6 * AREA[:, None],
        "baseflow_index": values["baseflow"][:, years].sum(1) / values["runoff"][:, years].sum(1),
    }


def test_values_are_those_of_their_definitions(ds: xr.Dataset, sim: xr.Dataset) -> None:
    out = sim.hbv.derive(DERIVED, area=ds["area"])
    assert set(out.data_vars) == {*sim.data_vars, *DERIVED}
    for name, values in expected(sim).items():
        np.testing.assert_allclose(out[name], values, rtol=2e-6, atol=2e-5, err_msg=name)
    assert float(out["snow_water_equivalent"].max()) > 1.0
    np.testing.assert_allclose(out["terrestrial_water_storage_anomaly"].mean("time"), 0.0, atol=1e-4)
    assert {out[name].dtype for name in DAILY} == {np.dtype("float32")}


def test_attributes_are_the_table_s(ds: xr.Dataset, sim: xr.Dataset) -> None:
    out = sim.hbv.derive(DERIVED, area=ds["area"])
    for name in DERIVED:
        assert out[name].attrs.items() >= VARIABLES[name].attrs().items()
        assert out[name].attrs["coverage_content_type"] == "modelResult"
    assert out["baseflow_index"].attrs["comment"] == "The period is 2000-01-01 to 2001-12-31."
    assert out["discharge"].attrs["standard_name"] == "water_volume_transport_in_river_channel"
    assert out["snow_water_equivalent"].attrs["cell_methods"].startswith("time: point")
    assert out.attrs == sim.attrs


def test_the_reference_period_of_an_anomaly_can_be_chosen(sim: xr.Dataset) -> None:
    """As that of GRACE's products; it is told."""
    name = "terrestrial_water_storage_anomaly"
    out = sim.hbv.derive(name, reference_period=slice("2001-03-01", "2001-03-31"))
    days = slice(366 + 31 + 28, 366 + 31 + 28 + 31)
    np.testing.assert_allclose(out[name], expected(sim, days)[name], rtol=1e-5, atol=2e-5)
    assert out[name].attrs["hydroxr_reference_period"] == "2001-03-01 to 2001-03-31"
    again = out.hbv.derive(name, reference_period=slice("2000", "2000"))
    assert abs(float(again[name].isel(time=slice(0, 366)).mean())) < 1e-4


@pytest.mark.parametrize("chunks", [{"basin": 1}, {"basin": 2, "time": 100}])
def test_lazy_ones_are_the_same_and_computed_together(
    chunks: dict[str, int], ds: xr.Dataset, sim: xr.Dataset, raise_if_dask_computes: Any, tmp_path: Path
) -> None:
    """Beside what they are made of, in one call and in a store."""
    parameters = make_parameters(ds)
    area = ds["area"]
    with raise_if_dask_computes():
        lazy = ds.chunk(chunks).hbv.simulate(parameters).hbv.derive(DERIVED, area=area)
    assert all(lazy[name].chunks is not None for name in DERIVED)
    eager = sim.hbv.derive(DERIVED, area=area)
    lazy.hbv.to_zarr(tmp_path / "run.zarr")
    with xr.open_zarr(tmp_path / "run.zarr", chunks=None) as opened:
        for found in (lazy.compute(), opened):
            for name in eager.data_vars:
                np.testing.assert_allclose(found[name], eager[name], rtol=1e-5, atol=2e-5, err_msg=str(name))


def test_a_reopened_store_has_them_as_well(ds: xr.Dataset, sim: xr.Dataset, tmp_path: Path) -> None:
    sim.hbv.to_zarr(tmp_path / "run.zarr")
    with xr.open_zarr(tmp_path / "run.zarr") as opened:
        found = opened.hbv.derive(DERIVED, area=ds["area"])
        assert found["discharge"].chunks is not None
        for name, values in expected(sim).items():
            np.testing.assert_allclose(found[name], values, rtol=2e-6, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("lazy", [False, True])
def test_simulate_gives_those_of_a_day(ds: xr.Dataset, sim: xr.Dataset, lazy: bool) -> None:
    """By name, with the Dataset's own area; what they are made of is not kept unasked."""
    given = ds.chunk(basin=2) if lazy else ds
    out = given.hbv.simulate(make_parameters(ds), variables=["runoff", *DAILY])
    assert set(out.data_vars) == {"runoff", "initial_storage", *DAILY}
    for name in DAILY:
        np.testing.assert_allclose(out[name], expected(sim)[name], rtol=2e-6, atol=2e-5)
    assert (TOKEN in out.encoding) == lazy
    one, state = given.hbv.simulate(make_parameters(ds), variables="snow_water_equivalent", return_state=True)
    assert set(one.data_vars) == {"snow_water_equivalent", "initial_storage"}
    assert "snowpack" in state


def test_anomalies_of_other_periods_are_not_appended(ds: xr.Dataset, tmp_path: Path) -> None:
    """They would not be less the same mean."""
    parameters, name = make_parameters(ds), "terrestrial_water_storage_anomaly"
    parts = [ds.isel(time=slice(0, 40)), ds.isel(time=slice(40, 60))]
    first, state = parts[0].hbv.simulate(parameters, return_state=True)
    later = parts[1].hbv.simulate(parameters, initial_state=state)
    first.hbv.derive(name).hbv.to_zarr(tmp_path / "run.zarr")
    with pytest.raises(StoreError, match=f"hydroxr_reference_period of {name}"):
        later.hbv.derive(name).hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")


def test_a_write_does_not_go_on_with_another_area(ds: xr.Dataset, tmp_path: Path) -> None:
    """Half of the discharge of one area and half of another is refused; the same one is finished."""
    lazy = ds.chunk(basin=1).hbv.simulate(make_parameters(ds))
    path = tmp_path / "run.zarr"
    area = ds["area"]
    lazy.hbv.derive("discharge", area=area).hbv.to_zarr(path, resume=True)
    with pytest.raises(StoreError, match="input"):
        lazy.hbv.derive("discharge", area=(2 * area).assign_attrs(area.attrs)).hbv.to_zarr(path, resume=True)
    lazy.hbv.derive("discharge", area=area).hbv.to_zarr(path, resume=True)


def test_ensembles_have_them_too(ds: xr.Dataset) -> None:
    """Variables are derived from the mean of the members, and from each member."""
    short = ds.isel(time=slice(0, 60))
    spec = hx.DeltaHBV(components=2, hidden=4, network="lstm")
    ensemble = Ensemble(tuple(untrained(spec, seed=seed) for seed in (0, 1)))
    each = [
        member_run["snowpack"] + member_run["snow_liquid_water"]
        for member_run in (short.hbv.simulate(member) for member in ensemble.members)
    ]
    for members in (False, True):
        out = short.hbv.simulate(ensemble, variables=["streamflow", "snow_water_equivalent"], members=members)
        values = np.stack(each) if members else np.mean(each, axis=0)
        np.testing.assert_allclose(out["snow_water_equivalent"], values, rtol=1e-5, atol=1e-5)


def test_components(ds: xr.Dataset, sim: xr.Dataset) -> None:
    """Snow has them; the water of a cell, its channel with it, and its baseflow index have not."""
    out = ds.hbv.simulate(make_parameters(ds), components=True).hbv.derive(DERIVED, area=ds["area"])
    assert "component" in out["snow_water_equivalent"].dims
    whole = out.mean("component")
    for name, values in expected(sim).items():
        np.testing.assert_allclose(whole[name], values, rtol=1e-5, atol=1e-4, err_msg=name)
        assert ("component" in out[name].dims) == (name == "snow_water_equivalent")


def test_an_area_is_taken_by_label(ds: xr.Dataset, sim: xr.Dataset) -> None:
    """In another order, of more basins, in m2, or of one basin alone."""
    more = xr.DataArray(
        [3e9, 1.0, 2.5e8, 1e7], {"basin": [30, 99, 20, 10]}, ["basin"], "area", {"units": "m2"}
    )
    np.testing.assert_allclose(
        sim.hbv.derive("discharge", area=more)["discharge"], expected(sim)["discharge"], rtol=1e-5
    )
    one = sim.isel(basin=1).hbv.derive("discharge", area=ds["area"].isel(basin=1))
    np.testing.assert_allclose(one["discharge"], expected(sim)["discharge"][1], rtol=1e-5)


def test_a_grid_keeps_its_grid_mapping(sim: xr.Dataset) -> None:
    grid = make_grid(30).rename(lat="y", lon="x").assign_coords(crs=0)
    grid["crs"].attrs["grid_mapping_name"] = "latitude_longitude"
    grid["prcp"].attrs["grid_mapping"] = "crs"
    out = grid.hbv.simulate(make_parameters(grid), variables=["snow_water_equivalent"])
    assert out["snow_water_equivalent"].attrs["grid_mapping"] == "crs"
    assert out["snow_water_equivalent"].dims == ("time", "y", "x")


def test_a_filled_run_says_so_of_what_is_derived(ds: xr.Dataset) -> None:
    gaps = ds.copy(deep=True)
    gaps["prcp"][0, 3] = np.nan
    out = gaps.hbv.simulate(make_parameters(ds), variables=["discharge"], missing="fill")
    assert out["discharge"].attrs["ancillary_variables"] == "forcing_flag"


def test_a_monthly_run_has_those_of_a_day(ds: xr.Dataset, sim: xr.Dataset) -> None:
    """Snow at the end of the month, discharge as its mean; not of sums, whose length is not known."""
    months = sim.hbv.aggregate_time("month")
    out = months.hbv.derive(DAILY, area=ds["area"])
    assert out["discharge"].attrs["cell_methods"] == "time: mean"
    np.testing.assert_allclose(
        out["discharge"][:, 1], expected(sim)["discharge"][:, 31:60].mean(1), rtol=1e-5
    )
    np.testing.assert_allclose(
        out["snow_water_equivalent"][:, 1], expected(sim)["snow_water_equivalent"][:, 59], atol=1e-5
    )
    averaged = sim.hbv.aggregate_time("month", states="mean").hbv.derive("terrestrial_water_storage")
    assert averaged["terrestrial_water_storage"].attrs["cell_methods"] == "time: mean"
    with pytest.raises(TimeAxisError, match="steps of 31 days"):
        months.hbv.derive("baseflow_index")
    with pytest.raises(UnitsError, match="'streamflow' has units 'kg m-2'"):
        sim.hbv.aggregate_time("month", fluxes="sum").hbv.derive("discharge", area=ds["area"])


def test_what_cannot_be_derived_is_refused(ds: xr.Dataset, sim: xr.Dataset) -> None:
    """Early, by an error that says what to do."""
    parameters = make_parameters(ds)
    with pytest.raises(MissingVariableError, match="'swe' cannot be derived"):
        sim.hbv.derive(["swe"])
    with pytest.raises(MissingVariableError, match="needs snow_liquid_water"):
        sim.drop_vars("snow_liquid_water").hbv.derive("snow_water_equivalent")
    with pytest.raises(MissingVariableError, match=r"lacks \(area_gages2.*derive\('discharge', area="):
        sim.hbv.derive("discharge")
    with pytest.raises(MissingVariableError, match="area"):
        ds.drop_vars("area").hbv.simulate(parameters, variables=["discharge"])
    with pytest.raises(UnitsError, match="'area' has units 'km'"):
        sim.hbv.derive("discharge", area=ds["area"].assign_attrs(units="km"))
    with pytest.raises(ValueRangeError, match="-250 km2"):
        sim.hbv.derive("discharge", area=(ds["area"] * [1, -1, 1]).assign_attrs(units="km2"))
    with pytest.raises(CoordinateError, match="no basin g0"):
        sim.hbv.derive("discharge", area=ds["area"].isel(basin=[1, 2]))
    with pytest.raises(EmptySelectionError, match="no whole year"):
        sim.isel(time=slice(0, 364)).hbv.derive("baseflow_index")
    with pytest.raises(EmptySelectionError, match="no day in"):
        sim.hbv.derive("terrestrial_water_storage_anomaly", reference_period=slice("1980", "1981"))
    with pytest.raises(DescriptionError, match="area is for 'discharge'"):
        sim.hbv.derive("snow_water_equivalent", area=ds["area"])
    for name in ("baseflow_index", "terrestrial_water_storage_anomaly"):
        with pytest.raises(DescriptionError, match=rf"sim.hbv.derive\('{name}'\)"):
            ds.hbv.simulate(parameters, variables=[name])


def test_an_lstm_has_discharge_and_nothing_of_hbv(ds: xr.Dataset) -> None:
    model: Model = untrained(hx.LSTMStreamflow(forcing=("prcp", "tmean", "pet"), hidden=4))
    short = ds.isel(time=slice(0, 30))
    out = short.hbv.simulate(model, variables=["streamflow", "discharge"])
    np.testing.assert_allclose(out["discharge"], out["streamflow"] * AREA[:, None] / 86.4, rtol=1e-5)
    with pytest.raises(MissingVariableError, match="'snowpack' is an output of HBV"):
        short.hbv.simulate(model, variables=["snow_water_equivalent"])


def test_discharge_says_of_which_area_it_is(ds: xr.Dataset, sim: xr.Dataset) -> None:
    """The same of the same one in other units, order, type or laziness; another of another one."""
    area = ds["area"]
    metres = (area * 1e6).astype("float32").assign_attrs(units="m2").isel(basin=[2, 0, 1])
    told = [
        sim.hbv.derive("discharge", area=each)["discharge"].attrs["hydroxr_area"]
        for each in (area, metres, area.chunk(basin=1), (area * 1.001).assign_attrs(units="km2"))
    ]
    assert told[0] == told[1] == told[2] != told[3]
    assert len(told[0]) == 32
    for given in (ds, ds.chunk(basin=1)):
        out = given.isel(time=slice(0, 5)).hbv.simulate(make_parameters(ds), variables=["discharge"])
        assert out["discharge"].attrs["hydroxr_area"] == told[0]


def test_a_part_of_a_run_has_its_own_baseflow_index(sim: xr.Dataset) -> None:
    """Not silently that of the whole; where it cannot be computed, that is said."""
    whole = sim.hbv.derive("baseflow_index")
    later = whole.isel(time=slice(400, 790))
    values = {name: sim[name].values[:, 400 : 400 + 365].astype(float) for name in ("baseflow", "runoff")}
    out = later.hbv.derive("baseflow_index")
    np.testing.assert_allclose(
        out["baseflow_index"], values["baseflow"].sum(1) / values["runoff"].sum(1), rtol=1e-6
    )
    assert "2001-02-04 to 2002-02-03" in out["baseflow_index"].attrs["comment"]
    with pytest.raises(EmptySelectionError, match="no whole year"):
        whole.isel(time=slice(0, 30)).hbv.derive("baseflow_index")
    with pytest.raises(MissingVariableError, match="needs baseflow, runoff"):
        later.drop_vars(["baseflow", "runoff"]).hbv.derive("baseflow_index")
    kept = whole.drop_vars(["baseflow", "runoff"])
    np.testing.assert_array_equal(
        kept.hbv.derive("baseflow_index")["baseflow_index"], whole["baseflow_index"]
    )


@pytest.mark.parametrize("options", [{"packed": True}, {"keep_bits": 6}])
def test_errors_follow_from_those_that_are_stated(
    options: dict[str, Any], ds: xr.Dataset, sim: xr.Dataset, tmp_path: Path
) -> None:
    """By hand, and no value is off by more."""
    names = [*DAILY, "terrestrial_water_storage_anomaly", "baseflow_index"]
    exact = expected(sim)
    with xr.open_dataset(sim.hbv.to_netcdf(tmp_path / "a.nc", **options)) as opened:
        out = opened.load().hbv.derive(names, area=ds["area"])
    stated = {name: out[name].attrs.get("packing_maximum_absolute_error", 0.0) for name in names}
    shares = {name: out[name].attrs.get("quantization_maximum_relative_error", 0.0) for name in names}
    by_hand = {DAILY[0]: 2 * 0.05, DAILY[1]: 6 * 0.05, DAILY[2]: 0.005 * 3000 / 86.4, names[3]: 12 * 0.05}
    for name in names[:4]:
        assert stated[name] == pytest.approx(by_hand[name] if "packed" in options else 0.0)
        assert shares[name] == (0.0 if "packed" in options or name == names[3] else 2.0**-7)
        if stated[name] or shares[name]:
            off = np.abs(out[name].values - exact[name])
            assert (off <= stated[name] + shares[name] * exact[name] + 1e-4).all(), name
    assert stated[names[4]] == shares[names[4]] == 0.0  # not told


def test_areas_that_are_none_are_refused(ds: xr.Dataset, sim: xr.Dataset) -> None:
    """Wrong types, other dimensions, no name, lazy and negative areas are refused."""
    area = ds["area"]
    for wrong in ([1, 2, 3], 5.0):
        with pytest.raises(DescriptionError, match=f"area is {type(wrong).__name__} .*expected a DataArray"):
            sim.hbv.derive("discharge", area=wrong)
    for other in (area.rename(basin="gauge"), area.expand_dims(time=sim["time"])):
        with pytest.raises(DimensionError, match=r"expected those of space alone, \('basin',\)"):
            sim.hbv.derive("discharge", area=other)
    with pytest.raises(DimensionError, match="the area has dimensions"):
        sim.isel(basin=0).hbv.derive("discharge", area=area)
    with pytest.raises(UnitsError, match="'area' has no 'units'"):
        sim.hbv.derive("discharge", area=area.rename(None).drop_attrs())
    with pytest.raises(ValueRangeError, match="-250 km2"):
        sim.hbv.derive("discharge", area=(area.chunk(basin=1) * [1, -1, 1]).assign_attrs(units="km2"))


def test_what_is_missing_of_a_component_is_missing(ds: xr.Dataset) -> None:
    sim = ds.isel(time=slice(0, 5)).hbv.simulate(make_parameters(ds), components=True)
    sim["snowpack"] = sim["snowpack"].where(sim["component"] != sim["component"][0])
    assert bool(sim.hbv.derive("terrestrial_water_storage")["terrestrial_water_storage"].isnull().all())

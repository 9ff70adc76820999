"""What ``ds.hbv.simulate`` promises: every output, labelled, the same however the data lie, lazy where they
are."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    HydroxrWarning,
    MissingForcingError,
    MissingVariableError,
    ParameterError,
    StateError,
)
from hydroxr.models import parameter_network as network
from hydroxr.models.model import Model
from hydroxr.simulation.engine import block as blocks
from tests.support.labelled import (
    FLUXES,
    OUTPUTS,
    STATES,
    assert_same_values,
    by_oracle,
    flattened,
    make_dataset,
    make_grid,
    make_parameters,
    raise_if_dask_computes,
    with_extremes,
)
from tests.support.strategies import examples

KINDS = ("constant", "static", "dynamic")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


def as_kelvin(ds: xr.Dataset) -> xr.Dataset:
    """The same temperature in K."""
    return ds.assign(tmean=(ds["tmean"] + 273.15).assign_attrs(units="K"))


# --- What comes out -------------------------------------------------------------------------------


def test_every_output_of_the_contract_is_there(ds: xr.Dataset) -> None:
    """All names of the contract's table and ``initial_storage``, and nothing else."""
    sim = ds.hbv.simulate(make_parameters(ds))
    assert set(sim.data_vars) == {*OUTPUTS, "initial_storage"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_attributes_of_an_output(ds: xr.Dataset, name: str) -> None:
    """Fluxes are daily means in kg m-2 day-1, states points at the day's end in kg m-2; both have a long
    name."""
    attrs = ds.hbv.simulate(make_parameters(ds))[name].attrs
    flux = name in FLUXES
    assert attrs["units"] == ("kg m-2 day-1" if flux else "kg m-2")
    assert attrs["cell_methods"] == ("time: mean" if flux else "time: point (at the end of the time bounds)")
    assert len(attrs["long_name"]) > 5


def test_attributes_come_from_the_table_and_never_from_the_input(ds: xr.Dataset) -> None:
    """What the input says of itself (comments, statistics) is not said of the output."""
    parameters = make_parameters(ds)
    for name in ds.data_vars:
        ds[name].attrs["comment"] = "of the input"
    for name in parameters.data_vars:
        parameters[name].attrs["comment"] = "of the input"
    ds.attrs["comment"] = "of the input"
    sim, state = ds.hbv.simulate(parameters, return_state=True)
    for result in (sim, state):
        assert "of the input" not in str(
            [result.attrs, *(array.attrs for array in result.data_vars.values())]
        )


@pytest.mark.parametrize("hour", [0, 6, 12, 23])
def test_time_stamps_are_the_input_s_and_bounds_span_their_day(ds: xr.Dataset, hour: int) -> None:
    """Stamps stay; ``time_bnds`` go from midnight to midnight and ``time`` points to them."""
    ds = ds.assign_coords(time=ds["time"] + np.timedelta64(hour, "h"))
    sim = ds.hbv.simulate(make_parameters(ds))
    assert sim.indexes["time"].equals(ds.indexes["time"])
    assert sim["time"].attrs["bounds"] == "time_bnds"
    days = pd.date_range("2000-01-01", periods=61)
    np.testing.assert_array_equal(sim["time_bnds"], np.stack([days[:-1], days[1:]], axis=1))


def test_cells_keep_their_coordinates(ds: xr.Dataset) -> None:
    """Labels, names with ``cf_role``, latitudes."""
    sim = ds.hbv.simulate(make_parameters(ds))
    for name in ("basin", "basin_id", "lat"):
        np.testing.assert_array_equal(sim[name], ds[name])
        assert sim[name].attrs.items() >= ds[name].attrs.items()


def test_bounds_that_are_left_behind_are_not_referred_to(grid: xr.Dataset) -> None:
    """A latitude whose bounds do not come along does not say that it has bounds (CF 7.1)."""
    grid = grid.assign(lat_bnds=(("lat", "bnds"), np.stack([grid["lat"] - 0.5, grid["lat"] + 0.5], axis=1)))
    grid["lat"].attrs["bounds"] = "lat_bnds"
    sim = grid.hbv.simulate(make_parameters(grid), variables=["streamflow"])
    assert sim["lat"].attrs.get("bounds") in (None, *sim.variables)


def test_global_attributes_say_what_made_the_result(ds: xr.Dataset, static_model: Model) -> None:
    """Conventions, version, format, the model's symbol and hash, its description and training as JSON."""
    attrs = ds.hbv.simulate(static_model).attrs
    assert attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert attrs["hydroxr_version"] == hx.__version__
    assert isinstance(attrs["hydroxr_format"], int)
    assert attrs["hydroxr_model"] == "δn"
    assert attrs["hydroxr_model_sha256"] == static_model.hash
    assert json.loads(attrs["hydroxr_description"])["components"] == 2
    assert json.loads(attrs["hydroxr_training"])["period"] == ["2000-01-06", "2000-02-14"]


def test_the_input_is_left_as_it_was(ds: xr.Dataset, constant_model: Model) -> None:
    """Neither values nor attributes nor coordinates of the caller's Dataset, parameters or state change."""
    state = make_dataset().hbv.simulate(constant_model, return_state=True)[1].drop_vars("time")
    given = [ds, make_parameters(ds), state]
    before = [one.copy(deep=True) for one in given]
    ds.hbv.simulate(given[1], initial_state=state, missing="fill")
    ds.hbv.check()
    ds.hbv.parameters(constant_model)
    for one, old in zip(given, before, strict=True):
        xr.testing.assert_identical(one, old)


def test_initial_storage_is_all_water_before_the_first_day(ds: xr.Dataset) -> None:
    """0.001 mm in each of five stores; later the storages at the end of the run before, channel included."""
    parameters = make_parameters(ds)
    first, state = ds.isel(time=slice(0, 40)).hbv.simulate(parameters, return_state=True, dtype="float64")
    np.testing.assert_allclose(first["initial_storage"], 5 * 0.001)
    second = ds.isel(time=slice(40, None)).hbv.simulate(parameters, initial_state=state, dtype="float64")
    stored = sum(first[name].isel(time=-1) for name in STATES)
    np.testing.assert_allclose(second["initial_storage"], stored, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_of_the_results(ds: xr.Dataset, dtype: str) -> None:
    """Results have the precision that was asked for."""
    sim, state = ds.hbv.simulate(make_parameters(ds), dtype=dtype, return_state=True)
    assert {array.dtype for array in (*sim.data_vars.values(), *state.data_vars.values())} == {
        np.dtype(dtype)
    }


# --- Right values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dynamic", "without"),
    [
        ((), ()),
        ((), ("BETAET",)),
        ((), ("UH_SHAPE", "UH_SCALE")),
        (("BETA", "BETAET"), ()),
        (("K0", "TT", "FC"), ("BETAET",)),
    ],
)
def test_float64_agrees_with_the_oracle(
    ds: xr.Dataset, dynamic: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """All outputs, to 1e-10 mm, with static and dynamic parameters, with and without routing and BETAET."""
    parameters = make_parameters(ds, dynamic=dynamic, without=without)
    sim = ds.hbv.simulate(parameters, dtype="float64")
    expected, _ = by_oracle(ds, parameters)
    for name in OUTPUTS:
        actual = sim[name].transpose("time", "basin").values
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)
        assert actual.any() or name == "channel_storage", f"{name} is 0 throughout: nothing was tested"


def test_float32_is_close_to_the_oracle(ds: xr.Dataset) -> None:
    """To 1e-3 mm in stores of some hundred mm."""
    parameters = make_parameters(ds)
    sim = ds.hbv.simulate(parameters)
    expected, _ = by_oracle(ds, parameters)
    for name in OUTPUTS:
        np.testing.assert_allclose(sim[name].values.T, expected[name], rtol=1e-4, atol=1e-3, err_msg=name)


def test_components_apart_are_those_of_the_oracle_and_average_to_the_means(ds: xr.Dataset) -> None:
    """``components=True`` keeps them; streamflow and channel_storage have none."""
    parameters = make_parameters(ds, components=3)
    apart = ds.hbv.simulate(parameters, components=True, dtype="float64")
    means = ds.hbv.simulate(parameters, dtype="float64")
    expected, _ = by_oracle(ds, parameters, components=True)
    for name in OUTPUTS:
        whole = name in ("streamflow", "channel_storage")
        assert ("component" in apart[name].dims) is not whole
        one = apart[name] if whole else apart[name].mean("component")
        np.testing.assert_allclose(one.transpose(*means[name].dims), means[name], rtol=1e-12, atol=1e-12)
        order = ("time", "basin", "component")
        actual = apart[name].transpose(*order, missing_dims="ignore")
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_and_its_parameters_simulate_alike(
    ds: xr.Dataset, models: dict[str, Model], kind: str
) -> None:
    """``simulate(model)`` is ``simulate(ds.hbv.parameters(model))``."""
    parameters = ds.hbv.parameters(models[kind])
    sim = ds.hbv.simulate(models[kind]).drop_vars("attribute_flag", errors="ignore")  # of the model alone
    assert_same_values(sim, ds.hbv.simulate(parameters), **CLOSE)


def test_parameters_of_a_model_are_labelled(ds: xr.Dataset, dynamic_model: Model) -> None:
    """(basin, time, component) where dynamic, (basin, component) else, UH_* (basin); units and meaning
    each."""
    parameters = ds.hbv.parameters(dynamic_model)
    assert list(parameters.data_vars) == list(dynamic_model.description.parameters)
    assert set(parameters["BETA"].dims) == {"basin", "time", "component"}
    assert set(parameters["FC"].dims) == {"basin", "component"}
    assert parameters["UH_SCALE"].dims == ("basin",)
    assert all({"units", "long_name"} <= array.attrs.keys() for array in parameters.data_vars.values())
    np.testing.assert_array_equal(parameters["basin_id"], ds["basin_id"])


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.assign(prcp=(ds["prcp"] / 86400).assign_attrs(units="kg m-2 s-1")),
        lambda ds: ds.assign(prcp=(ds["prcp"] / 1000).assign_attrs(units="m/day")),
        lambda ds: ds.assign(prcp=(ds["prcp"] / 86_400_000).assign_attrs(units="m s-1")),
        lambda ds: ds.assign(prcp=ds["prcp"].assign_attrs(units="kg m-2 day-1")),
        lambda ds: ds.assign(pet=(ds["pet"] / 86400).assign_attrs(units="kg m-2 s-1")),
        as_kelvin,
    ],
    ids=["kg m-2 s-1", "m/day", "m s-1", "kg m-2 day-1", "pet in kg m-2 s-1", "K"],
)
def test_units_make_no_difference(ds: xr.Dataset, change: Any) -> None:
    """The same weather in other units gives the same run."""
    ds = ds.assign({name: ds[name].astype(float) for name in ("prcp", "tmean", "pet")})
    parameters = make_parameters(ds)
    sims = [one.hbv.simulate(parameters, dtype="float64") for one in (change(ds), ds)]
    assert_same_values(*sims, rtol=1e-9, atol=1e-9)


# --- Any layout -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_dimensions_makes_no_difference(ds: xr.Dataset, models: dict[str, Model], kind: str) -> None:
    """Each variable may have its own order."""
    turned = ds.assign(prcp=ds["prcp"].T, streamflow=ds["streamflow"].T)
    assert turned["prcp"].dims != turned["tmean"].dims
    assert_same_values(turned.hbv.simulate(models[kind]), ds.hbv.simulate(models[kind]))


def test_order_of_dimensions_of_a_grid_makes_no_difference() -> None:
    """``(lon, time, lat)`` gives what ``(time, lat, lon)`` gives, laid out as maps a day."""
    grid = make_grid(30)
    parameters = make_parameters(grid)
    turned = grid.transpose("lon", "time", "lat").assign(pet=grid["pet"].transpose("lat", "lon", "time"))
    sim = turned.hbv.simulate(parameters.transpose("component", "lon", "lat"))
    assert sim["runoff"].dims[0] == "time"
    assert_same_values(sim, grid.hbv.simulate(parameters))


@pytest.mark.parametrize("space", [("lat", "lon"), ("y", "x")])
@pytest.mark.parametrize("kind", ["parameters", "static", "dynamic"])
def test_a_grid_is_simulated_cell_by_cell(
    models: dict[str, Model], kind: str, space: tuple[str, str]
) -> None:
    """A cell of ``(lat, lon)`` or ``(y, x)`` is what it would be as a basin in a list."""
    grid = make_grid(45).rename(dict(zip(("lat", "lon"), space, strict=True)))
    if kind == "parameters":
        on_grid: Any = make_parameters(grid)
        as_list: Any = flattened(on_grid, space)
    else:
        on_grid = as_list = models[kind]
    sim = grid.hbv.simulate(on_grid)
    assert sim["streamflow"].dims == ("time", *space)
    listed = flattened(grid, space).hbv.simulate(as_list)
    assert_same_values(flattened(sim, space)[list(OUTPUTS)], listed, **CLOSE)
    np.testing.assert_array_equal(sim[space[0]], grid[space[0]])


@pytest.mark.parametrize("kind", ["parameters", "static", "dynamic", "constant"])
def test_a_single_series_needs_no_dimension_of_space(
    ds: xr.Dataset, models: dict[str, Model], kind: str
) -> None:
    """``ds.isel(basin=0)`` is simulated as the first of the basins, state included."""
    single = ds.isel(basin=0)
    model: Any = models[kind] if kind != "parameters" else make_parameters(ds)
    expected, expected_state = ds.hbv.simulate(model, return_state=True)
    if kind == "parameters":
        model = model.isel(basin=0)
    elif kind == "constant":
        model = model.constant_parameters().isel(basin=0)
    sim, state = single.hbv.simulate(model, return_state=True)
    assert sim["streamflow"].dims == ("time",)
    assert_same_values(sim, expected.isel(basin=0), **CLOSE)
    assert_same_values(state, expected_state.isel(basin=0), **CLOSE)


def test_an_ensemble_is_one_more_dimension_of_space(ds: xr.Dataset, static_model: Model) -> None:
    """Precipitation with members; temperature, PET and attributes without them hold for each."""
    factors = xr.DataArray([0.5, 1.0, 2.0], dims="member")
    ensemble = ds.assign(prcp=(ds["prcp"] * factors).assign_attrs(units="mm/day").astype("float32"))
    sim = ensemble.hbv.simulate(static_model)
    assert set(sim["streamflow"].dims) == {"basin", "member", "time"}
    assert_same_values(sim.isel(member=1), ds.hbv.simulate(static_model), **CLOSE)


def test_parameters_are_matched_by_label(ds: xr.Dataset, constant_model: Model) -> None:
    """Parameters in another order of basins, or of more basins than needed, give the same."""
    parameters = make_parameters(ds)
    expected = ds.hbv.simulate(parameters)
    assert_same_values(ds.hbv.simulate(parameters.isel(basin=[2, 0, 1])), expected)
    assert_same_values(ds.isel(basin=[1]).hbv.simulate(parameters), expected.isel(basin=[1]), **CLOSE)
    some = ds.isel(basin=[2, 0]).hbv.simulate(constant_model)
    assert_same_values(some, ds.hbv.simulate(constant_model).isel(basin=[2, 0]), **CLOSE)


def test_parameters_may_lack_space_and_components(ds: xr.Dataset) -> None:
    """A number holds for every cell and component, a value a cell for every component."""
    parameters = make_parameters(ds)
    one = float(parameters["FC"][0, 0])
    sparse = parameters.assign(FC=one, K1=parameters["K1"].isel(component=0, drop=True))
    full = parameters.assign(FC=xr.full_like(parameters["FC"], one))
    full["K1"] = parameters["K1"].isel(component=0, drop=True).broadcast_like(parameters["K1"])
    assert_same_values(ds.hbv.simulate(sparse), ds.hbv.simulate(full), **CLOSE)


def test_parameters_of_one_dimension_of_a_grid_hold_for_the_other(grid: xr.Dataset) -> None:
    """A parameter over ``lat`` alone."""
    parameters = make_parameters(grid)
    zonal = parameters.assign(TT=parameters["TT"].isel(lon=0, drop=True))
    full = parameters.assign(TT=zonal["TT"].broadcast_like(parameters["TT"]))
    assert_same_values(grid.hbv.simulate(zonal), grid.hbv.simulate(full), **CLOSE)


@pytest.mark.parametrize(
    "form",
    [
        lambda values: values.astype(">f4"),
        lambda values: values[:, ::-1].copy()[:, ::-1],
        lambda values: np.broadcast_to(values, values.shape),
        np.asfortranarray,
        lambda values: values.astype(">f8"),
    ],
    ids=["big-endian", "reversed", "read-only", "Fortran", "big-endian double"],
)
def test_memory_layout_makes_no_difference(ds: xr.Dataset, form: Any, static_model: Model) -> None:
    """Arrays as files give them: big-endian, read-only, views with negative strides."""
    other = ds.assign(
        {name: (ds[name].dims, form(ds[name].values), ds[name].attrs) for name in ("prcp", "tmean")}
    )
    assert_same_values(other.hbv.simulate(static_model), ds.hbv.simulate(static_model), **CLOSE)


def test_pieces_of_cells_and_of_days_make_no_difference(
    ds: xr.Dataset, dynamic_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut into single cells to save memory, and the network into stretches of days, the run is the same."""
    expected = ds.hbv.simulate(dynamic_model)
    monkeypatch.setattr(blocks, "BUDGET", 1)
    monkeypatch.setattr(network, "DAYS_AT_ONCE", 7)
    assert_same_values(ds.hbv.simulate(dynamic_model), expected, **CLOSE)


# --- Lazy -----------------------------------------------------------------------------------------


@st.composite
def chunkings(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    """Ways to cut ``length`` into chunks."""
    cuts = sorted(draw(st.sets(st.integers(1, length - 1), max_size=length - 1)))
    return tuple(np.diff([0, *cuts, length]).tolist())


@examples(8)
@given(chunkings(4), chunkings(30), chunkings(4))
def test_any_chunking_gives_the_eager_result(cells: Any, days: Any, of_parameters: Any) -> None:
    """Chunks in space and time, other ones for the parameters: lazy, and the same values."""
    ds = make_dataset(30, 4)
    parameters = make_parameters(ds, dynamic=("BETA",))
    with raise_if_dask_computes():
        lazy = ds.chunk(basin=cells, time=days).hbv.simulate(parameters.chunk(basin=of_parameters))
    assert all(array.chunks for array in lazy.data_vars.values())
    assert_same_values(lazy.compute(), ds.hbv.simulate(parameters), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [{"basin": 1}, {"basin": 2, "time": 7}, {"time": -1, "basin": -1}])
def test_a_model_stays_lazy_and_gives_the_eager_result(
    ds: xr.Dataset, models: dict[str, Model], kind: str, chunks: dict[str, int], raise_if_dask_computes: Any
) -> None:
    """Simulation, state and parameters compute nothing on the way; their values are those of data in
    memory."""
    model = models[kind]
    lazy = ds.chunk(chunks)
    with raise_if_dask_computes():
        sim, state = lazy.hbv.simulate(model, return_state=True)
        parameters = lazy.hbv.parameters(model)
    assert all(array.chunks for array in sim.data_vars.values())
    expected, expected_state = ds.hbv.simulate(model, return_state=True)
    sim, state, parameters = dask.compute(sim, state, parameters)
    assert_same_values(sim, expected, **CLOSE)
    assert_same_values(state, expected_state, **CLOSE)
    assert_same_values(parameters, ds.hbv.parameters(model), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_opened_from_zarr_stays_lazy(
    ds: xr.Dataset, models: dict[str, Model], kind: str, tmp_path: Path, raise_if_dask_computes: Any
) -> None:
    """Also where names of basins are lazy themselves, as ``xr.open_zarr`` gives them."""
    expected = ds.hbv.simulate(models[kind])
    ds.hbv.to_zarr(tmp_path / "in.zarr")
    opened = xr.open_zarr(tmp_path / "in.zarr")
    assert opened["basin_id"].chunks is not None
    with raise_if_dask_computes():
        sim = opened.hbv.simulate(models[kind])
    assert_same_values(sim.compute(), expected, **CLOSE)


def test_hargreaves_and_the_filling_of_gaps_stay_lazy(ds: xr.Dataset, raise_if_dask_computes: Any) -> None:
    """PET from tmin and tmax, and ``missing="fill"``, compute nothing; the flag keeps its type."""
    parameters = make_parameters(ds)
    lazy = with_extremes(ds).chunk(basin=1, time=10)
    with raise_if_dask_computes():
        assert lazy.hbv.pet().chunks is not None
        sim = lazy.hbv.simulate(parameters, missing="fill")
    computed = sim.compute()
    assert computed["forcing_flag"].dtype == sim["forcing_flag"].dtype == np.int8
    assert_same_values(computed, with_extremes(ds).hbv.simulate(parameters, missing="fill"), **CLOSE)


def test_a_grid_stays_lazy(raise_if_dask_computes: Any, static_model: Model) -> None:
    """Chunks over maps."""
    grid = make_grid(45)
    with raise_if_dask_computes():
        sim = grid.chunk(lat=1, lon=2, time=10).hbv.simulate(static_model)
    assert_same_values(sim.compute(), grid.hbv.simulate(static_model), **CLOSE)


def test_lazy_attributes_make_a_lazy_result(
    ds: xr.Dataset, static_model: Model, raise_if_dask_computes: Any
) -> None:
    """Forcing in memory, attributes not."""
    lazy = ds.assign(elev_mean=ds["elev_mean"].chunk(basin=1))
    with raise_if_dask_computes():
        sim = lazy.hbv.simulate(static_model)
    assert_same_values(sim.compute(), ds.hbv.simulate(static_model), **CLOSE)


def test_numpy_stays_numpy(ds: xr.Dataset, static_model: Model) -> None:
    """Data in memory give results in memory."""
    assert all(
        isinstance(array.data, np.ndarray) for array in ds.hbv.simulate(static_model).data_vars.values()
    )


def test_the_same_lazy_run_has_the_same_tokens(ds: xr.Dataset, dynamic_model: Model) -> None:
    """Two runs of one model on one Dataset are one work to dask; of another model, another."""
    lazy = ds.chunk(basin=1)
    tokens = [lazy.hbv.simulate(dynamic_model)["runoff"].data.name for _ in range(2)]
    assert tokens[0] == tokens[1]
    weights = {name: array + np.float32(0.1) for name, array in dynamic_model.weights.items()}
    other = dataclasses.replace(dynamic_model, weights=weights)
    assert lazy.hbv.simulate(other)["runoff"].data.name != tokens[0]


def test_what_only_values_tell_is_raised_when_they_are_computed(ds: xr.Dataset) -> None:
    """Missing forcing in lazy data: hydroxr's error comes through dask."""
    ds["prcp"][1, 5] = np.nan
    sim = ds.chunk(basin=1).hbv.simulate(make_parameters(ds))
    with pytest.raises(MissingForcingError, match="2000-01-06"):
        sim.compute()


def test_threads_give_the_same(ds: xr.Dataset, dynamic_model: Model) -> None:
    """Blocks run side by side in threads."""
    sim = ds.chunk(basin=1).hbv.simulate(dynamic_model).compute(scheduler="threads", num_workers=2)
    assert_same_values(sim, ds.hbv.simulate(dynamic_model), **CLOSE)


def test_worker_processes_give_the_same(ds: xr.Dataset, dynamic_model: Model) -> None:
    """A cluster of another process: model, errors and results travel."""
    from dask.distributed import Client, LocalCluster

    expected = ds.hbv.simulate(dynamic_model)
    bad = ds.copy(deep=True)
    bad["prcp"][0, 0] = np.nan
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster):
        sim = ds.chunk(basin=2).hbv.simulate(dynamic_model).compute()
        with pytest.raises(MissingForcingError):
            bad.chunk(basin=2).hbv.simulate(dynamic_model).compute()
    assert_same_values(sim, expected, **CLOSE)


# --- Some of the outputs --------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [["streamflow"], ["snowpack", "baseflow"], ["channel_storage"], "runoff"])
def test_only_the_wanted_variables_are_there_and_are_the_same(ds: xr.Dataset, chosen: Any) -> None:
    """``variables=`` changes what is kept, not what it is."""
    parameters = make_parameters(ds)
    some = ds.hbv.simulate(parameters, variables=chosen)
    assert set(some.data_vars) - {"initial_storage"} == ({chosen} if isinstance(chosen, str) else set(chosen))
    assert_same_values(some, ds.hbv.simulate(parameters))


def test_no_variables_at_all_leave_the_state(ds: xr.Dataset) -> None:
    """``variables=[]`` with the state: a spin-up of which nothing is kept."""
    parameters = make_parameters(ds)
    sim, state = ds.hbv.simulate(parameters, variables=[], return_state=True)
    assert set(sim.data_vars) <= {"initial_storage"}
    assert_same_values(state, ds.hbv.simulate(parameters, return_state=True)[1])
    assert set(ds.hbv.simulate(parameters, variables=[]).data_vars) <= {"initial_storage"}


def test_unknown_options_are_refused(ds: xr.Dataset) -> None:
    """Named, with what would be understood."""
    parameters = make_parameters(ds)
    with pytest.raises(MissingVariableError, match=r"'flow'.*streamflow"):
        ds.hbv.simulate(parameters, variables=["flow"])
    for option, value in (
        ("missing", "drop"),
        ("dtype", "float16"),
        ("backend", "fortran"),
        ("device", "abacus"),
    ):
        with pytest.raises(DescriptionError, match=value):
            ds.hbv.simulate(parameters, **{option: value})
    with pytest.raises(DescriptionError, match="dict"):
        ds.hbv.simulate({"BETA": 1.0})


# --- Stop and go on -------------------------------------------------------------------------------


def in_two(
    ds: xr.Dataset, model: Any, cut: int, state: Any = lambda state: state, **options: Any
) -> xr.Dataset:
    """A run to ``cut``, its state through ``state``, and the rest."""
    first, end = ds.isel(time=slice(0, cut)).hbv.simulate(model[0], return_state=True, **options)
    second = ds.isel(time=slice(cut, None)).hbv.simulate(model[-1], initial_state=state(end), **options)
    joined = [part[[name for name in part if "time" in part[name].dims]] for part in (first, second)]
    return xr.concat(joined, "time", data_vars="minimal", coords="minimal", compat="override", join="outer")


@pytest.mark.parametrize("kind", [*KINDS, "parameters"])
@pytest.mark.parametrize(("start", "cut"), [("2000-01-01", 50), ("2010-01-01", 45)])
def test_two_runs_are_one_run(
    ds: xr.Dataset, models: dict[str, Model], kind: str, start: str, cut: int
) -> None:
    """The state handed over, the second run continues the first to 1e-5 mm/day: inside and outside of the
    training period, with what is in the channel, in the network and with the static parameters."""
    ds = ds.assign_coords(time=pd.date_range(start, periods=60))
    model: Any = make_parameters(ds) if kind == "parameters" else models[kind]
    assert_same_values(in_two(ds, [model], cut), ds.hbv.simulate(model)[list(OUTPUTS)], **CLOSE)


def test_two_runs_are_one_run_with_parameters_that_vary_in_time(ds: xr.Dataset) -> None:
    """Each run is given the days of its own, and the whole is that of one."""
    parameters = make_parameters(ds, dynamic=("BETA", "K0"))
    parts = [parameters.isel(time=slice(0, 25)), parameters.isel(time=slice(25, None))]
    whole = ds.hbv.simulate(parameters)[list(OUTPUTS)]
    assert_same_values(in_two(ds, parts, 25), whole, **CLOSE)


def test_day_by_day_is_one_run(ds: xr.Dataset, dynamic_model: Model) -> None:
    """A forecast continued every morning for two weeks."""
    whole = ds.hbv.simulate(dynamic_model)
    _, state = ds.isel(time=slice(0, 46)).hbv.simulate(dynamic_model, return_state=True)
    for day in range(46, 60):
        sim, state = ds.isel(time=[day]).hbv.simulate(dynamic_model, initial_state=state, return_state=True)
        assert_same_values(sim[list(OUTPUTS)], whole.isel(time=[day]), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["to_netcdf", "to_zarr", "hbv.to_netcdf", "hbv.to_zarr"])
def test_a_state_survives_the_disk(
    ds: xr.Dataset, models: dict[str, Model], kind: str, way: str, tmp_path: Path
) -> None:
    """Written (by xarray or by hydroxr) and read again, the state starts the same run."""
    path = tmp_path / "state"

    def through_disk(state: xr.Dataset) -> xr.Dataset:
        writer = state.hbv if way.startswith("hbv.") else state
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The data type .FixedLengthUTF32")  # zarr, of text
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            getattr(writer, way.removeprefix("hbv."))(path)
        with xr.open_dataset(path, engine="zarr" if "zarr" in way else "netcdf4") as opened:
            return opened.load()

    model = models[kind]
    assert_same_values(in_two(ds, [model], 50, through_disk), ds.hbv.simulate(model)[list(OUTPUTS)], **CLOSE)


def test_a_lazy_state_starts_a_lazy_run(
    ds: xr.Dataset, dynamic_model: Model, raise_if_dask_computes: Any
) -> None:
    """Both runs and the state between them are one graph."""
    with raise_if_dask_computes():
        lazy = in_two(ds.chunk(basin=1), [dynamic_model], 50)
    assert_same_values(lazy.compute(), ds.hbv.simulate(dynamic_model)[list(OUTPUTS)], **CLOSE)


def test_a_state_has_the_day_and_the_units_and_the_static_parameters(
    ds: xr.Dataset, static_model: Model
) -> None:
    """What a later run needs, labelled."""
    _, state = ds.hbv.simulate(static_model, return_state=True)
    assert state["time"].values == ds["time"].values[-1]
    assert set(static_model.description.parameters) <= set(state.data_vars)
    assert state.sizes["lead"] == 14
    for name in ("snowpack", "channel_outflow"):
        assert state[name].attrs["units"] == "kg m-2"
    assert_same_values(ds.hbv.parameters(static_model), state, **CLOSE)


@pytest.mark.parametrize("gap", [-1, 0, 2])
def test_a_state_of_another_day_is_refused(ds: xr.Dataset, static_model: Model, gap: int) -> None:
    """A run must start on the day after its state; a state without a date may start any (a spin-up)."""
    _, state = ds.isel(time=slice(0, 50)).hbv.simulate(static_model, return_state=True)
    rest = ds.isel(time=slice(49 + gap, None))
    with pytest.raises(StateError, match=r"2000-02-19.*drop_vars\('time'\)"):
        rest.hbv.simulate(static_model, initial_state=state)
    rest.hbv.simulate(static_model, initial_state=state.drop_vars("time"))


def test_a_state_that_does_not_fit_is_refused(ds: xr.Dataset, models: dict[str, Model]) -> None:
    """Of another kind of model, of other components, of other basins, negative, not finite."""
    rest = ds.isel(time=slice(50, None))
    _, static = ds.isel(time=slice(0, 50)).hbv.simulate(models["static"], return_state=True)
    with pytest.raises(StateError, match="network_hidden"):
        rest.hbv.simulate(models["dynamic"], initial_state=static)
    with pytest.raises(StateError, match="components"):
        rest.hbv.simulate(make_parameters(ds, components=3), initial_state=static)
    with pytest.raises(CoordinateError, match="state"):
        rest.hbv.simulate(models["static"], initial_state=static.isel(basin=[0, 1]))
    with pytest.raises(CoordinateError, match="state"):
        rest.hbv.simulate(models["static"], initial_state=static.assign_coords(basin=[1, 2, 3]))
    renamed = static.assign_coords(basin_id=("basin", static["basin_id"].values[::-1]))
    with pytest.raises(CoordinateError, match="basin_id 'g2'"):
        rest.hbv.simulate(models["static"], initial_state=renamed)
    for wrong in (-1.0, np.nan):
        bad = static.assign(snowpack=xr.full_like(static["snowpack"], wrong))
        with pytest.raises(StateError, match="snowpack"):
            rest.hbv.simulate(models["static"], initial_state=bad)


def test_a_state_of_another_place_is_refused_in_a_single_series(ds: xr.Dataset) -> None:
    """Where there is no dimension of space, the names still tell places apart."""
    parameters = make_parameters(ds)
    first = ds.isel(basin=0, time=slice(0, 50))
    _, state = first.hbv.simulate(parameters.isel(basin=0), return_state=True)
    other = ds.isel(basin=1, time=slice(50, None))
    with pytest.raises(CoordinateError):
        other.hbv.simulate(parameters.isel(basin=1), initial_state=state)


# --- The parameter window -------------------------------------------------------------------------


def test_static_parameters_are_those_at_the_end_of_the_training_period(
    ds: xr.Dataset, static_model: Model
) -> None:
    """Where the input has it, the days before and after it do not matter."""
    training = ds.sel(time=slice("2000-01-06", "2000-02-14"))
    assert_same_values(ds.hbv.parameters(static_model), training.hbv.parameters(static_model), **CLOSE)
    assert "2000-01-06 to 2000-02-14" in ds.hbv.simulate(static_model).attrs["hydroxr_parameter_window"]
    with pytest.warns(HydroxrWarning):
        other = ds.isel(time=slice(0, 20)).hbv.parameters(static_model)
    assert abs(other["FC"] - ds.hbv.parameters(static_model)["FC"]).max() > 0.1  # the days do matter


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_elsewhere_they_are_those_of_the_first_days(models: dict[str, Model], kind: str) -> None:
    """As many days as the training had, and the result says so."""
    late = make_dataset(60, start="2010-01-01", seed=4)
    static = ["FC", "K1", "UH_SCALE"]
    whole = late.hbv.parameters(models[kind])[static]
    assert_same_values(whole, late.isel(time=slice(0, 40)).hbv.parameters(models[kind])[static], **CLOSE)
    note = late.hbv.simulate(models[kind]).attrs["hydroxr_parameter_window"]
    assert "2010-01-01 to 2010-02-09" in note
    assert "first days" in note


def test_the_window_can_be_chosen(ds: xr.Dataset, static_model: Model) -> None:
    """``ds.hbv.parameters(model, time=...)`` reads them at the end of that time, and says so."""
    chosen = ds.hbv.parameters(static_model, time=slice("2000-01-03", "2000-01-25"))
    with pytest.warns(HydroxrWarning):
        expected = ds.isel(time=slice(2, 25)).hbv.parameters(static_model)
    assert_same_values(chosen, expected, **CLOSE)
    assert "2000-01-03 to 2000-01-25" in chosen.attrs["hydroxr_parameter_window"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("start", "cut"), [("2000-01-01", 48), ("2010-01-01", 42)])
def test_a_later_end_changes_no_past_value(models: dict[str, Model], kind: str, start: str, cut: int) -> None:
    """A run extended by new days keeps the values of the old ones."""
    ds = make_dataset(60, start=start)
    short = ds.isel(time=slice(0, cut)).hbv.simulate(models[kind])
    assert_same_values(short, ds.hbv.simulate(models[kind]).isel(time=slice(0, cut)), **CLOSE)


@pytest.mark.parametrize("start", ["2000-01-01", "2010-01-01"])
def test_where_a_later_end_would_change_past_values_it_is_not_silent(static_model: Model, start: str) -> None:
    """A run that is shorter than the parameter window warns that a longer one will differ, and says what to
    do; with the parameters or the state of a longer one there is nothing to warn of."""
    ds = make_dataset(60, start=start)
    short, whole = ds.isel(time=slice(0, 25)), ds.hbv.simulate(static_model)
    with pytest.warns(HydroxrWarning, match=r"40.*(longer|parameters)"):
        short.hbv.simulate(static_model)
    fixed = short.hbv.simulate(ds.hbv.parameters(static_model))
    assert_same_values(fixed, whole.isel(time=slice(0, 25)), **CLOSE)
    _, state = ds.hbv.simulate(static_model, return_state=True)
    short.hbv.simulate(static_model, initial_state=state.drop_vars("time"))


# --- Missing forcing ------------------------------------------------------------------------------


def with_gaps(ds: xr.Dataset) -> xr.Dataset:
    """Gaps inside and at both ends of the first basin; nothing at all in the second."""
    ds = ds.copy(deep=True)
    ds["tmean"][0, 10:13] = np.nan
    ds["prcp"][0, :2] = np.nan
    ds["pet"][0, -1] = np.nan
    ds["prcp"][1] = np.nan
    return ds


def test_gaps_are_filled_in_time_and_flagged(ds: xr.Dataset) -> None:
    """Linear inside, the nearest value at the ends, as done by hand; a cell without forcing stays missing."""
    parameters = make_parameters(ds)
    sim = with_gaps(ds).hbv.simulate(parameters, missing="fill", dtype="float64")
    by_hand = ds.copy(deep=True)
    t = ds["tmean"].values[0]
    by_hand["tmean"][0, 10:13] = [t[9] + (t[13] - t[9]) * k / 4 for k in (1, 2, 3)]
    by_hand["prcp"][0, :2] = ds["prcp"].values[0, 2]
    by_hand["pet"][0, -1] = ds["pet"].values[0, -2]
    expected = by_hand.hbv.simulate(parameters, dtype="float64")
    known = [0, 2]
    assert_same_values(sim.isel(basin=known)[list(OUTPUTS)], expected.isel(basin=known), rtol=1e-5, atol=1e-5)
    assert all(sim[name].isel(basin=1).isnull().all() for name in (*OUTPUTS, "initial_storage"))
    flag = np.zeros((3, 60))
    flag[0, [0, 1, 10, 11, 12, 59]] = 1
    flag[1] = 2
    np.testing.assert_array_equal(sim["forcing_flag"], flag)


def test_the_flag_explains_itself(ds: xr.Dataset) -> None:
    """CF flags with meanings, to which every variable points."""
    sim = with_gaps(ds).hbv.simulate(make_parameters(ds), missing="fill")
    attrs = sim["forcing_flag"].attrs
    assert len(attrs["flag_values"]) == len(attrs["flag_meanings"].split()) == 3
    assert attrs["flag_values"].dtype == sim["forcing_flag"].dtype
    assert all(sim[name].attrs["ancillary_variables"] == "forcing_flag" for name in OUTPUTS)


def test_without_leave_to_fill_there_is_no_flag_and_an_error(ds: xr.Dataset) -> None:
    """The default refuses, and names variable, count, place, day and the way out."""
    with pytest.raises(
        MissingForcingError, match=r"precipitation.*62 of 180.*g0 on 2000-01-01.*missing='fill'"
    ):
        with_gaps(ds).hbv.simulate(make_parameters(ds))
    assert "forcing_flag" not in ds.hbv.simulate(make_parameters(ds))


@pytest.mark.parametrize("kind", KINDS)
def test_a_filled_run_goes_on(ds: xr.Dataset, models: dict[str, Model], kind: str) -> None:
    """The state of a run with a cell without forcing (the sea on a grid, say) starts the next one."""
    ds = with_gaps(ds)
    whole = ds.hbv.simulate(models[kind], missing="fill")[list(OUTPUTS)]
    assert_same_values(in_two(ds, [models[kind]], 50, missing="fill")[list(OUTPUTS)], whole, **CLOSE)


def test_parameters_need_not_be_where_there_is_no_forcing(ds: xr.Dataset) -> None:
    """Missing over the sea, as the forcing is."""
    parameters = make_parameters(ds)
    holes = parameters.where(parameters["basin"] != 20)
    sims = [with_gaps(ds).hbv.simulate(one, missing="fill") for one in (holes, parameters)]
    assert_same_values(*sims)


# --- Parameters that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda p: p.drop_vars(["FC", "K0"]), ParameterError, "FC, K0"),
        (lambda p: p.assign(KLOSS=p["K0"]), ParameterError, "'KLOSS'"),
        (lambda p: p.drop_vars("UH_SCALE"), ParameterError, "UH_SHAPE and UH_SCALE"),
        (lambda p: p.drop_vars("UH_SHAPE"), ParameterError, "UH_SHAPE and UH_SCALE"),
        (lambda p: p.assign(FC=-p["FC"]), ParameterError, "FC.*-"),
        (lambda p: p.assign(K0=p["K0"] * np.nan), ParameterError, "K0.*finite"),
        (lambda p: p.assign(K0=p["K0"] + 1), ParameterError, "K0.*to 1"),
        (lambda p: p.assign(FC=p["FC"].expand_dims(depth=2)), DimensionError, "FC.*'depth'"),
        (lambda p: p.assign(UH_SCALE=p["K0"]), DimensionError, "UH_SCALE.*'component'"),
        (lambda p: p.isel(basin=[0, 2]), CoordinateError, "basin 20"),
        (lambda p: p.assign_coords(basin=[10, 20, 31]), CoordinateError, "basin 30"),
        (lambda p: p.drop_vars("basin").isel(basin=[0, 1]), CoordinateError, "'basin'"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_parameters_that_do_not_fit_are_refused(
    ds: xr.Dataset, change: Any, error: type[Exception], words: str, lazy: bool
) -> None:
    """Before anything is computed, also where the forcing is lazy; the message names the parameter."""
    parameters = change(make_parameters(ds))
    with pytest.raises(error, match=words), raise_if_dask_computes():
        (ds.chunk(basin=1) if lazy else ds).hbv.simulate(parameters)


def test_parameters_of_other_days_are_refused(ds: xr.Dataset) -> None:
    """Dynamic parameters must have the days of the forcing."""
    parameters = make_parameters(ds, dynamic=("BETA",))
    with pytest.raises(CoordinateError, match="BETA"):
        ds.isel(time=slice(0, 30)).hbv.simulate(parameters)


def test_results_are_found_by_standard_name(ds: xr.Dataset) -> None:
    """With cf_xarray, each by its own: no two results share a standard name."""
    import cf_xarray  # noqa: F401  registers ds.cf

    sim = ds.hbv.simulate(make_parameters(ds))
    named = {
        name: array.attrs["standard_name"]
        for name, array in sim.data_vars.items()
        if "standard_name" in array.attrs
    }
    assert named["runoff"] == "runoff_flux"
    for name, standard_name in named.items():
        assert sim.cf[standard_name].name == name


def test_water_in_the_channel_is_not_lost(ds: xr.Dataset) -> None:
    """A run without routing has no place for it."""
    parameters = make_parameters(ds)
    _, state = ds.isel(time=slice(0, 40)).hbv.simulate(parameters, return_state=True)
    later, unrouted = ds.isel(time=slice(40, None)), parameters.drop_vars(["UH_SHAPE", "UH_SCALE"])
    with pytest.raises(StateError):
        later.hbv.simulate(unrouted, initial_state=state)

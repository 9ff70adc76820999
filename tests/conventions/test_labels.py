"""Labels are the index in memory, and text beside numbers in files; both mean the same cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.labels import labelled, numbered
from hydroxr.errors import CoordinateError
from hydroxr.models.specs import DeltaHBV
from tests.support.labelled import make_dataset, make_parameters, untrained

NAMES = ["A", "B", "C"]
FLOW = ["streamflow"]


def named(dim: str = "basin", days: int = 60) -> xr.Dataset:
    """Three basins with names as labels of ``dim``."""
    ds = make_dataset(days, 3).drop_vars("basin_id").assign_coords(basin=NAMES)
    return ds.rename(basin=dim)


@pytest.mark.parametrize("dim", ["basin", "gauge_id", "station", "id"])
@pytest.mark.parametrize("file", ["run.zarr", "run.nc"])
def test_labels_come_back_from_a_file(tmp_path: Path, dim: str, file: str) -> None:
    """A file has numbers and one variable with ``cf_role``; nothing becomes ``gauge_id_id``."""
    ds = named(dim)
    sim = ds.hbv.simulate(make_parameters(ds), variables=FLOW)
    path = tmp_path / file
    sim.hbv.to_zarr(path) if path.suffix == ".zarr" else sim.hbv.to_netcdf(path)
    run = hx.open_run(path, verify=True)
    assert (run["streamflow"] - ds["prcp"]).sizes == {dim: 3, "time": 60}
    xr.testing.assert_equal(run.sel({dim: "B"})["streamflow"].load(), sim["streamflow"].isel({dim: 1}))
    assert set(run.variables) == set(sim.variables)
    with xr.open_dataset(path, engine="zarr" if path.suffix == ".zarr" else None) as plain:
        roles = [name for name in plain.variables if plain[name].attrs.get("cf_role") == "timeseries_id"]
        assert [plain[name].values.tolist() for name in roles] == [NAMES]
        assert plain.indexes[dim].dtype.kind == "i"
        assert f"{dim}_id" in roles or dim.endswith("id")
        assert "gauge_id_id" not in plain.variables


@pytest.mark.parametrize("dim", ["basin", "gauge_id"])
def test_a_store_that_xarray_opened_has_the_same_cells(tmp_path: Path, dim: str) -> None:
    """As simulation and as observations, whole, in another order, and of one cell."""
    ds = named(dim)
    sim = ds.hbv.simulate(make_parameters(ds), variables=FLOW)
    sim.hbv.to_zarr(tmp_path / "run.zarr")
    expected = sim.hbv.evaluate(ds)["nse"].values
    run = xr.open_zarr(tmp_path / "run.zarr", chunks=None)
    np.testing.assert_allclose(run.isel({dim: [2, 0]}).hbv.evaluate(ds)["nse"], expected[[2, 0]])
    np.testing.assert_allclose(hx.metrics.nse(run["streamflow"], ds["streamflow"]), expected)
    np.testing.assert_allclose(hx.metrics.nse(sim["streamflow"], run["streamflow"]), 1.0)
    for one in (run.isel({dim: 1}), hx.open_run(tmp_path / "run.zarr").isel({dim: 1})):
        for observed in (ds.isel({dim: 1}), ds.isel({dim: [2, 1]})):
            np.testing.assert_allclose(one.hbv.evaluate(observed)["nse"], expected[1])
        with pytest.raises(CoordinateError, match=f"{dim} is 'C' in the observations, but 'B'"):
            one.hbv.evaluate(ds.isel({dim: 2}))
        with pytest.raises(CoordinateError, match=f"no {dim} B in the observations"):
            one.hbv.evaluate(ds.isel({dim: [0, 2]}))


def test_states_and_parameters_from_plain_files(tmp_path: Path) -> None:
    """They are matched by the names in the file, whatever its numbers are."""
    ds = named(days=80)
    first, rest = ds.isel(time=slice(0, 50)), ds.isel(time=slice(50, None))
    parameters = make_parameters(ds)
    _, state = first.hbv.simulate(parameters, return_state=True)
    expected = rest.hbv.simulate(parameters, initial_state=state, variables=FLOW)
    for each, name in ((state, "state"), (parameters, "parameters")):
        each.isel(basin=[2, 0, 1]).hbv.to_netcdf(tmp_path / f"{name}.nc")
    opened = [xr.open_dataset(tmp_path / f"{name}.nc") for name in ("state", "parameters")]
    found = rest.hbv.simulate(opened[1], initial_state=opened[0], variables=FLOW)
    xr.testing.assert_allclose(found, expected)
    alone = rest.isel(basin=1).hbv.simulate(opened[1], initial_state=opened[0], variables=FLOW)
    np.testing.assert_allclose(alone["streamflow"], expected["streamflow"].sel(basin="B"))
    with pytest.raises(CoordinateError, match="basin is 'C' in the initial state, but 'B' in the Dataset"):
        rest.isel(basin=1).hbv.simulate(parameters, initial_state=opened[0].isel(basin=0))


def test_appended_days_belong_to_the_names(tmp_path: Path) -> None:
    """A store with other numbers, as earlier versions wrote them, goes on; other basins are refused."""
    ds = named(days=80)
    parameters = make_parameters(ds)
    numbers = {"basin": [4, 7, 9], "basin_id": ("basin", NAMES, {"cf_role": "timeseries_id"})}
    first, state = ds.isel(time=slice(0, 50)).hbv.simulate(parameters, return_state=True)
    first.assign_coords(numbers).hbv.to_zarr(tmp_path / "run.zarr")
    rest = ds.isel(time=slice(50, None)).hbv.simulate(parameters, initial_state=state)
    with pytest.raises(CoordinateError, match="other cells"):
        rest.assign_coords(basin=["A", "B", "D"]).hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")
    rest.hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")
    run = hx.open_run(tmp_path / "run.zarr", verify=True)
    assert run.sizes["time"] == 80
    np.testing.assert_array_equal(run["streamflow"].isel(time=slice(50, None)), rest["streamflow"])


def test_a_constant_model_is_of_its_basin() -> None:
    """However it was selected, and whatever the dimension is called."""
    ds = named("station", days=120)
    options = {"iterations": 1, "warmup": 20, "window": 30, "progress": False}
    model = ds.isel(station=0).hbv.fit(DeltaHBV(components=2, network="constant"), **options)
    expected = ds.isel(station=0).hbv.simulate(model, variables=FLOW)["streamflow"]
    for same in (ds.sel(station="A"), ds.isel(station=[0])):
        found = same.hbv.simulate(model, variables=FLOW)["streamflow"]
        np.testing.assert_allclose(found.squeeze(), expected)
    for other in (ds.isel(station=1), ds.isel(station=[1]), ds):
        with pytest.raises(CoordinateError, match=r"A.* in the model.*B"):
            other.hbv.simulate(model)


def test_messages_name_the_gauge_after_a_selection() -> None:
    """Also of a Dataset that was numbered by a file."""
    for ds in (named(), numbered(named())):
        ds["prcp"][2, 5] = -1.0
        with pytest.raises(hx.HydroxrError, match="basin C"):
            ds.isel(basin=[1, 2]).hbv.simulate(make_parameters(ds)).compute()


def test_bytes_are_text(tmp_path: Path) -> None:
    """Labels that a reader left as bytes are text in results, models and comparisons."""
    ds = named(days=120)
    raw = ds.assign_coords(basin=np.array([name.encode() for name in NAMES], "S5"))
    options = {"iterations": 1, "warmup": 20, "window": 30, "progress": False}
    model = raw.hbv.fit(DeltaHBV(components=2, network="constant"), **options)
    again = hx.load_model(model.save(tmp_path / "model"))
    sim, state = raw.hbv.simulate(again, return_state=True)
    assert sim.indexes["basin"].tolist() == state.indexes["basin"].tolist() == NAMES
    xr.testing.assert_equal(sim, ds.hbv.simulate(model))
    np.testing.assert_array_equal(sim.hbv.evaluate(raw)["nse"], sim.hbv.evaluate(ds)["nse"])
    sim.hbv.to_netcdf(tmp_path / "run.nc")
    assert hx.open_run(tmp_path / "run.nc").sel(basin="B").sizes["time"] == 120
    with pytest.raises(hx.HydroxrError, match="basin C"):
        raw.assign(prcp=raw["prcp"].where(raw["basin"] != b"C", -1.0)).hbv.simulate(again).compute()


@pytest.mark.parametrize("nothing", [np.nan, None, ""])
def test_a_name_that_is_missing(tmp_path: Path, nothing: object) -> None:
    """A model simulates the Dataset that it was fitted to, and the result can be written."""
    ds = make_dataset(120, 2).drop_vars("basin_id")
    ds = ds.assign_coords(basin_name=("basin", np.array(["Rivière", nothing], object)))
    options = {"iterations": 1, "warmup": 20, "window": 30, "progress": False}
    model = ds.hbv.fit(DeltaHBV(components=2, network="constant"), **options)
    sim = ds.hbv.simulate(hx.load_model(model.save(tmp_path / "model")), variables=FLOW)
    sim.hbv.to_netcdf(tmp_path / "run.nc")
    sim.hbv.to_zarr(tmp_path / "run.zarr")
    for file in ("run.nc", "run.zarr"):
        assert hx.open_run(tmp_path / file)["basin_name"].values.tolist() == ["Rivière", ""]
    with pytest.raises(CoordinateError, match="basin_name is 'Rivière' in the model"):
        ds.assign_coords(basin_name=("basin", ["Leaf", ""])).hbv.simulate(model)


def test_what_is_no_label() -> None:
    """Names that repeat, that are of something else, or that a dimension has already."""
    coords = {"basin": [3, 4], "basin_id": ("basin", ["a", "a"]), "huc_id": ("basin", ["x", "y"])}
    ds = xr.Dataset(coords=coords)
    xr.testing.assert_identical(labelled(ds), ds)
    named = ds.assign_coords(basin=["p", "q"], basin_id=("basin", ["a", "b"]))
    xr.testing.assert_identical(labelled(named), named)
    file = numbered(named)
    assert file["basin"].values.tolist() == [0, 1]
    assert file["basin_id"].values.tolist() == ["a", "b"]
    assert labelled(file)["basin"].values.tolist() == ["p", "q"]


def test_models_of_one_regional_network_do_not_ask_for_names() -> None:
    """A regional model has no cells: every basin is simulated."""
    ds = named()
    sim = ds.hbv.simulate(untrained(DeltaHBV(components=2, hidden=4, network="lstm")), variables=FLOW)
    assert sim.sel(basin="C").sizes == {"time": 60, "bnds": 2}

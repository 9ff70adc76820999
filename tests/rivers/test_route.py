"""Routing of labelled runs: water from cells to outlets, labels, restarts, laziness, stores, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from hydroxr.rivers import compute
from tests.rivers.networks import LABELS, table
from tests.support.labelled import assert_same_values, make_dataset, make_grid, make_parameters

OUTLETS = ["h", "f", "g"]
SECONDS = 86400.0


@pytest.fixture(scope="module")
def network() -> hx.RiverNetwork:
    return hx.RiverNetwork(table())


def forcing(days: int = 60, labels: list[str] = LABELS) -> xr.Dataset:
    return make_dataset(days, len(labels)).drop_vars("basin_id").assign_coords(basin=labels)


@pytest.fixture(scope="module")
def sim() -> xr.Dataset:
    ds = forcing()
    return ds.hbv.simulate(make_parameters(ds), dtype="float64")


def assert_closed(routed: xr.Dataset, places: Any) -> None:
    balance = routed.hbv.water_balance().sel(reach=places)
    assert bool(balance["closed"].all())
    assert float(abs(balance["residual"] / balance["precipitation"]).max()) < 1e-9


def test_a_lake_is_a_reach_with_x_of_0(sim: xr.Dataset) -> None:
    """Its mean outflow is its mean water over K, within one section, as of a linear reservoir."""
    days, at = 30.0, table()["reach"].values.tolist().index("c")
    given = table()
    given["travel_time"][at], given["x"][at] = days, 0.0
    routed = sim.hbv.route(hx.RiverNetwork(given))
    held = routed["river_storage"].sel(reach="c").values
    outflow = routed["discharge"].sel(reach="c").values
    np.testing.assert_allclose(outflow[1:], (held[1:] + held[:-1]) / 2 / (days * SECONDS), rtol=1e-9)
    inflow = routed["discharge"].sel(reach=["a", "b"]).sum("reach") + routed["lateral_inflow"].sel(reach="c")
    share = np.exp(-1 / days)
    water = 0.0
    for day, mean in enumerate(inflow.values):
        after = water * share + mean * SECONDS * days * (1 - share)
        assert outflow[day] == pytest.approx(mean - (after - water) / SECONDS, rel=1e-2, abs=1e-6)
        water = after
    assert_closed(routed, OUTLETS)


@pytest.mark.parametrize("method", ["linear", "muskingum"])
@pytest.mark.parametrize("inflow", ["streamflow", "runoff"])
def test_all_water_is_in_the_balance(
    sim: xr.Dataset, network: hx.RiverNetwork, method: Any, inflow: Any
) -> None:
    """From the cells' own variables, outlet by outlet, and as ``water_balance`` says."""
    routed = sim.hbv.route(network, method, inflow=inflow)
    area = network.table["area"].rename(reach="basin") * 1e6 / 1000
    stores = ("snowpack", "snow_liquid_water", "soil_moisture", "upper_zone_storage", "lower_zone_storage")
    held = sum(sim[name].mean("component") if "component" in sim[name].dims else sim[name] for name in stores)
    if inflow == "streamflow":
        held = held + sim["channel_storage"]
    for outlet in OUTLETS:
        above = [*network.upstream(outlet), outlet]
        cells = (area * sim).sel(basin=above).sum("basin")
        rivers = routed["river_storage"].sel(reach=above).sum("reach").isel(time=-1)
        rain = (cells["rainfall"] + cells["snowfall"]).sum()
        gone = cells["evapotranspiration"].sum() + routed["discharge"].sel(reach=outlet).sum() * SECONDS
        stored = (area * held).sel(basin=above).sum("basin").isel(time=-1) + rivers - cells["initial_storage"]
        assert float(abs(rain - gone - stored)) < 1e-9 * float(rain)
    assert_closed(routed, LABELS)
    yearly = routed.isel(time=slice(5, None)).hbv.water_balance(by="year")
    assert bool(yearly["closed"].all())


def test_a_balance_that_does_not_close_is_found(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    routed = sim.hbv.route(network)
    routed["discharge"].loc[{"reach": "h"}] *= 1.001
    closed = routed.hbv.water_balance()["closed"]
    assert not bool(closed.sel(reach="h"))
    assert bool(closed.drop_sel(reach="h").all())


def test_single_precision_closes_within_its_rounding(network: hx.RiverNetwork) -> None:
    ds = forcing()
    routed = ds.hbv.simulate(make_parameters(ds)).hbv.route(network)
    assert routed["discharge"].dtype == "float32"
    assert bool(routed.hbv.water_balance()["closed"].all())


def test_names_units_and_what_was_done(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    routed = sim.hbv.route(network)
    discharge = routed["discharge"]
    assert discharge.dims == ("reach", "time")
    assert list(discharge["reach"].values) == LABELS
    assert discharge.attrs["standard_name"] == "water_volume_transport_in_river_channel"
    assert (discharge.attrs["units"], discharge.attrs["cell_methods"]) == ("m3 s-1", "time: mean")
    assert routed["river_storage"].attrs["cell_methods"].startswith("time: point")
    assert float(routed["initial_river_storage"].sum()) == 0.0
    how = json.loads(routed.attrs["hydroxr_routing"])
    assert how["method"] == "muskingum"
    assert how["reaches_without_cells"] == 0
    assert how["reaches_without_travel_time"] == 1
    with pytest.raises(errors.DescriptionError, match="routed"):
        routed.hbv.derive("discharge", area=network.table["area"])


def test_cells_are_matched_by_label(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    routed = sim.hbv.route(network)
    assert_same_values(sim.isel(basin=[3, 1, 0, 2, 7, 6, 5, 4]).hbv.route(network), routed)
    some = hx.RiverNetwork(table().isel(reach=[4, 2, 0, 3, 1, 7, 6, 5]))
    assert_same_values(sim.hbv.route(some).sel(reach=LABELS), routed, rtol=1e-12)


def test_reaches_without_cells_and_cells_without_reaches(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    part = sim.drop_sel(basin="c")
    routed = part.hbv.route(network)
    assert float(routed["lateral_inflow"].sel(reach="c").sum()) == 0.0
    assert json.loads(routed.attrs["hydroxr_routing"])["reaches_without_cells"] == 1
    lesser = hx.RiverNetwork(table().sel(reach=["c", "a", "b", "h", "e"]))
    with pytest.raises(errors.CoordinateError, match="basin f drains to no reach"):
        sim.hbv.route(lesser)
    areas = sim.assign_coords(area=("basin", table()["area"].values, {"units": "km2"}))
    bare = hx.RiverNetwork(lesser.table.drop_vars("area"))
    dropped = areas.hbv.route(bare, unassigned="drop")
    lost = (areas["streamflow"] * areas["area"]).sel(basin=["f", "d", "g"]).sum("basin") / 86.4
    np.testing.assert_allclose(dropped["unassigned_inflow"], lost, rtol=1e-12)
    balance = dropped.hbv.water_balance()
    assert bool(balance["closed"].all())
    assert float(balance["unassigned"]) == pytest.approx(float(lost.sum()) * SECONDS)


def test_gauges_alone(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    routed = sim.hbv.route(network)
    assert_same_values(sim.hbv.route(network, gauges=["h", "a"]), routed.sel(reach=["h", "a"]))
    named = sim.hbv.route(network, gauges={"bridge": "c", "mouth": "h"})
    assert named["gauge"].values.tolist() == ["bridge", "mouth"]
    assert_closed(named, ["c", "h"])
    with pytest.raises(errors.CoordinateError, match="no reach 'z'"):
        sim.hbv.route(network, gauges=["z"])


def test_a_run_goes_on_from_its_state(network: hx.RiverNetwork, tmp_path: Path) -> None:
    ds = forcing()
    parameters = make_parameters(ds)
    whole = ds.hbv.simulate(parameters).hbv.route(network)
    first, state = ds.isel(time=slice(0, 25)).hbv.simulate(parameters, return_state=True)
    second = ds.isel(time=slice(25, None)).hbv.simulate(parameters, initial_state=state)
    one, rivers = first.hbv.route(network, return_state=True)
    two = second.hbv.route(network, initial_state=rivers)
    for name in ("discharge", "river_storage", "lateral_inflow"):
        np.testing.assert_array_equal(xr.concat([one[name], two[name]], "time"), whole[name])
    np.testing.assert_allclose(two["initial_river_storage"], one["river_storage"].isel(time=-1), rtol=1e-6)
    assert bool(two.hbv.water_balance()["closed"].all())
    one.hbv.to_zarr(tmp_path / "run.zarr")
    two.hbv.to_zarr(tmp_path / "run.zarr", append_dim="time")
    opened = hx.open_run(tmp_path / "run.zarr")
    np.testing.assert_array_equal(opened["discharge"], whole["discharge"])
    assert bool(opened.hbv.water_balance()["closed"].all())


def test_stamps_at_the_end_of_the_day_are_days(network: hx.RiverNetwork) -> None:
    """Start, restart and balance are those of the same run with stamps at the beginning."""
    start = forcing()
    end = start.assign_coords(
        time=start["time"] + np.timedelta64(1, "D"),
        time_bnds=(
            ("time", "bnds"),
            np.stack([start["time"].values, start["time"].values + np.timedelta64(1, "D")], 1),
        ),
    )
    routed = {}
    for name, ds in {"start": start, "end": end}.items():
        parameters = make_parameters(ds)
        first, state = ds.isel(time=slice(0, 25)).hbv.simulate(parameters, return_state=True)
        _, rivers = first.hbv.route(network, return_state=True)
        second = ds.isel(time=slice(25, None)).hbv.simulate(parameters, initial_state=state)
        routed[name] = second.hbv.route(network, initial_state=rivers)
    for by in (None, "year"):
        balances = [each.hbv.water_balance(by=by) for each in routed.values()]
        xr.testing.assert_identical(*balances)
        assert int(balances[0]["days"].sum()) == 35
    assert routed["end"].attrs["hydroxr_start"] == routed["start"].attrs["hydroxr_start"]


def test_components_count_by_their_weights(network: hx.RiverNetwork) -> None:
    """Also in runoff and storages that are kept for each component."""
    ds = forcing()
    share = np.linspace(0.1, 0.9, ds.sizes["basin"])
    parameters = make_parameters(ds)
    parameters["WEIGHT"] = (("basin", "component"), np.stack([share, 1 - share], 1))
    mean = ds.hbv.simulate(parameters, dtype="float64").hbv.route(network, inflow="runoff")
    each = ds.hbv.simulate(parameters, dtype="float64", components=True)
    routed = each.hbv.route(network, inflow="runoff")
    np.testing.assert_allclose(routed["discharge"], mean["discharge"], rtol=1e-12)
    assert_closed(routed, LABELS)


def test_states_that_do_not_fit_are_refused(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    first, later = sim.isel(time=slice(0, 9)), sim.isel(time=slice(9, None))
    _, state = first.hbv.route(network, return_state=True)
    with pytest.raises(errors.StateError, match="day before"):
        sim.isel(time=slice(10, None)).hbv.route(network, initial_state=state)
    with pytest.raises(errors.StateError, match="another method"):
        later.hbv.route(network, "linear", initial_state=state)
    faster = hx.RiverNetwork(table().assign(x=table()["x"] * 0.5))
    with pytest.raises(errors.StateError, match="this river network"):
        later.hbv.route(faster, initial_state=state)
    with pytest.raises(errors.StateError, match="this river network"):
        later.hbv.route(network, initial_state=sim)


@pytest.mark.parametrize("working", [3e8, 1.0])
def test_lazy_runs_in_blocks_are_those_in_memory(
    network: hx.RiverNetwork, monkeypatch: pytest.MonkeyPatch, working: float, tmp_path: Path
) -> None:
    """Also where each reach is a part of its own."""
    monkeypatch.setattr(compute, "_WORKING", working)
    ds = forcing()
    parameters = make_parameters(ds)
    ordered = network.sorted()
    whole, state = ds.hbv.simulate(parameters).hbv.route(ordered, return_state=True)
    chunked = ds.hbv.simulate(parameters).chunk(basin=3, time=25)
    lazy, last = chunked.hbv.route(ordered, return_state=True)
    assert lazy["discharge"].chunks[1] == (25, 25, 10)
    assert len(lazy["discharge"].chunks[0]) == (1 if working > 1 else 8)
    lazy.hbv.to_zarr(tmp_path / "run.zarr")
    assert_same_values(hx.open_run(tmp_path / "run.zarr"), whole, rtol=1e-6)
    np.testing.assert_allclose(last["section_storage"], state["section_storage"], rtol=1e-12)
    if working == 1.0:
        with pytest.raises(errors.MemoryLimitError, match="sorted"):
            chunked.hbv.route(network)


def test_a_grid_drains_by_areas(network: hx.RiverNetwork) -> None:
    grid = make_grid(lats=3, lons=3)
    sim = grid.hbv.simulate(make_parameters(grid), dtype="float64")
    pairs = {
        "source": [0, 0, 1, 2, 4, 5, 8],
        "target": [0, 1, 1, 2, 0, 2, 1],
        "weight": [1e8, 2e8, 3e8, 1e8, 2e8, 9e7, 5e7],
    }
    weights = xr.Dataset({name: ("pair", np.array(values)) for name, values in pairs.items()})
    weights = weights.assign_coords(
        reach=["h", "c", "a"], source_lat=sim["lat"].values, source_lon=sim["lon"].values
    )
    weights["target_area"] = ("reach", [1e9, 1e9, 1e9])
    weights.attrs["source_dims"] = "lat lon"
    with pytest.raises(errors.CoordinateError, match=r"lat .*, lon .* drains to no reach \(3 of 9 cells\)"):
        sim.hbv.route(network, weights=weights)
    routed = sim.hbv.route(network, weights=weights, unassigned="drop")
    flow = sim["streamflow"].transpose("lat", "lon", "time").values.reshape(9, -1)
    expected = (2e8 * flow[0] + 3e8 * flow[1] + 5e7 * flow[8]) / 1000 / SECONDS
    np.testing.assert_allclose(routed["lateral_inflow"].sel(reach="c"), expected, rtol=1e-12)
    assert_closed(routed, OUTLETS[:1])
    lazy = sim.chunk(lat=2, lon=1, time=20).hbv.route(network, weights=weights, unassigned="drop")
    assert_same_values(lazy.compute(), routed, rtol=1e-12)
    with pytest.raises(errors.CoordinateError, match="'z'"):
        sim.hbv.route(network, weights=weights.assign_coords(reach=["h", "z", "a"]))
    with pytest.raises(errors.DescriptionError, match="weights"):
        sim.hbv.route(network)


def test_response_units_name_their_reach(network: hx.RiverNetwork) -> None:
    ds = forcing(labels=["1", "2", "3", "4"]).rename(basin="hru")
    sim = ds.hbv.simulate(make_parameters(ds), dtype="float64")
    sim = sim.assign_coords(area=("hru", [10.0, 20.0, 30.0, 40.0], {"units": "km2"}))
    segment = xr.DataArray(["a", "a", "c", "g"], {"hru": ["1", "2", "3", "4"]}, ("hru",))
    routed = sim.hbv.route(network, weights=segment.isel(hru=[2, 0, 3, 1]))
    flow = (sim["streamflow"] * sim["area"]).sel(hru=["1", "2"]).sum("hru") / 86.4
    np.testing.assert_allclose(routed["lateral_inflow"].sel(reach="a"), flow, rtol=1e-12)
    assert_closed(routed, ["h", "g"])


def test_channels_give_k_and_x(sim: xr.Dataset) -> None:
    n = len(LABELS)
    shape = {
        "slope": ("reach", np.geomspace(1e-4, 1e-2, n)),
        "width": ("reach", np.linspace(5, 60, n), {"units": "m"}),
        "manning": ("reach", np.full(n, 0.03)),
        "reference_discharge": ("reach", np.full(n, 8.0), {"units": "m3 s-1"}),
    }
    routed = sim.hbv.route(hx.RiverNetwork(table(**shape)), "muskingum-cunge")
    assert_closed(routed, LABELS)
    with pytest.raises(errors.MissingVariableError, match="slope, width, manning, reference_discharge"):
        sim.hbv.route(hx.RiverNetwork(table()), "muskingum-cunge")


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (None, {"method": "kinematic"}, errors.DescriptionError, "method='kinematic'"),
        (None, {"unassigned": "ignore"}, errors.DescriptionError, "unassigned"),
        (None, {"inflow": "rain"}, errors.DescriptionError, "inflow"),
        (None, {"weights": 3}, errors.DescriptionError, "weights is int"),
        (lambda sim: sim.drop_vars("streamflow"), {}, errors.MissingVariableError, "'streamflow'"),
        (lambda sim: sim.assign_coords(basin=np.arange(8)), {}, errors.CoordinateError, "one type"),
        (lambda sim: sim[["streamflow"]], {"balance": True}, errors.MissingVariableError, "rainfall"),
        (lambda sim: sim.isel(time=[0, 2, 3]), {}, errors.TimeAxisError, "time"),
    ],
)
def test_what_does_not_fit_is_refused(
    sim: xr.Dataset, network: hx.RiverNetwork, change: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        (sim if change is None else change(sim)).hbv.route(network, **options)


def test_other_objects_and_missing_areas_are_refused(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    with pytest.raises(errors.DescriptionError, match="RiverNetwork"):
        sim.hbv.route(table())
    with pytest.raises(errors.MissingVariableError, match="'area'"):
        sim.hbv.route(hx.RiverNetwork(table().drop_vars("area")))
    with pytest.raises(errors.MissingVariableError, match="travel_time"):
        sim.hbv.route(hx.RiverNetwork(table().drop_vars("travel_time")))


def test_streamflow_alone_is_routed_without_a_balance(sim: xr.Dataset, network: hx.RiverNetwork) -> None:
    routed = sim[["streamflow"]].hbv.route(network)
    assert "upstream_storage" not in routed
    np.testing.assert_array_equal(routed["discharge"], sim.hbv.route(network)["discharge"])
    with pytest.raises(errors.MissingVariableError, match="upstream_precipitation"):
        routed.hbv.water_balance()


def test_without_travel_time_discharge_is_the_accumulation_of_another_library() -> None:
    pyflwdir = pytest.importorskip("pyflwdir")
    rng = np.random.default_rng(4)
    directions = rng.choice(np.array([2, 4, 1], dtype="uint8"), (12, 15))  # south-east, south, east
    directions[-1] = directions[:, -1] = 0
    flow = pyflwdir.from_array(directions, ftype="d8")
    coords = {"lat": np.linspace(50, 49, 12), "lon": np.linspace(5, 6.4, 15)}
    found = hx.RiverNetwork.from_directions(xr.DataArray(directions, coords, ("lat", "lon")), "d8")
    n = len(found)
    more = {
        "travel_time": ("reach", np.zeros(n), {"units": "days"}),
        "area": ("reach", np.full(n, 86.4), {"units": "km2"}),
    }
    runoff = rng.gamma(1, 2, (n, 3))
    sim = xr.Dataset({"streamflow": (("reach", "time"), runoff, {"units": "mm/day"})})
    sim = sim.assign_coords(
        reach=found.reaches,
        time=np.arange("2000-01-01", "2000-01-04", dtype="datetime64[D]").astype("datetime64[ns]"),
    )
    routed = sim.hbv.route(hx.RiverNetwork(found.table.assign(more)), "linear")
    for day in range(3):
        field = np.zeros(directions.size)
        field[found.reaches] = runoff[:, day]
        expected = flow.accuflux(field.reshape(directions.shape)).ravel()[found.reaches]
        np.testing.assert_allclose(routed["discharge"].isel(time=day), expected, rtol=1e-9)

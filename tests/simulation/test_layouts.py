"""``ds.hbv.simulate`` gives the same for any order of dimensions, grid, list of cells or memory layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.models import parameter_network as network
from hydroxr.models.model import Model
from hydroxr.simulation.engine import block as blocks
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    flattened,
    make_grid,
    make_parameters,
)

KINDS = ("constant", "static", "dynamic", "filters")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


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
    """A number holds for every cell and component, one value per cell for every component."""
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

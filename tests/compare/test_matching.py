"""A product is matched with a simulation by labels of cells and periods."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
)
from tests.support.products import frame, product, simulation


def test_more_basins_in_another_order_are_matched_by_label() -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").sum(), "mm").isel(basin=[3, 1, 0, 2])
    out = hx.compare.evapotranspiration(sim.isel(basin=[0, 3]), given)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    named = given.assign_coords(basin=["g3", "g1", "g0", "g2"])  # as polygons bear the names of gauges
    xr.testing.assert_identical(hx.compare.evapotranspiration(sim.isel(basin=[0, 3]), named), out)
    with pytest.raises(CoordinateError, match="no basin 20"):
        hx.compare.evapotranspiration(sim, given.isel(basin=[0, 1, 2]))


def test_polygons_without_names_are_not_matched_by_position() -> None:
    """Where the simulation has names; names that a reader left as bytes are names."""
    sim = simulation().assign_coords(basin=range(4))
    given = product(frame(sim).resample("MS").sum(), "mm")
    named = given.assign_coords(basin=np.array([b"g0", b"g1", b"g2", b"g3"]))
    out = hx.compare.evapotranspiration(sim, named.isel(basin=[3, 1, 0, 2]))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    positions = given.isel(basin=[3, 1, 0, 2]).assign_coords(basin=range(4))
    for run in (sim, sim.assign_coords(basin=sim["basin_id"].values).drop_vars("basin_id")):
        with pytest.raises(CoordinateError, match=r"numbers its cells \(0, 1, 2, .*names them \(g0"):
            hx.compare.evapotranspiration(run, positions)


def test_a_missing_month_takes_no_other_with_it() -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").sum(), "mm")
    out = hx.compare.evapotranspiration(sim, given.isel(time=np.r_[0:4, 7:30]))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 27).all()

"""The parameter network without recurrence: its blocks, and what its parameters depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.inputs.time_axis import days_of_year
from hydroxr.models.filter_network import Blocks, FilterNetwork
from tests.support.labelled import make_dataset, untrained

SPEC = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"))


def test_blocks_start_on_1_january_and_every_five_days_after() -> None:
    """365 days have 73 blocks; 31 December of a leap year is a block of its own."""
    days = pd.date_range("2003-12-28", "2005-01-03")
    blocks = Blocks.of(days_of_year(days), continued=True)
    starts = days[blocks.starts.numpy()]
    assert list(starts[:2].strftime("%Y-%m-%d")) == ["2004-01-01", "2004-01-06"]
    assert list(starts[-2:].strftime("%Y-%m-%d")) == ["2004-12-31", "2005-01-01"]
    assert blocks.rows[:4].tolist() == [0] * 4  # a block that began on 27 December
    assert blocks.rows[-4:].tolist() == [74, 75, 75, 75]


@pytest.mark.parametrize("continued", [False, True])
@pytest.mark.parametrize("first", ["2004-02-27", "2004-03-01", "2004-12-30", "2003-06-05"])
def test_a_cut_changes_no_block(first: str, continued: bool) -> None:
    """The days after a cut are in the blocks that they are in without it."""
    days = pd.date_range("2003-01-01", "2005-12-31")
    place = days.get_loc(first)
    whole = Blocks.of(days_of_year(days)).rows
    part = Blocks.of(days_of_year(days[place:]), continued=continued).rows
    assert torch.equal(part, whole[place:] - whole[place])


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard"])
def test_any_calendar_has_blocks(calendar: str) -> None:
    index = xr.date_range("2004-01-01", periods=30, calendar=calendar, use_cftime=True)
    assert Blocks.of(days_of_year(index)).starts.tolist() == [0, 5, 10, 15, 20, 25]


def test_dynamic_parameters_keep_within_reach_of_the_static_ones() -> None:
    """However large the weights are, a departure is at most 2 before the sigmoid."""
    description = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET"))
    network = FilterNetwork(description, 3)
    with torch.no_grad():
        for weight in (network.read.weight, network.depart.weight):
            weight.copy_(torch.randn_like(weight) * 100)
    attributes, features = torch.randn(5, 3), torch.randn(40, 5, 18)
    static = network.parameters_from(attributes, None, ("BETA", "BETAET"))
    varying = network.parameters_from(attributes, features, ("BETA", "BETAET"))
    for name in ("BETA", "BETAET"):
        lower, upper = description.range_of(name)
        before, after = (torch.logit((each[name] - lower) / (upper - lower)) for each in (static, varying))
        furthest = float((after - before).abs().max().detach())
        assert 1.9 < furthest < 2.001


def test_a_storm_changes_no_day_before_it() -> None:
    """Static parameters know no weather, dynamic ones none to come."""
    ds = make_dataset(days=60, cells=3)
    model = untrained(SPEC)
    storm = ds.copy(deep=True)
    storm["prcp"][{"time": -1}] = 200.0
    calm, wet = (each.hbv.simulate(model)["streamflow"].isel(time=slice(0, -1)) for each in (ds, storm))
    xr.testing.assert_identical(calm.drop_attrs(), wet.drop_attrs())
    before, after = (each.hbv.parameters(model) for each in (ds, storm))
    for name in ("TT", "FC", "UH_SHAPE"):
        np.testing.assert_array_equal(before[name], after[name])


def test_dates_shifted_by_eight_years_change_nothing() -> None:
    """The same weather under other dates is the same water: 2,922 days are eight years."""
    ds = make_dataset(days=60, cells=3)
    model = untrained(SPEC)
    shifted = ds.assign_coords(time=ds["time"] + np.timedelta64(2922, "D"))
    now, then = (each.hbv.simulate(model)["streamflow"].values for each in (ds, shifted))
    np.testing.assert_array_equal(now, then)


def test_attributes_in_another_unit_give_the_same_network() -> None:
    """A small spread is no constant: it is measured against the mean."""
    module, small = (untrained(SPEC).network() for _ in range(2))
    forcing = torch.rand((40, 5, 3))
    attributes = torch.rand((5, 3)) + 3.0
    module.set_normalisation(forcing, attributes)
    small.set_normalisation(forcing, attributes * 1e-7)
    torch.testing.assert_close(small.attribute_std, module.attribute_std * 1e-7)
    constant = torch.full((5, 3), 0.1)
    small.set_normalisation(forcing, constant)
    assert torch.equal(small.attribute_std, torch.ones(3))


def test_parameters_are_the_static_ones_and_departures() -> None:
    """Without departures dynamic parameters are constant; TT and CFMAX have ranges of their own."""
    ds = make_dataset(days=30, cells=3)
    model = untrained(SPEC)
    weights = {**model.weights, "attribute_std": np.full(3, 1000.0, dtype="float32")}  # of raw attributes
    moving = replace(model, weights=weights)
    still = replace(model, weights={**weights, "depart.weight": weights["depart.weight"] * 0.0})
    assert (ds.hbv.parameters(moving)["BETA"].std("time") > 0).all()
    constant = ds.hbv.parameters(still)["BETA"]
    assert (constant == constant.isel(time=0)).all()
    assert SPEC.range_of("TT") == (-5.0, 2.5)
    assert SPEC.range_of("CFMAX") == (2.0, 10.0)
    assert hx.DeltaHBV(network="lstm").range_of("TT") == (-2.5, 2.5)

"""Missing forcing is an error, or filled and flagged on request."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr.errors import (
    MissingForcingError,
)
from hydroxr.models.model import Model
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    in_two,
    make_parameters,
)

KINDS = ("constant", "static", "dynamic", "filters")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


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

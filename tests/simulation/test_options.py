"""``ds.hbv.simulate(variables=...)`` keeps what is wanted; unknown options are refused."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr

from hydroxr.errors import (
    DescriptionError,
    MissingVariableError,
)
from tests.support.labelled import (
    assert_same_values,
    make_parameters,
)


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

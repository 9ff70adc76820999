"""Given parameters that do not fit the Dataset or HBV are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.errors import (
    CoordinateError,
    DimensionError,
    ParameterError,
)
from tests.support.labelled import (
    make_parameters,
    raise_if_dask_computes,
)


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
        (
            lambda p: p.assign(UH_SCALE=p["UH_SCALE"].expand_dims(depth=2)),
            DimensionError,
            "UH_SCALE.*'depth'",
        ),
        (lambda p: p.isel(basin=[0, 2]), CoordinateError, "basin g1"),
        (
            lambda p: p.assign_coords(basin_id=p["basin_id"].str.replace("g2", "g3")),
            CoordinateError,
            "basin g2",
        ),
        (lambda p: p.drop_vars("basin").isel(basin=[0, 1]), CoordinateError, "basin g2"),
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

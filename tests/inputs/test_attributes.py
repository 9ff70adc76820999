"""Attributes, observations and cells that a model needs must be there, and be the same."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    MissingAttributeError,
    MissingObservationError,
    MissingVariableError,
    UnitsError,
    ValueRangeError,
)
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.labelled import (
    make_parameters,
    raise_if_dask_computes,
    with_units,
    with_value,
)


@pytest.mark.parametrize("lazy", [False, True])
def test_attributes_that_a_model_needs_must_be_there(ds: xr.Dataset, static_model: Model, lazy: bool) -> None:
    """All that are absent are named."""
    ds = ds.drop_vars(["p_mean", "geol_class_1st"])
    with pytest.raises(MissingAttributeError, match=r"p_mean, geol_class_1st.*add"):
        (ds.chunk() if lazy else ds).hbv.simulate(static_model)


def test_attributes_that_are_chosen_must_be_there(ds: xr.Dataset) -> None:
    """Chosen ones that are absent are named; without any of the paper's, one must choose."""
    spec = hx.DeltaHBV(components=1, hidden=4, network="lstm")
    with pytest.raises(MissingAttributeError, match=r"slope_mean.*attributes=\["):
        ds.hbv.fit(spec, attributes=["p_mean", "slope_mean"], **FIT)
    with pytest.raises(MissingAttributeError, match=r"Table A1.*attributes=\[.*constant"):
        ds.drop_vars(["p_mean", "elev_mean", "frac_forest", "geol_class_1st"]).hbv.fit(spec, **FIT)


def test_attributes_do_not_vary_in_time(ds: xr.Dataset, static_model: Model) -> None:
    """A series is no attribute; in fit this is said before anything is read."""
    with raise_if_dask_computes(), pytest.raises(DimensionError, match=r"'tmean'.*'time'"):
        ds.chunk().hbv.fit(hx.DeltaHBV(components=1, hidden=4, network="lstm"), attributes=["tmean"], **FIT)
    with pytest.raises(DimensionError, match=r"'elev_mean'.*'time'"):
        ds.assign(elev_mean=ds["tmean"]).hbv.simulate(static_model)


def test_streamflow_to_learn_from_must_be_there(ds: xr.Dataset) -> None:
    """Absent, missing throughout, or missing wherever a window could be."""
    spec = hx.DeltaHBV(components=1, network="constant")
    with pytest.raises(MissingVariableError, match=r"streamflow, qobs, q.*'prcp'"):
        ds.drop_vars("streamflow").hbv.fit(spec, **FIT)
    with pytest.raises(MissingVariableError, match="'discharge'"):
        ds.hbv.fit(spec, target="discharge", **FIT)
    with pytest.raises(MissingObservationError, match="every day"):
        ds.assign(streamflow=ds["streamflow"].where(False)).hbv.fit(spec, **FIT)
    only_in_warmup = ds["streamflow"].where(ds["time"] < np.datetime64("2000-01-12"))
    with pytest.raises(MissingObservationError):
        ds.assign(streamflow=only_in_warmup).hbv.fit(spec, **FIT)


def test_streamflow_must_be_possible(ds: xr.Dataset) -> None:
    """-999 for a missing value is not learned from."""
    spec = hx.DeltaHBV(components=1, network="constant")
    with pytest.raises(ValueRangeError, match=r"streamflow.*-999.*g1 on 2000-01-11.*missing values"):
        with_value(ds, "streamflow", -999, day=10).hbv.fit(spec, **FIT)
    with pytest.raises(UnitsError, match=r"'streamflow'.*'cubic feet'"):
        with_units(ds, "streamflow", "cubic feet").hbv.fit(spec, **FIT)


def test_selections_must_hold_something(ds: xr.Dataset, static_model: Model) -> None:
    """A period outside of the data, one too short for a window, a parameter window outside."""
    spec = hx.DeltaHBV(components=1, network="constant")
    options = {key: value for key, value in FIT.items() if key != "time"}
    with pytest.raises(EmptySelectionError, match=r"1990.*2000-01-01 to 2000-02-29"):
        ds.hbv.fit(spec, time=slice("1990-01-01", "1995-01-01"), **options)
    with pytest.raises(EmptySelectionError, match=r"20 days.*10 for the warm-up.*20"):
        ds.hbv.fit(spec, time=slice("2000-01-01", "2000-01-20"), **options)
    with pytest.raises(EmptySelectionError, match=r"1990.*2000-01-01 to 2000-02-29"):
        ds.hbv.parameters(static_model, time=slice("1990-01-01", "1995-01-01"))


def test_cells_that_a_constant_model_does_not_know_are_refused(ds: xr.Dataset, constant_model: Model) -> None:
    """By label, where there is one, and by number; the order does not matter."""
    with pytest.raises(CoordinateError, match=r"no basin g9 in the model \(1 of 3") as caught:
        ds.assign_coords(basin_id=("basin", ["g0", "g1", "g9"])).hbv.simulate(constant_model)
    assert "np.str_" not in str(caught.value)
    with pytest.raises(CoordinateError, match=r"basin 31.*1 of 3"):
        ds.drop_vars("basin_id").assign_coords(basin=[10, 20, 31]).hbv.simulate(constant_model)
    with pytest.raises(CoordinateError, match=r"3.*2"):
        ds.isel(basin=[0, 1]).drop_vars(["basin", "basin_id"]).hbv.simulate(constant_model)
    known = ds.hbv.parameters(constant_model)["FC"]
    turned = ds.assign_coords(basin_id=("basin", ds["basin_id"].values[::-1])).hbv.parameters(constant_model)
    np.testing.assert_array_equal(turned["FC"], known[::-1])


def test_a_constant_model_of_one_place_does_not_know_another(ds: xr.Dataset) -> None:
    """Also where neither has a dimension of space."""
    model = ds.isel(basin=[0]).hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    with pytest.raises(CoordinateError, match="basin"):
        ds.isel(basin=[1]).hbv.simulate(model)
    single = ds.isel(basin=0).hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    with pytest.raises(CoordinateError, match="basin"):
        ds.isel(basin=1).hbv.simulate(single)


def test_what_does_not_name_places_does_not_tell_them_apart(ds: xr.Dataset) -> None:
    """A model runs on another scenario of its basins, which a scalar of text may name."""
    trained = ds.assign_coords(scenario="historical")
    model = trained.hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    warmer = ds.assign_coords(scenario="ssp585")
    warmer.hbv.simulate(model)
    _, state = trained.hbv.simulate(model, return_state=True)
    warmer.hbv.simulate(model, initial_state=state.drop_vars("time"))


def test_grids_that_do_not_match_are_refused(grid: xr.Dataset) -> None:
    """Parameters half a cell off."""
    parameters = make_parameters(grid)
    shifted = parameters.assign_coords(lat=parameters["lat"] + 0.25)
    with pytest.raises(CoordinateError, match=r"lat 45\.5"):
        grid.hbv.simulate(shifted)

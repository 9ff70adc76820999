"""Static parameters are read at the end of the training period, or of a window that is said."""

from __future__ import annotations

import pytest
import xarray as xr

from hydroxr.errors import (
    DescriptionError,
    HydroxrWarning,
)
from hydroxr.models.model import Model
from tests.support.labelled import (
    assert_same_values,
    make_dataset,
    make_parameters,
)

KINDS = ("constant", "static", "dynamic", "filters")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


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


def test_parameters_are_those_of_a_model(ds: xr.Dataset) -> None:
    """A Dataset of parameters is simulated with."""
    for wrong in (make_parameters(ds), "camels-us-dn"):
        with pytest.raises(DescriptionError, match=r"expected a model.*load_model.*simulate\(parameters\)"):
            ds.hbv.parameters(wrong)

"""``ds.hbv.simulate`` gives the values of the oracle, whatever the units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.models.model import Model
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    by_oracle,
    make_parameters,
)

KINDS = ("constant", "static", "dynamic", "filters")
CLOSE = {"rtol": 1e-6, "atol": 1e-5}  # mm; float32 rounds sums that are taken in another order


def as_kelvin(ds: xr.Dataset) -> xr.Dataset:
    """The same temperature in K."""
    return ds.assign(tmean=(ds["tmean"] + 273.15).assign_attrs(units="K"))


@pytest.mark.parametrize(
    ("dynamic", "without"),
    [
        ((), ()),
        ((), ("BETAET",)),
        ((), ("UH_SHAPE", "UH_SCALE")),
        (("BETA", "BETAET"), ()),
        (("K0", "TT", "FC"), ("BETAET",)),
    ],
)
def test_float64_agrees_with_the_oracle(
    ds: xr.Dataset, dynamic: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """All outputs, to 1e-10 mm, with static and dynamic parameters, with and without routing and BETAET."""
    parameters = make_parameters(ds, dynamic=dynamic, without=without)
    sim = ds.hbv.simulate(parameters, dtype="float64")
    expected, _ = by_oracle(ds, parameters)
    for name in OUTPUTS:
        actual = sim[name].transpose("time", "basin").values
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)
        assert actual.any() or name == "channel_storage", f"{name} is 0 throughout: nothing was tested"


def test_float32_is_close_to_the_oracle(ds: xr.Dataset) -> None:
    """To 1e-3 mm in stores of some hundred mm."""
    parameters = make_parameters(ds)
    sim = ds.hbv.simulate(parameters)
    expected, _ = by_oracle(ds, parameters)
    for name in OUTPUTS:
        np.testing.assert_allclose(sim[name].values.T, expected[name], rtol=1e-4, atol=1e-3, err_msg=name)


def test_components_apart_are_those_of_the_oracle_and_average_to_the_means(ds: xr.Dataset) -> None:
    """``components=True`` keeps them; streamflow and channel_storage have none."""
    parameters = make_parameters(ds, components=3)
    apart = ds.hbv.simulate(parameters, components=True, dtype="float64")
    means = ds.hbv.simulate(parameters, dtype="float64")
    expected, _ = by_oracle(ds, parameters, components=True)
    for name in OUTPUTS:
        whole = name in ("streamflow", "channel_storage")
        assert ("component" in apart[name].dims) is not whole
        one = apart[name] if whole else apart[name].mean("component")
        np.testing.assert_allclose(one.transpose(*means[name].dims), means[name], rtol=1e-12, atol=1e-12)
        order = ("time", "basin", "component")
        actual = apart[name].transpose(*order, missing_dims="ignore")
        np.testing.assert_allclose(actual, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_and_its_parameters_simulate_alike(
    ds: xr.Dataset, models: dict[str, Model], kind: str
) -> None:
    """``simulate(model)`` is ``simulate(ds.hbv.parameters(model))``."""
    parameters = ds.hbv.parameters(models[kind])
    sim = ds.hbv.simulate(models[kind]).drop_vars("attribute_flag", errors="ignore")  # of the model alone
    assert_same_values(sim, ds.hbv.simulate(parameters), **CLOSE)


def test_parameters_of_a_model_are_labelled(ds: xr.Dataset, dynamic_model: Model) -> None:
    """(basin, time, component) where dynamic, (basin, component) else, UH_* (basin); units and meaning
    each."""
    parameters = ds.hbv.parameters(dynamic_model)
    assert list(parameters.data_vars) == list(dynamic_model.description.parameters)
    assert set(parameters["BETA"].dims) == {"basin", "time", "component"}
    assert set(parameters["FC"].dims) == {"basin", "component"}
    assert parameters["UH_SCALE"].dims == ("basin",)
    assert all({"units", "long_name"} <= array.attrs.keys() for array in parameters.data_vars.values())
    np.testing.assert_array_equal(parameters["basin_id"], ds["basin_id"])


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.assign(prcp=(ds["prcp"] / 86400).assign_attrs(units="kg m-2 s-1")),
        lambda ds: ds.assign(prcp=(ds["prcp"] / 1000).assign_attrs(units="m/day")),
        lambda ds: ds.assign(prcp=(ds["prcp"] / 86_400_000).assign_attrs(units="m s-1")),
        lambda ds: ds.assign(prcp=ds["prcp"].assign_attrs(units="kg m-2 day-1")),
        lambda ds: ds.assign(pet=(ds["pet"] / 86400).assign_attrs(units="kg m-2 s-1")),
        as_kelvin,
    ],
    ids=["kg m-2 s-1", "m/day", "m s-1", "kg m-2 day-1", "pet in kg m-2 s-1", "K"],
)
def test_units_make_no_difference(ds: xr.Dataset, change: Any) -> None:
    """The same weather in other units gives the same run."""
    ds = ds.assign({name: ds[name].astype(float) for name in ("prcp", "tmean", "pet")})
    parameters = make_parameters(ds)
    sims = [one.hbv.simulate(parameters, dtype="float64") for one in (change(ds), ds)]
    assert_same_values(*sims, rtol=1e-9, atol=1e-9)

"""Weights and hydrographs of components, corrections and capillary rise in labelled runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.dimensions import component_mean
from hydroxr.errors import DescriptionError, MissingVariableError
from tests.conftest import FIT
from tests.support.labelled import assert_same_values, in_two, make_parameters, untrained

ALL: dict[str, Any] = {
    "component_weights": True,
    "component_routing": True,
    "precipitation_correction": True,
    "pet_correction": True,
    "capillary_rise": True,
}
SPEC = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"), **ALL)


def test_results_name_what_was_corrected(ds: xr.Dataset) -> None:
    """The balance closes with the corrected precipitation, which the result has."""
    model = untrained(SPEC)
    sim = ds.hbv.simulate(model)
    factor = sim["precipitation_correction"]
    assert factor.dims == ("basin",)
    assert ((factor > 0.78) & (factor < 1.28) & (factor != 1.0)).all()
    assert "corrected" in factor.attrs["comment"]
    given = ds["prcp"].transpose("basin", "time")
    np.testing.assert_allclose(sim["rainfall"] + sim["snowfall"], given * factor, rtol=1e-5, atol=1e-6)
    assert sim.hbv.water_balance()["closed"].all()
    parameters = ds.hbv.parameters(model)
    np.testing.assert_array_equal(parameters["PCORR"], factor)
    np.testing.assert_array_equal(parameters["ECORR"], sim["pet_correction"])


def test_water_rises_where_the_model_lets_it(ds: xr.Dataset) -> None:
    """It is a variable of such models alone, and C may vary from day to day."""
    spec = hx.DeltaHBV(components=2, hidden=4, dynamic=("C",), capillary_rise=True)
    sim = ds.hbv.simulate(untrained(spec))
    assert bool((sim["capillary_rise"].sum("time") > 0).all())
    assert sim.hbv.water_balance()["closed"].all()
    without = untrained(hx.DeltaHBV(components=2, hidden=4))
    assert "capillary_rise" not in ds.hbv.simulate(without)
    with pytest.raises(MissingVariableError, match="'capillary_rise' is not an output of the model"):
        ds.hbv.simulate(without, variables=["capillary_rise"])
    with pytest.raises(DescriptionError, match=r"C is dynamic.*capillary_rise=True"):
        hx.DeltaHBV(dynamic=("C",))


def test_components_have_their_weights(ds: xr.Dataset) -> None:
    """Every mean over components is by weights, and so is the balance of a run with components."""
    model = untrained(SPEC)
    mean, each = ds.hbv.simulate(model), ds.hbv.simulate(model, components=True)
    assert each["component_weight"].dims == ("basin", "component")
    np.testing.assert_allclose(each["component_weight"].sum("component"), 1.0, rtol=1e-6)
    for name in ("runoff", "snowpack", "evapotranspiration"):
        np.testing.assert_allclose(component_mean(each[name]), mean[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(component_mean(each)["runoff"], mean["runoff"], rtol=1e-5, atol=1e-6)
    assert each.hbv.water_balance()["closed"].all()
    assert "component_weight" not in mean.variables


@pytest.mark.parametrize("kind", ["filters", "lstm", "constant"])
def test_a_trained_model_is_saved_and_continued(ds: xr.Dataset, kind: Any, tmp_path: Path) -> None:
    spec = hx.DeltaHBV(components=2, network=kind, hidden=4, dynamic=("BETA",) if kind != "constant" else ())
    spec = hx.DeltaHBV(**spec.to_dict() | ALL)
    model = ds.hbv.fit(spec, **FIT)
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert loaded == model
    assert all(getattr(loaded.description, name) for name in ALL)
    whole = ds.hbv.simulate(loaded)
    window = {"rtol": 1e-5, "atol": 1e-5}
    assert_same_values(in_two(ds, [loaded], 45), whole, **window)
    lazy = ds.chunk({"time": 20}).hbv.simulate(loaded, memory="1MB")
    assert_same_values(whole[["streamflow", "precipitation_correction"]], lazy, **window)


def test_given_parameters_may_have_them(ds: xr.Dataset, tmp_path: Path) -> None:
    """Parameters that a model gave run without it, and results with components go to a file."""
    model = untrained(SPEC)
    parameters = ds.hbv.parameters(model)
    assert parameters["UH_SHAPE"].dims == ("basin", "component")
    by_hand = ds.hbv.simulate(parameters)
    assert_same_values(ds.hbv.simulate(model)[["streamflow", "pet_correction"]], by_hand, rtol=1e-6)
    each = ds.hbv.simulate(parameters, components=True)
    each.hbv.to_netcdf(tmp_path / "run.nc")
    each.chunk().hbv.to_zarr(tmp_path / "run.zarr", progress=False)
    for name in ("run.nc", "run.zarr"):
        read = hx.open_run(tmp_path / name)
        weights = read["component_weight"].transpose("basin", "component")
        np.testing.assert_array_equal(weights, each["component_weight"])
        assert read.hbv.water_balance()["closed"].all()
    plain = make_parameters(ds)
    assert "precipitation_correction" not in ds.hbv.simulate(plain)


def test_ranges_are_chosen(ds: xr.Dataset) -> None:
    spec = hx.DeltaHBV(components=2, network="mlp", hidden=4, ranges={"TT": (-3, 3), "FC": (20, 2000)})
    assert spec.range_of("TT") == (-3.0, 3.0)
    assert spec.range_of("BETA") == (1.0, 6.0)
    assert hx.DeltaHBV(**spec.to_dict()) == spec
    assert hash(spec) == hash(hx.DeltaHBV(**spec.to_dict()))
    found = ds.hbv.parameters(untrained(spec))["FC"]
    usual = ds.hbv.parameters(untrained(hx.DeltaHBV(components=2, network="mlp", hidden=4)))["FC"]
    np.testing.assert_allclose((found - 20) / 1980, (usual - 50) / 950, rtol=1e-4)


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"XYZ": (0, 1)}, "ranges has 'XYZ', which this model does not have"),
        ({"TT": (2, -2)}, "the range of TT is 2 to -2 degC; expected a lower and a higher number"),
        ({"K0": (0, 1.5)}, "K0 is 0 to 1.5 day-1; .* from 0 to 1"),
        ({"BETA": 3}, "expected lower and upper bounds by parameter"),
        (7, "expected lower and upper bounds by parameter"),
    ],
)
def test_ranges_that_are_refused(ranges: Any, words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        hx.DeltaHBV(ranges=ranges, network="lstm")


def test_a_description_without_options_says_nothing_of_them() -> None:
    """So that models from before keep their checksum."""
    values = hx.DeltaHBV(network="lstm").to_dict()
    assert set(values) == {"components", "dynamic", "network", "hidden", "dropout"}
    with pytest.raises(DescriptionError, match="'PCORR' cannot be dynamic"):
        hx.DeltaHBV(dynamic=("PCORR",), precipitation_correction=True, network="lstm")

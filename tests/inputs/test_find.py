"""Inputs are found by name, then by standard name; two candidates are an error."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr.errors import (
    AmbiguousVariableError,
    MissingVariableError,
)
from hydroxr.inputs import resolve
from hydroxr.inputs.find import find
from tests.support.labelled import (
    assert_same_values,
    make_parameters,
    with_extremes,
)

# The contract's table.
NAMES = {
    "prcp": ("prcp", "pr", "precipitation"),
    "tmean": ("tmean", "tas", "t2m"),
    "pet": ("pet", "evspsblpot"),
    "streamflow": ("streamflow", "qobs", "q"),
}
STANDARD_NAMES = {
    "prcp": ("precipitation_flux", "lwe_precipitation_rate"),
    "tmean": ("air_temperature",),
    "pet": ("water_potential_evaporation_flux",),
    "streamflow": ("runoff_flux",),
}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in NAMES.items() for name in names])
def test_inputs_are_found_by_name(ds: xr.Dataset, role: str, name: str) -> None:
    """Every name of the contract."""
    renamed = ds.rename({role: name}) if role != name else ds
    assert find(renamed, role) == name
    renamed.hbv.check()


@pytest.mark.parametrize(
    ("role", "standard_name"), [(role, name) for role, names in STANDARD_NAMES.items() for name in names]
)
def test_inputs_are_found_by_standard_name(ds: xr.Dataset, role: str, standard_name: str) -> None:
    """Where no name is known, every standard name of the contract; the result is the same."""
    parameters = make_parameters(ds)
    renamed = ds.rename({role: "mine"})
    renamed["mine"].attrs["standard_name"] = standard_name
    assert find(renamed, role) == "mine"
    assert_same_values(renamed.hbv.simulate(parameters), ds.hbv.simulate(parameters))


def test_a_name_counts_before_a_standard_name(ds: xr.Dataset) -> None:
    """``prcp`` is the precipitation, whatever else has its standard name."""
    other = (ds["prcp"] * 2).assign_attrs(units="mm/day", standard_name="precipitation_flux")
    assert find(ds.assign(other=other), "prcp") == "prcp"


@pytest.mark.parametrize(
    ("role", "name"), [("prcp", "pr"), ("tmean", "t2m"), ("pet", "evspsblpot"), ("streamflow", "q")]
)
def test_two_names_are_an_error_that_has_both(ds: xr.Dataset, role: str, name: str) -> None:
    """No rule decides between two of the contract's names."""
    with pytest.raises(AmbiguousVariableError, match=rf"{role}.*{name}.*drop_vars"):
        ds.assign({name: ds[role]}).hbv.check()


def test_two_standard_names_are_an_error_that_has_both(ds: xr.Dataset) -> None:
    """Nor between two standard names."""
    ds = ds.rename(prcp="gauge").assign(radar=ds["prcp"])
    for name in ("gauge", "radar"):
        ds[name].attrs["standard_name"] = "precipitation_flux"
    with pytest.raises(AmbiguousVariableError, match=r"(?s)gauge.*radar|radar.*gauge"):
        ds.hbv.simulate(make_parameters(ds.rename(gauge="prcp")))


def test_bounds_and_other_variables_do_not_count(ds: xr.Dataset) -> None:
    """Space is what the precipitation has beside time; bounds and profiles may lie about."""
    parameters = make_parameters(ds)
    more = ds.assign(
        time_bnds=(("time", "bnds"), np.stack([ds["time"], ds["time"]], axis=1)),
        soil=(("basin", "depth"), np.zeros((3, 4))),
        pr_error=(
            ("basin", "time"),
            np.zeros((3, 60)),
            {"standard_name": "precipitation_flux standard_error"},
        ),
    )
    sim = more.hbv.simulate(parameters)
    assert sim["streamflow"].dims == ("basin", "time")
    assert_same_values(sim, ds.hbv.simulate(parameters))


def test_extremes_stand_in_for_the_mean(ds: xr.Dataset) -> None:
    """Without tmean, the mean of tmin and tmax, each in its own units; extremes are not mistaken for the
    mean."""
    extremes = with_extremes(ds)
    for name, method in (("tmin", "minimum"), ("tmax", "maximum")):
        extremes[name].attrs |= {"standard_name": "air_temperature", "cell_methods": f"time: {method}"}
    with_mean = extremes.assign(pet=ds["pet"])
    without = with_mean.drop_vars("tmean")
    kelvin = without.assign(tmax=(without["tmax"] + 273.15).assign_attrs(units="K"))
    parameters = make_parameters(ds)
    expected = with_mean.hbv.simulate(parameters)
    assert_same_values(without.hbv.simulate(parameters), expected, atol=1e-3)
    assert_same_values(kelvin.hbv.simulate(parameters), expected, atol=1e-2)


def test_discharge_is_brought_to_depth_by_the_area(ds: xr.Dataset) -> None:
    """1 m3 s-1 from 86.4 km2 is 1 mm/day."""
    ds["streamflow"] = xr.ones_like(ds["streamflow"]).assign_attrs(units="m3 s-1")
    area = xr.DataArray([86.4, 864.0, 8.64], dims="basin", attrs={"units": "km2"})
    observed = resolve.observed_streamflow(ds.assign(area_gages2=area))
    np.testing.assert_allclose(observed.isel(time=0), [1.0, 0.1, 10.0], rtol=1e-6)
    in_m2 = ds.assign(area=(area * 1e6).assign_attrs(units="m2"))
    np.testing.assert_allclose(resolve.observed_streamflow(in_m2), observed, rtol=1e-6)
    with pytest.raises(MissingVariableError, match=r"'streamflow'.*m3 s-1.*area.*km2"):
        resolve.observed_streamflow(ds)

"""Inputs are found by name, then by standard name; two candidates are an error."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr.errors import (
    AmbiguousVariableError,
    MissingAttributeError,
    MissingVariableError,
)
from hydroxr.inputs import resolve
from hydroxr.inputs.find import find, nearest
from hydroxr.inputs.resolve import Inputs
from hydroxr.models.specs import DeltaHBV
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


# Daily series as published; a role's own variable first, with its unit.
WATER = {"prcp": "mm/day", "pet": "mm/day", "tmean": "degC", "tmin": "degC", "tmax": "degC"}
DATA_SETS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    # data set: (variable for each role, others with their units)
    "CAMELS-GB": (
        {"prcp": "precipitation", "tmean": "temperature", "pet": "pet", "streamflow": "discharge_spec"},
        {"discharge_vol": "m3 s-1", "peti": "mm/day"},
    ),
    "CAMELS-CH": (
        {"prcp": "precipitation", "tmean": "temperature_mean", "tmin": "temperature_min"}
        | {"tmax": "temperature_max", "streamflow": "discharge_spec"},
        {"discharge_vol": "m3/s", "waterlevel": "m"},
    ),
    "CAMELS-DE": (
        {"prcp": "precipitation_mean", "tmean": "temperature_mean", "streamflow": "discharge_spec"},
        {"precipitation_max": "mm/day", "discharge_vol": "m3/s", "water_level": "m"},
    ),
    "CAMELS-BR": (
        {"prcp": "precipitation_chirps", "streamflow": "streamflow_mm"},
        {"streamflow_m3s": "m3 s-1"},
    ),
    "CAMELS-CL": (
        {"prcp": "precip_cr2met", "tmean": "tmean_cr2met", "tmin": "tmin_cr2met", "pet": "pet_hargreaves"},
        {},
    ),
    "CAMELS-DK": ({"prcp": "precipitation", "tmean": "temperature", "pet": "pet", "streamflow": "Qobs"}, {}),
    "CAMELS-FR": ({"prcp": "tsd_prec", "tmean": "tsd_temp", "streamflow": "tsd_q_mm"}, {"tsd_q_l": "L s-1"}),
    "LamaH-CE": ({"prcp": "prec", "tmean": "2m_temp_mean", "tmax": "2m_temp_max", "streamflow": "qobs"}, {}),
    "Caravan": (
        {"prcp": "total_precipitation_sum", "tmean": "temperature_2m_mean", "streamflow": "streamflow"}
        | {"tmin": "temperature_2m_min", "pet": "potential_evaporation_sum_FAO_PENMAN_MONTEITH"},
        {"surface_pressure_mean": "kPa"},
    ),
    "gridMET": (
        {"prcp": "precipitation_amount", "pet": "potential_evapotranspiration"}
        | {"tmin": "daily_minimum_temperature", "tmax": "daily_maximum_temperature"},
        {},
    ),
    "NLDAS-2": ({"prcp": "Rainf", "tmean": "Tair", "pet": "PotEvap"}, {"Qair": "kg kg-1"}),
    "E-OBS": ({"prcp": "rr", "tmean": "tg", "tmin": "tn", "tmax": "tx"}, {}),
    "CMIP6": ({"prcp": "pr", "tmean": "tas", "tmin": "tasmin", "pet": "evspsblpot"}, {"prsn": "kg m-2 s-1"}),
}


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_inputs_are_found_by_their_names_in_data_sets(ds: xr.Dataset, data_set: str) -> None:
    """A role that the data set does not have is not found."""
    roles, others = DATA_SETS[data_set]
    units = {name: WATER.get(role, "mm/day") for role, name in roles.items()} | others
    published = xr.Dataset({name: ds["prcp"].assign_attrs(units=unit) for name, unit in units.items()})
    found = {role: find(published, role) for role in ("prcp", "tmean", "tmin", "tmax", "pet", "streamflow")}
    assert {role: name for role, name in found.items() if name is not None} == roles


def test_names_of_data_sets_come_after_names_and_standard_names(ds: xr.Dataset) -> None:
    """``rr`` beside ``prcp``, or beside a standard name, is another one."""
    both = ds.assign(rr=ds["prcp"])
    assert find(both, "prcp") == "prcp"
    named = both.rename(prcp="gauge").assign()
    named["gauge"].attrs["standard_name"] = "precipitation_flux"
    assert find(named, "prcp") == "gauge"
    with pytest.raises(AmbiguousVariableError, match=r"'rr' \(mm/day\).*tp|'tp' \(mm/day\).*rr"):
        find(ds.rename(prcp="tp").assign(rr=ds["prcp"]), "prcp")


def test_potential_evapotranspiration_that_is_there_is_not_computed(ds: xr.Dataset) -> None:
    """gridMET's own, whose depths are sums of the day, beside what Hargreaves needs."""
    attrs = {"units": "mm", "cell_methods": "time: sum(interval: 24 hours)"}
    lat = ("basin", [45.0, 46.0, 47.0], {"units": "degrees_north"})
    own = with_extremes(ds).assign(potential_evapotranspiration=ds["pet"].assign_attrs(attrs))
    own = own.assign_coords(lat=lat)
    np.testing.assert_allclose(own.hbv.pet(), ds["pet"])


@pytest.mark.parametrize("lazy", [False, True])
def test_rain_and_snow_apart_are_precipitation(ds: xr.Dataset, lazy: bool) -> None:
    """Their sum, each in its own units; the result says so."""
    rain = (0.75 * ds["prcp"] / 86400).assign_attrs(units="kg m-2 s-1")
    apart = ds.drop_vars("prcp").assign(rain=rain, snow=(0.25 * ds["prcp"]).assign_attrs(units="mm/day"))
    parameters = make_parameters(ds)
    sim = (apart.chunk(basin=1) if lazy else apart).hbv.simulate(parameters)
    assert_same_values(sim, ds.hbv.simulate(parameters), atol=1e-4)
    assert "the sum of 'rain' and 'snow'" in sim.attrs["forcing_provenance"]
    assert Inputs(apart).unused == []
    with pytest.raises(MissingVariableError, match=r"ds\.rename\(rain='prcp'\)"):
        apart.drop_vars("snow").hbv.simulate(parameters)


def test_series_that_are_not_used_are_named(ds: xr.Dataset) -> None:
    """With what they look like, what is used instead, and what to do; other quantities are nobody's."""
    more = ds.assign(
        pet_harg=ds["pet"], gauge_flow=ds["streamflow"].assign_attrs(units="cfs"), soil_temp=ds["tmean"]
    )
    more["pressure_of_precipitable"] = ds["prcp"].assign_attrs(units="hPa")
    more["petrology"] = "basin", [1, 2, 3]
    remarks = Inputs(more).unused
    assert [remark.partition(" ")[0] for remark in remarks] == ["'soil_temp'", "'pet_harg'", "'gauge_flow'"]
    assert "'pet_harg' (mm/day) looks like potential evapotranspiration, but 'pet' is used" in remarks[1]
    assert set(remarks) <= set(more.hbv.check().remarks)
    renamed = eval(remarks[1].partition("to use it: ")[2], {"ds": more})
    assert Inputs(renamed).name("pet") == "pet"
    assert Inputs(renamed).unused == [remarks[0], remarks[2]]
    without = Inputs(more.drop_vars("streamflow")).unused[-1]
    assert "but is not used; to use it: ds.rename({'gauge_flow': 'streamflow'})" in without


def test_messages_list_the_nearest_of_many_names(ds: xr.Dataset) -> None:
    """Not all 150."""
    many = ds.drop_vars("prcp").assign({f"attribute_{number}": 1.0 for number in range(150)})
    with pytest.raises(MissingVariableError) as caught:
        many.assign(Prcpt=ds["prcp"]).hbv.check()
    assert "it has 'Prcpt'" in str(caught.value)
    assert "attribute_99" not in str(caught.value)
    with pytest.raises(MissingAttributeError, match="has 'elev_mean'") as caught_too:
        many.assign(prcp=ds["prcp"]).hbv.fit(DeltaHBV(components=1), attributes=["elev_meen"])
    assert "attribute_99" not in str(caught_too.value)
    assert nearest(["a", "b"], ["c"]) == "'a', 'b'"


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

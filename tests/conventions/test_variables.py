"""The table of variables: unique, complete, and consistent with CF and the paper."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import cf_xarray  # noqa: F401  registers ds.cf
import pytest

from hydroxr.conventions.variables import ATTRIBUTES, DERIVED, OUTPUTS, VARIABLES
from hydroxr.physics import PARAMETERS
from tests.support import labelled

# Names that the CF standard-name table (version 93) has, with its canonical units. Looked up in the table
# that comes with IOOS compliance-checker 6.1.0, as must be every name before it is added here.
STANDARD_NAMES = {
    "air_temperature": "K",
    "baseflow_amount": "kg m-2",
    "downward_liquid_water_mass_flux_into_groundwater": "kg m-2 s-1",
    "groundwater_amount": "kg m-2",
    "land_water_amount": "kg m-2",
    "latitude": "degree_north",
    "liquid_water_content_of_surface_snow": "kg m-2",
    "liquid_water_mass_flux_into_soil_due_to_surface_snow_melt": "kg m-2 s-1",
    "lwe_precipitation_rate": "m s-1",
    "mass_content_of_water_in_soil": "kg m-2",
    "precipitation_amount": "kg m-2",
    "precipitation_flux": "kg m-2 s-1",
    "quality_flag": "1",
    "rainfall_amount": "kg m-2",
    "rainfall_flux": "kg m-2 s-1",
    "runoff_amount": "kg m-2",
    "runoff_flux": "kg m-2 s-1",
    "snowfall_amount": "kg m-2",
    "snowfall_flux": "kg m-2 s-1",
    "status_flag": "1",
    "surface_runoff_amount": "kg m-2",
    "surface_runoff_flux": "kg m-2 s-1",
    "surface_snow_amount": "kg m-2",
    "surface_snow_and_ice_refreezing_flux": "kg m-2 s-1",
    "surface_snow_melt_amount": "kg m-2",
    "surface_snow_melt_flux": "kg m-2 s-1",
    "water_evapotranspiration_amount": "kg m-2",
    "water_evapotranspiration_flux": "kg m-2 s-1",
    "water_potential_evaporation_amount": "kg m-2",
    "water_potential_evaporation_flux": "kg m-2 s-1",
    "water_volume_transport_in_river_channel": "m3 s-1",
}
# The unit in hydroxr for each canonical unit of CF.
SAME_DIMENSION = {
    "kg m-2 s-1": "kg m-2 day-1",
    "kg m-2": "kg m-2",
    "K": "degC",
    "degree_north": "degrees_north",
    "1": "1",
    "m3 s-1": "m3 s-1",
}

# Ranges and units as published with Feng et al. (2022).
SYMBOLS = {
    "streamflow": "Q*",
    "runoff": "Q",
    "quick_flow": "Q0",
    "interflow": "Q1",
    "baseflow": "Q2",
    "evapotranspiration": "ET",
    "rainfall": "Pr",
    "snowfall": "Ps",
    "snowmelt": "smelt",
    "refreezing": "Rfz",
    "snow_infiltration": "Isnow",
    "effective_rainfall": "Peff",
    "excess": "Ex",
    "percolation": "Perc",
    "snowpack": "Sp",
    "snow_liquid_water": "Sliq",
    "soil_moisture": "Ss",
    "upper_zone_storage": "Suz",
    "lower_zone_storage": "Slz",
    "channel_storage": None,
}
OPTIONAL = {"capillary_rise": "Cap"}  # of models that let water rise


def test_outputs_are_complete() -> None:
    """Exactly the expected names, with the symbols of the paper."""
    assert set(OUTPUTS) == {*labelled.OUTPUTS, *OPTIONAL}
    assert len(OUTPUTS) == len(set(OUTPUTS))
    assert {name: VARIABLES[name].symbol for name in OUTPUTS} == SYMBOLS | OPTIONAL


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_says_what_it_is(name: str) -> None:
    """Each has a long name and units, and its key is its name."""
    row = VARIABLES[name]
    assert row.name == name
    assert row.units
    assert row.long_name
    assert {"long_name", "units"} <= row.attrs().keys()
    assert None not in row.attrs().values()


def test_long_names_are_unique() -> None:
    """Two variables never have the same label in a plot."""
    assert len({row.long_name for row in VARIABLES.values()}) == len(VARIABLES)


def test_no_name_is_understood_for_two_roles() -> None:
    """A name identifies one role only."""
    names = [name for row in VARIABLES.values() for name in row.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", VARIABLES)
def test_standard_names_exist_and_fit(name: str) -> None:
    """Standard names are in the CF table, with units of the same dimension."""
    row = VARIABLES[name]
    assert {*row.standard_names} <= STANDARD_NAMES.keys()
    if row.standard_name is not None:
        assert SAME_DIMENSION[STANDARD_NAMES[row.standard_name]] == row.units
    if row.amount_name is not None:
        assert row.units == "kg m-2 day-1"
        assert STANDARD_NAMES[row.amount_name] == "kg m-2"


def test_each_standard_name_is_used_once() -> None:
    """``sim.cf["runoff_flux"]`` finds one variable, even in a run with all derived variables."""
    rows = [row for row in VARIABLES.values() if row.role not in ("forcing", "observation")]
    for attribute in ("standard_name", "amount_name"):
        names = [getattr(row, attribute) for row in rows if getattr(row, attribute)]
        assert len(names) == len(set(names)) > 0


@pytest.mark.parametrize("summed", [False, True])
def test_cf_xarray_finds_every_standard_name(summed: bool) -> None:
    """In a simulation with all derived variables, and in its monthly sums."""
    ds = labelled.make_dataset(400)
    ds["prcp"][0, 3] = float("nan")
    parameters = labelled.make_parameters(ds).assign(C=("basin", [0.0, 0.5, 1.0]))
    sim = ds.hbv.simulate(parameters, missing="fill")
    area = ds["p_mean"].assign_attrs(units="km2")
    made = sim.hbv.derive(DERIVED, area=area)
    made = made.hbv.aggregate_time("month", fluxes="sum") if summed else made
    standard = {name: array.attrs.get("standard_name") for name, array in made.data_vars.items()}
    for name in set(OUTPUTS) | set(DERIVED) | {"forcing_flag"}:
        row = VARIABLES[name]
        expected = row.amount_name if summed and row.role == "flux" else row.standard_name
        assert standard[name] == expected
        if expected is not None:
            assert made.cf[expected].name == name
    assert {"surface_snow_amount", "land_water_amount", "status_flag"} <= set(standard.values())


def test_parts_do_not_have_the_name_of_the_whole() -> None:
    """surface_snow_amount includes liquid water, and runoff_flux is runoff from land, not streamflow."""
    assert VARIABLES["snowpack"].standard_name is None
    assert VARIABLES["streamflow"].standard_name is None


def test_attributes_are_the_35_of_table_a1() -> None:
    """No duplicates; text attributes are last."""
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) == 35
    assert ATTRIBUTES[-3:] == ("geol_class_1st", "geol_class_2nd", "dom_land_cover")


def test_tables_cannot_be_changed() -> None:
    """Rows are immutable."""
    with pytest.raises(FrozenInstanceError):
        VARIABLES["runoff"].units = "mm"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        PARAMETERS["FC"].upper = 1.0  # type: ignore[misc]

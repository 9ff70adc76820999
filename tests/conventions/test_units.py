"""Units in any usual spelling are converted; unknown units are refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr.conventions.units import canonical, convert, factor_offset, quantity_of, same_units
from hydroxr.conventions.variables import VARIABLES
from hydroxr.errors import UnitsError

WATER = {
    # One kilogram of water over a square metre is one millimetre deep; a day has 86,400 seconds.
    1.0: (
        "mm/day",
        "mm day-1",
        "mm d-1",
        "mm/d",
        "mm day^-1",
        "mm day**-1",
        "MM/DAY",
        " mm / day ",
        "kg m-2 day-1",
        "kg m-2 d-1",
        "kg/m2/day",
        "kg/m^2/day",
        "kg m**-2 day**-1",
        "kg.m-2.day-1",
        "kg*m-2*day-1",
        "day-1 kg m-2",
        "millimeter/day",
    ),
    86400.0: ("kg m-2 s-1", "kg/m2/s", "kg m^-2 s^-1", "kg m**-2 s**-1", "mm s-1", "mm/s"),
    1000.0: ("m/day", "m day-1", "m d-1"),
    86_400_000.0: ("m s-1", "m/s", "m s**-1"),
}


@pytest.mark.parametrize(
    ("factor", "units"), [(factor, units) for factor, all_ in WATER.items() for units in all_]
)
def test_water_fluxes(factor: float, units: str) -> None:
    """Every usual spelling; ``factor`` converts to mm/day."""
    assert factor_offset(units, "water flux", name="prcp") == (pytest.approx(factor), 0.0)


@pytest.mark.parametrize(
    "units", ["degC", "C", "°C", "celsius", "Celsius", "degree_Celsius", "degrees_celsius", "deg_C"]
)
def test_celsius(units: str) -> None:
    """Every usual spelling."""
    assert factor_offset(units, "temperature", name="tmean") == (1.0, 0.0)


@pytest.mark.parametrize("units", ["K", "kelvin", "Kelvin"])
def test_kelvin(units: str) -> None:
    """0 degC is 273.15 K."""
    assert factor_offset(units, "temperature", name="tmean") == (1.0, -273.15)


@pytest.mark.parametrize("units", ["m3 s-1", "m3/s", "m^3 s^-1", "m**3 s**-1", "m3 sec-1"])
def test_discharge(units: str) -> None:
    """Recognised as discharge, which needs an area."""
    assert quantity_of(units) == "discharge"


@pytest.mark.parametrize("units", ["km2", "km^2", "km**2"])
def test_area(units: str) -> None:
    """Square kilometres and square metres."""
    assert factor_offset(units, "area", name="area") == (1.0, 0.0)
    assert factor_offset(units.replace("km", "m"), "area", name="area") == (pytest.approx(1e-6), 0.0)


@pytest.mark.parametrize(
    "units",
    [
        "mm",  # an amount of who knows which time
        "mm/month",
        "mm/h",
        "mm/3h",
        "inch/day",
        "cm/day",
        "kg m-2",
        "kg m2 s-1",
        "m s-2",
        "W m-2",
        "1",
        "%",
        "degC",
        "m3 s-1",
        "kg/m^2/8day",
        "days",
        # A number before the unit is a factor, and one that is overlooked makes every value wrong.
        "0.1 mm/day",
        "10 mm/day",
        "1000 kg m-2 s-1",
        "1e-3 m/day",
        "10^-3 m/day",
        "mm/10 day",
        "mm/day (liquid)",
    ],
)
def test_unknown_units_are_refused(units: str) -> None:
    """The message names variable and units, and lists the known units."""
    with pytest.raises(UnitsError) as caught:
        factor_offset(units, "water flux", name="pr")
    for part in ("'pr'", repr(units), "mm/day", "kg m-2 s-1"):
        assert part in str(caught.value)


@pytest.mark.parametrize("units", [None, "", "  "])
def test_no_units_are_refused(units: str | None) -> None:
    """The message shows how to set them."""
    with pytest.raises(UnitsError, match=r"'pr' has no 'units'.*mm/day.*ds\['pr'\]\.attrs"):
        factor_offset(units, "water flux", name="pr")


def test_spelling_does_not_matter_but_powers_do() -> None:
    """A unit is a product of powers."""
    assert canonical("kg m-2 s-1") == canonical("kg/m2/s") == canonical("s-1 kg m**-2")
    assert canonical("m s-1") != canonical("m s-2") != canonical("m2 s-2")


def test_conversion_takes_the_table_s_attributes_and_leaves_the_original() -> None:
    """Name and attributes of the input do not change, even if the units are the same."""
    for units, factor in (("mm/day", 1.0), ("m/day", 1000.0)):
        given = xr.DataArray([1.0, 2.0], dims="time", name="pr", attrs={"units": units, "comment": "mine"})
        before = given.copy(deep=True)
        out = convert(given, VARIABLES["prcp"])
        np.testing.assert_allclose(out, factor * before)
        assert out.name == "prcp"
        assert out.attrs["units"] == "kg m-2 day-1"
        assert "comment" not in out.attrs
        xr.testing.assert_identical(given, before)


def test_conversion_keeps_float32_and_laziness() -> None:
    """Conversion neither doubles the memory nor computes anything."""
    given = xr.DataArray(np.ones(4, "float32"), dims="time", name="pr", attrs={"units": "kg m-2 s-1"}).chunk(
        time=2
    )
    out = convert(given, VARIABLES["prcp"])
    assert out.dtype == np.float32
    assert out.chunks == ((2, 2),)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("W m-2", "W/m2", True),
        ("W m-2", "m-2 W", True),
        ("s", "seconds", True),
        (" Pa ", "Pa", True),
        ("%", "%", True),
        ("Pa", "hPa", False),
        ("MPa", "mPa", False),
        ("W m-2", "W m2", False),
    ],
)
def test_units_are_the_same_however_they_are_spelled(first: str, second: str, same: bool) -> None:
    """Spelling does not matter, but case does."""
    assert same_units(first, second) is same

"""Units in any usual spelling are converted; unknown units are refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hydroxr.conventions.units import convert, factor_offset, quantity_of, same_units
from hydroxr.conventions.variables import VARIABLES, Quantity
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
    86400.0: ("kg m-2 s-1", "kg/m2/s", "kg m^-2 s^-1", "kg m**-2 s**-1", "kg m⁻² s⁻¹", "mm s-1", "mm/s"),
    1000.0: ("m/day", "m day-1", "m d-1", "m of water equivalent/day", "m water equivalent day-1"),
    24.0: ("mm/h", "mm h-1", "mm hr-1", "mm/hour", "mm per hour"),
    25.4: ("inch/day", "in/day", "in d-1", "inches/day"),
    10.0: ("cm/day",),
    0.0864: ("L s-1 km-2", "l/s/km2"),
    86_400_000.0: ("m s-1", "m/s", "m s**-1"),
}


@pytest.mark.parametrize(
    ("factor", "units"), [(factor, units) for factor, all_ in WATER.items() for units in all_]
)
def test_water_fluxes(factor: float, units: str) -> None:
    """Every usual spelling; ``factor`` converts to mm/day."""
    assert factor_offset(units, "water flux", name="prcp") == (pytest.approx(factor), 0.0)


CELSIUS = ["degC", "C", "°C", "celsius", "Celsius", "degree_Celsius", "degrees_celsius", "deg_C", "degreeC"]
CELSIUS += ["degrees C", "deg C", "deg. C", "degrees Celsius", "º C"]
FAHRENHEIT = ["degF", "degree_fahrenheit", "deg F", "degrees Fahrenheit", "°F", "F"]


@pytest.mark.parametrize(
    ("units", "freezes"),
    [
        *((units, 0.0) for units in CELSIUS),
        *((units, 32.0) for units in FAHRENHEIT),
        *((units, 273.15) for units in ("K", "kelvin", "Kelvin", "degK")),
    ],
)
def test_temperature(units: str, freezes: float) -> None:
    """Water freezes at 0 degC in every usual spelling of every scale."""
    factor, offset = factor_offset(units, "temperature", name="tmean")
    assert freezes * factor + offset == pytest.approx(0.0, abs=1e-9)
    assert factor == pytest.approx(5 / 9 if freezes == 32.0 else 1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("factor", "units"),
    [
        *((1.0, each) for each in ("m3 s-1", "m3/s", "m^3 s^-1", "m**3 s**-1", "m3 sec-1", "m³/s", "cms")),
        *((0.3048**3, each) for each in ("ft3 s-1", "ft3/s", "cfs", "CFS", "cubic feet per second")),
        (0.001, "L s-1"),
    ],
)
def test_discharge(factor: float, units: str) -> None:
    """Recognised as discharge, which needs an area; ``factor`` converts to m3 s-1."""
    assert quantity_of(units) == "discharge"
    assert factor_offset(units, "discharge", name="q") == (pytest.approx(factor), 0.0)


@pytest.mark.parametrize(
    ("square_metres", "units"),
    [
        *((1e6, each) for each in ("km2", "km^2", "km**2", "km²", "sq km", "square kilometers")),
        (1.0, "m2"),
        (1e4, "ha"),
        (1609.344**2, "mi2"),
        (4046.8564224, "acres"),  # international; that of the US survey differs by 4 parts in a million
    ],
)
def test_area(square_metres: float, units: str) -> None:
    """The area of a catchment, in whatever unit."""
    factor, offset = factor_offset(units, "area", name="area")
    assert (factor, offset) == (pytest.approx(square_metres / 1e6, rel=1e-5), 0.0)


@pytest.mark.parametrize(
    ("units", "quantity", "factor"),
    [
        ("MJ m-2 day-1", "radiation", 1e6 / 86400),
        ("W m-2", "radiation", 1.0),
        ("hPa", "pressure", 0.1),
        ("Pa", "pressure", 0.001),
        ("percent", "share", 0.01),
        ("%", "share", 0.01),
        ("1", "share", 1.0),
        ("hour", "duration", 3600.0),
    ],
)
def test_other_quantities(units: str, quantity: Quantity, factor: float) -> None:
    """What formulas of potential evapotranspiration and attributes need."""
    assert quantity_of(units) == quantity
    assert factor_offset(units, quantity, name="x") == (pytest.approx(factor), 0.0)


def test_lengths_and_speeds_are_water_unless_asked_for() -> None:
    """A wind and an elevation have units of precipitation and of its sums."""
    assert (quantity_of("m s-1"), quantity_of("ft")) == ("water flux", "water amount")
    assert factor_offset("km h-1", "speed", name="wind") == (pytest.approx(1 / 3.6), 0.0)
    assert factor_offset("ft", "length", name="elevation") == (pytest.approx(0.3048), 0.0)


@pytest.mark.parametrize(
    "units",
    [
        "mm",  # an amount of who knows which time
        "mm/month",
        "mm/year",
        "mm/3h",
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


@pytest.mark.parametrize(
    ("units", "rate", "factor"), [("mm", "mm/day", 1), ("kg m-2", "kg m-2 day-1", 1), ("in", "in/day", 25.4)]
)
def test_sums_are_rates_only_if_they_are_said_to_be_sums(units: str, rate: str, factor: float) -> None:
    """A depth may belong to any time: the message asks, and cell methods answer."""
    given = xr.DataArray([1.0, 2.0], dims="time", name="pr", attrs={"units": units})
    with pytest.raises(UnitsError, match=rf"'pr'.*daily sums\? Then set '{rate}'.*attrs\['units'\]"):
        convert(given, VARIABLES["prcp"])
    given.attrs["cell_methods"] = "area: mean time: sum(interval: 24 hours)"  # as gridMET has it
    np.testing.assert_allclose(convert(given, VARIABLES["prcp"]), factor * given)


def test_streamflow_may_be_a_discharge() -> None:
    """The message lists its units, and what they need."""
    given = xr.DataArray([1.0], dims="time", name="flow", attrs={"units": "m3"})
    with pytest.raises(UnitsError, match=r"mm/day.*m3 s-1, which needs a catchment area"):
        convert(given, VARIABLES["streamflow"])


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
        ("W m-2", "J s-1 m-2", True),
        ("s-1 kg m**-2", "kg/m2/s", True),
        ("m s-1", "m s-2", False),
        ("degC", "K", False),
        ("counts", "counts", True),
        ("counts", "other counts", False),
        ("Pa", "hPa", False),
        ("MPa", "mPa", False),
        ("W m-2", "W m2", False),
    ],
)
def test_units_are_the_same_however_they_are_spelled(first: str, second: str, same: bool) -> None:
    """Spelling does not matter, but case does."""
    assert same_units(first, second) is same

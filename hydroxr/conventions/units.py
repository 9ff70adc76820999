"""Units of inputs and their conversion to the units of the model.

Unit strings are parsed into tokens (``mm/day``, ``kg m-2 s-1``, ``m s**-1``), so spelling does not
matter. Each quantity has a short list of known units. The density of water is 1000 kg m-3: one
millimetre is one kilogram per square metre.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import UnitsError
from .variables import Variable

if TYPE_CHECKING:
    import xarray as xr

_TOKENS = {
    "d": "day",
    "days": "day",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "meter": "m",
    "metre": "m",
    "millimeter": "mm",
    "millimetre": "mm",
    "c": "degc",
    "°c": "degc",
    "degree_c": "degc",
    "degrees_c": "degc",
    "degreec": "degc",
    "celsius": "degc",
    "deg_c": "degc",
    "degree_celsius": "degc",
    "degrees_celsius": "degc",
    "kelvin": "k",
    "degree_north": "degrees_north",
    "degrees": "degrees_north",
}

_SECONDS_PER_DAY = 86400.0

# quantity -> canonical unit -> (factor, offset) to the unit of the model
_KNOWN: dict[str, dict[str, tuple[float, float]]] = {
    "water flux": {
        "day-1 mm": (1.0, 0.0),
        "day-1 kg m-2": (1.0, 0.0),
        "kg m-2 s-1": (_SECONDS_PER_DAY, 0.0),
        "mm s-1": (_SECONDS_PER_DAY, 0.0),
        "m s-1": (1000.0 * _SECONDS_PER_DAY, 0.0),
        "day-1 m": (1000.0, 0.0),
    },
    "temperature": {"degc": (1.0, 0.0), "k": (1.0, -273.15)},
    "discharge": {"m3 s-1": (_SECONDS_PER_DAY, 0.0)},
    "area": {"km2": (1.0, 0.0), "m2": (1e-6, 0.0)},
    "angle": {"degrees_north": (1.0, 0.0)},
}

_SPELLED = {
    "water flux": "mm/day, kg m-2 day-1, kg m-2 s-1, m s-1 or m/day",
    "temperature": "degC or K",
    "discharge": "m3 s-1",
    "area": "km2 or m2",
    "angle": "degrees_north",
}


def canonical(units: str) -> str:
    """Spell a unit as a product of powers in alphabetical order: ``mm/day`` -> ``day-1 mm``."""
    return _product(units.strip().lower())


def same_units(first: str, second: str) -> bool:
    """Whether two units are equal apart from spelling, like ``W/m2`` and ``W m-2``.

    Case matters: MPa is not mPa.
    """
    return _product(first.strip()) == _product(second.strip())


def _product(units: str) -> str:
    text = units.replace("**", "^").replace("·", " ").replace(".", " ").replace("*", " ")
    token_pattern = r"\s*(/?)\s*([A-Za-z°_]+)\^?(-?\d*)"
    if not re.fullmatch(f"({token_pattern})+\\s*", text):
        return text  # numbers or other signs: not understood
    powers: dict[str, int] = {}
    for sign, token, power in re.findall(token_pattern, text):
        name = _TOKENS.get(token.lower(), token)
        powers[name] = powers.get(name, 0) + int(power or 1) * (-1 if sign else 1)
    return " ".join(
        name if power == 1 else f"{name}{power}" for name, power in sorted(powers.items()) if power
    )


def quantity_of(units: str) -> str | None:
    """The quantity of a unit, or None if the unit is not understood."""
    key = canonical(units)
    return next((quantity for quantity, known in _KNOWN.items() if key in known), None)


def factor_offset(units: str | None, quantity: str, *, name: str) -> tuple[float, float]:
    """Factor and offset to convert ``units`` to the model's unit of ``quantity``.

    Raises
    ------
    UnitsError
        If the variable ``name`` has no units, or units that are not understood.
    """
    if units is None or not str(units).strip():
        raise UnitsError(
            f"{name!r} has no 'units' attribute; expected {_SPELLED[quantity]}. "
            f"Set it: ds[{name!r}].attrs['units'] = ..."
        )
    known = _KNOWN[quantity]
    key = canonical(str(units))
    if key not in known:
        raise UnitsError(
            f"{name!r} has units {units!r}, which are not understood for a {quantity}; "
            f"expected {_SPELLED[quantity]}. Convert the values or correct ds[{name!r}].attrs['units']."
        )
    return known[key]


def convert(array: xr.DataArray, variable: Variable) -> xr.DataArray:
    """Convert an input to the model's unit, lazily, with name and attributes from the table.

    Raises
    ------
    UnitsError
        If the input has no units, or units that are not understood.
    """
    assert variable.quantity is not None
    factor, offset = factor_offset(array.attrs.get("units"), variable.quantity, name=str(array.name))
    out = array.copy(deep=False)  # the attributes set below must not change the input
    if factor != 1.0:
        out = out * factor
    if offset != 0.0:
        out = out + offset
    out = out.rename(variable.name)
    out.attrs = variable.attrs()
    return out

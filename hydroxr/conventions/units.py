"""Units of inputs and their conversion to the units of the model.

pint reads them. It is pure Python, so it installs wherever Python does; cf-units lacks wheels for Linux
on ARM, and xclim brings pint and much else. Loading it takes time, so this module does so when the first
unit is read. cf-xarray's registry would do as well, but makes itself the registry of the whole
process. Here stands only what pint does not know: names used in hydrology, CF's spelling of powers, and
that a kilogram of water over a square metre is a millimetre deep (1000 kg m-3).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UnitsError
from .cell_methods import of_spread, time_method
from .variables import Quantity, Variable

if TYPE_CHECKING:
    import pint
    import xarray as xr

Kind = Literal["flux", "amount", "state"]

# The unit of the model, and others of the same size that differ in dimension. Water comes first: what
# might be a length or a speed as well is water unless another quantity is asked for.
_MODEL_UNITS: dict[Quantity, tuple[str, ...]] = {
    "water flux": ("mm/day", "kg/m**2/day"),
    "water amount": ("mm", "kg/m**2"),
    "temperature": ("degC",),
    "discharge": ("m**3/s",),
    "area": ("km**2",),
    "radiation": ("W/m**2",),
    "pressure": ("kPa",),
    "speed": ("m/s",),
    "share": ("dimensionless",),
    "length": ("m",),
    "duration": ("s",),
    "angle": (),  # by name
}

_SPELLED: dict[Quantity, str] = {
    "water flux": "mm/day, mm/h, inch/day, kg m-2 day-1, kg m-2 s-1, m s-1 or m/day",
    "water amount": "mm, cm, m, inch or kg m-2",
    "temperature": "degF, degC or K",
    "discharge": "m3 s-1, ft3 s-1 or L s-1",
    "area": "km2, m2, ha, mi2 or acres",
    "radiation": "W m-2 or MJ m-2 day-1",
    "pressure": "Pa, hPa or kPa",
    "speed": "m s-1",
    "share": "1 or percent",
    "length": "m or ft",
    "duration": "s or hour",
    "angle": "degrees_north",
}

DISCHARGE_TO_DEPTH = 86400.0 * 1000.0 / 1e6  # m3 s-1 over km2 -> mm/day
# Lengths of months and years vary, so a rate per month has no fixed value per day.
_TIMES = {"second", "minute", "hour", "day"}

_TEMPERATURE = re.compile(
    r"(?:deg(?:ree)?s?|°)?[ _.]*(?:(c|celsius|centigrade)|(f|fahrenheit)|(k|kelvin))", re.IGNORECASE
)
_LATITUDE = re.compile(r"(?:deg(?:ree)?s?|°)[ _]?(?:n|north)?", re.IGNORECASE)
_WORDS = {
    "cms": "m3/s",
    "cumec": "m3/s",
    "cumecs": "m3/s",
    "cfs": "ft3/s",
    "cusec": "ft3/s",
    "cusecs": "ft3/s",
    "%": "percent",
    "-": "dimensionless",
    "1": "dimensionless",
    "fraction": "dimensionless",
}
# 'm of water equivalent' (ERA5), 'mm w.e.', 'mm h2o'
_OF_WATER = re.compile(
    r"\s+(?:of\s+)?(?:liquid\s+)?(?:water(?:[\s_]+equivalent)?|w e|we|h2o)(?=$|\s|/)", re.IGNORECASE
)
_SIGNS = str.maketrans({"·": " ", "*": " ", "⁻": "-", "−": "-", "²": "2", "³": "3", "¹": "1", "º": "°"})


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry()
    return registry


def _spelled(units: str) -> str:
    """Units as pint spells them: ``kg m-2 s-1`` -> ``kg m**-2 s**-1``."""
    text = units.strip().replace("**", "^").translate(_SIGNS)
    text = re.sub(r"\.(?!\d)|(?<!\d)\.", " ", text)  # 'kg.m-2', not '0.1'
    found = _TEMPERATURE.fullmatch(text.strip())
    if found:
        return "degC" if found[1] else "degF" if found[2] else "kelvin"
    text = _OF_WATER.sub("", text.strip())
    text = _WORDS.get(text.lower(), text)
    text = re.sub(r"\bsq(?:uare)? *", "square ", text, flags=re.IGNORECASE)
    return re.sub(r"([A-Za-zµ])\^?([-+]?\d+)", r"\1**\2 ", text).strip()


def _parsed(units: str) -> pint.Unit | None:
    """The unit, or None if the text is none that is understood; case counts if both cases are units."""
    text = _spelled(units)
    for attempt in dict.fromkeys((text, text.lower())):
        try:
            return _registry().parse_units(attempt) if attempt else None
        except Exception:  # pint raises errors of many kinds for text that is no unit
            continue
    return None


def _factor_offset(unit: pint.Unit, target: str) -> tuple[float, float]:
    low, high = (float(_registry().Quantity(value, unit).to(target).magnitude) for value in (0.0, 1e6))
    return float(f"{(high - low) / 1e6:.14g}"), float(f"{low:.14g}")  # without the noise of the last digit


@lru_cache(maxsize=1024)
def _conversions(units: str) -> dict[Quantity, tuple[float, float]]:
    """Factor and offset to the model's unit, for each quantity that the unit may stand for."""
    if _LATITUDE.fullmatch(units.strip()):
        return {"angle": (1.0, 0.0)}
    unit = _parsed(units)
    if unit is None:
        return {}
    registry, out = _registry(), {}
    for quantity, targets in _MODEL_UNITS.items():
        for target in targets:
            if unit.dimensionality == registry.parse_units(target).dimensionality:
                out[quantity] = _factor_offset(unit, target)
    names = {str(name) for name, _ in registry.Quantity(1.0, unit).unit_items()}
    times = {name for name in names if registry.parse_units(name).dimensionality == {"[time]": 1.0}}
    if "radian" in names or "degree" in names or ("water flux" in out and not times <= _TIMES):
        return {}
    return out


@lru_cache(maxsize=1024)
def identity(units: str) -> tuple[object, ...]:
    """A key that is the same for all spellings of one unit, like ``W/m2``, ``J s-1 m-2`` and ``W m-2``.

    Text that is no unit has itself as its key. Case matters: MPa is not mPa.
    """
    unit = _parsed(units)
    if unit is None:
        return (" ".join(units.split()),)
    root = str(_registry().Quantity(1.0, unit).to_root_units().units)
    return (root, *(float(f"{value:.12g}") for value in _factor_offset(unit, root)))


def same_units(first: str, second: str) -> bool:
    """Whether two units are equal apart from spelling, like ``W/m2`` and ``W m-2``."""
    return identity(first) == identity(second)


def quantity_of(units: str) -> Quantity | None:
    """The quantity of a unit, or None if the unit is not understood."""
    return next(iter(_conversions(units)), None)


def factor_offset(units: str | None, quantity: Quantity, *, name: str, more: str = "") -> tuple[float, float]:
    """Factor and offset to convert ``units`` to the model's unit of ``quantity``.

    Parameters
    ----------
    units : str
    quantity : str
    name : str
        The variable, for messages.
    more : str
        Further units that the caller understands, for messages.

    Raises
    ------
    UnitsError
        If the variable ``name`` has no units, or units that are not understood.
    """
    expected = f"{_SPELLED[quantity]}{more}"
    if units is None or not str(units).strip():
        raise UnitsError(
            f"{name!r} has no 'units' attribute; expected {expected}. "
            f"Set it: ds[{name!r}].attrs['units'] = ..."
        )
    known = _conversions(str(units))
    if quantity in known:
        return known[quantity]
    if quantity == "water flux" and "water amount" in known:
        rate = f"{units} day-1" if " " in str(units).strip() else f"{units}/day"
        raise UnitsError(
            f"{name!r} has units {units!r}, which name no time; expected {expected}. Are these daily sums? "
            f"Then set {rate!r}: ds[{name!r}].attrs['units'] = {rate!r}."
        )
    heat = " Latent heat becomes water when divided by 2.45 MJ kg-1." if "radiation" in known else ""
    raise UnitsError(
        f"{name!r} has units {units!r}, which are not understood for a {quantity}; expected {expected}."
        f"{heat} Convert the values or correct ds[{name!r}].attrs['units']."
    )


def daily_kind(array: xr.DataArray) -> Kind | None:
    """Whether daily values are a flux, an amount per day, or a state at a point in time.

    None for anything else: a temperature, a spread over members or cells, or an amount without
    ``time: sum`` (per day) or ``time: point`` (stored) in its cell methods.
    """
    methods, units = str(array.attrs.get("cell_methods", "")), str(array.attrs.get("units", ""))
    method = time_method(methods)
    if method == "point":
        return "state"
    if of_spread(methods):
        return None
    if quantity_of(units) == "water flux" and method in ("", "mean"):
        return "flux"
    return "amount" if method == "sum" and quantity_of(units) == "water amount" else None


def convert(array: xr.DataArray, variable: Variable) -> xr.DataArray:
    """Convert an input to the model's unit, lazily, with name and attributes from the table.

    Amounts whose cell methods have ``time: sum`` are sums of each day.

    Raises
    ------
    UnitsError
        If the input has no units, or units that are not understood.
    """
    assert variable.quantity is not None
    quantity, units = variable.quantity, array.attrs.get("units")
    if quantity == "water flux" and daily_kind(array) == "amount":
        quantity = "water amount"
    more = ", or m3 s-1, which needs a catchment area" if variable.name == "streamflow" else ""
    factor, offset = factor_offset(units, quantity, name=str(array.name), more=more)
    out = array.copy(deep=False)  # the attributes set below must not change the input
    if factor != 1.0:
        out = out * factor
    if offset != 0.0:
        out = out + offset
    out = out.rename(variable.name)
    out.attrs = variable.attrs()
    return out

"""Choose a formula of potential evapotranspiration: by name, or by what a Dataset has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr

from ...conventions.variables import VARIABLES
from ...conventions.weather import ROLES
from ...errors import DescriptionError, MissingVariableError
from ..find import spellings
from ..ranges import valid_range
from .energy import (
    air_pressure,
    elevation_of,
    net_radiation,
    penman_monteith,
    priestley_taylor,
    saturation_pressure,
    wind_at_2m,
)
from .temperature import hamon, hargreaves, oudin

_MJ = 86400.0 / 1e6  # MJ m-2 day-1 of 1 W m-2
_WIND_HEIGHT = 10.0  # m


class Source(Protocol):
    """Variables by role, in the units of the tables of variables."""

    def name(self, role: str, /) -> str | None:
        """The variable that plays a role, or None."""

    def variable(self, role: str, /) -> xr.DataArray:
        """The variable that plays a role, as it is."""

    def required(self, role: str, /) -> xr.DataArray:
        """The variable that plays a role, converted."""


# What a formula needs: each a choice of roles, of which the first that the Dataset has is taken.
Need = tuple[tuple[str, ...], ...]
_MEAN: Need = (("tmean",), ("tmin", "tmax"))
_EXTREMES: Need = (("tmin", "tmax"), ("tmean",))
_PLACE: Need = (("lat",),)
_SHORTWAVE: Need = (("srad", "dayl"), ("srad",))
_HUMIDITY: Need = (("vp",), ("tdew",), ("huss",), ("rh",), ("tmin",))
_HEIGHT: Need = (("elevation",), ("ps",))  # each gives the other
_WIND: Need = (("wind_2m",), ("wind",))
_ENERGY = (_MEAN, _EXTREMES, _SHORTWAVE, _HUMIDITY, _HEIGHT, _PLACE)


@dataclass(frozen=True)
class Formula:
    """A formula: its title, what it needs, and how to compute it from a source."""

    title: str
    needs: tuple[Need, ...]
    compute: Callable[[Source], xr.DataArray]

    def absent(self, source: Source) -> list[str]:
        """What the source lacks, for messages."""
        out: list[str] = []
        for need in self.needs:
            if _chosen(source, need) is None:
                fewest = min(([role for role in each if source.name(role) is None] for each in need), key=len)
                out += [role for role in fewest if role not in out]
        return out

    def roles(self, source: Source) -> list[str]:
        """What of the source the formula reads."""
        chosen = [role for need in self.needs for role in _chosen(source, need) or ()]
        return list(dict.fromkeys(chosen))


def _chosen(source: Source, need: Need) -> tuple[str, ...] | None:
    return next((each for each in need if all(source.name(role) is not None for role in each)), None)


def _mean(source: Source) -> xr.DataArray:
    if source.name("tmean") is not None:
        return source.required("tmean")
    return 0.5 * (source.required("tmin") + source.required("tmax"))


def _extremes(source: Source) -> tuple[xr.DataArray, xr.DataArray]:
    """Minimum and maximum; the mean for both where there are none."""
    roles = ("tmin", "tmax") if _chosen(source, _EXTREMES) == ("tmin", "tmax") else ("tmean", "tmean")
    return source.required(roles[0]), source.required(roles[1])


def _shortwave(source: Source) -> xr.DataArray:
    """Radiation of the whole day, MJ m-2 day-1.

    Beside a day length, radiation is a mean over the daylight hours, as in Daymet and CAMELS-US, unless its
    cell methods say that it is a mean over the day.
    """
    radiation = source.required("srad")
    of_day = "time: mean" in str(source.variable("srad").attrs.get("cell_methods", ""))
    if source.name("dayl") is None or of_day:
        return radiation * _MJ
    return radiation * source.required("dayl") / 1e6


def _vapour_pressure(source: Source) -> xr.DataArray:
    """Actual vapour pressure, kPa, of the first that there is; at worst the minimum is the dew point."""
    (role,) = _chosen(source, _HUMIDITY) or ("tmin",)
    humidity = source.required(role)
    if role == "vp":
        return humidity
    if role == "huss":
        return humidity * _pressure(source) / (0.622 + 0.378 * humidity)
    if role == "rh":  # FAO 56, equation 19
        tmin, tmax = _extremes(source)
        return humidity * 0.5 * (saturation_pressure(tmin) + saturation_pressure(tmax))
    return saturation_pressure(humidity)  # equations 14 and 48


def _pressure(source: Source) -> xr.DataArray:
    if source.name("ps") is not None:
        return source.required("ps")
    return air_pressure(source.required("elevation"))


def _elevation(source: Source) -> xr.DataArray:
    if source.name("elevation") is not None:
        return source.required("elevation")
    return elevation_of(source.required("ps"))


def _wind(source: Source) -> xr.DataArray:
    if source.name("wind_2m") is not None:
        return source.required("wind_2m")
    return wind_at_2m(source.required("wind"), _WIND_HEIGHT)


def _net_radiation(source: Source) -> xr.DataArray:
    weather = (_shortwave(source), *_extremes(source), _vapour_pressure(source))
    return net_radiation(*weather, source.required("lat"), _elevation(source))


def _hargreaves(source: Source) -> xr.DataArray:
    tmin, tmax = source.required("tmin"), source.required("tmax")
    return hargreaves(_mean(source), tmin, tmax, source.required("lat"))


def _penman_monteith(source: Source) -> xr.DataArray:
    weather = (_mean(source), *_extremes(source), _vapour_pressure(source))
    return penman_monteith(_net_radiation(source), *weather, _wind(source), _pressure(source))


FORMULAS: dict[str, Formula] = {
    "hargreaves": Formula("Hargreaves", ((("tmin", "tmax"),), _PLACE, _MEAN), _hargreaves),
    "oudin": Formula("Oudin", (_MEAN, _PLACE), lambda source: oudin(_mean(source), source.required("lat"))),
    "hamon": Formula("Hamon", (_MEAN, _PLACE), lambda source: hamon(_mean(source), source.required("lat"))),
    "priestley-taylor": Formula(
        "Priestley-Taylor",
        _ENERGY,
        lambda source: priestley_taylor(_net_radiation(source), _mean(source), _pressure(source)),
    ),
    "penman-monteith": Formula("Penman-Monteith (FAO 56)", (*_ENERGY, _WIND), _penman_monteith),
}

# Without a name: the paper's formula, else one that does without daily extremes.
_BY_DATA = ("hargreaves", "oudin")


def formula_for(source: Source, method: str | None = None) -> Formula:
    """The formula named, or else the first of Hargreaves and Oudin for which the source has the variables.

    Raises
    ------
    DescriptionError
        If there is no formula of that name.
    MissingVariableError
        If the source lacks variables for it.
    """
    if method is not None:
        if method not in FORMULAS:
            raise DescriptionError(
                f"method={method!r} is no formula of potential evapotranspiration; expected one of "
                f"{', '.join(map(repr, FORMULAS))}."
            )
        absent = FORMULAS[method].absent(source)
        if absent:
            named = "; ".join(f"{role}: {ROLES[role].long_name}, {spellings(role)}" for role in absent)
            raise MissingVariableError(
                f"{FORMULAS[method].title} also needs {', '.join(absent)}, which are not in the Dataset "
                f"({named}). Add them, or choose another formula."
            )
        return FORMULAS[method]
    found = next((FORMULAS[name] for name in _BY_DATA if not FORMULAS[name].absent(source)), None)
    if found is None:
        lacking = "; ".join(
            f"{FORMULAS[name].title} also needs {', '.join(FORMULAS[name].absent(source))}"
            for name in _BY_DATA
        )
        raise MissingVariableError(
            f"there is no potential evapotranspiration ({spellings('pet')}), and it cannot be computed: "
            f"{lacking}. Add one or the other."
        )
    return found


def computed(source: Source, method: str | None = None) -> xr.DataArray:
    """Potential evapotranspiration by a formula, mm/day; its ``comment`` says which and from what.

    It is infinite where daily weather that the formula reads is out of its range.

    Raises
    ------
    DescriptionError, MissingVariableError
        As :func:`formula_for`.
    UnitsError
        If the units of a variable are missing or unknown.
    """
    formula = formula_for(source, method)
    pet = formula.compute(source)
    for role in [role for role in formula.roles(source) if role not in ("lat", "elevation")]:
        read, (lowest, highest) = source.required(role), valid_range(role)
        # From a temperature of -999, Hargreaves gives PET that could be: infinite, it is refused.
        pet = pet.where(~((read < lowest) | (read > highest)), np.inf)
    pet.attrs = VARIABLES["pet"].attrs() | {"comment": described(source, method)}
    return pet


def described(source: Source, method: str | None = None) -> str:
    """How messages and attributes call the computed PET: its formula and variables."""
    formula = formula_for(source, method)
    names = list(dict.fromkeys(repr(source.name(role)) for role in formula.roles(source)))
    return f"{formula.title}, from {', '.join(names[:-1])} and {names[-1]}"

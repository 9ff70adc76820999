"""Check values: is the forcing complete, possible, and in the units that it claims?

The checks work on arrays, so they serve data in memory and blocks of lazy data. Faults of several
blocks can be joined, so that one error tells all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..conventions.missing_values import look_missing
from ..conventions.variables import FORCING, VARIABLES
from ..conventions.weather import ROLES
from ..errors import HydroxrError, MissingForcingError, UnitsError, ValueRangeError, all_in_one
from .cells import cells_first
from .stated import Stated

if TYPE_CHECKING:
    import xarray as xr


class Labels(Protocol):
    """Labels of cells or days, by position."""

    def __getitem__(self, place: int, /) -> Any: ...


# A median above the first, read as degC, is almost surely kelvin; below the second it is degC read as K.
_KELVIN_AS_CELSIUS = 150.0
_CELSIUS_AS_KELVIN = -200.0
_WARMEST_IN_FAHRENHEIT = 135.0  # the highest air temperature ever measured

# The largest daily runoff that a record can hold: five times the largest precipitation ever measured in a
# day. More means another unit or area.
_MOST_STREAMFLOW = 10_000.0  # mm/day

_YEAR = 365


@dataclass(frozen=True)
class Places:
    """Where in arrays (cell, time) something is wrong.

    Parameters
    ----------
    count, size : int
        Number of wrong cell-days, and of all that were looked at.
    cells : int
        Number of cells with a wrong day.
    first : str
        The first of them, by cell and day.
    value : float
        Its value.
    """

    count: int
    size: int
    cells: int
    first: str
    value: float

    @classmethod
    def of(cls, wrong: np.ndarray, values: np.ndarray, times: Labels, cells: Labels | None) -> Places:
        """The places where ``wrong`` is True; there is at least one."""
        cell, day = divmod(int(np.argmax(wrong)), wrong.shape[1])
        name = "" if cells is None else cells[cell]
        where = f"in {name} " if name else ""
        first = f"{where}on {str(times[day])[:10]}"
        return cls(
            int(wrong.sum()), wrong.size, int(wrong.any(axis=-1).sum()), first, float(values[cell, day])
        )

    def __str__(self) -> str:
        return f"{self.count} of {self.size} cell-days in {self.cells} cells"


@dataclass(frozen=True)
class Fault:
    """Something impossible in the values of an input.

    Parameters
    ----------
    kind : type
        The class of its error.
    places : Places
    message : callable
        From the places, the message of the error.
    """

    kind: type[HydroxrError]
    places: Places
    message: Callable[[Places], str]

    def error(self) -> HydroxrError:
        """The error that tells it."""
        return self.kind(self.message(self.places))


Faults = dict[str, Fault]


def joined(first: Faults, second: Faults, size: int) -> Faults:
    """The faults of two sets of cells, of ``size`` cell-days in all, in the order of finding."""
    out = {**second, **first}
    for key in first.keys() & second.keys():
        one, other = first[key].places, second[key].places
        both = replace(one, count=one.count + other.count, cells=one.cells + other.cells)
        out[key] = replace(out[key], places=both)
    return {key: replace(out[key], places=replace(out[key].places, size=size)) for key in {**first, **second}}


def raise_faults(faults: Iterable[Fault], others: Iterable[HydroxrError] = ()) -> None:
    """Raise all faults and other errors in one, of the class of the first; do nothing if there are none."""
    errors = [*(fault.error() for fault in faults), *others]
    if errors:
        raise all_in_one(errors)


def check_forcing(
    forcing: Mapping[str, np.ndarray],
    times: Labels,
    cells: Labels | None = None,
    *,
    called: Mapping[str, str] | None = None,
    derived: Container[str] = (),
    stated: Mapping[str, Stated] | None = None,
    missing: str = "raise",
    zero_pet: np.ndarray | None = None,
) -> None:
    """Refuse missing or impossible forcing; the parameters are those of :func:`forcing_faults`.

    Raises
    ------
    HydroxrError
        Of the class of the first fault; its message tells all.
    """
    found = forcing_faults(
        forcing,
        times,
        cells,
        called=called,
        derived=derived,
        stated=stated,
        missing=missing,
        zero_pet=zero_pet,
    )
    raise_faults(found.values())


def forcing_faults(
    forcing: Mapping[str, np.ndarray],
    times: Labels,
    cells: Labels | None = None,
    *,
    called: Mapping[str, str] | None = None,
    derived: Container[str] = (),
    stated: Mapping[str, Stated] | None = None,
    missing: str = "raise",
    zero_pet: np.ndarray | None = None,
) -> Faults:
    """What is missing or impossible in the forcing.

    Parameters
    ----------
    forcing
        Arrays (cell, time) by name. The variables of :data:`~hydroxr.conventions.variables.FORCING` are
        in the model's units; others are in their own, and only infinite values are refused.
    times, cells
        Labels for messages.
    called : mapping, optional
        How messages call each input; default: its name in quotes.
    derived : container of str
        Names of inputs that are derived from others, such as PET by Hargreaves.
    stated : mapping, optional
        How converted inputs stand in the Dataset.
    missing : {"raise", "fill"}
        With "fill" missing values pass.
    zero_pet : array, (cell,), optional
        Result of :func:`days_of_zero_pet` for the preceding days of the run, if there are any.

    Returns
    -------
    dict of Fault
        ``MissingForcingError``: values are missing. ``ValueRangeError``: values are outside of their range,
        infinite, or Hargreaves gives no PET for a year. ``UnitsError``: temperatures are kelvin labelled
        as degC, or the reverse.
    """
    found: Faults = {}
    for name, values in forcing.items():
        what = (called or {}).get(name, repr(name))
        absent = np.isnan(values)
        if missing == "raise" and absent.any():
            found[f"{name} missing"] = _missing(
                name, what, Places.of(absent, values, times, cells), bool(absent.all(axis=1).any())
            )
        if name == "pet" and name in derived:
            found |= _zero_pet(values, what, zero_pet, times, cells)
        if name in FORCING:
            found |= range_faults(name, values, times, cells, what, (stated or {}).get(name))
        else:
            found |= _infinite(name, values, times, cells, what)
    if "pet" in derived and "tmean range" in found:
        found.pop("pet range", None)  # from the same temperatures
    return found


def _missing(name: str, what: str, places: Places, empty_cells: bool) -> Fault:
    title = f"{VARIABLES[name].long_name} ({what})" if name in FORCING else f"forcing {what}"
    variable = what if what.startswith("'") else "..."
    sea = (
        " Cells that have none at all, such as sea, are left out where a variable 'mask' is 0: "
        f"ds.assign(mask=ds[{variable}].notnull().any('time'))."
        if empty_cells
        else ""
    )
    return Fault(
        MissingForcingError,
        places,
        lambda places: (
            f"{title} is missing on {places}, first {places.first}; "
            f"expected a value for every day.{sea} Select complete cells or days, or fill this variable "
            "alone (observed streamflow may have gaps); simulate can fill and flag forcing, missing='fill', "
            "and fit can leave such cells out, missing='drop'."
        ),
    )


def _zero_pet(
    values: np.ndarray, what: str, before: np.ndarray | None, times: Labels, cells: Labels | None
) -> Faults:
    """PET of 0 for a year, which Hargreaves gives if temperature extremes are equal."""
    days = _first_zeros(values, before)
    wrong = np.broadcast_to((days >= _YEAR)[:, None], values.shape)
    if not wrong.any():
        return {}
    most = int(days.max())
    return {
        "pet zero": Fault(
            ValueRangeError,
            Places.of(wrong, values, times, cells),
            lambda places: (
                f"potential evapotranspiration ({what}) is 0 on each of the first {most} days in "
                f"{places.cells} cells: the daily minimum and maximum temperatures are equal there, as "
                "in CAMELS' NLDAS files. Add potential evapotranspiration of the mean temperature, "
                "ds.assign(pet=ds.hbv.pet('oudin')), or of your own, 'pet'."
            ),
        )
    }


def days_of_zero_pet(values: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Number of days since the start of a run on which PET is 0, (cell,); -1 after any other day.

    Parameters
    ----------
    values : array, (cell, time)
        PET of consecutive days.
    before : array, (cell,), optional
        The same number for the preceding days of the run, if there are any.
    """
    return np.where((values == 0).all(axis=1), _first_zeros(values, before), -1)


def _first_zeros(values: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Days of 0 PET before the first other day of the run, (cell,)."""
    other = values != 0
    days = np.where(other.any(axis=1), other.argmax(axis=1), values.shape[1])
    if before is None:
        return days
    return np.where(before < 0, -1, before + days)


def _infinite(name: str, values: np.ndarray, times: Labels, cells: Labels | None, what: str) -> Faults:
    """Infinite values of a variable without a known range."""
    wrong = np.isinf(values)
    if not wrong.any():
        return {}
    return {
        f"{name} infinite": Fault(
            ValueRangeError,
            Places.of(wrong, values, times, cells),
            lambda places: (
                f"forcing {what} is infinite {places.first} ({places}); expected finite numbers: was "
                "something divided by zero?"
            ),
        )
    }


def checked_values(array: xr.DataArray, name: str) -> xr.DataArray:
    """Refuse impossible values of a daily variable, (..., time); lazy ones are not read.

    Raises
    ------
    HydroxrError
        Of the class that :func:`range_faults` gives.
    """
    if array.chunks is None:
        raise_faults(range_faults(name, cells_first(array), array["time"].values).values())
    return array


def out_of_range(name: str, values: np.ndarray) -> np.ndarray:
    """Where values of a variable, in the model's units, are outside of its valid range."""
    lowest, highest = valid_range(name)
    return np.asarray((values < lowest) | (values > highest) | np.isinf(values))


def valid_range(name: str) -> tuple[float, float]:
    """The least and the most that a variable can be, in the model's units."""
    row = ROLES[name]
    lowest = -np.inf if row.valid_min is None else row.valid_min
    highest = np.inf if row.valid_max is None else row.valid_max
    return lowest, min(highest, _MOST_STREAMFLOW) if name == "streamflow" else highest


def range_faults(
    name: str,
    values: np.ndarray,
    times: Labels,
    cells: Labels | None = None,
    called: str | None = None,
    stated: Stated | None = None,
) -> Faults:
    """Values (cell, time) outside of their variable's valid range."""
    row, (lowest, highest) = VARIABLES[name], valid_range(name)
    wrong = out_of_range(name, values)
    if not wrong.any():
        return {}
    places = Places.of(wrong, values, times, cells)
    title = "observed streamflow" if name == "streamflow" else row.long_name
    what = f"{title} ({called or repr(name)})"
    first = int(np.argmax(wrong)) // wrong.shape[1]
    code = None if stated is None else stated.code(places.value, first)
    kind, advice = _meaning(name, values, wrong, code)
    if np.isinf(places.value) and not (called or "'").startswith("'"):  # derived, such as PET
        advice = "one of these is impossible there: are missing values coded as numbers?"
    expected = "" if kind is UnitsError else f"; expected {lowest:g} to {highest:g} {row.units}"
    found = f"{places.value:g} {row.units}" if code is None or stated is None else f"{code:g} {stated.units}"

    def message(places: Places) -> str:
        value = f"{found} {places.first} ({places} out of range)"
        return f"{what} is {value}{expected}: {advice}"

    return {f"{name} range": Fault(kind, places, message)}


def _meaning(
    name: str, values: np.ndarray, wrong: np.ndarray, code: float | None
) -> tuple[type[HydroxrError], str]:
    """The class of the error and what the values may mean; ``code`` is the first as it stands in the file."""
    temperature = VARIABLES[name].quantity == "temperature"
    if temperature and np.nanmedian(values) > _KELVIN_AS_CELSIUS:
        return UnitsError, "this looks like kelvin with units 'degC'; set the 'units' attribute to 'K'."
    if temperature and np.nanmedian(values) < _CELSIUS_AS_KELVIN:
        return UnitsError, "this looks like degC with units 'K'; set the 'units' attribute to 'degC'."
    first = float(values[wrong][0]) if code is None else code
    if look_missing(first):
        return ValueRangeError, (
            f"are missing values coded as numbers? Mask that number alone: array.where(array != {first!r})."
        )
    if (values < valid_range(name)[0]).any():
        return ValueRangeError, "are missing values coded as numbers?"
    if temperature and np.nanmax(values) < _WARMEST_IN_FAHRENHEIT:
        return ValueRangeError, "are the units right? It may be degrees Fahrenheit."
    if name == "streamflow":
        return ValueRangeError, "are the units right, of the streamflow and of the catchment area?"
    return ValueRangeError, "are the units right?"

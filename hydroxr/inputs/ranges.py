"""Check values: is the forcing complete, possible, and in the units that it claims?

The checks work on arrays, so they serve data in memory and blocks of lazy data.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Protocol

import numpy as np

from ..conventions.variables import FORCING, VARIABLES
from ..errors import HydroxrError, MissingForcingError, UnitsError, ValueRangeError


class Labels(Protocol):
    """Labels of cells or days, by position."""

    def __getitem__(self, place: int, /) -> Any: ...


# A median above the first, read as degC, is almost surely kelvin; below the second it is degC read as K.
_KELVIN_AS_CELSIUS = 150.0
_CELSIUS_AS_KELVIN = -200.0

_YEAR = 365


def check_forcing(
    forcing: Mapping[str, np.ndarray],
    times: Labels,
    cells: Labels | None = None,
    *,
    called: Mapping[str, str] | None = None,
    derived: Container[str] = (),
    missing: str = "raise",
    zero_pet: np.ndarray | None = None,
) -> None:
    """Refuse missing or impossible forcing.

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
    missing : {"raise", "fill"}
        With "fill" missing values pass.
    zero_pet : array, (cell,), optional
        Result of :func:`days_of_zero_pet` for the preceding days of the run, if there are any.

    Raises
    ------
    MissingForcingError
        If values are missing.
    ValueRangeError
        If values are outside of their range, infinite, or Hargreaves gives no PET for a year.
    UnitsError
        If temperatures are kelvin labelled as degC, or the reverse.
    """
    for name, values in forcing.items():
        what = (called or {}).get(name, repr(name))
        absent = np.isnan(values)
        if missing == "raise" and absent.any():
            raise MissingForcingError(
                f"{_title(name, what)} is missing on {_count(absent)}, first "
                f"{_first(absent, times, cells)}; "
                "expected a value for every day. Select complete cells or days, or fill this variable alone "
                "(observed streamflow may have gaps); simulate can fill and flag forcing: missing='fill'."
            )
        if name == "pet" and name in derived:
            _check_pet(values, what, zero_pet)
        if name in FORCING:
            problem = range_problem(name, values, times, cells, what)
        else:
            problem = _infinite(values, times, cells, what)
        if problem is not None:
            raise problem


def _check_pet(values: np.ndarray, what: str, before: np.ndarray | None) -> None:
    """Refuse PET of 0 for a year, which Hargreaves gives if temperature extremes are equal."""
    days = _first_zeros(values, before)
    if (days < _YEAR).all():
        return
    raise ValueRangeError(
        f"potential evapotranspiration ({what}) is 0 on each of the first {int(days.max())} days in "
        f"{int((days >= _YEAR).sum())} cells: the daily minimum and maximum temperatures are equal there, as "
        "in CAMELS' NLDAS files. Add potential evapotranspiration of your own, 'pet'."
    )


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


def _title(name: str, what: str) -> str:
    return f"{VARIABLES[name].long_name} ({what})" if name in FORCING else f"forcing {what}"


def _infinite(values: np.ndarray, times: Labels, cells: Labels | None, what: str) -> HydroxrError | None:
    """The error for infinite values of a variable without a known range, or None."""
    wrong = np.isinf(values)
    if not wrong.any():
        return None
    return ValueRangeError(
        f"forcing {what} is infinite {_first(wrong, times, cells)} ({_count(wrong)}); expected finite "
        "numbers: was something divided by zero?"
    )


def range_problem(
    name: str, values: np.ndarray, times: Labels, cells: Labels | None = None, called: str | None = None
) -> HydroxrError | None:
    """The error for values (cell, time) outside of their variable's valid range, or None."""
    row = VARIABLES[name]
    low = values < (row.valid_min if row.valid_min is not None else -np.inf)
    high = values > (row.valid_max if row.valid_max is not None else np.inf)
    wrong = low | high | np.isinf(values)
    if not wrong.any():
        return None
    what = f"{row.long_name} ({called or repr(name)})"
    worst = f"{values[wrong][0]:g} {row.units} {_first(wrong, times, cells)}"
    found = f"{what} is {worst} ({_count(wrong)} out of range)"
    if row.quantity == "temperature" and np.nanmedian(values) > _KELVIN_AS_CELSIUS:
        return UnitsError(
            f"{found}: this looks like kelvin with units 'degC'; set the 'units' attribute to 'K'."
        )
    if row.quantity == "temperature" and np.nanmedian(values) < _CELSIUS_AS_KELVIN:
        return UnitsError(
            f"{found}: this looks like degC with units 'K'; set the 'units' attribute to 'degC'."
        )
    advice = "are missing values coded as numbers?" if low.any() else "are the units right?"
    return ValueRangeError(
        f"{found}; expected {row.valid_min:g} to {_greatest(row.valid_max)} {row.units}: {advice}"
    )


def _greatest(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _count(mask: np.ndarray) -> str:
    return f"{int(mask.sum())} of {mask.size} cell-days in {int(mask.any(axis=-1).sum())} cells"


def _first(mask: np.ndarray, times: Labels, cells: Labels | None) -> str:
    cell, day = divmod(int(np.argmax(mask)), mask.shape[1])
    where = f"in {cells[cell]} " if cells is not None else ""
    return f"{where}on {str(times[day])[:10]}"


def fill_gaps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill missing days by linear interpolation in time, and both ends with the nearest value.

    Parameters
    ----------
    values : array, (cell, time)

    Returns
    -------
    filled : array, (cell, time)
        A cell without any value stays missing.
    was_missing : array of bool, (cell, time)
    """
    was_missing = np.isnan(values)
    filled = values.copy()
    days = np.arange(values.shape[-1])
    for cell in np.flatnonzero(was_missing.any(axis=-1)):
        known = ~was_missing[cell]
        if known.any():
            filled[cell] = np.interp(days, days[known], values[cell, known])
    return filled, was_missing

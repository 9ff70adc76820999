"""Checks of the table of a river network: labels, the reach below each, values and units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.units import factor_offset
from ..conventions.variables import Quantity
from ..errors import (
    CoordinateError,
    DimensionError,
    MissingVariableError,
    NetworkError,
    ValueRangeError,
)
from ..physics.rivers.topology import loop

REACH = "reach"
# Variables that a table may have: quantity of their units (None: pure numbers), smallest and largest value.
COLUMNS: dict[str, tuple[Quantity | None, float, float]] = {
    "length": ("length", 0.0, np.inf),
    "travel_time": ("duration", 0.0, np.inf),
    "x": (None, 0.0, 0.5),
    "slope": (None, np.finfo(float).tiny, np.inf),
    "width": ("length", np.finfo(float).tiny, np.inf),
    "manning": (None, np.finfo(float).tiny, np.inf),
    "area": ("area", 0.0, np.inf),
    "reference_discharge": (None, np.finfo(float).tiny, np.inf),
}


def positions_below(table: xr.Dataset) -> np.ndarray:
    """Position of the reach below each, -1 at an outlet, (reach,).

    Raises
    ------
    DimensionError, MissingVariableError
        If the table has no labelled dimension ``reach``, or no ``downstream``.
    CoordinateError
        If labels occur twice, or those below are of another type.
    NetworkError
        If a reach flows into itself, into two others or into one that is not there; or there is a loop, or
        no outlet.
    """
    if REACH not in table.dims or REACH not in table.indexes:
        raise DimensionError(
            f"the table of a river network has the dimensions {tuple(map(str, table.dims))}; expected "
            "'reach' with the labels of the reaches: ds.rename(...), ds.set_index(reach=...)."
        )
    if "downstream" not in table:
        raise MissingVariableError(
            "the table of a river network lacks 'downstream', the label of the reach below each; expected "
            "'' or -1 at an outlet."
        )
    labels, given = table.indexes[REACH], table["downstream"]
    if given.dims != (REACH,):
        raise NetworkError(
            f"'downstream' has the dimensions {given.dims}; expected ('reach',): one reach below each. A "
            "network that divides cannot be routed: keep the main branch of each bifurcation."
        )
    repeated = np.flatnonzero(labels.duplicated())
    if len(repeated):
        _refuse_repeated(labels, given.values, int(repeated[0]), len(repeated))
    below = _labels_below(labels, given.values)
    found = labels.get_indexer(below)
    outlet = pd.isna(below)
    unknown = np.flatnonzero((found < 0) & ~outlet)
    if len(unknown):
        where = unknown[0]
        raise NetworkError(
            f"reach {labels[where]} flows into {below[where]}, which is not in the network "
            f"({len(unknown)} such reaches); expected the label of another reach, or '' or -1 at an outlet."
        )
    found = np.where(outlet, -1, found)
    _check_flow(labels, found)
    return found


def _refuse_repeated(labels: pd.Index, below: np.ndarray, where: int, number: int) -> None:
    label = labels[where]
    targets = list(dict.fromkeys(str(each) for each in below[labels == label]))
    if len(targets) > 1:
        raise NetworkError(
            f"reach {label} flows into {' and '.join(targets)}; expected one reach below each. A network "
            "that divides cannot be routed: keep the main branch of each bifurcation."
        )
    raise CoordinateError(
        f"reach {label} occurs more than once ({number} repeats); expected each label once: "
        "table.drop_duplicates('reach')."
    )


def _labels_below(labels: pd.Index, below: np.ndarray) -> pd.Index:
    """Labels of the reaches below, missing at outlets; refused if they are of another type."""
    text = labels.dtype.kind not in "iuf"
    values = pd.Series(below.astype(object))
    outlet = values.isna() | values.isin(["", -1])
    if not text and 0 not in labels:  # HydroRIVERS, MERIT-Basins
        outlet |= values == 0
    rest = values[~outlet]
    fits = rest.map(lambda value: isinstance(value, str) if text else isinstance(value, int | np.integer))
    if not text and not fits.all():  # whole numbers with missing values have become floats
        fits |= rest.map(lambda value: isinstance(value, float | np.floating) and float(value).is_integer())
    if labels.dtype.kind == "f" or not fits.all():
        other = labels[0] if not len(rest) or fits.all() else rest[~fits].iloc[0]
        if text and isinstance(other, str):
            raise NetworkError("a reach has no label; expected text or whole numbers.")
        raise CoordinateError(
            f"reaches are labelled by {'text' if text else labels.dtype} such as {labels[0]!r}, and "
            f"'downstream' has {other!r}; expected labels of one type, text or whole numbers: "
            "table['downstream'].astype(...)."
        )
    kept = values.mask(outlet, None)
    if not text:
        kept = kept.map(lambda value: None if pd.isna(value) else int(value))
    return pd.Index(kept.astype(object), dtype=object)


def _check_flow(labels: pd.Index, below: np.ndarray) -> None:
    own = np.flatnonzero(below == np.arange(len(below)))
    if len(own):
        raise NetworkError(
            f"reach {labels[own[0]]} flows into itself; expected another reach, or '' or -1 at an outlet."
        )
    if len(below) == 0:
        raise NetworkError("the network has no reaches; expected at least one.")
    way = loop(below)
    if len(way):
        names = [str(labels[place]) for place in (*way[:8], way[0])]
        if len(way) > 8:
            names.insert(8, f"... ({len(way)} reaches)")
        none = "the network has no outlet: " if (below >= 0).all() else ""
        raise NetworkError(
            f"{none}the water flows in a loop, {' -> '.join(names)}; expected each reach to lead to an "
            "outlet, whose 'downstream' is '' or -1."
        )


def check_values(table: xr.Dataset) -> None:
    """Check units and ranges of the known variables.

    Raises
    ------
    UnitsError
        If a length, time or area has no units, or units that are not understood.
    ValueRangeError
        If a value is missing or outside its range.
    DimensionError
        If a variable has other dimensions than ``reach``.
    """
    for name, (_, low, high) in COLUMNS.items():
        if name not in table:
            continue
        if table[name].dims != (REACH,):
            raise DimensionError(f"{name!r} has the dimensions {table[name].dims}; expected ('reach',).")
        values = in_units(table, name)
        wrong = np.flatnonzero(~((values >= low) & (values <= high) & np.isfinite(values)))
        if len(wrong):
            bounds = (
                "above 0" if low > 0 else f"{low:g} or more" if high == np.inf else f"{low:g} to {high:g}"
            )
            raise ValueRangeError(
                f"{name!r} of reach {table.indexes[REACH][wrong[0]]} is {values[wrong[0]]:g} ({len(wrong)} "
                f"such reaches); expected a number, {bounds}. Correct the table, or leave the reaches out."
            )


def in_units(table: xr.Dataset, name: str) -> np.ndarray:
    """A known variable as float64: lengths in m, times in days, areas in km2."""
    array, quantity = table[name], COLUMNS[name][0]
    if array.dtype.kind == "m":  # xarray decodes units of time
        days: np.ndarray = array.values / np.timedelta64(1, "D")
        return days
    values: np.ndarray = array.values.astype(float)
    if quantity is None:
        return values
    factor = factor_offset(array.attrs.get("units"), quantity, name=name)[0]
    return values * factor / (86400.0 if quantity == "duration" else 1.0)

"""Baseflow index: the share of baseflow in streamflow."""

from __future__ import annotations

import xarray as xr

from ..conventions.variables import VARIABLES
from ..errors import UnitsError

_PERCENT = ("%", "percent", "per cent", "pct", "percentage")

_FRACTION = ("", "-", "1", "fraction", "dimensionless", "unitless")

_CLEARLY_PERCENT = 2.0  # no error of rounding brings a fraction above


def baseflow_index(baseflow: xr.DataArray, streamflow: xr.DataArray, dim: str = "time") -> xr.DataArray:
    """Share of baseflow in streamflow: sum of one over sum of the other, 0 to 1.

    Parameters
    ----------
    baseflow, streamflow : DataArray
        In the same unit; take whole years. For a simulation ``sim.baseflow`` and ``sim.runoff``,
        the paper's Q2 and Q. A day counts where both have a value.
    dim : str
        The dimension to sum over.

    Returns
    -------
    DataArray
        Without ``dim``; missing where there is no streamflow.
    """
    both = baseflow.notnull() & streamflow.notnull()
    total = streamflow.where(both).sum(dim, dtype=float)
    index = baseflow.where(both).sum(dim, dtype=float) / total.where(total > 0)
    index = index.rename("baseflow_index")
    index.attrs = VARIABLES["baseflow_index"].attrs()
    return index


def as_fraction(index: xr.DataArray) -> xr.DataArray:
    """A baseflow index as a fraction, whether it was one or percent.

    Raises
    ------
    UnitsError
        Where the values contradict the units (all of at most 1 percent are fractions), lie outside 0 to 100,
        or up to between 1 and 2 without units.
    """
    units = str(index.attrs.get("units", "")).strip()
    values = index.astype(float)
    least, most = float(values.min()), float(values.max())
    percent = units.lower() in _PERCENT or (not units and most > _CLEARLY_PERCENT)
    fraction = not percent and units.lower() in _FRACTION
    limit = 100.0 if percent else 1.0
    known = (percent or fraction) and not (percent and 0.0 < most <= 1.0)  # a fraction that is called percent
    if not known or least < 0.0 or most > limit * (1.0 + 1e-6):
        raise UnitsError(
            f"the baseflow index {index.name!r} has units {units or 'none'!r} and values from {least:g} to "
            f"{most:g}; expected 0 to 1 with units '1' or 0 to 100 with units '%'. Correct its 'units'."
        )
    return values / 100.0 if percent else values

"""The baseflow index, the share of baseflow in streamflow, and its units."""

from __future__ import annotations

import xarray as xr

from ..conventions.labels import in_same_terms
from ..conventions.variables import VARIABLES
from ..errors import UnitsError

_PERCENT = ("%", "percent", "per cent", "pct", "percentage")

_FRACTION = ("", "-", "1", "fraction", "dimensionless", "unitless")

_CLEARLY_PERCENT = 2.0  # no fraction exceeds this by rounding


def baseflow_index(baseflow: xr.DataArray, streamflow: xr.DataArray, dim: str = "time") -> xr.DataArray:
    """Share of baseflow in streamflow: the sum of baseflow over the sum of streamflow.

    Parameters
    ----------
    baseflow, streamflow : DataArray
        ``(..., dim)`` in the same units, preferably over whole years; for a simulation ``sim.baseflow`` and
        ``sim.runoff``, Q2 and Q of Feng et al. (2022). A day counts if both have a value.
    dim : str
        The dimension to sum over.

    Returns
    -------
    DataArray
        ``(...)``, 0 to 1, units 1; missing where the streamflow sums to 0.
    """
    if any(not index.equals(streamflow.indexes.get(name)) for name, index in baseflow.indexes.items()):
        pair = (array.to_dataset(name="_values") for array in (baseflow, streamflow))
        baseflow, streamflow = (ds["_values"] for ds in in_same_terms(*pair))
    both = baseflow.notnull() & streamflow.notnull()
    total = streamflow.where(both).sum(dim, dtype=float)
    index = baseflow.where(both).sum(dim, dtype=float) / total.where(total > 0)
    index = index.rename("baseflow_index")
    index.attrs = VARIABLES["baseflow_index"].attrs()
    return index


def as_fraction(index: xr.DataArray) -> xr.DataArray:
    """Convert a baseflow index to a fraction, from percent if necessary.

    Without units, values above 2 mean percent.
    """
    units = str(index.attrs.get("units", "")).strip()
    values = index.astype(float)
    least, most = float(values.min()), float(values.max())
    percent = units.lower() in _PERCENT or (not units and most > _CLEARLY_PERCENT)
    fraction = not percent and units.lower() in _FRACTION
    limit = 100.0 if percent else 1.0
    known = (percent or fraction) and not (percent and 0.0 < most <= 1.0)  # mislabelled fraction
    if not known or least < 0.0 or most > limit * (1.0 + 1e-6):
        raise UnitsError(
            f"the baseflow index {index.name!r} has units {units or 'none'!r} and values from {least:g} to "
            f"{most:g}; expected 0 to 1 with units '1' or 0 to 100 with units '%'. Correct its 'units'."
        )
    return values / 100.0 if percent else values

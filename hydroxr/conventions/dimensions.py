"""Dimensions of space and all others, the grid mapping, and the mean over components."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import xarray as xr

# All dimensions of a result that are not space; every other dimension is space.
NOT_SPACE = ("time", "component", "member", "bnds", "lead", "hidden_unit", "running_mean", "section")

INIT, LEAD, VALID_TIME = "init", "lead", "valid_time"  # of forecasts: date of issue, days after it, day meant
COMPONENT_WEIGHT = "component_weight"  # coordinate of results: weights of components in their mean


def space_of(array: xr.DataArray | xr.Dataset) -> tuple[Hashable, ...]:
    """The dimensions of space, in order: for example ``("basin",)`` or ``("lat", "lon")``."""
    return tuple(dim for dim in array.dims if dim not in NOT_SPACE)


def grid_mapping_of(array: xr.DataArray) -> str | None:
    """The name of the grid mapping of a variable; the first of several, as in ``crs: y x``."""
    name = array.attrs.get("grid_mapping", array.encoding.get("grid_mapping"))
    return name.split(":")[0].strip() if isinstance(name, str) else None


def component_mean(values: Any, *, skipna: bool | None = False, keep_attrs: bool = False) -> Any:
    """Mean of a DataArray or Dataset over components, by their weights if it has them as a coordinate."""
    if COMPONENT_WEIGHT not in values.coords:
        return values.mean("component", skipna=skipna, keep_attrs=keep_attrs)
    weights = values.coords[COMPONENT_WEIGHT]
    mean = values.drop_vars(COMPONENT_WEIGHT).weighted(weights.fillna(0.0).drop_vars(COMPONENT_WEIGHT))
    return mean.mean("component", skipna=skipna, keep_attrs=keep_attrs)

"""Dimensions of space and all others."""

from __future__ import annotations

from collections.abc import Hashable

import xarray as xr

# All dimensions of a result that are not space; every other dimension is space.
NOT_SPACE = ("time", "component", "member", "bnds", "lead", "hidden_unit", "running_mean", "section")


def space_of(array: xr.DataArray | xr.Dataset) -> tuple[Hashable, ...]:
    """The dimensions of space, in order: for example ``("basin",)`` or ``("lat", "lon")``."""
    return tuple(dim for dim in array.dims if dim not in NOT_SPACE)

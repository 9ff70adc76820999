"""Which dimensions a metric reduces, and which days and values count."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import xarray as xr

from ..errors import CoordinateError, DescriptionError, DimensionError
from ..inputs.time_axis import select_days

Dims = Hashable | Iterable[Hashable]  # one dimension, several, or ... for all


def dimensions(dim: Dims, simulated: xr.DataArray) -> tuple[Hashable, ...]:
    """The dimensions to reduce: one, several, or with ``...`` all of the simulation."""
    if dim is ...:
        dims = simulated.dims
    elif isinstance(dim, str) or not isinstance(dim, Iterable):
        dims = (dim,)
    else:
        dims = tuple(dict.fromkeys(dim))
    if not dims:
        raise DimensionError(
            f"dim={dim!r} names no dimension; expected at least one of {simulated.dims}, those of "
            "'simulated': dim='time', or several: dim=('time', 'basin')."
        )
    return dims


def within(array: xr.DataArray, time: slice, what: str) -> xr.DataArray:
    """Select the days ``time`` of a series; ``what`` names it in messages."""
    if "time" not in array.indexes:
        raise DimensionError(
            f"{what} has no coordinate 'time' along one of its dimensions {array.dims}; expected one to "
            "select days. Add it, or leave out time=."
        )
    return select_days(array.to_dataset(name="_values"), time, what)["_values"]


def counted(values: xr.DataArray, mask: xr.DataArray) -> xr.DataArray:
    """``values``, NaN where the mask is False; the mask may have more labels, in any order."""
    if not isinstance(mask, xr.DataArray) or mask.dtype != bool:
        found = f"a DataArray of {mask.dtype}" if isinstance(mask, xr.DataArray) else type(mask).__name__
        raise DescriptionError(
            f"mask is {found}; expected a DataArray of bool, True where a value counts: mask = data > ..."
        )
    strange = [dim for dim in mask.dims if dim not in values.dims]
    if strange:
        raise DimensionError(
            f"the mask has dimension {strange[0]!r}; choose from {values.dims}, those of the data."
        )
    for dim in mask.dims:
        if dim in mask.indexes and dim in values.indexes:
            wanted, there = values.indexes[dim], mask.indexes[dim]
            absent = wanted[~wanted.isin(there)]
            if len(absent) or not there.is_unique:
                found = f"lacks {len(absent)}, first {absent[0]}" if len(absent) else "repeats some"
                raise CoordinateError(
                    f"the mask {found} of the {len(wanted)} labels of {dim!r}; expected each of them once. "
                    "Make the mask from the data: mask = data > ..."
                )
            mask = mask.sel({dim: wanted})
        elif mask.sizes[dim] != values.sizes[dim]:
            raise CoordinateError(
                f"the mask has {mask.sizes[dim]} values along {dim!r}, the data {values.sizes[dim]}, and no "
                "labels match them; expected the same number. Give both the same coordinate."
            )
    return values.where(mask.drop_vars(mask.coords))

"""What of two series counts in a metric: which dimensions are reduced, which days and values enter."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import xarray as xr

from ..errors import CoordinateError, DescriptionError, DimensionError
from ..inputs.time_axis import select_days

Dims = Hashable | Iterable[Hashable]  # one dimension, several, or ... for all


def dimensions(dim: Dims, simulated: xr.DataArray) -> tuple[Hashable, ...]:
    """The dimensions to reduce: one, several, or with ``...`` all of the simulation.

    Raises
    ------
    DimensionError
        Where there is none.
    """
    if dim is ...:
        dims = simulated.dims
    elif isinstance(dim, str) or not isinstance(dim, Iterable):
        dims = (dim,)
    else:
        dims = tuple(dict.fromkeys(dim))
    if not dims:
        raise DimensionError(
            f"dim={dim!r} names no dimension, and 'simulated' has {simulated.dims}; a metric reduces at "
            "least one. Name it: dim='time', or several: dim=('time', 'basin')."
        )
    return dims


def within(array: xr.DataArray, time: slice, what: str) -> xr.DataArray:
    """The days ``time`` of a series, which messages call ``what``.

    Raises
    ------
    DimensionError, DescriptionError, EmptySelectionError
    """
    if "time" not in array.indexes:
        raise DimensionError(
            f"{what} has no coordinate 'time' along one of its dimensions {array.dims}, in which days could "
            "be selected; select before, or leave time= out."
        )
    return select_days(array.to_dataset(name="_values"), time, what)["_values"]


def counted(values: xr.DataArray, mask: xr.DataArray) -> xr.DataArray:
    """``values``, NaN where the mask is False; the mask may have more labels, in any order.

    Raises
    ------
    DescriptionError, DimensionError, CoordinateError
    """
    if not isinstance(mask, xr.DataArray) or mask.dtype != bool:
        found = f"a DataArray of {mask.dtype}" if isinstance(mask, xr.DataArray) else type(mask).__name__
        raise DescriptionError(
            f"mask is {found}; expected a DataArray that is True where a value counts and False where not."
        )
    strange = [dim for dim in mask.dims if dim not in values.dims]
    if strange:
        raise DimensionError(
            f"the mask has dimension {strange[0]!r}; expected some of {values.dims}, those of the data."
        )
    for dim in mask.dims:
        if dim in mask.indexes and dim in values.indexes:
            wanted, there = values.indexes[dim], mask.indexes[dim]
            absent = wanted[~wanted.isin(there)]
            if len(absent) or not there.is_unique:
                found = f"lacks {len(absent)}, {absent[0]} first" if len(absent) else "has some of them twice"
                raise CoordinateError(
                    f"of the {len(wanted)} labels of {dim!r} the mask {found}; expected each of them once. "
                    "Make the mask from the data: mask = data > ..."
                )
            mask = mask.sel({dim: wanted})
        elif mask.sizes[dim] != values.sizes[dim]:
            raise CoordinateError(
                f"the mask has {mask.sizes[dim]} values of {dim!r}, the data {values.sizes[dim]}, and no "
                "labels say which belong together; expected as many. Give both the same coordinate."
            )
    return values.where(mask.drop_vars(mask.coords))

"""Labels of cells: an index in memory; in files a variable beside numbers, as CF wants it.

CF identifies a time series by a variable with ``cf_role = "timeseries_id"`` (section 9.5), and the labels
of a dimension are numbers (section 5). So ``basin(basin) = ["A", "B"]`` becomes ``basin(basin) = [0, 1]``
and ``basin_id(basin) = ["A", "B"]`` in a file. Everything that tells cells apart asks here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from dask.local import get_sync

from .attributes import LABELS_OF

_ROLE = "timeseries_id"
_TEXT = "OSTU"
_PLACES = ("basin", "lat", "lon", "y", "x")
_OF_A_RUN = ("time", "run", "model", "symbol", "split", "fold", "members", "protocol", "hardware", "versions")


def as_text(values: np.ndarray) -> np.ndarray:
    """Labels as text; bytes are decoded, and what is missing is empty."""
    if values.dtype.kind == "U":
        return values
    flat = [_text(value) for value in values.ravel().tolist()]
    return np.array(flat, dtype=str).reshape(values.shape)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None or value != value else str(value)


def names_of(ds: xr.Dataset, dim: Hashable) -> Hashable | None:
    """The variable that holds the labels of a dimension beside its numbers, or None.

    It is the one that hydroxr wrote for it, else that with ``cf_role``, else a text coordinate that is named
    after the dimension. ``dim`` may be the number that a selection of one cell left.
    """
    own = ds.variables.get(dim)
    if dim == "time" or (own is not None and own.dtype.kind not in "iu"):
        return None
    dims = (dim,) if own is None else own.dims
    ranks = {
        name: rank
        for name, array in ds.variables.items()
        if name != dim and array.dims == dims and (rank := _rank(ds, name, dim)) is not None
    }
    return min(ranks, key=ranks.__getitem__, default=None)


def _rank(ds: xr.Dataset, name: Hashable, dim: Hashable) -> int | None:
    """How surely a variable holds the labels of a dimension, from 0; None if it does not."""
    array = ds.variables[name]
    if array.dtype.kind not in _TEXT and (dim in ds.variables or array.dtype.kind not in "iu"):
        return None
    if LABELS_OF in array.attrs:
        return 0 if array.attrs[LABELS_OF] == dim else None
    if array.attrs.get("cf_role") == _ROLE and (array.ndim or name == f"{dim}_id"):
        return 1
    return 2 if name == f"{dim}_id" and name in ds.coords and array.dtype.kind in _TEXT else None


def is_text(ds: xr.Dataset, dim: Hashable) -> bool:
    """Whether a dimension, or the one cell that is left of it, is labelled by text."""
    name = names_of(ds, dim)
    own = ds.variables.get(dim if name is None else name)
    return own is not None and own.dtype.kind in _TEXT and not isinstance(ds.indexes.get(dim), pd.MultiIndex)


def labelled(ds: xr.Dataset, dims: Iterable[Hashable] | None = None) -> xr.Dataset:
    """``ds`` with labels as index, whether a file numbers them or they are bytes.

    Parameters
    ----------
    ds : Dataset
        Names that are missing or repeat do not become labels.
    dims : iterable, optional
        Default: all dimensions, and those of which one cell is left.
    """
    out = ds
    for dim in _dimensions(ds) if dims is None else dims:
        name = names_of(ds, dim)
        chosen = dim if name is None else name
        if chosen not in ds.variables or not (name is not None or _are_bytes(ds.variables[chosen])):
            continue
        # The function, not its name: of a name older dask warns where a client is active.
        given = ds.variables[chosen].to_base_variable().compute(scheduler=get_sync)
        values = as_text(given.values) if given.dtype.kind in _TEXT else given.values
        if values.ndim and (len(set(values.tolist())) < len(values) or (values == "").any()):
            continue
        attrs = {key: value for key, value in given.attrs.items() if key != LABELS_OF}
        out = out.drop_vars([dim, chosen], errors="ignore")
        out = out.assign_coords({dim: (given.dims, values, attrs)})
    if out is not ds:
        out.set_close(ds.close)
    return out


def _dimensions(ds: xr.Dataset) -> dict[Hashable, None]:
    """All dimensions, and those of which a selection left one cell."""
    left = [name for name, array in ds.coords.items() if not array.dims and array.dtype.kind in "iuSO"]
    return dict.fromkeys([*ds.dims, *left])


def bytes_as_text(array: xr.Variable) -> xr.Variable:
    """A coordinate, or its text where it holds bytes."""
    return xr.Variable(array.dims, as_text(array.values), array.attrs) if _are_bytes(array) else array


def _are_bytes(array: xr.Variable) -> bool:
    if array.dtype.kind != "O" or array.chunks is not None:
        return array.dtype.kind == "S"
    return any(isinstance(value, bytes) for value in array.values.ravel()[:1].tolist())


def in_same_terms(first: xr.Dataset, second: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Both with text as index where both have text for a dimension; else their numbers are compared."""
    dims = {**_dimensions(first), **_dimensions(second)}
    both = [dim for dim in dims if is_text(first, dim) and is_text(second, dim)]
    return labelled(first, both), labelled(second, both)


def numbered(ds: xr.Dataset) -> xr.Dataset:
    """``ds`` as a file has it: a number for each text label, and the labels in a variable of their own."""
    texts = [
        dim
        for dim, index in ds.indexes.items()
        if dim in ds.dims and dim != "time" and index.nlevels == 1 and ds[dim].dtype.kind in _TEXT
    ]
    for dim in texts:
        given = ds[dim].variable
        values = as_text(given.values)
        stem = str(dim).removesuffix("_id")
        name = f"{stem}_id"
        if name != dim and _holds(ds, name, dim, values):
            ds = ds.drop_vars(name)  # the same labels once more
        free = (f"{stem}_{word}" for word in ("id", "name", "label"))
        name = next((each for each in free if each not in ds.variables), f"labels_of_{dim}")
        attrs = {**given.attrs, LABELS_OF: str(dim)}
        ds = ds.drop_vars(dim).assign_coords({dim: np.arange(len(values)), name: (dim, values, attrs)})
    return ds


def _holds(ds: xr.Dataset, name: str, dim: Hashable, values: np.ndarray) -> bool:
    """Whether a coordinate holds these labels of a dimension."""
    if name not in ds.coords or ds[name].dims != (dim,) or ds[name].dtype.kind not in _TEXT:
        return False
    return np.array_equal(as_text(ds[name].values), values)


def tells_apart(array: xr.DataArray) -> bool:
    """Whether a coordinate tells series apart: it names their places, and not a run or a model."""
    name = str(array.name)
    if name in _PLACES or name.endswith("_id") or array.attrs.get("cf_role") == _ROLE:
        return True
    return not array.dims and array.dtype.kind in _TEXT and name not in _OF_A_RUN and name[-5:] != "_name"


def series_of(ds: xr.Dataset | xr.DataArray) -> Hashable | None:
    """The coordinate that identifies the time series; CF allows one (section 9.5)."""
    texts = [name for name, array in ds.coords.items() if array.ndim <= 1 and array.dtype.kind in _TEXT]
    named = [name for name in texts if ds[name].attrs.get("cf_role") == _ROLE]
    written = [name for name in texts if LABELS_OF in ds[name].attrs]
    usual = [name for name in texts for dim in ds[name].dims if name in (dim, f"{dim}_id") and dim != "time"]
    usual += [name for name in texts if not ds[name].dims and (name == "basin" or str(name).endswith("_id"))]
    return next(iter([*named, *written, *usual]), None)

"""Whether a regional model is asked for cells unlike those that it was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .errors import HydroxrWarning
from .model import Model

RANGES = "attribute_ranges"  # under which a model's training has them
GAPS = "attributes_with_gaps"
MISSING, OUTSIDE = 1, 2  # bits of the flag
_NAMED = 5  # attributes in a warning
_ANY = (-np.inf, np.inf)  # the range of an attribute that had no value in training


def attribute_facts(values: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """What a model is to remember of the attributes of the cells that it is trained on.

    Parameters
    ----------
    values : array, (cell, attribute)
        NaN where missing; text as the number of its category.
    names : sequence of str
        Of the attributes.

    Returns
    -------
    dict
        ``attribute_ranges``: the least and the largest value by name, of those that have any;
        ``attributes_with_gaps``: the names of those that some cells lack.
    """
    there = np.isfinite(values)
    ranges = {
        name: [float(column[known].min()), float(column[known].max())]
        for name, column, known in zip(names, values.T, there.T, strict=True)
        if known.any()
    }
    gaps = [name for name, known in zip(names, there.T, strict=True) if not known.all()]
    return {RANGES: ranges, GAPS: gaps}


def knows_ranges(model: Model) -> bool:
    """Whether a model remembers what it was trained on."""
    return bool(model.training.get(RANGES))


def is_lazy(attributes: xr.DataArray, mask: xr.DataArray | None) -> bool:
    """Whether blocks are to mark cells: nothing lazy is read to describe a run."""
    return attributes.chunks is not None or (mask is not None and mask.chunks is not None)


def attribute_flag(attributes: xr.DataArray, model: Model, mask: xr.DataArray | None = None) -> xr.DataArray:
    """Mark cells with attributes that training did not have, and warn of them.

    Parameters
    ----------
    attributes : DataArray, (space..., attribute)
        Of :func:`hydroxr.cells.attribute_array`, in memory.
    model : Model
        One that :func:`knows_ranges`.
    mask : DataArray of bool, (space...), optional
        The cells that are simulated; default: all.

    Returns
    -------
    DataArray of int8, (space...)
        See :func:`marks`.
    """
    dims = [dim for dim in attributes.dims if dim != "attribute"]
    values = attributes.transpose(*dims, "attribute").values
    simulated = np.ones(values.shape[:-1], dtype=bool)
    if mask is not None:
        simulated = mask.transpose(*dims).values.astype(bool)
    missing, outside = (found & simulated[..., None] for found in _unlike(values, model))
    flag = _as_bits(missing, outside)
    labels = {dim: attributes.indexes[dim] for dim in dims if dim in attributes.indexes}
    out = xr.DataArray(flag, labels, dims)
    if not flag.any():
        return out
    texts = _of_missing(missing, model) + _of_outside(values, outside, model)
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    warnings.warn(
        f"{int((flag > 0).sum())} of {int(simulated.sum())} cells have attributes that training did not "
        f"have, which 'attribute_flag' marks: {'; '.join(texts[:_NAMED])}{more}. Parameters are extrapolated "
        "there; are meaning and units those of the training data?",
        HydroxrWarning,
        stacklevel=5,
    )
    return out


def marks(values: np.ndarray, model: Model) -> np.ndarray:
    """Which cells have attributes that training did not have.

    Parameters
    ----------
    values : array, (cell, attribute)
        Of :func:`hydroxr.cells.attribute_array`.
    model : Model

    Returns
    -------
    array of int8, (cell,)
        Bit 1: a value is missing where none was in training; bit 2: one is outside the range of the training,
        or text that it did not have.
    """
    return _as_bits(*_unlike(values, model))


def _as_bits(missing: np.ndarray, outside: np.ndarray) -> np.ndarray:
    bits = missing.any(-1).astype("int8") * MISSING + outside.any(-1).astype("int8") * OUTSIDE
    return np.asarray(bits, dtype="int8")


def _unlike(values: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """What is missing, and what is outside the range, (..., attribute)."""
    ranges, gaps = model.training[RANGES], model.training.get(GAPS, ())
    limits = np.array([ranges.get(name, _ANY) for name in model.attributes], dtype="float32")
    complete = np.array([name in ranges and name not in gaps for name in model.attributes])
    return np.isnan(values) & complete, (values < limits[:, 0]) | (values > limits[:, 1])


def _of_missing(missing: np.ndarray, model: Model) -> list[str]:
    """What to say of values that are missing."""
    counts = missing.reshape(-1, len(model.attributes)).sum(0)
    return [
        f"{name} is missing in {count}" for name, count in zip(model.attributes, counts, strict=True) if count
    ]


def _of_outside(values: np.ndarray, outside: np.ndarray, model: Model) -> list[str]:
    """What to say of values outside the range."""
    texts = []
    for place, name in enumerate(model.attributes):
        found = values[..., place][outside[..., place]]
        if not found.size:
            continue
        if name in model.categories:
            texts.append(f"{name} is text in {found.size} that none of the training has")
            continue
        low, high = np.array(model.training[RANGES][name], dtype="float32")
        span = f"{found.min():g}" if found.size == 1 else f"{found.min():g} to {found.max():g}"
        texts.append(f"{name} is {span} in {found.size} (trained on {low:g} to {high:g})")
    return texts

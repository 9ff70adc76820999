"""Whether a regional model is asked for cells unlike those that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import warn
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


def attribute_flag(attributes: xr.DataArray, model: Model, mask: xr.DataArray | None = None) -> xr.DataArray:
    """Mark cells with attributes that training did not have, and warn of them.

    Parameters
    ----------
    attributes : DataArray, (space..., attribute)
        Of :func:`hydroxr.inputs.attributes.attribute_array`.
    model : Model
        One that :func:`knows_ranges`.
    mask : DataArray of bool, (some of space...), optional
        The cells that are simulated; default: all.

    Returns
    -------
    DataArray of int8, (space...)
        Bit 1: a value is missing where none was in training; bit 2: one is outside the range of the training,
        or text that it did not have. Lazy, and without a warning, where the attributes or the mask are.
    """
    space = [dim for dim in attributes.dims if dim != "attribute"]
    simulated = xr.DataArray(True) if mask is None else mask.astype(bool).reset_coords(drop=True)
    flag: xr.DataArray = xr.apply_ufunc(
        _marks,
        attributes,
        simulated,
        kwargs={"limits": _limits(model)},  # as values: the checksum of a model is that of its weights
        input_core_dims=[["attribute"], []],
        dask="parallelized",
        output_dtypes=[np.dtype("int8")],
    )
    flag = flag.transpose(*space)
    if flag.chunks is None and flag.any():
        _warn(attributes, simulated, model)
    return flag


def _warn(attributes: xr.DataArray, simulated: xr.DataArray, model: Model) -> None:
    """Say which attributes are unlike those of the training, and how."""
    each, here = xr.broadcast(attributes, simulated, exclude=["attribute"])
    values = each.transpose(*here.dims, "attribute").values[here.values]
    missing, outside = _unlike(values, _limits(model))
    texts = _of_missing(missing, model) + _of_outside(values, outside, model)
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    warn(
        f"{int((missing | outside).any(-1).sum())} of {len(values)} cells have attributes that training did "
        f"not have: {'; '.join(texts[:_NAMED])}{more}. Parameters are extrapolated there (a simulation marks "
        "the cells by 'attribute_flag'); are meaning and units those of the training data?"
    )


def _limits(model: Model) -> np.ndarray:
    """The least and the largest value, and whether no cell of the training lacked it: (attribute, 3)."""
    ranges, gaps = model.training[RANGES], model.training.get(GAPS, ())
    return np.array(
        [(*ranges.get(name, _ANY), name in ranges and name not in gaps) for name in model.attributes],
        dtype="float32",
    )


def _marks(values: np.ndarray, simulated: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The bits of :func:`attribute_flag`, (...)."""
    missing, outside = _unlike(values, limits)
    bits = missing.any(-1).astype("int8") * MISSING + outside.any(-1).astype("int8") * OUTSIDE
    return np.asarray(bits * simulated, dtype="int8")


def _unlike(values: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is missing, and what is outside the range, (..., attribute)."""
    low, high, complete = limits.T
    return np.isnan(values) & (complete > 0), (values < low) | (values > high)


def _of_missing(missing: np.ndarray, model: Model) -> list[str]:
    """What to say of values that are missing."""
    counts = zip(model.attributes, missing.sum(0), strict=True)
    return [f"{name} is missing in {count}" for name, count in counts if count]


def _of_outside(values: np.ndarray, outside: np.ndarray, model: Model) -> list[str]:
    """What to say of values outside the range."""
    texts = []
    for place, name in enumerate(model.attributes):
        found = values[:, place][outside[:, place]]
        if not found.size:
            continue
        if name in model.categories:
            texts.append(f"{name} is text in {found.size} that none of the training has")
            continue
        low, high = np.array(model.training[RANGES][name], dtype="float32")
        span = f"{found.min():g}" if found.size == 1 else f"{found.min():g} to {found.max():g}"
        texts.append(f"{name} is {span} in {found.size} (trained on {low:g} to {high:g})")
    return texts

"""Warn of cells with attributes unlike those that a regional model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.missing_values import look_missing
from ..errors import warn
from .model import Model

RANGES, GAPS = "attribute_ranges", "attributes_with_gaps"  # entries of a model's training
MISSING, OUTSIDE = 1, 2  # bits of the flag
_NAMED = 5  # attributes named in a warning
_ANY = (-np.inf, np.inf)  # range of an attribute without any value in training


def attribute_facts(values: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """The facts about the attributes of the training cells that a model keeps.

    Parameters
    ----------
    values : array, (cell, attribute)
        NaN where missing; text as the number of its category.
    names : sequence of str
        Name of each attribute.

    Returns
    -------
    dict
        ``attribute_ranges``: smallest and largest value by name, for attributes with any value;
        ``attributes_with_gaps``: names of the attributes that some cells lack.
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
    """Whether a model knows the attribute ranges of its training."""
    return bool(model.training.get(RANGES))


def attribute_flag(attributes: xr.DataArray, model: Model, mask: xr.DataArray | None = None) -> xr.DataArray:
    """Mark cells with attributes unlike those of the training, and warn of them.

    Parameters
    ----------
    attributes : DataArray, (space..., attribute)
        From :func:`hydroxr.inputs.attributes.attribute_array`.
    model : Model
        A model that knows its ranges, see :func:`knows_ranges`.
    mask : DataArray of bool, (some of space...), optional
        The cells that are simulated; default: all.

    Returns
    -------
    DataArray of int8, (space...)
        Bit 1: an attribute is missing that no training cell lacked. Bit 2: a value is outside the range of
        the training, or a text that the training did not have. If attributes or mask are lazy, the
        result is lazy and there is no warning.
    """
    space = [dim for dim in attributes.dims if dim != "attribute"]
    simulated = xr.DataArray(True) if mask is None else mask.astype(bool).reset_coords(drop=True)
    flag: xr.DataArray = xr.apply_ufunc(
        _marks,
        attributes,
        simulated,
        kwargs={"limits": _limits(model)},  # as an array, since the hash of a model does not cover them
        input_core_dims=[["attribute"], []],
        dask="parallelized",
        output_dtypes=[np.dtype("int8")],
    )
    flag = flag.transpose(*space)
    if flag.chunks is None and flag.any():
        _warn(attributes, simulated, model)
    return flag


def _warn(attributes: xr.DataArray, simulated: xr.DataArray, model: Model) -> None:
    """Warn, naming the attributes and how they differ from the training."""
    each, here = xr.broadcast(attributes, simulated, exclude=["attribute"])
    values = each.transpose(*here.dims, "attribute").values[here.values]
    missing, outside = _unlike(values, _limits(model))
    texts = _of_outside(values, outside, model) + _of_missing(missing, model)
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    warn(
        f"{int((missing | outside).any(-1).sum())} of {len(values)} cells have attributes unlike those of "
        f"the training: {'; '.join(texts[:_NAMED])}{more}. The model extrapolates there; simulations mark "
        "these cells in 'attribute_flag'. Check that meaning and units are those of the training data."
    )


def _limits(model: Model) -> np.ndarray:
    """Smallest and largest value, and whether all training cells had a value: (attribute, 3)."""
    ranges, gaps = model.training[RANGES], model.training.get(GAPS, ())
    return np.array(
        [(*ranges.get(name, _ANY), name in ranges and name not in gaps) for name in model.attributes],
        dtype="float32",
    )


def _marks(values: np.ndarray, simulated: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The bits of :func:`attribute_flag`, (...), from values (..., attribute)."""
    missing, outside = _unlike(values, limits)
    bits = missing.any(-1).astype("int8") * MISSING + outside.any(-1).astype("int8") * OUTSIDE
    return np.asarray(bits * simulated, dtype="int8")


def _unlike(values: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a value is missing, and where it is outside the range; both (..., attribute)."""
    low, high, complete = limits.T
    return np.isnan(values) & (complete > 0), (values < low) | (values > high)


def _of_missing(missing: np.ndarray, model: Model) -> list[str]:
    """Phrases about missing values."""
    counts = zip(model.attributes, missing.sum(0), strict=True)
    return [f"{name} is missing in {count}" for name, count in counts if count]


def _of_outside(values: np.ndarray, outside: np.ndarray, model: Model) -> list[str]:
    """Phrases about values outside the range."""
    texts = []
    for place, name in enumerate(model.attributes):
        found = values[:, place][outside[:, place]]
        if not found.size:
            continue
        if name in model.categories:
            texts.append(f"{name} is text in {found.size} that the training does not have")
            continue
        low, high = np.array(model.training[RANGES][name], dtype="float32")
        coded = look_missing(found)
        for code in np.unique(found[coded]):
            count = int((found == code).sum())
            texts.append(
                f"{name} is {code:g} in {count} (a number that often stands for a missing value: make it NaN)"
            )
        found = found[~coded]
        if found.size:
            span = f"{found.min():g}" if found.size == 1 else f"{found.min():g} to {found.max():g}"
            texts.append(f"{name} is {span} in {found.size} (trained on {low:g} to {high:g})")
    return texts

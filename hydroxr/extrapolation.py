"""Whether a regional model is asked for cells unlike those that it was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .errors import HydroxrWarning
from .model import Model

RANGES = "attribute_ranges"  # under which a model's training has them
GAPS = "attributes_with_gaps"
MISSING, OUTSIDE = 1, 2  # bits of the flag
_NAMED = 5  # attributes in a warning


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


def attribute_flag(
    attributes: xr.DataArray, model: Model, mask: xr.DataArray | None = None
) -> xr.DataArray | None:
    """Mark cells with attributes that training did not have, and warn of them.

    Parameters
    ----------
    attributes : DataArray, (space..., attribute)
        Of :func:`hydroxr.cells.attribute_array`.
    model : Model
        With ``attribute_ranges`` in its training.
    mask : DataArray of bool, (space...), optional
        The cells that are simulated; default: all.

    Returns
    -------
    DataArray of int8, (space...), or None
        Bit 1: a value is missing where none was in training; bit 2: one is outside the range of the
        training. None where no cell is marked, where the model remembers no ranges, and for attributes
        that are lazy: they are not read before the blocks are.
    """
    ranges = model.training.get(RANGES)
    if not ranges or attributes.chunks is not None or (mask is not None and mask.chunks is not None):
        return None
    simulated = xr.DataArray(True) if mask is None else mask.astype(bool).reset_coords(drop=True)
    known = [name for name in model.attributes if name in ranges]
    limits = np.array([ranges[name] for name in known], dtype="float32")
    part = attributes.isel(attribute=[model.attributes.index(name) for name in known])
    low, high = (xr.DataArray(limits[:, side], dims="attribute") for side in (0, 1))
    complete = [name not in model.training.get(GAPS, ()) for name in known]
    missing = simulated & part.isnull() & xr.DataArray(complete, dims="attribute")
    outside = simulated & ((part < low) | (part > high))
    dims = part.isel(attribute=0).dims
    missing, outside = (found.transpose(*dims, "attribute") for found in (missing, outside))
    flag = missing.any("attribute") * MISSING + outside.any("attribute") * OUTSIDE
    flag = flag.astype("int8")
    if not flag.any():
        return None
    cells = flag.size if mask is None else int(simulated.sum())
    texts = _of_missing(missing, known) + _of_outside(part, outside, dict(zip(known, limits, strict=True)))
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    warnings.warn(
        f"{int((flag > 0).sum())} of {cells} cells have attributes that training did not have, which "
        f"'attribute_flag' marks: {'; '.join(texts[:_NAMED])}{more}. Parameters are extrapolated there; are "
        "meaning and units those of the training data?",
        HydroxrWarning,
        stacklevel=4,
    )
    return flag


def _of_missing(missing: xr.DataArray, names: Sequence[str]) -> list[str]:
    """What to say of values that are missing."""
    counts = missing.sum([dim for dim in missing.dims if dim != "attribute"]).values
    return [f"{name} is missing in {count}" for name, count in zip(names, counts, strict=True) if count]


def _of_outside(part: xr.DataArray, outside: xr.DataArray, limits: Mapping[str, np.ndarray]) -> list[str]:
    """What to say of values outside the range."""
    texts = []
    for place, (name, (low, high)) in enumerate(limits.items()):
        values = part.isel(attribute=place).values[outside.isel(attribute=place).values]
        if values.size:
            found = f"{values.min():g}" if values.size == 1 else f"{values.min():g} to {values.max():g}"
            texts.append(f"{name} is {found} in {values.size} (trained on {low:g} to {high:g})")
    return texts

"""Whether static attributes can be, for the model that a Dataset is checked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..conventions.missing_values import look_missing
from ..conventions.variables import ATTRIBUTES
from ..errors import HydroxrError
from ..inputs.attributes import attribute_names, attribute_numbers
from ..inputs.cells import Space
from ..inputs.resolve import Inputs
from ..models.specs import Spec


def attribute_faults(ds: xr.Dataset, inputs: Inputs, spec: Spec | None) -> list[HydroxrError]:
    """What ``fit`` would refuse: no attributes for a regional model, or text for numbers."""
    if spec is not None and not spec.regional:
        return []
    try:
        names = _names(ds, inputs.space, spec)
        for name in names:
            attribute_numbers(ds[name], inputs.space)
    except HydroxrError as error:
        return [error]
    return []


def attribute_remarks(ds: xr.Dataset, inputs: Inputs, spec: Spec | None) -> list[str]:
    """Numbers among the attributes that often stand for missing values."""
    if spec is not None and not spec.regional:
        return []
    texts = []
    for name in _names(ds, inputs.space, None):
        array = attribute_numbers(ds[name], inputs.space)
        if array.chunks is not None or array.dtype.kind not in "iuf":
            continue
        codes = np.unique(array.values[look_missing(array.values)])
        if codes.size:
            listed = ", ".join(f"{code:g}" for code in codes)
            texts.append(f"{name} is {listed}")
    if not texts:
        return []
    return [f"attributes have numbers that often stand for missing values: {'; '.join(texts)}"]


def _names(ds: xr.Dataset, space: Space, spec: Spec | None) -> Sequence[str]:
    """The attributes by default; with a spec there must be some."""
    if spec is not None:
        return attribute_names(ds, space, None)
    return [name for name in ATTRIBUTES if name in ds and set(ds[name].dims) <= set(space)]

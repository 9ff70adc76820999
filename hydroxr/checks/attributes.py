"""Whether static attributes can be, for the model that a Dataset is checked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..conventions.missing_values import look_missing
from ..conventions.variables import ATTRIBUTES
from ..errors import HydroxrError
from ..inputs.attributes import attribute_names, attribute_numbers
from ..inputs.resolve import Inputs
from ..models.specs import Spec


def chosen_attributes(inputs: Inputs, spec: Spec | None, chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The attributes that a model would take; without a model those of the paper that are there.

    Raises
    ------
    HydroxrError
        If a regional model has none, or a chosen one is absent or varies in time.
    """
    if chosen is None and spec is None:
        return tuple(
            name for name in ATTRIBUTES if name in inputs.ds and {*inputs.ds[name].dims} <= {*inputs.space}
        )
    if spec is not None and not spec.regional:
        return ()
    return attribute_names(inputs.ds, inputs.space, chosen)


def attribute_faults(inputs: Inputs, names: Sequence[str]) -> list[HydroxrError]:
    """What is no number, of all attributes."""
    errors = []
    for name in names:
        try:
            attribute_numbers(inputs.ds[name])
        except HydroxrError as error:
            errors.append(error)
    return errors


def attribute_remarks(inputs: Inputs, names: Sequence[str]) -> list[str]:
    """Numbers among sound attributes that often stand for missing values."""
    texts = []
    for name in names:
        array = attribute_numbers(inputs.ds[name])
        if array.chunks is not None or array.dtype.kind not in "iuf":
            continue
        codes = np.unique(array.values[look_missing(array.values)])
        if codes.size:
            texts.append(f"{name} is {', '.join(f'{code:g}' for code in codes)}")
    if not texts:
        return []
    return [f"attributes have numbers that often stand for missing values: {'; '.join(texts)}"]

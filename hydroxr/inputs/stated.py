"""How converted inputs stand in the Dataset, for messages: who looks for -999 must find it there."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr

from ..conventions.missing_values import SENTINELS
from ..conventions.units import DISCHARGE_TO_DEPTH, daily_kind, factor_offset, quantity_of
from ..conventions.variables import FORCING, VARIABLES
from ..errors import HydroxrError


class _Inputs(Protocol):
    """Inputs that a Dataset holds for a model."""

    @property
    def ds(self) -> xr.Dataset: ...

    @property
    def wanted(self) -> tuple[str, ...]: ...

    @property
    def space(self) -> tuple[Hashable, ...]: ...

    def name(self, role: str, /) -> str | None: ...

    def required(self, role: str, /) -> xr.DataArray: ...


@dataclass(frozen=True)
class Stated:
    """The conversion of an input: the model's value is ``factor`` times that in ``units``, plus ``offset``.

    Parameters
    ----------
    units : str
    factor : float or array, (cell,)
    offset : float
    """

    units: str
    factor: float | np.ndarray
    offset: float = 0.0

    def of(self, cells: Any) -> Stated:
        """The same of some cells."""
        return self if np.ndim(self.factor) == 0 else replace(self, factor=np.asarray(self.factor)[cells])

    def code(self, value: float, cell: int) -> float | None:
        """The number for missing values of which a value is the conversion, to single precision, if any."""
        factor = self.factor if np.ndim(self.factor) == 0 else np.asarray(self.factor)[cell]
        with np.errstate(all="ignore"):  # an area of 0, an infinite value
            near = np.isclose((np.float64(value) - self.offset) / factor, SENTINELS, rtol=1e-5, atol=0.0)
        return SENTINELS[int(near.argmax())] if near.any() else None


def stated(inputs: _Inputs, *, with_flow: bool) -> dict[str, Stated]:
    """The conversion of each input that is not in the model's units.

    Parameters
    ----------
    inputs : Inputs
    with_flow : bool
        The observed streamflow, too; its role is looked up then.
    """
    out = {}
    forcing = [name for name in inputs.wanted if name in FORCING]
    for role in (*forcing, "streamflow") if with_flow else forcing:
        with suppress(HydroxrError):  # what cannot be read is told elsewhere
            found = _conversion(inputs, role)
            if found is not None:
                out[role] = found
    return out


def _conversion(inputs: _Inputs, role: str) -> Stated | None:
    name, quantity = inputs.name(role), VARIABLES[role].quantity
    if name is None or quantity is None:
        return None
    array = inputs.ds[name]
    units = str(array.attrs.get("units", ""))
    if role == "streamflow" and quantity_of(units) == "discharge":
        area = inputs.required("area")
        if area.chunks is not None:
            return None
        factor, _ = factor_offset(units, "discharge", name=name)
        sizes = {dim: inputs.ds.sizes[dim] for dim in inputs.space}
        areas = area.variable.set_dims({**sizes, **area.sizes}).transpose(*inputs.space).values.ravel()
        with np.errstate(divide="ignore"):
            return Stated(units, factor * DISCHARGE_TO_DEPTH / areas)
    if daily_kind(array) == "amount":
        quantity = "water amount"
    factor, offset = factor_offset(units, quantity, name=name)
    return None if (factor, offset) == (1.0, 0.0) else Stated(units, factor, offset)

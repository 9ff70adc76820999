"""Comparison of a simulation with independent estimates: evapotranspiration, baseflow, snow, storage."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..aggregate import aggregate, area_weights
    from ..aggregate_time import composite_8day
    from .indices import baseflow, baseflow_index
    from .mod16 import open_mod16
    from .products import evapotranspiration, snow, storage, water_balance_evapotranspiration
    from .separation import eckhardt, lyne_hollick, recession_constant

_FUNCTIONS = {
    "aggregate": "..aggregate",
    "area_weights": "..aggregate",
    "baseflow": ".indices",
    "baseflow_index": ".indices",
    "composite_8day": "..aggregate_time",
    "eckhardt": ".separation",
    "evapotranspiration": ".products",
    "lyne_hollick": ".separation",
    "open_mod16": ".mod16",
    "recession_constant": ".separation",
    "snow": ".products",
    "storage": ".products",
    "water_balance_evapotranspiration": ".products",
}

__all__ = [
    "aggregate",
    "area_weights",
    "baseflow",
    "baseflow_index",
    "composite_8day",
    "eckhardt",
    "evapotranspiration",
    "lyne_hollick",
    "open_mod16",
    "recession_constant",
    "snow",
    "storage",
    "water_balance_evapotranspiration",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

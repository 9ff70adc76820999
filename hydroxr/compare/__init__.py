"""Comparison of a simulation with independent estimates: evapotranspiration, baseflow, snow, storage."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..analysis.area_means import aggregate, area_weights
    from ..analysis.baseflow_separation import eckhardt, lyne_hollick, recession_constant
    from ..analysis.time_means import composite_8day
    from ..datasets.mod16 import open_mod16
    from .baseflow import baseflow, baseflow_index
    from .products import evapotranspiration, snow, storage, water_balance_evapotranspiration

_FUNCTIONS = {
    "aggregate": "..analysis.area_means",
    "area_weights": "..analysis.area_means",
    "baseflow": ".baseflow",
    "baseflow_index": ".baseflow",
    "composite_8day": "..analysis.time_means",
    "eckhardt": "..analysis.baseflow_separation",
    "evapotranspiration": ".products",
    "lyne_hollick": "..analysis.baseflow_separation",
    "open_mod16": "..datasets.mod16",
    "recession_constant": "..analysis.baseflow_separation",
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

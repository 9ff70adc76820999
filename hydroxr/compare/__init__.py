"""Comparison of a simulation with independent estimates of evapotranspiration, baseflow, snow and storage."""

from __future__ import annotations

from ..analysis.area_means import aggregate
from ..analysis.area_weights import area_weights
from ..analysis.baseflow_index import baseflow_index
from ..analysis.baseflow_separation import eckhardt, lyne_hollick, recession_constant
from ..analysis.time_means import composite_8day
from ..datasets.mod16 import open_mod16
from .baseflow import baseflow
from .evapotranspiration import evapotranspiration, water_balance_evapotranspiration
from .storages import snow, storage

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


def __dir__() -> list[str]:
    return sorted(__all__)

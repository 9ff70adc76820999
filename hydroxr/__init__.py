"""hydroxr: differentiable HBV hydrology on labelled Datasets.

Importing it registers ``ds.hbv``. Modules that need torch or matplotlib are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import errors
from ._version import __version__
from .accessor import HBVAccessor
from .errors import HydroxrError, HydroxrWarning
from .models.specs import DeltaHBV, LSTMStreamflow

if TYPE_CHECKING:
    from . import compare, metrics, physics, plot
    from .datasets.camels import open_camels
    from .datasets.catchments.reader import open_catchments
    from .datasets.catchments.table import open_table
    from .datasets.climate import climate_attributes
    from .datasets.grids.forcing import open_forcing
    from .datasets.samples import open_sample
    from .datasets.virtual_continent import virtual_continent
    from .models.ensemble import Ensemble
    from .models.load import load_model
    from .models.model import Model
    from .reproduction.results import open_results
    from .rivers.network import RiverNetwork
    from .storage.open import open_run
    from .training.search.search import search
    from .training.search.space import Range

_FUNCTIONS = {
    "open_camels": "datasets.camels",
    "open_forcing": "datasets.grids.forcing",
    "open_catchments": "datasets.catchments.reader",
    "open_table": "datasets.catchments.table",
    "open_sample": "datasets.samples",
    "climate_attributes": "datasets.climate",
    "load_model": "models.load",
    "open_run": "storage.open",
    "search": "training.search.search",
    "Range": "training.search.space",
    "open_results": "reproduction.results",
    "Model": "models.model",
    "Ensemble": "models.ensemble",
    "virtual_continent": "datasets.virtual_continent",
    "RiverNetwork": "rivers.network",
}
_MODULES = ("compare", "metrics", "physics", "plot")

__all__ = [
    "DeltaHBV",
    "Ensemble",
    "HBVAccessor",
    "HydroxrError",
    "HydroxrWarning",
    "LSTMStreamflow",
    "Model",
    "Range",
    "RiverNetwork",
    "__version__",
    "climate_attributes",
    "compare",
    "errors",
    "load_model",
    "metrics",
    "open_camels",
    "open_catchments",
    "open_forcing",
    "open_results",
    "open_run",
    "open_sample",
    "open_table",
    "physics",
    "plot",
    "search",
    "virtual_continent",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f".{_FUNCTIONS[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

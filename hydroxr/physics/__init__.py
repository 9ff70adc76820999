"""HBV on arrays and tensors: no labels, no dask.

``simulate`` runs cells through time; ``PARAMETERS`` is the table of parameters;
``RunoffNetwork`` is NN_r, one of the modules that can take the place of an equation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .parameters import PARAMETERS

if TYPE_CHECKING:
    from .runoff_network import RunoffNetwork
    from .simulation import simulate

__all__ = ["PARAMETERS", "RunoffNetwork", "simulate"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only when something is simulated.
    if name == "simulate":
        from .simulation import simulate

        return simulate
    if name == "RunoffNetwork":
        from .runoff_network import RunoffNetwork

        return RunoffNetwork
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

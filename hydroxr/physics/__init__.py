"""HBV on arrays and tensors, without labels and without dask.

``simulate`` runs HBV for many cells at once. ``PARAMETERS`` is the table of parameters.
``RunoffNetwork`` is NN_r, a network that replaces the equation of effective rainfall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .parameters import PARAMETERS

if TYPE_CHECKING:
    from .runoff_network import RunoffNetwork
    from .simulation import simulate

__all__ = ["PARAMETERS", "RunoffNetwork", "simulate"]


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, so it waits until something is simulated.
    if name == "simulate":
        from .simulation import simulate

        return simulate
    if name == "RunoffNetwork":
        from .runoff_network import RunoffNetwork

        return RunoffNetwork
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

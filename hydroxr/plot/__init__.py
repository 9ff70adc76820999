"""Pictures of simulations, of how good they are, of parameters, and of a training.

Names and symbols come from :mod:`hydroxr.conventions.variables`; fluxes are labelled mm/day and storages
mm, which kg m-2 day-1 and kg m-2 are in number. The colours can be told apart by readers who do not see all
of them (after Okabe and Ito, 2008), and what drains from a store has the hue of that store.

Matplotlib is imported only when something is drawn, since hydroxr works without it.
"""

from __future__ import annotations

from .baseflow import baseflow_index
from .dynamic_parameters import dynamic_parameters
from .evapotranspiration import evapotranspiration
from .hydrograph import hydrograph, storages
from .hydrographs import hydrographs
from .maps import draw_map as map
from .scores import cdf
from .training import history, loss

__all__ = [
    "baseflow_index",
    "cdf",
    "dynamic_parameters",
    "evapotranspiration",
    "history",
    "hydrograph",
    "hydrographs",
    "loss",
    "map",
    "storages",
]

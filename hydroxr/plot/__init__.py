"""Plots of simulations, scores, parameters and trainings.

Names and symbols come from :mod:`hydroxr.conventions.variables`. Fluxes are labelled mm/day and storages mm,
which equal kg m-2 day-1 and kg m-2 in number. The colours suit colour-blind readers (after Okabe and Ito,
2008); the outflow of a store has a similar hue as the store.

Matplotlib is optional: it is imported with the first plot.
"""

from __future__ import annotations

from .baseflow import baseflow_index
from .dynamic_parameters import dynamic_parameters
from .evapotranspiration import evapotranspiration
from .hydrograph import hydrograph, storages
from .hydrographs import fan_chart, hydrographs
from .maps import draw_map as map
from .scores import cdf, reliability, skill_by_lead
from .training import history, loss, search

__all__ = [
    "baseflow_index",
    "cdf",
    "dynamic_parameters",
    "evapotranspiration",
    "fan_chart",
    "history",
    "hydrograph",
    "hydrographs",
    "loss",
    "map",
    "reliability",
    "search",
    "skill_by_lead",
    "storages",
]

"""Metrics of a simulation against observations: one number per cell, lazy, over any dimensions.

All metrics obey the same rules:

- **Pairs.** A time step counts only if both series have a value; n is the number of such pairs.
- **Undefined metrics are NaN, without a warning**: fewer than 2 pairs, division by zero (observations that do
  not vary, or sum to 0), or an infinite value in a pair.
- **float64.** Sums are in float64 for any input, since float32 sums drift over decades.
- **Labels.** In time, only common labels count. In space, the cells of the simulation are looked up among
  the observed ones, in any order, and one basin among many: each must be there. Units
  must be the same where both series state them.
- **Any dimensions.** ``dim`` names one or several dimensions, which are pooled, or with ``...`` all.
- **Parts.** ``time`` selects days and ``mask`` values; all others count as missing.

In the formulas s is the simulated and o the observed value; an overbar is the mean over the pairs.
"""

from __future__ import annotations

from .efficiency import bias, correlation, log_nse, nse, pbias, rmse
from .evaluate import evaluate
from .kling_gupta import kge, kge_2012, kge_2012_parts, kge_parts
from .probabilistic import brier, crps, pit, reliability, spread_skill
from .signatures import fhv, flv, peak_timing

__all__ = [
    "bias",
    "brier",
    "correlation",
    "crps",
    "evaluate",
    "fhv",
    "flv",
    "kge",
    "kge_2012",
    "kge_2012_parts",
    "kge_parts",
    "log_nse",
    "nse",
    "pbias",
    "peak_timing",
    "pit",
    "reliability",
    "rmse",
    "spread_skill",
]

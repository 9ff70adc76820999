"""How well a simulation fits the observations: one number per cell, lazily, over any other dimensions.

All metrics obey the same rules:

- **Pairs.** A time step counts only where both series have a value; n is the number of such pairs.
- **Undefined is NaN, never a warning**: fewer than 2 pairs, a formula that divides by zero (observations
  that do not vary, or whose sum is 0), or an infinite value in a pair.
- **float64.** Sums are taken in float64 whatever the input's dtype: those of float32 drift over decades.
- **Labels.** In time, the labels both series have are used. In space, labels must be the same, in the same
  order: hydroxr never drops a basin in silence. Units must be the same where both series state them.
- **Any dimensions.** ``dim`` names one, several (their pairs are pooled into one number) or, as ``...``, all.
- **Parts.** ``time`` selects days, ``mask`` values; what is left out counts as missing.

In the formulas s is the simulated and o the observed value, and an overbar is the mean over the pairs.
"""

from __future__ import annotations

from .efficiency import bias, correlation, log_nse, nse, pbias, rmse
from .evaluate import evaluate
from .kling_gupta import kge, kge_2012, kge_2012_parts, kge_parts
from .signatures import fhv, flv, peak_timing

__all__ = [
    "bias",
    "correlation",
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
    "rmse",
]

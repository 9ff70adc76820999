"""Small networks for tests."""

from __future__ import annotations

import numpy as np
import xarray as xr

#   a   b     d
#    \ /      |
#     c   e   f -> outlet     g -> outlet
#      \ /
#       h -> outlet
LABELS = ["c", "a", "b", "h", "e", "f", "d", "g"]  # in no order of flow
DOWNSTREAM = ["h", "c", "c", "", "h", "", "f", ""]


def table(**more: object) -> xr.Dataset:
    n = len(LABELS)
    out = xr.Dataset({"downstream": ("reach", np.array(DOWNSTREAM, dtype=object))}, {"reach": LABELS})
    out["length"] = ("reach", np.linspace(5e3, 4e4, n), {"units": "m"})
    out["travel_time"] = ("reach", np.array([0.2, 0.1, 1.5, 0.4, 3.0, 0.03, 0.0, 0.7]), {"units": "days"})
    out["x"] = ("reach", np.array([0.2, 0.1, 0.3, 0.25, 0.2, 0.1, 0.0, 0.0]))
    out["area"] = ("reach", np.linspace(50.0, 400.0, n), {"units": "km2"})
    return out.assign(more)

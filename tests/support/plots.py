"""For tests of plots: random results of several runs, what maps show, a region that is higher than wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    import matplotlib.collections
    import matplotlib.transforms

RUNS = (
    ("d1", "δ1", 0, "time"),
    ("d1", "δ1", 1, "time"),
    ("dn-bt-gt", "δn(γt,βt)", 0, "time"),
    ("lstm", "LSTM", 0, "time"),
)
FLUX = "kg m-2 day-1"


def make_results(basins: int = 40, seed: int = 5) -> xr.Dataset:
    """Scores and other means ``(run, basin)``, and observed baseflow indices ``(basin)``."""
    random = np.random.default_rng(seed)
    shape = (len(RUNS), basins)
    delta = np.array([run[0] != "lstm" for run in RUNS])[:, None]
    observed = random.uniform(0.1, 0.9, basins)
    precipitation, streamflow = random.uniform(2, 4, shape), random.uniform(0.2, 1.5, shape)
    in_runs = {
        "nse": (random.beta(6, 3, shape) - 0.1, "1", "Nash-Sutcliffe efficiency (NSE)"),
        "kge": (random.beta(6, 3, shape) - 0.1, "1", "Kling-Gupta efficiency of 2009 (KGE)"),
        "flv": (random.normal(0, 40, shape), "%", "percent bias of low flows (FLV)"),
        "baseflow_index": (np.where(delta, np.clip(observed + 0.1, 0, 1), np.nan), "1", "baseflow index"),
        "evapotranspiration": (
            np.where(delta, precipitation - streamflow + random.normal(0, 0.1, shape), np.nan),
            FLUX,
            "mean evapotranspiration",
        ),
        "precipitation": (precipitation, FLUX, "mean precipitation"),
        "streamflow_observed": (streamflow, FLUX, "mean observed streamflow"),
        "et_correlation": (np.where(delta, random.uniform(0.5, 0.95, shape), np.nan), "1", "ET correlation"),
    }
    data = {
        name: (("run", "basin"), values, {"units": units, "long_name": text})
        for name, (values, units, text) in in_runs.items()
    }
    ids = np.array([f"{1000 + 7 * place:08d}" for place in range(basins)])
    coords = {
        "run": [f"{model}/seed{number}" for model, _, number, _ in RUNS],
        "model": ("run", [run[0] for run in RUNS]),
        "symbol": ("run", [run[1] for run in RUNS]),
        "seed": ("run", [run[2] for run in RUNS]),
        "split": ("run", [run[3] for run in RUNS]),
        "basin": np.arange(basins),
        "basin_id": ("basin", ids),
        "lat": ("basin", random.uniform(26, 48, basins)),
        "lon": ("basin", random.uniform(-122, -70, basins)),
    }
    usgs = np.clip(observed + random.normal(0, 0.1, basins), 0, 1)
    return xr.Dataset(data, coords).assign(bfi_l13=("basin", observed), bfi_usgs=("basin", usgs))


def drawn_values(axes) -> matplotlib.collections.Collection:
    (collection,) = [each for each in axes.collections if each.get_array() is not None]
    return collection


def boxes_of(texts) -> list[matplotlib.transforms.Bbox]:
    return [text.get_window_extent() for text in texts if text.get_text()]


def tall(values: xr.DataArray | xr.Dataset) -> xr.DataArray | xr.Dataset:
    """In a region 5 degrees wide and 22 high."""
    return values.assign_coords(lon=-78 + 5 * (values["lon"] + 96) / 52)

"""Twin experiment: a constant network with default settings finds the streamflow of known parameters.

    python tests/benchmarks/bench_twin.py [--cells N] [--years N] [--components N] [--seed N]

The truth has one random parameter set per cell, drawn over the whole ranges, and begins with nearly empty
stores, as the model does. Printed are the NSE of each of the worst cells after the first year, how many cells
lie below 0.98, and the minutes of training.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[2]))

import hydroxr as hx

WANTED = 0.98


def truth(cells: int, years: int, seed: int) -> xr.Dataset:
    """Forcing of a virtual continent, and the streamflow that random parameters make of it."""
    ds = hx.virtual_continent(cells=cells, years=years)[["prcp", "tmean", "pet"]].load()
    rng = np.random.default_rng(seed)
    table = {name: row for name, row in hx.physics.PARAMETERS.items() if name != "BETAET"}
    drawn = {name: row.lower + (row.upper - row.lower) * rng.random(cells) for name, row in table.items()}
    parameters = xr.Dataset({name: ("basin", values) for name, values in drawn.items()}, {"basin": ds.basin})
    return ds.assign(streamflow=ds.hbv.simulate(parameters, variables=["streamflow"])["streamflow"])


def main() -> None:
    """Fit, simulate, score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in {"cells": 60, "years": 10, "components": 16, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    ds = truth(given.cells, given.years, given.seed)
    started = time.perf_counter()
    spec = hx.DeltaHBV(components=given.components, network="constant")
    model = ds.hbv.fit(spec, seed=given.seed, progress=False)
    minutes = (time.perf_counter() - started) / 60
    scored = slice(ds["time"].values[365], None)
    nse = ds.hbv.simulate(model, variables=["streamflow"]).hbv.evaluate(ds, time=scored)["nse"].values
    worst = ", ".join(f"{nse[cell]:.3f} (cell {cell})" for cell in np.argsort(nse)[:5])
    print(f"NSE: median {np.median(nse):.4f}, worst {worst}")
    print(
        f"{int((nse < WANTED).sum())} of {nse.size} cells below {WANTED}; {minutes:.1f} minutes of training"
    )


if __name__ == "__main__":
    main()

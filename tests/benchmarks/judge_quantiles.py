"""How well quantiles of streamflow hold in years that neither the model nor its errors were fitted to.

    python tests/benchmarks/judge_quantiles.py --data camels_us_daymet.nc --out FOLDER \\
        --trained 1980-10-01 1986-09-30 --errors 1986-10-01 1990-09-30 --judged 1990-10-01 1995-09-30

Trains the model ``gauged`` of ``reproduce`` in the first years, unless ``--out`` has it, fits its errors
in the second, and prints for the third how many observations the interval from 5 to 95 % has, and by how much
the CRPS is below the mean absolute error of the simulation. Needs the extra ``scores``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import hydroxr as hx
from hydroxr.reproduction.runs import specification

INTERVAL = [0.05, 0.95]
LEVELS = (np.arange(50) + 0.5) / 50  # of equal probability
ITERATIONS, HIDDEN = 2250, 256


def main() -> None:
    """Train, fit errors, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained", nargs=2, default=("1980-10-01", "1986-09-30"))
    parser.add_argument("--errors", nargs=2, default=("1986-10-01", "1990-09-30"))
    parser.add_argument("--judged", nargs=2, default=("1990-10-01", "1995-09-30"))
    given = parser.parse_args()
    trained, fitted, judged = (slice(*each) for each in (given.trained, given.errors, given.judged))
    ds = hx.open_camels(given.data).sel(time=slice(None, judged.stop)).load()
    known = ds["streamflow"].sel(time=trained).notnull().any("time").values
    ds = ds.isel(basin=np.flatnonzero(known))
    path = given.out / f"{trained.start}-{trained.stop}"
    if not path.exists():
        options = {"iterations": ITERATIONS, "checkpoint": f"{path}.checkpoint", "device": "cpu"}
        ds.hbv.fit(specification("gauged", HIDDEN), time=trained, **options).save(path)
    sim = ds.hbv.simulate(hx.load_model(path), variables=["streamflow"])
    errors = sim.hbv.fit_errors(ds, fitted)
    part, observed = sim.sel(time=judged), ds["streamflow"].sel(time=judged)
    covered, ratios = [], []
    for place in range(ds.sizes["basin"]):  # all at once would not fit into memory
        one, seen = part.isel(basin=[place]), observed.isel(basin=[place])
        low, high = one.hbv.add_quantiles(errors, INTERVAL)["streamflow_quantile"]
        known = seen.notnull() & low.notnull()
        covered.append(float(((seen >= low) & (seen <= high)).where(known).mean()))
        many = one.hbv.add_quantiles(errors, LEVELS)["streamflow_quantile"]
        error = abs(one["streamflow"] - seen).mean()
        ratios.append(float(hx.metrics.crps(many, seen).squeeze() / error))
    for name, values in (("covered", np.array(covered)), ("CRPS over MAE", np.array(ratios))):
        low, middle, high = np.nanquantile(values, [0.1, 0.5, 0.9])
        print(
            f"{name}: mean {np.nanmean(values):.3f}, median {middle:.3f}, 10 to 90 % {low:.3f} to {high:.3f}"
        )


if __name__ == "__main__":
    main()

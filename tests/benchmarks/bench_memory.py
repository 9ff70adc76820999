"""Peak memory of a simulation in memory: many basins, long, dynamic parameters, a wide network.

    python tests/benchmarks/bench_memory.py [--basins 671] [--years 30] [--hidden 256]

Forcing is random and the network untrained, which does not change the memory. Peak memory counts the
whole process, libraries and data included.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model


def dataset(basins: int, years: int) -> xr.Dataset:
    """Random weather and attributes."""
    rng = np.random.default_rng(0)
    days = np.arange("1980-10-01", f"{1980 + years}-10-01", dtype="datetime64[D]").astype("datetime64[ns]")
    shape = (basins, len(days))
    season = 10.0 * np.sin(2.0 * np.pi * np.arange(len(days)) / 365.25).astype("f4")
    values = {
        "prcp": (rng.gamma(0.3, 10.0, shape).astype("f4"), "mm/day"),
        "tmean": (8.0 + season + rng.normal(0.0, 3.0, shape).astype("f4"), "degC"),
        "pet": (np.maximum(2.5 + 0.2 * season, 0.0) + np.zeros(shape, "f4"), "mm/day"),
    }
    ds = xr.Dataset(
        {
            name: (("basin", "time"), array.astype("f4"), {"units": unit})
            for name, (array, unit) in values.items()
        },
        coords={"basin": np.arange(basins), "time": days},
    )
    return ds.assign({f"attribute{k}": ("basin", rng.normal(size=basins)) for k in range(35)})


def untrained(spec: hx.DeltaHBV, ds: xr.Dataset) -> Model:
    """A model with random weights."""
    from hydroxr.models.parameter_network import ParameterNetwork

    weights = {name: value.numpy() for name, value in ParameterNetwork(spec, 35).state_dict().items()}
    days = ds["time"].values
    training = {"period": [str(days[0])[:10], str(days[len(days) // 2])[:10]], "days": len(days) // 2 + 1}
    return Model(spec, weights, tuple(f"attribute{k}" for k in range(35)), training=training)


def main() -> None:
    """Run once and print time and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--basins", type=int, default=671)
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=256)
    given = parser.parse_args()
    ds = dataset(given.basins, given.years)
    model = untrained(hx.DeltaHBV(dynamic=("BETA", "BETAET"), hidden=given.hidden, network="lstm"), ds)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    started = time.perf_counter()
    sim = ds.hbv.simulate(model)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    size = f"{given.hidden} hidden, {given.basins} basins x {ds.sizes['time']} days"
    print(f"{model.description.symbol}, {size}, all outputs ({sim.nbytes / 1e9:.2f} GB): {seconds:.0f} s")
    print(f"peak memory {peak:.2f} GB, {before:.2f} GB of it before the simulation")


if __name__ == "__main__":
    main()

"""Time and peak memory of comparisons: 8-day composites, baseflow filters, means over basins.

    python tests/benchmarks/bench_compare.py [composites | filters | weights]

Data are random. Peak memory counts the whole process, libraries and data included. Each part runs in its own
process, so that no peak hides another.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import xarray as xr

import hydroxr as hx


def composites() -> str:
    """10,000 cells x 10 years in blocks of 500 cells x 1 year: 8-day sums, compared with themselves."""
    import dask.array as da

    days = np.arange("2001-01-01", "2011-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    values = da.random.default_rng(0).gamma(1.0, 2.0, (10_000, len(days)), chunks=(500, 365))
    attrs = {"units": "kg m-2 day-1"}
    sim = xr.Dataset(
        {"evapotranspiration": (("basin", "time"), values.astype("f4"), attrs)},
        {"basin": np.arange(10_000), "time": days},
    )
    product = hx.compare.composite_8day(sim)
    out = hx.compare.evapotranspiration(sim, product).compute()
    assert int(out["n_periods"].min()) == 460
    return f"composites and metrics of 10,000 cells x {len(days)} days"


def filters() -> str:
    """569 basins x 30 years, the size of CAMELS."""
    flow = np.random.default_rng(0).gamma(0.5, 2.0, (569, 10_957))
    streamflow = xr.DataArray(flow, dims=("basin", "time"), attrs={"units": "mm/day"})
    hx.compare.lyne_hollick(streamflow[:1])  # compiles, or reads the cache
    started = time.perf_counter()
    hx.compare.lyne_hollick(streamflow)
    return f"Lyne-Hollick of 569 basins x 10,957 days ({time.perf_counter() - started:.2f} s once compiled)"


def weights() -> str:
    """1,000,000 pixels to 100 basins, 46 steps."""
    import shapely

    lat, lon = np.arange(49.995, 40.0, -0.01), np.arange(0.005, 10.0, 0.01)
    shape = (46, len(lat), len(lon))
    values = np.random.default_rng(0).gamma(1.0, 2.0, shape).astype("f4")
    ds = xr.Dataset({"et": (("time", "lat", "lon"), values)}, {"lat": lat, "lon": lon}).chunk(time=1)
    basins = {k: shapely.Point(k % 10 + 0.5, 40.5 + k // 10).buffer(0.45, 64) for k in range(100)}
    table = hx.compare.area_weights(ds, basins)
    hx.compare.aggregate(ds, table).compute()
    return f"{table.sizes['pair']:,} pairs of pixels and basins, 46 steps"


_PARTS: dict[str, Callable[[], str]] = {"composites": composites, "filters": filters, "weights": weights}


def main() -> None:
    """Run one part, or each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=list(_PARTS))
    part = parser.parse_args().part
    if part is None:
        for name in _PARTS:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    started = time.perf_counter()
    what = _PARTS[part]()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {seconds:.1f} s, peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()

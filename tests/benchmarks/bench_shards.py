"""Training from a Zarr store four times larger than its ``memory=``, against the same in memory.

    python tests/benchmarks/bench_shards.py [--memory 200] [--iterations 150] [--repeats 3]
        [--network filters] [--store PATH]

Each training is a process of one thread, and first trains on a few cells, which brings what every iteration
takes. Both kinds take turns. Printed are the seconds of an iteration (the median and the mean of all, without
those before the first one ends), the share that iterations waited for data, and by how much the memory grew
(VmHWM). Few iterations on much data wait for most of their time: each reads all data at least once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

DAYS, CHUNK, ATTRIBUTES = 5478, 10, 12


def make_store(path: Path, bytes_wanted: float) -> int:
    """Weather of some basins, repeated with noise, so that it does not compress to nothing; the cells."""
    import numpy as np
    import xarray as xr

    from tests.support.strategies import weather

    number = int(bytes_wanted / (16 * DAYS)) // CHUNK * CHUNK
    base = [part.astype("float32") for part in weather("temperate", DAYS, 50, 0)]
    rng = np.random.default_rng(0)
    time_axis = np.datetime64("1980-10-01") + np.arange(DAYS)
    units = {"prcp": "mm/day", "tmean": "degC", "pet": "mm/day", "streamflow": "mm/day"}
    for first in range(0, number, 200):
        cells = np.arange(first, min(first + 200, number))
        data: dict[str, Any] = {}
        for name, part in zip(("prcp", "tmean", "pet"), base, strict=True):
            noise = rng.uniform(0.8, 1.2, (len(cells), DAYS)).astype("float32")
            data[name] = (("basin", "time"), part.T[cells % 50] * noise, {"units": units[name]})
        flow = rng.gamma(1, 2, (len(cells), DAYS)).astype("float32")
        data["streamflow"] = (("basin", "time"), flow, {"units": "mm/day"})
        for place in range(ATTRIBUTES):
            data[f"a{place}"] = ("basin", rng.normal(size=len(cells)).astype("float32"), {"units": "1"})
        ds = xr.Dataset(data, {"basin": cells, "time": time_axis}).chunk(basin=CHUNK)
        ds.to_zarr(path, consolidated=False, **({"append_dim": "basin"} if first else {"mode": "w"}))
    return number


def status(name: str) -> float:
    """A line of the status of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def train(store: str, memory: float, iterations: int, network: str, limited: bool) -> dict[str, float]:
    """One training; ``memory`` in MB."""
    import numpy as np
    import torch
    import xarray as xr

    import hydroxr as hx

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dynamic = () if network == "mlp" else ("BETA", "BETAET")
    spec = hx.DeltaHBV(dynamic=dynamic, network=network)
    with xr.open_zarr(store, consolidated=False) as ds:
        options: dict[str, Any] = {"attributes": [f"a{place}" for place in range(ATTRIBUTES)]}
        options |= {"progress": False}
        few = ds.isel(basin=slice(0, 2 * CHUNK))
        # Iterations like those to come, and a few shards, which load what reading needs.
        few.hbv.fit(spec, iterations=5, **options)
        few.hbv.fit(spec, iterations=5, memory="60MB", **options)
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        if limited:
            options["memory"] = memory * 1e6
        began = time.perf_counter()
        model = ds.hbv.fit(spec, iterations=iterations, **options)
        whole = time.perf_counter() - began
    seconds = model.history["seconds"].values
    each = np.diff(seconds)
    out = {"median": float(np.median(each)), "mean": float(each.mean()), "fit": whole}
    out["training"] = float(seconds[-1])
    if "waiting" in model.history:
        waiting = model.history["waiting"].values
        out["waited"] = float(waiting[1:].sum() / (seconds[-1] - seconds[0]))
        out["waited with the first"] = float(waiting.sum() / seconds[-1])
    out["grown"] = status("VmHWM") - before
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memory", type=float, default=200.0, help="MB")
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--network", default="filters")
    parser.add_argument("--store", help="where the store is, or is to be made and kept")
    parser.add_argument("--one", choices=["shards", "whole"], help="a single training, as JSON")
    given = parser.parse_args()
    if given.one:
        result = train(given.store, given.memory, given.iterations, given.network, given.one == "shards")
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Path(given.store or Path(folder) / "basins.zarr")
        if not store.exists():
            print(f"{make_store(store, 4e6 * given.memory)} basins, {4 * given.memory:.0f} MB")
        found: dict[str, list[dict[str, float]]] = {"whole": [], "shards": []}
        for _ in range(given.repeats):
            for kind, results in found.items():
                results.append(_apart(given, store, kind))
                print(kind, {name: round(value, 4) for name, value in results[-1].items()}, flush=True)
    print(f"\n{given.network}: medians of {given.repeats} trainings of {given.iterations} iterations")
    for kind, results in found.items():
        values = {name: statistics.median(each[name] for each in results) for name in results[0]}
        print(kind, {name: round(value, 4) for name, value in values.items()})
    ratios = [one["mean"] / other["mean"] for one, other in zip(found["shards"], found["whole"], strict=True)]
    print(f"an iteration takes {statistics.median(ratios):.3f} times as long as in memory")


def _apart(given: argparse.Namespace, store: Path, kind: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", kind, "--store", str(store)]
    command += ["--memory", str(given.memory), "--iterations", str(given.iterations)]
    command += ["--network", given.network]
    ran = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(ran.stderr[-3000:])
    result: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()

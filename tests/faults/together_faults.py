"""Kill worker processes that train one model together (kill -9), at random moments.

    python tests/faults/together_faults.py --kills 20

Promise: the training ends as one that nobody disturbed, up to rounding: it goes on from the last checkpoint
on the workers that are left. Exits with 1 where it is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import numpy as np
from dask.distributed import Client

import hydroxr as hx
from hydroxr.models.model import Model
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset

SPEC = hx.DeltaHBV(components=4, hidden=8, dynamic=("BETA", "BETAET"))
OPTIONS: dict[str, Any] = {
    "time": slice("2000-01-01", "2000-05-29"),
    "validation": slice("2000-05-30", "2000-07-18"),
    "validate_every": 20,
    "batch": 12,
    "window": 60,
    "warmup": 30,
    "progress": False,
    "device": "cpu",
}


def alike(one: Model, two: Model) -> bool:
    """Losses and weights, up to rounding that a whole training has spread."""
    pairs = [(array, two.weights[name]) for name, array in one.weights.items()]
    pairs.append((one.history["loss"].values, two.history["loss"].values))
    return all(np.allclose(first, second, rtol=1e-2, atol=1e-3) for first, second in pairs)


def try_kills(number: int, folder: Path, client: Client, seed: int, iterations: int) -> Counter[str]:
    """One worker a training, the first one or another."""
    rng, counts = random.Random(seed), Counter[str]()
    ds = make_dataset(200, 8)

    def train(place: Path) -> Model:
        keep: dict[str, Any] = {"checkpoint": place, "checkpoint_every": 5}
        return ds.hbv.fit(SPEC, **OPTIONS, iterations=iterations, **keep, client=client)

    train(folder / "first")  # every worker imports and compiles
    began = time.monotonic()
    expected = train(folder / "undisturbed")
    seconds = time.monotonic() - began
    place = folder / "killed"
    with ThreadPoolExecutor(1) as thread:
        while counts["killed"] < number:
            pids: list[int] = []
            while len(pids) < 2:  # a worker that was killed a moment ago may still be listed
                client.wait_for_workers(2, timeout=600)
                pids = sorted(client.run(os.getpid, on_error="ignore").values())
            running = thread.submit(train, place)
            time.sleep(rng.uniform(0, seconds))
            at_work = not running.done()
            os.kill(rng.choice(pids), signal.SIGKILL)
            counts["killed" if at_work else "killed when all was done"] += 1
            try:
                fine = alike(running.result(timeout=600), expected)
                counts["ended as undisturbed" if fine else "BROKEN: other weights"] += 1
            except Exception as error:  # whatever it is, it is not what was promised
                counts[f"BROKEN: ended with {type(error).__name__}: {error}"] += 1
            shutil.rmtree(place, ignore_errors=True)
    return counts


def main() -> int:
    """Run what is asked for; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Kill workers that train one model together.")
    parser.add_argument("--kills", type=int, default=20, help="worker processes that are killed")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    # On a busy machine a killed worker needs longer to come back than the 15 s after which it is given up.
    patience = {"distributed.deploy.lost-worker-timeout": "10 minutes"}
    with tempfile.TemporaryDirectory() as folder, dask.config.set(patience), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lost workers
        with local_client(2) as client:
            counts = try_kills(given.kills, Path(folder), client, given.seed, given.iterations)
    print(f"workers of a training killed: {given.kills}, {time.monotonic() - began:.0f} s")
    for text, count in sorted(counts.items()):
        print(f"  {count:6d}  {text}")
    return int(any(text.startswith("BROKEN") for text in counts))


if __name__ == "__main__":
    sys.exit(main())

"""Trainings that are killed (kill -9) at random moments, and go on from their checkpoint.

    python tests/faults/fit_faults.py --kills 100

Promise: the weights and losses are, to the last bit, those of a training that nobody disturbed (on a
CPU), and whatever lies in the folder after a kill is a whole checkpoint. Exits with 1 where it is broken.
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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import hydroxr as hx
from hydroxr.models.model import Model
from hydroxr.models.specs import Spec
from tests.support.labelled import make_dataset

KINDS: dict[str, tuple[Spec, dict[str, Any]]] = {
    "static": (hx.DeltaHBV(components=2, hidden=8, network="lstm"), {}),
    "dynamic, validated": (
        hx.DeltaHBV(components=2, hidden=8, dynamic=("BETA", "BETAET"), network="lstm"),
        {"validation": slice("2000-03-21", "2000-05-29"), "validate_every": 3},
    ),
    "constant": (hx.DeltaHBV(components=4, network="constant"), {}),
    "LSTM, Adadelta": (hx.LSTMStreamflow(hidden=8, forcing=("prcp", "tmean")), {"optimizer": "adadelta"}),
}
OPTIONS: dict[str, Any] = {
    "time": slice("2000-01-01", "2000-03-20"),
    "batch": 6,
    "window": 30,
    "warmup": 20,
    "progress": False,
    "device": "cpu",
}

_MOST = 10  # kills of one training; then it is left alone


def apart(work: Callable[[], object], delay: float | None = None) -> bool:
    """Work in a process of its own, killed after a while; whether it was still at work."""
    with warnings.catch_warnings():
        # The child has the kernels and libraries of this process, which does nothing meanwhile.
        warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the training failed by itself; its traceback is above.")
    return os.WIFSIGNALED(status)


def same(one: Path, other: Path) -> bool:
    """Weights and losses, bit by bit."""
    first, second = (hx.load_model(path) for path in (one, other))
    assert isinstance(first, Model)
    assert isinstance(second, Model)
    keys = ("loss", "learning_rate", "skipped")
    return (
        first == second
        and all(array.tobytes() == second.weights[name].tobytes() for name, array in first.weights.items())
        and all(np.array_equal(first.history[key], second.history[key], equal_nan=True) for key in keys)
    )


def try_kills(number: int, folder: Path, seed: int, iterations: int = 40) -> Counter[str]:
    """Kill trainings of every kind in turn, each until it comes to its end, or was killed often enough."""
    rng, counts = random.Random(seed), Counter[str]()
    ds = make_dataset(150, 6)

    def train(kind: str, place: Path) -> None:
        spec, options = KINDS[kind]
        options = {**OPTIONS, **options, "iterations": iterations}
        model = ds.hbv.fit(spec, **options, checkpoint=place / "checkpoint", checkpoint_every=2)
        model.save(place / "model", overwrite=True)

    longest = {}
    for kind in KINDS:  # here too, so that the children find all kernels compiled
        train(kind, folder / f"here {kind}")
        began = time.monotonic()
        apart(partial(train, kind, folder / kind))
        longest[kind] = time.monotonic() - began
        counts["BROKEN: two undisturbed trainings differ"] += not same(
            folder / kind / "model", folder / f"here {kind}" / "model"
        )
    place = folder / "killed"
    while counts["killed"] < number:
        kind = rng.choice([*KINDS])
        work, kills = partial(train, kind, place), 0
        # A machine that others have slowed down since may never come to a checkpoint in time.
        while kills < _MOST and counts["killed"] < number and apart(work, rng.uniform(0, longest[kind])):
            counts["killed"] += 1
            kills += 1
        if not (place / "model").exists():
            apart(work)
        if kills:
            fine = same(place / "model", folder / kind / "model")
            what = "trainings that went on, the same to the last bit"
            counts[what if fine else f"BROKEN: {kind}: other weights"] += 1
        shutil.rmtree(place)
    return counts


def main() -> int:
    """Run what is asked for; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Kill trainings.")
    parser.add_argument("--kills", type=int, default=100, help="trainings that are killed")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = try_kills(given.kills, Path(folder), given.seed)
    print(f"trainings killed: {given.kills}, {time.monotonic() - began:.0f} s")
    for text, count in sorted(counts.items()):
        if count:
            print(f"  {count:6d}  {text}")
    return int(any(count and text.startswith("BROKEN") for text, count in counts.items()))


if __name__ == "__main__":
    sys.exit(main())

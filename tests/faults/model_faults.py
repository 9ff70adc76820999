"""Model files that nobody should trust: cut, edited, foreign, malicious.

    python tests/faults/model_faults.py --damages 300

Each is made from a sound one, with checksums that fit wherever a forger could make them fit. Promises:
a ModelFileError within a second of computing, without much memory, and nothing is executed; of flipped
bits and truncations, that they are found or change nothing.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydroxr as hx
from hydroxr.errors import ModelFileError
from hydroxr.models.error_tables import FILE as ERRORS_FILE
from hydroxr.models.files import JSON_FILE, WEIGHTS_FILE
from hydroxr.models.model import Model
from tests.faults.damages import flipped, judge
from tests.faults.forgeries import MALFORMED, MARKER, save_sound

MOST_SECONDS = 1.0
MOST_MEGABYTES = 200


@contextmanager
def alarm(seconds: int) -> Any:
    """An error for what hangs, for instance on a pipe."""

    def ring(*arguments: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def verdict(path: Path) -> str:
    """What happens when a model is opened that should not be."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()  # other programs on the machine are not to blame; what hangs is told
    try:
        with alarm(10):
            hx.load_model(path)
        found = "BROKEN: opened"
    except ModelFileError as error:
        found = "refused" if len(str(error)) < 1000 else "BROKEN: an endless message"
    except BaseException as error:
        found = f"BROKEN: {type(error).__name__}: {error}"[:200]
    if time.process_time() - began > MOST_SECONDS:
        found = f"BROKEN: {time.process_time() - began:.1f} s"
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024 > MOST_MEGABYTES:
        found = "BROKEN: much memory"
    return "BROKEN: executed" if (path.parent / MARKER).exists() else found


def try_malformed(folder: Path, names: list[str] | None = None) -> dict[str, str]:
    """What happens to each of the malformed models."""
    sound, found = folder / "sound", {}
    sound.mkdir()
    save_sound(sound)
    for place, name in enumerate(names or MALFORMED):
        shutil.copytree(sound, folder / str(place))
        MALFORMED[name](folder / str(place) / "model")
        found[name] = verdict(folder / str(place) / "model")
    return found


def same(found: Any, expected: Model) -> bool:
    """Every number and word of it."""
    return (
        found == expected
        and found.training == expected.training
        and found.history.identical(expected.history)
        and found.attributes == expected.attributes
    )


def try_damages(number: int, folder: Path, seed: int) -> Counter[str]:
    """Flip bits and cut off the ends of a model's files."""
    rng, counts = random.Random(seed), Counter[str]()
    path = save_sound(folder)
    expected = hx.load_model(path)
    assert isinstance(expected, Model)
    for _ in range(number):
        file = path / rng.choice([JSON_FILE, WEIGHTS_FILE, ERRORS_FILE])
        sound = file.read_bytes()
        if rng.random() < 0.5:
            changed, what = flipped(sound, rng.randrange(len(sound)), rng), f"{file.name}, bit"
        else:
            changed, what = sound[: rng.randrange(len(sound))], f"{file.name}, cut off"
        file.write_bytes(changed)
        judge(counts, what, lambda: same(hx.load_model(path), expected), ModelFileError)
        file.write_bytes(sound)
    return counts


def main() -> int:
    """Run what is asked for; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Open malformed and damaged models.")
    parser.add_argument("--damages", type=int, default=300, help="bits flipped and files cut off")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "damages").mkdir()
        began = time.monotonic()
        found = try_malformed(Path(folder))
        results = {"malformed models": Counter(found.values())}
        for name, text in found.items():
            if text != "refused":
                print(f"  {name}: {text}")
        results["damaged models"] = try_damages(given.damages, Path(folder) / "damages", given.seed)
    print(f"{time.monotonic() - began:.0f} s")
    for title, counts in results.items():
        print(f"{title}: {sum(counts.values())}")
        for text, count in sorted(counts.items()):
            print(f"  {count:6d}  {text}")
    return int(any(text.startswith("BROKEN") for counts in results.values() for text in counts))


if __name__ == "__main__":
    sys.exit(main())

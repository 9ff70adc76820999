"""Faults on purpose: kill -9 of writers, flipped bits and truncated files, in great number.

    python tests/faults/store_faults.py --kills 100 --appends 100 --damages 1000 --file-damages 1000

Promises: no store that can be opened is incomplete; what is resumed is what an undisturbed write
gives; damage is found by ``open_run(verify=True)``, or changes no value. Exits with 1 where one of
them is broken.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.labels import labelled
from hydroxr.errors import StoreError
from tests.faults.damages import flipped, judge
from tests.support.labelled import make_dataset, make_parameters

VARIABLES = ("streamflow", "baseflow", "soil_moisture")


@dataclass(frozen=True)
class Size:
    """Of the runs."""

    cells: int = 24
    days: int = 90
    later: int = 40


def runs(size: Size) -> tuple[xr.Dataset, xr.Dataset]:
    """A lazy run, and its continuation by later days."""
    ds = labelled(make_dataset(size.days + size.later, size.cells))
    parameters = make_parameters(ds)
    first, later = ds.isel(time=slice(0, size.days)), ds.isel(time=slice(size.days, None))
    _, state = first.hbv.simulate(parameters, variables=VARIABLES, return_state=True)
    sim = first.chunk(basin=2).hbv.simulate(parameters, variables=VARIABLES)
    rest = later.chunk(basin=2).hbv.simulate(parameters, initial_state=state, variables=VARIABLES)
    return sim, rest


def kill(write: Callable[[], object], delay: float) -> bool:
    """Write in a process of its own and kill it after a while; whether it was still at work."""
    with warnings.catch_warnings():
        # Threads of this process are idle, and the child makes its own.
        warnings.filterwarnings(
            "ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning
        )
        child = os.fork()
    if child == 0:
        try:
            with dask.config.set(pool=ThreadPoolExecutor(2)):
                write()
        finally:
            os._exit(0)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def equal(found: xr.Dataset, expected: xr.Dataset) -> bool:
    """All values and labels, to the last bit, whatever opened the files."""
    found, expected = labelled(found), labelled(expected)
    return all(
        name in found and np.array_equal(found[name].values, array.values, equal_nan=array.dtype.kind == "f")
        for name, array in expected.variables.items()
    )


def try_kills(number: int, size: Size, folder: Path, seed: int, append: bool) -> Counter[str]:
    """Kill writers at random moments, and let the next one go on, until each store is complete."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    sim, rest = runs(size)
    first = xr.open_zarr(sim.hbv.to_zarr(folder / "first.zarr")).load()
    shutil.copytree(folder / "first.zarr", folder / "whole.zarr")
    whole = xr.open_zarr(rest.hbv.to_zarr(folder / "whole.zarr", append_dim="time")).load()
    expected = whole if append else first
    path = folder / "run.zarr"
    options = {"append_dim": "time"} if append else {"resume": True}

    def write() -> object:
        return (rest if append else sim).hbv.to_zarr(path, **options)

    def begin() -> None:
        shutil.rmtree(path, ignore_errors=True)
        if append:
            shutil.copytree(folder / "first.zarr", path)

    begin()
    began = time.monotonic()
    write()
    longest = time.monotonic() - began
    begin()
    while counts["killed"] < number:
        counts["killed"] += kill(write, rng.uniform(0, longest))
        try:
            found = hx.open_run(path, verify=True).load()
            plain = xr.open_zarr(path).load()
        except StoreError as error:
            counts[f"refused: {type(error).__name__}"] += 1
            counts["BROKEN: an old run is lost"] += append
            continue
        good = [state for state in ([first, whole] if append else [first]) if equal(found, state)]
        counts["BROKEN: incomplete, and claims to be complete"] += not (good and equal(plain, good[0]))
        if equal(found, expected):
            counts["stores completed after kills, the same as undisturbed"] += 1
            begin()
        elif append:
            counts["old run whole"] += 1
    write()
    counts["BROKEN: resumed is not the same"] += not equal(hx.open_run(path, verify=True).load(), expected)
    left = [file for file in folder.rglob("*") if ".partial" in file.name]
    counts["BROKEN: litter"] += len(left)
    return counts


def try_damages(number: int, size: Size, folder: Path, seed: int) -> Counter[str]:
    """Flip a bit, or cut a file off, anywhere in a store with an appended part."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    sim, rest = runs(size)
    path = sim.hbv.to_zarr(folder / "damaged.zarr")
    rest.hbv.to_zarr(path, append_dim="time")
    expected = hx.open_run(path, verify=True).load()
    kinds: dict[str, list[Path]] = {"chunk": [], "metadata": [], "manifest": []}
    for file in sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size):
        inside = file.relative_to(path)
        kind = (
            "manifest" if inside.parts[0] == ".hydroxr" else "metadata" if file.suffix == ".json" else "chunk"
        )
        kinds[kind].append(file)

    def unchanged() -> bool:
        found = hx.open_run(path, verify=True).load()
        return equal(found, expected) and found.attrs == expected.attrs

    for _ in range(number):
        kind = rng.choice(sorted(kinds))
        file = rng.choice(kinds[kind])
        sound = file.read_bytes()
        if rng.random() < 0.5:
            changed, what = flipped(sound, rng.randrange(len(sound)), rng), f"{kind}, bit"
        else:
            changed, what = sound[: rng.randrange(len(sound))], f"{kind}, cut off"
        file.write_bytes(changed)
        judge(counts, what, unchanged)
        file.write_bytes(sound)
    return counts


def try_file_damages(number: int, size: Size, folder: Path, seed: int) -> Counter[str]:
    """The same of a NetCDF file."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    path = runs(size)[0].hbv.to_netcdf(folder / "damaged.nc")
    expected = hx.open_run(path, verify=True).load()
    expected.close()
    sound = path.read_bytes()

    def unchanged() -> bool:
        with hx.open_run(path, verify=True) as opened:
            found = opened.load()
        return equal(found, expected) and found.attrs == expected.attrs

    for _ in range(number):
        place = rng.randrange(len(sound))
        bit = flipped(sound, place, rng)
        changed, what = (bit, "bit") if rng.random() < 0.9 else (sound[:place], "cut off")
        path.write_bytes(changed)
        judge(counts, f"NetCDF, {what}", unchanged)
    return counts


def main() -> int:
    """Run what is asked for; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Kill writers and damage stores.")
    parser.add_argument("--kills", type=int, default=100, help="writes that are killed")
    parser.add_argument("--appends", type=int, default=100, help="appends that are killed")
    parser.add_argument("--damages", type=int, default=1000, help="bits flipped and files cut off")
    parser.add_argument("--file-damages", type=int, default=1000, help="the same in a NetCDF file")
    for name, value in Size().__dict__.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    size = Size(given.cells, given.days, given.later)
    broken = 0
    for name in ("kills", "appends", "damages", "file_damages"):
        number = getattr(given, name)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            if not number:
                continue
            began = time.monotonic()
            if name == "damages":
                counts = try_damages(number, size, Path(folder), given.seed)
            elif name == "file_damages":
                counts = try_file_damages(number, size, Path(folder), given.seed)
            else:
                counts = try_kills(number, size, Path(folder), given.seed, name == "appends")
            print(f"{name}: {number}, {time.monotonic() - began:.0f} s")
            for text, count in sorted(counts.items()):
                if count:
                    print(f"  {count:6d}  {text}")
                    broken += text.startswith("BROKEN")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

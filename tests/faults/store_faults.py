"""Faults on purpose: kill -9 of writers, flipped bits and truncated files, in great number.

    python tests/faults/store_faults.py --kills 100 --appends 100 --damages 1000 --file-damages 1000
    python tests/faults/store_faults.py --races 50 --changes 20 --full-disks 20

Promises: no store that can be opened is incomplete; what is resumed is what an undisturbed write
gives, of the input as it is now; damage is found by ``open_run(verify=True)``, or changes no value; of
two writers of one target one is refused, and nothing is lost. Exits with 1 where one of them is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.labels import labelled
from hydroxr.errors import StoreError
from hydroxr.support import atomic
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


def fork(write: Callable[[], object]) -> int:
    """Write in a process of its own, whose exit code is 0, 3 where a StoreError ends it, or 1."""
    with warnings.catch_warnings():
        # Threads of this process are idle, and the child makes its own.
        warnings.filterwarnings(
            "ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning
        )
        child = os.fork()
    if child == 0:
        code = 1
        try:
            with dask.config.set(pool=ThreadPoolExecutor(2)):
                write()
            code = 0
        except StoreError:
            code = 3
        finally:
            os._exit(code)
    return child


def kill(write: Callable[[], object], delay: float) -> bool:
    """Write in a process of its own and kill it after a while; whether it was still at work."""
    child = fork(write)
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


def whole(path: Path) -> xr.Dataset:
    """A verified run, in memory."""
    with hx.open_run(path, verify=True) as opened:
        return opened.load()


def try_races(number: int, size: Size, folder: Path, seed: int) -> Counter[str]:
    """Two programs write different runs to one path at the same time."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    sims = [runs(size)[0], runs(size)[0] * 2]
    sims[1]["time"], sims[1]["time_bnds"] = sims[0]["time"], sims[0]["time_bnds"]
    expected = [sim.load() for sim in (sims[0].copy(), sims[1].copy())]
    for race in range(number):
        path = folder / f"run-{race}"
        way, options = rng.choice([("to_zarr", {}), ("to_zarr", {"resume": True}), ("to_netcdf", {})])

        def write(
            sim: xr.Dataset, late: float, way: str = way, path: Path = path, of: Any = options
        ) -> object:
            time.sleep(late)
            return getattr(sim.hbv, way)(path, **of)

        late = rng.uniform(0, 0.2)
        children = [fork(partial(write, sim, late * place)) for place, sim in enumerate(sims)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if sorted(codes) != [0, 3]:
            counts[f"BROKEN: {way}: exit codes {codes}"] += 1
            continue
        winner = codes.index(0)
        counts["BROKEN: the first run is lost"] += not equal(whole(path), expected[winner])
        kept = [file for file in folder.glob(f"{path.name}.partial-*/{path.name}") if file.exists()]
        if kept and (way == "to_netcdf" or (kept[0] / "zarr.json").exists()):
            counts["BROKEN: the second run is lost"] += not equal(whole(kept[0]), expected[1 - winner])
            counts["refused at the end, and kept"] += 1
        else:
            counts["refused at the beginning"] += 1
    return counts


def try_changes(number: int, size: Size, folder: Path, seed: int) -> Counter[str]:
    """Kill a writer, correct a chunk of its input in place, and let the next one go on."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    ds = labelled(make_dataset(size.days, size.cells))[["prcp", "tmean", "pet"]]
    ds = ds.drop_vars(["basin_id", "basin"], errors="ignore")
    parameters = make_parameters(ds)
    source, path = folder / "input.zarr", folder / "run.zarr"
    ds.chunk(basin=2).to_zarr(source)
    longest = 0.0

    def write(**options: Any) -> Any:
        sim = xr.open_zarr(source).hbv.simulate(parameters, variables=VARIABLES)
        return sim.hbv.to_zarr(path, **options)

    for trial in range(number + 1):  # the first one is for its time
        if trial:
            counts["killed"] += kill(partial(write, resume=True), rng.uniform(0, longest))
        else:
            write()
            began = time.monotonic()
            write(overwrite=True)
            longest = time.monotonic() - began
        cell = rng.randrange(size.cells)
        cells = slice(cell - cell % 2, cell - cell % 2 + 2)
        part = xr.open_zarr(source)[["prcp"]].isel(basin=cells).load()
        part["prcp"][:] = part["prcp"] * rng.uniform(1.1, 2)
        region: Any = {"basin": cells, "time": slice(0, size.days)}
        part.drop_vars(list(part.coords)).drop_encoding().to_zarr(source, region=region)
        try:
            write(resume=True)
            counts["computed anew"] += 1
        except StoreError:
            counts["complete, and refused"] += 1
            write(overwrite=True)
        now = xr.open_zarr(source).load().hbv.simulate(parameters, variables=VARIABLES)
        found = whole(path)
        close = all(np.allclose(found[name], now[name], rtol=1e-5, atol=1e-5) for name in VARIABLES)
        counts["BROKEN: results of the input as it was"] += not close
        if rng.random() < 0.7:
            shutil.rmtree(path)
    return counts


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Whether ``folder`` is a disk of its own of that many bytes, where the machine allows mounting."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def refusing(left: int) -> Iterator[list[int]]:
    """A disk that takes so many bytes more, as hydroxr sees it; yields what is left of them."""
    write, room = atomic.write_file, [left]

    def limited(path: Path, data: bytes) -> None:
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        write(path, data)

    atomic.write_file = limited
    try:
        yield room
    finally:
        atomic.write_file = write


def try_full_disks(number: int, size: Size, folder: Path, seed: int) -> Counter[str]:
    """The disk is full at a random moment of a write or an append, and has room again later."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    sim, rest = runs(size)
    first = whole(sim.hbv.to_zarr(folder / "first.zarr"))
    shutil.copytree(folder / "first.zarr", folder / "whole.zarr")
    both = whole(rest.hbv.to_zarr(folder / "whole.zarr", append_dim="time"))
    size_of_both = sum(file.stat().st_size + 4096 for file in (folder / "whole.zarr").rglob("*"))
    needed: dict[str, int] = {}  # bytes that a kind of writing takes, measured the first time
    with small_disk(folder / "disk", 4 * size_of_both) as mounted:
        counts["on a disk of its own"] += number * mounted
        for trial in range(number):
            kind = rng.choice(
                ["write", "resume", "append", "file"] if mounted else ["write", "resume", "append"]
            )
            path = folder / "disk" / f"{trial}.{'nc' if kind == 'file' else 'zarr'}"
            if kind == "append":
                shutil.copytree(folder / "first.zarr", path)

            def write(kind: str = kind, path: Path = path) -> object:
                if kind == "file":
                    return sim.hbv.to_netcdf(path)
                options: Any = {"append": {"append_dim": "time"}, "resume": {"resume": True}}.get(kind, {})
                return (rest if kind == "append" else sim).hbv.to_zarr(path, **options)

            ballast = folder / "disk" / "ballast"
            if kind not in needed:
                free = shutil.disk_usage(ballast.parent).free
                with refusing(free) as room:
                    write()
                after = shutil.disk_usage(ballast.parent).free if mounted else room[0]
                needed[kind] = free - after
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                if kind == "append":
                    shutil.copytree(folder / "first.zarr", path)
            left = int(rng.random() * needed[kind])
            if mounted:
                ballast.write_bytes(bytes(max(0, shutil.disk_usage(ballast.parent).free - left)))
            before = first if kind == "append" else None
            try:
                with nullcontext() if mounted else refusing(left):
                    write()
                counts["had room enough"] += 1
            except StoreError:
                counts[f"{kind}: refused"] += 1
                there = path.exists()
                lost = not (there and equal(whole(path), before)) if before is not None else there
                counts[f"BROKEN: {kind}: what is there after the error"] += lost
            ballast.unlink(missing_ok=True)
            if not path.exists() or kind == "append":
                write()
            good = equal(whole(path), both if kind == "append" else first)
            counts[f"BROKEN: {kind}: not the same in the end"] += not good
            counts["BROKEN: litter"] += len([*path.parent.glob("*.partial-*")])
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return counts


TRIALS = {
    "kills": partial(try_kills, append=False),
    "appends": partial(try_kills, append=True),
    "damages": try_damages,
    "file_damages": try_file_damages,
    "races": try_races,
    "changes": try_changes,
    "full_disks": try_full_disks,
}


def main() -> int:
    """Run what is asked for; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Kill writers and damage stores.")
    parser.add_argument("--kills", type=int, default=100, help="writes that are killed")
    parser.add_argument("--appends", type=int, default=100, help="appends that are killed")
    parser.add_argument("--damages", type=int, default=1000, help="bits flipped and files cut off")
    parser.add_argument("--file-damages", type=int, default=1000, help="the same in a NetCDF file")
    parser.add_argument("--races", type=int, default=50, help="two writers of one path")
    parser.add_argument("--changes", type=int, default=20, help="inputs corrected before resuming")
    parser.add_argument("--full-disks", type=int, default=20, help="disks that are full for a while")
    for name, value in Size().__dict__.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    size = Size(given.cells, given.days, given.later)
    broken = 0
    for name, trial in TRIALS.items():
        number = getattr(given, name)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            if not number:
                continue
            warnings.filterwarnings(
                "ignore", message="Consolidated metadata|the input of the run has changed"
            )
            began = time.monotonic()
            counts = trial(number, size, Path(folder), given.seed)
            print(f"{name}: {number}, {time.monotonic() - began:.0f} s")
            for text, count in sorted(counts.items()):
                if count:
                    print(f"  {count:6d}  {text}")
                    broken += text.startswith("BROKEN")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

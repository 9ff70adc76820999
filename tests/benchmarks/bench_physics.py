"""Times and memory of the loops through the days, routing included.

    python tests/benchmarks/bench_physics.py [--short] [--repeats N]

Printed are medians of runs that take turns in one process, nanoseconds per component and day, and the peak
memory of a process of its own, above its memory after imports and inputs. If hydrodl2, the successor of the
paper's code, is installed, it runs too: as shipped, without gradients through the first 365 days, while
hydroxr has gradients through all days. A GPU is timed if there is one.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.physics.arguments import arrange_parameters, empty_state
from hydroxr.physics.cuda import loop as loop_cuda
from hydroxr.physics.runoff_network import RunoffNetwork
from hydroxr.physics.simulation import simulate_tensors
from tests.support.strategies import Case

BATCH = (730, 100, 16)  # days, cells, components
SIMULATION = (5478, 671, 16)
CONTINENT = (3650, 100_000, 16)
RIVAL = "hydrodl2"
RIVAL_WARMUP = 365  # days
Run = Callable[[], None]


@dataclass(frozen=True)
class Bench:
    """What is run: with gradients of streamflow by all parameters, or a series of outputs without."""

    size: tuple[int, int, int]
    gradient: bool = False
    dynamic: tuple[str, ...] = ()
    runoff: bool = False
    outputs: tuple[str, ...] = ("streamflow",)
    gpu_only: bool = False

    @property
    def is_long(self) -> bool:
        """Too long, or too large, for a loop in torch."""
        return self.size != BATCH


DYNAMIC = ("BETA", "BETAET")
BENCHES = {
    "forward, static": Bench(BATCH),
    "forward, dynamic β and γ": Bench(BATCH, dynamic=DYNAMIC),
    "forward, NN_r": Bench(BATCH, runoff=True),
    "forward + backward, static": Bench(BATCH, gradient=True),
    "forward + backward, dynamic β and γ": Bench(BATCH, gradient=True, dynamic=DYNAMIC),
    "forward + backward, NN_r": Bench(BATCH, gradient=True, runoff=True),
    "simulation, streamflow": Bench(SIMULATION),
    "simulation, all outputs": Bench(SIMULATION, outputs=OUTPUTS),
    "continent, streamflow": Bench(CONTINENT, gpu_only=True),
}


def ways(bench: Bench) -> list[tuple[str, int]]:
    """Loops that run a benchmark, each with its number of threads."""
    gpu = [("cuda", 1)] if torch.cuda.is_available() and not loop_cuda.obstacle() else []
    if bench.gpu_only:
        return gpu
    kernels = [("cpu", 1), ("cpu", 2), *gpu]
    reference = [] if bench.is_long else [("torch", 2)]
    has_rival = importlib.util.find_spec(RIVAL) is not None and not bench.runoff
    return [*([(RIVAL, 2)] if has_rival else []), *reference, *kernels]


def own(bench: Bench, backend: str) -> Run:
    """A run of hydroxr."""
    days, cells, components = bench.size
    device = "cuda" if backend == "cuda" else "cpu"
    case = Case(1, min(days, 730), min(cells, 671), components, dynamic=bench.dynamic)
    repeats = (-(-days // case.days), -(-cells // case.cells))

    def tensor(array: Any) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32, device=device)

    forcing = tuple(tensor(x).repeat(repeats)[:days, :cells].contiguous() for x in case.forcing)
    given = {}
    for name, array in case.parameters.items():
        value = tensor(array)
        if name not in bench.dynamic:
            value = value.repeat(repeats[1], *[1] * (value.ndim - 1))[:cells].contiguous()
        given[name] = value
    parameters = arrange_parameters(given, (days, cells))
    state = empty_state(cells, components, routed=True, like=forcing[0])
    runoff = RunoffNetwork().to(device) if bench.runoff else None
    processes = {} if runoff is None else {"effective_rainfall": runoff}
    leaves = {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}
    wanted = [*leaves.values(), *([] if runoff is None else runoff.parameters())]
    cotangent = torch.randn(forcing[0].shape, device=device) if bench.gradient else None

    def run() -> None:
        if bench.gradient:
            series, _ = simulate_tensors(
                forcing, leaves, state, bench.outputs, backend=backend, processes=processes
            )
            torch.autograd.grad(series["streamflow"], wanted, cotangent)
        else:
            with torch.no_grad():
                simulate_tensors(
                    forcing, parameters, state, bench.outputs, backend=backend, processes=processes
                )
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def rival(bench: Bench) -> Run:
    """A run of hydrodl2's HBV, by its public interface, on inputs like ours."""
    from hydrodl2 import load_model  # type: ignore[import-not-found]

    days, cells, components = bench.size
    case = Case(1, days, cells, 1)
    forcing = torch.stack([torch.tensor(x, dtype=torch.float32) for x in case.forcing], dim=-1)
    names = [f"par{name}" for name in bench.dynamic]
    config = {"warmup": RIVAL_WARMUP, "nmul": components, "dynamic_params": {"Hbv": names}}
    model = load_model("hbv")(config, torch.device("cpu"))
    numbers = (13 - (0 if "BETAET" in bench.dynamic else 1)) * components + 2
    static = torch.rand(cells, numbers)
    parameters = torch.rand(days, cells, numbers) if bench.dynamic else static.expand(days, cells, numbers)
    parameters = parameters.contiguous().requires_grad_(bench.gradient)

    def run() -> None:
        with torch.set_grad_enabled(bench.gradient):
            streamflow = model({"x_phy": forcing}, parameters)["streamflow"]
        if bench.gradient:
            torch.autograd.grad(streamflow.sum(), parameters)

    return run


def made(bench: Bench, loop: str) -> Run:
    """A run by name."""
    return rival(bench) if loop == RIVAL else own(bench, loop)


def timed(run: Run, threads: int) -> float:
    """Seconds of one run."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def high_water() -> float:
    """The most memory that the process has had since it was last reset, MB (Linux; elsewhere unknown)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), math.nan)


def memory(bench: Bench, loop: str, threads: int, answer: Any) -> None:
    """Peak memory of one run above that before it; for a process of its own."""
    made(Bench((2, 2, 2), gradient=True, runoff=bench.runoff), "cpu" if loop == RIVAL else loop)()
    run = made(bench, loop)
    if loop == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        timed(run, threads)
        answer.put((torch.cuda.max_memory_allocated() - before) / 2**20)
        return
    if (reset := Path("/proc/self/clear_refs")).exists():
        reset.write_text("5")
    before = high_water()
    timed(run, threads)
    answer.put(high_water() - before)


def memory_of(bench: Bench, loop: str, threads: int) -> float:
    """The same from here."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=memory, args=(bench, loop, threads, answer))
    process.start()
    found = answer.get()
    process.join()
    return found


def measured(bench: Bench, repeats: int) -> dict[tuple[str, int], float]:
    """Median seconds of each way, runs taking turns."""
    runs = {way: made(bench, way[0]) for way in ways(bench)}
    for (loop, threads), run in runs.items():
        if not (bench.is_long and loop == RIVAL):
            timed(run, threads)
    times: dict[tuple[str, int], list[float]] = {way: [] for way in runs}
    for turn in range(repeats):
        for way, run in runs.items():
            if way[0] in (RIVAL, "torch") and turn >= max(3, repeats // 4):
                continue  # they take seconds
            if not (way[0] == RIVAL and bench.is_long and turn > 0):
                times[way].append(timed(run, way[1]))
    return {way: statistics.median(values) for way, values in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--repeats", type=int, default=21, help="runs of each way (default 21; simulations 5)"
    )
    parser.add_argument("--short", action="store_true", help="leave the long simulations out")
    options = parser.parse_args()
    print("| what | loop | threads | ms | ns a component-day | peak MB | hydrodl2's time over this |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, bench in BENCHES.items():
        if bench.is_long and options.short:
            continue
        medians = measured(bench, min(options.repeats, 5) if bench.is_long else options.repeats)
        base = medians.get((RIVAL, 2))
        for (loop, threads), seconds in medians.items():
            each = 1e9 * seconds / math.prod(bench.size)
            ratio = "" if base is None or loop == RIVAL else f"{base / seconds:.0f}"
            peak = memory_of(bench, loop, threads)
            shown = f"{1e3 * seconds:.1f} | {each:.2f} | {peak:.0f} | {ratio}"
            print(f"| {name} | {loop} | {threads} | {shown} |", flush=True)


if __name__ == "__main__":
    main()

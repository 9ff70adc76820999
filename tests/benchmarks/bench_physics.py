"""Times of the loops through the days: the torch reference and the compiled kernels.

    python tests/benchmarks/bench_physics.py [--short] [--repeats N]

Medians of runs that take turns in one process, routing included; nanoseconds for each component and day;
and the peak memory of a process that does nothing else, above what it has after imports and inputs.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from hydroxr.physics.simulation import arrange_parameters, empty_state, simulate_tensors
from hydroxr.variables import OUTPUTS
from tests.strategies import Case

BATCH = (730, 100, 16)  # days, cells, components
SIMULATION = (5478, 671, 16)
Task = Callable[[str], None]


def inputs(size: tuple[int, int, int], dynamic: tuple[str, ...]) -> tuple[Any, ...]:
    """Forcing, parameters and state as float32 tensors."""
    case = Case(1, *size, dynamic=dynamic)
    forcing = tuple(torch.tensor(x, dtype=torch.float32) for x in case.forcing)
    given = {name: torch.tensor(x, dtype=torch.float32) for name, x in case.parameters.items()}
    parameters = arrange_parameters(given, tuple(forcing[0].shape))
    return forcing, parameters, empty_state(size[1], size[2], routed=True, like=forcing[0])


def forward(size: tuple[int, int, int], dynamic: tuple[str, ...], outputs: tuple[str, ...]) -> Task:
    """A run without gradients."""
    arguments = inputs(size, dynamic)

    def task(backend: str) -> None:
        with torch.no_grad():
            simulate_tensors(*arguments, outputs, backend=backend)

    return task


def training(size: tuple[int, int, int], dynamic: tuple[str, ...]) -> Task:
    """A run and the gradients of all parameters for streamflow's cotangent."""
    forcing, parameters, state = inputs(size, dynamic)
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    cotangent = torch.randn(forcing[0].shape)

    def task(backend: str) -> None:
        series, _ = simulate_tensors(forcing, leaves, state, ("streamflow",), backend=backend)
        torch.autograd.grad(series["streamflow"], list(leaves.values()), cotangent)

    return task


# Name: what makes the task, its size, whether the reference takes too long or too much memory for it.
CASES: dict[str, tuple[Callable[[], Task], tuple[int, int, int], bool]] = {
    "forward, static": (lambda: forward(BATCH, (), ("streamflow",)), BATCH, False),
    "forward, dynamic": (lambda: forward(BATCH, ("BETA", "BETAET"), ("streamflow",)), BATCH, False),
    "forward + backward, static": (lambda: training(BATCH, ()), BATCH, False),
    "forward + backward, dynamic": (lambda: training(BATCH, ("BETA", "BETAET")), BATCH, False),
    "simulation, streamflow": (lambda: forward(SIMULATION, (), ("streamflow",)), SIMULATION, True),
    "simulation, all outputs": (lambda: forward(SIMULATION, (), OUTPUTS), SIMULATION, True),
}
WAYS = (("torch", 2), ("cpu", 1), ("cpu", 2))


def timed(task: Task, backend: str, threads: int) -> float:
    """Seconds of one run."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    task(backend)
    return time.perf_counter() - start


def high_water() -> float:
    """The most memory that the process has had since it was last reset, MB (Linux; elsewhere unknown)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), math.nan)


def memory(name: str, backend: str, threads: int, answer: Any) -> None:
    """Peak memory of one run above that before it; for a process of its own."""
    training((2, 2, 2), ())(backend)
    task = CASES[name][0]()
    if (reset := Path("/proc/self/clear_refs")).exists():
        reset.write_text("5")
    before = high_water()
    timed(task, backend, threads)
    answer.put(high_water() - before)


def memory_of(name: str, backend: str, threads: int) -> float:
    """The same from here."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=memory, args=(name, backend, threads, answer))
    process.start()
    found = answer.get()
    process.join()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, help="runs of each way (default 7; simulations 3)")
    parser.add_argument("--short", action="store_true", help="leave the long simulations out")
    options = parser.parse_args()
    print(f"{'':30}{'loop':>7}{'threads':>9}{'ms':>10}{'ns':>8}{'peak MB':>9}")
    for name, (make, size, is_long) in CASES.items():
        if is_long and options.short:
            continue
        ways = [way for way in WAYS if not (is_long and way[0] == "torch")]
        task = make()
        for backend, threads in ways[-1:] if is_long else ways:
            timed(task, backend, threads)
        times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
        for _ in range(min(options.repeats, 3) if is_long else options.repeats):
            for way in ways:
                times[way].append(timed(task, *way))
        for way in ways:
            median = statistics.median(times[way])
            each = 1e9 * median / (size[0] * size[1] * size[2])
            line = f"{name:30}{way[0]:>7}{way[1]:>9}{1e3 * median:>10.1f}{each:>8.2f}"
            print(f"{line}{memory_of(name, *way):>9.0f}", flush=True)


if __name__ == "__main__":
    main()

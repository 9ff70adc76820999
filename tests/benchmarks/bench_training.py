"""Times of the parts of a training iteration: the parameter network, the physics, the loss, the optimiser.

    python tests/benchmarks/bench_training.py [--repeats N] [--threads N] [--hidden N] [--precision NAME ...]

By default 100 cells x 730 days x 16 components, with dynamic BETA and BETAET. The network alone (g_A:
forward, daily parameters, backward) and the whole iteration take turns in one process. Printed are the
medians, their ratio, the peak memory of an iteration above that of the data, and the cost of subnormal
numbers in a training that does not flush them to zero.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from hydroxr.models.specs import DeltaHBV
from hydroxr.physics.threads import without_subnormals
from hydroxr.training.loop.arrays import TrainingData
from hydroxr.training.loop.batches import batch_parameters, batch_streamflow
from hydroxr.training.loop.process import kept_memory, lstm_precision
from hydroxr.training.loop.protocol import make_protocol
from hydroxr.training.loop.session import Training
from tests.benchmarks.bench_physics import high_water
from tests.support.strategies import weather

CELLS, DAYS, ATTRIBUTES = 120, 1100, 35


def make_data() -> TrainingData:
    """Weather and streamflow of slightly more cells than a batch holds."""
    series = weather("temperate", DAYS, CELLS, 0)
    forcing = np.stack([part.astype("float32") for part in series], axis=-1)
    rng = np.random.default_rng(0)
    attributes = rng.normal(size=(CELLS, ATTRIBUTES)).astype("float32")
    return TrainingData(forcing, attributes, rng.gamma(1, 2, (DAYS, CELLS)).astype("float32"))


class Parts:
    """The parts of an iteration, to be timed one by one."""

    def __init__(self, training: Any) -> None:
        self.training = training
        cells, starts = training.sampler.draw()
        self.cells = torch.from_numpy(cells)
        rows = training.days + torch.from_numpy(starts)
        self.forcing = training.forcing[rows, self.cells]
        self.target = training.observed[rows[training.protocol.warmup :], self.cells]
        with torch.no_grad():
            self.parameters = {name: value.clone() for name, value in self._network().items()}
        self.cotangents = {name: torch.randn_like(value) * 1e-4 for name, value in self.parameters.items()}

    def _network(self) -> Any:
        return batch_parameters(self.training.module, self.forcing, self.training.attributes, self.cells)

    def network(self) -> None:
        """g_A, forward and backward."""
        values = self._network()
        names = list(values)
        weights = [weight for weight in self.training.module.parameters() if weight.requires_grad]
        torch.autograd.grad(
            [values[name] for name in names], weights, [self.cotangents[name] for name in names]
        )

    def physics(self) -> None:
        """HBV, routing and loss, forward and backward."""
        leaves = {name: value.clone().requires_grad_() for name, value in self.parameters.items()}
        training = self.training
        flow = batch_streamflow(training.module, self.forcing, leaves, training.protocol)
        loss = training.loss(flow, self.target, training.variance[self.cells])
        torch.autograd.grad(loss, list(leaves.values()))

    def optimizer(self) -> None:
        """Clipping and a step with the present gradients."""
        torch.nn.utils.clip_grad_norm_(self.training.module.parameters(), 1.0)
        self.training.optimizer.step()

    def iteration(self) -> None:
        """The whole iteration."""
        self.training.step()

    def shut_gates(self) -> None:
        """Shut some hidden units, as a long training does: their states become subnormal."""
        hidden = self.training.module.description.hidden
        gates = self.training.module.bias_input.data.view(4, hidden)  # input, forget, cell, output
        gates[[0, 1, 3], : hidden // 20] -= 45.0


def timed(task: Callable[[], None]) -> float:
    """Seconds."""
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def peak_of(task: Callable[[], None]) -> float:
    """Peak memory of a run above the memory before it, MB (Linux)."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    before = high_water()
    task()
    return high_water() - before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    spec = DeltaHBV(dynamic=("BETA", "BETAET"), hidden=options.hidden, dropout=0.5, network="lstm")
    data = make_data()
    print(f"auto is {lstm_precision('auto', 'cpu', options.hidden)} here; {options.threads} threads")
    for precision in options.precision:
        changes = {"precision": precision, "iterations": 10_000}
        parts = Parts(Training(spec, data, make_protocol("default", "lstm", changes), "cpu", None))
        with kept_memory(), without_subnormals():
            peak = peak_of(parts.iteration)
        tasks = {"g_A": parts.network, "physics": parts.physics, "optimizer": parts.optimizer}
        tasks["iteration"] = parts.iteration
        times: dict[str, list[float]] = {name: [] for name in tasks}
        with kept_memory(), without_subnormals():
            for task in tasks.values():
                task()
            for _ in range(options.repeats):
                for name, task in tasks.items():
                    times[name].append(timed(task))
        medians = {name: statistics.median(values) for name, values in times.items()}
        best = {name: min(values) for name, values in times.items()}
        print(f"\n{precision}: first iteration's peak above the data {peak:.0f} MB")
        for name in tasks:
            print(f"{name:12}{1e3 * medians[name]:9.0f} ms median{1e3 * best[name]:9.0f} ms least")
        print(
            f"{'iteration / g_A':12}{medians['iteration'] / medians['g_A']:8.2f} of medians"
            f"{best['iteration'] / best['g_A']:8.2f} of the least"
        )
        parts.shut_gates()
        with kept_memory():
            as_they_are = min(timed(parts.iteration) for _ in range(2))
            with without_subnormals():
                flushed = min(timed(parts.iteration) for _ in range(2))
        print(f"with a twentieth of the units shut {flushed:.2f} s, {as_they_are:.2f} s with subnormals")


if __name__ == "__main__":
    main()

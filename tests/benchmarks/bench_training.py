"""Times of the parts of a training iteration: gathering, parameter network, physics with loss, optimiser.

    python tests/benchmarks/bench_training.py [--repeats N] [--threads N] [--networks filters mlp lstm]
        [--device cuda]

100 cells x 730 days x 16 components, as in a training. The parts and whole iterations of all networks take
turns in one process. Printed are medians and the least of each, the peak memory of an iteration above that of
the data, and, for the LSTM, the cost of subnormal numbers in a training that does not flush them to zero.
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
from hydroxr.training.loop.batches import batch_parameters, batch_streamflow, block_days
from hydroxr.training.loop.process import kept_memory, lstm_precision
from hydroxr.training.loop.protocol import make_protocol
from hydroxr.training.loop.session import Training
from tests.benchmarks.bench_physics import high_water
from tests.support.strategies import weather

CELLS, DAYS, ATTRIBUTES = 120, 1100, 35
PARTS = ("gather", "network", "physics", "optimizer", "iteration")


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
        self.draw = training.sampler.draw()
        self.gather()
        with torch.no_grad():
            self.parameters = {name: value.clone() for name, value in self._network().items()}
        self.cotangents = {name: torch.randn_like(value) * 1e-4 for name, value in self.parameters.items()}

    def gather(self) -> None:
        """The data of a batch."""
        training, (cells, starts) = self.training, self.draw
        self.cells, first = (torch.from_numpy(each).to(training.device) for each in (cells, starts))
        rows = training.days + first
        self.forcing = training.forcing[rows, self.cells]
        self.target = training.observed[rows[training.protocol.warmup :], self.cells]
        known = training.features
        self.features = None if known is None else known[block_days(rows), self.cells]

    def _network(self) -> Any:
        given = (self.forcing, self.training.attributes[self.cells], self.cells, self.features)
        return batch_parameters(self.training.module, *given)

    def network(self) -> None:
        """The parameter network, forward and backward."""
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
    """Seconds, until a GPU is done."""
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    wait()
    started = time.perf_counter()
    task()
    wait()
    return time.perf_counter() - started


def peak_of(task: Callable[[], None]) -> float:
    """Peak memory of a run above the memory before it, MB (Linux)."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    before = high_water()
    task()
    return high_water() - before


def subnormals(parts: Parts) -> str:
    """Seconds of an iteration with and without subnormal numbers."""
    parts.shut_gates()
    with kept_memory():
        as_they_are = min(timed(parts.iteration) for _ in range(2))
        with without_subnormals():
            flushed = min(timed(parts.iteration) for _ in range(2))
    return f"with a twentieth of the units shut {flushed:.2f} s, {as_they_are:.2f} s with subnormals"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=["filters", "mlp", "lstm"])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data, tasks = make_data(), {}
    for network in options.networks:
        dynamic = () if network == "mlp" else ("BETA", "BETAET")
        spec = DeltaHBV(dynamic=dynamic, dropout=0.1, network=network)
        precision = lstm_precision("auto", options.device, spec.hidden) if network == "lstm" else "float32"
        changes = {"iterations": 10_000, "precision": precision}
        protocol = make_protocol("default", network, changes)
        parts = Parts(Training(spec, data, protocol, options.device, None))
        with kept_memory(), without_subnormals():
            print(f"{network}, {precision}: {peak_of(parts.iteration):.0f} MB in an iteration")
        tasks[network] = {name: getattr(parts, name) for name in PARTS}
    times = {(network, name): [] for network in tasks for name in PARTS}  # type: ignore[var-annotated]
    with kept_memory(), without_subnormals():
        for repeat in range(options.repeats + 1):
            for network, name in times:
                seconds = timed(tasks[network][name])
                if repeat:  # the first warms up
                    times[network, name].append(seconds)
    print(f"\n{options.device}, {options.threads} threads{'':9}median    least")
    for (network, name), values in times.items():
        print(f"{network:9}{name:12}{1e3 * statistics.median(values):9.1f} ms{1e3 * min(values):9.1f} ms")
    if "lstm" in tasks and options.device == "cpu":
        print(subnormals(tasks["lstm"]["iteration"].__self__))


if __name__ == "__main__":
    main()

"""A training in progress: its state, one iteration, and its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import TrainingError
from ...metrics.records import bounded_variance
from ...models.filter_network import FilterNetwork
from ...models.parameter_network import RegionalNetwork
from ...models.specs import Spec
from ...models.streamflow_network import StreamflowNetwork
from ..processes import ALONE, Processes
from ..start import Start, adopt
from .arrays import RiverData, ShardedData, ShardedValidation, TrainingData, ValidationData
from .batches import (
    at_gauges,
    batch_output,
    batch_parameters,
    batch_streamflow,
    begin_with_best,
    block_days,
    cells_above,
    features_of,
    gauges_above,
)
from .checkpoint import optimizer_tensors, restore_optimizer
from .failures import describe_failure
from .losses import make_loss
from .modules import ConstantParameters, make_module, make_optimizer
from .process import seeded
from .protocol import Protocol
from .sampler import Stream, WindowSampler, no_window
from .validation import median_nse

MOST_SKIPPED = 10  # batches in a row without a finite gradient that end a training

HISTORY = ("loss", "learning_rate", "seconds", "skipped")

Held = Callable[[], AbstractContextManager[Any]]


class Training:
    """A training in progress."""

    def __init__(
        self,
        description: Spec,
        data: TrainingData | ShardedData,
        protocol: Protocol,
        device: str,
        validation: ValidationData | ShardedValidation | None,
        start: Start | None = None,
        processes: Processes = ALONE,
    ) -> None:
        assert protocol.iterations is not None
        self.processes = processes
        self.protocol, self.data, self.device, self.validation = protocol, data, device, validation
        self.total = protocol.iterations
        with seeded(protocol.seed, device):
            self.module = make_module(description, data, protocol.least_deviation, processes)
            self.module.to(device).train()
            if protocol.draws and isinstance(self.module, ConstantParameters):
                assert isinstance(data, TrainingData)
                forcing, flow = (
                    torch.from_numpy(array).to(device) for array in (data.forcing, data.observed)
                )
                begin_with_best(self.module, forcing, flow, protocol, data.own, processes)
        if start is not None:
            adopt(self.module, start, torch.from_numpy(data.attributes).to(device))
        if isinstance(self.module, RegionalNetwork) and protocol.precision == "bfloat16":
            self.module.lstm_dtype = torch.bfloat16
        self.attributes = torch.from_numpy(data.attributes).to(device)
        self.row = np.full(data.cells, -1)  # of each cell among those in memory
        self.stream: Stream | None = None
        self.sampler: Stream | WindowSampler
        if isinstance(data, ShardedData):
            self.sampler = self.stream = Stream(data, protocol, device, partial(features_of, self.module))
            self.variance = torch.from_numpy(data.variance).float().to(device)
        else:
            self._hold(data)
        self.days = torch.arange(protocol.warmup + protocol.window, device=device)[:, None]
        self.loss = make_loss(protocol.loss)
        self.optimizer = make_optimizer(self.module, protocol)
        names = HISTORY if self.stream is None else (*HISTORY, "waiting")
        self.history: dict[str, list[Any]] = {name: [] for name in names}
        if validation is not None:
            self.history["validation_nse"] = []
        self.best: dict[str, Tensor] = {}
        self.best_score, self.best_iteration = -np.inf, 0
        self.stale = 0  # validations since the best one
        self.skipped_in_row = 0
        self.started = time.perf_counter()  # when an uninterrupted training would have begun
        self.is_torn = False  # within an update of weights and history

    def _hold(self, data: TrainingData) -> None:
        """Have all data of this process on the device."""
        observed, rivers = data.learned.observed, data.rivers
        of_all = partial(self.processes.of_all, np.arange(observed.shape[1]) if rivers else data.own)
        sampler = self.sampler = WindowSampler(
            observed,
            batch=self.protocol.batch if rivers is None else max(1, self.protocol.batch // data.cells),
            window=self.protocol.window,
            warmup=self.protocol.warmup,
            seed=self.protocol.seed,
            balanced=isinstance(self.module, ConstantParameters) or rivers is not None,
            of_all=of_all,
        )
        if sampler.is_empty:
            raise no_window(self.protocol.window, self.protocol.warmup)
        self.forcing = torch.from_numpy(data.forcing).to(self.device)
        self.features = features_of(self.module, self.forcing)
        self.row[data.own] = np.arange(len(data.own))
        self.observed = torch.from_numpy(observed).to(self.device)
        self.variance = torch.from_numpy(bounded_variance(observed, of_all)).float().to(self.device)

    def _await_shards(self) -> float:
        """Hold the shards that this iteration draws from; gives the seconds waited for them."""
        if self.stream is None:
            return 0.0
        began = time.perf_counter()
        if self.stream.at(self.iteration):
            self.row, (self.forcing, self.observed, *more) = self.stream.row, self.stream.parts
            self.features = more[0] if more else None
        return time.perf_counter() - began

    def close(self) -> None:
        """End what goes on in the background."""
        if self.stream is not None:
            self.stream.close()

    @property
    def iteration(self) -> int:
        """Number of iterations done."""
        return len(self.history["seconds"])

    @property
    def seconds(self) -> float:
        """Time that the iterations took, s."""
        return self.history["seconds"][-1] if self.iteration else 0.0

    @property
    def has_stopped(self) -> bool:
        """Whether the validation has not improved for ``patience`` validations."""
        patience = self.protocol.patience
        return patience is not None and self.stale >= patience

    @property
    def awaits_validation(self) -> bool:
        """Whether an interrupt came between the last iteration and its entry in the validations."""
        return self.validation is not None and len(self.history["validation_nse"]) < self.iteration

    @property
    def is_done(self) -> bool:
        return not self.awaits_validation and (self.iteration >= self.total or self.has_stopped)

    @property
    def shown(self) -> str:
        """Text of the progress bar: mean loss of the last iterations, best validation."""
        recent = np.asarray(self.history["loss"][-20:])
        recent = recent[np.isfinite(recent)]
        text = f"loss {recent.mean():.4f}" if len(recent) else "loss ?"
        return f"{text}, NSE {self.best_score:.3f}" if self.best else text

    def step(self, held: Held = nullcontext) -> None:
        """One iteration: draw a batch, take its gradient, and update the weights if it is finite.

        ``held`` makes a context within which no interrupt takes effect.
        """
        waiting = self._await_shards()
        cells, starts = self._drawn()
        rate = self.protocol.rate(self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        loss = self.loss_of(cells, starts)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.add_gradients(self.module.parameters())
        clip = self.protocol.clip
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), torch.inf if clip is None else clip)
        # The only point where the host waits for the device.
        value, length = torch.stack([loss.detach().float(), norm.float()]).tolist()
        fine = bool(np.isfinite(value) and np.isfinite(length))
        if not fine and self.skipped_in_row + 1 == min(MOST_SKIPPED, self.total):
            self.skipped_in_row += 1
            raise TrainingError(describe_failure(self, cells, starts))
        with held(), self._updating():
            if fine:
                self.optimizer.step()
            self.skipped_in_row = 0 if fine else self.skipped_in_row + 1
            seconds = time.perf_counter() - self.started
            for name, entry in zip(HISTORY, (value, rate, seconds, not fine), strict=True):
                self.history[name].append(entry)
            if self.stream is not None:
                self.history["waiting"].append(waiting)

    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells and first days of a batch; with rivers gauges, each with all gauges above it."""
        cells, starts = self.sampler.draw()
        if self.data.rivers is None:
            return cells, starts
        above = [gauges_above(self.data.rivers, gauge) for gauge in cells]
        return np.concatenate(above), np.repeat(starts, [len(gauges) for gauges in above])

    @contextmanager
    def _updating(self) -> Iterator[None]:
        self.is_torn = True
        yield
        self.is_torn = False

    def loss_of(self, cells: np.ndarray, starts: np.ndarray) -> Tensor:
        """The loss of a batch; the warm-up of each cell begins on its day in ``starts``."""
        observed, output, _ = self.simulate(cells, starts)
        return self.loss_from(output, observed, cells)

    def loss_from(self, output: Tensor, observed: Tensor, cells: np.ndarray) -> Tensor:
        """The loss of a batch from the output of :meth:`simulate` for ``cells``."""
        variance = self.variance[self._indices(cells)]
        if not isinstance(self.module, StreamflowNetwork):
            return self.loss(output, observed, variance)
        normalised = (output, self.module.normalised(observed))
        return self.loss(self.module.streamflow(output), observed, variance, normalised)

    def simulate(self, cells: np.ndarray, starts: np.ndarray) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Observed and simulated streamflow of a batch, both (window, batch), and its parameters.

        An LSTM gives normalised streamflow and has no parameters. With rivers ``cells`` are gauges. Of
        several processes each simulates its own cells, and has parameters of these alone.
        """
        if self.data.rivers is not None:
            return self._through_rivers(self.data.rivers, cells, starts)
        if not self.processes.together:
            return self._simulated(cells, starts)
        number, own = len(cells), self.owned(cells)
        # A process without a window simulates one that nobody sees, to draw as many random numbers.
        seen, own = len(own), own if len(own) else np.zeros(1, dtype=int)
        cells, starts = (cells[own], starts[own]) if seen else (self.data.own[:1], np.zeros(1, dtype=int))
        part = (number, self._indices(own))
        observed, output, parameters = self._simulated(cells, starts, part)
        columns = part[1][:seen]
        observed, output = self.processes.whole([observed[:, :seen], output[:, :seen]], columns, number)
        return observed, output, parameters

    def owned(self, cells: np.ndarray) -> np.ndarray:
        """Which windows of a batch this process simulates."""
        return np.flatnonzero(self.row[cells] >= 0)

    def _simulated(
        self, cells: np.ndarray, starts: np.ndarray, part: tuple[int, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """As :meth:`simulate`, of own cells, which are ``part`` of a batch: its size and their columns."""
        places = self._indices(self.row[cells])
        rows = self.days + self._indices(starts)
        observed = self.observed[rows[self.protocol.warmup :], places]
        if isinstance(self.module, StreamflowNetwork):
            attributes = self._attributes(self._indices(cells), part)
            forcing = self.forcing[rows, places]
            return observed, batch_output(self.module, forcing, attributes, self.protocol), {}
        streamflow, parameters = self._streamflow(rows, cells, self.protocol, part)
        return observed, streamflow, parameters

    def _streamflow(
        self, rows: Tensor, cells: np.ndarray, protocol: Protocol, part: tuple[int, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Streamflow of a δ model, and its parameters."""
        assert not isinstance(self.module, StreamflowNetwork)
        if isinstance(self.module, FilterNetwork):
            self.module.part = part
        places, own = self._indices(cells), self._indices(self.row[cells])
        forcing = self.forcing[rows, own]
        features = None if self.features is None else self.features[block_days(rows), own]
        parameters = batch_parameters(self.module, forcing, self._attributes(places, part), places, features)
        return batch_streamflow(self.module, forcing, parameters, protocol), dict(parameters)

    def _through_rivers(
        self, rivers: RiverData, gauges: np.ndarray, starts: np.ndarray
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """All cells above the gauges of a window are simulated, warm-up included, and routed."""
        module: Any = self.module.get_submodule("rivers")
        rows = self.days + self._indices(starts)
        observed = self.observed[rows[self.protocol.warmup :], self._indices(gauges)]
        windows = [np.flatnonzero(starts == start) for start in np.unique(starts)]
        cells = [cells_above(rivers, gauges[window]) for window in windows]
        first = np.repeat([starts[window[0]] for window in windows], [len(some) for some in cells])
        days = self.days + self._indices(first)
        flow, _ = self._streamflow(days, np.concatenate(cells), replace(self.protocol, warmup=0))
        parts = flow.split([len(some) for some in cells], dim=1)
        found = [
            at_gauges(module, rivers, gauges[window], some, part)
            for window, some, part in zip(windows, cells, parts, strict=True)
        ]
        order = np.argsort(np.concatenate(windows))
        return observed, torch.cat(found, 1)[self.protocol.warmup :, self._indices(order)], {}

    def _attributes(self, places: Tensor, part: tuple[int, Tensor] | None = None) -> Tensor:
        """The attributes of a batch, (batch, attribute), with the noise of the protocol."""
        attributes = self.attributes[places]
        noise = self.protocol.attribute_noise
        if not noise or isinstance(self.module, ConstantParameters):
            return attributes
        number, columns = (len(attributes), slice(None)) if part is None else part
        drawn = torch.randn(number, attributes.shape[1], device=attributes.device)[columns]
        return attributes + noise * self.module.attribute_std * drawn

    def _indices(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self.device)

    def validate_if_due(self, held: Held = nullcontext) -> None:
        """Validate every ``validate_every`` iterations and at the end; keep the best weights."""
        if self.validation is None:
            return
        due = self.iteration % self.protocol.validate_every == 0 or self.iteration == self.total
        score = median_nse(self.module, self.validation, self.device, self.processes) if due else np.nan
        with held(), self._updating():
            if due:
                self.stale += 1
            if due and (score > self.best_score or not self.best):
                self.best = {name: value.clone() for name, value in self.module.state_dict().items()}
                self.best_score, self.best_iteration, self.stale = score, self.iteration, 0
            self.history["validation_nse"].append(score)

    def random_state(self) -> tuple[Any, ...]:
        """States of the random numbers: draws of batches, torch on the CPU, torch on the GPU."""
        on_gpu = torch.device(self.device).type == "cuda"
        gpu = torch.cuda.get_rng_state(self.device) if on_gpu else None
        return self.sampler.state, torch.get_rng_state(), gpu

    def rewind(self, iteration: int, state: tuple[Any, ...]) -> None:
        """Return to the end of the last finished iteration after an interrupt.

        ``state`` is the state of the random numbers after ``iteration`` iterations.
        """
        if self.iteration == iteration:
            self._set_random_state(*state)

    def _set_random_state(self, draws: dict[str, Any], cpu: Tensor, gpu: Tensor | None) -> None:
        self.sampler.state = draws
        torch.set_rng_state(cpu)
        if gpu is not None and torch.device(self.device).type == "cuda":
            torch.cuda.set_rng_state(gpu, self.device)

    def snapshot(self, identity: dict[str, Any] | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything needed to continue from here: tensors, and values for JSON."""
        draws, cpu, gpu = self.random_state()
        tensors = {f"weights.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        tensors |= {"random.cpu": cpu} | ({} if gpu is None else {"random.gpu": gpu})
        content = {
            "identity": identity or {},
            "draws": draws,
            "history": self.history,
            "best_score": self.best_score,
            "best_iteration": self.best_iteration,
            "stale": self.stale,
            "skipped_in_row": self.skipped_in_row,
        }
        return tensors, content

    def restore(self, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
        """Continue from a :meth:`snapshot`."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
            }

        self.module.load_state_dict(part("weights."))
        self.best = {name: value.to(self.device) for name, value in part("best.").items()}
        restore_optimizer(self.optimizer, part("optimizer."))
        self._set_random_state(content["draws"], tensors["random.cpu"], tensors.get("random.gpu"))
        self.history = content["history"]
        for name in ("best_score", "best_iteration", "stale", "skipped_in_row"):
            setattr(self, name, content[name])
        self.started = time.perf_counter() - self.seconds

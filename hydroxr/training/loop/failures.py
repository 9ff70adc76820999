"""Which cells and days make the loss of a batch, or its gradient, not finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor

from ..processes import Processes
from .arrays import ShardedData, TrainingData
from .protocol import Protocol

_NAMED = 5  # cells that a message names


class Attempt(Interface):
    """The part of a training that the message needs: data, settings, and a way to repeat a batch."""

    protocol: Protocol
    data: TrainingData | ShardedData
    total: int
    skipped_in_row: int
    processes: Processes

    @property
    def iteration(self) -> int: ...

    def owned(self, cells: np.ndarray) -> np.ndarray: ...

    def simulate(
        self, cells: np.ndarray, starts: np.ndarray
    ) -> tuple[Tensor, Tensor, Mapping[str, Tensor]]: ...

    def loss_from(self, output: Tensor, observed: Tensor, cells: np.ndarray) -> Tensor: ...


def describe_failure(training: Attempt, cells: np.ndarray, starts: np.ndarray) -> str:
    """The error message for a training whose last batches were all useless; examines the last one."""
    what, bad = _bad_windows(training, cells, starts)
    protocol = training.protocol
    names, days = training.data.learned.names, training.data.days
    texts = []
    for place in np.flatnonzero(bad.cpu().numpy()):
        cell, start = int(cells[place]), int(starts[place])
        name = names[cell] if names else f"cell {cell}"
        last = start + protocol.warmup + protocol.window - 1
        first, final = (str(days[day])[:10] if len(days) else f"day {day}" for day in (start, last))
        texts.append(f"{name} ({first} to {final})")
    texts = list(dict.fromkeys(texts))
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    count = training.skipped_in_row
    return (
        f"{what} not finite in {'all' if count == training.total else 'each of the last'} {count} iterations "
        f"(up to iteration {training.iteration + 1}). In the last one this concerns "
        f"{', '.join(texts[:_NAMED])}{more}. Check forcing, attributes and streamflow of these cells on "
        "these days, leave the cells out, or lower the learning rate "
        f"(now learning_rate={protocol.learning_rate:g})."
    )


def _bad_windows(training: Attempt, cells: np.ndarray, starts: np.ndarray) -> tuple[str, Tensor]:
    """The quantity that is not finite, and in which windows of the batch, (batch,)."""
    observed, output, parameters = training.simulate(cells, starts)
    counted = ~torch.isnan(observed)
    bad = (counted & ~torch.isfinite(output)).any(0)
    if bad.any():
        return "simulated streamflow is", bad
    leaf = output.detach().requires_grad_()
    loss = training.loss_from(leaf, observed, cells)
    (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True) if loss.requires_grad else (None,)
    if gradient is not None and not torch.isfinite(gradient).all():
        bad = (~torch.isfinite(gradient)).any(0)
        return "the loss or its gradient is", bad
    everywhere = torch.ones(len(cells), dtype=torch.bool)
    if not bool(torch.isfinite(loss)):
        return "the loss is", everywhere
    wanted = [value for value in parameters.values() if value.requires_grad]
    gradients = torch.autograd.grad(output, wanted, gradient, allow_unused=True) if wanted else ()
    own = torch.as_tensor(training.owned(cells))
    for value in gradients:
        if value is not None and len(own):
            # (batch,), (batch, component) or (time, batch, component)
            of_cell = value.movedim(1, 0) if value.ndim == 3 else value
            bad[own] |= ~torch.isfinite(of_cell.reshape(len(own), -1)).all(1)
    bad = torch.stack(training.processes.gathered(bad.cpu())).any(0)
    return "the gradient of the loss is", bad if bad.any() else everywhere

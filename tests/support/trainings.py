"""Short trainings, and losses that fail on demand."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model
from hydroxr.training.loop.losses import paper_loss
from tests.conftest import FIT

SPECS = {
    "constant": hx.DeltaHBV(components=2, network="constant"),
    "static": hx.DeltaHBV(components=2, hidden=4, network="lstm"),
    "dynamic": hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET"), network="lstm"),
    "filters": hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET")),
}
KINDS = tuple(SPECS)
LATER = slice("2000-02-15", "2000-02-29")  # the days of make_dataset after those of training


def fit(ds: xr.Dataset, kind: str = "static", **options: Any) -> Model:
    """Fit, by default for five iterations."""
    return ds.hbv.fit(SPECS[kind], **FIT | {"iterations": 5} | options)


def same(first: Model, second: Model) -> None:
    """Weights and history agree to the last bit, except for seconds."""
    assert first.hash == second.hash
    xr.testing.assert_identical(first.history.drop_vars("seconds"), second.history.drop_vars("seconds"))


class LostOnce:
    """The paper's loss, in which the second process of a training kills itself, once."""

    def __init__(self, marker: Path, call: int) -> None:
        self.marker, self.call, self.count = marker, call, 0

    def __call__(self, simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Loss."""
        self.count += 1
        if self.count == self.call and not self.marker.exists() and torch.distributed.get_rank() == 1:
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return paper_loss(simulated, observed)


class Trouble:
    """The paper's loss, which fails in some calls (counted from 1)."""

    def __init__(self, calls: tuple[int, ...] | range, what: str) -> None:
        self.calls, self.what, self.count = calls, what, 0

    def __getstate__(self) -> None:
        """The number of calls is no part of what it computes, nor is when it fails."""

    def __call__(self, simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Loss."""
        self.count += 1
        loss = paper_loss(simulated, observed)
        if self.count not in self.calls:
            return loss
        if self.what == "interrupt":
            raise KeyboardInterrupt
        if self.what == "loss":
            return loss * torch.nan
        # The loss is finite, its gradient is NaN.
        return loss + torch.sqrt(simulated[0, 0] * 0.0)

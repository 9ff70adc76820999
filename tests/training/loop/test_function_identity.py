"""Functions are known by what they compute, so that a checkpoint belongs to one loss."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from hydroxr.errors import CheckpointError
from hydroxr.support.function_identity import function_identity
from hydroxr.training.loop.losses import checked_loss, paper_loss
from tests.support.trainings import fit, same

FACTOR = 2.0


def powered(simulated: torch.Tensor, observed: torch.Tensor, power: float = 2.0) -> torch.Tensor:
    return FACTOR * ((simulated - observed).abs() ** power).nanmean()


class Weighted:
    """A loss with a state."""

    def __init__(self, weight: Any) -> None:
        self.weight = weight

    def __call__(self, simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        return (self.weight * (simulated - observed).abs()).nanmean()

    def method(self, simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        return self(simulated, observed)


def enclosing(weight: float) -> Any:
    def inner(simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        return weight * paper_loss(simulated, observed)

    return lambda s, o: inner(s, o)


DIFFERENT = {
    "partials": lambda: (partial(powered, power=1.0), partial(powered, power=2.0)),
    "lambdas": lambda: (lambda s, o: (s - o).abs().nanmean(), lambda s, o: ((s - o) ** 2).nanmean()),
    "constants": lambda: (lambda s, o: (2 * (s - o)).nanmean(), lambda s, o: (3 * (s - o)).nanmean()),
    "enclosed": lambda: (enclosing(1.0), enclosing(2.0)),
    "instances": lambda: (Weighted(1.0), Weighted(2.0)),
    "arrays": lambda: (Weighted(np.ones(3)), Weighted(np.zeros(3))),
    "tensors": lambda: (Weighted(torch.ones(3)), Weighted(torch.zeros(3))),
    "methods": lambda: (Weighted(1.0).method, Weighted(2.0).method),
    "defaults": lambda: (lambda s, o, p=1: paper_loss(s, o), lambda s, o, p=2: paper_loss(s, o)),
    "modules": lambda: (torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)),
    "installed functions": lambda: (torch.nn.functional.l1_loss, torch.nn.functional.mse_loss),
    "ufuncs": lambda: (np.add, np.subtract),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_computes_something_else_is_something_else(kind: str) -> None:
    """And is the same as itself, made anew."""
    torch.manual_seed(0)
    first, other = (function_identity(each) for each in DIFFERENT[kind]())
    torch.manual_seed(0)
    again, _ = (function_identity(each) for each in DIFFERENT[kind]())
    assert first == again
    assert first != other
    assert "unknown" not in first


def test_a_global_variable_that_is_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = function_identity(partial(powered, power=1.0))
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert function_identity(partial(powered, power=1.0)) != before


def test_what_cannot_be_told_is_never_the_same() -> None:
    """A generator has no content to compare, nor has something that refers to itself without end."""
    numbers = (number for number in range(3))

    def loss(simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        return next(numbers) * paper_loss(simulated, observed)

    assert function_identity(loss) != function_identity(loss)


def test_what_refers_to_itself_has_an_identity() -> None:
    def loss(depth: int) -> int:
        return loss(depth - 1) if depth else 0

    assert function_identity(loss) == function_identity(loss)
    assert "unknown" not in function_identity(loss)


def test_a_checkpoint_belongs_to_one_loss(ds: xr.Dataset, tmp_path: Path) -> None:
    """Another partial of the same function does not get the first one's model."""
    first = fit(ds, loss=partial(powered, power=1.0), checkpoint=tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"loss \('a partial of .*powered"):
        fit(ds, loss=partial(powered, power=2.0), checkpoint=tmp_path / "run")
    same(fit(ds, loss=partial(powered, power=1.0), checkpoint=tmp_path / "run"), first)


def test_one_loss_may_be_written_in_several_ways() -> None:
    assert checked_loss({"nse": 1.0}) == checked_loss("nse") == "nse"
    assert checked_loss({"nse": 2}) == {"nse": 2.0}
    two = {"low_flow": 1, "nse": 1}
    assert list(checked_loss(two).items()) == [("nse", 1.0), ("low_flow", 1.0)]

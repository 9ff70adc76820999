"""Batches without a finite loss or gradient are left out; too many of them end the training with reasons."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from hydroxr.errors import HydroxrWarning, TrainingError
from tests.support.trainings import KINDS, Trouble, fit


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_finite_gradient_is_left_out(ds: xr.Dataset, kind: str, what: str) -> None:
    """Weights stay the same, the batch is counted, and training continues."""
    options = {"schedule": "constant", "dropout": 0.0}
    with pytest.warns(HydroxrWarning, match=r"2 of 5 batches were left out.*learning_rate=0\.1"):
        model = fit(ds, kind, loss=Trouble((4, 5), what), **options)
    assert model.training["skipped"] == 2
    np.testing.assert_array_equal(model.history["skipped"], [False, False, False, True, True])
    assert model.hash == fit(ds, kind, iterations=3, loss="paper", **options).hash
    assert all(np.isfinite(array).all() for array in model.weights.values())
    if what == "loss":
        assert np.isnan(model.history["loss"][3])


def test_the_first_batch_may_be_of_no_use(ds: xr.Dataset) -> None:
    """Training starts with the next batch."""
    with pytest.warns(HydroxrWarning, match="1 of 5 batches"):
        assert fit(ds, loss=Trouble((1,), "loss")).training["skipped"] == 1


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_ten_such_batches_in_a_row_end_the_training(ds: xr.Dataset, what: str) -> None:
    """The message says what was not finite, in which cells, on which days, and what to do."""
    with pytest.raises(TrainingError) as caught:
        fit(ds, iterations=30, loss=Trouble(range(4, 99), what))
    text = str(caught.value)
    for words in ("not finite", "last 10 iterations", "iteration 13", "basin g", "2000-", "rate=0.1"):
        assert words in text
    with pytest.warns(HydroxrWarning, match="9 of 30 batches"):
        assert fit(ds, iterations=30, loss=Trouble(range(4, 13), what)).training["skipped"] == 9


def test_the_cells_that_are_to_blame_are_named(ds: xr.Dataset) -> None:
    """Only cells with a simulation that is not finite are named, with their days."""

    def bad(simulated: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        factor = torch.where(observed > 1000, torch.inf, 1.0)
        return (simulated * factor).sum()

    ds["streamflow"][2] = np.linspace(1001.0, 9000.0, ds.sizes["time"])
    with pytest.raises(TrainingError, match="basin g2") as caught:
        fit(ds, iterations=30, batch=30, loss=bad)
    assert "basin g0" not in str(caught.value)
    assert "basin g1" not in str(caught.value)


def test_a_training_without_any_finite_batch_leaves_no_model(ds: xr.Dataset) -> None:
    """Also a short one."""
    with pytest.raises(TrainingError, match=r"all 3 iterations.*learning_rate"):
        fit(ds, iterations=3, loss=Trouble(range(99), "loss"))

"""Windows for training are valid, uniform and repeatable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hydroxr.training.loop.sampler import WindowSampler
from tests.support.strategies import examples


def draws(observed: np.ndarray, number: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Cells and starts of some batches."""
    sampler = WindowSampler(observed, **{"batch": 100, "window": 5, "warmup": 3, "seed": 0} | options)
    parts = [sampler.draw() for _ in range(number)]
    cells, starts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return cells, starts


def is_uniform(counts: np.ndarray) -> bool:
    """Chi square under its mean plus five standard deviations: a false alarm in a million, the seed being
    fixed."""
    expected = counts.sum() / len(counts)
    freedom = len(counts) - 1
    return bool(((counts - expected) ** 2 / expected).sum() < freedom + 5 * (2 * freedom) ** 0.5)


@examples(40)
@given(st.data())
def test_every_window_lies_inside_and_has_an_observation(data: st.DataObject) -> None:
    """Days and cells exist, and at least one day after the warm-up has an observation."""
    days, cells = data.draw(st.integers(3, 40)), data.draw(st.integers(1, 4))
    window = data.draw(st.integers(1, days))
    warmup = data.draw(st.integers(0, days - window))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    observed = np.where(rng.random((days, cells)) < data.draw(st.sampled_from([0.05, 0.5, 1.0])), 1.0, np.nan)
    options = {"batch": 20, "window": window, "warmup": warmup, "seed": 1}
    assume(not WindowSampler(observed, **options).is_empty)
    for cell, start in zip(*draws(observed, 3, **options), strict=True):
        assert 0 <= start <= days - window - warmup
        assert np.isfinite(observed[start + warmup : start + warmup + window, cell]).any()


def test_complete_records_are_drawn_from_uniformly() -> None:
    """Every cell and every first day is equally likely, including the first and the last."""
    cells, starts = draws(np.ones((30, 6)), 200)
    assert is_uniform(np.bincount(cells, minlength=6))
    assert len(np.bincount(starts)) == 30 - 8 + 1
    assert is_uniform(np.bincount(starts, minlength=23))
    pairs = np.bincount(cells * 23 + starts, minlength=6 * 23)
    assert is_uniform(pairs)


def test_among_the_windows_of_a_cell_with_gaps_all_are_alike() -> None:
    """Days without observation do not bias the rest: it stays uniform."""
    observed = np.ones((30, 2))
    observed[10:25, 1] = np.nan
    cells, starts = draws(observed, 300)
    fine = [start for start in range(23) if np.isfinite(observed[start + 3 : start + 8, 1]).any()]
    counts = np.bincount(starts[cells == 1], minlength=23)
    assert set(np.flatnonzero(counts)) == set(fine)
    assert is_uniform(counts[fine])
    assert is_uniform(np.bincount(cells))


def test_cells_without_observation_are_never_drawn() -> None:
    """Nor cells with observations only where no window can count them."""
    observed = np.ones((30, 4))
    observed[:, 1] = np.nan
    observed[3:, 2] = np.nan  # only in what is always warm-up
    cells, _ = draws(observed, 20)
    assert set(cells) == {0, 3}


def test_nothing_to_draw_is_known() -> None:
    """``is_empty`` is known before anything is drawn."""
    observed = np.full((30, 2), np.nan)
    observed[:3] = 1.0
    assert WindowSampler(observed, batch=2, window=5, warmup=3, seed=0).is_empty
    observed[3] = 1.0
    assert not WindowSampler(observed, batch=2, window=5, warmup=3, seed=0).is_empty


def test_the_record_may_be_just_one_window_long() -> None:
    """Then it is always drawn."""
    _, starts = draws(np.ones((8, 2)), 1)
    assert set(starts) == {0}


@pytest.mark.parametrize("same", [True, False])
def test_draws_are_the_seed_s(same: bool) -> None:
    """The same seed gives the same draws, another seed others; NumPy's global state does not matter."""
    observed = np.ones((50, 5))
    np.random.seed(1)  # noqa: NPY002
    first = draws(observed, 2, seed=3)
    np.random.seed(2)  # noqa: NPY002
    second = draws(observed, 2, seed=3 if same else 4)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True)) is same

"""Shards of a training that come and go."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from hydroxr.training.pool import RESIDENT, Pool, ahead, rounds_of


def shards(cells: int, size: int) -> list[np.ndarray]:
    return [np.arange(first, min(first + size, cells)) for first in range(0, cells, size)]


def prepare(cells: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Two parts that tell which cells they are of."""
    numbers = torch.from_numpy(cells)
    return numbers.repeat(3, 1), numbers.repeat(2, 1)[..., None] * torch.tensor([1, 10])


@pytest.mark.parametrize(("iterations", "rounds"), [(200, 1), (37, 1), (200, 5)])
def test_every_shard_stays_as_long_as_every_other(iterations: int, rounds: int) -> None:
    """As many iterations, but for one at each end; what is held are the data of the cells that it says."""
    pool = Pool(shards(37, 2), 37, prepare, iterations, rounds, seed=3)
    held: Counter[int] = Counter()
    for iteration in range(iterations):
        pool.at(iteration)
        there = np.flatnonzero(pool.cells >= 0)
        assert len(there) <= 2 * RESIDENT
        held.update(pool.cells[there].tolist())
        assert np.array_equal(pool.cells[pool.column[pool.cells[there]]], pool.cells[there])
        for part, factor in ((pool.parts[0], 1), (pool.parts[1][..., 1], 10)):
            assert np.array_equal(part[-1][there].numpy(), factor * pool.cells[there])
    pool.close()
    stay = RESIDENT * iterations / 19
    assert len(held) == 37
    assert all(abs(count - stay) <= 2 + rounds for count in held.values())


def test_shards_that_fit_stay() -> None:
    pool = Pool(shards(8, 2), 8, prepare, 100, 1, seed=0)
    assert [pool.at(iteration) for iteration in range(100)] == [True] + [False] * 99
    assert sorted(pool.cells) == list(range(8))
    pool.close()


def test_a_training_that_goes_on_holds_what_it_would_have_held() -> None:
    whole, resumed = (Pool(shards(30, 1), 30, prepare, 90, 3, seed=1) for _ in range(2))
    for iteration in range(51):
        whole.at(iteration)
    resumed.at(50)
    assert np.array_equal(whole.cells, resumed.cells)
    for pool in (whole, resumed):
        pool.close()


def test_an_error_in_the_background_is_raised_where_the_data_are_awaited() -> None:
    def fail(cells: np.ndarray) -> tuple[torch.Tensor, ...]:
        raise OSError("the store is gone")

    pool = Pool(shards(4, 2), 4, fail, 10, 1, seed=0)
    with pytest.raises(OSError, match="gone"):
        pool.at(0)
    pool.close()
    with pytest.raises(OSError, match="gone"):
        list(ahead(fail, shards(4, 2)))


def test_reading_ahead_keeps_the_order() -> None:
    assert list(ahead(lambda number: number**2, range(5))) == [0, 1, 4, 9, 16]
    assert list(ahead(abs, [])) == []


def test_long_trainings_read_all_cells_more_often() -> None:
    """As long as reading stays little beside simulating; at least once, and no shard for less than a turn."""
    daymet = {"cells": 671, "days": 5478, "simulated": 73_000, "shards": 40}
    assert rounds_of(**daymet, iterations=3000) == 20
    assert rounds_of(**daymet, iterations=250) == 2
    assert rounds_of(**daymet, iterations=10) == 1

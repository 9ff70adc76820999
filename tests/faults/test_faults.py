"""The trials of ``make test-faults``, a few of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults import cluster_faults, fit_faults, store_faults

SIZE = store_faults.Size(cells=6, days=40, later=15)


def broken(counts: Counter[str]) -> list[str]:
    """The promises that did not hold."""
    return [text for text, count in counts.items() if count and text.startswith("BROKEN")]


@pytest.mark.parametrize("append", [False, True])
def test_no_kill_makes_a_store_that_lies(append: bool, tmp_path: Path) -> None:
    """Three writers killed at random moments."""
    counts = store_faults.try_kills(3, SIZE, tmp_path, seed=1, append=append)
    assert counts["killed"] == 3
    assert broken(counts) == []


def test_a_killed_training_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    """Three kills at random moments of short trainings."""
    counts = fit_faults.try_kills(3, tmp_path, seed=2, iterations=12)
    assert counts["killed"] == 3
    assert counts["trainings that went on, the same to the last bit"] >= 1
    assert broken(counts) == []


def test_no_damage_passes(tmp_path: Path) -> None:
    """Thirty flipped bits and truncated files."""
    counts = store_faults.try_damages(30, SIZE, tmp_path, seed=1)
    assert sum(counts.values()) == 30
    assert broken(counts) == []


def test_no_damage_of_a_file_passes(tmp_path: Path) -> None:
    """A hundred of them."""
    counts = store_faults.try_file_damages(100, SIZE, tmp_path, seed=1)
    assert sum(counts.values()) == 100
    assert broken(counts) == []


@pytest.mark.filterwarnings("ignore:the input of the run has changed")
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize(
    ("trial", "number"),
    [(store_faults.try_races, 4), (store_faults.try_changes, 2), (store_faults.try_full_disks, 4)],
)
def test_no_race_change_or_full_disk_makes_a_lie(trial: Any, number: int, tmp_path: Path) -> None:
    """A few of each; what was there, or the other run, is never lost."""
    counts = trial(number, SIZE, tmp_path, seed=1)
    assert sum(counts.values()) >= number
    assert broken(counts) == []


def test_no_kill_of_a_whole_run_changes_the_result(tmp_path: Path) -> None:
    """Client, scheduler and workers at once; what they left is gone on with."""
    with cluster_faults.cluster():
        cluster_faults.prepare(tmp_path, cluster_faults.Size(cells=24, years=2, blocks=4))
        counts = cluster_faults.kill_runs(1, tmp_path, seed=1)
    assert counts["killed"] == 1
    assert broken(counts) == []

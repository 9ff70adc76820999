"""What a search draws from, and what it refuses before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hydroxr as hx
from hydroxr.errors import DescriptionError
from hydroxr.training.search.space import Space, Trial, make_trials
from tests.support.trainings import SPECS

STATIC = SPECS["static"]


def made(
    space: Space, number: int | None = None, spec: Any = STATIC, seed: int = 0, **shared: Any
) -> list[Trial]:
    return make_trials(space, spec, shared, number, seed)


def test_without_a_number_all_combinations_are_tried() -> None:
    given = [trial.given for trial in made({"hidden": [2, 3], "loss": ["nse", "kge"]})]
    assert given == [{"hidden": hidden, "loss": loss} for hidden in (2, 3) for loss in ("nse", "kge")]
    assert [trial.spec.hidden for trial in made({"hidden": [2, 3, 2]})] == [2, 3]
    listed = [{"hidden": 2}, {"hidden": 3, "learning_rate": 0.1}]
    assert [trial.given for trial in made(listed)] == listed


def test_draws_follow_the_seed_and_begin_alike() -> None:
    """More trials are the same ones and others; none comes twice."""
    space = {"hidden": list(range(1, 9)), "batch": [4, 8], "dropout": hx.Range(0.0, 0.5)}
    first = [trial.given for trial in made(space, 6)]
    assert [trial.given for trial in made(space, 12)][:6] == first
    assert [trial.given for trial in made(space, 6, seed=1)] != first
    small = {"hidden": [2, 3], "batch": [4, 8]}
    drawn = [tuple(trial.given.values()) for trial in made(small, 3)]
    assert len(set(drawn)) == 3
    all_of_them = [tuple(trial.given.values()) for trial in made(small, 9)]
    assert all_of_them[:3] == drawn
    assert len(set(all_of_them)) == 4


def test_ranges_are_drawn_within_their_bounds() -> None:
    """Whole numbers if both bounds are; evenly in the logarithm if wanted."""
    random = np.random.default_rng(0)
    whole = [hx.Range(2, 5).draw(random) for _ in range(200)]
    assert set(whole) == {2, 3, 4, 5}
    rates = np.array([hx.Range(1e-3, 1e-1, log=True).draw(random) for _ in range(400)])
    assert rates.min() >= 1e-3
    assert rates.max() <= 1e-1
    assert 0.4 < (rates < 1e-2).mean() < 0.6


def test_options_go_to_the_model_or_to_its_training() -> None:
    (trial,) = made([{"components": 3, "window": 9, "dropout": 0.2}], warmup=5, seed=4)
    assert (trial.spec.components, trial.spec.hidden, trial.spec.dropout) == (3, STATIC.hidden, 0.2)
    assert trial.options == {"seed": 4, "warmup": 5, "window": 9}
    assert (trial.protocol.window, trial.protocol.dropout, trial.protocol.seed) == (9, 0.2, 4)


def test_dynamic_parameters_bring_the_network_that_they_need() -> None:
    trials = made({"dynamic": [(), ("BETA",)]}, spec=hx.DeltaHBV())
    assert [trial.spec.network for trial in trials] == ["mlp", "filters"]


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({}, {}, "space is empty"),
        ([], {}, "space is"),
        ("hidden", {}, "space is hidden"),
        ({"hiden": [2]}, {}, "space has 'hiden', which is no option of DeltaHBV or of fit"),
        ({"hidden": []}, {}, r"space\['hidden'\] is \[\]; expected a list of values"),
        ({"network": "lstm"}, {}, r"space\['network'\] is 'lstm'"),
        ({"hidden": [2, -1]}, {}, "hidden is -1"),
        ({"learning_rate": [0.1, "fast"]}, {}, "learning_rate is 'fast'"),
        ({"network": ["mlp", "lstm"], "dynamic": [("BETA",)]}, {}, "network='mlp' gives the same parameters"),
        ({"dropout": hx.Range(0.1, 0.5)}, {}, "dropout may be any number of a range"),
        ({"hidden": [2]}, {"number": 0}, "trials is 0"),
        ([{"hidden": 2}], {"number": 2}, "trials is given"),
        ({"hidden": [2]}, {"hidde": 3}, "fit has no option 'hidde'"),
        ({"batch": [2]}, {"batch": 3}, "batch is in space and an option of all trials, 3"),
        (
            {"batch": [2]},
            {"checkpoint": "here"},
            "checkpoint is no option of a search, which sees to it itself",
        ),
        ({"batch": [2]}, {"gauges": {}}, "gauges is no option of a search, which learns no rivers"),
        ({"patience": [None, 2]}, {}, "patience is 2 without validation"),
    ],
)
def test_a_bad_space_is_refused_by_name(space: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        made(space, **options)


def test_a_refused_value_names_its_trial() -> None:
    with pytest.raises(DescriptionError) as caught:
        made({"hidden": [2, -1]})
    assert caught.value.__notes__ == ["in trial 1 (hidden=-1)"]


@pytest.mark.parametrize("bounds", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1), ("a", "b")])
def test_a_range_without_bounds_is_refused(bounds: Any) -> None:
    with pytest.raises(DescriptionError, match="expected two finite numbers"):
        hx.Range(*bounds)
    with pytest.raises(DescriptionError, match="the logarithm needs a bound above 0"):
        hx.Range(0, 1, log=True)

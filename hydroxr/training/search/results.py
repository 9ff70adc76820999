"""The trials of a search as a Dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..._version import __version__
from ...conventions.attributes import VERSION_KEY
from ...metrics.formulas import EVALUATED
from ...support.checksums import stable_json
from ..fold_models import plain
from .periods import Judged
from .records import Outcome
from .space import Trial


class Ended(NamedTuple):
    """Where a trial ended: its stage, whether that was the last one, and what it came to."""

    stage: int
    is_last: bool
    outcome: Outcome

    def mean(self, score: str) -> float:
        """Mean of a score over the periods; NaN where the training failed."""
        values = [scores[score] for scores in self.outcome.scores.values()]
        return float(np.mean(values)) if values else math.nan


def ranked(ended: Mapping[int, Ended], score: str) -> list[int]:
    """Numbers of the trials from the best: by stage, then score, then number; failed ones last."""

    def place(number: int) -> tuple[int, float, int]:
        mean = ended[number].mean(score)
        return -ended[number].stage, math.inf if math.isnan(mean) else -mean, number

    return sorted(ended, key=place)


def dataset(trials: Sequence[Trial], ended: Mapping[int, Ended], judged: Judged, score: str) -> xr.Dataset:
    """Scores ``(trial, period)``, with the options of each trial as coordinates."""
    outcomes = [ended[trial.number].outcome for trial in trials]
    order = ranked(ended, score)
    data: dict[str, Any] = {}
    for name in (each for each in EVALUATED if each != "n_days"):
        rows = [[each.scores.get(period, {}).get(name, math.nan) for period in judged] for each in outcomes]
        data[name] = ("trial", "period"), np.array(rows), {"long_name": f"median of {name} over the cells"}
    data["score"] = _of_trials(
        [ended[trial.number].mean(score) for trial in trials], f"mean of {score} over the periods"
    )
    data["iterations_done"] = _of_trials([each.iterations for each in outcomes], "iterations of the training")
    data["seconds"] = _of_trials([each.seconds for each in outcomes], "time of the training", units="s")
    ends = [not ended[trial.number].is_last for trial in trials]
    data["ended_early"] = _of_trials(ends, "whether others were better after few iterations")
    data["model_sha256"] = _of_trials([each.model_sha256 for each in outcomes], "checksum of the model")
    data["error"] = _of_trials([each.error for each in outcomes], "why the training failed")
    coords: dict[str, Any] = {
        name: _of_trials(_column([trial.given.get(name) for trial in trials]), f"option {name}")
        for name in dict.fromkeys(name for trial in trials for name in trial.given)
    }
    coords |= {"trial": [trial.number for trial in trials], "period": list(judged)}
    coords["rank"] = _of_trials([order.index(trial.number) + 1 for trial in trials], "rank, 1 for the best")
    for name, end in (("period_start", "start"), ("period_end", "stop")):
        coords[name] = ("period", [getattr(days, end) for days in judged.values()])
    attrs = {"title": "Search for options of model and training", "ranked_by": score}
    return xr.Dataset(data, coords, attrs | {VERSION_KEY: __version__})


def _of_trials(values: Any, long_name: str, **attrs: str) -> tuple[str, np.ndarray, dict[str, str]]:
    return "trial", np.asarray(values), {"long_name": long_name, **attrs}


def _column(values: Sequence[Any]) -> np.ndarray:
    """Values of an option: numbers or booleans as they are, all else as text."""
    array = np.array([plain(value) for value in values], dtype=object)
    for kinds in ((bool,), (int,), (int, float)):
        if all(type(value) in kinds for value in array):
            return np.array(array.tolist())
    return np.array([_as_text(value) for value in array])


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return "" if value is None else stable_json(value)

"""What a search chooses from, and the trials that are drawn from it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np

from ...errors import DescriptionError, HydroxrError
from ...models.specs import DeltaHBV, Spec, check_spec
from ...support.checksums import stable_json
from ..fit import check_patience, fit
from ..loop.protocol import Protocol, protocol_of

_SELECTIONS = ("attributes", "frozen")  # options of fit that are neither of the model nor of its protocol
_OWN = ("seed", "seeds", "client", "checkpoint", "checkpoint_every", "resume", "progress")
_NO_OPTIONS = ("data", "spec", "changes")
_RIVERS = ("rivers", "gauges", "weights", "reach_attributes")
_ATTEMPTS = 1000  # draws for each trial, before a space counts as exhausted


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, for :func:`hydroxr.search` to draw from.

    Parameters
    ----------
    low, high : int or float
        Bounds, both included. Two whole numbers: whole numbers are drawn; else four digits count.
    log : bool
        Draw evenly in the logarithm: as many from 0.001 to 0.01 as from 0.01 to 0.1.

    Raises
    ------
    DescriptionError
        If the bounds are not finite, not ascending, or not above 0 where ``log`` is True.

    Examples
    --------
    >>> Range(1e-3, 1e-1, log=True)
    Range(low=0.001, high=0.1, log=True)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        numbers = [isinstance(each, int | float | np.number) for each in (self.low, self.high)]
        if not all(numbers) or not (math.isfinite(self.low) and self.low < self.high < math.inf):
            raise DescriptionError(f"{self} has no lower and higher bound; expected two finite numbers.")
        if self.log and self.low <= 0:
            raise DescriptionError(f"{self} begins at {self.low}; the logarithm needs a bound above 0.")

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return all(isinstance(each, int | np.integer) for each in (self.low, self.high))

    def draw(self, random: np.random.Generator) -> int | float:
        """One number."""
        low, high = float(self.low), float(self.high) + self.is_whole
        share = random.uniform()
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        rounded = math.floor(value) if self.is_whole else float(f"{value:.4g}")
        return min(max(rounded, self.low), self.high)


Choices = Mapping[str, "Sequence[Any] | Range"]
Space = Choices | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Trial:
    """One model to train.

    Parameters
    ----------
    number : int
    given : dict
        The options that the trial was given.
    spec : DeltaHBV or LSTMStreamflow
    options : dict
        All options of its ``fit``.
    protocol : Protocol
    """

    number: int
    given: dict[str, Any]
    spec: Spec
    options: dict[str, Any]
    protocol: Protocol

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"trial-{self.number:04d}"

    @property
    def shown(self) -> str:
        """The trial in a message."""
        return f"trial {self.number} ({', '.join(f'{key}={value!r}' for key, value in self.given.items())})"


def make_trials(
    space: Space, spec: Spec, options: Mapping[str, Any], number: int | None, seed: int
) -> list[Trial]:
    """The trials of a search, all checked.

    Parameters
    ----------
    space : mapping or sequence of mapping
    spec : DeltaHBV or LSTMStreamflow
        What all trials share of the model.
    options : mapping
        What all trials share of the options of ``fit``.
    number : int, optional
        How many to draw; default: all combinations.
    seed : int
        Seed of the draws, and of each training.

    Raises
    ------
    DescriptionError
        If an option is unknown, given twice or no part of a search, a space is empty, or a value is refused
        by the model or the training: with the trial as a note.
    """
    check_spec(spec)
    _check_shared(options)
    return [
        _trial(place, given, spec, options, seed)
        for place, given in enumerate(_combinations(space, spec, options, number, seed))
    ]


def _check_shared(options: Mapping[str, Any]) -> None:
    known = set(inspect.signature(fit).parameters) | {field.name for field in fields(Protocol)}
    for name in options:
        if name in (*_OWN, *_RIVERS):
            why = "learns no rivers" if name in _RIVERS else "sees to it itself"
            raise DescriptionError(f"{name} is no option of a search, which {why}; leave it out.")
        if name not in known or name in _NO_OPTIONS:
            raise DescriptionError(
                f"fit has no option {name!r}; expected some of "
                f"{', '.join(sorted(known - {*_OWN, *_RIVERS, *_NO_OPTIONS}))}."
            )


def _combinations(
    space: Space, spec: Spec, options: Mapping[str, Any], number: int | None, seed: int
) -> list[dict[str, Any]]:
    """The options of each trial."""
    if number is not None and (
        isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1
    ):
        raise DescriptionError(f"trials is {number!r}; expected a whole number of at least 1, or None.")
    if not isinstance(space, Mapping):
        listed = list(space) if isinstance(space, Sequence) and not isinstance(space, str) else []
        if not listed or not all(isinstance(each, Mapping) and each for each in listed):
            raise DescriptionError(
                f"space is {space!s:.200}; expected values by option, {{'hidden': [64, 128]}}, or a list "
                "of the options of each trial, [{'hidden': 64}, {'hidden': 128}], and at least one."
            )
        for each in listed:
            _check_names(each, spec, options)
        if number is not None:
            raise DescriptionError("trials is given, and space lists the trials itself; leave trials out.")
        return _different(dict(each) for each in listed)
    _check_names(space, spec, options)
    values = {name: _values(name, each) for name, each in space.items()}
    ranges = [name for name, each in values.items() if isinstance(each, Range)]
    if ranges and number is None:
        raise DescriptionError(
            f"{', '.join(ranges)} may be any number of a range, and trials does not say how many to draw; "
            "expected trials=20, or values in a list."
        )
    sizes = [1 if isinstance(each, Range) else len(each) for each in values.values()]
    if number is None:
        lists: list[Any] = list(values.values())
        return _different(dict(zip(values, each, strict=True)) for each in product(*lists))
    number = number if ranges else min(number, math.prod(sizes))
    random = np.random.default_rng(seed)
    return _different((_drawn(values, random) for _ in range(_ATTEMPTS * number)), number)


def _check_names(given: Mapping[str, Any], spec: Spec, options: Mapping[str, Any]) -> None:
    """Refuse a space without options, or with names that no model and no training has."""
    known = [*_model_options(spec), *(field.name for field in fields(Protocol)), *_SELECTIONS]
    if not given:
        raise DescriptionError("space is empty; expected values by option: {'hidden': [64, 128]}.")
    for name in given:
        if name not in known:
            raise DescriptionError(
                f"space has {name!r}, which is no option of {type(spec).__name__} or of fit; expected some "
                f"of {', '.join(dict.fromkeys(known))}."
            )
        if name in options:
            raise DescriptionError(
                f"{name} is in space and an option of all trials, {options[name]!r}; give it once."
            )
        if name in _model_options(spec) and options.get("start") is not None and name != "dropout":
            raise DescriptionError(
                f"start has a model of its own, and space has {name!r}, an option of the model; search over "
                "options of the training, or without start."
            )


def _model_options(spec: Spec) -> list[str]:
    return [field.name for field in fields(spec) if field.init]


def _values(name: str, given: Any) -> list[Any] | Range:
    if isinstance(given, Range):
        return given
    is_list = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    values = [each.item() if isinstance(each, np.generic) else each for each in given] if is_list else []
    if not values:
        raise DescriptionError(
            f"space[{name!r}] is {given!r}; expected a list of values, and at least one, or "
            "hx.Range(low, high)."
        )
    return values


def _drawn(values: Mapping[str, list[Any] | Range], random: np.random.Generator) -> dict[str, Any]:
    return {
        name: each.draw(random) if isinstance(each, Range) else each[int(random.integers(len(each)))]
        for name, each in values.items()
    }


def _different(given: Iterator[dict[str, Any]], number: int | None = None) -> list[dict[str, Any]]:
    """The first ``number`` that differ."""
    found: dict[str, dict[str, Any]] = {}
    for each in given:
        found.setdefault(stable_json(each), each)
        if len(found) == number:
            break
    return list(found.values())


def _trial(number: int, given: dict[str, Any], spec: Spec, options: Mapping[str, Any], seed: int) -> Trial:
    """The trial, whose model and protocol are made here to have them checked."""
    of_model = {name: value for name, value in given.items() if name in _model_options(spec)}
    others = {name: value for name, value in given.items() if name not in of_model}
    if isinstance(spec, DeltaHBV) and "dynamic" in of_model and spec.network in ("filters", "mlp"):
        of_model.setdefault("network", None)  # the one that such parameters need
    trial = Trial(number, given, spec, {"seed": seed, **options, **others}, None)  # type: ignore[arg-type]
    try:
        changed = replace(spec, **of_model)
        known = {field.name for field in fields(Protocol)} - {"preset"}
        changes = {name: value for name, value in trial.options.items() if name in known}
        protocol = protocol_of(changed, trial.options.get("preset", "default"), changes)
        check_patience(protocol, options.get("validation"))
    except HydroxrError as error:
        error.add_note(f"in {trial.shown}")
        raise
    return replace(trial, spec=changed, protocol=protocol)

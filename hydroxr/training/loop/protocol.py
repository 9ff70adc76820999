"""How a model is trained: presets, and changes to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...errors import DescriptionError
from ...models.specs import Spec
from ...support.function_identity import function_identity
from .losses import OUTPUT_LOSSES, Loss, checked_loss, describe_loss, parts_of

OPTIMIZERS = ("adam", "adadelta")
SCHEDULES = ("cosine", "constant")
WARMUP_PARAMETERS = ("daily", "last day")
PRECISIONS = ("auto", "float32", "bfloat16")

# Largest learning rates. Adadelta adapts its steps itself, from 1, as in the paper. Constant parameters
# tolerate, and need, longer steps.
_RATES = {
    ("adam", "lstm"): 1e-2,
    ("adam", "streamflow"): 1e-2,
    ("adam", "constant"): 1e-1,
    ("adadelta", "lstm"): 1.0,
    ("adadelta", "streamflow"): 1.0,
    ("adadelta", "constant"): 1.0,
}
_RATES |= {
    (optimizer, network): _RATES[optimizer, "lstm"]
    for optimizer in ("adam", "adadelta")
    for network in ("filters", "mlp")
}
# Enough for a regional network to be useful and for constant parameters to settle.
_ITERATIONS = {"lstm": 1500, "filters": 1500, "mlp": 1500, "streamflow": 1500, "constant": 300}
_SCHEDULES = {"adam": "cosine", "adadelta": "constant"}
# Constant parameters: longest window, cells times days of the largest batch, and random sets to begin with.
_LONGEST, _LARGEST, _DRAWS = 7305, 438_000, 2000
_WINDOWS = 5, 600  # with rivers: windows per cell and iteration, and largest batch
_COVERED = 0.99  # expected share of the (cell, day) pairs that an epoch of random windows covers
_LOSS = {"nse": 1.0, "low_flow": 1.0}
_WITH_KGE = {**_LOSS, "kge": 0.3}
_LEAST = {"warmup": 0, "seed": 0, "draws": 0}  # smallest whole number allowed; 1 for the others
_MOST = {"seed": 2**64 - 1}  # the largest; torch takes no larger seed


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """All settings of a training.

    Parameters
    ----------
    preset : {"default", "long", "paper"}
        The preset that the unchanged values come from.
    loss : str, dict or function
        See :mod:`hydroxr.training.loop.losses`.
    optimizer : {"adam", "adadelta"}
    learning_rate : float
        Learning rate, or the first and largest one of a schedule.
    schedule : {"cosine", "constant"}
        "cosine": the rate decays to 0 along half a cosine.
    iterations : int, optional
        Steps of the optimiser; None if ``epochs`` is given instead.
    epochs : int, optional
        Number of epochs. The random windows of an epoch cover 99 % of all days of all cells, see
        :func:`epoch_iterations`.
    batch : int
        Windows per iteration.
    window, warmup : int
        Days of each window that count in the loss, and days of warm-up before them.
    warmup_gradient : bool
        Whether gradients pass through the warm-up.
    warmup_parameters : {"daily", "last day"}
        Dynamic parameters during the warm-up: those of each day, or those of its last day throughout.
        Static parameters are always those of the last day of the window. An LSTM of streamflow ignores it.
    dropout : float
        Share of the LSTM's weights that are dropped in each pass.
    attribute_noise : float
        Standard deviation of noise that each pass adds to the attributes, in standard deviations of the
        training cells. A network then relies less on what single cells have, and does better in others.
    clip : float, optional
        Largest norm of the gradient; longer gradients are shortened to it. None: no limit.
    precision : {"auto", "float32", "bfloat16"}
        Precision of the LSTM in training; everything else is float32. "auto": bfloat16 if it is faster.
    validate_every : int
        Iterations between validations.
    patience : int, optional
        Stop after this many validations in a row without improvement. None: never.
    seed : int
        Seed of weights, draws and dropout.
    draws : int
        Constant parameters begin with the best of so many random sets in each cell. 0: near the middle of
        their ranges.

    Raises
    ------
    DescriptionError
        If a value is not allowed, or not exactly one of ``iterations`` and ``epochs`` is given.
    """

    preset: str
    loss: Loss
    optimizer: str
    learning_rate: float
    schedule: str
    iterations: int | None
    epochs: int | None = None
    batch: int = 100
    window: int = 365
    warmup: int = 365
    warmup_gradient: bool = True
    warmup_parameters: str = "daily"
    dropout: float = 0.1
    attribute_noise: float = 0.0
    clip: float | None = 1.0
    precision: str = "auto"
    validate_every: int = 100
    patience: int | None = None
    seed: int = 0
    draws: int = 0

    def __post_init__(self) -> None:
        kept: dict[str, Any] = {"loss": checked_loss(self.loss)}
        for name in ("batch", "window", "warmup", "validate_every", "seed", "draws"):
            kept[name] = _whole(name, getattr(self, name))
        for name in ("iterations", "epochs", "patience"):
            value = getattr(self, name)
            kept[name] = None if value is None else _whole(name, value)
        for name, allowed in _CHOICES.items():
            _check_choice(name, getattr(self, name), allowed)
        kept["learning_rate"] = _number("learning_rate", self.learning_rate)
        kept["clip"] = None if self.clip is None else _number("clip", self.clip)
        if not isinstance(self.warmup_gradient, bool | np.bool_):
            raise DescriptionError(f"warmup_gradient is {self.warmup_gradient!r}; expected True or False.")
        kept["warmup_gradient"] = bool(self.warmup_gradient)
        if not isinstance(self.dropout, float | int | np.number) or not 0.0 <= self.dropout < 1.0:
            raise DescriptionError(f"dropout is {self.dropout!r}; expected a share from 0 to below 1.")
        kept["dropout"] = float(self.dropout)
        kept["attribute_noise"] = _number("attribute_noise", self.attribute_noise, or_zero=True)
        if (self.iterations is None) == (self.epochs is None):
            raise DescriptionError(
                f"iterations is {self.iterations} and epochs is {self.epochs}; expected one of them."
            )
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    @property
    def least_deviation(self) -> float:
        """A standard deviation below it counts as 1 where forcing and attributes are normalised.

        The paper's is 0.001, whatever the units; without it only what is constant counts so.
        """
        return 1e-3 if self.preset == "paper" else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("attribute_noise", "draws"):  # keeps the identity of trainings from before they existed
            if not values[name]:
                del values[name]
        return values | {"loss": describe_loss(self.loss)}

    def identity(self) -> dict[str, Any]:
        """As :meth:`to_dict`, with a checksum of a loss function beside its name, which others may share."""
        values = self.to_dict()
        if callable(self.loss):
            values["loss"] = f"{values['loss']} ({function_identity(self.loss)})"
        return values

    def for_data(self, cells: int, days: int) -> Protocol:
        """The protocol with ``iterations`` as a number, for training data of this size."""
        if self.iterations is not None or self.epochs is None:
            return self
        epoch = epoch_iterations(self.batch, self.window, self.warmup, cells, days)
        return replace(self, iterations=self.epochs * epoch, epochs=None)

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        share = iteration / max(self.iterations or 1, 1)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def for_constant(
    protocol: Protocol, changes: Mapping[str, Any], cells: int, days: int, rivers: bool = False
) -> Protocol:
    """The protocol of a constant network, with what the parameters of ``cells`` cells need to settle.

    A network learns from all cells, constant parameters from their own alone. Each iteration has one window
    of each cell: its whole record, up to 20 years, since soils and lower zones can need years to fill.
    Where the windows exceed a batch, there are more iterations. Gradients find the nearest optimum only, so
    that the best of many random sets is where they begin. With rivers all cells above a gauge are simulated
    together, in windows of the usual length. What ``changes`` has, or the paper's preset, stays.
    """
    own = ("batch", "iterations", "epochs", "window", "warmup")
    iterations = protocol.iterations
    if protocol.preset == "paper" or iterations is None or any(changes.get(name) is not None for name in own):
        return protocol
    if rivers:
        wanted, batch = _WINDOWS[0] * cells, min(max(protocol.batch, _WINDOWS[0] * cells), _WINDOWS[1])
    else:
        window = min(max(days, protocol.warmup + protocol.window), _LONGEST) - protocol.warmup
        draws = protocol.draws if changes.get("draws") is not None else _DRAWS
        protocol = replace(protocol, window=window, draws=draws)
        wanted, batch = cells, min(cells, _LARGEST // (protocol.warmup + window))
    return replace(protocol, batch=batch, iterations=math.ceil(iterations * max(1.0, wanted / batch)))


def epoch_iterations(batch: int, window: int, warmup: int, cells: int, days: int) -> int:
    """Iterations after which random windows cover 99 % of all days of all cells.

    With the paper's numbers (100 windows of 365 days, 671 cells, 15 years): 431.
    """
    share = batch * window / (cells * max(days - warmup, 1))
    return 1 if share >= 1.0 else math.ceil(math.log(1.0 - _COVERED) / math.log1p(-share))


def _default(network: str) -> Protocol:
    """Chosen on held-out years before 1995; see the guide choosing_settings.md.

    A KGE term costs an LSTM baseflow in short trainings, and other networks nothing.
    """
    return Protocol(
        preset="default",
        loss=_WITH_KGE if network in ("filters", "mlp") else _LOSS,
        optimizer="adam",
        learning_rate=_RATES["adam", network],
        schedule="cosine",
        iterations=_ITERATIONS[network],
        dropout=0.1,
        validate_every=20 if network == "constant" else 100,
    )


def _long(network: str) -> Protocol:
    """The default with three times the iterations, for final weights; δ models get a KGE term.

    Chosen with up to 3,000 iterations on ten years (guide choosing_settings.md). As many passes through
    the paper's fifteen years take 4,500 iterations.
    """
    default = replace(_default(network), preset="long")
    if network == "constant":
        return default
    long = replace(default, iterations=4500)
    return replace(long, loss=_WITH_KGE) if network != "streamflow" else long


def _paper(network: str) -> Protocol:
    """The protocol of Feng et al. (2022), sections 2.2.1 and 2.2.2, and of their published code.

    For their LSTM they give the loss only; the other values are those of the δ models.
    """
    return Protocol(
        preset="paper",
        loss="transformed" if network == "streamflow" else "paper",
        optimizer="adadelta",
        learning_rate=_RATES["adadelta", network],
        schedule="constant",
        iterations=None,
        epochs=50,
        batch=100,
        window=365,
        warmup=365,
        warmup_gradient=False,
        warmup_parameters="last day",
        dropout=0.5,
        clip=None,
        precision="float32",
    )


PRESETS: dict[str, Callable[[str], Protocol]] = {"default": _default, "long": _long, "paper": _paper}
_CHOICES: dict[str, tuple[str, ...]] = {
    "preset": tuple(PRESETS),
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "warmup_parameters": WARMUP_PARAMETERS,
    "precision": PRECISIONS,
}


def make_protocol(preset: str, network: str, changes: dict[str, Any]) -> Protocol:
    """A preset with some values changed.

    Parameters
    ----------
    preset : {"default", "long", "paper"}
    network : {"filters", "mlp", "lstm", "constant", "streamflow"}
        Kind of the network: it gives parameters, or streamflow itself.
    changes : dict
        Values by the names of :class:`Protocol`. None leaves the preset's value; for ``clip``, where
        None is a value, "preset" does.

    Raises
    ------
    DescriptionError
        If the preset, a name or a value is not known.
    """
    _check_choice("preset", preset, tuple(PRESETS))
    base = PRESETS[preset](network)
    known = [field.name for field in fields(Protocol) if field.name != "preset"]
    for name in changes:
        if name not in known:
            raise DescriptionError(f"fit has no option {name!r}; expected one of {', '.join(known)}.")
    unchanged = {"clip": "preset"}  # None is a value of clip
    changes = {name: value for name, value in changes.items() if value != unchanged.get(name)}
    if "epochs" in changes:
        changes.setdefault("iterations", None)
    elif "iterations" in changes:
        changes["epochs"] = None
    optimizer = changes.get("optimizer", base.optimizer)
    if optimizer != base.optimizer:
        _check_choice("optimizer", optimizer, OPTIMIZERS)
        # Each optimiser has a rate and a schedule of its own.
        changes = {
            "learning_rate": _RATES[optimizer, network],
            "schedule": _SCHEDULES[optimizer],
            **changes,
        }
    protocol = replace(base, **changes)
    if protocol.attribute_noise and network == "constant":
        raise DescriptionError("a constant network reads no attributes; expected attribute_noise=0.")
    wanted = [name for name in parts_of(protocol.loss) if name in OUTPUT_LOSSES]
    if wanted and network != "streamflow":
        raise DescriptionError(
            f"loss {wanted[0]!r} needs the normalised streamflow of hx.LSTMStreamflow, which a δ model does "
            "not have; use 'low_flow', the same loss of streamflow in mm/day."
        )
    return protocol


def protocol_of(spec: Spec, preset: str, changes: dict[str, Any]) -> Protocol:
    """The protocol for a description; its own dropout is used unless ``changes`` has another.

    See :func:`make_protocol`.
    """
    if changes.get("dropout") is None:
        changes = {**changes, "dropout": spec.dropout}
    return make_protocol(preset, str(spec.network), changes)


def _check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise DescriptionError(f"{name} {value!r} is not known; expected {' or '.join(map(repr, allowed))}.")


def _whole(name: str, value: Any) -> int:
    least, most = _LEAST.get(name, 1), _MOST.get(name, math.inf)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        below = "" if most == math.inf else " and below 2**64"
        raise DescriptionError(f"{name} is {value!r}; expected a whole number of at least {least}{below}.")
    return int(value)


def _number(name: str, value: Any, or_zero: bool = False) -> float:
    is_number = isinstance(value, float | int | np.number) and not isinstance(value, bool)
    if not is_number or not (np.isfinite(value) and (value > 0 or (or_zero and value == 0))):
        raise DescriptionError(
            f"{name} is {value!r}; expected a number above 0{', or 0' if or_zero else ''}."
        )
    return float(value)

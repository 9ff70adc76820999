"""Which models are trained, with which seeds, and on which split of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import DescriptionError
from ..models.specs import DeltaHBV, LSTMStreamflow, Spec

# In the order in which a reader wants to have them, should there not be time for all.
MODELS = ("dn-bt-gt", "lstm", "dn", "d1", "dn-nnr", "dn-bt", "dn-gt")
# Label that divides the cells for each split of space; over time all are trained on, an ensemble trains none.
ENSEMBLE = "ensemble"
SPLITS: dict[str, str | None] = {"time": None, ENSEMBLE: None, "pub": "pub_fold", "pur": "pur_region"}
_REPEATED = ("dn-bt-gt", "lstm")  # with three seeds, for their spread
_HELD_OUT = ("dn-bt-gt", "lstm", "dn")  # of the splits of space


@dataclass(frozen=True)
class Run:
    """One model, trained once (in a split of space: once a fold).

    Parameters
    ----------
    model : str
        A name of ``DeltaHBV.ladder()``, or ``"lstm"``.
    seed : int
        Of weights and draws.
    split : {"time", "ensemble", "pub", "pur"}
        "time": trained on the training period of all cells. "ensemble": the mean of all models, of whatever
        seed, that were trained so. "pub", "pur": on that of the other folds of ``pub_fold`` or regions of
        ``pur_region``. Tested on the test period in all.
    """

    model: str
    seed: int = 0
    split: str = "time"

    @property
    def name(self) -> str:
        """What it is called in results, and its folder: ``dn/seed0``, ``dn/ensemble``, ``dn/seed0-pub``."""
        if self.split == ENSEMBLE:
            return f"{self.model}/{ENSEMBLE}"
        return f"{self.model}/seed{self.seed}" + ("" if self.split == "time" else f"-{self.split}")


def group_of(name: str) -> tuple[str, str]:
    """Model and split of a run by its name; an ensemble is of the runs over time."""
    model, _, rest = name.partition("/")
    return model, rest.partition("-")[2] or "time"


def specification(model: str, hidden: int) -> Spec:
    """The description of a model, by its name.

    Raises
    ------
    DescriptionError
        Where there is no such model.
    """
    if model == "lstm":
        return LSTMStreamflow(hidden=hidden)
    ladder = DeltaHBV.ladder()
    if model not in ladder:
        raise DescriptionError(f"model {model!r} is not known; expected one of {', '.join(MODELS)}.")
    return replace(ladder[model], hidden=hidden)


def chosen_runs(
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    splits: Sequence[str] = ("time",),
) -> tuple[Run, ...]:
    """The runs to do, the most wanted first.

    Parameters
    ----------
    models : sequence of str, optional
        Default: all; as an ensemble those with several seeds; of a split of space δn, δn(γt,βt) and the LSTM.
    seeds : sequence of int, optional
        Of every model; default: 0, and 1 and 2 as well for δn(γt,βt) and the LSTM over time.
    splits : sequence of str
        See :class:`Run`.

    Raises
    ------
    DescriptionError
        Where a name is not known.
    """
    for given, known in ((models or (), MODELS), (splits, tuple(SPLITS))):
        for name in given:
            if name not in known:
                raise DescriptionError(f"{name!r} is not known; expected some of {', '.join(known)}.")
    runs = []
    for split in splits:
        usual = {"time": MODELS, ENSEMBLE: _REPEATED}.get(split, _HELD_OUT)
        for model in MODELS if models is None else models:
            if models is not None or model in usual:
                runs += [Run(model, seed, split) for seed in _seeds(model, split, seeds)]
    order = list(SPLITS)  # an ensemble after the runs that it is of
    return tuple(dict.fromkeys(sorted(runs, key=lambda run: (order.index(run.split), run.seed))))


def _seeds(model: str, split: str, given: Sequence[int] | None) -> Sequence[int]:
    if split == ENSEMBLE:
        return (0,)  # it has those of its members
    if given is not None:
        return given
    return (0, 1, 2) if split == "time" and model in _REPEATED else (0,)

"""The runs: models, seeds and splits of the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import DescriptionError
from ..models.specs import DeltaHBV, LSTMStreamflow, Spec

# The paper's, the most important first, in case time does not suffice for all.
MODELS = ("dn-bt-gt", "lstm", "dn", "d1", "dn-nnr", "dn-bt", "dn-gt")
_UNGAUGED = DeltaHBV(dynamic=("BETA", "BETAET"), component_weights=True, component_routing=True)
# Those with a network of their own: the defaults, and what suits catchments without and with a gauge best.
OWN = {
    "filters": DeltaHBV(dynamic=("BETA", "BETAET")),
    "mlp": DeltaHBV(),
    "ungauged": _UNGAUGED,
    "gauged": replace(_UNGAUGED, gauge_offsets=True),
    "gauged-corrected": replace(_UNGAUGED, gauge_offsets=True, precipitation_correction=True),
    "mlp-rise": DeltaHBV(component_weights=True, component_routing=True, capillary_rise=True),
    "ungauged-rise": replace(_UNGAUGED, capillary_rise=True),
    "gauged-rise": replace(
        _UNGAUGED, dynamic=("BETA", "BETAET", "K0"), gauge_offsets=True, capillary_rise=True
    ),
}
# Variable that divides the cells into folds; None: no folds.
ENSEMBLE = "ensemble"
SPLITS: dict[str, str | None] = {"time": None, ENSEMBLE: None, "pub": "pub_fold", "pur": "pur_region"}
_REPEATED = ("dn-bt-gt", "lstm")  # with three seeds, to show the spread
_HELD_OUT = ("dn-bt-gt", "lstm", "dn")  # in the splits by basin and by region


@dataclass(frozen=True)
class Run:
    """One model in one split, trained once, or once per fold.

    Parameters
    ----------
    model : str
        A name of ``DeltaHBV.ladder()``, ``"lstm"``, or a name of :data:`OWN`.
    seed : int
        Random seed.
    split : {"time", "ensemble", "pub", "pur"}
        "time": trained on all cells. "ensemble": the mean of all models of the split "time", over their
        seeds. "pub", "pur": cross-validation over ``pub_fold`` or ``pur_region``. All are trained on the
        training period and tested on the test period.
    """

    model: str
    seed: int = 0
    split: str = "time"

    @property
    def name(self) -> str:
        """Its name and folder: ``dn/seed0``, ``dn/ensemble``, ``dn/seed0-pub``."""
        if self.split == ENSEMBLE:
            return f"{self.model}/{ENSEMBLE}"
        return f"{self.model}/seed{self.seed}" + ("" if self.split == "time" else f"-{self.split}")


def of_paper(models: Iterable[str]) -> bool:
    """Whether any of these models is the paper's."""
    return any(model in MODELS for model in models)


def group_of(name: str) -> tuple[str, str]:
    """Model and split of a run by its name; an ensemble belongs to the split "time"."""
    model, _, rest = name.partition("/")
    return model, rest.partition("-")[2] or "time"


def specification(model: str, hidden: int) -> Spec:
    """The description of a model, by its name.

    Raises
    ------
    DescriptionError
        If there is no such model.
    """
    if model == "lstm":
        return LSTMStreamflow(hidden=hidden)
    known = DeltaHBV.ladder() | OWN
    if model not in known:
        raise DescriptionError(f"model {model!r} is not known; expected one of {', '.join((*MODELS, *OWN))}.")
    return replace(known[model], hidden=hidden)


def chosen_runs(
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    splits: Sequence[str] = ("time",),
) -> tuple[Run, ...]:
    """The runs to do, the most important first.

    Parameters
    ----------
    models : sequence of str, optional
        Default: all models of the paper in the split "time", fewer in the others.
    seeds : sequence of int, optional
        Seeds of each model. Default: 0; in the split "time" 0, 1 and 2 for δn(γt,βt) and the LSTM.
    splits : sequence of str
        See :class:`Run`.

    Raises
    ------
    DescriptionError
        If a model or a split is not known.
    """
    for given, known in ((models or (), (*MODELS, *OWN)), (splits, tuple(SPLITS))):
        for name in given:
            if name not in known:
                raise DescriptionError(f"{name!r} is not known; choose from {', '.join(known)}.")
    runs = []
    for split in splits:
        usual = {"time": MODELS, ENSEMBLE: _REPEATED}.get(split, _HELD_OUT)
        for model in MODELS if models is None else models:
            if models is not None or model in usual:
                runs += [Run(model, seed, split) for seed in _seeds(model, split, seeds)]
    order = list(SPLITS)  # an ensemble after its members
    return tuple(dict.fromkeys(sorted(runs, key=lambda run: (order.index(run.split), run.seed))))


def _seeds(model: str, split: str, given: Sequence[int] | None) -> Sequence[int]:
    if split == ENSEMBLE:
        return (0,)  # its members have the seeds
    if given is not None:
        return given
    return (0, 1, 2) if split == "time" and model in _REPEATED else (0,)

"""What a model is, before it is trained: an immutable description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, ClassVar, Literal

from ..conventions.attributes import HBV, STREAMFLOW_ALONE
from ..conventions.variables import FORCING, OUTPUTS
from ..errors import DescriptionError
from ..physics.parameters import PARAMETERS, ROUTING

_RUNOFF_HIDDEN = 16  # units of NN_r where nobody says how many; the paper does not


@dataclass(frozen=True)
class DeltaHBV:
    """A δ HBV model of Feng et al. (2022): HBV whose parameters a network gives.

    Parameters
    ----------
    components : int
        Parallel HBV components a cell, averaged with equal weights (the paper's n; 16 there).
    dynamic : sequence of str
        Parameters with a value of their own each day, such as ``("BETA", "BETAET")``. ``BETAET``
        exists only where it is dynamic; without it evapotranspiration is linear in wetness.
    runoff_network : int or bool
        Width of NN_r, a small network in the place of the effective-rainfall equation, learned
        with the rest, one for all cells and components. 0 or False: the equation. True: 16.
    network : {"lstm", "constant"}
        ``"lstm"``: the paper's g_A, an LSTM that maps forcing and attributes to parameters, one
        network for all cells (regional). ``"constant"``: a parameter set a cell, fitted directly,
        for one or few gauges; it knows no attributes and no cell that it was not fitted to.
    hidden : int
        Width of g_A (256 in the paper).
    dropout : float, optional
        Share of the LSTM's weights that each training pass leaves out; default: what the protocol of
        the training says (0.5 in the paper's). A fitted model's description has the number.

    Raises
    ------
    DescriptionError
        Where the combination does not exist.

    Examples
    --------
    >>> DeltaHBV(dynamic=("BETA", "BETAET")).symbol
    'δn(γt,βt)'
    """

    # What every description has: daily inputs, what a simulation gives, how titles call the model.
    forcing: ClassVar[tuple[str, ...]] = FORCING
    outputs: ClassVar[tuple[str, ...]] = OUTPUTS
    called: ClassVar[str] = "a differentiable HBV model"
    model_kind: ClassVar[str] = HBV

    components: int = 16
    dynamic: tuple[str, ...] = ()
    runoff_network: int = 0
    _: KW_ONLY
    network: Literal["lstm", "constant"] = "lstm"
    hidden: int = 256
    dropout: float | None = None

    def __post_init__(self) -> None:
        given = (self.dynamic,) if isinstance(self.dynamic, str) else tuple(self.dynamic)
        # In the order of the table, so that equal models are equal.
        object.__setattr__(self, "dynamic", tuple(name for name in PARAMETERS if name in given))
        allowed = [name for name in PARAMETERS if name not in ROUTING]
        for name in given:
            if name not in allowed:
                raise DescriptionError(
                    f"parameter {name!r} cannot be dynamic; expected some of {', '.join(allowed)}."
                )
        if self.network not in ("lstm", "constant"):
            raise DescriptionError(f"network {self.network!r} is not known; expected 'lstm' or 'constant'.")
        if self.network == "constant" and self.dynamic:
            raise DescriptionError(
                "a constant network gives the same parameters every day; "
                "use network='lstm' for dynamic ones, or dynamic=() here."
            )
        if isinstance(self.runoff_network, bool):
            object.__setattr__(self, "runoff_network", _RUNOFF_HIDDEN if self.runoff_network else 0)
        for name, least in (("components", 1), ("hidden", 1), ("runoff_network", 0)):
            object.__setattr__(self, name, _whole(name, getattr(self, name), least))
        _check_dropout(self.dropout)

    @classmethod
    def ladder(cls) -> dict[str, DeltaHBV]:
        """The paper's models by name, from the plain HBV to dynamic parameters and NN_r."""
        return {
            "d1": cls(components=1),
            "dn": cls(),
            "dn-bt": cls(dynamic=("BETA",)),
            "dn-gt": cls(dynamic=("BETAET",)),
            "dn-bt-gt": cls(dynamic=("BETA", "BETAET")),
            "dn-nnr": cls(runoff_network=True),
        }

    @property
    def regional(self) -> bool:
        """Whether one network serves all cells, those too that it was not fitted to."""
        return self.network == "lstm"

    @property
    def symbol(self) -> str:
        """The paper's symbol: δ1, δn, δn(βt), δn(γt,βt), δn(NNr), ..."""
        base = "δ1" if self.components == 1 else "δn"
        names = [f"{PARAMETERS[name].symbol}t" for name in reversed(self.dynamic)]
        if self.runoff_network:
            names.append("NNr")
        return f"{base}({','.join(names)})" if names else base

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the model has, in the order of the table."""
        return tuple(name for name in PARAMETERS if name != "BETAET" or "BETAET" in self.dynamic)

    @property
    def component_parameters(self) -> tuple[str, ...]:
        """Those that each component has (all but the routing's)."""
        return tuple(name for name in self.parameters if name not in ROUTING)

    @property
    def size(self) -> int:
        """Numbers that the network gives a cell: 14 for δ1, 194 for δn, 210 with BETAET."""
        return len(self.component_parameters) * self.components + len(ROUTING)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = asdict(self)
        if not self.runoff_network:  # a model's checksum is of this, and models without NN_r are older
            del values["runoff_network"]
        return values


@dataclass(frozen=True)
class LSTMStreamflow:
    """The purely data-driven benchmark of Feng et al. (2022): an LSTM that gives streamflow itself.

    It knows no water balance and has no other output. One network serves all cells (regional); it is
    as wide and deep as the one that gives the δ models their parameters.

    Parameters
    ----------
    hidden : int
        Width of the network (256 in the paper).
    forcing : sequence of str
        Daily inputs. ``"prcp"``, ``"tmean"`` and ``"pet"`` are found and converted as for the δ models;
        any other name is a variable of the Dataset over time, taken in its own units, which a
        simulation must have as well. Precipitation must be among them: its dimensions are those of
        space. Default: those of the paper, under their names in CAMELS.
    dropout : float, optional
        Share of the LSTM's weights that each training pass leaves out; default: what the protocol of
        the training says (0.5 in the paper's). A fitted model's description has the number.

    Raises
    ------
    DescriptionError
        Where a value does not exist.

    Examples
    --------
    >>> LSTMStreamflow(forcing=("prcp", "tmean", "pet")).symbol
    'LSTM'
    """

    network: ClassVar[str] = "streamflow"
    outputs: ClassVar[tuple[str, ...]] = ("streamflow",)
    called: ClassVar[str] = "an LSTM"
    regional: ClassVar[bool] = True
    symbol: ClassVar[str] = "LSTM"
    model_kind: ClassVar[str] = STREAMFLOW_ALONE

    hidden: int = 256
    forcing: tuple[str, ...] = ("prcp", "tmean", "srad", "vp", "dayl")
    dropout: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", _whole("hidden", self.hidden, 1))
        names = (self.forcing,) if isinstance(self.forcing, str) else tuple(self.forcing)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise DescriptionError(f"forcing is {self.forcing!r}; expected names that differ.")
        if "prcp" not in names:
            raise DescriptionError(
                f"forcing is {self.forcing!r}; expected 'prcp' among them: precipitation, whose dimensions "
                "are those of space."
            )
        object.__setattr__(self, "forcing", names)
        _check_dropout(self.dropout)

    @property
    def own_forcing(self) -> tuple[str, ...]:
        """Those inputs that are taken as the Dataset has them, in its units."""
        return tuple(name for name in self.forcing if name not in FORCING)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, with the ``kind`` that tells them from those of :class:`DeltaHBV`."""
        return {"kind": type(self).__name__, **asdict(self)}


Spec = DeltaHBV | LSTMStreamflow


def description_from(values: Mapping[str, Any]) -> Spec:
    """The description that ``to_dict`` wrote; one without ``kind`` is of a δ model.

    Raises
    ------
    DescriptionError
        Where there is no such kind, or a value does not exist.
    TypeError
        Where there is no such value.
    """
    given = dict(values)
    kind = given.pop("kind", "DeltaHBV")
    kinds: dict[str, type[Spec]] = {each.__name__: each for each in (DeltaHBV, LSTMStreamflow)}
    if kind not in kinds:
        raise DescriptionError(f"a model of kind {kind!r} is not known; expected {' or '.join(kinds)}.")
    return kinds[kind](**given)


def check_spec(spec: Any) -> None:
    """Refuse what is no description.

    Raises
    ------
    DescriptionError
    """
    if not isinstance(spec, DeltaHBV | LSTMStreamflow):
        raise DescriptionError(
            "expected a description such as hx.DeltaHBV(components=16) or hx.LSTMStreamflow(), found "
            f"{type(spec).__name__}."
        )


def _whole(name: str, value: Any, least: int) -> int:
    if not hasattr(value, "__index__") or isinstance(value, bool) or value < least:
        raise DescriptionError(f"{name} is {value!r}; expected a whole number of at least {least}.")
    return int(value)  # also of NumPy's integers


def _check_dropout(value: float | None) -> None:
    if value is not None and not 0.0 <= value < 1.0:
        raise DescriptionError(f"dropout is {value!r}; expected a share from 0 to below 1.")

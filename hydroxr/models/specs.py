"""Descriptions of models before training: immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from ..conventions.attributes import HBV, STREAMFLOW_ALONE
from ..conventions.variables import ATTRIBUTES, FORCING
from ..errors import DescriptionError
from ..physics.parameters import ALL_PARAMETERS, CORRECTIONS, PER_CELL, STATIC, WEIGHT, outputs_with

TIME_SCALES = (3.0, 10.0, 30.0, 100.0, 365.0)  # of the running means of each forcing, days
RUNNING_MEANS = len(FORCING) * len(TIME_SCALES)
FILTER_UNITS = 64  # hidden units that read dynamic parameters from them

# Names of a network's state, beside the water in the stores.
LSTM_STATE = ("network_hidden", "network_cell")
FILTER_STATE = "running_means"

# Ranges of the networks that the paper does not have. With the paper's CFMAX, and TT up to 5 degC, some
# catchments hoard snow over the summer, up to 13 m; no catchment needs that to be simulated well.
_RANGES = {"TT": (-5.0, 2.5), "CFMAX": (2.0, 10.0)}
# Options that the first models did not have.
_LATER = (
    "runoff_network",
    "gauge_offsets",
    "component_weights",
    "component_routing",
    "precipitation_correction",
    "pet_correction",
    "capillary_rise",
    "ranges",
)
_LARGEST = 1e6  # bound of a range
_RUNOFF_HIDDEN = 16  # default width of NN_r; the paper gives none


@dataclass(frozen=True)
class DeltaHBV:
    """A δ HBV model of Feng et al. (2022): HBV with parameters from a network.

    Parameters
    ----------
    components : int
        Number of parallel HBV components per cell, averaged with equal weights (the paper's n; 16 there).
    dynamic : sequence of str
        Parameters that vary from day to day, such as ``("BETA", "BETAET")``. With the paper's network
        ``BETAET`` exists only as a dynamic parameter; without it evapotranspiration is linear in wetness.
    runoff_network : int or bool
        Width of NN_r, a small network that replaces the equation of effective rainfall. It is learned
        together with g_A and is the same for all cells and components. 0 or False: the equation.
        True: 16.
    network : {"filters", "mlp", "lstm", "constant"}, optional
        Default: ``"filters"`` with dynamic parameters, ``"mlp"`` without. Both are regional (one network for
        all cells) and without recurrence. They take static parameters from attributes alone, and
        ``"filters"`` takes dynamic ones from running means of the forcing, every five days. Both have
        ``BETAET`` always, TT from -5 to 2.5 degC, and CFMAX from 2 to 10 mm/degC/day. ``"lstm"``: the
        paper's g_A, a regional LSTM that maps forcing and attributes to parameters. ``"constant"``: one
        parameter set per cell, fitted directly, for one or a few gauges; it uses no attributes and cannot
        simulate other cells.
    hidden : int
        Width of g_A (256 in the paper), or of the first of two layers that map attributes to parameters.
    dropout : float, optional
        Share of the LSTM's weights, or of the hidden units of ``"filters"``, that each training pass drops.
        Default: that of the training protocol (0.5 in the paper's). The description of a fitted model has
        the number.
    gauge_offsets : bool
        Learn, for each cell that the model is trained on, a shift of its parameters from what the
        attributes alone give (partial pooling). Shifts decay towards 0 in training. A simulation uses
        them in cells with the label and the attributes of a training cell. For ``"filters"`` and
        ``"mlp"``.

    component_weights : bool
        Learn how much each component counts in a cell (a softmax over components). All fluxes and states
        are averaged with these weights. False: all components count alike.
    component_routing : bool
        Learn a unit hydrograph for each component. False: one for their mean.
    precipitation_correction, pet_correction : bool
        Learn a factor of each cell's precipitation, or PET, from 0.78 to 1.28. The water balance closes with
        the corrected precipitation.
    capillary_rise : bool
        Let water rise from the lower zone into dry soil (HBV 1.1p of Song et al., 2024).
    ranges : mapping of (float, float)
        Lower and upper bounds of parameters, in place of the usual ones, such as ``{"TT": (-5, 5)}``. Kept as
        pairs of name and bounds, which compare and hash.

    Raises
    ------
    DescriptionError
        If a value is not allowed, or values contradict each other.

    Examples
    --------
    >>> DeltaHBV(dynamic=("BETA", "BETAET")).symbol
    'δn(γt,βt)'
    """

    # Every description has these, and outputs: daily inputs, name in titles, kind in attributes.
    forcing: ClassVar[tuple[str, ...]] = FORCING
    called: ClassVar[str] = "a differentiable HBV model"
    model_kind: ClassVar[str] = HBV

    components: int = 16
    dynamic: tuple[str, ...] = ()
    runoff_network: int = 0
    _: KW_ONLY
    network: Literal["filters", "mlp", "lstm", "constant"] | None = None
    hidden: int = 256
    dropout: float | None = None
    gauge_offsets: bool = False
    component_weights: bool = False
    component_routing: bool = False
    precipitation_correction: bool = False
    pet_correction: bool = False
    capillary_rise: bool = False
    ranges: Any = ()

    def __post_init__(self) -> None:
        given = (self.dynamic,) if isinstance(self.dynamic, str) else tuple(self.dynamic)
        # In the order of the table, so that equal models are equal.
        object.__setattr__(self, "dynamic", tuple(name for name in ALL_PARAMETERS if name in given))
        allowed = [name for name in ALL_PARAMETERS if name not in STATIC]
        for name in given:
            if name not in allowed:
                raise DescriptionError(
                    f"parameter {name!r} cannot be dynamic; choose from {', '.join(allowed)}."
                )
        if "C" in given and not self.capillary_rise:
            raise DescriptionError(
                "C is dynamic, and the model lets no water rise; add capillary_rise=True, or leave C out."
            )
        if self.network is None:
            object.__setattr__(self, "network", "filters" if self.dynamic else "mlp")
        known = ("filters", "mlp", "lstm", "constant")
        if self.network not in known:
            raise DescriptionError(
                f"network {self.network!r} is not known; expected {', '.join(map(repr, known))}."
            )
        if self.network in ("mlp", "constant") and self.dynamic:
            what = "a constant network" if self.network == "constant" else "network='mlp'"
            raise DescriptionError(
                f"{what} gives the same parameters every day; use network='filters' or 'lstm' for dynamic "
                "parameters, or dynamic=()."
            )
        if self.network == "filters" and not self.dynamic:
            raise DescriptionError(
                "network='filters' gives dynamic parameters, and dynamic is empty; name some, such as "
                "dynamic=('BETA', 'BETAET'), or use network='mlp'."
            )
        if isinstance(self.runoff_network, bool):
            object.__setattr__(self, "runoff_network", _RUNOFF_HIDDEN if self.runoff_network else 0)
        for name, least in (("components", 1), ("hidden", 1), ("runoff_network", 0)):
            object.__setattr__(self, name, _whole(name, getattr(self, name), least))
        _check_dropout(self.dropout)
        object.__setattr__(self, "ranges", _checked_ranges(self.ranges, self.parameters))
        if self.gauge_offsets and self.network not in ("filters", "mlp"):
            raise DescriptionError(
                f"gauge_offsets shift what attributes alone give, and network={self.network!r} gives no such "
                "parameters; use network='filters' or 'mlp'."
            )

    @classmethod
    def ladder(cls) -> dict[str, DeltaHBV]:
        """The paper's models by name, from the plain HBV to dynamic parameters and NN_r."""
        paper = partial(cls, network="lstm")
        return {
            "d1": paper(components=1),
            "dn": paper(),
            "dn-bt": paper(dynamic=("BETA",)),
            "dn-gt": paper(dynamic=("BETAET",)),
            "dn-bt-gt": paper(dynamic=("BETA", "BETAET")),
            "dn-nnr": paper(runoff_network=True),
        }

    @property
    def regional(self) -> bool:
        """Whether one network serves all cells, including cells that it was not fitted to."""
        return self.network != "constant"

    @property
    def attributes(self) -> tuple[str, ...]:
        """What a regional network reads by default: Table A1, without the area where the paper is left.

        Water per area should not depend on the area, and scores are the same without it.
        """
        if self.reads_window:
            return ATTRIBUTES
        return tuple(name for name in ATTRIBUTES if name != "area_gages2")

    @property
    def keeps_cells(self) -> bool:
        """Whether a fitted model has numbers for each cell that it was fitted to."""
        return not self.regional or self.gauge_offsets

    @property
    def reads_window(self) -> bool:
        """Whether static parameters are read from forcing, at the end of a parameter window."""
        return self.network == "lstm"

    @property
    def network_state(self) -> tuple[str, ...]:
        """What a later run needs of the network to continue this one, beside static parameters."""
        if not self.dynamic:
            return ()
        return LSTM_STATE if self.network == "lstm" else (FILTER_STATE, *self.dynamic)

    @property
    def symbol(self) -> str:
        """The paper's symbol: δ1, δn, δn(βt), δn(γt,βt), δn(NNr), ..."""
        base = "δ1" if self.components == 1 else "δn"
        names = [f"{ALL_PARAMETERS[name].symbol}t" for name in reversed(self.dynamic)]
        if self.runoff_network:
            names.append("NNr")
        return f"{base}({','.join(names)})" if names else base

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the model's parameters, in the order of the table."""
        linear = self.network in ("lstm", "constant") and "BETAET" not in self.dynamic
        optional = {
            "BETAET": not linear,
            "PCORR": self.precipitation_correction,
            "ECORR": self.pet_correction,
            "C": self.capillary_rise,
            "WEIGHT": self.component_weights,
        }
        return tuple(name for name in ALL_PARAMETERS if optional.get(name, True))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Variables that the model simulates."""
        return outputs_with(self.parameters)

    def range_of(self, name: str) -> tuple[float, float]:
        """Lower and upper bound of a parameter that the network gives, in the units of the table."""
        row = ALL_PARAMETERS[name]
        own = {} if self.network in ("lstm", "constant") else _RANGES
        return dict(self.ranges).get(name, own.get(name, (row.lower, row.upper)))

    @property
    def per_cell(self) -> tuple[str, ...]:
        """Names of the parameters with one value per cell, not one per component."""
        return CORRECTIONS if self.component_routing else PER_CELL

    @property
    def widths(self) -> dict[str, int]:
        """How many numbers the network gives per cell for each parameter."""
        return {name: 1 if name in self.per_cell else self.components for name in self.parameters}

    @property
    def size(self) -> int:
        """How many numbers the network gives per cell: 14 for δ1, 194 for δn, 210 with BETAET."""
        return sum(self.widths.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = asdict(self)
        for name in _LATER:  # keeps the checksum of models from before these options
            if not values[name]:
                del values[name]
        return values


@dataclass(frozen=True)
class LSTMStreamflow:
    """The purely data-driven benchmark of Feng et al. (2022): an LSTM that gives streamflow itself.

    It has no water balance and no other output. One network serves all cells (regional); it is as wide and
    deep as g_A of the δ models.

    Parameters
    ----------
    hidden : int
        Width of the network (256 in the paper).
    forcing : sequence of str
        Daily inputs. ``"prcp"``, ``"tmean"`` and ``"pet"`` are found and converted as for the δ models.
        Any other name is a variable of the Dataset over time; its units in a simulation must be those
        of the training. ``"prcp"`` is required, since its dimensions define space. Default: the inputs
        of the paper, by their names in CAMELS.
    dropout : float, optional
        Share of the LSTM's weights that each training pass drops. Default: that of the training protocol
        (0.5 in the paper's). The description of a fitted model has the number.

    Raises
    ------
    DescriptionError
        If a value is not allowed.

    Examples
    --------
    >>> LSTMStreamflow(forcing=("prcp", "tmean", "pet")).symbol
    'LSTM'
    """

    network: ClassVar[str] = "streamflow"
    outputs: ClassVar[tuple[str, ...]] = ("streamflow",)
    called: ClassVar[str] = "an LSTM"
    attributes: ClassVar[tuple[str, ...]] = ATTRIBUTES
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
                f"forcing is {self.forcing!r}; add 'prcp': the dimensions of precipitation define space."
            )
        object.__setattr__(self, "forcing", names)
        _check_dropout(self.dropout)

    @property
    def own_forcing(self) -> tuple[str, ...]:
        """The inputs that are taken from the Dataset unconverted, in its units."""
        return tuple(name for name in self.forcing if name not in FORCING)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; ``kind`` distinguishes them from those of :class:`DeltaHBV`."""
        return {"kind": type(self).__name__, **asdict(self)}


Spec = DeltaHBV | LSTMStreamflow


def description_from(values: Mapping[str, Any]) -> Spec:
    """The description from what ``to_dict`` gave; without ``kind`` it is a δ model.

    Raises
    ------
    DescriptionError
        If the kind is unknown or a value is not allowed.
    TypeError
        If the kind has no such value.
    """
    given = dict(values)
    kind = given.pop("kind", "DeltaHBV")
    kinds: dict[str, type[Spec]] = {each.__name__: each for each in (DeltaHBV, LSTMStreamflow)}
    if kind not in kinds:
        raise DescriptionError(f"a model of kind {kind!r} is not known; expected {' or '.join(kinds)}.")
    return kinds[kind](**given)


def check_spec(spec: Any) -> None:
    """Check that ``spec`` is a description.

    Raises
    ------
    DescriptionError
        If it is anything else.
    """
    if not isinstance(spec, DeltaHBV | LSTMStreamflow):
        raise DescriptionError(
            "expected a description such as hx.DeltaHBV(components=16) or hx.LSTMStreamflow(), found "
            f"{type(spec).__name__}."
        )


def _whole(name: str, value: Any, least: int) -> int:
    if not hasattr(value, "__index__") or isinstance(value, bool) or value < least:
        raise DescriptionError(f"{name} is {value!r}; expected a whole number of at least {least}.")
    return int(value)  # may be a NumPy integer


def _checked_ranges(given: Any, names: tuple[str, ...]) -> tuple[tuple[str, tuple[float, float]], ...]:
    """Pairs of name and bounds, in the order of the table."""
    try:
        chosen = {str(name): (float(low), float(high)) for name, (low, high) in dict(given).items()}
    except (TypeError, ValueError) as error:
        raise DescriptionError(
            f"ranges is {given!r}; expected lower and upper bounds by parameter: {{'TT': (-5, 5)}}."
        ) from error
    for name, (low, high) in chosen.items():
        if name not in names or name == WEIGHT:
            raise DescriptionError(
                f"ranges has {name!r}, which this model does not have or whose range is fixed; expected some "
                f"of {', '.join(each for each in names if each != WEIGHT)}."
            )
        row = ALL_PARAMETERS[name]
        if not row.least <= low < high <= row.greatest or not -_LARGEST < low < high < _LARGEST:
            raise DescriptionError(
                f"the range of {name} is {low:g} to {high:g} {row.units}; expected a lower and a higher "
                f"number from {row.least:g} to {row.greatest:g}."
            )
    return tuple((name, chosen[name]) for name in names if name in chosen)


def _check_dropout(value: float | None) -> None:
    if value is not None and not 0.0 <= value < 1.0:
        raise DescriptionError(f"dropout is {value!r}; expected a share from 0 to below 1.")

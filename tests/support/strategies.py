"""Weather and parameters for tests: seeded generators and Hypothesis strategies on top of them.

Hypothesis draws sizes, a kind of weather, places of parameters within their bounds, and a seed; numpy fills
the arrays. A failing case therefore shrinks to fewer days, cells and components, and prints as one short
line that reproduces it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hydroxr.physics.parameters import ALL_PARAMETERS, STRUCTURE
from tests.support.oracle import LAGS, STORES

ROUTING = ("UH_SHAPE", "UH_SCALE")
TABLE = tuple(name for name in ALL_PARAMETERS if name not in STRUCTURE)  # of the paper
HBV_PARAMETERS = tuple(name for name in TABLE if name not in ROUTING)
WEATHER = (
    "temperate",
    "wet",
    "dry",
    "cold",
    "all-snow",
    "freeze-thaw",
    "monsoon",
    "zero-pet",
    "drizzle",
)
PLACES = ("inside", "lower", "upper", "mixed")


def examples(number: int) -> settings:
    """Settings of a property test: the same examples in every run, without a time limit."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )


def weather(kind: str, days: int, cells: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precipitation, temperature, potential evapotranspiration, each (time, space), float64."""
    rng = np.random.default_rng(seed)
    size = (days, cells)
    season = np.sin(2 * np.pi * (np.arange(days)[:, None] / 40 + rng.random(cells)))
    falls = rng.random(size) < 0.4
    p = np.where(falls, rng.gamma(0.8, 9.0, size), 0.0)
    t = 9.0 + 9.0 * season + rng.normal(0.0, 3.0, size)
    pet = np.maximum(2.5 + 2.0 * season + rng.normal(0.0, 0.7, size), 0.0)
    if kind == "temperate":
        pass
    elif kind == "wet":
        p = rng.gamma(1.5, 12.0, size)
        pet = rng.uniform(0.0, 1.5, size)
    elif kind == "dry":
        p = np.zeros(size)
        t = t + 15.0
        pet = rng.uniform(3.0, 9.0, size)
    elif kind == "cold":
        t = -6.0 + 7.0 * season + rng.normal(0.0, 4.0, size)
        pet = rng.uniform(0.0, 1.0, size)
    elif kind == "all-snow":
        p = rng.gamma(0.8, 9.0, size)
        t = rng.uniform(-45.0, -3.0, size)
        pet = rng.uniform(0.0, 0.3, size)
    elif kind == "freeze-thaw":  # steps of half a degree: T equals TT at its bounds
        t = np.round(2.0 * rng.normal(0.0, 3.0, size)) / 2.0
        pet = rng.uniform(0.0, 2.0, size)
    elif kind == "monsoon":
        p = np.where(season > 0, rng.gamma(1.0, 60.0, size), 0.0)
        t = 27.0 + rng.normal(0.0, 2.0, size)
        pet = rng.uniform(2.0, 7.0, size)
    elif kind == "zero-pet":
        pet = np.zeros(size)
    elif kind == "drizzle":
        p = 10.0 ** rng.uniform(-9.0, -1.0, size)
        pet = rng.uniform(0.0, 4.0, size)
    else:
        raise ValueError(kind)
    return p, t, pet


def values(name: str, place: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Values of a parameter: inside its bounds, at the lower, at the upper, or a mixture."""
    row = ALL_PARAMETERS[name]
    inside = row.lower + (row.upper - row.lower) * rng.random(shape)
    choice = rng.integers(0, 3, shape) if place == "mixed" else np.full(shape, PLACES.index(place))
    return np.where(choice == 0, inside, np.where(choice == 1, row.lower, row.upper))


@dataclass
class Case:
    """Forcing and parameters of one run, reproducible from the few fields that print."""

    seed: int
    days: int
    cells: int
    components: int
    kind: str = "temperate"
    places: dict[str, str] = field(default_factory=dict)  # of parameters that are not "inside"
    dynamic: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    precipitation: np.ndarray = field(init=False, repr=False)
    temperature: np.ndarray = field(init=False, repr=False)
    pet: np.ndarray = field(init=False, repr=False)
    parameters: dict[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the arrays."""
        self.precipitation, self.temperature, self.pet = weather(self.kind, self.days, self.cells, self.seed)
        rng = np.random.default_rng([self.seed, 1])
        static = (self.cells, self.components)
        self.parameters = {}
        for name in TABLE:
            shape = (self.days, *static) if name in self.dynamic else static
            shape = (self.cells,) if name in ROUTING else shape
            drawn = values(name, self.places.get(name, "inside"), shape, rng)
            if name not in self.without:
                self.parameters[name] = drawn

    @property
    def forcing(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Precipitation, temperature, potential evapotranspiration."""
        return self.precipitation, self.temperature, self.pet

    @property
    def args(self) -> tuple[Any, ...]:
        """The four positional arguments of ``simulate``."""
        return (*self.forcing, self.parameters)

    def astype(self, dtype: Any) -> tuple[Any, ...]:
        """The four arguments in another precision."""
        forcing = tuple(x.astype(dtype) for x in self.forcing)
        return (*forcing, {name: x.astype(dtype) for name, x in self.parameters.items()})

    def state(self, seed: int | None = None) -> dict[str, np.ndarray]:
        """An initial state with soil moisture, snow, and water in all zones and in the channel."""
        rng = np.random.default_rng([self.seed if seed is None else seed, 2])
        size = (self.cells, self.components)
        most = dict(zip(STORES, (120.0, 10.0, 50.0, 130.0, 80.0), strict=True))
        state = {name: most[name] * rng.random(size) for name in STORES}
        state["channel_outflow"] = 5.0 * rng.random((self.cells, LAGS - 1))
        return state


@st.composite
def cases(
    draw,
    kinds: tuple[str, ...] = WEATHER,
    places: tuple[str, ...] = PLACES,
    max_days: int = 60,
    max_cells: int = 5,
    max_components: int = 20,
    optional: bool = True,
) -> Case:
    """Random runs. With ``optional``, BETAET or the routing may be left out."""
    subset = st.lists(st.sampled_from(HBV_PARAMETERS), unique=True)
    where = st.dictionaries(st.sampled_from(TABLE), st.sampled_from(places), max_size=len(TABLE))
    everywhere = st.sampled_from(places).map(lambda place: dict.fromkeys(TABLE, place))
    left_out = st.sampled_from(((), ("BETAET",), ROUTING, ("BETAET", *ROUTING))) if optional else st.just(())
    return Case(
        seed=draw(st.integers(0, 2**32 - 1)),
        days=draw(st.integers(1, max_days)),
        cells=draw(st.integers(1, max_cells)),
        components=draw(st.integers(1, max_components)),
        kind=draw(st.sampled_from(kinds)),
        places=draw(st.one_of(where, everywhere)),
        dynamic=tuple(draw(subset)),
        without=draw(left_out),
    )

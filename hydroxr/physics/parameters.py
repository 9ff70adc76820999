"""The table of HBV parameters: name, symbol, unit, range and meaning.

``lower`` and ``upper`` are the range for learning: the output of a network, from 0 to 1, maps
linearly onto it (Feng et al., 2022; ranges published with the paper). ``least`` and ``greatest``
are the limits of the equations, which also apply to parameters that a user gives.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from ..conventions.variables import OUTPUTS
from ..errors import ParameterError


@dataclass(frozen=True)
class Parameter:
    """One row of the table. The module docstring explains the two pairs of bounds."""

    name: str
    symbol: str
    units: str
    lower: float
    upper: float
    long_name: str
    least: float = 0.0
    greatest: float = inf

    def attrs(self) -> dict[str, Any]:
        """CF attributes for a variable that holds this parameter."""
        return {"long_name": self.long_name, "units": self.units, "symbol": self.symbol}


_TINY = 1e-6
_SOIL = 1e-3  # mm, well above the floor of the soil store

_ROWS = (
    Parameter("BETA", "β", "1", 1.0, 6.0, "shape of effective rainfall against soil wetness"),
    Parameter("FC", "θ_FC", "kg m-2", 50.0, 1000.0, "maximum soil moisture, field capacity", least=_SOIL),
    Parameter("K0", "θ_K0", "day-1", 0.05, 0.9, "recession coefficient of quick flow", greatest=1.0),
    Parameter("K1", "θ_K1", "day-1", 0.01, 0.5, "recession coefficient of interflow", greatest=1.0),
    Parameter("K2", "θ_K2", "day-1", 0.001, 0.2, "recession coefficient of baseflow", greatest=1.0),
    Parameter("LP", "θ_LP", "1", 0.2, 1.0, "soil moisture over FC above which ET is potential", least=_TINY),
    Parameter("PERC", "θ_perc", "kg m-2 day-1", 0.0, 10.0, "maximum percolation to the lower zone"),
    Parameter("UZL", "θ_uzl", "kg m-2", 0.0, 100.0, "upper-zone storage above which quick flow runs"),
    Parameter("TT", "θ_TT", "degC", -2.5, 2.5, "threshold temperature of snowfall and melt", least=-inf),
    Parameter("CFMAX", "θ_DD", "kg m-2 day-1 degC-1", 0.5, 10.0, "degree-day factor of snowmelt"),
    Parameter("CFR", "θ_rfz", "1", 0.0, 0.1, "refreezing, relative to the degree-day factor"),
    Parameter("CWH", "θ_CWH", "1", 0.0, 0.2, "liquid water that snow holds, relative to the snowpack"),
    Parameter("BETAET", "γ", "1", 0.3, 5.0, "shape of evapotranspiration against soil wetness"),
    Parameter("UH_SHAPE", "θ_a", "1", 0.1, 3.0, "shape of the gamma unit hydrograph", least=_TINY),
    Parameter("UH_SCALE", "θ_τ", "day", 0.5, 7.0, "scale of the gamma unit hydrograph", least=_TINY),
    # Not in the paper. exp(-0.25) to exp(0.25) for the corrections.
    Parameter("PCORR", "P_corr", "1", 0.78, 1.28, "factor by which precipitation is multiplied"),
    Parameter("ECORR", "E_corr", "1", 0.78, 1.28, "factor by which potential ET is multiplied"),
    Parameter("C", "θ_C", "1", 0.0, 1.0, "share of the lower zone that rises into dry soil", greatest=1.0),
    Parameter("WEIGHT", "w", "1", 0.0, 1.0, "weight of the component in all means", greatest=1.0),
)

ALL_PARAMETERS: dict[str, Parameter] = {row.name: row for row in _ROWS}

ROUTING = ("UH_SHAPE", "UH_SCALE")  # one value per cell, or one per component
CORRECTIONS = ("PCORR", "ECORR")  # one value per cell
PER_CELL = (*ROUTING, *CORRECTIONS)
WEIGHT = "WEIGHT"
STATIC = (*PER_CELL, WEIGHT)  # never dynamic
STRUCTURE = (*CORRECTIONS, "C", WEIGHT)  # of options that the paper's models do not have
OPTIONAL = ("BETAET", *ROUTING, *STRUCTURE)  # default: linear ET, no routing, none of these
REQUIRED = tuple(name for name in ALL_PARAMETERS if name not in OPTIONAL)
# HBV's own: one value of each makes a model.
PARAMETERS: dict[str, Parameter] = {
    name: row for name, row in ALL_PARAMETERS.items() if name not in STRUCTURE
}


def outputs_with(names: Collection[str]) -> tuple[str, ...]:
    """The variables that HBV gives with the parameters ``names``: capillary rise only with ``C``."""
    return OUTPUTS if "C" in names else tuple(name for name in OUTPUTS if name != "capillary_rise")


def check_bounds(name: str, least: float, greatest: float, dtype: str) -> None:
    """Check that values of a parameter from ``least`` to ``greatest`` suit the equations.

    Raises
    ------
    ParameterError
        If the range exceeds the limits of the table.
    """
    row = ALL_PARAMETERS[name]
    # Compare in the precision of the values: 1e-3 in float32 differs from 1e-3 in float64.
    number = np.dtype(dtype).type
    if least < float(number(row.least)) or greatest > float(number(row.greatest)):
        raise ParameterError(
            f"{name} ({row.long_name}) has values from {least:g} to {greatest:g} {row.units}; "
            f"expected {row.least:g} to {row.greatest:g}."
        )

"""The table of parameters: complete, with the published ranges and units."""

from __future__ import annotations

import math

import cf_xarray  # noqa: F401  registers ds.cf
import pytest

from hydroxr.physics import PARAMETERS
from hydroxr.physics.parameters import ALL_PARAMETERS

# Ranges and units as published with Feng et al. (2022).
RANGES = {
    "BETA": (1, 6, "1"),
    "FC": (50, 1000, "kg m-2"),
    "K0": (0.05, 0.9, "day-1"),
    "K1": (0.01, 0.5, "day-1"),
    "K2": (0.001, 0.2, "day-1"),
    "LP": (0.2, 1, "1"),
    "PERC": (0, 10, "kg m-2 day-1"),
    "UZL": (0, 100, "kg m-2"),
    "TT": (-2.5, 2.5, "degC"),
    "CFMAX": (0.5, 10, "kg m-2 day-1 degC-1"),
    "CFR": (0, 0.1, "1"),
    "CWH": (0, 0.2, "1"),
    "BETAET": (0.3, 5, "1"),
    "UH_SHAPE": (0.1, 3.0, "1"),
    "UH_SCALE": (0.5, 7.0, "day"),
}
# Of options that the paper's models do not have.
OPTIONS = {"PCORR": (0.78, 1.28, "1"), "ECORR": (0.78, 1.28, "1"), "C": (0, 1, "1"), "WEIGHT": (0, 1, "1")}


@pytest.mark.parametrize("name", ALL_PARAMETERS)
def test_parameters_have_the_published_ranges(name: str) -> None:
    """Ranges and units, and a meaning."""
    row = ALL_PARAMETERS[name]
    assert (row.lower, row.upper, row.units) == (RANGES | OPTIONS)[name]
    assert row.name == name
    assert row.attrs().keys() >= {"long_name", "units"}


def test_parameters_are_complete_and_in_the_published_order() -> None:
    """The output of a network has the same order. One value of each public parameter makes a model."""
    assert list(ALL_PARAMETERS) == [*RANGES, *OPTIONS]
    assert list(PARAMETERS) == [*RANGES]


@pytest.mark.parametrize("name", ALL_PARAMETERS)
def test_ranges_of_learning_lie_within_the_limits(name: str) -> None:
    """The limits of the equations contain the range for learning."""
    row = ALL_PARAMETERS[name]
    assert row.least <= row.lower < row.upper <= row.greatest
    assert not math.isnan(row.least + row.lower + row.upper)

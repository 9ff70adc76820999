"""Kling-Gupta efficiencies against another package and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from hydroxr import metrics
from tests.support.metrics_by_hand import basins, hydroerr, series

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("kge_2009", lambda *pair: (*metrics.kge_parts(*pair).data_vars.values(), metrics.kge(*pair))),
        (
            "kge_2012",
            lambda *pair: (*metrics.kge_2012_parts(*pair).data_vars.values(), metrics.kge_2012(*pair)),
        ),
    ],
)
def test_values_agree_with_hydroerr_in_every_basin(theirs, ours):
    simulated, observed = basins()
    found = ours(simulated, observed)
    for basin in simulated["basin"].values:
        expected = hydroerr(theirs, simulated.sel(basin=basin).values, observed.sel(basin=basin).values)
        assert [float(part.sel(basin=basin)) for part in found] == pytest.approx(list(expected), rel=1e-10)


def test_the_mean_flow_as_simulation():
    observed = series([1.0, 2.0, 6.0, 3.0, 3.0])
    scores = metrics.evaluate(xr.full_like(observed, 3.0), observed)
    assert float(scores["nse"]) == 0.0
    assert float(scores["r"]) == 0.0
    assert float(scores["alpha"]) == 0.0
    assert float(scores["beta"]) == 1.0
    assert float(scores["kge"]) == pytest.approx(1 - math.sqrt(2))  # Knoben et al. (2019)
    assert float(scores["gamma"]) == 0.0
    assert float(scores["kge_2012"]) == pytest.approx(1 - math.sqrt(2))


def test_a_constant_simulation_has_a_correlation_of_zero():
    observed = series(np.arange(1.0, 5480.0))
    parts = metrics.kge_parts(xr.full_like(observed, 0.1), observed)
    assert float(parts["r"]) == 0.0
    assert float(parts["alpha"]) == 0.0

"""The Nash-Sutcliffe efficiency of arrays is that of labelled series."""

from __future__ import annotations

import numpy as np
import pytest

from hydroxr import metrics
from hydroxr.metrics.arrays import nse
from tests.support.metrics_by_hand import basins

pytestmark = pytest.mark.filterwarnings("error")


def test_arrays_have_the_efficiency_of_labelled_series():
    simulated, observed = basins()
    simulated = simulated.fillna(1.0).transpose("time", "basin")
    np.testing.assert_allclose(
        nse(simulated.values, observed.values), metrics.nse(simulated, observed), rtol=1e-12
    )


def test_undefined_efficiencies_are_nan_and_diverged_simulations_the_worst():
    observed = np.array([[1.0, 3.0, 1.0, np.nan], [2.0, 3.0, 2.0, np.nan]])
    simulated = np.array([[1.0, 1.0, np.nan, 1.0], [2.0, 2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(nse(simulated, observed), [1.0, np.nan, -np.inf, np.nan])

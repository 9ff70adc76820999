"""Efficiencies and errors against other packages and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from hydroxr import metrics
from tests.support.metrics_by_hand import basins, formula_series, hydroerr, series

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nse", 0.054024873794344286),  # hydroeval 0.1.0, HydroErr 2.0.0, neuralhydrology 1.13.0
        ("kge", 0.6182817628672405),  # the same three
        ("r", 0.6632017524143766),  # hydroeval, HydroErr
        ("alpha", 1.0492982521098024),  # the three
        ("beta", 0.8272416852307446),  # the three
        ("rmse", 1.7792471521387145),  # the three
        ("pbias", -17.275831476925557),  # hydroeval, whose sign is the opposite
        ("fhv", -9.94909990035269),  # neuralhydrology, fdc_fhv with h=0.02
        ("log_nse", -0.7352159024882876),  # HydroErr, nse of the transformed series
        ("n_days", 954),
    ],
)
def test_values_agree_with_other_packages(name, expected):
    simulated, observed = formula_series()
    assert float(metrics.evaluate(simulated, observed)[name]) == pytest.approx(expected, rel=1e-12)


def test_bias_agrees_with_another_package():
    # HydroErr 2.0.0, me
    assert float(metrics.bias(*formula_series())) == pytest.approx(-0.8900887830265917, rel=1e-12)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("nse", metrics.nse),
        ("rmse", metrics.rmse),
        ("me", metrics.bias),
        ("pearson_r", metrics.correlation),
    ],
)
def test_values_agree_with_hydroerr_in_every_basin(theirs, ours):
    simulated, observed = basins()
    found = ours(simulated, observed)
    for basin in simulated["basin"].values:
        expected = hydroerr(theirs, simulated.sel(basin=basin).values, observed.sel(basin=basin).values)
        assert float(found.sel(basin=basin)) == pytest.approx(expected, rel=1e-10)


def test_log_nse_agrees_with_hydroerr_on_the_scale_of_feng_et_al():
    simulated, observed = basins()
    scaled = [np.log10(np.sqrt(a.sel(basin=1).values + 1e-6) + 0.1) for a in (simulated, observed)]
    expected = hydroerr("nse", *scaled)
    assert float(metrics.log_nse(simulated, observed).sel(basin=1)) == pytest.approx(expected, rel=1e-10)


def test_negative_flows_count_as_zero_in_log_nse():
    observed = series([0.2, 1.0, 2.0, 3.0])
    with_zero, with_negative = series([0.0, 1.0, 2.0, 2.0]), series([-0.5, 1.0, 2.0, 2.0])
    assert float(metrics.log_nse(with_negative, observed)) == float(metrics.log_nse(with_zero, observed))


def test_an_error_has_the_units_of_the_data():
    observed = series([1.0, 2.0, 4.0]).assign_attrs(units="m3 s-1")
    assert metrics.rmse(observed, observed).attrs["units"] == "m3 s-1"
    assert (
        metrics.bias(observed.assign_attrs(units="mm/day"), observed.assign_attrs(units="mm d-1")).attrs[
            "units"
        ]
        == "kg m-2 day-1"
    )


def test_another_dimension_than_time():
    simulated, observed = basins()
    across = metrics.rmse(simulated, observed, dim="basin")
    assert across.dims == ("time",)
    expected = ((simulated - observed) ** 2).mean("basin").where((simulated * observed).count("basin") > 1)
    np.testing.assert_allclose(across, expected**0.5)

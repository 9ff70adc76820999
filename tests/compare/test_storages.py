"""Simulated snow and water storage against products, with known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    MissingVariableError,
)
from tests.support.labelled import STATES
from tests.support.products import frame, product, simulation


def test_snow_against_a_daily_and_a_monthly_product() -> None:
    sim = simulation()
    swe = sum(frame(sim, name) for name in ("snowpack", "snow_liquid_water"))
    daily = product(swe.iloc[30:400] + 2.0, "mm", "swe")
    out = hx.compare.snow(sim, daily)
    np.testing.assert_allclose(out["r"], 1.0)
    np.testing.assert_allclose(out["bias"], -2.0)
    np.testing.assert_allclose(out["rmse"], 2.0)
    np.testing.assert_allclose(out["reference"], swe.iloc[30:400].mean() + 2.0)
    assert out["simulated"].attrs["units"] == "kg m-2"
    monthly = product(swe.resample("MS").mean() / 1000.0, "m", "anything")
    out = hx.compare.snow(sim, monthly)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 36).all()
    equivalent = sim.hbv.derive("snow_water_equivalent")["snow_water_equivalent"]
    assert equivalent.attrs["standard_name"] == "surface_snow_amount"
    xr.testing.assert_identical(hx.compare.snow(equivalent, monthly), out)


def test_storage_against_grace() -> None:
    """Anomalies: a baseline of its own and missing months do not matter."""
    sim = simulation()
    storage = sum(frame(sim, name) for name in STATES)
    monthly = storage.resample("MS").mean()
    monthly.index = monthly.index + pd.Timedelta(days=15)
    kept = np.r_[0:10, 12:36]
    given = product((2.0 * monthly.iloc[kept] - 700.0) / 10.0, "cm", "lwe_thickness")
    out = hx.compare.storage(sim, given)
    np.testing.assert_allclose(out["r"], 1.0)
    np.testing.assert_allclose(out["alpha"], 0.5)
    anomalies = monthly.iloc[kept] - monthly.iloc[kept].mean()
    np.testing.assert_allclose(out["rmse"], anomalies.std(ddof=0), rtol=1e-9)
    assert (out["n_periods"] == 34).all()
    total = sim.hbv.derive("terrestrial_water_storage")["terrestrial_water_storage"]
    xr.testing.assert_identical(hx.compare.storage(total, given), out)
    with pytest.raises(MissingVariableError, match="needs channel_storage"):
        hx.compare.storage(sim.drop_vars("channel_storage"), given)

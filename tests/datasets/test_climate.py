"""Climate attributes against those of CAMELS and against counting by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.conventions.variables import CLIMATE_ATTRIBUTES
from hydroxr.errors import EmptySelectionError, MissingAttributeError
from tests.support.labelled import make_dataset, make_grid

CAMELS = Path(__file__).parents[3] / "shared" / "data" / "camels_us_daymet.nc"
PERIOD = slice("1989-10-01", "2009-09-30")


@pytest.mark.skipif(not CAMELS.exists(), reason="needs CAMELS-US")
def test_attributes_of_camels_come_out_as_published() -> None:
    """Of every tenth catchment; PET of CAMELS is another formula, whose mean agrees less."""
    ds = hx.open_camels(CAMELS).isel(basin=slice(0, None, 10))
    found = hx.climate_attributes(ds.drop_vars(CLIMATE_ATTRIBUTES), time=PERIOD)
    for name in set(CLIMATE_ATTRIBUTES) - {"pet_mean", "aridity"}:
        assert np.corrcoef(found[name], ds[name])[0, 1] > 0.9999, name
        np.testing.assert_allclose(found[name], ds[name], rtol=1e-2, atol=2e-3, err_msg=name)
    assert np.corrcoef(found["aridity"], ds["aridity"])[0, 1] > 0.9
    assert "1989-10-01 to 2009-09-30; PET by Hargreaves" in found["aridity"].attrs["comment"]


def two_years(cells: int = 2) -> xr.Dataset:
    return make_dataset(731, cells, start="1999-10-01")


def test_days_are_counted() -> None:
    """Precipitation whose events are known."""
    ds = two_years(1).drop_vars(CLIMATE_ATTRIBUTES, errors="ignore")
    rain = np.full(731, 1.5)
    rain[10:13], rain[50:51], rain[100:110] = 20.0, 30.0, 0.5  # in October, November and January
    ds["prcp"] = ds["prcp"].copy(data=np.broadcast_to(rain, ds["prcp"].shape))
    found = hx.climate_attributes(ds).isel(basin=0)
    assert float(found["p_mean"]) == pytest.approx(rain.mean())
    assert float(found["high_prec_freq"]) == pytest.approx(4 / 731 * 365.25)
    assert float(found["high_prec_dur"]) == 2.0
    assert float(found["low_prec_freq"]) == pytest.approx(10 / 731 * 365.25)
    assert float(found["low_prec_dur"]) == 10.0
    assert [str(found[f"{kind}_prec_timing"].values) for kind in ("high", "low")] == ["son", "djf"]
    cold = ds["tmean"].isel(basin=0).values < 1
    assert float(found["frac_snow"]) == pytest.approx(rain[cold].sum() / rain.sum(), rel=1e-5)
    assert float(found["aridity"]) == pytest.approx(ds["pet"].mean().item() / rain.mean(), rel=1e-5)


def test_seasonality_is_the_amplitude_in_phase_with_temperature() -> None:
    """Two waves of known amplitude: in phase, opposed, and a quarter of a year apart."""
    ds = two_years(3)
    angle = 2 * np.pi * ds["time"].dt.dayofyear.values / 365.25
    ds["tmean"] = ds["tmean"].copy(data=np.broadcast_to(10 + 8 * np.sin(angle - 2), (3, 731)))
    rain = [3 * (1 + 0.6 * np.sin(angle - 2 + shift)) for shift in (0, np.pi, np.pi / 2)]
    ds["prcp"] = ds["prcp"].copy(data=np.stack(rain))
    np.testing.assert_allclose(hx.climate_attributes(ds)["p_seasonality"], [0.6, -0.6, 0.0], atol=0.01)


def test_lazy_forcing_gives_lazy_attributes(raise_if_dask_computes: Any) -> None:
    ds = make_grid(400)
    with raise_if_dask_computes():
        lazy = hx.climate_attributes(ds.chunk(lat=1, time=100))
    assert all(array.chunks is not None for array in lazy.data_vars.values())
    xr.testing.assert_allclose(lazy.compute(), hx.climate_attributes(ds))
    assert set(lazy["p_mean"].dims) == {"lat", "lon"}


def test_without_a_period_whole_years_are_taken() -> None:
    ds = make_dataset(900, 2, start="2001-03-01")
    assert "2001-03-01 to 2003-02-28" in hx.climate_attributes(ds)["p_mean"].attrs["comment"]
    with pytest.raises(EmptySelectionError, match="306 days; expected at least a year"):
        hx.climate_attributes(ds, time=slice("2001-03-01", "2001-12-31"))


def test_a_missing_day_makes_attributes_missing() -> None:
    ds = two_years()
    ds["tmean"][0, 5] = np.nan
    found = hx.climate_attributes(ds)
    assert found["p_mean"].isnull().values.tolist() == [True, False]
    assert found["high_prec_timing"].values[0] == ""


def test_the_error_for_absent_attributes_shows_the_call() -> None:
    ds = two_years().drop_vars("p_mean")
    call = r"gives p_mean: ds\.merge\(hx\.climate_attributes\(ds, time=\.\.\.\)\)"
    with pytest.raises(MissingAttributeError, match=call):
        ds.hbv.fit(hx.DeltaHBV(components=1, hidden=4, network="lstm"), attributes=["p_mean"], iterations=1)
    named = ds.assign_coords(basin_name=("basin", ["a", "b"]))
    assert "p_mean" in named.merge(hx.climate_attributes(named))

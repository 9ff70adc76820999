"""Formulas of potential evapotranspiration against worked examples and another program; their choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import DescriptionError, MissingVariableError
from hydroxr.inputs.pet import energy, sun, temperature

METHODS = ("hargreaves", "oudin", "hamon", "priestley-taylor", "penman-monteith")

DAYS = np.array([15, 75, 135, 195, 255, 315, 365])
ELEVATION = 300.0

# pyet 1.5.0 with the weather below, by latitude. Its Oudin, Priestley-Taylor and Hargreaves divide by a
# latent heat that varies with temperature; the values here are multiplied by it over 2.45 MJ/kg. Its Hamon
# (after Rosenberry et al. 2004) is 0.14 D^2 rho, where Lu et al. (2005) have 0.1651 D rho.
PYET: dict[float, dict[str, list[float]]] = {
    45.0: {
        "oudin": [0.0499, 0.6356, 2.8816, 4.1417, 2.3676, 0.4791, 0.0707],
        "hamon": [0.2855, 0.6989, 2.3697, 3.8209, 1.9554, 0.531, 0.2774],
        "hours": [8.9551, 11.6911, 14.66, 15.1133, 12.4428, 9.4371, 8.642],
        "priestley-taylor": [0.29, 0.9277, 2.7974, 4.0549, 2.5998, 0.3901, 0.208],
        "penman-monteith": [0.8174, 1.0882, 2.9499, 4.5053, 3.0617, 0.8693, 0.7576],
    },
    -33.0: {
        "oudin": [0.1811, 0.8377, 1.45, 1.8152, 2.4199, 1.4363, 0.2917],
        "hamon": [0.6925, 0.7611, 1.1682, 1.6766, 1.7326, 1.1103, 0.7426],
        "hours": [13.9465, 12.2006, 10.2931, 10.0113, 11.7125, 13.646, 14.139],
        "priestley-taylor": [0.3459, 1.0073, 1.4879, 2.8515, 2.6451, 1.3666, 0.4107],
        "penman-monteith": [0.844, 1.1291, 2.1574, 3.7175, 3.0898, 1.3879, 0.8549],
    },
    68.0: {  # with a polar night, in which PET by the energy balance is 0 and the wind alone dries
        "oudin": [0.0004, 0.3046, 2.5955, 3.9757, 1.4183, 0.0358, 0.0],
        "hamon": [0.0165, 0.6454, 4.2715, 8.4746, 2.1671, 0.133, 0.0],
        "hours": [2.1513, 11.2344, 19.6826, 22.508, 13.0993, 4.7235, 0.0],
        "priestley-taylor": [0.0, 0.2011, 2.6512, 3.9743, 1.8211, 0.0, 0.0],
        "penman-monteith": [0.3029, 0.715, 2.8614, 4.4526, 2.5775, 0.6009, 0.2964],
    },
}


def weather(latitude: float) -> xr.Dataset:
    """Made-up weather of every day of 2001 at one place; units of the formulas."""
    time = pd.date_range("2001-01-01", periods=365)
    wave = np.sin(2 * np.pi * (np.arange(1, 366) - 110) / 365)
    mean = 8 + 12 * wave
    series = {
        "prcp": (np.ones(365), "mm/day"),
        "tmean": (mean, "degC"),
        "tmin": (mean - 5 - wave, "degC"),
        "tmax": (mean + 5 + wave, "degC"),
        "vp": (0.8 + 0.5 * wave, "kPa"),
        "srad": (11 + 8 * wave, "MJ m-2 day-1"),
        "u2": (2.5 - 0.5 * wave, "m s-1"),
    }
    ds = xr.Dataset({n: ("time", v, {"units": u}) for n, (v, u) in series.items()}, {"time": time})
    ds["elev_mean"] = ((), ELEVATION, {"units": "m"})
    return ds.assign_coords(lat=((), latitude, {"units": "degrees_north"}))


@pytest.mark.parametrize("latitude", PYET)
@pytest.mark.parametrize("method", ["oudin", "hamon", "priestley-taylor", "penman-monteith"])
def test_formulas_agree_with_pyet(method: str, latitude: float) -> None:
    expected = np.array(PYET[latitude][method])
    if method == "hamon":
        hours = np.array(PYET[latitude]["hours"])
        expected = 0.1651 / 0.14 * expected / np.where(hours > 0, hours / 12, 1.0)
    found = weather(latitude).hbv.pet(method)
    # The constants of the vapour pressure differ in the fourth digit.
    np.testing.assert_allclose(found.values[DAYS - 1], expected, rtol=1e-3, atol=2e-4)


def number(value: float) -> xr.DataArray:
    return xr.DataArray(float(value))


def on_day(value: float, date: str) -> xr.DataArray:
    return xr.DataArray([float(value)], {"time": pd.DatetimeIndex([date])}, ["time"])


def test_worked_examples_of_fao_56() -> None:
    """Examples 2, 3, 9, 12, 14, 17, 18 and 20 of Allen et al. (1998)."""
    assert float(energy.air_pressure(number(1800))) == pytest.approx(81.8, abs=0.05)
    assert float(energy.elevation_of(energy.air_pressure(number(1800)))) == pytest.approx(1800)
    assert float(energy.saturation_pressure(number(24.5))) == pytest.approx(3.075, abs=0.001)
    assert float(sun.day_length(number(-20), number(246))) == pytest.approx(11.7, abs=0.05)
    net = energy.net_radiation(
        *(on_day(value, "2001-05-15") for value in (14.5, 19.1, 25.1)), number(2.1), number(-22.9), number(0)
    )
    assert net.item() == pytest.approx(7.6, abs=0.1)
    assert float(energy.wind_at_2m(number(3.2), 10.0)) == pytest.approx(2.4, abs=0.05)
    bangkok = [number(value) for value in (14.33 - 0.14, 30.2, 25.6, 34.8, 2.85, 2.0)]
    assert float(energy.penman_monteith(*bangkok, energy.air_pressure(number(2)))) == pytest.approx(
        5.72, abs=0.01
    )
    brussels = [number(value) for value in (13.28, 16.9, 12.3, 21.5, 1.409, 2.078, 100.1)]
    assert float(energy.penman_monteith(*brussels)) == pytest.approx(3.88, abs=0.01)
    lyon = [on_day(value, "2001-07-15") for value in (20.7, 14.8, 26.6)]
    assert temperature.hargreaves(*lyon, number(45.72)).item() == pytest.approx(5.0, abs=0.05)


def test_worked_example_of_priestley_taylor() -> None:
    """McMahon et al. (2013), doi:10.5194/hess-17-1331-2013, supplement, S19.109: Alice Springs."""
    net, mean, pressure = number(8.6401), number(11.5), energy.air_pressure(number(546))
    assert float(energy.priestley_taylor(net, mean, pressure)) == pytest.approx(2.6083, abs=0.002)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("calendar", "tolerance"), [("360_day", 1e-3), ("julian", 1e-6)])
def test_a_month_has_the_same_sun_in_every_calendar(method: str, calendar: str, tolerance: float) -> None:
    """Monthly PET is that of a year of 365 days."""
    ds = weather(50.0)

    def monthly(calendar: str, days: int) -> xr.DataArray:
        time = xr.date_range("2001-01-01", periods=days, calendar=calendar, use_cftime=True)
        data = ds.isel(time=np.full(days, 100)).assign_coords(time=time)
        return data.hbv.pet(method).groupby("time.month").mean()

    days = 360 if calendar == "360_day" else 365
    np.testing.assert_allclose(monthly(calendar, days), monthly("noleap", 365), rtol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_lazy_weather_gives_lazy_pet(method: str, raise_if_dask_computes: Any) -> None:
    ds = weather(45.0).expand_dims(basin=["A", "B"])
    ds = ds.assign_coords(lat=("basin", [45.0, 60.0], {"units": "degrees_north"}))
    with raise_if_dask_computes():
        lazy = ds.chunk(basin=1, time=100).hbv.pet(method)
    assert lazy.chunksizes["time"] == (100, 100, 100, 65)
    assert lazy.chunksizes["basin"] == (1, 1)
    whole = ds.hbv.pet(method)
    assert whole.dims == ("basin", "time")
    np.testing.assert_allclose(lazy, whole, rtol=1e-12)


def test_without_daily_extremes_the_formula_is_oudin() -> None:
    """And the result says so, with the variables; with extremes it is Hargreaves."""
    ds = weather(45.0)
    assert ds.hbv.pet().attrs["comment"] == "Hargreaves, from 'tmin', 'tmax', 'lat' and 'tmean'"
    mean = ds.drop_vars(["tmin", "tmax"])
    assert mean.hbv.pet().attrs["comment"] == "Oudin, from 'tmean' and 'lat'"
    np.testing.assert_array_equal(mean.hbv.pet(), ds.hbv.pet("oudin"))
    assert "Oudin" in mean.hbv.check().roles["potential evapotranspiration"]


def test_a_named_formula_comes_before_the_dataset_s_own() -> None:
    ds = weather(45.0)
    both = ds.assign(pet=xr.ones_like(ds["prcp"]).assign_attrs(units="mm/day"))
    np.testing.assert_array_equal(both.hbv.pet(), 1.0)
    np.testing.assert_array_equal(both.hbv.pet("hamon"), ds.hbv.pet("hamon"))


def test_radiation_of_the_daylight_hours_counts_for_those() -> None:
    """Beside a day length, as in Daymet; unless its cell methods say that it is the mean of the day."""
    ds = weather(45.0)
    half = ds.assign(dayl=xr.full_like(ds["srad"], 43200.0).assign_attrs(units="s"))
    half["srad"] = (ds["srad"] * 2).assign_attrs(units="MJ m-2 day-1")
    np.testing.assert_allclose(half.hbv.pet("priestley-taylor"), ds.hbv.pet("priestley-taylor"))
    half["srad"] = ds["srad"].assign_attrs(cell_methods="time: mean")
    np.testing.assert_allclose(half.hbv.pet("priestley-taylor"), ds.hbv.pet("priestley-taylor"))


def test_humidity_wind_and_pressure_in_other_forms() -> None:
    """Dew point, specific and relative humidity; wind at 10 m; pressure in place of elevation."""
    ds = weather(45.0)
    expected = ds.hbv.pet("penman-monteith")
    saturated = energy.saturation_pressure(ds["tmin"]) / 2 + energy.saturation_pressure(ds["tmax"]) / 2
    pressure = float(energy.air_pressure(number(ELEVATION)))
    logarithm = np.log(ds["vp"] / 0.6108)
    forms = {
        "d2m": (237.3 * logarithm / (17.27 - logarithm) + 273.15, "K"),
        "huss": (0.622 * ds["vp"] / (pressure - 0.378 * ds["vp"]), "kg kg-1"),
        "hurs": (100 * ds["vp"] / saturated, "%"),
    }
    for name, (values, units) in forms.items():
        other = ds.drop_vars("vp").assign({name: values.assign_attrs(units=units)})
        np.testing.assert_allclose(other.hbv.pet("penman-monteith"), expected, rtol=1e-6)
    wind = (ds["u2"] / 0.748).assign_attrs(units="m s-1")
    other = ds.drop_vars(["u2", "elev_mean"]).assign(sfcWind=wind, sp=((), pressure * 1000, {"units": "Pa"}))
    np.testing.assert_allclose(other.hbv.pet("penman-monteith"), expected, rtol=1e-3)
    guessed = ds.drop_vars("vp").hbv.pet("penman-monteith")
    assert "vp" not in guessed.attrs["comment"]
    assert np.isfinite(guessed).all()


@pytest.mark.parametrize(
    ("name", "code"), [("srad", -999.0), ("vp", -9999.0), ("u2", -999.0), ("tmax", 1e20)]
)
@pytest.mark.parametrize("lazy", [False, True])
def test_from_what_cannot_be_no_evapotranspiration_follows(name: str, code: float, lazy: bool) -> None:
    """It is infinite, which is refused wherever PET is read; other days stay."""
    ds = weather(45.0)
    expected = ds.hbv.pet("penman-monteith")
    ds[name][100] = code
    found = (ds.chunk() if lazy else ds).hbv.pet("penman-monteith")
    assert float(found[100]) == np.inf
    np.testing.assert_allclose(np.delete(found.values, 100), np.delete(expected.values, 100))


def test_what_a_formula_lacks_is_named() -> None:
    ds = weather(45.0).drop_vars(["u2", "srad"])
    with pytest.raises(MissingVariableError, match=r"also needs srad, wind_2m, which .*shortwave radiation"):
        ds.hbv.pet("penman-monteith")
    with pytest.raises(DescriptionError, match=r"method='penman'.*'penman-monteith'"):
        ds.hbv.pet("penman")
    with pytest.raises(MissingVariableError, match="Hargreaves also needs lat; Oudin also needs lat"):
        ds.drop_vars("lat").hbv.pet()

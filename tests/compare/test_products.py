"""Variables, periods and units of products."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import hydroxr as hx
from hydroxr.errors import (
    AmbiguousVariableError,
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
)
from tests.support.products import frame, product, simulation


@pytest.mark.parametrize("stamp", ["MS", "middle", "ME"])
@pytest.mark.parametrize(
    ("units", "rate"),
    [("mm/day", True), ("mm/month", False), ("mm", False), ("cm", False), ("mm.mon-1", False)],
)
def test_a_perfect_monthly_product_in_many_spellings(stamp: str, units: str, rate: bool) -> None:
    """Wherever in the month its stamp is, as a rate or a sum."""
    sim = simulation("2003-12-10", "2005-02-20")
    table = frame(sim).loc["2004-01":"2005-01"].resample("MS")
    values = table.mean() if rate else table.sum() / (10.0 if units == "cm" else 1.0)
    shift = {"MS": 0, "middle": 14, "ME": None}[stamp]
    values.index = values.index + (pd.offsets.MonthEnd(1) if shift is None else pd.Timedelta(days=shift))
    out = hx.compare.evapotranspiration(sim, product(values, units))
    np.testing.assert_allclose(out["r"], 1.0)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == 13).all()
    np.testing.assert_allclose(out["spatial_r"], 1.0)


@pytest.mark.parametrize("step", ["daily", "yearly", "bounds"])
def test_other_time_steps(step: str) -> None:
    sim = simulation()
    table = frame(sim)
    if step == "daily":
        given = product(table.iloc[100:500] / 86400.0, "kg m-2 s-1")
    elif step == "yearly":
        given = product(table.resample("YS").sum(), "mm/year")
    else:
        edges = pd.date_range("2003-02-05", "2005-10-01", freq="17D")
        sums = [table[(table.index >= a) & (table.index < b)].sum() for a, b in pairwise(edges)]
        given = product(pd.DataFrame(sums, edges[:-1] + pd.Timedelta(days=8)), "kg m-2")
        given["time"].attrs["bounds"] = "climatology"
        given["climatology"] = (("time", "nv"), np.stack([edges[:-1], edges[1:]], axis=1))
    out = hx.compare.evapotranspiration(sim, given)
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    assert (out["n_periods"] == {"daily": 400, "yearly": 3, "bounds": 57}[step]).all()


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ("", "has units 'none'"),
        ("W m-2", "2.45 MJ"),
        ("MJ/m2/day", "2.45 MJ"),
        ("mm/year", "time steps of 28 to 31 days"),
        ("degC", "not understood"),
    ],
)
def test_units_that_say_something_else_are_refused(units: str, message: str) -> None:
    sim = simulation()
    with pytest.raises(UnitsError, match=message):
        hx.compare.evapotranspiration(sim, product(frame(sim).resample("MS").sum(), units))


def test_products_that_cannot_be_compared_are_refused() -> None:
    sim = simulation()
    good = product(frame(sim).resample("MS").sum(), "mm")
    with pytest.raises(AmbiguousVariableError, match="'ET', 'E'"):
        hx.compare.evapotranspiration(sim, good.assign(E=good["ET"]))
    with pytest.raises(MissingVariableError, match="no variable along 'time'"):
        hx.compare.evapotranspiration(
            sim, good[["ET"]].isel(time=0, drop=True).assign_coords(time=good["time"])
        )
    with pytest.raises(MissingVariableError, match="variables=None"):
        hx.compare.evapotranspiration(sim.drop_vars("evapotranspiration"), good)
    with pytest.raises(DimensionError, match=r"hx\.compare\.aggregate"):
        hx.compare.evapotranspiration(sim, good.rename(basin="lat").expand_dims(lon=[1.0]))
    with pytest.raises(EmptySelectionError, match="none of the 36 periods"):
        hx.compare.evapotranspiration(simulation("1999-01-01", "1999-12-31"), good)
    with pytest.raises(TimeAxisError, match="12 days apart"):
        hx.compare.evapotranspiration(sim, product(frame(sim).resample("12D").sum(), "mm"))
    with pytest.raises(TimeAxisError, match="only one"):
        hx.compare.evapotranspiration(sim, good.isel(time=[3]))
    with pytest.raises(CoordinateError, match=r"'noleap'.*convert_calendar"):
        hx.compare.evapotranspiration(sim.convert_calendar("noleap"), good)
    bounds = np.stack([good["time"].values] * 2, axis=1)
    with pytest.raises(TimeAxisError, match="end before they begin"):
        hx.compare.evapotranspiration(sim, good.assign_coords(time_bnds=(("time", "bnds"), bounds)))


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("pet", {}),
        ("PET_500m", {}),
        ("prcp", {}),
        ("streamflow", {}),
        ("x", {"standard_name": "water_potential_evaporation_flux"}),
        ("x", {"standard_name": "precipitation_amount"}),
        ("x", {"long_name": "Potential evapotranspiration"}),
    ],
)
def test_the_only_variable_is_not_taken_where_it_is_something_else(name: str, attrs: dict[str, str]) -> None:
    sim = simulation()
    given = product(frame(sim).resample("MS").sum(), "mm", name)
    given[name].attrs.update(attrs)
    with pytest.raises(MissingVariableError, match=f"'{name}' only, which is something else"):
        hx.compare.evapotranspiration(sim, given)
    given[name].attrs["standard_name"] = "water_evapotranspiration_amount"
    np.testing.assert_allclose(hx.compare.evapotranspiration(sim, given)["rmse"], 0.0, atol=1e-9)


@pytest.mark.parametrize("days", ["YS", "YE", "YS-OCT", "YE-SEP", "YS-APR"])
def test_years_without_bounds_are_calendar_years_or_refused(days: str) -> None:
    sim = simulation("2003-01-01", "2007-12-31")
    given = product(frame(sim).resample(days).sum().iloc[1:-1], "mm")
    if days in ("YS", "YE"):
        out = hx.compare.evapotranspiration(sim, given)
        np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)
    else:
        with pytest.raises(TimeAxisError, match=r"calendar years stamped on 1 January.*time_bnds"):
            hx.compare.evapotranspiration(sim, given)


def test_years_stamped_in_the_middle() -> None:
    sim = simulation()
    table = frame(sim).resample("YS").sum()
    table.index = pd.DatetimeIndex(["2003-07-02", "2004-07-01", "2005-06-30"])
    out = hx.compare.evapotranspiration(sim, product(table, "mm a-1"))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("units", "step", "factor"),
    [
        ("mm/8d", "8day", 1.0),
        ("mm (8 days)-1", "8day", 1.0),
        ("kg/m^2/8day", "8day", 1.0),
        ("mm 8d-1", "8day", 1.0),
        ("mm/mo", "MS", 1.0),
        ("meters", "MS", 1000.0),
        ("m of water equivalent", "MS", 1000.0),
        ("mm a-1", "YS", 1.0),
        ("mm y-1", "YS", 1.0),
        ("mm/yr", "YS", 1.0),
    ],
)
def test_spellings_of_units(units: str, step: str, factor: float) -> None:
    sim = simulation()
    table = frame(sim)
    if step == "8day":
        first = [
            pd.Timestamp(day.year, 1, 1) + pd.Timedelta(days=(day.day_of_year - 1) // 8 * 8)
            for day in table.index
        ]
        sums = table.groupby(pd.DatetimeIndex(first)).sum()
    else:
        sums = table.resample(step).sum()
    out = hx.compare.evapotranspiration(sim, product(sums / factor, units))
    np.testing.assert_allclose(out["rmse"], 0.0, atol=1e-9)

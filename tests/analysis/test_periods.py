"""8-day composites on any calendar, against sums written out day by day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.analysis.periods import whole_years
from hydroxr.errors import DimensionError, EmptySelectionError, TimeAxisError, UnitsError
from tests.support.labelled import make_dataset, make_parameters

CALENDARS = ["standard", "noleap", "360_day"]


def daily(start: str, days: int, calendar: str = "standard", cells: int = 2) -> xr.Dataset:
    """A flux, a state, a flag and something else, each day with values of its own."""
    time = xr.date_range(start, periods=days, calendar=calendar, use_cftime=calendar != "standard")
    number = np.arange(days)
    dims = ("basin", "time")
    factor = np.arange(1, cells + 1)[:, None]
    flux = {"units": "kg m-2 day-1", "standard_name": "runoff_flux", "cell_methods": "time: mean"}
    state = {"units": "kg m-2", "cell_methods": "time: point (at the end of the time bounds)"}
    flag = {"standard_name": "quality_flag", "flag_values": [0, 1]}
    return xr.Dataset(
        {
            "runoff": (dims, factor * (1.0 + number % 13), flux),
            "snowpack": (dims, factor * number * 1.0, state),
            "forcing_flag": (dims, (factor * (number == 10)).astype("int8"), flag),
            "tmean": (dims, factor * (number % 7) * 1.0, {"units": "degC"}),
            "initial_storage": ("basin", np.ones(cells), {"units": "kg m-2"}),
        },
        coords={"basin": np.arange(cells), "time": time, "lat": ("basin", np.linspace(40, 50, cells))},
    )


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("chunks", [None, {"time": 5}, {"time": 100, "basin": 1}])
def test_composites_across_new_years(calendar: str, chunks: dict[str, int] | None) -> None:
    """Two whole years, one of them a leap year where there is one, and an incomplete start and end."""
    days = 2 * 366 + 40
    ds = daily("2003-12-20", days, calendar)
    out = hx.compare.composite_8day(ds.chunk(chunks) if chunks else ds)
    index = ds.indexes["time"]
    begin = next(place for place, day in enumerate(index) if (day.month, day.day) == (1, 1))
    years, last = {
        "standard": ((366, 365), 5),
        "noleap": ((365, 365), 5),
        "360_day": ((360, 360), 8),
    }[calendar]
    starts, lengths = [begin - last], [last]  # the only whole composite of 2003
    place = begin
    for length in years:
        for day in range(0, length, 8):
            starts.append(place + day)
            lengths.append(min(8, length - day))
        place += length
    while place + 8 <= days:
        starts.append(place)
        lengths.append(8)
        place += 8
    number = {"standard": 46, "noleap": 46, "360_day": 45}[calendar]
    assert (out["time"].dt.year == 2004).sum() == number
    assert list(out.indexes["time"]) == [index[start] for start in starts]
    ends = [index[start] + timedelta(days=length) for start, length in zip(starts, lengths, strict=True)]
    np.testing.assert_array_equal(out["time_bnds"][:, 0], out["time"])
    assert list(out.assign_coords(time=out["time_bnds"][:, 1].values).indexes["time"]) == ends
    for cell in range(2):
        rows = [ds["runoff"].values[cell, s : s + n].sum() for s, n in zip(starts, lengths, strict=True)]
        np.testing.assert_allclose(out["runoff"][cell], rows)
        last = [ds["snowpack"].values[cell, s + n - 1] for s, n in zip(starts, lengths, strict=True)]
        np.testing.assert_array_equal(out["snowpack"][cell], last)
        mean = [ds["tmean"].values[cell, s : s + n].mean() for s, n in zip(starts, lengths, strict=True)]
        np.testing.assert_allclose(out["tmean"][cell], mean)
    assert out["forcing_flag"].sum() == 3
    assert out["forcing_flag"].dtype == np.int8
    np.testing.assert_array_equal(out["initial_storage"], ds["initial_storage"])


def test_attributes_say_what_was_done() -> None:
    out = hx.compare.composite_8day(daily("2001-01-01", 365))
    assert out["runoff"].attrs["units"] == "kg m-2"
    assert out["runoff"].attrs["cell_methods"] == "time: sum"
    assert out["runoff"].attrs["standard_name"] == "runoff_amount"  # runoff_flux is not in kg m-2
    assert out["snowpack"].attrs["cell_methods"].startswith("time: point")
    assert out["tmean"].attrs["cell_methods"] == "time: mean"
    assert out["time"].attrs["bounds"] == "time_bnds"
    assert list(out["lat"].values) == [40.0, 50.0]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_a_file_keeps_composites_and_bounds(tmp_path: Path, calendar: str) -> None:
    """Warnings are errors: times and their bounds have the same units in the file."""
    out = hx.compare.composite_8day(daily("2001-01-01", 100, calendar))
    out.to_netcdf(tmp_path / "composites.nc")
    with xr.open_dataset(tmp_path / "composites.nc", decode_coords="all") as again:
        xr.testing.assert_equal(again, out)


def test_a_missing_day_and_a_missing_value_are_told_apart() -> None:
    """A composite without all its days is left out; one with a missing value is missing."""
    ds = daily("2001-01-01", 48)[["runoff"]]
    ds["runoff"][0, 9] = np.nan
    out = hx.compare.composite_8day(ds.isel(time=np.r_[0:17, 18:48]))
    assert list(out["time"].dt.dayofyear.values) == [1, 9, 25, 33, 41]
    np.testing.assert_array_equal(out["runoff"].isnull(), [[False, True] + [False] * 3, [False] * 5])
    np.testing.assert_allclose(out["runoff"][1, 2], 2.0 * sum(1 + n % 13 for n in range(24, 32)))


def test_other_rates_become_millimetres() -> None:
    ds = daily("2001-01-01", 8)
    ds["runoff"] = (ds["runoff"] / 86400.0).assign_attrs(units="kg m-2 s-1")
    expected = hx.compare.composite_8day(daily("2001-01-01", 8)["runoff"])
    np.testing.assert_allclose(hx.compare.composite_8day(ds["runoff"]), expected)


def test_stamps_at_noon_are_days_too() -> None:
    ds = daily("2001-01-01", 16)
    noon = ds.assign_coords(time=ds["time"] + np.timedelta64(12, "h"))
    xr.testing.assert_equal(hx.compare.composite_8day(noon), hx.compare.composite_8day(ds))


def test_a_simulation_stays_lazy(raise_if_dask_computes: object) -> None:
    ds = make_dataset(40)
    parameters = make_parameters(ds)
    lazy = ds.drop_vars("basin_id").chunk(basin=1).hbv.simulate(parameters)
    with raise_if_dask_computes():  # type: ignore[operator]
        out = hx.compare.composite_8day(lazy)
    assert out["evapotranspiration"].chunks is not None
    sim = ds.drop_vars("basin_id").hbv.simulate(parameters)
    expected = sim["evapotranspiration"].transpose("basin", "time").values[:, :40].reshape(3, 5, 8).sum(-1)
    np.testing.assert_allclose(out["evapotranspiration"].transpose("basin", "time"), expected, rtol=1e-6)
    assert out["evapotranspiration"].dtype == np.float32


def test_what_is_not_daily_is_refused() -> None:
    ds = daily("2001-01-01", 16)
    with pytest.raises(EmptySelectionError, match="none of the 1 periods"):
        hx.compare.composite_8day(ds.isel(time=slice(1, 7)))
    with pytest.raises(TimeAxisError, match="2001-01-02 more than once"):
        hx.compare.composite_8day(ds.assign_coords(time=ds["time"].dt.floor("2D")))
    with pytest.raises(TimeAxisError, match="not sorted"):
        hx.compare.composite_8day(ds.isel(time=slice(None, None, -1)))
    with pytest.raises(DimensionError, match="'time'"):
        hx.compare.composite_8day(ds["initial_storage"])
    with pytest.raises(TimeAxisError, match="expected dates"):
        hx.compare.composite_8day(ds.drop_vars("time"))


@pytest.mark.parametrize("calendar", CALENDARS)
def test_whole_years_begin_on_the_first_day(calendar: str) -> None:
    ds = daily("2000-10-01", 1000, calendar)
    out = whole_years(ds["runoff"])
    assert out.sizes["time"] == {"standard": 730, "noleap": 730, "360_day": 720}[calendar]


def test_means_over_basins_and_composites_commute() -> None:
    """Sums of basin means are basin means of sums, whichever is first; attributes too."""
    rng = np.random.default_rng(0)
    attrs = {"units": "mm/day", "cell_methods": "time: mean"}
    coords = {
        "time": xr.date_range("2001-01-01", periods=24),
        "lat": [45.5, 44.5],
        "lon": [0.5, 1.5, 2.5],
    }
    grid = xr.DataArray(rng.gamma(1.0, 2.0, (24, 2, 3)), coords, ("time", "lat", "lon"), "et", attrs)
    share = rng.random((2, 2, 3))
    weights = xr.DataArray(
        share, {"basin": [1, 2], "lat": grid["lat"], "lon": grid["lon"]}, ("basin", "lat", "lon")
    )
    for given in (grid, grid.to_dataset()):
        first = hx.compare.composite_8day(hx.compare.aggregate(given, weights))
        second = hx.compare.aggregate(hx.compare.composite_8day(given), weights)
        first, second = (out if isinstance(out, xr.DataArray) else out["et"] for out in (first, second))
        means = np.einsum("bij,tij->tb", share / share.sum((1, 2), keepdims=True), grid.values)
        np.testing.assert_allclose(first, means.reshape(3, 8, 2).sum(1), rtol=1e-12)
        xr.testing.assert_allclose(first, second)
        assert first.attrs == second.attrs
        assert first.attrs["cell_methods"] == "time: sum area: mean"


@pytest.mark.parametrize(
    "attrs", [{}, {"units": "mm"}, {"units": "degC"}, {"units": "mm/day", "cell_methods": "time: maximum"}]
)
def test_what_is_neither_flux_amount_nor_state_is_refused(attrs: dict[str, str]) -> None:
    series = daily("2001-01-01", 16)["runoff"].copy()
    series.attrs = attrs
    with pytest.raises(UnitsError, match="expected a flux"):
        hx.compare.composite_8day(series)
    if attrs.get("units", "mm") == "mm":  # in a Dataset a temperature may be beside
        with pytest.raises(UnitsError, match="'runoff'"):
            hx.compare.composite_8day(series.to_dataset(name="runoff"))

"""``check`` and ``evaluate``: what they find, remark and refuse."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import CoordinateError, EmptySelectionError, MissingVariableError, UnitsError
from hydroxr.metrics.evaluate import evaluate_simulation
from hydroxr.models.model import Model
from tests.support.labelled import make_dataset, make_grid, make_parameters, with_extremes

# --- check ----------------------------------------------------------------------------------------


def test_check_tells_what_was_found(ds: xr.Dataset) -> None:
    """For each role the variable with its units, the days, the cells, the attributes; it prints as a
    table."""
    report = ds.hbv.check()
    assert (report.days, report.cells, report.period) == (60, 3, ("2000-01-01", "2000-02-29"))
    assert report.roles["precipitation"] == "prcp (mm/day)"
    assert report.roles["observed streamflow"] == "streamflow (mm/day)"
    assert report.roles["attributes"] == "4 of the paper's 35"
    assert report.remarks == ()
    text = repr(report)
    assert "3 cells, 60 days, 2000-01-01 to 2000-02-29" in text
    for role, found in report.roles.items():
        assert any(role in line and found in line for line in text.splitlines())


def test_check_twice_tells_the_same(ds: xr.Dataset) -> None:
    """It changes nothing in what it looks at: units are told as the Dataset has them."""
    before = ds.copy(deep=True)
    assert repr(ds.hbv.check()) == repr(ds.hbv.check())
    xr.testing.assert_identical(ds, before)


def test_check_tells_what_is_derived(ds: xr.Dataset) -> None:
    """Temperature from its extremes, PET after Hargreaves."""
    report = with_extremes(ds).drop_vars("tmean").hbv.check()
    assert {"tmin", "tmax"} <= set(re.findall(r"\w+", report.roles["daily mean air temperature"]))
    assert "Hargreaves" in report.roles["potential evapotranspiration"]


def test_check_counts_a_grid_s_cells(grid: xr.Dataset) -> None:
    """Six."""
    assert grid.hbv.check().cells == 6


def test_check_of_a_single_series(ds: xr.Dataset) -> None:
    """One cell without a dimension."""
    assert ds.isel(basin=0).hbv.check().cells == 1


def test_check_of_lazy_data_reads_them(ds: xr.Dataset) -> None:
    """The same report."""
    assert repr(ds.chunk(basin=1).hbv.check()) == repr(ds.hbv.check())


def test_without_streamflow_there_is_something_to_say(ds: xr.Dataset) -> None:
    """Such a Dataset can be simulated, not fitted."""
    assert "simulated, not fitted" in ds.drop_vars("streamflow").hbv.check().roles["observed streamflow"]


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        ({"basin": 1}, ["1 of 3 cells have no observed streamflow"]),
        ({"basin": 2, "time": slice(0, 5)}, ["missing on 5 cell-days"]),
    ],
)
def test_gaps_of_the_streamflow_are_remarked(ds: xr.Dataset, gaps: dict, words: list[str]) -> None:
    """They are no error: such cells and days do not count."""
    ds["streamflow"][gaps] = np.nan
    remarks = ds.hbv.check().remarks
    assert len(remarks) == 1
    assert all(word in remarks[0] for word in words)
    assert f"note: {remarks[0]}" in repr(ds.hbv.check())


def test_a_record_of_drizzle_is_remarked(ds: xr.Dataset) -> None:
    """Metres a day labelled mm/day: nothing is impossible about it, but a climate it is not."""
    ds["prcp"] = (ds["prcp"] / 86400).assign_attrs(units="mm/day")
    remarks = ds.hbv.check().remarks
    assert any("largest precipitation" in remark and "unit" in remark for remark in remarks)


def test_crossed_extremes_are_counted(ds: xr.Dataset) -> None:
    """As CAMELS Daymet has them."""
    ds = with_extremes(ds)
    ds["tmin"][0, 3:7] = ds["tmax"][0, 3:7] + 1
    remarks = ds.hbv.check().remarks
    assert any("tmin is above tmax on 4 cell-days" in remark for remark in remarks)


def test_extremes_in_different_units_are_not_crossed(ds: xr.Dataset) -> None:
    """tmin in K is not above tmax in degC."""
    ds = with_extremes(ds)
    kelvin = ds.assign(tmin=(ds["tmin"] + 273.15).assign_attrs(units="K"))
    assert kelvin.hbv.check().remarks == ()


def test_crossed_extremes_do_not_matter_where_hargreaves_is_not_used(ds: xr.Dataset) -> None:
    """A remark on Hargreaves is for a Dataset without a PET of its own."""
    both = with_extremes(ds).assign(pet=ds["pet"])
    both["tmin"][0, 3] = both["tmax"][0, 3] + 1
    assert not any("Hargreaves takes" in remark for remark in both.hbv.check().remarks)


# --- evaluate -------------------------------------------------------------------------------------


def nse_by_hand(simulated: np.ndarray, observed: np.ndarray) -> float:
    """1 less the squared errors over those of the mean, on days that both have."""
    both = np.isfinite(observed)
    s, o = simulated[both].astype(float), observed[both].astype(float)
    return 1 - ((s - o) ** 2).sum() / ((o - o.mean()) ** 2).sum()


def test_scores_are_those_of_the_days_that_both_have(ds: xr.Dataset, static_model: Model) -> None:
    """A basin by itself, by hand; the number of days is told."""
    ds["streamflow"][1, 10:20] = np.nan
    sim = ds.hbv.simulate(static_model)
    scores = sim.hbv.evaluate(ds)
    for basin in range(3):
        expected = nse_by_hand(sim["streamflow"][basin].values, ds["streamflow"][basin].values)
        assert float(scores["nse"][basin]) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(scores["n_days"], [60, 50, 60])
    assert {"nse", "kge"} <= set(scores.data_vars)
    np.testing.assert_array_equal(scores["basin_id"], ds["basin_id"])


def test_units_of_the_observations_make_no_difference(ds: xr.Dataset, static_model: Model) -> None:
    """m3 s-1 over an area, m/day, kg m-2 s-1: the same scores."""
    sim = ds.hbv.simulate(static_model)
    expected = sim.hbv.evaluate(ds)
    area = xr.DataArray([120.0, 86.4, 2000.0], dims="basin", attrs={"units": "km2"})
    flow = ds["streamflow"].astype(float)
    for observed in (
        ds.assign(streamflow=(flow * area / 86.4).assign_attrs(units="m3 s-1"), area=area),
        ds.assign(streamflow=(flow / 1000).assign_attrs(units="m/day")),
        ds.assign(streamflow=(flow / 86400).assign_attrs(units="kg m-2 s-1")),
    ):
        xr.testing.assert_allclose(sim.hbv.evaluate(observed), expected, rtol=1e-4)


def test_observations_without_units_are_refused(ds: xr.Dataset, static_model: Model) -> None:
    """They could be anything."""
    sim = ds.hbv.simulate(static_model)
    del ds["streamflow"].attrs["units"]
    with pytest.raises(UnitsError, match="'streamflow'"):
        sim.hbv.evaluate(ds)


def test_stamps_at_noon_do_not_meet_stamps_at_midnight(ds: xr.Dataset, static_model: Model) -> None:
    """They have no label in common, which is said, instead of scores of nothing."""
    sim = ds.hbv.simulate(static_model)
    noon = ds.assign_coords(time=ds["time"] + np.timedelta64(12, "h"))
    with pytest.raises(CoordinateError, match=r"00:00.*12:00"):
        sim.hbv.evaluate(noon)


def test_other_basins_are_refused(ds: xr.Dataset, static_model: Model) -> None:
    """By label and by name."""
    sim = ds.hbv.simulate(static_model)
    with pytest.raises(CoordinateError):
        sim.hbv.evaluate(ds.drop_vars("basin_id").assign_coords(basin=[10, 20, 31]))
    with pytest.raises(CoordinateError, match="no basin g2 in the observations"):
        sim.hbv.evaluate(ds.assign_coords(basin_id=("basin", ["g0", "g1", "g7"])))


def test_a_period_can_be_chosen(ds: xr.Dataset, static_model: Model) -> None:
    """The years not trained on, say."""
    sim = ds.hbv.simulate(static_model)
    period = slice("2000-02-15", "2000-02-29")
    xr.testing.assert_allclose(
        sim.hbv.evaluate(ds, time=period), sim.sel(time=period).hbv.evaluate(ds.sel(time=period))
    )
    with pytest.raises(EmptySelectionError, match="1990"):
        sim.hbv.evaluate(ds, time=slice("1990-01-01", "1991-01-01"))


def test_longer_observations_are_cut_to_the_simulation(ds: xr.Dataset, static_model: Model) -> None:
    """What only one of the two has does not count."""
    sim = ds.isel(time=slice(0, 50)).hbv.simulate(static_model)
    np.testing.assert_array_equal(sim.hbv.evaluate(ds)["n_days"], 50)


def test_observations_of_another_name_and_order(ds: xr.Dataset, static_model: Model) -> None:
    """Found by name, dimensions in any order."""
    sim = ds.hbv.simulate(static_model)
    other = ds.rename(streamflow="qobs").transpose("time", "basin")
    xr.testing.assert_allclose(sim.hbv.evaluate(other), sim.hbv.evaluate(ds))


def test_a_grid_is_evaluated_cell_by_cell(static_model: Model) -> None:
    """Maps of scores."""
    grid = make_grid(60)
    scores = grid.hbv.simulate(static_model).hbv.evaluate(grid)
    assert set(scores["nse"].dims) == {"lat", "lon"}
    expected = nse_by_hand(
        grid.hbv.simulate(static_model)["streamflow"][:, 1, 2].values, grid["streamflow"][:, 1, 2].values
    )
    assert float(scores["nse"][1, 2]) == pytest.approx(expected, rel=1e-5)


def test_what_is_missing_is_named(ds: xr.Dataset) -> None:
    """Streamflow in the simulation, and in the observations."""
    parameters = make_parameters(ds)
    with pytest.raises(MissingVariableError, match=r"'streamflow'.*variables=None"):
        ds.hbv.simulate(parameters, variables=["runoff"]).hbv.evaluate(ds)
    with pytest.raises(MissingVariableError, match="qobs"):
        ds.hbv.simulate(parameters).hbv.evaluate(ds.drop_vars("streamflow"))


def test_evaluation_is_lazy(ds: xr.Dataset, raise_if_dask_computes: object, static_model: Model) -> None:
    """As the simulation is."""
    lazy = ds.drop_vars("basin_id").chunk(basin=1)
    expected = ds.hbv.simulate(static_model).hbv.evaluate(ds)
    with raise_if_dask_computes():  # type: ignore[operator]
        scores = lazy.hbv.simulate(static_model).hbv.evaluate(lazy)
    assert_close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(scores["nse"].compute(), expected["nse"], **assert_close)


def test_a_simulation_serves_as_observation(ds: xr.Dataset) -> None:
    """Of another, in twin experiments: of itself it has an NSE of 1."""
    sim = make_dataset().hbv.simulate(make_parameters(ds))
    scores = sim.hbv.evaluate(sim)
    np.testing.assert_allclose(scores["nse"], 1.0)
    assert pd.notnull(scores["kge"].values).all()


def test_parts_of_the_kge_and_peaks_are_told(ds: xr.Dataset, static_model: Model) -> None:
    """With names and units, as all others."""
    scores = ds.hbv.simulate(static_model).hbv.evaluate(ds)
    units = {name: scores[name].attrs["units"] for name in scores.data_vars}
    assert [units[name] for name in ("r", "alpha", "beta", "gamma", "kge_2012")] == ["1"] * 5
    assert units["peak_timing"] == "day"
    assert all(array.attrs["long_name"] for array in scores.data_vars.values())


def test_cells_can_be_pooled_and_masked(ds: xr.Dataset, static_model: Model) -> None:
    """One number for all, of the days that count."""
    sim = ds.hbv.simulate(static_model)
    wet = ds["streamflow"] > 1
    pooled = evaluate_simulation(sim, ds, slice("2000-02-01", None), dim=("time", "basin"), mask=wet)
    simulated, observed = (
        part["streamflow"].sel(time=slice("2000-02-01", None)).values for part in (sim, ds)
    )
    expected = nse_by_hand(simulated.ravel(), np.where(wet.values[:, 31:], observed, np.nan).ravel())
    assert float(pooled["nse"]) == pytest.approx(expected, rel=1e-5)
    assert int(pooled["n_days"]) == int(wet[:, 31:].sum())

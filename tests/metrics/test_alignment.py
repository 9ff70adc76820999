"""Series must have the same cells and units; common days are matched by label."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

from hydroxr import metrics
from hydroxr.errors import CoordinateError, DimensionError, EmptySelectionError, UnitsError
from tests.support.metrics_by_hand import basins, refuse_to_compute, series

pytestmark = pytest.mark.filterwarnings("error")


def test_only_common_days_count():
    simulated, observed = basins()
    later = observed.isel(time=slice(100, None))
    xr.testing.assert_allclose(
        metrics.evaluate(simulated, later), metrics.evaluate(simulated.isel(time=slice(100, None)), later)
    )
    assert (metrics.evaluate(simulated, later)["n_days"] <= 200).all()


def test_days_are_matched_by_label_not_by_position():
    simulated, observed = basins()
    xr.testing.assert_allclose(
        metrics.evaluate(simulated.isel(time=slice(None, None, -1)), observed),
        metrics.evaluate(simulated, observed),
    )


def test_resolutions_of_time_do_not_matter():
    simulated, observed = basins()
    seconds = observed.assign_coords(time=observed["time"].values.astype("datetime64[s]"))
    xr.testing.assert_allclose(metrics.evaluate(simulated, seconds), metrics.evaluate(simulated, observed))


def test_stamps_at_00_and_12_hours_are_named():
    observed = series(np.arange(10.0))
    simulated = observed.assign_coords(time=observed["time"] + np.timedelta64(12, "h"))
    with pytest.raises(CoordinateError, match="the days are the same") as caught:
        metrics.nse(simulated, observed)
    message = str(caught.value)
    assert "'simulated' is stamped 12:00 and 'observed' 00:00" in message
    assert "2000-01-01 12:00 to 2000-01-10 12:00" in message
    assert "2000-01-01 00:00" in message
    # the advice in the message works
    midnight = simulated.assign_coords(time=lambda a: a["time"].dt.floor("D"))
    assert 'assign_coords(time=lambda a: a["time"].dt.floor("D"))' in message
    assert float(metrics.nse(midnight, observed)) == 1.0


def test_stamps_at_00_and_12_hours_are_named_in_any_calendar():
    time = xr.date_range("2000-02-25", periods=10, calendar="noleap", use_cftime=True)
    observed = series(np.arange(10.0)).assign_coords(time=time)
    simulated = observed.assign_coords(time=time.shift(12, "h"))
    with pytest.raises(CoordinateError, match="'simulated' is stamped 12:00 and 'observed' 00:00"):
        metrics.nse(simulated, observed)


def test_periods_without_a_common_day_tell_both_ranges():
    with pytest.raises(CoordinateError) as caught:
        metrics.evaluate(series(np.arange(5.0)), series(np.arange(5.0), start="2010-01-01"))
    message = str(caught.value)
    assert "2000-01-01 00:00 to 2000-01-05 00:00" in message
    assert "2010-01-01 00:00 to 2010-01-05 00:00" in message
    assert "stamped" not in message


def test_calendars_that_differ_are_named():
    observed = series(np.arange(5.0))
    simulated = observed.convert_calendar("noleap", use_cftime=True)
    with pytest.raises(CoordinateError, match=r"calendars differ \(noleap .* proleptic_gregorian") as caught:
        metrics.nse(simulated, observed)
    assert "observed.convert_calendar('noleap', use_cftime=True)" in str(caught.value)
    assert float(metrics.nse(simulated, observed.convert_calendar("noleap", use_cftime=True))) == 1.0


def test_labels_that_are_no_times():
    one = xr.DataArray([1.0, 2.0, 3.0], dims="run", coords={"run": [1, 2, 3]})
    assert float(metrics.nse(one, one, dim="run")) == 1.0
    with pytest.raises(CoordinateError, match=r"1 to 3.*4 to 6"):
        metrics.nse(one, one.assign_coords(run=[4, 5, 6]), dim="run")


def test_duplicate_days_are_refused():
    observed = series(np.arange(5.0))
    with pytest.raises(CoordinateError, match="duplicate"):
        metrics.nse(observed, observed.isel(time=[0, 0, 1, 2]))


def test_lengths_without_labels_must_be_the_same():
    observed = xr.DataArray([1.0, 2.0, 4.0], dims="time")
    assert float(metrics.nse(observed, observed)) == 1.0
    with pytest.raises(CoordinateError, match="cannot be matched along 'time'"):
        metrics.nse(observed, observed[:2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.isel(basin=[0, 1]), "2 labels in common"),
        (lambda a: a.drop_vars("basin_id").assign_coords(basin=[10, 11, 12, 13]), "0 labels in common"),
        (lambda a: a.drop_vars(["basin", "basin_id"]).isel(basin=[0, 1]), "no labels say which"),
    ],
)
def test_basins_that_do_not_match_are_refused(change, message):
    simulated, observed = basins()
    with pytest.raises(CoordinateError, match=message):
        metrics.evaluate(simulated, change(observed))


def test_cells_are_matched_by_label():
    """In any order, among more, and one basin against many, whichever of the two has it."""
    simulated, observed = basins()
    expected = metrics.evaluate(simulated, observed)
    named = observed.assign_coords(basin=observed["basin_id"].values).drop_vars("basin_id")
    for other in (observed, named, observed.drop_vars("basin_id"), observed.chunk(basin=1)):
        shuffled = other.isel(basin=[2, 0, 3, 1])
        xr.testing.assert_allclose(metrics.evaluate(simulated, shuffled), expected)
        xr.testing.assert_allclose(metrics.evaluate(simulated[1:3], shuffled), expected.isel(basin=[1, 2]))
        for pair in ((simulated[1], shuffled), (simulated, other.isel(basin=1))):
            scores = metrics.evaluate(*pair)
            assert not scores.sizes
            assert scores["basin"].item() in (1, "00000010")
            xr.testing.assert_allclose(scores.drop_vars(scores.coords), expected.isel(basin=1, drop=True))
    with pytest.raises(
        CoordinateError, match="no basin 00000010 in 'observed', which has 00000000, 00000020"
    ):
        metrics.nse(simulated[1], named.isel(basin=[0, 2]))


def test_a_grid_that_differs_by_rounding_is_refused_with_advice():
    values = np.ones((3, 2))
    coords = {"time": [0, 1, 2], "lat": np.array([50.1, 50.3])}
    simulated = xr.DataArray(values, dims=("time", "lat"), coords=coords)
    observed = simulated.assign_coords(lat=np.array([50.1, 50.3], dtype="float32"))
    with pytest.raises(
        CoordinateError, match=r"rounding, use observed.assign_coords\(lat=simulated\['lat'\]\)"
    ):
        metrics.rmse(simulated, observed)


def test_basin_ids_must_match_although_they_are_no_index():
    simulated, observed = basins()
    other = observed.assign_coords(basin_id=("basin", ["00000000", "99", "00000020", "00000030"]))
    with pytest.raises(CoordinateError, match="3 labels in common"):
        metrics.evaluate(simulated, other)
    with pytest.raises(
        CoordinateError, match="'basin' is 00000000 in 'simulated' and 00000010 in 'observed'"
    ):
        metrics.evaluate(simulated.isel(basin=0), observed.isel(basin=1))
    # where only one of the two says, there is nothing to compare
    metrics.evaluate(simulated, observed.drop_vars("basin_id"))


def test_numbers_of_a_file_do_not_matter_where_both_have_names():
    """A store that xarray opened numbers its basins; scores keep the labels of the simulation."""
    simulated, observed = basins()
    expected = metrics.nse(simulated, observed)
    named = observed.assign_coords(basin=observed["basin_id"].values).drop_vars("basin_id")
    for other in (named, named.chunk(basin=2), observed.assign_coords(basin=[5, 6, 7, 8])):
        scores = metrics.nse(simulated, other)
        np.testing.assert_allclose(scores, expected)
        assert scores["basin"].values.tolist() == [0, 1, 2, 3]
    assert metrics.nse(named, simulated.T)["basin"].values.tolist() == named["basin"].values.tolist()
    np.testing.assert_allclose(metrics.nse(simulated[1], named[:, 1]), expected[1])
    with pytest.raises(
        CoordinateError, match="'basin' is 00000010 in 'simulated' and 00000000 in 'observed'"
    ):
        metrics.nse(simulated[1], named[:, 0])


def test_dimensions_that_would_multiply_are_refused():
    simulated, observed = basins()
    with pytest.raises(DimensionError, match="one must have all those of the other"):
        metrics.nse(simulated, observed.rename(basin="gauge"))
    with pytest.raises(DimensionError, match="'observed' has no dimension 'time'"):
        metrics.nse(simulated, observed.mean("time"))


def test_an_empty_selection_is_refused():
    observed = series(np.arange(5.0))
    with pytest.raises(EmptySelectionError, match="'simulated' has no values along 'time'"):
        metrics.nse(observed.sel(time=slice("2010", "2011")), observed)


def test_units_that_differ_are_refused():
    observed = series([1.0, 2.0, 4.0])
    with pytest.raises(UnitsError, match="'simulated' is in 'mm/day', 'observed' in 'm3 s-1'"):
        metrics.nse(observed.assign_attrs(units="mm/day"), observed.assign_attrs(units="m3 s-1"))
    assert float(metrics.nse(observed.assign_attrs(units="mm/day"), observed)) == 1.0


def test_lazy_basin_ids_are_compared_when_computed():
    simulated, observed = (array.chunk(basin=2) for array in basins())  # chunks basin_id as well
    other = observed.assign_coords(basin_id=("basin", ["00000000", "00000010", "00000020", "99"]))
    with dask.config.set(scheduler=refuse_to_compute):
        lazy = metrics.nse(simulated, other)
    with pytest.raises(CoordinateError, match="'basin_id' is 00000030 in 'simulated' and 99 in 'observed'"):
        lazy.compute(scheduler="sync")


def test_cells_outside_all_basins_may_have_nan_as_basin_id():
    simulated, observed = basins()
    ids = ("basin", [1.0, np.nan, 3.0, np.nan])
    for chunks in (None, {"basin": 2}):
        pair = [array.assign_coords(basin_id=ids) for array in (simulated, observed)]
        scores = metrics.nse(*(pair if chunks is None else [array.chunk(chunks) for array in pair]))
        np.testing.assert_allclose(scores, metrics.nse(simulated, observed))

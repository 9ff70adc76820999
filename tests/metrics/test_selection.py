"""What of two series counts: several dimensions at once, days, masks."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

from hydroxr import metrics
from hydroxr.errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError
from tests.support.metrics_by_hand import EVALUATED, SINGLE, basins, by_hand, refuse_to_compute

PERIOD = slice("1990-12-01", "1991-03-15")
POOLED = [
    name for name in EVALUATED if name != "peak_timing"
]  # of which tests/metrics/test_peaks.py has its own


def pooled(simulated: xr.DataArray, observed: xr.DataArray) -> dict[str, float]:
    """The metrics of all pairs together."""
    flat = [array.transpose("time", "basin").values.ravel() for array in (simulated, observed)]
    return {name: value for name, value in by_hand(*flat).items() if name in POOLED}


def values(scores: xr.Dataset) -> dict[str, float]:
    return {name: float(scores[name]) for name in POOLED}


# --- Several dimensions ---------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [("time", "basin"), ["basin", "time"], ...])
def test_several_dimensions_are_pooled(dim):
    """As if all pairs were one series."""
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed, dim)
    assert all(scores[name].dims == () for name in EVALUATED)
    assert values(scores) == pytest.approx(pooled(simulated, observed), rel=1e-10)


def test_each_function_reduces_several_dimensions():
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed, ...)
    for name, metric in SINGLE.items():
        if name in scores:
            xr.testing.assert_identical(metric(simulated, observed, ("time", "basin")), scores[name])


def test_dimensions_that_are_not_reduced_stay():
    """Members over all basins; a map's cells, a day."""
    simulated, observed = basins()
    members = xr.concat([simulated, 2 * simulated], "member")
    scores = metrics.evaluate(members, observed, ("time", "basin"))
    assert scores["nse"].dims == ("member",)
    assert values(scores.isel(member=1)) == pytest.approx(pooled(2 * simulated, observed), rel=1e-10)
    pair = [array.expand_dims(run=2).copy() for array in (simulated, observed)]
    assert metrics.rmse(*pair, ("run", "basin")).dims == ("time",)


def test_days_that_both_have_count_and_basins_must_be_the_same():
    """Also where both are reduced."""
    simulated, observed = basins()
    later = observed.isel(time=slice(100, None))
    scores = metrics.evaluate(simulated, later, ...)
    assert values(scores) == pytest.approx(pooled(simulated.isel(time=slice(100, None)), later), rel=1e-10)
    with pytest.raises(CoordinateError, match="2 labels in common"):
        metrics.nse(simulated, observed.isel(basin=[0, 1]), ...)
    shuffled = observed.isel(basin=[1, 0, 2, 3])
    xr.testing.assert_allclose(metrics.nse(simulated, shuffled, ...), metrics.nse(simulated, observed, ...))


def test_space_alone_can_be_reduced():
    """Maps have one score for each day."""
    simulated, observed = basins()
    grid = [
        xr.DataArray(
            array.transpose("time", "basin").values.reshape(-1, 2, 2),
            dims=("time", "lat", "lon"),
            coords={"time": simulated["time"]},
        )
        for array in (simulated, observed)
    ]
    found = metrics.rmse(*grid, ("lat", "lon"))
    np.testing.assert_allclose(found, metrics.rmse(simulated, observed, "basin"))


def test_no_dimension_is_refused():
    simulated, observed = basins()
    with pytest.raises(DimensionError, match="names no dimension"):
        metrics.nse(simulated, observed, ())
    with pytest.raises(DimensionError, match="'observed' has no dimension 'member'"):
        metrics.nse(simulated.expand_dims(member=2), observed, ("time", "member"))


@pytest.mark.parametrize("chunks", [{"time": 70}, {"basin": 3, "time": 113}])
def test_lazy_is_eager_over_several_dimensions(chunks):
    simulated, observed = basins()
    mask = simulated > simulated.median("time")
    options = {"mask": mask, "time": PERIOD}
    eager = metrics.evaluate(simulated, observed, ..., **options)
    options["mask"] = mask.chunk(chunks)
    with dask.config.set(scheduler=refuse_to_compute):
        lazy = metrics.evaluate(simulated.chunk(chunks), observed.chunk(chunks), ..., **options)
    assert all(lazy[name].chunks is not None for name in EVALUATED)
    xr.testing.assert_allclose(lazy.compute(scheduler="sync"), eager, rtol=1e-11)


# --- Days -----------------------------------------------------------------------------------------


def test_a_period_is_a_selection():
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed, time=PERIOD)
    xr.testing.assert_allclose(scores, metrics.evaluate(simulated.sel(time=PERIOD), observed))
    assert (scores["n_days"] <= 105).all()
    for metric in SINGLE.values():
        expected = metric(simulated.sel(time=PERIOD), observed.sel(time=PERIOD))
        xr.testing.assert_identical(metric(simulated, observed, time=PERIOD), expected)


def test_periods_that_are_none_are_refused():
    simulated, observed = basins()
    with pytest.raises(EmptySelectionError, match="'simulated': no day in"):
        metrics.nse(simulated, observed, time=slice("2010", "2011"))
    with pytest.raises(DescriptionError, match="expected a period"):
        metrics.nse(simulated, observed, time="1991")
    with pytest.raises(DimensionError, match="'simulated' has no coordinate 'time'"):
        metrics.nse(simulated.rename(time="day"), observed.rename(time="day"), "day", time=PERIOD)


# --- Masks ----------------------------------------------------------------------------------------


def test_a_mask_leaves_values_out():
    """Of any of the dimensions, of either array, in any order."""
    simulated, observed = basins()
    winter = simulated["time"].dt.month.isin([12, 1, 2])
    high = observed > 1
    for mask in (winter, high, high & winter, xr.DataArray([True, True, False, True], dims="basin")):
        scores = metrics.evaluate(simulated, observed, mask=mask)
        xr.testing.assert_allclose(scores, metrics.evaluate(simulated, observed.where(mask)))
    assert scores["n_days"][2] == 0
    for metric in SINGLE.values():
        expected = metric(simulated, observed.where(winter))
        xr.testing.assert_allclose(metric(simulated, observed, mask=winter), expected)


def test_a_mask_is_matched_by_label():
    """It may know more days than the data, in another order."""
    simulated, observed = basins()
    mask = (observed > 1).isel(time=slice(None, None, -1), basin=[2, 0, 1, 3])
    part = simulated.isel(time=slice(50, 250))
    expected = metrics.evaluate(part, observed.where(observed > 1))
    xr.testing.assert_allclose(metrics.evaluate(part, observed, mask=mask), expected)


def test_a_mask_may_have_the_dimensions_that_one_of_the_two_has():
    simulated, observed = basins()
    members = xr.concat([simulated, 2 * simulated], "member")
    mask = xr.concat([simulated > 1, simulated < 1], "member")
    scores = metrics.evaluate(members, observed, mask=mask)
    second = metrics.evaluate(2 * simulated, observed, mask=simulated < 1)
    xr.testing.assert_allclose(scores.isel(member=1), second)
    swapped = metrics.rmse(observed, members.assign_attrs(units="mm/day"), mask=mask)
    np.testing.assert_allclose(swapped.transpose("member", "basin"), scores["rmse"])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda mask: mask.astype(int),
            DescriptionError,
            "a DataArray of int64; expected a DataArray of bool",
        ),
        (lambda mask: mask.values, DescriptionError, "mask is ndarray; expected a DataArray of bool, True"),
        (lambda mask: mask.rename(basin="gauge"), DimensionError, "the mask has dimension 'gauge'"),
        (
            lambda mask: mask.isel(time=slice(10, None)),
            CoordinateError,
            "the mask lacks 10, first 1990-10-01 .* labels of 'time'",
        ),
        (lambda mask: mask.isel(basin=[0, 0, 1, 2, 3]), CoordinateError, "repeats some"),
        (
            lambda mask: mask.drop_vars("time").isel(time=slice(9)),
            CoordinateError,
            "9 values along 'time', the data",
        ),
    ],
)
def test_masks_that_do_not_fit_are_refused(change, error, message):
    simulated, observed = basins()
    with pytest.raises(error, match=message):
        metrics.nse(simulated, observed, mask=change(observed > 1))

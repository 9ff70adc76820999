"""All metrics at once: values of plain Python, labels, attributes, and lazy results."""

from __future__ import annotations

import math

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hydroxr import metrics
from hydroxr.errors import DescriptionError
from tests.support.metrics_by_hand import EVALUATED, SINGLE, basins, by_hand, refuse_to_compute, series

pytestmark = pytest.mark.filterwarnings("error")


def test_values_agree_with_plain_python_in_every_basin():
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed)
    for basin in scores["basin"].values:
        expected = by_hand(simulated.sel(basin=basin).values, observed.sel(basin=basin).values)
        found = {name: float(scores[name].sel(basin=basin)) for name in EVALUATED}
        assert found == pytest.approx(expected, rel=1e-10, nan_ok=True)


FLOW = st.one_of(st.just(math.nan), st.integers(1, 6400).map(lambda steps: steps / 64))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(FLOW, FLOW), min_size=1, max_size=60))
def test_any_series_gives_the_values_of_plain_python_or_nan(pairs):
    simulated, observed = (np.array(column) for column in zip(*pairs, strict=True))
    scores = metrics.evaluate(series(simulated), series(observed))
    there = ~np.isnan(simulated) & ~np.isnan(observed)
    assert int(scores["n_days"]) == there.sum()
    if there.sum() < 2:
        assert all(np.isnan(scores[name]) for name in EVALUATED if name != "n_days")
    elif len(set(simulated[there])) > 1 and len(set(observed[there])) > 1:
        found = {name: float(scores[name]) for name in EVALUATED}
        assert found == pytest.approx(by_hand(simulated, observed), rel=1e-9, abs=1e-9, nan_ok=True)


def test_a_perfect_simulation():
    _, observed = basins()
    scores = metrics.evaluate(observed, observed)
    for name in ("nse", "kge", "r", "alpha", "beta", "log_nse", "kge_2012", "gamma"):
        np.testing.assert_allclose(scores[name], 1.0, rtol=1e-12)
    for name in ("rmse", "pbias", "flv", "fhv"):
        np.testing.assert_array_equal(scores[name], 0.0)
    timing = metrics.peak_timing(observed, observed, distance=10)
    np.testing.assert_array_equal(timing, 0.0)


def test_a_simulation_twice_too_large():
    observed = series(np.arange(1.0, 101.0))
    scores = metrics.evaluate(2 * observed, observed)
    assert float(scores["r"]) == pytest.approx(1.0)
    assert float(scores["alpha"]) == pytest.approx(2.0)
    assert float(scores["beta"]) == pytest.approx(2.0)
    assert float(scores["kge"]) == pytest.approx(1 - math.sqrt(2))
    assert float(scores["gamma"]) == pytest.approx(1.0)
    assert float(scores["kge_2012"]) == pytest.approx(0.0)  # the bias counts once
    assert float(scores["pbias"]) == pytest.approx(100.0)
    assert float(scores["flv"]) == pytest.approx(100.0)
    assert float(scores["fhv"]) == pytest.approx(100.0)
    # the mean of squares of 1..n is (n + 1)(2n + 1)/6, their variance (n^2 - 1)/12
    assert float(scores["rmse"]) == pytest.approx(math.sqrt(101 * 201 / 6))
    assert float(scores["nse"]) == pytest.approx(1 - (101 * 201 / 6) / ((100**2 - 1) / 12))


def test_each_function_is_a_variable_of_evaluate():
    simulated, observed = basins()
    scores = metrics.evaluate(simulated, observed)
    assert list(scores.data_vars) == EVALUATED
    for name, metric in SINGLE.items():
        if name in scores:
            xr.testing.assert_identical(metric(simulated, observed), scores[name])
    xr.testing.assert_identical(metrics.correlation(simulated, observed), scores["r"])
    xr.testing.assert_identical(metrics.kge_parts(simulated, observed), scores[["r", "alpha", "beta"]])
    xr.testing.assert_identical(metrics.kge_2012_parts(simulated, observed), scores[["r", "gamma", "beta"]])
    xr.testing.assert_allclose(
        metrics.bias(simulated, observed),
        (simulated - observed).mean("time"),
    )


def test_attributes_come_from_the_table_and_no_others():
    scores = metrics.evaluate(*basins())
    units = {name: scores[name].attrs.pop("units") for name in EVALUATED}
    percent, flow = ("pbias", "flv", "fhv"), ("rmse",)
    expected = {n: "%" if n in percent else "kg m-2 day-1" if n in flow else "1" for n in EVALUATED}
    assert units == expected | {"peak_timing": "day"}
    assert all(list(scores[name].attrs) == ["long_name"] for name in EVALUATED)
    assert scores.attrs == {}


def test_coordinates_of_space_are_kept():
    simulated, observed = basins()
    simulated = simulated.assign_coords(elevation=("basin", [1.0, 2.0, 3.0, 4.0]))
    observed = observed.assign_coords(elevation=("basin", [1.0, 2.0, 3.0, 4.1]))
    scores = metrics.evaluate(simulated, observed)
    assert set(scores.coords) == {"basin", "basin_id", "elevation"}
    assert scores["elevation"].values.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert scores["nse"].dims == ("basin",)


def test_inputs_are_left_as_they_were():
    simulated, observed = basins()
    copies = simulated.copy(deep=True), observed.copy(deep=True)
    metrics.evaluate(simulated, observed)
    xr.testing.assert_identical(simulated, copies[0])
    xr.testing.assert_identical(observed, copies[1])


def test_a_grid_and_any_order_of_dimensions():
    simulated, observed = basins(6)
    flat = metrics.evaluate(simulated, observed)
    grid = [
        a.drop_vars(["basin", "basin_id"]).data.reshape(shape)
        for a, shape in ((simulated, (2, 3, -1)), (observed.transpose(), (2, 3, -1)))
    ]
    coords = {"time": simulated["time"], "lat": [50.0, 50.5], "lon": [7.0, 7.5, 8.0]}
    first = xr.DataArray(grid[0], dims=("lat", "lon", "time"), coords=coords)
    second = xr.DataArray(grid[1], dims=("lat", "lon", "time"), coords=coords).transpose("lon", "time", "lat")
    scores = metrics.evaluate(first, second)
    assert scores["nse"].dims == ("lat", "lon")
    for name in EVALUATED:
        np.testing.assert_allclose(scores[name].values.ravel(), flat[name].values)


def test_members_of_an_ensemble_share_the_observations():
    simulated, observed = basins()
    members = xr.concat([simulated, 2 * simulated], "member")
    scores = metrics.evaluate(members, observed)
    assert scores["nse"].sizes == {"member": 2, "basin": 4}
    xr.testing.assert_allclose(scores.isel(member=1), metrics.evaluate(2 * simulated, observed))


@pytest.mark.parametrize("chunks", [{"basin": 2}, {"time": 70}, {"basin": 3, "time": 113}, {"time": -1}])
@pytest.mark.parametrize("which", ["both", "simulated", "observed"])
def test_lazy_is_eager_with_any_chunks(chunks, which):
    simulated, observed = basins()
    eager = metrics.evaluate(simulated, observed)
    if which != "observed":
        simulated = simulated.chunk(chunks)
    if which != "simulated":
        observed = observed.chunk({name: size if size < 0 else size + 1 for name, size in chunks.items()})
    with dask.config.set(scheduler=refuse_to_compute):
        lazy = metrics.evaluate(simulated, observed)
        single = {name: metric(simulated, observed) for name, metric in SINGLE.items()}
    assert all(lazy[name].chunks is not None for name in EVALUATED)
    assert all(result.chunks is not None for result in single.values())
    xr.testing.assert_allclose(lazy.compute(scheduler="threads"), eager, rtol=1e-11)
    assert lazy["nse"].attrs == eager["nse"].attrs


def test_lazy_stays_chunked_in_space():
    simulated, observed = (array.chunk(basin=1, time=50) for array in basins())
    for variable in metrics.evaluate(simulated, observed).data_vars.values():
        assert variable.chunks == ((1, 1, 1, 1),)


def test_what_is_no_data_array_is_refused() -> None:
    """With the call that was meant."""
    simulated, observed = basins()
    sim, ds = simulated.to_dataset(name="streamflow"), observed.to_dataset(name="streamflow")
    for call in (metrics.nse, metrics.evaluate):
        with pytest.raises(DescriptionError, match=r"'simulated' is a Dataset.*sim.hbv.evaluate\(ds\)"):
            call(sim, ds)
        with pytest.raises(DescriptionError, match=r"'observed' is ndarray.*xr.DataArray\(values"):
            call(simulated, observed.values)
    with pytest.raises(DescriptionError, match=r"are a DataArray.*metrics.evaluate\(sim\['streamflow'\]"):
        sim.hbv.evaluate(observed)

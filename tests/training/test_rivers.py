"""Training through rivers finds travel times, learns from nested gauges, and refuses what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from hydroxr.models.model import Model
from hydroxr.physics.rivers.learnt import RiverParameters
from hydroxr.training.loop.batches import at_gauges, cells_above, gauges_above
from hydroxr.training.rivers import rivers_of
from tests.support.labelled import make_dataset, make_parameters, untrained

DOWNSTREAM = {"a": "c", "b": "c", "c": "e", "d": "e", "e": ""}  # c and d meet in e
GAUGES = {"bridge": "c", "mouth": "e"}
WARMUP = 60


def virtual(days: int = 300) -> tuple[xr.Dataset, hx.RiverNetwork, dict[str, Any], xr.DataArray]:
    """Forcing, a network, narrow ranges around the parameters of HBV, and the true discharge."""
    ds = make_dataset(days, 5).drop_vars(["basin_id", "streamflow"]).assign_coords(basin=[*DOWNSTREAM])
    some = make_parameters(ds, components=1, without=("BETAET",))
    parameters = some.map(lambda values: xr.full_like(values, values.values.ravel()[0]))
    table = xr.Dataset(
        {
            "downstream": ("reach", np.array([*DOWNSTREAM.values()], dtype=object)),
            "length": ("reach", np.array([60e3, 45e3, 110e3, 80e3, 70e3]), {"units": "m"}),
            "travel_time": ("reach", np.array([1.0, 1.5, 2.2, 0.6, 1.3]), {"units": "days"}),
            "x": ("reach", np.full(5, 0.2)),
            "area": ("reach", np.array([120.0, 90.0, 200.0, 60.0, 150.0]), {"units": "km2"}),
        },
        {"reach": [*DOWNSTREAM]},
    )
    network = hx.RiverNetwork(table)
    truth = ds.hbv.simulate(parameters, dtype="float64").hbv.route(network)["discharge"]
    known = {str(name): float(values.values.ravel()[0]) for name, values in parameters.items()}
    ranges = {name: tuple(sorted((0.99 * value, 1.01 * value))) for name, value in known.items()}
    return ds, network, ranges, truth


def at(truth: xr.DataArray, gauges: dict[str, str]) -> xr.DataArray:
    some = truth.sel(reach=list(gauges.values()))
    return some.drop_vars("reach").rename(reach="gauge").assign_coords(gauge=[*gauges])


def fit(ds: xr.Dataset, network: Any, truth: Any, gauges: Any = GAUGES, **options: Any) -> Model:
    spec = options.pop("spec", hx.DeltaHBV(components=1, network="constant"))
    target = at(truth, gauges) if isinstance(truth, xr.DataArray) else truth
    usual = {"iterations": 2, "window": 40, "warmup": WARMUP, "progress": False}
    return ds.hbv.fit(spec, rivers=network, gauges=gauges, target=target, **usual | options)


def test_travel_times_are_found_where_the_truth_is_known() -> None:
    """From 1 m/s on, within 5 %; a gauge at each reach, and HBV known to 1 %."""
    ds, network, ranges, truth = virtual()
    start = hx.RiverNetwork(network.table.drop_vars(["travel_time", "x"]))
    spec = hx.DeltaHBV(components=1, network="constant", ranges=ranges)
    gauges = {label: label for label in DOWNSTREAM}
    model = fit(ds, start, truth, gauges, spec=spec, iterations=100, window=240, loss="nse")
    found = start.learnt(model)
    np.testing.assert_allclose(found.values("travel_time"), network.values("travel_time"), rtol=0.05)
    assert np.abs(start.values("length") / 86400 / network.values("travel_time") - 1).max() > 0.3
    routed = ds.hbv.simulate(model).hbv.route(found)["discharge"].isel(time=slice(WARMUP, None))
    assert float(hx.metrics.nse(routed, truth.isel(time=slice(WARMUP, None))).min()) > 0.99


def test_what_a_gauge_learns_from_is_what_route_gives() -> None:
    """The routed streamflow of a batch is that of ``sim.hbv.route``, in mm/day of the area above."""
    ds, network, _, truth = virtual(120)
    through = rivers_of(network, GAUGES, at(truth, GAUGES), None, ())
    assert through is not None
    spec = hx.DeltaHBV(components=1, network="constant")
    inputs, rivers = through.prepared(ds, spec, None, 10)
    parameters = make_parameters(ds, components=1)
    sim = ds.hbv.simulate(parameters, dtype="float64")
    start = (rivers.travel_time, rivers.x, rivers.attributes)
    module = RiverParameters(*map(torch.from_numpy, start))
    gauges = np.array([1, 0])
    cells = cells_above(rivers, gauges)
    flow = torch.from_numpy(sim["streamflow"].transpose("time", "basin").values)[:, cells]
    found = at_gauges(module, rivers, gauges, cells, flow).detach()
    expected = sim.hbv.route(network, gauges=["e", "c"])["discharge"].transpose("time", "reach")
    area = network.accumulate(network.table["area"]).sel(reach=["e", "c"]).values
    np.testing.assert_allclose(found, expected.values * 86.4 / area, rtol=1e-6)
    assert gauges_above(rivers, 1).tolist() == [0, 1]
    below = inputs.observed.transpose("basin", "time").values
    np.testing.assert_array_equal(below[[0, 1]], below[[2, 2]])  # all above the bridge
    np.testing.assert_array_equal(below[3], below[4])


def test_a_nested_basin_learns_from_all_its_gauges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells above the bridge also have gradients from the mouth, and a batch of the mouth has both gauges."""
    from hydroxr.training.loop.session import Training

    drawn: list[np.ndarray] = []
    plain = Training._drawn

    def seen(self: Training) -> tuple[np.ndarray, np.ndarray]:
        cells, starts = plain(self)
        drawn.append(cells)
        return cells, starts

    monkeypatch.setattr(Training, "_drawn", seen)
    ds, network, _, truth = virtual(120)
    only = {"mouth": "e"}
    before = fit(ds, network, truth, only, iterations=1).weights["logits"]
    after = fit(ds, network, truth, only, iterations=3).weights["logits"]
    assert (np.abs(after - before).max(1) > 0).all()
    fit(ds, network, truth, iterations=4, batch=5)
    assert {tuple(cells) for cells in drawn[4:]} == {(0,), (0, 1)}


def test_attributes_give_travel_times_of_another_network(tmp_path: Path) -> None:
    ds, network, _, truth = virtual(120)
    model = fit(ds, network, truth, reach_attributes=("length", "area"))
    model.save(tmp_path / "model")
    again = hx.load_model(tmp_path / "model")
    found = network.subnetwork("c").learnt(again)
    expected = network.learnt(model).table.sel(reach=found.reaches)
    np.testing.assert_allclose(found.values("x"), expected["x"], rtol=1e-2)
    np.testing.assert_allclose(found.values("travel_time"), expected["travel_time"], rtol=1e-12)
    assert ds.hbv.simulate(again)["streamflow"].notnull().all()
    own = fit(ds, network, truth)
    with pytest.raises(errors.NetworkError, match="another network"):
        network.subnetwork("c").learnt(own)
    with pytest.raises(errors.DescriptionError, match="not trained through rivers"):
        network.learnt(
            ds.assign(streamflow=ds["prcp"]).hbv.fit(own.description, iterations=1, window=20, warmup=5)
        )


def test_it_begins_from_a_model_of_cells_alone() -> None:
    """K and X begin with those of the network, also where the model knows other rivers."""
    ds, network, _, truth = virtual(120)
    still = {"iterations": 1, "learning_rate": 1e-12}
    start = untrained(hx.DeltaHBV(components=1, network="mlp", hidden=3))
    model = fit(ds, network, truth, spec=start, **still)
    assert model.training["start"] == start.hash
    flows = [ds.hbv.simulate(each)["streamflow"] for each in (model, start)]
    np.testing.assert_allclose(*flows, rtol=1e-4, atol=1e-6)
    upper = network.subnetwork("c")
    again = fit(ds.sel(basin=upper.reaches), upper, truth, {"bridge": "c"}, spec=model, **still)
    np.testing.assert_allclose(upper.learnt(again).values("travel_time"), upper.values("travel_time"))


def test_cells_below_all_gauges_and_empty_gauges_are_left_out() -> None:
    ds, network, _, truth = virtual(120)
    observed = at(truth, GAUGES)
    observed.loc[{"gauge": "mouth"}] = np.nan
    with pytest.warns(errors.HydroxrWarning, match="mouth"):
        model = ds.hbv.fit(
            hx.DeltaHBV(components=1, network="constant"), rivers=network, gauges=GAUGES, target=observed,
            iterations=1, window=40, warmup=WARMUP, progress=False,
        )  # fmt: skip
    assert model.training["basins"] == ["basin a", "basin b", "basin c"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"network": "rivers"}, errors.DescriptionError, "RiverNetwork"),
        ({"gauges": {}}, errors.DescriptionError, "gauges"),
        ({"gauges": {"bridge": "z"}}, errors.CoordinateError, "no reach 'z'"),
        ({"truth": "discharge"}, errors.MissingVariableError, "'discharge'"),
        ({"truth": "prcp"}, errors.CoordinateError, "lacks gauge 'bridge'"),
        ({"spec": hx.LSTMStreamflow()}, errors.DescriptionError, "LSTM"),
        ({"validation": slice("2000-01-01", None)}, errors.DescriptionError, "validation"),
        ({"warmup_gradient": False}, errors.DescriptionError, "warmup_gradient"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    ds, network, _, truth = virtual(120)
    chosen = {"network": network, "truth": truth, "gauges": GAUGES} | options
    given = [chosen.pop(name) for name in ("network", "truth", "gauges")]
    if given[2] != GAUGES:
        given[1] = at(truth, GAUGES) if not given[2] else truth.rename(reach="gauge")
    with pytest.raises(error, match=message):
        ds.hbv.fit(
            chosen.pop("spec", hx.DeltaHBV(components=1, network="constant")), rivers=given[0],
            target=at(truth, GAUGES) if given[1] is truth else given[1], gauges=given[2], iterations=1,
            window=40, warmup=WARMUP, progress=False, **chosen,
        )  # fmt: skip


def test_options_of_rivers_need_rivers() -> None:
    ds, _, _, truth = virtual(120)
    with pytest.raises(errors.DescriptionError, match="give rivers=network"):
        ds.hbv.fit(hx.DeltaHBV(), target=truth)
    with pytest.raises(errors.DescriptionError, match="gauges belongs"):
        ds.hbv.fit(hx.DeltaHBV(), gauges=GAUGES)

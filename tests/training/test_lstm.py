"""``hx.LSTMStreamflow``: its description and inputs, and how it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    DescriptionError,
    DimensionError,
    HydroxrError,
    HydroxrWarning,
    MissingForcingError,
    MissingVariableError,
    TrainingError,
    UnitsError,
    ValueRangeError,
)
from hydroxr.models.model import Model
from hydroxr.models.specs import description_from
from tests.conftest import FIT
from tests.support.labelled import (
    assert_same_values,
    make_dataset,
)
from tests.support.trainings import Trouble

SPEC = hx.LSTMStreamflow(hidden=4)
OWN = {"srad": ("W m-2", 300.0), "vp": ("Pa", 800.0), "dayl": ("s", 4e4)}
LATER = slice("2000-02-15", "2000-02-29")


def with_own(ds: xr.Dataset) -> xr.Dataset:
    """With radiation, vapour pressure and day length, and without PET, which the benchmark does without."""
    rng = np.random.default_rng(9)
    for name, (units, size) in OWN.items():
        values = (size * rng.uniform(0.5, 1.5, ds["prcp"].shape)).astype("float32")
        ds[name] = (ds["prcp"].dims, values, {"units": units})
    return ds.drop_vars("pet")


def fit(ds: xr.Dataset, spec: hx.LSTMStreamflow = SPEC, **options: Any) -> Any:
    """Three iterations unless told otherwise."""
    return ds.hbv.fit(spec, **FIT | options)


@pytest.fixture
def data() -> xr.Dataset:
    """Three basins, 60 days."""
    return with_own(make_dataset())


@pytest.fixture(scope="module")
def model() -> Model:
    """Fitted to it; not to be changed."""
    return fit(with_own(make_dataset()))


# --- The inputs -------------------------------------------------------------------------------------


def test_check_tells_of_what_it_is_given(data: xr.Dataset) -> None:
    """It reports the benchmark's own forcing, or HBV's where no model is given."""
    report = data.drop_vars(("tmin", "tmax"), errors="ignore").hbv.check(SPEC)
    assert report.roles["vp"] == "vp (Pa)"
    assert report.roles["precipitation"] == "prcp (mm/day)"
    assert "potential evapotranspiration" not in report.roles
    with pytest.raises(MissingVariableError, match="no potential evapotranspiration"):
        data.drop_vars(("tmin", "tmax", "lat"), errors="ignore").hbv.check()
    with pytest.raises(MissingVariableError, match="'vp'"):
        data.drop_vars("vp").hbv.check(SPEC)
    with pytest.raises(UnitsError, match="vp"):
        data.assign(vp=data["vp"].assign_attrs(units="")).hbv.check(SPEC)
    with pytest.raises(DescriptionError, match="expected a description"):
        data.hbv.check("lstm")


# --- The description --------------------------------------------------------------------------------


def test_the_description() -> None:
    """Immutable plain values, there and back; the inputs of the paper by default."""
    spec = hx.LSTMStreamflow()
    assert (spec.symbol, spec.hidden, spec.dropout) == ("LSTM", 256, None)
    assert spec.forcing == ("prcp", "tmean", "srad", "vp", "dayl")
    for each in (
        spec,
        hx.LSTMStreamflow(np.int64(8), ["vp", "prcp"], 0.1),
        hx.DeltaHBV(dynamic="BETA", network="lstm"),
    ):
        assert description_from(json.loads(json.dumps(each.to_dict()))) == each
    assert spec.to_dict()["kind"] == "LSTMStreamflow"
    assert "kind" not in hx.DeltaHBV(network="lstm").to_dict()
    assert hash(spec) == hash(hx.LSTMStreamflow(256))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden": 0}, "hidden is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"forcing": ("srad", "vp")}, "add 'prcp'"),
        ({"forcing": ("prcp", "srad", "srad")}, "names that differ"),
        ({"forcing": ("prcp", 3)}, "names that differ"),
    ],
)
def test_a_description_that_does_not_exist(options: dict[str, Any], words: str) -> None:
    """Says which value."""
    with pytest.raises(DescriptionError, match=words):
        hx.LSTMStreamflow(**options)


def test_another_kind_is_not_known() -> None:
    """A newer version may have it."""
    with pytest.raises(DescriptionError, match=r"'Transformer'.*DeltaHBV or LSTMStreamflow"):
        description_from({"kind": "Transformer"})


# --- Learning ---------------------------------------------------------------------------------------


def test_it_learns_a_made_relation(data: xr.Dataset) -> None:
    """Streamflow that is a linear reservoir of the rain: the loss falls, and the simulation is close."""
    prcp = data["prcp"].transpose("time", "basin").values
    flow = np.zeros_like(prcp)
    for day in range(len(flow)):
        flow[day] = 0.6 * (flow[day - 1] if day else 1.0) + 0.4 * prcp[day]
    data["streamflow"] = (("time", "basin"), flow, {"units": "mm/day"})
    options = {"iterations": 250, "learning_rate": 0.02, "dropout": 0.0, "batch": 8, "time": None}
    model = fit(data, hx.LSTMStreamflow(hidden=16), **options)
    loss = model.history["loss"].values
    assert loss[-10:].mean() < 0.25 * loss[:5].mean()
    scores = data.hbv.simulate(model).hbv.evaluate(data, time=slice("2000-01-11", None))
    assert float(scores["nse"].min()) > 0.85


@pytest.mark.parametrize("loss", ["paper", "nse", "kge", "low_flow", {"transformed": 1.0, "nse": 0.1}])
def test_every_loss_by_name_works(data: xr.Dataset, loss: Any) -> None:
    """And moves the weights."""
    model = fit(data, loss=loss)
    assert model.training["loss"] == loss
    assert np.isfinite(model.history["loss"]).all()
    assert model.hash != fit(data, loss=loss, iterations=1).hash


def test_a_loss_of_one_s_own_has_streamflow_in_millimetres(data: xr.Dataset) -> None:
    """Nothing negative."""
    seen = []

    def loss(simulated: Any, observed: Any) -> Any:
        seen.append(float(simulated.detach().min()))
        return (simulated - observed).abs().nanmean()

    fit(data, loss=loss)
    assert min(seen) >= 0.0


def test_what_it_was_trained_with_is_kept(model: Model) -> None:
    """Protocol, units, normalisation."""
    assert model.training["loss"] == {"nse": 1.0, "low_flow": 1.0}
    assert model.description.dropout == 0.1
    assert model.forcing_units == {name: units for name, (units, _) in OWN.items()}
    assert "LSTM: 4 hidden units" in repr(model)
    flow = make_dataset().sel(time=FIT["time"])["streamflow"].values.astype(float)
    transformed = np.log10(np.sqrt(flow + 1e-6) + 0.1)
    np.testing.assert_allclose(model.weights["streamflow_mean"], [transformed.mean()], rtol=1e-5)
    np.testing.assert_allclose(model.weights["streamflow_std"], [transformed.std()], rtol=1e-5)


def test_the_paper_s_preset(data: xr.Dataset) -> None:
    """Adadelta, and its own loss."""
    model = fit(data, preset="paper", learning_rate=None, warmup=10)
    told = [model.training[key] for key in ("optimizer", "loss", "warmup_gradient", "learning_rate")]
    assert told == ["adadelta", "transformed", False, 1.0]
    assert fit(data, preset="paper", epochs=2, iterations=None).training["iterations"] == 6


def test_a_training_goes_on_as_if_nothing_had_happened(data: xr.Dataset, tmp_path: Path) -> None:
    """To the last bit; another training's checkpoint is refused."""
    loss = Trouble((4,), "interrupt")
    options = {"iterations": 6, "checkpoint": tmp_path / "run", "checkpoint_every": 2}
    with pytest.warns(HydroxrWarning, match="interrupted after 3 of 6"):
        fit(data, loss=loss, **options)
    resumed = fit(data, loss=loss, **options)
    whole = fit(data, loss=loss, iterations=6)
    assert resumed.hash == whole.hash
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    with pytest.raises(HydroxrError, match="model forcing"):
        fit(data, hx.LSTMStreamflow(4, ("prcp", "tmean")), loss=loss, **options)


@pytest.mark.parametrize("validation", [LATER, [20]])
def test_validation_is_the_nse_of_a_simulation(data: xr.Dataset, validation: Any) -> None:
    """In the period after its warm-up, or of cells that are held out."""
    model = fit(data, validation=validation, validate_every=3)
    period = isinstance(validation, slice)
    run = data.sel(time=slice("2000-02-05", None)) if period else data.sel(time=FIT["time"], basin=[20])
    counted = LATER if period else slice("2000-01-16", None)
    nse = run.hbv.simulate(model).hbv.evaluate(run, time=counted)["nse"].median()
    assert model.training["validation_nse"] == pytest.approx(float(nse), rel=1e-4)


def test_bfloat16_learns_too(data: xr.Dataset) -> None:
    """Something else, near float32."""
    losses = [fit(data, precision=precision).history["loss"].values for precision in ("bfloat16", "float32")]
    assert (losses[0] != losses[1]).any()
    np.testing.assert_allclose(*losses, rtol=0.1)


def test_batches_that_are_of_no_use(data: xr.Dataset) -> None:
    """End the training; the message names the cells to blame."""

    def bad(simulated: Any, observed: Any) -> Any:
        return (simulated * (1.0 / (observed < 1000).float())).sum()

    data["streamflow"][2] = np.linspace(1001.0, 9000.0, data.sizes["time"])
    with pytest.raises(TrainingError, match=r"not finite.*basin g2") as caught:
        fit(data, iterations=20, batch=20, loss=bad)
    assert "basin g0" not in str(caught.value)


# --- Forcing in units of its own --------------------------------------------------------------------


def test_units_are_converted_or_must_be_those_of_the_training(data: xr.Dataset, model: Model) -> None:
    """Kelvin is temperature; radiation in other units than it was learned with is refused, other spelling is
    not."""
    expected = data.hbv.simulate(model)
    kelvin = data.assign(tas=(data["tmean"] + 273.15).assign_attrs(units="K")).drop_vars("tmean")
    assert_same_values(kelvin.hbv.simulate(model), expected, rtol=1e-4, atol=1e-5)
    data["srad"].attrs["units"] = "W/m2"
    assert_same_values(data.hbv.simulate(model), expected)
    data["srad"].attrs["units"] = "MJ m-2 day-1"
    with pytest.raises(UnitsError, match=r"'srad' is in 'MJ m-2 day-1'.*trained with it in 'W m-2'"):
        data.hbv.simulate(model)


@pytest.mark.parametrize("which", ["fit", "simulate"])
def test_forcing_that_is_not_as_it_should_be(data: xr.Dataset, model: Model, which: str) -> None:
    """Absent, without units, no number, without time, missing, infinite: named, with cell and day."""

    def run(ds: xr.Dataset) -> None:
        _ = fit(ds) if which == "fit" else ds.hbv.simulate(model)

    bare = data.copy(deep=True)
    del bare["vp"].attrs["units"]
    gap, infinite = data.copy(deep=True), data.copy(deep=True)
    gap["srad"][1, 20] = np.nan
    infinite["dayl"][2, 21] = np.inf
    decoded = data["dayl"].astype("timedelta64[s]")
    cases: list[tuple[xr.Dataset, type[HydroxrError], str]] = [
        (data.drop_vars("srad"), MissingVariableError, "no 'srad'"),
        (bare, UnitsError, "'vp' has no 'units'"),
        (data.assign(dayl=decoded), UnitsError, r"'dayl' holds timedelta64.*decode_timedelta"),
        (data.assign(vp=data["vp"].isel(time=0, drop=True)), DimensionError, "'vp'.*'time'"),
        (gap, MissingForcingError, "'srad'.*1 of .*basin g1 on 2000-01-21"),
        (infinite, ValueRangeError, "'dayl' is infinite in basin g2 on 2000-01-22"),
    ]
    for ds, error, words in cases:
        with pytest.raises(error, match=words):
            run(ds)


def test_observed_streamflow_is_no_forcing(data: xr.Dataset) -> None:
    """What is to be learned is not told."""
    with pytest.raises(DescriptionError, match="'streamflow' is the observed"):
        fit(data, hx.LSTMStreamflow(4, ("prcp", "streamflow")))


def test_known_roles_alone_need_no_units_in_the_model(data: xr.Dataset, tmp_path: Path) -> None:
    """The forcing of HBV, PET from Hargreaves too."""
    ds = make_dataset()
    model = fit(ds, hx.LSTMStreamflow(4, ("pet", "prcp", "tmean")))
    assert model.forcing_units == {}
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert_same_values(ds.hbv.simulate(loaded), ds.hbv.simulate(model))

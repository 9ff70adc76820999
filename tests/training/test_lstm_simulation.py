"""A trained ``hx.LSTMStreamflow`` simulates, is saved, and goes the δ models' way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.__main__ import main
from hydroxr.errors import (
    DescriptionError,
    HydroxrError,
    MissingForcingError,
    MissingVariableError,
    ModelFileError,
    StateError,
)
from hydroxr.models import parameter_network as network
from hydroxr.models.ensemble import Ensemble
from hydroxr.models.files import JSON_FILE
from hydroxr.models.model import Model
from hydroxr.simulation.engine import block as blocks
from hydroxr.simulation.simulate import run_period
from tests.conftest import FIT
from tests.support.labelled import (
    assert_same_values,
    flattened,
    make_dataset,
    make_grid,
    raise_if_dask_computes,
)

SPEC = hx.LSTMStreamflow(hidden=4)
OWN = {"srad": ("W m-2", 300.0), "vp": ("Pa", 800.0), "dayl": ("s", 4e4)}
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
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


# --- Simulating -------------------------------------------------------------------------------------


def by_numpy(ds: xr.Dataset, model: Model) -> np.ndarray:
    """Streamflow (time, cell) of a saved model, written out in float64."""
    w = {name: array.astype(float) for name, array in model.weights.items()}
    names = model.description.forcing
    x = np.stack([ds[name].transpose("time", "basin").values.astype(float) for name in names], -1)
    x[..., 0] = np.log10(np.sqrt(x[..., 0]) + 0.1)
    x = (x - w["forcing_mean"]) / w["forcing_std"]
    columns = []
    for name in model.attributes:
        values = ds[name].values
        if name in model.categories:
            values = [model.categories[name].index(value) for value in values]
        columns.append(np.asarray(values, dtype="float32").astype(float))
    a = (np.stack(columns, -1) - w["attribute_mean"]) / w["attribute_std"]
    a = np.where(np.isnan(a), 0.0, a)
    h = c = np.zeros((x.shape[1], model.description.hidden))
    out = []
    for day in x:
        u = np.maximum(np.concatenate([day, a], -1) @ w["encode.weight"].T + w["encode.bias"], 0.0)
        gates = u @ w["weight_input"].T + w["bias_input"] + h @ w["weight_hidden"].T + w["bias_hidden"]
        i, f, g, o = np.split(gates, 4, axis=-1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        y = (h @ w["decode.weight"].T + w["decode.bias"])[:, 0]
        root = np.maximum(10 ** (y * w["streamflow_std"] + w["streamflow_mean"]) - 0.1, 0.0)
        out.append(np.maximum(root**2 - 1e-6, 0.0))
    return np.array(out)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_simulation_is_the_network_written_out(
    data: xr.Dataset, model: Model, tmp_path: Path, dtype: str
) -> None:
    """NumPy gives the same streamflow with the weights of a model that was saved and loaded."""
    loaded = hx.load_model(model.save(tmp_path / "model"))
    assert isinstance(loaded, Model)
    sim = data.hbv.simulate(loaded, dtype=dtype)["streamflow"]
    assert sim.dtype == dtype
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(sim.transpose("time", "basin"), by_numpy(data, loaded), **close)


def test_a_simulation_is_labelled_as_any(data: xr.Dataset, model: Model) -> None:
    """Streamflow alone, with its attributes, time bounds, and what made it."""
    sim = data.hbv.simulate(model)
    assert set(sim.data_vars) == {"streamflow", "attribute_flag"}
    attrs = sim["streamflow"].attrs
    assert (attrs["units"], attrs["cell_methods"]) == ("kg m-2 day-1", "time: mean")
    assert "hydrograph" not in attrs["long_name"]
    assert sim["time"].attrs["bounds"] == "time_bnds"
    assert sim["basin_id"].attrs["cf_role"] == "timeseries_id"
    assert sim.attrs["hydroxr_model"] == "LSTM"
    assert sim.attrs["title"] == "Streamflow simulated with an LSTM"
    assert sim.attrs["hydroxr_model_sha256"] == model.hash
    assert json.loads(sim.attrs["hydroxr_description"])["kind"] == "LSTMStreamflow"
    assert (sim["streamflow"] >= 0).all()
    assert sim.hbv.evaluate(data)["nse"].notnull().all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cut", [1, 30, 59])
def test_a_run_goes_on(data: xr.Dataset, model: Model, cut: int, dtype: str, tmp_path: Path) -> None:
    """Two runs are one run: hidden and cell state carry it on, through a file as well."""
    whole = data.hbv.simulate(model, dtype=dtype)
    first, state = data.isel(time=slice(0, cut)).hbv.simulate(model, return_state=True, dtype=dtype)
    assert set(state.data_vars) == {"network_hidden", "network_cell"}
    assert "State" in state.attrs["title"]
    state.to_netcdf(tmp_path / "state.nc")
    with xr.open_dataset(tmp_path / "state.nc") as kept:
        rest = data.isel(time=slice(cut, None))
        second = rest.hbv.simulate(model, initial_state=kept, dtype=dtype)
    joined = xr.concat([first["streamflow"], second["streamflow"]], "time")
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12}
    np.testing.assert_allclose(joined, whole["streamflow"], **close)
    with pytest.raises(StateError, match="day after"):
        data.hbv.simulate(model, initial_state=state)
    with pytest.raises(StateError, match="network_cell"):
        rest.hbv.simulate(model, initial_state=state.drop_vars("network_cell"))


def test_a_state_of_another_model_is_refused(data: xr.Dataset, model: Model) -> None:
    """Though it has the same shape."""
    _, state = data.hbv.simulate(model, variables=[], return_state=True)
    with pytest.raises(StateError, match="another model"):
        data.hbv.simulate(fit(data, seed=5), initial_state=state.drop_vars("time"))


@pytest.mark.parametrize("chunks", [{"basin": 1}, {"time": 7}, {"basin": (1, 2), "time": 13}])
def test_chunks_make_no_difference_and_nothing_is_computed(
    data: xr.Dataset, model: Model, chunks: Any
) -> None:
    """Lazy until asked."""
    expected, state = data.hbv.simulate(model, return_state=True)
    with raise_if_dask_computes():
        lazy, end = data.chunk(chunks).hbv.simulate(model, return_state=True)
        assert lazy["streamflow"].chunks
    assert_same_values(lazy.compute(), expected, **CLOSE)
    assert_same_values(end.compute(), state, **CLOSE)


def test_pieces_of_cells_and_of_days_make_no_difference(
    data: xr.Dataset, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory is short."""
    expected = data.hbv.simulate(model)
    monkeypatch.setattr(blocks, "BUDGET", 1)
    monkeypatch.setattr(network, "DAYS_AT_ONCE", 7)
    assert_same_values(data.hbv.simulate(model), expected, **CLOSE)


def test_on_a_grid_it_is_the_same(model: Model) -> None:
    """Trained and simulated on (time, lat, lon) as on the list of its cells."""
    grid = with_own(make_grid())
    of_grid = fit(grid)
    sim = grid.hbv.simulate(of_grid)
    assert sim["streamflow"].dims == ("time", "lat", "lon")
    listed = flattened(grid).hbv.simulate(of_grid)["streamflow"].transpose("time", "basin")
    np.testing.assert_allclose(sim["streamflow"].values.reshape(60, -1), listed, **CLOSE)
    assert sim.hbv.evaluate(grid)["nse"].dims == ("lat", "lon")
    assert_same_values(grid.chunk(lat=1, time=9).hbv.simulate(of_grid).compute(), sim, **CLOSE)


def test_gaps_are_filled_and_flagged_on_request(data: xr.Dataset, model: Model) -> None:
    """By interpolation, in any input; a cell without any has no streamflow."""
    gappy = data.copy(deep=True)
    gappy["srad"][0, 5] = np.nan
    gappy["vp"][1] = np.nan
    sim = gappy.hbv.simulate(model, missing="fill")
    assert sim["forcing_flag"].values[0, 5] == 1
    assert (sim["forcing_flag"].values[1] == 2).all()
    assert sim["streamflow"].isnull().values.any(axis=1).tolist() == [False, True, False]
    by_hand = data.copy(deep=True)
    by_hand["srad"][0, 5] = 0.5 * (data["srad"][0, 4] + data["srad"][0, 6])
    expected = by_hand.hbv.simulate(model)["streamflow"]
    np.testing.assert_allclose(sim["streamflow"][[0, 2]], expected[[0, 2]], **CLOSE)


# --- What an LSTM does not have ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"variables": ["streamflow", "baseflow"]}, MissingVariableError, "'baseflow'.*an LSTM.*streamflow"),
        ({"variables": "nonsense"}, MissingVariableError, "'nonsense' is not an output"),
        ({"components": True}, DescriptionError, "no components"),
        ({"backend": "cpu"}, DescriptionError, "backend='cpu'.*'auto'"),
        ({"members": True}, DescriptionError, "members"),
    ],
)
def test_what_it_does_not_have_is_refused(
    data: xr.Dataset, model: Model, options: Any, error: type[HydroxrError], words: str
) -> None:
    """By name, with what to do."""
    with pytest.raises(error, match=words):
        data.hbv.simulate(model, **options)


def test_it_has_no_balance_and_no_parameters(data: xr.Dataset, model: Model) -> None:
    """Clear errors."""
    with pytest.raises(MissingVariableError, match=r"an LSTM.*no water balance.*DeltaHBV"):
        data.hbv.simulate(model).hbv.water_balance()
    with pytest.raises(DescriptionError, match=r"no parameters.*DeltaHBV"):
        data.hbv.parameters(model)
    with pytest.raises(DescriptionError, match="only a constant network"):
        model.constant_parameters()
    assert model.runoff_network() is None


# --- Files, ensembles, cross-validation, commands ---------------------------------------------------


def test_models_on_disk(model: Model, static_model: Model, tmp_path: Path) -> None:
    """The same hash; units count for it; what a δ model's file holds has not changed."""
    folder = model.save(tmp_path / "model")
    assert hx.load_model(folder) == model
    content = json.loads((folder / JSON_FILE).read_text())
    assert content["hydroxr_format"] == 1
    content["forcing_units"]["srad"] = "kW m-2"
    (folder / JSON_FILE).write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match="checksum"):
        hx.load_model(folder)
    delta = json.loads((static_model.save(tmp_path / "delta") / JSON_FILE).read_text())
    assert "forcing_units" not in delta
    assert "kind" not in delta["description"]


def test_ensembles(data: xr.Dataset, model: Model, tmp_path: Path) -> None:
    """Mean, spread and members; saved, and continued."""
    ensemble = fit(data, seeds=2)
    assert isinstance(ensemble, Ensemble)
    assert ensemble.members[0] == model
    sim, state = data.isel(time=slice(0, 40)).hbv.simulate(ensemble, return_state=True)
    assert set(sim.data_vars) == {"streamflow", "streamflow_spread", "attribute_flag"}
    flows = [data.hbv.simulate(member)["streamflow"].values for member in ensemble.members]
    np.testing.assert_allclose(sim["streamflow"], np.mean(flows, 0)[:, :40], **CLOSE)
    rest = data.isel(time=slice(40, None)).hbv.simulate(ensemble, initial_state=state, members=True)
    np.testing.assert_allclose(rest["streamflow"], np.stack(flows)[..., 40:], **CLOSE)
    assert hx.load_model(ensemble.save(tmp_path / "ensemble")) == ensemble
    with pytest.raises(DescriptionError, match="no parameters"):
        data.hbv.parameters(ensemble)


def test_a_period_after_its_warmup(data: xr.Dataset, model: Model) -> None:
    """What ``simulate --time`` does: the end of a whole run."""
    whole = data.hbv.simulate(model)["streamflow"].sel(time=LATER)
    part = run_period(data, model, LATER)["streamflow"]
    np.testing.assert_allclose(part, whole, **CLOSE)


def test_cross_validation(tmp_path: Path) -> None:
    """Each cell by a model that did not see it; a repeated call takes the models that are there."""
    ds = with_own(make_dataset(cells=4)).assign(pub_fold=("basin", [1, 2, 1, 2]))
    cv = ds.hbv.cross_validate(SPEC, models=tmp_path / "cv", **FIT)
    assert set(cv.data_vars) == {"streamflow"}
    assert "an LSTM" in cv.attrs["title"]
    for label in (1, 2):
        held = ds["pub_fold"].values == label
        sim = ds.isel(basin=held).hbv.simulate(fit(ds.isel(basin=~held)))
        np.testing.assert_array_equal(cv["streamflow"].values[held], sim["streamflow"].values)
    again = ds.hbv.cross_validate(SPEC, simulate_time=LATER, variables=None, models=tmp_path / "cv", **FIT)
    xr.testing.assert_equal(again["streamflow"], cv["streamflow"].sel(time=LATER))
    ds["srad"].attrs["units"] = "kW m-2"
    with pytest.raises(ModelFileError, match="other data"):
        ds.hbv.cross_validate(SPEC, models=tmp_path / "cv", **FIT)
    with pytest.raises(MissingVariableError, match="'baseflow'"):
        ds.hbv.cross_validate(SPEC, variables=["baseflow"], **FIT)
    ds["srad"][1, 20] = np.nan
    with pytest.raises(MissingForcingError, match=r"'srad'.*basin g1"):
        ds.hbv.cross_validate(SPEC, **FIT)


def test_the_commands_know_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``fit --model lstm``, then as with any model."""
    ds = hx.open_sample().sel(time=slice("1980-01-01", "1982-12-31"))
    data, model, out = (str(tmp_path / name) for name in ("own.zarr", "model", "run.zarr"))
    ds.hbv.to_zarr(data)
    command = ["fit", "--data", data, "--out", model, "--model", "lstm", "--forcing", "prcp", "tmean", "pet"]
    command += ["--attributes", "elev_median", "--hidden", "4", "--batch", "2", "--iterations", "1"]
    assert main([*command, "--time", "1980-01-01:1981-12-31"]) == 0
    assert "LSTM: 4 hidden units" in capsys.readouterr().out
    assert main(["simulate", "--data", data, "--model", model, "--out", out, "--time", "1982-01-01:"]) == 0
    whole = ds.hbv.simulate(hx.load_model(model)).sel(time=slice("1982-01-01", None))
    np.testing.assert_allclose(xr.open_zarr(out)["streamflow"], whole["streamflow"], **CLOSE)
    assert main(["evaluate", out, "--observed", data]) == 0
    assert "2 cells with observations" in capsys.readouterr().out

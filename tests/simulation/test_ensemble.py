"""Ensembles: several seeds, one object that is simulated, saved and continued like a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, HydroxrWarning, ModelFileError, StateError, TrainingError
from hydroxr.models.ensemble import Ensemble
from hydroxr.models.files import ENSEMBLE_FILE
from hydroxr.simulation.simulate import run_period
from hydroxr.training.loop.losses import paper_loss
from hydroxr.training.loop.session import Training
from tests.conftest import FIT
from tests.support.cluster import local_client
from tests.support.labelled import assert_same_values, make_dataset, raise_if_dask_computes

SPECS = {
    "constant": hx.DeltaHBV(components=2, network="constant"),
    "dynamic": hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET"), network="lstm"),
}
KINDS = tuple(SPECS)
SEEDS = (3, 1, 4)


def train(kind: str, **options: Any) -> Ensemble:
    """Three members."""
    return make_dataset().hbv.fit(SPECS[kind], **FIT | {"seeds": SEEDS} | options)


@pytest.fixture(scope="module")
def ensembles() -> dict[str, Ensemble]:
    """One of each kind."""
    return {kind: train(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_the_models_of_their_seeds(
    ds: xr.Dataset, ensembles: dict[str, Ensemble], kind: str
) -> None:
    """As trained alone; their number instead of seeds counts from ``seed``."""
    ensemble = ensembles[kind]
    for seed, member in zip(SEEDS, ensemble.members, strict=True):
        assert member == ds.hbv.fit(SPECS[kind], seed=seed, **FIT)
        assert member.training["seed"] == seed
    assert train(kind, seeds=2, seed=3).members[:1] == ensemble.members[:1]
    assert train(kind, seeds=np.int64(2), seed=3).seeds == [3, 4]
    assert len(ensemble) == 3
    assert ensemble.seeds == list(SEEDS)
    assert ensemble.history["loss"].sizes == {"member": 3, "iteration": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulation_is_the_members_mean_with_their_spread(
    ds: xr.Dataset, ensembles: dict[str, Ensemble], kind: str
) -> None:
    """NumPy gives the same for every variable; labels and attributes are those of any simulation."""
    sims = [ds.hbv.simulate(member) for member in ensembles[kind].members]
    out = ds.hbv.simulate(ensembles[kind])
    assert set(out.data_vars) == {*sims[0].data_vars, "streamflow_spread"}
    for name in sims[0].data_vars:
        values = np.stack([sim[name].values for sim in sims])
        np.testing.assert_allclose(out[name], values.mean(0), rtol=1e-5, atol=1e-6, err_msg=str(name))
        assert out[name].dims == sims[0][name].dims
        assert out[name].dtype == sims[0][name].dtype
        attrs, expected = dict(out[name].attrs), dict(sims[0][name].attrs)
        if name == "streamflow":  # beside what the members name: the flag, of a regional model
            flags = expected.pop("ancillary_variables", "").split()
            assert attrs.pop("ancillary_variables").split() == [*flags, "streamflow_spread"]
        assert xr.DataArray(0, attrs=attrs).identical(xr.DataArray(0, attrs=expected))
    flows = np.stack([sim["streamflow"].values for sim in sims])
    np.testing.assert_allclose(out["streamflow_spread"], flows.std(0), rtol=1e-3, atol=1e-5)
    assert (out["streamflow_spread"] > 0).any()
    assert out["streamflow_spread"].attrs["units"] == "kg m-2 day-1"
    coords = [each.coords.to_dataset().drop_attrs(deep=False) for each in (out, sims[0])]
    xr.testing.assert_identical(*coords)
    assert out.attrs["hydroxr_model_sha256"] == ensembles[kind].hash
    assert [entry["seed"] for entry in json.loads(out.attrs["hydroxr_training"])] == list(SEEDS)


@pytest.mark.parametrize("kind", KINDS)
def test_members_can_be_kept_apart(ds: xr.Dataset, ensembles: dict[str, Ensemble], kind: str) -> None:
    """Each as simulated alone."""
    out = ds.hbv.simulate(ensembles[kind], members=True, components=True)
    assert out["soil_moisture"].dims[0] == "member"
    assert "streamflow_spread" not in out
    for place, member in enumerate(ensembles[kind].members):
        assert_same_values(out.sel(member=place), ds.hbv.simulate(member, components=True))


def test_the_water_balance_of_the_mean_closes(ds: xr.Dataset, ensembles: dict[str, Ensemble]) -> None:
    """The mean of balances is a balance."""
    sim = ds.hbv.simulate(ensembles["dynamic"], dtype="float64")
    assert float(abs(sim.hbv.water_balance()["residual"]).max()) < 1e-9
    assert (sim.hbv.evaluate(ds)["nse"].notnull()).all()


def test_a_lazy_input_stays_lazy(ds: xr.Dataset, ensembles: dict[str, Ensemble]) -> None:
    """Nothing is computed before it is asked for."""
    lazy = ds.chunk(basin=1)
    for members in (False, True):
        with raise_if_dask_computes():
            out = lazy.hbv.simulate(ensembles["dynamic"], members=members)
        assert out["streamflow"].chunks is not None
        expected = ds.hbv.simulate(ensembles["dynamic"], members=members)
        assert_same_values(out.compute(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_member_by_member(ds: xr.Dataset, ensembles: dict[str, Ensemble], kind: str) -> None:
    """The state has all of them: two runs are one run."""
    whole = ds.hbv.simulate(ensembles[kind], dtype="float64")
    first, state = ds.isel(time=slice(0, 50)).hbv.simulate(
        ensembles[kind], return_state=True, dtype="float64"
    )
    assert state["soil_moisture"].dims[0] == "member"
    rest = ds.isel(time=slice(50, None))
    second = rest.hbv.simulate(ensembles[kind], initial_state=state, dtype="float64")
    joined = xr.concat([first["streamflow"], second["streamflow"]], "time")
    np.testing.assert_allclose(joined, whole["streamflow"], rtol=1e-5, atol=1e-8)
    other = Ensemble(ensembles[kind].members[::-1])
    with pytest.raises(StateError, match="another ensemble"):
        rest.hbv.simulate(other, initial_state=state)
    with pytest.raises(StateError, match=r"3 members, the ensemble 2"):
        rest.hbv.simulate(Ensemble(ensembles[kind].members[:2]), initial_state=state)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_have_a_dimension_member(
    ds: xr.Dataset, ensembles: dict[str, Ensemble], kind: str
) -> None:
    """Each member its own."""
    out = ds.hbv.parameters(ensembles[kind])
    for place, member in enumerate(ensembles[kind].members):
        assert_same_values(ds.hbv.parameters(member), out.sel(member=place))


def test_a_period_is_warmed_up_by_the_days_before_it(ds: xr.Dataset, ensembles: dict[str, Ensemble]) -> None:
    """As the command line does it."""
    for ensemble in ensembles.values():
        out = run_period(ds, ensemble, slice("2000-02-01", None))
        whole = ds.hbv.simulate(ensemble)["streamflow"].sel(time=slice("2000-02-01", None))
        np.testing.assert_allclose(out["streamflow"], whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["to_netcdf", "to_zarr"])
@pytest.mark.parametrize("members", [False, True])
def test_results_can_be_written(
    ds: xr.Dataset, ensembles: dict[str, Ensemble], how: str, members: bool, tmp_path: Path
) -> None:
    """And read again."""
    sim = ds.hbv.simulate(ensembles["dynamic"], members=members)
    path = getattr(sim.hbv, how)(tmp_path / "run")
    again = xr.open_zarr(path) if how == "to_zarr" else xr.open_dataset(path)
    np.testing.assert_allclose(again["streamflow"], sim["streamflow"], rtol=1e-6)
    assert ("member" in again.dims) is members


@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_is_the_same_after_the_disk(
    ds: xr.Dataset, ensembles: dict[str, Ensemble], kind: str, tmp_path: Path
) -> None:
    """One folder, read by hx.load_model; it takes the place of a model and a model its."""
    ensemble = ensembles[kind]
    loaded = hx.load_model(ensemble.save(tmp_path / "ensemble"))
    assert isinstance(loaded, hx.Ensemble)
    assert loaded == ensemble
    assert hash(loaded) == hash(ensemble)
    assert loaded.hash == ensemble.hash
    assert repr(loaded) == repr(ensemble)
    assert [m.training for m in loaded.members] == [m.training for m in ensemble.members]
    ensemble.members[0].save(tmp_path / "ensemble", overwrite=True)
    assert hx.load_model(tmp_path / "ensemble") == ensemble.members[0]
    ensemble.save(tmp_path / "ensemble", overwrite=True)
    assert hx.load_model(tmp_path / "ensemble") == ensemble
    assert [path.name for path in tmp_path.iterdir()] == ["ensemble"]
    (tmp_path / "precious").write_text("precious")
    with pytest.raises(ModelFileError, match="another path"):
        ensemble.save(tmp_path / "precious")


@pytest.mark.parametrize("how", ["absent", "swapped", "newer", "cut", "empty"])
def test_an_ensemble_that_is_not_what_was_saved_is_refused(
    ensembles: dict[str, Ensemble], how: str, tmp_path: Path
) -> None:
    """When it is read."""
    path = ensembles["constant"].save(tmp_path / "ensemble")
    index = path / ENSEMBLE_FILE
    content = json.loads(index.read_text())
    if how == "absent":
        shutil.rmtree(path / "member-1")
    elif how == "swapped":
        (path / "member-1").rename(path / "x")
        (path / "member-0").rename(path / "member-1")
        (path / "x").rename(path / "member-0")
    elif how == "newer":
        index.write_text(json.dumps(content | {"hydroxr_format": 99}))
    elif how == "cut":
        index.write_text(index.read_text()[:-20])
    else:
        index.write_text(json.dumps(content | {"members": [], "model_sha256": []}))
    with pytest.raises(ModelFileError):
        hx.load_model(path)


def test_what_is_no_ensemble(ensembles: dict[str, Ensemble], ds: xr.Dataset) -> None:
    """No members, members of different descriptions, components without members, members of a model."""
    with pytest.raises(DescriptionError, match="at least one"):
        Ensemble(())
    with pytest.raises(DescriptionError, match="one description"):
        Ensemble((*ensembles["constant"].members, *ensembles["dynamic"].members))
    with pytest.raises(DescriptionError, match="members=True"):
        ds.hbv.simulate(ensembles["dynamic"], components=True)
    with pytest.raises(DescriptionError, match="for an ensemble"):
        ds.hbv.simulate(ensembles["dynamic"].members[0], members=True)


def test_members_have_checkpoints_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is repeated goes on with the member that was interrupted."""
    steps: list[None] = []
    real = Training.step

    def step(training: Training, *given: Any) -> None:
        steps.append(None)
        if len(steps) == 5:
            raise KeyboardInterrupt
        real(training, *given)

    monkeypatch.setattr(Training, "step", step)
    with (
        pytest.warns(HydroxrWarning, match="interrupted after 1 of 3"),
        pytest.warns(HydroxrWarning, match="the ensemble has 2 of 3 members"),
    ):
        part = train("constant", loss="paper", checkpoint=tmp_path / "run")
    assert part.seeds == [3, 1]
    whole = train("constant", loss="paper", checkpoint=tmp_path / "run")
    assert len(steps) == 5 + 2 + 3
    assert whole == train("constant", loss="paper")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["seed-1", "seed-3", "seed-4"]


def test_interrupted_between_members_it_has_those_that_are_done() -> None:
    """With a warning; without any there is no ensemble."""
    count = 0

    def loss(simulated: Any, observed: Any) -> Any:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return paper_loss(simulated, observed)

    with pytest.warns(HydroxrWarning, match="1 of 3 members"):
        assert len(train("constant", loss=loss)) == 1
    count = 3
    with pytest.raises(KeyboardInterrupt):
        train("constant", loss=loss)


# --- A cluster ------------------------------------------------------------------------------------


def test_members_as_tasks_of_a_cluster(ensembles: dict[str, Ensemble], tmp_path: Path) -> None:
    """The same ensemble, in the order of its seeds, with a checkpoint a member; errors name the seed."""
    with local_client() as client:
        ensemble = train("dynamic", client=client, checkpoint=tmp_path)
        again = train("dynamic", client=client, resume=tmp_path)
        with pytest.raises(TrainingError) as caught:
            train("dynamic", client=client, loss=lambda simulated, observed: simulated.sum() * float("nan"))
    assert "in the member of seed" in "".join(caught.value.__notes__)
    assert ensemble == ensembles["dynamic"]
    assert ensemble.seeds == list(SEEDS)
    assert again == ensemble
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"seed-{seed}" for seed in SEEDS)


def test_a_cluster_is_a_client() -> None:
    """Nothing else."""
    with pytest.raises(DescriptionError, match="client is str"):
        train("constant", client="tcp://")


def test_a_worker_decides_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without a GPU says nothing of the machines that train."""
    told = {}

    def recorded(client: Any, seeds: Any, train: Any, data: Any, progress: bool) -> Any:
        told["device"] = train.args[2]
        told["precision"] = train.args[1].precision
        raise TimeoutError

    monkeypatch.setattr("hydroxr.training.fit.fit_side_by_side", recorded)
    monkeypatch.setattr("hydroxr.training.fit.check_client", lambda *given: None)
    options = {"seeds": 2, "client": object(), "warmup": 5, "window": 20, "iterations": 1}
    with pytest.raises(TimeoutError):
        make_dataset().hbv.fit(hx.DeltaHBV(components=1, hidden=4, network="lstm"), **options)
    assert told == {"device": "auto", "precision": "auto"}

"""``ds.hbv.cross_validate``: each cell is simulated by a model that did not see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CoordinateError,
    HydroxrError,
    ModelFileError,
)
from hydroxr.training import cross_validation
from tests.conftest import FIT
from tests.support.cluster import local_client
from tests.support.labelled import assert_same_values, make_dataset

SPEC = hx.DeltaHBV(components=2, hidden=4, network="lstm")
DYNAMIC = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm")
LABELS = [3, 1, 3, 2, 1]  # not in order, as folds drawn at random are not


def labelled(folds: Any = LABELS) -> xr.Dataset:
    """Five basins with a fold each."""
    return make_dataset(cells=5).assign(pub_fold=("basin", np.array(folds)))


def run(ds: xr.Dataset, spec: hx.DeltaHBV = SPEC, **options: Any) -> xr.Dataset:
    """Three iterations a fold, unless told otherwise."""
    return ds.hbv.cross_validate(spec, **FIT | options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, Path]:
    """A cross-validation, and where its models are. Not to be changed."""
    folder = tmp_path_factory.mktemp("cv") / "models"
    return run(labelled(), models=folder), folder


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fitted or simulated."""

    def refuse(*_: object) -> None:
        raise AssertionError("a fold was begun")

    monkeypatch.setattr(cross_validation, "_run_fold", refuse)


# --- What is simulated by what ----------------------------------------------------------------------


def test_it_is_what_one_does_by_hand(done: tuple[xr.Dataset, Path]) -> None:
    """A fit to the other folds and a simulation of the held-out cells, to the last bit."""
    ds, cv = labelled(), done[0]
    for label in (1, 2, 3):
        held = np.array(LABELS) == label
        model = ds.isel(basin=~held).hbv.fit(SPEC, **FIT)
        assert model.training["cells"] == (~held).sum()
        sim = ds.isel(basin=held).hbv.simulate(model, variables=["streamflow"])
        np.testing.assert_array_equal(cv["streamflow"].values[held], sim["streamflow"].values)
        assert hx.load_model(done[1] / f"fold-{label}") == model


def test_a_cell_s_own_streamflow_does_not_matter_to_it(done: tuple[xr.Dataset, Path]) -> None:
    """Other observations in a fold change the simulations of all other folds, and not its own."""
    ds = labelled()
    held = np.array(LABELS) == 1
    other = ds.assign(streamflow=ds["streamflow"] * (1.0 + 2.0 * xr.DataArray(held, dims="basin")))
    other["streamflow"].attrs = ds["streamflow"].attrs
    changed = (run(other)["streamflow"].values != done[0]["streamflow"].values).any(axis=1)
    np.testing.assert_array_equal(changed, ~held)


def test_order_and_labels_are_those_of_the_dataset(done: tuple[xr.Dataset, Path]) -> None:
    """With the fold beside; what is asked for and no more."""
    ds, cv = labelled(), done[0]
    assert cv["streamflow"].dims == ("basin", "time")
    for name in ("basin", "basin_id", "lat"):
        xr.testing.assert_equal(cv[name].drop_vars("fold"), ds[name])
    xr.testing.assert_equal(cv["time"], ds["time"])
    assert cv["fold"].values.tolist() == LABELS
    assert set(cv.data_vars) == {"streamflow", "initial_storage"}
    assert not cv.chunks


def test_what_follows_from_the_streamflow_can_be_asked_for() -> None:
    """A derived variable, of the held-out cells' own areas."""
    area = ("basin", np.arange(1.0, 6.0), {"units": "km2"})
    cv = run(labelled().assign(area=area), variables=["streamflow", "discharge"])
    assert set(cv.data_vars) == {"streamflow", "discharge", "initial_storage"}
    np.testing.assert_allclose(cv["discharge"], cv["streamflow"] * np.arange(1, 6)[:, None] / 86.4, rtol=1e-5)


def test_attributes_tell_what_it_is(done: tuple[xr.Dataset, Path]) -> None:
    """Those of a simulation, but for what differs between folds; and the models."""
    cv = done[0]
    assert cv["streamflow"].attrs["units"] == "kg m-2 day-1"
    assert cv["fold"].attrs["long_name"]
    assert cv.attrs["Conventions"].startswith("CF-")
    assert "simulated with hydroxr" in cv.attrs["history"]
    assert cv.attrs["title"].startswith("Cross-validation")
    assert json.loads(cv.attrs["hydroxr_description"])["hidden"] == 4
    assert "hydroxr_model_sha256" not in cv.attrs
    told = json.loads(cv.attrs["hydroxr_cross_validation"])
    assert told["folds"] == "pub_fold"
    models = {str(label): hx.load_model(done[1] / f"fold-{label}").hash for label in (1, 2, 3)}
    assert told["model_sha256"] == models


def test_it_is_evaluated_and_written_as_any_simulation(done: tuple[xr.Dataset, Path], tmp_path: Path) -> None:
    """A fold's median is a groupby."""
    cv = done[0]
    scores = cv.hbv.evaluate(labelled())
    assert scores["nse"].groupby("fold").median().sizes == {"fold": 3}
    with xr.open_dataset(cv.hbv.to_netcdf(tmp_path / "cv.nc")) as stored:
        np.testing.assert_array_equal(stored["fold"], LABELS)
        np.testing.assert_array_equal(stored["streamflow"], cv["streamflow"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ["north", "south", "north", "Far East/1", "south"],
            ["north", "south", "north", "Far East/1", "south"],
        ),
        ([3.0, 1.0, 3.0, 2.0, 1.0], LABELS),
        ([0.5, 1.0, 0.5, 2.0, 1.0], [0.5, 1.0, 0.5, 2.0, 1.0]),
    ],
)
def test_labels_of_any_type(
    given: list, expected: list, done: tuple[xr.Dataset, Path], tmp_path: Path
) -> None:
    """Text, whole numbers as float, other numbers: the same division, the same simulations."""
    cv = run(labelled(given), models=tmp_path / "m")
    assert cv["fold"].values.tolist() == expected
    assert_same_values(cv, done[0])
    assert len(list((tmp_path / "m").iterdir())) == 3
    run(labelled(given), models=tmp_path / "m")  # and finds them again


def test_labels_from_elsewhere(done: tuple[xr.Dataset, Path]) -> None:
    """A coordinate of any name, a DataArray in any order; each cell by itself."""
    ds = labelled()
    assert_same_values(run(ds.rename(pub_fold="region").set_coords("region"), folds="region"), done[0])
    given = ds["pub_fold"].isel(basin=[4, 2, 0, 1, 3])
    assert_same_values(run(ds.drop_vars("pub_fold"), folds=given), done[0])
    alone = run(ds.isel(basin=[0, 1, 2]), folds="basin")
    assert alone["fold"].values.tolist() == [10, 20, 30]


def test_variables_and_days_can_be_chosen(done: tuple[xr.Dataset, Path]) -> None:
    """Of simulations of all days: the days before have warmed up."""
    late = slice("2000-02-15", None)
    cv = run(labelled(), variables=["streamflow", "snowpack"], simulate_time=late, models=done[1])
    assert set(cv.data_vars) == {"streamflow", "snowpack"}
    xr.testing.assert_equal(cv["streamflow"], done[0]["streamflow"].sel(time=late))
    assert "initial_storage" in run(labelled(), simulate_time=slice(None, "2000-02-01"), models=done[1])


def test_options_reach_the_fit(tmp_path: Path) -> None:
    """By keyword, whatever they are; attributes, seeds of an ensemble, a validation period."""
    options = {"attributes": ["p_mean"], "seeds": 2, "validation": slice("2000-02-15", "2000-02-29")}
    cv = run(labelled(), DYNAMIC, iterations=2, validate_every=1, models=tmp_path / "m", **options)
    model = hx.load_model(tmp_path / "m" / "fold-1")
    assert isinstance(model, hx.Ensemble)
    assert [member.attributes for member in model.members] == [("p_mean",)] * 2
    assert model.members[0].training["iterations"] == 2
    held = labelled().isel(basin=[1, 4]).hbv.simulate(model, variables=["streamflow"])
    np.testing.assert_array_equal(cv["streamflow"][[1, 4]], held["streamflow"])


def test_lazy_data_give_the_same(done: tuple[xr.Dataset, Path]) -> None:
    """In memory in the end."""
    cv = run(labelled().chunk(basin=2, time=30))
    assert not cv.chunks
    assert_same_values(cv, done[0], rtol=1e-5, atol=1e-6)


def test_cells_without_a_label() -> None:
    """They are named, or left out of training as well."""
    ds = labelled([3, 1, np.nan, 2, 1])
    with pytest.raises(
        CoordinateError, match=r"'pub_fold' is missing for 1 of 5 cells, basin g2; .*drop_missing"
    ):
        run(ds)
    cv = run(ds, drop_missing=True)
    assert cv["fold"].values.tolist() == [3, 1, 2, 1]
    assert_same_values(cv, run(ds.isel(basin=[0, 1, 3, 4])))
    with pytest.raises(CoordinateError, match="basin g1"):
        run(labelled(["a", "", "a", "b", "b"]))


def test_ungauged_cells_are_simulated() -> None:
    """That is what it is for; only what is learned from must be there."""
    ds = labelled()
    ds["streamflow"][3] = np.nan  # all of fold 2
    cv = run(ds)
    assert np.isfinite(cv["streamflow"]).all()


# --- Models on disk ---------------------------------------------------------------------------------


def counting(monkeypatch: pytest.MonkeyPatch, stop_after: int = 99) -> list[str]:
    """The folds that are fitted; the one after so many fails."""
    fitted: list[str] = []
    fit = cross_validation._fitted

    def counted(ds: xr.Dataset, fold: Any, plan: Any) -> Any:
        if len(fitted) == stop_after:
            raise KeyboardInterrupt
        fitted.append(fold.label)
        return fit(ds, fold, plan)

    monkeypatch.setattr(cross_validation, "_fitted", counted)
    return fitted


def test_a_run_that_was_stopped_goes_on(
    done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what there is, to the same end."""
    with monkeypatch.context() as patch:
        counting(patch, stop_after=2)
        with pytest.raises(KeyboardInterrupt):
            run(labelled(), models=tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["fold-1", "fold-2"]
    fitted = counting(monkeypatch)
    assert_same_values(run(labelled(), models=tmp_path / "m"), done[0])
    assert fitted == ["3"]
    # what changes nothing in the models, or says the same in other words, is no other run
    same = {"device": "cpu", "variables": ["runoff"], "target": "streamflow", "preset": "default"}
    run(labelled().chunk(basin=3), models=tmp_path / "m", **same)
    assert fitted == ["3"]


@pytest.mark.parametrize(
    ("change", "spec", "options", "message"),
    [
        (lambda ds: ds, SPEC, {"iterations": 4}, r"other protocol \(iterations\) than"),
        (lambda ds: ds, SPEC, {"time": None}, r"options \(time\), data than"),
        (lambda ds: ds, DYNAMIC, {}, r"description \(dynamic\)"),
        (lambda ds: ds.assign(prcp=ds["prcp"] + ds["prcp"].max() * 0.01), SPEC, {}, "other data than"),
        (lambda ds: ds.assign(p_mean=ds["p_mean"] + 1), SPEC, {}, "other data than"),
        (lambda ds: ds.assign(pub_fold=("basin", [3, 1, 3, 2, 2])), SPEC, {}, "other folds than"),
        (lambda ds: ds.isel(basin=[1, 0, 2, 3, 4]), SPEC, {}, "folds, data"),
        (lambda ds: ds.assign(pub_fold=("basin", [8, 6, 8, 7, 6])), SPEC, {}, "belongs to another cross-val"),
    ],
)
def test_models_of_another_run_are_refused(
    change: Any, spec: hx.DeltaHBV, options: dict, message: str, done: tuple[xr.Dataset, Path], no_fit: None
) -> None:
    """Before anything is computed."""
    with pytest.raises(ModelFileError, match=message):
        run(change(labelled()), spec, models=done[1], **options)


def test_paths_that_are_something_else_are_refused(
    done: tuple[xr.Dataset, Path], tmp_path: Path, no_fit: None
) -> None:
    """A file, a model, a model that was put there, a folder of another kind."""
    ds = labelled()
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="is a file"):
        run(ds, models=tmp_path / "file")
    with pytest.raises(ModelFileError, match="is a model"):
        run(ds, models=done[1] / "fold-1")
    (tmp_path / "m" / "fold-1").mkdir(parents=True)
    with pytest.raises(ModelFileError, match="not a model"):
        run(ds, models=tmp_path / "m")
    hx.load_model(done[1] / "fold-1").save(tmp_path / "n" / "fold-2")
    with pytest.raises(ModelFileError, match="fold-2 was fitted with other held-out cells"):
        run(ds, models=tmp_path / "n")


def test_an_interrupted_fit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``fit`` returns what it has learned when it is interrupted; that is no fold's model."""
    from dataclasses import replace

    model = labelled().hbv.fit(SPEC, **FIT)
    half = replace(model, training={**model.training, "interrupted": True})
    monkeypatch.setattr("hydroxr.training.cross_validation.fit", lambda *_, **__: half)
    with pytest.raises(KeyboardInterrupt, match="fold '1', whose model is not kept"):
        run(labelled(), models=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_each_fold_has_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    """One folder for all would be another training's for all but the first."""
    run(labelled(), checkpoint=tmp_path / "c", checkpoint_every=1, models=tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["fold-1", "fold-2", "fold-3"]


# --- A cluster --------------------------------------------------------------------------------------


def test_folds_as_tasks_of_a_cluster(done: tuple[xr.Dataset, Path], tmp_path: Path) -> None:
    """Data, models and errors travel; data that are lazy are read there."""
    folder = tmp_path / "m"
    with local_client() as client:
        cv = run(labelled(), client=client, models=folder)
        lazy = run(labelled().chunk(basin=2), client=client, models=folder)  # with models that are there
        with pytest.raises(HydroxrError, match="window") as caught:
            run(labelled().chunk(basin=2), client=client, window=100)
    assert "in fold '" in "".join(caught.value.__notes__)
    assert_same_values(cv, done[0], rtol=1e-6)
    assert_same_values(lazy, done[0], rtol=1e-4, atol=1e-5)
    assert cv["fold"].values.tolist() == LABELS
    assert hx.load_model(folder / "fold-3").training["cells"] == 3

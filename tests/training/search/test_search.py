"""``hx.search``: models with different options, compared in periods that were held out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    CheckpointError,
    DescriptionError,
    EmptySelectionError,
    HydroxrError,
    MissingAttributeError,
    TrainingError,
)
from hydroxr.training.search import search as module
from tests.conftest import FIT
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset
from tests.support.trainings import SPECS

AFTER, LATE = slice("2000-02-15", "2000-03-04"), slice("2000-03-05", "2000-03-19")
PERIODS = {"after": AFTER, "late": LATE}
OPTIONS = {name: value for name, value in FIT.items() if name != "learning_rate"} | {"iterations": 4}
SPACE = {"hidden": [2, 4], "learning_rate": [0.01, 0.1]}


def dataset() -> xr.Dataset:
    """Three basins, 90 days, of which the last ten are in no period."""
    return make_dataset(days=90)


def run(ds: xr.Dataset | None = None, space: Any = SPACE, **options: Any) -> xr.Dataset:
    chosen = {name: value for name, value in OPTIONS.items() if name not in space}
    given = {"spec": SPECS["filters"], "periods": PERIODS} | chosen | options
    return hx.search(dataset() if ds is None else ds, space, **given)


def same(first: xr.Dataset, second: xr.Dataset) -> None:
    """To the last bit, but for the time it took."""
    xr.testing.assert_identical(first.drop_vars("seconds"), second.drop_vars("seconds"))


class Counted:
    """The trainings that a search asks for, some of which fail."""

    def __init__(self, patch: pytest.MonkeyPatch, failing: dict[int, BaseException] | None = None) -> None:
        self.calls: list[tuple[int, float, int]] = []
        failing = failing or {}
        true = module.fit

        def fit(data: Any, spec: hx.DeltaHBV, **options: Any) -> Any:
            self.calls.append((spec.hidden, options.get("learning_rate", 0.0), options["iterations"]))
            if len(self.calls) in failing:
                raise failing[len(self.calls)]
            return true(data, spec, **options)

        patch.setattr(module, "fit", fit)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, Path]:
    """A search, and its folder. Not to be changed."""
    folder = tmp_path_factory.mktemp("search") / "trials"
    return run(folder=folder), folder


def test_a_trial_is_what_one_does_by_hand(done: tuple[xr.Dataset, Path]) -> None:
    """A fit and a simulation; medians over the cells of each period; the model is kept."""
    found, folder = done
    ds = dataset()
    spec = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"))
    model = ds.hbv.fit(spec, **OPTIONS, learning_rate=0.01)
    assert found["model_sha256"].values[2] == model.hash == hx.load_model(folder / "trial-0002").hash
    sim = ds.hbv.simulate(model, variables=["streamflow"])
    for name, days in PERIODS.items():
        scores = sim.hbv.evaluate(ds, time=days)
        for score in ("nse", "kge", "pbias"):
            value = float(found[score].sel(trial=2, period=name))
            assert value == float(scores[score].median()), (name, score)


def test_the_result_says_what_was_tried_and_what_is_best(done: tuple[xr.Dataset, Path]) -> None:
    found = done[0]
    assert dict(found.sizes) == {"trial": 4, "period": 2}
    assert found["hidden"].values.tolist() == [2, 2, 4, 4]
    assert found["learning_rate"].values.tolist() == [0.01, 0.1, 0.01, 0.1]
    np.testing.assert_array_equal(found["score"], found["nse"].mean("period"))
    assert found.sortby("rank")["score"].values.tolist() == sorted(found["score"].values, reverse=True)
    assert not found["ended_early"].any()
    assert set(found["iterations_done"].values) == {4}
    assert found["period_start"].values.tolist() == [AFTER.start, LATE.start]


def test_no_later_day_matters(done: tuple[xr.Dataset, Path]) -> None:
    """What comes after the last period is not read: test years may lie there."""
    ds = dataset()
    for name in ("prcp", "streamflow"):
        ds[name] = ds[name].where(ds["time"] <= np.datetime64(LATE.stop), np.inf)
    again = run(ds, [{"hidden": 2, "learning_rate": 0.01}])
    same(again.drop_vars("rank"), done[0].isel(trial=[0]).drop_vars("rank"))


def test_cells_without_streamflow_do_not_matter() -> None:
    """A mask of cells held out for validation counts them; what is found can be written."""
    ds, space = dataset(), [{"hidden": 2}]
    unknown = ds["streamflow"].where(ds["basin"] != 20)
    options = {"iterations": 1, "missing": "drop"}
    found = run(ds.assign(streamflow=unknown), space, **options)
    same(found, run(ds.isel(basin=[0, 2]), space, **options))
    masked = run(ds.assign(streamflow=unknown), space, validation=[True, False, False], **options)
    assert np.isfinite(masked["nse"]).all()


def test_the_same_call_trains_nothing_again(
    done: tuple[xr.Dataset, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    xr.testing.assert_identical(run(folder=done[1]), done[0])
    assert counted.calls == []


def test_a_stopped_search_goes_on(
    done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with what is missing; it ends as an undisturbed one."""
    with monkeypatch.context() as patch:
        Counted(patch, {3: KeyboardInterrupt()})
        with pytest.raises(KeyboardInterrupt):
            run(folder=tmp_path)
    counted = Counted(monkeypatch)
    same(run(folder=tmp_path), done[0])
    assert [call[:2] for call in counted.calls] == [(4, 0.01), (4, 0.1)]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_poor_trials_end_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four, two go on after a quarter of the iterations and one after half, as their scores say."""
    counted = Counted(monkeypatch)
    found = run(halving=2, folder=tmp_path)
    assert [call[2] for call in counted.calls] == [1] * 4 + [2] * 2 + [4]
    assert sorted(found["iterations_done"].values) == [1, 1, 2, 4]
    assert found["ended_early"].values.sum() == 3
    assert found["iterations_done"].values[found["rank"].values == 1] == 4
    records = [json.loads((tmp_path / f"trial-000{number}.json").read_text()) for number in range(4)]
    first = [record["stages"]["1-iterations"]["scores"] for record in records]
    means = [np.mean([scores[period]["nse"] for period in PERIODS]) for scores in first]
    assert set(np.flatnonzero(found["iterations_done"] > 1)) == set(np.argsort(means)[-2:])


def test_a_training_that_fails_ends_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        Counted(patch, {1: TrainingError("no finite loss")})
        found = run(folder=tmp_path, space={"hidden": [2, 4]})
    assert found["error"].values.tolist() == ["no finite loss", ""]
    assert np.isnan(found["nse"].values[0]).all()
    assert found["rank"].values.tolist() == [2, 1]
    xr.testing.assert_identical(run(folder=tmp_path, space={"hidden": [2, 4]}), found)


def test_trials_run_on_a_cluster_as_they_do_here(done: tuple[xr.Dataset, Path], tmp_path: Path) -> None:
    with local_client(1, processes=False) as client:
        same(run(client=client, folder=tmp_path), done[0])
        with pytest.raises(HydroxrError) as caught:
            run(client=client, space={"frozen": [["static"]]})
    assert caught.value.__notes__ == ["in trial 0 (frozen=['static'])"]


def test_a_record_of_another_search_is_refused(done: tuple[xr.Dataset, Path], tmp_path: Path) -> None:
    folder = done[1]
    for options, what in (
        ({"batch": 5}, r"protocol \(batch\)"),
        ({"seed": 1}, r"protocol \(seed\)"),
        ({"periods": {"after": AFTER}}, r"data, periods \(late\)"),
        ({"space": {"hidden": [4, 2], "learning_rate": [0.01, 0.1]}}, "hidden"),
        ({"ds": dataset().assign(p_mean=dataset()["p_mean"] + 1)}, "data"),
    ):
        with pytest.raises(CheckpointError, match=f"trial-0000.json is of another search: {what} differ"):
            run(folder=folder, **options)
    (tmp_path / "trial-0000.json").write_text(
        (folder / "trial-0000.json").read_text().replace('"nse": ', '"nse": 1')
    )
    with pytest.raises(CheckpointError, match="cannot be read as the record of a trial"):
        run(folder=tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"periods": {}}, DescriptionError, "periods is {}"),
        ({"periods": AFTER}, DescriptionError, "expected the days that trials are judged by"),
        ({"periods": {"a": "2001"}}, DescriptionError, r"periods\['a'\] is '2001'"),
        (
            {"periods": {"a": slice("2000-02-10", "2000-03-01")}},
            DescriptionError,
            "shares days with the training",
        ),
        ({"periods": {"a": slice("2010", "2011")}}, EmptySelectionError, r"periods\['a'\]: no day"),
        (
            {"periods": {"a": slice(None, "2000-01-05")}},
            EmptySelectionError,
            "no day after 10 days of warm-up",
        ),
        ({"score": "pbias"}, DescriptionError, "score 'pbias' is not known"),
        ({"halving": 1}, DescriptionError, "halving is 1"),
        (
            {"halving": 2, "iterations": None, "epochs": 2},
            DescriptionError,
            "expected iterations=..., or no halving",
        ),
        ({"client": "here"}, DescriptionError, "client is str"),
        ({"space": {"window": [20, 500]}}, EmptySelectionError, "the period has 40 days"),
        ({"space": {"attributes": [["p_mean"], ["height"]]}}, MissingAttributeError, "attributes height"),
        ({"folder": "s3://bucket/search"}, CheckpointError, "folder='s3://bucket/search' is a URL"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(
    options: dict[str, Any], error: type[HydroxrError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    with pytest.raises(error, match=message):
        run(**options)
    assert counted.calls == []

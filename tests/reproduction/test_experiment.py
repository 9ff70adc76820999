"""The paper's experiments, small: two models, five basins, three iterations."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.__main__ import main
from hydroxr.errors import (
    CoordinateError,
    DataFileError,
    DescriptionError,
    EmptySelectionError,
    MissingVariableError,
    ModelFileError,
)
from hydroxr.reproduction import experiment, reproduce
from hydroxr.reproduction import results as results_module
from hydroxr.reproduction.table import markdown, summary
from hydroxr.simulation.simulate import run_period
from hydroxr.training.loop import train as training
from tests.conftest import FIT, TRAINING
from tests.support.labelled import make_dataset

TEST = slice("2000-02-15", "2000-02-29")
FAST = {name: FIT[name] for name in ("iterations", "batch", "window", "warmup", "learning_rate", "progress")}
OPTIONS: dict[str, Any] = FAST | {"training": TRAINING, "test": TEST, "hidden": 4, "report": lambda _: None}


def make_data() -> xr.Dataset:
    """Five basins, of which one has no gauge, with what an LSTM and folds want."""
    ds = make_dataset(cells=5)
    rng = np.random.default_rng(1)
    for name, units in {"srad": "W m-2", "vp": "Pa", "dayl": "s"}.items():
        ds[name] = (ds["prcp"].dims, rng.uniform(1, 9, ds["prcp"].shape), {"units": units})
    for name in ("baseflow_index", "bfi_ave_gagesii"):
        ds[name] = ("basin", rng.uniform(0, 1, 5), {"units": "1"})
    ds["streamflow"][{"basin": 3}] = np.nan
    return ds.assign(pub_fold=("basin", [1, 2, 1, 2, 3]))


def run(out: Path, **options: Any) -> xr.Dataset:
    """Two models unless told otherwise."""
    return reproduce(make_data(), out, **{"models": ["dn", "lstm"], "seeds": [0, 3]} | OPTIONS | options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, Path]:
    """Two models with two seeds, and the folder. Not to be changed."""
    out = tmp_path_factory.mktemp("paper")
    return run(out), out


def test_the_scores_are_those_of_the_model_on_the_test_period(done: tuple[xr.Dataset, Path]) -> None:
    """As one would compute them by hand with the model that was saved; ungauged cells are left out."""
    results, out = done
    ds = make_data().isel(basin=[0, 1, 2, 4])
    assert results["basin"].values.tolist() == ds["basin_id"].values.tolist()
    model = hx.load_model(out / "dn" / "seed3" / "model")
    assert (model.training["seed"], model.training["period"]) == (3, ["2000-01-06", "2000-02-14"])
    sim = run_period(ds, model, TEST)
    expected = sim.hbv.evaluate(ds)
    found = results.sel(run="dn/seed3")
    for name in ("nse", "kge", "flv"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    np.testing.assert_allclose(
        found["baseflow_index"], sim["baseflow"].sum("time") / sim["runoff"].sum("time"), rtol=1e-5
    )
    np.testing.assert_allclose(found["precipitation"], ds["prcp"].sel(time=TEST).mean("time"), rtol=1e-5)
    np.testing.assert_allclose(
        found["streamflow_observed"], ds["streamflow"].sel(time=TEST).mean("time"), rtol=1e-5
    )


def test_an_ensemble_is_the_mean_of_all_seeds(tmp_path: Path) -> None:
    """Of those that are trained; with another one it is done again. The table has it apart."""
    results = run(tmp_path, models=["dn"], seeds=[0, 1], splits=("time", "ensemble"))
    assert results["run"].values.tolist() == ["dn/ensemble", "dn/seed0", "dn/seed1"]
    assert results["members"].values.tolist() == ["0, 1", "0", "1"]
    seconds = dict(zip(results["run"].values, results["seconds"].values, strict=True))
    assert seconds["dn/ensemble"] == pytest.approx(seconds["dn/seed0"] + seconds["dn/seed1"])
    ds = make_data().isel(basin=[0, 1, 2, 4])
    for seeds in ([0, 1], [0, 1, 2]):
        results = run(tmp_path, models=["dn"], seeds=seeds, splits=("time", "ensemble"))
        models = [hx.load_model(tmp_path / "dn" / f"seed{seed}" / "model") for seed in seeds]
        flows = [run_period(ds, model, TEST)["streamflow"] for model in models]
        mean = (sum(flows) / len(flows)).to_dataset(name="streamflow").assign_attrs(flows[0].attrs)
        mean["streamflow"].attrs = flows[0].attrs
        found = results.sel(run="dn/ensemble")
        np.testing.assert_allclose(found["nse"], mean.hbv.evaluate(ds)["nse"], rtol=1e-4, atol=1e-4)
    assert "| δn | 0, 1, 2 | " in markdown(results).partition("Ensembles")[2]


def test_an_ensemble_is_of_runs_over_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is in the folder, in whatever order a file system lists it."""
    usual = Path.glob
    for reverse in (False, True):
        out = tmp_path / str(reverse)
        monkeypatch.setattr(
            Path, "glob", lambda path, *a, r=reverse: iter(sorted(usual(path, *a), reverse=r))
        )
        results = run(out, models=["dn"], splits=("ensemble", "pub", "time"))
        assert results["members"].sel(run="dn/ensemble").item() == "0, 3"
        assert results.sizes["run"] == 5


def test_means_are_of_the_same_days(tmp_path: Path) -> None:
    """Of those with an observation: else precipitation of winters is compared with streamflow of summers."""
    ds = make_data()
    ds["streamflow"][{"basin": 0, "time": slice(-5, None)}] = np.nan
    found = reproduce(ds, tmp_path, **{"models": ["dn"], "seeds": [0]} | OPTIONS).isel(run=0)
    seen = ds.isel(basin=[0, 1, 2, 4]).sel(time=slice("2000-02-15", "2000-02-29"))
    seen = seen.where(seen["streamflow"].notnull())
    np.testing.assert_allclose(found["precipitation"], seen["prcp"].mean("time"), rtol=1e-5)
    np.testing.assert_allclose(found["streamflow_observed"], seen["streamflow"].mean("time"), rtol=1e-5)


def test_results_tell_what_they_are_of(done: tuple[xr.Dataset, Path]) -> None:
    """Coordinates of ``run``, observed indices, and NaN for what an LSTM does not have."""
    results, out = done
    assert results["run"].values.tolist() == ["dn/seed0", "dn/seed3", "lstm/seed0", "lstm/seed3"]
    assert results["model"].values.tolist() == ["dn", "dn", "lstm", "lstm"]
    assert results["symbol"].values.tolist() == ["δn", "δn", "LSTM", "LSTM"]
    assert (results["split"] == "time").all()
    assert (results["iterations"] == 3).all()
    assert results.sel(run="lstm/seed0")["baseflow_index"].isnull().all()
    assert results["evapotranspiration"].attrs["units"] == "kg m-2 day-1"
    assert results["bfi_usgs"].dims == ("basin",)
    with xr.open_dataset(out / "results.nc") as written:
        np.testing.assert_array_equal(written["nse"], results["nse"])


def test_the_table_tells_of_all_seeds(done: tuple[xr.Dataset, Path]) -> None:
    """Where one of them stopped earlier, from the least iterations to the most."""
    results, _ = done
    assert "| 3 | " in markdown(results)
    changed = results.assign_coords(iterations=("run", [7, 3, 3, 5]))
    assert "| 3 to 7 | " in markdown(changed)
    assert "| 3 to 5 | " in markdown(changed)


def test_what_is_done_is_not_done_again(
    done: tuple[xr.Dataset, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is repeated gives the same results."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "train", refuse)
    xr.testing.assert_identical(run(done[1]).drop_attrs(), done[0].drop_attrs())


def test_a_run_that_another_process_finishes_meanwhile_is_in_the_results(
    done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends while this one writes: the last to write has all."""
    out, theirs = tmp_path / "paper", tmp_path / "theirs"
    shutil.copytree(done[1], out)
    (out / "dn" / "seed3").rename(theirs)
    write = results_module.write_whole

    def late(path: Path, text: str) -> None:
        write(path, text)
        if path.name == results_module.TABLE and theirs.exists():
            theirs.rename(out / "dn" / "seed3")

    monkeypatch.setattr(results_module, "write_whole", late)
    results = run(out, models=["lstm"], seeds=[0])  # the last of its runs: nothing is collected after it
    assert "dn/seed3" in results["run"].values
    with xr.open_dataset(out / "results.nc") as file:
        assert "dn/seed3" in file["run_id"].values.astype(str)
    assert "| δn | 0, 3 |" in (out / "table.md").read_text(encoding="utf-8")


def test_an_interrupted_run_goes_on(
    done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its checkpoint, to the same scores to the last bit."""
    step, count = training.Training.step, []

    def interrupted(self: Any, *given: Any) -> None:
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        step(self, *given)

    monkeypatch.setattr(training.Training, "step", interrupted)
    with pytest.warns(hx.HydroxrWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        run(tmp_path, models=["dn"], seeds=[0])
    monkeypatch.setattr(training.Training, "step", step)
    assert not (tmp_path / "dn/seed0/run.json").exists()
    assert "interrupted after 2 iterations" in (tmp_path / "dn/seed0/log.txt").read_text(encoding="utf-8")
    again = run(tmp_path, models=["dn"], seeds=[0])
    np.testing.assert_array_equal(again["nse"].sel(run="dn/seed0"), done[0]["nse"].sel(run="dn/seed0"))


def test_runs_of_other_settings_are_refused(done: tuple[xr.Dataset, Path]) -> None:
    """Before anything is trained: a table has runs of the same settings."""
    with pytest.raises(ModelFileError, match=r"other settings: protocol: iterations is 3 there and 4 now\."):
        run(done[1], models=["d1", "dn"], iterations=4)
    with pytest.raises(ModelFileError, match=r"settings: test is \['2000-02-15'"):
        run(done[1], test=slice("2000-02-16", "2000-02-29"))
    # A new seed would be in one row with those that are there.
    for others in ({"loss": "paper"}, {"hidden": 8}):
        for splits in (("time",), ("ensemble",)):
            with pytest.raises(ModelFileError, match=r"other settings: .* is .* there"):
                run(done[1], models=["dn"], seeds=[7], splits=splits, **others)
    assert not (done[1] / "d1").exists()
    assert not (done[1] / "dn/seed7").exists()


def test_models_and_splits_may_have_settings_of_their_own(tmp_path: Path) -> None:
    """Folds are often trained for less long; the table says how each was trained."""
    run(tmp_path, models=["dn"], seeds=[0])
    results = run(tmp_path, models=["dn"], seeds=[0], splits=("pub",), iterations=2)
    text = markdown(results)
    lines = [line for line in text.splitlines() if "hidden units (the paper: 256)" in line]
    assert [line.partition(":")[0] for line in lines] == ["- dn/seed0, dn/seed0-pub"]
    assert "loss nse + low_flow; adam with a rate of 0.1 (cosine)" in lines[0]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| δn ")]
    assert [row[14] for row in rows] == ["3", "2"]


def test_other_data_are_refused(done: tuple[xr.Dataset, Path]) -> None:
    """In a folder with runs of these, whichever models they are."""
    wetter = make_data().assign(prcp=make_data()["prcp"] * 2)
    for models in (["dn"], ["d1"]):
        with pytest.raises(ModelFileError, match="data: sha256"):
            reproduce(wetter, done[1], models=models, seeds=[0], **OPTIONS)


def make_et() -> xr.Dataset:
    """Sums over 5 days of another estimate, in more cells than are gauged and in another order."""
    ds = make_data().sel(time=slice("2000-02-10", "2000-02-29")).isel(basin=[4, 3, 2, 1, 0])
    rng = np.random.default_rng(4)
    sums = ds["prcp"].resample(time="5D").sum().transpose("basin", "time")
    noise = rng.uniform(1, 9, sums.shape)
    starts = sums["time"].values
    bounds = np.stack([starts, starts + np.timedelta64(5, "D")], axis=1)
    out = xr.Dataset({"ET": (sums.dims, noise, {"units": "mm"})}, sums.coords)
    out["time_bnds"] = (("time", "nv"), bounds)
    out["time"].attrs["bounds"] = "time_bnds"
    return out


def test_evapotranspiration_fills_its_column_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of runs that are done: simulated again, not trained; once for each estimate."""
    before = run(tmp_path, seeds=[0])
    assert "et_correlation" not in before
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("trained again"))
    results = run(tmp_path, seeds=[0], et=make_et())
    ds = make_data().isel(basin=[0, 1, 2, 4])
    daily = run_period(ds, hx.load_model(tmp_path / "dn/seed0/model"), TEST)["evapotranspiration"]
    sums = daily.transpose("time", "basin").values.reshape(3, 5, 4).sum(1)
    other = make_et()["ET"].sel(basin=ds["basin"], time=slice("2000-02-15", None)).transpose("time", "basin")
    by_hand = [np.corrcoef(sums[:, cell], other.values[:, cell])[0, 1] for cell in range(4)]
    np.testing.assert_allclose(results["et_correlation"].sel(run="dn/seed0"), by_hand, rtol=1e-4)
    assert results["et_correlation"].sel(run="lstm/seed0").isnull().all()
    np.testing.assert_array_equal(results["nse"], before["nse"])
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert f" | {np.median(by_hand):.3f} | 3 |" in text
    assert "MOD16A2 needs" not in text

    # Kept without it, not done again with it, done again with another.
    monkeypatch.setattr(experiment, "run_period", lambda *_, **__: pytest.fail("simulated again"))
    for et in (None, make_et()):
        xr.testing.assert_identical(run(tmp_path, seeds=[0], et=et).drop_attrs(), results.drop_attrs())
    other = make_et().assign(ET=make_et()["ET"] ** 2)
    with pytest.raises(pytest.fail.Exception, match="simulated again"):
        run(tmp_path, seeds=[0], et=other)


def test_evapotranspiration_that_cannot_be_compared_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other cells, another time, no units."""
    monkeypatch.setattr(experiment.Experiment, "do", lambda *_: pytest.fail("a run was begun"))
    with pytest.raises(hx.HydroxrError, match="basin"):
        run(tmp_path, et=make_et().isel(basin=[0, 1]))
    with pytest.raises(hx.HydroxrError, match="period"):
        run(tmp_path, et=make_et().isel(time=[0]))


def test_ungauged_basins(tmp_path: Path) -> None:
    """Each is simulated by a model that did not see it, on the test period."""
    results = run(tmp_path, models=["dn"], seeds=[0], splits=("pub",))
    assert results["run"].values.tolist() == ["dn/seed0-pub"]
    ds = make_data().isel(basin=[0, 1, 2, 4])
    by_hand = ds.hbv.cross_validate(
        hx.DeltaHBV(hidden=4, network="lstm"), "pub_fold", simulate_time=TEST, time=TRAINING, **FAST
    ).hbv.evaluate(ds)
    np.testing.assert_allclose(results["nse"][0], by_hand["nse"], rtol=1e-5)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "without its fold" in table
    assert "paper: NSE" not in table  # those were trained on the catchments that they were tested on


def test_the_table(done: tuple[xr.Dataset, Path]) -> None:
    """A row a model: medians, their spread over seeds, the paper's values, what is not done."""
    results, out = done
    text = (out / "table.md").read_text(encoding="utf-8")
    assert text == markdown(results)
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in text.splitlines() if "|" in line}
    medians = results["nse"].sel(run=["dn/seed0", "dn/seed3"]).median("basin").values
    assert rows["δn"][1:3] == ["0, 3", f"{medians.mean():.3f} ± {medians.std(ddof=1):.3f}"]
    low = results["nse"].sel(run=["dn/seed0", "dn/seed3"]).quantile(0.1, "basin").values
    assert rows["δn"][4] == f"{low.mean():.3f} ± {low.std(ddof=1):.3f}"
    assert rows["δn"][-3:] == ["0.714", "0.739", "0.779 |"]
    assert rows["LSTM"][10:12] == ["", ""]
    (absent,) = (line for line in text.splitlines() if line.startswith("Not done: "))
    names = absent.removeprefix("Not done: ").rstrip(".").split(", ")
    assert names == [
        *("dn-bt-gt/seed0", "d1/seed0", "dn-nnr/seed0", "dn-bt/seed0", "dn-gt/seed0"),
        *("dn-bt-gt/seed1", "lstm/seed1", "dn-bt-gt/seed2", "lstm/seed2"),
        *("dn-bt-gt/ensemble", "lstm/ensemble"),
        *(f"{model}/seed0-{split}" for split in ("pub", "pur") for model in ("dn-bt-gt", "lstm", "dn")),
    ]
    assert "MOD16A2 needs that product" in text
    dry = results["flv"].where(results["basin"] != results["basin"][0])
    assert "FLV: without 1, whose lowest flows" in markdown(results.assign(flv=dry))
    assert "671" in text
    index = np.random.default_rng(2).uniform(0, 1, results["nse"].shape)
    varied = results.assign(baseflow_index=(("run", "basin"), index))
    r = [np.corrcoef(one, results["bfi_usgs"])[0, 1] for one in index]
    np.testing.assert_allclose(summary(varied)["r_bfi_usgs"], r, rtol=1e-6)
    left = (results["precipitation"] - results["streamflow_observed"]).sel(run="dn/seed0")
    r_et = np.corrcoef(left, results["evapotranspiration"].sel(run="dn/seed0"))[0, 1]
    np.testing.assert_allclose(summary(results)["r_et_water_balance"].sel(run="dn/seed0"), r_et, rtol=1e-6)
    assert f" | {r_et:.3f} | " in markdown(results.sel(run=["dn/seed0"]))


def test_what_cannot_be_done_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels, periods, gauges, forcing of the benchmark."""
    monkeypatch.setattr(experiment.Experiment, "do", lambda *_: pytest.fail("a run was begun"))
    with pytest.raises(DataFileError, match="no 'pur_region'"):
        run(tmp_path, splits=("pur",))
    with pytest.raises(EmptySelectionError, match="no day"):
        run(tmp_path, test=slice("2010", "2011"))
    with pytest.raises(MissingVariableError, match="'vp'"):
        reproduce(make_data().drop_vars("vp"), tmp_path, **OPTIONS)
    with pytest.raises(
        ModelFileError, match=r"ensemble of dn needs the models of two.* have that of seed 0\. Name"
    ):
        run(tmp_path, models=["dn"], seeds=[0], splits=("time", "ensemble"))
    unlabelled = make_data()
    unlabelled["pub_fold"] = unlabelled["pub_fold"].where(unlabelled["pub_fold"] < 2)
    with pytest.raises(CoordinateError, match=r"'pub_fold' is missing for 2 of 4.*leave the split 'pub' out"):
        reproduce(unlabelled, tmp_path, models=["dn"], splits=("time", "pub"), **OPTIONS)
    dry = make_data().assign(streamflow=make_data()["streamflow"] * np.nan)
    with pytest.raises(EmptySelectionError, match="no cell has observed"):
        reproduce(dry, tmp_path, **OPTIONS)
    with pytest.raises(DescriptionError, match="no option 'iteration'"):
        run(tmp_path, iteration=4)


def test_the_command_lists_its_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And does nothing then."""
    arguments = ["reproduce", "--data", str(tmp_path), "--out", str(tmp_path), "--models", "dn", "lstm"]
    assert main([*arguments, "--list"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["dn/seed0", "lstm/seed0", "lstm/seed1", "lstm/seed2"]
    assert all(line.endswith("not done") for line in printed)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has what the command trained, with the options that it was given."""
    given: dict[str, Any] = {}

    def small(ds: xr.Dataset, out: Path, **options: Any) -> xr.Dataset:
        given.update(options)
        fast = {"models": ["dn"], "seeds": [0]} | OPTIONS
        return reproduce(make_data(), out, **fast)

    make_data().to_netcdf(tmp_path / "data.nc")
    monkeypatch.setattr("hydroxr.reproduction.reproduce", small)
    arguments = ["--data", str(tmp_path / "data.nc"), "--out", str(tmp_path / "out"), "--iterations", "7"]
    assert main(["reproduce", *arguments, "--models", "dn", "--hidden", "8"]) == 0
    assert "| δn | 0 |" in capsys.readouterr().out
    assert (given["iterations"], given["hidden"], given["models"]) == (7, 8, ["dn"])

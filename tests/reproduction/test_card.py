"""Models that ship: written from a run, found by name, with what a user has to know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import CoordinateError, DataFileError, DescriptionError, ModelFileError
from hydroxr.models import pretrained
from hydroxr.reproduction.card import ship, ship_results
from hydroxr.reproduction.table import markdown, summary
from tests.reproduction.test_experiment import make_data, run


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, Path]:
    """A δ model and an LSTM, trained and tested."""
    out = tmp_path_factory.mktemp("ship")
    return run(out, seeds=[0]), out


@pytest.fixture
def shelf(done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where hydroxr looks for its models, with two of them."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    ship(done[1] / "dn/seed0", tmp_path / "tiny-dn")
    ship(done[1] / "lstm/seed0", tmp_path / "tiny-lstm")
    return tmp_path


def test_a_model_is_loaded_by_its_name(shelf: Path, done: tuple[xr.Dataset, Path]) -> None:
    """It is that of the run, and simulates."""
    assert pretrained.pretrained_names() == ("tiny-dn", "tiny-lstm")
    model = hx.load_model("tiny-dn")
    assert model == hx.load_model(done[1] / "dn/seed0/model")
    assert bool(np.isfinite(make_data().isel(basin=[0, 1, 2, 4]).hbv.simulate(model)["streamflow"]).all())


def test_a_folder_of_that_name_is_meant_first(
    shelf: Path, done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One's own model is never taken for another."""
    monkeypatch.chdir(tmp_path)
    own = hx.load_model(done[1] / "lstm/seed0/model")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    own.save("tiny-dn")
    assert hx.load_model("tiny-dn") == own


def test_a_name_that_nothing_has(shelf: Path) -> None:
    """Says what there is."""
    with pytest.raises(ModelFileError, match=r"expected a folder.*tiny-dn, tiny-lstm"):
        hx.load_model("tiny-d1")
    with pytest.raises(ModelFileError, match="expected one of tiny-dn"):
        pretrained.model_card("tiny-d1")


def test_the_card(shelf: Path, done: tuple[xr.Dataset, Path]) -> None:
    """Data, period, scores, attributes with ranges, limits, licence."""
    text = pretrained.model_card("tiny-dn")
    nse = float(done[0]["nse"].sel(run="dn/seed0").median())
    assert "| nse | " in text
    assert f" | {nse:.3f} | " in text
    assert "2000-01-06 to 2000-02-14" in text
    low = float(make_data()["elev_mean"].isel(basin=[0, 1, 2, 4]).astype("float32").min())
    assert f"| elev_mean | {low:.6g} |" in text
    assert "`geol_class_1st`: basalt" in text
    for word in (
        "## Limits",
        "Apache-2.0",
        "2000-02-15 to 2000-02-29",
        "PET after Hargreaves",
        "(NSE) |",
        "hx.load_model('tiny-dn')",
        "4 catchments",
    ):
        assert word in text
    assert "baseflow_index" not in pretrained.model_card("tiny-lstm")
    assert "PET" not in pretrained.model_card("tiny-lstm")  # which has none


def test_the_card_says_what_it_is_told_of_the_data(done: tuple[xr.Dataset, Path], tmp_path: Path) -> None:
    """And of the choice of weights what the training says."""
    ship(
        done[1] / "dn/seed0",
        tmp_path / "model",
        data="Three rivers with ERA5; PET after Penman.",
        known="It snows.",
    )
    text = (tmp_path / "model" / pretrained.CARD).read_text(encoding="utf-8")
    assert "Three rivers with ERA5; PET after Penman." in text
    assert "Daymet" not in text
    assert "It snows." in text.partition("## Limits")[2]
    assert "no other days were looked at" in text


def test_scores_of_each_catchment(shelf: Path, done: tuple[xr.Dataset, Path]) -> None:
    """As a table that anything reads."""
    table = pd.read_csv(shelf / "tiny-dn" / "scores.csv")
    np.testing.assert_allclose(table["nse"], done[0]["nse"].sel(run="dn/seed0"), atol=1e-4)


def test_a_run_that_is_not_finished_does_not_ship(tmp_path: Path) -> None:
    """There is nothing to say of it yet."""
    with pytest.raises(ModelFileError, match="not a finished run"):
        ship(tmp_path, tmp_path / "model")


def test_results_of_all_runs_ship(
    done: tuple[xr.Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same table comes out of them; nothing of the data is in them until the data are given."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(DataFileError, match="has no results"):
        hx.open_results()
    ship_results(done[0], tmp_path)
    results = hx.open_results()
    assert markdown(results) == markdown(done[0])
    for name in done[0]["run"].values:
        np.testing.assert_allclose(results["nse"].sel(run=name), done[0]["nse"].sel(run=name), rtol=1e-6)
    own = {"lat", "bfi_l13", "bfi_usgs", "streamflow_observed", "precipitation"}
    assert own <= set(map(str, done[0].variables))
    assert not own & set(map(str, results.variables))

    whole = hx.open_results(make_data().isel(basin=slice(None, None, -1)))
    for name in own:
        np.testing.assert_allclose(whole[name], done[0][name].isel(run=0, missing_dims="ignore"), rtol=1e-5)
    assert (whole["nse"] == results["nse"]).all()
    # Correlations are of the cells that are there: computed where the data are, else not known.
    some = whole.isel(basin=[0, 1, 3])
    left = some["precipitation"] - some["streamflow_observed"]
    expected = np.corrcoef(some["evapotranspiration"].sel(run="dn/seed0"), left)[0, 1]
    np.testing.assert_allclose(summary(some)["r_et_water_balance"].sel(run="dn/seed0"), expected, rtol=1e-4)
    assert summary(results.isel(basin=[0, 1, 3]))["r_et_water_balance"].isnull().all()
    with pytest.raises(CoordinateError, match=r"there is no basin .* in the Dataset"):
        hx.open_results(make_data().isel(basin=[0, 1]))
    with pytest.raises(DescriptionError, match=r"models='mine' is not known"):
        hx.open_results(models="mine")  # type: ignore[arg-type]
    with pytest.raises(DescriptionError, match=r"ds is 'path'.*open_camels.*FOLDER/results.nc"):
        hx.open_results("path")


def test_results_of_models_that_the_paper_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have a file and a table of their own, without the paper's values; rows have the models' names."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    own = run(tmp_path / "runs", models=["mlp", "ungauged"], seeds=[0], attribute_noise=0.3)
    assert ship_results(own, tmp_path).name == "results_own.nc"
    text = markdown(hx.open_results(models="own"))
    assert "| δn, mlp |" in text
    assert "| δn(γt,βt), ungauged |" in text
    assert "attribute_noise 0.3" in text
    assert "paper: NSE" not in text
    with pytest.raises(DataFileError, match="has no results"):
        hx.open_results()


def test_the_results_that_come_with_hydroxr() -> None:
    """Have the correlations with what is CAMELS' own, and the table says how each run was trained."""
    results = hx.open_results()
    delta = results["model"].values != "lstm"
    for name in ("r_bfi_l13", "r_bfi_usgs", "r_et_water_balance"):
        assert (np.isfinite(summary(results)[name].values) == delta).all()
    assert "preset 'long': loss nse + low_flow + 0.3 kge; adam" in markdown(results)
    own = hx.open_results(models="own")
    assert {"filters", "mlp", "gauged", "ungauged"} <= set(own["model"].values)
    assert {"time", "ensemble", "pub", "pur"} == set(own["split"].values)
    assert bool(own["nse"].notnull().all())

"""The command line: what a newcomer types, and what comes back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.__main__ import main
from hydroxr.cli import demo
from hydroxr.inputs import resolve
from hydroxr.models.model import Model
from hydroxr.simulation.simulate import run_period


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three years of the embedded catchments, as a file of one's own."""
    ds = hx.open_sample().sel(time=slice("1980-01-01", "1982-12-31"))
    path = tmp_path / "own.nc"
    ds.drop_encoding().to_netcdf(path)
    return path


def test_fit_simulate_and_evaluate_follow_each_other(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three commands lead from a file to a table; the period before the written one warms the model up."""
    model, store = str(tmp_path / "model"), str(tmp_path / "run.zarr")
    fit = ["fit", "--data", str(data), "--out", model, "--network", "constant", "--components", "2"]
    fit += ["--validation", "1982-01-01:1982-12-31", "--checkpoint", str(tmp_path / "training")]
    assert main([*fit, "--iterations", "2", "--batch", "4", "--time", "1980-01-01:1981-12-31"]) == 0
    assert (
        main(["simulate", "--data", str(data), "--model", model, "--out", store, "--time", "1982-01-01:"])
        == 0
    )
    assert hx.load_model(model).training["best_iteration"] == 2
    assert (tmp_path / "training").is_dir()
    capsys.readouterr()
    assert main(["evaluate", store, "--observed", str(data), "--out", str(tmp_path / "scores.nc")]) == 0
    printed = capsys.readouterr().out
    assert "2 cells with observations" in printed
    assert "nse" in printed

    sim = hx.open_run(store)
    assert str(sim["time"].values[0])[:10] == "1982-01-01"
    whole = xr.open_dataset(data).hbv.simulate(hx.load_model(model))
    xr.testing.assert_allclose(
        sim["streamflow"].drop_attrs(), whole["streamflow"].sel(time="1982").drop_attrs(), rtol=1e-5
    )
    assert float(abs(sim.hbv.water_balance()["residual"]).max()) < 0.01
    assert set(xr.open_dataset(tmp_path / "scores.nc").data_vars) >= {"nse", "kge"}


def test_a_result_may_be_a_netcdf_file_of_some_variables(data: Path, tmp_path: Path) -> None:
    """The ending of the name decides; --variables keeps the file small."""
    model, out = tmp_path / "model", tmp_path / "run.nc"
    ds = xr.open_dataset(data)
    spec = hx.DeltaHBV(components=1, network="constant")
    ds.hbv.fit(spec, iterations=1, batch=2, progress=False).save(model)
    arguments = ["simulate", "--data", str(data), "--model", str(model), "--out", str(out)]
    assert main([*arguments, "--variables", "streamflow", "baseflow"]) == 0
    assert set(xr.open_dataset(out).data_vars) == {"streamflow", "baseflow", "initial_storage"}
    assert main(arguments) == 1  # it exists
    assert main([*arguments, "--overwrite"]) == 0


def test_check_prints_what_a_file_holds(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table; what is impossible fails."""
    assert main(["check", str(data), "--time", "1980-01-01:1980-12-31"]) == 0
    printed = capsys.readouterr().out
    assert "2 cells, 366 days" in printed
    assert "mm/year" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "--data", "nowhere.nc", "--out", "model"], ["DataFileError", "nowhere.nc"]),
        (["evaluate", "nowhere.zarr", "--observed", "nowhere.nc"], ["DataFileError", "nowhere.zarr"]),
    ],
)
def test_errors_are_one_line_and_exit_code_1(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, without a traceback."""
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert all(word in printed for word in words)
    assert "Traceback" not in printed


def test_a_period_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With an example of one."""
    with pytest.raises(SystemExit):
        main(["fit", "--data", "x", "--out", "y", "--time", "1980"])
    assert "1980-10-01:1995-09-30" in capsys.readouterr().err


def test_a_terminal_without_greek_letters_gets_their_numbers(data: Path, tmp_path: Path) -> None:
    """The symbol of a model has a letter that ASCII lacks; the command ends well all the same."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "hydroxr", "fit", "--data", str(data), "--out", str(tmp_path / "model")),
            *("--network", "constant", "--components", "1", "--iterations", "1", "--batch", "2"),
        ],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert r"\u03b41" in done.stdout
    assert "Traceback" not in done.stderr


def test_help_names_every_command() -> None:
    """As a module, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "hydroxr", "--help"], capture_output=True, text=True, check=True
    )
    assert all(command in done.stdout for command in ("demo", "fit", "simulate", "evaluate"))


def test_the_demonstration_leaves_what_it_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores, files, pictures and models of both catchments; here with a training of two steps."""
    monkeypatch.setattr("hydroxr.training.loop.protocol._ITERATIONS", {"constant": 2})
    assert main(["demo", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for name in demo.DEMO_CATCHMENTS:
        folder = tmp_path / name.lower().replace(" ", "-")
        assert name in printed
        assert (
            xr.open_zarr(folder / "simulation.zarr").sizes == xr.open_dataset(folder / "simulation.nc").sizes
        )
        assert (folder / "hydrograph.png").stat().st_size > 10_000
        hx.load_model(folder / "model")


def test_gauged_cells_only(data: Path) -> None:
    """--gauged leaves out cells whose streamflow was never observed."""
    ds = xr.open_dataset(data).load()
    ds["streamflow"][0] = float("nan")
    assert list(resolve.only_gauged(ds)["basin"].values) == ["Baskatong"]


@pytest.mark.parametrize(("first", "last"), [("2000-01-20", "2000-02-20"), ("2000-01-01", "2000-02-01")])
def test_a_period_keeps_the_parameters_of_the_whole_input(
    ds: xr.Dataset, static_model: Model, dynamic_model: Model, first: str, last: str
) -> None:
    """Also one that begins before the training period has ended: the window is that of the data."""
    for model in (static_model, dynamic_model):
        whole = ds.hbv.simulate(model).sel(time=slice(first, last))
        part = run_period(ds, model, slice(first, last))
        xr.testing.assert_allclose(part["streamflow"], whole["streamflow"], rtol=1e-5, atol=1e-6)
        assert part.attrs["hydroxr_parameter_window"] == whole.attrs["hydroxr_parameter_window"]


def test_a_path_that_cannot_be_written_is_refused_before_anything_is_computed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not after the training."""
    monkeypatch.setattr("hydroxr.training.loop.train.train", lambda *_: pytest.fail("trained"))
    folder = tmp_path / "notes"
    folder.mkdir()
    assert main(["fit", "--data", str(data), "--out", str(folder), "--network", "constant"]) == 1
    assert "notes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], hx.DeltaHBV(network="mlp")),
        (["--components", "2", "--dynamic", "BETA"], hx.DeltaHBV(2, ("BETA",), network="filters")),
        (["--model", "d1", "--hidden", "8"], hx.DeltaHBV(1, hidden=8, network="lstm")),
        (
            ["--model", "dn-bt-gt", "--dropout", "0.1"],
            hx.DeltaHBV(dynamic=("BETA", "BETAET"), dropout=0.1, network="lstm"),
        ),
        (["--model", "dn-nnr"], hx.DeltaHBV(runoff_network=True, network="lstm")),
        (["--model", "lstm", "--forcing", "prcp", "vp"], hx.LSTMStreamflow(forcing=("prcp", "vp"))),
    ],
)
def test_a_model_is_described_by_its_name_or_part_by_part(
    arguments: list[str], expected: object, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paper's names, and lstm."""
    given = []

    def fit(self: object, spec: object, **_: object) -> Model:
        given.append(spec)
        raise hx.HydroxrError("enough")

    monkeypatch.setattr(hx.HBVAccessor, "fit", fit)
    assert main(["fit", "--data", str(data), "--out", str(tmp_path / "model"), *arguments]) == 1
    assert given == [expected]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "dn", "--components", "4"], "--model dn and --components contradict"),
        (["--model", "lstm", "--network", "constant"], "--model lstm and --network contradict"),
        (["--forcing", "prcp"], "--forcing needs --model lstm"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    arguments: list[str], words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the data are read."""
    assert main(["fit", "--data", str(data), "--out", str(tmp_path / "model"), *arguments]) == 1
    assert re.search(words, capsys.readouterr().err)

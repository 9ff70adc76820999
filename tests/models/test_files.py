"""Files of models: every older format can be loaded, and forged files are refused."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr._version import FORMAT
from hydroxr.errors import CheckpointError, DescriptionError, ModelFileError
from hydroxr.models.files import JSON_FILE, weight_shapes
from hydroxr.models.model import Model
from hydroxr.training.loop import checkpoint as checkpoints
from hydroxr.training.loop.checkpoint import CHECKPOINT_FILE
from tests.conftest import FIT
from tests.faults import forgeries, model_faults
from tests.support.labelled import make_dataset, untrained

FORMATS = sorted(path for path in (Path(__file__).parents[1] / "fixtures" / "models").iterdir())
SAVED = [(folder, path.name) for folder in FORMATS for path in sorted(folder.iterdir()) if path.is_dir()]


@pytest.mark.parametrize(("folder", "name"), SAVED, ids=lambda value: getattr(value, "name", value))
def test_models_of_every_format_open_and_simulate_as_they_did(folder: Path, name: str) -> None:
    """Saved when the format was new, with their input and their streamflow."""
    model = hx.load_model(folder / name)
    with xr.open_dataset(folder / "input.nc") as ds, xr.open_dataset(folder / "expected.nc") as expected:
        found = ds.load().hbv.simulate(model)["streamflow"]
        flow = expected[name].transpose(*found.dims)
        np.testing.assert_allclose(found.values, flow.values, rtol=1e-4, atol=1e-6)
        assert float(flow.max()) > 0.01


def test_there_are_models_of_every_kind() -> None:
    """Static, dynamic, with NN_r, constant, LSTM, and several together; of every format."""
    kinds = {"dn", "dn-bt-gt", "dn-nnr", "constant", "lstm", "ensemble"}
    assert {folder.name for folder in FORMATS} == {f"v{number}" for number in range(1, FORMAT + 1)}
    for folder in FORMATS:
        assert {name for each, name in SAVED if each == folder} == kinds


@pytest.mark.parametrize("name", forgeries.MALFORMED)
def test_what_a_forger_makes_is_refused(name: str, tmp_path: Path) -> None:
    """A named error within a second; nothing is executed, and little memory is taken."""
    assert model_faults.try_malformed(tmp_path, [name]) == {name: "refused"}


def test_there_are_enough_of_them() -> None:
    """The sound model that they are made from can be loaded."""
    assert len(forgeries.MALFORMED) >= 100


def test_the_sound_ones_open(tmp_path: Path) -> None:
    """The model that forgeries are made from can be loaded, also with the new checksums of a forger."""
    path = forgeries.save_sound(tmp_path)
    model = hx.load_model(path)
    assert isinstance(model, Model)
    forgeries.weights(lambda found: None)(path)
    assert hx.load_model(path) == model
    assert len(hx.load_model(tmp_path / "ensemble")) == 2  # type: ignore[arg-type]


def test_no_damage_passes(tmp_path: Path) -> None:
    """Flipped bits and truncations are found, also in provenance and history."""
    counts = model_faults.try_damages(60, tmp_path, seed=1)
    assert sum(counts.values()) == 60
    assert not [text for text in counts if text.startswith("BROKEN")]


SPECS = {
    "static": hx.DeltaHBV(components=3, hidden=5, network="lstm"),
    "dynamic": hx.DeltaHBV(components=1, hidden=2, dynamic=("BETA", "BETAET"), network="lstm"),
    "NN_r": hx.DeltaHBV(components=2, hidden=4, runoff_network=7, network="lstm"),
    "filters": hx.DeltaHBV(components=3, network="filters", hidden=5, dynamic=("BETA", "K1", "PERC")),
    "mlp": hx.DeltaHBV(components=2, network="mlp", hidden=4, runoff_network=3),
    "LSTM": hx.LSTMStreamflow(hidden=3, forcing=("prcp", "dayl")),
}


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("attributes", [0, 2])
def test_the_shapes_are_those_of_the_network(kind: str, attributes: int) -> None:
    """They are computed without torch and are those of torch."""
    spec = SPECS[kind]
    attributes = max(attributes, 1) if kind in ("filters", "mlp") else attributes  # which read nothing else
    model = untrained(spec, tuple("ab"[:attributes]))
    assert {name: array.shape for name, array in model.weights.items()} == weight_shapes(spec, attributes, 0)


def test_the_shapes_of_a_constant_network(constant_model: Model) -> None:
    """One row per cell."""
    shapes = {name: array.shape for name, array in constant_model.weights.items()}
    assert shapes == weight_shapes(constant_model.description, 0, 3)


def test_any_edit_of_the_provenance_is_found(static_model: Model, tmp_path: Path) -> None:
    """Also in entries that no simulation depends on."""
    path = static_model.save(tmp_path / "model")
    text = (path / JSON_FILE).read_text(encoding="utf-8")
    (path / JSON_FILE).write_text(text.replace('"seed": 0', '"seed": 1'), encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"model\.json is not what was saved"):
        hx.load_model(path)


def test_where_a_model_comes_from_is_in_its_file(ds: xr.Dataset, static_model: Model, tmp_path: Path) -> None:
    """Basins, data, period, metrics; results have all of it but the list of basins."""
    training = json.loads((static_model.save(tmp_path / "model") / JSON_FILE).read_text())["training"]
    assert training["basins"] == ["basin g0", "basin g1", "basin g2"]
    assert training["period"] == ["2000-01-06", "2000-02-14"]
    assert training["last_loss"] == pytest.approx(float(static_model.history["loss"][-1]))
    again = make_dataset()
    again["prcp"][0, 20] += 1.0
    spec = hx.DeltaHBV(components=2, hidden=4, network="lstm")
    hashes = {each.hbv.fit(spec, **FIT).training["data_sha256"] for each in (ds, again)}
    assert len(hashes) == 2
    assert training["data_sha256"] in hashes
    attrs = json.loads(ds.hbv.simulate(static_model).attrs["hydroxr_training"])
    assert attrs == {name: value for name, value in training.items() if name != "basins"}


def test_what_could_not_be_read_again_is_not_saved(static_model: Model, tmp_path: Path) -> None:
    """The error comes before anything is written."""
    numbers = np.zeros(600_000)
    history = xr.Dataset({"loss": ("iteration", numbers), "seconds": ("iteration", numbers)})
    for changes, words in (
        ({"history": history}, r"values, more than such a model can have"),
        ({"training": {}}, r"training\.period is absent"),
    ):
        with pytest.raises(ModelFileError, match=words):
            dataclasses.replace(static_model, **changes).save(tmp_path / "model")  # type: ignore[arg-type]
    assert not [*tmp_path.iterdir()]


def test_cells_without_a_name(constant_model: Model, tmp_path: Path) -> None:
    """They are cells; the other names are kept."""
    names = np.array(["Rhine", None, float("nan")], dtype=object)
    cells = constant_model.cells.assign_coords(river=("basin", names))
    dataclasses.replace(constant_model, cells=cells).save(tmp_path / "model")
    loaded = hx.load_model(tmp_path / "model")
    assert isinstance(loaded, Model)
    xr.testing.assert_equal(loaded.cells, cells)


def test_no_attribute_stands_twice(static_model: Model) -> None:
    """The error comes before a training begins."""
    with pytest.raises(DescriptionError, match=r"p_mean, p_mean; expected names that differ"):
        make_dataset().hbv.fit(hx.DeltaHBV(network="lstm"), **FIT, attributes=["p_mean", "p_mean"])


NO_PATHS = {"None": None, "a number": 3, "bytes": b"model", "too long": "a" * 5000, "too deep": "a/" * 5000}


@pytest.mark.parametrize("what", NO_PATHS)
def test_what_is_no_path(static_model: Model, what: str) -> None:
    """A named error of a few words, when it is read and when it is written."""
    for use in (hx.load_model, static_model.save, hx.Ensemble((static_model,)).save):
        with pytest.raises(ModelFileError, match="path") as found:
            use(NO_PATHS[what])  # type: ignore[arg-type]
        assert len(str(found.value)) < 300


# --- Checkpoints ----------------------------------------------------------------------------------


def forged(path: Path, how: str) -> None:
    """A checkpoint with other content and a checksum that fits it."""
    tensors, content = checkpoints._read(path)
    name = "weights.decode.bias"
    changes: dict[str, Any] = {
        "not a number": lambda: tensors[name].fill_(float("nan")),
        "another shape": lambda: tensors.update({name: tensors[name][:3]}),
        "another type": lambda: tensors.update({name: tensors[name].double()}),
        "a tensor too few": lambda: tensors.pop(name),
        "a tensor too many": lambda: tensors.update({"weights.extra": tensors[name]}),
        "no random numbers": lambda: tensors.pop("random.cpu"),
        "random numbers of another kind": lambda: tensors.update({"random.cpu": tensors[name]}),
        "no optimiser": lambda: [tensors.pop(key) for key in [*tensors] if key.startswith("optimizer.")],
        "an optimiser of text": lambda: tensors.update({"optimizer.__import__('os').exp_avg": tensors[name]}),
        "no history": lambda: content.pop("history"),
        "history of text": lambda: content.update(history="__import__('os')"),
        "history too long": lambda: content["history"]["seconds"].extend([1.0] * 9),
        "draws of another kind": lambda: content.update(draws={"bit_generator": "os.system"}),
        "format as text": lambda: content.update(hydroxr_format="1"),
        "format that is true": lambda: content.update(hydroxr_format=True),
        "identity a list": lambda: content.update(identity=[]),
    }
    changes[how]()
    keeper = checkpoints.Checkpoint(path.parent)
    keeper.write(tensors, {name: value for name, value in content.items() if name != "hydroxr_version"})


FORGED = (
    "not a number",
    "another shape",
    "another type",
    "a tensor too few",
    "a tensor too many",
    "no random numbers",
    "random numbers of another kind",
    "no optimiser",
    "an optimiser of text",
    "no history",
    "history of text",
    "history too long",
    "draws of another kind",
    "format as text",
    "format that is true",
    "identity a list",
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training."""
    folder = tmp_path_factory.mktemp("begun")
    make_dataset().hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT, checkpoint=folder)
    return folder / CHECKPOINT_FILE


@pytest.mark.parametrize("how", [*FORGED, "pipe", "folder", "link to nothing", "pickle"])
def test_a_checkpoint_that_nobody_should_trust(how: str, begun: Path, ds: xr.Dataset, tmp_path: Path) -> None:
    """It is refused by both options; nothing is executed, and nothing hangs."""
    path = tmp_path / CHECKPOINT_FILE
    if how in FORGED:
        path.write_bytes(begun.read_bytes())
        forged(path, how)
    elif how == "pickle":
        forgeries.raw(pickle.dumps(forgeries.Executes(tmp_path / "executed")), CHECKPOINT_FILE)(tmp_path)
    else:
        makers = {"pipe": os.mkfifo, "folder": Path.mkdir}
        makers.get(how, lambda path: path.symlink_to("nothing"))(path)
    for option in ("checkpoint", "resume"):
        with model_faults.alarm(30), pytest.raises(CheckpointError):
            ds.hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT, **{option: tmp_path})
    assert not (tmp_path / "executed").exists()

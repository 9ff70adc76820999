"""Descriptions and models are immutable; a loaded model is the saved one, or there is an error."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, ModelFileError
from hydroxr.models.files import JSON_FILE, WEIGHTS_FILE
from hydroxr.models.model import Model
from hydroxr.models.schema import sealed
from hydroxr.support import atomic
from tests.faults import forgeries
from tests.support.labelled import assert_same_values, make_dataset

KINDS = ("constant", "static", "dynamic")


# --- Descriptions ---------------------------------------------------------------------------------


def test_the_ladder_has_the_paper_s_models() -> None:
    """Names to the paper's symbols, from the plain HBV to NN_r; 16 components, 256 hidden units."""
    ladder = hx.DeltaHBV.ladder()
    assert {name: spec.symbol for name, spec in ladder.items()} == {
        "d1": "δ1",
        "dn": "δn",
        "dn-bt": "δn(βt)",
        "dn-gt": "δn(γt)",
        "dn-bt-gt": "δn(γt,βt)",
        "dn-nnr": "δn(NNr)",
    }
    assert [spec.components for spec in ladder.values()] == [1, 16, 16, 16, 16, 16]
    assert [name for name, spec in ladder.items() if spec.runoff_network] == ["dn-nnr"]
    assert {spec.hidden for spec in ladder.values()} == {256}
    # The paper's dropout of 0.5 is its protocol's, see tests/training/loop/test_protocol.py.
    assert {spec.dropout for spec in ladder.values()} == {None}


def test_betaet_is_a_parameter_only_where_it_is_dynamic() -> None:
    """Without it evapotranspiration is linear."""
    assert "BETAET" not in hx.DeltaHBV(dynamic=("BETA",), network="lstm").parameters
    assert "BETAET" in hx.DeltaHBV(dynamic=("BETAET",), network="lstm").parameters


def test_descriptions_are_equal_if_they_describe_the_same() -> None:
    """Order and container of dynamic parameters do not matter; descriptions can be keys."""
    one = hx.DeltaHBV(dynamic=("BETA", "BETAET"))
    for dynamic in (["BETAET", "BETA"], ("BETAET", "BETA", "BETA")):
        other = hx.DeltaHBV(dynamic=dynamic)  # type: ignore[arg-type]
        assert other == one
        assert hash(other) == hash(one)
    assert hx.DeltaHBV(dynamic="BETA") == hx.DeltaHBV(dynamic=("BETA",))  # type: ignore[arg-type]
    assert hx.DeltaHBV(**one.to_dict()) == one
    assert hx.DeltaHBV(**json.loads(json.dumps(one.to_dict()))) == one


def test_descriptions_cannot_be_changed() -> None:
    """Descriptions are immutable."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        hx.DeltaHBV().components = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"components": 0}, "components is 0.*at least 1"),
        ({"components": 2.0}, "components is 2.0.*whole number"),
        ({"hidden": -1}, "hidden is -1.*at least 1"),
        ({"hidden": None}, "hidden is None"),
        ({"dropout": 1.0}, "dropout is 1.0.*below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"network": "transformer"}, "'transformer'.*'filters', 'mlp', 'lstm', 'constant'"),
        ({"dynamic": ("BETTA",)}, "'BETTA'.*BETA, FC"),
        ({"dynamic": ("UH_SHAPE",)}, "'UH_SHAPE' cannot be dynamic"),
        ({"network": "constant", "dynamic": ("BETA",)}, "constant.*network='filters' or 'lstm'"),
        ({"network": "mlp", "dynamic": ("BETA",)}, "network='mlp'.*every day.*'filters'"),
        ({"network": "filters"}, "dynamic is empty.*network='mlp'"),
    ],
)
def test_what_does_not_exist_cannot_be_described(options: dict[str, Any], words: str) -> None:
    """The message has the value and the allowed ones."""
    with pytest.raises(DescriptionError, match=words):
        hx.DeltaHBV(**options)


def test_whole_numbers_may_come_from_numpy() -> None:
    """NumPy integers from an array are taken."""
    assert hx.DeltaHBV(components=np.int64(4)) == hx.DeltaHBV(components=4)  # type: ignore[arg-type]
    json.dumps(hx.DeltaHBV(components=np.int64(4)).to_dict())  # type: ignore[arg-type]


# --- Models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_the_same_after_the_disk(models: dict[str, Model], kind: str, tmp_path: Path) -> None:
    """Hash, description, weights, provenance, history; and to the last bit what it simulates."""
    model = models[kind]
    path = model.save(tmp_path / "some" / "model")
    loaded = hx.load_model(path)
    assert loaded.hash == model.hash
    assert loaded.description == model.description
    assert loaded.attributes == model.attributes
    assert loaded.categories == model.categories
    assert loaded.training == model.training
    xr.testing.assert_identical(loaded.history, model.history)
    xr.testing.assert_equal(loaded.cells, model.cells)
    for name, array in model.weights.items():
        assert loaded.weights[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.weights[name], array)
    assert repr(loaded) == repr(model)
    ds = make_dataset()
    assert_same_values(ds.hbv.simulate(loaded), ds.hbv.simulate(model))


def test_the_path_may_be_text(static_model: Model, tmp_path: Path) -> None:
    """A path may be text."""
    static_model.save(str(tmp_path / "model"))
    assert hx.load_model(str(tmp_path / "model")).hash == static_model.hash


def test_on_disk_it_is_numbers_and_json(static_model: Model, tmp_path: Path) -> None:
    """Two files that hold nothing executable, with format and version."""
    path = static_model.save(tmp_path / "model")
    assert sorted(file.name for file in path.iterdir()) == [JSON_FILE, WEIGHTS_FILE]
    content = json.loads((path / JSON_FILE).read_text(encoding="utf-8"))
    assert isinstance(content["hydroxr_format"], int)
    assert content["hydroxr_version"] == hx.__version__
    for file in path.iterdir():
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(file.read_bytes())


def test_others_can_read_it(static_model: Model, tmp_path: Path) -> None:
    """A saved model has the permissions of any new folder, so that colleagues can use it."""
    usual = tmp_path / "usual"
    usual.mkdir()
    path = static_model.save(tmp_path / "model")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_what_is_in_the_hash(ds: xr.Dataset, static_model: Model) -> None:
    """Models of one hash simulate alike: whatever makes a difference to a simulation is in it, whatever does
    not (when and how fast it was trained) is not."""
    training = static_model.training
    weights = {name: array.copy() for name, array in static_model.weights.items()}
    weights["decode.bias"][0] += 1
    changed = [
        dataclasses.replace(static_model, weights=weights),
        dataclasses.replace(static_model, attributes=static_model.attributes[::-1]),
        dataclasses.replace(static_model, categories={"geol_class_1st": ["granite", "basalt"]}),
        # the period and its days say where static parameters are read
        dataclasses.replace(
            static_model, training=training | {"period": ["2000-01-01", "2000-01-20"], "days": 20}
        ),
    ]
    expected = ds.hbv.simulate(static_model)
    for model in changed:
        assert (ds.hbv.simulate(model)["soil_moisture"] != expected["soil_moisture"]).any()
        assert model.hash != static_model.hash
    assert dataclasses.replace(static_model, training=training | {"seconds": 1.0}).hash == static_model.hash


def test_models_can_be_compared(static_model: Model, dynamic_model: Model, tmp_path: Path) -> None:
    """``==`` tells whether two models are the same."""
    assert hx.load_model(static_model.save(tmp_path / "model")) == static_model
    assert static_model != dynamic_model


def test_a_model_cannot_be_changed(static_model: Model) -> None:
    """Its fields are fixed, and so are its weights: results name it by its hash."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        static_model.attributes = ()  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        static_model.weights["decode.bias"][0] += 0.0


def test_a_model_travels_to_workers(dynamic_model: Model) -> None:
    """Through pickle, as dask sends it."""
    assert pickle.loads(pickle.dumps(dynamic_model)).hash == dynamic_model.hash


def test_parameters_of_a_constant_model_need_no_forcing(
    ds: xr.Dataset, constant_model: Model, static_model: Model
) -> None:
    """A constant model gives them labelled and inside their ranges; a regional model says what it needs."""
    parameters = constant_model.constant_parameters()
    np.testing.assert_array_equal(parameters["basin"], ds["basin"])
    assert parameters["FC"].dims == ("basin", "component")
    assert parameters["UH_SCALE"].dims == ("basin",)
    for name, row in hx.physics.PARAMETERS.items():
        if name in parameters:
            assert (parameters[name] >= row.lower).all()
            assert (parameters[name] <= row.upper).all()
    with pytest.raises(DescriptionError, match=r"hbv\.parameters"):
        static_model.constant_parameters()


def test_a_model_of_the_first_version_still_opens(static_model: Model, tmp_path: Path) -> None:
    """Its JSON as version 0.1.0 wrote it: no protocol but some options, loss and seconds alone; the same
    hash."""
    path = static_model.save(tmp_path / "model")
    content = json.loads((path / JSON_FILE).read_text(encoding="utf-8"))
    kept = ("period", "days", "cells", "iterations", "batch", "window", "warmup", "optimizer", "seed")
    content["training"] = {name: content["training"][name] for name in kept}
    content["training"] |= {"loss": "Feng et al. (2022), equation 1", "hydroxr_version": "0.1.0"}
    content["history"] = {"loss": [2.0, 1.0, 0.5], "seconds": [0.1, 0.2, 0.3]}
    assert content["hydroxr_format"] == 1
    assert content["description"]["dropout"] == 0.1
    forgeries.write(path, content)
    loaded = hx.load_model(path)
    assert loaded == static_model
    assert loaded.history["loss"].attrs["units"] == "kg m-2 day-1"
    np.testing.assert_array_equal(loaded.history["loss"], [2.0, 1.0, 0.5])


# --- Saving over something ------------------------------------------------------------------------


def test_a_model_replaces_a_model(static_model: Model, dynamic_model: Model, tmp_path: Path) -> None:
    """No other files are left."""
    path = static_model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"is a model already.*overwrite=True"):
        dynamic_model.save(path)
    assert hx.load_model(path).hash == static_model.hash
    dynamic_model.save(path, overwrite=True)
    assert hx.load_model(path).hash == dynamic_model.hash
    hx.Ensemble((static_model,)).save(path, overwrite=True)
    with pytest.raises(ModelFileError, match=r"is a model already.*overwrite=True"):
        hx.Ensemble((static_model,)).save(path)
    assert os.listdir(tmp_path) == ["model"]


def test_a_model_that_came_meanwhile_is_not_replaced(
    static_model: Model, dynamic_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program saved its own after the first look."""
    from hydroxr.models import model as module

    write = module.write_file

    def write_slowly(file: Path, data: bytes) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, "write_file", write)
            if not (tmp_path / "model").exists():
                static_model.save(tmp_path / "model")
        write(file, data)

    monkeypatch.setattr(module, "write_file", write_slowly)
    with pytest.raises(ModelFileError, match="is a model already"):
        dynamic_model.save(tmp_path / "model")
    assert hx.load_model(tmp_path / "model").hash == static_model.hash
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("swaps", [True, False], ids=["in one step", "in two"])
def test_a_model_can_be_loaded_while_others_replace_it(
    static_model: Model, dynamic_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    """Whoever loads gets one of them, whole; also where the system cannot swap folders."""
    if not swaps:
        monkeypatch.setattr(atomic, "exchange", lambda *_: False)
    path = static_model.save(tmp_path / "model")
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            dynamic_model.save(path, overwrite=True)
            static_model.save(path, overwrite=True)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(replace)
        try:
            found = {hx.load_model(path).hash for _ in range(100)}
        finally:
            stop.set()
        writer.result()
    assert found <= {static_model.hash, dynamic_model.hash}


@pytest.mark.parametrize("place", ["s3://bucket/model", "https://host/model"])
def test_a_model_is_not_saved_under_a_url(static_model: Model, place: str) -> None:
    """A folder called ``s3:`` would be made in the working folder."""
    for call in (static_model.save, hx.Ensemble((static_model,)).save, hx.load_model):
        with pytest.raises(ModelFileError, match=r"is a URL; expected a path on this machine"):
            call(place)


def test_a_path_may_begin_with_the_home_folder(
    static_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert static_model.save("~/model") == tmp_path / "model"
    assert hx.load_model("~/model") == static_model


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_model_replaces_nothing_else(static_model: Model, tmp_path: Path, what: str) -> None:
    """Other files and folders are refused."""
    path = tmp_path / "precious"
    if what == "file":
        path.write_text("precious")
    else:
        path.mkdir()
        (path / "precious").write_text("precious")
    with pytest.raises(ModelFileError, match=r"precious.*another path"):
        static_model.save(path)
    assert (path if what == "file" else path / "precious").read_text() == "precious"
    assert os.listdir(tmp_path) == ["precious"]


@pytest.mark.parametrize("when", ["first file", "second file", "rename"])
def test_a_save_that_fails_changes_nothing(
    static_model: Model, dynamic_model: Model, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full or the name cannot be taken, the old model stays, and no other file is left."""
    from hydroxr.models import model as module

    path = static_model.save(tmp_path / "model")
    write = module.write_file

    def full(file: Path, data: bytes) -> None:
        if (file.name == WEIGHTS_FILE) == (when == "first file"):
            raise OSError("no space left on device")
        write(file, data)

    def refuse(*args: Any) -> None:
        raise OSError("not permitted")

    with monkeypatch.context() as patch:
        if when == "rename":
            patch.setattr(atomic, "exchange", lambda *_: False)
            patch.setattr(Path, "rename", refuse)
            patch.setattr(Path, "replace", refuse)
            patch.setattr(os, "rename", refuse)
            patch.setattr(os, "replace", refuse)
        else:
            patch.setattr(module, "write_file", full)
        with pytest.raises(ModelFileError, match=r"could not be written: n.*Choose another path"):
            dynamic_model.save(path, overwrite=True)
    assert os.listdir(tmp_path) == ["model"]
    assert hx.load_model(path).hash == static_model.hash


# --- Files that are no models ---------------------------------------------------------------------


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Change the JSON of a saved model."""

    def apply(path: Path) -> None:
        content = json.loads((path / JSON_FILE).read_text(encoding="utf-8"))
        change(content)
        del content["json_sha256"]
        content = sealed(content)  # found out by what it says, not by its checksum
        (path / JSON_FILE).write_text(json.dumps(content), encoding="utf-8")

    return apply


def cut(name: str, share: float) -> Callable[[Path], None]:
    """Keep the first part of a file."""

    def apply(path: Path) -> None:
        data = (path / name).read_bytes()
        (path / name).write_bytes(data[: int(len(data) * share)])

    return apply


def flip(path: Path) -> None:
    """Change one bit of the weights."""
    data = bytearray((path / WEIGHTS_FILE).read_bytes())
    data[-20] ^= 1
    (path / WEIGHTS_FILE).write_bytes(bytes(data))


def torch_file(path: Path) -> None:
    """Replace the weights by a pickle."""
    (path / WEIGHTS_FILE).write_bytes(pickle.dumps({"decode.bias": [1.0]}))


SPOILED: dict[str, Callable[[Path], Any]] = {
    "absent": shutil.rmtree,
    "a file": lambda path: (shutil.rmtree(path), path.write_text("model")),
    "empty": lambda path: [file.unlink() for file in path.iterdir()],
    "without weights": lambda path: (path / WEIGHTS_FILE).unlink(),
    "without JSON": lambda path: (path / JSON_FILE).unlink(),
    "weights cut": cut(WEIGHTS_FILE, 0.5),
    "weights empty": cut(WEIGHTS_FILE, 0.0),
    "JSON cut": cut(JSON_FILE, 0.7),
    "JSON empty": cut(JSON_FILE, 0.0),
    "JSON of another kind": lambda path: (path / JSON_FILE).write_text("[1, 2]"),
    "JSON not text": lambda path: (path / JSON_FILE).write_bytes(b"\xff\xfe\x00"),
    "a bit flipped": flip,
    "a pickle": torch_file,
    "newer": edit(lambda content: content.update(hydroxr_format=99)),
    "of no format": edit(lambda content: content.pop("hydroxr_format")),
    "format 0": edit(lambda content: content.update(hydroxr_format=0)),
    "format as text": edit(lambda content: content.update(hydroxr_format="1")),
    "without training": edit(lambda content: content.pop("training")),
    "of an unknown network": edit(lambda content: content["description"].update(network="mlp")),
    "of an unknown option": edit(lambda content: content["description"].update(depth=3)),
    "other width": edit(lambda content: content["description"].update(hidden=5)),
    "other components": edit(lambda content: content["description"].update(components=3)),
    "attributes swapped": edit(lambda content: content["attributes"].reverse()),
    "categories swapped": edit(lambda content: content["categories"]["geol_class_1st"].reverse()),
    "other period": edit(lambda content: content["training"].update(period=["1990-01-01", "1999-12-31"])),
}


@pytest.mark.parametrize("how", SPOILED)
def test_what_is_not_what_was_saved_is_refused(static_model: Model, tmp_path: Path, how: str) -> None:
    """Absent, cut, edited, foreign, of a newer format: an error with the path, when it is read and not
    later."""
    path = static_model.save(tmp_path / "model")
    SPOILED[how](path)
    with pytest.raises(ModelFileError, match="model"):
        hx.load_model(path)


def test_a_newer_format_says_what_to_do(static_model: Model, tmp_path: Path) -> None:
    """The message says to update hydroxr."""
    path = static_model.save(tmp_path / "model")
    SPOILED["newer"](path)
    with pytest.raises(ModelFileError, match=r"format 99.*up to 1.*update hydroxr"):
        hx.load_model(path)


def test_swapped_weights_of_another_model_are_refused(
    static_model: Model, dynamic_model: Model, tmp_path: Path
) -> None:
    """Each file is sound, but they do not belong together."""
    one, other = static_model.save(tmp_path / "one"), dynamic_model.save(tmp_path / "other")
    shutil.copy(other / WEIGHTS_FILE, one / WEIGHTS_FILE)
    with pytest.raises(ModelFileError, match="checksum"):
        hx.load_model(one)


def test_the_default_network_has_no_recurrence() -> None:
    """With dynamic parameters or without; the paper's models keep the paper's network."""
    assert hx.DeltaHBV().network == "mlp"
    assert hx.DeltaHBV(dynamic="BETA").network == "filters"  # type: ignore[arg-type]
    assert {spec.network for spec in hx.DeltaHBV.ladder().values()} == {"lstm"}

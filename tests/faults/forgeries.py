"""Model files that nobody should trust, made from a sound one: cut, edited, foreign, malicious.

Checksums fit wherever a forger could make them fit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

import hydroxr as hx
from hydroxr.models.attribute_ranges import attribute_facts
from hydroxr.models.error_tables import FILE as ERRORS_FILE
from hydroxr.models.files import ENSEMBLE_FILE, JSON_FILE, WEIGHTS_FILE
from hydroxr.models.schema import sealed
from tests.support.labelled import make_errors, untrained

MARKER = "executed"  # what code in a file would make

Change = Callable[[Path], Any]


class Executes:
    """As a pickle it makes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def save_sound(folder: Path) -> Path:
    """A model with errors, and an ensemble."""
    spec = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), runoff_network=3, network="lstm")
    model = untrained(spec)
    facts = attribute_facts(np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0]]), model.attributes)
    model = dataclasses.replace(model, training={**model.training, **facts, "cells": 2, "basins": ["a", "b"]})
    hx.Ensemble((model, model)).save(folder / "ensemble")
    return model.with_errors(make_errors(["a", "b"])).save(folder / "model")


# --- What a forger does ---------------------------------------------------------------------------


def read(path: Path) -> dict[str, Any]:
    """The JSON of a model."""
    return json.loads((path / JSON_FILE).read_text(encoding="utf-8"))


def write(path: Path, content: dict[str, Any]) -> None:
    """The JSON of a model, with checksums that fit it and the weights that are there."""
    content.pop("json_sha256", None)
    with contextlib.suppress(SafetensorError, AttributeError, KeyError, OSError, TypeError, ValueError):
        content["model_sha256"] = model_hash(content, (path / WEIGHTS_FILE).read_bytes())
    raw = json.dumps(sealed(content), ensure_ascii=False).encode("utf-8", "surrogatepass")
    (path / JSON_FILE).write_bytes(raw)


def model_hash(content: dict[str, Any], raw: bytes) -> str:
    """The checksum of a model with that JSON and those weights."""
    optional = (name for name in ("forcing_units", "attribute_units") if name in content)
    names = ("attributes", "categories", "cells", *optional)
    identity = {name: content[name] for name in names}
    identity["parameter_window"] = {name: content["training"].get(name) for name in ("period", "days")}
    dynamic = content["description"].get("dynamic")
    identity["description"] = {**content["description"], "dynamic": list(dict.fromkeys(dynamic))}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for name, array in sorted(from_bytes(raw).items()):
        digest.update(name.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def edit(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Change the JSON."""

    def apply(path: Path) -> None:
        content = read(path)
        change(content)
        write(path, content)

    return apply


def described(**values: Any) -> Change:
    """Change the description."""
    return edit(lambda content: content["description"].update(values))


def learned(**values: Any) -> Change:
    """Change what is said of the training."""
    return edit(lambda content: content["training"].update(values))


def table(part: str, name: str, **values: Any) -> Change:
    """Change what is said of the errors of simulations."""
    return edit(lambda content: content["errors"]["kinds"]["simulation"][part][name].update(values))


def text(change: Callable[[str], str]) -> Change:
    """Change the JSON as text."""

    def apply(path: Path) -> None:
        found = (path / JSON_FILE).read_text(encoding="utf-8")
        changed = change(found)
        assert changed != found
        (path / JSON_FILE).write_text(changed, encoding="utf-8")

    return apply


def forge(path: Path, raw: bytes) -> None:
    """Put other weights in, with every checksum that fits them."""
    (path / WEIGHTS_FILE).write_bytes(raw)
    content = read(path)
    content["weights_sha256"] = hashlib.sha256(raw).hexdigest()
    write(path, content)


def weights(change: Callable[[dict[str, np.ndarray]], Any]) -> Change:
    """Change tensors, as whoever writes safetensors would."""

    def apply(path: Path) -> None:
        found = {name: array.copy() for name, array in from_bytes((path / WEIGHTS_FILE).read_bytes()).items()}
        change(found)
        forge(path, to_bytes(found))

    return apply


def header(change: Callable[[dict[str, Any]], Any], length: int | None = None) -> Change:
    """Change the header of the weights, and leave the numbers."""

    def apply(path: Path) -> None:
        raw = (path / WEIGHTS_FILE).read_bytes()
        (size,) = struct.unpack("<Q", raw[:8])
        content = json.loads(raw[8 : 8 + size])
        changed = change(content)
        new = json.dumps(content).encode() if changed is None else changed
        forge(path, struct.pack("<Q", len(new) if length is None else length) + new + raw[8 + size :])

    return apply


def row(name: str = "decode.bias", **values: Any) -> Change:
    """Change what the header says of a tensor."""
    return header(lambda content: content[name].update(values))


def raw(data: bytes | Callable[[bytes], bytes], name: str = WEIGHTS_FILE) -> Change:
    """Other bytes, with a checksum of them where they are weights."""

    def apply(path: Path) -> None:
        new = data if isinstance(data, bytes) else data((path / name).read_bytes())
        if name == WEIGHTS_FILE:
            forge(path, new)
        else:
            (path / name).write_bytes(new)

    return apply


def filled(first: bytes, part: bytes, times: int) -> Change:
    """JSON of so many times the same, written a piece at a time, to take no memory here."""

    def apply(path: Path) -> None:
        with (path / JSON_FILE).open("wb") as file:
            file.write(first)
            for _ in range(times // 10_000):
                file.write(part * 10_000)
            file.write(b"1]}")

    return apply


def instead(name: str, make: Callable[[Path], Any]) -> Change:
    """Something else under the name of a file."""

    def apply(path: Path) -> None:
        (path / name).unlink()
        make(path / name)

    return apply


def moved_out(name: str) -> Change:
    """A link to a file elsewhere."""

    def apply(path: Path) -> None:
        (path / name).rename(path.parent / f"elsewhere-{name}")
        (path / name).symlink_to(path.parent / f"elsewhere-{name}")

    return apply


def executed(name: str) -> Change:
    """A pickle under the name of a file."""
    return lambda path: raw(pickle.dumps(Executes(path.parent / MARKER)), name)(path)


def torch_file(path: Path) -> None:
    """What torch.save writes, with code in it."""
    import torch

    torch.save({"decode.bias": Executes(path.parent / MARKER)}, path.parent / "weights.pt")
    forge(path, (path.parent / "weights.pt").read_bytes())


def of_ensemble(change: Callable[[dict[str, Any]], Any], checksum: str = "new") -> Change:
    """Put an ensemble in the place of the model, and change its JSON, with a new, the old or no checksum."""

    def apply(path: Path) -> None:
        shutil.rmtree(path)
        (path.parent / "ensemble").rename(path)
        content = json.loads((path / ENSEMBLE_FILE).read_text(encoding="utf-8"))
        before = {"json_sha256": content.pop("json_sha256")}
        change(content)
        content = {"new": sealed(content), "old": content | before, "no": content}[checksum]
        (path / ENSEMBLE_FILE).write_text(json.dumps(content), encoding="utf-8")

    return apply


def last_dropped(content: dict[str, Any]) -> None:
    """One member less, and nothing left that names it."""
    del content["members"][-1], content["model_sha256"][-1]


def without_checksum(path: Path) -> None:
    """The JSON as if it had never had one, so that anything could be edited."""
    content = read(path)
    del content["json_sha256"]
    (path / JSON_FILE).write_text(json.dumps(content), encoding="utf-8")


def infinite(found: dict[str, np.ndarray]) -> None:
    """One weight."""
    found["decode.weight"][0, 0] = np.inf


MALFORMED: dict[str, Change] = {
    # Weights.
    "weights cut": raw(lambda data: data[: len(data) // 2]),
    "weights cut in the header": raw(lambda data: data[:40]),
    "weights of seven bytes": raw(b"1234567"),
    "weights empty": raw(b""),
    "weights with a tail": raw(lambda data: data + b"tail" * 9),
    "weights of 2 GB of nothing": lambda path: os.truncate(path / WEIGHTS_FILE, 2**31),
    "header of 2**63 bytes": header(lambda content: None, length=2**63),
    "header of no bytes": header(lambda content: None, length=0),
    "header no JSON": header(lambda content: b"{" * 100),
    "header a list": header(lambda content: b"[]      "),
    "a header of 2 MB": header(lambda content: b'{"a":[' + b"[]," * 700_000 + b"[]]}"),
    "header nested": header(lambda content: b'{"a":' * 100_000),
    "header with a tensor twice": header(
        lambda content: json.dumps(content).encode()[:-1] + b',"decode.bias":{}}'
    ),
    "tensors that overlap": row(data_offsets=[0, 114 // 2 * 2]),
    "a tensor beyond the end": row(data_offsets=[2**40, 2**40 + 4]),
    "a tensor of negative length": row(data_offsets=[8, 0]),
    "places that are no numbers": row(data_offsets=["0", "8"]),
    "a tensor of 2**60 numbers": row(shape=[2**30, 2**30]),
    "a shape below zero": row(shape=[-1, -28]),
    "an unknown type": row(dtype="F4096"),
    "weights that are not a number": weights(lambda found: found["decode.bias"].fill(np.nan)),
    "weights that are infinite": weights(infinite),
    "weights of integers": weights(lambda found: found.update({"decode.bias": np.ones(30, dtype="int32")})),
    "weights of half precision": weights(
        lambda found: found.update({name: array.astype("float16") for name, array in found.items()})
    ),
    "a tensor too many": weights(lambda found: found.update(extra=np.ones(3, dtype="float32"))),
    "a tensor too few": weights(lambda found: found.pop("encode.bias")),
    "a tensor transposed": weights(
        lambda found: found.update({"decode.weight": np.ascontiguousarray(found["decode.weight"].T)})
    ),
    "weights of another program": raw(to_bytes({"model.embed_tokens.weight": np.zeros((8, 4), "float32")})),
    "weights that are a pickle": executed(WEIGHTS_FILE),
    "weights that torch saved": torch_file,
    "standard deviations of 0": weights(lambda found: found["attribute_std"].fill(0.0)),
    "standard deviations below 0": weights(lambda found: found["forcing_std"].fill(-1.0)),
    # Errors.
    "errors cut": raw(lambda data: data[: len(data) // 2], ERRORS_FILE),
    "errors of another model": raw(to_bytes({"a": np.zeros(3)}), ERRORS_FILE),
    "no file of errors": lambda path: (path / ERRORS_FILE).unlink(),
    "errors a number": edit(lambda content: content.update(errors=3)),
    "errors without a checksum": edit(lambda content: content["errors"].pop("sha256")),
    "errors of nowhere": table("variables", "streamflow_error", dims=["basin", "season", "nowhere"]),
    "errors without levels": table("variables", "streamflow_error", dims=["basin", "season"]),
    "errors of three seasons": table("coords", "season", values=["DJF", "MAM", "JJA"]),
    "errors with levels along seasons": table("coords", "level", dims=["season"]),
    # JSON.
    "JSON without its checksum": without_checksum,
    "JSON of 90 MB of lists": filled(b'{"a":[', b"[],", 30_000_000),
    "JSON of many lists": filled(b'{"a":[', b"[],", 5_000_000),
    "JSON of many names": filled(b'{"a":[', b'{"a":1},', 1_500_000),
    "JSON of many texts": filled(b'{"a":[', b'"ab",', 3_000_000),
    "JSON of many numbers": filled(b'{"a":[', b"1,", 7_000_000),
    "JSON as large as may be": filled(b'{"a":[' + b"[]," * 100_000, b'"abcdefghijklm",', 900_000),
    "JSON that is a pickle": executed(JSON_FILE),
    "JSON not UTF-8": raw(b'{"hydroxr_format": 1, "a": "\xff\xfe"}', JSON_FILE),
    "JSON nested": raw(b"[" * 200_000, JSON_FILE),
    "JSON with a number of 10,000 digits": text(
        lambda found: found.replace('"hydroxr_format": 1', f'"hydroxr_format": {"9" * 10_000}')
    ),
    "JSON with a name twice": text(lambda found: found.replace("{", '{"hydroxr_format": 1,', 1)),
    "JSON with a class": edit(lambda content: content.update(__class__="os.system", args=["touch executed"])),
    "JSON with a path": edit(lambda content: content.update(weights="../../elsewhere")),
    "JSON with what only text can be": edit(lambda content: content.update(attributes="p_mean")),
    "attributes of numbers": edit(lambda content: content.update(attributes=[1, 2, 3])),
    "an attribute too many": edit(lambda content: content["attributes"].append("__import__('os')")),
    "categories that are a list": edit(lambda content: content.update(categories=["granite"])),
    "cells of another kind": edit(lambda content: content.update(cells={"basin": [1, 2]})),
    "cells that do not fit": edit(
        lambda content: content.update(cells={"basin": {"dims": ["basin"], "values": [[1, 2], [3]]}})
    ),
    "history of text": edit(lambda content: content.update(history={"loss": ["__import__('os')"]})),
    "history of two lengths": edit(lambda content: content.update(history={"loss": [1.0], "seconds": []})),
    "training a list": edit(lambda content: content.update(training=[])),
    "training of other days": edit(lambda content: content["training"].update(days=10**30)),
    "training without a period": edit(lambda content: content["training"].pop("period")),
    "training without days": edit(lambda content: content["training"].pop("days")),
    "a period of nothing": learned(period=[]),
    "a period of one day": learned(period=["2000-01-06"]),
    "a period of words": learned(period=["x", "y"]),
    "a period backwards": learned(period=["2000-02-14", "2000-01-06"]),
    "a period of numbers": learned(period=[2000, 2001]),
    "days below zero": learned(days=-5),
    "10**18 days": learned(days=10**18),
    "more days than the period has": learned(days=44),
    "days that are true": learned(days=True),
    "ranges that are a number": learned(attribute_ranges=5),
    "a range of text": learned(attribute_ranges={"p_mean": "x"}),
    "a range of one number": learned(attribute_ranges={"p_mean": [1.0]}),
    "a range backwards": learned(attribute_ranges={"p_mean": [2.0, 1.0]}),
    "a range without end": learned(attribute_ranges={"p_mean": [0.0, float("inf")]}),
    "a range of something else": learned(attribute_ranges={"aspect": [0.0, 1.0]}),
    "gaps that are a number": learned(attributes_with_gaps=1),
    "gaps in something else": learned(attributes_with_gaps=["aspect"]),
    "cells that are text": learned(cells="2"),
    "basins that are a number": learned(basins=5),
    "more basins than cells": learned(basins=["a", "b", "c"]),
    "a seed of another kind": learned(seed={"a": 1}),
    "a loss of another kind": learned(loss=[1]),
    "interrupted by text": learned(interrupted="no"),
    "seconds of text": learned(seconds="1"),
    "folds of another kind": learned(cross_validation=[1]),
    "a dynamic parameter twice": described(dynamic=["BETA", "BETA"]),
    "attributes that stand twice": edit(lambda content: content.update(attributes=["p_mean"] * 3)),
    "categories that stand twice": edit(lambda content: content.update(categories={"p_mean": ["a", "a"]})),
    "categories of something else": edit(lambda content: content.update(categories={"aspect": ["a"]})),
    "units of something else": edit(lambda content: content.update(forcing_units={"prcp": "furlong"})),
    "cells of several kinds": edit(
        lambda content: content.update(cells={"basin": {"dims": ["basin"], "values": ["a", 1, None]}})
    ),
    "cells of objects": edit(lambda content: content.update(cells={"a": {"dims": [], "values": {"x": 1}}})),
    "history of iterations": edit(lambda content: content.update(history={"iteration": [1]})),
    "history of 10**400": edit(lambda content: content.update(history={"loss": [10**400]})),
    "a version of another kind": edit(lambda content: content.update(hydroxr_version={"a": 1})),
    "a format to come": edit(lambda content: content.update(hydroxr_format=99)),
    "a format as text": edit(lambda content: content.update(hydroxr_format="1")),
    "a format that is true": edit(lambda content: content.update(hydroxr_format=True)),
    "a description of nothing": edit(lambda content: content.update(description=None)),
    "more hidden units": described(hidden=5),
    "10**12 hidden units": described(hidden=10**12),
    "components as text": described(components="2"),
    "a network of another name": described(network="os.system"),
    "a kind of another name": described(kind="builtins.eval"),
    "an option too many": described(depth=3),
    "dynamic parameters of numbers": described(dynamic=[1, [2]]),
    "NN_r of another width": described(runoff_network=4),
    # Files.
    "without weights": lambda path: (path / WEIGHTS_FILE).unlink(),
    "without JSON": lambda path: (path / JSON_FILE).unlink(),
    "a folder for weights": instead(WEIGHTS_FILE, Path.mkdir),
    "a folder for JSON": instead(JSON_FILE, Path.mkdir),
    "a pipe for weights": instead(WEIGHTS_FILE, os.mkfifo),
    "a pipe for JSON": instead(JSON_FILE, os.mkfifo),
    "a link to a device": instead(WEIGHTS_FILE, lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": instead(JSON_FILE, lambda path: path.symlink_to(path.name)),
    "weights out of the folder": moved_out(WEIGHTS_FILE),
    "JSON out of the folder": moved_out(JSON_FILE),
    # Ensembles.
    "members out of the folder": of_ensemble(lambda content: content.update(members=["../model", "/etc"])),
    "members that are numbers": of_ensemble(lambda content: content.update(members=[0, 1])),
    "members without end": of_ensemble(lambda content: content.update(members=["member-0"] * 10**5)),
    "members of no kind": of_ensemble(lambda content: content.update(members=None)),
    "an ensemble to come": of_ensemble(lambda content: content.update(hydroxr_format=99)),
    "an ensemble without members": of_ensemble(lambda content: content.update(members=[], model_sha256=[])),
    "an ensemble with a member dropped": of_ensemble(last_dropped, checksum="old"),
    "an ensemble without its checksum": of_ensemble(lambda content: None, checksum="no"),
    "an ensemble of another member": of_ensemble(lambda content: content.update(model_sha256=["0" * 64] * 2)),
    "an ensemble without checksums": of_ensemble(lambda content: content.pop("model_sha256")),
}

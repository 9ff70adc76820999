"""The files of a model: written whole, and checked when read, since anybody may have made them.

A model is a folder with ``weights.safetensors`` (numbers) and ``model.json`` (description, provenance,
checksum of the weights). An ensemble is a folder of models with ``ensemble.json``. Nothing in these files
is executed. Reading refuses, before it takes memory, files that are pipes, links or far too long, tensors
that the description does not have, and JSON with repeated names.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np

from ..errors import ModelFileError, StoreError
from ..physics.rivers.scheme import UNITS
from ..support.atomic import replace
from ..support.checksums import sha256
from ..support.paths import local_path
from .specs import FILTER_UNITS, RUNNING_MEANS, TIME_SCALES, DeltaHBV, LSTMStreamflow, Spec

WEIGHTS_FILE = "weights.safetensors"
JSON_FILE = "model.json"
ENSEMBLE_FILE = "ensemble.json"

# Bytes that a file may have beyond its content: padding, metadata of other programs.
_SPARE = 2**20
_TYPES = {"F32": 4, "F64": 8}

# Limits of a JSON file, in bytes and in values. The first number leaves room for names, ranges and the
# history of 200,000 iterations. The second, per byte of weights, leaves room for the coordinates of the
# cells of a constant network, each with at least 56 bytes of weights.
_JSON_BYTES, _JSON_BYTES_A_BYTE = 2**24, 4
_JSON_MOST = 2**28
_JSON_VALUES, _VALUES_A_BYTE = 2**20, 1 / 8
_JSON_PARTS, _PARTS_A_BYTE = 2**17, 1 / 16  # objects, lists and names, which take more memory

Shapes = dict[str, tuple[int, ...]]

T = TypeVar("T")

_READS, _PAUSE = 50, 0.01  # times that a model is read while others replace it; seconds to wait for one


def as_path(path: Any) -> Path:
    """``path`` as an absolute Path, with ``~`` expanded.

    Raises
    ------
    ModelFileError
        If ``path`` is not text or a Path, a URL, or no path on this system.
    """
    if not isinstance(path, str | os.PathLike):
        raise ModelFileError(f"path is {type(path).__name__}; expected text or a pathlib.Path.")
    try:
        found = local_path(path)
        found.exists()
    except StoreError as error:
        raise ModelFileError(f"a model is files of this machine: {error}") from error
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)  # without an overlong name
        raise ModelFileError(f"{str(path)[:80]!r} cannot be the path of a model: {reason}") from error
    return found


def check_model_path(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """The path under which a model can be saved: free, or taken by a model that is to be replaced.

    Raises
    ------
    ModelFileError
        If something other than a model is there, or a model and ``overwrite`` is False.
    """
    target = as_path(path)
    if not target.exists():
        return target
    if not any((target / name).is_file() for name in (JSON_FILE, ENSEMBLE_FILE)):
        raise ModelFileError(f"{target} exists and is not a model of hydroxr; choose another path.")
    if not overwrite:
        raise _taken(target)
    return target


def _taken(target: Path) -> ModelFileError:
    return ModelFileError(f"{target} is a model already; choose another path, or replace it: overwrite=True.")


@contextmanager
def replaced_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes ``target``, in one step, when the block ends without an error.

    Raises
    ------
    ModelFileError
        If the files cannot be written, or a model came there meanwhile and ``overwrite`` is False. What was
        there stays, and nothing else is left.
    """
    folder = target.with_name(f"{_beside(target)}{uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        yield folder
        if overwrite:
            replace(folder, target)
        else:
            folder.rename(target)  # fails where there is a folder with files
    except OSError as error:
        if not overwrite and target.exists():
            raise _taken(target) from error
        raise ModelFileError(
            f"{target} could not be written: {error}. Choose another path, or free some space."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(target: Path) -> str:
    return f".{target.name}-"


def read_steadily(folder: Path, read: Callable[[Path], T]) -> T:
    """Read a model from its folder; once more if another one took its place meanwhile.

    Without that, a reader could take the description of one model and the weights of the other.
    """
    for _ in range(_READS):
        before = _state(folder)
        try:
            return read(folder)
        except (ModelFileError, OSError):
            if before is None and is_being_replaced(folder):
                time.sleep(_PAUSE)
            elif _state(folder) == before:
                raise
    return read(folder)


def _state(folder: Path) -> tuple[int, int] | None:
    """What changes when another model takes the place of this one; None without any."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def is_being_replaced(folder: Path) -> bool:
    """Whether a folder that is about to take this one's place is beside it."""
    try:
        return any(name.startswith(_beside(folder)) for name in os.listdir(folder.parent))
    except OSError:
        return False


def own_file(folder: Path, name: str) -> Path:
    """The path of a regular file inside ``folder``.

    Raises
    ------
    ModelFileError
        If it is absent, not a regular file, or a link that leaves the folder.
    """
    path = folder / name
    try:
        there = path.is_file()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    if not there:
        raise ModelFileError(
            f"{folder} is not a model of hydroxr: {name} is missing or not a regular file. Expected a folder "
            "that model.save(path) wrote."
        )
    if path.resolve().parent != folder.resolve():
        raise ModelFileError(
            f"{path} is a link that leaves its folder; copy the model together with its files."
        )
    return path


def read_json(path: Path, weights: int = 0) -> dict[str, Any]:
    """Read the JSON object of a model.

    Parameters
    ----------
    path : Path
    weights : int
        Size of the model's weights in bytes. Models with more weights may have more JSON, since constant
        networks keep the coordinates of their cells.

    Raises
    ------
    ModelFileError
        If it is not a JSON object, repeats a name, or is larger than any such model needs.
    """
    try:
        _check_size(path.stat().st_size, weights)
        return parse_json(path.read_bytes(), path, weights)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} cannot be read as a file of hydroxr: {error}") from error


def parse_json(raw: bytes, path: Path, weights: int = 0) -> dict[str, Any]:
    """The JSON object in ``raw``; parameters and errors are those of :func:`read_json`."""
    try:
        _check_size(len(raw), weights)
        # Parsing takes 10 to 100 times the memory of the text; counting takes none.
        parts = sum(raw.count(mark) for mark in (b"[", b"{", b":"))
        if parts > _JSON_PARTS + _PARTS_A_BYTE * weights:
            raise ValueError(f"it has {parts} objects, lists and names, more than such a model can have")
        values = raw.count(b",")
        if values > _JSON_VALUES + _VALUES_A_BYTE * weights:
            raise ValueError(f"it has {values} values, more than such a model can have")
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read as a file of hydroxr: {error}") from error
    return content


def _check_size(size: int, weights: int) -> None:
    most = min(_JSON_BYTES + _JSON_BYTES_A_BYTE * weights, _JSON_MOST)
    if size > most:
        raise ValueError(f"it has {size} bytes; such a model has at most {most}")


def weight_shapes(spec: Spec, attributes: int, cells: int) -> Shapes:
    """The shape of each tensor of a model.

    Parameters
    ----------
    spec : DeltaHBV or LSTMStreamflow
    attributes : int
        Number of static inputs.
    cells : int
        Number of cells that a model was fitted to, if it has numbers for each of them.
    """
    shapes: Shapes = {}
    if isinstance(spec, DeltaHBV) and spec.runoff_network:
        width = spec.runoff_network
        shapes |= {"runoff.hidden.weight": (width, 5), "runoff.hidden.bias": (width,)}
        shapes |= {"runoff.output.weight": (1, width), "runoff.output.bias": (1,)}
    if isinstance(spec, DeltaHBV) and not spec.regional:
        return shapes | {"logits": (cells, spec.size)}
    hidden, size = spec.hidden, spec.size if isinstance(spec, DeltaHBV) else 1
    for name, number in (("forcing", len(spec.forcing)), ("attribute", attributes)):
        shapes |= {f"{name}_mean": (number,), f"{name}_std": (number,)}
    if isinstance(spec, DeltaHBV) and not spec.reads_window:
        return shapes | _filter_shapes(spec, attributes, cells)
    for gate in ("input", "hidden"):
        shapes |= {f"weight_{gate}": (4 * hidden, hidden), f"bias_{gate}": (4 * hidden,)}
    if isinstance(spec, LSTMStreamflow):
        shapes |= {"streamflow_mean": (1,), "streamflow_std": (1,)}
    shapes |= {"encode.weight": (hidden, len(spec.forcing) + attributes), "encode.bias": (hidden,)}
    return shapes | {"decode.weight": (size, hidden), "decode.bias": (size,)}


def river_shapes(facts: Any) -> Shapes:
    """The shape of each tensor that gives K and X of reaches; ``facts`` is the ``rivers`` of a training."""
    if facts is None:
        return {}
    number = len(facts["attributes"])
    if not number:
        return {"rivers.change": (2, int(facts["reaches"]))}
    shapes: Shapes = {"rivers.mean": (number,), "rivers.deviation": (number,)}
    shapes |= {"rivers.layers.0.weight": (UNITS, number), "rivers.layers.0.bias": (UNITS,)}
    return shapes | {"rivers.layers.2.weight": (2, UNITS), "rivers.layers.2.bias": (2,)}


def _filter_shapes(spec: DeltaHBV, attributes: int, cells: int) -> Shapes:
    """The shapes that :class:`~hydroxr.models.filter_network.FilterNetwork` has of its own."""
    n_forcing, second = len(spec.forcing), max(1, spec.hidden // 2)
    shapes: Shapes = {"mean_std": (n_forcing, len(TIME_SCALES))}
    layers = {
        "static.0": (spec.hidden, attributes),
        "static.1": (second, spec.hidden),
        "decode": (spec.size, second),
    }
    if spec.dynamic:
        layers["read"] = (FILTER_UNITS, n_forcing + RUNNING_MEANS + attributes)
        layers["depart"] = (len(spec.dynamic) * spec.components, FILTER_UNITS)
    if spec.gauge_offsets:
        shapes |= {"offsets": (cells, spec.size), "offset_attributes": (cells, attributes)}
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def read_weights(path: Path, checksum: str, shapes: Shapes, finite: bool = True) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file: exactly those of ``shapes``, all finite unless ``finite`` is False.

    Raises
    ------
    ModelFileError
        If the file has another checksum, other tensors, or values that no model has.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    most = _SPARE + sum(max(_TYPES.values()) * prod(shape) for shape in shapes.values())
    try:
        size = path.stat().st_size
        if size > most:
            raise ValueError(f"it has {size} bytes; a model of its description has at most {most}")
        raw = path.read_bytes()
        if sha256(raw) != checksum:
            raise ModelFileError(
                f"{path} is not what was saved (its checksum differs); copy the model again."
            )
        _check_header(raw, shapes)
        weights = load(raw)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise ModelFileError(f"{path} cannot be read as the weights of its model: {error}") from error
    wrong = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if wrong and finite:
        raise ModelFileError(f"{path}: {wrong[0]} has values that are not finite; copy the model again.")
    wrong = [name for name, array in weights.items() if name.endswith("_std") and not (array > 0).all()]
    if wrong:
        raise ModelFileError(
            f"{path}: {wrong[0]} has a standard deviation that is not above 0; copy the model again."
        )
    return weights


def _check_header(raw: bytes, shapes: Shapes) -> None:
    """Raise a ValueError unless the header of a safetensors file fits the file and ``shapes``."""
    if len(raw) < 8:
        raise ValueError("it has no header")
    (length,) = struct.unpack("<Q", raw[:8])
    if length > min(len(raw) - 8, _SPARE):
        raise ValueError(f"its header is longer than the file, or than {_SPARE} bytes")
    header = json.loads(raw[8 : 8 + length].decode("utf-8"), object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    header.pop("__metadata__", None)
    if header.keys() != shapes.keys():
        other = sorted(header.keys() ^ shapes.keys())[0]
        raise ValueError(
            f"tensor {other[:40]!r} is {'missing' if other in shapes else 'unknown to the model'}"
        )
    ends = [0]
    for name, row in sorted(header.items(), key=lambda item: _offsets(item[1])):
        first, last = _offsets(row)
        itemsize = _TYPES.get(row.get("dtype"))
        if itemsize is None or row.get("shape") != list(shapes[name]):
            raise ValueError(
                f"tensor {name!r} is {str(row.get('dtype'))[:9]} {str(row.get('shape'))[:40]}; expected "
                f"F32 or F64 {list(shapes[name])}"
            )
        if first != ends[-1] or last - first != itemsize * prod(shapes[name]):
            raise ValueError(f"tensor {name!r} is not at its place in the file")
        ends.append(last)
    if ends[-1] != len(raw) - 8 - length:
        raise ValueError("it has bytes that belong to no tensor")


def _offsets(row: Any) -> tuple[int, int]:
    found = row.get("data_offsets") if isinstance(row, dict) else None
    if not isinstance(found, list) or [type(place) for place in found] != [int, int]:
        raise ValueError("its header does not say where its tensors are")
    return found[0], found[1]


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("an object repeats a name")
    return out

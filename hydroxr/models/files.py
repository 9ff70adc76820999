"""Reading the files of a model, which anybody may have made: checked before it is believed.

JSON and safetensors hold numbers and text, and nothing in them is executed. What else could go
wrong is refused here, before memory is taken: files that are pipes, links or far too long, headers
that promise other tensors than the description has, names that stand twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError
from .specs import DeltaHBV, LSTMStreamflow, Spec

# What a file may be longer than its content says: padding, metadata of other programs.
_SPARE = 2**20
_TYPES = {"F32": 4, "F64": 8}

# What a JSON file may have, in bytes and in values, beside what cells need: names, coordinates, ranges
# and the history of 200,000 iterations. And per byte of weights, of which a cell of a constant network
# has 56 and more.
_JSON_BYTES, _JSON_BYTES_A_BYTE = 2**24, 4
_JSON_MOST = 2**28
_JSON_VALUES, _VALUES_A_BYTE = 2**20, 1 / 8
_JSON_PARTS, _PARTS_A_BYTE = 2**17, 1 / 16  # objects, lists and names, which are costlier

Shapes = dict[str, tuple[int, ...]]


def as_path(path: Any) -> Path:
    """The path, which the system could have.

    Raises
    ------
    ModelFileError
    """
    if not isinstance(path, str | os.PathLike):
        raise ModelFileError(f"path is {type(path).__name__}; expected text or a pathlib.Path.")
    try:
        found = Path(path)
        found.exists()
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)  # without a name that is too long
        raise ModelFileError(f"{str(path)[:80]!r} cannot be the path of a model: {reason}") from error
    return found


def own_file(folder: Path, name: str) -> Path:
    """A file of the folder itself.

    Raises
    ------
    ModelFileError
        Where it is absent, no plain file, or a link to somewhere else.
    """
    path = folder / name
    try:
        there = path.is_file()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    if not there:
        raise ModelFileError(
            f"{folder} is not a model of hydroxr: {name} is missing, or no plain file. Expected a folder "
            "that model.save(path) wrote."
        )
    if path.resolve().parent != folder.resolve():
        raise ModelFileError(
            f"{path} is a link that leads out of its folder; copy the model with its files in their places."
        )
    return path


def read_json(path: Path, weights: int = 0) -> dict[str, Any]:
    """A JSON object in which no name stands twice, not larger than a model needs.

    Parameters
    ----------
    path : Path
    weights : int
        Size of the model's weights in bytes: a constant network has coordinates for each of its cells.

    Raises
    ------
    ModelFileError
        Where it is no such thing.
    """
    try:
        _check_size(path.stat().st_size, weights)
        return parse_json(path.read_bytes(), path, weights)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} cannot be read as a file of hydroxr: {error}") from error


def parse_json(raw: bytes, path: Path, weights: int = 0) -> dict[str, Any]:
    """The JSON object in those bytes; parameters and errors as of :func:`read_json`."""
    try:
        _check_size(len(raw), weights)
        # A reader takes 10 to 100 times the memory of what it reads; counting takes none.
        parts = sum(raw.count(mark) for mark in (b"[", b"{", b":"))
        if parts > _JSON_PARTS + _PARTS_A_BYTE * weights:
            raise ValueError(f"it has {parts} objects, lists and names, which no such model has")
        values = raw.count(b",")
        if values > _JSON_VALUES + _VALUES_A_BYTE * weights:
            raise ValueError(f"it has {values} values, which no such model has")
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read as a file of hydroxr: {error}") from error
    return content


def _check_size(size: int, weights: int) -> None:
    most = min(_JSON_BYTES + _JSON_BYTES_A_BYTE * weights, _JSON_MOST)
    if size > most:
        raise ValueError(f"it has {size} bytes, and such a model at most {most}")


def weight_shapes(spec: Spec, attributes: int, cells: int) -> Shapes:
    """The shape of each tensor that a model of that description has.

    Parameters
    ----------
    spec : DeltaHBV or LSTMStreamflow
    attributes : int
        Number of static inputs.
    cells : int
        Of a constant network, the cells that it was fitted to.
    """
    shapes: Shapes = {}
    if isinstance(spec, DeltaHBV) and spec.runoff_network:
        width = spec.runoff_network
        shapes |= {"runoff.hidden.weight": (width, 5), "runoff.hidden.bias": (width,)}
        shapes |= {"runoff.output.weight": (1, width), "runoff.output.bias": (1,)}
    if isinstance(spec, DeltaHBV) and not spec.regional:
        return shapes | {"logits": (cells, spec.size)}
    hidden, size = spec.hidden, spec.size if isinstance(spec, DeltaHBV) else 1
    for gate in ("input", "hidden"):
        shapes |= {f"weight_{gate}": (4 * hidden, hidden), f"bias_{gate}": (4 * hidden,)}
    for name, number in (("forcing", len(spec.forcing)), ("attribute", attributes)):
        shapes |= {f"{name}_mean": (number,), f"{name}_std": (number,)}
    if isinstance(spec, LSTMStreamflow):
        shapes |= {"streamflow_mean": (1,), "streamflow_std": (1,)}
    shapes |= {"encode.weight": (hidden, len(spec.forcing) + attributes), "encode.bias": (hidden,)}
    return shapes | {"decode.weight": (size, hidden), "decode.bias": (size,)}


def read_weights(path: Path, checksum: str, shapes: Shapes) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, which has exactly those of ``shapes``, all finite.

    Raises
    ------
    ModelFileError
        Where it is not what was saved, or not of that model.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    most = _SPARE + sum(max(_TYPES.values()) * prod(shape) for shape in shapes.values())
    try:
        size = path.stat().st_size
        if size > most:
            raise ValueError(f"it has {size} bytes, and a model of its description at most {most}")
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest() != checksum:
            raise ModelFileError(
                f"{path} is not what was saved (its checksum differs); copy the model again."
            )
        _check_header(raw, shapes)
        weights = load(raw)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise ModelFileError(f"{path} cannot be read as the weights of its model: {error}") from error
    wrong = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if wrong:
        raise ModelFileError(f"{path}: {wrong[0]} has values that are not finite; copy the model again.")
    wrong = [name for name, array in weights.items() if name.endswith("_std") and not (array > 0).all()]
    if wrong:
        raise ModelFileError(
            f"{path}: {wrong[0]} has standard deviations that are not above 0; copy the model again."
        )
    return weights


def _check_header(raw: bytes, shapes: Shapes) -> None:
    """What the header of a safetensors file says is what there is; else a ValueError."""
    if len(raw) < 8:
        raise ValueError("it has no header")
    (length,) = struct.unpack("<Q", raw[:8])
    if length > min(len(raw) - 8, _SPARE):
        raise ValueError(f"its header is longer than the file, or than {_SPARE} bytes")
    header = json.loads(raw[8 : 8 + length].decode("utf-8"), object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    if header.keys() != shapes.keys():
        other = sorted(header.keys() ^ shapes.keys())[0]
        raise ValueError(f"tensor {other[:40]!r} is {'missing' if other in shapes else 'not of the model'}")
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
            raise ValueError(f"tensor {name!r} does not lie where it should")
        ends.append(last)
    if ends[-1] != len(raw) - 8 - length:
        raise ValueError("it has other bytes than its tensors")


def _offsets(row: Any) -> tuple[int, int]:
    found = row.get("data_offsets") if isinstance(row, dict) else None
    if not isinstance(found, list) or [type(place) for place in found] != [int, int]:
        raise ValueError("its header has no places of tensors")
    return found[0], found[1]


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return out

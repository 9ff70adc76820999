"""Reading the files of a model, which anybody may have made: checked before it is believed.

JSON and safetensors hold numbers and text, and nothing in them is executed. What else could go
wrong is refused here, before memory is taken: files that are pipes, links or far too long, headers
that promise other tensors than the description has, names that stand twice.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ._version import FORMAT, __version__
from .description import DeltaHBV, LSTMStreamflow, Spec
from .errors import ModelFileError

# What a file may be longer than its content says: padding, metadata of other programs.
_SPARE = 2**20
_LONGEST_JSON = 2**28
_TYPES = {"F32": 4, "F64": 8}
_CHECKSUM = "json_sha256"
_NEEDED = (
    "hydroxr_format",
    "hydroxr_version",
    "weights_sha256",
    "model_sha256",
    "description",
    "attributes",
    "categories",
    "parameter_window",
    "cells",
    "training",
    "history",
)
_OPTIONAL = ("forcing_units", _CHECKSUM)  # of some models, or not of the first ones

Shapes = dict[str, tuple[int, ...]]


def own_file(folder: Path, name: str) -> Path:
    """A file of the folder itself.

    Raises
    ------
    ModelFileError
        Where it is absent, no plain file, or a link to somewhere else.
    """
    path = folder / name
    if not path.is_file():
        raise ModelFileError(
            f"{folder} is not a model of hydroxr: {name} is missing, or no plain file. Expected a folder "
            "that model.save(path) wrote."
        )
    if path.resolve().parent != folder.resolve():
        raise ModelFileError(
            f"{path} is a link that leads out of its folder; copy the model with its files in their places."
        )
    return path


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in which no name stands twice.

    Raises
    ------
    ModelFileError
        Where it is no such thing.
    """
    try:
        if path.stat().st_size > _LONGEST_JSON:
            raise ValueError(f"it has more than {_LONGEST_JSON} bytes")
        content = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_once)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read as a file of hydroxr: {error}") from error
    return content


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``model.json`` with a checksum of all of it."""
    return {**content, _CHECKSUM: _digest(content)}


def check_content(content: Mapping[str, Any], path: Path) -> None:
    """The JSON of a model has what a model has, of the right types, as it was written.

    Raises
    ------
    ModelFileError
    """
    check_format(content, path)
    absent = [name for name in _NEEDED if name not in content]
    unknown = [name for name in content if name not in (*_NEEDED, *_OPTIONAL)]
    if absent or unknown:
        what = f"lacks {absent[0]!r}" if absent else f"has {unknown[0][:40]!r}, which no model has"
        raise ModelFileError(f"{path} {what}; expected what model.save(path) wrote.")
    given = {name: value for name, value in content.items() if name != _CHECKSUM}
    if content.get(_CHECKSUM) not in (None, _digest(given)):
        raise ModelFileError(f"{path} is not what was saved (its checksum differs); copy the model again.")
    training = content["training"]
    sound = {
        "attributes": _are_texts(content["attributes"]),
        "categories": _is_mapping(content["categories"], _are_texts),
        "forcing_units": _is_mapping(content.get("forcing_units", {}), lambda value: isinstance(value, str)),
        "description": _is_mapping(content["description"]),
        "cells": _is_mapping(
            content["cells"], lambda value: _is_mapping(value) and {*value} == {"dims", "values"}
        ),
        "history": _is_mapping(content["history"], _are_numbers),
        "training": _is_mapping(training)
        and _are_texts(training.get("period", []))
        and type(training.get("days", 0)) is int,
    }
    wrong = [name for name, fine in sound.items() if not fine]
    if wrong:
        raise ModelFileError(f"{path} has {wrong[0]!r} of another type than model.save(path) writes.")


def check_format(content: Mapping[str, Any], path: Path) -> None:
    """Refuse the format of a later version.

    Raises
    ------
    ModelFileError
    """
    version = content.get("hydroxr_format")
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ModelFileError(
            f"{path} has format {str(version)[:40]}; this hydroxr {__version__} reads formats up to "
            f"{FORMAT}: update hydroxr."
        )


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
    return weights


def _check_header(raw: bytes, shapes: Shapes) -> None:
    """What the header of a safetensors file says is what there is; else a ValueError."""
    if len(raw) < 8:
        raise ValueError("it has no header")
    (length,) = struct.unpack("<Q", raw[:8])
    if length > len(raw) - 8:
        raise ValueError("its header is longer than the file")
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


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(part is None or type(part) in (int, float, bool) for part in value)


def _is_mapping(value: Any, of: Any = lambda part: True) -> bool:
    return isinstance(value, dict) and all(of(part) for part in value.values())

"""The content of ``model.json`` and ``ensemble.json``, checked when a model is loaded.

The checksum detects a file that was edited. Since anybody can make a checksum that fits, the type and
range of every value that is used later are checked as well.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._version import FORMAT, __version__
from ..conventions.attributes import FORMAT_KEY, VERSION_KEY
from ..errors import ModelFileError
from ..support.checksums import sha256

_CHECKSUM = "json_sha256"
_MODEL = (
    FORMAT_KEY,
    VERSION_KEY,
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
_OPTIONAL = ("forcing_units", "attribute_units", "errors")
_ENSEMBLE = (FORMAT_KEY, VERSION_KEY, "members", "model_sha256")

_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_ALWAYS = ("period", "days")  # entries that every training has
_LARGEST = 3.4e38  # largest float32; attributes are compared in float32


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a JSON file with a checksum added."""
    return {**content, _CHECKSUM: _digest(content)}


def check_content(content: Mapping[str, Any], path: Path) -> None:
    """Check the JSON of a model.

    Raises
    ------
    ModelFileError
        If the checksum or a type is wrong, an entry is missing or unknown, or the format is newer.
    """
    _check_whole(content, path, _MODEL, _OPTIONAL)
    sound = {
        VERSION_KEY: _is_text(content[VERSION_KEY]),
        "attributes": _are_names(content["attributes"]),
        "forcing_units": _is_mapping(content.get("forcing_units", {}), _is_text),
        "attribute_units": _is_mapping(content.get("attribute_units", {}), _is_text),
        "description": _is_mapping(content["description"])
        and _are_names(content["description"].get("dynamic", [])),
        "cells": _is_mapping(content["cells"], _is_coordinate),
        "errors": _are_errors(content.get("errors")),
        "history": _is_mapping(content["history"], _are_numbers) and "iteration" not in content["history"],
    }
    _refuse(path, sound, content)
    categories = _is_mapping(content["categories"], _are_names, {*content["attributes"]})
    _refuse(path, {"categories": categories}, content)
    _check_training(content["training"], content["attributes"], path)


def check_ensemble(content: Mapping[str, Any], path: Path) -> None:
    """Check the JSON of an ensemble.

    Raises
    ------
    ModelFileError
        If the checksum or a type is wrong, an entry is missing or unknown, or the format is newer.
    """
    _check_whole(content, path, _ENSEMBLE, ("errors",))
    members, hashes = content["members"], content["model_sha256"]
    names = [member_name(place) for place in range(len(members) if isinstance(members, list) else 0)]
    _refuse(
        path,
        {
            "members": bool(names) and members == names,
            "model_sha256": isinstance(hashes, list)
            and len(hashes) == len(names)
            and all(map(_is_text, hashes)),
            "errors": _are_errors(content.get("errors")),
        },
        content,
    )


def labels(values: Any) -> np.ndarray:
    """Labels of cells as an array; NumPy alone would turn a missing name into the text "nan"."""
    array = np.asarray(values)
    kept = np.asarray(values, dtype=object)
    return kept if array.dtype.kind == "U" and not all(map(_is_text, kept.flat)) else array


def member_name(place: int) -> str:
    """Name of the folder of a member inside the folder of its ensemble."""
    return f"member-{place}"


def _check_whole(
    content: Mapping[str, Any], path: Path, needed: Sequence[str], optional: Sequence[str]
) -> None:
    """Check the format, the names of the entries, and the checksum."""
    version = content.get(FORMAT_KEY)
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ModelFileError(
            f"{path} has format {str(version)[:40]}; this hydroxr {__version__} reads formats up to "
            f"{FORMAT}: update hydroxr."
        )
    needed = (*needed, _CHECKSUM)
    absent = [name for name in needed if name not in content]
    unknown = [name for name in content if name not in (*needed, *optional)]
    if absent or unknown:
        what = f"lacks {absent[0]!r}" if absent else f"has the unknown entry {unknown[0][:40]!r}"
        raise ModelFileError(f"{path} {what}; expected what model.save(path) wrote.")
    given = {name: value for name, value in content.items() if name != _CHECKSUM}
    if content[_CHECKSUM] != _digest(given):
        raise ModelFileError(f"{path} is not what was saved (its checksum differs); copy the model again.")


def _check_training(training: Any, attributes: Sequence[str], path: Path) -> None:
    """Check the entries of the provenance that are used later; only period and days are required."""
    _refuse(path, {"training": _is_mapping(training)}, {"training": training})
    names = {*attributes}
    checks = {
        "period": _is_period,
        "days": lambda value: _is_whole(value, 1) and _could_have(value, *training["period"]),
        "attribute_ranges": lambda value: _is_mapping(value, _is_range, names),
        "attributes_with_gaps": lambda value: _are_names(value) and names.issuperset(value),
        "cells": lambda value: _is_whole(value, 1),
        "basins": lambda value: _are_texts(value) and len(value) == training.get("cells"),
        "loss": lambda value: _is_text(value) or _is_mapping(value, _is_number),
        "cross_validation": lambda value: _is_mapping(value) and _is_mapping(value.get("run", {})),
        "seed": lambda value: _is_whole(value, 0),
    }
    checks |= dict.fromkeys(
        ("iterations_done", "best_iteration", "skipped"), lambda value: _is_whole(value, 0)
    )
    checks |= dict.fromkeys(("stopped_early", "interrupted"), lambda value: isinstance(value, bool))
    checks |= dict.fromkeys(("preset", "data_sha256", VERSION_KEY), _is_text)
    checks |= {"seconds": lambda value: _is_number(value) and value >= 0}
    checks |= dict.fromkeys(
        ("last_loss", "validation_nse"), lambda value: value is None or _is_number(value, finite=False)
    )
    for name, fine in checks.items():  # the period before its days
        sound = fine(training[name]) if name in training else name not in _ALWAYS
        _refuse(path, {name: sound}, training, "training.")


def _refuse(path: Path, sound: Mapping[str, bool], values: Mapping[str, Any], where: str = "") -> None:
    wrong = [name for name, fine in sound.items() if not fine]
    if wrong:
        found = repr(values[wrong[0]])[:60] if wrong[0] in values else "absent"
        raise ModelFileError(
            f"{path}: {where}{wrong[0]} is {found}; model.save(path) writes another type or range. Copy the "
            "model again, or fit it again."
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_names(value: Any) -> bool:
    """A list of texts that differ."""
    return _are_texts(value) and len(set(value)) == len(value)


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 2**63


def _is_number(value: Any, finite: bool = True) -> bool:
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is float and (math.isfinite(value) or not finite)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(
        part is None or type(part) is bool or _is_number(part, finite=False) for part in value
    )


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(map(_is_number, value))
        and -_LARGEST <= value[0] <= value[1] <= _LARGEST
    )


def _is_mapping(value: Any, of: Any = lambda part: True, names: set[str] | None = None) -> bool:
    """An object with values that pass ``of`` and keys among ``names``."""
    return isinstance(value, dict) and all(map(of, value.values())) and (names is None or names >= {*value})


def _is_coordinate(value: Any) -> bool:
    """Labels of cells: texts or numbers in lists, nested once per dimension."""
    if not _is_mapping(value) or {*value} != {"dims", "values"} or not _are_names(value["dims"]):
        return False
    labels = [value["values"]]
    for _ in value["dims"]:
        if not all(isinstance(part, list) for part in labels):
            return False
        labels = [label for part in labels for label in part]
    labels = [label for label in labels if label is not None and label == label]  # names may be missing
    kinds = {bool if type(label) is bool else str if _is_text(label) else float for label in labels}
    return len(kinds) <= 1 and (kinds != {float} or all(_is_number(label, finite=False) for label in labels))


def _are_errors(value: Any) -> bool:
    """What the file of errors has, see :mod:`hydroxr.models.error_tables`."""
    if value is None:
        return True
    return (
        _is_mapping(value)
        and {*value} == {"sha256", "kinds"}
        and _is_text(value["sha256"])
        and _is_mapping(value["kinds"], _is_table)
    )


def _is_table(value: Any) -> bool:
    """Coordinates of errors, and the dimensions of the variables, which the coordinates have."""
    if not _is_mapping(value) or {*value} != {"attrs", "coords", "variables"}:
        return False
    if not _is_mapping(value["coords"], _is_coordinate) or not _is_mapping(value["attrs"], _is_text):
        return False
    dims = {dim for part in value["coords"].values() for dim in part["dims"]}
    return _is_mapping(
        value["variables"],
        lambda part: (
            _is_mapping(part)
            and {*part} == {"dims", "attrs"}
            and _are_names(part["dims"])
            and dims >= {*part["dims"]}
            and _is_mapping(part["attrs"], _is_text)
        ),
    )


def _is_period(value: Any) -> bool:
    """First and last day, in any calendar."""
    return _are_texts(value) and len(value) == 2 and all(map(_DATE.fullmatch, value)) and value[0] <= value[1]


def _could_have(days: int, first: str, last: str) -> bool:
    """Whether a calendar, with months of 28 to 31 days, can have ``days`` days from first to last."""
    years, months, rest = (int(b) - int(a) for a, b in zip(first.split("-"), last.split("-"), strict=True))
    least, most = (length * (12 * years + months) + rest + 1 for length in (28, 31))
    return least <= days <= most


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode("utf-8", "surrogatepass"))

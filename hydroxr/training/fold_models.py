"""Models of folds on disk, with which a stopped cross-validation continues.

Each model says in ``training["cross_validation"]`` which cells it did not see and to which run it
belongs; a run takes only its own models.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..conventions.attributes import VERSION_KEY
from ..errors import ModelFileError
from ..inputs.attributes import attribute_names
from ..inputs.resolve import Inputs
from ..inputs.time_axis import select_days
from ..models.ensemble import Ensemble
from ..models.files import JSON_FILE, check_model_path
from ..models.load import load_model
from ..models.model import Model
from ..models.specs import LSTMStreamflow, Spec
from ..support.checksums import sha256, sha256_of
from .fit import fit
from .folds import Fold
from .loop.protocol import Protocol, protocol_of

KEY = "cross_validation"
_NOT_LEARNED = ("device", "progress", "checkpoint", "checkpoint_every")  # do not change the model


def fold_provenance(
    inputs: Inputs, spec: Spec, options: Mapping[str, Any], labels: np.ndarray
) -> dict[str, Any]:
    """What the models of a cross-validation depend on: :func:`provenance`, and the folds."""
    return {"folds": sha256("\n".join(map(str, labels)))} | provenance(inputs, spec, options)


def provenance(inputs: Inputs, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
    """What models depend on, in plain values: their description, the options of ``fit``, and the data.

    Reads all values of the training period (of all days if there is a validation), one variable at a
    time.
    """
    usual = {name: row.default for name, row in inspect.signature(fit).parameters.items()}
    known = {field.name for field in fields(Protocol)}
    chosen = {
        name: plain(value)
        for name, value in sorted(options.items())
        if name not in (*_NOT_LEARNED, *known) and not _same(value, usual.get(name))
    }
    changes = {name: value for name, value in options.items() if name in known - {"preset"}}
    # All values, not only those that were given: a later version may change a preset.
    protocol = protocol_of(spec, options.get("preset", "default"), changes)
    return {
        "description": plain(spec.to_dict()),
        "options": chosen,
        "protocol": plain(protocol.identity()),
        "data": sha256_of(_parts(inputs, spec, options)),
        VERSION_KEY: __version__,
    }


def _parts(inputs: Inputs, spec: Spec, options: Mapping[str, Any]) -> Iterator[str | memoryview]:
    """Cells, daily inputs, streamflow and attributes, one at a time, for a checksum."""
    days = None if options.get("validation") is not None else options.get("time")
    space = inputs.space
    yield "\n".join(inputs.cell_names)
    for array in (*inputs.forcing.values(), inputs.observed):
        part = select_days(array.to_dataset(name="_values"), days)["_values"].transpose(*space, "time")
        yield f"{part.shape} {part['time'].values[0]} {part['time'].values[-1]}"
        yield np.ascontiguousarray(part.values, dtype="float32").data.cast("B")
    if isinstance(spec, LSTMStreamflow):
        yield f"{inputs.own_units}"
    if spec.regional:
        for name in attribute_names(inputs.ds, space, options.get("attributes"), spec.attributes):
            yield f"{name} {inputs.ds[name].values.tolist()}"


def marked(model: Model | Ensemble, name: str, fold: Fold, run: Mapping[str, Any]) -> Model | Ensemble:
    """The model, marked with its held-out cells and its run."""
    if isinstance(model, Ensemble):
        return Ensemble(tuple(_marked(member, name, fold, run) for member in model.members))
    return _marked(model, name, fold, run)


def _marked(model: Model, name: str, fold: Fold, run: Mapping[str, Any]) -> Model:
    note = {"folds": name, "held_out": fold.label, "run": dict(run)}
    return replace(model, training={**model.training, KEY: note})


def load_folds(path: Path, folds: Sequence[Fold], run: Mapping[str, Any]) -> dict[str, Model | Ensemble]:
    """Load the models in a folder, by the label of their fold.

    Raises
    ------
    ModelFileError
        If ``path`` is something else, or a model is damaged or belongs to another run.
    """
    if (path.exists() and not path.is_dir()) or (path / JSON_FILE).exists():
        raise ModelFileError(
            f"{path} is {'a model' if path.is_dir() else 'a file'}; expected a folder for the models of all "
            "folds. Choose another path."
        )
    expected = {fold.folder: fold for fold in folds}
    found = {}
    for folder in sorted(path.glob("fold-*")):
        check_model_path(folder, overwrite=True)
        if folder.name not in expected:
            raise ModelFileError(
                f"{folder} belongs to another cross-validation: this one has the folds "
                f"{', '.join(expected)}. Choose another path: models=..."
            )
        fold = expected[folder.name]
        model = load_model(folder)
        member = model.members[0] if isinstance(model, Ensemble) else model
        note = member.training.get(KEY) or {}
        differs = differences(note.get("run") or {}, run)
        if note.get("held_out") != fold.label:
            differs.append("held-out cells")
        if differs:
            raise ModelFileError(
                f"{folder} was fitted with other {', '.join(differs)} than this call has; a run continues "
                "only with its own models. Repeat the call as it was, or choose another path: models=..."
            )
        found[fold.label] = model
    return found


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the entries that differ."""
    out = []
    for name in now:
        before, after = then.get(name), now[name]
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
            out.append(f"{name} ({', '.join(keys)})")
        else:
            out.append(name)
    return out


def _same(value: Any, usual: Any) -> bool:
    return value is usual or (isinstance(value, type(usual)) and bool(value == usual))


def plain(value: Any) -> Any:
    """The value in types that survive JSON."""
    if isinstance(value, slice):
        return [plain(value.start), plain(value.stop), plain(value.step)]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Model):
        return value.hash
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"
    return str(value)

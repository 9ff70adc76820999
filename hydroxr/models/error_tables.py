"""The distribution of errors that a model carries, and the file that holds it beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.attributes import MODEL_SHA256
from ..conventions.dimensions import LEAD
from ..errors import DescriptionError, MissingVariableError
from ..inputs.cells import space_coords
from ..support.atomic import write_file
from ..support.checksums import sha256
from .files import own_file, read_weights
from .schema import labels

LEVEL, SEASON = "level", "season"
LEVELS = np.array([0.005, *np.arange(0.01, 1.0, 0.01), 0.995])
SEASONS = ("DJF", "MAM", "JJA", "SON")
ERROR, OFFSET, WIDENING, NUMBER = "streamflow_error", "streamflow_offset", "widening", "observations"
SIMULATION, FORECAST = "simulation", "forecast"  # the kinds of runs that have errors of their own
PERIOD = "period"  # attribute: the days whose errors they are
FILE = "errors.safetensors"

Errors = dict[str, xr.Dataset]


def with_errors(known: Errors, errors: xr.Dataset, model_sha256: str) -> Errors:
    """The errors of a model, with those of one more kind of run.

    Raises
    ------
    MissingVariableError
        If they are not what ``fit_errors`` returned.
    DescriptionError
        If they are those of another model.
    """
    check_errors(errors)
    made_by = errors.attrs.get(MODEL_SHA256, model_sha256)
    if made_by != model_sha256:
        raise DescriptionError(
            f"errors are those of the model {made_by[:12]}, and this one is {model_sha256[:12]}; fit them to "
            "a run of this model."
        )
    return known | {FORECAST if LEAD in errors.dims else SIMULATION: errors.compute()}


def check_errors(errors: xr.Dataset) -> None:
    """Refuse what is not a distribution of errors, with a MissingVariableError."""
    absent = [name for name in (ERROR, OFFSET) if name not in errors]
    absent += [dim for dim in (SEASON, LEVEL) if not absent and dim not in errors[ERROR].dims]
    if absent:
        raise MissingVariableError(f"errors lacks {absent[0]!r}; expected what fit_errors returned.")


def packed(errors: Errors) -> tuple[bytes, dict[str, Any]]:
    """The content of the file of errors, and what the model's JSON says of it; nothing without errors."""
    if not errors:
        return b"", {}
    from safetensors.numpy import save

    tensors = {
        f"{kind}.{name}": np.array(array.values, order="C")
        for kind, found in errors.items()
        for name, array in found.data_vars.items()
    }
    raw = save(tensors)
    told = {"sha256": sha256(raw), "kinds": {kind: _told(each) for kind, each in errors.items()}}
    return raw, {"errors": told}


def write_errors(folder: Path, raw: bytes) -> None:
    """Write the file of errors, if there are any."""
    if raw:
        write_file(folder / FILE, raw)


def load_errors(folder: Path, told: Mapping[str, Any] | None) -> Errors:
    """The errors of a file; ``told`` is what :func:`packed` says of it.

    Raises
    ------
    ModelFileError
        If the file is absent, or not what was saved.
    """
    if told is None:
        return {}
    empty = {kind: _empty(each) for kind, each in told["kinds"].items()}
    shapes = {
        f"{kind}.{name}": tuple(found.sizes[dim] for dim in part["dims"])
        for kind, found in empty.items()
        for name, part in told["kinds"][kind]["variables"].items()
    }
    tensors = read_weights(own_file(folder, FILE), told["sha256"], shapes, finite=False)
    out = {}
    for kind, found in empty.items():
        parts = told["kinds"][kind]["variables"].items()
        out[kind] = found.assign(
            {name: (part["dims"], tensors[f"{kind}.{name}"], part["attrs"]) for name, part in parts}
        )
        check_errors(out[kind])
    return out


def _told(errors: xr.Dataset) -> dict[str, Any]:
    """Coordinates and attributes of a Dataset, as JSON keeps them."""
    coords = {**space_coords(errors, errors[ERROR].dims).coords, **space_coords(errors, ()).coords}
    return {
        "attrs": _texts(errors.attrs),
        "coords": {
            str(name): {"dims": list(array.dims), "values": array.values.tolist()}
            for name, array in coords.items()
        },
        "variables": {
            str(name): {"dims": list(array.dims), "attrs": _texts(array.attrs)}
            for name, array in errors.data_vars.items()
        },
    }


def _texts(attrs: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in attrs.items()}


def _empty(told: Mapping[str, Any]) -> xr.Dataset:
    coords = {name: (part["dims"], labels(part["values"])) for name, part in told["coords"].items()}
    return xr.Dataset(coords=coords, attrs=told["attrs"])

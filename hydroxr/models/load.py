"""Load a model or an ensemble from its folder, or by the name of one that comes with hydroxr."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

import xarray as xr

from ..errors import DescriptionError, MissingVariableError, ModelFileError
from .ensemble import Ensemble
from .error_tables import load_errors
from .files import (
    ENSEMBLE_FILE,
    JSON_FILE,
    WEIGHTS_FILE,
    as_path,
    is_being_replaced,
    own_file,
    read_json,
    read_steadily,
    read_weights,
    river_shapes,
    weight_shapes,
)
from .model import Model, history_dataset
from .pretrained import pretrained_folder, pretrained_names
from .schema import check_content, check_ensemble, labels
from .specs import description_from

# Errors that wrong values in a file cause.
_UNREADABLE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    DescriptionError,
    MissingVariableError,
)


def load_model(path: str | os.PathLike[str]) -> Model | Ensemble:
    """Load a model or an ensemble.

    Parameters
    ----------
    path : path or str
        A folder that ``save`` wrote. If there is no such folder: the name of a model that comes with
        hydroxr, such as ``"camels-us"``, see
        :func:`hydroxr.models.pretrained.pretrained_names`.

    Returns
    -------
    Model or Ensemble

    Raises
    ------
    ModelFileError
        If it is absent, damaged, not a model, or has a newer format.

    Examples
    --------
    >>> model = hx.load_model("camels-us")  # doctest: +SKIP
    """
    folder = as_path(path)
    if not folder.exists():
        shipped = pretrained_folder(str(path))
        # Where a system cannot swap folders, there is none for a moment while one replaces another.
        if shipped is None and not is_being_replaced(folder) and not folder.exists():
            raise ModelFileError(
                f"{path} does not exist; expected a folder that model.save(path) wrote, or the name of a "
                f"model that comes with hydroxr: {', '.join(pretrained_names()) or 'there is none'}."
            )
        folder = folder if shipped is None else shipped
    return read_steadily(folder, _load)


def _load(folder: Path) -> Model | Ensemble:
    return _load_ensemble(folder) if (folder / ENSEMBLE_FILE).is_file() else _load_single(folder)


def _load_ensemble(folder: Path) -> Ensemble:
    try:
        path = own_file(folder, ENSEMBLE_FILE)
        content = read_json(path)
        check_ensemble(content, path)
        members = [_load_single(folder / name) for name in content["members"]]
        if [member.hash for member in members] != content["model_sha256"]:
            raise ModelFileError(f"the members of {folder} are not those that were saved; copy it again.")
        return Ensemble(tuple(members), load_errors(folder, content.get("errors")))
    except (OSError, *_UNREADABLE) as error:
        raise ModelFileError(f"{folder} cannot be read as an ensemble of hydroxr: {error}") from error


def load_single_model(path: str | os.PathLike[str]) -> Model:
    """Load a model that is not an ensemble; errors are those of :func:`load_model`."""
    return read_steadily(Path(path), _load_single)


def _load_single(folder: Path) -> Model:
    files = [own_file(folder, name) for name in (JSON_FILE, WEIGHTS_FILE)]
    content = read_json(files[0], files[1].stat().st_size)
    check_content(content, files[0])
    try:
        cells = xr.Dataset(
            coords={name: (part["dims"], labels(part["values"])) for name, part in content["cells"].items()}
        )
        description = description_from(content["description"])
        attributes = tuple(content["attributes"])
        units = content.get("forcing_units", {})
        if not units.keys() <= {*getattr(description, "own_forcing", ())}:
            raise ValueError("it gives units of inputs that the model does not take in the Dataset's own")
        shapes = weight_shapes(description, len(attributes), prod(cells.sizes.values()))
        shapes |= river_shapes(content["training"].get("rivers"))
        model = Model(
            description=description,
            weights=read_weights(files[1], content["weights_sha256"], shapes),
            attributes=attributes,
            categories=content["categories"],
            cells=cells,
            training=content["training"],
            history=history_dataset(content["history"], content["training"]),
            forcing_units=units,
            attribute_units=content.get("attribute_units", {}),
            errors=load_errors(folder, content.get("errors")),
            path=folder.resolve(),
        )
        saved = content["model_sha256"] == model.hash
    except _UNREADABLE as error:
        raise ModelFileError(f"{folder} cannot be read as a model of hydroxr: {error}") from error
    if not saved:
        raise ModelFileError(
            f"{folder / JSON_FILE} is not what was saved (the model's checksum differs); copy the model "
            "again."
        )
    return model

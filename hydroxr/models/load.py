"""Load a model or an ensemble by its path or by the name of a shipped one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelFileError
from .files import as_path
from .model import ENSEMBLE_FILE, Model, load_member

if TYPE_CHECKING:
    from .ensemble import Ensemble


def load_model(path: str | os.PathLike[str]) -> Model | Ensemble:
    """Read a model, or an ensemble, that its ``save`` wrote, or one that comes with hydroxr.

    Parameters
    ----------
    path : path or str
        Its folder; or, where there is no such folder, the name of a model that comes with hydroxr
        (:func:`hydroxr.models.pretrained.pretrained_names`), such as ``"camels-us-dn-bt-gt"``.

    Raises
    ------
    ModelFileError
        Where it is absent, damaged, of a newer format, or not a model.
    """
    folder = as_path(path)
    if not folder.exists():
        folder = _shipped(str(path))
    if (folder / ENSEMBLE_FILE).is_file():
        from .ensemble import load_ensemble

        return load_ensemble(folder)
    return load_member(folder)


def _shipped(name: str) -> Path:
    """Where a model that comes with hydroxr is.

    Raises
    ------
    ModelFileError
    """
    from .pretrained import pretrained_folder, pretrained_names

    folder = pretrained_folder(name)
    if folder is None:
        raise ModelFileError(
            f"{name} does not exist; expected a folder that model.save(path) wrote, or the name of a model "
            f"that comes with hydroxr: {', '.join(pretrained_names()) or 'there is none'}."
        )
    return folder

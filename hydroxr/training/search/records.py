"""What a search leaves on disk, with which a stopped one goes on: a record and the model of each trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._version import FORMAT
from ...conventions.attributes import FORMAT_KEY
from ...errors import CheckpointError
from ...models.model import Model
from ...support.atomic import remove_folder, write_whole
from ...support.checksums import sha256, stable_json
from ..fold_models import differences, plain
from .space import Trial

Scores = dict[str, dict[str, float]]  # of each period, by name


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Parameters
    ----------
    iterations : int
        Those that it was to have.
    seconds : float
    scores : dict of dict of float
        Medians over the cells, by period and name; empty where the training failed.
    model_sha256 : str
    error : str
        Why the training failed, else empty.
    """

    iterations: int
    seconds: float = 0.0
    scores: Scores = field(default_factory=dict)
    model_sha256: str = ""
    error: str = ""


class Records:
    """The records of a search in a folder, or nowhere.

    Parameters
    ----------
    folder : Path, optional
    run : mapping
        What the whole search depends on, in plain values.
    """

    def __init__(self, folder: Path | None, run: Mapping[str, Any]) -> None:
        self.folder, self.run = folder, json.loads(stable_json(run))

    def read(self, trial: Trial) -> dict[str, Outcome]:
        """What the trial came to so far, by its :func:`stage_key`.

        Raises
        ------
        CheckpointError
            If the record is damaged, or belongs to another search.
        """
        if self.folder is None or not self._path(trial).exists():
            return {}
        path = self._path(trial)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            stages, checksum = content["stages"], content.pop("sha256")
            if checksum != sha256(stable_json(content)):
                raise ValueError("its checksum differs")
            found = {key: Outcome(**row) for key, row in stages.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path} cannot be read as the record of a trial ({error}); remove it to train this trial "
                "again, or choose another folder."
            ) from error
        differ = differences(content["run"], self.run)
        differ += differences(content["options"], json.loads(stable_json(plain(trial.given))))
        differ += [name for name in content["options"] if name not in trial.given]
        if differ:
            raise CheckpointError(
                f"{path} is of another search: {', '.join(differ)} differ. Repeat the call as it was, or "
                "choose another folder."
            )
        return found

    def write(self, trial: Trial, found: Mapping[str, Outcome], model: Model | None) -> None:
        """Keep the outcomes of a trial, and its last model; what its training left to go on with goes."""
        if self.folder is None:
            return
        if model is not None:
            model.save(self.folder / trial.name, overwrite=True)
        content = {
            FORMAT_KEY: FORMAT,
            "options": plain(trial.given),
            "stages": {key: vars(outcome) for key, outcome in found.items()},
            "run": self.run,
        }
        content["sha256"] = sha256(stable_json(content))
        write_whole(self._path(trial), json.dumps(content, indent=1, ensure_ascii=False))
        remove_folder(self._checkpoints(trial))

    def checkpoint(self, trial: Trial, key: str) -> Path | None:
        """Folder for the checkpoint of a training."""
        return None if self.folder is None else self._checkpoints(trial) / key

    def _checkpoints(self, trial: Trial) -> Path:
        assert self.folder is not None
        return self.folder / f".{trial.name}"

    def _path(self, trial: Trial) -> Path:
        assert self.folder is not None
        return self.folder / f"{trial.name}.json"

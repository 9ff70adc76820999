"""Several models of one kind, trained with different seeds: their mean is better than each."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import xarray as xr

from .._version import FORMAT, __version__
from ..errors import DescriptionError, ModelFileError
from ..support.atomic import replace, write_file
from .files import own_file, read_json
from .model import ENSEMBLE_FILE, Model, check_target, load_member
from .schema import check_ensemble, member_folder, sealed
from .specs import Spec


@dataclass(frozen=True, repr=False, eq=False)
class Ensemble:
    """Fitted models of one description, simulated together.

    Parameters
    ----------
    members : tuple of Model
        At least one; all of the same description.

    Raises
    ------
    DescriptionError
        Where there is none, or they are of different descriptions.
    """

    members: tuple[Model, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if not self.members or not all(isinstance(member, Model) for member in self.members):
            raise DescriptionError("an ensemble has models as members; expected at least one.")
        for member in self.members[1:]:
            if member.description != self.description:
                raise DescriptionError(
                    f"the members are {self.description} and {member.description}; expected one description."
                )

    @property
    def description(self) -> Spec:
        """What was fitted."""
        return self.members[0].description

    @property
    def seeds(self) -> list[int | None]:
        """Of the members."""
        return [member.training.get("seed") for member in self.members]

    @property
    def history(self) -> xr.Dataset:
        """The courses of the trainings, (member, iteration)."""
        histories = [member.history for member in self.members]
        return xr.concat(histories, dim="member", join="outer", combine_attrs="override")

    @property
    def hash(self) -> str:
        """SHA-256 of all that a simulation depends on."""
        return hashlib.sha256(" ".join(member.hash for member in self.members).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.members)

    def __eq__(self, other: object) -> bool:
        return self.hash == other.hash if isinstance(other, Ensemble) else NotImplemented

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    def __dask_tokenize__(self) -> str:
        return self.hash

    def __repr__(self) -> str:
        return f"<hydroxr.Ensemble of {len(self)}, seeds {self.seeds}: {self.members[0]!r}>"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all members into the folder ``path``; it appears complete or not at all.

        Raises
        ------
        ModelFileError
            Where ``path`` is something else than a model.
        """
        target = check_target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = target.with_name(f".{target.name}-{uuid4().hex}")
        names = [member_folder(place) for place in range(len(self))]
        content = {
            "hydroxr_format": FORMAT,
            "hydroxr_version": __version__,
            "members": names,
            "model_sha256": [member.hash for member in self.members],
        }
        try:
            folder.mkdir()
            for name, member in zip(names, self.members, strict=True):
                member.save(folder / name)
            write_file(folder / ENSEMBLE_FILE, json.dumps(sealed(content), indent=1).encode())
            replace(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return target


def load_ensemble(folder: Path) -> Ensemble:
    """Read what :meth:`Ensemble.save` wrote.

    Raises
    ------
    ModelFileError
        Where it is damaged, or of a newer format.
    """
    try:
        path = own_file(folder, ENSEMBLE_FILE)
        content = read_json(path)
        check_ensemble(content, path)
        members = [load_member(folder / name) for name in content["members"]]
        if [member.hash for member in members] != content["model_sha256"]:
            raise ModelFileError(f"the members of {folder} are not those that were saved; copy it again.")
        return Ensemble(tuple(members))
    except (OSError, KeyError, TypeError, ValueError, DescriptionError) as error:
        raise ModelFileError(f"{folder} cannot be read as an ensemble of hydroxr: {error}") from error

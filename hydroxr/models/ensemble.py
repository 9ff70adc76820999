"""Models of one description, trained with different seeds; their mean is better than each of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import xarray as xr

from .._version import FORMAT, __version__
from ..conventions.attributes import FORMAT_KEY, VERSION_KEY
from ..errors import DescriptionError
from ..support.atomic import write_file
from ..support.checksums import sha256
from .error_tables import packed, with_errors, write_errors
from .files import ENSEMBLE_FILE, check_model_path, replaced_folder
from .model import Model
from .schema import member_name, sealed
from .specs import Spec


@dataclass(frozen=True, repr=False, eq=False)
class Ensemble:
    """Fitted models of one description, simulated together.

    Parameters
    ----------
    members : tuple of Model
        At least one; all have the same description.
    errors : dict of Dataset
        Distribution of the errors of the mean, see :meth:`with_errors`.

    Raises
    ------
    DescriptionError
        If there is no member, or the descriptions differ.
    """

    members: tuple[Model, ...]
    errors: dict[str, xr.Dataset] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if not self.members or not all(isinstance(member, Model) for member in self.members):
            raise DescriptionError("an ensemble needs at least one member, and all members must be models.")
        for member in self.members[1:]:
            if member.description != self.description:
                raise DescriptionError(
                    f"the members are {self.description} and {member.description}; expected one description."
                )

    @property
    def description(self) -> Spec:
        """The description that all members share."""
        return self.members[0].description

    @property
    def seeds(self) -> list[int | None]:
        """Seed of each member."""
        return [member.training.get("seed") for member in self.members]

    @property
    def history(self) -> xr.Dataset:
        """The histories of the members, (member, iteration)."""
        histories = [member.history for member in self.members]
        return xr.concat(histories, dim="member", join="outer", combine_attrs="override")

    @property
    def hash(self) -> str:
        """SHA-256 of everything that the simulated values depend on."""
        return sha256(" ".join(member.hash for member in self.members))

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

    def with_errors(self, errors: xr.Dataset) -> Ensemble:
        """The ensemble with the distribution of the errors of its mean.

        Parameters
        ----------
        errors : Dataset
            As for :meth:`hydroxr.Model.with_errors`.

        Returns
        -------
        Ensemble

        Raises
        ------
        MissingVariableError, DescriptionError
            If ``errors`` are something else, or those of another model.
        """
        return replace(self, errors=with_errors(self.errors, errors, self.hash))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write all members into the folder ``path``; it appears complete or not at all.

        Parameters
        ----------
        path : path or str
            A folder that does not exist yet. ``~`` is the home folder.
        overwrite : bool
            Replace a model that is there, in one step.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ModelFileError
            If ``path`` is a model and ``overwrite`` is False, something other than a model, or a URL; if it
            cannot be written; or if a member could not be loaded again.
        """
        target = check_model_path(path, overwrite)
        names = [member_name(place) for place in range(len(self))]
        errors, told = packed(self.errors)
        content = {
            FORMAT_KEY: FORMAT,
            VERSION_KEY: __version__,
            "members": names,
            "model_sha256": [member.hash for member in self.members],
            **told,
        }
        with replaced_folder(target, overwrite) as folder:
            for name, member in zip(names, self.members, strict=True):
                member.save(folder / name)
            write_errors(folder, errors)
            write_file(folder / ENSEMBLE_FILE, json.dumps(sealed(content), indent=1).encode())
        return target

"""Where a training keeps its checkpoints, and how often it writes them."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import CheckpointError, DescriptionError, StoreError
from ..support.paths import local_path

if TYPE_CHECKING:
    from .loop.checkpoint import Checkpoint


def checkpoints_in(
    checkpoint: str | os.PathLike[str] | None, resume: str | os.PathLike[str] | None
) -> Path | None:
    """Folder of the checkpoints, or None."""
    given, resumed = (
        None if each is None else _local(each, name)
        for name, each in (("checkpoint", checkpoint), ("resume", resume))
    )
    if resumed is None:
        return given
    folder = resumed
    if given is not None and given != folder:
        raise DescriptionError(
            f"checkpoint is {str(checkpoint)!r} and resume is {str(folder)!r}; expected one of them: a "
            "resumed training keeps its checkpoints in their folder."
        )
    from .loop.checkpoint import CHECKPOINT_FILE

    if not any(folder.rglob(CHECKPOINT_FILE)):
        raise CheckpointError(
            f"{folder} has no checkpoint to resume from; expected the folder of an earlier "
            "fit(..., checkpoint=folder)."
        )
    return folder


def _local(folder: str | os.PathLike[str], name: str) -> Path:
    try:
        return local_path(folder, name)
    except (StoreError, TypeError) as error:
        raise CheckpointError(str(error)) from error


def interval(every: int | datetime.timedelta | None, folder: Path | None) -> int | datetime.timedelta | None:
    if every is None:
        return None
    if folder is None:
        raise DescriptionError(
            "checkpoint_every is given without checkpoint; name a folder: checkpoint='folder'."
        )
    if isinstance(every, datetime.timedelta) and every > datetime.timedelta(0):
        return every
    if isinstance(every, int | np.integer) and not isinstance(every, bool) and every >= 1:
        return int(every)
    raise DescriptionError(
        f"checkpoint_every is {every!r}; expected a number of iterations or a datetime.timedelta."
    )


def keeper_of(folder: Path, every: int | datetime.timedelta | None) -> Checkpoint:
    from .loop.checkpoint import Checkpoint

    if isinstance(every, datetime.timedelta):
        return Checkpoint(folder, seconds=every.total_seconds())
    return Checkpoint(folder, every=every)

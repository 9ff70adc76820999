"""Train the members of an ensemble one after another, or side by side on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import DescriptionError, HydroxrError, warn
from ..models.ensemble import Ensemble
from ..support.interrupts import ONE_TRAINING, Interrupts
from ..support.progress import progress_bar

if TYPE_CHECKING:
    from distributed import Client

    from ..models.model import Model

T = TypeVar("T")


def member_seeds(seeds: int | Sequence[int], first: int) -> list[int]:
    """The seeds of the members: as given, or ``seeds`` numbers from ``first`` on.

    Raises
    ------
    DescriptionError
        If they are no whole numbers, or not all different.
    """
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        numbers = [first + place for place in range(int(seeds))]
    else:
        numbers = list(seeds) if np.iterable(seeds) and not isinstance(seeds, str) else []
    whole = all(isinstance(number, int | np.integer) and 0 <= number < 2**64 for number in numbers)
    if not numbers or not whole or len(set(numbers)) < len(numbers):
        raise DescriptionError(
            f"seeds is {seeds!r}; expected a number of members of at least 1, or whole numbers that differ, "
            "each below 2**64."
        )
    return [int(number) for number in numbers]


def checkpoint_folder(folder: Path | None, seed: int) -> Path | None:
    """Where a member of an ensemble has its checkpoint."""
    return None if folder is None else folder / f"seed-{seed}"


def check_client(client: Any, task: str) -> None:
    """Refuse anything but a client of a cluster or None, with a DescriptionError."""
    if client is not None and not (hasattr(client, "submit") and hasattr(client, "scatter")):
        raise DescriptionError(
            f"client is {type(client).__name__}; expected a dask.distributed.Client, or None to fit one "
            f"{task} after another."
        )


def fit_in_turn(seeds: list[int], train: Callable[[int], Model]) -> Ensemble:
    """Train one member after another; an interrupt keeps the members trained so far."""
    fitted: list[Model] = []
    with Interrupts() as interrupts:
        for seed in seeds:
            try:
                fitted.append(train(seed))
            except KeyboardInterrupt:
                if not fitted:
                    raise
                break
            if interrupts.asked or fitted[-1].training["interrupted"]:
                break
    if len(fitted) < len(seeds):
        warn(f"training was interrupted: the ensemble has {len(fitted)} of {len(seeds)} members.")
    return Ensemble(tuple(fitted))


def fit_side_by_side(
    client: Client, seeds: list[int], train: Callable[..., Model], data: Any, progress: bool
) -> Ensemble:
    """Train members as tasks of a cluster, one per worker process at a time.

    Parameters
    ----------
    client : dask.distributed.Client
    seeds : list of int
    train : function
        Takes ``data`` and a seed; travels to the workers with each task.
    data
        Training data of all members; travels to each worker once.
    progress : bool
        Show a progress bar over the members.

    Raises
    ------
    HydroxrError
        The error of the first member that fails, with its seed; the others are cancelled.
    """
    (there,) = client.scatter([data], hash=False, broadcast=True)
    with progress_bar(total=len(seeds), desc="fit", unit="member", disable=not progress) as bar:
        fitted = {}
        submitted = {client.submit(_task, train, there, seed, pure=False): seed for seed in seeds}
        for seed, model in as_they_end(client, submitted):
            fitted[seed] = model
            bar.update()
    return Ensemble(tuple(fitted[seed] for seed in seeds))


def as_they_end(client: Client, pending: dict[Any, T]) -> Iterator[tuple[T, Any]]:
    """The label of each task, and its result, as tasks end; an error cancels the others."""
    from distributed import as_completed

    try:
        for future in as_completed(list(pending)):
            yield pending.pop(future), future.result()
    finally:
        client.cancel(list(pending))


def _task(train: Callable[..., Model], data: Any, seed: int) -> Model:
    with ONE_TRAINING:
        try:
            return train(data, seed)
        except HydroxrError as error:
            error.add_note(f"in the member of seed {seed}")
            raise

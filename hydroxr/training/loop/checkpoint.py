"""Checkpoints: a training on disk, from which it continues as if it had never stopped.

A checkpoint is one file, ``checkpoint.safetensors``, in a folder of its own. It holds numbers and, in its
header, JSON; nothing that could be executed. A new one replaces the old one only when it is complete.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._version import FORMAT, __version__
from ...conventions.attributes import FORMAT_KEY, VERSION_KEY
from ...errors import CheckpointError, StoreError
from ...models.specs import Spec
from ...support.atomic import only_writer, try_writing, write_whole
from ...support.checksums import sha256
from ..processes import ALONE, Processes
from .arrays import RiverData, ShardedData, ShardedValidation, TrainingData, ValidationData
from .protocol import Protocol

CHECKPOINT_FILE = "checkpoint.safetensors"
_STATES = 4  # copies of the weights in a checkpoint: these, the best ones, and two of the optimiser


@dataclass
class Checkpoint:
    """The folder that holds the checkpoint of one training.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    every : int, optional
        Iterations between checkpoints.
    seconds : float
        Time between checkpoints if ``every`` is None.
    """

    folder: Path
    every: int | None = None
    seconds: float = 300.0

    def __post_init__(self) -> None:
        self._last = time.monotonic()
        self.failed = False  # whether the last one could not be written

    @property
    def path(self) -> Path:
        return self.folder / CHECKPOINT_FILE

    def is_due(self, iteration: int) -> bool:
        """Whether to write a checkpoint after ``iteration`` iterations."""
        if self.every is not None:
            return iteration % self.every == 0
        return time.monotonic() - self._last >= self.seconds

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold the folder, which is made if there is none, for one training.

        Raises
        ------
        CheckpointError
            If it cannot be made, or another training holds it.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is a file; expected a folder for checkpoints, or none yet.")
        there = self.folder.exists()
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(only_writer(self.folder, str(self.folder)))
            except OSError as error:
                raise self._cannot_write(error) from error
            except StoreError as error:
                raise CheckpointError(
                    f"{self.folder} has the checkpoint of a training that is under way, in this program or "
                    "another; wait for it, or choose another folder."
                ) from error
            try:
                yield
            finally:
                if not there:
                    with suppress(OSError):  # only if it is empty
                        self.folder.rmdir()

    def check_space(self, tensors: Mapping[str, Tensor]) -> None:
        """Find out before a training whether its checkpoint can be written.

        Raises
        ------
        CheckpointError
            If as many bytes as a checkpoint with ``tensors`` may need cannot be written.
        """
        size = _STATES * sum(tensor.nbytes for tensor in tensors.values())
        try:
            try_writing(self.folder, size)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"{self.path} could not be written: {error}. Choose another folder, or free some space."
        )

    def write(self, tensors: Mapping[str, Tensor], content: dict[str, Any]) -> None:
        """Replace the checkpoint.

        Raises
        ------
        CheckpointError
            If it cannot be written. The old checkpoint is kept.
        """
        from safetensors.torch import save

        kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        content = {FORMAT_KEY: FORMAT, VERSION_KEY: __version__, **content}
        text = json.dumps(content)
        raw = save(kept, metadata={"hydroxr": text, "sha256": _digest(kept, text)})
        self._last = time.monotonic()
        self.failed = True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, raw)
        except OSError as error:
            raise self._cannot_write(error) from error
        self.failed = False

    def read(self, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and content of the checkpoint; None if there is none yet.

        Parameters
        ----------
        identity : mapping
            Identity of the training that will continue, see :func:`identity_of`.

        Raises
        ------
        CheckpointError
            If the checkpoint is damaged, has a newer format, or belongs to another training.
        """
        if not os.path.lexists(self.path):
            return None
        if not self.path.is_file():
            raise CheckpointError(f"{self.path} is not a regular file; remove it, or choose another folder.")
        tensors, content = _read(self.path)
        version = content.get(FORMAT_KEY)
        if type(version) is not int or version > FORMAT:
            raise CheckpointError(
                f"{self.path} has format {version}; this hydroxr {__version__} reads formats up to {FORMAT}: "
                "update hydroxr."
            )
        _check_same(self.folder, content["identity"], json.loads(json.dumps(dict(identity))))
        return tensors, content


def identity_of(
    description: Spec,
    protocol: Protocol,
    data: TrainingData | ShardedData,
    validation: ValidationData | ShardedValidation | None,
    more: Mapping[str, Any],
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Everything that a training depends on; the keys are the names that an error message shows."""
    out: dict[str, Any] = {f"model {name}": value for name, value in description.to_dict().items()}
    out |= {name: value for name, value in protocol.identity().items() if name != "preset"}
    out |= {f"data {name}": value for name, value in fingerprints(data, processes).items()}
    if validation is not None:
        out |= {f"validation {name}": value for name, value in fingerprints(validation, processes).items()}
    if processes.together:
        out["trained by"] = "several processes"
    if isinstance(data, ShardedData):
        out["cells of a shard"] = data.size
    return out | dict(more)


def fingerprints(
    data: TrainingData | ValidationData | ShardedData | ShardedValidation | RiverData,
    processes: Processes = ALONE,
) -> dict[str, str]:
    """SHA-256 of each array of the data, shortened; equal for all trainings with the same data."""
    if isinstance(data, ShardedData | ShardedValidation):
        return {"cells": data.checksum}
    if processes.together and not isinstance(data, RiverData):
        return _of_cells(data, processes)
    out = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if value is None or (field.name == "places" and isinstance(data, TrainingData)):
            continue
        if isinstance(value, RiverData):
            value = fingerprints(value).items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            raw = np.ascontiguousarray(value)
            checksum = sha256(str(raw.shape), raw.data.cast("B") if raw.size else b"")
        else:
            checksum = sha256("\n".join(map(str, value)))
        out[field.name] = checksum[:16]
    return out


def _of_cells(data: TrainingData | ValidationData, processes: Processes) -> dict[str, str]:
    """One checksum of all cells, whichever process has them."""
    trains = isinstance(data, TrainingData)
    numbers = data.own if isinstance(data, TrainingData) else data.places
    static = data.attributes[numbers] if trains else data.attributes
    own = [
        sha256(str(number), *(np.ascontiguousarray(part).tobytes() for part in parts))
        for number, *parts in zip(numbers, static, data.observed.T, data.forcing.swapaxes(0, 1), strict=True)
    ]
    cells = sorted(each for part in processes.gathered(own) for each in part)
    named = [*map(str, data.names), *map(str, data.days)] if isinstance(data, TrainingData) else []
    return {"cells": sha256("\n".join([*named, *cells]))[:16]}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as tensors named ``weight.name``."""
    state = optimizer.state_dict()["state"]
    return {f"{place}.{name}": value for place, part in state.items() for name, value in part.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that :func:`optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        place, _, name = key.partition(".")
        state.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        text = metadata["hydroxr"]
        if _digest(tensors, text) != metadata["sha256"]:
            raise ValueError("its checksum differs")
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(content.get("identity"), dict):
            raise ValueError("it does not say which training it belongs to")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({error}); remove it to start the training again from "
            "the beginning, or choose another folder."
        ) from error
    return tensors, content


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    parts: list[str | bytes] = [text]
    for name in sorted(tensors):
        array = tensors[name].numpy()
        parts += [f"{name} {array.dtype} {array.shape}", array.tobytes()]
    return sha256(*parts)


def _check_same(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    differing = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    if not differing:
        return
    texts = []
    for name in differing:
        if name.startswith(("data ", "validation ")):
            texts.append(f"{name} (other values)")
        else:
            texts.append(f"{name} ({found.get(name)!r} there, {expected.get(name)!r} here)")
    raise CheckpointError(
        f"{folder} has the checkpoint of another training; these differ: {', '.join(texts)}. To continue "
        "that training, repeat its call; for this one, choose another folder."
    )

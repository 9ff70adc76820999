"""Where a training stands, on disk: to go on from there as if nothing had happened.

A checkpoint is one file, ``checkpoint.safetensors`` in a folder of its own: numbers and, in its
header, JSON; nothing that could be executed. It is written beside its name and renamed when the
disk has it, so that whatever happens there is a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from ..._version import FORMAT, __version__
from ...errors import CheckpointError
from ...models.specs import Spec
from .batches import TrainingData, ValidationData
from .protocol import Protocol

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """A folder for the checkpoints of one training.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    every : int, optional
        Iterations from one checkpoint to the next.
    seconds : float
        Time from one to the next, where ``every`` is None.
    """

    folder: Path
    every: int | None = None
    seconds: float = 300.0

    def __post_init__(self) -> None:
        self._last = time.monotonic()

    @property
    def path(self) -> Path:
        return self.folder / CHECKPOINT_FILE

    def is_due(self, iteration: int) -> bool:
        """Whether one is to be written after so many iterations."""
        if self.every is not None:
            return iteration % self.every == 0
        return time.monotonic() - self._last >= self.seconds

    def write(self, tensors: Mapping[str, Tensor], content: dict[str, Any]) -> None:
        """Replace the checkpoint.

        Raises
        ------
        CheckpointError
            Where it cannot be written.
        """
        from safetensors.torch import save

        kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        content = {"hydroxr_format": FORMAT, "hydroxr_version": __version__, **content}
        text = json.dumps(content)
        raw = save(kept, metadata={"hydroxr": text, "sha256": _digest(kept, text)})
        temporary = self.folder / f".{CHECKPOINT_FILE}-{uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            raise CheckpointError(
                f"{self.path} could not be written: {error}. Choose another folder, or free some space."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        self._last = time.monotonic()

    def read(self, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The checkpoint of the training that ``identity`` describes; None where there is none yet.

        Raises
        ------
        CheckpointError
            Where it is damaged, of a newer format, or of another training.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is a file; expected a folder for checkpoints, or none yet.")
        if not os.path.lexists(self.path):
            return None
        if not self.path.is_file():
            raise CheckpointError(f"{self.path} is no plain file; remove it, or choose another folder.")
        tensors, content = _read(self.path)
        version = content.get("hydroxr_format")
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
    data: TrainingData,
    validation: ValidationData | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """All that a training depends on, by the name that an error would call it."""
    out: dict[str, Any] = {f"model {name}": value for name, value in description.to_dict().items()}
    out |= {name: value for name, value in protocol.to_dict().items() if name != "preset"}
    out |= {f"data {name}": value for name, value in fingerprints(data).items()}
    if validation is not None:
        out |= {f"validation {name}": value for name, value in fingerprints(validation).items()}
    return out | dict(more)


def fingerprints(data: TrainingData | ValidationData) -> dict[str, str]:
    """SHA-256 of each array; what several trainings with the same data have in common."""
    out = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            raw = np.ascontiguousarray(value)
            digest = hashlib.sha256(str(raw.shape).encode())
            digest.update(raw.data.cast("B") if raw.size else b"")
        else:
            digest = hashlib.sha256("\n".join(map(str, value)).encode())
        out[field.name] = digest.hexdigest()[:16]
    return out


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser, flat."""
    state = optimizer.state_dict()["state"]
    return {f"{place}.{name}": value for place, part in state.items() for name, value in part.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the state back that :func:`optimizer_tensors` took out."""
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
            raise ValueError("it is of another kind")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({error}); remove it to start the training anew, "
            "or choose another folder."
        ) from error
    return tensors, content


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


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
        f"{folder} has the checkpoint of another training; what differs: {', '.join(texts)}. Repeat the call "
        "that it is of to continue it, or choose another folder for this one."
    )

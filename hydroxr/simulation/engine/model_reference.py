"""How a model gets to the workers: by its checksum and a path, never as numbers in a dask graph.

A task has a :class:`ModelReference`, whose pickle is some hundred bytes. In the process that has
the model, and in its threads, nothing is read or written. When a reference is pickled for another
process, it names a folder on disk: the one that the model was read from, where that still holds it,
else a copy in ``hydroxr-models-<user>`` under dask's ``temporary-directory`` (else that of the
system), which is named by the checksum. Each worker process reads that folder once, compares the
checksum, and keeps the model and its network.

So workers on other machines must see the folder: either save the model where all of them do and
simulate with ``hx.load_model(path)``, or set dask's ``temporary-directory`` to such a place.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...errors import ModelFileError
from ...models.files import JSON_FILE
from ...models.load import load_single_model
from ...models.model import Model
from ...models.specs import Spec
from ...support.atomic import replace

if TYPE_CHECKING:
    from ...models.filter_network import FilterNetwork
    from ...models.parameter_network import ParameterNetwork
    from ...models.streamflow_network import StreamflowNetwork
    from ...physics.runoff_network import RunoffNetwork

_KEPT = 256  # models and networks a process keeps: an ensemble, on every device

_lock = Lock()
_kept: OrderedDict[tuple[str, ...], Any] = OrderedDict()


class ModelReference:
    """A model by its checksum, for tasks of dask.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        self.hash = model.hash
        self.description: Spec = model.description
        self._model: Model | None = model
        self._path: str | None = None
        self._seen: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<ModelReference {self.description.symbol} {self.hash[:12]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelReference) and self.hash == other.hash

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    def __dask_tokenize__(self) -> str:
        return self.hash

    def __getstate__(self) -> dict[str, Any]:
        if self._model is not None and (self._seen is None or self._seen != _stamp(self._path)):
            self._path = str(_folder_of(self._model, self.hash))  # once, not for each of thousands of tasks
            self._seen = _stamp(self._path)
        return {
            "hash": self.hash,
            "description": self.description,
            "_path": self._path,
            "_model": None,
            "_seen": None,
        }

    def model(self) -> Model:
        """The model; read from disk once a process.

        Raises
        ------
        ModelFileError
            Where this worker does not see its folder.
        """
        return self._model if self._model is not None else _once(("model", self.hash), self._read)

    def network(self, device: str, dtype: str) -> FilterNetwork | ParameterNetwork | StreamflowNetwork:
        """Its network on a device, made once a process; g_A is float32 whatever ``dtype``."""
        import torch

        from ...models.streamflow_network import StreamflowNetwork

        def make() -> FilterNetwork | ParameterNetwork | StreamflowNetwork:
            with torch.inference_mode(False):
                network = self.model().network().to(device)
                streamflow = isinstance(network, StreamflowNetwork)
                return network.to(getattr(torch, dtype)) if streamflow else network

        return _once(("network", self.hash, device, dtype), make)

    def runoff_network(self, device: str) -> RunoffNetwork:
        """Its NN_r on a device, made once a process."""
        import torch

        def make() -> RunoffNetwork:
            with torch.inference_mode(False):
                network = self.model().runoff_network()
                assert network is not None  # whoever refers to it knows that the model has one
                return network.to(device)

        return _once(("runoff", self.hash, device), make)

    def _read(self) -> Model:
        try:
            model = load_single_model(str(self._path))
        except ModelFileError as error:
            raise ModelFileError(
                f"a worker on {socket.gethostname()} cannot read the model that it is to simulate with: "
                f"{error} Expected a folder that all workers see: model.save(path) on a shared file system "
                "and simulate with hx.load_model(path), or set dask's temporary-directory to such a place."
            ) from error
        if model.hash != self.hash:
            raise ModelFileError(
                f"{self._path} holds another model than when the run was described; describe it again."
            )
        return model


def _once(key: tuple[str, ...], make: Callable[[], Any]) -> Any:
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = make()  # two threads may both make it, which does no harm
    with _lock:
        made = _kept.setdefault(key, made)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


def _folder_of(model: Model, checksum: str) -> Path:
    """A folder on disk that has the model."""
    if model.path is not None and _holds(model.path, checksum):
        return model.path
    target = _cache() / checksum
    if _holds(target, checksum):
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = model.save(target.with_name(f"{checksum}-{uuid4().hex}"))
    try:
        replace(made, target)  # where something is there, it is damaged
    except OSError:  # another process was faster
        if not _holds(target, checksum):
            return made
        shutil.rmtree(made, ignore_errors=True)
    return target


def _stamp(folder: str | None) -> tuple[int, int] | None:
    """What changes when another model is saved there."""
    try:
        found = os.stat(Path(str(folder)) / JSON_FILE)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _cache() -> Path:
    import dask

    folder = dask.config.get("temporary-directory", None) or tempfile.gettempdir()
    return Path(folder).resolve() / f"hydroxr-models-{getpass.getuser()}"


def _holds(folder: Path, checksum: str) -> bool:
    """Whether this version can read that model there: another may have kept its own copy of it."""
    try:
        return load_single_model(str(folder)).hash == checksum
    except ModelFileError:
        return False

"""A fitted model: what it is, how it is kept on disk and read again.

On disk a model is a folder with ``weights.safetensors`` (numbers, nothing that could be executed)
and ``model.json`` (description, provenance, checksum of the weights). Torch is imported only to
compute with a model, not to read one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import xarray as xr

from .._version import FORMAT, __version__
from ..errors import DescriptionError, ModelFileError
from ..physics.parameters import PARAMETERS, ROUTING
from ..support.atomic import replace, write_file
from .files import as_path, own_file, parse_json, read_json, read_weights, weight_shapes
from .schema import check_content, labels, sealed
from .specs import DeltaHBV, LSTMStreamflow, Spec, description_from

if TYPE_CHECKING:
    import torch

    from ..physics.runoff_network import RunoffNetwork
    from .parameter_network import ParameterNetwork
    from .streamflow_network import StreamflowNetwork

WEIGHTS_FILE = "weights.safetensors"
JSON_FILE = "model.json"
ENSEMBLE_FILE = "ensemble.json"

# What wrong values in a file lead to.
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, DescriptionError)

# Losses in units of streamflow (the second name is that of models of version 0.1.0).
_PAPER_LOSS = ("paper", "Feng et al. (2022), equation 1")


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A fitted model.

    Parameters
    ----------
    description : DeltaHBV or LSTMStreamflow
        What was fitted.
    weights : dict of array
        Of the network and its normalisation; for a constant network ``logits`` (cell, number).
        Those of NN_r have names that begin with ``runoff.``
    attributes : tuple of str
        Names of the static inputs, in their order; empty for a constant network.
    categories : dict
        For each text attribute its values in training, in the order of their numbers.
    cells : Dataset
        The space that a constant network was fitted to: its index coordinates and names.
    training : dict
        Provenance: period, number of days and cells, the ``basins`` by name (of up to 10,000),
        ``data_sha256`` of all that was learned from, every value of the protocol, how many iterations
        were done (``iterations_done``), which one's weights these are (``best_iteration``), how many
        batches were left out because nothing finite came of them (``skipped``), whether the training
        was ``interrupted`` or ``stopped_early``, the ``last_loss`` and, where there is a validation,
        ``validation_nse``, seconds, version.
    history : Dataset
        ``loss``, ``learning_rate``, ``seconds`` and ``skipped`` over ``iteration``, and
        ``validation_nse``, NaN in the iterations without validation.
    forcing_units : dict
        The units in training of those inputs that an LSTM takes in the Dataset's own.
    path : Path, optional
        The folder that it was read from, from which workers of a cluster can read it as well.

    Raises
    ------
    DescriptionError
        Where an attribute stands twice.
    """

    description: Spec
    weights: dict[str, np.ndarray]
    attributes: tuple[str, ...] = ()
    categories: dict[str, list[str]] = field(default_factory=dict)
    cells: xr.Dataset = field(default_factory=xr.Dataset)
    training: dict[str, Any] = field(default_factory=dict)
    history: xr.Dataset = field(default_factory=xr.Dataset)
    forcing_units: dict[str, str] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        if len(set(self.attributes)) < len(self.attributes):
            raise DescriptionError(
                f"attributes are {', '.join(self.attributes)}; expected names that differ."
            )
        frozen = {}
        for name, array in self.weights.items():
            frozen[name] = np.array(array)
            frozen[name].setflags(write=False)
        object.__setattr__(self, "weights", frozen)

    def __eq__(self, other: object) -> bool:
        return self.hash == other.hash if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    def __repr__(self) -> str:
        numbers = sum(array.size for array in self.weights.values())
        period = " to ".join(self.training.get("period", ["?", "?"]))
        spec = self.description
        if isinstance(spec, LSTMStreamflow):
            what = f"{spec.hidden} hidden units, network"
        else:
            what = f"{spec.components} components, {spec.network} network"
        return (
            f"<hydroxr.Model {spec.symbol}: {what} of {numbers:,} numbers, "
            f"fitted to {self.training.get('cells', '?')} cells, {period}>"
        )

    @property
    def hash(self) -> str:
        """SHA-256 of all that a simulation depends on: two models with the same hash simulate alike.

        Which cells are marked as unlike those of the training depends on its ``attribute_ranges`` and
        ``attributes_with_gaps`` beside it, which the checksum of ``model.json`` covers.
        """
        digest = hashlib.sha256(json.dumps(self._identity(), sort_keys=True).encode())
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.weights[name]).tobytes())
        return digest.hexdigest()

    def __dask_tokenize__(self) -> str:
        return self.hash

    @property
    def provenance(self) -> dict[str, Any]:
        """What results say of the training: all but the names of the basins."""
        return {name: value for name, value in self.training.items() if name != "basins"}

    def network(self) -> ParameterNetwork | StreamflowNetwork:
        """The network with its weights, ready to be evaluated (regional models only)."""
        import torch

        from .parameter_network import ParameterNetwork
        from .streamflow_network import StreamflowNetwork

        spec, n_attributes = self.description, len(self.attributes)
        network: ParameterNetwork | StreamflowNetwork
        with torch.device("meta"):  # draws no random weights, which would shift the caller's numbers
            if isinstance(spec, LSTMStreamflow):
                network = StreamflowNetwork(spec, n_attributes)
            else:
                network = ParameterNetwork(spec, n_attributes)
        network.load_state_dict(self._tensors(), assign=True)
        return network.eval()

    def runoff_network(self) -> RunoffNetwork | None:
        """NN_r with its weights, where the model has it."""
        spec = self.description
        if isinstance(spec, LSTMStreamflow) or not spec.runoff_network:
            return None
        import torch

        from ..physics.runoff_network import RunoffNetwork

        with torch.device("meta"):
            network = RunoffNetwork(spec.runoff_network)
        network.load_state_dict(self._tensors("runoff."), assign=True)
        return network.eval()

    def _tensors(self, prefix: str = "") -> dict[str, torch.Tensor]:
        """Copies of the weights whose names begin with ``prefix``, without it."""
        import torch

        return {
            name.removeprefix(prefix): torch.from_numpy(array.copy())
            for name, array in self.weights.items()
            if name.startswith(prefix)
        }

    def constant_parameters(self) -> xr.Dataset:
        """The parameters of a constant network, (cell dimensions..., component)."""
        spec = self.description
        if not isinstance(spec, DeltaHBV) or spec.network != "constant":
            raise DescriptionError(
                "only a constant network has parameters without forcing; use ds.hbv.parameters(model)."
            )
        dims = tuple(self.cells.sizes)
        unit = 1.0 / (1.0 + np.exp(-self.weights["logits"].astype(float)))
        unit = unit.reshape(*self.cells.sizes.values(), -1)
        out = xr.Dataset(coords=self.cells.coords)
        start = 0
        for name in spec.parameters:
            row = PARAMETERS[name]
            width = 1 if name in ROUTING else spec.components
            values = row.lower + (row.upper - row.lower) * unit[..., start : start + width]
            start += width
            out[name] = (dims, values[..., 0]) if name in ROUTING else ((*dims, "component"), values)
            out[name].attrs = row.attrs()
        return out

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model into the folder ``path``, which must not exist yet or be a model's.

        It appears complete or not at all.

        Raises
        ------
        ModelFileError
            Where ``path`` is something else than a model, or the model has what could not be read again:
            no training period, or a history of more than some 200,000 iterations.
        """
        from safetensors.numpy import save as to_bytes

        target = check_target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        weights = to_bytes({name: np.ascontiguousarray(array) for name, array in self.weights.items()})
        content = {
            "hydroxr_format": FORMAT,
            "hydroxr_version": __version__,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "model_sha256": self.hash,
            **self._identity(),
            "training": self.training,
            "history": {str(name): _plain(self.history[name].values) for name in self.history.data_vars},
        }
        text = json.dumps(sealed(content), indent=1, ensure_ascii=False).encode()
        check_content(parse_json(text, target / JSON_FILE, len(weights)), target / JSON_FILE)
        folder = target.with_name(f".{target.name}-{uuid4().hex}")
        try:
            folder.mkdir()
            write_file(folder / WEIGHTS_FILE, weights)
            write_file(folder / JSON_FILE, text)
            replace(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return target

    def _identity(self) -> dict[str, Any]:
        # A model's checksum is of this: what only newer models have is there only where they have it.
        return {
            **({"forcing_units": self.forcing_units} if self.forcing_units else {}),
            "description": self.description.to_dict(),
            "attributes": list(self.attributes),
            "categories": self.categories,
            "parameter_window": {key: self.training.get(key) for key in ("period", "days")},
            "cells": {
                str(name): {"dims": [str(dim) for dim in array.dims], "values": array.values.tolist()}
                for name, array in self.cells.coords.items()
            },
        }


def check_target(path: str | os.PathLike[str]) -> Path:
    """Refuse a path under which no model can be saved.

    Raises
    ------
    ModelFileError
    """
    target = as_path(path)
    if target.exists() and not any((target / name).is_file() for name in (JSON_FILE, ENSEMBLE_FILE)):
        raise ModelFileError(f"{target} exists and is not a model of hydroxr; choose another path.")
    return target


def load_member(path: str | os.PathLike[str]) -> Model:
    """Read a single model; errors as of :func:`load_model`."""
    folder = Path(path)
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
            raise ValueError("it has units of inputs that the model does not take in the Dataset's own")
        shapes = weight_shapes(description, len(attributes), prod(cells.sizes.values()))
        model = Model(
            description=description,
            weights=read_weights(files[1], content["weights_sha256"], shapes),
            attributes=attributes,
            categories=content["categories"],
            cells=cells,
            training=content["training"],
            history=history_dataset(content["history"], content["training"]),
            forcing_units=units,
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


def history_dataset(history: dict[str, list[Any]], training: dict[str, Any]) -> xr.Dataset:
    """The course of a training, with that provenance, as a Dataset over ``iteration``."""
    attrs = {
        "loss": {
            "long_name": "training loss",
            "units": "kg m-2 day-1" if training.get("loss") in _PAPER_LOSS else "1",
        },
        "learning_rate": {"long_name": "learning rate", "units": "1"},
        "seconds": {"long_name": "time since the start of training", "units": "s"},
        "skipped": {"long_name": "whether the batch was left out, nothing finite having come of it"},
        "validation_nse": {"long_name": "median NSE over the cells of the validation", "units": "1"},
    }
    variables = {}
    for name, values in history.items():
        array = np.asarray([np.nan if value is None else value for value in values])
        variables[name] = ("iteration", array, attrs.get(name, {}))
    ds = xr.Dataset(variables)
    if ds.sizes.get("iteration"):
        ds = ds.assign_coords(iteration=np.arange(1, ds.sizes["iteration"] + 1))
    return ds


def _plain(values: np.ndarray) -> list[Any]:
    """For JSON, which knows no number that is not finite."""
    keep = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    return [value if kept else None for value, kept in zip(values.tolist(), keep, strict=True)]

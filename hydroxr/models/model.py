"""A fitted model. Torch is imported only to compute with a model, not to load one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._version import FORMAT, __version__
from ..conventions.attributes import FORMAT_KEY, VERSION_KEY
from ..errors import DescriptionError
from ..physics.parameters import ALL_PARAMETERS, WEIGHT
from ..support.atomic import write_file
from ..support.checksums import sha256
from .error_tables import packed, with_errors, write_errors
from .files import JSON_FILE, WEIGHTS_FILE, check_model_path, parse_json, replaced_folder
from .schema import check_content, sealed
from .specs import DeltaHBV, LSTMStreamflow, Spec

if TYPE_CHECKING:
    import torch

    from ..physics.runoff_network import RunoffNetwork
    from .filter_network import FilterNetwork
    from .parameter_network import ParameterNetwork
    from .streamflow_network import StreamflowNetwork

RIVERS = "rivers."  # begins the names of weights that give K and X of reaches

# Losses in units of streamflow (models of version 0.1.0 have the second name).
_PAPER_LOSS = ("paper", "Feng et al. (2022), equation 1")


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A fitted model.

    Parameters
    ----------
    description : DeltaHBV or LSTMStreamflow
        The description of the fitted model.
    weights : dict of array
        Weights and normalisation of the network, or for a constant network ``logits``, (cell, number).
        Names of the weights of NN_r begin with ``runoff.``, and of K and X of reaches with ``rivers.``
    attributes : tuple of str
        Names of the static inputs, in their order; empty for a constant network.
    categories : dict
        For each text attribute its values in training, in the order of their numbers.
    cells : Dataset
        Index coordinates and names of the cells that a constant network, or offsets, were fitted to.
    training : dict
        Provenance: period, number of days and cells, names of the ``basins`` (up to 10,000),
        ``data_sha256`` of the training data, every value of the protocol, iterations done
        (``iterations_done``), iteration of these weights (``best_iteration``), batches left out without a
        finite gradient (``skipped``), whether the training was ``interrupted`` or ``stopped_early``,
        ``last_loss``, ``validation_nse`` if there was a validation, seconds, version.
    history : Dataset
        ``loss``, ``learning_rate``, ``seconds`` and ``skipped`` over ``iteration``, and
        ``validation_nse``, which is NaN in iterations without validation.
    forcing_units : dict
        Training units of the inputs that an LSTM takes in the Dataset's own units.
    attribute_units : dict
        Training units of the attributes that had any.
    errors : dict of Dataset
        Distribution of the errors of a "simulation", or of a "forecast", see :meth:`with_errors`.
    path : Path, optional
        Folder that the model was loaded from; workers of a cluster load it from there too.

    Raises
    ------
    DescriptionError
        If an attribute is named twice.
    """

    description: Spec
    weights: dict[str, np.ndarray]
    attributes: tuple[str, ...] = ()
    categories: dict[str, list[str]] = field(default_factory=dict)
    cells: xr.Dataset = field(default_factory=xr.Dataset)
    training: dict[str, Any] = field(default_factory=dict)
    history: xr.Dataset = field(default_factory=xr.Dataset)
    forcing_units: dict[str, str] = field(default_factory=dict)
    attribute_units: dict[str, str] = field(default_factory=dict)
    errors: dict[str, xr.Dataset] = field(default_factory=dict)
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
        """SHA-256 of everything that the simulated values depend on.

        It leaves out ``errors``, and ``attribute_ranges`` and ``attributes_with_gaps``, which decide about
        ``attribute_flag`` only; the checksum of ``model.json`` covers them.
        """
        parts: list[str | bytes] = [json.dumps(self._identity(), sort_keys=True)]
        for name in sorted(self.weights):
            parts += [name, self.weights[name].tobytes()]
        return sha256(*parts)

    def __dask_tokenize__(self) -> str:
        return self.hash

    @property
    def provenance(self) -> dict[str, Any]:
        """The part of ``training`` that results carry: all but the names of the basins."""
        return {name: value for name, value in self.training.items() if name != "basins"}

    def network(self) -> FilterNetwork | ParameterNetwork | StreamflowNetwork:
        """The network with its weights, in evaluation mode (regional models only)."""
        import torch

        from .filter_network import FilterNetwork
        from .parameter_network import ParameterNetwork
        from .streamflow_network import StreamflowNetwork

        spec, n_attributes = self.description, len(self.attributes)
        network: FilterNetwork | ParameterNetwork | StreamflowNetwork
        with torch.device("meta"):  # random weights would advance the caller's random numbers
            if isinstance(spec, LSTMStreamflow):
                network = StreamflowNetwork(spec, n_attributes)
            elif spec.reads_window:
                network = ParameterNetwork(spec, n_attributes)
            else:
                network = FilterNetwork(spec, n_attributes, prod(self.cells.sizes.values()))
        network.load_state_dict(self._tensors(), assign=True)
        return network.eval()

    def runoff_network(self) -> RunoffNetwork | None:
        """NN_r with its weights; None if the model has none."""
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
        """Copies of the weights with names that begin with ``prefix``, named without it.

        Those of rivers are no part of the network of the cells.
        """
        import torch

        return {
            name.removeprefix(prefix): torch.from_numpy(array.copy())
            for name, array in self.weights.items()
            if name.startswith(prefix) and (prefix or not name.startswith(RIVERS))
        }

    def constant_parameters(self) -> xr.Dataset:
        """The parameters of a constant network.

        Returns
        -------
        Dataset
            (space..., component); parameters of the cell, such as UH_SHAPE and UH_SCALE, (space...).

        Raises
        ------
        DescriptionError
            If the model does not have a constant network.
        """
        spec = self.description
        if not isinstance(spec, DeltaHBV) or spec.network != "constant":
            raise DescriptionError(
                "only a constant network has parameters without forcing; use ds.hbv.parameters(model)."
            )
        dims = tuple(self.cells.sizes)
        logits = self.weights["logits"].astype(float).reshape(*self.cells.sizes.values(), -1)
        out = xr.Dataset(coords=self.cells.coords)
        start = 0
        for name, width in spec.widths.items():
            (lower, upper), part = spec.range_of(name), logits[..., start : start + width]
            values = lower + (upper - lower) * (1.0 / (1.0 + np.exp(-part)))
            if name == WEIGHT:
                values = np.exp(part - part.max(-1, keepdims=True))
                values /= values.sum(-1, keepdims=True)
            start += width
            out[name] = (dims, values[..., 0]) if name in spec.per_cell else ((*dims, "component"), values)
            out[name].attrs = ALL_PARAMETERS[name].attrs()
        return out

    def with_errors(self, errors: xr.Dataset) -> Model:
        """The model with the distribution of its errors, for ``simulate(..., quantiles=)``.

        Parameters
        ----------
        errors : Dataset
            From :meth:`hydroxr.accessor.HBVAccessor.fit_errors`, of a simulation or a forecast. A model may
            have both. :meth:`save` writes them with the model.

        Returns
        -------
        Model
            With the same weights and hash.

        Raises
        ------
        MissingVariableError, DescriptionError
            If ``errors`` are something else, or those of another model.

        Examples
        --------
        >>> errors = sim.hbv.fit_errors(ds, slice("1990-10-01", "1995-09-30"))  # doctest: +SKIP
        >>> model = model.with_errors(errors)  # doctest: +SKIP
        >>> sim = ds.hbv.simulate(model, quantiles=[0.05, 0.5, 0.95])  # doctest: +SKIP
        """
        return replace(self, errors=with_errors(self.errors, errors, self.hash))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model into the folder ``path``; it appears complete or not at all.

        Parameters
        ----------
        path : path or str
            A folder that does not exist yet. ``~`` is the home folder.
        overwrite : bool
            Replace a model that is there, in one step: whoever loads it gets the old or the new one.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ModelFileError
            If ``path`` is a model and ``overwrite`` is False, something other than a model, or a URL; if it
            cannot be written; or if the model could not be loaded again: it has no training period, or a
            history of more than about 200,000 iterations.
        """
        from safetensors.numpy import save as to_bytes

        target = check_model_path(path, overwrite)
        weights = to_bytes({name: np.ascontiguousarray(array) for name, array in self.weights.items()})
        content = {
            FORMAT_KEY: FORMAT,
            VERSION_KEY: __version__,
            "weights_sha256": sha256(weights),
            "model_sha256": self.hash,
            **self._identity(),
            "training": self.training,
            "history": {str(name): _plain(self.history[name].values) for name in self.history.data_vars},
        }
        errors, told = packed(self.errors)
        text = json.dumps(sealed({**content, **told}), indent=1, ensure_ascii=False).encode()
        check_content(parse_json(text, target / JSON_FILE, len(weights)), target / JSON_FILE)
        with replaced_folder(target, overwrite) as folder:
            write_errors(folder, errors)
            write_file(folder / WEIGHTS_FILE, weights)
            write_file(folder / JSON_FILE, text)
        return target

    def _identity(self) -> dict[str, Any]:
        # The checksum of a model covers this: older models must not get entries of newer ones.
        return {
            **({"forcing_units": self.forcing_units} if self.forcing_units else {}),
            **({"attribute_units": self.attribute_units} if self.attribute_units else {}),
            "description": self.description.to_dict(),
            "attributes": list(self.attributes),
            "categories": self.categories,
            "parameter_window": {key: self.training.get(key) for key in ("period", "days")},
            "cells": {
                str(name): {"dims": [str(dim) for dim in array.dims], "values": array.values.tolist()}
                for name, array in self.cells.coords.items()
            },
        }


def history_dataset(history: dict[str, list[Any]], training: dict[str, Any]) -> xr.Dataset:
    """The history of a training as a Dataset over ``iteration``; ``training`` is its provenance."""
    attrs = {
        "loss": {
            "long_name": "training loss",
            "units": "kg m-2 day-1" if training.get("loss") in _PAPER_LOSS else "1",
        },
        "learning_rate": {"long_name": "learning rate", "units": "1"},
        "seconds": {"long_name": "time since the start of training", "units": "s"},
        "skipped": {"long_name": "whether the batch was left out because its gradient was not finite"},
        "waiting": {"long_name": "time that the iteration waited for data to be read", "units": "s"},
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
    """A list for JSON, which has no NaN and no infinity: they become None."""
    keep = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    return [value if kept else None for value, kept in zip(values.tolist(), keep, strict=True)]

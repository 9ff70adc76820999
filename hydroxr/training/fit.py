"""Fit a model, or an ensemble, to the observed streamflow of a Dataset."""

from __future__ import annotations

import datetime
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import xarray as xr

from .._version import __version__
from ..conventions.attributes import VERSION_KEY
from ..errors import DescriptionError, warn
from ..inputs.resolve import Inputs, inputs_of
from ..models.attribute_ranges import attribute_facts
from ..models.model import Model, history_dataset
from ..models.specs import DeltaHBV, Spec, check_spec
from ..support.checksums import sha256
from .distributed.cluster import fit_on_cluster
from .distributed.group import processes_now
from .ensemble import check_client, checkpoint_folder, fit_in_turn, fit_side_by_side, member_seeds
from .keeping import checkpoints_in, interval, keeper_of
from .processes import Processes
from .reading.checks import Validation, check_sharing
from .reading.read import training_arrays
from .rivers import of_cells, rivers_of

if TYPE_CHECKING:
    from distributed import Client

    from ..models.ensemble import Ensemble
    from ..rivers.network import RiverNetwork
    from .loop.arrays import ShardedData, ShardedValidation, TrainingData, ValidationData
    from .loop.checkpoint import Checkpoint
    from .loop.protocol import Protocol
    from .start import Start

# Parameters of the outflow of groundwater. Feng et al. (2022), section 3.3: "groundwater recession
# parameters" should not be dynamic. K0 and UZL shape quick flow; the group's later δHBV2.0 has a dynamic K0.
_RECESSION = ("K1", "K2", "PERC")
_NAMED = 10_000  # a model lists the names of up to so many cells
_MANY = 3  # dynamic parameters; the paper has at most two


@overload
def fit(
    data: xr.Dataset | Inputs,
    spec: Spec | Model,
    target: str | xr.DataArray = "streamflow",
    attributes: Sequence[str] | None = None,
    time: slice | None = None,
    *,
    seeds: None = None,
    **options: Any,
) -> Model: ...


@overload
def fit(
    data: xr.Dataset | Inputs,
    spec: Spec | Model,
    target: str | xr.DataArray = "streamflow",
    attributes: Sequence[str] | None = None,
    time: slice | None = None,
    *,
    seeds: int | Sequence[int],
    **options: Any,
) -> Ensemble: ...


@overload
def fit(
    data: xr.Dataset | Inputs,
    spec: Spec | Model,
    target: str | xr.DataArray = "streamflow",
    attributes: Sequence[str] | None = None,
    time: slice | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    **options: Any,
) -> Model | Ensemble: ...


def fit(
    data: xr.Dataset | Inputs,
    spec: Spec | Model,
    target: str | xr.DataArray = "streamflow",
    attributes: Sequence[str] | None = None,
    time: slice | None = None,
    *,
    preset: str = "default",
    validation: Validation | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | datetime.timedelta | None = None,
    resume: str | os.PathLike[str] | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    client: Client | None = None,
    device: str = "auto",
    progress: bool = True,
    missing: str = "raise",
    rivers: RiverNetwork | None = None,
    gauges: Mapping[Hashable, Hashable] | None = None,
    weights: xr.Dataset | xr.DataArray | None = None,
    reach_attributes: Sequence[str] = (),
    start: Model | None = None,
    frozen: Sequence[str] = (),
    memory: str | float | None = None,
    **changes: Any,
) -> Model | Ensemble:
    """Fit a model; see :meth:`hydroxr.accessor.HBVAccessor.fit`."""
    given = {name: value for name, value in locals().items() if name not in ("data", "changes")} | changes
    if isinstance(spec, Model):
        start = spec if start is None else start
        spec = spec.description
    check_spec(spec)
    parts = (frozen,) if isinstance(frozen, str) else tuple(frozen)
    _check_start(spec, start, parts)
    from ..support.devices import torch_device
    from .loop.protocol import for_constant, protocol_of

    protocol = protocol_of(spec, preset, {**changes, "seed": seed})
    check_patience(protocol, validation)
    if missing not in ("raise", "drop"):
        raise DescriptionError(f"missing={missing!r} is not known; expected 'raise' or 'drop'.")
    spec = replace(spec, dropout=protocol.dropout)
    members = None if seeds is None else member_seeds(seeds, seed)
    check_client(client, "member")
    folder = checkpoints_in(checkpoint, resume)
    every = interval(checkpoint_every, folder)
    check_sharing(memory, client is not None or rivers is not None)
    if client is not None and members is None:
        _refuse_rivers(rivers)
        again = partial(fit, **given | {"client": None, "checkpoint": folder, "resume": None})
        most = inputs_of(data, spec.forcing).cell_count
        return fit_on_cluster(client, again, data, most, progress, folder is not None)
    processes = processes_now()
    device = processes.device(device)
    device = torch_device(device) if client is None else device  # each worker decides by itself
    if isinstance(spec, DeltaHBV):
        _warn_of_dynamic(spec)
    through = rivers_of(rivers, gauges, target, weights, reach_attributes)
    if through is None:
        inputs = inputs_of(data, spec.forcing, target=str(target))
    else:
        if processes.together:
            _refuse_rivers(rivers)
        through.check(spec, protocol, validation, missing)
        inputs, reaches = through.prepared(data, spec, time, protocol.warmup)
    asked = (inputs, spec, attributes, time, protocol, validation, missing, start, processes, memory)
    learned, judged, model, days = training_arrays(*asked, through is None and client is None)
    if through is not None:
        learned = of_cells(reaches, inputs, learned)  # type: ignore[arg-type]  # they are not sharded
    cells = learned.cells
    if spec.network == "constant":
        protocol = for_constant(protocol, changes, cells, len(days), rivers=through is not None)
    protocol = protocol.for_data(cells, len(days))
    facts = attribute_facts(learned.attributes, model.attributes) if spec.regional else {}
    period = [str(day)[:10] for day in (days[0], days[-1])]
    facts |= {} if through is None else {"rivers": through.facts()}
    begun = {} if start is None else {"start": start.hash, "frozen": list(parts)}
    model = replace(model, training={"period": period, "days": len(days), **begun, **facts})
    begin = None if start is None else _start(model, start, parts, learned)

    train = partial(_fit_seed, model, protocol, device, folder, every, begin)
    if members is None:
        keeper = None if folder is None else keeper_of(folder, every)
        return _fit_one(model, learned, judged, protocol, device, progress, keeper, begin)
    if client is not None:
        return fit_side_by_side(client, members, partial(train, progress=False), (learned, judged), progress)
    return fit_in_turn(members, lambda number: train((learned, judged), number, progress=progress))


def _refuse_rivers(rivers: RiverNetwork | None) -> None:
    if rivers is not None:
        raise DescriptionError(
            "a training through rivers needs all cells in one process, and several would share them here; "
            "leave out client."
        )


def _fit_seed(
    model: Model,
    protocol: Protocol,
    device: str,
    folder: Path | None,
    every: int | datetime.timedelta | None,
    begin: Start | None,
    data: tuple[TrainingData | ShardedData, ValidationData | ShardedValidation | None],
    seed: int,
    *,
    progress: bool,
) -> Model:
    """Train the ensemble member with this seed."""
    own = checkpoint_folder(folder, seed)
    keeper = None if own is None else keeper_of(own, every)
    return _fit_one(model, *data, replace(protocol, seed=seed), device, progress, keeper, begin)


def check_patience(protocol: Protocol, validation: Validation | None) -> None:
    """Refuse patience with nothing to wait for."""
    if protocol.patience is not None and validation is None:
        raise DescriptionError(
            f"patience is {protocol.patience} without validation, which never stops a training; give both: "
            "validation=slice(...)."
        )


def _check_start(spec: Spec, start: Model | None, frozen: tuple[str, ...]) -> None:
    """Refuse a model that a training with this description cannot begin from."""
    if start is None:
        if frozen:
            raise DescriptionError(
                "frozen holds parts of the model that the training starts from; add start=."
            )
        return
    if not isinstance(start, Model) or not start.description.regional:
        raise DescriptionError(
            f"start is {start!r}; expected one regional model, such as hx.load_model('camels-us')."
        )
    free = ("dropout", "gauge_offsets")
    own, other = (
        {k: v for k, v in each.to_dict().items() if k not in free} for each in (spec, start.description)
    )
    differ = sorted(key for key in {*own, *other} if own.get(key) != other.get(key))
    if differ:
        raise DescriptionError(
            f"start is another model than the one to fit: {', '.join(differ)} differ. Fit "
            "start.description, or ds.hbv.fit(start)."
        )


def _start(model: Model, start: Model, frozen: tuple[str, ...], data: TrainingData | ShardedData) -> Start:
    """The weights to begin from, and which attributes and cells they know.

    Attributes are known by name and kind, cells by label and attributes.
    """
    from ..simulation.gauge_offsets import known_cells
    from .start import Start

    known = {
        name: place
        for place, name in enumerate(start.attributes)
        if (name in start.categories) == (name in model.categories)
    }
    rows = known_cells(data.attributes, model.attributes, model.cells, start)
    places = tuple(known.get(name, -1) for name in model.attributes)
    return Start(dict(start.weights), places, rows, frozen)


def _fit_one(
    model: Model,
    data: TrainingData | ShardedData,
    judged: ValidationData | ShardedValidation | None,
    protocol: Protocol,
    device: str,
    progress: bool,
    keeper: Checkpoint | None,
    begin: Start | None = None,
) -> Model:
    """Train one model and record how it was trained."""
    from ..support.devices import torch_device
    from .loop import train as module
    from .loop.checkpoint import identity_of
    from .loop.process import lstm_precision

    processes = processes_now()
    device, spec = torch_device(device), model.description
    precise = lstm_precision(protocol.precision, device, spec.hidden) if spec.regional else "float32"
    protocol = replace(protocol, precision=precise)
    identity = None
    if keeper is not None:
        more = {"attributes": list(model.attributes), "period": model.training["period"]}
        more |= {name: model.training[name] for name in ("start", "frozen") if name in model.training}
        identity = identity_of(model.description, protocol, data, judged, more, processes)
    trained = module.train(
        model.description, data, protocol, device, progress, judged, keeper, identity, begin, processes
    )
    training = {
        **model.training,
        "cells": data.cells,
        **_data_facts(data, processes),
        **protocol.to_dict(),
        **trained.facts,
        "last_loss": _last_finite(trained.history["loss"]),
        "seconds": round(trained.history["seconds"][-1], 1),  # summed over all calls
        VERSION_KEY: __version__,
    }
    if trained.facts["skipped"]:
        warn(
            f"{trained.facts['skipped']} of {trained.facts['iterations_done']} batches were left out: "
            "their loss or gradient was not finite (history['skipped'] says which). Look for extreme values "
            "in forcing, attributes and streamflow, or lower the learning rate "
            f"(now learning_rate={protocol.learning_rate:g})."
        )
    if trained.facts["interrupted"]:
        _warn_of_interruption(training, keeper)
    history = history_dataset(trained.history, training)
    return replace(model, weights=trained.weights, training=training, history=history)


def _data_facts(data: TrainingData | ShardedData, processes: Processes) -> dict[str, Any]:
    """Checksum of the training data, and the names of the cells unless there are too many."""
    from .loop.checkpoint import fingerprints

    text = " ".join(f"{name} {value}" for name, value in fingerprints(data, processes).items())
    facts: dict[str, Any] = {"data_sha256": sha256(text)}
    return facts | ({"basins": list(data.names)} if len(data.names) <= _NAMED else {})


def _last_finite(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(finite[-1]) if finite else None


def _warn_of_dynamic(spec: DeltaHBV) -> None:
    """Warn of dynamic parameters that the paper advises against."""
    reasons = []
    recession = [name for name in spec.dynamic if name in _RECESSION]
    if recession:
        reasons.append(
            f"{', '.join(recession)} shape the recession of groundwater, and groundwater recession "
            "parameters should not be dynamic"
        )
    if len(spec.dynamic) > _MANY:
        reasons.append(
            f"with {len(spec.dynamic)} dynamic parameters the model may lose its physical meaning and become "
            "a variant of an LSTM"
        )
    if reasons:
        warn(
            f"Feng et al. (2022) caution against an overuse of dynamic parameters: {'; '.join(reasons)}. "
            "Theirs are BETA and BETAET."
        )


def _warn_of_interruption(training: dict[str, Any], keeper: Checkpoint | None) -> None:
    done, total = training["iterations_done"], training["iterations"]
    advice = (
        "Repeat the call to continue from the checkpoint."
        if keeper is not None and not keeper.failed
        else "With checkpoint='folder' a training can be continued."
    )
    warn(
        f"training was interrupted after {done} of {total} iterations; the model has the weights of "
        f"iteration {training['best_iteration']}. {advice}"
    )

"""From a labelled Dataset to a fitted model."""

from __future__ import annotations

import time as clock
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from . import inputs
from ._version import __version__
from .cells import Space, attribute_array, attribute_categories, attribute_names, space_coords, space_names
from .checks import check_forcing, range_problem
from .description import DeltaHBV
from .errors import DescriptionError, EmptySelectionError, MemoryLimitError, MissingObservationError
from .model import Model, history_dataset

if TYPE_CHECKING:
    from .learning.training import Protocol, TrainingData

# Where nobody says how long: enough for a regional network to be useful, and for parameters
# that are fitted directly to settle.
_ITERATIONS = {"lstm": 1500, "constant": 300}
_COPIES = 3  # of the training data, while they are gathered


def fit(
    ds: xr.Dataset,
    spec: DeltaHBV,
    target: str = "streamflow",
    attributes: Sequence[str] | None = None,
    time: slice | None = None,
    iterations: int | None = None,
    batch: int = 100,
    window: int = 365,
    warmup: int = 365,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    optimizer: str = "adam",
    learning_rate: float | None = None,
) -> Model:
    """Fit a δ model; see :meth:`hydroxr.accessor.HBVAccessor.fit`."""
    _check_options(
        spec, learning_rate, iterations=iterations, batch=batch, window=window, warmup=warmup, seed=seed
    )

    from .learning.training import Protocol, default_rate, train
    from .simulate import torch_device

    usual = default_rate(optimizer, spec.network)
    protocol = Protocol(
        iterations=int(_ITERATIONS[spec.network] if iterations is None else iterations),
        batch=int(batch),
        window=int(window),
        warmup=int(warmup),
        optimizer=optimizer,
        learning_rate=usual if learning_rate is None else float(learning_rate),
        seed=int(seed),
    )
    device = torch_device(device)
    ds = select_time(ds, time)
    data, model = _gather(ds, spec, target, attributes, protocol)
    started = clock.perf_counter()
    weights, history = train(spec, data, protocol, device, progress)
    training = {
        "period": [str(value)[:10] for value in (ds.indexes["time"][0], ds.indexes["time"][-1])],
        "days": ds.sizes["time"],
        "cells": data.observed.shape[1],
        "loss": "Feng et al. (2022), equation 1",
        **vars(protocol),
        "seconds": round(clock.perf_counter() - started, 1),
        "hydroxr_version": __version__,
    }
    return replace(model, weights=weights, training=training, history=history_dataset(history))


def _gather(
    ds: xr.Dataset, spec: DeltaHBV, target: str, attributes: Sequence[str] | None, protocol: Protocol
) -> tuple[TrainingData, Model]:
    """What is learned from, checked and in memory, and the model without its weights."""
    from .learning.training import TrainingData

    forcing = inputs.forcing(ds)
    space = inputs.space_dims(ds)
    observed = _observed(ds, space, target)
    names = attribute_names(ds, space, attributes) if spec.network == "lstm" else ()
    if ds.sizes["time"] < protocol.warmup + protocol.window:
        raise EmptySelectionError(
            f"the period has {ds.sizes['time']} days; expected at least {protocol.warmup} of warm-up and "
            f"{protocol.window} of a window. Choose a longer period, or smaller window and warmup."
        )
    _check_memory([*forcing.values(), observed])
    flow = _flat(observed, space)  # (time, cell)
    gauged = np.isfinite(flow).any(axis=0)
    if not gauged.any():
        raise MissingObservationError(
            "observed streamflow is missing on every day of the period in every cell; nothing can be learned."
        )
    cells = _fitted_cells(ds, space, gauged) if spec.network == "constant" else xr.Dataset()
    labels = tuple(np.asarray(space_names(ds, space), dtype=object)[gauged])
    times = ds["time"].values
    problem = range_problem("streamflow", flow[:, gauged].T, times, labels)
    if problem is not None:
        raise problem
    arrays = {name: _flat(array, space)[:, gauged] for name, array in forcing.items()}
    called = {name: inputs.called(ds, name) for name in arrays}
    check_forcing({name: array.T for name, array in arrays.items()}, times, labels, called=called)
    model = Model(spec, {}, names, attribute_categories(ds, space, names, gauged), cells)
    static = _static(ds, space, model)[gauged]
    return TrainingData(np.stack(list(arrays.values()), axis=-1), static, flow[:, gauged]), model


def select_time(ds: xr.Dataset, time: slice | None) -> xr.Dataset:
    """The days ``time`` of a Dataset whose time axis is sound.

    Raises
    ------
    TimeAxisError, DescriptionError, EmptySelectionError
    """
    inputs.check_time(ds)
    return inputs.select_days(ds, time)


def _check_options(spec: DeltaHBV, learning_rate: float | None, **numbers: int | None) -> None:
    if not isinstance(spec, DeltaHBV):
        raise DescriptionError(
            f"expected a description such as hx.DeltaHBV(components=16), found {type(spec).__name__}."
        )
    for name, value in numbers.items():
        least = 0 if name in ("warmup", "seed") else 1
        if value is not None and (not isinstance(value, int | np.integer) or value < least):
            raise DescriptionError(f"{name} is {value!r}; expected a whole number of at least {least}.")
    if learning_rate is not None and not (np.isfinite(learning_rate) and learning_rate > 0):
        raise DescriptionError(f"learning_rate is {learning_rate!r}; expected a number above 0.")


def _observed(ds: xr.Dataset, space: Space, target: str) -> xr.DataArray:
    # "streamflow" is the role, whatever the Dataset calls it; any other name is a variable's.
    observed = inputs.observed_streamflow(ds, None if target == "streamflow" else target)
    return inputs.on_space(observed, space, ds)


def _check_memory(arrays: Sequence[xr.DataArray]) -> None:
    import psutil

    needed = sum(4 * array.size for array in arrays) * _COPIES
    available = psutil.virtual_memory().available
    if needed > available:
        raise MemoryLimitError(
            f"training needs about {needed / 1e9:.1f} GB in memory (forcing and streamflow, "
            f"{arrays[0].sizes['time']} days, "
            f"{arrays[0].size // max(arrays[0].sizes['time'], 1)} cells), and {available / 1e9:.1f} GB are "
            "free. "
            "Select fewer days, time=slice(...), or fewer cells, ds.isel(...): those with observed "
            "streamflow are enough."
        )


def _flat(array: xr.DataArray, space: Space) -> np.ndarray:
    """In memory as float32, (time, cell)."""
    values = array.transpose("time", *space).values.astype("float32")
    return values.reshape(values.shape[0], -1)


def _static(ds: xr.Dataset, space: Space, model: Model) -> np.ndarray:
    if not model.attributes:
        return np.zeros((int(np.prod([ds.sizes[dim] for dim in space], dtype=int)), 0), dtype="float32")
    return attribute_array(ds, space, model).values.reshape(-1, len(model.attributes))


def _fitted_cells(ds: xr.Dataset, space: tuple[Hashable, ...], gauged: np.ndarray) -> xr.Dataset:
    """The cells that a constant network has parameters for."""
    cells = space_coords(ds, space)
    if gauged.all():
        return cells
    if len(space) == 1:
        return cells.isel({space[0]: gauged})
    raise MissingObservationError(
        f"a constant network needs streamflow in every cell, and {int((~gauged).sum())} of {gauged.size} "
        "have none; "
        f"make the cells a list and select: ds.stack(cell={[str(dim) for dim in space]}).reset_index('cell')"
        ".isel(cell=...)."
    )

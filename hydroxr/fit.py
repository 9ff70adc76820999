"""From a labelled Dataset to a fitted model."""

from __future__ import annotations

import time as clock
from collections.abc import Hashable, Sequence

import numpy as np
import xarray as xr

from . import inputs
from ._version import __version__
from .cells import Space, attribute_array, attribute_categories, attribute_names, space_coords, space_names
from .checks import check_forcing, range_problem
from .description import DeltaHBV
from .errors import DescriptionError, EmptySelectionError, MemoryLimitError, MissingObservationError
from .model import Model, history_dataset

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
    _check_options(spec, iterations=iterations, batch=batch, window=window, warmup=warmup)
    ds = select_time(ds, time)
    forcing = inputs.forcing(ds)
    space = inputs.space_dims(ds)
    observed = _observed(ds, space, target)
    names = attribute_names(ds, space, attributes) if spec.network == "lstm" else ()
    days = ds.sizes["time"]
    if days < window + warmup:
        raise EmptySelectionError(
            f"the period has {days} days; expected at least {warmup} of warm-up and {window} of a window. "
            "Choose a longer period, or smaller window and warmup."
        )
    _check_memory([*forcing.values(), observed])

    from .learning.training import Protocol, TrainingData, default_rate, train
    from .simulate import torch_device

    rate = default_rate(optimizer, spec.network) if learning_rate is None else learning_rate
    flat_observed = _flat(observed, space)  # (time, cell)
    gauged = np.isfinite(flat_observed).any(axis=0)
    if not gauged.any():
        raise MissingObservationError(
            "observed streamflow is missing on every day of the period in every cell; nothing can be learned."
        )
    labels = tuple(np.asarray(space_names(ds, space), dtype=object)[gauged])
    times = ds["time"].values
    problem = range_problem("streamflow", flat_observed[:, gauged].T, times, labels)
    if problem is not None:
        raise problem
    arrays = {name: _flat(array, space)[:, gauged] for name, array in forcing.items()}
    called = {name: inputs.called(ds, name) for name in arrays}
    check_forcing({name: array.T for name, array in arrays.items()}, times, labels, called=called)
    model = Model(spec, {}, names, attribute_categories(ds, names))
    static = _static(ds, space, model)[gauged]
    data = TrainingData(np.stack(list(arrays.values()), axis=-1), static, flat_observed[:, gauged])
    protocol = Protocol(
        _ITERATIONS[spec.network] if iterations is None else iterations,
        batch,
        window,
        warmup,
        optimizer,
        rate,
        seed,
    )
    started = clock.perf_counter()
    weights, history = train(spec, data, protocol, torch_device(device), progress)
    training = {
        "period": [str(value)[:10] for value in (ds.indexes["time"][0], ds.indexes["time"][-1])],
        "days": days,
        "cells": int(gauged.sum()),
        "loss": "paper (equation 1)",
        **vars(protocol),
        "seconds": round(clock.perf_counter() - started, 1),
        "hydroxr_version": __version__,
    }
    cells = _fitted_cells(ds, space, gauged) if spec.network == "constant" else xr.Dataset()
    return Model(spec, weights, names, model.categories, cells, training, history_dataset(history))


def select_time(ds: xr.Dataset, time: slice | None) -> xr.Dataset:
    """The days ``time`` of a Dataset whose time axis is sound.

    Raises
    ------
    TimeAxisError, EmptySelectionError
    """
    inputs.check_time(ds)
    if time is None:
        return ds
    index = ds.indexes["time"]
    selected = ds.sel(time=time)
    if selected.sizes["time"] == 0:
        raise EmptySelectionError(
            f"{time} holds no day; the Dataset has {str(index[0])[:10]} to {str(index[-1])[:10]}."
        )
    return selected


def _check_options(spec: DeltaHBV, **numbers: int | None) -> None:
    if not isinstance(spec, DeltaHBV):
        raise DescriptionError(
            f"expected a description such as hx.DeltaHBV(components=16), found {type(spec).__name__}."
        )
    for name, value in numbers.items():
        least = 0 if name == "warmup" else 1
        if value is not None and (not isinstance(value, int | np.integer) or value < least):
            raise DescriptionError(f"{name} is {value!r}; expected a whole number of at least {least}.")


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
        "select those that have: ds.stack(cell=[...]).isel(cell=...)."
    )

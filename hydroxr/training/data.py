"""Read the arrays that a model learns from and is judged by, and check them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MemoryLimitError,
    MissingObservationError,
    warn,
)
from ..inputs.attributes import (
    attribute_array,
    attribute_categories,
    attribute_doubts,
    attribute_names,
    attribute_units,
)
from ..inputs.cells import Space, space_coords
from ..inputs.ranges import forcing_faults, raise_faults, range_faults
from ..inputs.resolve import Inputs
from ..inputs.time_axis import days_of_year, select_days
from ..models.model import Model
from ..models.specs import LSTMStreamflow, Spec

if TYPE_CHECKING:
    from .loop.arrays import TrainingData, ValidationData
    from .loop.protocol import Protocol

_COPIES = 3  # of the training data at once, while they are read

Validation = slice | xr.DataArray | Sequence[Any] | np.ndarray


def training_arrays(
    inputs: Inputs,
    spec: Spec,
    attributes: Sequence[str] | None,
    time: slice | None,
    protocol: Protocol,
    validation: Validation | None,
) -> tuple[TrainingData, ValidationData | None, Model, pd.Index]:
    """Read and check the arrays that a model learns from and is judged by.

    Parameters
    ----------
    inputs : Inputs
        All days; the daily inputs of ``spec`` and the observed streamflow.
    attributes : sequence of str, optional
        Static inputs of a regional model; default: those of the paper's Table A1.
    time : slice, optional
        The training period.
    validation : slice, DataArray or sequence, optional
        A period, or cells that are not trained on.

    Returns
    -------
    data : TrainingData
    validation : ValidationData or None
    model : Model
        Without weights.
    days : Index
        The days of training.

    Raises
    ------
    HydroxrError
        Named for what is wrong with the data.
    """
    from .loop.arrays import TrainingData

    inputs.check_time()
    period = inputs.of(select_days(inputs.ds, time))
    later = _validation_days(inputs, period, validation, protocol) if isinstance(validation, slice) else None
    forcing, observed, ds, space = period.forcing, period.observed, period.ds, period.space
    if period.name("streamflow") in spec.forcing:
        raise DescriptionError(
            f"forcing {period.name('streamflow')!r} is the observed streamflow that the model is to learn; "
            "expected other variables: hx.LSTMStreamflow(forcing=(...))."
        )
    names = attribute_names(ds, space, attributes, spec.attributes) if spec.regional else ()
    _check_length(len(period.days), protocol)
    held = _held_out(period, validation, spec)
    _check_memory([*forcing.values(), observed])
    flow = _flat(observed, space)  # (time, cell)
    gauged = np.isfinite(flow).any(axis=0) & ~held
    if not gauged.any():
        raise MissingObservationError(
            "observed streamflow is missing on every day of the period in every cell"
            f"{' that is not held out' if held.any() else ''}; nothing can be learned."
        )
    model = _untrained(period, spec, names, gauged)
    cells = np.asarray(period.cell_names, dtype=object)
    array = _checked_forcing(period, flow, gauged, cells)
    static = _static(period, model)
    data = TrainingData(array, static[gauged], flow[:, gauged], tuple(cells[gauged]), ds["time"].values)
    judged: ValidationData | None = None
    if later is not None:
        judged = _of_period(later, gauged, cells, data, protocol, validation)
    elif held.any():
        judged = _of_cells(period, flow, held, cells, static, protocol)
    return data, judged, model, period.days


def _untrained(inputs: Inputs, spec: Spec, names: tuple[str, ...], gauged: np.ndarray) -> Model:
    """The model without weights, which knows its inputs and cells."""
    categories = attribute_categories(inputs.ds, inputs.space, names, gauged)
    units = attribute_units(inputs.ds, names)
    if isinstance(spec, LSTMStreamflow):
        own = inputs.own_units
        return Model(spec, {}, names, categories, forcing_units=own, attribute_units=units)
    cells = xr.Dataset() if spec.regional else _fitted_cells(inputs, gauged)
    return Model(spec, {}, names, categories, cells, attribute_units=units)


def _check_length(days: int, protocol: Protocol) -> None:
    if days < protocol.warmup + protocol.window:
        raise EmptySelectionError(
            f"the period has {days} days; expected at least {protocol.warmup} for the warm-up and "
            f"{protocol.window} for a window. Choose a longer period, or a smaller window and warmup."
        )


def _of_period(
    later: Inputs,
    gauged: np.ndarray,
    cells: np.ndarray,
    data: TrainingData,
    protocol: Protocol,
    validation: Any,
) -> ValidationData:
    """Validation data: the cells that are trained on, on other days."""
    from .loop.arrays import ValidationData

    observed = later.observed
    _check_memory([*later.forcing.values(), observed])
    flow = _flat(observed, later.space)
    counted = select_days(later.ds, validation).indexes["time"]
    flow[: max(protocol.warmup, len(flow) - len(counted))] = np.nan
    chosen = gauged & np.isfinite(flow).any(axis=0)
    if not chosen.any():
        raise MissingObservationError(
            "observed streamflow is missing on every day of the validation period, after its warm-up, in "
            "every cell that is trained on; choose another period."
        )
    places = np.flatnonzero(chosen[gauged])
    return ValidationData(
        _checked_forcing(later, flow, chosen, cells),
        data.attributes[places],
        flow[:, chosen],
        _window(data.forcing, protocol)[:, places],
        places,
        days_of_year(later.ds.indexes["time"]),
    )


def _of_cells(
    period: Inputs,
    flow: np.ndarray,
    held: np.ndarray,
    cells: np.ndarray,
    static: np.ndarray,
    protocol: Protocol,
) -> ValidationData:
    """Validation data: cells that are not trained on, in the training period."""
    from .loop.arrays import ValidationData

    flow = flow.copy()
    flow[: protocol.warmup] = np.nan
    chosen = held & np.isfinite(flow).any(axis=0)
    if not chosen.any():
        raise MissingObservationError(
            "none of the cells held out for validation has observed streamflow after the warm-up; hold out "
            "others."
        )
    forcing = _checked_forcing(period, flow, chosen, cells)
    places = np.zeros(int(chosen.sum()), dtype=int)
    days = days_of_year(period.ds.indexes["time"])
    return ValidationData(forcing, static[chosen], flow[:, chosen], _window(forcing, protocol), places, days)


def _window(forcing: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The last days of the training period, as many as a window and its warm-up have."""
    return forcing[-(protocol.warmup + protocol.window) :]


def _validation_days(inputs: Inputs, period: Inputs, validation: slice, protocol: Protocol) -> Inputs:
    """The days of a validation period and, if the Dataset has them, of its warm-up."""
    days, trained = select_days(inputs.ds, validation).indexes["time"], period.days
    if days[0] <= trained[-1] and trained[0] <= days[-1]:
        raise DescriptionError(
            f"validation, {str(days[0])[:10]} to {str(days[-1])[:10]}, shares days with the training period, "
            f"{str(trained[0])[:10]} to {str(trained[-1])[:10]}; expected other days. Choose both: "
            "time=slice(...), validation=slice(...)."
        )
    first = int(inputs.days.get_loc(days[0]))
    warmup = min(first, protocol.warmup)
    if warmup + len(days) <= protocol.warmup:
        raise EmptySelectionError(
            f"validation has {len(days)} days, of which none is left after {protocol.warmup} days of "
            "warm-up; choose a longer period."
        )
    return inputs.of(inputs.ds.isel(time=slice(first - warmup, first + len(days))))


def _held_out(inputs: Inputs, validation: Validation | None, spec: Spec) -> np.ndarray:
    """Which cells are not trained on, (cell,)."""
    ds, space = inputs.ds, inputs.space
    if validation is None or isinstance(validation, slice):
        return np.zeros(inputs.cell_count, dtype=bool)
    if isinstance(validation, str) or not np.iterable(validation):
        raise DescriptionError(
            f"validation is {validation!r}; expected a period, slice('1990-10-01', '1995-09-30'), labels of "
            "cells, or a DataArray of bool, True for cells to hold out."
        )
    if spec.network == "constant":
        raise DescriptionError(
            "a constant network has parameters only for the cells that it is fitted to; validate it on a "
            "period: validation=slice(...)."
        )
    if isinstance(validation, xr.DataArray):
        return _held_by_mask(ds, space, validation)
    if len(space) != 1:
        raise DimensionError(
            f"cells are named by labels in one dimension of space only, and there are {len(space)}; give "
            "validation as a DataArray of bool."
        )
    return _held_by_label(ds, space[0], list(validation))


def _held_by_label(ds: xr.Dataset, dim: Hashable, labels: list[Any]) -> np.ndarray:
    names: dict[Any, int] = {}
    for name, array in ds.coords.items():
        is_name = array.attrs.get("cf_role") == "timeseries_id" or str(name).endswith("_id")
        if array.dims == (dim,) and (name == dim or is_name):
            names |= {value: place for place, value in enumerate(array.values.tolist())}
    held = np.zeros(ds.sizes[dim], dtype=bool)
    for label in labels:
        label = label.item() if isinstance(label, np.generic) else label
        if label not in names:
            raise CoordinateError(
                f"validation names {dim} {label!r}, which is not in the Dataset; expected labels such as "
                f"{list(names)[:3]}."
            )
        held[names[label]] = True
    return held


def _held_by_mask(ds: xr.Dataset, space: Space, mask: xr.DataArray) -> np.ndarray:
    if mask.dtype.kind != "b" or set(mask.dims) != set(space):
        raise DimensionError(
            f"validation is a DataArray of {mask.dtype} with dimensions {mask.dims}; expected bool and "
            f"{tuple(map(str, space))}, True for cells to hold out."
        )
    for dim in space:
        labelled = dim in mask.indexes and dim in ds.indexes
        if mask.sizes[dim] != ds.sizes[dim] or (labelled and not mask.indexes[dim].equals(ds.indexes[dim])):
            raise CoordinateError(
                f"validation has other values of {dim!r} than the Dataset; expected the same cells in the "
                "same order."
            )
    values: np.ndarray = mask.transpose(*space).values.ravel()
    return values


def _checked_forcing(inputs: Inputs, flow: np.ndarray, chosen: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Forcing of the chosen cells, (time, cell, forcing), after a check of all values."""
    names, times = tuple(cells[chosen]), inputs.ds["time"].values
    arrays = {name: _flat(array, inputs.space)[:, chosen] for name, array in inputs.forcing.items()}
    by_cell = {name: array.T for name, array in arrays.items()}
    faults = range_faults("streamflow", flow[:, chosen].T, times, names)
    faults |= forcing_faults(by_cell, times, names, called=inputs.called, derived=inputs.derived)
    raise_faults(faults.values())
    return np.stack(list(arrays.values()), axis=-1)


def _check_memory(arrays: Sequence[xr.DataArray]) -> None:
    import psutil

    needed = sum(4 * array.size for array in arrays) * _COPIES
    available = psutil.virtual_memory().available
    if needed > available:
        raise MemoryLimitError(
            f"training needs about {needed / 1e9:.1f} GB in memory (forcing and streamflow, "
            f"{arrays[0].sizes['time']} days, "
            f"{arrays[0].size // max(arrays[0].sizes['time'], 1)} cells), and {available / 1e9:.1f} GB are "
            "free. Select fewer days, time=slice(...), or fewer cells, ds.isel(...): those with observed "
            "streamflow are enough."
        )


def _flat(array: xr.DataArray, space: Space) -> np.ndarray:
    """Values as float32, (time, cell)."""
    values = array.transpose("time", *space).values.astype("float32")
    return values.reshape(values.shape[0], -1)


def _static(inputs: Inputs, model: Model) -> np.ndarray:
    """Static inputs in memory, (cell, attribute)."""
    if not model.attributes:
        return np.zeros((inputs.cell_count, 0), dtype="float32")
    array = attribute_array(inputs.ds, inputs.space, model.attributes, model.categories)
    values: np.ndarray = array.values.reshape(-1, len(model.attributes))
    remarks = attribute_doubts(values, model.attributes, model.categories)
    if remarks:
        warn(
            f"attributes of the training: {'; '.join(remarks)}. Missing values count as the mean of the "
            "other cells, and cells that lack the same are not marked in 'attribute_flag'."
        )
    return values


def _fitted_cells(inputs: Inputs, gauged: np.ndarray) -> xr.Dataset:
    """Coordinates of the cells that a constant network has parameters for."""
    space = inputs.space
    cells = space_coords(inputs.ds, space)
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

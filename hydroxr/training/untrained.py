"""A model before its training: what it knows of its inputs and cells."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DescriptionError, MissingObservationError, warn
from ..inputs.attributes import attribute_array, attribute_categories, attribute_doubts, attribute_units
from ..inputs.cells import space_coords
from ..inputs.resolve import Inputs
from ..models.model import Model
from ..models.specs import DeltaHBV, LSTMStreamflow, Spec


def untrained(
    inputs: Inputs, spec: Spec, names: tuple[str, ...], gauged: np.ndarray, start: Model | None
) -> Model:
    """The model without weights, which knows its inputs and cells.

    Attributes that ``start`` knows keep its units, and its categories before those that are new.
    """
    categories = attribute_categories(inputs.ds, inputs.space, names, gauged)
    units = attribute_units(inputs.ds, names)
    if start is not None:
        for name in set(categories) & set(start.categories):
            categories[name] = list(dict.fromkeys([*start.categories[name], *categories[name]]))
        units |= {name: unit for name, unit in start.attribute_units.items() if name in names}
    if isinstance(spec, LSTMStreamflow):
        own = inputs.own_units
        return Model(spec, {}, names, categories, forcing_units=own, attribute_units=units)
    cells = _fitted_cells(inputs, gauged, spec) if spec.keeps_cells else xr.Dataset()
    return Model(spec, {}, names, categories, cells, attribute_units=units)


def static_inputs(inputs: Inputs, model: Model) -> np.ndarray:
    """Static inputs in memory, (cell, attribute)."""
    if not model.attributes:
        return np.zeros((inputs.cell_count, 0), dtype="float32")
    known = model.attribute_units
    array = attribute_array(inputs.ds, inputs.space, model.attributes, model.categories, units=known)
    values: np.ndarray = array.values.reshape(-1, len(model.attributes))
    remarks = attribute_doubts(values, model.attributes, model.categories)
    if remarks:
        warn(
            f"attributes of the training: {'; '.join(remarks)}. Missing values count as the mean of the "
            "other cells, and cells that lack the same are not marked in 'attribute_flag'."
        )
    return values


def _fitted_cells(inputs: Inputs, gauged: np.ndarray, spec: DeltaHBV) -> xr.Dataset:
    """Coordinates of the cells that a model has numbers for."""
    space = inputs.space
    if spec.gauge_offsets and len(space) != 1:
        raise DescriptionError(
            f"gauge_offsets need cells in one dimension of space, and there are {len(space)}."
        )
    cells = space_coords(inputs.ds, space)
    for name, array in cells.coords.items():
        given = inputs.ds[name].values if name in inputs.ds.variables else array.values
        mixed = given.dtype.kind == "O" and not all(isinstance(each, str | bytes) for each in given.ravel())
        if given.dtype.kind in "mM" or (mixed and name in space):
            raise CoordinateError(
                f"{name!r} labels cells by {'values of several types' if mixed else given.dtype}, which a "
                f"model cannot keep; expected text or numbers: "
                f"ds.assign_coords({name}=ds[{name!r}].astype(str))."
            )
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

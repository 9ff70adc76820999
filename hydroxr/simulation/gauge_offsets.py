"""Which cells of a Dataset are training cells of a model, so that their offsets apply.

A cell is recognised by its label and its attributes: labels alone, such as 0, 1, 2, may be those of another
data set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..conventions.labels import in_same_terms
from ..inputs.cells import Space
from ..models.model import Model
from ..models.specs import DeltaHBV
from .engine.model_reference import ModelReference

_AGREE = 0.01  # largest difference of an attribute, in standard deviations of the training


def has_offsets(model: Model) -> bool:
    """Whether a model has offsets for the cells that it was trained on."""
    return isinstance(model.description, DeltaHBV) and model.description.gauge_offsets


def offset_rows(attributes: xr.DataArray, model: Model, ds: xr.Dataset, space: Space) -> xr.DataArray:
    """The number of each cell among the training cells of a model, -1 for all others.

    Parameters
    ----------
    attributes : DataArray, (space..., attribute)
        From :func:`hydroxr.inputs.attributes.attribute_array`; the result is lazy if they are.
    model : Model
        With offsets, see :func:`has_offsets`.
    ds : Dataset
        Gives the labels of the cells.
    space : tuple
        Dimensions of space.

    Returns
    -------
    DataArray of int32, (space...)
    """
    out: xr.DataArray = xr.apply_ufunc(
        _agreeing,
        attributes.drop_vars(attributes.coords),
        _by_label(model, ds, space),
        kwargs={"reference": ModelReference(model)},
        input_core_dims=[["attribute"], []],
        dask="parallelized",
        output_dtypes=[np.dtype("int32")],
    )
    return out.transpose(*space)


def known_cells(attributes: np.ndarray, names: Sequence[str], cells: xr.Dataset, model: Model) -> np.ndarray:
    """:func:`offset_rows` of cells that another model is to be trained on, ``(cell,)``.

    Parameters
    ----------
    attributes : array, (cell, attribute)
        In the units and with the categories of ``model``.
    names : sequence of str
        Of these attributes.
    cells : Dataset
        Labels, with one dimension.
    model : Model
    """
    rows = np.full(len(attributes), -1)
    if not has_offsets(model) or len(cells.sizes) != 1:
        return rows
    for_model = np.full((len(attributes), len(model.attributes)), np.nan)
    for place, name in enumerate(model.attributes):
        if name in names:
            for_model[:, place] = attributes[:, list(names).index(name)]
    space = tuple(cells.sizes)
    found: np.ndarray = offset_rows(
        xr.DataArray(for_model, dims=(*space, "attribute")), model, cells, space
    ).values
    return found


def _by_label(model: Model, ds: xr.Dataset, space: Space) -> xr.DataArray:
    """The same by label alone."""
    (dim,) = model.cells.sizes
    if not space and dim in ds.coords:  # a selection left one cell
        return _by_label(model, ds.expand_dims(dim), (dim,)).squeeze(dim)
    if tuple(space) != (dim,):
        return xr.DataArray(np.full([ds.sizes[each] for each in space], -1, dtype="int32"), dims=space)
    cells = model.cells.assign(row=(dim, np.arange(model.cells.sizes[dim])))
    here = ds if dim in ds.indexes else ds.assign_coords({dim: np.arange(ds.sizes[dim])})
    theirs, mine = in_same_terms(cells, here)
    theirs = theirs.isel({dim: ~theirs.indexes[dim].duplicated(keep=False)})  # such a label tells no cell
    found = theirs.indexes[dim].get_indexer(mine.indexes[dim])
    rows = np.where(found >= 0, theirs["row"].values[found], -1)
    return xr.DataArray(rows.astype("int32"), dims=space)


def _agreeing(attributes: np.ndarray, rows: np.ndarray, reference: ModelReference) -> np.ndarray:
    """The rows of the cells whose attributes are those of the training, -1 for the others."""
    weights = reference.model().weights
    values = (attributes - weights["attribute_mean"]) / weights["attribute_std"]
    values = np.where(np.isfinite(values), values, 0.0)  # missing: the mean
    same = (abs(values - weights["offset_attributes"][rows]) <= _AGREE).all(-1)
    return np.where(same & (rows >= 0), rows, -1).astype("int32")

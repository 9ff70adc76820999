"""Static attributes of cells: their names, the categories of text, and their values as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.variables import ATTRIBUTES
from ..errors import DimensionError, MissingAttributeError
from .cells import Space

NO_TEXT = ("", "nan", "None", "<NA>")  # count as missing


def attribute_names(
    ds: xr.Dataset, space: Space, chosen: Sequence[str] | None, default: Sequence[str] = ATTRIBUTES
) -> tuple[str, ...]:
    """Names of the static inputs: ``chosen``, or those of ``default`` that are in ``ds``.

    The default is Table A1 of Feng et al. (2022), or what a model reads of it.

    Raises
    ------
    MissingAttributeError
        If a chosen attribute is absent, or none is left.
    DimensionError
        If an attribute varies in time.
    """
    chosen = [chosen] if isinstance(chosen, str) else chosen
    names = tuple(chosen) if chosen is not None else tuple(name for name in default if name in ds)
    absent = [name for name in names if name not in ds]
    if absent:
        raise MissingAttributeError(
            f"attributes {', '.join(absent)} are not in the Dataset; add them or name others: "
            "attributes=[...]."
        )
    if not names:
        raise MissingAttributeError(
            "the Dataset has none of the catchment attributes of the paper's Table A1; a regional model "
            "tells cells apart by them. Name yours, attributes=[...], or fit each cell on its own: "
            "hx.DeltaHBV(network='constant')."
        )
    for name in names:
        _check_static(ds[name], space)
    return names


def _check_static(array: xr.DataArray, space: Space) -> None:
    strange = [dim for dim in array.dims if dim not in space]
    if strange:
        raise DimensionError(
            f"attribute {str(array.name)!r} has dimension {str(strange[0])!r}; choose from "
            f"{', '.join(map(str, space))}: attributes do not vary in time."
        )


def attribute_categories(
    ds: xr.Dataset, space: Space, names: Sequence[str], trained: np.ndarray
) -> dict[str, list[str]]:
    """Sorted values of each text attribute in the cells trained on; their positions become numbers."""
    text = [name for name in names if ds[name].dtype.kind in "OTU"]
    out = {}
    for name in text:
        missing = {dim: ds.sizes[dim] for dim in space if dim not in ds[name].dims}
        values = ds[name].expand_dims(missing).transpose(*space).values.ravel()
        out[name] = sorted({str(value) for value in values[trained]} - {*NO_TEXT})
    return out


def attribute_array(
    ds: xr.Dataset,
    space: Space,
    names: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    missing: str = "raise",
) -> xr.DataArray:
    """Static inputs of a model, (space..., attribute); lazy where they are lazy, NaN where missing.

    Text becomes the number of its category. A category that training did not have becomes infinite,
    which a network treats as missing. With ``missing="fill"`` an absent attribute is missing in all cells.

    Raises
    ------
    MissingAttributeError
        If an attribute of the model is absent and ``missing`` is "raise", or all are absent.
    DimensionError
        If an attribute varies in time.
    """
    absent = [name for name in names if name not in ds]
    if absent and (missing == "raise" or len(absent) == len(names)):
        raise MissingAttributeError(
            f"the model was trained with attributes that the Dataset lacks: {', '.join(absent)}; add them "
            "with the meaning and units of the training data. Or add some of them, and use the training's "
            "mean for the others: missing='fill'."
        )
    columns: list[xr.Variable] = []
    for name in names:
        if name in absent:
            nowhere = np.full([ds.sizes[dim] for dim in space], np.nan, dtype="float32")
            columns.append(xr.Variable(space, nowhere))
            continue
        array = ds[name].reset_coords(drop=True)
        _check_static(array, space)
        if name in categories:
            array = _numbers(array, categories[name])
        others = {dim: ds.sizes[dim] for dim in space if dim not in array.dims}
        columns.append(array.variable.set_dims({**others, **array.sizes}).transpose(*space).astype("float32"))
    stacked = xr.Variable.concat([xr.Variable(space, column.data) for column in columns], "attribute")
    out = xr.DataArray(stacked, {dim: ds.indexes[dim] for dim in space if dim in ds.indexes})
    out = out.transpose(*space, "attribute")
    return out.chunk(attribute=-1) if out.chunks is not None else out


def _numbers(array: xr.DataArray, categories: Sequence[str]) -> xr.DataArray:
    """Text as the number of its category; NaN where missing, infinite where training did not have it."""
    out: xr.DataArray = xr.apply_ufunc(
        _numbered,
        array,
        kwargs={"categories": tuple(categories)},
        dask="parallelized",
        output_dtypes=[np.dtype("float32")],
    )
    return out


def _numbered(values: np.ndarray, categories: tuple[str, ...]) -> np.ndarray:
    text = missing_as_empty(values)
    out = np.full(text.shape, np.inf, dtype="float32")
    for number, category in enumerate(categories):
        out[text == category] = number
    out[text == ""] = np.nan
    return out


def missing_as_empty(values: np.ndarray) -> np.ndarray:
    """Text as objects, "" where it is missing."""
    text = np.array(values, dtype=object)
    text[np.asarray(pd.isna(text))] = ""
    for word in NO_TEXT[1:]:
        text[text == word] = ""
    return text

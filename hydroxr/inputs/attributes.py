"""Static attributes of cells: their names, the categories of text, and their values as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.missing_values import look_missing, stated_missing
from ..conventions.units import identity, same_units
from ..conventions.variables import ATTRIBUTES, CLIMATE_ATTRIBUTES
from ..errors import AttributeValueError, DimensionError, MissingAttributeError, UnitsError, warn
from .cells import Space, first_place
from .find import nearest

NO_TEXT = ("", "nan", "None", "<NA>")  # count as missing
TEXT = "OTU"  # kinds of types that hold text
_LIKE_NUMBER = re.compile(r"\s*[-+]?\d[\d.,' ]*\s*(?:[eE][-+]?\d+)?\s*%?\s*|\s*[-–—.?]\s*")


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
            f"attributes {', '.join(absent)} are not in the Dataset, which has "
            f"{nearest(ds.data_vars, absent)}; add them or name others: attributes=[...]."
            f"{_climate_hint(absent)}"
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


def _climate_hint(absent: Sequence[str]) -> str:
    """How to compute those of the absent attributes that follow from forcing, for messages."""
    climate = [name for name in absent if name in CLIMATE_ATTRIBUTES]
    if not climate:
        return ""
    return (
        f" The forcing of a stated period gives {', '.join(climate)}: "
        "ds.merge(hx.climate_attributes(ds, time=...))."
    )


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
    """Sorted values of each text attribute in the cells trained on; their positions become numbers.

    Raises
    ------
    AttributeValueError
        What :func:`attribute_numbers` raises.
    """
    out = {}
    for name in names:
        array = attribute_numbers(ds[name])
        if array.dtype.kind not in TEXT:
            continue
        missing = {dim: ds.sizes[dim] for dim in space if dim not in array.dims}
        values = array.expand_dims(missing).transpose(*space).values.ravel()
        out[name] = sorted({str(value) for value in values[trained]} - {*NO_TEXT})
    return out


def attribute_array(
    ds: xr.Dataset,
    space: Space,
    names: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    missing: str = "raise",
    units: Mapping[str, str] | None = None,
) -> xr.DataArray:
    """Static inputs of a model, (space..., attribute); lazy where they are lazy, NaN where missing.

    Text becomes the number of its category. A category that training did not have becomes infinite,
    which a network treats as missing. With ``missing="fill"`` an absent attribute is missing in all cells.
    Numbers in other ``units`` than those of the training are converted.

    Raises
    ------
    MissingAttributeError
        If an attribute of the model is absent and ``missing`` is "raise", or all are absent.
    AttributeValueError
        If an attribute is text that was a number in training, or the reverse, or cannot be read.
    UnitsError
        If an attribute has units of another quantity than in training.
    DimensionError
        If an attribute varies in time.
    """
    absent = [name for name in names if name not in ds]
    if names and len(absent) == len(names):
        raise MissingAttributeError(
            f"the Dataset has none of the attributes that the model was trained with: {', '.join(absent)}; "
            f"add them with the meaning and units of the training data.{_climate_hint(absent)}"
        )
    if absent and missing == "raise":
        raise MissingAttributeError(
            f"the model was trained with attributes that the Dataset lacks: {', '.join(absent)}; add them "
            "with the meaning and units of the training data. Or use the training's mean for them: "
            f"missing='fill'.{_climate_hint(absent)}"
        )
    columns: list[xr.Variable] = []
    for name in names:
        if name in absent:
            nowhere = np.full([ds.sizes[dim] for dim in space], np.nan, dtype="float32")
            columns.append(xr.Variable(space, nowhere))
            continue
        array = ds[name].reset_coords(drop=True)
        _check_static(array, space)
        numbers = attribute_numbers(array, finite=False)  # where infinite, a run marks the cell
        array = _as_trained(numbers, name, categories, (units or {}).get(name))
        others = {dim: ds.sizes[dim] for dim in space if dim not in array.dims}
        columns.append(array.variable.set_dims({**others, **array.sizes}).transpose(*space).astype("float32"))
    stacked = xr.Variable.concat([xr.Variable(space, column.data) for column in columns], "attribute")
    out = xr.DataArray(stacked, {dim: ds.indexes[dim] for dim in space if dim in ds.indexes})
    out = out.transpose(*space, "attribute")
    return out.chunk(attribute=-1) if out.chunks is not None else out


def _as_trained(
    array: xr.DataArray, name: str, categories: Mapping[str, Sequence[str]], units: str | None
) -> xr.DataArray:
    """An attribute as numbers in the units of the training."""
    is_text, was_text = array.dtype.kind in TEXT, name in categories
    if is_text and not was_text and array.chunks is not None:
        array = xr.apply_ufunc(_parsed, array, dask="parallelized", output_dtypes=[np.dtype("float64")])
        is_text = False
    if is_text and was_text:
        return _numbers(array, categories[name])
    if is_text != was_text and not _empty(array):
        kinds = {True: "text", False: "numbers"}
        raise AttributeValueError(
            f"attribute {name!r} holds {kinds[is_text]} ({array.dtype}), and the model was trained with "
            f"{kinds[was_text]}; expected the same."
        )
    if is_text or was_text:
        return xr.full_like(array, np.nan, dtype="float32")
    return _in_units(array, name, units)


def _empty(array: xr.DataArray) -> bool:
    """Whether no cell has a value; False for lazy values, which are not read."""
    return array.chunks is None and bool(np.all(missing_as_empty(array.values) == ""))


def _in_units(array: xr.DataArray, name: str, trained: str | None) -> xr.DataArray:
    """Numbers in the units of the training, where both sides state units."""
    found = str(array.attrs.get("units", "")).strip()
    if not trained or not found or same_units(found, trained):
        return array
    own, wanted = identity(found), identity(trained)
    if len(own) < 3 or len(wanted) < 3:
        warn(
            f"attribute {name!r} is in {found!r}, and the model was trained with it in {trained!r}; one of "
            "them is no unit that is understood, so they are taken to be the same."
        )
        return array
    if own[0] != wanted[0]:
        raise UnitsError(
            f"attribute {name!r} is in {found!r}, and the model was trained with it in {trained!r}; these "
            f"are different quantities. Correct ds[{name!r}], or its units."
        )
    (factor, offset), (divisor, shift) = (
        tuple(float(str(number)) for number in each[1:]) for each in (own, wanted)
    )
    return (array * factor + (offset - shift)) / divisor


def attribute_numbers(array: xr.DataArray, *, finite: bool = True) -> xr.DataArray:
    """An attribute as numbers if it holds numbers, also as text or objects; else as it is.

    Missing values that its attributes state are NaN.

    Raises
    ------
    AttributeValueError
        If some of its values are numbers and others are not (``"120,5"``, ``"-"``), or it holds dates,
        complex numbers or, with ``finite``, infinity.
    """
    name = str(array.name)
    if not isinstance(array.dtype, np.dtype):  # a type of pandas, such as Float64
        array = array.copy(data=np.asarray(array.values, dtype=object))
    if array.dtype.kind == "S":
        array = array.astype(str)
    kind = array.dtype.kind
    if kind in "cmM":
        raise AttributeValueError(
            f"attribute {name!r} holds {array.dtype}; expected numbers or text. Convert it to a number."
        )
    if kind not in TEXT:
        array = stated_missing(array)
        if finite and kind == "f" and array.chunks is None and bool(np.isinf(array.values).any()):
            where = first_place(array, np.isinf(array.values))
            raise AttributeValueError(
                f"attribute {name!r} is infinite in {where}; expected finite numbers: was something "
                "divided by zero?"
            )
        return array
    if array.chunks is not None:
        return array  # text is told from numbers by its values, which are read later
    text = missing_as_empty(array.values)
    given = text != ""
    numbers = np.array(
        [_number(value) if there else np.nan for value, there in zip(text.flat, given.flat, strict=True)]
    )
    strange = (np.isnan(numbers) & given.ravel()).reshape(text.shape)
    like = np.array([bool(_LIKE_NUMBER.fullmatch(str(value))) for value in text.flat]).reshape(text.shape)
    if not given.any() or 2 * int((given & (like | ~strange)).sum()) < int(given.sum()):
        return array
    if strange.any():
        where = first_place(array, strange)
        raise AttributeValueError(
            f"attribute {name!r} is {str(text[strange][0])!r} in {where}, which is no number, among "
            f"what looks like numbers ({int(strange.sum())} of {strange.size} are none); expected numbers "
            "with a decimal point, empty where missing."
        )
    return array.copy(data=numbers.reshape(text.shape))


def _number(value: object) -> float:
    """A number, or NaN for what is none; text such as "007" is a label."""
    text = str(value).strip()
    if re.fullmatch(r"0\d+", text):
        return np.nan
    try:
        return float(text)
    except ValueError:
        return np.nan


def _parsed(values: np.ndarray) -> np.ndarray:
    """Text of a lazy attribute as numbers; NaN where missing."""
    text = missing_as_empty(values)
    return np.array([float(value) if value != "" else np.nan for value in text.flat]).reshape(text.shape)


def attribute_units(ds: xr.Dataset, names: Sequence[str]) -> dict[str, str]:
    """The units of attributes that have any."""
    units = {name: str(ds[name].attrs.get("units", "")).strip() for name in names}
    return {name: unit for name, unit in units.items() if unit}


def attribute_doubts(
    values: np.ndarray, names: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> list[str]:
    """What a training should be told of its attributes (cell, attribute): codes, then missing values."""
    codes, gaps = [], []
    for name, column in zip(names, values.T, strict=True):
        missing = int(np.isnan(column).sum())
        if missing:
            gaps.append(f"{name} is missing in {missing} of {len(column)} cells")
        if name not in categories:
            found = np.unique(column[look_missing(column)])
            codes += [
                f"{name} is {value:g} in {int((column == value).sum())} of {len(column)} cells, which often "
                "stands for a missing value"
                for value in found
            ]
    return codes + gaps


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

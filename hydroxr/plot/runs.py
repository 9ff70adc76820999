"""From the results of one or several runs to what is drawn of them: lines, and the run that is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DimensionError, EmptySelectionError, MissingVariableError
from ..inputs.cells import select_cells
from .series import displayed
from .style import MODEL_COLOURS, OTHER_COLOURS, mathematical

Results = xr.Dataset | xr.DataArray | Mapping[str, xr.Dataset | xr.DataArray]

_DASHES = {"time": "-", "ensemble": "-.", "pub": "--", "pur": ":"}
_SPLITS = {"pub": "PUB", "pur": "PUR"}

SHORT_NAMES = {
    "nse": "NSE",
    "kge": "KGE",
    "kge_2012": "KGE′",
    "log_nse": "log NSE",
    "flv": "FLV",
    "fhv": "FHV",
    "pbias": "PBIAS",
    "rmse": "RMSE",
}


@dataclass(frozen=True)
class Group:
    """The runs of one model that differ by their seed alone.

    Parameters
    ----------
    label, colour, line
        How it is called and drawn.
    values
        float ``(run, cell)``, NaN where there is none.
    """

    label: str
    colour: str
    line: str
    values: np.ndarray


def groups(results: Results, name: str) -> list[Group]:
    """The values of ``name``, a group for each model and split, in the order of the paper's models.

    Raises
    ------
    MissingVariableError
        There is no variable ``name``.
    EmptySelectionError
        There are no runs, or none of the values is a number.
    """
    if isinstance(results, Mapping) and not isinstance(results, xr.Dataset):
        named = {label: _variable(each, name, f"{label!r}") for label, each in results.items()}
        found = [
            Group(mathematical(label), _colour(label, place), "-", _rows(values))
            for place, (label, values) in enumerate(named.items())
        ]
    else:
        values = _variable(results, name, "'results'")
        found = (
            _groups_of_runs(values) if "run" in values.dims else [Group("", "#0072B2", "-", _rows(values))]
        )
    if not found:
        raise EmptySelectionError(f"the results hold no run, so {name!r} cannot be drawn; give one or more.")
    for group in found:
        if not np.isfinite(group.values).any():
            where = f" of {group.label}" if group.label else ""
            raise EmptySelectionError(
                f"{name!r}{where} has no value in any cell; expected numbers. Leave that model out, or "
                "choose cells with observations."
            )
    return found


def _groups_of_runs(values: xr.DataArray) -> list[Group]:
    models, splits = run_labels(values, "model"), run_labels(values, "split")
    symbols = run_labels(values, "symbol")
    members: dict[tuple[str, str], list[int]] = {}
    for place, key in enumerate(zip(models, splits, strict=True)):
        members.setdefault(key, []).append(place)
    ladder = list(MODEL_COLOURS)
    order = sorted(members, key=lambda key: ladder.index(key[0]) if key[0] in ladder else len(ladder))
    unknown = [model for model in dict.fromkeys(model for model, _ in order) if model not in ladder]
    out = []
    for model, split in order:
        places = members[model, split]
        label = mathematical(symbols[places[0]])
        if len(set(splits)) > 1:
            label += f", {_SPLITS.get(split, split)}"
        colour = _colour(model, unknown.index(model) if model in unknown else 0)
        line = _DASHES.get(split, "-")
        out.append(Group(label, colour, line, _rows(values.isel(run=places))))
    return out


def run_labels(values: xr.DataArray | xr.Dataset, name: str) -> list[str]:
    """Text of each run; without a coordinate ``name`` what stands for it: each run is a model of its own."""
    size = values.sizes["run"]
    if name in values.coords:
        return [str(each) for each in values[name].values.astype(object)]
    if name == "split":
        return ["time"] * size
    if name == "symbol":
        return run_labels(values, "model")
    if "run" in values.coords:
        return [str(each) for each in values["run"].values.astype(object)]
    return [f"run {place}" for place in range(size)]


def one_run(results: xr.Dataset, run: str | None) -> tuple[xr.Dataset, str]:
    """The results of one run or, over its seeds, the mean of one model; and how it is called.

    Parameters
    ----------
    results
        With or without a dimension ``run``.
    run
        A label of ``run``, or of the coordinate ``model``: its runs over time, where there are such. None
        where there is only one model.

    Raises
    ------
    DimensionError
        There are several, and none is chosen.
    CoordinateError
        None is called ``run``.
    """
    if "run" not in results.dims:
        if run is not None:
            raise CoordinateError(f"the results have no dimension 'run', of which {run!r} could be chosen.")
        return results, mathematical(str(results.attrs.get("hydroxr_model", "")))
    labels, models, splits = (run_labels(results, name) for name in ("run", "model", "split"))
    chosen = [place for place in range(len(labels)) if run is None or run in (labels[place], models[place])]
    over_time = [place for place in chosen if splits[place] == "time"]
    if run is not None and run not in labels:
        chosen = over_time or chosen
    choice = f"choose one of {', '.join(dict.fromkeys(models))}, or a single run: run={labels[0]!r}"
    if not chosen:
        raise CoordinateError(f"the results have no run or model {run!r}; {choice}.")
    kinds = {(models[place], splits[place]) for place in chosen}
    if len(kinds) > 1:
        raise DimensionError(
            f"the results hold {len(chosen)} runs of {len(kinds)} models and splits where one is "
            f"drawn; {choice}."
        )
    symbol = mathematical(run_labels(results, "symbol")[chosen[0]])
    taken = results.isel(run=chosen)
    with_run = [name for name, array in taken.data_vars.items() if "run" in array.dims]
    mean = taken[with_run].mean("run", skipna=False, keep_attrs=True)
    return mean.assign({name: taken[name] for name in taken.data_vars if name not in with_run}), symbol


def need(results: xr.Dataset, names: Sequence[str], purpose: str) -> None:
    """Refuse results that lack a variable.

    Raises
    ------
    MissingVariableError
    """
    absent = [name for name in names if name not in results]
    if absent:
        raise MissingVariableError(
            f"{purpose} needs {', '.join(map(repr, absent))}; the results have "
            f"{sorted(map(str, results.data_vars))}. Add it: results.assign({absent[0]}=...)."
        )


def same_cells(given: xr.DataArray, values: xr.DataArray) -> xr.DataArray:
    """The cells of ``given`` that ``values`` has, in its order.

    Raises
    ------
    CoordinateError
        ``given`` lacks one.
    """
    name = given.name or "estimate"
    dataset = given.rename(name).to_dataset()
    return select_cells(dataset, values.to_dataset(name="values"), tuple(values.dims), f"{name!r}")[name]


def axis_label(values: xr.DataArray) -> str:
    """What a variable is, with its unit; metrics by the short names that readers know."""
    words = str(values.attrs.get("long_name", values.name or "value")).replace("_", " ")
    words = SHORT_NAMES.get(str(values.name), words)
    units = displayed(str(values.attrs.get("units", "1")))
    return words if units == "1" else f"{words} ({units})"


def _variable(results: object, name: str, what: str) -> xr.DataArray:
    if isinstance(results, xr.DataArray):
        return results
    if not isinstance(results, xr.Dataset):
        raise TypeError(
            f"{what} is a {type(results).__name__}; expected a Dataset, a DataArray, or a dict of these by "
            "name."
        )
    if name not in results:
        raise MissingVariableError(
            f"{what} has no variable {name!r}, only {sorted(map(str, results.data_vars))}; name one of these."
        )
    return results[name]


def _rows(values: xr.DataArray) -> np.ndarray:
    """(run, cell)"""
    runs = values.sizes.get("run", 1)
    flat = values.transpose("run", ...).values if "run" in values.dims else values.values
    rows: np.ndarray = np.reshape(flat, (runs, -1)).astype(float)
    return np.where(np.isfinite(rows), rows, np.nan)


def _colour(model: str, place: int) -> str:
    return MODEL_COLOURS.get(model, OTHER_COLOURS[place % len(OTHER_COLOURS)])

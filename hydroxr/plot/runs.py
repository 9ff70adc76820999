"""Runs in a Dataset of results: their names, colours and groups, and the choice of one run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import xarray as xr

from ..conventions.attributes import DESCRIPTION, MODEL
from ..errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
)
from ..inputs.cells import select_cells
from ..models.specs import DeltaHBV, LSTMStreamflow, description_from
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
    """The runs of one model in one split, which differ only by seed."""

    label: str
    colour: str
    line: str  # line style
    values: np.ndarray  # (run, cell), NaN for missing values


def groups(results: Results, name: str) -> list[Group]:
    """The values of ``name``, one group per model and split, in the order of the paper's models.

    Raises
    ------
    MissingVariableError
        If there is no variable ``name``.
    EmptySelectionError
        If there are no runs, or a group has only missing values.
    TypeError
        If the results are neither Dataset, DataArray nor a dict of these.
    """
    if isinstance(results, Mapping) and not isinstance(results, xr.Dataset):
        named = {label: _variable(each, name, f"{label!r}") for label, each in results.items()}
        colours = model_colours(named)
        found = [
            Group(mathematical(label), colours[label], "-", _rows(values)) for label, values in named.items()
        ]
    else:
        values = _variable(results, name, "'results'")
        if "run" in values.dims:
            found = _groups_of_runs(values)
        else:
            found = [Group("", OTHER_COLOURS[0], "-", _rows(values))]
    if not found:
        raise EmptySelectionError(
            f"the results hold no run, so there is no {name!r} to draw; expected at least one run."
        )
    for group in found:
        if not np.isfinite(group.values).any():
            where = f" of {group.label}" if group.label else ""
            raise EmptySelectionError(
                f"{name!r}{where} has no value in any cell. Leave this model out, or choose cells with "
                "observations."
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
    colours = model_colours([model for model, _ in order])
    out = []
    for model, split in order:
        places = members[model, split]
        label = mathematical(symbols[places[0]])
        if len(set(splits)) > 1:
            label += f", {_SPLITS.get(split, split)}"
        rows = _rows(values.isel(run=places))
        out.append(Group(label, colours[model], _DASHES.get(split, "-"), rows))
    return out


def run_labels(values: xr.DataArray | xr.Dataset, name: str) -> list[str]:
    """The coordinate ``name`` of each run as text. Without it, each run counts as a model trained in time."""
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
    """The results of one run, or the mean of one model over its seeds; and the model's symbol.

    Parameters
    ----------
    results
        Dataset with or without the dimension ``run``.
    run
        A label of ``run``, or a model: its runs in time, if it has any. None if there is only one model.

    Raises
    ------
    DimensionError
        If there are several models or splits and ``run`` does not choose one.
    CoordinateError
        If no run or model has the name ``run``.
    """
    if "run" not in results.dims:
        if run is not None:
            raise CoordinateError(
                f"run={run!r} chooses among several runs, but the results have no dimension 'run'."
            )
        return results, mathematical(str(results.attrs.get(MODEL, "")))
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
            f"the results hold {len(chosen)} runs of {len(kinds)} models and splits; expected one: {choice}."
        )
    symbol = mathematical(run_labels(results, "symbol")[chosen[0]])
    taken = results.isel(run=chosen)
    with_run = [name for name, array in taken.data_vars.items() if "run" in array.dims]
    mean = taken[with_run].mean("run", skipna=False, keep_attrs=True)
    return mean.assign({name: taken[name] for name in taken.data_vars if name not in with_run}), symbol


def need(results: xr.Dataset, names: Sequence[str], purpose: str) -> None:
    """Check that the results have these variables.

    Raises
    ------
    MissingVariableError
        If one is missing.
    """
    absent = [name for name in names if name not in results]
    if absent:
        raise MissingVariableError(
            f"{purpose} needs {', '.join(map(repr, absent))}; the results have "
            f"{sorted(map(str, results.data_vars))}. Add it: results.assign({absent[0]}=...)."
        )


def same_cells(given: xr.DataArray, values: xr.DataArray) -> xr.DataArray:
    """Select the cells of ``values`` from ``given``, in their order.

    Raises
    ------
    CoordinateError
        If ``given`` lacks one.
    """
    name = given.name or "estimate"
    dataset = given.rename(name).to_dataset()
    return select_cells(dataset, values.to_dataset(name="values"), tuple(values.dims), f"{name!r}")[name]


def axis_label(values: xr.DataArray) -> str:
    """A variable's long name and unit; for metrics the common abbreviation."""
    words = str(values.attrs.get("long_name", values.name or "value")).replace("_", " ")
    words = SHORT_NAMES.get(str(values.name), words)
    units = displayed(str(values.attrs.get("units", "1")))
    return words if units == "1" else f"{words} ({units})"


def _variable(results: object, name: str, what: str) -> xr.DataArray:
    if isinstance(results, xr.DataArray):
        return results
    if not isinstance(results, xr.Dataset):
        raise TypeError(
            f"{what} is of type {type(results).__name__}; expected a Dataset, a DataArray or a dict of them."
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


def model_colours(models: Iterable[str]) -> dict[str, str]:
    """The paper's models in their own colours, others in colours that are still free."""
    known = {model: MODEL_COLOURS.get(model) for model in models}
    free = [colour for colour in OTHER_COLOURS if colour not in known.values()] or OTHER_COLOURS
    others = cycle(free)
    return {model: colour or next(others) for model, colour in known.items()}


def described_model(simulation: xr.Dataset) -> str | None:
    """The name of a simulation's model among the paper's, by its coordinate ``model`` or its description."""
    if "model" in simulation.coords and simulation["model"].ndim == 0:
        return str(simulation["model"].item())
    try:
        spec = description_from(json.loads(simulation.attrs[DESCRIPTION]))
    except (KeyError, TypeError, ValueError, DescriptionError):
        return None
    if isinstance(spec, LSTMStreamflow):
        return "lstm"
    return next((name for name, each in DeltaHBV.ladder().items() if each.symbol == spec.symbol), None)

"""Models to ship: weights with a model card and scores; and the results of all runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.attributes import VERSION_KEY
from ..conventions.labels import is_text, labelled
from ..conventions.variables import ATTRIBUTES
from ..errors import ModelFileError
from ..models.attribute_ranges import GAPS, RANGES
from ..models.load import load_model
from ..models.model import Model
from ..models.pretrained import CARD
from ..models.specs import DeltaHBV
from .records import FACTS, settings_of
from .records import SCORES as SCORES_FILE
from .results import SHIPPED
from .runs import of_paper
from .scores import OBSERVED_INDICES
from .table import CORRELATIONS, summary

SCORES = "scores.csv"  # scores of each catchment, beside the model
_EVERY = 50  # of the history, every 50th iteration ships
CAMELS = (
    "Catchments and attributes of CAMELS-US (Newman et al., 2015, doi:10.5065/D6MW2F4D; Addor et al., 2017, "
    "doi:10.5065/D6G73C3Q), of the contiguous US with little human influence; Daymet forcing."
)
_PET = " PET after Hargreaves."
_COLUMNS = ("nse", "kge", "r", "alpha", "beta", "log_nse", "flv", "fhv", "rmse", "baseflow_index")
# Belongs to CAMELS and does not ship.
_OF_THE_DATA = ("lat", "lon", "basin_name", "streamflow_observed", "precipitation")
_LIMITS = (
    "Regulated rivers, glaciers and water that crosses the divide are not in the model. Precipitation is "
    "taken as it is: where that of the training is biased, so is streamflow. Another forcing product has "
    "other biases{}."
)
_OTHER_PET = ", and another PET other parameters"
_LICENCE = "Apache-2.0, as hydroxr. The data that it was trained on have terms of their own."


def ship(
    run: str | os.PathLike[str], target: str | os.PathLike[str], *, data: str | None = None, known: str = ""
) -> Path:
    """Write the model of a finished run with its card and scores into the folder ``target``.

    Parameters
    ----------
    run : path
        Folder of a run in the split "time", see :mod:`hydroxr.reproduction.experiment`.
    target : path
        Folder to write; its name becomes the name of the model.
    data : str, optional
        Text on the data for the card: catchments, forcing, PET; default: that for CAMELS-US.
    known : str
        Text on known limits of the model for the card.

    Raises
    ------
    ModelFileError
        If the run is not finished.
    """
    run, target = Path(run), Path(target)
    if not (run / FACTS).is_file():
        raise ModelFileError(f"{run} is not a finished run; expected a folder with {FACTS}.")
    model = load_model(run / "model")
    assert isinstance(model, Model)
    with xr.open_dataset(run / SCORES_FILE) as part:
        scores = labelled(part.load())
    thinned = model.history.isel(iteration=slice(_EVERY - 1, None, _EVERY))
    replace(model, history=thinned).save(target, overwrite=True)
    table = scores[[name for name in _COLUMNS if name in scores]].to_dataframe()
    table = table[[name for name in _COLUMNS if name in table]].dropna(axis=1, how="all")
    label = "basin_id" if is_text(scores, "basin") else None  # else the name of the dimension
    table.to_csv(target / SCORES, float_format="%.4f", index_label=label)
    if data is None:
        data = CAMELS + (_PET if isinstance(model.description, DeltaHBV) else "")
    tested = " to ".join(settings_of(run)["test"])
    (target / CARD).write_text(card(target.name, model, scores, data, tested, known), encoding="utf-8")
    return target


def ship_results(results: xr.Dataset, folder: str | os.PathLike[str]) -> Path:
    """Write the results of all runs into ``folder``, without positions and observations of the data.

    Parameters
    ----------
    results : Dataset, (run, cell)
        From :func:`hydroxr.reproduction.reproduce`.
    folder : path
        Folder of the models that ship with hydroxr.
    """
    numbers = summary(results)
    kept = results.drop_vars(
        [name for name in (*_OF_THE_DATA, *OBSERVED_INDICES) if name in results.variables]
    )
    for name, (_, _, text) in CORRELATIONS.items():
        cells = results["nse"].isel(run=0).size
        about = {"long_name": f"correlation over the cells of {text}", "units": "1", "cells": cells}
        kept[name] = numbers[name].drop_attrs().assign_attrs(about)
    for each, array in kept.data_vars.items():
        if array.dtype == "float64":
            kept[each] = array.astype("float32")
    path = Path(folder) / SHIPPED["paper" if of_paper(results["model"].values) else "own"]
    kept.hbv.to_netcdf(path, overwrite=True)
    return path


def card(name: str, model: Model, scores: xr.Dataset, data: str, tested: str, known: str) -> str:
    """The model card in Markdown.

    Parameters
    ----------
    name : str
    model : Model
    scores : Dataset, (cell,)
        From :func:`hydroxr.reproduction.scores.scores`.
    tested : str
        Test period.
    data, known : str
        See :func:`ship`.
    """
    training = model.training
    spec = model.description
    period = " to ".join(training["period"])
    what = (
        f"{spec.components} HBV components, dynamic {', '.join(spec.dynamic) or 'none'}"
        if isinstance(spec, DeltaHBV)
        else f"an LSTM from {', '.join(spec.forcing)} to streamflow"
    )
    lines = [
        f"# {name}",
        "",
        f"{spec.symbol}: {what}; a network of {spec.hidden} hidden units, "
        f"{sum(array.size for array in model.weights.values()):,} numbers. `hx.load_model({name!r})`.",
        "",
        "## Training",
        "",
        f"{training['cells']} catchments, {period}. {data} "
        f"Preset {training['preset']!r}, {training['iterations_done']} iterations, seed {training['seed']}, "
        f"{training['seconds'] / 60:.1f} minutes, hydroxr {training[VERSION_KEY]}. {_judged(training)}",
        "",
        *_scores(scores, tested),
        "",
        *_attributes(model),
        "",
        "## Limits",
        "",
        _LIMITS.format(_OTHER_PET if isinstance(spec, DeltaHBV) else ""),
        "",
        *([known, ""] if known else []),
        "## Licence",
        "",
        _LICENCE,
    ]
    return "\n".join(lines) + "\n"


def _scores(scores: xr.Dataset, tested: str) -> list[str]:
    """The section on scores."""
    return [
        "## Scores",
        "",
        f"Over the {scores['nse'].size} catchments, {tested}; each catchment in `{SCORES}` (read `basin_id` "
        "as text).",
        "",
        "| | lower 25 % | median | upper 25 % | catchments | |",
        "| --- | --- | --- | --- | --- | --- |",
        *_quartiles(scores),
    ]


def _attributes(model: Model) -> list[str]:
    """The section on attributes of the training catchments."""
    ranges, gaps = model.training[RANGES], model.training[GAPS]
    return [
        "## Attributes",
        "",
        f"{len(model.attributes)} of the {len(ATTRIBUTES)} of Table A1 of Feng et al. (2022), with meaning "
        "and units as in CAMELS. Cells outside of these ranges, with text that is not listed, or without a "
        "value that all catchments of the training have, are flagged, and warned of where the attributes "
        "are in memory.",
        "",
        "| attribute | least | largest | missing in some |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {low:.6g} | {high:.6g} | {'yes' if name in gaps else ''} |"
            for name, (low, high) in ranges.items()
            if name not in model.categories
        ),
        "",
        *(
            f"- `{name}`{' (missing in some)' if name in gaps else ''}: {', '.join(values)}"
            for name, values in model.categories.items()
        ),
    ]


def _quartiles(scores: xr.Dataset) -> list[str]:
    """The rows of the table of scores."""
    rows = []
    for key in (key for key in _COLUMNS if key in scores):
        values = scores[key].values[np.isfinite(scores[key].values)]
        if not values.size:
            continue
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        units = scores[key].attrs["units"]
        words = scores[key].attrs["long_name"] + ("" if units == "1" else f", {units}")
        rows.append(f"| {key} | {low:.3f} | {median:.3f} | {high:.3f} | {values.size} | {words} |")
    return rows


def _judged(training: dict[str, Any]) -> str:
    """Which iteration the weights come from."""
    if "validation_nse" not in training:
        return "The weights are those of the last iteration: no other days were looked at."
    return (
        f"The weights are those of iteration {training['best_iteration']}, the best in a validation (median "
        f"NSE {training['validation_nse']:.3f})."
    )

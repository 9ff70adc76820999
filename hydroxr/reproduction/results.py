"""The results of all runs: collected from a folder, or those that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import xarray as xr

from ..conventions.labels import labelled
from ..errors import DataFileError, DescriptionError
from ..inputs.cells import select_cells
from ..models import pretrained
from ..support.atomic import write_whole
from .records import FACTS, SCORES, days_of, protocol_text, read_facts, settings_of
from .runs import of_paper
from .scores import observed_indices, observed_means, one_dataset
from .table import markdown

RESULTS = "results.nc"
SHIPPED = {"paper": RESULTS, "own": "results_own.nc"}
_TITLES = {
    True: "Differentiable HBV models and an LSTM, trained and tested as in Feng et al. (2022)",
    False: "Differentiable HBV models with networks without recurrence, tested as in Feng et al. (2022)",
}
TABLE = "table.md"


def collect(out: Path, ds: xr.Dataset, training: slice, test: slice) -> xr.Dataset:
    """Collect all finished runs in the folder ``out``; write ``results.nc`` and ``table.md`` there.

    Returns
    -------
    Dataset, (run, cell)
        The scores of :func:`~hydroxr.reproduction.scores.scores`, and the observed baseflow indices
        ``bfi_l13`` and ``bfi_usgs`` ``(cell,)``. Coordinates of ``run``: ``model``, ``symbol``, ``seed``,
        ``members`` (seeds of an ensemble, as text), ``split``, ``hidden``, ``iterations``, ``seconds``,
        ``protocol``, ``hardware`` and ``versions``.
    """
    found = None
    while found != (now := _finished(out)):  # another process may finish a run meanwhile
        found = now
        results = _collected(sorted(found), ds)
        results = results.assign_attrs(
            title=_TITLES[of_paper(results["model"].values)],
            training_period=" to ".join(days_of(training)),
            test_period=" to ".join(days_of(test)),
        )
        results.hbv.to_netcdf(out / RESULTS, overwrite=True)
        write_whole(out / TABLE, markdown(results))
    return results


def _finished(out: Path) -> dict[Path, int]:
    """The facts of each finished run, with their time of writing."""
    return {path: path.stat().st_mtime_ns for path in out.glob(f"*/*/{FACTS}")}


def _collected(runs: Sequence[Path], ds: xr.Dataset) -> xr.Dataset:
    """Scores and facts of the runs with these files of facts, and observed indices."""
    parts, facts = {}, {}
    for path in runs:
        found = read_facts(path)
        found.setdefault("members", str(found["seed"]))  # version 0.1 did not write it
        with xr.open_dataset(path.parent / SCORES) as part:
            parts[found["run"]] = labelled(part.load())
        found["protocol"] = protocol_text(settings_of(path.parent))
        facts[found["run"]] = {key: value for key, value in found.items() if key != "run"}
    indices = observed_indices(ds).drop_vars("basin", errors="ignore")
    return one_dataset(parts, facts).merge(indices, compat="override", join="override")


def open_results(ds: xr.Dataset | None = None, models: Literal["paper", "own"] = "paper") -> xr.Dataset:
    """Open the scores of models that hydroxr trained and tested on CAMELS-US.

    Parameters
    ----------
    ds : Dataset, optional
        Your copy of CAMELS (:func:`hydroxr.open_camels`). It adds what hydroxr may not distribute: positions,
        observed baseflow indices, mean precipitation and mean observed streamflow.
    models : {"paper", "own"}
        Those of Feng et al. (2022), or those with hydroxr's networks without recurrence.

    Returns
    -------
    Dataset
        ``(run, basin)``: NSE, KGE and other metrics, baseflow index and mean fluxes. ``(run,)``: correlations
        over the catchments with observations, ``r_bfi_l13``, ``r_bfi_usgs`` and ``r_et_water_balance``. The
        coordinates of ``run`` describe each run.

    Raises
    ------
    DataFileError
        If this installation has no results.
    DescriptionError
        If ``ds`` is no Dataset, or ``models`` is not known.
    CoordinateError
        If ``ds`` lacks one of the catchments.
    """
    if not isinstance(ds, xr.Dataset | None):
        raise DescriptionError(
            f"ds is {ds!r}; expected nothing, or your copy of CAMELS, hx.open_camels(folder): the results "
            f"come with hydroxr. Results of your own runs: hx.open_run('FOLDER/{RESULTS}')."
        )
    if not isinstance(models, str) or models not in SHIPPED:
        raise DescriptionError(f"models={models!r} is not known; expected 'paper' or 'own'.")
    path = pretrained.FOLDER / SHIPPED[models]
    if not path.is_file():
        raise DataFileError(
            "this installation of hydroxr has no results; `python -m hydroxr reproduce` makes them from "
            "CAMELS."
        )
    with xr.open_dataset(path) as file:
        results = labelled(file.load())
    return results if ds is None else _with_data(results, ds)


def _with_data(results: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Add positions and observations of the same catchments."""
    chosen = select_cells(ds, results, ("basin",), "the Dataset")
    test = slice(*results.attrs["test_period"].split(" to "))
    own = {**observed_indices(chosen), **observed_means(chosen.sel(time=test))}
    places = {name: chosen[name] for name in ("lat", "lon") if name in chosen}
    variables = {name: array.variable for name, array in own.items()}
    return results.assign(variables).assign_coords({name: array.variable for name, array in places.items()})

"""Train, test and tabulate the models of Feng et al. (2022) in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ..inputs.resolve import only_gauged
from .checks import check
from .experiment import TEST, TRAINING, Experiment
from .runs import chosen_runs


def reproduce(
    ds: xr.Dataset,
    out: str | os.PathLike[str],
    *,
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    splits: Sequence[str] = ("time",),
    hidden: int = 256,
    training: slice = TRAINING,
    test: slice = TEST,
    device: str = "auto",
    progress: bool = True,
    report: Callable[[str], None] = print,
    et: xr.Dataset | None = None,
    **options: Any,
) -> xr.Dataset:
    """Train and test the models of Feng et al. (2022), and collect the scores in one Dataset.

    Repeat an interrupted call to resume it; finished runs are not repeated. Several processes may share a
    folder if they work on different runs.

    Parameters
    ----------
    ds : Dataset
        CAMELS from :func:`hydroxr.open_camels`, or other data with one dimension of space.
    out : path
        Folder of the results, see :mod:`hydroxr.reproduction.experiment`.
    models, seeds, splits
        The runs, see :func:`~hydroxr.reproduction.runs.chosen_runs`.
    hidden : int
        Width of the networks; 256 in the paper.
    training, test : slice
        Periods; default: those of the paper. All days before the test are its warm-up.
    device : str
        "auto", "cpu" or "cuda".
    progress : bool
        Whether to show progress bars.
    report : function
        Called with each line of the log.
    et : Dataset, optional
        A product of evapotranspiration such as MOD16A2 (:func:`hydroxr.compare.open_mod16`) in the same cells
        (:func:`hydroxr.compare.aggregate`). Its correlation in time with the simulation becomes
        ``et_correlation``. Finished runs are simulated again for it, but not trained.
    **options
        Options of :meth:`ds.hbv.fit`: ``preset``, ``iterations``, ``loss`` and so on.

    Returns
    -------
    Dataset
        All finished runs in ``out``, see :func:`~hydroxr.reproduction.results.collect`.

    Raises
    ------
    HydroxrError
        If the data, an option or the folder does not suit one of the runs.
    KeyboardInterrupt
        If it is interrupted. Finished runs and checkpoints are kept.
    """
    runs = chosen_runs(models, seeds, splits)
    experiment = Experiment(
        only_gauged(ds, training), Path(out), hidden, training, test, device, progress, options, report, et
    )
    check(experiment, runs)
    for run in runs:
        experiment.do(run)
        results = experiment.collect()
    return results

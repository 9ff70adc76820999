"""Train, test and tabulate the models of the paper in one call."""

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
    """Train the paper's models on its periods, test them, and put the scores into one Dataset.

    A run that was ended goes on where it was when the call is repeated, and one that is done is not
    done again. Several processes may work on different runs in one folder.

    Parameters
    ----------
    ds : Dataset
        CAMELS as :func:`hydroxr.open_camels` gives it, or another with one dimension of space.
    out : path
        Folder of the results, see :mod:`hydroxr.reproduction.experiment`.
    models, seeds, splits
        Which runs, see :func:`~hydroxr.reproduction.runs.chosen_runs`.
    hidden : int
        Width of the networks; 256 in the paper.
    training, test : slice
        Periods; those of the paper by default. All days before the test warm it up.
    device : str
        "auto", "cpu", "cuda".
    progress : bool
        Show bars.
    report : function
        Told what happens, a line at a time.
    et : Dataset, optional
        Evapotranspiration of another origin, such as MOD16A2 (``hx.compare.open_mod16``, brought to the
        cells by ``hx.compare.aggregate``): its correlation in time with the simulated one of each cell is
        ``et_correlation`` of the results. Runs that are done are simulated once more for it, not trained.
    **options
        Of ``ds.hbv.fit``: ``preset``, ``iterations``, ``loss`` and so on.

    Returns
    -------
    Dataset
        Of all runs in ``out`` that are finished, see :meth:`Experiment.collect`.

    Raises
    ------
    HydroxrError
        Named for what is wrong.
    KeyboardInterrupt
        Where it is interrupted; what is there is kept.
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

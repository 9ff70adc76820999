"""Checks of all runs before the first begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import DataFileError, ModelFileError
from ..inputs.attributes import attribute_names
from ..inputs.resolve import Inputs, observed_streamflow
from ..inputs.time_axis import select_days
from ..training.folds import cell_dimension, fold_labels, missing_labels, require_labels
from .records import SETTINGS, check_settings
from .runs import ENSEMBLE, SPLITS, Run, group_of, specification
from .scores import et_correlation

if TYPE_CHECKING:
    from .experiment import Experiment


def check(experiment: Experiment, runs: Sequence[Run]) -> None:
    """Check data, settings and splits of all runs.

    Raises
    ------
    HydroxrError
        If any of the runs would fail.
    """
    ds = experiment.ds
    select_days(ds, experiment.test)
    space = Inputs(ds).space
    attribute_names(ds, space, None)
    if experiment.et is not None:  # stand in for a simulation to check that the product matches
        stand_in = observed_streamflow(select_days(ds, experiment.test)).fillna(0.0)
        et_correlation(stand_in.to_dataset(name="evapotranspiration"), experiment.et)
    for run in runs:
        check_settings(experiment.out / run.name, experiment.settings(run))
        if run.split == ENSEMBLE:
            _check_members(experiment, run, runs)
        label = SPLITS[run.split]
        if label is not None and label not in ds:
            raise DataFileError(
                f"the data have no {label!r}, which the split {run.split!r} needs to divide the cells. Add "
                "it, or leave this split out."
            )
        if label is not None:
            dim = cell_dimension(space)
            labels = missing_labels(fold_labels(ds, dim, label)[1])
            require_labels(ds, dim, label, labels, f"leave the split {run.split!r} out")
    for path in experiment.out.glob(f"*/*/{SETTINGS}"):  # of earlier runs in the same table
        group = group_of(f"{path.parent.parent.name}/{path.parent.name}")
        check_settings(path.parent, experiment.settings(runs[0]), only=("training", "test", "data"))
        for run in (run for run in runs if group_of(run.name) == group):
            check_settings(path.parent, experiment.settings(run), but=("protocol: seed",))
    for spec in {specification(run.model, experiment.hidden) for run in runs}:
        ds.hbv.check(spec)


def _check_members(experiment: Experiment, run: Run, runs: Sequence[Run]) -> None:
    """Check that an ensemble has at least two models, including those that this call trains.

    Raises
    ------
    ModelFileError
        If it has fewer.
    """
    coming = {str(other.seed) for other in runs if (other.model, other.split) == (run.model, "time")}
    seeds = sorted({*experiment.members(run), *coming}, key=int)
    if len(seeds) < 2:
        raise ModelFileError(
            f"an ensemble of {run.model} needs the models of two seeds; this call and {experiment.out} have "
            f"{'that of seed ' + seeds[0] if seeds else 'none'}. Name more: seeds=[0, 1, 2], --seeds 0 1 2."
        )

"""Train models with different options, and compare their scores in periods that were held out."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...errors import (
    CheckpointError,
    DescriptionError,
    HydroxrError,
    StoreError,
    TrainingError,
    each_warning_once,
)
from ...inputs.resolve import Inputs, inputs_of
from ...metrics.evaluate import evaluate_simulation
from ...models.model import Model
from ...models.specs import DeltaHBV, Spec, check_spec
from ...simulation.simulate import simulate
from ...support.atomic import only_writer
from ...support.interrupts import ONE_TRAINING, Interrupts
from ...support.paths import local_path
from ...support.progress import progress_bar
from ..ensemble import as_they_end, check_client
from ..fit import fit
from ..fold_models import plain, provenance
from .periods import Judged, judged_in
from .records import Outcome, Records
from .results import Ended, dataset, ranked
from .space import Space, Trial, make_trials

if TYPE_CHECKING:
    from distributed import Client

SKILLS = ("nse", "kge", "kge_2012", "log_nse")  # 1 is perfect, and more is better
_Result = tuple[Model | None, Outcome]


@dataclass(frozen=True)
class _Task:
    """One training of a trial; ``iterations`` is None for all that the trial is to have."""

    trial: Trial
    iterations: int | None
    checkpoint: Path | None
    judged: Judged

    @property
    def key(self) -> str:
        """The name of the training in the trial's record."""
        return "whole" if self.iterations is None else f"{self.iterations}-iterations"


def search(
    ds: xr.Dataset,
    space: Space,
    spec: Spec | None = None,
    *,
    time: slice,
    periods: Mapping[str, slice],
    trials: int | None = None,
    halving: int | None = None,
    score: str = "nse",
    folder: str | os.PathLike[str] | None = None,
    client: Client | None = None,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> xr.Dataset:
    """Train models with different options, and compare them in periods that were held out.

    Each trial is one ``ds.hbv.fit``, judged by a simulation. No day after the last of ``time``, ``periods``
    and ``validation`` is read.

    Parameters
    ----------
    ds : Dataset
        As for ``ds.hbv.fit``.
    space : mapping or sequence of mapping
        What to try, by option of the model (a field of ``spec``) or of ``ds.hbv.fit``: a list of values, or a
        :class:`hydroxr.Range`. Or a list with the options of each trial.
    spec : DeltaHBV or LSTMStreamflow, optional
        The model that ``space`` changes; default: ``hx.DeltaHBV()``.
    periods : mapping of slice
        The periods that trials are judged in, by name, such as ``{"before": slice("1980-10-01",
        "1985-09-30")}``. They share no day with the training. Where no days are before one, its warm-up does
        not count. Keep years for a last test out of them.
    time : slice
        The training period.
    trials : int, optional
        How many trials to draw from ``space``, without repetition. More trials in a later call begin with the
        same ones. Default: all combinations.
    halving : int, optional
        End poor trials early (successive halving): with 3, all trials train for a ninth of their iterations
        (with 27 or more of them a 27th, and so on), the best third for a third, the best ninth in full. Each
        of these trainings has the whole schedule of its learning rate, so that their scores tell. Default:
        all train in full.
    score : {"nse", "kge", "kge_2012", "log_nse"}
        What ranks trials: its median over the cells, averaged over ``periods``.
    folder : path, optional
        Keeps one record and one model for each trial; the same call goes on where it was stopped.
        ``hx.load_model(f"{folder}/trial-0003")`` has the model of trial 3.
    client : dask.distributed.Client, optional
        Train trials side by side, one at a time per worker process. Checkpoints need a folder that all
        workers see. Default: one after another.
    seed : int
        Seed of the draws, and of each training unless ``space`` has other seeds.
    progress : bool
        Show a progress bar over the trainings.
    **options
        Options that all trials share, as for ``ds.hbv.fit``.

    Returns
    -------
    Dataset
        Every score ``(trial, period)``, the median over the cells; the options and the ``rank`` of each trial
        as coordinates of ``trial``. ``iterations`` are those that it was judged after, ``ended_early`` says
        that others were better. Trials whose training failed have no scores, and ``error`` says why.

    Raises
    ------
    HydroxrError
        If an option, a value in ``space``, a period or the data do not fit, before anything is trained; named
        for what it is.
    CheckpointError
        If a record in ``folder`` is damaged or of another search.

    Examples
    --------
    >>> found = hx.search(  # doctest: +SKIP
    ...     ds,
    ...     {"components": [4, 16], "learning_rate": hx.Range(1e-3, 1e-1, log=True)},
    ...     time=slice("1985-10-01", "1992-09-30"),
    ...     periods={
    ...         "before": slice("1981-10-01", "1985-09-30"),
    ...         "after": slice("1992-10-01", "1995-09-30"),
    ...     },
    ...     trials=20,
    ... )
    """
    spec = DeltaHBV() if spec is None else spec
    check_spec(spec)
    shared = {"time": time, **options}
    drawn = make_trials(space, spec, shared, trials, seed)
    check_client(client, "trial")
    if score not in SKILLS:
        raise DescriptionError(f"score {score!r} is not known; expected {' or '.join(map(repr, SKILLS))}.")
    stages = _stages(drawn, halving, shared)
    inputs = inputs_of(ds, spec.forcing, target=options.get("target", "streamflow"))
    inputs, judged = judged_in(inputs, drawn, periods, shared)
    run = _one_after_another if client is None else _on_cluster(client)
    with each_warning_once(), _kept(folder, inputs, spec, {"seed": seed, **shared}, judged) as records:
        bar = progress_bar(
            total=sum(count for _, count in stages), desc="search", unit="training", disable=not progress
        )
        with bar:
            ended = _in_stages(drawn, stages, score, lambda tasks: run(inputs, tasks), records, judged, bar)
    return dataset(drawn, ended, judged, score)


def _stages(
    trials: Sequence[Trial], halving: int | None, options: Mapping[str, Any]
) -> list[tuple[float, int]]:
    """The share of its iterations that a trial has in each stage, and how many trials are in it."""
    if halving is None:
        return [(1.0, len(trials))]
    if isinstance(halving, bool) or not isinstance(halving, int | np.integer) or halving < 2:
        raise DescriptionError(f"halving is {halving!r}; expected a whole number of at least 2, or None.")
    for trial in trials:
        stated = trial.options.get("iterations") is not None or trial.spec.regional
        if trial.protocol.iterations is None or not stated:
            raise DescriptionError(
                f"halving shortens the iterations of trials, and how many {trial.shown} has depends on the "
                "data; expected iterations=..., or no halving."
            )
    depth = math.floor(math.log(len(trials), halving) + 1e-9)
    return [(float(halving) ** (k - depth), math.ceil(len(trials) / halving**k)) for k in range(depth + 1)]


@contextmanager
def _kept(
    folder: str | os.PathLike[str] | None,
    inputs: Inputs,
    spec: Spec,
    options: Mapping[str, Any],
    judged: Judged,
) -> Iterator[Records]:
    """The records of this search, whose folder nobody else writes meanwhile."""
    if folder is None:
        yield Records(None, {})
        return
    try:
        path = local_path(folder, "folder")
        path.mkdir(parents=True, exist_ok=True)
    except (StoreError, TypeError, OSError) as error:
        raise CheckpointError(f"the folder of a search cannot be made: {error}") from error
    periods = {name: plain(days) for name, days in judged.items()}
    whole = {**options, "time": None}  # the checksum is of all days, those of the periods among them
    run = provenance(inputs, spec, whole) | {"time": plain(options["time"]), "periods": periods}
    with only_writer(path, str(path)):
        yield Records(path, run)


def _in_stages(
    drawn: Sequence[Trial],
    stages: Sequence[tuple[float, int]],
    score: str,
    run: Callable[[list[_Task]], Iterator[tuple[_Task, _Result]]],
    records: Records,
    judged: Judged,
    bar: Any,
) -> dict[int, Ended]:
    """Train what has no record yet, stage by stage; where each trial ended, by its number."""
    found = {trial.number: records.read(trial) for trial in drawn}
    left: list[Trial] = list(drawn)
    ended: dict[int, Ended] = {}
    for place, (share, count) in enumerate(stages):
        best = ranked(ended, score)[:count] if place else [trial.number for trial in drawn]
        left = [trial for trial in left if trial.number in best]
        tasks = [_task(trial, share, records, judged) for trial in left]
        todo = [task for task in tasks if task.key not in found[task.trial.number]]
        bar.update(len(tasks) - len(todo))
        for task, (model, outcome) in run(todo):
            found[task.trial.number][task.key] = outcome
            records.write(task.trial, found[task.trial.number], model)
            bar.update()
        for task in tasks:
            outcome = found[task.trial.number][task.key]
            ended[task.trial.number] = Ended(place, place + 1 == len(stages), outcome)
    return ended


def _task(trial: Trial, share: float, records: Records, judged: Judged) -> _Task:
    iterations = None if share == 1.0 else max(1, round(share * (trial.protocol.iterations or 1)))
    task = _Task(trial, iterations, None, judged)
    return _Task(trial, iterations, records.checkpoint(trial, task.key), judged)


def _one_after_another(inputs: Inputs, tasks: list[_Task]) -> Iterator[tuple[_Task, _Result]]:
    with Interrupts() as interrupts:
        for task in tasks:
            yield task, _run(inputs, task)
            if interrupts.asked and task is not tasks[-1]:
                raise _interrupted(f"after {task.trial.shown}")


def _on_cluster(client: Client) -> Callable[[Inputs, list[_Task]], Iterator[tuple[_Task, _Result]]]:
    """The same with one task per training; they come as they are done."""

    def results(inputs: Inputs, tasks: list[_Task]) -> Iterator[tuple[_Task, _Result]]:
        (data,) = client.scatter([inputs], hash=False)
        pending = {client.submit(_on_worker, data, task, pure=False): task for task in tasks}
        yield from as_they_end(client, pending)

    return results


def _on_worker(inputs: Inputs, task: _Task) -> _Result:
    """Train on a worker; lazy data are read here, not by tasks that would wait for this one's thread."""
    import dask

    with ONE_TRAINING, dask.config.set(scheduler="synchronous"):
        return _run(inputs, task)


def _run(inputs: Inputs, task: _Task) -> _Result:
    """Train and judge; a training that fails is a result too, and ends no search."""
    trial = task.trial
    options = trial.options if task.iterations is None else {**trial.options, "iterations": task.iterations}
    wanted = trial.protocol.iterations if task.iterations is None else task.iterations
    try:
        model = fit(inputs, trial.spec, checkpoint=task.checkpoint, progress=False, **options)
    except TrainingError as error:
        return None, Outcome(wanted or 0, error=str(error))
    except HydroxrError as error:
        error.add_note(f"in {trial.shown}")
        raise
    assert isinstance(model, Model)
    if model.training["interrupted"]:
        raise _interrupted(f"in {trial.shown}")
    training = model.training
    done = training["iterations_done"]
    return model, Outcome(done, training["seconds"], _scores(inputs, model, task), model.hash)


def _scores(inputs: Inputs, model: Model, task: _Task) -> dict[str, dict[str, float]]:
    """Medians over the cells of each score in each period."""
    options = task.trial.options
    missing = "fill" if options.get("missing") == "drop" else "raise"
    device = options.get("device", "auto")
    own = inputs_of(inputs, model.description.forcing, target=inputs.target)
    simulated: Any = simulate(own, model, variables=["streamflow"], missing=missing, device=device)
    simulated = simulated[["streamflow"]].compute()
    found = {}
    for name, days in task.judged.items():
        scores = evaluate_simulation(simulated, inputs.ds, days, target=inputs.target)
        found[name] = {str(key): float(values.median()) for key, values in scores.items() if key != "n_days"}
    return found


def _interrupted(where: str) -> KeyboardInterrupt:
    return KeyboardInterrupt(
        f"the search was interrupted {where}. With folder='...' a repeated call continues with the trials "
        "that are done."
    )

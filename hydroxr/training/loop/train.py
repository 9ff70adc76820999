"""The training loop.

The data, or some shards of them, stay on the device and batches are gathered there. The host waits for the
device once per iteration, to learn whether the gradient is finite.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import CheckpointError, warn
from ...models.specs import Spec
from ...physics.threads import without_subnormals
from ...support.interrupts import ONE_TRAINING, Interrupts
from ...support.progress import progress_bar
from ..processes import ALONE, Processes
from ..start import Start
from .arrays import ShardedData, ShardedValidation, Trained, TrainingData, ValidationData
from .checkpoint import Checkpoint
from .process import free_cores, kept_memory, own_settings, seeded
from .protocol import Protocol
from .session import Training


def train(
    description: Spec,
    data: TrainingData | ShardedData,
    protocol: Protocol,
    device: str,
    progress: bool = False,
    validation: ValidationData | ShardedValidation | None = None,
    checkpoint: Checkpoint | None = None,
    identity: dict[str, Any] | None = None,
    start: Start | None = None,
    processes: Processes = ALONE,
) -> Trained:
    """Train a model.

    Parameters
    ----------
    description : DeltaHBV or LSTMStreamflow
    data : TrainingData or ShardedData
    protocol : Protocol
        ``iterations`` is a number and ``precision`` is not "auto".
    device : str
    progress : bool
        Show a bar with the loss and the validation score.
    validation : ValidationData or ShardedValidation, optional
        If given, the weights with the best validation are returned, otherwise the last ones.
    checkpoint : Checkpoint, optional
        Continue from this checkpoint if it exists, and write to it.
    identity : dict, optional
        Identity of the training, which the checkpoint must have; see
        :func:`~hydroxr.training.loop.checkpoint.identity_of`.
    start : Start, optional
        Weights to begin from; default: random ones.
    processes : Processes
        Those that train together; the first writes the checkpoint.

    Returns
    -------
    Trained

    Raises
    ------
    TrainingError
        If ten batches in a row, or all batches, have no finite loss and gradient.
    CheckpointError
        If the checkpoint is damaged or belongs to another training, or if its folder cannot be written or
        is in use by a training that is under way. If a later checkpoint cannot be written, that is a warning.
    KeyboardInterrupt
        If it is interrupted before the first iteration is done, or twice.
    """
    keeper = checkpoint if processes.is_first else None
    with ExitStack() as stack:
        with processes.agreeing():
            if keeper is not None:
                stack.enter_context(keeper.reserved())
        for context in (
            ONE_TRAINING,
            own_settings(device),
            free_cores(device),
            seeded(protocol.seed, device),
        ):
            stack.enter_context(context)
        training = Training(description, data, protocol, device, validation, start, processes)
        stack.callback(training.close)
        with kept_memory(), Interrupts() as interrupts, without_subnormals():
            found = None
            with processes.agreeing():
                if keeper is not None:
                    keeper.check_space(training.snapshot(identity)[0])
                    found = keeper.read(identity or {})
            found = processes.gathered(found)[0]
            if checkpoint is not None and found is not None:
                restore_checked(training, checkpoint, *found)
            _run(training, interrupts, keeper, identity, progress and processes.is_first)
        return result_of(training)


def result_of(training: Training) -> Trained:
    """The best weights, or the last ones without validation.

    Raises
    ------
    KeyboardInterrupt
        If no iteration was finished.
    """
    if not training.iteration:
        raise KeyboardInterrupt
    weights = training.best or training.module.state_dict()
    facts: dict[str, Any] = {
        "iterations_done": training.iteration,
        "best_iteration": training.best_iteration if training.best else training.iteration,
        "skipped": sum(training.history["skipped"]),
        "stopped_early": training.has_stopped and training.iteration < training.total,
        "interrupted": not training.is_done,
    }
    if training.best:
        facts["validation_nse"] = training.best_score
    arrays = {name: value.detach().cpu().numpy() for name, value in weights.items()}
    missing = {name: training.iteration - len(values) for name, values in training.history.items()}
    history = {name: values + [np.nan] * missing[name] for name, values in training.history.items()}
    return Trained(arrays, history, facts)


def _run(
    training: Training,
    interrupts: Interrupts,
    checkpoint: Checkpoint | None,
    identity: dict[str, Any] | None,
    progress: bool,
) -> None:
    """Iterate until the training is done or interrupted; write checkpoints on the way and at the end."""
    bar = progress_bar(
        total=training.total, initial=training.iteration, desc="fit", unit="it", disable=not progress
    )
    first, waited = training.iteration, training.awaits_validation
    training.started = time.perf_counter() - training.seconds
    with bar:
        while not training.is_done:
            before = training.iteration, training.random_state()
            try:
                if not training.awaits_validation:
                    training.step(interrupts.held)
                training.validate_if_due(interrupts.held)
            except KeyboardInterrupt:
                if interrupts.is_second() or training.is_torn or training.processes.together:
                    raise
                training.rewind(*before)
                break
            bar.set_postfix_str(training.shown, refresh=False)
            bar.update(training.iteration - before[0])
            training.processes.tell(training.iteration, training.total, training.shown)
            if training.processes.any(interrupts.asked):
                break
            if checkpoint is not None and checkpoint.is_due(training.iteration) and not training.is_done:
                _keep(training, checkpoint, identity)
    if checkpoint is not None and (training.iteration > first or waited):
        _keep(training, checkpoint, identity)


def _keep(training: Training, checkpoint: Checkpoint, identity: dict[str, Any] | None) -> None:
    """Write a checkpoint; where that fails the training is worth more, so that this only warns."""
    try:
        checkpoint.write(*training.snapshot(identity))
    except CheckpointError as error:
        warn(f"{error} Without it a repeated call continues from the one before, if there is one.")


def restore_checked(
    training: Training, checkpoint: Checkpoint, tensors: dict[str, Tensor], content: dict[str, Any]
) -> None:
    """Restore a training from a checkpoint; the file is not trusted, so its content is checked.

    Raises
    ------
    CheckpointError
        If the content does not fit the training.
    """
    try:
        expected = training.module.state_dict()
        for prefix in ("weights.", "best."):
            part = {name: value for name, value in tensors.items() if name.startswith(prefix)}
            for name, value in part.items():
                like = expected[name.removeprefix(prefix)]
                if value.shape != like.shape or value.dtype != like.dtype or not value.isfinite().all():
                    raise ValueError(f"{name} is not finite, or has another shape or type")
        if content["history"].keys() != training.history.keys():
            raise ValueError(f"its history has {', '.join(content['history'])}"[:200])
        training.restore(tensors, content)
        state = training.optimizer.state
        if not state and not all(training.history["skipped"]):
            raise ValueError("the state of its optimiser is missing")
        if any(part.ndim and part.shape != like.shape for like in state for part in state[like].values()):
            raise ValueError("the state of its optimiser has other shapes")
        lengths = {name: len(values) for name, values in training.history.items()}
        missing = {training.iteration - length for length in lengths.values()}
        whole = missing == {0} or (missing == {0, 1} and training.awaits_validation)
        if not whole or training.iteration > training.total:
            raise ValueError(f"its history has {lengths}")
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{checkpoint.path} is not a checkpoint of this training ({error}); remove it to start the "
            "training again from the beginning, or choose another folder."
        ) from error

"""The method of ``ds.hbv`` that tests models on cells that they have not seen: cross_validate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

if TYPE_CHECKING:
    from distributed import Client

    from ..models.specs import Spec

Target = str | xr.DataArray


class CrossValidationMethods:
    """Simulate each cell by a model that has not seen it."""

    _ds: xr.Dataset

    def cross_validate(
        self,
        spec: Spec,
        folds: str | xr.DataArray = "pub_fold",
        *,
        simulate_time: slice | None = None,
        variables: Sequence[str] | None = ("streamflow",),
        models: str | os.PathLike[str] | None = None,
        client: Client | None = None,
        drop_missing: bool = False,
        missing: Literal["raise", "fill"] = "raise",
        device: str = "auto",
        progress: bool = True,
        target: str = "streamflow",
        attributes: Sequence[str] | None = None,
        time: slice | None = None,
        iterations: int | None = None,
        batch: int | None = None,
        window: int | None = None,
        warmup: int | None = None,
        seed: int = 0,
        optimizer: Literal["adam", "adadelta"] | None = None,
        learning_rate: float | None = None,
        preset: Literal["default", "long", "paper"] = "default",
        loss: str | Mapping[str, float] | Callable[..., Any] | None = None,
        validation: slice | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta | None = None,
        seeds: int | Sequence[int] | None = None,
        schedule: Literal["cosine", "constant"] | None = None,
        epochs: int | None = None,
        warmup_gradient: bool | None = None,
        warmup_parameters: Literal["daily", "last day"] | None = None,
        dropout: float | None = None,
        attribute_noise: float | None = None,
        draws: int | None = None,
        clip: float | Literal["preset"] | None = "preset",
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        validate_every: int | None = None,
        patience: int | None = None,
        **unknown: Any,
    ) -> xr.Dataset:
        """Simulate every cell by a model that did not see it: prediction in ungauged basins or regions.

        For each fold a model is fitted to the cells of all other folds and simulates the cells of the fold.
        Everything that any fold needs is checked before the first fit.

        Parameters
        ----------
        spec : DeltaHBV or LSTMStreamflow
            A regional model; a constant network cannot simulate other cells.
        folds : str or DataArray, (cell,)
            Label that divides the cells, numbers or text: the name of a coordinate or variable, such as
            ``"pub_fold"``, ``"pur_region"`` or ``"basin"`` (each cell alone), or a value for each cell.
        simulate_time : slice, optional
            Days to return; default: all. All days are simulated, so that earlier ones are the warm-up.
        variables : sequence of str, optional
            Variables to return. None: all of the model.
        models : path, optional
            Folder in which the model of each fold is saved as ``fold-<label>`` as soon as the fold is done. A
            repeated call uses the models that are there, and refuses those of another description, other
            data, folds or options. Default: models are not saved.
        client : dask.distributed.Client, optional
            Fit folds in parallel, one at a time per worker process; give workers one thread. The data are
            sent to the workers, lazily if they are lazy. Default: one after another.
        drop_missing : bool
            Leave out cells without a label, also from training. Default: an error names them.
        missing : {"raise", "fill"}
            What simulations do with missing forcing, as in :meth:`simulate`.
        progress : bool
            Show a bar over the folds.
        validation : slice, optional
            A period, as in :meth:`fit`; cells cannot be given.
        checkpoint : path, optional
            As in :meth:`fit`; each fold gets a folder in it.
        seeds : int or sequence of int, optional
            As in :meth:`fit`; each fold gets an ensemble.
        target, attributes, time, iterations, batch, window, warmup, seed, optimizer, learning_rate
            As in :meth:`fit`.
        device, preset, loss, checkpoint_every, schedule, epochs, warmup_gradient, warmup_parameters, dropout
            As in :meth:`fit`.
        attribute_noise, draws, clip, precision, validate_every, patience
            As in :meth:`fit`.
        **unknown
            Not accepted; the error lists all options.

        Returns
        -------
        Dataset
            As from :meth:`simulate`, in memory, with all cells in their order and the coordinate ``fold``,
            ``(cell,)``. ``initial_storage`` is included if the first day is returned. There is no
            ``attribute_flag``, since held-out cells are unlike the others on purpose.

        Raises
        ------
        HydroxrError
            If inputs, folds or options do not fit, before anything is computed; the class names the problem.
        ModelFileError
            If ``models`` has models of another run.
        TrainingError, CheckpointError
            As in :meth:`fit`.
        KeyboardInterrupt
            If a fit is interrupted. Its model is not saved.

        Notes
        -----
        Memory holds the data that ``fit`` needs for the other folds, the variables of one fold for all days,
        and those of all cells for ``simulate_time``: 4 bytes per value, 24 MB per variable for 671 cells and
        25 years.
        """
        from ..training.cross_validation import cross_validate

        return cross_validate(
            self._ds,
            spec,
            folds,
            simulate_time=simulate_time,
            variables=variables,
            models=models,
            client=client,
            drop_missing=drop_missing,
            missing=missing,
            device=device,
            progress=progress,
            target=target,
            attributes=attributes,
            time=time,
            iterations=iterations,
            batch=batch,
            window=window,
            warmup=warmup,
            seed=seed,
            optimizer=optimizer,
            learning_rate=learning_rate,
            preset=preset,
            loss=loss,
            validation=validation,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            seeds=seeds,
            schedule=schedule,
            epochs=epochs,
            warmup_gradient=warmup_gradient,
            warmup_parameters=warmup_parameters,
            dropout=dropout,
            attribute_noise=attribute_noise,
            draws=draws,
            clip=clip,
            precision=precision,
            validate_every=validate_every,
            patience=patience,
            **unknown,
        )

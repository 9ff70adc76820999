"""The method of ``ds.hbv`` that trains models: fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, overload

import xarray as xr

if TYPE_CHECKING:
    from typing import Unpack

    from distributed import Client

    from ..models.ensemble import Ensemble
    from ..models.model import Model
    from ..models.specs import Spec
    from ..rivers.network import RiverNetwork
    from ..training.options import FitOptions

Target = str | xr.DataArray


class TrainingMethods:
    """Train models on the Dataset."""

    _ds: xr.Dataset

    @overload
    def fit(
        self,
        spec: Spec | Model,
        target: Target = "streamflow",
        *,
        seeds: None = None,
        **options: Unpack[FitOptions],
    ) -> Model: ...

    @overload
    def fit(
        self,
        spec: Spec | Model,
        target: Target = "streamflow",
        *,
        seeds: int | Sequence[int],
        **options: Unpack[FitOptions],
    ) -> Ensemble: ...

    def fit(
        self,
        spec: Spec | Model,
        target: Target = "streamflow",
        attributes: Sequence[str] | None = None,
        time: slice | None = None,
        iterations: int | None = None,
        batch: int | None = None,
        window: int | None = None,
        warmup: int | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: bool = True,
        optimizer: Literal["adam", "adadelta"] | None = None,
        learning_rate: float | None = None,
        *,
        preset: Literal["default", "long", "paper"] = "default",
        loss: str | Mapping[str, float] | Callable[..., Any] | None = None,
        validation: slice | xr.DataArray | Sequence[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta | None = None,
        resume: str | os.PathLike[str] | None = None,
        seeds: int | Sequence[int] | None = None,
        client: Client | None = None,
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
        missing: Literal["raise", "drop"] = "raise",
        rivers: RiverNetwork | None = None,
        gauges: Mapping[Hashable, Hashable] | None = None,
        weights: xr.Dataset | xr.DataArray | None = None,
        reach_attributes: Sequence[str] = (),
        start: Model | None = None,
        frozen: Sequence[str] = (),
        memory: str | float | None = None,
        **unknown: Any,
    ) -> Any:
        """Fit a model to observed streamflow.

        Training uses random cells and random windows of time, each after a warm-up. A preset gives the
        settings; all of them can be changed. Missing observations do not count, and cells without any after
        the first warm-up are left out. Ctrl-C ends the training after the current iteration.

        Parameters
        ----------
        spec : DeltaHBV, LSTMStreamflow or Model
            The model to fit. A fitted model is that to go on from: its description, and ``start``.
        target : str or DataArray
            Name of the observed streamflow. The default is found by name or standard name. With ``rivers``
            streamflow or discharge, along time and the labels of ``gauges``.
        attributes : sequence of str, optional
            Static inputs of a regional model; text becomes the number of its category. Default: the
            attributes of the paper's Table A1 that the Dataset has.
        time : slice, optional
            Training period, such as ``slice("1980-10-01", "1995-09-30")``. Default: all days.
        iterations : int, optional
            Steps of the optimiser; default 1500 for a regional model, 300 for a constant one, or more.
        batch : int, optional
            Windows per iteration; default 100, for a constant model one of each cell if memory allows.
        window, warmup : int, optional
            Days of a window that count in the loss, and days of warm-up before them; default 365 each. A
            constant model has the whole record as its window, up to 20 years, and begins in each cell with
            the best of 2,000 random sets; not with given ``iterations``, ``batch``, ``window`` or ``warmup``.
        seed : int
            Seed of weights and draws. The same seed on the same machine gives the same model; up to rounding
            if a warning says that torch uses fewer threads, since the machine is busy.
        device : str
            "cpu", "cuda", or "auto": a GPU if there is one.
        progress : bool
            Show a bar with the loss and the best validation.
        optimizer : {"adam", "adadelta"}, optional
            Default: Adam, or the paper's Adadelta in preset "paper".
        learning_rate : float, optional
            Largest learning rate. The default depends on the optimiser and the kind of network.
        preset : {"default", "long", "paper"}
            "default": Adam, gradients through the warm-up, squared errors over the variance of each cell
            plus a term for low flows. "long": the same with three times the iterations and, for δ models, a
            KGE term, for final weights of a regional network. "paper": the protocol of Feng et al. (2022):
            their loss, Adadelta, 50 epochs, and a warm-up without gradient and with the dynamic parameters
            of its last day.
        loss : str, dict or function, optional
            "paper", "nse", "kge", "low_flow", or for an LSTM "transformed" (RMSE of its normalised output); a
            weighted sum such as ``{"nse": 1.0, "low_flow": 1.0}``; or a function of simulated and observed
            streamflow, tensors ``(time, space)`` in mm/day with NaN for missing observations, that returns a
            scalar tensor. An argument ``variance`` gets the variance of each cell, ``(space,)``.
        validation : slice, DataArray or sequence, optional
            Data that the weights are judged by, with the median NSE of a continuous simulation. A
            period outside the training period, with the days before it as warm-up (its own first days if
            there are none before). Or cells to keep out of training, as labels or as a mask of bool that is
            True for them; rows of one label stay together. The weights with the best validation are kept.
            Default: no validation, and the last weights are kept.
        checkpoint : path, optional
            Folder for checkpoints of the training. If it has a checkpoint of the same training, the training
            continues from there: repeat the call after an interruption.
        checkpoint_every : int or timedelta, optional
            Iterations or time between checkpoints; default: five minutes.
        resume : path, optional
            As ``checkpoint``, for a folder that must have a checkpoint.
        seeds : int or sequence of int, optional
            Train several models, with this many seeds from ``seed`` on or with these seeds.
        client : dask.distributed.Client, optional
            Train one model with all worker processes of the cluster, each of which reads and simulates its
            share of the cells; ``batch`` is that of all. The same seed gives the same training as without,
            up to rounding. A lost worker ends an iteration; the others go on from the last checkpoint. Or
            train the models of several ``seeds`` in parallel, one at a time per worker process. Checkpoints
            need a folder that all workers see. Default: this process alone, or those of torchrun.
        schedule : {"cosine", "constant"}, optional
            "cosine": the learning rate decays to 0 along half a cosine.
        epochs : int, optional
            Replaces ``iterations``. The windows of an epoch cover 99 % of all days of all cells.
        warmup_gradient : bool, optional
            Whether gradients pass through the warm-up.
        warmup_parameters : {"daily", "last day"}, optional
            Dynamic parameters during the warm-up: those of each day, or those of its last day.
        dropout : float, optional
            Share of the LSTM's weights that each pass drops. Default: that of ``spec``, or of the preset.
        attribute_noise : float, optional
            Noise that each pass adds to the attributes, in standard deviations, and to the numbers of
            categories; default 0. With 0.2 to 0.4 a regional model does better in ungauged basins.
        draws : int, optional
            How many random sets of parameters per cell a constant model chooses its beginning from; see
            ``window``. Other models ignore it.
        clip : float, optional
            Largest norm of the gradient; None: no limit. Default "preset": 1, or None in preset "paper".
        precision : {"auto", "float32", "bfloat16"}, optional
            Precision of the LSTM in training. "auto": bfloat16 if the machine computes it faster.
        validate_every : int, optional
            Iterations between validations; default 100, or 20 for a constant model in preset "default".
        patience : int, optional
            Stop after this many validations in a row without improvement. Default: never.
        missing : {"raise", "drop"}
            Cells that lack forcing on some day: refuse them, or leave them out; a warning names them.
        rivers, gauges : RiverNetwork and mapping of gauge to reach, optional
            Learn from gauges in rivers: all cells above a drawn gauge are simulated and routed by Muskingum.
            K and X are learned too; see :meth:`hydroxr.RiverNetwork.learnt`.
        weights : Dataset or DataArray, optional
            With ``rivers``: which cells drain to which reach, as for :meth:`route`.
        reach_attributes : sequence of str
            With ``rivers``: variables of the network that give K and X. Default: numbers of each reach.
        start : Model, optional
            A regional model with the same description, to begin from instead of random weights. Attributes
            may be others, by default those of it that the Dataset has: what it knows by name counts as
            before, what is new has no effect at first. Offsets of gauges go on where a cell has the label and
            the attributes of one of its training.
        frozen : sequence of str
            Parts of ``start`` to hold, by the beginning of their names: ``"static"`` and ``"decode"`` (from
            attributes to parameters), ``"read"`` and ``"depart"`` (dynamic parameters).
        memory : str or float, optional
            What the training data may take in memory: bytes, or "2GB"; default: what is free. Where they take
            more, some cells at a time are read from the Dataset in the background, and ``"waiting"`` in the
            history says how long iterations waited for them. Not with ``client``, ``rivers``, or a constant
            model.
        **unknown
            Not accepted; the error lists all options.

        Returns
        -------
        Model, or Ensemble if ``seeds`` is given

        Raises
        ------
        HydroxrError
            If inputs, observations or options do not fit, before anything is computed; named for what it is.
        TrainingError
            If ten batches in a row, or all of them, have no finite loss and gradient.
        CheckpointError
            If a checkpoint is damaged, missing for ``resume``, belongs to another training or one under way,
            or its folder cannot be written. If a later checkpoint cannot be written, that is a warning.

        Examples
        --------
        >>> model = ds.hbv.fit(hx.DeltaHBV(), time=slice("1980-10-01", "1995-09-30"))  # doctest: +SKIP
        """
        from ..training.fit import fit

        return fit(
            self._ds,
            spec,
            target=target,
            attributes=attributes,
            time=time,
            iterations=iterations,
            batch=batch,
            window=window,
            warmup=warmup,
            seed=seed,
            device=device,
            progress=progress,
            optimizer=optimizer,
            learning_rate=learning_rate,
            preset=preset,
            loss=loss,
            validation=validation,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            resume=resume,
            seeds=seeds,
            client=client,
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
            missing=missing,
            rivers=rivers,
            gauges=gauges,
            weights=weights,
            reach_attributes=reach_attributes,
            start=start,
            frozen=frozen,
            memory=memory,
            **unknown,
        )

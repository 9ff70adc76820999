"""``ds.hbv``: what hydroxr does with a Dataset. Each method delegates."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from distributed import Client

    from .accessor_plot import Plots
    from .metrics.selection import Dims
    from .models.ensemble import Ensemble
    from .models.model import Model
    from .models.specs import Spec
    from .simulation.check import CheckReport
    from .simulation.engine.plan import Plan


@xr.register_dataset_accessor("hbv")
class HBVAccessor:
    """Differentiable HBV on a labelled Dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def check(self, spec: Spec | None = None) -> CheckReport:
        """Check names, units, time, completeness and ranges of the inputs; reads all values.

        Parameters
        ----------
        spec : DeltaHBV or LSTMStreamflow, optional
            The model whose inputs are wanted; default: one with HBV.

        Returns
        -------
        CheckReport
            What was found for each role, and remarks. It prints as a table.

        Raises
        ------
        HydroxrError
            The first thing that ``fit`` or ``simulate`` would refuse.
        """
        from .simulation.check import check

        return check(self._ds, spec)

    def pet(self) -> xr.DataArray:
        """Potential evapotranspiration, kg m-2 day-1 (mm/day): the Dataset's own, else Hargreaves.

        Returns
        -------
        DataArray, (time and space)
            Lazy where the Dataset is.

        Raises
        ------
        MissingVariableError
            Where there is neither PET nor tmin, tmax and latitude.
        """
        from .inputs.resolve import potential_evapotranspiration

        return potential_evapotranspiration(self._ds)

    def fit(
        self,
        spec: Spec,
        target: str = "streamflow",
        attributes: Sequence[str] | None = None,
        time: slice | None = None,
        iterations: int | None = None,
        batch: int | None = None,
        window: int | None = None,
        warmup: int | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: bool = True,
        optimizer: str | None = None,
        learning_rate: float | None = None,
        *,
        preset: str = "default",
        loss: str | Mapping[str, float] | Callable[..., Any] | None = None,
        validation: slice | xr.DataArray | Sequence[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta | None = None,
        resume: str | os.PathLike[str] | None = None,
        seeds: int | Sequence[int] | None = None,
        client: Client | None = None,
        **protocol: Any,
    ) -> Any:
        """Fit a model to observed streamflow.

        Cells without any observation in the period are left out; missing days do not count. It learns
        from random cells and windows of time, each after a warm-up, as a preset says, of which every
        value can be changed. An interrupt (Ctrl-C) ends it after the iteration that runs.

        Parameters
        ----------
        spec : DeltaHBV or LSTMStreamflow
        target : str
            Name of the observed streamflow; default: what is found by name or standard name.
        attributes : sequence of str, optional
            Static inputs of a regional model; default: those of the paper's Table A1 that the
            Dataset has. Text enters as the number of its category.
        time : slice, optional
            The training period, ``slice("1980-10-01", "1995-09-30")``; default: all days.
        iterations : int, optional
            Steps of the optimiser; default 1500 for a regional model, 300 for a constant one.
        batch, window, warmup : int, optional
            Windows an iteration, their days, days of warm-up before them; default 100, 365, 365.
        seed : int
            Of weights and draws: the same on the same machine gives the same model.
        device : str
            "auto" (a GPU where there is one), "cpu", "cuda".
        progress : bool
            Show a bar with the loss and the best validation.
        optimizer : {"adam", "adadelta"}, optional
            Adam with a rate that decays along a cosine, or the paper's Adadelta.
        learning_rate : float, optional
            The largest; default by optimiser and kind of network.
        preset : {"default", "long", "paper"}
            "default": Adam, gradients through the warm-up, squared errors over each cell's variance
            plus a term for low flows. "long": the same with three times the iterations, a smaller rate
            and more dropout, for final weights of a regional network. "paper": the protocol of Feng et
            al. (2022) with their loss, Adadelta and 50 epochs; no gradient through the warm-up, in which
            dynamic parameters are those of its last day; an LSTM of streamflow learns with the loss
            "transformed".
        loss : str, dict or function, optional
            "paper", "nse", "kge", "low_flow", for an LSTM "transformed" (its output's RMSE); a sum of
            them, ``{"nse": 1.0, "low_flow": 1.0}``; or a function of simulated and observed streamflow,
            (time, space) tensors in mm/day with NaN where there is no observation, that returns a
            tensor without dimensions. Its argument ``variance`` gets that of each cell, (space,).
        validation : slice, DataArray or sequence, optional
            What to judge the weights by, by the median NSE of a whole simulation: a period of the
            Dataset apart from the training period, which the days before it warm up (where there
            are none, its first days do and do not count); or cells not to train on, by labels or as
            a DataArray of bool that is True for them, in the training period. The weights of the best
            validation are kept; without validation, those of the last iteration.
        checkpoint : path, optional
            A folder in which the training is kept while it runs. Where there is one of this training
            in it, the training goes on from there: repeat the call after whatever ended it.
        checkpoint_every : int or timedelta, optional
            Iterations, or time, between checkpoints; default: five minutes.
        resume : path, optional
            As ``checkpoint``, of a folder in which there must be one.
        seeds : int or sequence of int, optional
            Train as many models, with seeds from ``seed`` on, or with these seeds; the result is an
            :class:`~hydroxr.Ensemble`.
        client : dask.distributed.Client, optional
            Train them side by side as tasks of a cluster, one at a time in each worker process (a
            checkpoint is then a folder that the workers see); default: one after another.
        **protocol
            Other values of the preset, see :class:`hydroxr.training.loop.protocol.Protocol`: ``schedule``,
            ``epochs``, ``warmup_gradient``, ``warmup_parameters``, ``dropout``, ``clip``,
            ``precision``, ``validate_every``, ``patience`` (validations in a row without a better
            one, after which training stops).

        Returns
        -------
        Model, or Ensemble where ``seeds`` are given

        Raises
        ------
        HydroxrError
            Named for what is wrong, before anything is computed; TrainingError while training.
        """
        from .training.fit import fit

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
            **protocol,
        )

    def simulate(
        self,
        model_or_parameters: Model | Ensemble | xr.Dataset,
        initial_state: xr.Dataset | None = None,
        variables: Sequence[str] | None = None,
        components: bool = False,
        return_state: bool = False,
        missing: str = "raise",
        dtype: str = "float32",
        device: str = "auto",
        backend: str = "auto",
        members: bool = False,
        memory: str | float | None = None,
    ) -> Any:
        """Simulate every cell: all fluxes and states (an LSTM: streamflow); lazy where the input is.

        Cells in which a variable ``mask`` is 0 or missing are not computed.

        Parameters
        ----------
        model_or_parameters : Model, Ensemble or Dataset
            A fitted model; several, of which the mean is given, and the ``streamflow_spread``; or
            parameters (names of ``hx.physics.PARAMETERS``; space, component and, if they vary, time).
        initial_state : Dataset, optional
            Of an earlier run's end, with its static parameters; default: nearly empty stores.
        variables : sequence of str, optional
            Only those, derived ones of a day among them, see :meth:`derive`; default all of the model.
        components : bool
            Keep the components apart (streamflow and channel_storage have none).
        return_state : bool
            Return the pair ``(simulation, state)``.
        missing : {"raise", "fill"}
            Where forcing is missing: an error, or interpolation in time (``forcing_flag`` is 1). With
            "fill", attributes that the Dataset lacks count as the mean of the training.
        dtype : {"float32", "float64"}
            Of the physics (or the LSTM of streamflow) and the results.
        device, backend : str
            "auto" (each worker its GPU), "cpu", "cuda"; "auto" (the kernel), "cpu", "cuda", "torch".
        members : bool
            Of an ensemble: keep the members apart, (member, ...), instead of their mean.
        memory : str or float, optional
            Of a process, for lazy data ("2GB"); default: see :mod:`hydroxr.simulation.engine.plan`.

        Returns
        -------
        Dataset or (Dataset, Dataset)
            Fluxes in kg m-2 day-1 (mm/day), states in kg m-2 (mm) at the end of the day. Of a regional
            model ``attribute_flag``: cells unlike those of its training (in memory: with a warning).

        Raises
        ------
        HydroxrError
            Named for what is wrong; where only the values of lazy data tell, when they are computed.
        """
        from .simulation.simulate import simulate

        options = (variables, components, return_state, missing, dtype, device, backend, members)
        return simulate(self._ds, model_or_parameters, initial_state, *options, memory=memory)

    def plan(self, model_or_parameters: Model | Ensemble | xr.Dataset, **options: Any) -> Plan:
        """How ``simulate`` would cut a lazy run, its memory and time; prints as a table.

        Takes ``initial_state``, ``variables``, ``components``, ``missing``, ``dtype`` and ``memory``
        of :meth:`simulate`; computes nothing. See :mod:`hydroxr.simulation.engine.plan`.
        """
        from .simulation.simulate import plan

        return plan(self._ds, model_or_parameters, **options)

    def parameters(self, model: Model | Ensemble, time: slice | None = None) -> xr.Dataset:
        """Parameters that ``model`` gives the cells of this Dataset.

        Parameters
        ----------
        model : Model or Ensemble
            An ensemble gives a dimension ``member``.
        time : slice, optional
            The parameter window, at whose end static parameters are read; default: the training
            period where the Dataset has it, else as many of its first days.

        Returns
        -------
        Dataset
            (space, component), dynamic ones (time, space, component), UH_* (space); lazy where the
            Dataset is. Cells unlike those of the training are warned of, as by :meth:`simulate`.
        """
        from .simulation.parameters import parameters

        return parameters(self._ds, model, time)

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
        missing: str = "raise",
        device: str = "auto",
        progress: bool = True,
        **options: Any,
    ) -> xr.Dataset:
        """Simulate every cell by a model that did not see it: prediction in ungauged basins or regions.

        For each fold, the cells with one value of the label ``folds``, a model is fitted to all other
        cells with the ``options`` of ``fit``, and simulates those of the fold. Parameters and errors:
        :func:`hydroxr.training.cross_validation.cross_validate`.

        Returns
        -------
        Dataset
            As of ``simulate``, in memory, all cells in their order, with the coordinate ``fold``.
        """
        from .training.cross_validation import cross_validate

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
            **options,
        )

    def evaluate(
        self,
        observed: xr.Dataset,
        time: slice | None = None,
        *,
        dim: Dims = "time",
        mask: xr.DataArray | None = None,
    ) -> xr.Dataset:
        """Metrics of this simulation's streamflow against observations, a cell.

        Parameters
        ----------
        observed : Dataset
            With observed streamflow, in any units that are understood.
        time : slice, optional
            The days that count; default: all that both have.
        dim, mask
            Dimensions to reduce, and the pairs that count, see :mod:`hydroxr.metrics`.

        Returns
        -------
        Dataset
            NSE, KGE and its parts, and more; see :func:`hydroxr.metrics.evaluate`.
        """

        from .metrics.evaluate import evaluate_simulation

        return evaluate_simulation(self._ds, observed, time, dim=dim, mask=mask)

    def water_balance(self, by: str | None = None) -> xr.Dataset:
        """Sums of the water balance a cell (``by="year"``: and year), and whether it closes.

        See :func:`hydroxr.analysis.water_balance.water_balance`.
        """
        from .analysis.water_balance import water_balance

        return water_balance(self._ds, by)

    def derive(self, names: str | Sequence[str], **options: Any) -> xr.Dataset:
        """Add derived variables, such as ``snow_water_equivalent``: see :mod:`hydroxr.analysis.derived`."""
        from .analysis.derived import derive

        return derive(self._ds, names, **options)

    def aggregate_time(self, step: str, **options: Any) -> xr.Dataset:
        """Months, years, 8-day composites; see :func:`hydroxr.analysis.time_means.aggregate_time`."""
        from .analysis.time_means import aggregate_time

        return aggregate_time(self._ds, step, **options)

    def to_zarr(self, path: Any, **options: Any) -> Any:
        """Write to a Zarr store, complete or not there; see :func:`hydroxr.storage.to_zarr.to_zarr`."""
        from .storage.to_zarr import to_zarr

        return to_zarr(self._ds, path, **options)

    def to_netcdf(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Write to a CF NetCDF file, complete or not there; see :func:`hydroxr.storage.netcdf.to_netcdf`."""
        from .storage.netcdf import to_netcdf

        return to_netcdf(self._ds, path, **options)

    @property
    def plot(self) -> Plots:
        """Plots of a simulation: ``sim.isel(basin=0).hbv.plot.hydrograph(ds.isel(basin=0))``."""
        from .accessor_plot import Plots

        return Plots(self._ds)

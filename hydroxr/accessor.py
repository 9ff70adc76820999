"""``ds.hbv``: what hydroxr does with a Dataset. Each method delegates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from numpy import ndarray

    from .description import DeltaHBV
    from .model import Model
    from .report import CheckReport


@xr.register_dataset_accessor("hbv")
class HBVAccessor:
    """Differentiable HBV on a labelled Dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def check(self) -> CheckReport:
        """Check names, units, time, completeness and ranges of the inputs; reads all values.

        Returns
        -------
        CheckReport
            What was found for each role, and remarks. It prints as a table.

        Raises
        ------
        HydroxrError
            The first thing that ``fit`` or ``simulate`` would refuse.
        """
        from .report import check

        return check(self._ds)

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
        from .inputs import potential_evapotranspiration

        return potential_evapotranspiration(self._ds)

    def fit(
        self,
        spec: DeltaHBV,
        target: str = "streamflow",
        attributes: Sequence[str] | None = None,
        time: slice | None = None,
        iterations: int | None = None,
        batch: int = 100,
        window: int = 365,
        warmup: int = 365,
        seed: int = 0,
        device: str = "auto",
        progress: bool = True,
        optimizer: str = "adam",
        learning_rate: float | None = None,
    ) -> Model:
        """Fit a δ model to observed streamflow.

        Cells without any observation in the period are left out; missing days do not count. The
        loss is the paper's (equation 1), on random cells and windows, each after a warm-up without
        gradient. Other than in the paper, dynamic parameters vary in the warm-up too, as they do in
        a simulation, and by default Adam with a decaying rate takes the place of Adadelta.

        Parameters
        ----------
        spec : DeltaHBV
            What to fit.
        target : str
            Name of the observed streamflow; default: what is found by name or standard name.
        attributes : sequence of str, optional
            Static inputs of a regional model; default: those of the paper's Table A1 that the
            Dataset has. Text enters as the number of its category.
        time : slice, optional
            The training period, ``slice("1980-10-01", "1995-09-30")``; default: all days.
        iterations : int, optional
            Steps of the optimiser; default 1500 for a regional model, 300 for a constant one.
        batch, window, warmup : int
            Windows an iteration, their days, days of warm-up before them (no gradient there).
        seed : int
            Of weights and draws: the same on the same machine gives the same model.
        device : str
            "auto" (a GPU where there is one), "cpu", "cuda".
        progress : bool
            Show a bar with the loss.
        optimizer : {"adam", "adadelta"}
            Adam with a rate that decays along a cosine, or the paper's Adadelta.
        learning_rate : float, optional
            Default by optimiser and kind of network.

        Returns
        -------
        Model

        Raises
        ------
        HydroxrError
            Named for what is wrong, before anything is computed; TrainingError while training.
        """
        from .fit import fit

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
        )

    def simulate(
        self,
        model_or_parameters: Model | xr.Dataset,
        initial_state: xr.Dataset | None = None,
        variables: Sequence[str] | None = None,
        components: bool = False,
        return_state: bool = False,
        missing: str = "raise",
        dtype: str = "float32",
        device: str = "auto",
        backend: str = "auto",
    ) -> Any:
        """Simulate every cell: all fluxes and states, with CF attributes; lazy where the input is.

        Parameters
        ----------
        model_or_parameters : Model or Dataset
            A fitted model, or a Dataset of parameters (names of ``hx.physics.PARAMETERS``; space,
            component and, where they vary, time).
        initial_state : Dataset, optional
            Of an earlier run's end; default: nearly empty stores. It carries the static
            parameters of a regional model, which the run then keeps.
        variables : sequence of str, optional
            Only those are computed and kept; default all of ``hydroxr.variables.OUTPUTS``.
        components : bool
            Keep the components apart (streamflow and channel_storage have none).
        return_state : bool
            Return the pair ``(simulation, state)``.
        missing : {"raise", "fill"}
            What to do where forcing is missing: an error, or linear interpolation in time, which
            the variable ``forcing_flag`` marks.
        dtype : {"float32", "float64"}
            Of the physics and the results.
        device : str
            "auto", "cpu", "cuda".
        backend : {"auto", "cpu", "torch"}
            What walks through time: a compiled kernel on the CPU, or the reference in torch.

        Returns
        -------
        Dataset or (Dataset, Dataset)
            Fluxes in kg m-2 day-1 (mm/day), states in kg m-2 (mm) at the end of the day.

        Raises
        ------
        HydroxrError
            Named for what is wrong. What only the values of lazy data tell is raised when they
            are computed.
        """
        from .simulate import simulate

        return simulate(
            self._ds,
            model_or_parameters,
            initial_state=initial_state,
            variables=variables,
            components=components,
            return_state=return_state,
            missing=missing,
            dtype=dtype,
            device=device,
            backend=backend,
        )

    def parameters(self, model: Model, time: slice | None = None) -> xr.Dataset:
        """Parameters that ``model`` gives the cells of this Dataset.

        Parameters
        ----------
        model : Model
        time : slice, optional
            The parameter window, at whose end static parameters are read; default: the training
            period where the Dataset has it, else as many of its first days.

        Returns
        -------
        Dataset
            (space, component), dynamic ones (time, space, component), UH_* (space); lazy where the
            Dataset is.
        """
        from .simulate import parameters

        return parameters(self._ds, model, time)

    def evaluate(self, observed: xr.Dataset, time: slice | None = None) -> xr.Dataset:
        """Metrics of this simulation's streamflow against observations, a cell.

        Parameters
        ----------
        observed : Dataset
            With observed streamflow, in any units that are understood.
        time : slice, optional
            The days that count; default: all that both have.

        Returns
        -------
        Dataset
            NSE, KGE and its parts, and more; see :func:`hydroxr.metrics.evaluate`.
        """
        from .report import evaluate

        return evaluate(self._ds, observed, time)

    def water_balance(self) -> xr.Dataset:
        """Sums of the water balance a cell and its closure; see :func:`hydroxr.balance.water_balance`."""
        from .balance import water_balance

        return water_balance(self._ds)

    def to_zarr(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, progress: bool = False
    ) -> Path:
        """Write to a Zarr store, complete or not at all; see :func:`hydroxr.store.to_zarr`."""
        from .store import to_zarr

        return to_zarr(self._ds, path, overwrite=overwrite, progress=progress)

    def to_netcdf(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, progress: bool = False
    ) -> Path:
        """Write to a CF NetCDF file, complete or not at all; see :func:`hydroxr.store.to_netcdf`."""
        from .store import to_netcdf

        return to_netcdf(self._ds, path, overwrite=overwrite, progress=progress)

    @property
    def plot(self) -> Plots:
        """Plots of a simulation: ``sim.isel(basin=0).hbv.plot.hydrograph(ds.isel(basin=0))``."""
        return Plots(self._ds)


class Plots:
    """``sim.hbv.plot``: pictures of one cell of a simulation; see :mod:`hydroxr.plot`."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def hydrograph(self, observed: xr.Dataset | None = None, **options: Any) -> ndarray:
        """Precipitation, streamflow and storages; see :func:`hydroxr.plot.hydrograph`."""
        from .plot import hydrograph

        return hydrograph(self._ds, observed, **options)

    def storages(self, **options: Any) -> ndarray:
        """Storages alone; see :func:`hydroxr.plot.storages`."""
        from .plot import storages

        return storages(self._ds, **options)

"""Methods of ``ds.hbv`` that look ahead: forecast, and assimilate for the states to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

if TYPE_CHECKING:
    from ..models.ensemble import Ensemble
    from ..models.model import Model


class ForecastMethods:
    """Forecast the cells of the Dataset."""

    _ds: xr.Dataset

    def forecast(
        self,
        model_or_parameters: Model | Ensemble | xr.Dataset,
        init: Any,
        lead: int = 5,
        variables: Sequence[str] | None = ("streamflow",),
        forcing: xr.Dataset | None = None,
        initial_state: xr.Dataset | None = None,
        dtype: Literal["float32", "float64"] = "float32",
        device: str = "auto",
        backend: Literal["auto", "cpu", "cuda", "torch"] = "auto",
        memory: str | float | None = None,
        *,
        components: bool = False,
        members: bool = False,
        quantiles: Sequence[float] | None = None,
    ) -> xr.Dataset:
        """Forecast from the end of each date of ``init``; lazy if the Dataset is.

        One run through the record gives the states at the end of all dates. Dynamic parameters follow the
        record's forcing up to a date, and the forecast's forcing after it.

        Parameters
        ----------
        model_or_parameters : Model, Ensemble or Dataset
            As for :meth:`simulate`; parameters must be constant in time.
        init : date or sequence of dates
            Days of the record at whose end the forecasts start.
        lead : int
            How many days each forecast has.
        variables : sequence of str, optional
            Variables to return. None: all variables of the model.
        forcing : Dataset, optional
            Forcing of the days to come, in any units that :meth:`simulate` understands. An archive of
            forecasts has the dimensions ``init`` and ``lead`` (days, or time spans), and each value is
            found by the day that it is for: ``valid_time(init, lead)``, or init + lead. Otherwise it has
            ``time``. Both may have ``member``. Default: the record's own forcing.
        initial_state : Dataset, optional
            With the dimension ``init``: the states at the end of the dates, and the record is not run.
            Without it: the state before the first day of the record.
        dtype, device, backend, memory, components, members
            As for :meth:`simulate`: ``members=True`` keeps the members of an ensemble of models.
        quantiles
            As for :meth:`simulate`, by the errors of forecasts at each lead.

        Returns
        -------
        Dataset
            Variables ``(init, lead[, member], space...)``. ``lead`` counts days after ``init`` from 1, and
            ``valid_time(init, lead)`` is the day that each value is for.

        Raises
        ------
        MissingForcingError
            If a date has no forcing at a lead.
        CoordinateError, EmptySelectionError
            If a date is no day of the record, occurs twice, or there is none.
        StateError
            If ``initial_state`` lacks a date, or does not fit the model.
        HydroxrError
            If inputs, model or options do not fit; the class names the problem.

        Examples
        --------
        >>> dates = ds["time"][365::7]  # doctest: +SKIP
        >>> ahead = ds.hbv.forecast(model, dates, lead=7)  # doctest: +SKIP
        >>> observed = ds["streamflow"].sel(time=ahead["valid_time"])  # doctest: +SKIP
        >>> hx.metrics.nse(ahead["streamflow"], observed, dim="init")  # skill by lead # doctest: +SKIP
        """
        from ..forecast.forecast import forecast

        options = {"dtype": dtype, "device": device, "backend": backend, "memory": memory}
        options |= {"components": components} | ({"members": True} if members else {})
        return forecast(
            self._ds, model_or_parameters, init, lead, variables, forcing, initial_state, quantiles, **options
        )

    def assimilate(
        self,
        model: Model | Ensemble,
        observed: xr.Dataset | xr.DataArray | None = None,
        window: int | str = "30D",
        init: Any = None,
        controls: Sequence[str] = ("state", "precipitation"),
        observation_error: float | Mapping[str, float] = 0.1,
        iterations: int = 25,
    ) -> xr.Dataset:
        """States at the end of each date of ``init``, corrected by the observations of the days before it.

        For each date and cell the state at the beginning of a window, and the weather in it, are changed
        until the simulation agrees with the observations, weighed by the errors of both (variational
        assimilation, with the exact gradient). No observation after a date is used. Lazy if the Dataset is.

        Parameters
        ----------
        model : Model or Ensemble
            A δ model, or an ensemble of them, whose members have an analysis each.
        observed : Dataset or DataArray, optional
            Streamflow, and any storages by the names of :meth:`simulate`, such as ``soil_moisture``,
            ``snow_water_equivalent`` and ``terrestrial_water_storage``, with units; missing values are
            allowed. Default: the streamflow of the Dataset.
        window : int or str
            Days before the end of ``init`` in which observations count.
        init : date or sequence of dates
            Days of the record.
        controls : sequence of str
            What may change: ``"state"``, the stores at the beginning of the window, between 0 and what they
            hold; ``"precipitation"``, each day, by a factor from 1/3 to 3; ``"temperature"``, each day, by
            up to 4 degC. The stores vary as they do over the record; the logarithm of precipitation with a
            standard deviation of 0.3, and temperature with 1 degC.
        observation_error : float or mapping
            Standard deviation of observations, as a share of the value plus the window's mean; a mapping
            has one for each variable.
        iterations : int
            Runs of each window with its gradient, at most.

        Returns
        -------
        Dataset
            The states ``(init, space..., component)`` that :meth:`forecast` takes as ``initial_state``.
            ``..._increment`` (mm) is what the analysis added, in the mean over components. Static
            parameters do not have ``init``.
            ``storage_before`` and ``window_...`` complete the water balance. ``cost`` and
            ``cost_of_background`` tell how much better the observations are met.

        Raises
        ------
        DescriptionError
            If the model, the window, a control or an error is not allowed.
        EmptySelectionError, CoordinateError
            If a window begins before the record, or a date is no day of it.
        MissingObservationError
            If a variable has no observation.

        Examples
        --------
        >>> dates = ds["time"][365::7]  # doctest: +SKIP
        >>> analysis = ds.hbv.assimilate(model, init=dates)  # doctest: +SKIP
        >>> ahead = ds.hbv.forecast(model, dates, initial_state=analysis)  # doctest: +SKIP
        """
        from ..forecast.assimilate import assimilate

        return assimilate(self._ds, model, observed, window, init, controls, observation_error, iterations)

    def fit_errors(self, observed: xr.Dataset | xr.DataArray, time: slice | None = None) -> xr.Dataset:
        """Distribution of the errors of simulated streamflow, for :meth:`hydroxr.Model.with_errors`.

        Errors are taken by cell and season, and of forecasts by lead. The Dataset is a simulation or a
        forecast. Choose years that the model was not trained on: in training years errors are smaller. Each
        year is predicted from the others, and quantiles are widened until these predictions cover 90 %.

        Parameters
        ----------
        observed : Dataset or DataArray
            Observed streamflow; a negative flow counts as 0.
        time : slice, optional
            Days of the simulation, or dates of the forecasts, that count, of at least two calendar years.
            Default: all with observations.

        Returns
        -------
        Dataset
            ``streamflow_error(space..., season, level)``, quantiles of the logarithm of (observed + offset)
            over (simulated + offset); ``streamflow_offset`` (mm/day), 2 % of mean simulated streamflow;
            ``widening``, the factor that widened them; ``observations``. Save it with ``to_netcdf``, and open
            it with ``xarray.open_dataset``. A cell without observations of two years has NaN.

        Raises
        ------
        MissingVariableError
            If there is no streamflow.
        MissingObservationError
            If no day has an observation.
        EmptySelectionError
            If the days are of one year or none.

        Notes
        -----
        Split conformal prediction (Vovk et al., 2005, doi:10.1007/b106715): with n errors, quantile p lies at
        position (n + 1) p. Coverage holds as far as errors of other years are like those of the fit.

        Examples
        --------
        >>> errors = sim.hbv.fit_errors(ds, slice("1989-10-01", "1992-09-30"))  # doctest: +SKIP
        >>> model = model.with_errors(errors)  # doctest: +SKIP
        >>> sim = ds.hbv.simulate(model, quantiles=[0.05, 0.5, 0.95])  # doctest: +SKIP
        """
        from ..forecast.uncertainty import fit_errors

        return fit_errors(self._ds, observed, time)

    def add_quantiles(self, errors: xr.Dataset, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> xr.Dataset:
        """The simulation or forecast with quantiles of predicted streamflow; lazy if it is.

        Parameters
        ----------
        errors : Dataset
            From :meth:`fit_errors`, of a run of the same kind and model. Cells are found by label.
        quantiles : sequence of float
            Ascending, from 0.005 to 0.995.

        Returns
        -------
        Dataset
            With ``streamflow_quantile(quantile, ...)``, in the units of streamflow. Each is that of its day
            alone: quantiles of sums over days do not follow from them.

        Raises
        ------
        DescriptionError
            If quantiles are not allowed, or errors of forecasts meet a simulation.
        MissingVariableError, CoordinateError
            If streamflow, a part of ``errors`` or a cell is missing.
        """
        from ..simulation.quantiles import add_quantiles

        return add_quantiles(self._ds, errors, quantiles)

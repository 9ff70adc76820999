"""Methods of ``ds.hbv`` that look ahead: forecast."""

from __future__ import annotations

from collections.abc import Sequence
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
        dtype, device, backend, memory
            As for :meth:`simulate`.

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
        return forecast(
            self._ds, model_or_parameters, init, lead, variables, forcing, initial_state, **options
        )

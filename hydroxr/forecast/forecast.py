"""Forecast from many dates: the states come from one run, and all forecasts run side by side.

A forecast from each date is a run over few days. All of them together are one run whose cells are the
pairs of date and cell, so they cost about as much as their days in one plain simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions import cf
from ..conventions.attributes import FIRST_DAY, START
from ..conventions.dimensions import INIT, LEAD, VALID_TIME
from ..errors import DescriptionError, StateError
from ..inputs.resolve import Inputs, inputs_of
from ..inputs.time_axis import days_of_year
from ..models.ensemble import Ensemble
from ..models.error_tables import FORECAST
from ..models.filter_network import Blocks
from ..models.model import Model
from ..models.specs import DeltaHBV
from ..simulation.one_model import inputs_for
from ..simulation.quantiles import predictive
from ..simulation.simulate import simulate
from ..simulation.states import states_of_days
from .ahead import MEMBER, days_ahead, forcing_ahead, positions_of

_FLAG = "attribute_flag"


def forecast(
    data: xr.Dataset | Inputs,
    model: Model | Ensemble | xr.Dataset,
    init: Any,
    lead: int = 5,
    variables: Sequence[str] | None = ("streamflow",),
    forcing: xr.Dataset | None = None,
    initial_state: xr.Dataset | None = None,
    quantiles: Sequence[float] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Forecast from each date of ``init``; see :meth:`hydroxr.accessor.HBVAccessor.forecast`."""
    if isinstance(lead, bool) or not isinstance(lead, int | np.integer) or lead < 1:
        raise DescriptionError(f"lead is {lead!r}; expected a number of days from 1.")
    if isinstance(model, xr.Dataset) and any("time" in array.dims for array in model.data_vars.values()):
        raise DescriptionError(
            "the parameters vary in time, so a forecast would need those of days to come; use a model, whose "
            "network gives them, or parameters that are constant in time."
        )
    inputs = inputs_for(inputs_of(data), model)
    inputs.check_time()
    spread = predictive(model, quantiles, FORECAST, variables, bool(options.get("members")), inputs)
    places = positions_of(inputs.days, init)
    days = inputs.days[places]
    ahead = forcing_ahead(inputs, places, int(lead), forcing)
    run = {name: value for name, value in options.items() if name not in ("components", "members")}
    states = states_at(inputs, model, places, initial_state, run)
    states = states.assign_coords({INIT: (INIT, days)})
    if MEMBER in ahead.dims and isinstance(model, Ensemble):
        raise DescriptionError(
            "both the ensemble and the forcing have members; forecast with each model: ensemble.members[0]."
        )
    if MEMBER in ahead.dims:
        states = states.expand_dims({MEMBER: ahead.coords.get(MEMBER, np.arange(ahead.sizes[MEMBER]))})
    first = {INIT: np.array([0])}  # cells are judged once, and not again for each date
    flag = _side_by_side(ahead.isel(first), model, states.isel(first), variables, options)
    options["flag_attributes"] = False
    parts = [
        _side_by_side(ahead.isel({INIT: group}), model, states.isel({INIT: group}), variables, options)
        for group in _groups(model, days, int(lead))
    ]
    out = xr.concat(parts, INIT, data_vars="minimal", coords="minimal", compat="override", join="exact")
    if _FLAG in flag:
        out[_FLAG] = flag[_FLAG].isel({INIT: 0}, drop=True)
        cf.name_flags(out)
    return spread(_labelled(out.sortby(INIT), int(lead)))


def states_at(
    inputs: Inputs,
    model: Model | Ensemble | xr.Dataset,
    places: np.ndarray,
    initial_state: xr.Dataset | None,
    options: dict[str, Any],
) -> xr.Dataset:
    """The state at the end of each date, (init, ...): as given, or from one run through all dates."""
    days = inputs.days[places]
    if initial_state is not None and INIT in initial_state.dims:
        known = initial_state.indexes[INIT].floor("D")
        absent = days.floor("D").difference(known)
        if len(absent):
            raise StateError(
                f"the initial state has none for init {str(absent[0])[:10]}; leave that date out."
            )
        return initial_state.isel({INIT: known.get_indexer(days.floor("D"))}).drop_vars(
            "time", errors="ignore"
        )
    return states_of_days(inputs, model, places, INIT, initial_state, **options)


def _groups(model: Model | Ensemble | xr.Dataset, days: pd.Index, lead: int) -> list[np.ndarray]:
    """Positions of dates whose forecasts can share a time axis.

    The blocks of dynamic parameters without recurrence follow the calendar; nothing else knows the date.
    """
    spec = None if isinstance(model, xr.Dataset) else model.description
    if not isinstance(spec, DeltaHBV) or spec.reads_window or not spec.dynamic:
        return [np.arange(len(days))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, day in enumerate(days):
        blocks = Blocks.of(days_of_year(days_ahead(day, lead)), continued=True)
        groups.setdefault(tuple(blocks.starts.tolist()), []).append(place)
    return [np.array(group) for group in groups.values()]


def _side_by_side(
    ahead: xr.Dataset,
    model: Model | Ensemble | xr.Dataset,
    states: xr.Dataset,
    variables: Sequence[str] | None,
    options: dict[str, Any],
) -> xr.Dataset:
    """The forecasts of one group, (init, ..., lead), run over the days of its first date."""
    run = ahead.assign_coords(time=days_ahead(ahead.indexes[INIT][0], ahead.sizes["time"]))
    sim: xr.Dataset = simulate(run, model, initial_state=states, variables=variables, **options)
    return sim.drop_vars(["time", "time_bnds"]).rename_dims({"time": LEAD})


def _labelled(out: xr.Dataset, lead: int) -> xr.Dataset:
    """The dimensions ``init`` and ``lead`` first, and the day that each forecast is for."""
    out = out.assign_coords({LEAD: np.arange(1, lead + 1)})
    valid = np.stack([days_ahead(day, lead).to_numpy() for day in out.indexes[INIT]])
    out = out.assign_coords({VALID_TIME: ((INIT, LEAD), valid)})
    out[LEAD].attrs = {"standard_name": "forecast_period", "long_name": "days after init", "units": "days"}
    out[INIT].attrs = {
        "standard_name": "forecast_reference_time",
        "long_name": "day at whose end the forecast starts",
    }
    out[VALID_TIME].attrs = {"standard_name": "time", "long_name": "day that the forecast is for"}
    for name in out.data_vars:
        out[name].attrs.pop(FIRST_DAY, None)
    order = [dim for dim in (INIT, LEAD, MEMBER) if dim in out.dims]
    out.attrs["title"] = f"Forecasts of 1 to {lead} days"
    out.attrs[START] = "state at the end of the day 'init'"
    return out.transpose(*order, ...)

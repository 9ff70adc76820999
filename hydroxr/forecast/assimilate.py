"""Variational assimilation: find the state and weather of the last days that explain the observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.dimensions import INIT
from ..conventions.stamps import by_day
from ..conventions.stamps import days as stamped
from ..conventions.units import convert
from ..conventions.variables import AMOUNT, STATES, VARIABLES, Variable
from ..errors import DescriptionError, EmptySelectionError, MissingObservationError
from ..inputs.cells import select_cells
from ..inputs.numbers import numbers_of
from ..inputs.resolve import Inputs, inputs_of, observed_streamflow
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import DeltaHBV
from ..physics.equations import CHANNEL, STORES
from ..simulation.engine.model_reference import ModelReference
from ..simulation.ensemble import join_members
from ..simulation.one_model import inputs_for
from ..simulation.parameters import parameters
from ..simulation.states import states_of_days
from .ahead import positions_of
from .problems import SCALARS, Problems
from .window import CONTROLS

_ITERATIONS = 25
_STORED = (*STATES, "snow_water_equivalent", "terrestrial_water_storage")  # storages that may be observed
_SPREAD_EVERY = 30  # days between the states that give the spread of the stores


def assimilate(
    data: xr.Dataset | Inputs,
    model: Model | Ensemble,
    observed: xr.Dataset | xr.DataArray | None = None,
    window: int | str = "30D",
    init: Any = None,
    controls: Sequence[str] = ("state", "precipitation"),
    observation_error: float | Mapping[str, float] = 0.1,
    iterations: int = _ITERATIONS,
) -> xr.Dataset:
    """Analyse the states at the end of dates; see :meth:`hydroxr.accessor.HBVAccessor.assimilate`."""
    if isinstance(model, Ensemble):
        given = (observed, window, init, controls, observation_error, iterations)
        return join_members([assimilate(data, member, *given) for member in model.members], model)
    if not isinstance(model, Model) or not isinstance(model.description, DeltaHBV):
        raise DescriptionError(f"expected one δ model, found {type(model).__name__}; or an ensemble of them.")
    controls = (controls,) if isinstance(controls, str) else tuple(controls)
    unknown = [name for name in controls if name not in CONTROLS]
    if unknown or not controls:
        raise DescriptionError(f"controls are {controls}; expected some of {', '.join(CONTROLS)}.")
    inputs = inputs_for(inputs_of(data), model)
    inputs.check_time()
    days = _days(window)
    ends = positions_of(inputs.days, init)
    if ends[0] < days:
        raise EmptySelectionError(
            f"the window of {days} days before init {str(inputs.days[ends[0]])[:10]} begins before the "
            f"record, which starts on {str(inputs.days[0])[:10]}; choose a later date or a shorter window."
        )
    found = _observations(inputs, observed, observation_error)
    problems, arrays, background = _problems(inputs, model, ends, days, found, controls)
    out = _solved(replace(problems, iterations=int(iterations)), arrays, background)
    out.attrs |= {
        "title": "Analysed states at the end of the day 'init'",
        "hydroxr_assimilation": f"{days} days before init; controls: {', '.join(controls)}",
    }
    return out.assign_coords({INIT: (INIT, inputs.days[ends])})


def _days(window: int | str) -> int:
    try:
        days = window if isinstance(window, int) else pd.Timedelta(window).days
    except ValueError:
        days = 0
    if isinstance(window, bool) or days < 1:
        raise DescriptionError(f"window is {window!r}; expected a number of days, or a text such as '30D'.")
    return int(days)


Observations = dict[str, tuple[xr.DataArray, float]]  # values (time, space), and their relative error


def _observations(
    inputs: Inputs, given: xr.Dataset | xr.DataArray | None, share: float | Mapping[str, float]
) -> Observations:
    """Observations by the output that they are of; the streamflow of the record if none are given."""
    if given is None:
        series = {"streamflow": inputs.observed}
    else:
        ds = (
            given.to_dataset(name=str(given.name or "streamflow"))
            if isinstance(given, xr.DataArray)
            else given
        )
        ds = by_day(select_cells(ds, inputs.ds, inputs.space, "the observations"))
        stored = [name for name in _STORED if name in ds]
        series = {name: convert(numbers_of(ds[name]), _in_units(name)) for name in stored}
        if "streamflow" in ds or not series:
            series["streamflow"] = observed_streamflow(ds)
    out: Observations = {}
    for name, array in series.items():
        values = array.assign_coords(time=stamped(array["time"])).reindex(time=stamped(inputs.ds["time"]))
        values = values.transpose("time", *inputs.space)
        if values.chunks is None and not bool(values.notnull().any()):
            raise MissingObservationError(f"{name} has no observation on the days of the record.")
        relative = share if isinstance(share, int | float) else share.get(name)
        if relative is None or not relative > 0:
            raise DescriptionError(f"observation_error of {name} is {relative!r}; expected a share above 0.")
        out[name] = values, float(relative)
    return out


def _in_units(name: str) -> Variable:
    """A storage as an input with units."""
    return replace(VARIABLES[name], quantity="water amount")


def _problems(
    inputs: Inputs, model: Model, ends: np.ndarray, days: int, found: Observations, controls: tuple[str, ...]
) -> tuple[Problems, list[xr.DataArray], xr.Dataset]:
    """All pairs of date and cell, their arrays, and the states of the plain run."""
    begins = ends - days
    sampled = np.arange(min(begins[0], _SPREAD_EVERY), len(inputs.days), _SPREAD_EVERY)
    places = np.unique(np.concatenate([begins, ends, sampled]))
    states = states_of_days(inputs, model, places, INIT, dtype="float64")

    def at(positions: np.ndarray) -> xr.Dataset:
        return states.isel({INIT: np.searchsorted(places, positions)})

    background, start = at(ends), at(begins)
    arrays = {f"forcing:{name}": inputs.forcing[name] for name in ("prcp", "tmean", "pet")}
    arrays |= {f"observed:{name}": values for name, (values, _) in found.items()}
    spec = model.description
    assert isinstance(spec, DeltaHBV)
    static = [name for name in spec.parameters if name in states and INIT not in states[name].dims]
    arrays |= {f"parameter:{name}": states[name] for name in static}
    if spec.dynamic:
        daily = parameters(inputs, model)
        arrays |= {f"parameter:{name}": daily[name] for name in spec.dynamic}
    kept = [name for name in (*STORES, CHANNEL) if name in states]
    arrays |= {f"state:{name}": start[name] for name in kept}
    arrays |= {f"spread:{name}": at(sampled)[name].std(INIT) for name in STORES}
    span = slice(int(begins[0]) + 1, int(ends[-1]) + 1)
    arrays = {
        name: array.isel(time=span) if "time" in array.dims else array for name, array in arrays.items()
    }
    order = ("time", INIT, "component", "lead")
    shared = Problems(
        names=tuple(arrays),
        results=(*kept, *SCALARS),
        dims={name: tuple(dim for dim in order if dim in array.dims) for name, array in arrays.items()},
        first=begins - begins[0],
        days=days,
        errors={name: share for name, (_, share) in found.items()},
        controls=controls,
        iterations=0,
        runoff_of=ModelReference(model) if spec.runoff_network else None,
    )
    return shared, [array.drop_vars(list(array.coords)) for array in arrays.values()], background


def _solved(problems: Problems, arrays: list[xr.DataArray], background: xr.Dataset) -> xr.Dataset:
    """The background with the analyses in the place of its states; lazy where anything is."""
    core = [problems.dims[name] for name in problems.names]
    if any(array.chunks is not None for array in arrays):
        arrays = [array.chunk(dict.fromkeys(dims, -1)) for array, dims in zip(arrays, core, strict=True)]
    states = {name: (INIT, *problems.dims[f"state:{name}"][1:]) for name in problems.results[: -len(SCALARS)]}
    results = xr.apply_ufunc(
        problems.solve,
        *arrays,
        input_core_dims=core,
        output_core_dims=[states.get(name, (INIT,)) for name in problems.results],
        dask="parallelized",
        output_dtypes=[np.dtype("float64")] * len(problems.results),
        keep_attrs=False,
    )
    out = background.copy()
    for name, array in zip(problems.results, results, strict=True):
        out[name] = array.transpose(INIT, ...).assign_attrs(_attrs(name))
    return out


def _attrs(name: str) -> dict[str, Any]:
    """What a result is."""
    if name.endswith("_increment"):
        what = name.removesuffix("_increment")
        when = "over the window" if what == "precipitation" else "at the beginning of the window"
        return {"long_name": f"{what.replace('_', ' ')} added by the analysis {when}", "units": AMOUNT}
    if name.startswith("window_"):
        what = name.removeprefix("window_").replace("_", " ")
        return {"long_name": f"{what} of the window, of the analysis or as given", "units": AMOUNT}
    if name == "storage_before":
        return {"long_name": "all water at the beginning of the window, before the analysis", "units": AMOUNT}
    if name in VARIABLES:
        return {"long_name": f"{VARIABLES[name].long_name}, of each component", "units": AMOUNT}
    names = {
        CHANNEL: ("runoff in the unit hydrograph, by days until it leaves", AMOUNT),
        "cost": ("cost of the analysis", "1"),
        "cost_of_background": ("cost without an analysis", "1"),
        "observations": ("observations in the window", "1"),
    }
    return dict(zip(("long_name", "units"), names[name], strict=True))

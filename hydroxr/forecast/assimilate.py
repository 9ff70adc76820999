"""Variational assimilation: find the state and weather of the last days that explain the observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from ..conventions.variables import AMOUNT, OUTPUTS, VARIABLES
from ..errors import DescriptionError, EmptySelectionError, MissingObservationError
from ..inputs.cells import select_cells
from ..inputs.resolve import Inputs, inputs_of, observed_streamflow
from ..models.model import Model
from ..models.specs import DeltaHBV
from ..physics.equations import CHANNEL, STORES
from ..simulation.one_model import inputs_for
from ..simulation.parameters import parameters
from .ahead import INIT, positions_of
from .forecast import states_at
from .minimise import minimise
from .window import CONTROLS, Window

_ITERATIONS = 25
_PROBLEMS = 4000  # pairs of date and cell in one batch: some 100 MB with 30 days and 16 components
_SPREAD_EVERY = 30  # days between the states that give the spread of the stores
_LEAST_SPREAD = 1e-3  # mm
_LEAST_ERROR = 1e-3  # mm/day or mm


def assimilate(
    data: xr.Dataset | Inputs,
    model: Model,
    observed: xr.Dataset | xr.DataArray | None = None,
    window: int | str = "30D",
    init: Any = None,
    controls: Sequence[str] = ("state", "precipitation"),
    observation_error: float | Mapping[str, float] = 0.1,
    iterations: int = _ITERATIONS,
) -> xr.Dataset:
    """Analyse the states at the end of dates; see :meth:`hydroxr.accessor.HBVAccessor.assimilate`."""
    if not isinstance(model, Model) or not isinstance(model.description, DeltaHBV):
        raise DescriptionError(
            f"expected one δ model, found {type(model).__name__}; assimilate with each member of an ensemble."
        )
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
    problem = _Problem(inputs, model, ends, days, found, controls)
    return problem.solved(iterations)


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
        ds = select_cells(ds, inputs.ds, inputs.space, "the observations")
        series = {str(name): ds[name] for name in ds.data_vars if name in OUTPUTS and name != "streamflow"}
        if "streamflow" in ds or not series:
            series["streamflow"] = observed_streamflow(ds)
    out: Observations = {}
    for name, array in series.items():
        values = array.reindex(time=inputs.days).transpose("time", *inputs.space)
        if not bool(values.notnull().any()):
            raise MissingObservationError(f"{name} has no observation on the days of the record.")
        relative = share if isinstance(share, int | float) else share.get(name)
        if relative is None or not relative > 0:
            raise DescriptionError(f"observation_error of {name} is {relative!r}; expected a share above 0.")
        out[name] = values, float(relative)
    return out


class _Problem:
    """All pairs of date and cell, as arrays."""

    def __init__(
        self,
        inputs: Inputs,
        model: Model,
        ends: np.ndarray,
        days: int,
        observations: Observations,
        controls: tuple[str, ...],
    ) -> None:
        self.inputs, self.model, self.controls = inputs, model, controls
        self.space, self.days, self.ends = inputs.space, days, ends
        begins = ends - days
        sampled = np.arange(min(begins[0], _SPREAD_EVERY), len(inputs.days), _SPREAD_EVERY)
        places = np.unique(np.concatenate([begins, ends, sampled]))
        states = states_at(inputs, model, places, None, {"dtype": "float64"}).compute()
        known = {int(place): number for number, place in enumerate(places)}
        self.background = states.isel({INIT: [known[int(place)] for place in ends]})
        self.start = states.isel({INIT: [known[int(place)] for place in begins]})
        self.spread = states[list(STORES)].isel({INIT: [known[int(p)] for p in sampled]}).std(INIT)
        self.forcing = [inputs.forcing[name].compute() for name in ("prcp", "tmean", "pet")]
        self.parameters = parameters(inputs, model).compute()
        self.observations = {
            name: (values.compute(), share) for name, (values, share) in observations.items()
        }
        runoff = model.runoff_network()
        self.processes = {} if runoff is None else {"effective_rainfall": runoff}

    def solved(self, iterations: int) -> xr.Dataset:
        """The analysis of all problems, in batches."""
        n_cells = self.inputs.cell_count
        results: dict[str, list[np.ndarray]] = {}
        every = np.arange(len(self.ends) * n_cells)
        for batch in np.array_split(every, max(1, -(-len(every) // _PROBLEMS))):
            for name, values in self._batch(batch // n_cells, batch % n_cells, iterations):
                results.setdefault(name, []).append(values)
        shape = (len(self.ends), *(self.inputs.ds.sizes[dim] for dim in self.space))
        out = self.background.copy()
        for name, parts in results.items():
            values = np.concatenate(parts)
            dims = (INIT, *self.space, *(out[name].dims[-1:] if name in out else ()))
            out[name] = (dims, values.reshape(*shape, *values.shape[1:]), _attrs(name))
        out.attrs |= {
            "title": "Analysed states at the end of the day 'init'",
            "hydroxr_assimilation": f"{self.days} days before init; controls: {', '.join(self.controls)}",
        }
        return out.assign_coords({INIT: (INIT, self.inputs.days[self.ends])})

    def _batch(
        self, dates: np.ndarray, cells: np.ndarray, iterations: int
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Results of some problems by name, (problem, ...)."""
        window = self._window(dates, cells)
        start = window.background
        controls, cost = minimise(window.cost, start, iterations)
        with torch.no_grad():
            _, _, after, _ = window.run(controls, ("streamflow",))
            accounts = window.accounts(controls)
            before = window.cost(start)
        seen = sum(torch.isfinite(values).sum(0) for values in window.observed.values())
        kept = {name: after[name] for name in (*STORES, CHANNEL) if name in after}
        more = {"cost": cost, "cost_of_background": before, "observations": seen}
        for name, values in (kept | accounts | more).items():
            yield name, torch.as_tensor(values).numpy()

    def _window(self, dates: np.ndarray, cells: np.ndarray) -> Window:
        """The window of each problem, (time, problem)."""
        rows = (self.ends[dates] - self.days + 1)[None] + np.arange(self.days)[:, None]

        def series(array: xr.DataArray) -> torch.Tensor:
            values = array.transpose("time", *self.space, ...).values
            values = values.reshape(len(values), -1, *values.shape[1 + len(self.space) :])
            return torch.from_numpy(values[rows, cells].astype(float))

        def fixed(array: xr.DataArray, *where: np.ndarray) -> torch.Tensor:
            lead = [INIT] if INIT in array.dims else []
            values = array.transpose(*lead, *self.space, ...).values
            first = len(lead) + len(self.space)
            values = values.reshape(*values.shape[: len(lead)], -1, *values.shape[first:])
            return torch.from_numpy(values[(*where, cells)].astype(float))

        names = [str(name) for name in self.parameters.data_vars]
        given = {
            name: series(array) if "time" in array.dims else fixed(array)
            for name, array in ((name, self.parameters[name]) for name in names)
        }
        stores = [name for name in (*STORES, CHANNEL) if name in self.start]
        observed = {name: series(values) for name, (values, _) in self.observations.items()}
        error = {}
        for name, (_, share) in self.observations.items():
            size = observed[name].abs()
            mean = torch.nan_to_num(size.nanmean(0))  # of the window: later observations have no say
            error[name] = (share * (torch.nan_to_num(size) + mean)).clamp_min(_LEAST_ERROR)
        return Window(
            forcing=tuple(series(array) for array in self.forcing),  # type: ignore[arg-type]
            parameters=given,
            state={name: fixed(self.start[name], dates) for name in stores},
            spread={name: fixed(self.spread[name]).clamp_min(_LEAST_SPREAD) for name in STORES},
            observed=observed,
            error=error,
            controls=self.controls,
            processes=self.processes,
        )


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

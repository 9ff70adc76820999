"""Solve the assimilation of some cells for all dates, in batches. Arrays in, arrays out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..physics.arguments import arrange_parameters
from ..physics.equations import SOIL_FLOOR, STORES
from ..physics.threads import one_thread_each, without_subnormals
from .minimise import minimise
from .window import Window

if TYPE_CHECKING:
    from ..simulation.engine.model_reference import ModelReference

ACCOUNTS = (
    *(f"{name}_increment" for name in STORES),
    "precipitation_increment",
    "storage_before",
    *(f"window_{name}" for name in ("precipitation", "evapotranspiration", "streamflow")),
)
SCALARS = (*ACCOUNTS, "cost", "cost_of_background", "observations")

_BATCH = 2000  # pairs of date and cell: some 100 MB with 30 days and 16 components
_LEAST_SPREAD = 1e-3  # mm
_LEAST_ERROR = 1e-3  # mm/day or mm


@dataclass(frozen=True)
class Problems:
    """What the problems of all cells have in common.

    Parameters
    ----------
    names : tuple of str
        Of the arrays: ``forcing:prcp``, ``observed:streamflow``, ``parameter:BETA``, ``state:snowpack``,
        ``spread:snowpack`` and so on.
    results : tuple of str
        Names of the arrays that come back: states and ``SCALARS``.
    dims : dict
        The dimensions of each array after those of space.
    first : array of int, (init,)
        Position of the first day of each window in the series.
    days : int
        Of a window.
    errors : dict
        Standard deviations of observations by their name, as a share.
    controls : tuple of str
    iterations : int
    runoff_of : ModelReference, optional
        Whose NN_r gives the effective rainfall.
    """

    names: tuple[str, ...]
    results: tuple[str, ...]
    dims: dict[str, tuple[str, ...]]
    first: np.ndarray
    days: int
    errors: dict[str, float]
    controls: tuple[str, ...]
    iterations: int
    runoff_of: ModelReference | None = None

    def solve(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """The analyses, (space..., init, ...), by ``results``.

        ``arrays`` are (space..., time), (space..., time, component), (space..., component) or, for states,
        (space..., init, component).
        """
        named = dict(zip(self.names, arrays, strict=True))
        space = np.broadcast_shapes(
            *(array.shape[: array.ndim - len(self.dims[name])] for name, array in named.items())
        )
        given = {}
        for name, array in named.items():
            own = array.shape[array.ndim - len(self.dims[name]) :]
            given[name] = np.broadcast_to(array, (*space, *own)).reshape(-1, *own)
        pairs = np.arange(len(given["forcing:prcp"]) * len(self.first))
        batches = np.array_split(pairs, -(-len(pairs) // _BATCH) or 1)

        def results(batch: np.ndarray) -> dict[str, np.ndarray]:
            cells, dates = np.divmod(batch, len(self.first))
            with one_thread_each(), without_subnormals():
                found = self._analysis(self._window(given, cells, dates))
            return {name: values.numpy() for name, values in found.items()}

        # Whole batches in threads, which need not wait for each other; under dask, its threads do that.
        alone = threading.current_thread() is threading.main_thread()
        with ThreadPoolExecutor(torch.get_num_threads() if alone else 1) as threads:
            found = list(threads.map(results, batches))
        parts = {name: [each[name] for each in found] for name in self.results}
        whole = {name: np.concatenate(values) for name, values in parts.items()}
        return tuple(values.reshape(*space, len(self.first), *values.shape[1:]) for values in whole.values())

    def _analysis(self, window: Window) -> dict[str, torch.Tensor]:
        """Results of a batch by name. The search is in float32, the result in float64."""
        search = window.to(torch.float32)
        start = search.background
        controls, _ = minimise(search.cost, start, self.iterations, lambda rows: search.of(rows).cost)
        with torch.no_grad():
            exact = controls.to(torch.float64)
            after, accounts = window.accounts(exact)
            costs = {"cost": window.cost(exact), "cost_of_background": window.cost(start.to(exact))}
        seen = sum(torch.isfinite(values).sum(0) for values in window.observed.values())
        found: Mapping[str, Any] = {**after, **accounts, **costs, "observations": seen}
        return {name: torch.as_tensor(found[name]).to(torch.float64) for name in self.results}

    def _window(self, given: Mapping[str, np.ndarray], cells: np.ndarray, dates: np.ndarray) -> Window:
        """The window of each problem, (time, problem)."""
        days = self.first[dates][None] + np.arange(self.days)[:, None]

        def of(kind: str) -> dict[str, np.ndarray]:
            return {
                name.partition(":")[2]: array for name, array in given.items() if name.startswith(f"{kind}:")
            }

        def tensor(array: np.ndarray, *place: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array[place].astype(float))

        prcp, tmean, pet = (
            tensor(given[f"forcing:{name}"], cells, days) for name in ("prcp", "tmean", "pet")
        )
        parameters = {
            name: tensor(array, cells, *([days] if "time" in self.dims[f"parameter:{name}"] else []))
            for name, array in of("parameter").items()
        }
        observed = {name: tensor(array, cells, days) for name, array in of("observed").items()}
        error = {}
        for name, values in observed.items():
            size = torch.nan_to_num(values.abs())
            mean = torch.nan_to_num(values.abs().nanmean(0))  # later observations have no say
            error[name] = (self.errors[name] * (size + mean)).clamp_min(_LEAST_ERROR)
        state = {name: tensor(array, cells, dates) for name, array in of("state").items()}
        state["soil_moisture"] = state["soil_moisture"].clamp_min(SOIL_FLOOR)
        runoff = None if self.runoff_of is None else self.runoff_of.runoff_network("cpu")
        return Window(
            forcing=(prcp, tmean, pet),
            parameters=arrange_parameters(parameters, (self.days, len(cells))),
            state=state,
            spread={
                name: tensor(array, cells).clamp_min(_LEAST_SPREAD) for name, array in of("spread").items()
            },
            observed=observed,
            error=error,
            controls=self.controls,
            processes={} if runoff is None else {"effective_rainfall": runoff},
        )

"""The window of an assimilation: what its controls do to the water, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..analysis.derived import DAILY_SOURCES
from ..physics.arguments import mean_of_components, total_storage
from ..physics.equations import SOIL_FLOOR, STORES
from ..physics.parameters import WEIGHT
from ..physics.simulation import simulate_tensors

CONTROLS = ("state", "precipitation", "temperature")

# Standard deviations of the background: of the logarithm of precipitation, and of temperature in degC.
# The bounds are about four of them.
_PRECIPITATION, _MOST_PRECIPITATION = 0.3, math.log(3.0)
_TEMPERATURE, _MOST_TEMPERATURE = 1.0, 4.0


@dataclass(frozen=True)
class Window:
    """Days before some dates in some cells: each pair of date and cell is a problem of its own.

    Parameters
    ----------
    forcing : tuple of Tensor, (time, problem)
        Precipitation, temperature and PET.
    parameters : mapping of Tensor
        As :func:`hydroxr.physics.arguments.arrange_parameters` gives them.
    state : mapping of Tensor
        The background at the beginning: stores (problem, component) and the channel (problem, lead).
    spread : mapping of Tensor, (problem, component)
        Standard deviations of the stores, in mm.
    observed, error : mapping of Tensor, (time, problem)
        Observations by the output that they are of, NaN where there is none, and their standard deviations.
    controls : tuple of str
        Some of ``CONTROLS``.
    processes : mapping
        See :func:`hydroxr.physics.simulate`.
    """

    forcing: tuple[Tensor, Tensor, Tensor]
    parameters: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    spread: Mapping[str, Tensor]
    observed: Mapping[str, Tensor]
    error: Mapping[str, Tensor]
    controls: tuple[str, ...]
    processes: Mapping[str, Any]

    def of(self, rows: Tensor) -> Window:
        """Some of the problems."""

        def second(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor[:, rows] for name, tensor in tensors.items()}

        def first(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor[rows] for name, tensor in tensors.items()}

        dynamic = {name: tensor for name, tensor in self.parameters.items() if tensor.ndim == 3}
        static = {name: tensor for name, tensor in self.parameters.items() if tensor.ndim < 3}
        precipitation, temperature, pet = (series[:, rows] for series in self.forcing)
        return replace(
            self,
            forcing=(precipitation, temperature, pet),
            parameters=second(dynamic) | first(static),
            state=first(self.state),
            spread=first(self.spread),
            observed=second(self.observed),
            error=second(self.error),
        )

    def to(self, dtype: torch.dtype) -> Window:
        """The same in another precision."""

        def cast(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.to(dtype) for name, tensor in tensors.items()}

        precipitation, temperature, pet = (series.to(dtype) for series in self.forcing)
        return replace(
            self,
            forcing=(precipitation, temperature, pet),
            parameters=cast(self.parameters),
            state=cast(self.state),
            spread=cast(self.spread),
            observed=cast(self.observed),
            error=cast(self.error),
        )

    @property
    def background(self) -> Tensor:
        """Controls that change nothing, (problem, control)."""
        days, problems = self.forcing[0].shape
        stores = sum(self.state[name].shape[1] for name in STORES)
        sizes = {"state": stores, "precipitation": days, "temperature": days}
        return self.forcing[0].new_zeros((problems, sum(sizes[name] for name in self.controls)))

    def apply(self, controls: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """State at the beginning, precipitation and temperature that the controls give, within bounds."""
        precipitation, temperature, _ = self.forcing
        days, state, place = len(precipitation), dict(self.state), 0
        if "state" in self.controls:
            for name in STORES:
                width = state[name].shape[1]
                changed = self.spread[name] * controls[:, place : place + width] + state[name]
                state[name] = changed.clamp_min(SOIL_FLOOR if name == "soil_moisture" else 0.0)
                place += width
            # What they hold on the first day, or held before it.
            for name, most in (
                ("soil_moisture", self._first("FC")),
                ("snow_liquid_water", self._first("CWH") * state["snowpack"]),
            ):
                state[name] = state[name].minimum(most.maximum(self.state[name]))
        if "precipitation" in self.controls:
            factor = _PRECIPITATION * controls[:, place : place + days].T
            precipitation = precipitation * factor.clamp(-_MOST_PRECIPITATION, _MOST_PRECIPITATION).exp()
            place += days
        if "temperature" in self.controls:
            shift = _TEMPERATURE * controls[:, place : place + days].T
            temperature = temperature + shift.clamp(-_MOST_TEMPERATURE, _MOST_TEMPERATURE)
        return state, precipitation, temperature

    def _first(self, name: str) -> Tensor:
        """A parameter on the first day, (problem, component)."""
        value = self.parameters[name]
        return value[0] if value.ndim == 3 else value

    def run(
        self, controls: Tensor, outputs: tuple[str, ...]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Outputs (time, problem), states before and after, and precipitation (time, problem)."""
        state, precipitation, temperature = self.apply(controls)
        forcing = (precipitation, temperature, self.forcing[2])
        series, after = simulate_tensors(forcing, self.parameters, state, outputs, processes=self.processes)
        return series, state, after, precipitation

    def cost(self, controls: Tensor) -> Tensor:
        """Half the squared misfits over their variances, of observations and of the controls, (problem,)."""
        sources = {name: DAILY_SOURCES.get(name, (name,)) for name in self.observed}
        series, *_ = self.run(controls, tuple(dict.fromkeys(sum(sources.values(), ()))))
        out = 0.5 * (controls**2).sum(1)
        for name, observed in self.observed.items():
            known = torch.isfinite(observed)
            found = sum(series[source] for source in sources[name])
            misfit = torch.where(known, found - torch.where(known, observed, 0.0), 0.0)
            out = out + 0.5 * ((misfit / self.error[name]) ** 2).sum(0)
        return out

    def accounts(self, controls: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """States after the window, and by name what was added, and the water balance, (problem,), in mm."""
        flows, weights = ("evapotranspiration", "streamflow"), self.parameters.get(WEIGHT)
        series, state, after, precipitation = self.run(controls, flows)
        factor = self.parameters.get("PCORR", 1.0)  # what the model receives
        out = {
            f"{name}_increment": mean_of_components(state[name] - self.state[name], weights)
            for name in STORES
        }
        out["precipitation_increment"] = (factor * (precipitation - self.forcing[0])).sum(0)
        out["storage_before"] = total_storage(self.state, weights)
        out["window_precipitation"] = (factor * self.forcing[0]).sum(0)
        return after, out | {f"window_{name}": series[name].sum(0) for name in flows}

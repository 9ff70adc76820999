"""The window of an assimilation: what its controls do to the water, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..physics.arguments import total_storage
from ..physics.equations import STORES
from ..physics.simulation import simulate

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
        (problem,), (problem, component) or (time, problem, component).
    state : mapping of Tensor
        The background at the beginning: stores (problem, component) and the channel (problem, lead).
    spread : mapping of Tensor, (problem, component)
        Standard deviations of the stores, in mm.
    observed, error : mapping of Tensor, (time, problem)
        Observations, NaN where there is none, and their standard deviations.
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
                change = self.spread[name] * controls[:, place : place + width]
                state[name] = (state[name] + change).clamp_min(0.0)
                place += width
            field_capacity = self.parameters["FC"]
            field_capacity = field_capacity[0] if field_capacity.ndim == 3 else field_capacity
            state["soil_moisture"] = state["soil_moisture"].minimum(field_capacity)
        if "precipitation" in self.controls:
            factor = _PRECIPITATION * controls[:, place : place + days].T
            precipitation = precipitation * factor.clamp(-_MOST_PRECIPITATION, _MOST_PRECIPITATION).exp()
            place += days
        if "temperature" in self.controls:
            shift = _TEMPERATURE * controls[:, place : place + days].T
            temperature = temperature + shift.clamp(-_MOST_TEMPERATURE, _MOST_TEMPERATURE)
        return state, precipitation, temperature

    def run(
        self, controls: Tensor, outputs: tuple[str, ...]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Outputs (time, problem), states before and after, and precipitation (time, problem)."""
        state, precipitation, temperature = self.apply(controls)
        series, after = simulate(
            precipitation,
            temperature,
            self.forcing[2],
            self.parameters,
            state,
            outputs,
            processes=self.processes,
        )
        return series, state, after, precipitation

    def cost(self, controls: Tensor) -> Tensor:
        """Half the squared misfits over their variances, of observations and of the controls, (problem,)."""
        series, *_ = self.run(controls, tuple(self.observed))
        out = 0.5 * (controls**2).sum(1)
        for name, observed in self.observed.items():
            known = torch.isfinite(observed)
            misfit = torch.where(known, series[name] - torch.where(known, observed, 0.0), 0.0)
            out = out + 0.5 * ((misfit / self.error[name]) ** 2).sum(0)
        return out

    def accounts(self, controls: Tensor) -> dict[str, Tensor]:
        """What the controls added in mm, and the water balance of the window, (problem,)."""
        flows = ("evapotranspiration", "streamflow")
        series, state, _, precipitation = self.run(controls, flows)
        out = {f"{name}_increment": (state[name] - self.state[name]).mean(1) for name in STORES}
        out["precipitation_increment"] = (precipitation - self.forcing[0]).sum(0)
        out["storage_before"] = total_storage(self.state)
        out["window_precipitation"] = self.forcing[0].sum(0)
        return out | {f"window_{name}": series[name].sum(0) for name in flows}

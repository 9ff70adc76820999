"""The reference loop over days, in torch, for any dtype.

It is slow, but simple: the compiled kernels are tested against it. torch computes its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from ..errors import DimensionError
from .arguments import mean_of_components
from .equations import DAY_FLUXES, DAY_PARAMETERS, STORES, Day, make_day
from .parameters import WEIGHT


def _minimum(value: Tensor, other: Tensor | float) -> Tensor:
    return torch.minimum(value, other) if isinstance(other, Tensor) else torch.clamp(value, max=other)


def _maximum(value: Tensor, other: Tensor | float) -> Tensor:
    return torch.maximum(value, other) if isinstance(other, Tensor) else torch.clamp(value, min=other)


day = make_day(_minimum, _maximum, torch.pow, torch.where)


def _day_with(processes: Mapping[str, Callable[..., Tensor]] | None) -> Day:
    """The day, with ``processes`` replacing equations."""
    if not processes:
        return day

    def checked(name: str, process: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*values: Tensor) -> Tensor:
            values = torch.broadcast_tensors(*values)  # forcing has no component axis
            result = process(*values)
            expected = values[0].shape
            if not isinstance(result, Tensor) or result.shape != expected:
                found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
                raise DimensionError(
                    f"the module that replaces {name} returned {found}; expected a tensor of shape "
                    f"{tuple(expected)}, (space, component)."
                )
            return result

        return call

    replaced = {name: checked(name, process) for name, process in processes.items()}
    return make_day(_minimum, _maximum, torch.pow, torch.where, replaced=replaced)


class _Recorder:
    """Collects the series of a run, as (weighted) means over components or, if ``whole``, per component.

    Without gradients, values go straight into an array. With gradients, they are stacked at the end,
    because torch cannot differentiate writing in place.
    """

    def __init__(
        self, names: Sequence[str], n_days: int, whole: Collection[str], weights: Tensor | None
    ) -> None:
        self.names = tuple(names)
        self.n_days = n_days
        self.whole = whole
        self.weights = weights
        self._lists: dict[str, list[Tensor]] = {name: [] for name in self.names}
        self._arrays: dict[str, Tensor] = {}

    def keep(self, index: int, values: Mapping[str, Tensor]) -> None:
        for name in self.names:
            value = values[name] if name in self.whole else mean_of_components(values[name], self.weights)
            if torch.is_grad_enabled():
                self._lists[name].append(value)
                continue
            if name not in self._arrays:
                self._arrays[name] = value.new_empty((self.n_days, *value.shape))
            self._arrays[name][index] = value

    def series(self) -> dict[str, Tensor]:
        stacked = {name: torch.stack(parts) for name, parts in self._lists.items() if parts}
        return {**self._arrays, **stacked}


def run(
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    stores: Mapping[str, Tensor],
    wanted: Sequence[str],
    whole: Collection[str] = (),
    processes: Mapping[str, Callable[..., Tensor]] | None = None,
    rows: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run HBV through all days, without routing.

    Parameters
    ----------
    forcing
        Precipitation (mm/day), temperature (degC) and potential evapotranspiration (mm/day), each
        (time, space).
    parameters
        All of :data:`DAY_PARAMETERS`: static ones (space, component), dynamic ones
        (row, space, component). ``WEIGHT``, (space, component), if means over components are weighted.
    stores
        All of :data:`STORES` before the first day, (space, component), mm.
    wanted
        Series to record: stores, fluxes of the day or ``runoff``.
    whole
        Those of ``wanted`` that are recorded for every component, instead of as means over components.
    processes
        Modules that replace equations, see :func:`.equations.make_day`. They take and return tensors
        (space, component).
    rows
        Row of the dynamic parameters that applies on each day, (time,), int64, never decreasing.
        By default each day has its own row.

    Returns
    -------
    series
        (time, space), or (time, space, component) for those in ``whole``. Fluxes in mm/day, stores in mm
        at the end of the day.
    stores
        The stores after the last day, (space, component), mm.

    Raises
    ------
    DimensionError
        If a module of ``processes`` returns something else than a tensor of the expected shape.
    """
    precipitation, temperature, pet = (series[..., None].unbind(0) for series in forcing)
    n_days = len(precipitation)
    daily = {name: parameters[name].unbind(0) for name in DAY_PARAMETERS if parameters[name].ndim == 3}
    values = [parameters[name] for name in DAY_PARAMETERS]
    places = [(place, daily[name]) for place, name in enumerate(DAY_PARAMETERS) if name in daily]
    recorder = _Recorder(wanted, n_days, whole, parameters.get(WEIGHT))
    now = tuple(stores[name] for name in STORES)
    step = _day_with(processes)
    row_of = range(n_days) if rows is None else rows.tolist()
    for index in range(n_days):
        for place, series in places:
            values[place] = series[row_of[index]]
        now, fluxes = step(precipitation[index], temperature[index], pet[index], *now, *values)
        kept = dict(zip(STORES, now, strict=True)) | dict(zip(DAY_FLUXES, fluxes, strict=True))
        if "runoff" in recorder.names:
            kept["runoff"] = kept["quick_flow"] + kept["interflow"] + kept["baseflow"]
        recorder.keep(index, kept)
    return recorder.series(), dict(zip(STORES, now, strict=True))

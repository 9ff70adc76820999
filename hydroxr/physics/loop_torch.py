"""The reference loop: the day's equations through time, in torch, in any dtype.

Slow beside a compiled kernel, and the measure of it. Gradients are those of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..errors import DimensionError
from .equations import DAY_FLUXES, DAY_PARAMETERS, STORES, Day, make_day


def _minimum(value: Tensor, other: Tensor | float) -> Tensor:
    return torch.minimum(value, other) if isinstance(other, Tensor) else torch.clamp(value, max=other)


def _maximum(value: Tensor, other: Tensor | float) -> Tensor:
    return torch.maximum(value, other) if isinstance(other, Tensor) else torch.clamp(value, min=other)


day = make_day(_minimum, _maximum, torch.pow, torch.where)


def _day_with(processes: Mapping[str, Callable[..., Tensor]] | None) -> Day:
    """The day, with ``processes`` in the place of equations."""
    if not processes:
        return day

    def checked(name: str, process: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*values: Tensor) -> Tensor:
            values = torch.broadcast_tensors(*values)  # forcing has one value for all components
            result = process(*values)
            expected = values[0].shape
            if not isinstance(result, Tensor) or result.shape != expected:
                found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
                raise DimensionError(
                    f"the process in the place of {name} returned {found}; expected a tensor of shape "
                    f"{tuple(expected)}, (space, component)."
                )
            return result

        return call

    replaced = {name: checked(name, process) for name, process in processes.items()}
    return make_day(_minimum, _maximum, torch.pow, torch.where, replaced=replaced)


class _Recorder:
    """Keeps the wanted series of a run, as component means or whole.

    Without gradients they are written into one array as they come; with gradients they are
    stacked at the end, since torch cannot differentiate through writing in place.
    """

    def __init__(self, names: Sequence[str], n_days: int, components: bool) -> None:
        self.names = tuple(names)
        self.n_days = n_days
        self.components = components
        self._lists: dict[str, list[Tensor]] = {name: [] for name in self.names}
        self._arrays: dict[str, Tensor] = {}

    def keep(self, index: int, values: Mapping[str, Tensor]) -> None:
        for name in self.names:
            value = values[name] if self.components else values[name].mean(-1)
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
    components: bool,
    processes: Mapping[str, Callable[..., Tensor]] | None = None,
    rows: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Walk through the days.

    Parameters
    ----------
    forcing
        Precipitation (mm/day), temperature (degC), potential evapotranspiration (mm/day), each
        (time, space).
    parameters
        Each of :data:`DAY_PARAMETERS`, (space, component) or, where dynamic, (row, space, component).
    stores
        Each of :data:`STORES` before the first day, (space, component), mm.
    wanted
        Which of stores, fluxes of the day and ``runoff`` to record.
    components
        Record every component, else their mean.
    processes
        Modules in the place of equations, see :func:`.hbv.make_day`; they get and return
        (space, component).
    rows
        The row of the dynamic parameters that holds on each day, (time,), int64, not descending from one
        day to the next. Without it each day has a row of its own.

    Returns
    -------
    series
        (time, space), or (time, space, component) with ``components``.
    stores
        After the last day.
    """
    precipitation, temperature, pet = (series[..., None].unbind(0) for series in forcing)
    n_days = len(precipitation)
    daily = {name: parameters[name].unbind(0) for name in DAY_PARAMETERS if parameters[name].ndim == 3}
    values = [parameters[name] for name in DAY_PARAMETERS]
    places = [(place, daily[name]) for place, name in enumerate(DAY_PARAMETERS) if name in daily]
    recorder = _Recorder(wanted, n_days, components)
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

"""The streamflow that a module gives for a batch of cells and days."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...models.filter_network import STEP, FilterNetwork
from ...models.parameter_network import to_parameters
from ...models.streamflow_network import StreamflowNetwork, transform_streamflow
from ...physics.arguments import arrange_parameters, empty_state
from ...physics.parameters import WEIGHT
from ...physics.rivers.learnt import RiverParameters
from ...physics.rivers.routing import Reaches, route
from ...physics.rivers.scheme import DAY, make_scheme
from ...physics.rivers.topology import routing_order, upstream_of
from ...physics.simulation import simulate_tensors
from ..processes import ALONE, Processes
from .arrays import RiverData
from .modules import ConstantParameters, GivesParameters, processes_of
from .protocol import Protocol

_AT_ONCE = 2_000_000  # cells times days that are simulated together with random parameters
_TOGETHER = 50  # random sets of a cell that are simulated together
_NEAR = 0.3  # share of a range within which some are drawn
_EDGE = 0.02  # share of a range, at each end, where none are drawn


def batch_output(
    module: StreamflowNetwork, forcing: Tensor, attributes: Tensor, protocol: Protocol
) -> Tensor:
    """Normalised streamflow of an LSTM after the warm-up, (window, batch).

    Parameters
    ----------
    module : StreamflowNetwork
    forcing : Tensor, (time, batch, forcing)
    attributes : Tensor, (batch, attribute)
    protocol : Protocol
    """
    warmup = protocol.warmup
    hidden, _ = module(forcing, attributes, without_gradient=0 if protocol.warmup_gradient else warmup)
    return module.output(hidden[warmup:])


def block_days(days: Tensor) -> Tensor:
    """The first day of each block among ``days`` (time, batch): in training blocks begin with the window."""
    return days[::STEP]


@torch.no_grad()
def features_of(module: nn.Module, forcing: Tensor) -> Tensor | None:
    """A filter network's inputs on all days, from the whole record (time, cell, forcing) of some cells.

    They are computed once, not for each window.
    """
    if not isinstance(module, FilterNetwork) or not module.description.dynamic:
        return None
    n_days, n_cells = forcing.shape[:2]
    days = torch.arange(n_days, device=forcing.device)
    return module.features(forcing, module.empty_means(n_cells), days)[0]


def batch_parameters(
    module: GivesParameters,
    forcing: Tensor,
    attributes: Tensor,
    cells: Tensor,
    features: Tensor | None = None,
) -> Mapping[str, Tensor]:
    """HBV parameters of a batch.

    The paper's network gives dynamic ones for every day and static ones from the last day. A filter network
    gives dynamic ones for every block of days.

    Parameters
    ----------
    module : ConstantParameters, FilterNetwork or ParameterNetwork
    forcing : Tensor, (time, batch, 3)
    attributes : Tensor, (batch, attribute)
    cells : Tensor, (batch,)
        Index of each cell of the batch.
    features : Tensor, (block, batch, feature), optional
        From which a filter network reads dynamic parameters.

    Returns
    -------
    mapping of Tensor
        Dynamic parameters (time or block, batch, component), static ones (batch, component), and those of
        the routing (batch,).
    """
    if isinstance(module, ConstantParameters):
        return module(cells)
    description = module.description
    if isinstance(module, FilterNetwork):
        return module.parameters_from(attributes, features, description.parameters, cells)
    hidden, _ = module(forcing, attributes)
    static = tuple(name for name in description.parameters if name not in description.dynamic)
    parameters = module.parameters_from(hidden[-1], static)
    return parameters | (module.parameters_from(hidden, description.dynamic) if description.dynamic else {})


def batch_streamflow(
    module: GivesParameters, forcing: Tensor, parameters: Mapping[str, Tensor], protocol: Protocol
) -> Tensor:
    """Streamflow of a batch after its warm-up, (window, batch), mm/day."""
    n_days, n_cells = forcing.shape[:2]
    warmup = protocol.warmup
    rows = torch.arange(n_days)
    if isinstance(module, FilterNetwork):
        rows = rows // STEP
    arranged = arrange_parameters(parameters, (int(rows[-1]) + 1, n_cells))
    state = empty_state(n_cells, arranged["BETA"].shape[-1], routed=True, like=forcing)
    processes = processes_of(module)

    def run(first: int, last: int, held: Tensor, outputs: tuple[str, ...]) -> Any:
        days = forcing[first:last]
        series = (days[..., 0], days[..., 1], days[..., 2])
        return simulate_tensors(series, arranged, state, outputs, processes=processes, rows=held)

    if not warmup or (protocol.warmup_gradient and protocol.warmup_parameters == "daily"):
        return run(0, n_days, rows, ("streamflow",))[0]["streamflow"][warmup:]
    before = rows[:warmup]
    if protocol.warmup_parameters == "last day":
        before = before[-1:].expand(warmup)
    with nullcontext() if protocol.warmup_gradient else torch.no_grad():
        _, state = run(0, warmup, before, ())
    return run(warmup, n_days, rows[warmup:], ("streamflow",))[0]["streamflow"]


@torch.no_grad()
def begin_with_best(
    module: ConstantParameters,
    forcing: Tensor,
    observed: Tensor,
    protocol: Protocol,
    own: np.ndarray | None = None,
    processes: Processes = ALONE,
) -> None:
    """Give each cell the best of ``protocol.draws`` random sets of parameters; components lie around it.

    The best set has the least squared errors of streamflow and of transformed streamflow, each relative to
    the variance of the observations.

    Parameters
    ----------
    module : ConstantParameters
    forcing : Tensor, (time, cell, 3)
    observed : Tensor, (time, cell)
        mm/day, NaN where missing.
    protocol : Protocol
    own : array of int, (cell,), optional
        The cells that forcing and streamflow are of, where other processes have others; all draw alike.
    processes : Processes
    """
    single = replace(module.description, components=1)
    n_days, n_cells = len(observed), len(module.logits)
    own = np.arange(n_cells) if own is None else own
    row = torch.full((n_cells,), -1, device=forcing.device)
    row[torch.from_numpy(own)] = torch.arange(len(own), device=forcing.device)
    best = forcing.new_full((len(own), single.size), 0.5)
    least = forcing.new_full((len(own),), torch.inf)
    for group in row.split(max(1, _AT_ONCE // n_days)):
        cells = group[group >= 0]
        days = observed[protocol.warmup :, cells]
        together = min(_TOGETHER, max(1, _AT_ONCE // (n_days * len(group))))
        for first in range(0, protocol.draws, together):
            rounds = min(together, protocol.draws - first)
            drawn = forcing.new_empty(rounds, len(group), single.size).uniform_(_EDGE, 1.0 - _EDGE)
            drawn = drawn[:, group >= 0]
            if not len(cells):
                continue
            if first:  # every other one lies near the best so far
                drawn[::2] = (best[cells] + _NEAR * (drawn[::2] - 0.5)).clamp(_EDGE, 1.0 - _EDGE)
            parameters = to_parameters(torch.logit(drawn).flatten(0, 1), single)
            flow = batch_streamflow(module, forcing[:, cells.repeat(rounds)], parameters, protocol)
            flow = flow.unflatten(1, (rounds, len(cells)))
            error = _relative_error(flow, days[:, None]) + _relative_error(
                transform_streamflow(flow), transform_streamflow(days[:, None])
            )
            error, at = error.nan_to_num(torch.inf).min(0)
            better = error < least[cells]
            least[cells[better]] = error[better]
            best[cells[better]] = drawn[at, torch.arange(len(cells), device=at.device)][better]
    found = torch.from_numpy(processes.of_all(own, best.cpu().numpy().T)).T
    best = found.contiguous().to(forcing)
    widths = torch.tensor(list(module.description.widths.values()), device=best.device)
    weights = torch.tensor([name == WEIGHT for name in single.parameters], device=best.device)
    centre = torch.logit(best.where(~weights, 0.5)).repeat_interleave(widths, 1)
    module.logits.mul_((widths > 1).repeat_interleave(widths)).add_(centre)


def _relative_error(simulated: Tensor, observed: Tensor) -> Tensor:
    """Mean squared error over the variance of the observations, (draw, cell)."""
    spread = ((observed - observed.nanmean(0)) ** 2).nanmean(0)
    return ((simulated - observed) ** 2).nanmean(0) / spread


def cells_above(rivers: RiverData, gauges: np.ndarray) -> np.ndarray:
    """Cells whose water passes one of the gauges, by number."""
    return np.unique(rivers.cell[upstream_of(rivers.gauges[gauges], rivers.below)[rivers.reach]])


def gauges_above(rivers: RiverData, gauge: int) -> np.ndarray:
    """The gauges whose water passes a gauge, itself included, by number."""
    return np.flatnonzero(upstream_of(rivers.gauges[[gauge]], rivers.below)[rivers.gauges])


def at_gauges(
    module: RiverParameters, rivers: RiverData, gauges: np.ndarray, cells: np.ndarray, streamflow: Tensor
) -> Tensor:
    """Discharge at gauges, mm/day over the area above, (time, gauge); the reaches are empty at first.

    Parameters
    ----------
    module : RiverParameters
    rivers : RiverData
    gauges : array of int, (gauge,)
    cells : array of int, (cell,)
        Those of :func:`cells_above`.
    streamflow : Tensor, (time, cell)
        mm/day.
    """
    inside = upstream_of(rivers.gauges[gauges], rivers.below)
    number = np.cumsum(inside) - 1  # of reaches within the part
    below = rivers.below[inside]
    below = np.where((below >= 0) & inside[below], number[below], -1)
    pairs = inside[rivers.reach]
    into, area = torch.from_numpy(number[rivers.reach[pairs]]), torch.from_numpy(rivers.area[pairs])
    given = streamflow.cpu().double().T[np.searchsorted(cells, rivers.cell[pairs])] * area[:, None]
    depth = given.new_zeros((len(below), len(streamflow))).index_add(0, into, given)  # mm/day times m2
    k, x = (values.cpu()[torch.from_numpy(inside)] for values in module())
    used = (k.detach().numpy(), x.detach().numpy())
    reaches = Reaches.alone(below, make_scheme("muskingum", *used, below, routing_order(below)))
    discharge = route(depth / (1000.0 * DAY), k, x, reaches)[0][number[rivers.gauges[gauges]]]
    above = [
        area[torch.from_numpy(upstream_of(number[[at]], below))[into]].sum() for at in rivers.gauges[gauges]
    ]
    return (discharge * (1000.0 * DAY) / torch.stack(above)[:, None]).T.to(streamflow)

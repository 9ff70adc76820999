"""The streamflow that a module gives for a batch of cells and days."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ...models.streamflow_network import StreamflowNetwork
from ...physics.arguments import arrange_parameters, empty_state
from ...physics.simulation import simulate_tensors
from .modules import ConstantParameters, GivesParameters, processes_of
from .protocol import Protocol


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


def batch_parameters(
    module: GivesParameters, forcing: Tensor, attributes: Tensor, cells: Tensor
) -> Mapping[str, Tensor]:
    """HBV parameters of a batch: dynamic ones for every day, static ones from the last day.

    Parameters
    ----------
    module : ConstantParameters or ParameterNetwork
    forcing : Tensor, (time, batch, 3)
    attributes : Tensor, (space, attribute)
    cells : Tensor, (batch,)
        Index of each cell of the batch.

    Returns
    -------
    mapping of Tensor
        Dynamic parameters (time, batch, component), static ones (batch, component), routing (batch,).
    """
    if isinstance(module, ConstantParameters):
        return module(cells)
    description = module.description
    hidden, _ = module(forcing, attributes[cells])
    static = tuple(name for name in description.parameters if name not in description.dynamic)
    parameters = module.parameters_from(hidden[-1], static)
    return parameters | (module.parameters_from(hidden, description.dynamic) if description.dynamic else {})


def batch_streamflow(
    module: GivesParameters, forcing: Tensor, parameters: Mapping[str, Tensor], protocol: Protocol
) -> Tensor:
    """Streamflow of a batch after its warm-up, (window, batch), mm/day."""
    n_days, n_cells = forcing.shape[:2]
    warmup = protocol.warmup
    arranged = arrange_parameters(parameters, (n_days, n_cells))
    state = empty_state(n_cells, arranged["BETA"].shape[-1], routed=True, like=forcing)
    processes = processes_of(module)

    def run(first: int, last: int, of: Mapping[str, Tensor], outputs: tuple[str, ...]) -> Any:
        days = forcing[first:last]
        return simulate_tensors(
            (days[..., 0], days[..., 1], days[..., 2]), of, state, outputs, processes=processes
        )

    if not warmup or (protocol.warmup_gradient and protocol.warmup_parameters == "daily"):
        return run(0, n_days, arranged, ("streamflow",))[0]["streamflow"][warmup:]
    before, after = {}, {}
    for name, value in arranged.items():
        varies = value.ndim == 3
        last_day = protocol.warmup_parameters == "last day"
        before[name] = value if not varies else value[warmup - 1] if last_day else value[:warmup]
        after[name] = value[warmup:] if varies else value
    with nullcontext() if protocol.warmup_gradient else torch.no_grad():
        _, state = run(0, warmup, before, ())
    return run(warmup, n_days, after, ("streamflow",))[0]["streamflow"]

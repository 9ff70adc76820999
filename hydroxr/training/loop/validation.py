"""Validation during training: NSE of a continuous simulation of days or cells kept out of training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ...metrics.arrays import nse
from ...models.filter_network import Blocks, FilterNetwork
from ...models.parameter_network import ParameterNetwork, RegionalNetwork, numbers_of_pass
from ...models.streamflow_network import StreamflowNetwork
from ...physics.arguments import arrange_parameters, empty_state
from ...physics.simulation import simulate_tensors
from ..processes import ALONE, Processes
from .arrays import ShardedValidation, ValidationData
from .modules import ConstantParameters, Trainable, processes_of

_BUDGET = 200e6  # bytes of working memory


def median_nse(
    module: Trainable,
    data: ValidationData | ShardedValidation,
    device: str,
    processes: Processes = ALONE,
) -> float:
    """Median NSE of simulated streamflow over the cells; leaves the module in training mode.

    Cells with constant observations have no NSE. The result is -inf if no cell has one.
    """
    module.eval()
    try:
        with torch.no_grad():
            own = [_scores(module, block, device) for block in data.blocks()]
    finally:
        module.train()
    scores = np.concatenate(processes.gathered(np.concatenate(own)))
    if np.isnan(scores).all():
        return -np.inf
    return float(np.nanmedian(scores))


def _scores(module: Trainable, data: ValidationData, device: str) -> np.ndarray:
    """NSE of each cell, (cell,)."""
    parts = [simulate_piece(module, data, piece, device) for piece in _pieces(module, data)]
    return nse(np.concatenate(parts, axis=1), data.observed) if parts else np.empty(0)


def simulate_piece(module: Trainable, data: ValidationData, piece: slice, device: str) -> np.ndarray:
    """Streamflow of the cells in ``piece``, (time, cell), mm/day; starts from nearly empty stores."""

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    forcing = tensor(data.forcing[:, piece])
    attributes = tensor(data.attributes[piece])
    if isinstance(module, StreamflowNetwork):
        return module.daily_streamflow(forcing, attributes)[0].cpu().numpy()
    rows: Tensor | None = None
    if isinstance(module, ConstantParameters):
        parameters: dict[str, Tensor] = module(tensor(data.places[piece]))
    elif isinstance(module, FilterNetwork):
        blocks = Blocks.of(data.days_of_year)
        features, rows = None, blocks.rows
        if module.description.dynamic:
            empty = module.empty_means(forcing.shape[1])
            features, _ = module.features(forcing, empty, blocks.starts.to(device))
        places = tensor(data.places[piece])
        parameters = module.parameters_from(attributes, features, module.description.parameters, places)
    else:
        dynamic = module.description.dynamic
        static = tuple(name for name in module.description.parameters if name not in dynamic)
        parameters = module.last_parameters(tensor(data.window[:, piece]), attributes, static)
        if dynamic:
            parameters |= module.daily_parameters(forcing, attributes)[0]
    n_rows = len(forcing) if rows is None else int(rows[-1]) + 1
    arranged = arrange_parameters(parameters, (n_rows, forcing.shape[1]))
    state = empty_state(forcing.shape[1], arranged["BETA"].shape[-1], routed=True, like=forcing)
    series, _ = simulate_tensors(
        (forcing[..., 0], forcing[..., 1], forcing[..., 2]),
        arranged,
        state,
        ("streamflow",),
        processes=processes_of(module),
        rows=rows,
    )
    return series["streamflow"].cpu().numpy()


def _pieces(module: Trainable, data: ValidationData) -> Iterator[slice]:
    """Slices of cells that fit into the memory budget."""
    description = module.description
    n_days, n_cells = data.observed.shape
    numbers = n_days * (3 + len(description.forcing))
    if isinstance(module, ConstantParameters | ParameterNetwork):
        numbers += n_days * 2 * module.description.components * len(module.description.dynamic)
    if isinstance(module, RegionalNetwork):
        numbers += numbers_of_pass(n_days, description.hidden)
    size = max(1, int(_BUDGET / (4 * numbers)))
    for first in range(0, n_cells, size):
        yield slice(first, min(first + size, n_cells))

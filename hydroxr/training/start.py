"""Begin a training from the weights of another model, whose cells and attributes may be others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DescriptionError
from ..models.filter_network import FilterNetwork
from ..models.model import RIVERS

# Layers that read attributes, in their last columns.
_READ_ATTRIBUTES = ("static.0.weight", "read.weight", "encode.weight")
_OF_ATTRIBUTES = ("attribute_mean", "attribute_std")
_OFFSETS, _OF_OTHER_CELLS = "offsets", "offset_attributes"


@dataclass(frozen=True)
class Start:
    """Where a training begins.

    Parameters
    ----------
    weights : mapping of array
        Of a model with the same layers.
    places : tuple of int
        For each attribute of the new model its place among those of the weights; -1 if they do not know it.
    rows : array of int, (space,)
        For each training cell its place among the offsets of the weights; -1 if they do not know it.
    frozen : tuple of str
        Parts that the training does not change, by the beginning of their names.
    """

    weights: Mapping[str, np.ndarray]
    places: tuple[int, ...]
    rows: np.ndarray
    frozen: tuple[str, ...] = ()


def adopt(module: nn.Module, start: Start, attributes: Tensor) -> None:
    """Give a module the weights of ``start``, and hold its frozen parts.

    Attributes that the weights do not know have no effect at first, and the normalisation of the new data.
    Where they know none, see :func:`_renew_idle`.

    Parameters
    ----------
    module : Module
        With the normalisation of the new data.
    start : Start
    attributes : Tensor, (space, attribute)
        Those of the training cells.

    Raises
    ------
    DescriptionError
        If a frozen part does not exist.
    """
    places = np.array(start.places, dtype=int)
    known = np.flatnonzero(places >= 0)
    state = module.state_dict()
    fresh = {name: own.clone() for name, own in state.items()}
    for name, own in state.items():
        if name == _OF_OTHER_CELLS or name.startswith(RIVERS):  # K and X begin with those of the network
            continue
        if name == _OFFSETS:
            cells = np.flatnonzero(start.rows >= 0)
            if len(cells):
                own[cells] = torch.as_tensor(start.weights[name][start.rows[cells]]).to(own)
            continue
        old = torch.as_tensor(np.array(start.weights[name])).to(own)
        if name in _OF_ATTRIBUTES:
            own[known] = old[places[known]]
        elif name in _READ_ATTRIBUTES:
            before = own.shape[1] - len(places)
            own[:, :before] = old[:, :before]
            own[:, before:] = 0.0
            own[:, before + known] = old[:, before + places[known]]
        else:
            own.copy_(old)
    if isinstance(module, FilterNetwork) and not len(known):
        _renew_idle(state, fresh)
    module.load_state_dict(state)
    if isinstance(module, FilterNetwork):
        module.know_cells(attributes)
    names = [name for name, _ in module.named_parameters()]
    for part in start.frozen:
        if not any(name.startswith(part) for name in names):
            raise DescriptionError(
                f"frozen has {part!r}, and the model has no such part; its parts are "
                f"{', '.join(dict.fromkeys(name.partition('.')[0] for name in names))}."
            )
    for name, value in module.named_parameters():
        value.requires_grad_(not name.startswith(start.frozen) if start.frozen else True)


def _renew_idle(state: dict[str, Tensor], fresh: dict[str, Tensor]) -> None:
    """Let hidden units that the mean cell leaves at 0 begin anew, without effect at first.

    Where no attribute is known, no attribute reaches a unit, so that one that is 0 would stay 0 for all
    cells and never learn: 19 of 20 units of models that were trained on hundreds of catchments.
    """
    values = torch.zeros_like(state["attribute_mean"])
    layers = ("static.0", "static.1", "decode")
    for layer, following in pairwise(layers):
        weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
        values = torch.relu(weight @ values + bias)
        idle = values == 0.0
        state[f"{following}.weight"][:, idle] = 0.0
        for part, name in ((weight, f"{layer}.weight"), (bias, f"{layer}.bias")):
            part[idle] = fresh[name][idle]

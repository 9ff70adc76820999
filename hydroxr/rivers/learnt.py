"""What a model has learnt about reaches: K and X in place of those that a network came with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DescriptionError, MissingVariableError, NetworkError, ValueRangeError
from ..models.model import RIVERS, Model
from .checks import COLUMNS, REACH

Network = Any  # a RiverNetwork, which imports this module

_USUAL_X = 0.2
_A_DAY = 86400.0  # m, at 1 m/s


def start_of(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """K (days) and X that a training begins with, both (reach,)."""
    if "travel_time" in network:
        k = network.values("travel_time")
    elif "length" in network:
        k = network.values("length") / _A_DAY
    else:
        raise MissingVariableError(
            "the network lacks 'travel_time' and 'length'; expected one of them, to begin with."
        )
    return k, network.values("x") if "x" in network else np.full(len(network), _USUAL_X)


def attributes_of(network: Network, names: Sequence[str]) -> np.ndarray:
    """Attributes of reaches, (reach, attribute); logarithms of those that are above 0 everywhere."""
    columns = []
    for name in names:
        if name not in network:
            raise MissingVariableError(f"the network lacks {name!r}, which K and X are to be read from.")
        given = network.table[name]
        values = network.values(name) if name in COLUMNS else given.values.astype(float)
        if given.dims != (REACH,) or not np.isfinite(values).all():
            raise ValueRangeError(
                f"{name!r} of the network is missing in some reach; expected a number in each."
            )
        columns.append(np.log(values) if (values > 0).all() else values)
    return np.stack(columns, axis=1) if columns else np.zeros((len(network), 0))


def learnt(network: Network, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """K (days) and X, both (reach,); see :meth:`hydroxr.RiverNetwork.learnt`."""
    import torch

    from ..physics.rivers.learnt import RiverParameters

    weights = {
        name.removeprefix(RIVERS): torch.from_numpy(array.copy())
        for name, array in model.weights.items()
        if name.startswith(RIVERS)
    }
    facts = model.training.get("rivers")
    if not weights or facts is None:
        raise DescriptionError(
            "the model was not trained through rivers; expected one of ds.hbv.fit(..., rivers=network)."
        )
    names = facts["attributes"]
    if not names and facts["network"] != network.digest:
        raise NetworkError(
            "the model has K and X of each reach of another network; expected the one that it was trained "
            "with. Train with reach_attributes=(...) to have K and X of any reach."
        )
    parts = (*start_of(network), attributes_of(network, names))
    module = RiverParameters(*map(torch.from_numpy, parts))
    module.load_state_dict(weights)
    with torch.no_grad():
        k, x = module()
    return k.numpy(), x.numpy()

"""Checks and arranges the arguments of a simulation: forcing, parameters, initial state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import DimensionError, ParameterError, StateError
from .equations import CHANNEL, INITIAL_STORAGE, LEADS, SOIL_FLOOR, STORES
from .parameters import ALL_PARAMETERS, PER_CELL, REQUIRED, ROUTING, WEIGHT, check_bounds

_WEIGHT_GAP = 1e-4  # by which weights may miss 1


def empty_state(n_cells: int, n_components: int, *, routed: bool, like: Tensor) -> dict[str, Tensor]:
    """The default initial state: nearly empty stores and an empty channel, mm."""
    state = {name: like.new_full((n_cells, n_components), INITIAL_STORAGE) for name in STORES}
    if routed:
        state[CHANNEL] = like.new_zeros((n_cells, LEADS))
    return state


def mean_of_components(values: Any, weights: Any = None) -> Any:
    """Mean over the last axis; ``weights``, (space, component), sum to 1 over components."""
    return values.mean(-1) if weights is None else (values * weights).sum(-1)


def total_storage(state: Mapping[str, Any], weights: Any = None) -> Any:
    """All water of a state, (space,), mm: means of the stores over components, plus the channel."""
    stored = sum(mean_of_components(state[name], weights) for name in STORES)
    return stored + state[CHANNEL].sum(-1) if CHANNEL in state else stored


def arrange_parameters(given: Mapping[str, Tensor], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Give every parameter of the day a component axis, and BETAET and C their defaults.

    Parameters
    ----------
    given : mapping of Tensor
        Shapes as in :func:`~hydroxr.physics.simulation.simulate`.
    shape : tuple of int
        Shape of the forcing, (time, space).

    Returns
    -------
    dict
        Parameters (space, component) or (time, space, component); those of routing (space,), or both
        (space, component); those of corrections (space,).

    Raises
    ------
    ParameterError
        If a parameter is unknown or missing, or its shape does not fit the forcing or the others.
    """
    unknown = [name for name in given if name not in ALL_PARAMETERS]
    if unknown:
        raise ParameterError(f"parameter {unknown[0]!r} is not known; expected {', '.join(ALL_PARAMETERS)}.")
    absent = [name for name in REQUIRED if name not in given]
    if absent:
        raise ParameterError(
            f"parameters {', '.join(absent)} are missing; all of {', '.join(REQUIRED)} are needed."
        )
    if len([name for name in ROUTING if name in given]) == 1:
        raise ParameterError(
            f"routing needs both {' and '.join(ROUTING)}; give both, or neither to leave runoff unrouted."
        )
    n_days, n_cells = shape
    _check_unambiguous({name: tuple(value.shape) for name, value in given.items()}, n_days, n_cells)
    arranged = {name: _with_components(name, value, n_days, n_cells) for name, value in given.items()}
    counts = {name: value.shape[-1] for name, value in arranged.items() if name not in PER_CELL}
    n_components = max(counts.values())
    if n_components < 1:
        raise ParameterError("the parameters have 0 components; expected at least one.")
    for name, count in counts.items():
        if count not in (1, n_components):
            raise ParameterError(
                f"{name} has {count} components, others have {n_components}; expected 1 or {n_components}."
            )
    for name in counts:
        arranged[name] = arranged[name].expand(*arranged[name].shape[:-1], n_components)
    if any(arranged[name].ndim > 1 for name in ROUTING if name in arranged):  # for each component
        for name in ROUTING:
            arranged[name] = _of_each(name, arranged[name].reshape(n_cells, -1), n_components)
    if WEIGHT in arranged:
        arranged[WEIGHT] = _summing_to_one(arranged[WEIGHT])
    like = arranged["BETA"] if arranged["BETA"].ndim == 2 else arranged["BETA"][0]
    arranged.setdefault("BETAET", torch.ones_like(like))
    arranged.setdefault("C", torch.zeros_like(like))
    return arranged


def _summing_to_one(weights: Tensor) -> Tensor:
    """Weights without their rounding: those of a network miss 1 by 1e-7, and so would the water."""
    total = weights.sum(-1, keepdim=True)
    return torch.where((total.detach() - 1.0).abs() <= _WEIGHT_GAP, weights / total, weights)


def _of_each(name: str, value: Tensor, n_components: int) -> Tensor:
    if value.shape[-1] not in (1, n_components):
        raise ParameterError(
            f"{name} has shape {tuple(value.shape)}; expected (space,) or (space, component) with space = "
            f"{len(value)} and component = {n_components}."
        )
    return value.expand(-1, n_components)


def check_parameters(arranged: Mapping[str, Tensor]) -> None:
    """Check that all values are finite and within the limits of the equations.

    Raises
    ------
    ParameterError
        If they are not.
    """
    for name, value in arranged.items():
        detached = value.detach()
        if not bool(torch.isfinite(detached).all()):
            raise ParameterError(f"{name} has values that are not finite; expected a number everywhere.")
        dtype = str(value.dtype).removeprefix("torch.")
        check_bounds(name, float(detached.min()), float(detached.max()), dtype)
    if WEIGHT in arranged:
        gap = float((arranged[WEIGHT].detach().sum(-1) - 1.0).abs().max())
        if gap > _WEIGHT_GAP:
            raise ParameterError(
                f"{WEIGHT} misses a sum of 1 over components by {gap:.2g}; expected weights that sum to 1 in "
                "each cell: divide them by their sum."
            )


def _check_unambiguous(shapes: Mapping[str, tuple[int, ...]], n_days: int, n_cells: int) -> None:
    """Refuse a matrix that may be (space, component) or (time, space).

    This happens when there are as many days as cells. The matrix counts as (space, component) if other
    parameters have as many components; otherwise only the caller can tell.
    """
    if n_days != n_cells or n_cells == 1:
        return
    square = [name for name, shape in shapes.items() if shape == (n_cells, n_cells)]
    others = [shape for name, shape in shapes.items() if name not in (*square, *PER_CELL)]
    if square and others and not any(len(shape) > 1 and shape[-1] == n_cells for shape in others):
        raise ParameterError(
            f"{square[0]} has shape {shapes[square[0]]}, which may be (space, component) or (time, space) "
            "here; give every parameter a component axis, of length 1 if there are no components."
        )


def _with_components(name: str, value: Tensor, n_days: int, n_cells: int) -> Tensor:
    shape = tuple(value.shape)
    if name in PER_CELL:
        if shape == (n_cells,) or (name in ROUTING and len(shape) == 2 and shape[0] == n_cells):
            return value
        raise ParameterError(
            f"{name} has shape {shape}; expected (space,) = ({n_cells},), one value per cell"
            f"{', or (space, component)' if name in ROUTING else ''}."
        )
    if name == WEIGHT and (len(shape) != 2 or shape[0] != n_cells):
        raise ParameterError(
            f"{name} has shape {shape}; expected (space, component) with space = {n_cells}, without time."
        )
    if (len(shape) == 2 and shape[0] == n_cells) or (len(shape) == 3 and shape[:2] == (n_days, n_cells)):
        return value
    if shape in ((n_cells,), (n_days, n_cells)):
        return value[..., None]
    raise ParameterError(
        f"{name} has shape {shape}; expected (space[, component]) or (time, space[, component]) "
        f"with time = {n_days} and space = {n_cells}."
    )


def checked_forcing(precipitation: Tensor, temperature: Tensor, pet: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three series if all have the same shape, (time, space).

    Raises
    ------
    DimensionError
        If a series has other dimensions, another shape than the others, or no days or cells.
    """
    for name, value in (("precipitation", precipitation), ("temperature", temperature), ("pet", pet)):
        if value.ndim != 2:
            raise DimensionError(f"{name} has {value.ndim} dimensions; expected two, (time, space).")
        if value.shape != precipitation.shape:
            raise DimensionError(
                f"{name} has shape {tuple(value.shape)}, precipitation {tuple(precipitation.shape)}; "
                "expected the same."
            )
    if 0 in precipitation.shape:
        raise DimensionError(
            f"the forcing has shape {tuple(precipitation.shape)}; expected at least one day and one cell."
        )
    return precipitation, temperature, pet


def checked_state(
    given: Mapping[str, Tensor] | None, forcing: Tensor, n_components: int, *, routed: bool
) -> dict[str, Tensor]:
    """The initial state: ``given`` after checks, or the default if that is None.

    Raises
    ------
    StateError
        If a part is unknown, missing, of the wrong shape, negative or not finite, or if there is water
        in the channel but no routing.
    """
    n_cells = forcing.shape[1]
    default = empty_state(n_cells, n_components, routed=routed, like=forcing)
    if given is None:
        return default
    unknown = [name for name in given if name not in (*STORES, CHANNEL)]
    if unknown:
        raise StateError(
            f"the initial state has {unknown[0]!r}, which is unknown; expected {', '.join(default)}."
        )
    absent = [name for name in default if name not in given]
    if absent:
        raise StateError(
            f"the initial state lacks {', '.join(absent)}; give the complete state of an earlier run."
        )
    if not routed and CHANNEL in given and bool((given[CHANNEL] != 0).any()):
        raise StateError(
            f"the initial state has water in {CHANNEL!r}, but the parameters lack UH_SHAPE and UH_SCALE to "
            "route it; give both."
        )
    state = {}
    for name, pattern in default.items():
        if given[name].shape != pattern.shape:
            raise StateError(
                f"state {name!r} has shape {tuple(given[name].shape)}; expected {tuple(pattern.shape)}."
            )
        if not bool(torch.isfinite(given[name]).all()) or bool((given[name] < 0).any()):
            raise StateError(
                f"state {name!r} has values that are negative or not finite; expected mm of water, 0 or more."
            )
        state[name] = given[name]
    state["soil_moisture"] = torch.clamp(state["soil_moisture"], min=SOIL_FLOOR)
    return state

"""Types of the options of a training, for checkers and editors."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import xarray as xr

if TYPE_CHECKING:
    from distributed import Client

    from ..models.model import Model
    from ..rivers.network import RiverNetwork


class FitOptions(TypedDict, total=False):
    """Options of ``ds.hbv.fit`` that do not change the type of the result; its docstring explains them."""

    attributes: Sequence[str] | None
    time: slice | None
    iterations: int | None
    batch: int | None
    window: int | None
    warmup: int | None
    seed: int
    device: str
    progress: bool
    optimizer: Literal["adam", "adadelta"] | None
    learning_rate: float | None
    preset: Literal["default", "long", "paper"]
    loss: str | Mapping[str, float] | Callable[..., Any] | None
    validation: slice | xr.DataArray | Sequence[Any] | None
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int | timedelta | None
    resume: str | os.PathLike[str] | None
    client: Client | None
    schedule: Literal["cosine", "constant"] | None
    epochs: int | None
    warmup_gradient: bool | None
    warmup_parameters: Literal["daily", "last day"] | None
    dropout: float | None
    attribute_noise: float | None
    draws: int | None
    clip: float | Literal["preset"] | None
    precision: Literal["auto", "float32", "bfloat16"] | None
    validate_every: int | None
    patience: int | None
    missing: Literal["raise", "drop"]
    rivers: RiverNetwork | None
    gauges: Mapping[Hashable, Hashable] | None
    weights: xr.Dataset | xr.DataArray | None
    reach_attributes: Sequence[str]
    start: Model | None
    frozen: Sequence[str]
    memory: str | float | None

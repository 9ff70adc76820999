"""Helpers for the autograd functions of the compiled kernels, which have first derivatives only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from ..errors import DescriptionError

Backward = Callable[..., tuple[Tensor | None, ...]]


def first_only(backward: Backward) -> Backward:
    """Make the ``backward`` of an autograd function refuse to be differentiated itself.

    Otherwise second derivatives would silently be 0.

    Raises
    ------
    DescriptionError
        When the gradient is computed with ``create_graph=True``.
    """

    @wraps(backward)
    def checked(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise DescriptionError(
                "the compiled kernels have no second derivatives (create_graph=True); use backend='torch'."
            )
        return backward(ctx, *cotangents)

    return checked


def saveable(tensors: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """Tensors that autograd can save: it cannot save inference tensors, so these are copied."""
    return tuple(
        tensor.clone() if tensor is not None and tensor.is_inference() else tensor for tensor in tensors
    )

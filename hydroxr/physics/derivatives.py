"""What the compiled functions have of derivatives: the first ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from ..errors import DescriptionError

Backward = Callable[..., tuple[Tensor | None, ...]]


def first_only(backward: Backward) -> Backward:
    """An autograd function's ``backward``, which refuses to be differentiated itself.

    Else the gradient of a gradient would be that of a constant, without a word.
    """

    @wraps(backward)
    def checked(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise DescriptionError(
                "the compiled kernels have no second derivatives (create_graph=True); use backend='torch'."
            )
        return backward(ctx, *cotangents)

    return checked


def saveable(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Tensors that autograd can keep: copies of those made under ``torch.inference_mode``."""
    return tuple(tensor.clone() if tensor.is_inference() else tensor for tensor in tensors)

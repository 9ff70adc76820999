"""Minimise many small problems at once, each on its own: L-BFGS over a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MEMORY = 8  # pairs of steps and changes of the gradient that are kept
_TRIES = 6  # step lengths that are tried per iteration
_SUFFICIENT = 1e-4  # share of the expected decrease that a step must reach (Armijo)
_SHORTER = 0.25
_CURVED = 1e-12  # pairs with less curvature tell nothing


def minimise(cost: Callable[[Tensor], Tensor], start: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Minimise each row of ``cost`` (Nocedal & Wright, 2006, algorithm 7.4, with backtracking).

    Parameters
    ----------
    cost : function
        Gives the costs (problem,) of controls (problem, control). A cost depends on its own row alone.
    start : Tensor, (problem, control)
    iterations : int
        At most.

    Returns
    -------
    controls : Tensor, (problem, control)
    costs : Tensor, (problem,)
        Never higher than at the start.
    """
    here, value, slope = start, *_evaluated(cost, start)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    scale = 1.0 / slope.norm(dim=1, keepdim=True).clamp_min(1.0)
    for _ in range(iterations):
        direction = -_times_inverse_hessian(slope, pairs, scale)
        gain = (slope * direction).sum(1)
        direction = torch.where((gain < 0)[:, None], direction, -slope)
        there, lower, gradient, moved = _step(cost, here, value, slope, direction)
        if not moved.any():
            break
        step, change = there - here, gradient - slope
        curvature = (step * change).sum(1)
        size = (change * change).sum(1)
        known = curvature > _CURVED * size.clamp_min(_CURVED)
        weight = torch.where(known, 1.0 / torch.where(known, curvature, 1.0), 0.0)
        pairs = [*pairs, (step, change, weight)][-_MEMORY:]
        scale = torch.where(known, curvature / size.clamp_min(_CURVED), scale[:, 0])[:, None]
        here, value, slope = there, lower, gradient
    return here, value


def _evaluated(cost: Callable[[Tensor], Tensor], controls: Tensor) -> tuple[Tensor, Tensor]:
    """Costs and their gradients."""
    with torch.enable_grad():
        given = controls.detach().requires_grad_()
        values = cost(given)
        (gradient,) = torch.autograd.grad(values.sum(), given)
    return values.detach(), gradient


def _step(
    cost: Callable[[Tensor], Tensor], here: Tensor, value: Tensor, slope: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The first of ever shorter steps that lowers each cost enough; problems without one stay."""
    expected = (slope * direction).sum(1)
    length = torch.ones_like(value)
    there, lower, gradient = here, value, slope
    moved = torch.zeros_like(value, dtype=torch.bool)
    still = expected >= 0  # at a minimum
    for _ in range(_TRIES):
        trial = torch.where(moved[:, None], there, here + length[:, None] * direction)
        found, its_slope = _evaluated(cost, trial)
        fine = (found <= value + _SUFFICIENT * length * expected) & ~moved & ~still
        there = torch.where(fine[:, None], trial, there)
        lower = torch.where(fine, found, lower)
        gradient = torch.where(fine[:, None], its_slope, gradient)
        moved |= fine
        if (moved | still).all():
            break
        length = torch.where(moved, length, _SHORTER * length)
    return there, lower, gradient, moved


def _times_inverse_hessian(
    slope: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]], scale: Tensor
) -> Tensor:
    """The gradient times the approximate inverse Hessian, by the two-loop recursion."""
    out, kept = slope, []
    for step, change, weight in reversed(pairs):
        share = weight * (step * out).sum(1)
        out = out - share[:, None] * change
        kept.append(share)
    out = scale * out
    for (step, change, weight), share in zip(pairs, reversed(kept), strict=True):
        out = out + (share - weight * (change * out).sum(1))[:, None] * step
    return out

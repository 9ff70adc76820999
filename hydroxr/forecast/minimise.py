"""Minimise many small problems at once, each on its own: L-BFGS over a batch.

Each evaluation counts for every problem: one accepts its step and takes the next direction, another
tries a shorter step. A problem that has converged leaves the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Cost = Callable[[Tensor], Tensor]  # of controls (problem, control), (problem,)

_MEMORY = 8  # pairs of steps and changes of the gradient that are kept
_TRIES = 6  # step lengths that are tried in one direction, and then along the gradient
_SUFFICIENT = 1e-4  # share of the expected decrease that a step must reach (Armijo)
_SHORTER = (0.1, 0.5)  # of the length that failed, at least and at most
_CURVED = 1e-12  # pairs with less curvature tell nothing
_CONVERGED = 1e-9  # share of the cost; a smaller decrease ends a problem
_LEAVE = 0.25  # share of a batch that has converged before it becomes smaller


def minimise(
    cost: Cost,
    start: Tensor,
    iterations: int,
    part: Callable[[Tensor], Cost] | None = None,
    converged: float = _CONVERGED,
) -> tuple[Tensor, Tensor]:
    """Minimise each row of ``cost`` (Nocedal & Wright, 2006, algorithm 7.4, with backtracking).

    Parameters
    ----------
    cost : function
        Gives the costs (problem,) of controls (problem, control). A cost depends on its own row alone.
    start : Tensor, (problem, control)
    iterations : int
        Evaluations of the cost and its gradient after the first, at most.
    part : function, optional
        Gives the cost function of the problems at some positions, (some,). Default: ``cost`` takes any rows.
    converged : float
        A problem ends when a step lowers its cost by a smaller share than this.

    Returns
    -------
    controls : Tensor, (problem, control)
    costs : Tensor, (problem,)
        Never higher than at the start.
    """
    best, lowest = start.clone(), torch.empty_like(start[:, 0])
    here, (value, slope), rows = start, _evaluated(cost, start), torch.arange(len(start))
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    scale = 1.0 / slope.norm(dim=1).clamp_min(1.0)
    length, tries = torch.ones_like(value), torch.zeros_like(value)
    done = ~(slope.norm(dim=1) > 0)  # at a minimum, or not a number
    for _ in range(iterations):
        if done.float().mean() > _LEAVE:
            best[rows], lowest[rows] = here, value
            keep = torch.nonzero(~done).flatten()
            here, value, slope, rows, scale, length, tries, done = (
                each[keep] for each in (here, value, slope, rows, scale, length, tries, done)
            )
            pairs = [(step[keep], change[keep], weight[keep]) for step, change, weight in pairs]
            cost = cost if part is None else part(rows)
        if not len(rows):
            break
        direction = -_times_inverse_hessian(slope, pairs, scale)
        expected = (slope * direction).sum(1)
        direction = torch.where((expected < 0)[:, None], direction, -scale[:, None] * slope)
        expected = torch.where(expected < 0, expected, -scale * (slope * slope).sum(1))
        step = length[:, None] * direction
        found, gradient = _evaluated(cost, here + step)
        fine = (found <= value + _SUFFICIENT * length * expected) & ~done
        change = torch.where(fine[:, None], gradient - slope, 0.0)
        curvature, size = (step * change).sum(1), (change * change).sum(1)
        known = fine & (curvature > _CURVED * size.clamp_min(_CURVED))
        weight = torch.where(known, 1.0 / torch.where(known, curvature, 1.0), 0.0)
        pairs = [*pairs, (step, change, weight)][-_MEMORY:]
        scale = torch.where(known, curvature / size.clamp_min(_CURVED), scale)
        tries = torch.where(fine, 0.0, tries + 1.0)
        done = done | (fine & (value - found <= converged * value)) | (tries >= 2 * _TRIES)
        length = torch.where(fine, 1.0, length * _shorter(length * expected, found - value))
        stuck = tries == _TRIES  # a kink: forget the curvature
        pairs = [(step, change, torch.where(stuck, 0.0, weight)) for step, change, weight in pairs]
        scale = torch.where(stuck, 1.0 / slope.norm(dim=1).clamp_min(1.0), scale)
        length = torch.where(stuck, 1.0, length)
        here = torch.where(fine[:, None], here + step, here)
        value = torch.where(fine, found, value)
        slope = torch.where(fine[:, None], gradient, slope)
    best[rows], lowest[rows] = here, value
    return best, lowest


def _evaluated(cost: Cost, controls: Tensor) -> tuple[Tensor, Tensor]:
    """Costs and their gradients."""
    with torch.enable_grad():
        given = controls.detach().requires_grad_()
        values = cost(given)
        (gradient,) = torch.autograd.grad(values.sum(), given)
    return values.detach(), gradient


def _shorter(expected: Tensor, rise: Tensor) -> Tensor:
    """Factor of the length by which a parabola through slope and values has its minimum."""
    factor = -expected / (2.0 * (rise - expected))
    return torch.nan_to_num(factor, nan=_SHORTER[0]).clamp(*_SHORTER)


def _times_inverse_hessian(
    slope: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]], scale: Tensor
) -> Tensor:
    """The gradient times the approximate inverse Hessian, by the two-loop recursion."""
    out, kept = slope, []
    for step, change, weight in reversed(pairs):
        share = weight * (step * out).sum(1)
        out = torch.addcmul(out, share[:, None], change, value=-1.0)
        kept.append(share)
    out = scale[:, None] * out
    for (step, change, weight), share in zip(pairs, reversed(kept), strict=True):
        out = torch.addcmul(out, (share - weight * (change * out).sum(1))[:, None], step)
    return out

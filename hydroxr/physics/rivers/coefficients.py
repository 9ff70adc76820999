"""Coefficients of a section's step, from K and X; and K and X of a channel, from its shape.

A section holds the storage S (m3). With the mean inflow I of a step, its mean outflow is
``O = direct * I + release * S``, and S changes by ``dt (I - O)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .scheme import DAY, Scheme


def coefficients(travel_time: Tensor, x: Tensor, scheme: Scheme) -> Tensor:
    """``direct`` (1) and ``release`` (s-1) of each reach, differentiable by K and X.

    Muskingum (Cunge 1969, equations 4 to 7): with ``D = 2 K (1 - X) + dt``, ``C0 = (dt - 2 K X) / D``,
    ``C1 = (dt + 2 K X) / D`` and ``C2 = (2 K (1 - X) - dt) / D``. For means over steps, the storage after
    a step is ``(K X + dt / 2) I + (K (1 - X) - dt / 2) O``, so that ``C1 I + C2 O = 2 S / D``. A linear
    reservoir has the exact solution for a steady inflow, ``S2 = S1 exp(-dt / K) + K I (1 - exp(-dt / K))``.

    Parameters
    ----------
    travel_time, x : Tensor, (reach,)
        K, days, and X.
    scheme : Scheme

    Returns
    -------
    Tensor, (2, reach)
    """
    steps, sections, within = (
        torch.as_tensor(numbers, dtype=travel_time.dtype)
        for numbers in (scheme.steps, scheme.sections, scheme.within)
    )
    passes = travel_time == 0
    k = DAY * torch.where(passes, 1.0, travel_time) / sections
    step = DAY / steps
    if scheme.linear:
        left = torch.exp(-step / k)  # share of the storage that a step leaves
        direct = 1 - k * (1 - left) / step
    else:
        x = torch.minimum(x, torch.as_tensor(scheme.most_x, dtype=x.dtype))
        part = step / within
        divisor = 2 * k * (1 - x) + part
        left = (2 * k * (1 - x) - part) / divisor
        gone = 1 - left
        left = left**within
        # All sub-steps of a step, with a steady inflow, as one.
        direct = 1 - (1 - (part - 2 * k * x) / divisor) * (1 - left) / gone / within
    release = (1 - left) / step
    return torch.stack([torch.where(passes, 1.0, direct), torch.where(passes, 0.0, release)])


def channel(
    length: Tensor, slope: Tensor, width: Tensor, manning: Tensor, discharge: Tensor
) -> tuple[Tensor, Tensor]:
    """K (days) and X of wide rectangular channels at a reference discharge (Cunge 1969, equation 19).

    Manning's equation gives the depth ``(n Q / (W sqrt(s)))**(3/5)`` and the celerity ``c = 5/3 Q / (W
    depth)``; then ``K = L / c`` and ``X = 1/2 - Q / (2 W s c L)``, at least 0.

    Parameters
    ----------
    length, slope, width, manning, discharge : Tensor, (reach,)
        m, 1, m, s m-1/3, m3 s-1.
    """
    depth = (manning * discharge / (width * torch.sqrt(slope))) ** 0.6
    celerity = 5.0 / 3.0 * discharge / (width * depth)
    x = 0.5 - discharge / (2 * width * slope * celerity * length)
    return length / celerity / DAY, x.clamp(min=0.0)

"""NN_r: a small network in the place of the effective-rainfall equation.

Feng et al. (2022), section 2.2, change 4: P_eff = NN_r(θ_FC, β, S_s, S_s/θ_FC, P_r + I_snow). Here
its output is the share of the inflow that runs off, between 0 and 1, so that no weights create or
lose water.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import DescriptionError
from .parameters import PARAMETERS

# What it sees, and what each is divided by to be of order one.
INPUTS = {
    "FC": 1000.0,  # mm
    "BETA": 6.0,
    "soil_moisture": 1000.0,  # mm
    "soil_moisture / FC": 1.0,
    "inflow": 50.0,  # mm/day, rain and water from snow
}
_DRY = -1.0  # an untrained network lets about a quarter run off

_STEPS = 300  # to imitate the equation within 0.06
_SAMPLES = 512  # of each step
_RATE = 2e-2
_INFLOW = 10.0  # mm/day, mean of the samples


def is_plain(process: object) -> bool:
    """Whether it is NN_r as it is here, of which the weights say all, and not a variety of it."""
    if type(process) is not RunoffNetwork:
        return False
    layers = (process, process.hidden, process.output)
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers)
    return not hooked and type(process.hidden) is nn.Linear and type(process.output) is nn.Linear


class RunoffNetwork(nn.Module):
    """NN_r with one hidden layer: sigmoid(c + Σ v max(w x + b, 0)).

    Parameters
    ----------
    hidden : int
        Width of the hidden layer.

    Raises
    ------
    DescriptionError
        Where that is not at least 1.
    """

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        if hidden < 1:
            raise DescriptionError(f"NN_r has {hidden} hidden units; expected at least 1.")
        self.hidden = nn.Linear(len(INPUTS), hidden)
        self.output = nn.Linear(hidden, 1)
        nn.init.constant_(self.output.bias, _DRY)

    def forward(self, inflow: Tensor, soil_moisture: Tensor, BETA: Tensor, FC: Tensor) -> Tensor:
        """Share of the inflow that becomes effective rainfall.

        Parameters
        ----------
        inflow, soil_moisture, BETA, FC : Tensor, (space, component)
            mm/day, mm, 1, mm.

        Returns
        -------
        Tensor, (space, component)
            0 to 1.
        """
        values = torch.stack((FC, BETA, soil_moisture, soil_moisture / FC, inflow), -1)
        weights = self.weights(values.dtype)
        units = weights[:-1].view(-1, len(INPUTS) + 2)
        active = torch.relu(values @ units[:, : len(INPUTS)].T + units[:, -2])
        return torch.sigmoid(active @ units[:, -1] + weights[-1])

    def imitate_equation(self) -> None:
        """Learn (S/FC)^β, the equation whose place the network takes, to go on from there.

        Random weights would begin as a nearly constant share, from which a training hardly gets
        away. Samples are uniform over the parameters' ranges and over soil wetness.
        """
        optimizer = torch.optim.Adam(self.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
        (fc_low, fc_high), (beta_low, beta_high) = (
            (PARAMETERS[name].lower, PARAMETERS[name].upper) for name in ("FC", "BETA")
        )
        for _ in range(_STEPS):
            one, other, wetness, dryness = torch.rand(4, _SAMPLES, device=self.output.bias.device)
            FC, BETA = fc_low + (fc_high - fc_low) * one, beta_low + (beta_high - beta_low) * other
            inflow = -_INFLOW * torch.log(1.0 - dryness)
            error = self(inflow, wetness * FC, BETA, FC) - wetness**BETA
            optimizer.zero_grad()
            error.square().mean().backward()
            optimizer.step()
            schedule.step()
        optimizer.zero_grad()

    def weights(self, dtype: torch.dtype) -> Tensor:
        """All weights for inputs in their own units, as the kernels take them.

        Returns
        -------
        Tensor, (7 hidden + 1,)
            For each hidden unit its weights of the five inputs, its bias, and its weight in the
            output; then the output's bias.
        """
        scales = self.hidden.weight.new_tensor(list(INPUTS.values()))
        parts = [self.hidden.weight / scales, self.hidden.bias[:, None], self.output.weight.T]
        return torch.cat([torch.cat(parts, dim=1).reshape(-1), self.output.bias]).to(dtype)

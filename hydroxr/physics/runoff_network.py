"""NN_r: a small network that replaces the equation of effective rainfall.

Feng et al. (2022), section 2.2, change 4: P_eff = NN_r(θ_FC, β, S_s, S_s/θ_FC, P_r + I_snow). Here
the output is the share of the inflow that runs off, from 0 to 1, so that no choice of weights creates
or loses water.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import DescriptionError
from .parameters import PARAMETERS

# Inputs of the network, and the scale that each is divided by to be of order one.
INPUTS = {
    "FC": 1000.0,  # mm
    "BETA": 6.0,
    "soil_moisture": 1000.0,  # mm
    "soil_moisture / FC": 1.0,
    "inflow": 50.0,  # mm/day, rainfall and infiltration from snow
}
_DRY = -1.0  # bias of the output: an untrained network lets about a quarter run off

_STEPS = 300  # steps of imitation; they reach an error of 0.06
_SAMPLES = 512  # samples per step
_RATE = 2e-2
_INFLOW = 10.0  # mm/day, mean of the samples


def is_plain(process: object) -> bool:
    """Whether ``process`` is exactly this NN_r, without subclassing, other layers or hooks."""
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
        If ``hidden`` is less than 1.
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
            In mm/day, mm, 1 and mm.

        Returns
        -------
        Tensor, (space, component)
            From 0 to 1.
        """
        values = torch.stack((FC, BETA, soil_moisture, soil_moisture / FC, inflow), -1)
        weights = self.weights(values.dtype)
        units = weights[:-1].view(-1, len(INPUTS) + 2)
        active = torch.relu(values @ units[:, : len(INPUTS)].T + units[:, -2])
        return torch.sigmoid(active @ units[:, -1] + weights[-1])

    def imitate_equation(self) -> None:
        """Fit the network to the equation that it replaces, (S_s/θ_FC)^β, as a start for training.

        Random weights give a nearly constant share, which training hardly leaves. Samples are uniform
        over the ranges of the parameters and over soil wetness.
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
        """All weights as one array for the kernels, for inputs in physical units.

        Returns
        -------
        Tensor, (7 hidden + 1,)
            Per hidden unit: its weights for the five inputs, its bias, and its weight in the output.
            The last number is the bias of the output.
        """
        scales = self.hidden.weight.new_tensor(list(INPUTS.values()))
        parts = [self.hidden.weight / scales, self.hidden.bias[:, None], self.output.weight.T]
        return torch.cat([torch.cat(parts, dim=1).reshape(-1), self.output.bias]).to(dtype)

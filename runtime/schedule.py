"""Noise levels, as pure functions, and their diffusers scheduler configuration."""

from __future__ import annotations

import torch

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0


def karras(
    count: int, lowest: float = SIGMA_MIN, highest: float = SIGMA_MAX, rho: float = RHO
) -> torch.Tensor:
    """Return ``count`` decreasing levels followed by 0, float32 ``(count + 1,)``."""
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    high, low = highest ** (1 / rho), lowest ** (1 / rho)
    levels = (high + ramp * (low - high)) ** rho
    return torch.cat([levels, levels.new_zeros(1)]).float()


def linear(count: int) -> torch.Tensor:
    """Return ``count + 1`` times from 1 down to 0, for flow matching."""
    return torch.linspace(1, 0, count + 1)


def training_sigma(uniform: torch.Tensor, mean: float, spread: float) -> torch.Tensor:
    """Return log-normal noise levels from uniforms."""
    return torch.exp(mean + spread * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6)))


def scheduler_config(method: str, sigma_data: float) -> dict[str, object]:
    """Return the configuration of the diffusers scheduler that integrates the same path."""
    if method == "flow":
        return {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": 1.0,
        }
    return {
        "_class_name": "EDMEulerScheduler",
        "sigma_min": SIGMA_MIN,
        "sigma_max": SIGMA_MAX,
        "sigma_data": sigma_data,
        "rho": RHO,
        "sigma_schedule": "karras",
        "prediction_type": "epsilon",
        "num_train_timesteps": 1000,
    }

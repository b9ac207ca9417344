"""Weights in eight bits with a scale per output channel: how they are made, and what they stand for."""

from __future__ import annotations

import torch
from torch import Tensor

NARROW = torch.float8_e4m3fn
_LARGEST = torch.finfo(NARROW).max


def narrow(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight to eight bits, each output channel on a scale of its own.

    A channel's scale is its largest magnitude over 448, e4m3's largest number; every weight, divided by it, is rounded
    to the nearest e4m3 number. That has three bits behind the point, and is a multiple of 2⁻⁹ below 2⁻⁶, so that a
    weight ``w`` of a channel with scale ``s`` is off by at most ``max(|w|/17, s/1024)``, beside float32's own rounding:
    6 % of the weight, or a 458,752nd of the channel's largest. Zeros, signs and a channel's largest weight are kept.

    Args:
        weight: ``[out, in]``, of any float dtype.

    Returns:
        e4m3 ``[out, in]`` and float32 ``[out]``.

    Example:
        >>> small, scale = narrow(torch.tensor([[448.0, -1.05], [0.0, 0.0]]))
        >>> widen(small, scale, torch.float32)
        tensor([[448.,  -1.],
                [  0.,   0.]])
    """
    wide = weight.detach().float()
    # a channel of next to nothing: a scale that is no normal number would be flushed to zero in places
    scale = (wide.abs().amax(1) / _LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    return (wide / scale[:, None]).to(NARROW), scale


def widen(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """What a narrow weight ``[out, in]`` with its scale ``[out]`` stands for, rounded to ``dtype`` once."""
    # e4m3's numbers are exact in all dtypes that torch multiplies in; ``out`` saves writing the float32 in between
    wide = torch.empty(weight.shape, dtype=dtype, device=weight.device)
    return torch.mul(weight.to(dtype), scale[:, None], out=wide)

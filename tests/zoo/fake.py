"""Logits that any code can compute: integers scrambled by fixed multiplications, the same on every machine."""

from __future__ import annotations

import torch
from torch import Tensor

VOCAB = 24


def gentle(ids: Tensor, positions: Tensor) -> Tensor:
    """float32 ``[row, pos, vocab]``: what a position prefers, moved a little by all the tokens that stand.

    A step changes a distribution by a KL divergence of about 0.001 to 0.1, and confidences lie between 0.1 and 1.
    """
    tokens = torch.arange(VOCAB)
    liking = (((positions[..., None] + 5) * (tokens + 11) * 2654435761) % 1009) ** 2 % 1013
    canvas = (ids * (positions * positions + 3)).sum(-1, keepdim=True)
    moved = ((canvas + 7 * positions)[..., None] * 40503 + (tokens + 3) * 9973 * (positions[..., None] + 1)) % 1009
    return liking / 80.0 + moved / 1600.0

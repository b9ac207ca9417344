"""What the two token-to-token objectives share: the three-term loss and its options."""

from __future__ import annotations

from abc import ABC
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from dlmsample.objectives.base import Batch, Corrupted, Objective, per_row_mean
from dlmsample.objectives.draws import MASK, RATE, Draws, ShareRange


class TokenToToken(Objective, ABC):
    """Cross-entropy to gold on masked, wrong-visible and right-visible positions, each set with a weight.

    Rule (arXiv:2606.17175, Eq. 2, three weighted sums): with ``normalise="tokens"`` ``(λ_mask · Σ CE over masked +
    λ_wrong · Σ CE over wrong + λ_right · Σ CE over right) / supervised``, where supervised counts the sequence's
    positions in sets whose λ is not 0. With ``normalise="set"`` each sum is divided by the size of its own set; a set
    that is empty in a sequence adds 0 for it. What the paper divides by is lost in our copy: the choice is ours. A
    mean over each set makes one of a few wrong tokens weigh many times a right one, and an editor so trained rewrites
    right tokens.
    """

    mask_ratio: ShareRange = (0.3, 0.8)
    masked_weight: NonNegativeFloat = 1.0
    wrong_weight: NonNegativeFloat = 1.0
    right_weight: NonNegativeFloat = 1.0
    normalise: Literal["tokens", "set"] = "tokens"

    def masked(self, editable: Tensor, draws: Draws) -> Tensor:
        """bool ``[row, pos]``: each editable position with the probability drawn for its canvas."""
        return editable & (draws.per_position(MASK) < draws.rate(RATE, self.mask_ratio))

    def supervise(self, batch: Batch, tokens: Tensor, masked: Tensor) -> Corrupted:
        """The three sets and their weights, from the tokens to stand where ``masked`` is False."""
        visible, differs = batch.editable & ~masked, tokens != batch.clean
        sets = {"masked": masked, "wrong": visible & differs, "right": visible & ~differs}
        scale = {"masked": self.masked_weight, "wrong": self.wrong_weight, "right": self.right_weight}
        if self.normalise == "set":
            weights = torch.stack([per_row_mean(sets[name], scale[name]) for name in sets]).sum(0)
        else:
            supervised = torch.stack([sets[name] for name in sets if scale[name] > 0] or [batch.editable]).any(0)
            each = torch.stack([sets[name] * scale[name] for name in sets]).sum(0)
            weights = per_row_mean(supervised) * each
        return Corrupted(tokens.masked_fill(masked, batch.ids.mask), batch.clean, weights, sets)

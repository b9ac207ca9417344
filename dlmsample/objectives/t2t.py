"""What the two token-to-token objectives share: the three-term loss and its options."""

from __future__ import annotations

from abc import ABC

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from dlmsample.objectives.base import Batch, Corrupted, Objective, per_row_mean
from dlmsample.objectives.draws import MASK, RATE, Draws, ShareRange, between


class TokenToToken(Objective, ABC):
    """Cross-entropy to gold on masked, wrong-visible and right-visible positions, each the mean over its set.

    Rule (arXiv:2606.17175, Eq. 2): ``λ_mask · mean CE over masked + λ_wrong · mean CE over wrong + λ_right · mean
    CE over right``, the means taken within a sequence. A set that is empty in a sequence adds 0 for it.
    """

    mask_ratio: ShareRange = (0.3, 0.8)
    masked_weight: NonNegativeFloat = 1.0
    wrong_weight: NonNegativeFloat = 1.0
    right_weight: NonNegativeFloat = 1.0

    def masked(self, editable: Tensor, draws: Draws) -> Tensor:
        """bool ``[row, pos]``: each editable position with the probability drawn for its canvas."""
        return editable & (draws.per_position(MASK) < between(self.mask_ratio, draws.per_canvas(RATE)))

    def supervise(self, batch: Batch, tokens: Tensor, masked: Tensor) -> Corrupted:
        """The three sets and their weights, from the tokens to stand where ``masked`` is False."""
        visible, differs = batch.editable & ~masked, tokens != batch.clean
        sets = {"masked": masked, "wrong": visible & differs, "right": visible & ~differs}
        scale = {"masked": self.masked_weight, "wrong": self.wrong_weight, "right": self.right_weight}
        weights = torch.stack([per_row_mean(sets[name], scale[name]) for name in sets]).sum(0)
        return Corrupted(tokens.masked_fill(masked, batch.ids.mask), batch.clean, weights, sets)

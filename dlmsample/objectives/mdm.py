"""MDM: the plain masked-diffusion objective, the baseline of every matched one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat

from dlmsample.objectives.base import Batch, Corrupted, Draft, Objective
from dlmsample.objectives.draws import MASK, RATE, Draws, ShareRange


class MDM(Objective):
    """Mask at a random rate and predict what was masked (D3IM/SCOPE Eq. 3.1).

    Rule: ``t ~ U(0, 1)``, ``p = (1 - eps) t + eps``; each editable token becomes the mask id with
    probability p; the loss of a row is ``sum over masked of CE / p``, divided by the number of its editable
    positions; the batch's is the mean over rows. ``t`` is drawn per sequence, and per block where
    the batch has any.

    Args:
        eps: lowest mask probability, in (0, 1]; bounds the weight 1/p.
        mask_ratio: range of t, uniform; the whole of it is the paper's, a part of it a control at an editor's mask
            ratios.
        visible_weight: λ; each editable position that stays visible adds λ · CE / editable positions, so that the model
            learns to copy what it sees. The control beside objectives that supervise visible tokens: learned copying,
            no learned correction. 0: the paper's loss.

    Source: arXiv:2606.01026, Eq. 3.1 (the LLaDA loss). ``t`` per block is what block-causal models need:
    each noisy block is a canvas of its own. ``mask_ratio`` and ``visible_weight`` are ours. No other deviation.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, editable = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[False, True, True, True]])
        >>> out = MDM(eps=1.0).corrupt(Batch(clean, editable, torch.tensor([3]), Ids(mask=2)))
        >>> out.input.tolist(), bool(out.weights.sum() == 1)
        ([[5, 2, 2, 2]], True)
    """

    name: ClassVar[str] = "mdm"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "unmask"}
    eps: float = Field(default=1e-3, gt=0, le=1)
    mask_ratio: ShareRange = (0.0, 1.0)
    visible_weight: NonNegativeFloat = 0.0

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`; ``draft`` is not used.

        Sets: ``masked``, and ``right`` with ``visible_weight``.
        """
        clean, editable = batch.clean, batch.editable
        draws = Draws(batch.keys, clean, batch.blocks)
        p = (1 - self.eps) * draws.rate(RATE, self.mask_ratio) + self.eps
        masked = editable & (draws.per_position(MASK) < p)
        length = editable.sum(1, keepdim=True).clamp(min=1)
        weights, sets = torch.where(masked, 1 / (p * length), 0.0), {"masked": masked}
        if self.visible_weight > 0:
            sets["right"] = editable & ~masked
            weights = torch.where(sets["right"], self.visible_weight / length, weights)
        return Corrupted(clean.masked_fill(masked, batch.ids.mask), clean, weights, sets)

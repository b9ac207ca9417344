"""Random T2T: LLaDA2.1's own editing objective, the baseline of the self-generated one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from dlmsample.objectives.base import Batch, Corrupted, Draft
from dlmsample.objectives.draws import EDIT, EDIT_RATE, TOKEN, Draws, ShareRange, random_token
from dlmsample.objectives.t2t import TokenToToken


class RandomT2T(TokenToToken):
    """Mask a ratio, replace a share of what stays visible by random tokens, and predict gold everywhere.

    Rule (arXiv:2606.17175, Sec. 3.1, Eq. 2): each editable token is masked with a probability m, each visible one is
    then replaced with a probability r by a uniformly random token other than gold; the loss is the weighted mean
    of the cross-entropy over masked, wrong and right positions of the sequence (:class:`TokenToToken`).

    Args:
        mask_ratio: range of m, uniform.
        random_share: range of r, uniform.
        masked_weight: λ of the masked positions.
        wrong_weight: λ of the replaced positions.
        right_weight: λ of the untouched visible positions; with it and ``random_share`` at 0 the masks alone are
            trained.
        normalise: ``tokens``: one mean over all supervised tokens; ``set``: a mean for each of the three sets.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> from dlmsample.objectives.base import Batch, Ids
        >>> clean, editable = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[False, True, True, True]])
        >>> rule = RandomT2T(mask_ratio=0, random_share=1)
        >>> ids = Ids(mask=2, special=(0, 1, 2), end=40)
        >>> out = rule.corrupt(Batch(clean, editable, torch.tensor([3]), ids))
        >>> out.sets["wrong"].tolist(), round(float(out.weights.sum()), 4)
        ([[False, True, True, True]], 1.0)

    Source: LLaDA2.1 (arXiv:2602.08676) as told by arXiv:2606.17175. Both ranges and the three weights are ours (not
    printed), as is that a mask, special or padding id is never drawn. m and r are drawn per sequence, and per block
    where the batch has any, each of them being a canvas of its own. Its multi-turn forwards, unspecified,
    are left out.
    """

    name: ClassVar[str] = "random_t2t"
    made_for: ClassVar[Mapping[str, Any]] = {"policy": "t2t"}
    random_share: ShareRange = (0.0, 0.3)

    def corrupt(self, batch: Batch, draft: Draft | None = None) -> Corrupted:
        """See :meth:`Objective.corrupt`; ``draft`` is not used. Sets: ``masked``, ``wrong``, ``right``."""
        draws = Draws(batch.keys, batch.clean, batch.blocks)
        masked = self.masked(batch.editable, draws)
        share = draws.rate(EDIT_RATE, self.random_share)
        replaced = batch.editable & ~masked & (draws.per_position(EDIT) < share)
        tokens = torch.where(replaced, random_token(batch.clean, draws.bits(TOKEN), batch.ids), batch.clean)
        return self.supervise(batch, tokens, masked)

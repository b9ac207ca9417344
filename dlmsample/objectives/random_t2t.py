"""Random T2T: LLaDA2.1's own editing objective, the baseline of the self-generated one."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from dlmsample.objectives.base import Corrupted, Draft, Ids
from dlmsample.objectives.draws import EDIT, EDIT_RATE, TOKEN, Draws, ShareRange, between, random_token
from dlmsample.objectives.t2t import TokenToToken


class RandomT2T(TokenToToken):
    """Mask a ratio, replace a share of what stays visible by random tokens, and predict gold everywhere.

    Rule (arXiv:2606.17175, Sec. 3.1, Eq. 2): each editable token is masked with a probability m, each visible one is
    then replaced with a probability r by a uniformly random token other than gold; the loss is the sum of three
    means within the sequence, over masked, wrong and right positions.

    Args:
        mask_ratio: range of m, uniform.
        random_share: range of r, uniform.
        masked_weight: λ of the masked positions' mean.
        wrong_weight: λ of the replaced positions' mean.
        right_weight: λ of the untouched visible positions' mean.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> clean, editable = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[False, True, True, True]])
        >>> rule = RandomT2T(mask_ratio=0, random_share=1)
        >>> out = rule.corrupt(clean, editable, torch.tensor([3]), ids=Ids(mask=2, special=(0, 1, 2), vocab_size=40))
        >>> out.sets["wrong"].tolist(), round(float(out.weights.sum()), 4)
        ([[False, True, True, True]], 1.0)

    Source: LLaDA2.1 (arXiv:2602.08676) as told by arXiv:2606.17175. Both ranges and the three weights are ours (not
    printed), as is that a mask, special or padding id is never drawn. m and r are drawn per sequence, and per block
    when ``blocks`` is given, where each noisy block is a canvas of its own. Its multi-turn forwards, unspecified,
    are left out.
    """

    name: ClassVar[str] = "random_t2t"
    random_share: ShareRange = (0.0, 0.3)

    def corrupt(
        self,
        clean: Tensor,
        editable: Tensor,
        keys: Tensor,
        draft: Draft | None = None,
        blocks: Tensor | None = None,
        *,
        ids: Ids,
    ) -> Corrupted:
        """See :meth:`Objective.corrupt`; ``draft`` is not used. Sets: ``masked``, ``wrong``, ``right``."""
        draws = Draws.of(keys, clean, blocks)
        masked = self.masked(editable, draws)
        share = between(self.random_share, draws.per_canvas(EDIT_RATE))
        replaced = editable & ~masked & (draws.per_position(EDIT) < share)
        tokens = torch.where(replaced, random_token(clean, draws.bits(TOKEN), ids), clean)
        return self.supervise(tokens, clean, editable, masked, ids)

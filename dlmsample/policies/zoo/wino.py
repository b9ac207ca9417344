"""WINO: "Wide-In, Narrow-Out", drafts that are verified and may be revoked."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import edit, fill
from dlmsample.policies.base import Policy
from dlmsample.policies.select import lowest
from dlmsample.types import Block, EditInfo, Prediction, Update


class WINOState(NamedTuple):
    drafted: Tensor  #: int64 ``[row]``, tokens that the step before this one filled


class WINO(Policy):
    """Draft every mask the model is half sure of, and mask again each token that it would not predict unseen.

    Rule (arXiv:2507.18578, Algorithm 1): masked positions with ``c > draft_threshold`` are filled, at least one. From
    the same forward every position that was visible before is verified: its token's leave-one-out probability, which
    the model gives it without seeing it, must reach ``verify_threshold``, else it is masked again. A step that drafts
    a single token revokes none, and no step revokes as many tokens as the step before drafted, the least probable
    first; so a block of n positions takes at most n steps.

    When to use: for few forwards on models trained on masks alone, with wide blocks or ``block_length="all"``.
    Not with short blocks under greedy decoding, where later work finds no gain over a threshold
    fill. It costs a second block of mask tokens in each forward (shadows); models without boolean masks (BERT and its
    kin) and with shifted logits (Dream) compute a copy of the canvas for every position of the block instead.

    Args:
        draft_threshold: τ1, probability, strict; the public code: 0.6.
        verify_threshold: τ2, probability; the public code: 0.9.
        max_draft: tokens a step drafts at most, the most confident first; None: no limit.
        eos: ``confidence``: a position whose candidate is an EOS is drafted after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range; when decoding, a cache that cannot hide single tokens.

    Example:
        >>> sorted(WINO().needs)
        ['loo_prob']

    Deviations: a shadow sees itself and no other shadow (the public code lets them see each other, so that a token's
    number depends on the block's width). The public code drafts at most 0.7 of the masks, 5 to 20 tokens; ``max_draft``
    stands for that. ``eos`` is ours.
    """

    name: ClassVar[str] = "wino"
    summary: ClassVar[str] = "draft above one threshold, revoke what fails unseen"
    paper: ClassVar[str] = "arXiv:2507.18578"

    draft_threshold: Annotated[float, Field(ge=0, le=1)] = 0.6
    verify_threshold: Annotated[float, Field(ge=0, le=1)] = 0.9
    max_draft: Annotated[int, Field(ge=1)] | None = None
    eos: fill.Eos = "none"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"loo_prob"})

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("unseen",)

    def init(self, block: Block) -> WINOState:
        return WINOState(block.size)

    def step(self, state: WINOState, block: Block, pred: Prediction) -> tuple[WINOState, Update]:
        if pred.loo_prob is None:
            raise ValueError("this rule reads pred.loo_prob: give predict the logits of a shadow block")
        drafted = fill.threshold(block, pred, self.draft_threshold, 1, "confidence", self.eos)
        if self.max_draft is not None:
            drafted = lowest(fill.order("confidence", block, pred, self.eos), drafted, self.max_draft)
        count = drafted.sum(-1)
        failed = block.visible & (pred.loo_prob < self.verify_threshold)
        most = torch.where(count > 1, state.drafted - 1, 0)
        revoked = lowest(pred.loo_prob, failed, most)
        tokens = edit.apply(block, drafted, pred.token, revoked)
        return WINOState(count), Update(tokens, block.is_full(tokens), EditInfo(0, pred.loo_prob))

    def max_steps(self, block: Block) -> Tensor:
        return block.size

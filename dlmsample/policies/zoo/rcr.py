"""RCR: running confidence remasking, of "MDPO: Overcoming the Training-Inference Divide"."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.policies.select import lowest
from dlmsample.types import Block, EditInfo, Prediction, Update


class RCRState(NamedTuple):
    steps: Tensor  #: int64 ``[row]``, S, the steps of this block
    odds: Tensor  #: float32 ``[row, pos]``, against each position's token, of the forward that predicted it


class RCR(Policy):
    """Predict every mask, then mask again the positions whose confidence was lowest when they were last predicted.

    Rule (MDPO, arXiv:2508.13148, "running confidence remasking"): step s predicts all masked positions and
    remembers the confidence of each candidate. Of all n positions of the block, those committed earlier included,
    the ``⌊n·(1 − s/S)⌋`` with the lowest remembered confidence are masked, s counted from 1. A visible position
    keeps the confidence of the forward that predicted it, so that a token committed early and unsurely gives way as
    soon as others are surer.

    When to use: with a fixed budget of forwards, on any checkpoint: it asks the model nothing that it was not trained
    for, since visible tokens are never scored. Not where early tokens were confidently wrong: their confidence is
    never looked at again. It costs ``steps`` forwards, fewer where a block is full before.

    Args:
        steps: policy updates for the whole answer (not for each block), shared by the blocks in proportion.
        eos: ``confidence``: on non-final steps a position whose candidate is an EOS is masked before every other;
            ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> RCR(steps=32).model_dump()
        {'steps': 32, 'eos': 'none'}

    Deviations: the rule is that of the paper's public code. Confidence is the untempered float32 softmax without the
    mask id (the code: tempered). ``eos`` is ours.
    """

    name: ClassVar[str] = "rcr"
    summary: ClassVar[str] = "predict all masks each step, mask the least sure of all again"
    paper: ClassVar[str] = "arXiv:2508.13148"

    steps: Annotated[int, Field(ge=1)] = 64
    eos: fill.Eos = "none"

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("running_confidence",)

    def init(self, block: Block) -> RCRState:
        return RCRState(fill.share(self.steps, block), torch.zeros_like(block.tokens, dtype=torch.float32))

    def step(self, state: RCRState, block: Block, pred: Prediction) -> tuple[RCRState, Update]:
        keep = kept_after(block, state.steps)
        candidate = fill.order("confidence", block, pred, self.eos)
        odds = torch.where(block.masked, candidate, state.odds)
        kept = lowest(odds, block.editable, keep)
        shown = torch.where(block.masked, pred.token, block.tokens)
        tokens = torch.where(block.editable & ~kept, block.mask_id, shown)
        return RCRState(state.steps, odds), Update(tokens, keep >= block.size, EditInfo(0, 1 / (1 + odds)))

    def max_steps(self, block: Block) -> Tensor:
        return fill.share(self.steps, block)


def kept_after(block: Block, steps: Tensor) -> Tensor:
    """int64 ``[row]``: n − ⌊n·(1 − s/S)⌋, the positions that hold tokens after step s of S, counted from 1."""
    left = (steps - block.step - 1).clamp(min=0)
    return block.size - block.size * left // steps

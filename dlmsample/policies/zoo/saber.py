"""Saber: a fill threshold that follows the text, and backtracking over falling confidence."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.policies.edit import apply
from dlmsample.policies.select import lowest
from dlmsample.types import Block, EditInfo, Prediction, Update


class SaberState(NamedTuple):
    placed: Tensor  #: float32 ``[row, pos]``, confidence with which a position was last filled; -1: never
    last: Tensor  #: float32 ``[row, pos]``, confidence at the last forward; 0 before the first


class Saber(Policy):
    """Fill above the mean confidence of what is filled so far; take back the tokens whose confidence fell most.

    Rule (Saber, arXiv:2510.18165): a step fills every mask with ``c > τ``, where τ is the mean of the confidences with
    which the block's positions were last filled (1 before the first), and at least the n most confident. If masks are
    left, ``max(⌊n/2⌋, ⌈d/μ⌉)`` of the visible positions are reset to mask, at most d − 1, where d is the larger of n
    and the number of tokens just filled: those whose confidence fell most since the last forward.

    When to use: on code and other text with much structure, where confidence rises as the frame stands and early tokens
    turn out wrong. Not for short blocks: every step before the last that fills two or more takes a token back.
    The published code has n = 2 and μ = 8, one block. It costs at most one forward for
    each position.

    Args:
        tokens_per_step: n, tokens a step fills at least.
        per_remask: μ, filled tokens for each one that is taken back.
        eos: ``confidence``: an EOS is filled only where every masked position has one; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> Saber().model_dump()
        {'tokens_per_step': 2, 'per_remask': 8, 'eos': 'none'}

    Deviations: the rule is that of the published code, which is not the paper's text. As there, a position's confidence
    is that of its candidate, whatever stands in it, and a token just filled may be taken back. The means restart with
    each block (there they run on). μ is an option here. The ``eos`` rule is ours.
    """

    name: ClassVar[str] = "saber"
    summary: ClassVar[str] = "fill above the mean so far, take back what fell most"
    paper: ClassVar[str] = "arXiv:2510.18165"

    tokens_per_step: Annotated[int, Field(ge=1)] = 2
    per_remask: Annotated[int, Field(ge=1)] = 8
    eos: fill.Eos = "none"

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("falls",)

    def init(self, block: Block) -> SaberState:
        zero = torch.zeros_like(block.tokens, dtype=torch.float32)
        return SaberState(zero - 1, zero)

    def step(self, state: SaberState, block: Block, pred: Prediction) -> tuple[SaberState, Update]:
        known = state.placed >= 0
        count = known.sum(-1, keepdim=True)
        # in float64 the sum is exact: a candidate as sure as all that stand is not above their mean in any order
        mean = torch.where(known, state.placed, 0.0).double().sum(-1, keepdim=True) / count.clamp(min=1)
        level = torch.where(count > 0, mean, 1.0).to(pred.prob.dtype)
        filled = fill.threshold(block, pred, level, self.tokens_per_step, eos=self.eos)

        left = (block.masked & ~filled).any(-1)
        fresh = filled.sum(-1).clamp(min=self.tokens_per_step)
        back = ((fresh + self.per_remask - 1) // self.per_remask).clamp(min=self.tokens_per_step // 2)
        back = torch.where(left, torch.minimum(back, fresh - 1), 0)
        change = pred.prob - state.last
        remask = lowest(change, block.visible | filled, back)
        tokens = apply(block, filled, pred.token, remask)
        placed = torch.where(filled, pred.prob, state.placed)
        return SaberState(placed, pred.prob), Update(tokens, ~left, EditInfo(0, change))

    def max_steps(self, block: Block) -> Tensor:
        return block.size

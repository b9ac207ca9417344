"""T2M: token-to-mask refinement, "Remask, Don't Replace"."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import edit, fill
from dlmsample.policies.base import Policy
from dlmsample.policies.select import lowest
from dlmsample.types import Block, Prediction, Update

Detector = Literal["low_prob", "t2t_remask", "logit_diff"]


class T2MState(NamedTuple):
    post: Tensor  #: int64 ``[row]``, forwards of this block that saw it free of masks
    remasks: Tensor  #: int64 ``[row, pos]``, times each position was reset in this block
    previous: Tensor  #: float32 ``[row, pos]``, probability of the token standing after the last step; 0 where masked


class Flagged(NamedTuple):
    flag: Tensor  #: bool ``[row, pos]``, before the caps
    order: Tensor  #: float32 ``[row, pos]``, the lower, the sooner it is reset


def _low_prob(block: Block, pred: Prediction, previous: Tensor, level: float) -> Flagged:
    """Eq. 2: the standing token has ``q < τ``; least probable first."""
    return Flagged(block.visible & (pred.current_prob < level), -pred.current_odds)


def _t2t_remask(block: Block, pred: Prediction, previous: Tensor, level: float) -> Flagged:
    """Eq. 3: another token has ``c > τ``; most confident contradiction first."""
    return Flagged(edit.disagrees(block, pred, level), pred.odds)


def _logit_diff(block: Block, pred: Prediction, previous: Tensor, level: float) -> Flagged:
    """Eq. 4: the standing token's probability fell by more than τ; largest drop first.

    Abstains where the position was masked after the last step and on a block's first step: ``previous`` is 0 there.
    """
    drop = previous - pred.current_prob
    return Flagged(block.visible & (drop > level), -drop)


_DETECTORS = {"low_prob": (_low_prob, 0.3), "t2t_remask": (_t2t_remask, 0.9), "logit_diff": (_logit_diff, 0.3)}


class T2M(Policy):
    """Fill above a threshold and reset suspicious tokens to mask, under two safety caps.

    Rule (arXiv:2604.18738, Eqs. 2–5, Algorithm 1): threshold fill as in T2T; then, among the editable positions
    visible *before* the fill, the detector flags suspects. A position is reset at most ``max_remasks`` times in
    a block (C_max), and at most ``max(min_per_step, ⌊max_ratio·|E|⌋)`` positions a step (ρ_max), the worst
    first. Done as in T2T.

    When to use: on any checkpoint, trained for editing or not, where a threshold fill commits some tokens too early:
    a reset position is decided anew, with more context.

    Args:
        detector: ``low_prob``: q < τ; ``t2t_remask``: c > τ and x̂ ≠ z; ``logit_diff``: q fell by more than τ in a step.
        threshold: τ, a probability; None: 0.3, 0.9, 0.3 by detector.
        max_remasks: C_max; 0 switches editing off.
        max_ratio: ρ_max, a share of the visible editable positions.
        min_per_step: 1 as in the paper's code; 0 gives the paper's floor.
        fill_threshold: probability, strict.
        max_post_steps: forwards of a block that may see it free of masks.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> T2M(detector="t2t_remask").level
        0.9

    Deviations (the text and its code disagree): |E| is counted before the fill, q is computed with the token
    visible, and counters are never reset in mid-block.
    """

    name: ClassVar[str] = "t2m"
    summary: ClassVar[str] = "threshold fill + reset suspicious tokens to mask, capped"
    paper: ClassVar[str] = "arXiv:2604.18738"

    detector: Detector = "low_prob"
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    max_remasks: Annotated[int, Field(ge=0)] = 1
    max_ratio: Annotated[float, Field(ge=0, le=1)] = 0.25
    min_per_step: Annotated[int, Field(ge=0)] = 1
    fill_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    max_post_steps: Annotated[int, Field(ge=0)] = 16

    @property
    def level(self) -> float:
        """The detector's threshold in force."""
        return _DETECTORS[self.detector][1] if self.threshold is None else self.threshold

    def init(self, block: Block) -> T2MState:
        zeros = torch.zeros_like(block.tokens)
        return T2MState(torch.zeros_like(block.step), zeros, zeros.to(torch.float32))

    def step(self, state: T2MState, block: Block, pred: Prediction) -> tuple[Any, Update]:
        chosen = fill.threshold(block, pred, self.fill_threshold)
        flag, order = _DETECTORS[self.detector][0](block, pred, state.previous, self.level)
        # float64, as Python computes ⌊ρ·|E|⌋: float32 would round some products up to the next integer
        cap = (block.visible.sum(-1).double() * self.max_ratio).floor().long().clamp(min=self.min_per_step)
        reset = lowest(order, flag & (state.remasks < self.max_remasks), cap)

        tokens = edit.apply(block, chosen, pred.token, remask=reset)
        standing = torch.where(chosen, pred.prob, pred.current_prob)
        previous = torch.where(tokens == block.mask_id, 0.0, standing)
        done, post = edit.settled(block, tokens, reset.any(-1), state.post, self.max_post_steps, self.max_remasks > 0)
        return T2MState(post, state.remasks + reset, previous), Update(tokens, done)

    def max_steps(self, block: Block) -> Tensor:
        if self.max_remasks == 0:
            return block.size
        return block.size * (1 + self.max_remasks) + self.max_post_steps

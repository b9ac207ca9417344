"""Prophet: commit everything as soon as the model knows the answer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.chain import Chain, NamedChain, chain
from dlmsample.policies.fill import Fill
from dlmsample.policies.piece import STRICT, Count, Positive
from dlmsample.types import Block, Prediction

Gap = Annotated[float, Field(strict=True, ge=0)]
_EARLY, _MID = 0.33, 0.67  # shares of the budget at which the phases end, as printed


@dataclass(frozen=True, config=STRICT)
class EarlyCommit(Fill):
    """A budget of steps that ends with everything filled once the logit gap is large; see :class:`Prophet`.

    Args:
        steps: a budget for the whole answer, as in :class:`dlmsample.policies.fill.Steps`.
        early: gap that is asked for in the first third of the budget, logits.
        mid: in the second.
        late: in the last.
        answer_start: first answer position that is watched; None: the whole block is.
        answer_length: watched positions.
        score: what ranks the positions of an ordinary step.
        eos: as in :class:`dlmsample.policies.fill.Quota`.
    """

    rule: ClassVar[str] = "early_commit"
    steps: Positive = 64
    early: Gap = 7.5
    mid: Gap = 5.0
    late: Gap = 2.5
    answer_start: Count | None = None
    answer_length: Positive = 5
    score: fill.Score = "confidence"
    eos: fill.Eos = "none"

    @property
    def needs(self) -> frozenset[str]:
        return fill.SCORE_NEEDS[self.score] | {"gap"}

    def knows(self, block: Block, pred: Prediction) -> Tensor:
        """bool ``[row]``: whether the watched positions' mean gap is as large as the phase asks for."""
        watched = block.editable
        if self.answer_start is not None:
            place = block.start[:, None] + block.editable.cumsum(-1) - 1
            watched = watched & (place >= self.answer_start) & (place < self.answer_start + self.answer_length)
        count = watched.sum(-1)
        # a gap is infinite where there is one candidate only; then so is the mean
        mean = torch.where(watched, fill.needed(pred.gap, "gap"), 0.0).double().sum(-1) / count.clamp(min=1)
        before = torch.where(block.total > 0, self.steps * block.start // block.total.clamp(min=1), 0)
        progress = (before + block.step + 1).double() / self.steps
        asked = torch.where(progress < _EARLY, self.early, torch.where(progress < _MID, self.mid, self.late))
        return (count > 0) & (mean >= asked)

    def choose(self, block: Block, pred: Prediction) -> Tensor:
        few = fill.quota(block, pred, fill.due(self.steps, block), self.score, self.eos)
        return torch.where(self.knows(block, pred)[:, None], block.masked, few)

    def max_steps(self, block: Block) -> Tensor:
        return torch.minimum(fill.share(self.steps, block), block.size)


class Prophet(NamedChain):
    """Decode under a budget of steps, and fill everything at once when the top two logits are far enough apart.

    Rule (Prophet, arXiv:2508.19982): at each step the gap between the two largest logits is averaged over the
    answer's positions. If the mean is at least τ(p), with p = step / steps the progress, every mask takes its
    candidate and decoding ends; else the step fills its share as Unmask does. τ falls with progress: ``early``
    below p = 0.33, ``mid`` below 0.67, ``late`` from there on.

    When to use: for short answers that the model knows long before its budget of steps is used up, such as multiple
    choice, or a final number at a known place (``answer_start``). Not for long texts as a whole: the mean over
    all positions says little about the worst of them. The published code has 7.5, 5 and 2.5 and watches 5 positions.
    It costs at most ``steps`` forwards and one further read of the logits for each.

    Args:
        steps: policy updates for the whole answer (not for each block), at most; shared by the blocks in proportion.
        early: gap in logits while p < 0.33.
        mid: gap in logits while p < 0.67.
        late: gap in logits after that.
        answer_start: first answer position that is watched, counted from 0; None: every position of the block.
        answer_length: how many positions are watched; read only with answer_start.
        score: what ranks the positions of an ordinary step: confidence, margin, entropy or random.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, one out of range, or an answer_length without an answer_start.

    Example:
        >>> Prophet(steps=32, answer_start=20).needs
        frozenset({'gap'})

    Deviations: everything means the active block (with ``block_length="all"`` the whole answer, as in the published
    code); a block that holds no watched position decodes to its end; the mask id is no candidate; without an
    ``answer_start`` the block's editable positions are watched, which is ours. Constraints that put fixed words
    before the answer are prompts here, or given text of ``fill``.
    """

    name: ClassVar[str] = "prophet"
    summary: ClassVar[str] = "a budget of steps that ends when the logit gap is large"
    paper: ClassVar[str] = "arXiv:2508.19982"

    steps: Annotated[int, Field(ge=1)] = 64
    early: Annotated[float, Field(ge=0)] = 7.5
    mid: Annotated[float, Field(ge=0)] = 5.0
    late: Annotated[float, Field(ge=0)] = 2.5
    answer_start: Annotated[int, Field(ge=0)] | None = None
    answer_length: Annotated[int, Field(ge=1)] = 5
    score: fill.Score = "confidence"
    eos: fill.Eos = "none"

    @model_validator(mode="after")
    def _length_has_a_start(self) -> Self:
        if self.answer_start is None and self.answer_length != type(self).model_fields["answer_length"].default:
            raise ValueError("answer_length belongs to answer_start: give an answer_start, or leave it out")
        return self

    def compose(self) -> Chain:
        return chain(EarlyCommit(**self.model_dump()))

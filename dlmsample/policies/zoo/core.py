"""CoRe: hide tokens to see whether the text still asks for them, and replace the one it asks for least."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Asked, Policy
from dlmsample.policies.edit import apply
from dlmsample.policies.select import lowest
from dlmsample.types import Block, EditInfo, Prediction, Update


class CoReState(NamedTuple):
    probes: Tensor  #: int64 ``[row]``, forwards of this block that looked at a text with hidden tokens
    probing: Tensor  #: bool ``[row]``, this forward is one
    hidden: Tensor  #: bool ``[row, pos]``, positions that are masked for it
    held: Tensor  #: int64 ``[row, pos]``, the tokens that return after it, with those that the last step filled
    prob: Tensor  #: float32 ``[row, pos]``, the candidates' probabilities at the last step


class CoRe(Policy):
    """A budget of steps; every few steps one more forward without some tokens shows which of them to replace.

    Rule (CoRe, arXiv:2602.04096): in the middle of the budget, at every ``every``-th step, the ``candidates`` visible
    tokens with the smallest top-1/top-2 margin are hidden together in one further forward. A hidden token y is
    unstable by ``-log p(y | text without the hidden tokens)``. Where another token has at least ``min_prob`` there,
    the ``max_revisions`` most unstable ones are replaced by it; the others return. Then the step fills its share by
    the forward before, as Unmask does.

    When to use: on code and other text in which one token decides about many; it finds tokens that are sure of
    themselves only because they stand there. Not on blocks of few tokens or under few steps: nothing is hidden among
    the last ``protect`` positions of a block, nor outside the window. The paper has m = 32, every 8 steps, one
    revision, the window 0.25 to 0.75 and 128 steps for 512 tokens: 8 more forwards. It costs ``steps`` forwards and
    at most ``(stop - start) · steps / every`` more, all counted in nfe.

    Args:
        steps: policy updates for the whole answer (not for each block), those with hidden tokens apart.
        every: steps from one look to the next, E.
        candidates: tokens hidden at a time, m.
        max_revisions: tokens replaced at a time, at most as many as the step fills.
        start: share of the budget from which on there are looks, 0 to 1.
        stop: share of the budget before which they end, 0 to 1.
        protect: positions at a block's end that are never hidden.
        min_prob: probability that the other token must have, 0 to 1.
        score: what ranks the positions to fill: confidence, margin, entropy or random.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, one out of range, or a window that ends before it starts.

    Example:
        >>> CoRe(steps=64, candidates=16).needs
        frozenset({'margin'})

    Statistics: a hidden token counts as a remask when it goes and as a fill when it returns, for that is what happens
    to the text; an ``edits_per_100`` is therefore no measure of revisions. Deviations: the window counts the
    block's share of the budget; at temperatures above 0 the other token is a sample (the published code: the argmax);
    a step always fills at least one mask.
    """

    name: ClassVar[str] = "core"
    summary: ClassVar[str] = "replace tokens that the text no longer asks for when hidden"
    paper: ClassVar[str] = "arXiv:2602.04096"

    steps: Annotated[int, Field(ge=1)] = 64
    every: Annotated[int, Field(ge=1)] = 8
    candidates: Annotated[int, Field(ge=0)] = 32
    max_revisions: Annotated[int, Field(ge=0)] = 1
    start: Annotated[float, Field(ge=0, le=1)] = 0.25
    stop: Annotated[float, Field(ge=0, le=1)] = 0.75
    protect: Annotated[int, Field(ge=0)] = 16
    min_prob: Annotated[float, Field(ge=0, le=1)] = 0.3
    score: fill.Score = "confidence"
    eos: fill.Eos = "none"

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.stop < self.start:
            raise ValueError(f"stop ({self.stop}) must not be before start ({self.start})")
        return self

    @property
    def needs(self) -> frozenset[str]:
        return fill.SCORE_NEEDS[self.score] | {"margin"}

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("hidden",)

    def init(self, block: Block) -> CoReState:
        no = torch.zeros_like(block.editable)
        zero = torch.zeros_like(block.step)
        return CoReState(zero, zero > 0, no, block.tokens, torch.zeros_like(block.tokens, dtype=torch.float32))

    def asks(self, state: CoReState, block: Block) -> Asked:
        return Asked(ids=torch.where(state.hidden, state.held, block.tokens)[..., None])

    def step(self, state: CoReState, block: Block, pred: Prediction) -> tuple[CoReState, Update]:
        now = block._replace(step=block.step - state.probes)
        filled = fill.quota(now, pred, fill.due(self.steps, now), self.score, self.eos)
        tokens = apply(block, filled, pred.token)
        hide = self._hidden(now, pred) & ~state.probing[:, None]
        returned, prob = self._returned(state, now, pred)

        probing = hide.any(-1)
        shown = torch.where(probing[:, None], torch.where(hide, block.mask_id, block.tokens), tokens)
        shown = torch.where(state.probing[:, None], returned, shown)
        done = ~probing & block.is_full(shown)
        after = CoReState(state.probes + state.probing, probing, hide, tokens, pred.prob)
        return after, Update(shown, done, EditInfo(0, fill.needed(pred.margin, "margin").float()), prob)

    def _hidden(self, now: Block, pred: Prediction) -> Tensor:
        """The visible tokens to look behind, if this is a step for it; bool ``[row, pos]``."""
        first, last = self._window_of(now)
        due = (now.step % self.every == 0) & (now.step >= first) & (now.step < last) & (self.max_revisions > 0)
        place = now.editable.cumsum(-1) - 1
        among = now.visible & (place < (now.size - self.protect)[:, None])
        return lowest(fill.needed(pred.margin, "margin"), among, self.candidates) & due[:, None]

    def _returned(self, state: CoReState, now: Block, pred: Prediction) -> tuple[Tensor, Tensor]:
        """The tokens after a look, and their probabilities; both ``[row, pos]``."""
        log_p = fill.needed(pred.asked, "asked")[..., 0]
        other = state.hidden & (pred.token != state.held) & (pred.prob >= self.min_prob)
        quota, _ = fill.even_split(now.size, fill.share(self.steps, now), now.step - 1)
        replaced = lowest(log_p, other, quota.clamp(min=1, max=max(self.max_revisions, 1)))
        kept = torch.where(state.hidden, log_p.exp(), torch.where(state.probing[:, None], state.prob, pred.prob))
        return torch.where(replaced, pred.token, state.held), torch.where(replaced, pred.prob, kept)

    def _window_of(self, block: Block) -> tuple[Tensor, Tensor]:
        """The first step with a look and the one after the last; int64 ``[row]``."""
        share = fill.share(self.steps, block).double()
        return (share * self.start).floor().long(), (share * self.stop).floor().long()

    def max_steps(self, block: Block) -> Tensor:
        first, last = self._window_of(block)
        looks = (last + self.every - 1) // self.every - (first + self.every - 1) // self.every
        return torch.minimum(fill.share(self.steps, block), block.size) + looks

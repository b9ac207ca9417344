"""ProSeCo: between the steps that unmask, the model corrects a full draft of the text, "Learn from Your Mistakes"."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.types import Block, EditInfo, Prediction, Update


class ProSeCoState(NamedTuple):
    made: Tensor  #: int64 ``[row]``, forwards of this block that saw a full draft
    round: Tensor  #: int64 ``[row]``, which one of its loop this forward is, from 1; 0: it sees the text itself
    hidden: Tensor  #: bool ``[row, pos]``, positions that are masks in the text beneath the draft


class ProSeCo(Policy):
    """A budget of steps; every few steps the model rewrites a full draft until it agrees with itself, then unmasks.

    Rule (ProSeCo, arXiv:2602.11590, Algorithms 2 and 3): step k of the budget, counted from 1, fills its share of
    masks by confidence, as Unmask does. Where ``every`` divides k, a loop comes first: all masks take their
    candidates, and at most ``max_corrections`` forwards see that draft, each replacing every position by its own
    candidate; a loop ends as soon as nothing changes. Then visible positions keep the draft's tokens, the others are
    masks again, and the step fills its share by what the last of these forwards says.

    When to use: on checkpoints trained to correct full texts: by the objective ``proseco``, to a degree by those of
    other editors. Not on checkpoints that saw masks alone and copy what stands there: they gain nothing for many
    forwards. It costs ``steps`` forwards and at most ``max_corrections · steps / every`` more, all counted in nfe.

    Args:
        steps: policy updates for the whole answer, those of the loops apart; the public code: 256 for 256 tokens.
        every: ω, steps from one loop to the next; the public code: 2.
        max_corrections: S, forwards of a loop at most; 0 is Unmask. The public code: 4.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> ProSeCo(steps=32).model_dump()
        {'steps': 32, 'every': 2, 'max_corrections': 4, 'eos': 'none'}

    Statistics: a draft counts as fills and what is masked again as remasks, for that is what happens to the text; an
    ``edits_per_100`` is therefore no measure of corrections. Deviations: only the active block is drafted and corrected
    (the public code corrects the blocks before it too and drafts those behind it; with ``block_length="all"`` there is
    one). As in that code, visible tokens enter the draft as they stand, and a loop may end early; Algorithm 3
    writes candidates there too and always makes S forwards. At temperatures above 0 every candidate is a sample (the
    code: those that are filled alone). ``eos`` is ours.
    """

    name: ClassVar[str] = "proseco"
    summary: ClassVar[str] = "correct a full draft in loops between the steps that unmask"
    paper: ClassVar[str] = "arXiv:2602.11590"

    steps: Annotated[int, Field(ge=1)] = 64
    every: Annotated[int, Field(ge=1)] = 2
    max_corrections: Annotated[int, Field(ge=0)] = 4
    eos: fill.Eos = "none"

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("corrected",)

    def init(self, block: Block) -> ProSeCoState:
        zero = torch.zeros_like(block.step)
        return ProSeCoState(zero, zero, torch.zeros_like(block.editable))

    def step(self, state: ProSeCoState, block: Block, pred: Prediction) -> tuple[ProSeCoState, Update]:
        drafted = (state.round > 0)[:, None]
        hidden = torch.where(drafted, state.hidden, block.masked)
        seen = torch.where(hidden, block.mask_id, block.tokens)
        now = block._replace(step=block.step - state.made, tokens=seen)

        changed = (block.editable & (pred.token != block.tokens)).any(-1)
        again = (state.round > 0) & (state.round < self.max_corrections) & changed
        begins = (state.round == 0) & ((now.step + 1) % self.every == 0) & (self.max_corrections > 0)
        draft = torch.where(hidden | (drafted & block.editable), pred.token, block.tokens)

        filled = fill.quota(now, pred, fill.due(self.steps, now), eos=self.eos)
        shown = torch.where(hidden & ~filled, block.mask_id, draft)
        more = again | begins
        tokens = torch.where(more[:, None], draft, shown)
        done = ~more & ~(hidden & ~filled).any(-1)
        after = ProSeCoState(state.made + more, torch.where(more, state.round + 1, 0), hidden)
        return after, Update(tokens, done, EditInfo(0, pred.current_prob))

    def max_steps(self, block: Block) -> Tensor:
        steps = torch.minimum(fill.share(self.steps, block), block.size)
        return steps + steps // self.every * self.max_corrections

"""Tolerator: fill up, then refine, "Finish First, Perfect Later"; called FiRe since."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample import rng
from dlmsample.policies import fill
from dlmsample.policies.base import Asked, Policy
from dlmsample.policies.select import lowest
from dlmsample.types import Block, EditInfo, Prediction, Update


class ToleratorState(NamedTuple):
    steps: Tensor  #: int64 ``[row]``, the fill-up's steps in this block
    round: Tensor  #: int64 ``[row]``, the refinement round that is under way; 0: filling up
    last: Tensor  #: int64 ``[row, pos]``, the token of the latest refinement of each position; -1: none yet
    repeats: Tensor  #: int64 ``[row, pos]``, how often it came out in a row


class Tolerator(Policy):
    """Fill the block up, then mask a random share of it again and again and predict each share from the rest.

    Rule (arXiv:2510.05090): the fill-up is a quota by confidence over ``steps``, with the logits of EOS divided by
    ``eos_penalty``. Then in each of ``rounds`` rounds a random share of the positions is masked, and one forward
    replaces all of them, so that every token is judged by others and helps to judge them. The share falls from
    ``start_share`` to ``end_share`` along a cosine or exponentially. A position that comes out the same ``lock_after``
    times in a row is masked no more; when all are locked the block is done.

    When to use: when the answer may cost twice its forwards or more, best over the whole answer
    (``block_length="all"``, as in the paper). Not for short budgets, and not where parallel prediction of half the
    answer is hopeless. It costs the fill-up's steps plus ``rounds`` forwards for each block.

    Args:
        steps: fill-up steps for the whole answer (not for each block), shared by the blocks in proportion; the paper's
            code: 32.
        rounds: refinement rounds of each block; the paper's code: 32.
        start_share: of the positions that may change, in the first round; the paper's code: 0.8.
        end_share: in the last round; the paper's code: 0.4.
        decay: cosine or exponential.
        lock_after: equal predictions in a row; None: nothing is locked. The paper's code: 10.
        eos_penalty: divisor of the EOS logits during the fill-up, at least 1 (1: none); the paper's code: 1.2.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> Tolerator(rounds=8).model_dump(include={"rounds", "start_share", "end_share"})
        {'rounds': 8, 'start_share': 0.8, 'end_share': 0.4}

    Deviations: rounds belong to a block (the paper has one). The number of masked positions is the share rounded up,
    at least one. One temperature serves both phases (the code: 0.5 and 0.3). As in the code, the penalty divides the
    logit, not the probability. Texts with masks have no EOS, so no penalty.
    """

    name: ClassVar[str] = "tolerator"
    summary: ClassVar[str] = "fill up, then remask and predict random shares in rounds"
    paper: ClassVar[str] = "arXiv:2510.05090"

    steps: Annotated[int, Field(ge=1)] = 32
    rounds: Annotated[int, Field(ge=0)] = 32
    start_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    end_share: Annotated[float, Field(gt=0, le=1)] = 0.4
    decay: Literal["cosine", "exponential"] = "cosine"
    lock_after: Annotated[int, Field(ge=1)] | None = 10
    eos_penalty: Annotated[float, Field(ge=1)] = 1.2

    @property
    def reasons(self) -> tuple[str, ...]:
        return ("refined",)

    @property
    def draws(self) -> bool:
        return True

    def init(self, block: Block) -> ToleratorState:
        none = torch.zeros_like(block.tokens)
        return ToleratorState(fill.share(self.steps, block), torch.zeros_like(block.step), none - 1, none)

    def asks(self, state: ToleratorState, block: Block) -> Asked:
        if self.eos_penalty == 1:
            return Asked()
        return Asked(eos_divisor=torch.where(state.round == 0, self.eos_penalty, 1.0))

    def step(self, state: ToleratorState, block: Block, pred: Prediction) -> tuple[ToleratorState, Update]:
        filling = (state.round == 0)[:, None]
        quota, _ = fill.even_split(block.size, state.steps, block.step)
        filled = torch.where(filling, fill.quota(block, pred, quota), block.masked)
        tokens = torch.where(filled, pred.token, block.tokens)

        again = filled & ~filling
        repeats = torch.where(again, torch.where(pred.token == state.last, state.repeats + 1, 1), state.repeats)
        last = torch.where(again, pred.token, state.last)
        full = block.is_full(tokens)
        turn = state.round + full
        free = block.editable & (repeats < (self.lock_after or torch.iinfo(torch.int64).max))
        more = full & (turn <= self.rounds) & free.any(-1)

        # the share's exact product may come out a hair too large, which must not add a position
        count = (free.sum(-1) * self._share(turn) - 1e-9).ceil().long().clamp(min=1)
        positions = torch.arange(block.tokens.shape[1], device=block.tokens.device)
        draw = rng.uniform(rng.fold(block.key[:, None], rng.OWN, positions))
        chosen = lowest(draw, free, torch.where(more, count, 0))
        tokens = torch.where(chosen, block.mask_id, tokens)
        return ToleratorState(state.steps, turn, last, repeats), Update(tokens, full & ~more, EditInfo(0, draw))

    def _share(self, turn: Tensor) -> Tensor:
        """float64 ``[row]``: the share of positions that a round masks, rounds counted from 1."""
        first = 1 if self.rounds > 1 else 0  # a single round is the last
        way = (turn - first).clamp(min=0).double() / max(self.rounds - 1, 1)
        if self.decay == "exponential":
            return self.start_share * (self.end_share / self.start_share) ** way
        return self.end_share + (self.start_share - self.end_share) * 0.5 * (1 + torch.cos(math.pi * way))

    def max_steps(self, block: Block) -> Tensor:
        return torch.minimum(fill.share(self.steps, block), block.size) + self.rounds

"""CreditDecoding: candidates that have led before get credit on top of their logits."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Asked, Policy
from dlmsample.policies.edit import apply
from dlmsample.types import Block, Prediction, Update

_FAR = 1e30  # a log-probability that is finite whatever the odds


class CreditState(NamedTuple):
    ids: Tensor  #: int64 ``[row, pos, k]``, the candidates a position has had, each once; k: positions of the block
    credit: Tensor  #: float32 ``[row, pos, k]``, their credit; 0: the place is free


class CreditDecoding(Policy):
    """Fill above a threshold of a confidence that is raised for candidates which have led at earlier steps.

    Rule (CreditDecoding, arXiv:2510.06133): each masked position keeps a credit for every token, 0 at first. At every
    step all credits are multiplied by β, and the candidate's grows by ``c^γ``. Logits become ``l + α·log(1 +
    credit)``; of their softmax the most probable token is taken, and every position where it exceeds
    ``threshold`` is filled, at least ``min_commit``.

    When to use: in place of a threshold fill where many positions have the right candidate long before they are sure of
    it; it saves forwards. Not where the first guesses are wrong and late ones right: credit delays the change.
    Defaults of the rule are those of the authors' dInfer: α 0.7, β 0.8, γ 0.2, threshold 0.9. It costs no forwards of
    its own. Its memory is 12 bytes for each pair of positions of a block (12 kB for a row in blocks of 32), for only
    tokens that have led have credit; a table over the vocabulary would take a thousand times as much.

    Args:
        threshold: of the raised confidence, a probability, strict.
        fusion: α, weight of the credit in the logits; 0 is Unmask with a threshold.
        decay: β, from 0 to 1, what is left of a credit after a step.
        boost: γ, exponent of the candidate's confidence; below 1 it lifts unsure candidates.
        min_commit: tokens a step fills at least.
        eos: ``confidence``: an EOS is filled only where every masked position has one; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> CreditDecoding(fusion=0.5).model_dump(exclude={"eos", "min_commit"})
        {'threshold': 0.9, 'fusion': 0.5, 'decay': 0.8, 'boost': 0.2}

    Deviations: the paper's own values could not be read; credits restart with each block, as in dInfer, which fills at
    the threshold too (ours: above it) and all that is within 1e-5 of the best (ours: the best); at temperatures above 0
    the sample takes the place of the most probable token, and what is filled is the best of all samples so far
    (ours). The ``eos`` rule is ours.
    """

    name: ClassVar[str] = "credit"
    summary: ClassVar[str] = "threshold fill, with credit for candidates that led before"
    paper: ClassVar[str] = "arXiv:2510.06133"

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.9
    fusion: Annotated[float, Field(ge=0)] = 0.7
    decay: Annotated[float, Field(ge=0, le=1)] = 0.8
    boost: Annotated[float, Field(ge=0)] = 0.2
    min_commit: Annotated[int, Field(ge=1)] = 1
    eos: fill.Eos = "none"

    def init(self, block: Block) -> CreditState:
        ids = block.tokens[..., None].repeat(1, 1, block.tokens.shape[1]) * 0
        return CreditState(ids, torch.zeros_like(ids, dtype=torch.float32))

    def asks(self, state: CreditState, block: Block) -> Asked:
        return Asked(ids=state.ids)

    def step(self, state: CreditState, block: Block, pred: Prediction) -> tuple[CreditState, Update]:
        log_prob = -pred.odds.log1p().clamp(max=_FAR)[..., None]
        # a step has at most one new candidate for a position, so its number is a place that is free
        own = (state.ids == pred.token[..., None]) & (state.credit > 0)
        free = torch.arange(state.ids.shape[-1], device=state.ids.device) == block.step[:, None, None]
        new = free & ~own.any(-1, keepdim=True)
        ids = torch.where(new, pred.token[..., None], state.ids)
        gain = torch.where(own | new, (self.boost * log_prob).exp(), 0.0)
        credit = torch.where(new, 0.0, state.credit * self.decay) + gain
        log_p = torch.where(new | own, log_prob, fill.needed(pred.asked, "asked"))
        raised = self._raised(pred, ids, credit, (credit > 0) | own | new, log_p)
        filled = fill.threshold(block, raised, self.threshold, self.min_commit, eos=self.eos)
        tokens = apply(block, filled, raised.token)
        return CreditState(ids, credit), Update(tokens, block.is_full(tokens), prob=raised.prob)

    def _raised(self, pred: Prediction, ids: Tensor, credit: Tensor, held: Tensor, log_p: Tensor) -> Prediction:
        """The prediction of the raised logits; every token without credit keeps its share of the rest."""
        bonus = self.fusion * credit.log1p()
        best = torch.where(held, log_p + bonus, -torch.inf).argmax(-1, keepdim=True)
        added = torch.where(held, log_p.exp() * bonus.expm1(), 0.0)
        rest = -log_p.gather(-1, best).expm1() + added.scatter(-1, best, 0.0).sum(-1, keepdim=True)
        odds = (rest * (-(log_p + bonus).gather(-1, best)).exp())[..., 0].nan_to_num(nan=torch.inf, posinf=torch.inf)
        return pred._replace(token=ids.gather(-1, best)[..., 0], odds=odds, prob=1 / (1 + odds))

    def max_steps(self, block: Block) -> Tensor:
        return (block.size + self.min_commit - 1) // self.min_commit

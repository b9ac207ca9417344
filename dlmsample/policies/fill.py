"""Fill rules: which masked positions become tokens at this step.

Each rule is a function and a frozen object with its options; :mod:`dlmsample.policies.chain` pairs it with an edit.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from dlmsample.policies.piece import STRICT, Piece, Positive, Probability, from_dump
from dlmsample.policies.select import lowest, rank
from dlmsample.rng import FILL_ORDER, draw
from dlmsample.types import Block, Prediction

Score = Literal["confidence", "margin", "entropy", "random"]
Eos = Literal["none", "confidence"]

#: Fill score -> the optional prediction it reads.
SCORE_NEEDS: dict[Score, frozenset[str]] = {
    "confidence": frozenset(),
    "margin": frozenset({"margin"}),
    "entropy": frozenset({"entropy"}),
    "random": frozenset(),
}


def order(score: Score, block: Block, pred: Prediction, eos: Eos = "none") -> Tensor:
    """float ``[row, pos]``: the lower, the sooner a position is filled.

    ``confidence``: odds against the candidate (LLaDA); ``margin``: largest top-1/top-2 margin first;
    ``entropy``: lowest entropy first (Dream, arXiv:2508.15487); ``random``: a uniform draw. With
    ``eos="confidence"`` every position whose candidate is an EOS comes after all others, +inf
    (arXiv:2606.01026, App. B.2).
    """
    positions = torch.arange(block.tokens.shape[1], device=block.tokens.device)
    rules = {
        "confidence": lambda: pred.odds,
        "margin": lambda: -needed(pred.margin, "margin"),
        "entropy": lambda: needed(pred.entropy, "entropy"),
        "random": lambda: draw(block.key[:, None], FILL_ORDER, positions),
    }
    return eos_last(rules[score](), block, pred.token, eos)


def eos_last(ranked: Tensor, block: Block, token: Tensor, eos: Eos) -> Tensor:
    """An order in which, with ``eos="confidence"``, every position whose ``token`` is an EOS comes after all others."""
    if eos == "none":
        return ranked
    # infinite odds against an ordinary candidate must stay before an EOS
    return torch.where(block.is_eos(token), torch.inf, ranked.clamp(max=torch.finfo(ranked.dtype).max))


def quota(
    block: Block, pred: Prediction, count: Tensor | int, score: Score = "confidence", eos: Eos = "none"
) -> Tensor:
    """The ``count`` masked positions that rank first (LLaDA's low-confidence remasking); bool ``[row, pos]``."""
    return lowest(order(score, block, pred, eos), block.masked, count)


def threshold(
    block: Block,
    pred: Prediction,
    level: float | Tensor,
    min_commit: int = 1,
    score: Score = "confidence",
    eos: Eos = "none",
) -> Tensor:
    """Every masked position with ``c > level``, but at least ``min_commit`` of them.

    Where fewer than ``min_commit`` qualify, the first ``min_commit`` by ``score`` are taken instead. The rule of
    LLaDA2.x (arXiv:2602.08676) and Fast-dLLM (arXiv:2505.22618). With ``eos="confidence"`` an EOS qualifies only
    where every masked position of the row has an EOS candidate. Returns bool ``[row, pos]``.
    """
    sure = ready(block, pred, eos) & (pred.prob > level)
    enough = sure.sum(-1, keepdim=True) >= min_commit
    return torch.where(enough, sure, quota(block, pred, min_commit, score, eos))


def entropy_bound(block: Block, pred: Prediction, bound: float, score: Score = "entropy", eos: Eos = "none") -> Tensor:
    """Masked positions in the order of ``score`` while the entropies of the *previous* ones sum to <= ``bound`` nats.

    The first is always accepted (EB-sampler, arXiv:2505.24857). With ``eos="confidence"`` an EOS is accepted only
    where every masked position of the row has an EOS candidate. Returns bool ``[row, pos]``.
    """
    among = ready(block, pred, eos)
    entropy = torch.where(among, needed(pred.entropy, "entropy"), torch.inf)
    place = rank(order(score, block, pred), among)
    ordered = torch.empty_like(entropy).scatter(-1, place, entropy)
    # A shifted running sum, not "cumsum minus own": the rest of the row is infinite.
    previous = torch.cat([torch.zeros_like(ordered[:, :1]), ordered[:, :-1].cumsum(-1)], -1)
    return among & (previous.gather(-1, place) <= bound)


def ready(block: Block, pred: Prediction, eos: Eos) -> Tensor:
    """The masked positions that a threshold or a bound may accept; bool ``[row, pos]``."""
    if eos == "none":
        return block.masked
    other = block.masked & ~block.is_eos(pred.token)
    return torch.where(other.any(-1, keepdim=True), other, block.masked)


def share(steps: int, block: Block) -> Tensor:
    """int64 ``[row]``: the block's part of a budget of ``steps`` for the whole answer.

    The block over answer positions [a, b) of T gets ``max(1, ⌊steps·b/T⌋ − ⌊steps·a/T⌋)``: LLaDA's equal split
    where blocks are equal.
    """
    total = block.total.clamp(min=1)
    return (steps * block.stop // total - steps * block.start // total).clamp(min=1)


def even_split(n: Tensor, steps: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Split ``n`` positions evenly over ``steps``, the remainder on the earliest ones; all int64 ``[row]``.

    Returns:
        the quota of ``step`` and the running total up to and including it.

    Example:
        >>> import torch
        >>> n, s = torch.tensor([5]), torch.tensor([3])
        >>> [even_split(n, s, torch.tensor([i]))[0].item() for i in range(3)]
        [2, 2, 1]
    """
    base, rest = n // steps, n % steps
    done = (step + 1).clamp(max=steps)
    return base + (step < rest).long(), base * done + torch.minimum(done, rest)


def due(steps: int, block: Block) -> Tensor:
    """int64 ``[row]``: how many positions this step fills under a budget of ``steps``, see :class:`Steps`; >= 1."""
    _, total = even_split(block.size, share(steps, block), block.step)
    return (total - block.visible.sum(-1)).clamp(min=1)


def needed(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"this rule reads pred.{name}: add {name!r} to the policy's `needs`")
    return value


class Fill(Piece):
    """Which masked positions become tokens. Subclasses are frozen dataclasses; a wrong option is a ValueError."""

    def table(self) -> Tensor | None:
        """A number for each id, see :meth:`dlmsample.policies.base.Policy.table`."""
        return None

    @abstractmethod
    def choose(self, block: Block, pred: Prediction) -> Tensor:
        """bool ``[row, pos]``: masked positions to fill with their candidates; at least one where there is a mask.

        Pure, without host synchronisation; a row's choice depends on that row alone.
        """

    @abstractmethod
    def max_steps(self, block: Block) -> Tensor:
        """int64 ``[row]``: a bound on the steps that fill an empty block.

        When an edit takes tokens back, each of them may cost one step more and no more than that.
        """


class _Ranked(Fill):
    """A rule that needs nothing but what ranks the positions."""

    any_length: ClassVar[bool] = True
    score: Score

    @property
    def needs(self) -> frozenset[str]:
        return SCORE_NEEDS[self.score]


@dataclass(frozen=True, config=STRICT)
class Quota(_Ranked):
    """Commit a fixed number of masked positions at each step, those that rank first by ``score`` (LLaDA).

    Args:
        tokens_per_step: tokens, >= 1.
        score: what ranks the positions: confidence, margin, entropy or random.
        eos: ``confidence``: positions whose candidate is an EOS rank after all others, lower positions first.

    Example:
        >>> Quota(2)
        Quota(tokens_per_step=2, score='confidence', eos='none')

    Source: arXiv:2502.09992; eos: arXiv:2606.01026, App. B.2. A step that fills every mask fills the EOS too, so the
    final step needs no rule of its own.
    """

    rule: ClassVar[str] = "quota"
    tokens_per_step: Positive = 1
    score: Score = "confidence"
    eos: Eos = "none"

    def choose(self, block: Block, pred: Prediction) -> Tensor:
        return quota(block, pred, self.tokens_per_step, self.score, self.eos)

    def max_steps(self, block: Block) -> Tensor:
        return (block.size + self.tokens_per_step - 1) // self.tokens_per_step


@dataclass(frozen=True, config=STRICT)
class Steps(_Ranked):
    """Spread a budget of steps for the whole answer over its blocks, and each block's tokens evenly over its steps.

    After step s of a block at least ``k_s`` positions have been filled, the running total of an even split of n
    tokens over the block's :func:`share` of the budget, remainder on the earliest steps. Tokens that an edit took
    back are filled again by the next step, beside that step's own quota, so that the block is full in time; when its
    steps are used up, each further step fills everything.

    Args:
        steps: policy updates for the whole answer (not for each block), >= 1.
        score: what ranks the positions: confidence, margin, entropy or random.
        eos: as in :class:`Quota`.

    Deviation: LLaDA never takes tokens back, so what follows a remask is ours.
    """

    rule: ClassVar[str] = "steps"
    any_length: ClassVar[bool] = False  # a budget is shared by a length
    steps: Positive
    score: Score = "confidence"
    eos: Eos = "none"

    def choose(self, block: Block, pred: Prediction) -> Tensor:
        return quota(block, pred, due(self.steps, block), self.score, self.eos)

    def max_steps(self, block: Block) -> Tensor:
        return torch.minimum(share(self.steps, block), block.size)


@dataclass(frozen=True, config=STRICT)
class Threshold(_Ranked):
    """Commit every masked position with ``c > threshold``, at least ``min_commit`` of them; see :func:`threshold`.

    Args:
        threshold: probability in [0, 1], strict.
        min_commit: tokens a step commits at least.
        score: what ranks the positions where fewer than ``min_commit`` qualify.
        eos: ``confidence``: while a masked position has a candidate other than EOS, an EOS does not count as above the
            threshold, and it ranks after every other.

    Deviation: the EOS rule is printed for ranked quotas only (arXiv:2606.01026, App. B.2); its meaning under a
    threshold is ours.
    """

    rule: ClassVar[str] = "threshold"
    threshold: Probability = 0.7
    min_commit: Positive = 1
    score: Score = "confidence"
    eos: Eos = "none"

    def choose(self, block: Block, pred: Prediction) -> Tensor:
        return threshold(block, pred, self.threshold, self.min_commit, self.score, self.eos)

    def max_steps(self, block: Block) -> Tensor:
        return (block.size + self.min_commit - 1) // self.min_commit


@dataclass(frozen=True, config=STRICT)
class EntropyBound(Fill):
    """Commit masked positions in order, at least one, while the previous entropies sum to at most ``bound``.

    Args:
        bound: nats, >= 0.
        score: what orders the positions; rising entropy, or another score.
        eos: as in :class:`Threshold`.

    Source: arXiv:2505.24857. Deviation: as in :class:`Threshold`, the EOS rule is ours here.
    """

    rule: ClassVar[str] = "entropy_bound"
    any_length: ClassVar[bool] = True
    bound: Annotated[float, Field(strict=True, ge=0)]
    score: Score = "entropy"
    eos: Eos = "none"

    @property
    def needs(self) -> frozenset[str]:
        return SCORE_NEEDS[self.score] | {"entropy"}

    def choose(self, block: Block, pred: Prediction) -> Tensor:
        return entropy_bound(block, pred, self.bound, self.score, self.eos)

    def max_steps(self, block: Block) -> Tensor:
        return block.size


def read(value: Any) -> Any:
    """Makes a fill rule from its dump."""
    return from_dump("fill rule", (Quota, Steps, Threshold, EntropyBound), value)

"""Fill pieces: which masked positions become tokens at this step. Policies compose them with the edit pieces."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dlmsample import rng
from dlmsample.policies.select import lowest, rank
from dlmsample.predict import FILL_ORDER
from dlmsample.types import Block, Prediction

Score = Literal["confidence", "margin", "entropy", "random"]

#: Fill score -> the optional prediction it reads.
SCORE_NEEDS: dict[Score, frozenset[str]] = {
    "confidence": frozenset(),
    "margin": frozenset({"margin"}),
    "entropy": frozenset({"entropy"}),
    "random": frozenset(),
}


def order(score: Score, block: Block, pred: Prediction) -> Tensor:
    """float ``[row, pos]``: the lower, the sooner a position is filled.

    ``confidence``: odds against the candidate (LLaDA); ``margin``: largest top-1/top-2 margin first;
    ``entropy``: lowest entropy first (Dream, arXiv:2508.15487); ``random``: a uniform draw.
    """
    positions = torch.arange(block.tokens.shape[1], device=block.tokens.device)
    rules = {
        "confidence": lambda: pred.odds,
        "margin": lambda: -_needed(pred.margin, "margin"),
        "entropy": lambda: _needed(pred.entropy, "entropy"),
        "random": lambda: rng.uniform(rng.fold(block.key[:, None], FILL_ORDER, positions)),
    }
    return rules[score]()


def quota(block: Block, pred: Prediction, count: Tensor | int, score: Score = "confidence") -> Tensor:
    """The ``count`` masked positions that rank first (LLaDA's low-confidence remasking); bool ``[row, pos]``."""
    return lowest(order(score, block, pred), block.masked, count)


def threshold(block: Block, pred: Prediction, level: float, min_commit: int = 1, score: Score = "confidence") -> Tensor:
    """Every masked position with ``c > level``, but at least ``min_commit`` of them.

    Where fewer than ``min_commit`` qualify, the first ``min_commit`` by ``score`` are taken instead. The rule of
    LLaDA2.x (arXiv:2602.08676) and Fast-dLLM (arXiv:2505.22618). Returns bool ``[row, pos]``.
    """
    sure = block.masked & (pred.prob > level)
    enough = sure.sum(-1, keepdim=True) >= min_commit
    return torch.where(enough, sure, quota(block, pred, min_commit, score))


def entropy_bound(block: Block, pred: Prediction, bound: float) -> Tensor:
    """Masked positions in order of rising entropy while the sum of the *previous* ones is <= ``bound`` (nats).

    The first is always accepted (EB-sampler, arXiv:2505.24857). Returns bool ``[row, pos]``.
    """
    entropy = torch.where(block.masked, _needed(pred.entropy, "entropy"), torch.inf)
    place = rank(entropy, block.masked)
    ordered = torch.empty_like(entropy).scatter(-1, place, entropy)
    # A shifted running sum, not "cumsum minus own": the rest of the row is infinite.
    previous = torch.cat([torch.zeros_like(ordered[:, :1]), ordered[:, :-1].cumsum(-1)], -1)
    return block.masked & (previous.gather(-1, place) <= bound)


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


def _needed(value: Tensor | None, name: str) -> Tensor:
    if value is None:
        raise ValueError(f"this rule reads pred.{name}: add {name!r} to the policy's `needs`")
    return value

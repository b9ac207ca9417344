"""Detectors: which visible tokens are suspicious. The remask rules of :mod:`dlmsample.policies.edit` act on them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dlmsample import rng
from dlmsample.policies.base import Stateless
from dlmsample.policies.piece import STRICT, Piece, Probability, from_dump
from dlmsample.types import Block, Prediction


class Suspects(NamedTuple):
    """What a detector says of every position of the block; all ``[row, pos]``."""

    flag: Tensor  #: bool, visible positions that are suspicious
    order: Tensor  #: float, the lower, the more suspicious; a flagged position comes before one that is not
    score: Tensor  #: float32, the number that was compared with the threshold, for the trace


class Detector(Piece):
    """A rule that flags visible tokens. A detector that looks back keeps what it needs in its memory.

    Subclasses are frozen dataclasses with a ``rule`` name, here pydantic's, which validate their options. Like a
    policy's step, ``judge`` and ``remember`` are pure, run without host synchronisation and treat every row alone.
    """

    noun: ClassVar[str] = "detector"

    def init(self, block: Block) -> Any:
        """The memory of a row on entering ``block``: a NamedTuple of tensors whose first axis is the row."""
        return Stateless()

    @abstractmethod
    def judge(self, memory: Any, block: Block, pred: Prediction) -> Suspects:
        """Which tokens are suspicious in the canvas that this forward saw."""

    def remember(self, memory: Any, block: Block, pred: Prediction, filled: Tensor, remasked: Tensor) -> Any:
        """The memory for the next step, after this step filled and remasked these positions; bool ``[row, pos]``."""
        return memory


def disagrees(block: Block, pred: Prediction, level: float) -> Tensor:
    """Visible positions whose candidate differs from the standing token with ``c > level``; bool ``[row, pos]``.

    ``level = 0.0`` means *whenever the candidate differs*: a probability above 0.
    """
    return block.visible & (pred.prob > level) & (pred.token != block.tokens)


@dataclass(frozen=True, config=STRICT)
class LowProb(Detector):
    """The standing token has probability ``q < threshold`` (arXiv:2604.18738, Eq. 2); the least probable first.

    Example:
        >>> LowProb(0.2)
        LowProb(threshold=0.2)
    """

    rule: ClassVar[str] = "low_prob"
    threshold: Probability = 0.3

    def judge(self, memory: Any, block: Block, pred: Prediction) -> Suspects:
        flag = block.visible & (pred.current_prob < self.threshold)
        return Suspects(flag, -pred.current_odds, pred.current_prob)


@dataclass(frozen=True, config=STRICT)
class T2TRemask(Detector):
    """Another token has ``c > threshold`` (arXiv:2604.18738, Eq. 3); the most confident contradiction first."""

    rule: ClassVar[str] = "t2t_remask"
    threshold: Probability = 0.9

    def judge(self, memory: Any, block: Block, pred: Prediction) -> Suspects:
        order = torch.where(pred.token == block.tokens, torch.inf, pred.odds)
        return Suspects(disagrees(block, pred, self.threshold), order, pred.prob)


class Previous(NamedTuple):
    prob: Tensor  #: float32 ``[row, pos]``, probability of the token standing after the last step; 0 where masked


@dataclass(frozen=True, config=STRICT)
class LogitDiff(Detector):
    """The standing token's probability fell by more than ``threshold`` in one step (arXiv:2604.18738, Eq. 4).

    The largest drop first. A token placed by the last step is compared with the probability with which it was
    placed. On a block's first step, and where the position was masked after the last step, nothing is flagged.
    """

    rule: ClassVar[str] = "logit_diff"
    threshold: Probability = 0.3

    def init(self, block: Block) -> Previous:
        return Previous(torch.zeros_like(block.tokens, dtype=torch.float32))

    def judge(self, memory: Previous, block: Block, pred: Prediction) -> Suspects:
        drop = memory.prob - pred.current_prob
        return Suspects(block.visible & (drop > self.threshold), -drop, drop)

    def remember(self, memory: Previous, block: Block, pred: Prediction, filled: Tensor, remasked: Tensor) -> Previous:
        masked = remasked | (block.masked & ~filled)
        return Previous(torch.where(masked, 0.0, torch.where(filled, pred.prob, pred.current_prob)))


@dataclass(frozen=True, config=STRICT)
class Head(Detector):
    """The correction head gives the token ``P_error > threshold`` (arXiv:2601.06428); the most suspected first.

    Raises:
        ValueError: on the first step, where the model has no correction head.
    """

    rule: ClassVar[str] = "head"
    threshold: Probability = 0.5

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"error"})

    def judge(self, memory: Any, block: Block, pred: Prediction) -> Suspects:
        if pred.error is None:
            raise ValueError('this needs a model with a correction head; without one: scorer="random", detect.Random()')
        return Suspects(block.visible & (pred.error > self.threshold), -pred.error, pred.error)


@dataclass(frozen=True, config=STRICT)
class Random(Detector):
    """A random ``P_error ~ U(0, 1)`` exceeds ``threshold``: the control for a correction head (arXiv:2601.06428)."""

    rule: ClassVar[str] = "random"
    threshold: Probability = 0.5

    def judge(self, memory: Any, block: Block, pred: Prediction) -> Suspects:
        positions = torch.arange(block.tokens.shape[1], device=block.tokens.device)
        error = rng.uniform(rng.fold(block.key[:, None], rng.ERROR_SCORE, positions))
        return Suspects(block.visible & (error > self.threshold), -error, error)


def read(value: Any) -> Any:
    """Makes a detector from its dump."""
    return from_dump("detector", (LowProb, T2TRemask, LogitDiff, Head, Random), value)

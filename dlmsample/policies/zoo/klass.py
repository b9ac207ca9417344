"""KLASS: fill what is confident and has stopped moving, by the KL divergence between consecutive predictions."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.policies.edit import apply
from dlmsample.types import Block, Prediction, Update


class KLASSState(NamedTuple):
    steady: Tensor  #: int64 ``[row, pos]``, forwards in a row in which the distribution hardly moved


class KLASS(Policy):
    """Fill every mask that is confident and whose distribution has not moved for some steps; never revise.

    Rule (KLASS, arXiv:2511.05664, Algorithm 1): with ``KL_t = KL(p_t ‖ p_{t-1})`` between the distributions of two
    consecutive forwards, a mask is stable when the last ``history`` values of KL are all below ``kl``. A step fills
    every stable mask with ``c > threshold``; where there is none, the ``tokens_per_step`` most confident masks.
    KL is infinite at a block's first forward, so that a block begins with ``history`` ordinary steps.

    When to use: where a threshold alone commits tokens that still change their mind; it asks for less confidence than
    ``Unmask(threshold=...)`` at the same risk. Not with two or three forwards a block, which it spends on its
    history. The published scripts have a history of 2 and, for threshold and kl, on LLaDA 0.6 and 0.015 (GSM8K), 0.6
    and 0.01 (MATH), 0.9 and 0.01 (HumanEval), 0.7 and 0.01 (MBPP); on Dream 0.9 and 0.001 (GSM8K, MBPP), 0.9 and 0.005
    (MATH), 0.8 and 0.001 (HumanEval). It costs no forwards beyond the fill's; it does keep the last
    forward's logits, 2 bytes (bfloat16) or 4 for each id of the vocabulary and position of the block: 8 MB for a row of
    LLaDA's 126,464 ids in blocks of 32, 65 MB in one block of 256; and it reads both once more.

    Args:
        threshold: probability, strict.
        kl: nats, strict; 0 fills by quota alone.
        history: forwards for which KL must have been small, >= 1.
        tokens_per_step: what is filled where no mask is both confident and stable, >= 1.
        eos: ``confidence``: an EOS is filled only where every masked position has one; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> KLASS(threshold=0.6, kl=0.015).needs
        frozenset({'kl'})

    Deviations: the history restarts with each block (with one block it is the published code's); KL is that of the
    softmax at temperature 1 without the mask id (the code's: of logits with the sampling noise on them, with
    1e-12 added to every probability). The ``eos`` rule is ours.
    """

    name: ClassVar[str] = "klass"
    summary: ClassVar[str] = "fill what is confident and has stopped moving (KL)"
    paper: ClassVar[str] = "arXiv:2511.05664"

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.9
    kl: Annotated[float, Field(ge=0)] = 0.01
    history: Annotated[int, Field(ge=1)] = 2
    tokens_per_step: Annotated[int, Field(ge=1)] = 1
    eos: fill.Eos = "none"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"kl"})

    def init(self, block: Block) -> KLASSState:
        return KLASSState(torch.zeros_like(block.tokens))

    def step(self, state: KLASSState, block: Block, pred: Prediction) -> tuple[KLASSState, Update]:
        still = fill.needed(pred.kl, "kl") < self.kl
        steady = torch.where(still, state.steady + 1, 0)
        sure = fill.ready(block, pred, self.eos) & (pred.prob > self.threshold) & (steady >= self.history)
        few = fill.quota(block, pred, self.tokens_per_step, eos=self.eos)
        filled = torch.where(sure.any(-1, keepdim=True), sure, few)
        tokens = apply(block, filled, pred.token)
        return KLASSState(steady), Update(tokens, block.is_full(tokens))

    def max_steps(self, block: Block) -> Tensor:
        return block.size

"""DSC: head-guided remasking, "Teach Diffusion Language Models to Learn from Their Own Mistakes"."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample import rng
from dlmsample.policies import edit, fill
from dlmsample.policies.base import Policy
from dlmsample.policies.select import lowest, rank
from dlmsample.predict import ERROR_SCORE
from dlmsample.types import Block, Prediction, Update

_REMASKS_PER_POSITION = 4  # after 4n remasks in a block remasking stops: nothing else forces progress when k·d <= K


class DSCState(NamedTuple):
    pushed: Tensor  #: int64 ``[row]``, remasks in this block so far
    entry: Tensor  #: int64 ``[row, pos]``, number of each position's last push, far below 0 if never


class DSC(Policy):
    """Fill k tokens a step; every d-th step reset the K tokens the correction head suspects most, behind a FIFO buffer.

    Rule (arXiv:2601.06428, Algorithm 1): step N of a block fills the k most confident masks. When ``N mod d = d
    − 1`` the head scores the canvas this forward saw; of its visible editable positions the top K by
    ``P_error`` that exceed ``threshold`` and are not in the buffer are reset to mask and pushed. The head reads
    hidden states of the same forward.

    When to use: with a model that has a correction head (objective fca); ``scorer="random"`` needs none and is the
    paper's control.

    Args:
        tokens_per_step: k.
        stride: d, steps.
        max_remasks: K, tokens a time.
        threshold: probability, strict.
        buffer: capacity of the FIFO, positions; None: half the block length, also in a shorter last block.
        scorer: ``head``: the model's correction head; ``random``: P_error ~ U[0, 1] (Table 7).

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> DSC(scorer="random").needs
        frozenset()

    Deviations: the buffer and N restart with each block; it runs until the block is full (Algorithm 1 prints T
    steps); after 4n remasks in a block remasking stops, so that it ends within ⌈n/k⌉ + 4n steps; the head gives an
    *error* probability (the paper's signs conflict).
    """

    name: ClassVar[str] = "dsc"
    summary: ClassVar[str] = "quota fill + reset what a correction head points at"
    paper: ClassVar[str] = "arXiv:2601.06428"

    tokens_per_step: Annotated[int, Field(ge=1)] = 2
    stride: Annotated[int, Field(ge=1)] = 2
    max_remasks: Annotated[int, Field(ge=0)] = 2
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    buffer: Annotated[int, Field(ge=0)] | None = None
    scorer: Literal["head", "random"] = "head"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"error"} if self.scorer == "head" else ())

    def init(self, block: Block) -> DSCState:
        never = torch.full_like(block.tokens, torch.iinfo(torch.int64).min // 2)
        return DSCState(torch.zeros_like(block.step), never)

    def step(self, state: DSCState, block: Block, pred: Prediction) -> tuple[Any, Update]:
        chosen = fill.quota(block, pred, self.tokens_per_step)

        error = self._error(block, pred)
        top = lowest(-error, block.visible, self.max_remasks)
        # The FIFO holds the last `capacity` pushes: a position is in it if its push is that recent.
        half = (block.tokens.shape[1] if block.nominal is None else block.nominal) // 2
        capacity = half if self.buffer is None else self.buffer
        buffered = state.entry >= (state.pushed - capacity)[:, None]
        due = (block.step % self.stride == self.stride - 1)[:, None]
        suspect = top & (error > self.threshold) & ~buffered & due
        left = _REMASKS_PER_POSITION * block.size - state.pushed
        place = rank(-error, suspect)
        reset = suspect & (place < left[:, None])

        entry = torch.where(reset, state.pushed[:, None] + place, state.entry)
        tokens = edit.apply(block, chosen, pred.token, remask=reset)
        done = ~(block.editable & (tokens == block.mask_id)).any(-1)
        return DSCState(state.pushed + reset.sum(-1), entry), Update(tokens, done)

    def _error(self, block: Block, pred: Prediction) -> Tensor:
        if self.scorer == "random":
            positions = torch.arange(block.tokens.shape[1], device=block.tokens.device)
            return rng.uniform(rng.fold(block.key[:, None], ERROR_SCORE, positions))
        if pred.error is None:
            raise ValueError('DSC(scorer="head") needs a model with a correction head, or scorer="random"')
        return pred.error

    def max_steps(self, block: Block) -> Tensor:
        """⌈n/k⌉ + 4n: a step fills k masks or all of them, so a remask costs one further step at most.

        (The ⌈5n/k⌉ + 1 one would expect does not hold: with fewer than k masks left, a step fills fewer than k.)
        """
        fills = (block.size + self.tokens_per_step - 1) // self.tokens_per_step
        return fills + (_REMASKS_PER_POSITION * block.size if self.max_remasks else 0)

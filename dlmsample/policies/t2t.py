"""T2T: token-to-token editing, LLaDA2.1."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from dlmsample.policies import edit, fill
from dlmsample.policies.base import Policy
from dlmsample.types import Block, Prediction, Update


class T2TState(NamedTuple):
    post: Tensor  #: int64 ``[row]``, forwards of this block that saw it free of masks


class T2T(Policy):
    """Fill above one threshold and, from the same forward, replace committed tokens the model now disagrees with.

    Rule (LLaDA2.1, arXiv:2602.08676; SGT2T §3.1): masked positions with ``c > fill_threshold`` are filled (at
    least one); every position visible *before* that fill with ``c > edit_threshold`` and ``x̂ ≠ z`` becomes
    ``x̂``. A block is done after a step whose forward saw no mask and in which no edit fired; see
    :func:`dlmsample.policies.edit.settled`.

    When to use: on checkpoints that were trained to correct visible tokens (LLaDA2.1; nano's adapters random_t2t and
    self_generated_t2t). On others, ``edit_threshold`` near 0 also replaces tokens that were right.

    Args:
        fill_threshold: probability, strict (τ_m2t).
        edit_threshold: probability, strict (τ_t2t); 0.0 edits whenever the candidate differs (a sample, at
            temperatures above 0), None switches editing off.
        max_post_steps: forwards of a block that may see it free of masks.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> T2T.speed()
        T2T(fill_threshold=0.5, edit_threshold=0.0, max_post_steps=16)

    Deviation: confidence is the untempered float32 softmax without the mask id.
    """

    name: ClassVar[str] = "t2t"
    summary: ClassVar[str] = "threshold fill + replace tokens the model disagrees with"
    paper: ClassVar[str] = "arXiv:2602.08676"

    fill_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    edit_threshold: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    max_post_steps: Annotated[int, Field(ge=0)] = 16

    @classmethod
    def quality(cls) -> T2T:
        """Q mode: fill 0.7, edit 0.5."""
        return cls(fill_threshold=0.7, edit_threshold=0.5)

    @classmethod
    def speed(cls) -> T2T:
        """S mode: fill 0.5, edit whenever the candidate differs."""
        return cls(fill_threshold=0.5, edit_threshold=0.0)

    def init(self, block: Block) -> T2TState:
        return T2TState(torch.zeros_like(block.step))

    def step(self, state: T2TState, block: Block, pred: Prediction) -> tuple[Any, Update]:
        chosen = fill.threshold(block, pred, self.fill_threshold)
        if self.edit_threshold is None:
            replaced = torch.zeros_like(chosen)
        else:
            replaced = edit.disagrees(block, pred, self.edit_threshold)
        tokens = edit.apply(block, chosen | replaced, pred.token)
        done, post = edit.settled(
            block, tokens, replaced.any(-1), state.post, self.max_post_steps, self.edit_threshold is not None
        )
        return T2TState(post), Update(tokens, done)

    def max_steps(self, block: Block) -> Tensor:
        return block.size + (0 if self.edit_threshold is None else self.max_post_steps)
